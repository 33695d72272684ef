//! Lets a worker's VUs send one after another, rather than each as soon as its script gets there.
//!
//! A crowd of VUs that read, run and send in turn makes the processor fetch the code of all three anew
//! for each of them, from beyond its caches, and wakes the target for every single request. So who is
//! about to wait first lets the others come to the same point. What it read has its time stamps by
//! then, and what it sends has not begun: the wait is part of the iteration, and of no request.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

/// After a step at which nobody else was there, so many are taken alone without looking.
const ALONE: u32 = 15;

/// Most who wait for others at a time. What a VU works with leaves the caches while thousands of others
/// have their turns, and would have to be fetched twice.
const WAITING_MAX: u32 = 1024;

/// A worker's rounds.
#[derive(Debug, Default)]
pub struct Rounds {
    /// How often somebody has come to a step or gone on from it.
    moves: Cell<u64>,
    /// For how many steps nobody waits for others.
    alone: Cell<u32>,
    /// How many wait for others.
    waiting: Cell<u32>,
}

/// Counts one who waits, until it is dropped.
struct Waits<'a>(&'a Cell<u32>);

impl<'a> Waits<'a> {
    fn new(count: &'a Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Rounds {
    /// Lets the others who have something to do come first, once.
    pub async fn step(&self) {
        if let Some(left) = self.alone.get().checked_sub(1) {
            self.alone.set(left);
            return;
        }
        if self.waiting.get() >= WAITING_MAX {
            return;
        }
        let _waits = Waits::new(&self.waiting);
        let came = self.moved();
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            // To the end of the queue; the runtime looks at its sockets and timers as it always does.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        if self.moved() == came + 1 {
            self.alone.set(ALONE);
        }
    }

    fn moved(&self) -> u64 {
        self.moves.set(self.moves.get() + 1);
        self.moves.get()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn run(test: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test());
    }

    #[test]
    fn a_crowd_takes_each_step_together() {
        run(async || {
            let (rounds, log) = (Rc::new(Rounds::default()), Rc::new(RefCell::new(String::new())));
            let mut tasks = Vec::new();
            for _ in 0..4 {
                let (rounds, log) = (Rc::clone(&rounds), Rc::clone(&log));
                tasks.push(tokio::task::spawn_local(async move {
                    for _ in 0..3 {
                        log.borrow_mut().push_str("run ");
                        rounds.step().await;
                        log.borrow_mut().push_str("send ");
                        tokio::task::yield_now().await;
                    }
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            let together = ["run ".repeat(4), "send ".repeat(4)].concat();
            assert_eq!(*log.borrow(), together.repeat(3));
        });
    }

    #[test]
    fn who_is_alone_goes_on_at_once_and_looks_around_now_and_then() {
        run(async || {
            let rounds = Rounds::default();
            let mut yields = 0;
            for _ in 0..32 {
                let mut step = std::pin::pin!(rounds.step());
                let mut polls = 0;
                poll_fn(|context| {
                    polls += 1;
                    step.as_mut().poll(context)
                })
                .await;
                yields += polls - 1;
            }
            assert_eq!(yields, 2);
        });
    }

    #[test]
    fn of_a_crowd_too_large_the_rest_goes_on_at_once_and_who_is_dropped_waits_no_more() {
        let rounds = Rounds::default();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut steps: Vec<_> = (0..=WAITING_MAX).map(|_| Box::pin(rounds.step())).collect();
        let polled = steps.iter_mut().map(|step| step.as_mut().poll(&mut context));
        assert_eq!(polled.filter(Poll::is_pending).count(), WAITING_MAX as usize);
        drop(steps);
        assert_eq!(rounds.waiting.get(), 0);
    }
}
