//! What a request goes over: a kept connection, a place on a shared one, or a new connection.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::client::HttpClient;
use super::h1::Connection;
use super::h2::{Failure, Lane, Line};
use super::hop::Hop;
use crate::plan::Http2;
use crate::protocol::connect::{self, Dialed, Origin};
use crate::protocol::timing::{Phase, Stamps, Stopwatch};
use crate::protocol::{ErrorKind, ProtocolError};

/// A connection that was idle for longer is looked at again before a request that cannot be
/// repeated: its end may wait in the queue behind a script that ran long.
const TRUSTED_IDLE: Duration = Duration::from_millis(10);
/// How often a request is sent again that the server has not looked at; Go's client has the same.
const UNPROCESSED_MAX: u32 = 6;
/// The pause before the third attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(10);

/// What a request goes over.
#[derive(Debug)]
pub(super) enum Way<'p> {
    /// A connection of its own.
    Own(Own<'p>),
    /// A place on a shared one.
    Lane(Lane),
}

/// A connection that serves one exchange at a time, with its slot.
#[derive(Debug)]
pub(super) struct Own<'p> {
    pub(super) connection: Box<Connection>,
    /// Whether it was opened for this request.
    fresh: bool,
    _slot: SemaphorePermit<'p>,
}

/// What was tried for a request in vain.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Whether a kept connection turned out dead: only a new one will do.
    dead: bool,
    /// How often a server has sent the request back without a look at it.
    unprocessed: u32,
}

impl Tries {
    /// Returns whether a request that failed may be sent once more, and takes note of it.
    ///
    /// The server may have closed a kept connection before it saw the request (RFC 9112, 9.3.1), or
    /// says that it did not look at it (RFC 9113, 8.7).
    pub(super) fn allow(
        &mut self,
        failure: &Failure,
        was_fresh: bool,
        hop: &Hop,
        stamps: &Stamps,
    ) -> bool {
        if failure.unprocessed {
            self.unprocessed += 1;
            return self.unprocessed <= UNPROCESSED_MAX;
        }
        let untouched = !stamps.has_read() && (hop.is_idempotent() || !stamps.has_written());
        let again = failure.is_end_of_connection() && untouched && !was_fresh && !self.dead;
        self.dead |= again;
        again
    }

    /// Returns how long to wait before the next attempt.
    fn pause(&self) -> Option<Duration> {
        let doubled = self.unprocessed.checked_sub(2)?;
        Some(PAUSE * (1 << doubled))
    }
}

impl Way<'_> {
    /// Returns whether its connection was opened for this request.
    pub(super) fn is_fresh(&self) -> bool {
        match self {
            Self::Own(own) => own.fresh,
            Self::Lane(lane) => lane.fresh,
        }
    }
}

impl HttpClient {
    /// Returns a way that needs no waiting, as nearly all requests have one.
    pub(super) fn way_at_once(
        &self,
        origin: &Rc<Origin>,
        hop: &Hop,
        watch: &Stopwatch,
    ) -> Option<Way<'_>> {
        let way = if self.may_share(origin) {
            let trusted = |lane: &Lane| is_trusted(|| lane.line.idle_time(), hop);
            Way::Lane(self.pool.lane(origin).filter(trusted)?)
        } else {
            let slot = self.pool.free_slot()?;
            let connection = self.pool.take(origin)?;
            if !is_trusted(|| connection.idle_time(), hop) {
                self.pool.keep(connection);
                return None;
            }
            Way::Own(Own { connection, fresh: false, _slot: slot })
        };
        watch.enter_exchanging_at_once();
        Some(way)
    }

    /// Finds or makes a way after one that was taken in vain.
    ///
    /// # Errors
    ///
    /// No connection could be opened.
    pub(super) async fn way_after_pause(
        &self,
        origin: &Rc<Origin>,
        hop: &Hop,
        watch: &Stopwatch,
        tries: &Tries,
    ) -> Result<Way<'_>, ProtocolError> {
        if let Some(pause) = tries.pause() {
            tokio::time::sleep(pause).await;
        }
        self.way(origin, hop, watch, tries).await
    }

    /// Finds or makes a way.
    ///
    /// # Errors
    ///
    /// No connection could be opened.
    pub(super) async fn way(
        &self,
        origin: &Rc<Origin>,
        hop: &Hop,
        watch: &Stopwatch,
        tries: &Tries,
    ) -> Result<Way<'_>, ProtocolError> {
        let mut slot = None;
        loop {
            let news = self.pool.news.notified();
            let shares = self.may_share(origin);
            if shares {
                if let Some(lane) = self.pool.lane(origin) {
                    if let Some(lane) = lane_looked_at(lane, hop, tries).await {
                        watch.enter(Phase::Exchanging);
                        return Ok(Way::Lane(lane));
                    }
                    continue;
                }
                if let Some(dialing) = self.pool.dialing(origin) {
                    slot = None;
                    dialing.ended().await?;
                    continue;
                }
                if self.pool.is_held_off(origin) {
                    slot = None;
                    news.await;
                    continue;
                }
            }
            let Some(slot) = slot.take().or_else(|| self.slot_at_once()) else {
                tokio::select! {
                    biased;
                    free = self.pool.slot(watch) => slot = Some(free),
                    () = news => {}
                }
                continue;
            };
            if !shares
                && !tries.dead
                && let Some(connection) = self.pool.take(origin)
                && let Some(connection) = self.looked_at(connection, hop).await
            {
                watch.enter(Phase::Exchanging);
                return Ok(Way::Own(Own { connection, fresh: false, _slot: slot }));
            }
            return self.open(origin, slot, shares, watch).await;
        }
    }

    /// Returns whether requests to an origin may share a connection, as far as is known.
    fn may_share(&self, origin: &Rc<Origin>) -> bool {
        if self.plan.no_connection_reuse {
            return false;
        }
        match self.plan.http2 {
            Http2::Never => false,
            Http2::Auto => origin.is_tls() && !self.pool.speaks_http1(origin),
            Http2::Always => true,
        }
    }

    /// Returns a slot that is free, or that of a shared connection which nobody uses.
    fn slot_at_once(&self) -> Option<SemaphorePermit<'_>> {
        self.pool.free_slot().or_else(|| {
            self.pool.close_idle_line();
            self.pool.free_slot()
        })
    }

    /// Returns a kept connection, this one or an older one, after another look at it.
    async fn looked_at(&self, kept: Box<Connection>, hop: &Hop) -> Option<Box<Connection>> {
        let mut connection = kept;
        if is_trusted(|| connection.idle_time(), hop) {
            return Some(connection);
        }
        loop {
            // The worker looks at its sockets before it comes back to us.
            tokio::task::yield_now().await;
            if connection.is_usable() {
                return Some(connection);
            }
            let origin = Rc::clone(&connection.origin);
            connection = self.pool.take(&origin)?;
        }
    }

    /// Opens a connection, for others too if it can be shared.
    async fn open<'p>(
        &'p self,
        origin: &Rc<Origin>,
        slot: SemaphorePermit<'p>,
        shares: bool,
        watch: &Stopwatch,
    ) -> Result<Way<'p>, ProtocolError> {
        let dialer = shares.then(|| self.pool.dial(origin));
        let opened = self.begin(origin, slot, watch).await;
        if let (Some(dialer), Err(error)) = (&dialer, &opened) {
            dialer.fail(error);
        }
        opened
    }

    /// Connects to an origin in this VU's way.
    ///
    /// # Errors
    ///
    /// There is no way there.
    pub(super) async fn dial(
        &self,
        origin: &Rc<Origin>,
        wish: Http2,
        watch: &Stopwatch,
    ) -> Result<Dialed, ProtocolError> {
        let tls = origin.is_tls().then(|| self.sessions.of(&self.network.tls(origin), wish));
        connect::dial(&self.network, tls, origin, self.local.get(), &self.traffic, watch).await
    }

    async fn begin<'p>(
        &'p self,
        origin: &Rc<Origin>,
        slot: SemaphorePermit<'p>,
        watch: &Stopwatch,
    ) -> Result<Way<'p>, ProtocolError> {
        self.pool.make_room();
        let wish = self.plan.http2;
        if wish == Http2::Always && self.network.forwarder(origin).is_some() {
            let why = "a proxy that forwards requests speaks HTTP/1.1";
            return Err(ProtocolError::from(ErrorKind::Http2).with_detail(why));
        }
        let dialed = self.dial(origin, wish, watch).await?;
        let http2 = match wish {
            Http2::Never => false,
            Http2::Always if !origin.is_tls() => true,
            Http2::Auto | Http2::Always => dialed.stream.has_chosen_http2(),
        };
        if wish == Http2::Always && !http2 {
            return Err(ErrorKind::Http2.into());
        }
        if origin.is_tls() {
            self.pool.chose(origin, http2);
        }
        let way = if http2 {
            let (held, news) = (self.pool.hold(slot), Rc::clone(&self.pool.news));
            let lane = Line::open(dialed, Rc::clone(origin), held, news).await?;
            if !self.plan.no_connection_reuse {
                self.pool.share(&lane.line);
            }
            Way::Lane(lane)
        } else {
            let connection = Box::new(Connection::new(dialed, Rc::clone(origin)));
            Way::Own(Own { connection, fresh: true, _slot: slot })
        };
        watch.enter(Phase::Exchanging);
        Ok(way)
    }
}

/// Returns a place on a shared connection after another look at the connection; nothing if it turns
/// out dead.
async fn lane_looked_at(lane: Lane, hop: &Hop, tries: &Tries) -> Option<Lane> {
    if is_trusted(|| lane.line.idle_time(), hop) && !tries.dead {
        return Some(lane);
    }
    // The worker looks at its sockets, and the connection's task at what has come.
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
    lane.line.is_usable().then_some(lane)
}

/// Returns whether a connection that was idle for so long may serve a request without another look.
fn is_trusted(idle: impl FnOnce() -> Duration, hop: &Hop) -> bool {
    hop.is_idempotent() || idle() < TRUSTED_IDLE
}
