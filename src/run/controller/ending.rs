//! The end of a run: threads joined, figures judged for the last time, `summary` asked, the exit
//! code decided.

use std::sync::Arc;
use std::time::Duration;

use super::super::backstage::{Backstage, Ended};
use super::super::stop::exit;
use super::super::{Finished, Gates, Observer, finished};
use super::Controller;
use crate::api::{Event, Phase, Value};
use crate::output::{Outcome, Style, ThresholdResult, summary_json};
use crate::script::Argument;
use crate::units;

/// k6's limit for `handleSummary`.
const SUMMARY_LIMIT: Duration = Duration::from_mins(2);

impl Controller<'_> {
    /// Ends the threads, judges for the last time, and lets the script's `summary` speak.
    pub(super) async fn finish(mut self, backstage: Option<Backstage>) -> Finished {
        let duration = self.ended_at.saturating_duration_since(self.zero);
        for worker in std::mem::take(&mut self.workers) {
            drop(worker.commands);
            if worker.ended {
                // It has sent its last message; what is left of it is its own clean-up.
                let _panic = worker.thread.join();
            }
        }
        self.tick(duration);
        let plan = Arc::clone(&self.plan);
        let (generator, in_time) =
            self.generator.judge(&plan, &self.aggregate, &self.scenarios, duration, self.ended_at);
        let thresholds = self.thresholds.results(&self.aggregate, duration);
        let outcome = self.outcome(&thresholds, in_time);
        let mut finished = Finished {
            outcome,
            outputs: None,
            plan,
            metadata: finished::metadata(self.test, self.started_at, duration),
            reloads: std::mem::take(&mut self.reloads),
            thresholds,
            scenarios: self.scenarios.results(&self.plan, &self.population),
            errors: std::mem::take(&mut self.errors),
            generator,
            aggregate: self.aggregate,
        };
        if let Some(mut backstage) = backstage {
            let mut result = summary_json(&finished.results(Style::plain()));
            // As in k6's handleSummary.
            result["setup_data"] = (*self.setup_data).clone();
            let argument = Argument::Value(Value::from_json(&result));
            // Results have been asked to be written by the first and the second signal.
            let signals = &mut self.signals;
            let cut = async { while signals.next().await < 3 {} };
            let ended =
                backstage.run(Phase::Summary, "summary", argument, SUMMARY_LIMIT, cut).await;
            while let Ok(event) = self.events.1.try_recv() {
                self.observer.event(&event);
            }
            match ended {
                Ended::Done(value) if backstage.has("summary") => {
                    finished.outputs = outputs(value, self.observer);
                }
                Ended::Failed(error) => self.observer.error(&error, &(String::new(), 0, 0)),
                Ended::TimedOut => self.observer.event(&Event::Warning(format!(
                    "summary() took longer than {} and was left out",
                    units::format_duration(SUMMARY_LIMIT)
                ))),
                Ended::Done(_) | Ended::Stopped => {}
            }
        }
        finished
    }

    /// Decides how the run ended: the first thing that went wrong, then the thresholds, then the
    /// gates.
    fn outcome(&self, thresholds: &[ThresholdResult], in_time: bool) -> Outcome {
        let ended = |exit_code, verdict, reason: String| Outcome { exit_code, verdict, reason };
        if let Some(stopped) = &self.stopped {
            return stopped.outcome();
        }
        let violated: Vec<String> = thresholds
            .iter()
            .filter(|threshold| !threshold.verdict.ok)
            .map(|threshold| format!("{}: {}", threshold.metric, threshold.expression))
            .collect();
        if !violated.is_empty() {
            return ended(exit::THRESHOLDS, "thresholds", violated.join("; "));
        }
        if let Some(message) = &self.marked_failed {
            return ended(exit::MARKED_FAILED, "marked failed", message.clone());
        }
        let errors: u64 = self.errors.values().map(|row| row.count).sum();
        let Gates { strict_schedule, fail_on_error, .. } = self.test.gates;
        if fail_on_error && errors > 0 {
            let reason = format!("{} errors of the script", units::format_count(errors));
            return ended(exit::ITERATION_ERRORS, "iteration errors", reason);
        }
        if strict_schedule && !in_time {
            let reason = "the generator could not keep the schedule; see its warnings".to_owned();
            return ended(exit::SCHEDULE, "schedule", reason);
        }
        ended(exit::PASSED, "passed", String::new())
    }
}

/// Returns the outcome of a run that a third signal ended at once.
pub(super) fn ended_at_once() -> Outcome {
    Outcome {
        exit_code: exit::INTERRUPTED,
        verdict: "interrupted",
        reason: "ended at once by a third signal; nothing was summed up".to_owned(),
    }
}

/// Reads what `summary` returned: a table of destinations and texts.
fn outputs(value: Value, observer: &mut dyn Observer) -> Option<Vec<(String, Vec<u8>)>> {
    let map = match value {
        Value::Map(map) => map,
        Value::Nil | Value::Null => return None,
        Value::List(list) if list.is_empty() => return Some(Vec::new()),
        other => {
            observer.event(&Event::Warning(format!(
                "summary() must return a table of destinations and texts, such as \
                 {{ [\"result.json\"] = text }}, not {}",
                other.type_name()
            )));
            return None;
        }
    };
    let text = |value: Value| match value {
        Value::Text(text) => text.into_bytes().to_vec(),
        Value::Bytes(bytes) => bytes.to_vec(),
        other => other.to_json().to_string().into_bytes(),
    };
    Some(map.into_iter().map(|(name, value)| (name.into(), text(value))).collect())
}
