//! Whether what a call is given fits: how many arguments, and the names in tables of named ones.

use std::collections::BTreeMap;

use super::catalogue::Signature;
use super::walk::{Known, Walk, known};
use crate::api::unknown_name;
use crate::script::Language;
use crate::script::place::Spot;
use crate::script::syntax::tree::{Entry, Field, Node, Shape};

/// Types that have no name among the stubs' own.
const PLAIN: &[&str] =
    &["boolean", "buffer", "false", "never", "nil", "number", "string", "table", "thread", "true"];

/// What stands for each type that the function leaves open.
type Bound = BTreeMap<String, Shape>;

impl Walk<'_> {
    /// Goes through a call's arguments and returns what is known of its result.
    pub(super) fn fit(
        &mut self,
        name: &str,
        signature: &Signature,
        args: &[Node],
        at: Spot,
    ) -> Known {
        self.count(name, signature, args, at);
        let mut bound = Bound::new();
        for (index, arg) in args.iter().enumerate() {
            let Some((param, shape)) = signature.params.get(index) else {
                self.node(arg);
                continue;
            };
            let place = format!("{name}: {param}");
            match self.given(&place, &substituted(shape, &bound), arg) {
                Known::Shape(found) => self.bind(shape, found, &mut bound),
                _ => self.bind(shape, Shape::Any, &mut bound),
            }
        }
        known(substituted(&signature.returns, &bound))
    }

    fn count(&mut self, name: &str, signature: &Signature, args: &[Node], at: Spot) {
        if signature.params.iter().any(|(name, _)| name == "...") {
            return;
        }
        let optional = |shape: &Shape| Signature::is_optional(shape);
        let needed = signature.params.iter().rposition(|(_, shape)| !optional(shape));
        let needed = needed.map_or(0, |at| at + 1);
        // In Luau a call may return several values, and too many do no harm.
        let several = self.language == Language::Luau
            && matches!(args.last(), Some(Node::Call { .. } | Node::Rest | Node::Cast { .. }));
        let count = args.len();
        let few = count < needed && !several;
        let many = count > signature.params.len();
        if !few && !many {
            return;
        }
        let params = signature
            .params
            .iter()
            .map(|(name, shape)| if optional(shape) { format!("{name}?") } else { name.clone() });
        let params: Vec<String> = params.collect();
        let got = match count {
            0 => "nothing".to_owned(),
            1 => "1 argument".to_owned(),
            count => format!("{count} arguments"),
        };
        let message = format!("{name} takes ({}), got {got}", params.join(", "));
        self.say(few || self.language == Language::Rhai, message, at, None);
    }

    /// Goes through a value that a type is wanted of, and returns what is known of it.
    fn given(&mut self, place: &str, shape: &Shape, value: &Node) -> Known {
        let mut choices = Vec::new();
        self.choices(shape, &mut choices);
        match value {
            Node::Table(entries) => {
                self.table(place, &choices, entries);
                Known::Any
            }
            Node::Function(function) => {
                let wanted = choices.iter().find_map(|choice| match choice {
                    Shape::Function { params, .. } => {
                        Some(params.iter().map(|(_, shape)| shape.clone()).collect::<Vec<_>>())
                    }
                    _ => None,
                });
                self.function(function, &wanted.unwrap_or_default());
                Known::Any
            }
            Node::Text(text, at) => {
                self.text(place, &choices, text, *at);
                known(Shape::Name("string".to_owned()))
            }
            other => self.node(other),
        }
    }

    /// Splits a type into what it may be.
    fn choices(&self, shape: &Shape, choices: &mut Vec<Shape>) {
        match shape {
            Shape::Union(parts) => parts.iter().for_each(|part| self.choices(part, choices)),
            Shape::Optional(inner) => self.choices(inner, choices),
            Shape::Name(name) => match self.catalogue.named(name) {
                Some(shape) => self.choices(shape, choices),
                None => choices.push(shape.clone()),
            },
            other => choices.push(other.clone()),
        }
    }

    fn table(&mut self, place: &str, choices: &[Shape], entries: &[Entry]) {
        let others = choices.iter().find_map(|choice| match choice {
            Shape::Map(inner) | Shape::List(inner) => Some((**inner).clone()),
            Shape::Any => Some(Shape::Any),
            _ => None,
        });
        let mut fields: Vec<&Field> = Vec::new();
        let mut strict = others.is_none();
        for choice in choices {
            if let Shape::Record { fields: own, open } = choice {
                fields.extend(own);
                strict &= !open;
            }
        }
        for entry in entries {
            let Some((name, at)) = &entry.name else {
                self.given(place, others.as_ref().unwrap_or(&Shape::Any), &entry.value);
                continue;
            };
            if let Some(field) = fields.iter().find(|field| field.name == *name) {
                let shape = field.shape.clone();
                self.given(&format!("{place}.{name}"), &shape, &entry.value);
                continue;
            }
            if strict && !fields.is_empty() {
                let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                self.say(true, unknown_name(place, "argument", name, &known), *at, None);
            }
            self.given(place, others.as_ref().unwrap_or(&Shape::Any), &entry.value);
        }
    }

    /// Looks at a text where only certain ones may stand.
    fn text(&mut self, place: &str, choices: &[Shape], text: &str, at: Spot) {
        let texts = choices.iter().map(|choice| match choice {
            Shape::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let Some(texts) = texts.collect::<Option<Vec<&str>>>() else {
            let is_table = |choice: &Shape| {
                matches!(choice, Shape::Map(_) | Shape::List(_) | Shape::Record { .. })
            };
            if choices.iter().all(is_table) {
                self.say(true, format!("{place} must be a table, got a string"), at, None);
            }
            return;
        };
        if !texts.is_empty() && !texts.contains(&text) {
            let known: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
            let message = format!("{place} must be {}, not \"{text}\"", known.join(" or "));
            self.say(true, message, at, None);
        }
    }

    /// Notes what a type that was left open stands for.
    fn bind(&self, shape: &Shape, found: Shape, bound: &mut Bound) {
        if let Shape::Name(name) = shape
            && self.catalogue.named(name).is_none()
            && !PLAIN.contains(&name.as_str())
        {
            bound.entry(name.clone()).or_insert(found);
        }
    }
}

/// Returns a type with what stands for the types that it leaves open.
fn substituted(shape: &Shape, bound: &Bound) -> Shape {
    let inner = |shape: &Shape| Box::new(substituted(shape, bound));
    match shape {
        Shape::Name(name) => bound.get(name).unwrap_or(shape).clone(),
        Shape::Optional(shape) => Shape::Optional(inner(shape)),
        Shape::List(shape) => Shape::List(inner(shape)),
        Shape::Map(shape) => Shape::Map(inner(shape)),
        Shape::Union(parts) => {
            Shape::Union(parts.iter().map(|part| substituted(part, bound)).collect())
        }
        Shape::Function { params, returns } => Shape::Function {
            params: params
                .iter()
                .map(|(name, shape)| (name.clone(), substituted(shape, bound)))
                .collect(),
            returns: inner(returns),
        },
        other => other.clone(),
    }
}
