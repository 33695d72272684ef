//! What the controller counts itself: how many VUs there are and iterate, the most at once in each
//! interval; and what was promised by a test that never began.

use std::sync::Arc;

use crate::api::{TestStatus, VuCounts};
use crate::metrics::{Registry, Shard, Snapshot, TagSetId, builtin};
use crate::plan::Plan;

/// Looks at the VUs once per interval.
///
/// Workers count VUs together, because the most at once of several workers, or of several
/// scenarios, is not the sum of the most of each.
#[derive(Debug)]
pub(super) struct Population {
    shard: Shard,
    /// The tags of the whole test, and of each scenario.
    whole: TagSetId,
    scenarios: Vec<TagSetId>,
    /// The most VUs of each scenario that existed at once in any interval.
    most: Vec<u64>,
}

impl Population {
    pub(super) fn new(plan: &Plan, registry: &Arc<Registry>) -> Self {
        // Two gauges and a counter for each; a reload may add scenarios, or change tags.
        let mut shard = Shard::new(Arc::clone(registry), plan.series_max);
        let tags: Vec<_> = plan.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let whole = shard.tag_set(TagSetId::EMPTY, &tags);
        let scenarios = plan.scenarios.iter();
        let scenarios: Vec<_> = scenarios
            .map(|scenario| shard.tag_set(TagSetId::EMPTY, &plan.tags_of(scenario)))
            .collect();
        Self { shard, whole, most: vec![0; scenarios.len()], scenarios }
    }

    /// Takes the tags of a plan that was revised, and counts the scenarios that have joined.
    pub(super) fn revise(&mut self, plan: &Plan) {
        let tags: Vec<_> = plan.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        self.whole = self.shard.tag_set(TagSetId::EMPTY, &tags);
        let tags = plan.scenarios.iter().map(|scenario| plan.tags_of(scenario));
        self.scenarios = tags.map(|tags| self.shard.tag_set(TagSetId::EMPTY, &tags)).collect();
        self.most.resize(self.scenarios.len(), 0);
    }

    /// Ends an interval: returns the most VUs in it.
    pub(super) fn take(&mut self, status: &TestStatus) -> Snapshot {
        self.record(self.whole, &status.vus);
        let counted = status.scenarios.iter().zip(self.scenarios.clone());
        for (index, (counts, tags)) in counted.enumerate() {
            let existing = self.record(tags, counts);
            self.most[index] = self.most[index].max(existing);
        }
        self.shard.take()
    }

    /// Returns the most VUs of a scenario at once in the intervals that have ended.
    pub(super) fn most(&self, scenario: usize) -> u64 {
        self.most[scenario]
    }

    /// Records iterations of a scenario that were promised, in a test that never began.
    pub(super) fn record_dropped(&mut self, scenario: usize, iterations: u64) {
        if iterations > 0 {
            let tags = self.scenarios[scenario];
            self.shard.add(builtin::DROPPED_ITERATIONS, tags, iterations as f64);
        }
    }

    fn record(&mut self, tags: TagSetId, counts: &VuCounts) -> u64 {
        let existing = counts.existing.take_most();
        self.shard.add(builtin::VUS, tags, counts.active.take_most() as f64);
        self.shard.add(builtin::VUS_MAX, tags, existing as f64);
        existing
    }
}
