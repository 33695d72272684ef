//! Known latency: what kingtide reports beside what the target wrote down of the same requests.

use std::time::Duration;

use crate::finding::{Finding, Row, assert_true, beside_others, percentile, sorted};
use crate::floor::Watch;
use crate::run::{Language, Load};
use crate::target::{Behavior, Delay, Served, Target};

const MS: Duration = Duration::from_millis(1);

/// Constant, bimodal and log-normal delays.
pub(crate) const DELAYS: [(&str, Delay); 3] = [
    ("constant", Delay::Constant(Duration::from_millis(25))),
    ("bimodal", Delay::Bimodal(Duration::from_millis(5), Duration::from_millis(120))),
    ("log-normal", Delay::LogNormal(Duration::from_millis(20), 0.6, 7)),
];

/// What kingtide may take beside the floor. Without optimisation its own code takes a few hundred
/// microseconds of each request more.
const ROOM_MS: f64 = if cfg!(debug_assertions) { 0.5 } else { 0.2 };

/// Runs the load against delays that are known.
///
/// A percentile may be off by 0.2 %, or by [`ROOM_MS`] and the floor: what a client that does nothing else
/// measured meanwhile beyond the target's own time.
pub(crate) fn known_latency(load: &Load, delay: Delay) -> Finding {
    let target = Target::start(Behavior::delayed(delay));
    let watch = Watch::start(target.address);
    let outcome = load.run(target.address);
    let floor = watch.end();
    let log = target.end();
    let served = log.iter().filter(|request| request.path == "/");
    let latencies = sorted(served.filter_map(Served::latency));

    let mut rows = vec![Row::exact(
        "requests",
        latencies.len() as u64,
        outcome.figure("http_req_duration", "count") as u64,
    )];
    for (stat, p) in [("med", 50.0), ("p(90)", 90.0), ("p(99)", 99.0), ("p(99.9)", 99.9)] {
        // Of few requests it is the slowest one, which a single hiccup of the machine decides.
        if p > 99.0 && latencies.len() < 1_000 {
            continue;
        }
        let expected = percentile(&latencies, p);
        let room = (expected * 0.002).max(ROOM_MS + floor.at(p));
        let reported = outcome.figure("http_req_duration", stat);
        rows.push(Row::new(format!("http_req_duration {stat}, ms"), expected, reported, room));
    }
    // Little's law: as many were in the target on average as come in the mean time of one.
    let length = outcome.summary["metadata"]["duration_ms"].as_f64().expect("a time");
    let within = latencies.iter().sum::<f64>() / length;
    let rate = outcome.figure("http_reqs", "rate");
    let mean = outcome.figure("http_req_duration", "avg") / 1e3;
    rows.push(Row::share("in the target at a time, N = X·R", within, rate * mean, 0.02));
    // The target says in each answer how long it had the request; the script subtracts.
    for (stat, p) in [("med", 50.0), ("p(99)", 99.0)] {
        let beyond = outcome.figure("beyond_target", stat);
        let what = format!("beyond the target's own header {stat}, ms");
        rows.push(Row::new(what, floor.at(p), beyond, ROOM_MS + floor.at(p)));
    }
    let count = outcome.figure("beyond_target", "count") as u64;
    rows.push(Row::exact("answers with a header", latencies.len() as u64, count));
    // No request took less time here than it did there; times are rounded to microseconds.
    let least = outcome.figure("beyond_target", "min");
    rows.push(Row::new("beyond the header, below 0, ms", 0.0, least.min(0.0), 0.001));
    Finding::new(rows, &floor)
}

#[test]
fn a_constant_latency_is_reported_as_it_was() {
    assert_true(|| known_latency(&Load::of(Language::Luau, "known"), DELAYS[0].1));
}

#[test]
fn a_bimodal_latency_is_reported_as_it_was() {
    assert_true(|| known_latency(&Load::of(Language::Rhai, "known"), DELAYS[1].1));
}

#[test]
fn a_log_normal_latency_is_reported_as_it_was() {
    assert_true(|| known_latency(&Load::of(Language::Luau, "known"), DELAYS[2].1));
}

#[test]
fn requests_that_time_out_count_with_the_time_they_had() {
    let _beside = beside_others();
    let target = Target::start(Behavior { silent: true, ..Behavior::default() });
    let outcome = Load::of(Language::Rhai, "timed_out").run(target.address);
    assert_eq!(outcome.figure("http_req_duration", "count"), 10.0);
    // The time that a request has includes that to connect, which is no part of its duration.
    assert_eq!(outcome.figure("http_req_total", "count"), 10.0);
    let least = outcome.figure("http_req_total", "min");
    assert!((299.9..600.0).contains(&least), "{least}");
    let connected = outcome.figure("http_req_blocked", "max");
    let least = outcome.figure("http_req_duration", "min");
    assert!(least >= 299.9 - connected, "{least} after {connected}");
    assert_eq!(outcome.figure("http_req_failed", "rate"), 1.0);
    assert_eq!(target.end().len(), 10);
}

#[test]
fn requests_that_are_cut_off_at_the_end_count_with_the_time_they_had() {
    let _beside = beside_others();
    let target = Target::start(Behavior { silent: true, ..Behavior::default() });
    let outcome = Load::of(Language::Luau, "cut_off").run(target.address);
    assert_eq!((outcome.due(), outcome.account("interrupted")), (10, 10));
    // Due at 0, 100, ... 900 ms and cut off at 1,000 ms.
    assert_eq!(outcome.figure("http_req_duration", "count"), 10.0);
    for (metric, stat, expected, room) in [
        ("http_req_duration", "avg", 550.0, 100.0),
        ("http_req_duration", "max", 1000.0, 200.0),
        ("iteration_response_time", "max", 1000.0, 200.0),
        ("iteration_duration", "avg", 550.0, 100.0),
    ] {
        let figure = outcome.figure(metric, stat);
        assert!((figure - expected).abs() <= room, "{metric} {stat}: {figure}");
    }
    assert!(outcome.summary["metrics"].get("http_req_failed").is_none(), "they are not judged");
    assert_eq!(target.end().len(), 10);
}

#[test]
fn answers_that_break_off_count_with_the_time_they_had() {
    let _beside = beside_others();
    for language in [Language::Luau, Language::Rhai] {
        let target = Target::start(Behavior::delayed(Delay::Constant(60 * MS)));
        let outcome = Load::of(language, "torn").run(target.address);
        assert_eq!(outcome.figure("http_req_duration", "count"), 20.0);
        let least = outcome.figure("http_req_duration", "min");
        assert!((59.9..300.0).contains(&least), "{least}");
        assert_eq!(outcome.figure("http_req_failed", "failed"), 20.0);
        assert_eq!(outcome.account("ended"), 20);
        assert_eq!(target.end().len(), 20, "each was sent once");
    }
}
