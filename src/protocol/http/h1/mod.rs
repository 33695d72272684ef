//! HTTP/1.1 (RFC 9112) as a client speaks it: requests are encoded, answers parsed, nothing is kept
//! per idle connection but its socket and a few words.
//!
//! [`answer`] and below know no I/O: bytes go in, events come out. [`connection`] moves the bytes.

pub(super) use self::answer::{Event, INTERIM_MAX};
pub(super) use self::connection::Connection;
pub(super) use self::head::{HEAD_BYTES_MAX, Head};
pub(in crate::protocol) use self::heads::Heads;
pub(super) use self::request::{Lines, Outgoing, OutgoingHead};

mod answer;
mod chunked;
mod connection;
#[cfg(test)]
mod differential;
mod head;
mod heads;
#[cfg(test)]
mod oracle;
mod request;
