//! What stands in URLs: components and queries.

use std::fmt::Write as _;
use std::rc::Rc;

use url::form_urlencoded;

use super::decoded;
use super::hex::digit;
use crate::api::args::tag;
use crate::api::{ApiError, Args, Map, Value, VuContext};

pub(super) fn url_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let mut text = String::with_capacity(bytes.len());
    for &byte in &bytes {
        // RFC 3986, 2.3: the unreserved characters; all others could mean something in a URL.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Ok(text.into())
}

pub(super) fn url_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let binary = args.fields(1, &["binary"])?.bool("binary")?.unwrap_or(false);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = &text[..];
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let worth = match tail {
            [high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        let (high, low) = worth.ok_or_else(|| {
            ApiError::usage(format!(
                "{}: `%` at {} has no two hex digits after it",
                args.call,
                text.len() - tail.len()
            ))
        })?;
        bytes.push(high << 4 | low);
        rest = &tail[2..];
    }
    Ok(decoded(bytes, binary))
}

pub(super) fn query_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let map = match args.take(0) {
        Value::Map(map) => map,
        Value::List(list) if list.is_empty() => Map::new(),
        other => return Err(args.wrong(0, "a table of parameters", &other)),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in map.iter() {
        match value {
            Value::Nil | Value::Null => {}
            Value::List(items) => {
                for item in items {
                    query.append_pair(name, &parameter(&args.call, name, item)?);
                }
            }
            value => {
                query.append_pair(name, &parameter(&args.call, name, value)?);
            }
        }
    }
    Ok(query.finish().into())
}

fn parameter(call: &str, name: &str, value: &Value) -> Result<String, ApiError> {
    tag(call, name, value).map_err(|_| {
        ApiError::usage(format!(
            "{call}: parameter `{name}` must be a string, a number, a boolean or an array of \
             these, got {}",
            value.type_name()
        ))
    })
}

pub(super) fn query_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let text = text.strip_prefix(b"?").unwrap_or(&text);
    let mut map: Vec<(String, Value)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text) {
        let value = Value::from(&*value);
        match map.iter_mut().find(|(known, _)| *known == name) {
            None => map.push((name.into_owned(), value)),
            Some((_, Value::List(values))) => values.push(value),
            Some((_, first)) => *first = Value::List(vec![std::mem::take(first), value]),
        }
    }
    Ok(Value::Map(map.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{run, text};
    use crate::api::Value;
    use crate::api::fixture::{map, message};

    #[test]
    fn url_components_escape_all_that_could_mean_something() {
        assert_eq!(text("url_encode", vec!["a b&c=ü/~".into()]), "a%20b%26c%3D%C3%BC%2F~");
        assert_eq!(text("url_decode", vec!["a%20b%26c+%C3%BC".into()]), "a b&c+ü");
        assert_eq!(
            message(run("url_decode", vec!["100%".into()])),
            "encoding.url_decode: `%` at 4 has no two hex digits after it"
        );
    }

    #[test]
    fn queries_keep_order_and_repeat_names_for_arrays() {
        let parameters = map([
            ("q", "a b".into()),
            ("tag", Value::List(vec!["x".into(), Value::Int(2)])),
            ("none", Value::Nil),
            ("on", true.into()),
        ]);
        let coded = "q=a+b&tag=x&tag=2&on=true";
        assert_eq!(text("query_encode", vec![parameters]), coded);
        assert_eq!(
            run("query_decode", vec![format!("?{coded}").into()]).unwrap(),
            map([
                ("q", "a b".into()),
                ("tag", Value::List(vec!["x".into(), "2".into()])),
                ("on", "true".into()),
            ])
        );
        assert_eq!(
            message(run("query_encode", vec![map([("a", map([]))])])),
            "encoding.query_encode: parameter `a` must be a string, a number, a boolean or an \
             array of these, got a table"
        );
    }
}
