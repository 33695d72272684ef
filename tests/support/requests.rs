//! A client as a worker has it, and requests with the usual settings.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kingtide::plan::{Facts, HttpPlan, Options, resolve};
use kingtide::protocol::{
    Destination, ErrorKind, Exchange, Extras, Headers, HttpClient, Network, Request, Response,
    ResponseKind,
};
use serde_json::Value;
use url::Url;

/// An answer that any request is content with.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Runs a test as a worker would, and never longer than 20 s.
pub(crate) fn run(test: impl AsyncFnOnce()) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let limited = async { tokio::time::timeout(Duration::from_secs(20), test()).await };
    local.block_on(&runtime, limited).expect("the test hangs");
}

/// Returns the plan that options make.
pub(crate) fn plan(options: Value) -> HttpPlan {
    let options = Options::from_json(options).expect("options");
    resolve(&options, &Facts::default()).expect("a plan").http
}

/// Returns a client of a plan.
pub(crate) fn client(plan: HttpPlan) -> HttpClient {
    HttpClient::new(Network::new(&plan).expect("network"), Rc::new(plan))
}

/// Returns a request without headers and body.
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

/// Returns a GET with something that few requests have.
pub(crate) fn with(url: &str, extras: Extras) -> Request {
    Request { extras: Some(Rc::new(extras)), ..request(Method::GET, url) }
}

/// Sends a request.
pub(crate) async fn send(client: &HttpClient, request: Request) -> Response {
    client.send(request, None, pending(), |_| {}).await
}

/// Sends a request; returns besides what a function sees in each hop.
pub(crate) async fn hops<T>(
    client: &HttpClient,
    request: Request,
    see: impl Fn(&Exchange) -> T,
) -> (Response, Vec<T>) {
    let mut hops = Vec::new();
    let response = client.send(request, None, pending(), |hop| hops.push(see(hop))).await;
    (response, hops)
}

/// Sends a GET.
pub(crate) async fn get(client: &HttpClient, url: &str) -> Response {
    send(client, request(Method::GET, url)).await
}

/// Returns the kind of a response's error.
#[track_caller]
pub(crate) fn kind(response: &Response) -> ErrorKind {
    response.exchange.error.as_ref().expect("an error").kind
}

/// Asserts that a request was answered with 200.
#[track_caller]
pub(crate) fn assert_ok(response: &Response) {
    assert_eq!(response.exchange.error, None);
    assert_eq!(response.exchange.status.expect("status"), 200);
}
