//! A shard's part since the last one, on its way to the controller.

use std::sync::Arc;

use super::request::{Record, RequestDelta, TRENDS, fold, no_trends};
use super::series::SeriesDelta;
use super::{Histogram, MetricId, Registry, Stats, TagSetId, Tags, Unit, builtin};

/// What a shard received since the last snapshot. Snapshots of a shard are to be read in order.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) registry: Arc<Registry>,
    pub(super) tag_sets: Vec<Tags>,
    pub(super) series: Vec<SeriesDelta>,
    pub(super) requests: Vec<RequestDelta>,
    pub(super) records: Vec<Record>,
    pub(super) overflowed: u64,
}

impl Snapshot {
    /// Returns the tag sets that are new, in the order of their ids, which go on where those of the
    /// last snapshot ended.
    pub fn new_tag_sets(&self) -> &[Tags] {
        &self.tag_sets
    }

    /// Returns how many samples since the last snapshot went to `overflow:true` because the shard
    /// holds as many series as it may.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Returns whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.requests.is_empty()
    }

    /// Calls `f` with each series that received something, once, and what it received.
    pub fn visit(&mut self, mut f: impl FnMut(MetricId, TagSetId, Stats<'_>)) {
        for delta in &self.series {
            let metric = self.registry.definition(delta.metric);
            f(delta.metric, delta.tags, delta.value.stats(metric));
        }
        let mut records = self.records.as_slice();
        let mut scratch = no_trends();
        for delta in &mut self.requests {
            let (own, rest) = records.split_at(delta.records);
            records = rest;
            f(builtin::HTTP_REQS, delta.tags, Stats::Counter { count: delta.count as f64 });
            if let Some(expected) = delta.expected {
                let passes = if expected { 0 } else { delta.count };
                let failed = Stats::Rate { passes, total: delta.count };
                f(builtin::HTTP_REQ_FAILED, delta.tags, failed);
            }
            let sorted = if let Some(trends) = &mut delta.trends {
                if !std::mem::replace(&mut delta.complete, true) {
                    fold(trends, own);
                }
                &**trends
            } else {
                scratch.iter_mut().for_each(Histogram::clear);
                fold(&mut scratch, own);
                &scratch
            };
            for (metric, trend) in TRENDS.into_iter().zip(sorted) {
                f(metric, delta.tags, Stats::Trend(trend, &Unit::Time));
            }
        }
    }
}
