//! The scenarios of a run as the controller sees them: what workers report, added up.

use std::time::Duration;

use super::population::Population;
use crate::clock::Instant;
use crate::output::{ScenarioProgress, ScenarioResult};
use crate::plan::{Executor, Plan, Start};
use crate::units;
use crate::worker::ScenarioTally;

/// The scenarios of a run.
#[derive(Debug)]
pub(super) struct Scenarios {
    /// By scenario, then worker.
    tallies: Vec<Vec<ScenarioTally>>,
    /// By scenario: how many workers' parts have ended.
    ended: Vec<usize>,
    /// By scenario: the zero of its time.
    began: Vec<Option<Instant>>,
    /// By scenario: iterations ended at the last look, and when that was.
    last: Vec<(u64, Instant)>,
    workers: usize,
}

impl Scenarios {
    pub(super) fn new(plan: &Plan, workers: usize, now: Instant) -> Self {
        let count = plan.scenarios.len();
        Self {
            tallies: vec![vec![ScenarioTally::default(); workers]; count],
            ended: vec![0; count],
            began: vec![None; count],
            last: vec![(0, now); count],
            workers,
        }
    }

    /// Sets the zero of the test's time.
    pub(super) fn begin(&mut self, plan: &Plan, zero: Instant) {
        for (index, scenario) in plan.scenarios.iter().enumerate() {
            if let Start::At(after) = scenario.start {
                self.began[index] = Some(zero + after);
            }
        }
        self.last.fill((0, zero));
    }

    /// Takes over a worker's tallies.
    pub(super) fn update(&mut self, worker: usize, tallies: &[ScenarioTally]) {
        for (all, tally) in self.tallies.iter_mut().zip(tallies) {
            all[worker] = *tally;
        }
    }

    /// Notes that a worker's part of a scenario has ended. If that was the last, returns the
    /// scenarios that start now, with the zeros of their times.
    pub(super) fn end_part(
        &mut self,
        plan: &Plan,
        index: usize,
        now: Instant,
    ) -> Vec<(usize, Instant)> {
        self.ended[index] += 1;
        if self.ended[index] < self.workers {
            return Vec::new();
        }
        let mut starts = Vec::new();
        for (follower, scenario) in plan.scenarios.iter().enumerate() {
            if let Start::After(name, delay) = &scenario.start
                && *name == plan.scenarios[index].name
            {
                let at = now + *delay;
                self.began[follower] = Some(at);
                starts.push((follower, at));
            }
        }
        starts
    }

    /// Returns a scenario's tally over all workers.
    pub(super) fn tally(&self, index: usize) -> ScenarioTally {
        let mut sum = ScenarioTally::default();
        for tally in &self.tallies[index] {
            sum.add(tally);
        }
        sum
    }

    /// Returns when a scenario began, if it has.
    pub(super) fn began(&self, index: usize) -> Option<Instant> {
        self.began[index]
    }

    /// Returns what the progress display shows.
    pub(super) fn progress(&mut self, plan: &Plan, now: Instant) -> Vec<ScenarioProgress> {
        let mut all = Vec::new();
        for (index, scenario) in plan.scenarios.iter().enumerate() {
            let tally = self.tally(index);
            let (before, at) = self.last[index];
            let seconds = now.duration_since(at).as_secs_f64();
            let rate = if seconds > 0.0 { (tally.ended - before) as f64 / seconds } else { 0.0 };
            self.last[index] = (tally.ended, now);
            let ended = self.ended[index] == self.workers;
            let elapsed = self.began[index]
                .map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
            let (done, position) = position(&scenario.executor, elapsed, tally.ended);
            all.push(ScenarioProgress {
                name: scenario.name.clone(),
                done: if ended { 1.0 } else { done },
                position: self.waiting(index, scenario, now).unwrap_or(position),
                vus: (tally.active, tally.vus),
                iterations: tally.ended,
                rate,
                errors: tally.errors,
                dropped: tally.dropped,
                ended,
            });
        }
        all
    }

    /// Returns what a scenario waits for, if it does.
    fn waiting(
        &self,
        index: usize,
        scenario: &crate::plan::Scenario,
        now: Instant,
    ) -> Option<String> {
        match (&scenario.start, self.began[index]) {
            (Start::After(name, _), None) => Some(format!("waits for {name}")),
            (_, Some(began)) if began > now => {
                let left = Duration::from_secs(began.duration_since(now).as_secs() + 1);
                Some(format!("starts in {}", units::format_duration(left)))
            }
            _ => None,
        }
    }

    /// Counts what a scenario promised as dropped, in a test that ends before it has begun.
    pub(super) fn drop_promised(&mut self, index: usize, promised: u64) {
        if let Some(tally) = self.tallies[index].first_mut() {
            tally.dropped = promised;
        }
    }

    /// Returns what the summary shows.
    pub(super) fn results(&self, plan: &Plan, population: &Population) -> Vec<ScenarioResult> {
        let result = |(index, scenario): (usize, &crate::plan::Scenario)| {
            let tally = self.tally(index);
            ScenarioResult {
                name: scenario.name.clone(),
                executor: scenario.executor.name(),
                due: scenario.executor.is_open().then_some(tally.due),
                ended: tally.ended,
                interrupted: tally.interrupted,
                dropped: tally.dropped,
                errors: tally.errors,
                vus_max: population.most(index),
            }
        };
        plan.scenarios.iter().enumerate().map(result).collect()
    }
}

/// Returns how far a scenario is, from 0 to 1, and in words.
fn position(executor: &Executor, elapsed: Duration, ended: u64) -> (f64, String) {
    if let Some(planned) = executor.iterations_promised() {
        let done = ended as f64 / planned.max(1) as f64;
        let text = format!(
            "{} of {} iterations",
            units::format_count(ended),
            units::format_count(planned)
        );
        return (done.min(1.0), text);
    }
    let length = executor.duration_max();
    let elapsed = elapsed.min(length);
    let done = elapsed.as_secs_f64() / length.as_secs_f64().max(f64::MIN_POSITIVE);
    let whole = Duration::from_secs(elapsed.as_secs_f64().round() as u64);
    let text = format!("{} of {}", units::format_duration(whole), units::format_duration(length));
    (done.min(1.0), text)
}
