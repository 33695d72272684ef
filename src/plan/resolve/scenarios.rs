//! One scenario from its options: defaults and checks of each executor.

use std::time::Duration;

use super::shortcuts::Declared;
use super::{Facts, VUS_MAX};
use crate::plan::{
    Curve, Executor, ExecutorKind, PlanError, Rate, Scenario, ScenarioOptions, Stage, Start,
};

/// k6's default for `graceful_stop` and `graceful_ramp_down`.
const GRACE: Duration = Duration::from_secs(30);

/// k6's default for `max_duration`.
const MAX_DURATION: Duration = Duration::from_mins(10);

/// The most iterations that a scenario may count to.
const ITERATIONS_MAX: u64 = 1 << 53;

/// What a VU needs at least: 7.5 KiB in a shared Luau state, 14.6 KiB of stack for Rhai, and a
/// connection with its buffers come to 30 KiB; the rest is for the script's own data.
const VU_BYTES: u64 = 64 << 10;

/// Resolves the declared scenarios in their order.
pub(super) fn resolve(declared: &Declared, facts: &Facts<'_>) -> Result<Vec<Scenario>, PlanError> {
    let undecided = declared.scenarios.values().filter(|one| {
        let open = [ExecutorKind::ConstantArrivalRate, ExecutorKind::RampingArrivalRate];
        one.executor.is_some_and(|kind| open.contains(&kind)) && one.max_vus.is_none()
    });
    let parts = (undecided.count() as u64).max(1);
    let vus_allowed = (facts.memory_bytes / VU_BYTES).min(VUS_MAX) / parts;
    declared
        .scenarios
        .iter()
        .map(|(name, options)| {
            let place = Place { name, shortcut: declared.shortcut };
            Declaration { place, options, vus_allowed }.resolve()
        })
        .collect()
}

/// Where an option stands, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    name: &'a str,
    /// Whether it stands among the test's own options.
    pub(super) shortcut: bool,
}

impl Place<'_> {
    pub(super) fn wrong(self, key: &str, message: &str) -> PlanError {
        if self.shortcut {
            return PlanError::new(key, message);
        }
        let message = format!("scenario \"{}\": {message}", self.name);
        PlanError::new(format!("scenarios.{}.{key}", self.name), message)
    }

    pub(super) fn within(
        self,
        key: &str,
        number: u64,
        least: u64,
        most: u64,
    ) -> Result<u64, PlanError> {
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        Err(self.wrong(key, &format!("{key} must be from {least} to {most}, got {number}")))
    }

    pub(super) fn positive(self, key: &str, duration: Duration) -> Result<Duration, PlanError> {
        if duration.is_zero() {
            return Err(self.wrong(key, &format!("{key} must be more than 0")));
        }
        Ok(duration)
    }
}

/// A scenario's options and where they stand.
pub(super) struct Declaration<'a> {
    pub(super) place: Place<'a>,
    pub(super) options: &'a ScenarioOptions,
    /// The most VUs that an arrival rate may have by default.
    pub(super) vus_allowed: u64,
}

impl Declaration<'_> {
    fn resolve(&self) -> Result<Scenario, PlanError> {
        let Self { place, options, .. } = self;
        let name = place.name;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(is_plain) {
            let message =
                format!("scenario \"{name}\": names may hold letters, digits, `_` and `-` only");
            return Err(PlanError::new(format!("scenarios.{name}"), message));
        }
        let exec = options.exec.clone().unwrap_or_else(|| "iteration".to_owned());
        if exec.is_empty() {
            return Err(place.wrong("exec", "exec must name a function of the script"));
        }
        let start_time = options.start_time.unwrap_or_default();
        let start = match &options.start_after {
            Some(before) => Start::After(before.clone(), start_time),
            None => Start::At(start_time),
        };
        Ok(Scenario {
            name: name.to_owned(),
            exec,
            executor: self.executor()?,
            start,
            graceful_stop: options.graceful_stop.unwrap_or(GRACE),
            env: options.env.clone().unwrap_or_default(),
            tags: options.tags.clone().unwrap_or_default(),
            rps: super::per_second(options.rps),
        })
    }

    fn executor(&self) -> Result<Executor, PlanError> {
        let options = self.options;
        let kind =
            options.executor.ok_or_else(|| self.place.wrong("executor", "executor is missing"))?;
        match kind {
            ExecutorKind::SharedIterations => {
                let (vus, iterations, max_duration) = self.iterations()?;
                if iterations < vus {
                    let message = format!("iterations ({iterations}) is below vus ({vus})");
                    return Err(self.place.wrong("iterations", &message));
                }
                Ok(Executor::SharedIterations { vus, iterations, max_duration })
            }
            ExecutorKind::PerVuIterations => {
                let (vus, iterations, max_duration) = self.iterations()?;
                Ok(Executor::PerVuIterations { vus, iterations, max_duration })
            }
            ExecutorKind::ConstantVus => {
                Ok(Executor::ConstantVus { vus: self.vus()?, duration: self.duration()? })
            }
            ExecutorKind::RampingVus => self.ramping_vus(),
            ExecutorKind::ConstantArrivalRate => self.constant_arrival_rate(),
            ExecutorKind::RampingArrivalRate => self.ramping_arrival_rate(),
        }
    }

    fn vus(&self) -> Result<u64, PlanError> {
        self.place.within("vus", self.options.vus.unwrap_or(1), 1, VUS_MAX)
    }

    pub(super) fn duration(&self) -> Result<Duration, PlanError> {
        match self.options.duration {
            Some(duration) => self.place.positive("duration", duration),
            None => Err(self.place.wrong("duration", "duration is missing")),
        }
    }

    fn iterations(&self) -> Result<(u64, u64, Duration), PlanError> {
        let iterations = self.options.iterations.unwrap_or(1);
        let max_duration = self.options.max_duration.unwrap_or(MAX_DURATION);
        Ok((
            self.vus()?,
            self.place.within("iterations", iterations, 1, ITERATIONS_MAX)?,
            self.place.positive("max_duration", max_duration)?,
        ))
    }

    fn ramping_vus(&self) -> Result<Executor, PlanError> {
        let start =
            self.place.within("start_vus", self.options.start_vus.unwrap_or(1), 0, VUS_MAX)?;
        let target = |index: usize, target: Rate| {
            let whole = target.unit.is_none()
                && target.per_unit.fract() == 0.0
                && target.per_unit <= VUS_MAX as f64;
            let key = format!("stages[{index}].target");
            whole.then_some(target.per_unit).ok_or_else(|| {
                let message = format!("{key} must be a whole number of VUs, at most {VUS_MAX}");
                self.place.wrong(&key, &message)
            })
        };
        let curve = self.curve(start as f64, target)?;
        if curve.max() == 0.0 {
            return Err(self.place.wrong("stages", "stages never ask for a VU"));
        }
        let graceful_ramp_down = self.options.graceful_ramp_down.unwrap_or(GRACE);
        Ok(Executor::RampingVus { curve, graceful_ramp_down })
    }

    /// Reads the stages with a reader for their targets.
    pub(super) fn curve(
        &self,
        start: f64,
        target: impl Fn(usize, Rate) -> Result<f64, PlanError>,
    ) -> Result<Curve, PlanError> {
        let stages = self.options.stages.as_deref().unwrap_or_default();
        if stages.is_empty() {
            return Err(self.place.wrong("stages", "stages are missing"));
        }
        let stages = stages
            .iter()
            .enumerate()
            .map(|(index, stage)| {
                let target = target(index, stage.target)?;
                Ok(Stage { duration: stage.duration, target })
            })
            .collect::<Result<_, PlanError>>()?;
        let curve = Curve { start, stages };
        if curve.duration().is_zero() {
            return Err(self.place.wrong("stages", "stages must take time; all of them jump"));
        }
        Ok(curve)
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` is easier to read without borrows")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Options, Plan, resolve};

    fn plan(scenarios: Value) -> Result<Plan, PlanError> {
        let options = Options::from_json(json!({ "scenarios": scenarios })).unwrap();
        resolve(&options, &Facts { memory_bytes: 1 << 30, ..Facts::default() })
    }

    fn buy(scenario: Value) -> Result<Scenario, PlanError> {
        plan(json!({ "buy": scenario })).map(|mut plan| plan.scenarios.remove(0))
    }

    #[test]
    fn a_scenario_has_the_defaults_of_k6() {
        let scenario = buy(json!({
            "executor": "ramping-vus", "stages": [{ "duration": "5s", "target": 5 }],
        }))
        .unwrap();
        assert_eq!(scenario.exec, "iteration");
        assert_eq!(scenario.start, Start::At(Duration::ZERO));
        assert_eq!(scenario.graceful_stop, GRACE);
        assert_eq!(scenario.duration_max(), Duration::from_secs(35));
        let stages = vec![Stage { duration: Duration::from_secs(5), target: 5.0 }];
        assert_eq!(
            scenario.executor,
            Executor::RampingVus { curve: Curve { start: 1.0, stages }, graceful_ramp_down: GRACE }
        );
    }

    #[test]
    fn what_cannot_be_is_named_with_scenario_and_figures() {
        let stage = json!([{ "duration": "1s", "target": 1 }]);
        let open = |extra: Value| {
            let mut one = json!({
                "executor": "constant-arrival-rate", "rate": 1, "duration": "1s",
            });
            for (key, value) in extra.as_object().unwrap() {
                one[key] = value.clone();
            }
            one
        };
        let cases = [
            (
                open(json!({ "max_vus": 10, "pre_allocated_vus": 50 })),
                "max_vus",
                "max_vus (10) is below pre_allocated_vus (50)",
            ),
            (open(json!({ "rate": 0 })), "rate", "rate must be more than 0"),
            (open(json!({ "rate": null })), "rate", "rate is missing"),
            (open(json!({ "duration": "0s" })), "duration", "duration must be more than 0"),
            (open(json!({ "time_unit": 0 })), "time_unit", "time_unit must be more than 0"),
            (
                open(json!({ "rate": "1/s", "time_unit": "1m" })),
                "rate",
                "rate names its own time unit: leave out time_unit",
            ),
            (open(json!({ "max_vus": 0 })), "max_vus", "max_vus must be from 1 to 1000000, got 0"),
            (
                open(json!({ "rate": "1000000/ms" })),
                "rate",
                "rate is above 10000000 iterations per second",
            ),
            (open(json!({ "exec": "" })), "exec", "exec must name a function of the script"),
            (json!({ "executor": "constant-vus" }), "duration", "duration is missing"),
            (
                json!({ "executor": "constant-vus", "vus": 0, "duration": 1 }),
                "vus",
                "vus must be from 1 to 1000000, got 0",
            ),
            (
                json!({ "executor": "shared-iterations", "vus": 5 }),
                "iterations",
                "iterations (1) is below vus (5)",
            ),
            (json!({ "executor": "ramping-vus" }), "stages", "stages are missing"),
            (
                json!({ "executor": "ramping-vus", "stages": [{ "duration": 0, "target": 1 }] }),
                "stages",
                "stages must take time; all of them jump",
            ),
            (
                json!({
                    "executor": "ramping-vus", "start_vus": 0,
                    "stages": [{ "duration": 1, "target": 0 }],
                }),
                "stages",
                "stages never ask for a VU",
            ),
            (
                json!({ "executor": "ramping-vus", "stages": [{ "duration": 1, "target": 0.5 }] }),
                "stages[0].target",
                "stages[0].target must be a whole number of VUs, at most 1000000",
            ),
            (
                json!({ "executor": "ramping-arrival-rate", "stages": stage, "start_rate": "1/s",
                    "time_unit": "1s" }),
                "start_rate",
                "start_rate names its own time unit: leave out time_unit",
            ),
        ];
        for (scenario, key, message) in cases {
            let error = buy(scenario).unwrap_err();
            assert_eq!(error.message, format!("scenario \"buy\": {message}"));
            assert_eq!(error.path, format!("scenarios.buy.{key}"));
        }
    }

    #[test]
    fn names_of_scenarios_are_plain() {
        let one = json!({ "executor": "shared-iterations" });
        for name in ["a b", "", "käse", "a.b"] {
            assert!(plan(json!({ name: one })).is_err(), "{name}");
        }
        assert!(plan(json!({ "A-1_b": one })).is_ok());
    }
}
