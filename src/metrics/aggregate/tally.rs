//! One metric's or submetric's figures: of the interval that is going on, of the last, and of all.

use std::time::Duration;

use super::super::stats::Accumulator;
use super::super::{Definition, Stats};

/// Figures that grow interval by interval.
#[derive(Debug, Default)]
pub(super) struct Tally {
    current: Option<Accumulator>,
    last: Option<Accumulator>,
    total: Option<Accumulator>,
    /// How new the current gauge is.
    gauge_at: Duration,
}

impl Tally {
    /// Adds to the interval that is going on. Of gauges the newest by `at` is the value.
    pub(super) fn enter(&mut self, metric: &Definition, stats: Stats<'_>, at: Duration) {
        let current = self.current.get_or_insert_with(|| Accumulator::new(metric));
        if let (Accumulator::Gauge { value, min, max }, Stats::Gauge { min: low, max: high, .. }) =
            (&mut *current, stats)
            && at < self.gauge_at
            && *min <= *max
        {
            let newest = *value;
            return current.merge(Stats::Gauge { value: newest, min: low, max: high });
        }
        self.gauge_at = self.gauge_at.max(at);
        current.merge(stats);
    }

    /// Ends the interval.
    pub(super) fn close(&mut self, metric: &Definition) {
        self.last = self.current.take();
        if let Some(last) = &self.last {
            let total = self.total.get_or_insert_with(|| Accumulator::new(metric));
            total.merge(last.stats(metric));
        }
    }

    /// Returns the figures of all closed intervals.
    pub(super) fn total<'a>(&'a self, metric: &'a Definition) -> Option<Stats<'a>> {
        self.total.as_ref().map(|total| total.stats(metric))
    }

    /// Returns the figures of the last closed interval.
    pub(super) fn last<'a>(&'a self, metric: &'a Definition) -> Option<Stats<'a>> {
        self.last.as_ref().map(|last| last.stats(metric))
    }
}
