//! Tests of [`Aggregate`], fed by real shards.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Histogram, Kind, Range, RequestSample, RequestTimings, Shard, Stat, Unit};
use super::*;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn aggregate(selectors: &[&str]) -> (Arc<Registry>, Aggregate) {
    let mut registry = Registry::new();
    registry.declare("level", Kind::Gauge, Unit::None).unwrap();
    let registry = Arc::new(registry);
    let parse = |text: &&str| Selector::parse(text, &registry).unwrap();
    let selectors = selectors.iter().map(parse).collect();
    (Arc::clone(&registry), Aggregate::new(registry, selectors))
}

fn request(name: &str, expected: Option<bool>, millis: u64) -> RequestSample<'_> {
    RequestSample {
        method: "GET",
        name,
        url: name,
        proto: "HTTP/1.1",
        status: if expected == Some(false) { 500 } else { 200 },
        error: "",
        error_code: 0,
        expected,
        tls_version: "",
        timings: RequestTimings {
            waiting: Duration::from_millis(millis),
            ..RequestTimings::default()
        },
    }
}

fn figure(stats: Option<Stats<'_>>, stat: Stat) -> Option<f64> {
    stats.and_then(|stats| stats.stat(stat, seconds(10)))
}

#[test]
fn set_up_and_tear_down_are_left_out_unless_a_selector_names_the_phase() {
    let (registry, mut aggregate) = aggregate(&[
        "http_reqs{phase:setup}",
        "http_reqs{method:GET}",
        "http_reqs{phase:*}",
        "checks{check:up}",
    ]);
    let mut shard = Shard::new(registry, 1000);
    for phase in ["", "setup", "teardown"] {
        let base = shard.tag_set(TagSetId::EMPTY, &[("phase", phase)]);
        shard.add_request(base, &request("row", Some(true), 5));
        let check = shard.tag_set(base, &[("check", "up")]);
        shard.add(builtin::CHECKS, check, 1.0);
    }
    aggregate.merge(0, shard.take(), seconds(1));
    aggregate.tick(seconds(1));
    assert_eq!(figure(aggregate.metric(builtin::HTTP_REQS), Stat::Count), Some(1.0));
    let counts: Vec<_> = (0..4).map(|at| figure(aggregate.selector(at), Stat::Count)).collect();
    assert_eq!(counts, [Some(1.0), Some(1.0), Some(2.0), Some(1.0)]);
    assert_eq!(aggregate.endpoints().next().unwrap().count, 1);
    assert_eq!(aggregate.checks().next().unwrap().passes, 1);
}

#[test]
fn set_up_and_tear_down_stay_apart_also_where_there_is_no_room_for_their_tags() {
    for series_max in [0, 1, 12, 30] {
        let (registry, mut aggregate) =
            aggregate(&["http_reqs{phase:setup}", "http_reqs{phase:teardown}", "checks{phase:*}"]);
        let mut shard = Shard::new(registry, series_max);
        for (phase, times) in [("", 1), ("setup", 10), ("teardown", 100)] {
            let base = shard.tag_set(TagSetId::EMPTY, &[("phase", phase)]);
            for at in 0..times {
                let name = format!("row {at}");
                shard.add_request(base, &request(&name, Some(true), 5));
                let check = shard.tag_set(base, &[("check", &name)]);
                shard.add(builtin::CHECKS, check, 1.0);
            }
        }
        aggregate.merge(0, shard.take(), seconds(1));
        aggregate.tick(seconds(1));
        assert!(aggregate.overflowed() > 0);
        let count = |stats| figure(stats, Stat::Count);
        assert_eq!(count(aggregate.metric(builtin::HTTP_REQS)), Some(1.0), "{series_max}");
        assert_eq!(count(aggregate.metric(builtin::CHECKS)), Some(1.0));
        let parts: Vec<_> = (0..3).map(|at| count(aggregate.selector(at))).collect();
        assert_eq!(parts, [Some(10.0), Some(100.0), Some(110.0)]);
    }
}

#[test]
fn requests_make_a_row_per_name_and_method_over_all_workers() {
    let (registry, mut aggregate) = aggregate(&[]);
    for worker in 0..3 {
        let mut shard = Shard::new(Arc::clone(&registry), 1000);
        for interval in 1..=2 {
            shard.add_request(TagSetId::EMPTY, &request("a", Some(true), 1));
            shard.add_request(TagSetId::EMPTY, &request("a", Some(false), 3));
            shard.add_request(TagSetId::EMPTY, &request("a", None, 3));
            let post = RequestSample { method: "POST", ..request("a", Some(true), 9) };
            shard.add_request(TagSetId::EMPTY, &post);
            aggregate.merge(worker, shard.take(), seconds(interval));
        }
    }
    aggregate.tick(seconds(2));
    let rows: Vec<_> = aggregate
        .endpoints()
        .map(|row| (&*row.name, &*row.method, row.count, row.errors, row.duration.max()))
        .collect();
    assert_eq!(rows, [("a", "GET", 18, 6, 3_000), ("a", "POST", 6, 0, 9_000)]);
    let failed = aggregate.metric(builtin::HTTP_REQ_FAILED);
    assert_eq!(failed, Some(Stats::Rate { passes: 6, total: 18 }));
}

#[test]
fn json_rpc_calls_make_a_row_per_method_over_all_workers() {
    let (registry, mut aggregate) = aggregate(&["rpc_req_failed{rpc_error:-32000}"]);
    for worker in 0..2 {
        let mut shard = Shard::new(Arc::clone(&registry), 1000);
        let calls = [("a", "", ""), ("a", "-32000", ""), ("b", "", ""), ("a", "", "setup")];
        for (method, error, phase) in calls {
            let own = [("rpc_method", method), ("rpc_error", error), ("phase", phase)];
            let tags = shard.tag_set(TagSetId::EMPTY, &own);
            shard.add(builtin::RPC_REQS, tags, 1.0);
            shard.add_duration(builtin::RPC_REQ_DURATION, tags, Duration::from_millis(7));
            shard.add(builtin::RPC_REQ_FAILED, tags, f64::from(u8::from(!error.is_empty())));
        }
        aggregate.merge(worker, shard.take(), seconds(1));
    }
    aggregate.tick(seconds(1));
    let rows: Vec<_> = aggregate
        .rpc_methods()
        .map(|row| (&*row.name, row.count, row.errors, row.duration.count(), row.duration.max()))
        .collect();
    assert_eq!(rows, [("a", 4, 2, 4, 7_000), ("b", 2, 0, 2, 7_000)]);
    assert_eq!(aggregate.selector(0), Some(Stats::Rate { passes: 2, total: 2 }));
}

#[test]
fn checks_are_counted_by_name_group_and_scenario() {
    let (registry, mut aggregate) = aggregate(&[]);
    let mut shard = Shard::new(registry, 1000);
    for (group, value) in [("", 1.0), ("", 0.0), ("::g", 1.0)] {
        let tags = [("check", "up"), ("group", group), ("scenario", "buy")];
        let tags = shard.tag_set(TagSetId::EMPTY, &tags);
        shard.add(builtin::CHECKS, tags, value);
    }
    aggregate.merge(0, shard.take(), seconds(1));
    let rows: Vec<_> = aggregate
        .checks()
        .map(|row| (&*row.name, &*row.group, &*row.scenario, row.passes, row.fails))
        .collect();
    assert_eq!(rows, [("up", "", "buy", 1, 1), ("up", "::g", "buy", 1, 0)]);
}

#[test]
fn vus_are_the_sum_over_workers_of_the_latest_value() {
    let (registry, mut aggregate) = aggregate(&["vus{scenario:a}", "vus{scenario:b}"]);
    let mut shards: Vec<_> = (0..2).map(|_| Shard::new(Arc::clone(&registry), 100)).collect();
    // VUs of scenarios a and b per worker; None: nothing said, the last stands.
    let rounds = [
        [(Some(2.0), Some(1.0)), (Some(3.0), None)],
        [(Some(5.0), None), (None, Some(4.0))],
        [(Some(0.0), None), (Some(1.0), None)],
    ];
    let mut seen = Vec::new();
    for (round, values) in (1..).zip(rounds) {
        for (worker, (a, b)) in values.into_iter().enumerate() {
            for (scenario, value) in [("a", a), ("b", b)] {
                if let Some(value) = value {
                    let tags = [("scenario", scenario)];
                    let tags = shards[worker].tag_set(TagSetId::EMPTY, &tags);
                    shards[worker].add(builtin::VUS, tags, value);
                }
            }
            aggregate.merge(worker, shards[worker].take(), seconds(round));
        }
        aggregate.tick(seconds(round));
        let value = |stats| figure(stats, Stat::Value).unwrap();
        let whole = value(aggregate.metric(builtin::VUS));
        seen.push((whole, value(aggregate.selector(0)), value(aggregate.selector(1))));
    }
    assert_eq!(seen, [(6.0, 5.0, 1.0), (13.0, 8.0, 5.0), (6.0, 1.0, 5.0)]);
    let whole = Stats::Gauge { value: 6.0, min: 6.0, max: 13.0 };
    assert_eq!(aggregate.metric(builtin::VUS), Some(whole));
}

#[test]
fn vus_said_as_a_whole_are_not_counted_again_per_scenario() {
    let (registry, mut aggregate) = aggregate(&[]);
    let mut shard = Shard::new(registry, 100);
    let a = shard.tag_set(TagSetId::EMPTY, &[("scenario", "a")]);
    shard.add(builtin::VUS, a, 3.0);
    shard.add(builtin::VUS, TagSetId::EMPTY, 4.0);
    aggregate.merge(0, shard.take(), seconds(1));
    aggregate.tick(seconds(1));
    assert_eq!(figure(aggregate.metric(builtin::VUS), Stat::Value), Some(4.0));
}

#[test]
fn a_worker_that_has_left_adds_nothing_to_later_sums() {
    let (registry, mut aggregate) = aggregate(&[]);
    let mut shards: Vec<_> = (0..2).map(|_| Shard::new(Arc::clone(&registry), 100)).collect();
    let mut seen = Vec::new();
    for round in 1..=3 {
        for (worker, shard) in shards.iter_mut().enumerate() {
            // The first one's last figures come in the second interval.
            if worker == 1 || round <= 2 {
                shard.add(builtin::GENERATOR_CPU, TagSetId::EMPTY, 0.25 * (worker + 1) as f64);
                aggregate.merge(worker, shard.take(), seconds(round));
            }
        }
        if round == 2 {
            aggregate.leave(0);
        }
        aggregate.tick(seconds(round));
        seen.push(figure(aggregate.metric(builtin::GENERATOR_CPU), Stat::Value).unwrap());
    }
    assert_eq!(seen, [0.75, 0.75, 0.5]);
}

#[test]
fn other_gauges_keep_the_newest_value_of_any_worker() {
    let (registry, mut aggregate) = aggregate(&[]);
    let level = registry.find("level").unwrap();
    let snapshot = |value: f64| {
        let mut shard = Shard::new(Arc::clone(&registry), 10);
        shard.add(level, TagSetId::EMPTY, value);
        shard.take()
    };
    aggregate.merge(0, snapshot(7.0), seconds(2));
    aggregate.merge(1, snapshot(9.0), seconds(1));
    aggregate.tick(seconds(2));
    let stats = Stats::Gauge { value: 7.0, min: 7.0, max: 9.0 };
    assert_eq!(aggregate.metric(level), Some(stats));
}

#[test]
fn readers_see_whole_intervals_and_the_last_one_apart() {
    let (registry, mut aggregate) = aggregate(&["iterations{scenario:*}"]);
    let mut shard = Shard::new(registry, 10);
    let tags = shard.tag_set(TagSetId::EMPTY, &[("scenario", "a")]);
    for (at, count) in [(1, 5.0), (3, 2.0)] {
        shard.add(builtin::ITERATIONS, tags, count);
        aggregate.merge(0, shard.take(), seconds(at));
        aggregate.tick(seconds(at));
    }
    shard.add(builtin::ITERATIONS, tags, 100.0);
    aggregate.merge(0, shard.take(), seconds(4));
    assert_eq!(figure(aggregate.metric(builtin::ITERATIONS), Stat::Count), Some(7.0));
    assert_eq!(figure(aggregate.metric_interval(builtin::ITERATIONS), Stat::Count), Some(2.0));
    assert_eq!(figure(aggregate.selector_interval(0), Stat::Count), Some(2.0));
    assert_eq!(aggregate.interval(), seconds(2));
    aggregate.tick(seconds(4));
    aggregate.tick(seconds(5));
    assert_eq!(figure(aggregate.metric(builtin::ITERATIONS), Stat::Count), Some(107.0));
    assert_eq!(aggregate.metric_interval(builtin::ITERATIONS), None);
    assert_eq!(aggregate.metrics().map(|(id, _)| id).collect::<Vec<_>>(), [builtin::ITERATIONS]);
}

#[test]
fn a_submetric_is_listed_once_also_with_a_window() {
    let registry = Arc::new(Registry::new());
    let whole = Selector::parse("iterations{scenario:a}", &registry).unwrap();
    let plain = Selector::parse("iterations", &registry).unwrap();
    let selectors = vec![whole.clone(), plain, whole.clone().over(seconds(2))];
    let mut aggregate = Aggregate::new(Arc::clone(&registry), selectors);
    let mut shard = Shard::new(registry, 10);
    let tags = shard.tag_set(TagSetId::EMPTY, &[("scenario", "a")]);
    for at in 1..=5 {
        shard.add(builtin::ITERATIONS, tags, 1.0);
        aggregate.merge(0, shard.take(), seconds(at));
        aggregate.tick(seconds(at));
    }
    let listed: Vec<_> = aggregate.submetrics().map(|(selector, _)| selector.text()).collect();
    assert_eq!(listed, ["iterations{scenario:a}"]);
    let windowed = whole.clone().over(seconds(2));
    let observed = |selector| aggregate.observe(selector, seconds(5)).unwrap();
    assert_eq!(observed(&whole), (Some(Stats::Counter { count: 5.0 }), seconds(5)));
    let (in_window, span) = observed(&windowed);
    assert_eq!((in_window, span), (Some(Stats::Counter { count: 2.0 }), seconds(2)));
}

proptest! {
    #[test]
    fn it_does_not_matter_how_many_workers_and_intervals_there_were(
        samples in vec((0..5usize, 0..2_000_000u64), 1..300),
        workers in 1..5usize,
        intervals in 1..4usize,
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let (registry, mut aggregate) = aggregate(&["http_req_duration{name:b}"]);
        let mut shards: Vec<_> =
            (0..workers).map(|_| Shard::new(Arc::clone(&registry), 10_000)).collect();
        let mut whole = Histogram::new(Range::Time);
        let mut b = Histogram::new(Range::Time);
        for (interval, part) in samples.chunks(samples.len().div_ceil(intervals)).enumerate() {
            for (at, &(name, micros)) in part.iter().enumerate() {
                let mut sample = request(names[name], Some(true), 0);
                sample.timings.waiting = Duration::from_micros(micros);
                shards[at % workers].add_request(TagSetId::EMPTY, &sample);
                whole.record(micros);
                if name == 1 {
                    b.record(micros);
                }
            }
            let at = seconds(interval as u64 + 1);
            for (worker, shard) in shards.iter_mut().enumerate() {
                aggregate.merge(worker, shard.take(), at);
            }
            aggregate.tick(at);
        }
        let trend = |stats: Option<Stats<'_>>| match stats {
            Some(Stats::Trend(trend, _)) => trend.clone(),
            _ => Histogram::new(Range::Time),
        };
        prop_assert_eq!(trend(aggregate.metric(builtin::HTTP_REQ_DURATION)), whole);
        prop_assert_eq!(trend(aggregate.selector(0)), b);
        let rows: u64 = aggregate.endpoints().map(|row| row.count).sum();
        prop_assert_eq!(rows, samples.len() as u64);
    }
}
