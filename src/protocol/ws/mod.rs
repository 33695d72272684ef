//! WebSocket (RFC 6455) as a client speaks it, with compression (RFC 7692).
//!
//! [`session`] and below know no I/O: bytes go in, messages and answers come out. [`socket`] moves
//! the bytes. A socket that waits keeps nothing but its connection and a few words: what it reads
//! into, writes from and unpacks with is the worker's.

pub use self::close::{ABNORMAL, NO_CODE, REASON_BYTES_MAX, can_be_sent};
pub(super) use self::deflate::Shared;
pub use self::extension::Deflate;
pub use self::handshake::{Answered, Handshake, Opening, connect};
pub use self::socket::{Arrival, Message, Sent, Socket, Watcher};

use super::{ErrorKind, ProtocolError};

mod close;
mod deflate;
mod driver;
mod extension;
mod frame;
mod handshake;
mod reader;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod utf8;

/// What a message is, or another frame that scripts may hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// A ping, which has been answered.
    Ping,
    /// A pong.
    Pong,
}

/// How much a socket may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a message, unpacked. A larger one ends the connection (code 1009).
    pub message_bytes: usize,
    /// Most messages that wait to be received. Then nothing is read until one is.
    pub queued_messages: usize,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The peer's code; [`NO_CODE`] if it gave none, [`ABNORMAL`] if no close frame came.
    pub code: u16,
    /// The peer's reason.
    pub reason: Box<str>,
    /// Why it ended without the peer's leave.
    pub error: Option<ProtocolError>,
}

/// What a peer did that it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Violation {
    /// The code that tells it so (RFC 6455, 7.4.1).
    code: u16,
    /// Short and fixed: it becomes a tag.
    why: &'static str,
}

impl Violation {
    fn protocol(why: &'static str) -> Self {
        Self { code: 1002, why }
    }

    fn text(why: &'static str) -> Self {
        Self { code: 1007, why }
    }

    fn too_large() -> Self {
        Self { code: 1009, why: "a message is larger than max_message_size" }
    }
}

impl From<&Violation> for ProtocolError {
    fn from(violation: &Violation) -> Self {
        let kind = match violation.code {
            1009 => ErrorKind::MessageTooLarge,
            _ => ErrorKind::InvalidFrame,
        };
        Self::new(kind, format!("websocket: {}", violation.why))
    }
}
