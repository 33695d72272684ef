//! hyper's HTTP/1.1 client as an oracle for tests: what it makes of the same bytes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::rt;

/// An answer as a client saw it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) proto: &'static str,
    pub(super) status: u16,
    pub(super) status_text: String,
    /// Each name's values in their order: the order of names is hyper's own affair.
    pub(super) headers: BTreeMap<String, Vec<Vec<u8>>>,
    pub(super) body: Vec<u8>,
}

/// A stream that takes every request and then reads as these pieces, one per read, and closes.
struct Script {
    pieces: VecDeque<Vec<u8>>,
    asked: bool,
    reader: Option<Waker>,
}

impl rt::Read for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(mut piece) = self.pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(cursor.remaining()));
            if !rest.is_empty() {
                self.pieces.push_front(rest);
            }
            cursor.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Returns what hyper sees when these pieces come as the answer to a request.
pub(super) async fn read(method: Method, pieces: Vec<Vec<u8>>) -> Result<Seen, hyper::Error> {
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    let script = Script { pieces, asked: false, reader: None };
    let builder = hyper::client::conn::http1::Builder::new();
    let (mut sender, connection) = builder.handshake(script).await?;
    let request = http::Request::builder().method(method).uri("/").header("host", "x");
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let exchange = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let reason = parts.extensions.get::<hyper::ext::ReasonPhrase>();
        let canonical = || parts.status.canonical_reason().unwrap_or_default().as_bytes();
        let reason = reason.map_or_else(canonical, |reason| reason.as_bytes());
        let mut headers = BTreeMap::<String, Vec<Vec<u8>>>::new();
        for (name, value) in &parts.headers {
            headers.entry(name.to_string()).or_default().push(value.as_bytes().to_vec());
        }
        Ok(Seen {
            proto: if parts.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" },
            status: parts.status.as_u16(),
            status_text: String::from_utf8_lossy(reason).into_owned(),
            headers,
            body,
        })
    };
    // The connection's own end says nothing that the exchange does not.
    let (_closed, seen) = futures_util::future::join(connection, exchange).await;
    seen
}
