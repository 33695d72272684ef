//! Results as values that lose no digit, and as the text that the server wrote.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::json_path::Path;
use crate::api::{ApiError, Value};

/// Up to here every number of a script (a float in Luau) is the one that the server wrote.
const EXACT: u64 = (1 << 53) - 1;

/// Digits of [`EXACT`]: whole numbers with fewer need no second look.
const EXACT_DIGITS: usize = 16;

/// Returns what a path leads to in JSON that was read before, the whole for an empty path, and `Nil`
/// for what is null or not there. Whole numbers beyond ±(2^53 - 1) become texts of their digits.
///
/// # Errors
/// If the path cannot be read, or what it leads to is nested too deeply to be built.
pub(super) fn value(place: &str, json: &str, path: &str) -> Result<Value, ApiError> {
    let path = parse(place, path)?;
    let json = with_exact_numbers(json);
    let found = path.walk().deserialize(&mut serde_json::Deserializer::from_str(&json));
    match found {
        Ok(None | Some(Value::Null)) => Ok(Value::Nil),
        Ok(Some(value)) => Ok(value),
        Err(error) => Err(ApiError::usage(format!("{place}: the result cannot be built: {error}"))),
    }
}

/// Returns the text of what a path of names and indexes leads to, as the server wrote it; nothing if
/// it is not there.
///
/// # Errors
/// If the path cannot be read, or has operators.
pub(super) fn raw<'a>(place: &str, json: &'a str, path: &str) -> Result<Option<&'a str>, ApiError> {
    let parsed = parse(place, path)?;
    let Some(names) = parsed.names() else {
        return Err(ApiError::usage(format!(
            "{place}: the path \"{path}\" has an operator; a part's text is found by names and \
             indexes alone"
        )));
    };
    let mut found = json;
    for name in names {
        // What is no object and no array has no parts.
        if !found.trim_start().starts_with(['{', '[']) {
            return Ok(None);
        }
        let mut reader = serde_json::Deserializer::from_str(found);
        match Member(name).deserialize(&mut reader) {
            Ok(Some(part)) => found = part.get(),
            Ok(None) => return Ok(None),
            Err(error) => {
                return Err(ApiError::usage(format!("{place}: the result is no JSON: {error}")));
            }
        }
    }
    Ok(Some(found))
}

fn parse(place: &str, path: &str) -> Result<Path, ApiError> {
    Path::parse(path).map_err(|error| {
        ApiError::usage(format!("{place}: the path \"{path}\" cannot be read: {error}"))
    })
}

/// Returns valid JSON with its large whole numbers put into quotes; mostly it has none.
fn with_exact_numbers(json: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let mut copied = 0;
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = at + bytes[at..].iter().take_while(|b| is_of_number(**b)).count();
                let number = &json[at..end];
                if !is_exact(number) {
                    quoted.push_str(&json[copied..at]);
                    quoted.extend(["\"", number, "\""]);
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    quoted.push_str(&json[copied..]);
    Cow::Owned(quoted)
}

/// Returns the place behind a string that begins at a place.
fn after_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Returns whether a number can be a script's number. Fractions can: they are approximate anyway.
fn is_exact(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() < EXACT_DIGITS
        || digits.bytes().any(|byte| !byte.is_ascii_digit())
        || digits.parse::<u64>().is_ok_and(|number| number <= EXACT)
}

/// Finds a member of an object, or an element of an array, as its text.
struct Member<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if found.is_none() && name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.parse::<usize>().ok();
        let mut found = None;
        for at in 0_usize.. {
            if wanted == Some(at) {
                found = sequence.next_element()?;
                if found.is_none() {
                    break;
                }
            } else if sequence.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(json: &str, path: &str) -> String {
        serde_json::to_string(&value("reply.get", json, path).unwrap()).unwrap()
    }

    #[test]
    fn whole_numbers_that_a_float_cannot_hold_become_texts() {
        for (json, wanted) in [
            ("9007199254740991", "9007199254740991"),
            ("-9007199254740991", "-9007199254740991"),
            ("9007199254740992", "\"9007199254740992\""),
            ("-9007199254740992", "\"-9007199254740992\""),
            ("18446744073709551615", "\"18446744073709551615\""),
            ("0", "0"),
            ("15e-1", "1.5"),
            ("0.12345678901234567890", "0.12345678901234568"),
            (r#""9007199254740992""#, r#""9007199254740992""#),
            (
                r#"{"a\"9007199254740992":[12345678901234567890123,"\\",1]}"#,
                r#"{"a\"9007199254740992":["12345678901234567890123","\\",1]}"#,
            ),
        ] {
            assert_eq!(found(json, ""), wanted, "{json}");
        }
    }

    #[test]
    fn paths_lead_into_results() {
        let json = r#"{"blocks":[{"hash":"0x1","n":null},{"hash":"0x2"}]}"#;
        assert_eq!(found(json, "blocks.1.hash"), r#""0x2""#);
        assert_eq!(found(json, "blocks.#.hash"), r#"["0x1","0x2"]"#);
        for path in ["blocks.2", "blocks.0.n", "blocks.x", "blocks.0.hash.0"] {
            assert!(value("x", json, path).unwrap().is_nil(), "{path}");
        }
        assert_eq!(
            value("reply.get", json, "a.#(b").unwrap_err().message,
            "reply.get: the path \"a.#(b\" cannot be read: the query `#(b` is not closed"
        );
    }

    #[test]
    fn a_result_nested_too_deeply_is_an_error_and_its_text_is_not() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let error = value("reply.result", &deep, "").unwrap_err().message;
        assert!(
            error.starts_with("reply.result: the result cannot be built: recursion"),
            "{error}"
        );
        assert_eq!(raw("reply.raw", &deep, "").unwrap(), Some(deep.as_str()));
        assert_eq!(raw("reply.raw", &deep, "0.0").unwrap().map(str::len), Some(597));
    }

    #[test]
    fn texts_stay_as_they_were_written() {
        let json = r#"{"v": [1.50, {"\u0061": 123456789012345678901234567890 }], "s" : "\u00e9"}"#;
        let part = |path| raw("reply.raw", json, path).unwrap();
        assert_eq!(part(""), Some(json));
        assert_eq!(part("v.0"), Some("1.50"));
        assert_eq!(part("v.1.a"), Some("123456789012345678901234567890"));
        assert_eq!(part("s"), Some(r#""\u00e9""#));
        for path in ["v.2", "v.x", "w", "s.0", "v.0.a"] {
            assert_eq!(part(path), None, "{path}");
        }
        assert_eq!(
            raw("reply.raw", json, "v.#").unwrap_err().message,
            "reply.raw: the path \"v.#\" has an operator; a part's text is found by names and \
             indexes alone"
        );
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Large whole numbers as texts: what [`value`] must come to.
    fn exact(json: serde_json::Value) -> serde_json::Value {
        match json {
            serde_json::Value::Number(number)
                if number.as_u64().is_some_and(|n| n > EXACT)
                    || number.as_i64().is_some_and(|n| n.unsigned_abs() > EXACT) =>
            {
                number.to_string().into()
            }
            serde_json::Value::Array(items) => items.into_iter().map(exact).collect(),
            serde_json::Value::Object(members) => serde_json::Value::Object(
                members.into_iter().map(|(name, value)| (name, exact(value))).collect(),
            ),
            other => other,
        }
    }

    proptest! {
        #[test]
        fn no_document_loses_a_digit(json in json(), pretty in any::<bool>()) {
            let text = if pretty {
                serde_json::to_string_pretty(&json).unwrap()
            } else {
                json.to_string()
            };
            prop_assert_eq!(value("x", &text, "").unwrap().to_json(), exact(json));
        }
    }
}
