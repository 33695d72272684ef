//! A script's text as tokens, in either language.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script) enum Kind {
    Name,
    Keyword,
    Number,
    /// A whole string with its quotes.
    Text,
    /// A piece of an interpolated string: up to its first `{`, between two expressions, from its
    /// last `}`.
    Begin,
    Middle,
    Finish,
    Symbol,
    /// After the last.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::script) struct Token<'t> {
    pub(in crate::script) kind: Kind,
    pub(in crate::script) text: &'t str,
    /// From 1.
    pub(in crate::script) line: u32,
    /// In characters, from 1.
    pub(in crate::script) column: u32,
}

impl Token<'_> {
    /// Returns whether it is this keyword or symbol.
    pub(in crate::script) fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Keyword | Kind::Symbol) && self.text == word
    }
}

/// A comment, without its dashes.
#[derive(Debug, Clone, Copy)]
pub(in crate::script) struct Comment<'t> {
    pub(in crate::script) text: &'t str,
    pub(in crate::script) line: u32,
}

/// Whose tokens they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script) enum Dialect {
    Luau,
    Rhai,
}

impl Dialect {
    fn keywords(self) -> &'static [&'static str] {
        match self {
            Self::Luau => &[
                "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if",
                "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until",
                "while",
            ],
            Self::Rhai => &[
                "as", "break", "catch", "const", "continue", "do", "else", "export", "false", "fn",
                "for", "if", "import", "in", "let", "loop", "private", "return", "switch", "this",
                "throw", "true", "try", "until", "while",
            ],
        }
    }

    /// Returns the symbols of more than one character, longer ones first.
    fn symbols(self) -> &'static [&'static str] {
        match self {
            Self::Luau => &[
                "...", "..=", "//=", "..", "==", "~=", "<=", ">=", "//", "::", "->", "+=", "-=",
                "*=", "/=", "%=", "^=",
            ],
            Self::Rhai => &[
                "<<=", ">>=", "**=", "..=", "..", "#{", "::", "=>", "==", "!=", "<=", ">=", "&&",
                "||", "??", "?.", "?[", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**", "<<",
                ">>",
            ],
        }
    }
}

/// Returns a text's tokens, the last of them the end, and its line comments; nothing if a string or
/// a comment does not end.
pub(in crate::script) fn tokens(
    text: &str,
    dialect: Dialect,
) -> Option<(Vec<Token<'_>>, Vec<Comment<'_>>)> {
    let mut lexer = Lexer { text, dialect, at: 0, line: 1, column: 1, braces: Vec::new() };
    let (mut tokens, mut comments) = (Vec::new(), Vec::new());
    loop {
        let blank = lexer.rest().chars().take_while(|c| c.is_whitespace());
        lexer.skip(blank.map(char::len_utf8).sum());
        let (line, column, from) = (lexer.line, lexer.column, lexer.at);
        let rest = lexer.rest();
        if rest.is_empty() {
            tokens.push(Token { kind: Kind::End, text: "", line, column });
            return lexer.braces.is_empty().then_some((tokens, comments));
        }
        let sign = if dialect == Dialect::Luau { "--" } else { "//" };
        if let Some(length) = block_comment(rest, dialect) {
            lexer.skip(length?);
        } else if let Some(comment) = rest.strip_prefix(sign) {
            let length = comment.find('\n').unwrap_or(comment.len());
            comments.push(Comment { text: &comment[..length], line });
            lexer.skip(2 + length);
        } else {
            let kind = lexer.token()?;
            tokens.push(Token { kind, text: &text[from..lexer.at], line, column });
        }
    }
}

/// Returns the length of a comment that may have several lines, if it is one; nothing inside if it
/// does not end.
#[expect(clippy::option_option, reason = "no such thing, and one without an end, are two answers")]
fn block_comment(text: &str, dialect: Dialect) -> Option<Option<usize>> {
    if dialect == Dialect::Luau {
        return long_bracket(text.strip_prefix("--")?).map(|length| length.map(|n| n + 2));
    }
    text.strip_prefix("/*")?;
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = &text[at..];
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            let Some(c) = rest.chars().next() else { return Some(None) };
            c.len_utf8()
        };
        at += step;
        if depth == 0 {
            return Some(Some(at));
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    dialect: Dialect,
    at: usize,
    line: u32,
    column: u32,
    /// Open braces of each interpolated string that is open.
    braces: Vec<u32>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self, bytes: usize) {
        for c in self.text[self.at..self.at + bytes].chars() {
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.at += bytes;
    }

    /// Takes a token and returns its kind; nothing if it does not end.
    fn token(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let is_luau = self.dialect == Dialect::Luau;
        let (kind, length) = match first {
            '"' | '\'' => (Kind::Text, quoted(rest, first)?),
            '#' if !is_luau && raw(rest).is_some() => (Kind::Text, raw(rest)??),
            '`' => {
                let (length, open) = piece(rest, self.dialect)?;
                if open {
                    self.braces.push(0);
                }
                (if open { Kind::Begin } else { Kind::Text }, length)
            }
            '}' if self.braces.last() == Some(&0) => {
                let (length, open) = piece(rest, self.dialect)?;
                if !open {
                    self.braces.pop();
                }
                (if open { Kind::Middle } else { Kind::Finish }, length)
            }
            '[' if is_luau && long_bracket(rest).is_some() => (Kind::Text, long_bracket(rest)??),
            c if is_word(c) && !c.is_ascii_digit() => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let is_keyword = self.dialect.keywords().contains(&&rest[..length]);
                (if is_keyword { Kind::Keyword } else { Kind::Name }, length)
            }
            c if c.is_ascii_digit() => (Kind::Number, number(rest)),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                (Kind::Number, number(rest))
            }
            _ => {
                let known = self.dialect.symbols().iter().find(|sign| rest.starts_with(**sign));
                (Kind::Symbol, known.map_or(first.len_utf8(), |sign| sign.len()))
            }
        };
        if let Some(open) = self.braces.last_mut()
            && kind == Kind::Symbol
        {
            match &rest[..length] {
                "{" | "#{" => *open += 1,
                "}" => *open = open.saturating_sub(1),
                _ => {}
            }
        }
        self.skip(length);
        Some(kind)
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the length of a string in quotes.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns the length of a piece of an interpolated string, and whether an expression follows.
fn piece(text: &str, dialect: Dialect) -> Option<(usize, bool)> {
    let is_luau = dialect == Dialect::Luau;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if is_luau => escaped = true,
            // Rhai writes one twice.
            '`' if !is_luau && text[at + 1..].starts_with('`') => escaped = true,
            '{' if is_luau || text[..at].ends_with('$') && at > 1 => return Some((at + 1, true)),
            '`' => return Some((at + 1, false)),
            _ => {}
        }
    }
    None
}

/// Returns the length of `[[…]]` or `[=[…]=]`, if it is one; nothing inside if it does not end.
#[expect(clippy::option_option, reason = "no such thing, and one without an end, are two answers")]
fn long_bracket(text: &str) -> Option<Option<usize>> {
    let rest = text.strip_prefix('[')?;
    let level = rest.bytes().take_while(|byte| *byte == b'=').count();
    rest[level..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    Some(text.find(&close).map(|at| at + close.len()))
}

/// Returns the length of Rhai's `#"…"#`, if it is one; nothing inside if it does not end.
#[expect(clippy::option_option, reason = "no such thing, and one without an end, are two answers")]
fn raw(text: &str) -> Option<Option<usize>> {
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    text[level..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(level));
    Some(text[level + 1..].find(&close).map(|at| level + 1 + at + close.len()))
}

fn number(text: &str) -> usize {
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let exponent = at > 0 && matches!(bytes[at - 1], b'e' | b'E') && !hex;
        let goes_on = match bytes[at] {
            // A dot before another, or before a name, is no part of the number.
            b'.' => !bytes
                .get(at + 1)
                .is_some_and(|next| *next == b'.' || *next == b'_' || next.is_ascii_alphabetic()),
            b'+' | b'-' => exponent,
            byte => byte == b'_' || byte.is_ascii_alphanumeric(),
        };
        if !goes_on {
            break;
        }
        at += 1;
    }
    at.max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        let (tokens, _) = tokens(text, Dialect::Luau).unwrap();
        tokens.iter().map(|token| token.text).collect()
    }

    #[test]
    fn a_text_is_cut_where_luau_cuts_it() {
        assert_eq!(
            texts("local x=1.5e-3..\"a\\\"b\""),
            ["local", "x", "=", "1.5e-3", "..", "\"a\\\"b\"", ""]
        );
        assert_eq!(texts("a//=b ~= c -- d\n--[[ e\n]] f"), ["a", "//=", "b", "~=", "c", "f", ""]);
        assert_eq!(texts("x = [==[ ]] ]==] y"), ["x", "=", "[==[ ]] ]==]", "y", ""]);
    }

    #[test]
    fn an_interpolated_string_is_cut_at_its_expressions() {
        let (tokens, _) = tokens("`a {b({ c = `{d}` })} e {f} g` h", Dialect::Luau).unwrap();
        let kinds: Vec<_> = tokens.iter().map(|token| token.kind).collect();
        assert_eq!(tokens[0].text, "`a {");
        assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Begin).count(), 2);
        assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Middle).count(), 1);
        assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Finish).count(), 2);
        assert_eq!(tokens[tokens.len() - 2].text, "h");
    }

    #[test]
    fn places_count_lines_and_characters() {
        let (tokens, comments) = tokens("-- é\nlocal é\n  x = 'ä' y", Dialect::Luau).unwrap();
        let y = tokens.iter().find(|token| token.text == "y").unwrap();
        assert_eq!((y.line, y.column), (3, 11));
        assert_eq!((comments[0].text, comments[0].line), (" é", 1));
    }

    #[test]
    fn what_does_not_end_is_nothing() {
        for text in ["x = \"a", "x = `a {b", "--[[ a"] {
            assert!(tokens(text, Dialect::Luau).is_none(), "{text}");
        }
        for text in ["x = \"a", "x = `a ${b", "/* /* a */", "#\"a\""] {
            assert!(tokens(text, Dialect::Rhai).is_none(), "{text}");
        }
    }

    #[test]
    fn rhai_is_cut_where_rhai_cuts_it() {
        let text =
            "let x = #{a: 1..2}; /* b /* c */ */ y ??= #\"d\"e\"#; `f $ {g} ${h(#{})} ``i```";
        let (tokens, _) = tokens(text, Dialect::Rhai).unwrap();
        let texts: Vec<_> = tokens.iter().map(|token| token.text).collect();
        assert_eq!(
            texts,
            [
                "let",
                "x",
                "=",
                "#{",
                "a",
                ":",
                "1",
                "..",
                "2",
                "}",
                ";",
                "y",
                "??",
                "=",
                "#\"d\"e\"#",
                ";",
                "`f $ {g} ${",
                "h",
                "(",
                "#{",
                "}",
                ")",
                "} ``i```",
                ""
            ]
        );
    }

    proptest! {
        #[test]
        fn every_token_stands_where_it_says(text in "[a-z0-9 \\n\"'`{}\\[\\]=.\\-\\\\~é]{0,60}") {
            let both = [Dialect::Luau, Dialect::Rhai].map(|dialect| tokens(&text, dialect));
            for (tokens, _) in both.into_iter().flatten() {
                for token in tokens {
                    let line = text.split('\n').nth(token.line as usize - 1).unwrap();
                    let tail: String = line.chars().skip(token.column as usize - 1).collect();
                    let first = token.text.split('\n').next().unwrap_or_default();
                    prop_assert!(tail.starts_with(first), "{token:?} in {text:?}");
                }
            }
        }
    }
}
