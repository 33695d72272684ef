//! Protocol clients: one VU's connections, and every phase of a request's time.
//!
//! Nothing here knows of VUs or metrics: a client returns what happened with its timings.

pub use self::connect::Via;
pub use self::cookie::{Cookie, CookieAttributes, CookieJar};
pub use self::error::{ErrorKind, ProtocolError, status_code_error};
pub use self::http::{
    Auth, AwsKey, BadHeader, Coding, Credentials, Destination, Exchange, Extras, Headers,
    HttpClient, Request, RequestRate, Response, ResponseKind, Sent, Upload,
};
pub use self::network::Network;
pub use self::proxy::Detour;
pub use self::timing::Timings;
pub use self::tls::{TlsProfile, TlsSettings};

mod connect;
mod cookie;
mod dns;
mod error;
mod hosts;
pub mod http;
mod io;
mod network;
mod proxy;
pub mod rpc;
#[cfg(test)]
mod testing;
mod timing;
mod tls;
pub mod ws;

use crate::plan::HttpPlan;

/// Checks what of a plan only the network can judge: certificates, keys, names of ciphers.
///
/// # Errors
///
/// The option at fault, and why.
pub fn check(plan: &HttpPlan) -> Result<(), ProtocolError> {
    Network::new(plan).map(drop)
}
