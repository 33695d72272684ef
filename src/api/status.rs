//! What all workers count together, and what is known of the whole test while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use super::common::Common;
use crate::clock::{self, Instant};

/// Facts of the whole test that scripts may ask for, counted by all workers. Relaxed counters,
/// touched once per iteration at most.
#[derive(Debug, Default)]
pub struct TestStatus {
    /// Iterations that ended.
    pub iterations_completed: AtomicU64,
    /// Iterations that were cut off.
    pub iterations_interrupted: AtomicU64,
    /// The VUs of all scenarios.
    pub vus: VuCounts,
    /// The VUs of each scenario, in the plan's order.
    pub scenarios: Vec<VuCounts>,
    /// What scripts share between VUs.
    pub(super) common: Common,
    /// When the scenarios began, in microseconds after [`TestStatus::zero`], plus 1; 0: not yet.
    began_us: AtomicU64,
    /// The origin of times.
    zero: std::sync::OnceLock<Instant>,
}

/// VUs of the test or of a scenario.
#[derive(Debug, Default)]
pub struct VuCounts {
    /// Those that exist.
    pub existing: Crowd,
    /// Those that run an iteration.
    pub active: Crowd,
}

/// How many of something there are, counted by all workers, and the most at once since the last
/// look: the sum of what each worker saw at its own moment would be too many.
#[derive(Debug, Default)]
pub struct Crowd {
    now: AtomicU64,
    most: AtomicU64,
}

impl Crowd {
    /// Counts one more.
    pub fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        // Mostly it is no new height, and reading disturbs nobody.
        if now > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Counts one less.
    pub fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns how many there are.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Returns the most at once since the last time, at least as many as there were then.
    pub fn take_most(&self) -> u64 {
        let most = self.most.swap(0, Ordering::Relaxed);
        // Who comes in between sets the new height itself.
        self.most.fetch_max(self.now(), Ordering::Relaxed);
        most
    }
}

impl TestStatus {
    /// Returns the status of a test with so many scenarios that has not begun.
    pub fn new(scenarios: usize) -> Self {
        let scenarios = std::iter::repeat_with(VuCounts::default).take(scenarios).collect();
        Self { scenarios, ..Self::default() }
    }

    /// Returns the counts that a VU of a scenario enters: the test's and the scenario's.
    pub fn counts(&self, scenario: usize) -> impl Iterator<Item = &VuCounts> {
        std::iter::once(&self.vus).chain(self.scenarios.get(scenario))
    }

    /// Returns the origin of times, which is the same for all workers.
    pub fn zero(&self) -> Instant {
        *self.zero.get_or_init(clock::now)
    }

    /// Returns a function that a mix of the script names and the script does not have, and what to say
    /// about it.
    pub fn missing_function(&self, functions: &[String]) -> Option<(String, String)> {
        let known: Vec<&str> = functions.iter().map(String::as_str).collect();
        let mixes = self.common.mixes.all();
        let mut names = mixes.iter().flat_map(|mix| mix.names());
        let missing = names.find(|name| !functions.contains(name))?;
        let problem = super::unknown_name("mix.mix", "function", missing, &known);
        Some((missing.clone(), problem))
    }

    /// Notes that the scenarios begin.
    pub fn begin(&self, at: Instant) {
        let zero = *self.zero.get_or_init(|| at);
        let micros = at.duration_since(zero).as_micros() as u64;
        self.began_us.store(micros + 1, Ordering::Relaxed);
    }

    /// Returns the time since the scenarios began, in seconds; 0 before.
    pub fn elapsed_seconds(&self) -> f64 {
        match (self.zero.get(), self.began_us.load(Ordering::Relaxed)) {
            (Some(zero), began @ 1..) => {
                clock::now().duration_since(*zero).as_secs_f64() - (began - 1) as f64 / 1e6
            }
            _ => 0.0,
        }
    }
}
