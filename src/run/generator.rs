//! The generator watches itself: whether its figures can be believed, and what to do if not.

use std::time::Duration;

use crate::metrics::{Aggregate, Stat, builtin};
use crate::output::GeneratorResult;
use crate::plan::{Executor, Plan};
use crate::units;

use super::scenarios::Scenarios;

/// Timers later than this at the 99th percentile make latencies doubtful.
const LAG_MS_MAX: f64 = 10.0;
/// A worker above this share of its core queues its own work.
const CPU_MAX: f64 = 0.9;
/// Less than this share of the planned iterations is not the planned load.
const ACHIEVED_MIN: f64 = 0.99;

/// What is known about the generator at the end.
#[derive(Debug, Default)]
pub(super) struct Generator {
    /// CPU time of each worker's thread between begin and end of the scenarios.
    pub(super) cpu: Vec<Duration>,
    /// CPU time of each worker's thread at the begin.
    pub(super) cpu_before: Vec<Duration>,
    /// Warnings from workers.
    pub(super) warnings: Vec<String>,
}

impl Generator {
    /// Judges; also returns whether the schedule was kept.
    pub(super) fn judge(
        &self,
        plan: &Plan,
        aggregate: &Aggregate,
        scenarios: &Scenarios,
        elapsed: Duration,
        until: crate::clock::Instant,
    ) -> (GeneratorResult, bool) {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let used =
            self.cpu.iter().zip(&self.cpu_before).map(|(now, before)| now.saturating_sub(*before));
        let cpu = used.max().unwrap_or_default().as_secs_f64() / seconds;
        let lag = aggregate.metric(builtin::GENERATOR_LAG);
        let lag_p99_ms = lag.and_then(|lag| lag.stat(Stat::P(99.0), elapsed)).unwrap_or(0.0);
        let mut result = GeneratorResult {
            cpu: cpu.min(1.0),
            lag_p99_ms,
            achieved: achieved(plan, scenarios, until),
            memory_bytes: super::host::resident_bytes(),
            warnings: Vec::new(),
        };
        let late = lag_p99_ms > LAG_MS_MAX;
        if late {
            result.warnings.push(format!(
                "the generator was late: its timers fired {} late at p99, so latencies include its \
                 own delay; use a less busy machine, more workers or less load",
                units::format_latency_ms(lag_p99_ms)
            ));
        }
        // In a run of a blink, start-up counts as load.
        if cpu > CPU_MAX && seconds >= 2.0 {
            result.warnings.push(format!(
                "a worker used {:.0}% of its core: latencies may be the generator's, not the \
                 target's; use more workers or machines",
                cpu * 100.0
            ));
        }
        let behind = result.achieved < ACHIEVED_MIN;
        if behind {
            result.warnings.push(format!(
                "only {:.1}% of the planned iterations were started by the scheduled end: the load \
                 was less than planned; raise max_vus, use more cores, or lower the load",
                result.achieved * 100.0
            ));
        }
        result.warnings.extend(vu_limits(plan, scenarios));
        if aggregate.overflowed() > 0 {
            result.warnings.push(format!(
                "there were more than {} series: further tag sets were put together under \
                 overflow:true; give URLs with ids a common `name`",
                units::format_count(plan.series_max as u64)
            ));
        }
        result.warnings.extend(self.warnings.iter().cloned());
        (result, !late && !behind)
    }
}

/// Returns started over planned iterations of open scenarios up to a time. Those that could start
/// only after the scheduled end made the load longer and thinner than planned, and do not count.
fn achieved(plan: &Plan, scenarios: &Scenarios, until: crate::clock::Instant) -> f64 {
    let (mut planned, mut started) = (0.0, 0.0);
    for index in 0..plan.scenarios.len() {
        let Some(arrivals) = scenarios.planned(index, until) else { continue };
        planned += arrivals as f64;
        let tally = scenarios.tally(index);
        started += (tally.ended + tally.interrupted).saturating_sub(tally.overdue) as f64;
    }
    if planned > 0.0 { (started / planned).min(1.0) } else { 1.0 }
}

/// Returns a warning for each scenario whose VU limit was too low.
fn vu_limits(plan: &Plan, scenarios: &Scenarios) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, scenario) in plan.scenarios.iter().enumerate() {
        let Executor::ArrivalRate(rate) = &scenario.executor else { continue };
        let tally = scenarios.tally(index);
        if tally.short_of_vus {
            let dropped = match tally.dropped {
                0 => String::new(),
                count => format!(", and {} were dropped", units::format_count(count)),
            };
            warnings.push(format!(
                "scenario \"{}\": max_vus ({}) is too low for its rate and the time that iterations \
                 take: they had to wait for a free VU{dropped}; raise max_vus",
                scenario.name,
                units::format_count(rate.max_vus)
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::scenarios::Scenarios;
    use super::*;
    use crate::clock;
    use crate::metrics::{Registry, Shard, TagSetId};
    use crate::plan::{Facts, Options, resolve};
    use crate::worker::ScenarioTally;

    /// What is to be judged: 100 iterations planned in 10 s, of which all was done.
    struct Case {
        tally: ScenarioTally,
        /// Seconds of CPU time of each of two workers.
        cpu: [f64; 2],
        /// How late each of a hundred looks was, in ms, and how many of them.
        late: (u64, usize),
    }

    impl Case {
        fn healthy() -> Self {
            let tally = ScenarioTally { due: 100, ended: 100, ..ScenarioTally::default() };
            Self { tally, cpu: [1.0, 2.0], late: (1, 100) }
        }

        fn judge(&self) -> (GeneratorResult, bool) {
            let options = serde_json::json!({ "scenarios": { "load": {
                "executor": "constant-arrival-rate", "rate": 10, "duration": "10s", "max_vus": 7,
            } } });
            let options: Options = serde_json::from_value(options).unwrap();
            let plan = resolve(&options, &Facts::default()).unwrap();
            let zero = clock::now();
            let length = Duration::from_secs(10);
            let mut scenarios = Scenarios::new(&plan, 2, zero);
            scenarios.begin(&plan, zero);
            scenarios.update(1, &[self.tally]);
            let registry = Arc::new(Registry::new());
            let mut shard = Shard::new(Arc::clone(&registry), 10);
            for look in 0..100 {
                let late = if look < self.late.1 { self.late.0 } else { 0 };
                let late = Duration::from_millis(late);
                shard.add_duration(builtin::GENERATOR_LAG, TagSetId::EMPTY, late);
            }
            let mut aggregate = Aggregate::new(registry, Vec::new());
            aggregate.merge(0, shard.take(), length);
            aggregate.tick(length);
            let cpu = self.cpu.map(Duration::from_secs_f64).to_vec();
            let generator =
                Generator { cpu, cpu_before: vec![Duration::ZERO; 2], warnings: Vec::new() };
            generator.judge(&plan, &aggregate, &scenarios, length, zero + length)
        }

        /// Asserts that there is one warning, which contains a text.
        fn warns(&self, text: &str, in_time: bool) {
            let (result, kept) = self.judge();
            assert_eq!(result.warnings.len(), 1, "{:?}", result.warnings);
            assert!(result.warnings[0].contains(text), "{:?}", result.warnings);
            assert_eq!(kept, in_time);
        }

        fn is_healthy(&self) {
            let (result, kept) = self.judge();
            assert!(result.warnings.is_empty() && kept, "{:?}", result.warnings);
        }
    }

    #[test]
    fn late_timers_are_a_warning_from_ten_milliseconds_at_p99_on() {
        Case::healthy().is_healthy();
        Case { late: (10, 100), ..Case::healthy() }.is_healthy();
        Case { late: (500, 1), ..Case::healthy() }.is_healthy();
        Case { late: (11, 100), ..Case::healthy() }.warns("fired 11", false);
        Case { late: (500, 2), ..Case::healthy() }.warns("the generator was late", false);
    }

    #[test]
    fn the_busiest_worker_is_a_warning_from_nine_tenths_of_its_core_on() {
        Case { cpu: [0.0, 9.0], ..Case::healthy() }.is_healthy();
        Case { cpu: [9.1, 0.0], ..Case::healthy() }.warns("a worker used 91% of its core", true);
        let (result, _) = Case { cpu: [9.1, 10.2], ..Case::healthy() }.judge();
        assert_eq!(result.cpu, 1.0);
    }

    #[test]
    fn fewer_than_99_in_a_hundred_by_the_scheduled_end_are_a_warning() {
        let of = |ended, dropped, overdue| {
            let tally = ScenarioTally { due: 100, ended, dropped, overdue, ..Default::default() };
            Case { tally, ..Case::healthy() }
        };
        of(99, 1, 0).is_healthy();
        of(98, 2, 0).warns("only 98.0% of the planned", false);
        of(100, 0, 1).is_healthy();
        of(100, 0, 2).warns("only 98.0% of the planned", false);
        // Those that were cut off had started.
        let tally = ScenarioTally { due: 100, ended: 50, interrupted: 50, ..Default::default() };
        Case { tally, ..Case::healthy() }.is_healthy();
    }

    #[test]
    fn too_few_vus_are_a_warning_with_the_limit_and_what_was_dropped() {
        let tally = ScenarioTally { short_of_vus: true, ..Case::healthy().tally };
        Case { tally, ..Case::healthy() }.warns("max_vus (7) is too low", true);
        let tally = ScenarioTally { ended: 99, dropped: 1, ..tally };
        Case { tally, ..Case::healthy() }.warns("and 1 were dropped", true);
    }
}
