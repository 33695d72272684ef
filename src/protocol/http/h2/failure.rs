//! What an error of HTTP/2 means: k6's kinds, and whether the request may be sent again.

use h2::Reason;

use super::line::Line;
use crate::protocol::{ErrorKind, ProtocolError};

/// Why a request failed.
#[derive(Debug)]
pub(in crate::protocol::http) struct Failure {
    pub(in crate::protocol::http) error: ProtocolError,
    /// Whether the server surely did nothing about the request (RFC 9113, 8.7).
    pub(in crate::protocol::http) unprocessed: bool,
}

impl Failure {
    /// Returns whether the connection ended of itself, as an idle one may at any time.
    pub(in crate::protocol::http) fn is_end_of_connection(&self) -> bool {
        matches!(
            self.error.kind,
            ErrorKind::ClosedEarly | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        )
    }

    /// Says what an error of a stream means; `begun` if the head of the answer had come.
    pub(super) fn of(error: &h2::Error, line: &Line, begun: bool) -> Self {
        let reason = error.reason().unwrap_or(Reason::NO_ERROR);
        // The server names the last stream that it looked at: h2 ends those behind it so.
        if error.is_go_away() && error.is_remote() {
            return Self::with(error, ErrorKind::Http2GoAway(reason.into()), reason, true);
        }
        if error.is_go_away() && line.log().is_foreign() {
            return ProtocolError::from(ErrorKind::Http2).with_detail(error.to_string()).into();
        }
        if error.is_go_away() {
            return Self::with(error, ErrorKind::Http2Connection(reason.into()), reason, false);
        }
        if error.is_reset() {
            let refused = reason == Reason::REFUSED_STREAM && error.is_remote();
            return Self::with(error, ErrorKind::Http2Stream(reason.into()), reason, refused);
        }
        if error.is_io() {
            return Self::broken(error, line, begun);
        }
        ProtocolError::from(ErrorKind::Other).with_detail(error.to_string()).into()
    }

    /// Says what the end of the connection means.
    fn broken(error: &h2::Error, line: &Line, begun: bool) -> Self {
        if let Some(reason) = line.farewell() {
            return Self::with(error, ErrorKind::Http2GoAway(reason.into()), reason, false);
        }
        let at_end = if begun { ErrorKind::BodyTooShort } else { ErrorKind::ClosedEarly };
        let fault = match line.fault() {
            // TLS that ends without its farewell.
            Some(fault) if fault.kind == ErrorKind::BodyTooShort => {
                Some(ProtocolError { detail: fault.detail, ..at_end.into() })
            }
            fault => fault,
        };
        fault.unwrap_or_else(|| at_end.into()).into()
    }

    fn with(cause: &h2::Error, kind: ErrorKind, reason: Reason, unprocessed: bool) -> Self {
        // Messages become tags: codes that nobody has defined must not make one each.
        let name = match u32::from(reason) {
            0..=0xd => format!("{reason:?}"),
            _ => "unknown code".to_owned(),
        };
        let message = format!("{}: {name}", kind.message());
        let error = ProtocolError::new(kind, message).with_detail(cause.to_string());
        Self { error, unprocessed }
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self { error, unprocessed: false }
    }
}
