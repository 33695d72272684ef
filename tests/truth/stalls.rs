//! Stalls of the target and of the generator, and too few VUs: who was due meanwhile has waited.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::finding::{Finding, Row, beside_others, undisturbed};
use crate::floor::{Floor, Noise, Watch};
use crate::run::{Language, Load, Outcome};
use crate::target::{Behavior, Delay, Target};

const MS: Duration = Duration::from_millis(1);

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

/// Runs 40 iterations a second on 2 VUs that cannot do so many, and asserts what holds of both ways to
/// bear it.
fn overloaded(language: Language, scenario: &'static str, delay: Duration) -> (Outcome, Floor) {
    let (target, calm) = (
        Target::start(Behavior::delayed(Delay::Constant(delay))),
        Target::start(Behavior::default()),
    );
    let watch = Watch::start(calm.address);
    let outcome = Load::of(language, scenario).run(target.address);
    assert_eq!(outcome.due(), 80);
    assert_eq!(outcome.account("ended"), target.end().len() as u64);
    assert!(outcome.warns("max_vus (2) is too low"));
    assert!(outcome.warns("of the planned iterations were started"));
    (outcome, watch.end())
}

#[test]
fn iterations_that_wait_for_a_vu_keep_their_due_times() {
    let _beside = beside_others();
    let measure = || {
        let (outcome, floor) = overloaded(Language::Rhai, "queued", 100 * MS);
        assert_eq!((outcome.account("ended"), outcome.account("dropped")), (80, 0));
        let achieved = outcome.summary["generator"]["achieved"].as_f64().expect("a share");
        let figure = |metric, stat| outcome.figure(metric, stat);
        let (response, late) = ("iteration_response_time", "iteration_lateness");
        let rows = vec![
            // The last is due at 1,975 ms, and 40 rounds of 100 ms end at 4,000 ms.
            Row::share("response time max, ms", 2025.0, figure(response, "max"), 0.1),
            Row::share("lateness max, ms", 1925.0, figure(late, "max"), 0.1),
            Row::share("request med, ms", 100.0, figure("http_req_duration", "med"), 0.2),
            // All were done in the end, and yet the load was half of what was planned.
            Row::share("achieved", 0.5, achieved, 0.1),
        ];
        Finding::new(rows, &floor)
    };
    undisturbed(measure).assert();
}

#[test]
fn dropped_iterations_are_counted() {
    let _beside = beside_others();
    let measure = || {
        // Busy for 75 ms, each worker's VU misses every other one of its arrivals, 50 ms apart.
        let (outcome, floor) = overloaded(Language::Luau, "dropped", 75 * MS);
        let dropped = outcome.account("dropped");
        let counted = outcome.figure("dropped_iterations", "count") as u64;
        let response = outcome.figure("iteration_response_time", "p(95)");
        let rows = vec![
            Row::exact("dropped_iterations", dropped, counted),
            Row::new("dropped", 42.0, dropped as f64, 6.0),
            Row::new("response time p(95), ms", 75.0, response, 50.0),
        ];
        Finding::new(rows, &floor)
    };
    undisturbed(measure).assert();
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
        // The first that was due in the stop may have been due up to 20 ms after its begin; and who
        // sleeps for the stop's length may sleep longer.
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
