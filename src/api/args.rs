//! Reading a call's arguments, with errors that name the call, the argument and the remedy.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use super::{ApiError, Map, Object, Text, Value};
use crate::units;

/// A call's arguments.
#[derive(Debug)]
pub struct Args {
    /// `http.get`, for messages.
    pub call: Cow<'static, str>,
    /// The parameters' names, as in [`super::Function::params`].
    pub params: &'static [&'static str],
    values: Vec<Value>,
}

impl Args {
    /// Returns the arguments of a call.
    pub fn new(
        call: impl Into<Cow<'static, str>>,
        params: &'static [&'static str],
        values: Vec<Value>,
    ) -> Self {
        Self { call: call.into(), params, values }
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes an argument by its position from 0; nothing if it is missing.
    pub fn take(&mut self, index: usize) -> Value {
        self.values.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    /// Puts an argument back into its position.
    pub fn put(&mut self, index: usize, value: Value) {
        if let Some(place) = self.values.get_mut(index) {
            *place = value;
        }
    }

    /// Takes all arguments from a position on.
    pub fn rest(&mut self, index: usize) -> Vec<Value> {
        if index < self.values.len() { self.values.split_off(index) } else { Vec::new() }
    }

    /// Returns the error of an argument that is something else than wanted.
    pub fn wrong(&self, index: usize, wanted: &str, got: &Value) -> ApiError {
        let name = self.params.get(index).map_or("", |name| name.trim_end_matches('?'));
        ApiError::usage(format!(
            "{}: argument {} ({name}) must be {wanted}, got {}",
            self.call,
            index + 1,
            got.type_name()
        ))
    }

    /// Takes text.
    pub fn text(&mut self, index: usize) -> Result<Text, ApiError> {
        match self.take(index) {
            Value::Text(text) => Ok(text),
            other => Err(self.wrong(index, "a string", &other)),
        }
    }

    /// Takes text that may be missing.
    pub fn optional_text(&mut self, index: usize) -> Result<Option<Text>, ApiError> {
        match self.take(index) {
            Value::Text(text) => Ok(Some(text)),
            Value::Nil | Value::Null => Ok(None),
            other => Err(self.wrong(index, "a string", &other)),
        }
    }

    /// Takes bytes: a string or bytes.
    pub fn bytes(&mut self, index: usize) -> Result<bytes::Bytes, ApiError> {
        match self.take(index) {
            Value::Text(text) => Ok(text.into_bytes()),
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(self.wrong(index, "a string or bytes", &other)),
        }
    }

    /// Takes an object of a type.
    pub fn object<T: Object>(&mut self, index: usize, wanted: &str) -> Result<Rc<T>, ApiError> {
        let value = self.take(index);
        value.as_object().ok_or_else(|| self.wrong(index, wanted, &value))
    }

    /// Takes a number.
    pub fn number(&mut self, index: usize) -> Result<f64, ApiError> {
        let value = self.take(index);
        value.as_number().ok_or_else(|| self.wrong(index, "a number", &value))
    }

    /// Takes a number that may be missing.
    pub fn optional_number(&mut self, index: usize) -> Result<Option<f64>, ApiError> {
        match self.take(index) {
            Value::Nil | Value::Null => Ok(None),
            value => {
                value.as_number().map(Some).ok_or_else(|| self.wrong(index, "a number", &value))
            }
        }
    }

    /// Takes a whole number.
    pub fn int(&mut self, index: usize) -> Result<i64, ApiError> {
        match self.take(index) {
            Value::Int(value) => Ok(value),
            other => Err(self.wrong(index, "a whole number", &other)),
        }
    }

    /// Takes a whole number that may be missing.
    pub fn optional_int(&mut self, index: usize) -> Result<Option<i64>, ApiError> {
        match self.take(index) {
            Value::Int(value) => Ok(Some(value)),
            Value::Nil | Value::Null => Ok(None),
            other => Err(self.wrong(index, "a whole number", &other)),
        }
    }

    /// Takes a duration: a number of seconds, or text such as `200ms`.
    pub fn duration(&mut self, index: usize) -> Result<Duration, ApiError> {
        let value = self.take(index);
        let read = duration(&value).ok_or_else(|| self.wrong(index, SECONDS, &value))?;
        read.map_err(|error| {
            ApiError::usage(format!("{}: argument {}: {}", self.call, index + 1, error.message))
        })
    }

    /// Takes a duration that may be missing.
    pub fn optional_duration(&mut self, index: usize) -> Result<Option<Duration>, ApiError> {
        if self.values.get(index).is_none_or(Value::is_nil) {
            return Ok(None);
        }
        self.duration(index).map(Some)
    }

    /// Takes tags: a table of names to texts, numbers or truth values.
    pub fn tags(&mut self, index: usize) -> Result<Vec<(String, String)>, ApiError> {
        match self.take(index) {
            Value::Nil | Value::Null => Ok(Vec::new()),
            Value::Map(map) => tags(&self.call, map),
            Value::List(list) if list.is_empty() => Ok(Vec::new()),
            other => Err(self.wrong(index, "a table of tags", &other)),
        }
    }

    /// Takes a table of named arguments that may be missing; `known` are the names it may have.
    pub fn fields(
        &mut self,
        index: usize,
        known: &'static [&'static str],
    ) -> Result<Fields, ApiError> {
        let value = self.take(index);
        if value.is_nil() {
            // Most calls: nothing is made for messages that nobody needs.
            return Ok(Fields { place: String::new(), map: Map::new() });
        }
        let name = self.params.get(index).map_or("", |name| name.trim_end_matches('?'));
        let place = format!("{}: {name}", self.call);
        match value {
            Value::List(list) if list.is_empty() => Ok(Fields { place, map: Map::new() }),
            Value::Map(map) => Fields::new(place, map, known),
            other => Err(self.wrong(index, "a table of named arguments", &other)),
        }
    }
}

const SECONDS: &str = "a number of seconds or a duration such as \"200ms\"";

/// Reads a duration; `None` if it is neither a number nor text.
fn duration(value: &Value) -> Option<Result<Duration, ApiError>> {
    if let Some(seconds) = value.as_number() {
        return Some(
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| ApiError::usage(format!("{seconds} s is no possible duration"))),
        );
    }
    let text = value.as_text()?;
    Some(units::parse_duration(&text).map_err(|error| ApiError::usage(error.to_string())))
}

fn tags(place: &str, map: Map) -> Result<Vec<(String, String)>, ApiError> {
    let tags = map.into_iter();
    tags.map(|(name, value)| tag(place, &name, &value).map(|tag| (name.into(), tag))).collect()
}

/// Returns a tag's value as text.
pub(in crate::api) fn tag(place: &str, name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::Text(text) => Ok(text.to_str().into_owned()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Nil | Value::Null => Ok(String::new()),
        other => Err(ApiError::usage(format!(
            "{place}: tag `{name}` must be a string, a number or a boolean, got {}",
            other.type_name()
        ))),
    }
}

/// A table of named arguments whose names have been checked.
#[derive(Debug)]
pub struct Fields {
    /// `http.get: params`, for messages.
    pub place: String,
    map: Map,
}

impl Fields {
    /// Checks the names of a table.
    ///
    /// # Errors
    /// If one is unknown; it names the nearest known one.
    pub fn new(place: String, map: Map, known: &'static [&'static str]) -> Result<Self, ApiError> {
        for (name, _) in map.iter() {
            if !known.contains(&name) {
                return Err(ApiError::usage(unknown(&place, "argument", name, known)));
            }
        }
        Ok(Self { place, map })
    }

    /// Takes a field; nothing if it is missing.
    pub fn take(&mut self, name: &str) -> Value {
        self.map.take(name).unwrap_or_default()
    }

    /// Returns whether no field is left.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_nil())
    }

    /// Returns the error of a field that is something else than wanted.
    pub fn wrong(&self, name: &str, wanted: &str, got: &Value) -> ApiError {
        ApiError::usage(format!(
            "{}: `{name}` must be {wanted}, got {}",
            self.place,
            got.type_name()
        ))
    }

    /// Takes text.
    pub fn text(&mut self, name: &str) -> Result<Option<Text>, ApiError> {
        match self.take(name) {
            Value::Nil | Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(self.wrong(name, "a string", &other)),
        }
    }

    /// Takes a truth value.
    pub fn bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            Value::Nil | Value::Null => Ok(None),
            Value::Bool(value) => Ok(Some(value)),
            other => Err(self.wrong(name, "true or false", &other)),
        }
    }

    /// Takes a whole number of at least 0.
    pub fn count(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        match self.take(name) {
            Value::Nil | Value::Null => Ok(None),
            Value::Int(value) if value >= 0 => Ok(Some(value as u64)),
            other => Err(self.wrong(name, "a whole number of at least 0", &other)),
        }
    }

    /// Takes a duration: a number of seconds, or text such as `200ms`.
    pub fn duration(&mut self, name: &str) -> Result<Option<Duration>, ApiError> {
        let value = self.take(name);
        if value.is_nil() {
            return Ok(None);
        }
        duration(&value)
            .ok_or_else(|| self.wrong(name, SECONDS, &value))?
            .map(Some)
            .map_err(|e| ApiError::usage(format!("{}: `{name}`: {}", self.place, e.message)))
    }

    /// Takes a table of tags.
    pub fn tags(&mut self, name: &str) -> Result<Vec<(String, String)>, ApiError> {
        match self.take(name) {
            Value::Nil | Value::Null => Ok(Vec::new()),
            Value::Map(map) => tags(&self.place, map),
            Value::List(list) if list.is_empty() => Ok(Vec::new()),
            other => Err(self.wrong(name, "a table of tags", &other)),
        }
    }

    /// Takes a table whose names are free.
    pub fn map(&mut self, name: &str) -> Result<Option<Map>, ApiError> {
        match self.take(name) {
            Value::Nil | Value::Null => Ok(None),
            Value::Map(map) => Ok(Some(map)),
            Value::List(list) if list.is_empty() => Ok(Some(Map::new())),
            other => Err(self.wrong(name, "a table", &other)),
        }
    }
}

/// Returns two lists of names as one, for [`Args::fields`]; `N` is the length of both.
pub(in crate::api) const fn joined<const N: usize>(
    first: &[&'static str],
    second: &[&'static str],
) -> [&'static str; N] {
    assert!(first.len() + second.len() == N, "N is not how many names there are");
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    names
}

/// Returns the message of an unknown name: `PLACE: unknown argument `treshold`, did you mean …?`
pub fn unknown(place: &str, what: &str, name: &str, known: &[&str]) -> String {
    match units::nearest(name, known.iter().copied()) {
        Some(near) => format!("{place}: unknown {what} `{name}`, did you mean `{near}`?"),
        None => format!("{place}: unknown {what} `{name}`; there are {}", known.join(", ")),
    }
}
