//! The scenarios of a run as the controller sees them: what workers report, added up.

use std::time::Duration;

use super::population::Population;
use crate::clock::Instant;
use crate::output::{ScenarioProgress, ScenarioResult};
use crate::plan::{Executor, Plan, Scenario, Spliced, Standing, Start};
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
    /// By scenario: the arrivals of open ones, over all changes.
    spliced: Vec<Option<Spliced>>,
    /// By scenario: when it was taken out of the test.
    removed: Vec<Option<Instant>>,
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
            spliced: plan.scenarios.iter().map(|one| spliced(plan, one)).collect(),
            removed: vec![None; count],
        }
    }

    /// Goes on with a plan that was revised: rates change at a time, scenarios stop, and new ones
    /// join. Returns when those start, if nothing has to end before.
    pub(super) fn revise(
        &mut self,
        plan: &Plan,
        removed: &[usize],
        zero: Instant,
        at: Instant,
    ) -> Vec<(usize, Instant)> {
        for &index in removed {
            self.removed[index] = Some(at);
        }
        for (index, known) in self.spliced.iter_mut().enumerate() {
            let scenario = &plan.scenarios[index];
            match (&scenario.executor, &mut *known, self.began[index]) {
                (Executor::ArrivalRate(rate), Some(known), Some(began))
                    if rate != known.rate() && self.removed[index].is_none() =>
                {
                    known.change(rate.clone(), at.saturating_duration_since(began));
                }
                (Executor::ArrivalRate(_), Some(_), Some(_)) => {}
                _ => *known = spliced(plan, scenario),
            }
        }
        let mut starts = Vec::new();
        for (index, scenario) in plan.scenarios.iter().enumerate().skip(self.tallies.len()) {
            self.tallies.push(vec![ScenarioTally::default(); self.workers]);
            self.ended.push(0);
            self.last.push((0, at));
            self.spliced.push(spliced(plan, scenario));
            self.removed.push(None);
            let start = match &scenario.start {
                Start::At(after) => Some((zero + *after).max(at)),
                Start::After(name, delay) => {
                    let before = plan.scenarios.iter().position(|one| one.name == *name);
                    before.filter(|&before| self.has_ended(before)).map(|_| at + *delay)
                }
            };
            self.began.push(start);
            starts.extend(start.map(|start| (index, start)));
        }
        starts
    }

    /// Returns whether all workers' parts of a scenario have ended.
    fn has_ended(&self, index: usize) -> bool {
        self.ended.get(index).is_some_and(|ended| *ended >= self.workers)
    }

    /// Returns whether all scenarios have ended.
    pub(super) fn have_ended(&self) -> bool {
        (0..self.ended.len()).all(|index| self.has_ended(index))
    }

    /// Returns how far a scenario is.
    pub(super) fn standing(&self, index: usize) -> Standing {
        match self.removed[index] {
            Some(_) => Standing::Stops,
            None if self.has_ended(index) => Standing::Ended,
            None => Standing::Lives,
        }
    }

    /// Returns how many iterations of an open scenario were to start by a time, whatever its rate
    /// was; nothing if it is closed or has not begun.
    pub(super) fn planned(&self, index: usize, until: Instant) -> Option<u64> {
        let (spliced, began) = (self.spliced[index].as_ref()?, self.began[index]?);
        let until = self.removed[index].map_or(until, |removed| removed.min(until));
        let time = until.saturating_duration_since(began).min(spliced.rate().curve.duration());
        Some(spliced.arrivals_before(time))
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
    fn waiting(&self, index: usize, scenario: &Scenario, now: Instant) -> Option<String> {
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
        let result = |(index, scenario): (usize, &Scenario)| {
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

fn spliced(plan: &Plan, scenario: &Scenario) -> Option<Spliced> {
    match &scenario.executor {
        Executor::ArrivalRate(rate) => Some(Spliced::new(rate.clone(), scenario.seed(plan.seed))),
        _ => None,
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
