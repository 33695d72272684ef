//! What must hold of the metrics for a test to pass.

use std::time::Duration;

use crate::plan::ThresholdPlan;

use self::parse::Expression;
use super::{Aggregate, Registry, Selector, Stat, Stats};

mod parse;

/// A threshold that cannot be judged as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("threshold \"{selector}: {expression}\": {reason}")]
pub struct ThresholdError {
    /// The selector as declared.
    pub selector: String,
    /// The expression as declared.
    pub expression: String,
    /// What is wrong, and the remedy.
    pub reason: String,
}

/// A threshold, ready to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    plan: ThresholdPlan,
    selector: Selector,
    expression: Expression,
}

/// How a threshold stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether it holds. At the end of the test this alone counts.
    pub ok: bool,
    /// The value that failed it, or that of its first comparison if it holds, in the interface's
    /// unit; `None` if there is none.
    pub observed: Option<f64>,
    /// Whether there were enough samples to act upon while the test runs.
    pub judged: bool,
}

impl Threshold {
    /// Reads a declared threshold.
    ///
    /// # Errors
    /// If there is no such metric, the metric has no such statistic, or either is not written as
    /// thresholds are.
    pub fn new(plan: &ThresholdPlan, registry: &Registry) -> Result<Self, ThresholdError> {
        let error = |reason: String| ThresholdError {
            selector: plan.selector.clone(),
            expression: plan.expression.clone(),
            reason,
        };
        let selector = Selector::parse(&plan.selector, registry).map_err(|wrong| error(wrong.0))?;
        let metric = registry.definition(selector.metric());
        let expression = Expression::parse(&plan.expression, metric).map_err(error)?;
        let selector = match expression.window {
            Some(window) => selector.over(window),
            None => selector,
        };
        Ok(Self { plan: plan.clone(), selector, expression })
    }

    /// Returns what it judges; the aggregate must be made with it.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Returns it as declared.
    pub fn plan(&self) -> &ThresholdPlan {
        &self.plan
    }

    /// Judges what the aggregate's ticks closed, `elapsed` after the start.
    ///
    /// Without samples it fails, unless it is about `count` (which then is 0) or declared with
    /// `allow_empty`.
    ///
    /// # Panics
    /// If the aggregate was not made with this threshold's selector.
    pub fn evaluate(&self, aggregate: &Aggregate, elapsed: Duration) -> Verdict {
        let (stats, span) = aggregate
            .observe(&self.selector, elapsed)
            .expect("the aggregate is made with the selectors of all thresholds");
        let samples = stats.map_or(0, |stats| stats.samples());
        let empty = stats.is_none_or(|stats| match stats {
            Stats::Rate { total, .. } => total == 0,
            Stats::Trend(trend, _) => trend.count() == 0,
            Stats::Counter { .. } | Stats::Gauge { .. } => false,
        });
        if empty && self.plan.allow_empty {
            return Verdict { ok: true, observed: None, judged: false };
        }
        let judged = !empty && samples >= self.plan.min_samples;
        let mut first = None;
        for (at, term) in self.expression.terms.iter().enumerate() {
            let none = (term.stat == Stat::Count).then_some(0.0);
            let observed = stats.and_then(|stats| stats.stat(term.stat, span)).or(none);
            if !observed.is_some_and(|observed| term.comparison.holds(observed, term.limit)) {
                return Verdict { ok: false, observed, judged };
            }
            if at == 0 {
                first = observed;
            }
        }
        Verdict { ok: true, observed: first, judged }
    }

    /// Returns whether a verdict ends the test at `elapsed` after the start.
    pub fn abort_now(&self, verdict: &Verdict, elapsed: Duration) -> bool {
        self.plan.abort_on_fail
            && verdict.judged
            && !verdict.ok
            && elapsed >= self.plan.delay_abort_eval
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Shard, TagSetId, builtin};
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn plan(selector: &str, expression: &str) -> ThresholdPlan {
        ThresholdPlan {
            selector: selector.to_owned(),
            expression: expression.to_owned(),
            abort_on_fail: false,
            delay_abort_eval: Duration::ZERO,
            min_samples: 0,
            allow_empty: false,
        }
    }

    /// Judges after intervals of a second that recorded `samples` in `http_req_duration`,
    /// `http_reqs`, and `checks` (in order: passes) under `scenario:buy`.
    fn verdict_of(plan: &ThresholdPlan, intervals: &[&[f64]]) -> Verdict {
        let registry = Arc::new(Registry::new());
        let threshold = Threshold::new(plan, &registry).unwrap();
        let selectors = vec![threshold.selector().clone()];
        let mut aggregate = Aggregate::new(Arc::clone(&registry), selectors);
        let mut shard = Shard::new(registry, 1000);
        let tags = shard.tag_set(TagSetId::EMPTY, &[("scenario", "buy")]);
        for (at, samples) in (1..).zip(intervals) {
            for &sample in *samples {
                shard.add(builtin::HTTP_REQ_DURATION, tags, sample);
                shard.add(builtin::HTTP_REQS, tags, 1.0);
                shard.add(builtin::CHECKS, tags, sample);
            }
            aggregate.merge(0, shard.take(), seconds(at));
            aggregate.tick(seconds(at));
        }
        threshold.evaluate(&aggregate, seconds(intervals.len() as u64))
    }

    fn verdict(selector: &str, expression: &str, intervals: &[&[f64]]) -> (bool, Option<f64>) {
        let verdict = verdict_of(&plan(selector, expression), intervals);
        (verdict.ok, verdict.observed)
    }

    #[test]
    fn a_threshold_judges_a_metric_or_the_series_that_its_selector_means() {
        let samples: &[&[f64]] = &[&[10.0, 30.0]];
        assert_eq!(verdict("http_req_duration", "avg < 21ms", samples), (true, Some(20.0)));
        assert_eq!(
            verdict("http_req_duration{scenario:b*}", "max<=29", samples),
            (false, Some(30.0))
        );
        assert_eq!(verdict("http_req_duration{scenario:sell}", "max<=29", samples), (false, None));
        assert_eq!(verdict("checks", "rate > 99%", &[&[1.0, 0.0]]), (false, Some(0.5)));
    }

    #[test]
    fn the_first_comparison_that_fails_is_reported() {
        let samples: &[&[f64]] = &[&[10.0, 30.0]];
        let seen = verdict("http_req_duration", "min>5 && max<20 && avg<1", samples);
        assert_eq!(seen, (false, Some(30.0)));
        assert_eq!(verdict("http_req_duration", "min>5 && max<31", samples), (true, Some(10.0)));
    }

    #[test]
    fn a_counters_rate_is_per_second_of_the_test_or_of_the_window() {
        let samples: &[&[f64]] = &[&[1.0; 40], &[1.0; 10], &[1.0; 20], &[1.0; 30]];
        assert_eq!(verdict("http_reqs", "rate > 20", samples), (true, Some(25.0)));
        assert_eq!(verdict("http_reqs", "rate > 20 over 3s", samples), (false, Some(20.0)));
        assert_eq!(verdict("http_reqs", "rate > 20 over 2s", samples), (true, Some(25.0)));
        assert_eq!(verdict("http_reqs", "rate > 20/s over 1m", samples), (true, Some(25.0)));
    }

    #[test]
    fn a_window_forgets_what_is_older() {
        let samples: &[&[f64]] = &[&[500.0], &[10.0], &[20.0]];
        assert!(!verdict("http_req_duration", "max < 100", samples).0);
        assert!(verdict("http_req_duration{scenario:buy}", "max < 100 over 2s", samples).0);
        assert_eq!(verdict("http_req_duration", "max<1 over 1s", &[&[5.0], &[]]), (false, None));
    }

    #[test]
    fn no_samples_fail_unless_counted_or_allowed() {
        let none: &[&[f64]] = &[&[]];
        assert_eq!(verdict("http_req_duration", "p(95) < 200", none), (false, None));
        assert_eq!(verdict("checks", "rate > 0.9", none), (false, None));
        assert_eq!(verdict("http_reqs", "rate < 5", none), (false, None));
        assert_eq!(verdict("http_reqs", "count < 1", none), (true, Some(0.0)));
        assert_eq!(verdict("http_reqs", "count > 10", none), (false, Some(0.0)));
        let allowed = ThresholdPlan { allow_empty: true, ..plan("checks", "rate > 0.9") };
        assert!(verdict_of(&allowed, none).ok);
        assert!(!verdict_of(&allowed, &[&[0.0]]).ok);
    }

    #[test]
    fn too_few_samples_are_not_judged_while_the_test_runs_but_have_a_verdict() {
        let few = ThresholdPlan { min_samples: 3, ..plan("http_req_duration", "max < 5") };
        let verdict = verdict_of(&few, &[&[9.0, 9.0]]);
        assert_eq!((verdict.ok, verdict.judged), (false, false));
        assert!(verdict_of(&few, &[&[9.0, 9.0], &[1.0]]).judged);
        assert!(!verdict_of(&plan("http_req_duration", "max < 5"), &[&[]]).judged);
    }

    #[test]
    fn only_a_judged_failure_after_the_delay_ends_the_test() {
        let declared = ThresholdPlan {
            abort_on_fail: true,
            delay_abort_eval: seconds(10),
            ..plan("http_reqs", "count < 5")
        };
        let aborting = Threshold::new(&declared, &Registry::new()).unwrap();
        let failed = Verdict { ok: false, observed: Some(6.0), judged: true };
        assert!(aborting.abort_now(&failed, seconds(10)));
        assert!(!aborting.abort_now(&failed, seconds(9)));
        assert!(!aborting.abort_now(&Verdict { judged: false, ..failed }, seconds(10)));
        assert!(!aborting.abort_now(&Verdict { ok: true, ..failed }, seconds(10)));
        let lasting = Threshold::new(&plan("http_reqs", "count < 5"), &Registry::new()).unwrap();
        assert!(!lasting.abort_now(&failed, seconds(10)));
    }

    #[test]
    fn an_error_names_the_threshold_and_the_remedy() {
        let error = |selector: &str, expression: &str| {
            Threshold::new(&plan(selector, expression), &Registry::new()).unwrap_err().to_string()
        };
        assert_eq!(
            error("http_req_durations", "p(95)<1"),
            "threshold \"http_req_durations: p(95)<1\": there is no metric \
             \"http_req_durations\": did you mean \"http_req_duration\"?"
        );
        assert!(error("checks", "p(95)<1").contains("use count, rate"));
    }
}
