//! Turns for scripts that compute for long: one slice between two looks at sockets and timers.
//!
//! A VU whose slice has ended lets others run. If each of several such VUs took its next slice at once,
//! whoever is due would wait for all of them; so they take turns, and the worker looks after its
//! sockets and timers, and those who were woken, before each.

use tokio::sync::{Semaphore, SemaphorePermit};

/// A worker's turns.
#[derive(Debug)]
pub struct Slices(Semaphore);

/// The right to run one slice, until it is dropped.
#[derive(Debug)]
pub struct Slice<'a> {
    _permit: SemaphorePermit<'a>,
}

impl Default for Slices {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Slices {
    /// Waits for a turn: first come, first served, and after all who have something to do.
    pub async fn turn(&self) -> Slice<'_> {
        let permit = self.0.acquire().await.expect("the semaphore is never closed");
        // Woken only after the runtime has looked at its sockets and timers.
        tokio::task::yield_now().await;
        Slice { _permit: permit }
    }

    /// Returns whether somebody computes for long.
    pub fn are_wanted(&self) -> bool {
        self.0.available_permits() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    #[test]
    fn between_two_slices_those_who_were_woken_run() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let slices = Rc::new(Slices::default());
            let (log, rounds) = (Rc::new(RefCell::new(String::new())), Rc::new(Cell::new(0)));
            let mut tasks = Vec::new();
            for _ in 0..3 {
                let (slices, log) = (Rc::clone(&slices), Rc::clone(&log));
                tasks.push(tokio::task::spawn_local(async move {
                    for _ in 0..4 {
                        let slice = slices.turn().await;
                        log.borrow_mut().push('x');
                        drop(slice);
                    }
                }));
            }
            let (seen, other) = (Rc::clone(&rounds), Rc::clone(&log));
            let quick = tokio::task::spawn_local(async move {
                loop {
                    tokio::task::yield_now().await;
                    seen.set(seen.get() + 1);
                    other.borrow_mut().push('.');
                }
            });
            for task in tasks {
                task.await.unwrap();
            }
            quick.abort();
            assert!(rounds.get() >= 11);
            // Two rounds may meet where the order within a round changes.
            assert!(!log.borrow().contains("xxx"), "{}", log.borrow());
        });
    }
}
