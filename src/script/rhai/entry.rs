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
