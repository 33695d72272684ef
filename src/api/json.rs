//! The module `json`: documents to values and back, and single values out of documents.

use std::rc::Rc;

use serde::de::{DeserializeSeed, IgnoredAny};

use super::json_path::Path;
use super::{ApiError, Args, Constant, Function, Module, Run, Value, VuContext};

/// The module.
pub(super) const MODULE: Module = Module {
    name: "json",
    functions: &[
        Function { name: "encode", params: &["value", "options?"], run: Run::Now(encode) },
        Function { name: "decode", params: &["text"], run: Run::Now(decode) },
        Function { name: "get", params: &["text", "path"], run: Run::Now(get) },
        Function { name: "valid", params: &["text"], run: Run::Now(valid) },
    ],
    constants: &[Constant { name: "null", value: || Value::Null }],
};

/// Deepest nesting that is written, the same as what is read back.
const DEPTH_MAX: usize = 127;

/// Characters of a document that an error shows.
const SNIPPET: usize = 60;

/// Characters before the place of an error that it shows.
const SNIPPET_BEFORE: usize = 30;

/// Returns what a path leads to in a document (`items.0.id`), the whole document for an empty
/// path, and `Nil` for what is null or not there. Only what the path leads to is built.
///
/// # Errors
/// If the bytes are no JSON, or the path cannot be read.
pub(super) fn extract(bytes: &[u8], path: &str) -> Result<Value, ApiError> {
    extract_from("the body", bytes, path)
}

/// The same, with another word for the bytes in errors.
///
/// # Errors
/// As with [`extract`].
pub(super) fn extract_from(what: &str, bytes: &[u8], path: &str) -> Result<Value, ApiError> {
    let parsed = Path::parse(path)
        .map_err(|error| ApiError::usage(format!("the path \"{path}\" cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = parsed.walk().deserialize(&mut reader);
    match found.and_then(|found| reader.end().map(|()| found)) {
        Ok(None | Some(Value::Null)) => Ok(Value::Nil),
        Ok(Some(value)) => Ok(value),
        Err(error) => Err(no_json(what, text, &error)),
    }
}

/// Returns a value as a document.
///
/// # Errors
/// If it has no form in JSON; `place` says where that was asked for.
pub(super) fn document(place: &str, value: &Value) -> Result<String, ApiError> {
    writable(value).map_err(|problem| ApiError::usage(format!("{place}: {problem}")))?;
    serde_json::to_string(value).map_err(|error| ApiError::usage(format!("{place}: {error}")))
}

fn encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let value = args.take(0);
    let pretty = args.fields(1, &["pretty"])?.bool("pretty")?.unwrap_or(false);
    if !pretty {
        return document(&args.call, &value).map(Value::from);
    }
    writable(&value).map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))?;
    let text = serde_json::to_string_pretty(&value);
    text.map(Value::from).map_err(|error| ApiError::usage(format!("{}: {error}", args.call)))
}

/// Checks that a value can be written as JSON.
///
/// # Errors
/// If it holds something without a form in JSON; the text says what, and where.
pub(super) fn writable(value: &Value) -> Result<(), String> {
    check(value, &mut Vec::new())
}

/// Checks that a value can be written as JSON; `place` leads to it.
fn check(value: &Value, place: &mut Vec<String>) -> Result<(), String> {
    let problem = match value {
        _ if place.len() > DEPTH_MAX => {
            return Err(format!("tables are nested more than {DEPTH_MAX} deep"));
        }
        Value::Number(number) if !number.is_finite() => format!("{number} has no form in JSON"),
        Value::Bytes(bytes) if std::str::from_utf8(bytes).is_err() => {
            "bytes that are no UTF-8 have no form in JSON; encode them, with base64 for one".into()
        }
        Value::Object(object) => format!("{} has no form in JSON", object.type_name()),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                place.push(index.to_string());
                check(item, place)?;
                place.pop();
            }
            return Ok(());
        }
        Value::Map(map) => {
            for (name, member) in map.iter() {
                place.push(name.to_owned());
                check(member, place)?;
                place.pop();
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    Err(if place.is_empty() { problem } else { format!("{problem} (at {})", place.join(".")) })
}

fn decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    serde_json::from_str(text)
        .map_err(|error| no_json(&format!("{}: the text", args.call), text, &error))
}

fn get(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let path = args.text(1)?;
    extract_from("the text", &bytes, &path.to_str())
        .map_err(|error| ApiError::usage(format!("{}: {}", args.call, error.message)))
}

fn valid(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let valid = std::str::from_utf8(&bytes)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    Ok(valid.into())
}

/// Returns the error of a text that is no JSON, with the place and what stands there.
fn no_json(what: &str, text: &str, error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    let full = error.to_string();
    let problem = full.split(" at line ").next().unwrap_or(&full).to_owned();
    let there = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    // Columns count bytes; snippets count characters.
    let at = String::from_utf8_lossy(&there.as_bytes()[..column.min(there.len())]).chars().count();
    let skipped = at.saturating_sub(SNIPPET_BEFORE);
    let mut rest = there.chars().skip(skipped);
    let shown: String =
        rest.by_ref().take(SNIPPET).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let before = if skipped > 0 { "…" } else { "" };
    let after = if rest.next().is_some() { "…" } else { "" };
    ApiError::usage(format!(
        "{what} is no JSON (line {line}, column {column}: {problem}): \"{before}{shown}{after}\""
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{call, map, message, vu};
    use super::*;

    fn run(name: &str, values: Vec<Value>) -> Result<Value, ApiError> {
        call(&vu(1), &MODULE, name, values)
    }

    #[test]
    fn empty_arrays_objects_and_nulls_survive_a_round_trip() {
        let text = r#"{"a":[],"o":{},"n":null,"big":9007199254740993,"min":-9223372036854775808,"f":0.1,"s":"é\n"}"#;
        let value = run("decode", vec![text.into()]).unwrap();
        assert_eq!(run("encode", vec![value]).unwrap(), text.into());
        assert_eq!(run("decode", vec!["null".into()]).unwrap(), Value::Null);
        assert_eq!((MODULE.constants[0].value)(), Value::Null);
    }

    #[test]
    fn whole_numbers_beyond_64_bits_become_floats() {
        let value = run("decode", vec!["[18446744073709551615]".into()]).unwrap();
        assert_eq!(value, Value::List(vec![Value::Number(18_446_744_073_709_551_615.0)]));
    }

    #[test]
    fn pretty_text_is_indented_by_two() {
        let options = map([("pretty", true.into())]);
        let text = run("encode", vec![map([("a", Value::Int(1))]), options]).unwrap();
        assert_eq!(text, "{\n  \"a\": 1\n}".into());
    }

    #[test]
    fn values_without_a_form_in_json_are_named_with_their_place() {
        let value = map([("items", Value::List(vec![Value::Nil, Value::Number(f64::NAN)]))]);
        assert_eq!(
            message(run("encode", vec![value])),
            "json.encode: NaN has no form in JSON (at items.1)"
        );
        assert_eq!(
            message(run("encode", vec![Value::Bytes(vec![0xff].into())])),
            "json.encode: bytes that are no UTF-8 have no form in JSON; encode them, with base64 for one"
        );
        let deep = (0..200).fold(Value::Nil, |inner, _| Value::List(vec![inner]));
        assert_eq!(
            message(run("encode", vec![deep])),
            "json.encode: tables are nested more than 127 deep"
        );
    }

    #[test]
    fn what_is_written_deepest_can_be_read_back() {
        let deep = (0..DEPTH_MAX).fold(Value::Bool(true), |inner, _| Value::List(vec![inner]));
        let text = run("encode", vec![deep.clone()]).unwrap();
        assert_eq!(run("decode", vec![text]).unwrap(), deep);
    }

    #[test]
    fn errors_show_line_column_and_what_stands_there() {
        assert_eq!(
            message(run("decode", vec!["{\n  \"a\": x\n}".into()])),
            "json.decode: the text is no JSON (line 2, column 8: expected value): \"  \"a\": x\""
        );
        let long = format!("[{}x]", "1,".repeat(100));
        let text = message(run("decode", vec![long.into()]));
        let shown = format!("\"…{},x]\"", ",1".repeat(14));
        assert!(text.ends_with(&shown), "{text}");
        let deep = "[".repeat(100_000);
        let text = message(run("decode", vec![deep.into()]));
        assert!(text.contains("recursion limit exceeded"), "{text}");
    }

    #[test]
    fn a_body_that_is_no_json_says_so() {
        let body = format!("<html>{}", "x".repeat(100));
        assert_eq!(
            extract(body.as_bytes(), "a").unwrap_err().message,
            format!(
                "the body is no JSON (line 1, column 1: expected value): \"<html>{}…\"",
                "x".repeat(54)
            )
        );
        assert_eq!(
            extract(b"", "a").unwrap_err().message,
            "the body is no JSON (line 1, column 0: EOF while parsing a value): \"\""
        );
        assert!(extract(b"{\"a\":1} x", "a").unwrap_err().message.contains("trailing characters"));
        assert!(extract(b"{\"a\":1, ", "a").unwrap_err().message.contains("EOF"));
    }

    #[test]
    fn extraction_gives_nothing_for_null_and_for_what_is_missing() {
        let body = br#"{"items":[{"id":7,"tags":[null]}],"none":null}"#;
        assert_eq!(extract(body, "items.0.id").unwrap(), Value::Int(7));
        assert_eq!(extract(body, "items.0.tags").unwrap(), Value::List(vec![Value::Null]));
        for path in ["none", "nope", "items.1.id"] {
            assert!(matches!(extract(body, path).unwrap(), Value::Nil), "{path}");
        }
        assert!(matches!(extract(b"null", "").unwrap(), Value::Nil));
        assert_eq!(extract(b"[1]", "").unwrap(), Value::List(vec![Value::Int(1)]));
        assert_eq!(extract("\u{feff}[1]".as_bytes(), "0").unwrap(), Value::Int(1));
        assert_eq!(extract(b"[\"\xff\"]", "0").unwrap(), "\u{fffd}".into());
        assert_eq!(
            extract(body, "items.#(id").unwrap_err().message,
            "the path \"items.#(id\" cannot be read: the query `#(id` is not closed"
        );
    }

    #[test]
    fn get_and_valid_read_texts() {
        let text = || Value::from(r#"{"a":{"b":[1,2]}}"#);
        assert_eq!(run("get", vec![text(), "a.b.1".into()]).unwrap(), Value::Int(2));
        assert_eq!(run("valid", vec![text()]).unwrap(), true.into());
        assert_eq!(run("valid", vec!["{'a':1}".into()]).unwrap(), false.into());
        assert_eq!(
            message(run("get", vec!["x".into(), "a".into()])),
            "json.get: the text is no JSON (line 1, column 1: expected value): \"x\""
        );
        assert_eq!(
            message(run("get", vec![text()])),
            "json.get: argument 2 (path) must be a string, got nothing"
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), path in ".{0,20}") {
            let _ = extract(&bytes, &path);
        }

        #[test]
        fn extraction_agrees_with_the_whole_document(names in proptest::collection::vec("[a-c]", 1..5), n in any::<i64>()) {
            let document = names.iter().rev().fold(n.to_string(), |inner, name| {
                format!("{{\"x\":[{{\"a\":0}}],\"{name}\":{inner}}}")
            });
            prop_assert_eq!(extract(document.as_bytes(), &names.join(".")).unwrap(), Value::Int(n));
        }
    }
}
