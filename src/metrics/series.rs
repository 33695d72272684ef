//! The series of one shard: one metric under one tag set each.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::stats::Accumulator;
use super::{MetricId, Registry, TagSetId};

/// What one series received since the last snapshot.
#[derive(Debug)]
pub(super) struct SeriesDelta {
    pub(super) metric: MetricId,
    pub(super) tags: TagSetId,
    pub(super) value: Accumulator,
}

/// The series that are recorded one sample at a time.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    hasher: DefaultHashBuilder,
    index: HashTable<(MetricId, TagSetId, u32)>,
    series: Vec<Series>,
    /// Series that received something since the last snapshot.
    changed: Vec<u32>,
}

#[derive(Debug)]
struct Series {
    metric: MetricId,
    tags: TagSetId,
    changed: bool,
    value: Accumulator,
}

impl SeriesTable {
    /// Returns how many series there are.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Finds a series.
    #[inline]
    pub(super) fn find(&self, metric: MetricId, tags: TagSetId) -> Option<u32> {
        let hash = self.hasher.hash_one((metric.0, tags.0));
        self.index.find(hash, |entry| entry.0 == metric && entry.1 == tags).map(|entry| entry.2)
    }

    /// Adds a series that is not there yet.
    pub(super) fn insert(&mut self, registry: &Registry, metric: MetricId, tags: TagSetId) -> u32 {
        let at = self.series.len() as u32;
        let value = Accumulator::new(registry.definition(metric));
        self.series.push(Series { metric, tags, changed: false, value });
        let hasher = &self.hasher;
        let hash = hasher.hash_one((metric.0, tags.0));
        self.index.insert_unique(hash, (metric, tags, at), |entry| {
            hasher.hash_one((entry.0.0, entry.1.0))
        });
        at
    }

    /// Returns a series' value to record into.
    #[inline]
    pub(super) fn value(&mut self, at: u32) -> &mut Accumulator {
        let series = &mut self.series[at as usize];
        if !series.changed {
            series.changed = true;
            self.changed.push(at);
        }
        &mut series.value
    }

    /// Moves out what the series received.
    pub(super) fn take(&mut self, registry: &Registry) -> Vec<SeriesDelta> {
        let series = &mut self.series;
        self.changed
            .drain(..)
            .map(|at| {
                let Series { metric, tags, changed, value } = &mut series[at as usize];
                *changed = false;
                let empty = Accumulator::new(registry.definition(*metric));
                SeriesDelta { metric: *metric, tags: *tags, value: std::mem::replace(value, empty) }
            })
            .collect()
    }
}
