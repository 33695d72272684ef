//! One setting's value: how it is read from a tree, written to one, and laid over a lower one.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::plan::error::suggestion;
use crate::plan::{Http2, HttpDebug, Isolation, PlanError, STATUSES, Statuses};
use crate::units::{DURATION_MAX, UnitError, format_duration, parse_bytes, parse_duration};

/// A type of values that options have.
pub(super) trait Setting: Sized {
    /// Reads the value at a path of keys; an error names the path.
    fn read(path: &str, value: Value) -> Result<Self, PlanError>;

    /// Writes the value as [`Self::read`] reads it.
    fn write(&self) -> Value;

    /// Returns what holds where a higher source sets `self` and a lower one `lower`.
    fn over(self, _lower: Self) -> Self {
        self
    }

    /// Turns the text of an environment variable into the value that [`Self::read`] reads.
    fn from_text(text: &str) -> Value {
        Value::from(text)
    }
}

/// Declares a struct whose fields are all optional [`Setting`]s under their own names, and what
/// follows from that list: reading, writing, laying over.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: Option<$type>,)*
        }

        #[allow(dead_code, reason = "not every struct of settings needs all of them")]
        impl $name {
            /// The names of all settings, in the order of their declaration.
            const KEYS: &[&str] = &[$(stringify!($field)),*];

            fn read_fields(
                fields: &mut $crate::plan::options::setting::Fields,
            ) -> Result<Self, $crate::plan::PlanError> {
                Ok(Self { $($field: fields.take(stringify!($field))?,)* })
            }

            fn write_fields(&self) -> serde_json::Map<String, serde_json::Value> {
                let mut map = serde_json::Map::new();
                $(if let Some(value) = &self.$field {
                    let value = $crate::plan::options::setting::Setting::write(value);
                    map.insert(stringify!($field).to_owned(), value);
                })*
                map
            }

            fn fields_over(self, lower: Self) -> Self {
                Self {
                    $($field: $crate::plan::options::setting::over(self.$field, lower.$field),)*
                }
            }

            /// Returns the value that the text of an environment variable means for a setting.
            fn value_of_text(key: &str, text: &str) -> Option<serde_json::Value> {
                match key {
                    $(stringify!($field) => Some(
                        <$type as $crate::plan::options::setting::Setting>::from_text(text)
                    ),)*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use settings;

/// Lays an optional setting of a higher source over that of a lower one.
pub(super) fn over<T: Setting>(higher: Option<T>, lower: Option<T>) -> Option<T> {
    match (higher, lower) {
        (Some(higher), Some(lower)) => Some(higher.over(lower)),
        (higher, lower) => higher.or(lower),
    }
}

/// A table of options while it is read: it remembers which keys were asked for, so that the ones
/// left over are known to be unknown.
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// Opens the table at a path; the path of the options themselves is empty.
    pub(super) fn open(path: &str, value: Value) -> Result<Self, PlanError> {
        let map = match value {
            Value::Object(map) => map,
            Value::Array(list) if list.is_empty() => Map::new(),
            other => return Err(wrong(path, "a table", &other)),
        };
        Ok(Self { path: path.to_owned(), map, known: Vec::new() })
    }

    /// Returns the keys that are there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// Takes the value of a key; null is no value.
    pub(super) fn take<T: Setting>(&mut self, key: &'static str) -> Result<Option<T>, PlanError> {
        self.known.push(key);
        match self.map.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::read(&join(&self.path, key), value).map(Some),
        }
    }

    /// Refuses the keys that nobody took.
    pub(super) fn finish(self) -> Result<(), PlanError> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(key) => Err(unknown(&self.path, key, self.known.iter().copied())),
        }
    }
}

/// Returns the error for a key that no option has.
pub(super) fn unknown<'a>(
    path: &str,
    key: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> PlanError {
    let path = join(path, key);
    let suggestion = suggestion(key, known);
    let message = format!("unknown option `{path}`{suggestion}");
    PlanError { message, path }
}

/// Joins the path of a table and a key in it.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Returns the error for a value of the wrong type.
pub(super) fn wrong(path: &str, wanted: &str, value: &Value) -> PlanError {
    let place = if path.is_empty() { "the options".to_owned() } else { format!("option `{path}`") };
    PlanError::new(path, format!("{place} must be {wanted}, got {}", describe(value)))
}

/// Returns the error for a text that could not be read.
pub(super) fn unreadable(path: &str, error: &UnitError) -> PlanError {
    unreadable_text(path, &error.to_string())
}

/// Returns the error for a text that means nothing, with what is wrong with it.
pub(super) fn unreadable_text(path: &str, problem: &str) -> PlanError {
    PlanError::new(path, format!("option `{path}`: {problem}"))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string \"{text}\""),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

/// Returns the elements of a list; an empty table is an empty list, since Luau has one kind.
pub(super) fn list(path: &str, wanted: &str, value: Value) -> Result<Vec<Value>, PlanError> {
    match value {
        Value::Array(list) => Ok(list),
        Value::Object(map) if map.is_empty() => Ok(Vec::new()),
        other => Err(wrong(path, wanted, &other)),
    }
}

/// Reads a value that is one of a few words.
pub(super) fn choice<T: Copy>(
    path: &str,
    value: &Value,
    choices: &[(&'static str, T)],
) -> Result<T, PlanError> {
    let text = value.as_str().unwrap_or_default();
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*choice);
    }
    let names = choices.iter().map(|(name, _)| *name);
    let listed = names.clone().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let suggestion = suggestion(text, names);
    let got = describe(value);
    let message = format!("option `{path}` must be one of {listed}; got {got}{suggestion}");
    Err(PlanError::new(path, message))
}

/// Returns the word of a choice.
pub(super) fn word<T: PartialEq>(choices: &[(&'static str, T)], value: &T) -> Value {
    let found = choices.iter().find(|(_, choice)| choice == value);
    Value::from(found.expect("every variant has a word").0)
}

impl Setting for u64 {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        // 2^53: past it a float that a script computed may not be the number that was meant.
        let of_float = |number: f64| {
            (number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0)
                .then_some(number as u64)
        };
        let number = value.as_u64().or_else(|| value.as_f64().and_then(of_float));
        number.ok_or_else(|| wrong(path, "a whole number", &value))
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn from_text(text: &str) -> Value {
        text.trim().parse::<Self>().map_or_else(|_| Value::from(text), Value::from)
    }
}

impl Setting for bool {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        value.as_bool().ok_or_else(|| wrong(path, "true or false", &value))
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn from_text(text: &str) -> Value {
        match text.trim() {
            "true" | "1" => Value::from(true),
            "false" | "0" => Value::from(false),
            _ => Value::from(text),
        }
    }
}

impl Setting for String {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(wrong(path, "a string", &other)),
        }
    }

    fn write(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl Setting for Duration {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        const WANTED: &str = "a duration such as \"1m30s\" or a number of milliseconds";
        match &value {
            Value::String(text) => parse_duration(text).map_err(|error| unreadable(path, &error)),
            Value::Number(number) => number
                .as_f64()
                .filter(|&number| number >= 0.0 && number / 1_000.0 <= DURATION_MAX.as_secs_f64())
                .map(|number| Self::from_secs_f64(number / 1_000.0))
                .ok_or_else(|| wrong(path, WANTED, &value)),
            _ => Err(wrong(path, WANTED, &value)),
        }
    }

    fn write(&self) -> Value {
        Value::from(format_duration(*self))
    }
}

/// A number of bytes, written as a number or as a text such as `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Setting for Bytes {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        if let Value::String(text) = &value {
            return parse_bytes(text).map(Self).map_err(|error| unreadable(path, &error));
        }
        u64::read(path, value.clone())
            .map(Self)
            .map_err(|_| wrong(path, "a size such as \"64MiB\" or a number of bytes", &value))
    }

    fn write(&self) -> Value {
        Value::from(self.0)
    }
}

/// Words, as a list or as one text with commas.
impl Setting for Vec<String> {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        if let Value::String(text) = value {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            return Ok(words.map(str::to_owned).collect());
        }
        list(path, "a list of strings", value)?
            .into_iter()
            .enumerate()
            .map(|(index, value)| String::read(&format!("{path}[{index}]"), value))
            .collect()
    }

    fn write(&self) -> Value {
        Value::from(self.as_slice())
    }
}

/// Texts by name: values may also be numbers and booleans, whose text is meant.
impl Setting for BTreeMap<String, String> {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        Fields::open(path, value)?
            .map
            .into_iter()
            .map(|(key, value)| match value {
                Value::Number(number) => Ok((key, number.to_string())),
                Value::Bool(value) => Ok((key, value.to_string())),
                other => Ok((key.clone(), String::read(&join(path, &key), other)?)),
            })
            .collect()
    }

    fn write(&self) -> Value {
        self.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect()
    }

    fn over(self, mut lower: Self) -> Self {
        lower.extend(self);
        lower
    }

    fn from_text(text: &str) -> Value {
        pairs_or_json(text)
    }
}

/// Settings by name, in the order of their declaration.
impl<T: Setting> Setting for IndexMap<String, T> {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        Fields::open(path, value)?
            .map
            .into_iter()
            .map(|(key, value)| {
                let setting = T::read(&join(path, &key), value)?;
                Ok((key, setting))
            })
            .collect()
    }

    fn write(&self) -> Value {
        self.iter().map(|(key, setting)| (key.clone(), setting.write())).collect()
    }

    fn over(self, mut lower: Self) -> Self {
        lower.extend(self);
        lower
    }

    fn from_text(text: &str) -> Value {
        pairs_or_json(text)
    }
}

/// Reads `a=b,c=d` or a JSON object; what is neither stays a text, which no map accepts.
pub(super) fn pairs_or_json(text: &str) -> Value {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    }
    text.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| pair.split_once('='))
        .map(|pair| pair.map(|(key, value)| (key.trim().to_owned(), Value::from(value.trim()))))
        .collect::<Option<Map<_, _>>>()
        .map_or_else(|| Value::from(text), Value::Object)
}

const HTTP_DEBUGS: [(&str, HttpDebug); 3] =
    [("off", HttpDebug::Off), ("headers", HttpDebug::Headers), ("full", HttpDebug::Full)];

impl Setting for HttpDebug {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &HTTP_DEBUGS)
    }

    fn write(&self) -> Value {
        word(&HTTP_DEBUGS, self)
    }
}

const HTTP2S: [(&str, Http2); 3] =
    [("auto", Http2::Auto), ("always", Http2::Always), ("never", Http2::Never)];

impl Setting for Statuses {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        // An empty table of Luau may be either.
        if value.as_object().is_some_and(Map::is_empty) {
            return Self::read(&Value::Array(Vec::new())).map_err(|wrong| statuses(path, wrong));
        }
        Self::read(&value).map_err(|wrong| statuses(path, wrong))
    }

    fn write(&self) -> Value {
        serde_json::to_value(self).expect("it is a list of texts")
    }

    fn from_text(text: &str) -> Value {
        text.split(',').map(str::trim).map(Value::from).collect()
    }
}

fn statuses(path: &str, value: &Value) -> PlanError {
    wrong(path, &format!("{STATUSES}, or a list of them"), value)
}

impl Setting for Http2 {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &HTTP2S)
    }

    fn write(&self) -> Value {
        word(&HTTP2S, self)
    }
}

const ISOLATIONS: [(&str, Isolation); 2] =
    [("shared", Isolation::Shared), ("state", Isolation::State)];

impl Setting for Isolation {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &ISOLATIONS)
    }

    fn write(&self) -> Value {
        word(&ISOLATIONS, self)
    }
}
