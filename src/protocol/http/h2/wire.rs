//! The bytes of a shared connection on their way, and the streams whose times they make.
//!
//! A multiplexed connection has no first and last byte of a request: its frames have. So frames are
//! followed on both ways, above TLS, and each stream gets the times of its own.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::frames::{Frame, Kind, Walker};
use crate::clock::{self, Instant};
use crate::protocol::ProtocolError;
use crate::protocol::io::Stream;
use crate::protocol::timing::Stamps;

/// What is noted of a shared connection's bytes.
#[derive(Debug)]
pub(super) struct Log {
    streams: RefCell<Vec<Entry>>,
    outgoing: RefCell<Walker>,
    incoming: RefCell<Walker>,
    /// Whether TLS may hold back what was written.
    unflushed: Cell<bool>,
    /// Whether the server's first frame was one of settings, as it must be (RFC 9113, 3.4).
    greeted: Cell<Option<bool>>,
    /// Why the connection broke.
    fault: RefCell<Option<ProtocolError>>,
    /// Rings when the server has changed its settings: it may take more streams.
    news: Rc<Notify>,
}

/// A stream under way.
#[derive(Debug)]
struct Entry {
    stream: u32,
    stamps: Rc<Stamps>,
    /// Whether the frame that ends the request has begun to pass.
    ending: bool,
    unflushed: bool,
}

/// Follows one stream until it is dropped.
#[derive(Debug)]
pub(super) struct Followed<'a> {
    log: &'a Log,
    stream: u32,
}

impl Log {
    pub(super) fn new(news: Rc<Notify>) -> Self {
        Self {
            streams: RefCell::default(),
            outgoing: RefCell::new(Walker::outgoing()),
            incoming: RefCell::new(Walker::incoming()),
            unflushed: Cell::default(),
            greeted: Cell::default(),
            fault: RefCell::default(),
            news,
        }
    }

    /// Gives a stream its times from now on.
    pub(super) fn follow(&self, stream: u32, stamps: &Rc<Stamps>) -> Followed<'_> {
        let stamps = Rc::clone(stamps);
        let entry = Entry { stream, stamps, ending: false, unflushed: false };
        self.streams.borrow_mut().push(entry);
        Followed { log: self, stream }
    }

    /// Returns whether what the server said first was no HTTP/2.
    pub(super) fn is_foreign(&self) -> bool {
        self.greeted.get() == Some(false)
    }

    /// Returns why the connection broke, if the socket or TLS said so.
    pub(super) fn fault(&self) -> Option<ProtocolError> {
        self.fault.borrow().clone()
    }

    fn wrote(&self, bytes: &[u8], began: Instant, ended: Instant, held: bool) {
        let mut streams = self.streams.borrow_mut();
        self.outgoing.borrow_mut().walk(bytes, |frame, whole| {
            let Some(entry) = find(&mut streams, frame) else { return };
            entry.ending |= frame.ends_stream();
            entry.unflushed |= held;
            entry.stamps.wrote_between(began, ended);
            if !(entry.ending && whole) {
                entry.stamps.stalled();
            }
        });
        self.unflushed.set(self.unflushed.get() || held);
    }

    fn flushed(&self) {
        if self.unflushed.take() {
            let now = clock::now();
            for entry in self.streams.borrow_mut().iter_mut().filter(|entry| entry.unflushed) {
                entry.unflushed = false;
                entry.stamps.left_at(now);
            }
        }
    }

    fn read(&self, bytes: &[u8]) {
        let now = clock::now();
        let mut streams = self.streams.borrow_mut();
        self.incoming.borrow_mut().walk(bytes, |frame, whole| {
            if self.greeted.get().is_none() {
                self.greeted.set(Some(frame.kind == Kind::Settings));
            }
            if let Some(entry) = find(&mut streams, frame) {
                entry.stamps.read_at(now);
            }
            if frame.kind == Kind::Settings && whole {
                self.news.notify_waiters();
            }
        });
    }

    fn broke(&self, error: &io::Error) {
        self.fault.borrow_mut().get_or_insert_with(|| ProtocolError::from_io(error));
    }
}

fn find(streams: &mut [Entry], frame: Frame) -> Option<&mut Entry> {
    streams.iter_mut().find(|entry| entry.stream == frame.stream && frame.is_message())
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        self.log.streams.borrow_mut().retain(|entry| entry.stream != self.stream);
    }
}

/// A connected stream whose frames are noted.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// The connection's own: they say whether TLS holds something back.
    stamps: Stamps,
    log: Rc<Log>,
}

impl Wire {
    pub(super) fn new(stream: Stream, log: Rc<Log>) -> Self {
        Self { stream, stamps: Stamps::default(), log }
    }

    /// Notes what came of an operation.
    fn noted<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result {
            self.log.broke(error);
        }
        result
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let result = this.stream.poll_read(cx, buffer, &this.stamps);
        ready!(this.noted(result))?;
        this.log.read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let began = clock::now();
        let result = this.stream.poll_write(cx, bytes, &this.stamps);
        let written = ready!(this.noted(result))?;
        this.log.wrote(&bytes[..written], began, clock::now(), this.stamps.is_held_back());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let filled = |part: &&IoSlice<'_>| !part.is_empty();
        if parts.iter().filter(filled).count() < 2 {
            // One buffer is written for less than a list of one.
            return self.poll_write(cx, parts.iter().find(filled).map_or(&[], |part| part));
        }
        let this = &mut *self;
        let began = clock::now();
        let result = this.stream.poll_write_vectored(cx, parts, &this.stamps);
        let written = ready!(this.noted(result))?;
        let (mut left, ended) = (written, clock::now());
        for part in parts {
            let part = &part[..left.min(part.len())];
            this.log.wrote(part, began, ended, this.stamps.is_held_back());
            left -= part.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let result = this.stream.poll_flush(cx, &this.stamps);
        ready!(this.noted(result))?;
        this.log.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
