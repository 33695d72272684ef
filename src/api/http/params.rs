//! The named arguments of a request.

use std::rc::Rc;
use std::time::Duration;

use super::cookies::Jar;
use super::expect;
use super::session::Session;
use super::way::Way;
use crate::api::{ApiError, Fields, Map, Value, VuContext};
use crate::plan::Statuses;
use crate::protocol::{BadHeader, Coding, Headers};

/// The names of a request's `params`.
pub(in crate::api) const NAMES: &[&str] = &[
    "headers",
    "cookies",
    "jar",
    "tags",
    "name",
    "timeout",
    "redirects",
    "auth",
    "tls",
    "proxy",
    "socket",
    "compression",
    "response",
    "expected",
    "throw",
];

/// The named arguments of a request.
#[derive(Default)]
pub(super) struct Params {
    pub(super) headers: Headers,
    /// Name, value, and whether it replaces a cookie of the jar.
    pub(super) cookies: Vec<(String, String, bool)>,
    pub(super) jar: Option<Rc<Jar>>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) name: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: Option<u32>,
    pub(super) response: Option<Kind>,
    pub(super) expected: Option<Rc<Statuses>>,
    pub(super) throw: Option<bool>,
    /// How it reaches its server and proves whose it is.
    pub(super) way: Way,
    /// The codings of the body, in the order in which they are applied.
    pub(super) compression: Vec<Coding>,
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    None,
}

impl Params {
    /// Reads named arguments over a session's defaults.
    pub(super) fn read(
        vu: &Rc<VuContext>,
        fields: &mut Fields,
        session: Option<&Session>,
    ) -> Result<Self, ApiError> {
        let mut params = Self::default();
        if let Some(session) = session {
            params.headers = session.headers.clone();
            params.tags.clone_from(&session.tags);
            params.timeout = session.timeout;
            params.way = session.way.clone();
        }
        if fields.is_empty() {
            return Ok(params);
        }
        if let Some(headers) = fields.map("headers")? {
            read_headers(&fields.place, &headers, &mut params.headers)?;
        }
        if let Some(cookies) = fields.map("cookies")? {
            params.cookies = read_cookies(fields, cookies)?;
        }
        params.jar = match fields.take("jar") {
            Value::Nil | Value::Null => None,
            value => {
                let jar = value.as_object::<Jar>();
                Some(jar.ok_or_else(|| fields.wrong("jar", "a cookie jar", &value))?)
            }
        };
        for (name, value) in fields.tags("tags")? {
            params.tags.retain(|(known, _)| *known != name);
            params.tags.push((name, value));
        }
        params.name = fields.text("name")?.map(|text| text.to_str().into_owned());
        if let Some(at) = params.tags.iter().position(|(name, _)| name == "name") {
            // k6's suites name requests by the tag.
            let (_, name) = params.tags.remove(at);
            params.name.get_or_insert(name);
        }
        params.timeout = fields.duration("timeout")?.or(params.timeout);
        params.redirects = fields.count("redirects")?.map(|count| count.min(1_000) as u32);
        params.way.read(vu, fields, &mut params.headers)?;
        params.compression = read_compression(fields)?;
        params.response = match fields.text("response")? {
            None => None,
            Some(text) => Some(match &*text.to_str() {
                "text" => Kind::Text,
                "binary" => Kind::Binary,
                "none" => Kind::None,
                other => {
                    return Err(ApiError::usage(format!(
                        "{}: `response` must be \"text\", \"binary\" or \"none\", not \"{other}\"",
                        fields.place
                    )));
                }
            }),
        };
        params.expected = match fields.take("expected") {
            Value::Nil | Value::Null => None,
            value => Some(expect::read(&fields.place, &value)?),
        };
        params.throw = fields.bool("throw")?;
        Ok(params)
    }
}

/// Reads `compression`: names with commas between them, as in `"gzip, br"`.
fn read_compression(fields: &mut Fields) -> Result<Vec<Coding>, ApiError> {
    let Some(text) = fields.text("compression")? else { return Ok(Vec::new()) };
    let text = text.to_str();
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let codings = names.map(|name| {
        Coding::of(name).ok_or_else(|| {
            ApiError::usage(format!(
                "{}: `compression`: \"{name}\" is none of gzip, deflate, br and zstd",
                fields.place
            ))
        })
    });
    codings.collect()
}

/// Reads headers into a map, replacing those of the same name; a list gives several values.
pub(super) fn read_headers(place: &str, headers: &Map, into: &mut Headers) -> Result<(), ApiError> {
    for (name, value) in headers.iter() {
        into.remove(name);
        let values = match value {
            Value::List(list) => list.as_slice(),
            other => std::slice::from_ref(other),
        };
        for value in values {
            let text = crate::api::args::tag(place, name, value)?;
            into.append(name, text.as_bytes()).map_err(|error| {
                ApiError::usage(match error {
                    BadHeader::Name => format!("{place}: headers: \"{name}\" is no header name"),
                    BadHeader::Value => format!(
                        "{place}: headers: the value of `{name}` has a character that headers \
                         cannot hold"
                    ),
                })
            })?;
        }
    }
    Ok(())
}

fn read_cookies(fields: &Fields, cookies: Map) -> Result<Vec<(String, String, bool)>, ApiError> {
    let mut read = Vec::new();
    for (name, value) in cookies {
        let (value, replace) = match value {
            Value::Map(mut map) => {
                let replace = map.take("replace").is_some_and(|replace| replace.is_truthy());
                (map.take("value").unwrap_or_default(), replace)
            }
            other => (other, false),
        };
        let value = crate::api::args::tag(&fields.place, &name, &value)?;
        read.push((name.into(), value, replace));
    }
    Ok(read)
}
