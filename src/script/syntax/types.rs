//! Luau's types as a [`Shape`].

use super::luau::unquoted;
use super::parser::{Parser, spot};
use super::tokens::Kind;
use super::tree::{Field, Node, Shape};

/// Reads `type X = T` and `export type X = T`, if that comes now; nothing inside if it is not
/// understood.
#[expect(clippy::option_option, reason = "not a type, and one not understood, are two answers")]
pub(super) fn alias(parser: &mut Parser<'_>) -> Option<Option<Node>> {
    let word = |count: usize, text: &str| {
        let token = parser.ahead(count);
        token.kind == Kind::Name && token.text == text
    };
    let skipped = usize::from(word(0, "export") && word(1, "type"));
    if !word(skipped, "type") || parser.ahead(skipped + 1).kind != Kind::Name {
        return None;
    }
    for _ in 0..=skipped {
        parser.next();
    }
    Some(read_alias(parser))
}

fn read_alias(parser: &mut Parser<'_>) -> Option<Node> {
    let (name, at) = parser.name()?;
    generics(parser)?;
    parser.need("=")?;
    let shape = shape(parser)?;
    Some(Node::Alias { name, shape, at })
}

/// Passes over `<T, U...>`.
pub(super) fn generics(parser: &mut Parser<'_>) -> Option<()> {
    if !parser.take("<") {
        return Some(());
    }
    let mut depth = 1;
    while depth > 0 {
        let token = parser.next();
        depth += i32::from(token.is("<")) - i32::from(token.is(">"));
        if token.kind == Kind::End {
            return None;
        }
    }
    Some(())
}

/// Reads a type.
pub(super) fn shape(parser: &mut Parser<'_>) -> Option<Shape> {
    parser.enter()?;
    let mut parts = Vec::new();
    let mut both = false;
    parser.take_any(&["|", "&"]);
    loop {
        let mut part = simple(parser)?;
        while parser.take("?") {
            part = Shape::Optional(Box::new(part));
        }
        parts.push(part);
        if parser.take("&") {
            both = true;
        } else if !parser.take("|") {
            break;
        }
    }
    parser.leave();
    Some(match parts.len() {
        // What is two things at once is not looked into.
        _ if both => Shape::Any,
        1 => parts.remove(0),
        _ => Shape::Union(parts),
    })
}

fn simple(parser: &mut Parser<'_>) -> Option<Shape> {
    let token = parser.now();
    match (token.kind, token.text) {
        (Kind::Keyword, "nil" | "true" | "false") => {
            parser.next();
            Some(Shape::Name(token.text.to_owned()))
        }
        (Kind::Text, _) => {
            parser.next();
            Some(Shape::Text(unquoted(token.text)))
        }
        (Kind::Symbol, "{") => table(parser),
        (Kind::Symbol, "...") => {
            parser.next();
            shape(parser).map(|_| Shape::Any)
        }
        (Kind::Symbol, "<") => {
            generics(parser)?;
            simple(parser)
        }
        (Kind::Symbol, "(") => function(parser),
        (Kind::Name, "typeof") if parser.ahead(1).is("(") => {
            parser.next();
            parser.next();
            parser.expression()?;
            parser.need(")")?;
            Some(Shape::Any)
        }
        (Kind::Name, _) => {
            let (mut name, _) = parser.name()?;
            while parser.take(".") {
                // A type of another module, by its own name.
                name = parser.name()?.0;
            }
            generics(parser)?;
            parser.take("...");
            Some(if name == "any" || name == "unknown" { Shape::Any } else { Shape::Name(name) })
        }
        _ => None,
    }
}

/// Reads `(a: T, U) -> V`, or a type in parentheses.
fn function(parser: &mut Parser<'_>) -> Option<Shape> {
    parser.need("(")?;
    let mut params = Vec::new();
    while !parser.take(")") {
        let named = parser.now().kind == Kind::Name && parser.ahead(1).is(":");
        let name = match parser.now() {
            token if token.is("...") => "...".to_owned(),
            _ if named => parser.name()?.0,
            _ => String::new(),
        };
        if named {
            parser.next();
        }
        params.push((name, shape(parser)?));
        if !parser.take(",") {
            parser.need(")")?;
            break;
        }
    }
    if parser.take("->") {
        let returns = Box::new(shape(parser)?);
        return Some(Shape::Function { params, returns });
    }
    // Several at once are what a function may return; only the first can be a value.
    Some(params.into_iter().next().map_or(Shape::Name("nil".to_owned()), |(_, shape)| shape))
}

fn table(parser: &mut Parser<'_>) -> Option<Shape> {
    parser.need("{")?;
    let mut fields = Vec::new();
    let mut others = None;
    while !parser.take("}") {
        let token = parser.now();
        let access = token.kind == Kind::Name && matches!(token.text, "read" | "write");
        if access && !parser.ahead(1).is(":") {
            parser.next();
        }
        let token = parser.now();
        if parser.take("[") {
            let key = shape(parser)?;
            parser.need("]")?;
            parser.need(":")?;
            let value = shape(parser)?;
            match key {
                Shape::Text(name) => fields.push(Field { name, shape: value, at: spot(token) }),
                _ => others = Some(Shape::Map(Box::new(value))),
            }
        } else if token.kind == Kind::Name && parser.ahead(1).is(":") {
            let (name, at) = parser.name()?;
            parser.next();
            fields.push(Field { name, shape: shape(parser)?, at });
        } else {
            others = Some(Shape::List(Box::new(shape(parser)?)));
        }
        if !parser.take(",") && !parser.take(";") {
            parser.need("}")?;
            break;
        }
    }
    Some(match others {
        Some(others) if fields.is_empty() => others,
        others => Shape::Record { fields, open: others.is_some() },
    })
}
