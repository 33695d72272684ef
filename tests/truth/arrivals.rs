//! The load is what was planned, by the target's stamps.

use std::time::Duration;

use kingtide::plan::{Curve, Share, Stage};

use crate::finding::{Finding, Row, assert_true, distance_from, percentile, sorted};
use crate::floor::{Floor, Watch};
use crate::run::{Language, Load, Outcome};
use crate::target::{Behavior, Target};

/// Runs a load; returns when its requests came, in seconds.
fn stamps(load: &Load) -> (Outcome, Vec<f64>, Floor) {
    let target = Target::start(Behavior::default());
    let watch = Watch::start(target.address);
    let outcome = load.run(target.address);
    let floor = watch.end();
    let log = target.end();
    let arrived = log.iter().filter(|request| request.path == "/");
    let stamps = sorted(arrived.map(|request| request.arrived.as_secs_f64()));
    (outcome, stamps, floor)
}

/// Returns how late each stamp is in ms, if the earliest is in time.
fn lateness(stamps: &[f64], due: &[f64]) -> Vec<f64> {
    let late: Vec<f64> = stamps.iter().zip(due).map(|(stamp, due)| (stamp - due) * 1e3).collect();
    let least = late.iter().copied().fold(f64::INFINITY, f64::min);
    sorted(late.into_iter().map(|late| late - least))
}

fn gaps(stamps: &[f64]) -> Vec<f64> {
    sorted(stamps.windows(2).map(|pair| pair[1] - pair[0]))
}

/// Returns standard deviation over mean.
fn spread(figures: &[f64]) -> f64 {
    let count = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / count;
    let variance = figures.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt() / mean
}

/// Returns the greatest difference between what came and what was due in any 100 ms.
fn worst_window(stamps: &[f64], due: &[f64]) -> f64 {
    let windows = (due.last().expect("arrivals") / 0.1) as usize + 1;
    let count = |times: &mut dyn Iterator<Item = f64>| {
        let mut counts = vec![0.0; windows + 1];
        // Half a millisecond later, so that who was due at an edge does not fall to either side.
        times.for_each(|at| counts[(((at + 0.0005) / 0.1) as usize).min(windows)] += 1.0);
        counts
    };
    let shift =
        stamps.iter().zip(due).map(|(stamp, due)| stamp - due).fold(f64::INFINITY, f64::min);
    let came = count(&mut stamps.iter().map(|stamp| stamp - shift));
    let planned = count(&mut due.iter().copied());
    came.iter()
        .zip(&planned)
        .map(|(came, planned): (&f64, &f64)| (came - planned).abs())
        .fold(0.0, f64::max)
}

/// What the noise of a machine may move a stamp by, in ms: what another client saw, and a tick of
/// the timers.
fn room_ms(floor: &Floor) -> f64 {
    1.0 + floor.at(99.0)
}

/// Runs 100 iterations a second, evenly spread.
pub(crate) fn uniform(language: Language, seconds: u32) -> Finding {
    let (outcome, stamps, floor) = stamps(&Load::of(language, "uniform").seconds(seconds));
    let planned = u64::from(seconds) * 100;
    let due: Vec<f64> = (0..planned).map(|n| n as f64 / 100.0).collect();
    let late = lateness(&stamps, &due);
    let rows = vec![
        Row::exact("due", planned, outcome.due()),
        Row::exact("requests that came", planned, stamps.len() as u64),
        Row::new(
            "late by the target's stamps p99, ms",
            0.0,
            percentile(&late, 99.0),
            room_ms(&floor),
        ),
        // Gaps of 10 ms; each end may move by the noise.
        Row::new(
            "spread of the gaps (0: all alike)",
            0.0,
            spread(&gaps(&stamps)),
            0.05 + 0.1 * room_ms(&floor),
        ),
        Row::new("worst of any 100 ms, arrivals", 0.0, worst_window(&stamps, &due), 1.0),
    ];
    Finding::new(rows, &floor)
}

/// Runs 100 iterations a second on average, with exponential gaps.
pub(crate) fn poisson(language: Language, seconds: u32) -> Finding {
    let (outcome, stamps, floor) = stamps(&Load::of(language, "poisson").seconds(seconds));
    let mean = f64::from(seconds) * 100.0;
    let gaps = gaps(&stamps);
    let distance = distance_from(&gaps, |gap| 1.0 - (-gap * 100.0).exp());
    // The 1 % critical value of Kolmogorov and Smirnov for large samples.
    let critical = 1.628 / (gaps.len() as f64).sqrt();
    let rows = vec![
        Row::exact("requests that came", outcome.due(), stamps.len() as u64),
        Row::new(
            "due (mean ± 3 standard deviations)",
            mean,
            outcome.due() as f64,
            3.0 * mean.sqrt(),
        ),
        Row::new("distance of the gaps from exponential", 0.0, distance, critical),
        Row::new("spread of the gaps (1: exponential)", 1.0, spread(&gaps), 0.2),
    ];
    Finding::new(rows, &floor)
}

/// Runs a ramp up, a plateau and a ramp down of as many seconds each.
pub(crate) fn ramp(language: Language, seconds: u32) -> Finding {
    let (outcome, stamps, floor) = stamps(&Load::of(language, "ramp").seconds(seconds));
    let stage = |target| Stage { duration: Duration::from_secs(seconds.into()), target };
    let curve = Curve { start: 0.0, stages: [200.0, 200.0, 0.0].map(stage).to_vec() };
    let due: Vec<f64> = curve.due_times(Share::WHOLE).map(|(_, due)| due.as_secs_f64()).collect();
    // The area of the trapezium, and the root of the first ramp's: half of it is due by 1/√2.
    let planned = u64::from(seconds) * 400;
    let late = lateness(&stamps, &due);
    let first = due.iter().filter(|due| **due < f64::from(seconds) / 2f64.sqrt()).count();
    let rows = vec![
        Row::exact("due", planned, outcome.due()),
        Row::exact("requests that came", planned, stamps.len() as u64),
        Row::new(
            "due in the first 71 % of the ramp up",
            f64::from(seconds) * 50.0,
            first as f64,
            1.0,
        ),
        Row::new(
            "late by the target's stamps p99, ms",
            0.0,
            percentile(&late, 99.0),
            room_ms(&floor),
        ),
        Row::new("worst of any 100 ms, arrivals", 0.0, worst_window(&stamps, &due), 2.0),
    ];
    Finding::new(rows, &floor)
}

/// Lets 8 VUs on two workers send 100 requests a second together, as fast as they may.
pub(crate) fn limited(language: Language, seconds: u32) -> Finding {
    let load = Load::of(language, "limited").seconds(seconds).with(&["--workers", "2"]);
    let (outcome, stamps, floor) = stamps(&load);
    let rows = vec![
        // Each of the 8 VUs still has its turn after the end.
        Row::new("requests that came", f64::from(seconds) * 100.0 + 8.0, stamps.len() as f64, 5.0),
        Row::new("gap between requests p50, ms", 10.0, 1e3 * percentile(&gaps(&stamps), 50.0), 0.5),
        Row::new(
            "spread of the gaps (0: all alike)",
            0.0,
            spread(&gaps(&stamps)),
            0.05 + 0.1 * room_ms(&floor),
        ),
        // Each of 8 VUs has a turn every 80 ms, of which its request takes next to nothing.
        Row::new("blocked p50, ms", 80.0, outcome.figure("http_req_blocked", "med"), 2.0),
    ];
    Finding::new(rows, &floor)
}

#[test]
fn a_limited_rate_of_requests_is_spread_evenly_over_the_workers() {
    assert_true(|| limited(Language::Luau, 2));
}

#[test]
fn uniform_arrivals_come_as_planned() {
    assert_true(|| uniform(Language::Rhai, 2));
}

#[test]
fn poisson_arrivals_come_as_planned() {
    assert_true(|| poisson(Language::Luau, 3));
}

#[test]
fn ramping_arrivals_come_as_planned() {
    assert_true(|| ramp(Language::Rhai, 1));
}
