//! Little's law: VUs at work are what comes in a second times the time of one.

use crate::finding::{Finding, Row, assert_true};
use crate::floor::Watch;
use crate::run::{Language, Load};
use crate::target::{Behavior, Served, Target};

/// A closed scenario: its name, VUs, and the seconds that a request takes.
const SCENARIOS: [(&str, f64, f64); 2] = [("fifty", 8.0, 0.05), ("twenty", 3.0, 0.02)];

/// Returns how many requests the target had at a time, on average between two times.
fn within(log: &[Served], path: &str, from: f64, until: f64) -> f64 {
    let zero = log.first().map_or(0.0, |first| first.arrived.as_secs_f64());
    let (from, until) = (zero + from, zero + until);
    let held = log.iter().filter(|request| request.path == path).filter_map(|request| {
        let (arrived, left) = (request.arrived.as_secs_f64(), request.left?.as_secs_f64());
        Some((left.min(until) - arrived.max(from)).max(0.0))
    });
    held.sum::<f64>() / (until - from)
}

/// Runs two closed scenarios side by side; holds VUs against X·R, per scenario and second.
pub(crate) fn littles_law(language: Language, seconds: u32) -> Finding {
    let mut load = Load::of(language, "fifty").and("twenty").seconds(seconds);
    // Submetrics are kept where a threshold is about them.
    for (scenario, ..) in SCENARIOS {
        load = load.with(&[
            "--threshold",
            &format!("iteration_duration{{scenario:{scenario}}}: count > 0"),
        ]);
        for second in 1..seconds {
            let lap = format!("lap{{scenario:{scenario},second:{second}}}: count > 0");
            load = load.with(&["--threshold", &lap]);
        }
    }
    // The watch asks a target of its own: here the first request is to be the zero of time.
    let (target, calm) = (Target::start(Behavior::default()), Target::start(Behavior::default()));
    let watch = Watch::start(calm.address);
    let outcome = load.run(target.address);
    let floor = watch.end();
    let log = target.end();

    let mut rows = Vec::new();
    for (scenario, vus, takes) in SCENARIOS {
        // One of a VU's laps may belong to the second before; and between two laps a VU needs the
        // floor and the script's time.
        let room = vus * (takes + (0.0005 + floor.at(90.0) / 1e3) / takes);
        let path = format!("/after/{}", (takes * 1e3).round());
        for second in 1..seconds {
            let lap = format!("lap{{scenario:{scenario},second:{second}}}");
            let law = outcome.figure(&lap, "count") * outcome.figure(&lap, "avg") / 1e3;
            rows.push(Row::new(format!("{scenario}, second {second}: VUs = X·R"), vus, law, room));
            let from = f64::from(second);
            let held = within(&log, &path, from, from + 1.0);
            let what = format!("{scenario}, second {second}: in the target = X·R");
            rows.push(Row::new(what, held, law, room));
        }
        let whole = format!("iteration_duration{{scenario:{scenario}}}");
        let length = outcome.summary["metadata"]["duration_ms"].as_f64().expect("a time");
        let law = outcome.figure(&whole, "count") * outcome.figure(&whole, "avg") / length;
        rows.push(Row::new(format!("{scenario}, all: VUs = X·R"), vus, law, room));
    }
    let requests = log.len() as u64;
    rows.push(Row::exact("requests", requests, outcome.figure("http_reqs", "count") as u64));
    rows.push(Row::exact("VUs at once", 11, outcome.figure("vus", "max") as u64));
    Finding::new(rows, &floor)
}

#[test]
fn vus_are_throughput_times_response_time() {
    assert_true(|| littles_law(Language::Luau, 3));
}
