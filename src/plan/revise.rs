//! What new options mean for the plan of a test that runs.

use super::{Executor, Plan, Scenario};
use crate::units::format_duration;

/// The plan that a test goes on with.
#[derive(Debug, PartialEq)]
pub struct Revised {
    /// The plan. The scenarios that there were keep their positions.
    pub plan: Plan,
    /// What of it differs from the plan before, in words.
    pub changes: Vec<String>,
    /// What was asked for and stays as it is, in words.
    pub left: Vec<String>,
    /// The positions of the scenarios that are to stop.
    pub removed: Vec<usize>,
}

/// How far a scenario is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It runs, or will.
    Lives,
    /// It was taken out of the test, and stops.
    Stops,
    /// It has ended.
    Ended,
}

/// Lays a new plan over the one that runs, as far as a test can change while it runs.
///
/// Scenarios are the same if they have the same name. New ones stand behind those that there are.
pub fn revise(now: &Plan, new: &Plan, standing: impl Fn(usize) -> Standing) -> Revised {
    let mut revised =
        Revised { plan: now.clone(), changes: Vec::new(), left: Vec::new(), removed: Vec::new() };
    revised.take_over(new);
    revised.keep(new);
    for (index, scenario) in now.scenarios.iter().enumerate() {
        let name = &scenario.name;
        match (new.scenarios.iter().find(|other| other.name == *name), standing(index)) {
            (Some(other), Standing::Lives) => revised.scenario(index, other),
            (None, Standing::Lives) => {
                revised.removed.push(index);
                revised.changes.push(format!("scenario \"{name}\" stops"));
            }
            (Some(_), Standing::Stops) => revised.left.push(format!(
                "scenario \"{name}\" was stopped: it starts again under another name, or with the test"
            )),
            (Some(other), Standing::Ended) if other != scenario => {
                revised.left.push(format!("scenario \"{name}\" has ended: it stays as it was"));
            }
            (_, Standing::Stops | Standing::Ended) => {}
        }
    }
    let known = |name: &str| now.scenarios.iter().any(|scenario| scenario.name == name);
    for scenario in new.scenarios.iter().filter(|scenario| !known(&scenario.name)) {
        let what = scenario.executor.describe();
        revised.changes.push(format!("scenario \"{}\" joins: {what}", scenario.name));
        revised.plan.scenarios.push(scenario.clone());
    }
    revised
}

impl Revised {
    /// Takes over what holds for the whole test.
    fn take_over(&mut self, new: &Plan) {
        let Self { plan, changes, .. } = self;
        let mut take = |differs: bool, what: &str| {
            if differs {
                changes.push(what.to_owned());
            }
        };
        take(plan.thresholds != new.thresholds, "thresholds");
        take(plan.tags != new.tags, "tags");
        take(plan.env != new.env, "env");
        take(plan.min_iteration_duration != new.min_iteration_duration, "min_iteration_duration");
        take(plan.teardown_timeout != new.teardown_timeout, "teardown_timeout");
        take(plan.teardown != new.teardown, "no_teardown");
        take(plan.trend_stats != new.trend_stats, "summary_trend_stats");
        plan.thresholds.clone_from(&new.thresholds);
        plan.tags.clone_from(&new.tags);
        plan.env.clone_from(&new.env);
        plan.min_iteration_duration = new.min_iteration_duration;
        plan.teardown_timeout = new.teardown_timeout;
        plan.teardown = new.teardown;
        plan.trend_stats.clone_from(&new.trend_stats);
    }

    /// Says what cannot change.
    fn keep(&mut self, new: &Plan) {
        let Self { plan, left, .. } = self;
        let fixed = [
            (plan.http != new.http, "how requests are made"),
            (plan.workers != new.workers, "workers"),
            (plan.limits != new.limits, "limits"),
            (plan.series_max != new.series_max, "series_max"),
            (plan.isolation != new.isolation, "isolation"),
        ];
        for (_, what) in fixed.into_iter().filter(|(differs, _)| *differs) {
            left.push(format!("{what} cannot change while the test runs"));
        }
    }

    /// Takes over what a scenario's new options say.
    fn scenario(&mut self, index: usize, new: &Scenario) {
        let Self { plan, changes, left, .. } = self;
        let now = &mut plan.scenarios[index];
        let name = &new.name;
        let mut take = |differs: bool, what: String| {
            if differs {
                changes.push(format!("scenario \"{name}\": {what}"));
            }
        };
        take(now.exec != new.exec, format!("runs `{}`", new.exec));
        take(now.env != new.env, "env".to_owned());
        take(now.tags != new.tags, "tags".to_owned());
        now.exec.clone_from(&new.exec);
        now.env.clone_from(&new.env);
        now.tags.clone_from(&new.tags);
        if now.rps != new.rps {
            left.push(format!("the rps of scenario \"{name}\" cannot change while the test runs"));
        }
        take(
            now.graceful_stop != new.graceful_stop,
            format!("graceful stop {}", format_duration(new.graceful_stop)),
        );
        now.graceful_stop = new.graceful_stop;
        if now.executor == new.executor {
            // The load stays.
        } else if family(&now.executor) == family(&new.executor) {
            take(true, new.executor.describe());
            now.executor.clone_from(&new.executor);
        } else {
            left.push(format!(
                "scenario \"{name}\" cannot turn from {} into {} while the test runs: give it \
                 another name",
                now.executor.name(),
                new.executor.name()
            ));
        }
        if now.start != new.start {
            left.push(format!("the start of scenario \"{name}\" cannot change"));
        }
    }
}

/// Returns which executors can turn into one another.
fn family(executor: &Executor) -> u8 {
    match executor {
        Executor::SharedIterations { .. } => 0,
        Executor::PerVuIterations { .. } => 1,
        Executor::ConstantVus { .. } | Executor::RampingVus { .. } => 2,
        Executor::ArrivalRate(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Facts, Options, resolve};

    fn plan(options: Value) -> Plan {
        let options = Options::from_json(options).unwrap();
        resolve(&options, &Facts { now_seed: 7, ..Facts::default() }).unwrap()
    }

    fn open(rate: u64) -> Value {
        json!({ "executor": "constant-arrival-rate", "rate": rate, "duration": "10s" })
    }

    #[test]
    fn what_holds_for_the_whole_test_is_taken_over_or_said_to_stay() {
        let now = plan(json!({ "vus": 1, "duration": "1s", "seed": 1, "env": { "A": "1" } }));
        let new = plan(json!({
            "vus": 1, "duration": "1s", "seed": 2, "env": { "A": "2" }, "tags": { "side": "left" },
            "thresholds": { "checks": ["rate > 99%"] }, "workers": 3, "user_agent": "me",
        }));
        let revised = revise(&now, &new, |_| Standing::Lives);
        assert_eq!(revised.changes, ["thresholds", "tags", "env"]);
        assert_eq!(
            revised.left,
            [
                "how requests are made cannot change while the test runs",
                "workers cannot change while the test runs",
            ]
        );
        let expected = Plan {
            env: new.env.clone(),
            tags: new.tags.clone(),
            thresholds: new.thresholds.clone(),
            ..now.clone()
        };
        assert_eq!(revised.plan, expected);
        let same = revise(&now, &now, |_| Standing::Lives);
        assert_eq!((same.changes.len(), same.left.len(), &same.plan), (0, 0, &now));
    }

    #[test]
    fn scenarios_change_join_and_stop_and_keep_their_positions() {
        let now = plan(json!({ "scenarios": { "a": open(1), "b": open(2), "c": open(3) } }));
        let new = plan(json!({ "scenarios": { "d": open(4), "c": open(30), "a": open(1) } }));
        let revised = revise(&now, &new, |_| Standing::Lives);
        let names: Vec<_> = revised.plan.scenarios.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names, revised.removed), (vec!["a", "b", "c", "d"], vec![1]));
        assert_eq!(revised.changes.len(), 3, "{:?}", revised.changes);
        assert_eq!(revised.changes[0], "scenario \"b\" stops");
        assert!(revised.changes[1].starts_with("scenario \"c\": 30 iterations/s for 10s"));
        assert!(revised.changes[2].starts_with("scenario \"d\" joins: 4 iterations/s"));
        assert_eq!(revised.plan.scenarios[2].executor, new.scenarios[1].executor);
    }

    #[test]
    fn what_has_ended_or_is_of_another_kind_stays() {
        let closed = json!({ "executor": "constant-vus", "vus": 2, "duration": "10s" });
        let now = plan(json!({ "scenarios": { "a": open(1), "b": open(1), "c": open(1) } }));
        let new = plan(json!({ "scenarios": { "a": open(2), "b": open(1), "c": closed } }));
        let standings = [Standing::Ended, Standing::Stops, Standing::Lives];
        let revised = revise(&now, &new, |index| standings[index]);
        assert_eq!((&revised.plan, revised.changes.len()), (&now, 0));
        assert_eq!(
            revised.left,
            [
                "scenario \"a\" has ended: it stays as it was",
                "scenario \"b\" was stopped: it starts again under another name, or with the test",
                "scenario \"c\" cannot turn from constant-arrival-rate into constant-vus while the \
                 test runs: give it another name",
            ]
        );
        // Those that are gone and ended need no word.
        let none = plan(json!({ "scenarios": { "c": open(1) } }));
        let revised = revise(&now, &none, |index| standings[index]);
        assert_eq!((revised.changes.len(), revised.left.len()), (0, 0));
    }
}
