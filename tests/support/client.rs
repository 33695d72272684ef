//! A client as a VU has one, and the short words with which tests use it.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kingtide::plan::{Facts, Http2, HttpPlan, Options, resolve};
use kingtide::protocol::{
    Destination, ErrorKind, Headers, HttpClient, Network, Request, Response, ResponseKind,
};
use url::Url;

/// Runs a test as a worker would, and never longer than 20 s.
pub(crate) fn run(test: impl AsyncFnOnce()) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let limited = async { tokio::time::timeout(Duration::from_secs(20), test()).await };
    local.block_on(&runtime, limited).expect("the test hangs");
}

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

pub(crate) fn client_with(plan: HttpPlan) -> HttpClient {
    HttpClient::new(Network::new(&plan).expect("network"), Rc::new(plan))
}

pub(crate) fn request(method: Method, url: &str) -> Request {
    Request {
        method,
        url: Rc::new(Destination::new(Url::parse(url).expect("url"))),
        headers: Headers::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        redirects: 10,
        response: ResponseKind::Keep,
        extras: None,
    }
}

pub(crate) fn post(url: &str, body: impl Into<Bytes>) -> Request {
    Request { body: body.into(), ..request(Method::POST, url) }
}

pub(crate) async fn send(client: &HttpClient, request: Request) -> Response {
    client.send(request, None, pending(), |_| {}).await
}

pub(crate) async fn get(client: &HttpClient, url: &str) -> Response {
    send(client, request(Method::GET, url)).await
}

/// Returns the error's kind and its code.
#[track_caller]
pub(crate) fn failure(response: &Response) -> (ErrorKind, u16) {
    let kind = response.exchange.error.as_ref().expect("an error").kind;
    (kind, kind.code())
}

#[track_caller]
pub(crate) fn assert_ok(response: &Response) {
    assert_eq!(response.exchange.error, None);
    assert_eq!(response.exchange.status.expect("status"), 200);
    assert_eq!(response.exchange.proto, "HTTP/2.0");
}
