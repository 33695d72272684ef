//! Where in a line an error lies: Luau gives lines alone, so the words of the message are looked
//! for in the line.

/// Returns the column, in characters from 1, and the width of what a message speaks of.
pub(super) fn find(line: &str, message: &str) -> (u32, u32) {
    let text: Vec<char> = line.chars().collect();
    let code = masked(&text);
    let (from, to) = spot(&text, &code, message).unwrap_or_else(|| whole(&text));
    (from as u32 + 1, to.saturating_sub(from).max(1) as u32)
}

/// The trimmed line.
fn whole(text: &[char]) -> (usize, usize) {
    let from = text.iter().position(|c| !c.is_whitespace()).unwrap_or(0);
    let to = text.iter().rposition(|c| !c.is_whitespace()).map_or(from, |at| at + 1);
    (from, to)
}

fn spot(text: &[char], code: &[char], message: &str) -> Option<(usize, usize)> {
    if let Some(rest) = message.strip_prefix("attempt to index ") {
        return indexed(text, code, rest);
    }
    if let Some(rest) = message.strip_prefix("attempt to perform arithmetic (") {
        let sign = match rest.split(')').next()? {
            "add" => "+",
            "sub" | "unm" => "-",
            "mul" => "*",
            "div" => "/",
            "idiv" => "//",
            "mod" => "%",
            "pow" => "^",
            _ => return None,
        };
        return operation(code, &[sign]);
    }
    if message.starts_with("attempt to compare") {
        let signs = ["<=", ">=", "<", ">"];
        let named = signs.iter().find(|sign| message.contains(&format!(" {sign} ")));
        return named.and_then(|sign| operation(code, &[sign])).or_else(|| operation(code, &signs));
    }
    if message.starts_with("attempt to concatenate") {
        return operation(code, &[".."]);
    }
    if message.starts_with("attempt to get length") {
        let at = position(code, "#")?;
        return Some((at, after(code, at + 1)));
    }
    if message.starts_with("attempt to iterate over") {
        let at = position(code, " in ")? + 4;
        return Some((at, after(code, at)));
    }
    if let Some(rest) = message.strip_prefix("attempt to call missing method '") {
        let name = rest.split('\'').next()?;
        return member(text, code, name).map(|(_, dot, end)| (before(code, dot), end));
    }
    if message.starts_with("attempt to call") {
        return called(code, None);
    }
    // What a syntax error speaks of: what was forgotten to be closed, or what was not expected.
    let leads = ["forget to close '", "unexpected '", "got '", "near '"];
    if let Some(name) = leads.iter().find_map(|lead| quoted(message, lead)) {
        let at = position(text, &name)?;
        return Some((at, at + name.chars().count()));
    }
    if ["unknown module \"", "cannot find module \"", "cannot load \""]
        .iter()
        .any(|lead| message.starts_with(lead))
    {
        let name = message.split('"').nth(1)?;
        let at = position(text, name)?;
        return Some((at.saturating_sub(1), (at + name.chars().count() + 1).min(text.len())));
    }
    if message.starts_with("requests cannot be made") {
        return called(code, None);
    }
    if let Some(rest) = message.split(" has no ").nth(1) {
        let name = rest.split('`').nth(1)?;
        return member(text, code, name).map(|(_, dot, end)| (dot + 1, end));
    }
    let head = message.split(':').next().unwrap_or_default();
    if !head.is_empty() && head.chars().all(|c| c.is_alphanumeric() || "_.".contains(c)) {
        let name = head.rsplit(['.', ':']).next()?;
        // A method's name follows the colon: `response:json: ...`.
        let method = message.split(':').nth(1).filter(|next| !next.starts_with(' '));
        if let Some(found) = called(code, Some(method.unwrap_or(name))) {
            return Some(found);
        }
    }
    ["error", "fail", "assert", "abort", "require"].iter().find_map(|name| called(code, Some(name)))
}

/// `X with 'name'`, `X with number`: the expression before what is looked up in it.
fn indexed(text: &[char], code: &[char], rest: &str) -> Option<(usize, usize)> {
    if let Some(name) = quoted(rest, "with '") {
        let (_, dot, _) = member(text, code, &name)?;
        let from = before(code, dot);
        return (from < dot).then_some((from, dot));
    }
    let bracket = code.iter().enumerate().find(|(at, c)| **c == '[' && before(code, *at) < *at)?.0;
    Some((before(code, bracket), bracket))
}

/// Finds `.name`, `:name` or `["name"]`: the name's start, the sign before it, the name's end.
fn member(text: &[char], code: &[char], name: &str) -> Option<(usize, usize, usize)> {
    let wanted: Vec<char> = name.chars().collect();
    let width = wanted.len();
    let fits = |at: usize| {
        text[at..].starts_with(&wanted) && !text.get(at + width).copied().is_some_and(is_word)
    };
    for at in 1..text.len() {
        if !fits(at) {
            continue;
        }
        let sign = code[at - 1];
        let dots = sign == '.' && (at < 2 || code[at - 2] != '.');
        if dots || (sign == ':' && code.get(at + width) == Some(&'(')) {
            return Some((at, at - 1, at + width));
        }
        if at >= 2 && code[at - 2] == '[' && matches!(text[at - 1], '"' | '\'') {
            return Some((at, at - 2, at + width + 2));
        }
    }
    None
}

/// Finds a call: of `name`, or the first one at all. Returns the called expression.
fn called(code: &[char], name: Option<&str>) -> Option<(usize, usize)> {
    for (at, _) in code.iter().enumerate().filter(|(_, c)| **c == '(') {
        let from = before(code, at);
        if from == at {
            continue;
        }
        let callee: String = code[from..at].iter().collect();
        let last = callee.rsplit(['.', ':']).next().unwrap_or_default().to_owned();
        let keyword = matches!(
            callee.as_str(),
            "if" | "while"
                | "and"
                | "or"
                | "not"
                | "return"
                | "function"
                | "in"
                | "until"
                | "elseif"
        );
        let declared = code[..from].iter().collect::<String>().trim_end().ends_with("function");
        if keyword || declared || name.is_some_and(|name| name != last) {
            continue;
        }
        return Some((from, at));
    }
    None
}

/// Finds an operator with its operands.
fn operation(code: &[char], signs: &[&str]) -> Option<(usize, usize)> {
    for sign in signs {
        let wanted: Vec<char> = sign.chars().collect();
        let width = wanted.len();
        for at in 0..code.len() {
            if !code[at..].starts_with(&wanted) {
                continue;
            }
            let more = code.get(at + width).copied().unwrap_or(' ');
            let less = if at == 0 { ' ' } else { code[at - 1] };
            let longer = match *sign {
                "<" | ">" => more == '=',
                "/" => more == '/' || less == '/',
                "-" => more == '>' || more == '-',
                ".." => more == '.' || less == '.',
                _ => false,
            };
            if longer {
                continue;
            }
            let compound = usize::from(more == '=' && !sign.ends_with('='));
            let left =
                code[..at].iter().rposition(|c| *c != ' ').map_or(at, |end| before(code, end + 1));
            let start = at + width + compound;
            let right = start + code[start..].iter().take_while(|c| **c == ' ').count();
            return Some((left, after(code, right).max(start)));
        }
    }
    None
}

/// Returns where the expression that ends at `end` begins: names, dots, calls, brackets.
fn before(code: &[char], end: usize) -> usize {
    let mut at = end;
    while at > 0 {
        let c = code[at - 1];
        let dots = c == '.' && at > 1 && code[at - 2] == '.';
        if (is_word(c) || c == '.' || c == ':' || c == QUOTED) && !dots {
            at -= 1;
        } else if c == ')' || c == ']' {
            let Some(open) = opening(code, at - 1) else { break };
            at = open;
        } else {
            break;
        }
    }
    at
}

/// Returns where the expression that begins at `start` ends.
fn after(code: &[char], start: usize) -> usize {
    let mut at = start;
    while at < code.len() {
        let c = code[at];
        let dots = c == '.' && code.get(at + 1) == Some(&'.');
        if (is_word(c) || c == '.' || c == ':' || c == QUOTED || (c == '-' && at == start)) && !dots
        {
            at += 1;
        } else if c == '(' || c == '[' {
            let Some(close) = closing(code, at) else { break };
            at = close + 1;
        } else {
            break;
        }
    }
    at
}

fn opening(code: &[char], close: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for at in (0..=close).rev() {
        match code[at] {
            ')' | ']' => depth += 1,
            '(' | '[' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn closing(code: &[char], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code.iter().enumerate().skip(open) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Stands for the characters of a string, so that nothing is found in them.
const QUOTED: char = '\u{1}';

/// Returns the line with strings masked and the comment blank.
fn masked(text: &[char]) -> Vec<char> {
    let mut code = text.to_vec();
    let mut quote = None;
    let mut at = 0;
    while at < code.len() {
        let c = code[at];
        match quote {
            Some(open) => {
                code[at] = QUOTED;
                if c == '\\' && at + 1 < code.len() {
                    at += 1;
                    code[at] = QUOTED;
                } else if c == open {
                    quote = None;
                }
            }
            None if matches!(c, '"' | '\'' | '`') => {
                quote = Some(c);
                code[at] = QUOTED;
            }
            None if c == '-' && code.get(at + 1) == Some(&'-') => {
                code[at..].fill(' ');
                break;
            }
            None => {}
        }
        at += 1;
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns what follows `lead` up to the next quote.
fn quoted(message: &str, lead: &str) -> Option<String> {
    let rest = &message[message.find(lead)? + lead.len()..];
    Some(rest.split('\'').next()?.to_owned()).filter(|name| !name.is_empty())
}

fn position(text: &[char], wanted: &str) -> Option<usize> {
    let wanted: Vec<char> = wanted.chars().collect();
    (0..text.len()).find(|at| {
        text[*at..].starts_with(&wanted)
            && !(is_word(wanted[0]) && *at > 0 && is_word(text[*at - 1]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn underlined(line: &str, message: &str) -> String {
        let (column, width) = find(line, message);
        line.chars().skip(column as usize - 1).take(width as usize).collect()
    }

    #[test]
    fn an_index_of_nil_is_the_expression_before_the_name() {
        let message = "attempt to index nil with 'id'";
        assert_eq!(underlined("    local id = order.item.id", message), "order.item");
        assert_eq!(underlined("print(first(a, b)[2].id)", message), "first(a, b)[2]");
        assert_eq!(underlined("x = \"a.id\" .. row[\"id\"]", message), "row");
        assert_eq!(underlined("row:id()", message), "row");
    }

    #[test]
    fn an_operator_is_shown_with_its_operands() {
        let add = "attempt to perform arithmetic (add) on nil and number";
        assert_eq!(underlined("local n = row.count + 1", add), "row.count + 1");
        assert_eq!(underlined("total += row.n", add), "total += row.n");
        let compare = "attempt to compare nil < number";
        assert_eq!(underlined("if a.b < 3 then", compare), "a.b < 3");
        let join = "attempt to concatenate string with nil";
        assert_eq!(underlined("local s = \"a..\" .. name", join), "\"a..\" .. name");
    }

    #[test]
    fn a_call_is_shown_by_its_name() {
        assert_eq!(underlined("  local r = bye(1)", "attempt to call a nil value"), "bye");
        let usage = "http.get: argument 1 (url) must be a string, got nothing";
        assert_eq!(underlined("  local r = api.http.get(nil)", usage), "api.http.get");
        let method = "response:json: argument 1 (path?) must be a string";
        assert_eq!(underlined("if r:json(5) then", method), "r:json");
        assert_eq!(underlined("    error(\"no stock\")", "no stock"), "error");
    }

    #[test]
    fn a_syntax_error_is_the_token_that_was_not_expected() {
        let message = "Expected 'then' when parsing if statement, got 'x'";
        assert_eq!(underlined("if next x", message), "x");
        let message = "unexpected '!='; did you mean '~='?";
        assert_eq!(underlined("if x != 1 then", message), "!=");
        let message = "expected 'end', got <eof>; did you forget to close 'then' at line 6?";
        assert_eq!(underlined("    if kt.vu.id == 1 then", message), "then");
    }

    #[test]
    fn a_module_that_is_not_there_is_its_name() {
        let message = "unknown module \"@kingtide/htpp\", did you mean \"@kingtide/http\"?";
        let line = "local http = require(\"@kingtide/htpp\")";
        assert_eq!(underlined(line, message), "\"@kingtide/htpp\"");
        let message = "cannot find module \"./a\" beside b.luau (looked for ./a.luau)";
        assert_eq!(underlined("local a = require './a'", message), "'./a'");
    }

    #[test]
    fn a_request_while_loading_is_the_call_that_makes_it() {
        let message = "requests cannot be made while the script loads: move this";
        let line = "local t = http.post(url, \"ada\"):json(\"token\")";
        assert_eq!(underlined(line, message), "http.post");
    }

    #[test]
    fn the_line_without_its_indent_is_the_last_resort() {
        assert_eq!(underlined("    local x = 1  ", "something else"), "local x = 1");
        assert_eq!(find("", "something"), (1, 1));
    }

    proptest! {
        #[test]
        fn every_place_lies_in_its_line(line in "[ -~ä]{0,40}", tail in "[a-z. '`()<+]{0,20}", lead in 0_usize..8) {
            let leads = ["attempt to index ", "attempt to call ", "attempt to compare ", "",
                "attempt to perform arithmetic (add) ", "attempt to concatenate ", "got '", "x has no field `"];
            let (column, width) = find(&line, &format!("{}{tail}", leads[lead]));
            let length = line.chars().count() as u32;
            prop_assert!(column >= 1 && width >= 1);
            prop_assert!(column + width - 1 <= length.max(1), "{column}+{width} in {length}");
        }
    }
}
