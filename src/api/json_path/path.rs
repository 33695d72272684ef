//! Paths as they are written, read into steps.

/// Most bytes of a path: a bound on the work and the stack that one takes.
const LENGTH_MAX: usize = 1024;

/// Most queries inside queries.
const NESTING_MAX: usize = 8;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Path(pub(super) Vec<Step>);

/// A part of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
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

/// What elements are selected by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// What is compared of an element.
    pub(super) left: Path,
    /// Empty: what matters is that `left` is there.
    pub(super) operator: String,
    /// What it is compared with.
    pub(super) right: String,
}

impl Path {
    /// Reads a path. An empty one is the whole document.
    ///
    /// # Errors
    /// If a query is not closed, or the path is too long or nested too deeply.
    pub(in crate::api) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("it has more than {LENGTH_MAX} bytes"));
        }
        parse(text, 0)
    }

    /// Returns the names and indexes that the path consists of; nothing if it has an operator.
    pub(in crate::api) fn names(&self) -> Option<Vec<&str>> {
        let names = self.0.iter().map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_cannot_be_read_say_why() {
        assert_eq!(Path::parse("a.#(b").unwrap_err(), "the query `#(b` is not closed");
        assert_eq!(Path::parse("#(b)x").unwrap_err(), "`#(b)x` must end with `)` or `)#`");
        assert_eq!(Path::parse("#(a!b)").unwrap_err(), "`a!b` has no comparison");
        assert_eq!(Path::parse(&"x".repeat(1025)).unwrap_err(), "it has more than 1024 bytes");
        let deep = format!("{}a{}", "#(".repeat(9), ")".repeat(9));
        assert_eq!(Path::parse(&deep).unwrap_err(), "more than 8 queries lie inside one another");
    }
}
