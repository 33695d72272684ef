//! When the phases of a request began and ended.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{self, Instant};

/// The parts of one exchange's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a connection slot, plus looking_up, connecting and tls_handshaking.
    pub blocked: Duration,
    /// DNS; 0 when cached or an address.
    pub looking_up: Duration,
    /// TCP connect; 0 on reuse.
    pub connecting: Duration,
    /// TLS handshake; 0 on reuse.
    pub tls_handshaking: Duration,
    /// First byte written to last byte written.
    pub sending: Duration,
    /// Last byte written to first byte of the answer.
    pub waiting: Duration,
    /// First to last byte of the answer.
    pub receiving: Duration,
}

impl Timings {
    /// Returns sending + waiting + receiving.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }

    /// Returns blocked + duration.
    pub fn total(&self) -> Duration {
        self.blocked + self.duration()
    }
}

/// When bytes of the current exchange passed a connection.
///
/// They belong to the request: they outlive a connection that is cut off.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    first_write: Cell<Option<Instant>>,
    last_write: Cell<Option<Instant>>,
    first_read: Cell<Option<Instant>>,
    last_read: Cell<Option<Instant>>,
    /// Whether the socket has refused to take more of the request for now.
    write_stalled: Cell<bool>,
    /// Whether TLS has taken bytes that may not have left for the socket.
    held_back: Cell<bool>,
}

impl Stamps {
    /// Forgets the previous exchange.
    pub(super) fn clear(&self) {
        self.first_write.set(None);
        self.last_write.set(None);
        self.first_read.set(None);
        self.last_read.set(None);
        self.write_stalled.set(false);
        self.held_back.set(false);
    }

    /// Notes that bytes are about to be written.
    pub(super) fn writing(&self) {
        if self.first_write.get().is_none() {
            self.first_write.set(Some(clock::now()));
        }
    }

    /// Notes that bytes were written.
    pub(super) fn wrote(&self) {
        self.last_write.set(Some(clock::now()));
        self.write_stalled.set(false);
        self.held_back.set(false);
    }

    /// Notes that TLS has taken bytes to be written.
    pub(super) fn held_back(&self) {
        self.held_back.set(true);
    }

    /// Returns whether TLS may still hold written bytes.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back.get()
    }

    /// Notes that the socket takes no more for now.
    pub(super) fn stalled(&self) {
        self.write_stalled.set(true);
    }

    /// Notes that bytes were read.
    pub(super) fn read(&self) {
        self.read_at(clock::now());
    }

    /// Notes that bytes were written in this time, or taken by TLS.
    pub(super) fn wrote_between(&self, began: Instant, ended: Instant) {
        self.first_write.set(self.first_write.get().or(Some(began)));
        self.last_write.set(Some(ended));
        self.write_stalled.set(false);
    }

    /// Notes when bytes left that TLS had held back.
    pub(super) fn left_at(&self, at: Instant) {
        self.last_write.set(Some(at));
    }

    /// Notes that bytes were read then.
    pub(super) fn read_at(&self, at: Instant) {
        self.first_read.set(self.first_read.get().or(Some(at)));
        self.last_read.set(Some(at));
    }

    /// Returns when the first bytes of the request were written.
    pub(super) fn first_write(&self) -> Option<Instant> {
        self.first_write.get()
    }

    /// Returns whether any of the request was written.
    pub(super) fn has_written(&self) -> bool {
        self.first_write.get().is_some()
    }

    /// Returns when the last bytes of the answer came.
    pub(super) fn last_read(&self) -> Option<Instant> {
        self.last_read.get()
    }

    /// Returns whether any of the answer came.
    pub(super) fn has_read(&self) -> bool {
        self.first_read.get().is_some()
    }

    /// Adds sending, waiting and receiving. `end` is when the exchange broke off, if it did: the
    /// phase that was going on lasts until then.
    fn add_to(&self, timings: &mut Timings, ready: Instant, end: Option<Instant>) {
        let Some(first_write) = self.first_write.get() else {
            timings.sending = end.map_or(Duration::ZERO, |end| end - ready);
            return;
        };
        let last_write = self.last_write.get().unwrap_or(first_write);
        let stalled = self.write_stalled.get() || self.last_write.get().is_none();
        match (self.first_read.get(), end) {
            (None, Some(end)) if stalled => timings.sending = end - first_write,
            (None, end) => {
                timings.sending = last_write - first_write;
                timings.waiting = end.map_or(Duration::ZERO, |end| end - last_write);
            }
            (Some(first_read), end) => {
                timings.sending = last_write - first_write;
                timings.waiting = first_read.saturating_duration_since(last_write);
                // An answer that begins before the request is written through is received from
                // the end of the writing on: the phases follow one another and add up.
                let from = first_read.max(last_write);
                let to = end.or(self.last_read.get()).unwrap_or(from);
                timings.receiving = to.saturating_duration_since(from);
            }
        }
    }
}

/// What a request is busy with before its connection is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for a connection slot.
    Waiting,
    LookingUp,
    Connecting,
    TlsHandshaking,
    /// It has its connection.
    Exchanging,
}

/// Measures the phases of one exchange, readable at any moment.
#[derive(Debug)]
pub(super) struct Stopwatch {
    begun: Instant,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    looking_up: Cell<Duration>,
    connecting: Cell<Duration>,
    tls_handshaking: Cell<Duration>,
}

impl Stopwatch {
    /// Begins with [`Phase::Waiting`].
    pub(super) fn start(begun: Instant) -> Self {
        Self {
            begun,
            phase: Cell::new(Phase::Waiting),
            since: Cell::new(begun),
            looking_up: Cell::default(),
            connecting: Cell::default(),
            tls_handshaking: Cell::default(),
        }
    }

    /// Ends the current phase and begins another. Lost attempts before the last are waiting.
    pub(super) fn enter(&self, phase: Phase) {
        let now = clock::now();
        self.close(now);
        self.phase.set(phase);
        self.since.set(now);
    }

    /// Returns the time until the current phase began.
    pub(super) fn waited(&self) -> Duration {
        self.since.get() - self.begun
    }

    /// Says that the connection was there at once: nothing was waited for.
    pub(super) fn enter_exchanging_at_once(&self) {
        self.phase.set(Phase::Exchanging);
    }

    /// Says that the connection took the request no sooner than then: until then it waited.
    pub(super) fn enter_exchanging_at(&self, at: Instant) {
        self.phase.set(Phase::Exchanging);
        self.since.set(at.max(self.since.get()));
    }

    fn close(&self, now: Instant) {
        let field = match self.phase.get() {
            Phase::LookingUp => &self.looking_up,
            Phase::Connecting => &self.connecting,
            Phase::TlsHandshaking => &self.tls_handshaking,
            Phase::Waiting | Phase::Exchanging => return,
        };
        field.set(field.get() + now.saturating_duration_since(self.since.get()));
    }

    /// Returns the timings of an exchange that is over, or that `broke` off now.
    pub(super) fn timings(&self, stamps: Option<&Stamps>, broke: bool) -> Timings {
        let end = broke.then(clock::now);
        let exchanging = self.phase.get() == Phase::Exchanging;
        if let (Some(end), false) = (end, exchanging) {
            self.close(end);
            self.since.set(end);
        }
        let mut timings = Timings {
            blocked: self.since.get() - self.begun,
            looking_up: self.looking_up.get(),
            connecting: self.connecting.get(),
            tls_handshaking: self.tls_handshaking.get(),
            ..Timings::default()
        };
        if let (Some(stamps), true) = (stamps, exchanging) {
            stamps.add_to(&mut timings, self.since.get(), end);
        }
        timings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn in_virtual_time(test: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("runtime");
        runtime.block_on(test());
    }

    async fn pass(milliseconds: u32) {
        tokio::time::advance(MS * milliseconds).await;
    }

    #[test]
    fn the_phases_of_a_whole_exchange_add_up() {
        in_virtual_time(async || {
            let (watch, stamps) = (Stopwatch::start(clock::now()), Stamps::default());
            pass(1).await;
            watch.enter(Phase::LookingUp);
            pass(2).await;
            watch.enter(Phase::Connecting);
            pass(3).await;
            watch.enter(Phase::TlsHandshaking);
            pass(4).await;
            watch.enter(Phase::Exchanging);
            stamps.writing();
            pass(5).await;
            stamps.wrote();
            pass(6).await;
            stamps.read();
            pass(7).await;
            stamps.read();
            pass(100).await;
            let timings = watch.timings(Some(&stamps), false);
            let expected = Timings {
                blocked: MS * 10,
                looking_up: MS * 2,
                connecting: MS * 3,
                tls_handshaking: MS * 4,
                sending: MS * 5,
                waiting: MS * 6,
                receiving: MS * 7,
            };
            assert_eq!(timings, expected);
            assert_eq!((timings.duration(), timings.total()), (MS * 18, MS * 28));
        });
    }

    #[test]
    fn the_phase_that_breaks_off_gets_the_time_until_then() {
        in_virtual_time(async || {
            let watch = Stopwatch::start(clock::now());
            watch.enter(Phase::Connecting);
            pass(9).await;
            let timings = watch.timings(None, true);
            assert_eq!((timings.connecting, timings.blocked), (MS * 9, MS * 9));

            let (watch, stamps) = (Stopwatch::start(clock::now()), Stamps::default());
            watch.enter_exchanging_at_once();
            pass(1).await;
            assert_eq!(watch.timings(Some(&stamps), true).sending, MS);
            stamps.writing();
            stamps.wrote();
            stamps.stalled();
            pass(2).await;
            assert_eq!(watch.timings(Some(&stamps), true).sending, MS * 2);
            stamps.wrote();
            pass(3).await;
            let timings = watch.timings(Some(&stamps), true);
            assert_eq!((timings.sending, timings.waiting), (MS * 2, MS * 3));
            stamps.read();
            pass(4).await;
            let timings = watch.timings(Some(&stamps), true);
            assert_eq!((timings.waiting, timings.receiving), (MS * 3, MS * 4));
        });
    }

    #[test]
    fn an_answer_that_outruns_its_request_is_received_after_the_sending() {
        in_virtual_time(async || {
            let (watch, stamps) = (Stopwatch::start(clock::now()), Stamps::default());
            watch.enter_exchanging_at_once();
            stamps.writing();
            pass(1).await;
            stamps.read();
            pass(2).await;
            stamps.wrote();
            pass(3).await;
            stamps.read();
            let timings = watch.timings(Some(&stamps), false);
            assert_eq!(timings.sending, MS * 3);
            assert_eq!(timings.waiting, Duration::ZERO);
            assert_eq!(timings.receiving, MS * 3);
        });
    }
}
