//! One worker's metrics, recorded without a lock.

use std::sync::Arc;
use std::time::Duration;

use super::request::{RequestTable, SERIES_PER_SET};
use super::series::SeriesTable;
use super::stats::Accumulator;
use super::tag::Interner;
use super::{Kind, MetricId, Registry, RequestSample, Snapshot, TagSetId, Tags};

/// One worker's metrics.
///
/// A series is one metric under one tag set. As soon as there are as many as the shard may hold,
/// samples of new ones go to the tag set `overflow:true`, one series per metric, and are counted;
/// what set-up and tear-down record keeps its `phase` there.
#[derive(Debug)]
pub struct Shard {
    registry: Arc<Registry>,
    series_max: usize,
    tags: Interner,
    series: SeriesTable,
    requests: RequestTable,
    /// Tag sets that earlier snapshots brought away.
    tag_sets_taken: usize,
    /// Samples that found no room since the last snapshot.
    overflowed: u64,
}

impl Shard {
    /// Returns an empty shard that holds at most `series_max` series.
    pub fn new(registry: Arc<Registry>, series_max: usize) -> Self {
        Self {
            registry,
            series_max,
            tags: Interner::new(series_max),
            series: SeriesTable::default(),
            requests: RequestTable::default(),
            tag_sets_taken: 0,
            overflowed: 0,
        }
    }

    /// Takes a registry that begins with all metrics of its own.
    pub fn extend(&mut self, registry: &Arc<Registry>) {
        debug_assert!(registry.begins_with(&self.registry), "ids keep their meaning");
        self.registry = Arc::clone(registry);
    }

    /// Returns the set `base` with `extra` added; a tag that is already there is replaced, an empty
    /// value removes it.
    pub fn tag_set(&mut self, base: TagSetId, extra: &[(&str, &str)]) -> TagSetId {
        self.tags.extended(base, extra)
    }

    /// Returns the tags of a set.
    pub fn tags(&self, id: TagSetId) -> &Tags {
        self.tags.tags(id)
    }

    /// Records one sample: adds to a counter, sets a gauge, counts a rate (non-zero passes), or
    /// enters a trend (a time in milliseconds). NaN is not recorded.
    pub fn add(&mut self, metric: MetricId, tags: TagSetId, value: f64) {
        if value.is_nan() {
            return;
        }
        let at = self.place(metric, tags);
        self.series.value(at).record(value);
    }

    /// Records a time.
    pub fn add_duration(&mut self, metric: MetricId, tags: TagSetId, value: Duration) {
        let time_trend = {
            let definition = self.registry.definition(metric);
            definition.kind == Kind::Trend && definition.unit == super::Unit::Time
        };
        if !time_trend {
            return self.add(metric, tags, value.as_secs_f64() * 1000.0);
        }
        let at = self.place(metric, tags);
        if let Accumulator::Trend(histogram) = self.series.value(at) {
            histogram.record_duration(value);
        }
    }

    /// Records all metrics of one request under `base` and the request's own tags.
    pub fn add_request(&mut self, base: TagSetId, request: &RequestSample<'_>) {
        let hash = self.requests.hash_of(base, request);
        let at = match self.requests.find(hash, base, request) {
            Some(at) => at,
            None => self.new_request(hash, base, request),
        };
        self.requests.record(at, &request.timings);
    }

    /// Moves out what was recorded since the last time. Ids stay valid.
    pub fn take(&mut self) -> Snapshot {
        let (requests, records) = self.requests.take();
        let tag_sets = self.tags.since(self.tag_sets_taken).to_vec();
        self.tag_sets_taken = self.tags.len();
        Snapshot {
            registry: Arc::clone(&self.registry),
            tag_sets,
            series: self.series.take(&self.registry),
            requests,
            records,
            overflowed: std::mem::take(&mut self.overflowed),
        }
    }

    /// Returns the place of a series, that of the metric's overflow series if there is no room.
    #[inline]
    fn place(&mut self, metric: MetricId, mut tags: TagSetId) -> u32 {
        let mut known = self.series.find(metric, tags);
        if known.is_none() && !self.has_room(1) {
            tags = self.tags.overflow(tags);
            known = self.series.find(metric, tags);
        }
        self.overflowed += u64::from(tags.is_overflow());
        known.unwrap_or_else(|| self.series.insert(&self.registry, metric, tags))
    }

    #[cold]
    fn new_request(&mut self, hash: u64, base: TagSetId, request: &RequestSample<'_>) -> u32 {
        if self.has_room(SERIES_PER_SET) {
            let tags = request.with_tags(|extra| self.tags.combined(base, extra));
            if !tags.is_overflow() {
                return self.requests.insert(hash, base, request, tags);
            }
        }
        self.overflowed += 1;
        self.requests.overflow(self.tags.overflow(base), request)
    }

    fn has_room(&self, series: usize) -> bool {
        self.series.len() + self.requests.series() + series <= self.series_max
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Histogram, Range, RequestTimings, Stats, builtin};
    use super::*;

    fn shard(series_max: usize) -> Shard {
        Shard::new(Arc::new(Registry::new()), series_max)
    }

    fn request(url: &str, waiting: Duration) -> RequestSample<'_> {
        RequestSample {
            method: "GET",
            name: "row",
            url,
            proto: "HTTP/1.1",
            status: 200,
            error: "",
            error_code: 0,
            expected: Some(true),
            tls_version: "",
            timings: RequestTimings { waiting, ..RequestTimings::default() },
        }
    }

    /// The sums of counters and samples of the others, by metric and tags.
    fn figures(snapshots: impl IntoIterator<Item = Snapshot>) -> BTreeMap<(String, String), f64> {
        let mut sets = Vec::new();
        let mut figures = BTreeMap::new();
        for mut snapshot in snapshots {
            sets.extend(snapshot.new_tag_sets().iter().cloned());
            let registry = Arc::clone(&snapshot.registry);
            snapshot.visit(|metric, tags, stats| {
                let name = registry.definition(metric).name.clone();
                let tags = format!("{:?}", sets[tags.0 as usize]);
                let figure = match stats {
                    Stats::Counter { count } => count,
                    other => other.samples() as f64,
                };
                *figures.entry((name, tags)).or_default() += figure;
            });
        }
        figures
    }

    #[test]
    fn a_snapshot_holds_what_changed_and_ids_stay_valid() {
        let mut shard = shard(1000);
        let buy = shard.tag_set(TagSetId::EMPTY, &[("scenario", "buy")]);
        shard.add(builtin::ITERATIONS, buy, 1.0);
        shard.add(builtin::VUS, TagSetId::EMPTY, 5.0);
        let first = shard.take();
        // None, one for each kind of overflow, and ours.
        assert_eq!(first.new_tag_sets().len(), 5);
        shard.add(builtin::ITERATIONS, buy, 2.0);
        let second = shard.take();
        assert!(second.new_tag_sets().is_empty());
        assert_eq!(second.series.len(), 1);
        assert_eq!(shard.tag_set(TagSetId::EMPTY, &[("scenario", "buy")]), buy);
        assert!(shard.take().is_empty());

        let figures = figures([first, second]);
        let key = ("iterations".to_owned(), r#"{"scenario": "buy"}"#.to_owned());
        assert_eq!(figures[&key], 3.0);
    }

    #[test]
    fn a_request_enters_all_its_metrics_with_its_tags() {
        let mut shard = shard(1000);
        let base = shard.tag_set(TagSetId::EMPTY, &[("scenario", "buy"), ("name", "mine")]);
        let mut failed = request("http://a/", Duration::from_millis(3));
        failed.status = 0;
        failed.proto = "";
        failed.error = "connection refused";
        failed.error_code = 1212;
        failed.expected = Some(false);
        failed.tls_version = "tls1.3";
        failed.timings.blocked = Duration::from_millis(4);
        failed.timings.sending = Duration::from_micros(1);
        shard.add_request(base, &failed);
        let mut snapshot = shard.take();
        let sets = snapshot.new_tag_sets().to_vec();
        let registry = Registry::new();
        let mut seen = BTreeMap::new();
        snapshot.visit(|metric, tags, stats| {
            let tags = &sets[tags.0 as usize];
            assert_eq!(
                tags.iter().collect::<Vec<_>>(),
                [
                    ("error", "connection refused"),
                    ("error_code", "1212"),
                    ("expected_response", "false"),
                    ("method", "GET"),
                    ("name", "row"),
                    ("scenario", "buy"),
                    ("status", "0"),
                    ("tls_version", "tls1.3"),
                    ("url", "http://a/"),
                ]
            );
            let figure = match stats {
                Stats::Counter { count } => count,
                Stats::Rate { passes, total } => (passes * 10 + total) as f64,
                Stats::Trend(trend, _) => trend.sum(),
                Stats::Gauge { .. } => unreachable!("requests have no gauge"),
            };
            seen.insert(registry.definition(metric).name.clone(), figure);
        });
        let expected = [
            ("http_req_blocked", 4000.0),
            ("http_req_connecting", 0.0),
            ("http_req_duration", 3001.0),
            ("http_req_failed", 11.0),
            ("http_req_looking_up", 0.0),
            ("http_req_receiving", 0.0),
            ("http_req_sending", 1.0),
            ("http_req_tls_handshaking", 0.0),
            ("http_req_total", 7001.0),
            ("http_req_waiting", 3000.0),
            ("http_reqs", 1.0),
        ];
        assert_eq!(seen.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_unjudged_request_counts_but_has_not_failed() {
        let mut shard = shard(1000);
        let mut cut = request("http://a/", Duration::from_secs(1));
        cut.expected = None;
        shard.add_request(TagSetId::EMPTY, &cut);
        let figures = figures([shard.take()]);
        assert!(figures.keys().any(|(name, _)| name == "http_req_duration"));
        assert!(figures.keys().all(|(name, tags)| {
            name != "http_req_failed" && !tags.contains("expected_response")
        }));
    }

    #[test]
    fn many_requests_of_one_kind_equal_a_histogram_of_them() {
        let mut shard = shard(1000);
        let mut expected = Histogram::new(Range::Time);
        let mut found = Histogram::new(Range::Time);
        for round in 0..3u64 {
            for at in 0..(20 + round * 77) {
                let time = Duration::from_micros(at * at * 7);
                expected.record_duration(time);
                shard.add_request(TagSetId::EMPTY, &request("http://a/", time));
            }
            let mut visits = 0;
            let mut snapshot = shard.take();
            if round == 2 {
                snapshot.visit(|_, _, _| {});
            }
            snapshot.visit(|metric, _, stats| {
                if let (builtin::HTTP_REQ_WAITING, Stats::Trend(trend, _)) = (metric, stats) {
                    found.add(trend);
                    visits += 1;
                }
            });
            assert_eq!(visits, 1);
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_request_beyond_the_range_is_kept_at_its_edge() {
        let mut shard = shard(1000);
        for time in [Duration::from_nanos(1_500), Duration::from_hours(1), Duration::MAX] {
            shard.add_request(TagSetId::EMPTY, &request("http://a/", time));
        }
        let mut seen = None;
        shard.take().visit(|metric, _, stats| {
            if let (builtin::HTTP_REQ_TOTAL, Stats::Trend(trend, _)) = (metric, stats) {
                seen = Some((trend.min(), trend.max(), trend.beyond(), trend.sum()));
            }
        });
        assert_eq!(seen, Some((2, 3_600_000_000, 2, 7_200_000_002.0)));
    }

    #[test]
    fn requests_that_differ_in_anything_are_told_apart() {
        let mut shard = shard(10_000);
        let base = request("ab", Duration::ZERO);
        let others = [
            RequestSample { url: "a", name: "brow", ..base },
            RequestSample { method: "POST", ..base },
            RequestSample { proto: "HTTP/2", ..base },
            RequestSample { status: 201, ..base },
            RequestSample { error: "reset", ..base },
            RequestSample { error_code: 1, ..base },
            RequestSample { expected: None, ..base },
            RequestSample { expected: Some(false), ..base },
            RequestSample { tls_version: "tls1.2", ..base },
            base,
        ];
        let tagged = shard.tag_set(TagSetId::EMPTY, &[("a", "b")]);
        for base in [TagSetId::EMPTY, tagged] {
            for other in others.iter().chain(&others) {
                shard.add_request(base, other);
            }
        }
        let counts = figures([shard.take()]);
        let requests = counts.iter().filter(|((name, _), _)| name == "http_reqs");
        let requests: Vec<f64> = requests.map(|(_, count)| *count).collect();
        assert_eq!(requests, vec![2.0; 20]);
    }

    #[test]
    fn series_past_the_limit_share_one_overflow_series_per_metric() {
        let mut shard = shard(3 * SERIES_PER_SET + 2);
        let urls: Vec<String> = (0..10).map(|at| format!("http://a/{at}")).collect();
        for url in &urls {
            shard.add_request(TagSetId::EMPTY, &request(url, Duration::ZERO));
        }
        for at in 0..5 {
            let tags = shard.tag_set(TagSetId::EMPTY, &[("n", &at.to_string())]);
            shard.add(builtin::ITERATIONS, tags, 1.0);
        }
        let snapshot = shard.take();
        assert!(snapshot.overflowed() > 0);
        let sets = snapshot.new_tag_sets().len();
        let figures = figures([snapshot]);
        let overflow = r#"{"overflow": "true"}"#.to_owned();
        assert_eq!(figures[&("http_reqs".to_owned(), overflow.clone())], 7.0);
        assert_eq!(figures[&("http_req_failed".to_owned(), overflow)], 7.0);
        let total = |metric: &str| -> f64 {
            figures.iter().filter(|((name, _), _)| name == metric).map(|(_, count)| *count).sum()
        };
        assert_eq!((total("http_reqs"), total("iterations")), (10.0, 5.0));
        assert!(sets < 3 * SERIES_PER_SET + 5);
        assert_eq!(shard.take().overflowed(), 0);
    }

    #[test]
    fn a_time_is_recorded_exactly_whatever_the_metric_is() {
        let mut registry = Registry::new();
        let number = registry.declare("number", Kind::Trend, super::super::Unit::None).unwrap();
        let mut shard = Shard::new(Arc::new(registry), 10);
        let time = Duration::from_nanos(1_234_567);
        shard.add_duration(builtin::GROUP_DURATION, TagSetId::EMPTY, time);
        shard.add_duration(number, TagSetId::EMPTY, time);
        shard.add(number, TagSetId::EMPTY, f64::NAN);
        let mut sums = Vec::new();
        shard.take().visit(|_, _, stats| {
            if let Stats::Trend(trend, _) = stats {
                sums.push((trend.count(), trend.sum()));
            }
        });
        assert_eq!(sums, [(1, 1235.0), (1, 1235.0)]);
    }

    #[test]
    fn a_snapshot_can_go_to_another_thread() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&shard(1).take());
    }

    /// Prints what a request costs: `cargo test --release -- --ignored --nocapture request_costs`.
    #[test]
    #[ignore = "prints a measurement, asserts nothing about time"]
    fn request_costs() {
        let mut shard = shard(1_000_000);
        let sets = 5_000;
        let urls: Vec<String> =
            (0..sets).map(|at| format!("http://127.0.0.1:8080/api/items/{at}")).collect();
        let total = 2_000_000u64;
        let mut state = 1u64;
        let mut taking = Duration::ZERO;
        let began = crate::clock::now();
        for at in 0..total {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let url = &urls[(state >> 33) as usize % urls.len()];
            let mut sample = request(url, Duration::from_nanos(state >> 38));
            sample.timings.sending = Duration::from_nanos(9_000 + (state >> 52));
            shard.add_request(TagSetId::EMPTY, &sample);
            if at % 50_000 == 49_999 {
                let before = crate::clock::now();
                drop(shard.take());
                taking += before.elapsed();
            }
        }
        let spent = began.elapsed().checked_sub(taking).unwrap();
        println!(
            "{:.1} ns per request over {sets} tag sets",
            spent.as_nanos() as f64 / total as f64
        );
        println!("{:?} per take of 50,000 requests", taking / (total / 50_000) as u32);
    }
}
