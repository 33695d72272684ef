//! New schedules for a scenario that runs.

use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::sync::Notify;

/// Schedules on their way to a driver, in their order.
#[derive(Debug)]
pub struct Turns<T> {
    next: RefCell<VecDeque<T>>,
    changed: Notify,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { next: RefCell::default(), changed: Notify::new() }
    }
}

impl<T> Turns<T> {
    /// Hands a schedule to the driver.
    pub fn put(&self, turn: T) {
        self.next.borrow_mut().push_back(turn);
        self.changed.notify_one();
    }

    /// Waits until there is one that was not waited for yet. For the driver alone.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns something about the next one.
    pub(super) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.next.borrow().front().map(look)
    }

    /// Takes the next one.
    pub(super) fn take(&self) -> Option<T> {
        self.next.borrow_mut().pop_front()
    }
}
