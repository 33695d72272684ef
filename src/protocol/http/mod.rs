//! One VU's HTTP client.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::{CookieJar, Network, ProtocolError, Timings};
use crate::plan::HttpPlan;

/// A request to send, with the redirects that may follow it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: Url,
    /// As the author gave them; `host`, `user-agent`, `content-length`, `accept-encoding`? are added if missing.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Time for the request with its redirects.
    pub timeout: Duration,
    /// Most redirects followed.
    pub redirects: u32,
    /// What becomes of the answer's body.
    pub response: ResponseKind,
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// Read, decoded and kept.
    Keep,
    /// Read and dropped.
    Discard,
}

/// One hop: a request that was sent, or tried, and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// The hop's method (redirects may change it).
    pub method: Method,
    /// The hop's URL.
    pub url: Url,
    /// `HTTP/1.1`; empty without an answer.
    pub proto: &'static str,
    /// `None` without an answer.
    pub status: Option<StatusCode>,
    /// `tls1.3`; empty without TLS.
    pub tls_version: &'static str,
    /// Who answered.
    pub remote_address: Option<SocketAddr>,
    /// Its time. What was cut off or timed out has the time that it had.
    pub timings: Timings,
    /// What went wrong. A 4xx or 5xx status is no error here.
    pub error: Option<ProtocolError>,
}

/// What came of a request: the last hop with its head and body.
#[derive(Debug)]
pub struct Response {
    /// The last hop.
    pub exchange: Exchange,
    /// `OK`; empty without an answer.
    pub status_text: String,
    /// The answer's headers, multi-valued ones kept apart.
    pub headers: HeaderMap,
    /// Decoded; empty if discarded.
    pub body: Bytes,
    /// What the last hop sent.
    pub sent: Sent,
}

/// What a hop sent, for scripts that look at their request.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// All headers, with those the client added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// One VU's HTTP client: its own keep-alive connections.
#[derive(Debug)]
pub struct HttpClient {}

impl HttpClient {
    /// Returns a client without connections.
    pub fn new(_network: Rc<Network>, _plan: Rc<HttpPlan>) -> Self {
        Self {}
    }

    /// Sends a request and follows its redirects. Never fails: what went wrong is in the answer.
    ///
    /// `observe` sees each hop when it ends, the last one too. When `cut` resolves, the hop ends at
    /// once with [`super::ErrorKind::Cut`] and the time that it had. Dropping the future closes the
    /// connection.
    pub async fn send(
        &self,
        _request: Request,
        _jar: Option<&std::cell::RefCell<CookieJar>>,
        _cut: impl Future<Output = ()>,
        _observe: impl FnMut(&Exchange),
    ) -> Response {
        unimplemented!()
    }

    /// Closes idle connections (`no_vu_connection_reuse`, end of the VU).
    pub fn close_idle(&self) {
        unimplemented!()
    }

    /// Returns bytes sent and received on the sockets, TLS records included, since the last call.
    pub fn take_bytes(&self) -> (u64, u64) {
        unimplemented!()
    }
}
