//! How requests are made.

use std::net::SocketAddr;
use std::time::Duration;

use indexmap::IndexMap;

use super::{NetworkPlan, ProxyPlan, Statuses, TlsPlan, print};

/// How requests are made, unless a request says otherwise.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches of the options")]
pub struct HttpPlan {
    /// `User-Agent`; none if empty.
    pub user_agent: String,
    /// Most redirects followed.
    pub max_redirects: u32,
    /// Time for one request with its redirects.
    #[serde(serialize_with = "print::duration")]
    pub timeout: Duration,
    /// Whether certificates go unchecked.
    pub insecure_skip_tls_verify: bool,
    /// Where connections may lead, and how names become addresses.
    pub network: NetworkPlan,
    /// What stands between us and the target.
    pub proxy: ProxyPlan,
    /// How TLS is spoken.
    pub tls: TlsPlan,
    /// Addresses for names: `name[:port]` or `*.suffix` to an address (port 0: the URL's port).
    pub hosts: IndexMap<String, SocketAddr>,
    /// Whether each request opens a connection.
    pub no_connection_reuse: bool,
    /// Whether each iteration opens its connections anew.
    pub no_vu_connection_reuse: bool,
    /// Whether the cookie jar is kept from one iteration to the next.
    pub no_cookies_reset: bool,
    /// Whether bodies are read and dropped unless a request asks for them.
    pub discard_response_bodies: bool,
    /// Whether a failed request raises an error in the script.
    pub throw: bool,
    /// Which statuses do not fail a request.
    pub expected_statuses: Statuses,
    /// Whether requests go over HTTP/2.
    pub http2: Http2,
    /// What `--http-debug` prints.
    pub debug: HttpDebug,
    /// Most requests per second, of all VUs together.
    pub rps: Option<f64>,
    /// Parallel requests of one `batch`, in total and per host.
    pub batch: (u32, u32),
    /// Most bytes of one answer's body, decoded.
    pub body_bytes_max: u64,
    /// Most connections that one VU keeps.
    pub connections_max: usize,
}

/// Whether requests go over HTTP/2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Http2 {
    /// Over TLS where the server chooses it (ALPN); never over plain TCP.
    #[default]
    Auto,
    /// Over TLS or the request fails; over plain TCP without asking (RFC 9113, 3.3).
    Always,
    /// Not at all.
    Never,
}

/// What `--http-debug` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpDebug {
    /// Nothing.
    Off,
    /// Heads of requests and answers.
    Headers,
    /// Heads and bodies.
    Full,
}
