//! The neutral value: what crosses the border between a script and the native side.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Object, Text};
use crate::units;

/// A value of a script, by copy; native objects by handle.
///
/// Functions have no place here: what takes callbacks is written in each language's adapter over
/// native parts.
#[derive(Clone, Default)]
pub enum Value {
    /// Nothing: a missing argument, an absent field. `nil` in Luau, `()` in Rhai.
    #[default]
    Nil,
    /// JSON's null inside a document. `json.null` in Luau, `()` in Rhai.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number. Luau's numbers arrive as these where they are whole and below 2^53.
    Int(i64),
    /// Any other number.
    Number(f64),
    /// Text: a string in both languages.
    Text(Text),
    /// Bytes: a string in Luau, a blob in Rhai. Luau's buffers arrive as these.
    Bytes(Bytes),
    /// An array.
    List(Vec<Value>),
    /// An object with named members, in order.
    Map(Map),
    /// A native object.
    Object(Rc<dyn Object>),
}

impl Value {
    /// Returns text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a native object.
    pub fn object(object: impl Object) -> Self {
        Self::Object(Rc::new(object))
    }

    /// Returns whether there is nothing: `Nil` or `Null`.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil | Self::Null)
    }

    /// Returns what the value is, in the words of error messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "an array",
            Self::Map(_) => "a table",
            Self::Object(object) => object.type_name(),
        }
    }

    /// Returns the number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the text, if it is text.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(text.to_str()),
            _ => None,
        }
    }

    /// Returns the object, if it is one of that type.
    pub fn as_object<T: Object>(&self) -> Option<Rc<T>> {
        match self {
            Self::Object(object) => Rc::clone(object).downcast(),
            _ => None,
        }
    }

    /// Returns whether a script would take it for true: everything but nothing, null and false.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Null | Self::Bool(false))
    }

    /// Returns the value as JSON. Objects and bytes that are not UTF-8 become their description.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }

    /// Returns a JSON document as a value.
    pub fn from_json(json: &serde_json::Value) -> Self {
        Self::deserialize(json).unwrap_or_default()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Object(object) => write!(f, "Object({})", object.type_name()),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) | (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b),
            (a, b) => a.as_number().is_some() && a.as_number() == b.as_number(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Number(value as f64), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Name> for Value {
    fn from(name: Name) -> Self {
        Self::Text(name.as_str().into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

/// Named members in order.
#[derive(Clone, Default, PartialEq)]
pub struct Map(Vec<(Name, Value)>);

/// A member's name. Up to 24 bytes lie in place, so that most names allocate nothing.
pub type Name = compact_str::CompactString;

impl Map {
    /// Returns an empty map.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns an empty map with room for so many members.
    pub fn with_capacity(members: usize) -> Self {
        Self(Vec::with_capacity(members))
    }

    /// Returns a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Removes a member and returns it.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(index).1)
    }

    /// Adds a member at the end. A name that is there already keeps its first value in look-ups.
    pub fn push(&mut self, name: impl Into<Name>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// Returns the members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl IntoIterator for Map {
    type Item = (Name, Value);
    type IntoIter = std::vec::IntoIter<(Name, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<Name>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(members: T) -> Self {
        Self(members.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil | Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(&text.to_str()),
            Self::Bytes(bytes) => serializer.serialize_str(&units::lossy(bytes)),
            Self::List(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(item)?;
                }
                sequence.end()
            }
            Self::Map(map) => {
                let mut members = serializer.serialize_map(Some(map.len()))?;
                for (name, value) in map.iter() {
                    members.serialize_entry(name, value)?;
                }
                members.end()
            }
            Self::Object(object) => serializer.serialize_str(&object.describe()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = members.next_entry::<Name, Value>()? {
            map.0.push((name, value));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_a_round_trip() {
        let text = r#"{"a":null,"b":[],"c":{},"d":[1,2.5,"x",true],"e":9007199254740993}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn whole_and_broken_numbers_compare_by_worth() {
        assert_eq!(Value::Int(2), Value::Number(2.0));
        assert_ne!(Value::Int(2), Value::Bool(true));
    }
}
