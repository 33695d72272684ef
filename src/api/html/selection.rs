//! What a selector found: nodes of a document, with k6's methods in snake_case.

use std::rc::Rc;

use super::document::{Document, NodeId, ROOT};
use super::selector::{Matcher, Selector};
use super::walk::Way;
use crate::api::{Answer, ApiError, Args, ErrorKind, Method, Object, Shared, Value, VuContext};

const fn method(name: &'static str, params: &'static [&'static str]) -> Method {
    Method { name, params, waits: false }
}

pub(in crate::api) const METHODS: &[Method] = &[
    method("find", &["selector"]),
    method("filter", &["selector"]),
    method("without", &["selector"]),
    method("not", &["selector"]),
    method("has", &["selector"]),
    method("is", &["selector"]),
    method("add", &["selector"]),
    method("closest", &["selector"]),
    method("children", &["selector?"]),
    method("contents", &[]),
    method("parent", &["selector?"]),
    method("parents", &["selector?"]),
    method("parents_until", &["until?", "selector?"]),
    method("next", &["selector?"]),
    method("next_all", &["selector?"]),
    method("next_until", &["until?", "selector?"]),
    method("prev", &["selector?"]),
    method("prev_all", &["selector?"]),
    method("prev_until", &["until?", "selector?"]),
    method("siblings", &["selector?"]),
    method("size", &[]),
    method("first", &[]),
    method("last", &[]),
    method("eq", &["index"]),
    method("get", &["index?"]),
    method("slice", &["start", "end?"]),
    method("index", &["selector?"]),
    method("to_array", &[]),
    method("text", &[]),
    method("texts", &[]),
    method("html", &[]),
    method("name", &[]),
    method("attr", &["name", "default?"]),
    method("attrs", &["name?"]),
    method("data", &["name?"]),
    method("val", &[]),
    method("serialize", &[]),
    method("serialize_array", &[]),
    method("serialize_object", &[]),
];

/// Nodes that a selection's text names.
const SHOWN: usize = 5;

const WANTED: &str = "a selector or a selection";

type Result<T> = std::result::Result<T, ApiError>;

/// Nodes of a document, each once.
pub(in crate::api) struct Selection {
    pub(super) document: Rc<Document>,
    pub(super) nodes: Vec<NodeId>,
}

/// What a method looks for: a selector's elements, or those of another selection.
pub(super) enum Pattern {
    Css(Selector),
    /// In order of their numbers.
    Nodes(Vec<NodeId>),
}

impl Pattern {
    /// Returns whether a node is among them.
    pub(super) fn is(&self, matcher: &Matcher<'_>, node: NodeId) -> bool {
        self.is_from(matcher, node, ROOT)
    }

    /// Returns whether a node is among them, looked for below another.
    pub(super) fn is_from(&self, matcher: &Matcher<'_>, node: NodeId, scope: NodeId) -> bool {
        match self {
            Self::Css(selector) => matcher.matches(selector, node, scope),
            Self::Nodes(nodes) => nodes.binary_search(&node).is_ok(),
        }
    }
}

impl Selection {
    /// Returns a document's root.
    pub(super) fn all(document: Rc<Document>) -> Self {
        Self { document, nodes: vec![ROOT] }
    }

    /// Returns other nodes of the same document.
    pub(super) fn of(&self, nodes: Vec<NodeId>) -> Self {
        Self { document: Rc::clone(&self.document), nodes }
    }

    /// Returns what a selector finds below.
    pub(super) fn find_css(&self, place: &str, selector: &str) -> Result<Self> {
        let pattern = Pattern::Css(css(place, selector)?);
        let found = self.find(&pattern);
        Ok(self.of(found.map_err(|problem| expensive(place, &problem))?))
    }

    /// Takes an argument that says what is looked for; nothing if it is missing.
    fn pattern(&self, args: &mut Args, index: usize) -> Result<Option<Pattern>> {
        match args.take(index) {
            Value::Nil | Value::Null => Ok(None),
            Value::Text(text) => css(&args.call, &text.to_str()).map(Pattern::Css).map(Some),
            Value::Object(object) => {
                let Some(other) = object.downcast_ref::<Self>() else {
                    return Err(args.wrong(index, WANTED, &Value::Object(object)));
                };
                if !Rc::ptr_eq(&other.document, &self.document) {
                    return Err(ApiError::usage(format!(
                        "{}: argument {} is a selection of another document",
                        args.call,
                        index + 1
                    )));
                }
                let mut nodes = other.nodes.clone();
                nodes.sort_unstable();
                Ok(Some(Pattern::Nodes(nodes)))
            }
            other => Err(args.wrong(index, WANTED, &other)),
        }
    }

    fn needed(&self, args: &mut Args) -> Result<Pattern> {
        self.pattern(args, 0)?.ok_or_else(|| args.wrong(0, WANTED, &Value::Nil))
    }

    /// Returns the place of an index, which may count from the end.
    pub(super) fn at(&self, index: i64) -> Option<usize> {
        let length = self.nodes.len() as i64;
        let index = if index < 0 { length.checked_add(index)? } else { index };
        usize::try_from(index).ok().filter(|index| *index < self.nodes.len())
    }

    pub(super) fn one(&self, at: Option<usize>) -> Vec<NodeId> {
        at.and_then(|at| self.nodes.get(at)).copied().into_iter().collect()
    }

    pub(super) fn to_array(&self) -> Value {
        Value::List((0..self.nodes.len()).map(|place| self.item(place)).collect())
    }

    fn slice(&self, args: &mut Args) -> Result<Vec<NodeId>> {
        let length = self.nodes.len() as i64;
        let bound = |index: i64| {
            let index = if index < 0 { length.saturating_add(index) } else { index };
            index.clamp(0, length) as usize
        };
        let start = bound(args.int(0)?);
        let end = bound(args.optional_int(1)?.unwrap_or(length));
        Ok(self.nodes.get(start..end).unwrap_or_default().to_vec())
    }

    /// Returns where a node stands: among its siblings, among what a selector finds in the document, or
    /// where another selection's first stands in this one; -1 for nowhere.
    pub(super) fn index(&self, args: &mut Args) -> Result<i64> {
        let pattern = self.pattern(args, 0)?;
        let first = self.nodes.first().copied();
        let place = match pattern {
            None => first
                .and_then(|node| self.document.element(node))
                .map(|element| element.position as usize - 1),
            Some(pattern @ Pattern::Css(_)) => {
                let all = self.of(vec![ROOT]).find(&pattern);
                let all = all.map_err(|problem| expensive(&args.call, &problem))?;
                all.iter().position(|node| Some(*node) == first)
            }
            Some(Pattern::Nodes(others)) => {
                self.nodes.iter().position(|node| others.first() == Some(node))
            }
        };
        Ok(place.map_or(-1, |place| place as i64))
    }
}

fn css(place: &str, selector: &str) -> Result<Selector> {
    Selector::parse(selector).map_err(|problem| ApiError::usage(format!("{place}: {problem}")))
}

fn expensive(place: &str, problem: &str) -> ApiError {
    ApiError::new(ErrorKind::Time, format!("{place}: {problem}"))
}

impl Object for Selection {
    fn type_name(&self) -> &'static str {
        "selection"
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer> {
        let args = &mut args;
        let found = if let Some((way, has_until)) = Way::of(method.name) {
            let until = if has_until { self.pattern(args, 0)? } else { None };
            let filter = self.pattern(args, usize::from(has_until))?;
            self.walk(way, until.as_ref(), filter.as_ref())
        } else {
            match method.name {
                "find" => self.find(&self.needed(args)?),
                "filter" | "is" => self.filter(&self.needed(args)?, true),
                "without" | "not" => self.filter(&self.needed(args)?, false),
                "has" => self.having(&self.needed(args)?),
                "add" => self.with(&self.needed(args)?),
                "closest" => self.closest(&self.needed(args)?),
                "contents" => Ok(self.contents()),
                "first" => Ok(self.one(Some(0))),
                "last" => Ok(self.one(self.at(-1))),
                "eq" => Ok(self.one(self.at(args.int(0)?))),
                "slice" => Ok(self.slice(args)?),
                _ => return self.read(method.name, args, vu).map(Answer::Now),
            }
        };
        let nodes = found.map_err(|problem| expensive(&args.call, &problem))?;
        Ok(Answer::Now(match method.name {
            "is" => Value::Bool(!nodes.is_empty()),
            _ => Value::object(self.of(nodes)),
        }))
    }

    fn length(&self) -> Option<usize> {
        Some(self.nodes.len())
    }

    fn item(&self, place: usize) -> Value {
        Value::object(self.of(self.one(Some(place))))
    }

    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.nodes.len() * size_of::<NodeId>()
    }

    fn shared(&self) -> Option<&Rc<Shared>> {
        Some(self.document.shared())
    }

    fn describe(&self) -> String {
        let names = self.nodes.iter().take(SHOWN).map(|node| self.name_of(*node));
        let names: Vec<&str> = names.collect();
        let more = if self.nodes.len() > SHOWN { ", …" } else { "" };
        format!("<selection of {}: {}{more}>", self.nodes.len(), names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_is_in_the_documentation_and_in_the_cases_of_both_languages() {
        let documentation = include_str!("../../../docs/script-api.md");
        let luau = [
            include_str!("../../../tests/api/html/find.luau"),
            include_str!("../../../tests/api/html/read.luau"),
            include_str!("../../../tests/api/html/forms.luau"),
        ];
        let rhai = [
            include_str!("../../../tests/api/html/find.rhai"),
            include_str!("../../../tests/api/html/read.rhai"),
            include_str!("../../../tests/api/html/forms.rhai"),
        ];
        for method in METHODS {
            let name = method.name;
            // `not` is a word of Luau's own.
            let called = if name == "not" { "[\"not\"](".to_owned() } else { format!(":{name}(") };
            assert!(luau.iter().any(|case| case.contains(&called)), "{called} in Luau");
            let called = format!(".{name}(");
            assert!(rhai.iter().any(|case| case.contains(&called)), "{called} in Rhai");
            assert!(documentation.contains(&format!("`{name}`")), "{name} in the documentation");
        }
    }
}
