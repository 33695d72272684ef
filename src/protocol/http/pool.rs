//! One VU's connections: those in use, by slots, and those kept for the next request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::h1::Connection;
use super::h2::{Lane, Line};
use crate::protocol::ProtocolError;
use crate::protocol::connect::Origin;
use crate::protocol::timing::{Phase, Stopwatch};

/// As many origins as are remembered to speak no HTTP/2: forgetting one costs little.
const HTTP1_MAX: usize = 32;

/// One VU's connections. Kept and used ones together are never more than `max`.
#[derive(Debug)]
pub(super) struct Pool {
    /// Oldest first: the newest is taken again first, so that surplus ones age and are found dead.
    #[expect(clippy::vec_box, reason = "a list of one would have room for four")]
    idle: RefCell<Vec<Box<Connection>>>,
    /// One permit per exchange that holds or opens a connection, and per shared connection.
    slots: Rc<Semaphore>,
    max: usize,
    /// Shared connections (HTTP/2), used or not, oldest first.
    lines: RefCell<Vec<Rc<Line>>>,
    /// Connections under way that may become shared ones.
    dialing: RefCell<Vec<Rc<Dialing>>>,
    /// Origins that chose HTTP/1.1, the newest last: nobody waits for their connections.
    http1: RefCell<Vec<Rc<Origin>>>,
    /// Rings when a shared connection, a place on one, or its slot may have become free.
    pub(super) news: Rc<Notify>,
}

/// The slot of a shared connection.
#[derive(Debug)]
pub(super) struct Held(Rc<Semaphore>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A connection under way that others wait for.
#[derive(Debug)]
pub(super) struct Dialing {
    origin: Rc<Origin>,
    over: Cell<bool>,
    error: RefCell<Option<ProtocolError>>,
    rings: Notify,
}

impl Dialing {
    /// Waits until it is open or given up.
    ///
    /// # Errors
    ///
    /// It could not be opened.
    pub(super) async fn ended(&self) -> Result<(), ProtocolError> {
        while !self.over.get() {
            // Nobody rings between the look and the waiting: a VU has one thread.
            self.rings.notified().await;
        }
        self.error.borrow().clone().map_or(Ok(()), Err)
    }
}

/// What the one who opens a connection for several holds.
#[derive(Debug)]
pub(super) struct Dialer<'p> {
    pool: &'p Pool,
    dialing: Rc<Dialing>,
}

impl Dialer<'_> {
    /// Says that the connection cannot be opened: all who wait for it have failed.
    pub(super) fn fail(&self, error: &ProtocolError) {
        self.dialing.error.replace(Some(error.clone()));
    }
}

impl Drop for Dialer<'_> {
    fn drop(&mut self) {
        self.pool.dialing.borrow_mut().retain(|one| !Rc::ptr_eq(one, &self.dialing));
        self.dialing.over.set(true);
        self.dialing.rings.notify_waiters();
    }
}

impl Pool {
    pub(super) fn new(max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            idle: RefCell::default(),
            slots: Rc::new(Semaphore::new(max)),
            max,
            lines: RefCell::default(),
            dialing: RefCell::default(),
            http1: RefCell::default(),
            news: Rc::default(),
        }
    }

    /// Returns the right to use a connection if nobody has to wait for it.
    pub(super) fn free_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.try_acquire().ok()
    }

    /// Waits for the right to use a connection, first come, first served.
    pub(super) async fn slot(&self, watch: &Stopwatch) -> SemaphorePermit<'_> {
        let slot = self.slots.acquire().await.expect("the semaphore is never closed");
        watch.enter(Phase::Waiting);
        slot
    }

    /// Makes a slot that of a shared connection.
    pub(super) fn hold(&self, slot: SemaphorePermit<'_>) -> Held {
        slot.forget();
        Held(Rc::clone(&self.slots))
    }

    /// Returns the newest kept connection to an origin and drops dead ones on the way.
    pub(super) fn take(&self, origin: &Rc<Origin>) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|connection| is_same(&connection.origin, origin))?;
            let mut connection = idle.remove(at);
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    /// Closes the oldest kept connection if one more would be too many. The caller has its slot.
    pub(super) fn make_room(&self) {
        let mut idle = self.idle.borrow_mut();
        let used = self.max - self.slots.available_permits();
        if idle.len() + used > self.max {
            idle.retain_mut(|connection| connection.is_usable());
            let surplus = (idle.len() + used).saturating_sub(self.max).min(idle.len());
            idle.drain(..surplus).for_each(|connection| connection.close());
        }
    }

    /// Keeps a connection. The caller still has its slot.
    pub(super) fn keep(&self, connection: Box<Connection>) {
        self.idle.borrow_mut().push(connection);
    }

    /// Returns a place on a shared connection to an origin, and drops dead ones on the way.
    pub(super) fn lane(&self, origin: &Rc<Origin>) -> Option<Lane> {
        let mut lines = self.lines.borrow_mut();
        if lines.is_empty() {
            return None;
        }
        let dead = lines.extract_if(.., |line| is_same(&line.origin, origin) && !line.is_usable());
        let dead: Vec<Rc<Line>> = dead.collect();
        let free = lines.iter().find(|line| is_same(&line.origin, origin) && line.has_room());
        let lane = free.map(|line| Lane::on(line, false));
        drop(lines);
        drop(dead);
        lane
    }

    /// Returns whether a connection to an origin takes no request though none is on it: the server
    /// has said so, and would say so on another.
    pub(super) fn is_held_off(&self, origin: &Rc<Origin>) -> bool {
        let lines = self.lines.borrow();
        lines.iter().any(|line| is_same(&line.origin, origin) && line.is_idle() && !line.has_room())
    }

    /// Keeps a shared connection.
    pub(super) fn share(&self, line: &Rc<Line>) {
        self.lines.borrow_mut().push(Rc::clone(line));
        self.news.notify_waiters();
    }

    /// Closes the oldest shared connection that nobody uses: its slot becomes free.
    pub(super) fn close_idle_line(&self) {
        let mut lines = self.lines.borrow_mut();
        let at = lines.iter().position(|line| line.is_idle());
        let closed = at.map(|at| lines.remove(at));
        drop(lines);
        drop(closed);
    }

    /// Returns the connection to an origin that is under way, if it may become a shared one.
    pub(super) fn dialing(&self, origin: &Rc<Origin>) -> Option<Rc<Dialing>> {
        self.dialing.borrow().iter().find(|one| is_same(&one.origin, origin)).map(Rc::clone)
    }

    /// Says that a connection is under way which may become a shared one.
    pub(super) fn dial(&self, origin: &Rc<Origin>) -> Dialer<'_> {
        let dialing = Rc::new(Dialing {
            origin: Rc::clone(origin),
            over: Cell::default(),
            error: RefCell::default(),
            rings: Notify::new(),
        });
        self.dialing.borrow_mut().push(Rc::clone(&dialing));
        Dialer { pool: self, dialing }
    }

    /// Returns whether an origin chose HTTP/1.1 before.
    pub(super) fn speaks_http1(&self, origin: &Rc<Origin>) -> bool {
        self.http1.borrow().iter().any(|known| is_same(known, origin))
    }

    /// Remembers what an origin chose.
    pub(super) fn chose(&self, origin: &Rc<Origin>, http2: bool) {
        let mut http1 = self.http1.borrow_mut();
        if http2 {
            http1.retain(|known| !is_same(known, origin));
        } else if !http1.iter().any(|known| is_same(known, origin)) {
            if http1.len() == HTTP1_MAX {
                http1.remove(0);
            }
            http1.push(Rc::clone(origin));
        }
    }

    /// Closes all kept connections; shared ones when their last request has ended.
    pub(super) fn clear(&self) {
        self.idle.take().into_iter().for_each(|connection| connection.close());
        drop(self.lines.take());
    }
}

/// Returns whether two origins are the same. Mostly they are the very same: comparing texts is for
/// the URLs that share an origin.
fn is_same(one: &Rc<Origin>, other: &Rc<Origin>) -> bool {
    Rc::ptr_eq(one, other) || one == other
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}
