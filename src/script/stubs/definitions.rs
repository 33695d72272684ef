//! Rhai's definitions of a module, made of its Luau stub: the same names, types and prose.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::script::Language;
use crate::script::syntax::tokens::{Comment, Dialect, tokens};
use crate::script::syntax::tree::{Field, Node, Param, Shape};
use crate::script::syntax::{self};

/// Returns the definitions of a module.
pub(super) fn of(name: &str, stub: &str) -> String {
    let nodes = syntax::parse(Language::Luau, stub).unwrap_or_default();
    let aliases = nodes.iter().filter_map(|node| match node {
        Node::Alias { name, shape, .. } => Some((name.as_str(), shape)),
        _ => None,
    });
    let writer = Writer { aliases: aliases.collect() };
    writer.module(name, stub, &nodes)
}

/// Writes a module's definitions.
struct Writer<'n> {
    /// What the module's own types stand for.
    aliases: BTreeMap<&'n str, &'n Shape>,
}

impl Writer<'_> {
    fn module(&self, name: &str, stub: &str, nodes: &[Node]) -> String {
        let import =
            if name.is_empty() { "kingtide".to_owned() } else { format!("kingtide/{name}") };
        let alias = if name.is_empty() { "kt" } else { name };
        let mut text = format!("module {alias};\n\n// import \"{import}\" as {alias};\n");
        let comments =
            tokens(stub, Dialect::Luau).map(|(_, comments)| comments).unwrap_or_default();
        let mut inner: Vec<(String, String)> = Vec::new();
        for node in nodes {
            match node {
                Node::Alias { name, shape: Shape::Record { fields, .. }, .. } => {
                    self.members(&mut text, name, fields, &comments);
                }
                Node::Set { targets, values } => {
                    let Some(path) = targets.first().and_then(super::path) else { continue };
                    let Some(item) = self.item(&path, targets, values, &comments) else { continue };
                    // A module within: `kt::log::info`.
                    let Some((outer, _)) = path.split_once('.') else {
                        text.push('\n');
                        text.push_str(&item);
                        continue;
                    };
                    match inner.iter_mut().find(|(name, _)| name == outer) {
                        Some((_, items)) => items.push_str(&item),
                        None => inner.push((outer.to_owned(), item)),
                    }
                }
                _ => {}
            }
        }
        for (name, items) in inner {
            let _infallible = writeln!(text, "\nmodule {name} {{\n{}}}", indented(&items));
        }
        text
    }

    /// Returns a function or a constant of a module.
    fn item(
        &self,
        path: &str,
        targets: &[Node],
        values: &[Node],
        comments: &[Comment<'_>],
    ) -> Option<String> {
        let Some(Node::Member { at, .. }) = targets.first() else { return None };
        let doc = doc(comments, at.line);
        let mut item = String::new();
        match values.first()? {
            Node::Function(function) => {
                let shape = |param: &Param| param.shape.clone().unwrap_or(Shape::Any);
                let params: Vec<_> =
                    function.params.iter().map(|p| (p.name.clone(), shape(p))).collect();
                let name = path.rsplit('.').next().unwrap_or_default();
                self.overloads(&mut item, name, &params, function.returns.as_ref(), &doc);
            }
            Node::Cast { shape, .. } => {
                let _infallible = writeln!(item, "{doc}const {path}: {};", self.kind(shape));
            }
            _ => return None,
        }
        Some(item)
    }

    /// Writes what an object has. What only names arguments is a map in Rhai, and has no members.
    fn members(&self, text: &mut String, name: &str, fields: &[Field], comments: &[Comment<'_>]) {
        if !is_object(fields) {
            return;
        }
        for field in fields {
            let doc = doc(comments, field.at.line);
            text.push('\n');
            if let Shape::Function { params, returns } = &field.shape {
                let params: Vec<_> = params
                    .iter()
                    .map(|(param, shape)| {
                        let param = if param == "self" { "object" } else { param };
                        (param.to_owned(), shape.clone())
                    })
                    .collect();
                self.overloads(text, &field.name, &params, Some(returns), &doc);
            } else {
                let _infallible = writeln!(
                    text,
                    "{doc}fn get {}(object: {name}) -> {};",
                    field.name,
                    self.kind(&field.shape)
                );
            }
        }
    }

    /// Writes a function once for each number of arguments that it takes.
    fn overloads(
        &self,
        text: &mut String,
        name: &str,
        params: &[(String, Shape)],
        returns: Option<&Shape>,
        doc: &str,
    ) {
        let needed = params
            .iter()
            .rposition(|(name, shape)| name != "..." && !matches!(shape, Shape::Optional(_)));
        for count in needed.map_or(0, |at| at + 1)..=params.len() {
            let params: Vec<String> = params[..count]
                .iter()
                .map(|(name, shape)| match name.as_str() {
                    "..." => "values: ?".to_owned(),
                    name => format!("{}: {}", name.trim_end_matches('_'), self.kind(shape)),
                })
                .collect();
            let returns = returns.map_or_else(|| "()".to_owned(), |shape| self.kind(shape));
            let _infallible = writeln!(text, "{doc}fn {name}({}) -> {returns};", params.join(", "));
        }
    }

    /// Returns Rhai's name of a type; `?` for what may be several.
    fn kind(&self, shape: &Shape) -> String {
        match shape {
            Shape::Name(name) => match name.as_str() {
                "string" => "String".to_owned(),
                "number" => "float".to_owned(),
                "boolean" => "bool".to_owned(),
                "nil" | "never" => "()".to_owned(),
                "buffer" => "Blob".to_owned(),
                name => match self.aliases.get(name) {
                    Some(Shape::Record { fields, .. }) if is_object(fields.as_slice()) => {
                        name.to_owned()
                    }
                    Some(shape) => self.kind(shape),
                    // One of another module, or one that the function leaves open.
                    None if name.len() > 1 => name.to_owned(),
                    None => "?".to_owned(),
                },
            },
            Shape::Text(_) => "String".to_owned(),
            Shape::Optional(inner) => self.kind(inner),
            Shape::List(_) => "Array".to_owned(),
            Shape::Map(_) | Shape::Record { .. } => "Map".to_owned(),
            Shape::Function { .. } => "FnPtr".to_owned(),
            Shape::Union(parts) if parts.iter().all(|part| matches!(part, Shape::Text(_))) => {
                "String".to_owned()
            }
            Shape::Any | Shape::Union(_) => "?".to_owned(),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _infallible = writeln!(all, "    {line}");
        all
    })
}

/// Returns the prose above a line, in Rhai's form.
fn doc(comments: &[Comment<'_>], line: u32) -> String {
    let above = |line: u32| {
        let found = comments.iter().find(|comment| comment.line == line)?;
        found.text.strip_prefix('-')
    };
    let mut lines = Vec::new();
    let mut at = line;
    while let Some(text) = above(at - 1) {
        lines.push(format!("///{text}\n"));
        at -= 1;
    }
    lines.reverse();
    lines.concat()
}

/// Returns whether a type is that of an object, and not only of named arguments.
fn is_object(fields: &[Field]) -> bool {
    fields.iter().any(|field| matches!(field.shape, Shape::Function { .. }))
}
