//! Options without scenarios: what `vus`, `duration`, `iterations`, `stages` and `rate` mean.

use indexmap::IndexMap;

use crate::plan::error::listed;
use crate::plan::{ExecutorKind, Options, PlanError, ScenarioOptions};

/// The scenarios that the options declare, and whether by shortcuts.
#[derive(Debug)]
pub(super) struct Declared {
    /// The scenarios by name.
    pub(super) scenarios: IndexMap<String, ScenarioOptions>,
    /// Whether the one scenario comes from the test's own `vus`, `duration` and so on.
    pub(super) shortcut: bool,
}

/// Returns the declared scenarios, or the one named `default` that the load options mean.
///
/// As in k6: `iterations` are shared by the VUs, with `duration` as their limit; `duration` alone
/// holds the VUs; `stages` ramp them from `vus`; nothing is one iteration of one VU. Ours: `vus`
/// alone is one iteration for each (k6 ignores it), `rate` needs `duration` and takes `vus` as the
/// most VUs, and what cannot go together is an error.
pub(super) fn scenarios(options: &Options) -> Result<Declared, PlanError> {
    let load = options.load();
    let refuse = |key: &'static str, allowed: &[&str]| {
        let others: Vec<_> = load
            .iter()
            .copied()
            .filter(|other| *other != key && !allowed.contains(other))
            .collect();
        match others.first() {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "`{key}` does not go together with {}: they describe different loads",
                    listed(others.iter().copied())
                );
                Err(PlanError::new(*other, message))
            }
        }
    };
    if let Some(scenarios) = &options.scenarios {
        refuse("scenarios", &[])?;
        if scenarios.is_empty() {
            return Err(PlanError::new("scenarios", "option `scenarios` names no scenario"));
        }
        return Ok(Declared { scenarios: scenarios.clone(), shortcut: false });
    }
    let vus = options.vus;
    let one = if options.rate.is_some() {
        refuse("rate", &["duration", "vus"])?;
        if options.duration.is_none() {
            let message = "`rate` needs `duration`: how long shall iterations start?";
            return Err(PlanError::new("rate", message));
        }
        ScenarioOptions {
            executor: Some(ExecutorKind::ConstantArrivalRate),
            rate: options.rate,
            duration: options.duration,
            pre_allocated_vus: vus,
            max_vus: vus,
            ..ScenarioOptions::default()
        }
    } else if options.iterations.is_some() {
        refuse("iterations", &["duration", "vus"])?;
        ScenarioOptions {
            executor: Some(ExecutorKind::SharedIterations),
            vus,
            iterations: options.iterations,
            max_duration: options.duration,
            ..ScenarioOptions::default()
        }
    } else if options.duration.is_some() {
        refuse("duration", &["vus"])?;
        ScenarioOptions {
            executor: Some(ExecutorKind::ConstantVus),
            vus,
            duration: options.duration,
            ..ScenarioOptions::default()
        }
    } else if options.stages.is_some() {
        ScenarioOptions {
            executor: Some(ExecutorKind::RampingVus),
            start_vus: vus,
            stages: options.stages.clone(),
            ..ScenarioOptions::default()
        }
    } else if vus.is_some() {
        ScenarioOptions {
            executor: Some(ExecutorKind::SharedIterations),
            vus,
            iterations: vus,
            ..ScenarioOptions::default()
        }
    } else {
        ScenarioOptions {
            executor: Some(ExecutorKind::PerVuIterations),
            ..ScenarioOptions::default()
        }
    };
    let scenarios = IndexMap::from([("default".to_owned(), one)]);
    Ok(Declared { scenarios, shortcut: true })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::plan::{Facts, Options, PlanError, resolve};

    fn described(tree: Value) -> Result<String, PlanError> {
        let plan = resolve(&Options::from_json(tree).unwrap(), &Facts::default())?;
        let one = &plan.scenarios[0];
        assert_eq!((one.name.as_str(), one.exec.as_str()), ("default", "iteration"));
        Ok(format!("{}: {}", one.executor.name(), one.executor.describe()))
    }

    #[test]
    fn shortcuts_mean_what_they_mean_in_k6() {
        let cases = [
            (json!({}), "per-vu-iterations: 1 iteration by 1 VU (at most 10m)"),
            (json!({ "vus": 3 }), "shared-iterations: 3 iterations shared by 3 VUs (at most 10m)"),
            (
                json!({ "vus": 2, "iterations": 10, "duration": "1m" }),
                "shared-iterations: 10 iterations shared by 2 VUs (at most 1m)",
            ),
            (json!({ "duration": "5s" }), "constant-vus: 1 VU for 5s"),
            (json!({ "vus": 9, "duration": "5s" }), "constant-vus: 9 VUs for 5s"),
            (
                json!({ "stages": [{ "duration": "5s", "target": 10 }] }),
                "ramping-vus: 1→10 VUs in 5s (1 stage)",
            ),
            (
                json!({ "vus": 0, "stages": [{ "duration": "5s", "target": 10 }] }),
                "ramping-vus: 0→10 VUs in 5s (1 stage)",
            ),
            (
                json!({ "vus": 40, "rate": "100/m", "duration": "5s" }),
                "constant-arrival-rate: 100 iterations/m for 5s (up to 40 VUs, queue)",
            ),
        ];
        for (tree, expected) in cases {
            assert_eq!(described(tree).unwrap(), expected);
        }
    }

    #[test]
    fn loads_that_contradict_are_errors() {
        let stages = json!([{ "duration": "5s", "target": 10 }]);
        let cases = [
            (
                json!({ "iterations": 1, "stages": stages }),
                "`iterations` does not go together with `stages`",
            ),
            (
                json!({ "duration": "1s", "stages": stages }),
                "`duration` does not go together with `stages`",
            ),
            (
                json!({ "rate": 1, "iterations": 5 }),
                "`rate` does not go together with `iterations`",
            ),
            (json!({ "rate": 1 }), "`rate` needs `duration`"),
            (json!({ "scenarios": {} }), "option `scenarios` names no scenario"),
            (
                json!({ "vus": 1, "scenarios": { "a": { "executor": "constant-vus" } } }),
                "`scenarios` does not go together with `vus`",
            ),
            (json!({ "vus": 5, "iterations": 3 }), "iterations (3) is below vus (5)"),
            (json!({ "duration": 0 }), "duration must be more than 0"),
        ];
        for (tree, message) in cases {
            let error = described(tree).unwrap_err();
            assert!(error.message.starts_with(message), "{error}");
        }
    }
}
