//! Paths into JSON documents: `items.0.id`, in the syntax that k6 users know from gjson.
//!
//! A path's leading names and indexes are followed while the document is read, so that only what
//! they lead to is built. Operators (`#`, queries, wildcards) work on what was built. See
//! <https://github.com/tidwall/gjson/blob/master/SYNTAX.md>; modifiers and multipaths are left out.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::Value;

/// Most bytes of a path: a bound on the work and the stack that one takes.
const LENGTH_MAX: usize = 1024;

/// Most queries inside queries.
const NESTING_MAX: usize = 8;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// A member's name, or an element's index from 0.
    Name(String),
    /// The first member whose name matches; `*` is any text, `?` any character.
    Pattern(String),
    /// `#`: the number of elements, or the rest of the path for each of them.
    Each,
    /// `#(…)`: the first element that matches; `#(…)#`: all of them.
    Where { query: Query, all: bool },
    /// `|`: what follows acts on all that was collected, not on each element.
    Pipe,
}

#[derive(Debug, Clone, PartialEq)]
struct Query {
    left: Path,
    /// Empty: what matters is that `left` is there.
    operator: String,
    right: String,
}

impl Path {
    /// Reads a path. An empty one is the whole document.
    ///
    /// # Errors
    /// If a query is not closed, or the path is too long or nested too deeply.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("it has more than {LENGTH_MAX} bytes"));
        }
        parse(text, 0)
    }

    /// Returns the names and indexes that the path consists of; nothing if it has an operator.
    pub(super) fn names(&self) -> Option<Vec<&str>> {
        let names = self.0.iter().map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// Follows the path into a value.
    pub(super) fn find(&self, value: &Value) -> Option<Value> {
        find(&self.0, value)
    }

    /// Follows the path while a document is read.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk(&self.0)
    }
}

fn parse(text: &str, nesting: usize) -> Result<Path, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = component_end(rest)?;
        let (component, tail) = rest.split_at(end);
        steps.push(step(component, nesting)?);
        if tail.starts_with('|') {
            steps.push(Step::Pipe);
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    Ok(Path(steps))
}

/// Returns where a component ends: at a separator that is neither escaped nor inside a query.
fn component_end(text: &str) -> Result<usize, String> {
    let query = text.starts_with("#(");
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if query && depth > 0 => quoted = !quoted,
            '(' if query && !quoted => depth += 1,
            ')' if query && !quoted => depth = depth.saturating_sub(1),
            '.' | '|' if depth == 0 => return Ok(index),
            _ => {}
        }
    }
    if depth > 0 {
        return Err(format!("the query `{text}` is not closed"));
    }
    Ok(text.len())
}

fn step(component: &str, nesting: usize) -> Result<Step, String> {
    if component == "#" {
        return Ok(Step::Each);
    }
    if let Some(query) = component.strip_prefix("#(") {
        let (query, all) = match (query.strip_suffix(")#"), query.strip_suffix(')')) {
            (Some(query), _) => (query, true),
            (None, Some(query)) => (query, false),
            (None, None) => return Err(format!("`{component}` must end with `)` or `)#`")),
        };
        if nesting >= NESTING_MAX {
            return Err(format!("more than {NESTING_MAX} queries lie inside one another"));
        }
        return Ok(Step::Where { query: parse_query(query, nesting + 1)?, all });
    }
    let (mut name, mut pattern, mut wild, mut escaped) =
        (String::new(), String::new(), false, false);
    for char in component.chars() {
        if !escaped && char == '\\' {
            escaped = true;
            continue;
        }
        if matches!(char, '*' | '?') {
            if escaped {
                pattern.push('\\');
            } else {
                wild = true;
            }
        } else if char == '\\' {
            pattern.push('\\');
        }
        name.push(char);
        pattern.push(char);
        escaped = false;
    }
    Ok(if wild { Step::Pattern(pattern) } else { Step::Name(name) })
}

fn parse_query(text: &str, nesting: usize) -> Result<Query, String> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '=' | '!' | '<' | '>' | '%' if depth == 0 => {
                let (left, tail) = text.split_at(index);
                let operator = ["==", "!=", "<=", ">=", "!%", "=", "<", ">", "%"]
                    .into_iter()
                    .find(|operator| tail.starts_with(operator))
                    .ok_or_else(|| format!("`{text}` has no comparison"))?;
                return Ok(Query {
                    left: parse(left.trim(), nesting)?,
                    operator: operator.replace("==", "="),
                    right: tail[operator.len()..].trim().to_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(Query { left: parse(text.trim(), nesting)?, operator: String::new(), right: String::new() })
}

fn find(steps: &[Step], value: &Value) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value.clone()) };
    match (step, value) {
        (Step::Pipe, value) => find(rest, value),
        (Step::Name(name), Value::Map(map)) => find(rest, map.get(name)?),
        (Step::Name(name), Value::List(list)) => find(rest, list.get(name.parse::<usize>().ok()?)?),
        (Step::Pattern(pattern), Value::Map(map)) => {
            let (_, value) = map.iter().find(|(name, _)| matches_pattern(pattern, name))?;
            find(rest, value)
        }
        (Step::Each, Value::List(list)) => {
            if rest.first().is_none_or(|step| *step == Step::Pipe) {
                return find(rest, &Value::Int(list.len() as i64));
            }
            collect(list.iter(), rest)
        }
        (Step::Where { query, all }, Value::List(list)) => {
            let mut hits = list.iter().filter(|item| query.matches(item));
            if *all { collect(hits, rest) } else { find(rest, hits.next()?) }
        }
        _ => None,
    }
}

/// Follows the path for each item up to a pipe, and from there on for all together.
fn collect<'a>(items: impl Iterator<Item = &'a Value>, steps: &[Step]) -> Option<Value> {
    let pipe = steps.iter().position(|step| *step == Step::Pipe).unwrap_or(steps.len());
    let (each, all) = steps.split_at(pipe);
    let found = Value::List(items.filter_map(|item| find(each, item)).collect());
    find(all, &found)
}

impl Query {
    fn matches(&self, item: &Value) -> bool {
        let Some(value) = self.left.find(item) else { return false };
        if self.operator.is_empty() {
            return true;
        }
        match &value {
            Value::Text(text) => self.matches_text(&text.to_str()),
            Value::Int(_) | Value::Number(_) => {
                let (left, right) = (value.as_number(), self.right.parse::<f64>().ok());
                match right {
                    Some(_) => compare(&self.operator, left.partial_cmp(&right)),
                    None => self.operator == "!=",
                }
            }
            Value::Bool(value) => self.same(&value.to_string()),
            Value::Null => self.same("null"),
            _ => false,
        }
    }

    fn same(&self, left: &str) -> bool {
        match self.operator.as_str() {
            "=" => left == self.right,
            "!=" => left != self.right,
            _ => false,
        }
    }

    fn matches_text(&self, left: &str) -> bool {
        let right = unquote(&self.right);
        match self.operator.as_str() {
            "%" => matches_pattern(&right, left),
            "!%" => !matches_pattern(&right, left),
            operator => compare(operator, Some(left.cmp(right.as_str()))),
        }
    }
}

fn compare(operator: &str, order: Option<std::cmp::Ordering>) -> bool {
    let Some(order) = order else { return false };
    match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => false,
    }
}

fn unquote(text: &str) -> String {
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        serde_json::from_str(text).unwrap_or_else(|_| text[1..text.len() - 1].to_owned())
    } else {
        text.to_owned()
    }
}

/// Returns whether a text matches a pattern of `*` (any text), `?` (any character) and `\` before
/// either. Takes time in proportion to the product of the lengths at most.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let pattern: Vec<(char, bool)> = pattern_tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and the text's position up to which it has been stretched.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(('*', true)) => {
                star = Some((p, t));
                p += 1;
            }
            Some(&(char, wild)) if (wild && char == '?') || (!wild && char == text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, stretched)) = star else { return false };
                star = Some((at, stretched + 1));
                p = at + 1;
                t = stretched + 1;
            }
        }
    }
    pattern[p..].iter().all(|token| *token == ('*', true))
}

/// Returns a pattern's characters, each with whether it is a wildcard.
fn pattern_tokens(pattern: &str) -> Vec<(char, bool)> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        tokens.push(match char {
            '\\' => (chars.next().unwrap_or('\\'), false),
            char => (char, matches!(char, '*' | '?')),
        });
    }
    tokens
}

/// Follows a path while a document is read; what it does not lead to is checked and skipped.
pub(super) struct Walk<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0.first() {
            Some(Step::Name(_)) => deserializer.deserialize_any(self),
            _ => Ok(find(self.0, &Value::deserialize(deserializer)?)),
        }
    }
}

impl Walk<'_> {
    fn name(&self) -> &str {
        match self.0.first() {
            Some(Step::Name(name)) => name,
            _ => "",
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(same) = members.next_key_seed(NameIs(self.name()))? {
            if same && found.is_none() {
                found = Some(members.next_value_seed(Walk(&self.0[1..]))?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found.flatten())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Ok(index) = self.name().parse::<usize>() {
            for _ in 0..index {
                if sequence.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = sequence.next_element_seed(Walk(&self.0[1..]))?.flatten();
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Compares a member's name without building it.
struct NameIs<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENT: &str = r#"{
        "name": {"first": "Tom", "last": "Anderson"}, "age": 37, "fav.movie": "Deer Hunter",
        "user": {"name": "x", "user": {"id": 5}},
        "children": ["Sara", "Alex", "Jack"], "none": null, "we\u0069rd": 1, "a*b": 2,
        "friends": [
            {"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"], "on": true},
            {"first": "Roger", "last": "Craig", "age": 68, "nets": ["fb", "tw"], "on": false},
            {"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"], "x": null}
        ]
    }"#;

    fn get(path: &str) -> Option<String> {
        let path = Path::parse(path).unwrap();
        let walked = path.walk().deserialize(&mut serde_json::Deserializer::from_str(DOCUMENT));
        let walked = walked.unwrap();
        let whole: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(walked, path.find(&whole), "reading and looking up must agree");
        walked.map(|value| serde_json::to_string(&value).unwrap())
    }

    fn found(path: &str, wanted: &str) {
        assert_eq!(get(path).as_deref(), Some(wanted), "{path}");
    }

    #[test]
    fn names_and_indexes_lead_to_values() {
        found("name.last", r#""Anderson""#);
        found("age", "37");
        found("children.1", r#""Alex""#);
        found("friends.1.nets.0", r#""fb""#);
        found(r"fav\.movie", r#""Deer Hunter""#);
        found("weird", "1");
        found("none", "null");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in
            ["nope", "name.nope", "children.3", "children.-1", "children.x", "age.x", "none.x"]
        {
            assert_eq!(get(path), None, "{path}");
        }
        assert_eq!(get("user.id"), None, "a name deeper inside is another name");
    }

    #[test]
    fn wildcards_take_the_first_name_that_matches() {
        found("child*.2", r#""Jack""#);
        found("c?ildren.0", r#""Sara""#);
        found(r"a\*b", "2");
        found(r"?\*b", "2");
    }

    #[test]
    fn hash_counts_or_follows_the_path_for_each_element() {
        found("children.#", "3");
        found("friends.#.first", r#"["Dale","Roger","Jane"]"#);
        found("friends.#.nets.#", "[3,2,2]");
        found("friends.#.nope", "[]");
        found("friends.#.first|0", r#""Dale""#);
        assert_eq!(get("name.#"), None);
    }

    #[test]
    fn queries_select_elements() {
        found(r#"friends.#(last=="Murphy").first"#, r#""Dale""#);
        found(r#"friends.#(last=="Murphy")#.first"#, r#"["Dale","Jane"]"#);
        found("friends.#(age>45)#.last", r#"["Craig","Murphy"]"#);
        found("friends.#(age<=44).age", "44");
        found(r#"friends.#(first%"D*").last"#, r#""Murphy""#);
        found(r#"friends.#(first!%"D*").last"#, r#""Craig""#);
        found("friends.#(on=true).first", r#""Dale""#);
        found("friends.#(x=null).first", r#""Jane""#);
        found("friends.#(on).first", r#""Dale""#);
        found(r#"friends.#(nets.#(=="fb"))#.first"#, r#"["Dale","Roger"]"#);
        found(r#"children.#(%"*a*")#"#, r#"["Sara","Jack"]"#);
        found(r#"friends.#(last=="Murphy")#|1.first"#, r#""Jane""#);
        assert_eq!(get(r#"friends.#(last=="Nobody").first"#), None);
    }

    #[test]
    fn paths_that_cannot_be_read_say_why() {
        assert_eq!(Path::parse("a.#(b").unwrap_err(), "the query `#(b` is not closed");
        assert_eq!(Path::parse("#(b)x").unwrap_err(), "`#(b)x` must end with `)` or `)#`");
        assert_eq!(Path::parse("#(a!b)").unwrap_err(), "`a!b` has no comparison");
        assert_eq!(Path::parse(&"x".repeat(1025)).unwrap_err(), "it has more than 1024 bytes");
        let deep = format!("{}a{}", "#(".repeat(9), ")".repeat(9));
        assert_eq!(Path::parse(&deep).unwrap_err(), "more than 8 queries lie inside one another");
    }

    #[test]
    fn patterns_with_many_stars_end_soon() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches_pattern(&pattern, &"a".repeat(2000)));
    }

    proptest! {
        #[test]
        fn no_path_and_no_document_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            path in r#"([a-z0-9#.|*?()"=<>!%\\@{}\[\]~: ]|\PC){0,40}"#,
        ) {
            if let Ok(path) = Path::parse(&path) {
                let mut reader = serde_json::Deserializer::from_slice(&bytes);
                let _ = path.walk().deserialize(&mut reader);
                let mut reader = serde_json::Deserializer::from_str(DOCUMENT);
                let walked = path.walk().deserialize(&mut reader).unwrap();
                let whole: Value = serde_json::from_str(DOCUMENT).unwrap();
                prop_assert_eq!(walked, path.find(&whole));
            }
        }
    }
}
