//! Sockets that count their bytes, and the stream that stamps when they pass.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::network::Scratch;
use super::timing::Stamps;

/// Bytes that a client's sockets have moved since last asked.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Traffic {
    /// Returns (sent, received) and begins anew.
    pub(super) fn take(&self) -> (u64, u64) {
        (self.sent.take(), self.received.take())
    }
}

/// A socket that counts: below TLS, so that records and handshakes are in.
#[derive(Debug)]
pub(super) struct Metered {
    socket: TcpStream,
    traffic: Rc<Traffic>,
}

impl Metered {
    pub(super) fn new(socket: TcpStream, traffic: Rc<Traffic>) -> Self {
        Self { socket, traffic }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.traffic.received.set(self.traffic.received.get() + read as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.traffic.sent.set(self.traffic.sent.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A connected stream.
#[derive(Debug)]
pub(super) enum Stream {
    /// Plain TCP.
    Plain(Metered),
    /// TLS; boxed, as its state is many times a socket's.
    Tls(Box<TlsStream<Metered>>),
}

impl Stream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}

/// A stream that stamps when bytes of the application pass.
///
/// Reads are stamped above TLS: a session ticket is no answer. Writes count as done when they have
/// left for the socket, which TLS may delay until its flush.
#[derive(Debug)]
pub(super) struct TimedIo {
    stream: Stream,
    stamps: Rc<Stamps>,
    scratch: Scratch,
    /// Whether TLS may still hold written bytes.
    unflushed: bool,
}

impl TimedIo {
    pub(super) fn new(stream: Stream, stamps: Rc<Stamps>, scratch: Scratch) -> Self {
        Self { stream, stamps, scratch, unflushed: false }
    }
}

impl rt::Read for TimedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Reading into the cursor itself would take `unsafe`; the worker's own buffer is in cache.
        let mut scratch = this.scratch.borrow_mut();
        let room = cursor.remaining().min(scratch.len());
        let mut buffer = ReadBuf::new(&mut scratch[..room]);
        ready!(this.stream.poll_read(cx, &mut buffer))?;
        if !buffer.filled().is_empty() {
            this.stamps.read();
            cursor.put_slice(buffer.filled());
        }
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for TimedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stamps.writing();
        let Poll::Ready(written) = self.stream.poll_write(cx, bytes) else {
            self.stamps.stalled();
            return Poll::Pending;
        };
        let written = written?;
        match self.stream {
            Stream::Plain(_) => self.stamps.wrote(),
            Stream::Tls(_) => self.unflushed = true,
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(flushed) = self.stream.poll_flush(cx) else {
            self.stamps.stalled();
            return Poll::Pending;
        };
        flushed?;
        if std::mem::take(&mut self.unflushed) {
            self.stamps.wrote();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
