//! A connection that requests share, the task that drives it, and a place on it for each request.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, Connection, SendRequest};
use tokio::sync::Notify;

use super::wire::{Log, Wire};
use crate::clock::{self, Instant};
use crate::protocol::connect::{Dialed, Origin};
use crate::protocol::http::h1::HEAD_BYTES_MAX;
use crate::protocol::http::pool::Held;
use crate::protocol::{ErrorKind, ProtocolError};

/// As much of one answer as may be under way unread. Twice what 1 Gbit/s and 8 ms hold.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// The same for all answers of a connection together: the most that it can have in memory.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// As much of a request's body as waits in the connection: what is written leaves soon.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that may be open before the server has said how many.
const FIRST_STREAMS_MAX: usize = 100;
/// Time for the farewell of a connection that nobody needs any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// An open connection, shared by the requests of one VU.
#[derive(Debug)]
pub(in crate::protocol::http) struct Line {
    pub(in crate::protocol::http) origin: Rc<Origin>,
    /// Nothing for a Unix socket.
    pub(in crate::protocol::http) remote: Option<SocketAddr>,
    /// Empty without TLS.
    pub(in crate::protocol::http) tls_version: &'static str,
    requests: RefCell<SendRequest<Bytes>>,
    log: Rc<Log>,
    /// Requests that have a place.
    used: Cell<usize>,
    idle_since: Cell<Instant>,
    /// Whether the connection is over, whatever h2 still thinks.
    over: Rc<Cell<bool>>,
    /// Tells the driving task that nobody needs the connection any more.
    gone: Rc<Notify>,
    /// Tells those who wait for a place or a slot.
    news: Rc<Notify>,
    /// The connection counts among the VU's as long as this lives.
    _slot: Held,
}

/// A request's place on a connection.
#[derive(Debug)]
pub(in crate::protocol::http) struct Lane {
    pub(in crate::protocol::http) line: Rc<Line>,
    /// Whether the connection was opened for this request.
    pub(in crate::protocol::http) fresh: bool,
    /// Whether it was used.
    pub(super) begun: Cell<bool>,
}

impl Line {
    /// Begins HTTP/2 on a fresh connection and takes the first place on it.
    ///
    /// # Errors
    ///
    /// The connection broke at once.
    pub(in crate::protocol::http) async fn open(
        dialed: Dialed,
        origin: Rc<Origin>,
        slot: Held,
        news: Rc<Notify>,
    ) -> Result<Lane, ProtocolError> {
        let log = Rc::new(Log::new(Rc::clone(&news)));
        let wire = Wire::new(dialed.stream, Rc::clone(&log));
        let begun = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(4 * HEAD_BYTES_MAX as u32)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .initial_max_send_streams(FIRST_STREAMS_MAX)
            .handshake(wire)
            .await;
        let (requests, connection) = begun.map_err(|error| {
            log.fault().unwrap_or_else(|| {
                ProtocolError::from(ErrorKind::ClosedEarly).with_detail(error.to_string())
            })
        })?;
        let line = Self {
            origin,
            remote: dialed.remote,
            tls_version: dialed.tls_version,
            requests: RefCell::new(requests),
            log,
            used: Cell::new(0),
            idle_since: Cell::new(clock::now()),
            over: Rc::default(),
            gone: Rc::default(),
            news,
            _slot: slot,
        };
        tokio::task::spawn_local(drive(
            connection,
            Rc::clone(&line.over),
            Rc::clone(&line.gone),
            Rc::clone(&line.news),
        ));
        Ok(Lane::on(&Rc::new(line), true))
    }

    /// Returns whether the server takes another request now.
    pub(in crate::protocol::http) fn has_room(&self) -> bool {
        self.used.get() < self.requests.borrow().current_max_send_streams()
    }

    /// Returns whether requests can be sent, as far as the worker has looked at its sockets.
    pub(in crate::protocol::http) fn is_usable(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        // No error is what counts: a handle of its own has nothing to wait for.
        !self.over.get()
            && !matches!(self.requests.borrow_mut().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Returns whether no request is on it.
    pub(in crate::protocol::http) fn is_idle(&self) -> bool {
        self.used.get() == 0
    }

    /// Returns for how long nothing was on it.
    pub(in crate::protocol::http) fn idle_time(&self) -> Duration {
        clock::now().saturating_duration_since(self.idle_since.get())
    }

    /// Returns why the connection broke, if the socket or TLS said so.
    pub(super) fn fault(&self) -> Option<ProtocolError> {
        self.log.fault()
    }

    /// Returns with which code the server said that it ends the connection, if it did.
    pub(super) fn farewell(&self) -> Option<Reason> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.requests.borrow_mut().poll_ready(&mut cx) {
            Poll::Ready(Err(error)) if error.is_go_away() && error.is_remote() => error.reason(),
            _ => None,
        }
    }

    /// Returns a handle to send one request with: it may wait without anybody else's waiting.
    pub(super) fn requests(&self) -> SendRequest<Bytes> {
        self.requests.borrow().clone()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

impl Lane {
    /// Takes a place, whether there is one or not.
    pub(in crate::protocol::http) fn on(line: &Rc<Line>, fresh: bool) -> Self {
        line.used.set(line.used.get() + 1);
        Self { line: Rc::clone(line), fresh, begun: Cell::default() }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.gone.notify_one();
        self.news.notify_waiters();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.line.used.set(self.line.used.get() - 1);
        // One that was only looked at says nothing of the connection.
        if self.begun.get() {
            self.line.idle_since.set(clock::now());
        }
        self.line.news.notify_waiters();
    }
}

/// Drives a connection to its end. Answers to pings and settings are given here, too.
async fn drive(
    mut connection: Connection<Wire, Bytes>,
    over: Rc<Cell<bool>>,
    gone: Rc<Notify>,
    news: Rc<Notify>,
) {
    tokio::select! {
        // What it ends with, its streams are told.
        _ended = &mut connection => {}
        () = gone.notified() => {
            // A server that reads nothing cannot be told anything.
            let _late = tokio::time::timeout(FAREWELL, &mut connection).await;
        }
    }
    over.set(true);
    news.notify_waiters();
}
