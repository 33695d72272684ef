//! Protocol clients: one VU's connections, and every phase of a request's time.
//!
//! Nothing here knows of VUs or metrics: a client returns what happened with its timings.

pub use self::cookie::{Cookie, CookieAttributes, CookieJar};
pub use self::error::{ErrorKind, ProtocolError, status_code_error};
pub use self::http::{
    BadHeader, Destination, Exchange, Headers, HttpClient, Request, Response, ResponseKind, Sent,
};
pub use self::network::Network;
pub use self::timing::Timings;

mod connect;
mod cookie;
mod error;
mod hosts;
pub mod http;
mod io;
mod network;
pub mod rpc;
#[cfg(test)]
mod testing;
mod timing;
mod tls;
