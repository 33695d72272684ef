//! What the tests of HTTP/2 say in short besides `requests`.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kingtide::plan::{Facts, Http2, HttpPlan, Options, resolve};
use kingtide::protocol::{ErrorKind, Request, Response};

use crate::requests;

/// Returns a plan that speaks HTTP/2 in this way.
pub(crate) fn plan(http2: Http2) -> HttpPlan {
    let plan = resolve(&Options::default(), &Facts::default()).expect("nothing is set");
    HttpPlan {
        user_agent: "kingtide".to_owned(),
        timeout: Duration::from_secs(10),
        http2,
        body_bytes_max: 16 << 20,
        connections_max: 10,
        ..plan.http
    }
}

/// Returns a POST.
pub(crate) fn post(url: &str, body: impl Into<Bytes>) -> Request {
    Request { body: body.into(), ..requests::request(Method::POST, url) }
}

/// Returns the error's kind and its code.
#[track_caller]
pub(crate) fn failure(response: &Response) -> (ErrorKind, u16) {
    let kind = response.exchange.error.as_ref().expect("an error").kind;
    (kind, kind.code())
}

/// Asserts that a request was answered with 200 over HTTP/2.
#[track_caller]
pub(crate) fn assert_ok(response: &Response) {
    requests::assert_ok(response);
    assert_eq!(response.exchange.proto, "HTTP/2.0");
}
