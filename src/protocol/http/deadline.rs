//! A request's time, without a timer of its own.
//!
//! Registering a timer with the runtime and taking it out again costs more than parsing an answer,
//! and nearly all requests end long before their time. So a client's requests hand one registered
//! timer on: it rings no later than the last of them must end, and who hears it too early sets it
//! anew.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock::Instant;

/// Longer than any run: what stands for a time that the clock cannot hold.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// The timer that a client's requests hand on.
#[derive(Debug, Default)]
pub(super) struct Timer {
    spare: RefCell<Option<Pin<Box<Sleep>>>>,
}

/// Resolves when a request's time is over.
#[derive(Debug)]
pub(super) struct Deadline<'a> {
    timer: &'a Timer,
    at: Instant,
    /// Taken when first waited for; rings at `at` or before.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Returns the end of a request that began then.
    pub(super) fn deadline(&self, begun: Instant, timeout: Duration) -> Deadline<'_> {
        let at = begun.checked_add(timeout).unwrap_or(begun + FOREVER);
        Deadline { timer: self, at, sleep: None }
    }
}

impl Deadline<'_> {
    /// Gives more time: what is waited for now does not count.
    pub(super) fn postpone(mut self: Pin<&mut Self>, by: Duration) {
        self.at = self.at.checked_add(by).unwrap_or(self.at);
    }
}

impl Future for Deadline<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { timer, at, sleep } = &mut *self;
        let sleep = sleep.get_or_insert_with(|| {
            let handed_on = timer.spare.take().filter(|sleep| sleep.deadline() <= *at);
            handed_on.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(*at)))
        });
        while sleep.deadline() < *at {
            ready!(sleep.as_mut().poll(cx));
            sleep.as_mut().reset(*at);
        }
        sleep.as_mut().poll(cx)
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        if self.sleep.is_some() {
            self.timer.spare.replace(self.sleep.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MS: Duration = Duration::from_millis(1);

    /// Returns after how many milliseconds of virtual time a deadline rings.
    async fn rings(timer: &Timer, timeout: Duration) -> u128 {
        let begun = clock::now();
        timer.deadline(begun, timeout).await;
        (clock::now() - begun).as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn each_deadline_rings_at_its_own_time_whoever_had_the_timer_before() {
        let timer = Timer::default();
        // One that is waited for and given up leaves its timer behind.
        let begun = clock::now();
        let _over = tokio::time::timeout(MS, timer.deadline(begun, 50 * MS)).await;
        assert!(
            timer.spare.take().inspect(|s| assert_eq!(s.deadline(), begun + 50 * MS)).is_some()
        );
        let _over = tokio::time::timeout(MS, timer.deadline(clock::now(), 50 * MS)).await;
        // Later, sooner, and long after the timer has rung for nobody.
        assert_eq!(rings(&timer, 70 * MS).await, 70);
        let _over = tokio::time::timeout(MS, timer.deadline(clock::now(), 90 * MS)).await;
        assert_eq!(rings(&timer, 20 * MS).await, 20);
        tokio::time::sleep(500 * MS).await;
        assert_eq!(rings(&timer, 30 * MS).await, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_of_parallel_requests_do_not_meet() {
        let timer = Timer::default();
        let both = [rings(&timer, 40 * MS), rings(&timer, 10 * MS)];
        assert_eq!(futures_util::future::join_all(both).await, [40, 10]);
        assert_eq!(rings(&timer, 25 * MS).await, 25);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_beyond_the_clock_is_long() {
        let timer = Timer::default();
        let waited = tokio::time::timeout(FOREVER / 2, rings(&timer, Duration::MAX)).await;
        assert!(waited.is_err());
    }
}
