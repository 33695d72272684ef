//! HTTP/1.1 on one connection, by hyper: but for the stream's traits, nothing else names it.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use tokio::task::JoinHandle;

use crate::clock::{self, Instant};
use crate::protocol::connect::{Dialed, Origin};
use crate::protocol::error::find;
use crate::protocol::io::TimedIo;
use crate::protocol::timing::Stamps;
use crate::protocol::{ErrorKind, Network, ProtocolError};

/// The largest head that is read, and the most of a body that is held in the connection. It is
/// grown into: an idle connection starts at 8 KiB.
const BUFFER_BYTES: usize = 64 * 1024;
/// As much of a request's body as is handed over at once: hyper copies it behind the head.
const SLICE_BYTES: usize = 32 * 1024;

/// An open connection that serves one exchange at a time.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Payload>,
    task: JoinHandle<()>,
    /// Whether an exchange goes on, or went wrong: dropping then closes without farewell.
    busy: bool,
    /// When the last exchange ended.
    pub(super) idle_since: Instant,
    pub(super) origin: Origin,
    pub(super) stamps: Rc<Stamps>,
    pub(super) remote: SocketAddr,
    pub(super) tls_version: &'static str,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) proto: &'static str,
    pub(super) status: StatusCode,
    pub(super) status_text: Cow<'static, str>,
    pub(super) headers: HeaderMap,
}

/// The body of an answer, as it comes.
#[derive(Debug)]
pub(super) struct Incoming(hyper::body::Incoming);

impl Connection {
    /// Prepares a fresh connection; must be called inside a `LocalSet`.
    pub(super) async fn open(
        dialed: Dialed,
        origin: Origin,
        network: &Network,
    ) -> Result<Self, ProtocolError> {
        let stamps = Rc::<Stamps>::default();
        let io = TimedIo::new(dialed.stream, Rc::clone(&stamps), network.scratch());
        let (sender, connection) = http1::Builder::new()
            // One small buffer: a plain send is cheaper than a vectored one.
            .writev(false)
            .max_buf_size(BUFFER_BYTES)
            .handshake(io)
            .await
            .map_err(|error| classify(&error, false))?;
        let task = tokio::task::spawn_local(async move {
            // Whoever waits for an answer is told by the sender; nobody else needs to know.
            let _told = connection.await;
        });
        Ok(Self {
            sender,
            task,
            busy: false,
            idle_since: clock::now(),
            origin,
            stamps,
            remote: dialed.remote,
            tls_version: dialed.tls_version,
        })
    }

    /// Returns whether a request can be sent now, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Sends a request and returns the head of its answer; 1xx heads but 101 are passed over.
    ///
    /// Dropping the future and then the connection closes it.
    pub(super) async fn exchange(
        &mut self,
        method: &Method,
        target: &PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Head, Incoming), ProtocolError> {
        self.busy = true;
        let mut request = http::Request::new(Payload(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = Uri::from(target.clone());
        *request.headers_mut() = headers;
        match self.sender.send_request(request).await {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                Ok((Head::from(parts), Incoming(body)))
            }
            Err(error) => Err(classify(&error, false)),
        }
    }

    /// Ends an exchange whose answer was read; returns whether the connection serves another.
    pub(super) async fn settle(&mut self) -> bool {
        if !self.sender.is_ready() && !self.sender.is_closed() {
            // The end of a body can be seen a turn before the connection's task is done with it.
            tokio::task::yield_now().await;
        }
        self.busy = !self.is_usable();
        self.idle_since = clock::now();
        !self.busy
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // An idle one says goodbye by itself once the sender is gone.
        if self.busy {
            self.task.abort();
        }
    }
}

impl From<http::response::Parts> for Head {
    fn from(parts: http::response::Parts) -> Self {
        let status_text = match parts.extensions.get::<hyper::ext::ReasonPhrase>() {
            Some(reason) => Cow::Owned(String::from_utf8_lossy(reason.as_bytes()).into_owned()),
            None => Cow::Borrowed(parts.status.canonical_reason().unwrap_or_default()),
        };
        Self {
            proto: if parts.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" },
            status: parts.status,
            status_text,
            headers: parts.headers,
        }
    }
}

impl Incoming {
    /// Returns how long the body will be, if the head says so.
    pub(super) fn announced(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }

    /// Returns the next part of the body, nothing at its end; trailers are passed over.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        while let Some(frame) = self.0.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => return Ok(Some(data)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Err(classify(&error, true)),
            }
        }
        Ok(None)
    }
}

/// A request's body, handed over in slices.
#[derive(Debug)]
struct Payload(Bytes);

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.0.len().min(SLICE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

fn classify(error: &hyper::Error, in_body: bool) -> ProtocolError {
    let io = find::<std::io::Error>(error);
    let kind = if error.is_parse_too_large() {
        ErrorKind::HeadTooLarge
    } else if error.is_parse() {
        ErrorKind::InvalidAnswer
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        if in_body { ErrorKind::BodyTooShort } else { ErrorKind::ClosedEarly }
    } else if io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof) && !in_body {
        ErrorKind::ClosedEarly
    } else if let Some(io) = io {
        return ProtocolError::from_io(io);
    } else {
        ErrorKind::Other
    };
    ProtocolError::from(kind).with_detail(error.to_string())
}
