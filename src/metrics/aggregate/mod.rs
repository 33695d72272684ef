//! The whole run's metrics, fed by the workers' snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{MetricId, Registry, Selector, Snapshot, Stats, TagSetId, Tags, builtin};

pub use self::table::{Check, Endpoint, RpcMethod};

use self::table::{Rows, Tables};
use self::tally::Tally;
use self::window::Window;

mod table;
mod tally;
mod window;

/// Gauges of which every worker has a part: their value is the sum of the workers' latest.
const SUMMED: [MetricId; 3] = [builtin::VUS, builtin::VUS_MAX, builtin::GENERATOR_CPU];

/// The whole run's metrics.
///
/// Snapshots are merged as they come; [`Aggregate::tick`] ends the interval once those of all
/// workers are in. Metrics and selectors show what the ticks closed, so that readers never see half
/// an interval; the rows (endpoints, JSON-RPC methods, checks) show all that was merged. A metric as
/// a whole leaves out what `setup` and `teardown` recorded (`phase:setup`, `phase:teardown`), as do the rows and every
/// selector that does not name `phase`.
///
/// Memory is bounded by metrics, selectors, rows and tag sets, not by samples.
#[derive(Debug)]
pub struct Aggregate {
    registry: Arc<Registry>,
    metrics: Vec<Tally>,
    selectors: Vec<Watched>,
    workers: Vec<Worker>,
    tables: Tables,
    /// When the last interval ended.
    ticked: Duration,
    /// How long it was.
    interval: Duration,
    overflowed: u64,
}

/// A selector with its figures.
#[derive(Debug)]
struct Watched {
    selector: Selector,
    tally: Tally,
    window: Option<Window>,
}

impl Watched {
    fn new(selector: Selector) -> Self {
        Self { window: selector.window().map(Window::new), tally: Tally::default(), selector }
    }
}

/// What is known of one worker.
#[derive(Debug, Default)]
struct Worker {
    sets: Vec<TagSet>,
    /// The latest values of the gauges that are summed.
    gauges: BTreeMap<(MetricId, TagSetId), f64>,
    /// Whether it has sent its last snapshot.
    left: bool,
}

/// One of a worker's tag sets.
#[derive(Debug)]
struct TagSet {
    tags: Tags,
    /// Whether it belongs to the load, not to set-up or tear-down.
    measured: bool,
    /// The selectors, of any metric, that mean it.
    selectors: Vec<usize>,
    rows: Rows,
}

impl TagSet {
    fn is_meant_by(&self, selector: &Selector) -> bool {
        (self.measured || selector.names("phase")) && selector.matches(&self.tags)
    }
}

impl Aggregate {
    /// Returns an aggregate that keeps each metric as a whole and what each selector means.
    pub fn new(registry: Arc<Registry>, selectors: Vec<Selector>) -> Self {
        let metrics = (0..registry.len()).map(|_| Tally::default()).collect();
        Self {
            registry,
            metrics,
            selectors: selectors.into_iter().map(Watched::new).collect(),
            workers: Vec::new(),
            tables: Tables::default(),
            ticked: Duration::ZERO,
            interval: Duration::ZERO,
            overflowed: 0,
        }
    }

    /// Takes a registry that begins with all metrics of its own: snapshots may have the new ones from
    /// now on.
    pub fn extend(&mut self, registry: Arc<Registry>) {
        debug_assert!(registry.begins_with(&self.registry), "ids keep their meaning");
        self.metrics.resize_with(registry.len(), Tally::default);
        self.registry = registry;
    }

    /// Keeps what further selectors mean, from now on; those that are kept already stay as they are.
    pub fn watch(&mut self, selectors: impl IntoIterator<Item = Selector>) {
        for selector in selectors {
            let whole = !selector.has_tags() && selector.window().is_none();
            // What metrics are as a whole is kept in any case, since the start.
            if whole || self.selectors().any(|known| *known == selector) {
                continue;
            }
            let index = self.selectors.len();
            for set in self.workers.iter_mut().flat_map(|worker| &mut worker.sets) {
                if set.is_meant_by(&selector) {
                    set.selectors.push(index);
                }
            }
            self.selectors.push(Watched::new(selector));
        }
    }

    /// Adds a worker's snapshot, taken at `at` after the start. A worker's snapshots come in their
    /// order.
    pub fn merge(&mut self, worker: usize, mut snapshot: Snapshot, at: Duration) {
        if self.workers.len() <= worker {
            self.workers.resize_with(worker + 1, Worker::default);
        }
        for tags in snapshot.new_tag_sets() {
            let set = self.tag_set(tags);
            self.workers[worker].sets.push(set);
        }
        self.overflowed += snapshot.overflowed();
        snapshot.visit(|metric, tags, stats| self.enter(worker, metric, tags, stats, at));
    }

    /// Notes that a worker's last snapshot has been merged: it is a part of sums in the interval that
    /// goes on, and of none after it.
    pub fn leave(&mut self, worker: usize) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.left = true;
        }
    }

    /// Ends the interval at `at` after the start.
    pub fn tick(&mut self, at: Duration) {
        self.enter_summed_gauges(at);
        for worker in self.workers.iter_mut().filter(|worker| worker.left) {
            worker.gauges.clear();
        }
        self.interval = at.saturating_sub(self.ticked);
        self.ticked = at;
        for (tally, (_, metric)) in self.metrics.iter_mut().zip(self.registry.iter()) {
            tally.close(metric);
        }
        for watched in &mut self.selectors {
            let metric = self.registry.definition(watched.selector.metric());
            watched.tally.close(metric);
            if let Some(window) = &mut watched.window {
                let last = watched.tally.last(metric);
                // A gauge that nobody sets keeps its value.
                let kept = || match watched.tally.total(metric) {
                    Some(Stats::Gauge { value, .. }) => {
                        Some(Stats::Gauge { value, min: value, max: value })
                    }
                    _ => None,
                };
                window.push(metric, last.or_else(kept), at);
            }
        }
    }

    /// Returns the registry that ids are numbers of.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns a metric as a whole, `None` without samples.
    pub fn metric(&self, id: MetricId) -> Option<Stats<'_>> {
        self.metrics[usize::from(id.0)].total(self.registry.definition(id))
    }

    /// Returns a metric's figures of the last interval alone.
    pub fn metric_interval(&self, id: MetricId) -> Option<Stats<'_>> {
        self.metrics[usize::from(id.0)].last(self.registry.definition(id))
    }

    /// Returns the metrics that have samples, in the order of their ids.
    pub fn metrics(&self) -> impl Iterator<Item = (MetricId, Stats<'_>)> {
        self.registry.iter().filter_map(|(id, _)| Some((id, self.metric(id)?)))
    }

    /// Returns the selectors in the order in which they were given.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.selectors.iter().map(|watched| &watched.selector)
    }

    /// Returns what a selector means, since the start; `None` without samples.
    pub fn selector(&self, index: usize) -> Option<Stats<'_>> {
        let watched = &self.selectors[index];
        watched.tally.total(self.registry.definition(watched.selector.metric()))
    }

    /// Returns what a selector means, in the last interval alone.
    pub fn selector_interval(&self, index: usize) -> Option<Stats<'_>> {
        let watched = &self.selectors[index];
        watched.tally.last(self.registry.definition(watched.selector.metric()))
    }

    /// Returns what a selector means within its window, and the time that the window spans; without
    /// a window, since the start. `None` if the selector was not given at the beginning.
    pub(super) fn observe(
        &self,
        selector: &Selector,
        elapsed: Duration,
    ) -> Option<(Option<Stats<'_>>, Duration)> {
        let found = self.selectors.iter().position(|watched| watched.selector == *selector);
        let Some(index) = found else {
            let whole = !selector.has_tags() && selector.window().is_none();
            return whole.then(|| (self.metric(selector.metric()), elapsed));
        };
        let Some(window) = &self.selectors[index].window else {
            return Some((self.selector(index), elapsed));
        };
        Some(window.stats(self.registry.definition(selector.metric())))
    }

    /// Returns the submetrics that have samples, each once: their selectors' text and figures.
    pub fn submetrics(&self) -> impl Iterator<Item = (&Selector, Stats<'_>)> {
        self.selectors.iter().enumerate().filter_map(|(index, watched)| {
            let selector = &watched.selector;
            let before = &self.selectors[..index];
            let first = before.iter().all(|other| other.selector.text() != selector.text());
            if !selector.has_tags() || !first {
                return None;
            }
            Some((selector, self.selector(index)?))
        })
    }

    /// Returns the requests by name and method, in the order in which they were first seen.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.tables.endpoints.values()
    }

    /// Returns the JSON-RPC calls by method, in the order in which they were first seen.
    pub fn rpc_methods(&self) -> impl Iterator<Item = &RpcMethod> {
        self.tables.rpc_methods.values()
    }

    /// Returns the checks, in the order in which they were first seen.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.tables.checks.values()
    }

    /// Returns the tags of a worker's set that one of its merged snapshots brought.
    pub fn tags(&self, worker: usize, id: TagSetId) -> &Tags {
        &self.workers[worker].sets[id.0 as usize].tags
    }

    /// Returns how long the last interval was.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns how many samples went to `overflow:true` because a shard was full.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn tag_set(&self, tags: &Tags) -> TagSet {
        let mut set = TagSet {
            tags: tags.clone(),
            measured: !matches!(tags.get("phase"), Some("setup" | "teardown")),
            selectors: Vec::new(),
            rows: Rows::default(),
        };
        let selectors = self.selectors.iter().enumerate();
        let selectors = selectors.filter(|(_, watched)| set.is_meant_by(&watched.selector));
        set.selectors = selectors.map(|(index, _)| index).collect();
        set
    }

    fn enter(
        &mut self,
        worker: usize,
        metric: MetricId,
        tags: TagSetId,
        stats: Stats<'_>,
        at: Duration,
    ) {
        let worker = &mut self.workers[worker];
        if let (Stats::Gauge { value, .. }, true) = (stats, SUMMED.contains(&metric)) {
            worker.gauges.insert((metric, tags), value);
            return;
        }
        let set = &mut worker.sets[tags.0 as usize];
        let definition = self.registry.definition(metric);
        if set.measured {
            self.metrics[usize::from(metric.0)].enter(definition, stats, at);
            self.tables.enter(&mut set.rows, metric, &set.tags, stats);
        }
        for &index in &set.selectors {
            let watched = &mut self.selectors[index];
            if watched.selector.metric() == metric {
                watched.tally.enter(definition, stats, at);
            }
        }
    }

    fn enter_summed_gauges(&mut self, at: Duration) {
        for metric in SUMMED {
            let definition = self.registry.definition(metric);
            if let Some(value) = sum_of(&self.workers, metric, |set| set.measured) {
                let stats = Stats::Gauge { value, min: value, max: value };
                self.metrics[usize::from(metric.0)].enter(definition, stats, at);
            }
            for (index, watched) in self.selectors.iter_mut().enumerate() {
                if watched.selector.metric() != metric {
                    continue;
                }
                let meant = |set: &TagSet| set.selectors.contains(&index);
                if let Some(value) = sum_of(&self.workers, metric, meant) {
                    let stats = Stats::Gauge { value, min: value, max: value };
                    watched.tally.enter(definition, stats, at);
                }
            }
        }
    }
}

/// Returns the sum of the workers' latest values under the tag sets that are meant.
///
/// A worker that reports a value without a scenario has said the whole by that; what it reports per
/// scenario beside it is not counted again.
fn sum_of(workers: &[Worker], metric: MetricId, meant: impl Fn(&TagSet) -> bool) -> Option<f64> {
    let mut sum = None;
    for worker in workers {
        let (mut whole, mut by_scenario) = (None, None);
        let first = (metric, TagSetId::EMPTY);
        let last = (metric, TagSetId(u32::MAX));
        for (&(_, tags), &value) in worker.gauges.range(first..=last) {
            let set = &worker.sets[tags.0 as usize];
            if meant(set) {
                let part =
                    if set.tags.get("scenario").is_none() { &mut whole } else { &mut by_scenario };
                *part = Some(part.unwrap_or(0.0) + value);
            }
        }
        if let Some(own) = whole.or(by_scenario) {
            sum = Some(sum.unwrap_or(0.0) + own);
        }
    }
    sum
}

#[cfg(test)]
mod tests;
