//! Protocol clients: one VU's connections, and every phase of a request's time.
//!
//! Nothing here knows of VUs or metrics: a client returns what happened with its timings.

pub use self::cookie::CookieJar;
pub use self::error::{ErrorKind, ProtocolError};
pub use self::http::{Exchange, HttpClient, Request, Response, ResponseKind, Sent};
pub use self::network::Network;
pub use self::timing::Timings;

mod cookie;
mod error;
pub mod http;
mod network;
mod timing;
