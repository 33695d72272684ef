//! Words that Rhai keeps for itself although it has no use for them: `import "x" as shared`, and
//! `throw` as the name of a field.
//!
//! Rhai reserves what other languages have as keywords. Words that name things in tests are free
//! here. Those that people write who think of another language stay reserved, since that error
//! says more. As the name of a field or of a map's member every word will do.

use std::cell::Cell;

use rhai::{Engine, Token};

/// Reserved words that are names like others.
const FREE: &[&str] = &[
    "case",
    // Rhai's own function of this name is found all the same.
    "debug",
    "default",
    "go",
    "is",
    "module",
    "package",
    "protected",
    "public",
    "shared",
    "spawn",
    "static",
    "sync",
    "thread",
    "void",
    "with",
];

/// Further reserved words that can name fields and members.
const FREE_FIELDS: &[&str] =
    &["async", "await", "goto", "match", "new", "nil", "null", "super", "use", "var", "yield"];

/// Where a token stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// After `.` or `?.`: a field or a method.
    Dot,
    /// After `#{` or `,`: a member's name, or anything that an expression begins with.
    Member,
    Other,
}

/// Frees the words in all that the engine compiles.
pub(super) fn free(engine: &mut Engine) {
    let after = Cell::new(After::Other);
    #[expect(deprecated, reason = "marked as volatile only; the version of rhai is pinned")]
    engine.on_parse_token(move |token, _, _| {
        let token = freed(token, after.get());
        after.set(match token {
            Token::Period | Token::Elvis => After::Dot,
            Token::MapStart | Token::Comma => After::Member,
            _ => After::Other,
        });
        token
    });
}

fn freed(token: Token, after: After) -> Token {
    match token {
        Token::Reserved(name)
            if FREE.contains(&name.as_str())
                || after != After::Other && FREE_FIELDS.contains(&name.as_str()) =>
        {
            Token::Identifier(name)
        }
        token if after == After::Dot && is_keyword(&token) => identifier(&token),
        token if after == After::Member && ends_expressions(&token) => identifier(&token),
        token => token,
    }
}

fn identifier(token: &Token) -> Token {
    Token::Identifier(Box::new(token.literal_syntax().into()))
}

fn is_keyword(token: &Token) -> bool {
    token.is_literal() && token.literal_syntax().starts_with(|c: char| c.is_ascii_lowercase())
}

/// Returns whether no expression begins with a keyword, so that it can only be a member's name.
fn ends_expressions(token: &Token) -> bool {
    matches!(
        token,
        Token::As
            | Token::Break
            | Token::Catch
            | Token::Const
            | Token::Continue
            | Token::Else
            | Token::Export
            | Token::Import
            | Token::In
            | Token::Let
            | Token::Private
            | Token::Return
            | Token::Throw
            | Token::Try
            | Token::Until
    )
}
