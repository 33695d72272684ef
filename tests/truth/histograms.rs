//! Quantiles against all values, and parts against the whole.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use kingtide::metrics::{Aggregate, Histogram, Range, Registry, Shard, Stats, TagSetId, builtin};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::finding::beside_others;
use crate::run::{Language, Load};

/// No scenario of this file makes requests.
const NOBODY: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// Values of many sizes below 2^22, quickly made.
fn values(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (size, value) = (state >> 60, (state >> 32) & 0x3ff);
        (value + 1) << (size % 12)
    })
}

#[test]
fn percentiles_of_ten_million_samples_are_within_a_thousandth() {
    const SAMPLES: u64 = 10_000_000;
    let _beside = beside_others();
    let mut histogram = Histogram::new(Range::Time);
    // How often each value came: its running sum is the rank, so nothing need be sorted.
    let mut counts = vec![0_u64; 1 << 22];
    for value in values(1).take(SAMPLES as usize) {
        histogram.record(value);
        counts[value as usize] += 1;
    }
    assert_eq!(histogram.count(), SAMPLES);
    for p in [1.0, 10.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 100.0] {
        let rank = (p / 100.0 * SAMPLES as f64).round() as u64;
        let mut below = 0;
        let exact = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        let exact = exact.expect("the ranks end at the last sample") as f64;
        let off = (histogram.percentile(p) as f64 - exact).abs() / exact;
        assert!(off <= 0.001, "p({p}): {} for {exact}", histogram.percentile(p));
    }
}

#[test]
fn six_stalls_in_a_hundred_and_two_are_the_95th_percentile() {
    let _beside = beside_others();
    for language in [Language::Luau, Language::Rhai] {
        let outcome = Load::of(language, "gatling").run(NOBODY);
        assert_eq!(outcome.figure("value", "count"), 102.0);
        let p95 = outcome.figure("value", "p(95)");
        assert!((p95 / 1502.0 - 1.0).abs() <= 0.001, "{p95}");
        let p90 = outcome.figure("value", "p(90)");
        assert!((p90 / 7.0 - 1.0).abs() <= 0.001, "{p90}");
        assert_eq!(outcome.figure("value", "max"), 1502.0);
        assert_eq!(outcome.figure("value", "avg"), (96.0 * 7.0 + 6.0 * 1502.0) / 102.0);
    }
}

#[test]
fn workers_and_intervals_leave_the_same_histogram_bit_for_bit() {
    let _beside = beside_others();
    let mut whole = Histogram::new(Range::Time);
    for number in 0..3000_u64 {
        whole.record_unit(((number * 7919) % 3000 * (1 + number % 3)) as f64 / 2.0);
    }
    for (language, workers) in [(Language::Luau, "1"), (Language::Luau, "5"), (Language::Rhai, "2")]
    {
        let outcome = Load::of(language, "parts").with(&["--workers", workers]).run(NOBODY);
        // More than one interval.
        assert!(outcome.summary["metadata"]["duration_ms"].as_f64() > Some(1000.0));
        assert_eq!(outcome.histogram("value"), whole.encode(), "{language:?}, {workers} workers");
        assert_eq!(outcome.figure("value", "avg"), Histogram::to_unit(whole.mean()));
    }
}

#[test]
fn threads_and_shuffled_snapshots_leave_the_same_histogram_bit_for_bit() {
    const THREADS: u64 = 4;
    const SAMPLES: usize = 50_000;
    let _beside = beside_others();
    let registry = Arc::new(Registry::new());
    let (sender, snapshots) = channel();
    let mut whole = Histogram::new(Range::Time);
    for thread in 0..THREADS {
        values(thread).take(SAMPLES).for_each(|value| whole.record(value));
        let (registry, sender) = (Arc::clone(&registry), sender.clone());
        std::thread::spawn(move || {
            let mut shard = Shard::new(registry, 100);
            for (at, value) in values(thread).take(SAMPLES).enumerate() {
                let time = Duration::from_micros(value);
                shard.add_duration(builtin::ITERATION_DURATION, TagSetId::EMPTY, time);
                // Intervals of different lengths on each thread.
                if at % (7_001 + 1_009 * thread as usize) == 0 {
                    sender.send((thread, shard.take())).expect("waited for");
                }
            }
            sender.send((thread, shard.take())).expect("waited for");
        });
    }
    drop(sender);
    // Each shard's own come in their order; whose are first is by chance.
    let mut queues: Vec<std::collections::VecDeque<_>> = Vec::new();
    queues.resize_with(THREADS as usize, Default::default);
    let mut order = Vec::new();
    for (thread, snapshot) in snapshots {
        order.push(thread as usize);
        queues[thread as usize].push_back(snapshot);
    }
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(3));
    let mut aggregate = Aggregate::new(registry, Vec::new());
    for (at, thread) in order.into_iter().enumerate() {
        let snapshot = queues[thread].pop_front().expect("as many as were ordered");
        aggregate.merge(thread, snapshot, Duration::from_secs(at as u64));
        if at % 3 == 0 {
            aggregate.tick(Duration::from_secs(at as u64));
        }
    }
    aggregate.tick(Duration::from_hours(1));
    let Some(Stats::Trend(merged, _)) = aggregate.metric(builtin::ITERATION_DURATION) else {
        panic!("no samples");
    };
    assert_eq!(*merged, whole);
    assert_eq!(merged.encode(), whole.encode());
}
