//! The sockets of one VU: how many there are, and who outlives what.

use std::cell::RefCell;
use std::time::Duration;

use crate::protocol::ws::Socket;

/// The code of who leaves without being done: a browser's, when its page is closed.
pub(super) const GOING_AWAY: u16 = 1001;
/// How long the peer of a socket that nobody waits for any more has for its farewell.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The sockets of one VU. Those that are left open are closed with it.
#[derive(Default)]
pub struct Sockets {
    open: RefCell<Vec<Entry>>,
}

struct Entry {
    socket: Socket,
    /// Whether it ends with the iteration that opened it.
    in_iteration: bool,
}

impl Sockets {
    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        let mut open = self.open.borrow_mut();
        open.retain(|entry| entry.socket.ended().is_none());
        open.len()
    }

    /// Keeps one.
    pub(super) fn keep(&self, socket: Socket, in_iteration: bool) {
        self.open.borrow_mut().push(Entry { socket, in_iteration });
    }

    /// Closes those that an iteration opened and left open.
    pub fn end_iteration(&self) {
        if self.open.borrow().is_empty() {
            return;
        }
        let (ended, kept): (Vec<_>, Vec<_>) =
            self.open.take().into_iter().partition(|entry| entry.in_iteration);
        *self.open.borrow_mut() = kept;
        leave(&ended);
    }

    /// Closes all, and waits for the peers' farewells as long as is polite.
    pub async fn retire(&self) {
        let open = self.open.take();
        leave(&open);
        for entry in open {
            // Each has its own bound, which began at the same time.
            entry.socket.closed().await;
        }
    }
}

fn leave(entries: &[Entry]) {
    for entry in entries {
        entry.socket.leave(GOING_AWAY, PATIENCE);
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        leave(&self.open.take());
    }
}
