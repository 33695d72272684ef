//! A scenario as written: its executor, and the options that this executor knows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::rate::{Rate, StageOptions};
use super::setting::{Fields, Setting, choice, join, settings, unknown, word};
use crate::plan::error::listed;
use crate::plan::{Arrivals, ExecutorKind, OnOverload, PlanError};

settings! {
    /// A scenario as written.
    pub struct ScenarioOptions {
        /// The rule that decides when iterations start.
        pub executor: ExecutorKind,
        /// When the scenario starts; after `start_after`, how long after.
        pub start_time: Duration,
        /// The scenario that must have ended before.
        pub start_after: String,
        /// How long iterations may go on after the regular end.
        pub graceful_stop: Duration,
        /// The function that VUs run.
        pub exec: String,
        /// Overlay of the test's `env`.
        pub env: BTreeMap<String, String>,
        /// Tags on every sample of the scenario.
        pub tags: BTreeMap<String, String>,
        /// Most requests per second of its VUs together.
        pub rps: Rate,
        /// VUs.
        pub vus: u64,
        /// Iterations in total or per VU.
        pub iterations: u64,
        /// Limit for iterations.
        pub max_duration: Duration,
        /// How long.
        pub duration: Duration,
        /// VUs at the start.
        pub start_vus: u64,
        /// VUs or arrivals over time.
        pub stages: Vec<StageOptions>,
        /// Time for a VU that is ramped down to end its iteration.
        pub graceful_ramp_down: Duration,
        /// Arrivals per time unit.
        pub rate: Rate,
        /// Arrivals per time unit at the start.
        pub start_rate: Rate,
        /// The time unit of rates without one.
        pub time_unit: Duration,
        /// VUs made before the start.
        pub pre_allocated_vus: u64,
        /// Most VUs.
        pub max_vus: u64,
        /// How arrivals are spread.
        pub arrivals: Arrivals,
        /// What happens to an arrival that finds no free VU.
        pub on_overload: OnOverload,
    }
}

/// The keys that every executor knows.
const COMMON: [&str; 8] =
    ["executor", "start_time", "start_after", "graceful_stop", "exec", "env", "tags", "rps"];

/// Returns the keys that an executor knows besides the common ones.
fn keys(kind: ExecutorKind) -> &'static [&'static str] {
    match kind {
        ExecutorKind::SharedIterations | ExecutorKind::PerVuIterations => {
            &["vus", "iterations", "max_duration"]
        }
        ExecutorKind::ConstantVus => &["vus", "duration"],
        ExecutorKind::RampingVus => &["start_vus", "stages", "graceful_ramp_down"],
        ExecutorKind::ConstantArrivalRate => &[
            "rate",
            "time_unit",
            "duration",
            "pre_allocated_vus",
            "max_vus",
            "arrivals",
            "on_overload",
        ],
        ExecutorKind::RampingArrivalRate => &[
            "start_rate",
            "time_unit",
            "stages",
            "pre_allocated_vus",
            "max_vus",
            "arrivals",
            "on_overload",
        ],
    }
}

impl Setting for ScenarioOptions {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        let mut fields = Fields::open(path, value)?;
        let present: Vec<String> = fields.keys().map(str::to_owned).collect();
        let Some(kind) = fields.take::<ExecutorKind>("executor")? else {
            if let Some(key) = present.iter().find(|key| !Self::KEYS.contains(&key.as_str())) {
                return Err(unknown(path, key, Self::KEYS.iter().copied()));
            }
            let kinds = listed(ExecutorKind::ALL.map(ExecutorKind::name));
            let message = format!("option `{path}` lacks `executor`: one of {kinds}");
            return Err(PlanError::new(join(path, "executor"), message));
        };
        for key in &present {
            check_key(path, key, kind)?;
        }
        let read = Self::read_fields(&mut fields)?;
        Ok(Self { executor: Some(kind), ..read })
    }

    fn write(&self) -> Value {
        Value::Object(self.write_fields())
    }
}

/// Refuses a key that the executor does not know, and says who does.
fn check_key(path: &str, key: &str, kind: ExecutorKind) -> Result<(), PlanError> {
    if COMMON.contains(&key) || keys(kind).contains(&key) {
        return Ok(());
    }
    let owners = ExecutorKind::ALL.into_iter().filter(|other| keys(*other).contains(&key));
    let owners = listed(owners.map(ExecutorKind::name));
    if owners.is_empty() {
        let own = COMMON.iter().chain(keys(kind)).copied();
        return Err(unknown(path, key, own.chain(ScenarioOptions::KEYS.iter().copied())));
    }
    let path = join(path, key);
    let message = format!("option `{path}` belongs to {owners}, not to `{}`", kind.name());
    Err(PlanError { message, path })
}

impl Setting for ExecutorKind {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &Self::ALL.map(|kind| (kind.name(), kind)))
    }

    fn write(&self) -> Value {
        Value::from(self.name())
    }
}

const ARRIVALS: [(&str, Arrivals); 2] =
    [("uniform", Arrivals::Uniform), ("poisson", Arrivals::Poisson)];

impl Setting for Arrivals {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &ARRIVALS)
    }

    fn write(&self) -> Value {
        word(&ARRIVALS, self)
    }
}

const ON_OVERLOADS: [(&str, OnOverload); 2] =
    [("queue", OnOverload::Queue), ("drop", OnOverload::Drop)];

impl Setting for OnOverload {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &ON_OVERLOADS)
    }

    fn write(&self) -> Value {
        word(&ON_OVERLOADS, self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: Value) -> String {
        ScenarioOptions::read("scenarios.buy", value).expect_err("the scenario is wrong").message
    }

    #[test]
    fn a_key_of_another_executor_is_an_error_that_says_whose_it_is() {
        assert_eq!(
            message(json!({ "executor": "constant-vus", "stages": [] })),
            "option `scenarios.buy.stages` belongs to `ramping-vus` and `ramping-arrival-rate`, \
             not to `constant-vus`"
        );
    }

    #[test]
    fn a_misspelt_key_is_an_error_with_the_nearest_one() {
        assert_eq!(
            message(json!({ "executor": "constant-arrival-rate", "maxVUs": 5 })),
            "unknown option `scenarios.buy.maxVUs`, did you mean `max_vus`?"
        );
        assert_eq!(
            message(json!({ "exector": "constant-vus" })),
            "unknown option `scenarios.buy.exector`, did you mean `executor`?"
        );
    }

    #[test]
    fn the_executor_must_be_known() {
        assert!(
            message(json!({ "executor": "constant-vu" }))
                .ends_with("got the string \"constant-vu\", did you mean `constant-vus`?")
        );
        assert!(
            message(json!({ "vus": 1 }))
                .starts_with("option `scenarios.buy` lacks `executor`: one of `shared-iterations`")
        );
    }

    #[test]
    fn every_key_belongs_to_some_executor() {
        for key in ScenarioOptions::KEYS {
            let owned = ExecutorKind::ALL.into_iter().any(|kind| keys(kind).contains(key));
            assert!(owned != COMMON.contains(key), "{key}");
        }
    }
}
