//! The order of scenarios: that `start_after` leads somewhere and ends, and which ones run.

use crate::plan::error::suggestion;
use crate::plan::{PlanError, Scenario, Start};

/// Checks that every scenario that starts after another can start at all.
pub(super) fn check(scenarios: &[Scenario]) -> Result<(), PlanError> {
    for scenario in scenarios {
        let path = format!("scenarios.{}.start_after", scenario.name);
        let mut chain = vec![scenario.name.as_str()];
        let mut at = scenario;
        while let Start::After(name, _) = &at.start {
            let Some(before) = scenarios.iter().find(|other| other.name == *name) else {
                let suggestion = suggestion(name, names(scenarios));
                let message = format!(
                    "scenario \"{}\": start_after names no scenario: \"{name}\"{suggestion}",
                    at.name
                );
                return Err(PlanError::new(format!("scenarios.{}.start_after", at.name), message));
            };
            if chain.contains(&before.name.as_str()) {
                chain.push(&before.name);
                let message = format!(
                    "scenario \"{}\": start_after goes in a circle: {}",
                    scenario.name,
                    chain.join(" after ")
                );
                return Err(PlanError::new(path, message));
            }
            chain.push(&before.name);
            at = before;
        }
    }
    Ok(())
}

/// Drops the scenarios that are not among those asked for; an empty list asks for all.
///
/// One that would start after a dropped one starts as if that had ended at once.
pub(super) fn keep_only(scenarios: &mut Vec<Scenario>, only: &[String]) -> Result<(), PlanError> {
    if only.is_empty() {
        return Ok(());
    }
    for name in only {
        if !scenarios.iter().any(|scenario| scenario.name == *name) {
            let suggestion = suggestion(name, names(scenarios));
            let message = format!("there is no scenario \"{name}\"{suggestion}");
            return Err(PlanError::new("scenarios", message));
        }
    }
    scenarios.retain(|scenario| only.contains(&scenario.name));
    for scenario in scenarios {
        if let Start::After(before, delay) = &scenario.start
            && !only.contains(before)
        {
            scenario.start = Start::At(*delay);
        }
    }
    Ok(())
}

fn names(scenarios: &[Scenario]) -> impl Iterator<Item = &str> {
    scenarios.iter().map(|scenario| scenario.name.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Facts, Options, Plan, resolve};

    fn plan(starts: &[(&str, &str)], only: &[&str]) -> Result<Plan, PlanError> {
        let scenarios: serde_json::Map<String, Value> = starts
            .iter()
            .map(|(name, after)| {
                let mut one = json!({ "executor": "shared-iterations", "start_time": "2s" });
                if !after.is_empty() {
                    one["start_after"] = json!(after);
                }
                ((*name).to_owned(), one)
            })
            .collect();
        let options = Options::from_json(json!({ "scenarios": scenarios })).unwrap();
        let only_scenarios = only.iter().map(|name| (*name).to_owned()).collect();
        resolve(&options, &Facts { only_scenarios, ..Facts::default() })
    }

    #[test]
    fn a_chain_is_allowed_and_a_circle_is_not() {
        let two = Duration::from_secs(2);
        let chain = plan(&[("a", ""), ("b", "a"), ("c", "b")], &[]).unwrap();
        assert_eq!(chain.scenarios[2].start, Start::After("b".to_owned(), two));
        let error = plan(&[("a", "b"), ("b", "a")], &[]).unwrap_err();
        assert_eq!(
            error.message,
            "scenario \"a\": start_after goes in a circle: a after b after a"
        );
        assert!(plan(&[("a", "a")], &[]).is_err());
        assert!(plan(&[("x", "a"), ("a", "b"), ("b", "a")], &[]).is_err());
    }

    #[test]
    fn an_unknown_scenario_gets_a_suggestion() {
        let error = plan(&[("buyers", ""), ("b", "buyer")], &[]).unwrap_err();
        assert_eq!(
            error.message,
            "scenario \"b\": start_after names no scenario: \"buyer\", did you mean `buyers`?"
        );
        assert_eq!(error.path, "scenarios.b.start_after");
        let error = plan(&[("buyers", "")], &["buyer"]).unwrap_err();
        assert_eq!(error.message, "there is no scenario \"buyer\", did you mean `buyers`?");
    }

    #[test]
    fn only_the_scenarios_asked_for_are_kept() {
        let two = Duration::from_secs(2);
        let plan = plan(&[("a", ""), ("b", "a"), ("c", "b")], &["b", "c"]).unwrap();
        assert_eq!(plan.scenarios.len(), 2);
        assert_eq!(plan.scenarios[0].start, Start::At(two));
        assert_eq!(plan.scenarios[1].start, Start::After("b".to_owned(), two));
    }
}
