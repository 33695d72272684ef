//! The functions of a file that are called from outside, ready to be evaluated.
//!
//! Rhai calls a function from outside by its name, and then forgets where in it a limit was broken.
//! So the body is taken out of the syntax tree once, and evaluated as a block that sees its
//! parameter: no look-up, and errors keep their line.

use rhai::{
    AST, ASTNode, Dynamic, EvalAltResult, EvalContext, Expr, Expression, FnAccess, ImmutableString,
    Position, ScriptFuncDef, Stmt, StmtBlock,
};

use super::Thrown;

/// A function of a file.
pub(super) struct Entry {
    name: String,
    parameters: Vec<ImmutableString>,
    is_private: bool,
    /// Whether it only reads parts of its first argument.
    only_reads: bool,
    /// Its statements, as a block.
    body: Expr,
}

impl Entry {
    /// Returns the functions of a file that are neither closures nor methods and take at most `params`
    /// arguments.
    pub(super) fn all(ast: &AST, params: usize) -> Vec<Self> {
        ast.iter_fn_def()
            .filter(|function| function.params.len() <= params && function.this_type.is_none())
            .filter(|function| !function.name.starts_with("anon$"))
            .map(|function| Self::new(ast, function))
            .collect()
    }

    fn new(ast: &AST, function: &ScriptFuncDef) -> Self {
        let (name, params) = (function.name.as_str(), function.params.len());
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, known, count| known == name && count == params);
        let (start, end) = (function.body.start_position(), function.body.end_position());
        let block = StmtBlock::new(statements(&alone, start, end), start, end);
        Self {
            name: name.to_owned(),
            is_private: function.access == FnAccess::Private,
            only_reads: function.params.first().is_some_and(|name| only_reads(&alone, name)),
            parameters: function.params.to_vec(),
            body: Expr::Stmt(Box::new(block)),
        }
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many arguments it takes.
    pub(super) fn params(&self) -> usize {
        self.parameters.len()
    }

    /// Returns whether only its file may call it.
    pub(super) fn is_private(&self) -> bool {
        self.is_private
    }

    /// Returns whether it only reads parts of its first argument, as in `data.token`, so that it can be given
    /// one that others have too.
    pub(super) fn only_reads(&self) -> bool {
        self.only_reads
    }

    /// Evaluates it with as many arguments as it takes.
    ///
    /// # Errors
    /// What it raised, as if Rhai had called it: with its name around.
    pub(super) fn evaluate(
        &self,
        context: &mut EvalContext<'_, '_, '_, '_, '_, '_>,
        args: impl IntoIterator<Item = Dynamic>,
    ) -> Result<Dynamic, Thrown> {
        if context.call_level() > context.engine().max_call_levels() {
            return Err(EvalAltResult::ErrorStackOverflow(Position::NONE).into());
        }
        for (parameter, value) in self.parameters.iter().zip(args) {
            context.scope_mut().push_dynamic(parameter.clone(), value);
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
            Entry::all(&ast, 1)[0].only_reads()
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
