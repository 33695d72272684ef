//! One VU's connections: those in use, by slots, and those kept for the next request.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::h1::Connection;
use crate::protocol::connect::Origin;
use crate::protocol::timing::{Phase, Stopwatch};

/// One VU's connections. Kept and used ones together are never more than `max`.
#[derive(Debug)]
pub(super) struct Pool {
    /// Oldest first: the newest is taken again first, so that surplus ones age and are found dead.
    #[expect(clippy::vec_box, reason = "a list of one would have room for four")]
    idle: RefCell<Vec<Box<Connection>>>,
    /// One permit per exchange that holds or opens a connection.
    slots: Semaphore,
    max: usize,
}

impl Pool {
    pub(super) fn new(max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self { idle: RefCell::default(), slots: Semaphore::new(max), max }
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

    /// Returns the newest kept connection to an origin and drops dead ones on the way.
    pub(super) fn take(&self, origin: &Rc<Origin>) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let leads_there = |connection: &Connection| {
                // Mostly the very same: comparing texts is for the URLs that share an origin.
                Rc::ptr_eq(&connection.origin, origin) || connection.origin == *origin
            };
            let at = idle.iter().rposition(|connection| leads_there(connection))?;
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

    /// Closes all kept connections.
    pub(super) fn clear(&self) {
        self.idle.take().into_iter().for_each(|connection| connection.close());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}
