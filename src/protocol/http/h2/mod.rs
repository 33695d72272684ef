//! HTTP/2 (RFC 9113) as a client speaks it: requests of one VU share a connection as its streams.
//!
//! The frames, the flow control and the header compression are the crate `h2`'s, which hyper's own
//! client stands on. It is used without hyper in between, which does not say which stream a request
//! became: only with that are the times of a request those of its own frames.
//!
//! [`frames`] knows no I/O; [`wire`] gives streams their times; [`line`] is a connection and the
//! task that drives it; [`exchange`] is one request on it.

pub(super) use self::exchange::HTTP2;
pub(super) use self::failure::Failure;
pub(super) use self::line::{Lane, Line};
pub(super) use self::request::without_connection_headers;

mod exchange;
mod failure;
mod frames;
mod line;
mod request;
mod wire;
