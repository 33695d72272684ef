//! Advice on common mistakes, and better places than the engine's own.

use rhai::{EvalAltResult, LexError, ParseErrorType};

use crate::api::MODULES;
use crate::script::{Location, place};
use crate::units;

/// Returns advice on what does not compile.
pub(super) fn on_syntax(error: &ParseErrorType) -> Option<&'static str> {
    Some(match error {
        ParseErrorType::Reserved(name) => match name.as_str() {
            "eval" => "scripts cannot run text as code",
            "null" | "nil" => "nothing is `()` in Rhai",
            "var" => "variables begin with `let` in Rhai",
            "match" => "write `switch value { 1 => …, _ => … }` in Rhai",
            "async" | "await" => "calls wait by themselves: leave the word out",
            _ => "choose another name",
        },
        ParseErrorType::BadInput(LexError::ImproperSymbol(sign, _))
        | ParseErrorType::UnknownOperator(sign) => sign_of_others(sign)?,
        ParseErrorType::BadInput(LexError::UnexpectedInput(text)) => {
            sign_of_others(text).unwrap_or("this sign has no meaning in Rhai")
        }
        ParseErrorType::ExprTooDeep => "split it into several statements",
        _ => return None,
    })
}

fn sign_of_others(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "~" | "~=" | "<>" | "!==" => "\"not equal\" is `!=` in Rhai",
        "===" => "\"equal\" is `==` in Rhai",
        "++" | "--" => "write `n += 1` in Rhai",
        "->" => "functions in Rhai name no types",
        _ => return None,
    })
}

/// Functions that every script has, and that may be called by their bare names.
const BUILT_IN: &[&str] = &[
    "Fn",
    "PI",
    "E",
    "abs",
    "all",
    "append",
    "as_string",
    "bits",
    "blob",
    "bytes",
    "call",
    "ceiling",
    "chars",
    "chop",
    "clear",
    "contains",
    "cos",
    "crop",
    "curry",
    "debug",
    "dedup",
    "drain",
    "elapsed",
    "ends_with",
    "eval",
    "exit",
    "exp",
    "extract",
    "fill_with",
    "filter",
    "find",
    "find_map",
    "floor",
    "for_each",
    "fraction",
    "get",
    "get_bit",
    "hypot",
    "index_of",
    "insert",
    "int",
    "is_anonymous",
    "is_blob",
    "is_def_fn",
    "is_def_var",
    "is_empty",
    "is_even",
    "is_finite",
    "is_infinite",
    "is_nan",
    "is_odd",
    "is_shared",
    "is_zero",
    "keys",
    "len",
    "ln",
    "log",
    "make_lower",
    "make_upper",
    "map",
    "max",
    "min",
    "mixin",
    "name",
    "order",
    "pad",
    "parse_float",
    "parse_int",
    "parse_json",
    "pop",
    "print",
    "push",
    "range",
    "reduce",
    "reduce_rev",
    "remove",
    "replace",
    "retain",
    "reverse",
    "round",
    "set",
    "set_bit",
    "shift",
    "sign",
    "sin",
    "some",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "split",
    "split_rev",
    "sqrt",
    "starts_with",
    "sub_string",
    "tag",
    "tan",
    "timestamp",
    "to_array",
    "to_blob",
    "to_chars",
    "to_debug",
    "to_degrees",
    "to_float",
    "to_int",
    "to_json",
    "to_lower",
    "to_radians",
    "to_string",
    "to_upper",
    "trim",
    "truncate",
    "type_of",
    "values",
    "write",
    "zip",
];

/// Returns whether every script has a function of this name.
pub(in crate::script) fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// Returns how the function of `kingtide` is called that has this name.
pub(in crate::script) fn offered(name: &str) -> Option<String> {
    let own = MODULES.iter().find(|module| module.name.is_empty())?;
    let known = own.functions.iter().any(|function| function.name == name);
    (known && !name.starts_with('_')).then(|| format!("kt::{name}"))
}

/// Returns what is said about a module that was not imported, and what to do about it.
pub(in crate::script) fn unknown_module(alias: &str) -> (String, Option<String>) {
    let module = match alias {
        "kt" | "kingtide" => Some("kingtide".to_owned()),
        alias => {
            let known = MODULES.iter().any(|module| module.name == alias);
            known.then(|| format!("kingtide/{alias}"))
        }
    };
    let help = module.map(|module| format!("add `import \"{module}\" as {alias};` at the top"));
    (format!("unknown module `{alias}`"), help)
}

/// Finds a better place for an error than the engine's, and advice that needs the source.
pub(super) fn refine(
    error: &EvalAltResult,
    message: &str,
    text: &str,
    at: &mut Location,
    help: &mut Option<String>,
) {
    if let Some(spot) = place::argument(text, at.line, at.column, message) {
        put(at, text, spot.line, spot.column, spot.width);
        return;
    }
    match error {
        EvalAltResult::ErrorParsing(kind, _) => refine_syntax(kind, text, at, help),
        EvalAltResult::ErrorMismatchDataType(wanted, _, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, _, _)
            if wanted == "Fn" =>
        {
            let before: String =
                at.source.chars().take(at.column.saturating_sub(1) as usize).collect();
            let Some(object) = before.trim_end().strip_suffix(".call(") else { return };
            let name = object.rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
            *help = Some(format!(
                "in Rhai `.call(…)` calls function values; an RPC client's is \
                 `{name}.request(method, params)`"
            ));
        }
        EvalAltResult::ErrorVariableNotFound(name, _) if help.is_none() => {
            let near = units::nearest(name, declared(text));
            *help = near.map(|near| format!("did you mean `{near}`?"));
        }
        _ => {}
    }
}

fn refine_syntax(kind: &ParseErrorType, text: &str, at: &mut Location, help: &mut Option<String>) {
    let ParseErrorType::MissingToken(wanted, _) = kind else { return };
    let before: String = at.source.chars().take(at.column.saturating_sub(1) as usize).collect();
    match wanted.as_str() {
        "}" => {
            if let Some((line, column)) = unclosed(text) {
                *help = Some(format!("the `{{` of line {line} is not closed"));
                put(at, text, line, column, 1);
            }
        }
        ";" if before.trim_end().ends_with('"')
            && at.source.chars().nth(before.chars().count()) == Some(':') =>
        {
            *help = Some("a map begins with `#{` in Rhai: #{ name: value }".to_owned());
        }
        ";" if before.trim().is_empty() => {
            // What is missing, is missing at the end of what stands before.
            let earlier: Vec<&str> = text.lines().take(at.line as usize - 1).collect();
            let last = earlier.iter().rposition(|line| !without_comment(line).trim().is_empty());
            if let Some(index) = last {
                let line = without_comment(earlier[index]).trim_end();
                let end = line.chars().count() as u32;
                put(at, text, index as u32 + 1, end + 1, 1);
                *help = Some(format!("add `;` at the end of line {}", index + 1));
            }
        }
        _ => {}
    }
}

fn put(at: &mut Location, text: &str, line: u32, column: u32, width: u32) {
    text.lines().nth(line as usize - 1).unwrap_or_default().clone_into(&mut at.source);
    (at.line, at.column, at.width) = (line, column, width);
}

/// Returns the brace that seems not to be closed: the one whose counterpart stands further to the
/// left than its line, or the last that has none.
fn unclosed(text: &str) -> Option<(u32, u32)> {
    let mut open: Vec<(u32, u32, usize)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number as u32 + 1;
        let indent = line.len() - line.trim_start().len();
        for (at, c) in code(line) {
            if c == '{' {
                open.push((number, line[..at].chars().count() as u32 + 1, indent));
            } else if c == '}' {
                let (opened, column, was) = open.pop()?;
                if indent < was && opened != number {
                    return Some((opened, column));
                }
            }
        }
    }
    open.pop().map(|(line, column, _)| (line, column))
}

/// Returns a line's characters that stand neither in a string nor in its comment, with their places.
fn code(line: &str) -> Vec<(usize, char)> {
    let line = without_comment(line);
    let mut quote = None;
    let mut last = ' ';
    let mut found = Vec::new();
    for (at, c) in line.char_indices() {
        if quote.is_none() {
            found.push((at, c));
        }
        quote = after(quote, last, c);
        last = c;
    }
    found
}

/// Returns a line without its comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut last = ' ';
    for (at, c) in line.char_indices() {
        if quote.is_none() && line[at..].starts_with("//") {
            return &line[..at];
        }
        quote = after(quote, last, c);
        last = c;
    }
    line
}

/// Returns which string one stands in after a character.
fn after(quote: Option<char>, last: char, c: char) -> Option<char> {
    match quote {
        None => matches!(c, '"' | '`').then_some(c),
        Some(open) if open == c && last != '\\' => None,
        open => open,
    }
}

/// Returns the names that a text declares: after `let`, `const` and `for`, and parameters.
fn declared(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in text.lines().map(without_comment) {
        let mut before = "";
        for word in line.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()) {
            if matches!(before, "let" | "const" | "for") {
                names.push(word);
            }
            before = word;
        }
        let params = line.trim_start().trim_start_matches("private ").strip_prefix("fn ");
        if let Some((_, rest)) = params.and_then(|rest| rest.split_once('(')) {
            let list = rest.split(')').next().unwrap_or_default();
            names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()));
        }
    }
    names
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brace_that_is_not_closed_is_the_one_whose_counterpart_is_missing() {
        let text = "fn a() {\n    if b {\n        c();\n}\n";
        assert_eq!(unclosed(text), Some((2, 10)));
        assert_eq!(unclosed("fn a() {\n    let m = #{ a: \"}\" }; // }\n"), Some((1, 8)));
        assert_eq!(unclosed("fn a() { b() }\n"), None);
    }

    #[test]
    fn names_are_those_that_the_script_declares() {
        let text = "const A = 1;\nfn f(x, y) {\n    let z = 2; // let w\n    for i in 0..3 {}\n}";
        assert_eq!(declared(text), ["A", "x", "y", "z", "i"]);
    }
}
