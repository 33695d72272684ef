//! What went wrong with an exchange, with k6's error codes.
//!
//! Messages are few and fixed: they become values of the tag `error`. What differs from case to
//! case (addresses, lengths, the library's own words) is in [`ProtocolError::detail`].

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use rustls::CertificateError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProtocolError {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// Short, lower case, without addresses and ports, so that it can be a tag.
    pub message: String,
    /// The cause in its own words, for logs.
    pub detail: Option<String>,
}

/// The kinds of errors; [`ErrorKind::code`] is k6's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not one of the others.
    Other,
    /// Cut off because the test or the iteration ended.
    Cut,
    /// A network error that is not TCP's.
    Network,
    /// A URL, or a redirect's target, that cannot be requested.
    InvalidUrl,
    /// The request's time was over.
    Timeout,
    /// The name could not be looked up now.
    Dns,
    /// There is no such name.
    NoSuchHost,
    /// An address that the plan forbids.
    BlockedAddress,
    /// A name that the plan forbids.
    BlockedHost,
    /// A TCP error that is not one of the others.
    Tcp,
    /// The peer had closed the connection while the request was written.
    BrokenPipe,
    /// A system error on an open connection that is not one of the others.
    UnknownSystemError,
    /// A proxy refused, or is none.
    Proxy,
    /// No connection: unreachable, or nothing left on this side to connect with.
    Dial,
    /// The peer did not answer the attempt to connect.
    DialTimeout,
    /// Nobody listens there.
    ConnectionRefused,
    /// A system error while connecting that is not one of the others.
    UnknownDialError,
    /// The peer reset the connection.
    ConnectionReset,
    /// TLS failed in another way.
    Tls,
    /// What answered does not speak TLS.
    NotTls,
    /// The certificate's issuer is not trusted.
    UnknownAuthority,
    /// The certificate is for another name.
    WrongName,
    /// The connection was closed before the answer's head was complete.
    ClosedEarly,
    /// The body ended before its announced length.
    BodyTooShort,
    /// The body, decoded, is larger than the plan allows.
    BodyTooLarge,
    /// The answer's head is larger than a client reads.
    HeadTooLarge,
    /// What came is not HTTP.
    InvalidAnswer,
    /// The server switched to a protocol that nobody asked for.
    UnexpectedUpgrade,
    /// The server speaks no HTTP/2, or an error of it that is not one of the others.
    Http2,
    /// The server ended the HTTP/2 connection (GOAWAY), with this error code of RFC 9113, 7.
    Http2GoAway(u32),
    /// A stream was reset (RST_STREAM), by either side, with this error code.
    Http2Stream(u32),
    /// The server broke the rules of HTTP/2, so that we ended the connection with this error code.
    Http2Connection(u32),
    /// The body cannot be decoded as its `content-encoding` says.
    Decompression,
    /// A cookie that cannot be set.
    InvalidCookie,
    /// What was answered to a WebSocket's handshake is no consent.
    BadHandshake,
    /// A frame that no WebSocket server may send.
    InvalidFrame,
    /// A WebSocket message that is larger than allowed.
    MessageTooLarge,
    /// A WebSocket's connection that ended without a close frame.
    ClosedAbnormally,
}

impl ErrorKind {
    /// Returns k6's number for it; 1000 for what k6 has no number of its own.
    pub fn code(self) -> u16 {
        match self {
            Self::Network => 1010,
            Self::InvalidUrl => 1020,
            Self::Timeout => 1050,
            Self::Dns => 1100,
            Self::NoSuchHost => 1101,
            Self::BlockedAddress => 1110,
            Self::BlockedHost => 1111,
            Self::Tcp => 1200,
            Self::BrokenPipe => 1201,
            Self::UnknownSystemError => 1202,
            Self::Dial => 1210,
            Self::DialTimeout => 1211,
            Self::ConnectionRefused => 1212,
            Self::UnknownDialError => 1213,
            Self::ConnectionReset => 1220,
            Self::Tls => 1300,
            Self::NotTls => 1301,
            Self::UnknownAuthority => 1310,
            Self::WrongName => 1311,
            Self::Http2 => 1600,
            Self::Http2GoAway(code) => 1610 + http2_offset(code),
            Self::Http2Stream(code) => 1630 + http2_offset(code),
            Self::Http2Connection(code) => 1650 + http2_offset(code),
            Self::Decompression => 1701,
            Self::Other
            | Self::Cut
            | Self::Proxy
            | Self::ClosedEarly
            | Self::BodyTooShort
            | Self::BodyTooLarge
            | Self::HeadTooLarge
            | Self::InvalidAnswer
            | Self::UnexpectedUpgrade
            | Self::InvalidCookie
            | Self::BadHandshake
            | Self::InvalidFrame
            | Self::MessageTooLarge
            | Self::ClosedAbnormally => 1000,
        }
    }

    /// Returns the message that an error of this kind has unless it says more.
    pub fn message(self) -> &'static str {
        match self {
            Self::Other => "request failed",
            Self::Cut => "cut off at the end of the test or the iteration",
            Self::Network => "network error",
            Self::InvalidUrl => "invalid url",
            Self::Timeout => "request timeout",
            Self::Dns => "host look-up failed",
            Self::NoSuchHost => "no such host",
            Self::BlockedAddress => "address is blocked",
            Self::BlockedHost => "host is blocked",
            Self::Tcp => "tcp error",
            Self::BrokenPipe => "broken pipe",
            Self::UnknownSystemError => "system error on the connection",
            Self::Proxy => "proxy failed",
            Self::Dial => "cannot connect",
            Self::DialTimeout => "connect timeout",
            Self::ConnectionRefused => "connection refused",
            Self::UnknownDialError => "system error while connecting",
            Self::ConnectionReset => "connection reset by peer",
            Self::Tls => "tls error",
            Self::NotTls => "not a TLS answer",
            Self::UnknownAuthority => "certificate signed by unknown authority",
            Self::WrongName => "certificate is not valid for this name",
            Self::ClosedEarly => "connection closed before the answer",
            Self::BodyTooShort => "body shorter than announced",
            Self::BodyTooLarge => "answer larger than body_bytes_max",
            Self::HeadTooLarge => "answer head too large",
            Self::InvalidAnswer => "not a valid HTTP answer",
            Self::UnexpectedUpgrade => "unexpected switch of protocols (101)",
            Self::Http2 => "the server does not speak HTTP/2",
            Self::Http2GoAway(_) => "http/2 connection ended by the server",
            Self::Http2Stream(_) => "http/2 stream reset",
            Self::Http2Connection(_) => "http/2 protocol broken by the server",
            Self::Decompression => "body cannot be decoded",
            Self::InvalidCookie => "invalid cookie",
            Self::BadHandshake => "bad websocket handshake",
            Self::InvalidFrame => "websocket: invalid frame",
            Self::MessageTooLarge => "websocket: message too large",
            Self::ClosedAbnormally => "websocket: connection closed without a close frame",
        }
    }
}

/// Returns where in a range of k6's numbers an error code of HTTP/2 stands: unknown ones come first.
fn http2_offset(code: u32) -> u16 {
    const HTTP_1_1_REQUIRED: u32 = 0xd;
    if code > HTTP_1_1_REQUIRED { 0 } else { 1 + code as u16 }
}

/// Returns k6's code for a status from 400 to 599 (1000 + status), nothing for others.
pub fn status_code_error(status: u16) -> Option<u16> {
    (400..600).contains(&status).then_some(1000 + status)
}

impl From<ErrorKind> for ProtocolError {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, message: kind.message().to_owned(), detail: None }
    }
}

impl ProtocolError {
    /// Returns an error with a message of its own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None }
    }

    /// Returns the error with its cause in its own words.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Classifies what a failed look-up said.
    ///
    /// The standard library keeps the resolver's code to itself: only its text tells "there is no
    /// such name" from "nobody could say".
    pub(crate) fn from_lookup(error: &io::Error) -> Self {
        const NO_SUCH_NAME: [&str; 4] = [
            "name or service not known",
            "no address associated with",
            "nodename nor servname provided",
            "name does not resolve",
        ];
        let text = error.to_string().to_ascii_lowercase();
        let unknown = NO_SUCH_NAME.iter().any(|known| text.contains(known));
        let kind = if unknown { ErrorKind::NoSuchHost } else { ErrorKind::Dns };
        Self::from(kind).with_detail(error.to_string())
    }

    /// Classifies an error of `connect`.
    pub(crate) fn from_dial(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        // Linux, macOS and the BSDs share these two numbers.
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        let (kind, message) = match error.kind() {
            Io::ConnectionRefused => (ErrorKind::ConnectionRefused, None),
            Io::ConnectionReset => (ErrorKind::ConnectionReset, None),
            Io::TimedOut => (ErrorKind::DialTimeout, None),
            Io::NetworkUnreachable => (ErrorKind::Dial, Some("network unreachable")),
            Io::HostUnreachable => (ErrorKind::Dial, Some("host unreachable")),
            Io::AddrNotAvailable | Io::AddrInUse => (ErrorKind::Dial, Some("no free local port")),
            _ => match error.raw_os_error() {
                Some(EMFILE | ENFILE) => (ErrorKind::Dial, Some("too many open files")),
                Some(_) => (ErrorKind::UnknownDialError, None),
                None => (ErrorKind::Dial, None),
            },
        };
        Self::new(kind, message.unwrap_or_else(|| kind.message())).with_detail(error.to_string())
    }

    /// Classifies an error of connecting to a Unix socket: k6 has one number for what is not TCP's.
    pub(crate) fn from_unix(error: &io::Error, path: &Path) -> Self {
        use io::ErrorKind as Io;
        let message = match error.kind() {
            Io::NotFound => "no such unix socket",
            Io::ConnectionRefused => "nobody listens on the unix socket",
            Io::PermissionDenied => "the unix socket is not ours to use",
            _ => ErrorKind::Network.message(),
        };
        let detail = format!("{}: {error}", path.display());
        Self::new(ErrorKind::Network, message).with_detail(detail)
    }

    /// Classifies an error of binding to a local address.
    pub(crate) fn from_bind(error: &io::Error, local: IpAddr) -> Self {
        let detail = format!("{local}: {error}");
        if error.kind() == io::ErrorKind::AddrNotAvailable {
            return Self::new(ErrorKind::Dial, "no such local address").with_detail(detail);
        }
        Self { detail: Some(detail), ..Self::from_dial(error) }
    }

    /// Classifies an error of the TLS handshake.
    pub(crate) fn from_handshake(error: &io::Error) -> Self {
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::from_tls(tls);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::new(ErrorKind::Tls, "connection closed in the TLS handshake")
                    .with_detail(error.to_string())
            }
            _ => Self::from_io(error),
        }
    }

    /// Classifies an error on an open connection.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::from_tls(tls);
        }
        let kind = match error.kind() {
            Io::ConnectionReset | Io::ConnectionAborted => ErrorKind::ConnectionReset,
            Io::BrokenPipe | Io::NotConnected | Io::WriteZero => ErrorKind::BrokenPipe,
            Io::UnexpectedEof => ErrorKind::BodyTooShort,
            Io::InvalidData | Io::InvalidInput => ErrorKind::InvalidAnswer,
            Io::TimedOut => ErrorKind::Tcp,
            _ if error.raw_os_error().is_some() => ErrorKind::UnknownSystemError,
            _ => ErrorKind::Network,
        };
        Self::from(kind).with_detail(error.to_string())
    }

    fn from_tls(error: &rustls::Error) -> Self {
        use CertificateError as Bad;
        let (kind, message) = match error {
            rustls::Error::InvalidMessage(_) => (ErrorKind::NotTls, None),
            rustls::Error::InvalidCertificate(bad) => match bad {
                // A bad signature is an issuer that only has the name of a trusted one.
                Bad::UnknownIssuer | Bad::BadSignature => (ErrorKind::UnknownAuthority, None),
                // webpki's word for a certificate that is its own authority.
                Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                    (ErrorKind::UnknownAuthority, None)
                }
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                    (ErrorKind::WrongName, None)
                }
                Bad::Expired | Bad::ExpiredContext { .. } => {
                    (ErrorKind::Tls, Some("certificate has expired"))
                }
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                    (ErrorKind::Tls, Some("certificate is not valid yet"))
                }
                Bad::Revoked => (ErrorKind::Tls, Some("certificate is revoked")),
                _ => (ErrorKind::Tls, Some("bad certificate")),
            },
            rustls::Error::AlertReceived(alert) => {
                return Self::new(ErrorKind::Tls, format!("tls alert: {}", words(*alert)))
                    .with_detail(error.to_string());
            }
            rustls::Error::PeerIncompatible(_) => {
                (ErrorKind::Tls, Some("no tls version or cipher in common"))
            }
            _ => (ErrorKind::Tls, None),
        };
        Self::new(kind, message.unwrap_or_else(|| kind.message())).with_detail(error.to_string())
    }
}

/// Returns an alert's name (RFC 8446, 6) in words: there are few.
fn words(alert: rustls::AlertDescription) -> String {
    let mut words = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase()
            && !words.is_empty()
            && !words.ends_with(|c: char| c.is_ascii_uppercase())
        {
            words.push(' ');
        }
        words.push(letter);
    }
    words.to_ascii_lowercase()
}

/// Returns the first error of type `E` among an error and its causes.
pub(crate) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // An `io::Error` names the source of what it wraps as its own, not what it wraps.
        next = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_k6() {
        assert_eq!(ErrorKind::Timeout.code(), 1050);
        assert_eq!(ErrorKind::ConnectionRefused.code(), 1212);
        assert_eq!(ErrorKind::WrongName.code(), 1311);
        assert_eq!(ErrorKind::ClosedEarly.code(), 1000);
        assert_eq!(ErrorKind::Http2.code(), 1600);
        let known = (0..=0xd).map(|code| (code, code as u16 + 1));
        for (code, offset) in known.chain([(0xe, 0), (u32::MAX, 0)]) {
            assert_eq!(ErrorKind::Http2GoAway(code).code(), 1610 + offset);
            assert_eq!(ErrorKind::Http2Stream(code).code(), 1630 + offset);
            assert_eq!(ErrorKind::Http2Connection(code).code(), 1650 + offset);
        }
    }

    #[test]
    fn only_client_and_server_errors_have_a_status_code() {
        assert_eq!(status_code_error(399), None);
        assert_eq!(status_code_error(404), Some(1404));
        assert_eq!(status_code_error(599), Some(1599));
        assert_eq!(status_code_error(600), None);
    }

    #[test]
    fn a_missing_name_differs_from_a_silent_resolver() {
        let say = |text: &str| {
            let text = format!("failed to lookup address information: {text}");
            ProtocolError::from_lookup(&io::Error::other(text)).kind
        };
        assert_eq!(say("Name or service not known"), ErrorKind::NoSuchHost);
        assert_eq!(say("Temporary failure in name resolution"), ErrorKind::Dns);
    }

    #[test]
    fn every_open_file_in_use_is_named() {
        let error = ProtocolError::from_dial(&io::Error::from_raw_os_error(24));
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Dial, "too many open files"));
    }

    #[test]
    fn a_tls_error_is_found_inside_an_io_error() {
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, expired);
        let error = ProtocolError::from_io(&wrapped);
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Tls, "certificate has expired")
        );
    }
}
