//! What a selection answers that is no selection: texts, attributes, values, and what forms send.

use html5ever::LocalName;

use super::document::{Kind, NodeId};
use super::form::{self, Entry, EntryValue, Held};
use super::selection::Selection;
use super::write;
use crate::api::{ApiError, Args, ErrorKind, Map, Value, VuContext};

type Result<T> = std::result::Result<T, ApiError>;

impl Selection {
    /// Answers a method that reads something.
    pub(super) fn read(&self, method: &str, args: &mut Args, vu: &VuContext) -> Result<Value> {
        let limits = &vu.worker.plan.limits;
        let is_list = matches!(method, "to_array" | "texts" | "attrs" | "get");
        if is_list && self.nodes.len() > limits.table_entries {
            let message =
                format!("{}: there are more than {} nodes", args.call, limits.table_entries);
            return Err(ApiError::new(ErrorKind::Size, message));
        }
        Ok(match method {
            "size" => Value::Int(self.nodes.len() as i64),
            "get" => match args.optional_int(0)? {
                Some(index) => self
                    .at(index)
                    .map_or(Value::Nil, |place| Value::object(self.of(self.one(Some(place))))),
                None => self.to_array(),
            },
            "to_array" => self.to_array(),
            "index" => Value::Int(self.index(args)?),
            "text" => self.text(limits.string_bytes, &args.call)?,
            "texts" => Value::List(self.texts().map(Value::from).collect()),
            "html" => self.html(limits.string_bytes, &args.call)?,
            "name" => match self.nodes.first() {
                Some(first) => self.name_of(*first).into(),
                None => Value::Nil,
            },
            "attr" => self.attr(args)?,
            "attrs" => self.attrs(args)?,
            "data" => self.data(args)?,
            "val" => self.val(),
            "serialize" => self.serialize(),
            "serialize_array" => self.serialize_array(),
            "serialize_object" => self.serialize_object(),
            other => return Err(ApiError::usage(format!("selection has no method `{other}`"))),
        })
    }

    /// Returns an element's name, or what else a node is, as the DOM calls it.
    pub(super) fn name_of(&self, node: NodeId) -> &str {
        match (self.document.kind(node), self.document.element(node)) {
            (_, Some(element)) => &element.name,
            (Kind::Text, _) => "#text",
            (Kind::Comment(..), _) => "#comment",
            (Kind::Doctype(start, length), _) => self.document.value(start, length),
            _ => "#document",
        }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| self.document.text(*node))
    }

    fn text(&self, bytes_max: usize, place: &str) -> Result<Value> {
        let length: usize = self.texts().map(str::len).sum();
        if length > bytes_max {
            return Err(too_long(place, bytes_max));
        }
        Ok(self.texts().collect::<String>().into())
    }

    fn html(&self, bytes_max: usize, place: &str) -> Result<Value> {
        let Some(first) = self.nodes.first() else { return Ok(Value::Nil) };
        let text = write::inner(&self.document, *first, bytes_max);
        text.map(Value::from).ok_or_else(|| too_long(place, bytes_max))
    }

    /// Returns an attribute of a node, whose name may be written in any case in HTML.
    fn attribute(&self, node: NodeId, name: &str) -> Option<&str> {
        let exact = self.document.attribute(node, &LocalName::from(name));
        exact.or_else(|| {
            self.document.html_name(node)?;
            self.document.attribute(node, &LocalName::from(name.to_ascii_lowercase()))
        })
    }

    fn attr(&self, args: &mut Args) -> Result<Value> {
        let name = args.text(0)?;
        let first = self.nodes.first();
        let found = first.and_then(|first| self.attribute(*first, &name.to_str()));
        Ok(found.map_or_else(|| args.take(1), Value::from))
    }

    /// Returns one attribute of every node that has it, or all of the first.
    fn attrs(&self, args: &mut Args) -> Result<Value> {
        if let Some(name) = args.optional_text(0)? {
            let name = name.to_str();
            let found = self.nodes.iter().filter_map(|node| self.attribute(*node, &name));
            return Ok(Value::List(found.map(Value::from).collect()));
        }
        let first = self.nodes.first().into_iter();
        let all = first.flat_map(|first| self.document.attributes(*first));
        Ok(Value::Map(all.map(|(name, value)| (name.to_string(), value)).collect()))
    }

    /// Returns `data-` attributes of the first node, as jQuery reads them.
    fn data(&self, args: &mut Args) -> Result<Value> {
        let name = args.optional_text(0)?;
        let Some(first) = self.nodes.first().copied() else { return Ok(Value::Nil) };
        if let Some(name) = name {
            let name = format!("data-{}", dashed(&name.to_str()));
            return Ok(self.attribute(first, &name).map_or(Value::Nil, datum));
        }
        let mut all = Map::new();
        for (name, value) in self.document.attributes(first) {
            if let Some(name) = name.strip_prefix("data-").filter(|name| !name.is_empty()) {
                all.push(name.replace('-', "_"), datum(value));
            }
        }
        Ok(Value::Map(all))
    }

    fn val(&self) -> Value {
        let Some(first) = self.nodes.first() else { return Value::Nil };
        match form::held(&self.document, *first) {
            Held::Nothing => Value::Nil,
            Held::One(value) => value.into(),
            Held::Many(values) => Value::List(values.into_iter().map(Value::from).collect()),
        }
    }

    /// Returns what the selected forms, or else the selected controls, send without a click: no files.
    fn entries(&self) -> impl Iterator<Item = (NodeId, String, String)> {
        let document = &*self.document;
        let is_form = |node: &NodeId| form::is_form(document, *node);
        let controls = if self.nodes.iter().any(is_form) {
            let forms = self.nodes.iter().copied().filter(is_form);
            forms.flat_map(|form| form::controls(document, form)).collect()
        } else {
            self.nodes.clone()
        };
        let entries = form::entries(document, &controls, None);
        entries.into_iter().filter_map(|Entry { control, name, value }| match value {
            EntryValue::Text(value) => Some((control, name, value)),
            EntryValue::NoFile => None,
        })
    }

    fn serialize(&self) -> Value {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (_, name, value) in self.entries() {
            text.append_pair(&name, &value);
        }
        text.finish().into()
    }

    fn serialize_array(&self) -> Value {
        let entries = self.entries().map(|(_, name, value)| {
            Value::Map([("name", name), ("value", value)].into_iter().collect())
        });
        Value::List(entries.collect())
    }

    /// Returns values by name: the last of several, and a list for a `select` that takes several.
    fn serialize_object(&self) -> Value {
        let mut object = Map::new();
        for (control, name, value) in self.entries() {
            let known = object.take(&name);
            let value = match (form::is_multiple(&self.document, control), known) {
                (false, _) => value.into(),
                (true, Some(Value::List(mut list))) => {
                    list.push(value.into());
                    Value::List(list)
                }
                (true, _) => Value::List(vec![value.into()]),
            };
            object.push(name, value);
        }
        Value::Map(object)
    }
}

fn too_long(place: &str, bytes_max: usize) -> ApiError {
    let message = format!("{place}: the text is longer than a string may be: {bytes_max} bytes");
    ApiError::new(ErrorKind::Size, message)
}

/// Returns a name as attributes have it: `userId` and `user_id` are `user-id`.
fn dashed(name: &str) -> String {
    let mut dashed = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        match letter {
            '_' => dashed.push('-'),
            'A'..='Z' => dashed.extend(['-', letter.to_ascii_lowercase()]),
            _ => dashed.push(letter),
        }
    }
    dashed
}

/// Returns the value of a `data-` attribute: JSON, a truth value or a number if it reads as one.
fn datum(text: &str) -> Value {
    match text {
        "" | "null" | "undefined" => Value::Nil,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.starts_with(['{', '[']) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        }
        _ => number(text).unwrap_or_else(|| text.into()),
    }
}

/// Returns a number that would be written just so.
fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return (whole.to_string() == text).then_some(Value::Int(whole));
    }
    let broken: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    (broken.to_string() == text).then_some(Value::Number(broken))
}
