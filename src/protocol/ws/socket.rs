//! An open socket: a queue of what came, and what a script does with it.
//!
//! Its bytes are moved by its [`driver`](super::driver), a task of its own, so that pings are
//! answered and arrivals stamped while the script does something else. What is sent leaves at once,
//! from the caller, as far as the system takes it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::driver::{self, Wire};
use super::session::Session;
use super::{Ended, Kind, Limits};
use crate::clock::{self, Instant};
use crate::protocol::Network;
use crate::protocol::http::Upgraded;

/// As much of what is sent as may wait for the system to take it.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// As many bytes as may be queued. One message is always taken, however large.
const QUEUED_BYTES_MAX: usize = 1024 * 1024;
/// Room that a queue keeps when it is empty.
const QUEUE_KEPT: usize = 8;

/// Hears of a socket as it happens, whoever is busy meanwhile.
pub trait Watcher {
    /// So many messages have come.
    fn received(&self, messages: u64);

    /// It is over, after it was open for so long. Told once.
    fn ended(&self, ended: &Ended, open_for: Duration);
}

/// A message that came, or a control frame that was listened for.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its number on its socket, from 1.
    pub number: u64,
    /// When its last byte was read.
    pub at: Instant,
    /// What it is.
    pub kind: Kind,
    /// UTF-8 if it is text.
    pub data: Bytes,
}

/// What came of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It has left, or will as soon as the peer reads.
    Yes,
    /// The socket is not open.
    Closed,
    /// So much waits already for the peer to read: see [`Socket::room`].
    Full,
}

/// What a search of the queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The message of this number.
    Message(u64),
    /// Nothing more will come.
    Ended,
    /// The queue is full, so that nothing more is read.
    Full,
}

/// An open socket. A clone is the same one.
#[derive(Clone)]
pub struct Socket(pub(super) Rc<Inner>);

/// What a socket's handles and its driver share.
pub(super) struct Inner {
    pub(super) network: Rc<Network>,
    pub(super) watcher: Box<dyn Watcher>,
    pub(super) state: RefCell<State>,
}

/// What changes. It is never borrowed across a wait, nor while somebody is woken or told.
pub(super) struct State {
    pub(super) wire: Wire,
    pub(super) session: Session,
    limits: Limits,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    came: u64,
    /// Whether pings and pongs are queued too.
    listens: (bool, bool),
    pings: Pings,
    waiting: Waiting,
    opened: Instant,
    /// Whether the watcher was told of the end.
    pub(super) told: bool,
    /// When the peer's part in the end is no longer waited for.
    pub(super) until: Option<Instant>,
}

/// Pings under way.
#[derive(Default)]
struct Pings {
    sent: u64,
    /// Number, and when it was answered.
    open: Vec<(u64, Option<Instant>)>,
}

/// Who waits for a change. Nearly always it is one.
#[derive(Default)]
pub(super) struct Waiting {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Waiting {
    fn register(&mut self, waker: &Waker) {
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.will_wake(waker) => {}
            Some(_) if self.others.iter().any(|other| other.will_wake(waker)) => {}
            Some(_) => self.others.push(waker.clone()),
        }
    }

    pub(super) fn wake(self) {
        self.first.into_iter().chain(self.others).for_each(Waker::wake);
    }
}

impl State {
    /// Returns whether nothing more is read until a message is taken.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= self.limits.queued_messages || self.queued_bytes >= QUEUED_BYTES_MAX
    }

    /// Takes what came; returns whether it counts as a message.
    pub(super) fn came(&mut self, kind: Kind, data: Bytes, at: Instant) -> bool {
        let wanted = match kind {
            _ if self.told => false,
            Kind::Text | Kind::Binary => true,
            Kind::Ping => self.listens.0,
            Kind::Pong => {
                self.pings.answered(&data, at);
                self.listens.1
            }
        };
        if wanted {
            self.came += 1;
            self.queued_bytes += data.len();
            self.queue.push_back(Message { number: self.came, at, kind, data });
        }
        matches!(kind, Kind::Text | Kind::Binary) && !self.told
    }

    /// Takes those who wait, to be woken.
    pub(super) fn waiting(&mut self) -> Waiting {
        std::mem::take(&mut self.waiting)
    }

    /// Takes note that the watcher is told of the end; returns how long it was open, the first time.
    pub(super) fn tell_end(&mut self) -> Option<Duration> {
        (!std::mem::replace(&mut self.told, true)).then(|| clock::now() - self.opened)
    }
}

impl Pings {
    fn answered(&mut self, payload: &[u8], at: Instant) {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return };
        let open = self.open.iter_mut().find(|(open, _)| *open == number);
        if let Some((_, answered)) = open {
            answered.get_or_insert(at);
        }
    }
}

impl Socket {
    /// Begins after a handshake: returns the socket, and what moves its bytes.
    pub(super) fn start(
        network: Rc<Network>,
        upgraded: Upgraded,
        session: Session,
        limits: Limits,
        watcher: Box<dyn Watcher>,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let state = State {
            wire: Wire::new(upgraded),
            session,
            limits,
            queue: VecDeque::new(),
            queued_bytes: 0,
            came: 0,
            listens: (false, false),
            pings: Pings::default(),
            waiting: Waiting::default(),
            opened: clock::now(),
            told: false,
            until: None,
        };
        let inner = Rc::new(Inner { network, watcher, state: RefCell::new(state) });
        (Self(Rc::clone(&inner)), driver::drive(inner))
    }

    /// Returns whether messages can be sent.
    pub fn is_open(&self) -> bool {
        self.0.state.borrow().session.is_open()
    }

    /// Returns how it ended, if it did.
    pub fn ended(&self) -> Option<Ended> {
        self.0.state.borrow().session.ended().cloned()
    }

    /// Asks for pings, pongs or both to be queued as messages are.
    pub fn listen(&self, pings: bool, pongs: bool) {
        self.0.state.borrow_mut().listens = (pings, pongs);
    }

    /// Sends a message.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Sent {
        let mut state = self.0.state.borrow_mut();
        let state = &mut *state;
        if !state.session.is_open() {
            return Sent::Closed;
        }
        if state.wire.unsent() >= UNSENT_BYTES_MAX {
            return Sent::Full;
        }
        let mut out = self.0.network.out.borrow_mut();
        out.clear();
        state.session.send(kind, payload, &self.0.network.deflate, &mut out);
        state.wire.transmit(&mut out);
        Sent::Yes
    }

    /// Waits until [`Self::send`] would not find too much unsent, or the socket ends.
    pub async fn room(&self) {
        poll_fn(|cx| {
            let mut state = self.0.state.borrow_mut();
            if state.wire.unsent() < UNSENT_BYTES_MAX || state.session.ended().is_some() {
                return Poll::Ready(());
            }
            state.waiting.register(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Takes the first message; nothing if none has come.
    pub fn take(&self) -> Option<Message> {
        self.take_at(|_| Some(0))
    }

    /// Takes the message of a number; nothing if it is gone.
    pub fn take_number(&self, number: u64) -> Option<Message> {
        self.take_at(|queue| queue.iter().position(|message| message.number == number))
    }

    fn take_at(&self, find: impl FnOnce(&VecDeque<Message>) -> Option<usize>) -> Option<Message> {
        let mut state = self.0.state.borrow_mut();
        let was_full = state.is_full();
        let at = find(&state.queue)?;
        let message = state.queue.remove(at)?;
        state.queued_bytes -= message.data.len();
        if state.queue.is_empty() && state.queue.capacity() > QUEUE_KEPT {
            state.queue = VecDeque::new();
        }
        let driver = (was_full && !state.is_full()).then(|| state.wire.driver()).flatten();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        Some(message)
    }

    /// Returns the number of the last message that came; 0 if none did.
    pub fn last_number(&self) -> u64 {
        self.0.state.borrow().came
    }

    /// Returns a copy of the first message after one of a number (0: of all).
    pub fn after(&self, number: u64) -> Option<Message> {
        let state = self.0.state.borrow();
        state.queue.iter().find(|message| message.number > number).cloned()
    }

    /// Waits until there is a message after one of a number (0: of all), or none can come.
    pub async fn arrival(&self, after: u64) -> Arrival {
        poll_fn(|cx| self.poll_arrival(after, cx)).await
    }

    fn poll_arrival(&self, after: u64, cx: &Context<'_>) -> Poll<Arrival> {
        let mut state = self.0.state.borrow_mut();
        if let Some(message) = state.queue.iter().find(|message| message.number > after) {
            return Poll::Ready(Arrival::Message(message.number));
        }
        if state.session.ended().is_some() {
            return Poll::Ready(Arrival::Ended);
        }
        if state.is_full() {
            return Poll::Ready(Arrival::Full);
        }
        state.waiting.register(cx.waker());
        Poll::Pending
    }

    /// Sends a ping; returns its number, or nothing if the socket is not open.
    pub fn ping(&self) -> Option<u64> {
        let number = {
            let pings = &mut self.0.state.borrow_mut().pings;
            pings.sent += 1;
            pings.open.push((pings.sent, None));
            pings.sent
        };
        if self.send(Kind::Ping, &number.to_be_bytes()) == Sent::Yes {
            return Some(number);
        }
        self.forget_ping(number);
        None
    }

    /// Waits for a ping's answer; returns when it came, or nothing if the socket ended before.
    pub async fn pong(&self, number: u64) -> Option<Instant> {
        poll_fn(|cx| {
            let mut state = self.0.state.borrow_mut();
            let open = state.pings.open.iter().find(|(open, _)| *open == number);
            let answered = open.and_then(|(_, answered)| *answered);
            if answered.is_some() || state.session.ended().is_some() {
                return Poll::Ready(answered);
            }
            state.waiting.register(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// No longer waits for a ping's answer.
    pub fn forget_ping(&self, number: u64) {
        self.0.state.borrow_mut().pings.open.retain(|(open, _)| *open != number);
    }

    /// Begins to close: sends a close frame, and waits at most so long for the peer's.
    pub fn close(&self, code: Option<u16>, reason: &str, patience: Duration) {
        let driver = {
            let mut state = self.0.state.borrow_mut();
            let state = &mut *state;
            if state.session.ended().is_some() {
                return;
            }
            let mut out = self.0.network.out.borrow_mut();
            out.clear();
            state.session.close(code, reason, &mut out);
            state.wire.transmit(&mut out);
            let until = clock::now() + patience;
            state.until = Some(state.until.map_or(until, |known| known.min(until)));
            state.wire.driver()
        };
        driver.into_iter().for_each(Waker::wake);
    }

    /// Waits until the connection is over.
    pub async fn closed(&self) {
        poll_fn(|cx| {
            let mut state = self.0.state.borrow_mut();
            if state.session.ended().is_some() {
                return Poll::Ready(());
            }
            // Nobody will take what is queued: it must not keep the end from being read.
            if state.is_full() {
                state.queue.clear();
                state.queued_bytes = 0;
                if let Some(driver) = state.wire.driver() {
                    driver.wake();
                }
            }
            state.waiting.register(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Leaves: tells the watcher of the end at once, and closes in the background.
    pub fn leave(&self, code: u16, patience: Duration) {
        self.close(Some(code), "", patience);
        let told = {
            let mut state = self.0.state.borrow_mut();
            state.queue = VecDeque::new();
            state.queued_bytes = 0;
            let ended = state.session.ended().cloned();
            state.tell_end().map(|open_for| (open_for, ended))
        };
        if let Some((open_for, ended)) = told {
            let ended = ended.unwrap_or(Ended { code, reason: "".into(), error: None });
            self.0.watcher.ended(&ended, open_for);
        }
    }
}
