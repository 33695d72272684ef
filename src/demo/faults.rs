//! Misbehaving on demand: added latency, injected errors and stalls.

#![expect(clippy::disallowed_types, reason = "the target is not a worker")]

use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::error::ApiError;
use super::settings::{Latency, Settings, Stall};
use crate::clock::{self, Instant};

/// The seed of latencies and injected errors: two runs meet the same target.
const SEED: u64 = 7380;

/// What is done to the answers of the `/api` routes.
pub(super) struct Faults {
    start: Instant,
    latency: Latency,
    error_rate: f64,
    stalls: Vec<Stall>,
    random: Mutex<Xoshiro256PlusPlus>,
}

impl Faults {
    /// Reads the settings; stalls count from `start`.
    pub(super) fn new(settings: &Settings, start: Instant) -> Self {
        Self {
            start,
            latency: settings.latency,
            error_rate: settings.error_rate,
            stalls: settings.stall.clone(),
            random: Mutex::new(Xoshiro256PlusPlus::seed_from_u64(SEED)),
        }
    }

    /// Delays a request before its work, or answers it with an error instead.
    pub(super) async fn before(&self) -> Result<(), ApiError> {
        let (latency, failed) = self.draw();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        self.hold().await;
        if failed {
            return Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "injected",
                "this error was asked for by the demo's error rate",
            ));
        }
        Ok(())
    }

    /// Waits until no stall is on; a finished answer passes here too before it leaves.
    pub(super) async fn hold(&self) {
        if self.stalls.is_empty() {
            return;
        }
        let elapsed = clock::now().duration_since(self.start);
        let released = released(&self.stalls, elapsed);
        if released > elapsed {
            tokio::time::sleep_until(self.start + released).await;
        }
    }

    fn draw(&self) -> (Duration, bool) {
        if self.latency.is_none() && self.error_rate == 0.0 {
            return (Duration::ZERO, false);
        }
        let mut random = self.random.lock().expect("no holder panics");
        (self.latency.draw(&mut *random), random.random::<f64>() < self.error_rate)
    }
}

/// Returns when, counted from the start, an answer that is ready at `elapsed` may leave.
fn released(stalls: &[Stall], elapsed: Duration) -> Duration {
    let mut at = elapsed;
    // The end of one window may lie in another.
    while let Some(stall) = stalls.iter().find(|stall| (stall.at..stall.end()).contains(&at)) {
        at = stall.end();
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stall(at: u64, length: u64) -> Stall {
        Stall { at: Duration::from_millis(at), length: Duration::from_millis(length) }
    }

    #[test]
    fn an_answer_in_a_window_waits_for_its_end() {
        let stalls = [stall(100, 50), stall(140, 30), stall(500, 0)];
        let released = |at| released(&stalls, Duration::from_millis(at)).as_millis();
        assert_eq!(released(99), 99);
        assert_eq!(released(100), 170);
        assert_eq!(released(150), 170);
        assert_eq!(released(170), 170);
        assert_eq!(released(500), 500);
    }

    #[test]
    fn the_extreme_error_rates_are_exact() {
        for (error_rate, expected) in [(0.0, 0), (1.0, 1000)] {
            let settings = Settings { error_rate, ..Settings::default() };
            let faults = Faults::new(&settings, clock::now());
            assert_eq!((0..1000).filter(|_| faults.draw().1).count(), expected);
        }
    }

    #[test]
    fn two_targets_inject_the_same_errors() {
        let settings = Settings { error_rate: 0.3, ..Settings::default() };
        let draws = || {
            let faults = Faults::new(&settings, clock::now());
            (0..1000).map(|_| faults.draw().1).collect::<Vec<_>>()
        };
        let first = draws();
        assert_eq!(first, draws());
        let count = first.iter().filter(|failed| **failed).count();
        assert!((200..=400).contains(&count), "{count}");
    }

    proptest! {
        #[test]
        fn a_released_answer_is_in_no_window(
            windows in prop::collection::vec((0u64..1000, 0u64..300), 0..8),
            at in 0u64..1500,
        ) {
            let stalls: Vec<_> = windows.iter().map(|(at, length)| stall(*at, *length)).collect();
            let elapsed = Duration::from_millis(at);
            let end = released(&stalls, elapsed);
            prop_assert!(end >= elapsed);
            prop_assert!(!stalls.iter().any(|s| (s.at..s.end()).contains(&end)));
        }
    }
}
