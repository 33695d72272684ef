//! Values across the border: Rhai's dynamic ones to neutral ones and back.

use std::any::TypeId;
use std::rc::Rc;

use bytes::Bytes;
use rhai::{Blob, Dynamic, FnPtr, ImmutableString};

use super::object::Handle;
use crate::api::{ApiError, Map, Value};

/// How deep a value may be nested.
const DEPTH: usize = 100;

/// Returns a script's value as a neutral one.
///
/// # Errors
/// If it is or holds something that only the script can use, such as a function, or is nested
/// deeper than 100 levels.
pub(super) fn from_dynamic(value: &Dynamic) -> Result<Value, ApiError> {
    from_nested(value, 0)
}

fn from_nested(value: &Dynamic, depth: usize) -> Result<Value, ApiError> {
    if depth > DEPTH {
        return Err(ApiError::usage(format!(
            "a value nested deeper than {DEPTH} levels cannot be passed here"
        )));
    }
    if value.is_shared() {
        return from_nested(&value.flatten_clone(), depth);
    }
    // By the frequency of arguments; every test is one comparison.
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::from(text.as_str()));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Value::Int(number));
    }
    if value.is_unit() {
        return Ok(Value::Nil);
    }
    if let Some(handle) = value.read_lock::<Handle>() {
        return Ok(Value::Object(Rc::clone(&handle.0)));
    }
    if let Ok(map) = value.as_map_ref() {
        let mut members = Map::new();
        for (name, member) in map.iter() {
            members.push(name.as_str(), from_nested(member, depth + 1)?);
        }
        return Ok(Value::Map(members));
    }
    if let Ok(items) = value.as_array_ref() {
        let items = items.iter().map(|item| from_nested(item, depth + 1));
        return Ok(Value::List(items.collect::<Result<_, _>>()?));
    }
    if let Ok(truth) = value.as_bool() {
        return Ok(Value::Bool(truth));
    }
    if let Ok(number) = value.as_float() {
        return Ok(Value::Number(number));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Value::from(letter.to_string()));
    }
    if let Ok(bytes) = value.as_blob_ref() {
        return Ok(Value::Bytes(Bytes::copy_from_slice(&bytes)));
    }
    Err(ApiError::usage(format!("{} cannot be passed here", type_name(value))))
}

/// Returns a neutral value as a script's. Null arrives as `()`.
pub(super) fn to_dynamic(value: Value) -> Dynamic {
    match value {
        Value::Nil | Value::Null => Dynamic::UNIT,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Number(value) => value.into(),
        Value::Text(text) => match String::from_utf8(text.into_bytes().into()) {
            Ok(text) => text.into(),
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
        },
        Value::Bytes(bytes) => Dynamic::from_blob(Blob::from(bytes)),
        Value::List(items) => {
            Dynamic::from_array(items.into_iter().map(to_dynamic).collect::<rhai::Array>())
        }
        Value::Map(members) => {
            let mut map = rhai::Map::new();
            for (name, member) in members {
                map.entry(name.as_str().into()).or_insert_with(|| to_dynamic(member));
            }
            Dynamic::from_map(map)
        }
        Value::Object(object) => Dynamic::from(Handle(object)),
    }
}

/// Returns whether a script takes a value for true: everything but `()` and `false`.
pub(super) fn is_truthy(value: &Dynamic) -> bool {
    !value.is_unit() && value.as_bool().unwrap_or(true)
}

/// Returns what a value is, in the words of error messages.
pub(super) fn type_name(value: &Dynamic) -> &'static str {
    if let Some(handle) = value.read_lock::<Handle>() {
        return handle.0.type_name();
    }
    let kind = value.type_id();
    let is = |wanted: TypeId| kind == wanted;
    match () {
        () if is(TypeId::of::<()>()) => "nothing",
        () if is(TypeId::of::<bool>()) => "a boolean",
        () if is(TypeId::of::<i64>()) => "a whole number",
        () if is(TypeId::of::<f64>()) => "a number",
        () if is(TypeId::of::<ImmutableString>()) => "a string",
        () if is(TypeId::of::<char>()) => "a character",
        () if is(TypeId::of::<rhai::Array>()) => "an array",
        () if is(TypeId::of::<rhai::Map>()) => "an object map",
        () if is(TypeId::of::<Blob>()) => "bytes",
        () if is(TypeId::of::<FnPtr>()) => "a function",
        () => "such a value",
    }
}

/// Returns Rhai's name of a type in the words of error messages.
pub(super) fn readable_type(name: &str) -> &str {
    match name {
        "()" => "nothing",
        "bool" => "a boolean",
        "i64" => "a whole number",
        "f64" => "a number",
        "char" => "a character",
        "array" => "an array",
        "map" => "an object map",
        "blob" => "bytes",
        "Fn" => "a function",
        "string" | "ImmutableString" | "&str | ImmutableString | String" => "a string",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e9..1e9_f64).prop_map(|number| Value::Number(number + 0.5)),
            ".{0,8}".prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..8).prop_map(|b| Value::Bytes(b.into())),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|map| Value::Map(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_survive_a_round_trip(value in values()) {
            prop_assert_eq!(from_dynamic(&to_dynamic(value.clone())).unwrap(), value);
        }
    }

    #[test]
    fn null_and_broken_text_arrive_as_rhai_has_them() {
        assert!(to_dynamic(Value::Null).is_unit());
        let text = crate::api::Text::from_bytes(Bytes::from_static(b"a\xffb"));
        assert_eq!(to_dynamic(Value::Text(text)).into_string().unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn the_first_of_two_equal_names_stands() {
        let mut map = Map::new();
        map.push("a", 1_i64);
        map.push("a", 2_i64);
        let map = to_dynamic(Value::Map(map)).cast::<rhai::Map>();
        assert_eq!(map["a"].as_int(), Ok(1));
    }

    #[test]
    fn functions_and_deep_nesting_do_not_pass() {
        let function = Dynamic::from(FnPtr::new("f").unwrap());
        let error = from_dynamic(&Dynamic::from_array(vec![function])).unwrap_err();
        assert_eq!(error.message, "a function cannot be passed here");
        let mut nested = Dynamic::from_array(Vec::new());
        for _ in 0..101 {
            nested = Dynamic::from_array(vec![nested]);
        }
        assert!(from_dynamic(&nested).unwrap_err().message.contains("100 levels"));
    }
}
