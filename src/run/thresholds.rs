//! The thresholds of a run, judged once per interval on the aggregate.

use std::time::Duration;

use crate::metrics::{Aggregate, Registry, Selector, Threshold, ThresholdError, builtin};
use crate::output::ThresholdResult;
use crate::plan::Plan;

/// The thresholds of a run.
#[derive(Debug, Default)]
pub struct Thresholds {
    thresholds: Vec<Threshold>,
    /// The position of the one that ended the test.
    aborted: Option<usize>,
}

impl Thresholds {
    /// Reads a plan's thresholds.
    ///
    /// # Errors
    /// If one names an unknown metric, or is not written as thresholds are.
    pub fn new(plan: &Plan, registry: &Registry) -> Result<Self, ThresholdError> {
        let thresholds =
            plan.thresholds.iter().map(|threshold| Threshold::new(threshold, registry));
        Ok(Self { thresholds: thresholds.collect::<Result<_, _>>()?, aborted: None })
    }

    /// Returns what the aggregate must keep apart: what thresholds select, and each scenario's
    /// times for the summary.
    pub(super) fn selectors(&self, plan: &Plan, registry: &Registry) -> Vec<Selector> {
        let mut selectors: Vec<Selector> =
            self.thresholds.iter().map(|threshold| threshold.selector().clone()).collect();
        let times = [
            builtin::ITERATION_DURATION,
            builtin::ITERATION_RESPONSE_TIME,
            builtin::ITERATION_LATENESS,
        ];
        for scenario in &plan.scenarios {
            for metric in times {
                selectors.push(Selector::new(registry, metric, &[("scenario", &scenario.name)]));
            }
        }
        selectors
    }

    /// Judges while the test runs; returns the text of a threshold that ends it.
    pub(super) fn check(&mut self, aggregate: &Aggregate, elapsed: Duration) -> Option<String> {
        let index = self.thresholds.iter().position(|threshold| {
            let verdict = threshold.evaluate(aggregate, elapsed);
            threshold.abort_now(&verdict, elapsed)
        })?;
        self.aborted = Some(index);
        Some(text(&self.thresholds[index]))
    }

    /// Judges at the end.
    pub(super) fn results(&self, aggregate: &Aggregate, elapsed: Duration) -> Vec<ThresholdResult> {
        let result = |(index, threshold): (usize, &Threshold)| {
            let aborted = self.aborted == Some(index);
            let mut verdict = threshold.evaluate(aggregate, elapsed);
            // What was violated enough to end the test stays violated, whatever came in after.
            verdict.ok &= !aborted;
            ThresholdResult {
                metric: threshold.plan().selector.clone(),
                expression: threshold.plan().expression.clone(),
                abort_on_fail: threshold.plan().abort_on_fail,
                verdict,
                aborted,
            }
        };
        self.thresholds.iter().enumerate().map(result).collect()
    }
}

fn text(threshold: &Threshold) -> String {
    format!("{}: {}", threshold.plan().selector, threshold.plan().expression)
}
