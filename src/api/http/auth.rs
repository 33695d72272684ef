//! The param `auth`: a header that can be written at once, or what proves itself on the way.

use std::borrow::Cow;
use std::rc::Rc;

use base64::Engine as _;

use crate::api::{ApiError, Fields, Map, Value};
use crate::protocol::{Auth, AwsKey, Credentials, Headers};

/// What `auth` may be, for messages.
const WANTED: &str = "{ basic = { user, password } }, { digest = { user, password } }, \
                      { bearer = token } or { aws = { ... } }";
/// The names of `auth.aws`, as AWS's own tools have them.
pub(in crate::api) const AWS_NAMES: &[&str] =
    &["access_key_id", "secret_access_key", "session_token", "region", "service"];

/// Reads `auth = { basic = { user, password } }` (RFC 7617), `{ bearer = token }` (RFC 6750),
/// `{ digest = { user, password } }` (RFC 7616) or `{ aws = { access_key_id, secret_access_key, region,
/// service, session_token? } }`. What is a header goes into `headers`.
pub(super) fn read(fields: &mut Fields, headers: &mut Headers) -> Result<Option<Auth>, ApiError> {
    let mut map = match fields.take("auth") {
        Value::Nil | Value::Null => return Ok(None),
        Value::Map(map) => map,
        other => return Err(fields.wrong("auth", WANTED, &other)),
    };
    if map.len() == 1
        && let Some(Value::Map(key)) = map.take("aws")
    {
        return aws(format!("{}: auth.aws", fields.place), key).map(Some);
    }
    let line = match map.iter().next() {
        Some((scheme @ ("basic" | "digest"), pair)) if map.len() == 1 => {
            let Some(pair) = credentials(pair) else {
                return Err(fields.wrong(&format!("auth.{scheme}"), "{ user, password }", pair));
            };
            if scheme == "digest" {
                return Ok(Some(Auth::Digest(pair)));
            }
            basic(&pair)
        }
        Some(("bearer", Value::Text(token))) if map.len() == 1 => {
            format!("Bearer {}", token.to_str())
        }
        _ => return Err(fields.wrong("auth", WANTED, &Value::Map(Map::new()))),
    };
    headers.insert("authorization", line.as_bytes()).map_err(|_| {
        ApiError::usage(format!(
            "{}: `auth` has a character that headers cannot hold",
            fields.place
        ))
    })?;
    Ok(None)
}

fn aws(place: String, key: Map) -> Result<Auth, ApiError> {
    let mut fields = Fields::new(place, key, AWS_NAMES)?;
    let text = |fields: &mut Fields, name: &str| {
        let text = fields.text(name)?.map(|text| text.to_str().into_owned());
        Ok::<_, ApiError>(text.filter(|text| !text.is_empty()))
    };
    let needed = |fields: &mut Fields, name: &str| {
        let missing = format!("{}: `{name}` is missing", fields.place);
        text(fields, name)?.ok_or_else(|| ApiError::usage(missing))
    };
    Ok(Auth::Aws(Rc::new(AwsKey {
        access_key_id: needed(&mut fields, "access_key_id")?,
        secret_access_key: needed(&mut fields, "secret_access_key")?,
        region: needed(&mut fields, "region")?,
        service: needed(&mut fields, "service")?,
        session_token: text(&mut fields, "session_token")?,
    })))
}

fn basic(pair: &Credentials) -> String {
    let pair = format!("{}:{}", pair.user, pair.password);
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
}

/// Reads `{ user, password }` or `{ user = ..., password = ... }`.
fn credentials(value: &Value) -> Option<Credentials> {
    let (user, password) = match value {
        Value::List(pair) if pair.len() == 2 => (pair.first(), pair.get(1)),
        Value::Map(pair) if pair.iter().all(|(key, _)| matches!(key, "user" | "password")) => {
            (pair.get("user"), pair.get("password"))
        }
        _ => return None,
    };
    let text = |value: &Value| value.as_text().map(Cow::into_owned);
    let password = match password {
        None => String::new(),
        Some(password) => text(password)?,
    };
    Some(Credentials { user: text(user?)?, password })
}
