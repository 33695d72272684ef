//! A request as it goes over the wire: its head encoded, its body where it lies.

use std::rc::Rc;

use bytes::{Buf, Bytes};
use http::Method;

use crate::protocol::ProtocolError;
use crate::protocol::http::upload::Reader;
use crate::protocol::http::{Headers, Upload};

/// As much of a body as is copied behind its head, so that both leave in one write.
const BODY_COPIED_MAX: usize = 16 * 1024;
/// What ends a chunked body that has one chunk.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// A request to encode. Its headers say how its body is framed.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol::http) struct Outgoing<'a> {
    pub(in crate::protocol::http) method: &'a Method,
    pub(in crate::protocol::http) head: OutgoingHead<'a>,
    pub(in crate::protocol::http) body: &'a Bytes,
    /// The body, if it is not in memory.
    pub(in crate::protocol::http) upload: Option<&'a Rc<Upload>>,
    /// Whether the headers say that the body is chunked: it goes in one chunk.
    pub(in crate::protocol::http) chunked: bool,
    /// Whether the headers say that the connection ends with the answer.
    pub(in crate::protocol::http) closes: bool,
}

/// What a head has besides the method.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol::http) enum OutgoingHead<'a> {
    /// The target in origin-form (RFC 9112, 3.2.1), and the headers.
    Parts(&'a str, &'a Headers),
    /// The same, encoded before.
    Encoded(&'a Lines),
}

/// A head from its target on, as it goes over the wire.
#[derive(Debug)]
pub(in crate::protocol::http) struct Lines(Box<[u8]>);

/// What of a request has not been written, in order. Boxed, as most requests leave whole.
#[derive(Debug, Default)]
pub(super) struct Unsent(Option<Box<Rest>>);

/// What follows a head.
#[derive(Debug, Default)]
struct Rest {
    /// What is left of the head, the body or the part of it that is sent, and what ends it.
    parts: [Bytes; 3],
    /// Where the body's further parts come from.
    reader: Option<Reader>,
}

impl Outgoing<'_> {
    /// Writes the head to `out`, with the body if it is small; returns what must follow.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Unsent {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        match self.head {
            OutgoingHead::Parts(target, headers) => encode(out, target, headers),
            OutgoingHead::Encoded(Lines(lines)) => out.extend_from_slice(lines),
        }
        let length = self.upload.map_or(self.body.len() as u64, |upload| upload.length());
        if length == 0 {
            return Unsent::default();
        }
        let end = if self.chunked { LAST_CHUNK } else { b"" };
        if self.chunked {
            out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        }
        if self.upload.is_some() || self.body.len() > BODY_COPIED_MAX {
            let body = if self.upload.is_some() { Bytes::new() } else { self.body.clone() };
            let parts = [Bytes::new(), body, Bytes::from_static(end)];
            return Unsent(Some(Box::new(Rest { parts, reader: self.upload.map(Reader::new) })));
        }
        out.extend_from_slice(self.body);
        out.extend_from_slice(end);
        Unsent::default()
    }
}

impl Lines {
    /// Encodes a head.
    pub(in crate::protocol::http) fn of(target: &str, headers: &Headers) -> Self {
        let mut lines = Vec::new();
        encode(&mut lines, target, headers);
        Self(lines.into())
    }
}

fn encode(out: &mut Vec<u8>, target: &str, headers: &Headers) {
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

impl Unsent {
    /// Returns the next bytes to write; nothing if all are written.
    ///
    /// # Errors
    ///
    /// The body cannot be read any more.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ProtocolError> {
        let Some(rest) = &mut self.0 else { return Ok(None) };
        let [head, body, _] = &mut rest.parts;
        if head.is_empty()
            && body.is_empty()
            && let Some(reader) = &mut rest.reader
        {
            *body = reader.next()?.unwrap_or_default();
        }
        Ok(rest.parts.iter().find(|part| !part.is_empty()).map(|part| &**part))
    }

    /// Returns whether all is written.
    pub(super) fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(|rest| {
            let read = rest.reader.as_ref().is_none_or(Reader::is_done);
            read && rest.parts.iter().all(Bytes::is_empty)
        })
    }

    /// Notes that bytes of [`Self::next`] were written.
    pub(super) fn advance(&mut self, bytes: usize) {
        let mut parts = self.0.iter_mut().flat_map(|rest| &mut rest.parts);
        if let Some(part) = parts.find(|part| !part.is_empty()) {
            part.advance(bytes);
        }
    }

    /// Puts back what was encoded and not taken.
    pub(super) fn put_back(&mut self, encoded: &[u8]) {
        self.0.get_or_insert_default().parts[0] = Bytes::copy_from_slice(encoded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(method: &Method, lines: &[(&str, &str)], body: &[u8], chunked: bool) -> Vec<u8> {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.append(name, value.as_bytes()).expect("valid");
        }
        let body = Bytes::copy_from_slice(body);
        let request = Outgoing {
            method,
            head: OutgoingHead::Parts("/a?b", &headers),
            body: &body,
            upload: None,
            chunked,
            closes: false,
        };
        let mut all = Vec::new();
        let mut unsent = request.encode(&mut all);
        let encoded = Lines::of("/a?b", &headers);
        let mut again = Vec::new();
        Outgoing { head: OutgoingHead::Encoded(&encoded), ..request }.encode(&mut again);
        assert_eq!(again, all);
        while let Some(next) = unsent.next().expect("memory") {
            let some = next.len().min(7_000);
            all.extend_from_slice(&next[..some]);
            unsent.advance(some);
        }
        assert!(unsent.is_done());
        all
    }

    #[test]
    fn a_request_is_its_line_its_headers_and_its_body() {
        let lines = [("host", "x"), ("a", "1"), ("a", "2")];
        let head = "POST /a?b HTTP/1.1\r\nhost: x\r\na: 1\r\na: 2\r\n\r\n";
        assert_eq!(
            encoded(&Method::POST, &lines, b"body", false),
            format!("{head}body").as_bytes()
        );
        let chunked = encoded(&Method::POST, &lines, b"0123456789abcdef", true);
        assert_eq!(chunked, format!("{head}10\r\n0123456789abcdef\r\n0\r\n\r\n").as_bytes());
        assert_eq!(encoded(&Method::GET, &[], b"", true), b"GET /a?b HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn a_large_body_follows_its_head_without_being_copied() {
        let body = vec![b'x'; BODY_COPIED_MAX + 1];
        for chunked in [false, true] {
            let all = encoded(&Method::PUT, &[], &body, chunked);
            let head = if chunked {
                "PUT /a?b HTTP/1.1\r\n\r\n4001\r\n"
            } else {
                "PUT /a?b HTTP/1.1\r\n\r\n"
            };
            let end = if chunked { LAST_CHUNK } else { b"" };
            assert_eq!(all, [head.as_bytes(), &body, end].concat());
        }
    }

    #[test]
    fn a_body_that_is_not_in_memory_is_framed_like_any_other() {
        let mut upload = Upload::default();
        upload.add_bytes("0123");
        upload.add_bytes(vec![b'x'; 40_000]);
        let upload = Rc::new(upload);
        for chunked in [false, true] {
            let headers = Headers::new();
            let request = Outgoing {
                method: &Method::PUT,
                head: OutgoingHead::Parts("/", &headers),
                body: &Bytes::new(),
                upload: Some(&upload),
                chunked,
                closes: false,
            };
            let mut all = Vec::new();
            let mut unsent = request.encode(&mut all);
            unsent.put_back(b"");
            while let Some(next) = unsent.next().expect("memory") {
                let some = next.len().min(7_000);
                all.extend_from_slice(&next[..some]);
                assert!(!unsent.is_done());
                unsent.advance(some);
            }
            assert!(unsent.is_done());
            let (length, end) = if chunked { ("9c44\r\n", LAST_CHUNK) } else { ("", &b""[..]) };
            let head = format!("PUT / HTTP/1.1\r\n\r\n{length}0123");
            assert_eq!(all, [head.as_bytes(), &vec![b'x'; 40_000], end].concat());
        }
    }
}
