//! Sockets that count their bytes, and streams that stamp when they pass.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

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

/// What bytes go over.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// TLS with a proxy, in which there may be TLS with the target.
    Proxied(Box<TlsStream<Metered>>),
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

/// A socket that counts: below TLS, so that records and handshakes are in.
#[derive(Debug)]
pub(super) struct Metered {
    socket: Socket,
    traffic: Rc<Traffic>,
}

impl Metered {
    pub(super) fn new(socket: impl Into<Socket>, traffic: Rc<Traffic>) -> Self {
        Self { socket: socket.into(), traffic }
    }

    /// Returns what goes over TLS with a proxy: its bytes are counted below.
    pub(super) fn over(proxied: TlsStream<Self>) -> Self {
        Self::new(Socket::Proxied(Box::new(proxied)), Rc::default())
    }

    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let read = match &mut self.socket {
            Socket::Tcp(socket) => socket.try_read(&mut byte),
            Socket::Unix(socket) => socket.try_read(&mut byte),
            Socket::Proxied(stream) => return is_pending(stream),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Returns whether a stream has nothing to read. Session tickets may have come, which are for TLS
/// alone.
fn is_pending(stream: &mut TlsStream<Metered>) -> bool {
    let mut byte = [0];
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Socket::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            Socket::Proxied(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        })?;
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
        let written = ready!(match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Proxied(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        })?;
        self.traffic.sent.set(self.traffic.sent.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
            Socket::Proxied(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, parts),
        })?;
        self.traffic.sent.set(self.traffic.sent.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Proxied(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Proxied(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}

/// A connected stream that stamps when bytes of the application pass.
///
/// Reads are stamped above TLS: a session ticket is no answer. Writes count as done when they have
/// left for the socket, which TLS may delay until its flush.
#[derive(Debug)]
pub(super) enum Stream {
    /// The socket itself.
    Plain(Metered),
    /// TLS; boxed, as its state is many times a socket's.
    Tls(Box<TlsStream<Metered>>),
}

impl Stream {
    /// Reads what has come.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        stamps: &Stamps,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        })?;
        if buffer.filled().len() > before {
            stamps.read();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes as much as is taken. Over TLS it may stay there until [`Self::poll_flush`].
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        stamps: &Stamps,
    ) -> Poll<io::Result<usize>> {
        stamps.writing();
        let written = match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        };
        self.stamp(&written, stamps);
        written
    }

    /// Writes as much of several parts as is taken, like [`Self::poll_write`].
    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        stamps: &Stamps,
    ) -> Poll<io::Result<usize>> {
        stamps.writing();
        let written = match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, parts),
        };
        self.stamp(&written, stamps);
        written
    }

    fn stamp(&self, written: &Poll<io::Result<usize>>, stamps: &Stamps) {
        match (written, self) {
            (Poll::Pending, _) => stamps.stalled(),
            (Poll::Ready(Ok(_)), Self::Plain(_)) => stamps.wrote(),
            (Poll::Ready(Ok(_)), Self::Tls(_)) => stamps.held_back(),
            (Poll::Ready(Err(_)), _) => {}
        }
    }

    /// Lets go of what TLS holds back.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stamps: &Stamps,
    ) -> Poll<io::Result<()>> {
        let Self::Tls(stream) = self else { return Poll::Ready(Ok(())) };
        if !stamps.is_held_back() {
            return Poll::Ready(Ok(()));
        }
        let Poll::Ready(flushed) = Pin::new(&mut **stream).poll_flush(cx) else {
            stamps.stalled();
            return Poll::Pending;
        };
        flushed?;
        stamps.wrote();
        Poll::Ready(Ok(()))
    }

    /// Returns whether nothing has come and nobody has closed, as far as the worker has looked: what
    /// it has not seen ready is not asked for, so that this costs no system call.
    pub(super) fn is_quiet(&mut self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_quiet(),
            Self::Tls(stream) => is_pending(stream),
        }
    }

    /// Closes the writing side, with the farewell that TLS has.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }

    /// Returns whether the server has chosen HTTP/2 in the TLS handshake (RFC 7301).
    pub(super) fn has_chosen_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Sends the farewell that TLS has, as far as the socket takes it at once.
    pub(super) fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            let mut cx = Context::from_waker(Waker::noop());
            let _best_effort = Pin::new(&mut **stream).poll_shutdown(&mut cx);
        }
    }
}
