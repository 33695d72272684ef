//! A limit to the rate of requests: evenly spaced turns, first come, first served.
//!
//! Workers share a rate by arithmetic: each has a part, and begins at another moment, so that the
//! turns of all are spread evenly without a word between them.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::{self, ArrivalTimer, Instant};

/// As much of what a queue has fallen behind is caught up: more would be a burst.
const CATCH_UP_MAX: Duration = Duration::from_millis(100);

/// A worker's part of a rate of requests.
#[derive(Debug)]
pub struct RequestRate {
    interval: Duration,
    /// When the next turn is.
    next: Cell<Instant>,
    /// Who has the permit waits for the next turn; others wait for the permit.
    queue: Semaphore,
    timer: RefCell<Option<ArrivalTimer>>,
}

impl RequestRate {
    /// Returns a worker's part of a rate, which begins at `zero` for all.
    ///
    /// `weights` are the workers' parts (how many VUs each has), `worker` is whose it is. Nothing if
    /// that worker has no part.
    pub fn of_worker(
        per_second: f64,
        weights: &[u64],
        worker: usize,
        zero: Instant,
    ) -> Option<Self> {
        let total: u64 = weights.iter().sum();
        let mine = *weights.get(worker)?;
        if mine == 0 {
            return None;
        }
        let before: u64 = weights[..worker].iter().sum();
        let interval = Duration::try_from_secs_f64(total as f64 / (per_second * mine as f64));
        let interval = interval.unwrap_or(Duration::MAX);
        let phase = interval.mul_f64(before as f64 / total as f64);
        Some(Self {
            interval,
            next: Cell::new(later(zero, phase)),
            queue: Semaphore::new(1),
            timer: RefCell::new(Some(ArrivalTimer::new())),
        })
    }

    /// Waits for a turn. Dropping the future leaves it to others.
    pub async fn turn(&self) {
        let queued = self.queue.available_permits() == 0;
        let _head = self.queue.acquire().await.expect("the semaphore is never closed");
        let now = clock::now();
        // Turns that nobody asked for are gone but for the last. Those that a queue has missed, since
        // timers are late and VUs run in between, are not.
        let kept = if queued { CATCH_UP_MAX } else { Duration::ZERO };
        let at = self.skip(now.checked_sub(kept).unwrap_or(now));
        if at > now {
            self.lend().timer.wait_until(at).await;
        }
        self.next.set(later(at, self.interval));
    }

    /// Returns the next turn, or the last one before a moment if that is later. Turns stay where they
    /// are: those of other workers lie between them.
    fn skip(&self, moment: Instant) -> Instant {
        let next = self.next.get();
        let behind = moment.saturating_duration_since(next).as_nanos();
        let ahead =
            behind.checked_rem(self.interval.as_nanos()).map_or(behind, |rest| behind - rest);
        later(next, Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX)))
    }

    fn lend(&self) -> Lent<'_> {
        Lent { timer: self.timer.take().unwrap_or_default(), rate: self }
    }
}

/// The timer, in the hands of who is first in the queue. It comes back however the waiting ends.
struct Lent<'a> {
    timer: ArrivalTimer,
    rate: &'a RequestRate,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let timer = std::mem::replace(&mut self.timer, ArrivalTimer::simulated());
        self.rate.timer.replace(Some(timer));
    }
}

/// Returns a moment later than another, as far as the clock goes.
fn later(moment: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(24 * 365);
    moment.checked_add(by).unwrap_or(moment + FAR)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use futures_util::future::join_all;

    use super::*;

    fn part(per_second: f64, weights: &[u64], worker: usize) -> Rc<RequestRate> {
        let rate = RequestRate::of_worker(per_second, weights, worker, clock::now());
        let rate = rate.expect("a part");
        rate.timer.replace(Some(ArrivalTimer::simulated()));
        Rc::new(rate)
    }

    /// Returns when, in milliseconds after the start, each of some VUs gets its turns.
    async fn turns(rate: &Rc<RequestRate>, vus: usize, each: usize) -> Vec<u128> {
        let begun = clock::now();
        let vu = || async {
            let mut got = Vec::new();
            for _ in 0..each {
                rate.turn().await;
                got.push((clock::now() - begun).as_millis());
            }
            got
        };
        let mut all: Vec<u128> =
            join_all((0..vus).map(|_| vu())).await.into_iter().flatten().collect();
        all.sort_unstable();
        all
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_evenly_spaced_whoever_asks() {
        assert_eq!(turns(&part(100.0, &[1], 0), 1, 4).await, [0, 10, 20, 30]);
        assert_eq!(turns(&part(100.0, &[1], 0), 3, 2).await, [0, 10, 20, 30, 40, 50]);
        assert_eq!(turns(&part(0.5, &[1], 0), 2, 1).await, [0, 2_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_turns_of_all_workers_together_are_evenly_spaced() {
        for weights in [[1, 1, 1, 1], [5, 5, 5, 5]] {
            let mut all = Vec::new();
            for worker in 0..4 {
                // Each worker has its own time here, from the same zero.
                all.extend(turns(&part(100.0, &weights, worker), 2, 3).await);
            }
            all.sort_unstable();
            let even: Vec<u128> = (0..24).map(|turn| turn * 10).collect();
            assert_eq!(all, even);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn parts_are_as_large_as_their_weights() {
        let weights = [3, 1, 0];
        let mut count = [0, 0];
        for (worker, count) in count.iter_mut().enumerate() {
            let got = turns(&part(100.0, &weights, worker), 1, 400).await;
            *count = got.iter().filter(|&&at| at < 4_000).count();
        }
        assert_eq!(count, [300, 100]);
        assert!(RequestRate::of_worker(1.0, &weights, 2, clock::now()).is_none());
        assert!(RequestRate::of_worker(1.0, &[], 0, clock::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_nobody_asked_for_are_gone() {
        let rate = part(100.0, &[1], 0);
        rate.turn().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(turns(&rate, 2, 2).await, [0, 10, 20, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_late_moves_no_turn() {
        let rate = part(100.0, &[1, 1], 1);
        let begun = clock::now();
        let mut got = Vec::new();
        for wait in [0, 3, 0, 24, 0, 0, 2_001, 0] {
            tokio::time::advance(Duration::from_millis(wait)).await;
            rate.turn().await;
            got.push((clock::now() - begun).as_millis());
        }
        // Its turns are at 10, 30, 50, …; a late one is taken at once, and the next is where it was.
        assert_eq!(got, [10, 30, 50, 74, 90, 110, 2_111, 2_130]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_its_turn_to_the_next() {
        let rate = part(1.0, &[1], 0);
        rate.turn().await;
        let begun = clock::now();
        let gives_up = tokio::time::timeout(Duration::from_millis(300), rate.turn());
        let stays = async {
            tokio::task::yield_now().await;
            rate.turn().await;
        };
        let (gave_up, ()) = tokio::join!(gives_up, stays);
        assert!(gave_up.is_err());
        assert_eq!((clock::now() - begun).as_millis(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_catches_up_what_it_missed_but_not_much() {
        let rate = part(100.0, &[1], 0);
        let begun = clock::now();
        let first = rate.queue.acquire().await.expect("open");
        let late = async {
            // Something holds the worker up for a while.
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(first);
        };
        let vus = join_all((0..8).map(|_| rate.turn()));
        tokio::join!(late, vus);
        assert_eq!((clock::now() - begun).as_millis(), 70);
        tokio::time::advance(Duration::from_secs(5)).await;
        let first = rate.queue.acquire().await.expect("open");
        let begun = clock::now();
        let late = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(first);
        };
        let vus = join_all((0..20).map(|_| rate.turn()));
        tokio::join!(late, vus);
        assert_eq!((clock::now() - begun).as_millis(), 3_000 + 90);
    }
}
