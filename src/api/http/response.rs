//! A response as scripts see it. Its body becomes a script's string only when the script asks.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::Bytes;
use http::Method as HttpMethod;

use super::params::Kind;
use super::url::{Nowhere, Place};
use crate::api::html::Document;
use crate::api::{Answer, ApiError, Args, Map, Method, Object, Shared, Text, Value, VuContext};
use crate::protocol::{self, Headers as HeaderLines, Response, Timings};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "json", params: &["path?"], waits: false },
    Method { name: "html", params: &["selector?"], waits: false },
    Method { name: "submit_form", params: &["options?"], waits: true },
    Method { name: "click_link", params: &["options?"], waits: true },
];

pub(in crate::api) const HEADERS_METHODS: &[Method] =
    &[Method { name: "all", params: &["name"], waits: false }];

pub(in crate::api) const FIELDS: &[&str] = &[
    "status",
    "status_text",
    "ok",
    "proto",
    "url",
    "headers",
    "cookies",
    "body",
    "timings",
    "error",
    "error_code",
    "remote_address",
    "remote_ip",
    "remote_port",
    "tls_version",
    "request",
];

/// What came of a request, for the script.
pub(super) struct Answered {
    pub(super) method: HttpMethod,
    pub(super) url: Place,
    pub(super) error_code: u16,
    status: u16,
    status_text: std::borrow::Cow<'static, str>,
    ok: bool,
    proto: &'static str,
    headers: HeaderLines,
    body: Bytes,
    kind: Kind,
    timings: Timings,
    error: Option<String>,
    remote: Option<std::net::SocketAddr>,
    tls_version: &'static str,
    sent_headers: HeaderLines,
    sent_body: Bytes,
    /// Its body as HTML, once that was asked for.
    pub(super) document: OnceCell<Rc<Document>>,
}

impl Answered {
    /// Takes over what the client returned.
    pub(super) fn new(response: Response, kind: Kind, ok: bool) -> Self {
        let exchange = response.exchange;
        let status = exchange.status.map_or(0, |status| status.as_u16());
        let error_code = match &exchange.error {
            Some(error) => error.kind.code(),
            None => protocol::status_code_error(status).unwrap_or(0),
        };
        // An answer that broke off is no answer: k6 gives status 0 with every error too.
        let status = if exchange.error.is_some() { 0 } else { status };
        Self {
            method: exchange.method,
            url: Place::Known(exchange.url),
            error_code,
            status,
            status_text: response.status_text,
            ok,
            proto: exchange.proto,
            headers: response.headers,
            body: response.body,
            kind,
            timings: exchange.timings,
            error: exchange.error.map(|error| error.message),
            remote: exchange.remote_address,
            tls_version: exchange.tls_version,
            sent_headers: response.sent.headers,
            sent_body: response.sent.body,
            document: OnceCell::new(),
        }
    }

    /// Returns the response to a request that has no possible URL.
    pub(super) fn invalid_url(method: HttpMethod, nowhere: Rc<Nowhere>) -> Self {
        Self {
            method,
            error: Some(nowhere.why.clone()),
            url: Place::Nowhere(nowhere),
            error_code: protocol::ErrorKind::InvalidUrl.code(),
            status: 0,
            status_text: "".into(),
            ok: false,
            proto: "",
            headers: HeaderLines::new(),
            body: Bytes::new(),
            kind: Kind::Text,
            timings: Timings::default(),
            remote: None,
            tls_version: "",
            sent_headers: HeaderLines::new(),
            sent_body: Bytes::new(),
            document: OnceCell::new(),
        }
    }

    /// Returns what went wrong as one sentence, if anything did.
    pub(super) fn failure(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(format!("{} {}: {error}", self.method, self.url.as_str()))
    }

    fn body(&self) -> Value {
        match self.kind {
            Kind::Text => Value::Text(Text::from_bytes(self.body.clone())),
            Kind::Binary => Value::Bytes(self.body.clone()),
            Kind::None => Value::Nil,
        }
    }

    /// Returns the body to be read as something; `place` begins messages.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn read_body(&self, place: &str) -> Result<&Bytes, ApiError> {
        if self.kind == Kind::None {
            return Err(ApiError::usage(format!(
                "{place}: the body was dropped; ask for it with {{ response = \"text\" }}"
            )));
        }
        match &self.error {
            Some(error) if self.body.is_empty() => Err(ApiError::usage(format!(
                "{place}: there is no body, because the request failed: {error}"
            ))),
            _ => Ok(&self.body),
        }
    }

    fn json(&self, args: &mut Args) -> Result<Value, ApiError> {
        let body = self.read_body("response.json")?;
        let path = args.optional_text(0)?;
        let path = path.as_ref().map(|path| path.to_str());
        crate::api::json::extract(body, path.as_deref().unwrap_or_default())
    }

    /// Returns cookies in k6's shape: name to a list of cookies.
    fn cookies(&self) -> Value {
        let mut cookies = Map::new();
        for cookie in protocol::Cookie::from_headers(&self.headers) {
            let mut members = Map::new();
            members.push("name", cookie.name.as_str());
            members.push("value", cookie.value);
            members.push("domain", cookie.domain);
            members.push("path", cookie.path);
            members.push("http_only", cookie.http_only);
            members.push("secure", cookie.secure);
            members.push("max_age", cookie.max_age);
            members.push("expires", cookie.expires);
            let mut list = match cookies.take(&cookie.name) {
                Some(Value::List(list)) => list,
                _ => Vec::new(),
            };
            list.push(Value::Map(members));
            cookies.push(cookie.name, Value::List(list));
        }
        Value::Map(cookies)
    }

    fn request(&self) -> Value {
        let mut request = Map::new();
        request.push("method", self.method.as_str());
        request.push("url", self.url.as_str());
        request.push("headers", Value::object(Headers(self.sent_headers.clone())));
        request.push("body", Value::Text(Text::from_bytes(self.sent_body.clone())));
        Value::Map(request)
    }
}

impl Object for Answered {
    fn type_name(&self) -> &'static str {
        "response"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        let text = |text: &str| if text.is_empty() { Value::Nil } else { text.into() };
        Ok(Some(match field {
            "status" => Value::Int(i64::from(self.status)),
            "body" => self.body(),
            "ok" => Value::Bool(self.ok),
            "headers" => Value::object(Headers(self.headers.clone())),
            "timings" => timings(&self.timings),
            "error" => self.error.as_deref().map(Value::from).into(),
            "error_code" => Value::Int(i64::from(self.error_code)),
            "status_text" => self.status_text.as_ref().into(),
            "proto" => text(self.proto),
            "url" => self.url.as_str().into(),
            "cookies" => self.cookies(),
            "remote_address" => self.remote.map(|address| address.to_string()).into(),
            "remote_ip" => self.remote.map(|address| address.ip().to_string()).into(),
            "remote_port" => self.remote.map(|address| i64::from(address.port())).into(),
            "tls_version" => text(self.tls_version),
            "request" => self.request(),
            _ => return Ok(None),
        }))
    }

    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        match method.name {
            "html" => self.html(vu, &mut args).map(Answer::Now),
            "submit_form" => self.submit_form(vu, &mut args).map(Answer::Wait),
            "click_link" => self.click_link(vu, &mut args).map(Answer::Wait),
            _ => self.json(&mut args).map(Answer::Now),
        }
    }

    fn held_bytes(&self) -> usize {
        // What belongs to every answer counts too: a script that keeps none of them makes garbage
        // of this size with each request.
        size_of::<Self>()
            + 256
            + self.url.as_str().len()
            + self.body.len()
            + self.headers.held_bytes()
    }

    fn shared(&self) -> Option<&Rc<Shared>> {
        self.document.get().map(|document| document.shared())
    }

    fn describe(&self) -> String {
        match &self.error {
            Some(error) => format!("<response: {error}>"),
            None => format!("<response {} {}>", self.status, self.url.as_str()),
        }
    }
}

/// Returns times as scripts see them.
pub(super) fn timings(timings: &Timings) -> Value {
    let ms = |duration: std::time::Duration| Value::Number(duration.as_secs_f64() * 1e3);
    let members: [(&str, Value); 9] = [
        ("blocked", ms(timings.blocked)),
        ("looking_up", ms(timings.looking_up)),
        ("connecting", ms(timings.connecting)),
        ("tls_handshaking", ms(timings.tls_handshaking)),
        ("sending", ms(timings.sending)),
        ("waiting", ms(timings.waiting)),
        ("receiving", ms(timings.receiving)),
        ("duration", ms(timings.duration())),
        ("total", ms(timings.total())),
    ];
    Value::Map(members.into_iter().collect())
}

/// Headers by name in any case; several of one name are joined by `, ` or kept apart by `all`.
pub(super) struct Headers(pub(super) HeaderLines);

impl Headers {
    fn joined(&self, name: &str) -> Option<Value> {
        let mut values = self.0.all(name);
        let first = String::from_utf8_lossy(values.next()?).into_owned();
        let joined = values
            .fold(first, |joined, value| format!("{joined}, {}", String::from_utf8_lossy(value)));
        Some(joined.into())
    }
}

impl Object for Headers {
    fn type_name(&self) -> &'static str {
        "headers"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(self.joined(field).unwrap_or_default()))
    }

    fn methods(&self) -> &'static [Method] {
        HEADERS_METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        _: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let name = args.text(0)?;
        let name = name.to_str();
        let values = self.0.all(&name);
        let values = values.map(|value| String::from_utf8_lossy(value).as_ref().into());
        Ok(Answer::Now(Value::List(values.collect())))
    }

    fn entries(&self, _: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        for (name, _) in &self.0 {
            if !entries.iter().any(|(known, _)| known == name) {
                entries.push((name.to_owned(), self.joined(name)?));
            }
        }
        Some(entries)
    }
}
