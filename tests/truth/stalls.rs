//! Stalls of the target and of the generator, and too few VUs: who was due meanwhile has waited.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::finding::{Finding, Row, beside_others, undisturbed};
use crate::floor::{Noise, Watch};
use crate::run::{Language, Load, Outcome};
use crate::target::{Behavior, Delay, Target};

const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn assert_near(figure: f64, expected: f64, share: f64) {
    let off = (figure - expected).abs() / expected;
    assert!(off <= share, "{figure} is {:.1} % off {expected}", off * 100.0);
}

/// Returns the response time in ms at a quantile if the target stalls for `stall` of `load` ms and
/// answers at once otherwise: those due in the stall wait for its end, evenly spread.
fn stalled_response(quantile: f64, stall: f64, load: f64) -> f64 {
    let share = stall / load;
    stall * (quantile - (1.0 - share)) / share
}

/// Runs 50 iterations a second for `load` seconds against a target that stalls for `stall` of them.
pub(crate) fn stalled_target(language: Language, load: u32, stall: Duration) -> Finding {
    let stalls = Some((load / 3 * 1000 * MS, stall));
    let target = Target::start(Behavior { stall: stalls, ..Behavior::default() });
    // The watch's own requests would be the first, and stall too.
    let calm = Target::start(Behavior::default());
    let watch = Watch::start(calm.address);
    let outcome = Load::of(language, "stalled").seconds(load).run(target.address);
    let floor = watch.end();
    let planned = u64::from(load) * 50;
    let mut rows = vec![
        Row::exact("due = ended + interrupted + dropped", planned, outcome.due()),
        Row::exact("ended", planned, outcome.account("ended")),
        Row::exact("requests that came", planned, target.end().len() as u64),
    ];
    let (load, stall) = (f64::from(load) * 1e3, stall.as_secs_f64() * 1e3);
    // There were VUs enough: each request was sent when it was due, and waited itself.
    for metric in ["iteration_response_time", "http_req_duration"] {
        for (stat, quantile) in [("p(95)", 0.95), ("p(99)", 0.99), ("max", 1.0)] {
            let expected = stalled_response(quantile, stall, load);
            let what = format!("{metric} {stat}, ms");
            rows.push(Row::share(what, expected, outcome.figure(metric, stat), 0.05));
        }
    }
    let median = outcome.figure("http_req_duration", "med");
    rows.push(Row::new("http_req_duration med, ms", 0.0, median, 50.0));
    Finding::new(rows, &floor)
}

fn a_stall_is_felt_by_all_who_were_due_in_it(language: Language) {
    let _beside = beside_others();
    undisturbed(|| stalled_target(language, 6, 1200 * MS)).assert();
}

#[test]
fn a_stall_is_felt_by_all_who_were_due_in_it_luau() {
    a_stall_is_felt_by_all_who_were_due_in_it(Language::Luau);
}

#[test]
fn a_stall_is_felt_by_all_who_were_due_in_it_rhai() {
    a_stall_is_felt_by_all_who_were_due_in_it(Language::Rhai);
}

/// Asserts what holds for 40 iterations a second on 2 VUs that cannot do so many.
fn overloaded(language: Language, scenario: &'static str, delay: Duration) -> Outcome {
    let target = Target::start(Behavior::delayed(Delay::Constant(delay)));
    let outcome = Load::of(language, scenario).run(target.address);
    assert_eq!(outcome.due(), 80);
    assert_eq!(outcome.account("ended"), target.end().len() as u64);
    assert!(outcome.warns("max_vus (2) is too low"));
    assert!(outcome.warns("of the planned iterations were started"));
    outcome
}

#[test]
fn iterations_that_wait_for_a_vu_keep_their_due_times() {
    let _beside = beside_others();
    let outcome = overloaded(Language::Rhai, "queued", 100 * MS);
    assert_eq!((outcome.account("ended"), outcome.account("dropped")), (80, 0));
    // The last is due at 1,975 ms, and 40 rounds of 100 ms end at 4,000 ms.
    assert_near(outcome.figure("iteration_response_time", "max"), 2025.0, 0.1);
    assert_near(outcome.figure("iteration_lateness", "max"), 1925.0, 0.1);
    assert_near(outcome.figure("http_req_duration", "med"), 100.0, 0.2);
    // All were done in the end, and yet the load was half of what was planned.
    let achieved = outcome.summary["generator"]["achieved"].as_f64().expect("a share");
    assert_near(achieved, 0.5, 0.1);
}

#[test]
fn dropped_iterations_are_counted() {
    let _beside = beside_others();
    // Busy for 75 ms, each worker's VU misses every other one of its arrivals, 50 ms apart.
    let outcome = overloaded(Language::Luau, "dropped", 75 * MS);
    let dropped = outcome.account("dropped");
    assert!((36..=48).contains(&dropped), "{dropped} dropped");
    assert_eq!(outcome.figure("dropped_iterations", "count"), dropped as f64);
    assert!(outcome.figure("iteration_response_time", "p(95)") < 250.0);
}

/// Stops kingtide for `stop` in a run of 50 iterations a second for 4 s.
pub(crate) fn stopped_generator(language: Language, stop: Duration) -> Vec<Row> {
    let target = Target::start(Behavior::default());
    let started = Load::of(language, "stopped").with(&["--strict-schedule"]).start(target.address);
    target.wait_for_first();
    std::thread::sleep(1500 * MS);
    kill_process(started.pid(), Signal::STOP).expect("stopped");
    std::thread::sleep(stop);
    kill_process(started.pid(), Signal::CONT).expect("continued");
    let outcome = started.end();

    let stop = stop.as_secs_f64() * 1e3;
    let lateness = outcome.figure("iteration_lateness", "max");
    let response = outcome.figure("iteration_response_time", "max");
    vec![
        Row::exact("due = ended + interrupted + dropped", 200, outcome.due()),
        // The first that was due in the stop may have been due up to 20 ms after its begin.
        Row::new("iteration_lateness max, ms", stop, lateness, 0.1 * stop),
        Row::new(
            "response time beyond lateness, below 0, ms",
            0.0,
            (response - lateness).min(0.0),
            0.0,
        ),
        Row::exact(
            "warning that it was late",
            1,
            u64::from(outcome.warns("the generator was late")),
        ),
        Row::exact("exit code with --strict-schedule", 65, outcome.code as u64),
    ]
}

#[test]
fn a_stopped_generator_says_so() {
    let _beside = beside_others();
    let rows = stopped_generator(Language::Luau, 1000 * MS);
    Finding { rows, noise: Noise::default() }.assert();
}
