//! Where a named argument stands that an error speaks of: the engines know the line of the call.

/// A place in a text, in lines and characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) width: u32,
}

/// Finds the named argument that a message is about, in the call that begins at a place.
pub(super) fn argument(text: &str, line: u32, column: u32, message: &str) -> Option<Spot> {
    let name = named(message)?;
    let mut depth = 0_u32;
    let mut at = Cursor { line, column: column.max(1) };
    let start = text.split('\n').take(line as usize - 1).map(|line| line.len() + 1).sum::<usize>();
    let first = text.get(start..)?;
    let skipped: usize =
        first.chars().take(column.saturating_sub(1) as usize).map(char::len_utf8).sum();
    let mut rest = &first[skipped..];
    let mut after_word = false;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if matches!(c, '"' | '\'' | '`') {
            let inner = string(&rest[1..], c);
            length = (inner.len() + 2).min(rest.len());
            if depth > 0 && inner == name && sets(&rest[length..]) {
                return Some(at.spot(length as u32));
            }
        } else if rest.starts_with("--") || rest.starts_with("//") {
            length = rest.find('\n').unwrap_or(rest.len());
        } else if is_word(c) && !after_word {
            length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if depth > 0 && rest[..length] == *name && sets(&rest[length..]) {
                return Some(at.spot(name.chars().count() as u32));
            }
        } else if matches!(c, '(' | '{' | '[') {
            depth += 1;
        } else if matches!(c, ')' | '}' | ']') {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return None;
            }
        } else if depth == 0 && c == ';' {
            return None;
        }
        after_word = is_word(c);
        at.pass(&rest[..length]);
        rest = &rest[length..];
    }
    None
}

struct Cursor {
    line: u32,
    column: u32,
}

impl Cursor {
    fn pass(&mut self, text: &str) {
        for c in text.chars() {
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
    }

    fn spot(&self, width: u32) -> Spot {
        Spot { line: self.line, column: self.column, width }
    }
}

/// Returns the named argument that a message is about: `CALL: PLACE: unknown argument `NAME`…` or
/// `CALL: PLACE: `NAME` must be…`.
fn named(message: &str) -> Option<&str> {
    let (before, rest) = message.split_once('`')?;
    let (name, _) = rest.split_once('`')?;
    let unknown = before.ends_with("unknown argument ");
    let wrong = before.ends_with(": ") && before.matches(": ").count() > 1;
    (unknown || wrong).then_some(name)
}

/// Returns what stands in a string, up to its quote.
fn string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return &text[..at],
            _ => {}
        }
    }
    text
}

/// Returns whether what follows a name sets it.
fn sets(after: &str) -> bool {
    let after = after.trim_start();
    let after = after.strip_prefix(']').unwrap_or(after).trim_start();
    (after.starts_with('=') && !after.starts_with("=="))
        || (after.starts_with(':') && !after.starts_with("::"))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: &str = "http.get: params: unknown argument `timeot`, did you mean `timeout`?";

    #[test]
    fn an_argument_is_found_lines_below_its_call() {
        let text =
            "x = 1\nhttp.get(url, {\n    name = \"timeot = 1\", -- timeot = 3\n    timeot = 2,\n})";
        let spot = argument(text, 2, 1, UNKNOWN).unwrap();
        assert_eq!(spot, Spot { line: 4, column: 5, width: 6 });
        let text = "http::get(url, #{ name: `a`, \"timeot\": 2 });";
        let spot = argument(text, 1, 7, UNKNOWN).unwrap();
        assert_eq!(spot, Spot { line: 1, column: 30, width: 8 });
    }

    #[test]
    fn what_stands_in_another_call_is_not_meant() {
        let text = "http.get(url, params)\nhttp.get(url, { timeot = 2 })";
        assert!(argument(text, 1, 1, UNKNOWN).is_none());
    }

    #[test]
    fn only_messages_about_named_arguments_are_looked_up() {
        let text = "f({ title = 1 })";
        let wrong = "f: params: `title` must be a string, got a number";
        assert!(argument(text, 1, 1, wrong).is_some());
        let other = "f: body must be a string; got a table with the key `title`";
        assert!(argument(text, 1, 1, other).is_none());
    }
}
