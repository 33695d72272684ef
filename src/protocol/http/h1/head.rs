//! The head of an answer: its status line, its header lines, and what they say about its body.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use http::{Method, StatusCode};
use httparse::{Error, Header, ParserConfig, Response, Status};

use crate::protocol::http::Headers;
use crate::protocol::{ErrorKind, ProtocolError};

/// The largest head that is read.
pub(in crate::protocol::http) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// More lines than any head has.
const LINES_MAX: usize = 100;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol::http) struct Head {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub(in crate::protocol::http) proto: &'static str,
    pub(in crate::protocol::http) status: StatusCode,
    pub(in crate::protocol::http) status_text: Cow<'static, str>,
    pub(in crate::protocol::http) headers: Headers,
}

/// What a head's lines say of the body and the connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    length: Length,
    coding: Coding,
    close: bool,
    keep_alive: bool,
}

/// What `content-length` says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Length {
    #[default]
    Nothing,
    Bytes(u64),
    Nonsense,
}

/// What `transfer-encoding` says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Coding {
    #[default]
    Nothing,
    Chunked,
    Other,
}

/// Where a body ends (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What was asked, as far as it decides whether there is a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Head,
    Connect,
    Other,
}

impl Asked {
    pub(super) fn by(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The head is not there in full.
    Partial,
    /// A 1xx head but 101: another one follows.
    Interim,
    /// The head of the answer.
    Final(Head, Said),
}

/// Parses the head at the beginning of `bytes` and returns how long it is.
///
/// # Errors
///
/// What stands there can become no head.
pub(super) fn parse(bytes: &[u8]) -> Result<(usize, Parsed), ProtocolError> {
    let mut lines = [const { MaybeUninit::<Header<'_>>::uninit() }; LINES_MAX];
    let mut answer = Response::new(&mut []);
    let config = ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut answer, bytes, &mut lines) {
        Ok(Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok((0, Parsed::Partial)),
        Ok(_) | Err(Error::TooManyHeaders) => return Err(ErrorKind::HeadTooLarge.into()),
        Err(error) => return Err(invalid(&error.to_string())),
    };
    if has_bare_line_feed(&bytes[..length]) {
        return Err(invalid("a line of the head ends without a carriage return"));
    }
    let code = answer.code.unwrap_or_default();
    let status = StatusCode::from_u16(code).map_err(|_| invalid("the status is below 100"))?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok((length, Parsed::Interim));
    }
    let said = Said::of(answer.headers);
    let head = Head {
        proto: if answer.version == Some(0) { "HTTP/1.0" } else { "HTTP/1.1" },
        status,
        status_text: status_text(status, answer.reason.unwrap_or_default()),
        headers: Headers::of(answer.headers.iter().map(|line| (line.name.as_bytes(), line.value))),
    };
    Ok((length, Parsed::Final(head, said)))
}

pub(super) fn invalid(why: &str) -> ProtocolError {
    ProtocolError::from(ErrorKind::InvalidAnswer).with_detail(why)
}

fn status_text(status: StatusCode, reason: &str) -> Cow<'static, str> {
    match status.canonical_reason() {
        Some(known) if known == reason => Cow::Borrowed(known),
        _ => Cow::Owned(reason.to_owned()),
    }
}

/// A line feed of its own ends a line for some and not for others (RFC 9112, 2.2 leaves it open):
/// what two readers read differently is how answers are smuggled.
fn has_bare_line_feed(head: &[u8]) -> bool {
    // Without an early end the compiler looks at sixteen bytes at a time.
    let bare = |pair: &[u8]| u8::from(pair[1] == b'\n') & u8::from(pair[0] != b'\r');
    let found = head.windows(2).fold(0, |found, pair| found | bare(pair));
    found != 0 || head.first() == Some(&b'\n')
}

impl Said {
    fn of(lines: &[Header<'_>]) -> Self {
        let mut said = Self::default();
        for line in lines {
            // Their lengths tell most lines apart without a look at their letters.
            match line.name.len() {
                10 if line.name.eq_ignore_ascii_case("connection") => said.connection(line.value),
                14 if line.name.eq_ignore_ascii_case("content-length") => {
                    said.content_length(line.value);
                }
                17 if line.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let chunked = line.value.eq_ignore_ascii_case(b"chunked");
                    said.coding = match said.coding {
                        Coding::Nothing if chunked => Coding::Chunked,
                        _ => Coding::Other,
                    };
                }
                _ => {}
            }
        }
        said
    }

    fn connection(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        // A list of equal numbers is one number (RFC 9112, 6.3, rule 5).
        for number in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.length = match (self.length, decimal(number)) {
                (Length::Nothing, Some(number)) => Length::Bytes(number),
                (Length::Bytes(known), Some(number)) if known == number => self.length,
                _ => Length::Nonsense,
            };
        }
    }

    /// Returns where the body of the answer ends.
    ///
    /// # Errors
    ///
    /// Two readers could see two ends.
    pub(super) fn framing(self, asked: Asked, head: &Head) -> Result<Framing, ProtocolError> {
        let tunnel = asked == Asked::Connect && head.status.is_success();
        if asked == Asked::Head || tunnel || matches!(head.status.as_u16(), 101 | 204 | 304) {
            return Ok(Framing::Nothing);
        }
        match (self.coding, self.length) {
            (Coding::Chunked, Length::Nothing) if head.proto == "HTTP/1.1" => Ok(Framing::Chunked),
            (Coding::Chunked, Length::Nothing) => Err(invalid("HTTP/1.0 has no transfer-encoding")),
            (Coding::Chunked, _) => Err(invalid("both transfer-encoding and content-length")),
            // Nothing but `chunked` was asked for, and nothing else could be undone.
            (Coding::Other, _) => Err(invalid("a transfer-encoding other than chunked")),
            (Coding::Nothing, Length::Bytes(bytes)) => Ok(Framing::Length(bytes)),
            (Coding::Nothing, Length::Nonsense) => Err(invalid("content-length is no one number")),
            (Coding::Nothing, Length::Nothing) => Ok(Framing::UntilClose),
        }
    }

    /// Returns whether the connection may serve another request (RFC 9112, 9.3).
    pub(super) fn keeps_alive(self, head: &Head) -> bool {
        !self.close && (head.proto == "HTTP/1.1" || self.keep_alive)
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(method: &str, head: &str) -> Result<(Framing, bool), ErrorKind> {
        let text = format!("HTTP/1.1 {head}\r\n\r\n").replace("HTTP/1.1 HTTP", "HTTP");
        match parse(text.as_bytes()).map_err(|error| error.kind)? {
            (length, Parsed::Final(head, said)) => {
                assert_eq!(length, text.len());
                let method = Method::from_bytes(method.as_bytes()).expect("method");
                let framing =
                    said.framing(Asked::by(&method), &head).map_err(|error| error.kind)?;
                Ok((framing, said.keeps_alive(&head)))
            }
            other => panic!("{other:?} for {text:?}"),
        }
    }

    #[test]
    fn bodies_end_where_rfc_9112_says() {
        let chunked = "200 OK\r\nTransfer-Encoding: Chunked";
        for (method, head, expected) in [
            ("GET", "200 OK\r\nContent-Length: 5", Framing::Length(5)),
            ("GET", "200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 05", Framing::Length(5)),
            ("GET", chunked, Framing::Chunked),
            ("GET", "200 OK", Framing::UntilClose),
            ("HEAD", chunked, Framing::Nothing),
            ("HEAD", "200 OK\r\nContent-Length: x", Framing::Nothing),
            ("CONNECT", "200 OK\r\nContent-Length: 5", Framing::Nothing),
            ("CONNECT", "404 No\r\nContent-Length: 5", Framing::Length(5)),
            ("GET", "204 No Content\r\nContent-Length: 5", Framing::Nothing),
            ("GET", "304 Not Modified\r\nTransfer-Encoding: chunked", Framing::Nothing),
            ("GET", "101 Switching Protocols", Framing::Nothing),
        ] {
            assert_eq!(framing(method, head).map(|f| f.0), Ok(expected), "{method} {head}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for head in [
            "200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
            "200 OK\r\nContent-Length: 5, 6",
            "200 OK\r\nContent-Length: +5",
            "200 OK\r\nContent-Length: 5,",
            "200 OK\r\nContent-Length:",
            "200 OK\r\nContent-Length: 18446744073709551616",
            "200 OK\r\nTransfer-Encoding: gzip, chunked",
            "200 OK\r\nTransfer-Encoding: chunked, gzip",
            "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "200 OK\r\nTransfer-Encoding: \x0bchunked",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            "200 OK\r\nA : b",
            "200 OK\r\n A: b",
            "200 OK\r\nA: b\r\n c",
            "200 OK\r\nA: b\rc",
            "200 OK\r\nA: b\nC: d",
            "200 OK\nA: b",
            "200 OK\r\nA: b\0c",
            "200 OK\r\nA\0: b",
            "200 OK\r\n: b",
            "200 O\0K",
            "099 Low",
            "20 OK",
            "2000 OK",
            "HTTP/2.0 200 OK",
            "http/1.1 200 OK",
        ] {
            assert_eq!(framing("GET", head), Err(ErrorKind::InvalidAnswer), "{head:?}");
        }
    }

    #[test]
    fn connections_are_kept_as_version_and_tokens_say() {
        for (head, expected) in [
            ("200 OK", true),
            ("200 OK\r\nConnection: x, Close", false),
            ("200 OK\r\nConnection: close\r\nConnection: keep-alive", false),
            ("HTTP/1.0 200 OK", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive", true),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive, close", false),
        ] {
            assert_eq!(framing("GET", head).map(|f| f.1), Ok(expected), "{head:?}");
        }
    }

    #[test]
    fn heads_have_their_texts_and_their_lines() {
        let bytes = b"HTTP/1.0 404 Nicht da\r\nX: 1\r\nx:  2 \r\nE:\r\n\r\nbody";
        let (length, parsed) = parse(bytes).expect("a head");
        let Parsed::Final(head, _) = parsed else { panic!("{parsed:?}") };
        assert_eq!(
            (&bytes[length..], head.proto, head.status.as_u16()),
            (&b"body"[..], "HTTP/1.0", 404)
        );
        assert_eq!(head.status_text, "Nicht da");
        let lines: Vec<(&str, &[u8])> = head.headers.iter().collect();
        assert_eq!(lines, [("x", &b"1"[..]), ("x", b"2"), ("e", b"")]);
        assert_eq!(parse(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"), Ok((31, Parsed::Interim)));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), Ok((0, Parsed::Partial)));
        let known = parse(b"HTTP/1.1 200\r\n\r\n").expect("without a reason");
        assert!(matches!(known.1, Parsed::Final(head, _) if head.status_text.is_empty()));
    }

    #[test]
    fn heads_have_limits() {
        let lines = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(matches!(parse(lines(LINES_MAX).as_bytes()), Ok((_, Parsed::Final(..)))));
        let kind = |bytes: &[u8]| parse(bytes).expect_err("too much").kind;
        assert_eq!(kind(lines(LINES_MAX + 1).as_bytes()), ErrorKind::HeadTooLarge);
        let filler = |size: usize| format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(size));
        let most = HEAD_BYTES_MAX - filler(0).len() - 4;
        let whole = |size: usize| filler(size) + "\r\n\r\n";
        assert!(matches!(parse(whole(most).as_bytes()), Ok((HEAD_BYTES_MAX, Parsed::Final(..)))));
        assert_eq!(kind(whole(most + 1).as_bytes()), ErrorKind::HeadTooLarge);
        assert_eq!(kind(filler(most + 4).as_bytes()), ErrorKind::HeadTooLarge);
    }
}
