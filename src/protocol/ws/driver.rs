//! What moves a socket's bytes, in a task of its own.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::Sleep;

use super::session::Event;
use super::socket::{Inner, State};
use crate::clock;
use crate::protocol::http::Upgraded;
use crate::protocol::io::Stream;
use crate::protocol::timing::Stamps;
use crate::protocol::{ErrorKind, Network, ProtocolError};

/// As much of the worker's write buffer as is kept between messages.
const OUT_BYTES_KEPT: usize = 64 * 1024;
/// How long the peer has to close a connection that is over, as it should do first (RFC 6455, 7.1.1).
const LINGER: Duration = Duration::from_secs(1);

/// A socket's connection, and what has not left over it yet.
pub(super) struct Wire {
    /// `None` when all is over.
    stream: Option<Stream>,
    stamps: Stamps,
    /// What came and could not be queued.
    leftover: Vec<u8>,
    unsent: Vec<u8>,
    /// How much of `unsent` has left.
    left: usize,
    /// Why nothing can be written.
    broken: Option<io::Error>,
    driver: Option<Waker>,
}

/// What one turn of the driver did, to be told when nothing is borrowed.
#[derive(Default)]
struct Turn {
    messages: u64,
    /// Whether those who wait should look.
    changed: bool,
}

impl Wire {
    pub(super) fn new(upgraded: Upgraded) -> Self {
        Self {
            stream: Some(upgraded.stream),
            stamps: Stamps::default(),
            leftover: upgraded.leftover,
            unsent: Vec::new(),
            left: 0,
            broken: None,
            driver: None,
        }
    }

    /// Returns how many bytes wait for the system to take them.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len() - self.left
    }

    /// Returns what wakes the driver, if it has run.
    pub(super) fn driver(&self) -> Option<Waker> {
        self.driver.clone()
    }

    /// Sends what was written to the worker's buffer; what the system does not take waits.
    pub(super) fn transmit(&mut self, out: &mut Vec<u8>) {
        let Self { stream, stamps, driver, broken, .. } = self;
        let mut sent = 0;
        // Before the driver's first turn nobody could be told that there is room.
        if let (Some(stream), Some(driver), None) = (stream, driver, &broken)
            && self.unsent.is_empty()
        {
            let mut cx = Context::from_waker(driver);
            match write(stream, &mut cx, out, stamps) {
                Ok(written) => sent = written,
                Err(error) => {
                    *broken = Some(error);
                    driver.wake_by_ref();
                }
            }
        }
        if self.broken.is_none() && self.stream.is_some() {
            self.unsent.extend_from_slice(&out[sent..]);
        }
        out.clear();
        out.shrink_to(OUT_BYTES_KEPT);
    }

    /// Sends what waits.
    fn flush(&mut self, cx: &mut Context<'_>) {
        let Some(stream) = &mut self.stream else { return };
        if self.broken.is_none() {
            match write(stream, cx, &self.unsent[self.left..], &self.stamps) {
                Ok(written) => self.left += written,
                Err(error) => self.broken = Some(error),
            }
        }
        if self.broken.is_some() || self.left == self.unsent.len() {
            self.unsent = Vec::new();
            self.left = 0;
        }
    }

    /// Says what the end of what can be read means.
    fn explain(&self, error: Option<&io::Error>) -> ProtocolError {
        match (error, &self.broken) {
            // TLS that ends without its farewell is no other end.
            (Some(error), _) if error.kind() != io::ErrorKind::UnexpectedEof => {
                ProtocolError::from_io(error)
            }
            (_, Some(broken)) => ProtocolError::from_io(broken),
            _ => ErrorKind::ClosedAbnormally.into(),
        }
    }
}

/// Writes as much as is taken; returns how much that is.
fn write(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    bytes: &[u8],
    stamps: &Stamps,
) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.poll_write(cx, &bytes[written..], stamps) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(some)) => written += some,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(written),
        }
    }
    // What TLS holds back and cannot let go now, it will at the driver's next turn.
    if let Poll::Ready(Err(error)) = stream.poll_flush(cx, stamps) {
        return Err(error);
    }
    Ok(written)
}

/// Moves a socket's bytes until its connection is closed.
pub(super) fn drive(inner: Rc<Inner>) -> impl Future<Output = ()> {
    let mut patience: Option<Pin<Box<Sleep>>> = None;
    poll_fn(move |cx| {
        loop {
            let turn = inner.state.borrow_mut().turn(cx, &inner.network);
            tell(&inner, &turn);
            let (over, until) = {
                let state = inner.state.borrow();
                (state.wire.stream.is_none(), state.until)
            };
            if over {
                return Poll::Ready(());
            }
            let Some(until) = until else { return Poll::Pending };
            let sleep = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if sleep.deadline() != until {
                sleep.as_mut().reset(until);
            }
            ready!(sleep.as_mut().poll(cx));
            inner.state.borrow_mut().give_up();
        }
    })
}

/// Tells what a turn did.
fn tell(inner: &Inner, turn: &Turn) {
    if turn.messages > 0 {
        inner.watcher.received(turn.messages);
    }
    let (waiting, ended) = {
        let mut state = inner.state.borrow_mut();
        let ended = state.session.ended().cloned();
        let told = ended.and_then(|ended| Some((ended, state.tell_end()?)));
        // Once it is over, everybody looks, told or not.
        let changed = turn.changed || state.session.ended().is_some();
        (changed.then(|| state.waiting()), told)
    };
    if let Some((ended, open_for)) = ended {
        inner.watcher.ended(&ended, open_for);
    }
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

impl State {
    /// Reads and writes what can be.
    fn turn(&mut self, cx: &mut Context<'_>, network: &Network) -> Turn {
        if !self.wire.driver.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.wire.driver = Some(cx.waker().clone());
        }
        let before = self.wire.unsent();
        let mut turn = Turn::default();
        let finished = self.read(cx, network, &mut turn);
        self.wire.flush(cx);
        turn.changed |= self.wire.unsent() < before;
        if finished {
            self.hang_up();
        }
        turn
    }

    /// Reads until nothing more comes or nothing more is taken; returns whether the peer is done.
    fn read(&mut self, cx: &mut Context<'_>, network: &Network, turn: &mut Turn) -> bool {
        let leftover = std::mem::take(&mut self.wire.leftover);
        if !leftover.is_empty() {
            self.take_in(&leftover, network, turn);
        }
        loop {
            let over = self.session.ended().is_some();
            if !over && self.is_full() {
                return false;
            }
            let Some(stream) = &mut self.wire.stream else { return true };
            let mut scratch = network.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            let Poll::Ready(read) = stream.poll_read(cx, &mut buffer, &self.wire.stamps) else {
                return false;
            };
            match read {
                Ok(()) if !buffer.filled().is_empty() => {
                    // What comes after the end is thrown away.
                    if !over {
                        self.take_in(buffer.filled(), network, turn);
                    }
                }
                read => {
                    if !over {
                        self.session.lost(self.wire.explain(read.err().as_ref()));
                    }
                    return true;
                }
            }
        }
    }

    /// Takes bytes that came; keeps those that the queue has no room for.
    fn take_in(&mut self, bytes: &[u8], network: &Network, turn: &mut Turn) {
        let mut input = bytes;
        let mut out = network.out.borrow_mut();
        out.clear();
        let at = self.wire.stamps.last_read().unwrap_or_else(clock::now);
        while !self.is_full() {
            match self.session.receive(&mut input, &network.deflate, &mut out) {
                Some(Event::Came(kind, data)) => {
                    turn.messages += u64::from(self.came(kind, data, at));
                    turn.changed = true;
                }
                Some(Event::End) => {
                    self.until = Some(clock::now() + LINGER);
                    input = &[];
                    break;
                }
                None => break,
            }
        }
        self.wire.leftover = input.to_vec();
        self.wire.transmit(&mut out);
    }

    /// Ends what the peer does not.
    fn give_up(&mut self) {
        let message = "websocket: no close frame came in time";
        self.session.lost(ProtocolError::new(ErrorKind::Timeout, message));
        self.hang_up();
    }

    fn hang_up(&mut self) {
        if let Some(mut stream) = self.wire.stream.take() {
            stream.say_goodbye();
        }
    }
}
