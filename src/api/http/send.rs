//! Sends one call, records its hops, and makes its response.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;

use super::Call;
use super::params::{Kind, Params};
use super::response::Answered;
use super::seen::RequestSeen;
use super::url::Place;
use crate::api::{ApiError, ErrorKind, Event, LogLevel, Phase, Value, VuContext};
use crate::metrics::{RequestSample, RequestTimings, TagSetId};
use crate::plan::{HttpDebug, Statuses};
use crate::protocol::{
    self, Coding, CookieJar, Exchange, Headers, Request, Response, ResponseKind,
};

/// What is to be made of a call's answer.
pub(super) struct Wanted {
    kind: Kind,
    throw: bool,
    expected: Rc<Statuses>,
    tags: TagSetId,
    /// The row it belongs to, if the author names it.
    name: Option<String>,
    pub(super) jar: Rc<RefCell<CookieJar>>,
}

/// Sends a call and returns its response, whatever came of it.
///
/// # Errors
/// If the request failed and the author asked for errors with `throw`.
pub(super) async fn send(vu: Rc<VuContext>, call: Call) -> Result<Value, ApiError> {
    let (request, wanted) = match prepare(&vu, call) {
        Ok(prepared) => prepared,
        Err(done) => return *done,
    };
    let observe = |exchange: &Exchange| record(&vu, &wanted, exchange);
    let stopped = vu.interrupt.stopped();
    let response = vu.http.send(request, Some(&*wanted.jar), stopped, observe).await;
    answered(&vu, &wanted, response)
}

/// Makes a request of a call. It is not inlined, nor does it wait: what lives here is not part of the
/// future, which is moved as a whole.
///
/// # Errors
/// If there is nothing to send; it is then what the call answers.
pub(super) fn prepare(
    vu: &Rc<VuContext>,
    call: Call,
) -> Result<(Request, Wanted), Box<Result<Value, ApiError>>> {
    let Call { method, address, body, params } = call;
    let params = params.map_or_else(Params::default, |params| *params);
    let plan = &vu.worker.http;
    let kind = if plan.discard_response_bodies { Kind::None } else { Kind::Text };
    let wanted = Wanted {
        kind: params.response.unwrap_or(kind),
        throw: params.throw.unwrap_or(plan.throw),
        expected: params.expected.unwrap_or_else(|| Rc::clone(&vu.expected.borrow())),
        tags: vu.tag_set_with(&params.tags),
        name: params.name.or(address.name),
        jar: params.jar.map_or_else(|| Rc::clone(&vu.cookies), |jar| Rc::clone(&jar.0)),
    };
    let url = match address.place {
        Place::Known(destination) => destination,
        Place::Nowhere(nowhere) => {
            let answered = Answered::invalid_url(method, nowhere);
            record_invalid(vu, &wanted, &answered);
            return Err(Box::new(thrown(wanted.throw, answered)));
        }
    };
    let mut headers = params.headers;
    if let Some(content_type) = body.content_type
        && !headers.contains("content-type")
    {
        // One that no head can hold is as good as none.
        let _left_out = headers.append("content-type", content_type.as_bytes());
    }
    if !params.cookies.is_empty() {
        add_cookies(&mut headers, params.cookies, &wanted.jar.borrow(), &url)
            .map_err(|error| Box::new(Err(error)))?;
    }
    let (bytes, upload) = (body.bytes, body.upload);
    let bytes = if params.compression.is_empty() {
        bytes
    } else {
        compress(vu, &params.compression, bytes, &mut headers)
    };
    let request = Request {
        method,
        url,
        headers,
        body: bytes,
        timeout: params.timeout.unwrap_or(plan.timeout),
        redirects: params.redirects.unwrap_or(plan.max_redirects),
        response: match wanted.kind {
            Kind::None => ResponseKind::Discard,
            Kind::Text | Kind::Binary => ResponseKind::Keep,
        },
        extras: params.way.into_extras(upload).map(Rc::new),
    };
    Ok((request, wanted))
}

/// Packs a body and says so in the headers. What the author says there stays, as in k6.
fn compress(vu: &VuContext, codings: &[Coding], body: Bytes, headers: &mut Headers) -> Bytes {
    if body.is_empty() {
        return body;
    }
    let names: Vec<&str> = codings.iter().map(|coding| coding.name()).collect();
    let names = names.join(", ");
    match headers.get("content-encoding") {
        None => {
            // Names of codings can stand in a head.
            let _infallible = headers.append("content-encoding", names.as_bytes());
        }
        Some(own) if own != names.as_bytes() => {
            let own = String::from_utf8_lossy(own);
            let message = format!(
                "the body is sent in \"{names}\" (`compression`), but the header content-encoding \
                 says \"{own}\""
            );
            vu.log(LogLevel::Warn, message);
        }
        Some(_) => {}
    }
    codings.iter().fold(body, |body, coding| coding.pack(&body))
}

/// Makes what the call answers of the client's response.
fn answered(vu: &VuContext, wanted: &Wanted, response: Response) -> Result<Value, ApiError> {
    let expected = conclude(vu, wanted, &response);
    thrown(wanted.throw, Answered::new(response, wanted.kind, expected))
}

/// Shows what is to be shown of a response, and returns whether it is as expected.
pub(super) fn conclude(vu: &VuContext, wanted: &Wanted, response: &Response) -> bool {
    let debugging = vu.worker.http.debug;
    if debugging != HttpDebug::Off {
        debug(vu, response, debugging);
    }
    if let Some(warning) = &response.warning {
        vu.log(LogLevel::Warn, warning.clone());
    }
    response.exchange.error.is_none()
        && response.exchange.status.is_some_and(|status| wanted.expected.has(status.as_u16()))
}

/// Puts the call's own cookies into its headers. The client adds those of the jar whose names are not
/// among them; so a cookie that does not replace the jar's of its name brings that along.
pub(super) fn add_cookies(
    headers: &mut Headers,
    cookies: Vec<(String, String, bool)>,
    jar: &CookieJar,
    url: &url::Url,
) -> Result<(), ApiError> {
    let kept = if jar.is_empty() { Vec::new() } else { jar.cookies_for(url) };
    let mut pairs: Vec<String> = Vec::new();
    for (name, value, replace) in cookies {
        if !replace {
            let same = kept.iter().filter(|(known, _)| *known == name);
            pairs.extend(same.map(|(name, value)| format!("{name}={value}")));
        }
        pairs.push(format!("{name}={value}"));
    }
    headers
        .insert("cookie", pairs.join("; ").as_bytes())
        .map_err(|_| ApiError::usage("params: `cookies` have a character that headers cannot hold"))
}

/// Raises a failed request as an error if the author asked for it.
fn thrown(throw: bool, answered: Answered) -> Result<Value, ApiError> {
    match answered.failure() {
        Some(error) if throw => Err(ApiError::new(ErrorKind::Request, error)),
        _ => Ok(Value::object(answered)),
    }
}

/// Records one hop.
pub(super) fn record(vu: &VuContext, wanted: &Wanted, exchange: &Exchange) {
    let name = wanted.name.as_deref().unwrap_or_else(|| exchange.url.name());
    let status = exchange.status.map_or(0, |status| status.as_u16());
    let (error, error_code, cut) = match &exchange.error {
        Some(error) => {
            (error.message.as_str(), error.kind.code(), error.kind == protocol::ErrorKind::Cut)
        }
        // A challenge that is answered is no error.
        None if exchange.challenge => ("", 0, false),
        None => ("", protocol::status_code_error(status).unwrap_or(0), false),
    };
    let expected = exchange.challenge || wanted.expected.has(status);
    let judged = exchange.error.is_none() && expected;
    let timings = &exchange.timings;
    let sample = RequestSample {
        method: exchange.method.as_str(),
        name,
        url: name,
        proto: exchange.proto,
        status,
        error,
        error_code,
        expected: (!cut).then_some(judged),
        tls_version: exchange.tls_version,
        timings: RequestTimings {
            blocked: timings.blocked,
            looking_up: timings.looking_up,
            connecting: timings.connecting,
            tls_handshaking: timings.tls_handshaking,
            sending: timings.sending,
            waiting: timings.waiting,
            receiving: timings.receiving,
        },
    };
    tell(vu, &sample);
    vu.worker.shard.borrow_mut().add_request(wanted.tags, &sample);
}

/// Shows a request where requests are shown one by one.
fn tell(vu: &VuContext, sample: &RequestSample<'_>) {
    if vu.worker.live {
        (vu.worker.events)(Event::Request(Box::new(RequestSeen::of(sample))));
    }
}

/// Records a request that could not even be addressed: it failed, in no time.
fn record_invalid(vu: &VuContext, wanted: &Wanted, answered: &Answered) {
    let name = wanted.name.as_deref().unwrap_or(answered.url.as_str());
    let sample = RequestSample {
        method: answered.method.as_str(),
        name,
        url: name,
        proto: "",
        status: 0,
        error: "invalid URL",
        error_code: answered.error_code,
        expected: Some(false),
        tls_version: "",
        timings: RequestTimings::default(),
    };
    tell(vu, &sample);
    vu.worker.shard.borrow_mut().add_request(wanted.tags, &sample);
}

/// Sends what `--http-debug` shows on its way.
pub(super) fn debug(vu: &VuContext, response: &Response, mode: HttpDebug) {
    use std::fmt::Write as _;
    let exchange = &response.exchange;
    let mut text = format!("> {} {}\n", exchange.method, exchange.url.as_str());
    let head = |text: &mut String, mark: char, headers: &Headers| {
        for (name, value) in headers {
            let _infallible = writeln!(text, "{mark} {name}: {}", String::from_utf8_lossy(value));
        }
    };
    let body = |text: &mut String, body: &[u8]| {
        if mode == HttpDebug::Full && !body.is_empty() {
            text.push_str(&String::from_utf8_lossy(body));
            text.push('\n');
        }
    };
    head(&mut text, '>', &response.sent.headers);
    body(&mut text, &response.sent.body);
    match (&exchange.error, exchange.status) {
        (Some(error), _) => {
            let _infallible = writeln!(text, "< error {}: {error}", error.kind.code());
        }
        (None, status) => {
            let status = status.map_or(0, |status| status.as_u16());
            let took = exchange.timings.duration().as_secs_f64() * 1e3;
            let _infallible = writeln!(text, "< {} {status} in {took:.2} ms", exchange.proto);
            head(&mut text, '<', &response.headers);
            body(&mut text, &response.body);
        }
    }
    let who = vu.scenario.borrow().as_ref().map_or(String::new(), |s| format!(" of {}", s.name));
    let who = match vu.phase.get() {
        Phase::Setup => "set-up\n".to_owned(),
        Phase::Teardown => "tear-down\n".to_owned(),
        _ => format!("VU {}{who}, iteration {}\n", vu.id, vu.iteration.in_vu.get()),
    };
    text.insert_str(0, &who);
    (vu.worker.events)(Event::Debug(text));
}
