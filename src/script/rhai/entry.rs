//! The functions of a script that the runner calls, ready to be evaluated.
//!
//! Rhai calls a function from outside by its name, and then forgets where in it a limit was broken.
//! So the body is taken out of the syntax tree once, and evaluated as a block that sees its
//! parameter: no look-up, and errors keep their line.

use rhai::{
    AST, ASTNode, Dynamic, EvalAltResult, EvalContext, Expr, Expression, ImmutableString, Position,
    Stmt, StmtBlock,
};

use super::Thrown;

/// A function with at most one parameter.
pub(super) struct Entry {
    name: String,
    parameter: Option<ImmutableString>,
    /// Whether it only reads parts of its argument.
    only_reads: bool,
    /// Its statements, as a block.
    body: Expr,
}

impl Entry {
    /// Returns the functions of a script that can be called.
    pub(super) fn all(ast: &AST) -> Vec<Self> {
        let callable = |params: usize, is_method: bool| params <= 1 && !is_method;
        ast.iter_fn_def()
            .filter(|function| callable(function.params.len(), function.this_type.is_some()))
            .filter(|function| !function.name.starts_with("anon$"))
            .map(|function| {
                let (name, params) = (function.name.as_str(), function.params.len());
                let mut alone = ast.clone_functions_only();
                alone.retain_functions(|_, _, known, count| known == name && count == params);
                let (start, end) = (function.body.start_position(), function.body.end_position());
                let block = StmtBlock::new(statements(&alone, start, end), start, end);
                Self {
                    name: name.to_owned(),
                    only_reads: function
                        .params
                        .first()
                        .is_some_and(|name| only_reads(&alone, name)),
                    parameter: function.params.first().cloned(),
                    body: Expr::Stmt(Box::new(block)),
                }
            })
            .collect()
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it takes an argument.
    pub(super) fn takes_argument(&self) -> bool {
        self.parameter.is_some()
    }

    /// Returns whether it only reads parts of its argument, as in `data.token`, so that it can be given
    /// one that others have too.
    pub(super) fn only_reads(&self) -> bool {
        self.only_reads
    }

    /// Evaluates it with its argument, if it takes one.
    ///
    /// # Errors
    /// What it raised, as if Rhai had called it: with its name around.
    pub(super) fn evaluate(
        &self,
        context: &mut EvalContext<'_, '_, '_, '_, '_, '_>,
        argument: Option<Dynamic>,
    ) -> Result<Dynamic, Thrown> {
        if let Some(parameter) = &self.parameter {
            context.scope_mut().push_dynamic(parameter.clone(), argument.unwrap_or_default());
        }
        context.eval_expression_tree(&Expression::from(&self.body)).or_else(|error| match *error {
            EvalAltResult::Return(value, _) => Ok(value),
            error @ EvalAltResult::Exit(..) => Err(error.into()),
            error => {
                let source = context.source().unwrap_or_default().to_owned();
                let name = self.name.clone();
                let inner = Box::new(error);
                Err(EvalAltResult::ErrorInFunctionCall(name, source, inner, Position::NONE).into())
            }
        })
    }
}

/// Returns the outermost statements of functions that stand between two places. A method of the same
/// name stands elsewhere.
fn statements(ast: &AST, start: Position, end: Position) -> Vec<Stmt> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let [ASTNode::Stmt(statement)] = path
            && (start..=end).contains(&statement.position())
        {
            found.push((*statement).clone());
        }
        true
    });
    found
}

/// Returns whether a variable only stands at the beginning of `x.y` and `x[y]` that are not assigned
/// to. Methods may change what they are called on, and whoever is given the whole may do anything.
fn only_reads(ast: &AST, variable: &str) -> bool {
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        let Some(ASTNode::Expr(node @ Expr::Variable(name, ..))) = path.last() else { return true };
        if name.1 != variable {
            return true;
        }
        let [before @ .., ASTNode::Expr(chain), _] = path else { return false };
        let (Expr::Dot(parts, ..) | Expr::Index(parts, ..)) = chain else { return false };
        let assigned = before.last().is_some_and(|parent| match parent {
            ASTNode::Stmt(Stmt::Assignment(assignment)) => {
                std::ptr::eq(&raw const assignment.1.lhs, *chain)
            }
            _ => false,
        });
        std::ptr::eq(&raw const parts.lhs, *node) && !assigned && !calls_methods(&parts.rhs)
    })
}

fn calls_methods(expression: &Expr) -> bool {
    !expression.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
        !matches!(path.last(), Some(ASTNode::Expr(Expr::MethodCall(..))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_only_read_their_argument_are_known() {
        let reads = |body: &str| {
            let mut engine = rhai::Engine::new();
            engine.set_max_expr_depths(64, 64);
            let ast = engine.compile(format!("fn f(data) {{ {body} }}")).unwrap();
            Entry::all(&ast)[0].only_reads()
        };
        for body in [
            "",
            "1",
            "data.token",
            "let x = data.a.b[0].c; x += data[x]; x.push(data.d); g(data.e, `${data.f}`)",
            "for x in data.items { if data.n > 1 { let y = #{ a: [data.b] }; y.a[0] = data.c; } }",
            "let other = 1; other.data = 2; other.len()",
            "[1].map(|x| x + 1); data.n",
        ] {
            assert!(reads(body), "{body}");
        }
        for body in [
            "data",
            "data.n = 1",
            "data.n += 1",
            "data.a.b[1] = 2",
            "data[0] = 1",
            "data = 1",
            "data.items.push(1)",
            "data.items[0].push(1)",
            "data.push(1)",
            "g(data)",
            "let x = data; x.n = 1",
            "[1].map(|x| x + data.n)",
            "[data]",
            "#{ a: data }",
            "if true { return data; }",
            "switch data { 1 => 2, _ => 3 }",
            "while true { loop { data.n -= 1; } }",
            "let data = 1; data += 1",
        ] {
            assert!(!reads(body), "{body}");
        }
    }
}
