//! One VU's HTTP client: what is asked, and what came of it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

pub use self::auth::{Auth, AwsKey, Credentials};
pub use self::client::HttpClient;
pub(super) use self::client::upgrade::Upgraded;
pub use self::coding::Coding;
pub use self::destination::Destination;
pub(super) use self::h1::Heads;
pub use self::headers::{BadHeader, Headers};
pub use self::rate::RequestRate;
pub use self::upload::Upload;

use super::{ProtocolError, Timings, Via};

mod auth;
mod body;
mod client;
mod coding;
mod deadline;
mod decode;
mod destination;
mod h1;
mod h2;
mod headers;
mod hop;
mod pool;
mod rate;
mod redirect;
mod route;
mod upload;

/// A request to send, with the redirects that may follow it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Absolute, `http` or `https`. A user and password in it become basic authentication.
    pub url: Rc<Destination>,
    /// As the author gave them; `host`, `user-agent` and `content-length` are added if missing.
    ///
    /// `content-length` is always the body's. A cookie here goes before the jar's of that name. An
    /// empty `user-agent` sends none.
    pub headers: Headers,
    /// The body; see [`Extras::upload`] for one that is not in memory.
    pub body: Bytes,
    /// Time for the request with its redirects.
    pub timeout: Duration,
    /// Most redirects followed.
    pub redirects: u32,
    /// What becomes of the answer's body.
    pub response: ResponseKind,
    /// What few requests have.
    pub extras: Option<Rc<Extras>>,
}

/// What few requests have. It is held apart, so that the many that have none of it stay small.
#[derive(Debug, Default)]
pub struct Extras {
    /// How the request proves whose it is, where a header does not say it all.
    pub auth: Option<Auth>,
    /// How its connections lead to the server, if not in the usual way.
    pub via: Option<Rc<Via>>,
    /// A body that is not in memory, in the place of [`Request::body`].
    pub upload: Option<Rc<Upload>>,
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
    /// The hop's URL, without user and password.
    pub url: Rc<Destination>,
    /// `HTTP/1.1` or `HTTP/2.0`; empty without an answer.
    pub proto: &'static str,
    /// `None` without an answer. There may be one with an error: of the body, say.
    pub status: Option<StatusCode>,
    /// `tls1.3`; empty without TLS.
    pub tls_version: &'static str,
    /// Who answered, or was asked.
    pub remote_address: Option<SocketAddr>,
    /// Its time. What was cut off or timed out has the time that it had.
    pub timings: Timings,
    /// What went wrong. A 4xx or 5xx status is no error here.
    pub error: Option<ProtocolError>,
    /// Whether the answer is a challenge that the next hop answers: a 401 that was asked for.
    pub challenge: bool,
}

/// What came of a request: the last hop with its head and body.
#[derive(Debug)]
pub struct Response {
    /// The last hop.
    pub exchange: Exchange,
    /// `OK`; empty without an answer.
    pub status_text: Cow<'static, str>,
    /// The answer's headers, multi-valued ones kept apart.
    pub headers: Headers,
    /// Decoded; empty if discarded.
    pub body: Bytes,
    /// What the last hop sent.
    pub sent: Sent,
    /// What the author should know though nothing failed: redirects not followed.
    pub warning: Option<String>,
}

/// What a hop sent, for scripts that look at their request.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// All headers, with those the client added.
    pub headers: Headers,
    /// The body; empty if it was not in memory.
    pub body: Bytes,
}
