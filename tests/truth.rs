//! Whether the figures are true: known disturbances, and what must be reported of them.
//!
//! Each test runs kingtide against a target that does something known and writes down what came.
//! `scripts/truth.sh` runs the stalled target at full length.

#[path = "truth/run.rs"]
mod run;
#[path = "truth/target.rs"]
mod target;

use std::time::Duration;

use kingtide::clock::Instant;
use rustix::process::{Signal, kill_process};

use crate::run::{Language, Outcome, Run, run};
use crate::target::{Behavior, Target};

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

fn a_stall_is_felt_by_all_who_were_due_in_it(language: Language) {
    let (stall, load) = (1500.0, 8000.0);
    let stalled = Some((3000 * MS, 1500 * MS));
    let target = Target::start(Behavior { stall: stalled, ..Behavior::default() });
    let outcome = run(language, "stalled", target.address);

    assert_eq!(outcome.due(), 400);
    assert_eq!((outcome.account("ended"), target.end().len()), (400, 400));
    for (stat, quantile) in [("p(95)", 0.95), ("p(99)", 0.99), ("max", 1.0)] {
        let expected = stalled_response(quantile, stall, load);
        assert_near(outcome.figure("iteration_response_time", stat), expected, 0.05);
        // There were VUs enough: each request was sent when it was due, and waited itself.
        assert_near(outcome.figure("http_req_duration", stat), expected, 0.05);
    }
    assert!(outcome.figure("http_req_duration", "med") < 50.0);
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
fn overloaded(language: Language, scenario: &str, delay: Duration) -> Outcome {
    let target = Target::start(Behavior { delay, ..Behavior::default() });
    let outcome = run(language, scenario, target.address);
    assert_eq!(outcome.due(), 80);
    assert_eq!(outcome.account("ended"), target.end().len() as u64);
    let warnings = outcome.warnings();
    assert!(warnings.iter().any(|warning| warning.contains("max_vus (2) is too low")));
    outcome
}

#[test]
fn iterations_that_wait_for_a_vu_keep_their_due_times() {
    let outcome = overloaded(Language::Rhai, "queued", 100 * MS);
    assert_eq!((outcome.account("ended"), outcome.account("dropped")), (80, 0));
    // The last is due at 1,975 ms, and 40 rounds of 100 ms end at 4,000 ms.
    assert_near(outcome.figure("iteration_response_time", "max"), 2025.0, 0.1);
    assert_near(outcome.figure("iteration_lateness", "max"), 1925.0, 0.1);
    assert_near(outcome.figure("http_req_duration", "med"), 100.0, 0.2);
}

#[test]
fn dropped_iterations_are_counted() {
    // Busy for 75 ms, each worker's VU misses every other one of its arrivals, 50 ms apart.
    let outcome = overloaded(Language::Luau, "dropped", 75 * MS);
    let dropped = outcome.account("dropped");
    assert!((36..=48).contains(&dropped), "{dropped} dropped");
    assert_eq!(outcome.figure("dropped_iterations", "count"), dropped as f64);
    assert!(outcome.figure("iteration_response_time", "p(95)") < 250.0);
}

#[test]
fn a_stopped_generator_says_so() {
    let target = Target::start(Behavior::default());
    let started = Run::start(Language::Luau, "stopped", target.address, &["--strict-schedule"]);
    target.wait_for_first();
    std::thread::sleep(2000 * MS);
    kill_process(started.pid(), Signal::STOP).expect("stopped");
    std::thread::sleep(1000 * MS);
    kill_process(started.pid(), Signal::CONT).expect("continued");
    let outcome = started.end("stopped");

    assert_eq!(outcome.code, 65);
    assert_eq!(outcome.due(), 300);
    let lateness = outcome.figure("iteration_lateness", "max");
    assert!(lateness >= 900.0, "{lateness} ms late at most");
    assert!(outcome.figure("iteration_response_time", "max") >= lateness);
    let warnings = outcome.warnings();
    assert!(warnings.iter().any(|warning| warning.contains("the generator was late")));
}

#[test]
fn requests_that_time_out_or_are_cut_off_count_with_the_time_they_had() {
    let silent = Behavior { silent: true, ..Behavior::default() };
    let target = Target::start(silent);
    let outcome = run(Language::Rhai, "timed_out", target.address);
    assert_eq!(outcome.figure("http_req_duration", "count"), 10.0);
    assert_near(outcome.figure("http_req_duration", "min"), 300.0, 0.1);
    assert_near(outcome.figure("http_req_duration", "avg"), 300.0, 0.2);
    assert_eq!(outcome.figure("http_req_failed", "rate"), 1.0);
    assert_eq!(target.end().len(), 10);

    let target = Target::start(silent);
    let outcome = run(Language::Luau, "cut_off", target.address);
    assert_eq!((outcome.due(), outcome.account("interrupted")), (10, 10));
    // Due at 0, 100, ... 900 ms and cut off at 1,000 ms.
    assert_eq!(outcome.figure("http_req_duration", "count"), 10.0);
    assert_near(outcome.figure("http_req_duration", "avg"), 550.0, 0.1);
    assert_near(outcome.figure("http_req_duration", "max"), 1000.0, 0.1);
    assert_near(outcome.figure("iteration_response_time", "max"), 1000.0, 0.1);
    assert_eq!(target.end().len(), 10);
}

/// Runs a scenario until the machine gave the generator its time, at most 3 times.
///
/// What other processes do to a run says nothing about kingtide, and kingtide notices it.
fn run_undisturbed(
    language: Language,
    scenario: &str,
    behavior: Behavior,
) -> (Outcome, Vec<Instant>) {
    let once = || {
        let target = Target::start(behavior);
        let outcome = run(language, scenario, target.address);
        (outcome, target.end())
    };
    let disturbed = |outcome: &Outcome| {
        let late = outcome.summary["metrics"].get("iteration_lateness").is_some()
            && outcome.figure("iteration_lateness", "max") > 8.0;
        late || outcome.warnings().iter().any(|warning| warning.contains("was late"))
    };
    let mut result = once();
    for _ in 0..2 {
        if !disturbed(&result.0) {
            break;
        }
        result = once();
    }
    result
}

fn seconds_after(stamps: &[Instant]) -> impl Iterator<Item = f64> {
    stamps.iter().map(|stamp| stamp.duration_since(stamps[0]).as_secs_f64())
}

fn uniform_arrivals_come_as_planned() {
    let (outcome, stamps) = run_undisturbed(Language::Rhai, "uniform", Behavior::default());
    assert_eq!((outcome.due(), stamps.len()), (600, 600));
    let mut counts = [0_u32; 30];
    // Half a gap later, so that an arrival at a window's edge does not fall to either side.
    for at in seconds_after(&stamps) {
        counts[(((at + 0.0025) / 0.1) as usize).min(29)] += 1;
    }
    assert!(counts.iter().all(|count| (16..=24).contains(count)), "{counts:?}");
}

fn poisson_arrivals_come_as_planned() {
    let (outcome, stamps) = run_undisturbed(Language::Luau, "poisson", Behavior::default());
    assert_eq!(outcome.due(), stamps.len() as u64);
    assert_near(stamps.len() as f64, 300.0, 0.15);

    let mut gaps: Vec<_> =
        stamps.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect();
    gaps.sort_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let distance = gaps.iter().enumerate().map(|(below, gap)| {
        let exponential = 1.0 - (-gap * 50.0).exp();
        let (low, high) = (below as f64 / count, (below + 1) as f64 / count);
        (exponential - low).abs().max((high - exponential).abs())
    });
    // The 1 % critical value of Kolmogorov and Smirnov for large samples.
    let critical = 1.628 / count.sqrt();
    let distance = distance.fold(0.0, f64::max);
    assert!(distance < critical, "{distance} is not below {critical}");
}

fn vus_are_throughput_times_response_time() {
    let delayed = Behavior { delay: 50 * MS, ..Behavior::default() };
    let (outcome, stamps) = run_undisturbed(Language::Luau, "closed", delayed);
    let count = outcome.figure("iterations", "count");
    assert_eq!((stamps.len() as f64, outcome.figure("http_reqs", "count")), (count, count));
    let throughput = outcome.figure("iterations", "rate");
    for time in ["iteration_duration", "http_req_duration"] {
        let seconds = outcome.figure(time, "avg") / 1000.0;
        assert_near(throughput * seconds, 8.0, 0.05);
    }
    // And by the target's own watch: the same requests in the same time.
    let elapsed = seconds_after(&stamps).last().expect("requests came");
    assert_near((count - 8.0) / elapsed * 0.05, 8.0, 0.1);
}

/// One after another, as they would disturb each other.
#[test]
fn load_is_what_was_planned() {
    uniform_arrivals_come_as_planned();
    poisson_arrivals_come_as_planned();
    vus_are_throughput_times_response_time();
}
