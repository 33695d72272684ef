//! The generator watches itself: each warning where it is due, and none where it is not.

use crate::finding::{Finding, Row, assert_true, beside_others};
use crate::floor::Watch;
use crate::run::{Language, Load, Outcome};
use crate::target::{Behavior, Target};

/// Nothing asks it; the scenarios of this file make no requests.
const NOBODY: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

fn number(outcome: &Outcome, name: &str) -> f64 {
    outcome.summary["generator"][name].as_f64().unwrap_or_else(|| panic!("no {name}"))
}

/// Runs a load that any machine can make.
pub(crate) fn healthy(language: Language) -> Finding {
    let calm = Target::start(Behavior::default());
    let watch = Watch::start(calm.address);
    let outcome = Load::of(language, "light").with(&["--strict-schedule"]).start(NOBODY).end();
    let lag = number(&outcome, "lag_p99_ms");
    // A machine that others use may make it late; then it is to say so, and else nothing.
    let late = lag > 10.0;
    let rows = vec![
        Row::exact("warnings", u64::from(late), outcome.warnings().len() as u64),
        Row::exact(
            "exit code with --strict-schedule",
            if late { 65 } else { 0 },
            outcome.code as u64,
        ),
        Row::new("achieved", 1.0, number(&outcome, "achieved"), 0.0),
        Row::new("lag p99, ms", 0.0, lag, 10.0),
        Row::new("CPU", 0.0, number(&outcome, "cpu"), 0.5),
    ];
    Finding::new(rows, &watch.end())
}

#[test]
fn a_healthy_generator_warns_of_nothing() {
    assert_true(|| healthy(Language::Luau));
}

/// Runs scripts that compute beside a schedule, on one worker, in slices so long that it shows.
pub(crate) fn computing(language: Language) -> Outcome {
    let load = Load::of(language, "light").and("busy").with(&["--workers", "1"]);
    let load = load.with(&["-e", "SLICE=30ms"]);
    load.with(&["--strict-schedule"]).start(NOBODY).end()
}

#[test]
fn scripts_that_compute_make_the_generator_late_and_it_says_so() {
    let _beside = beside_others();
    for language in [Language::Luau, Language::Rhai] {
        let outcome = computing(language);
        assert!(number(&outcome, "lag_p99_ms") > 10.0);
        assert!(outcome.warns("the generator was late"), "{:?}", outcome.warnings());
        assert_eq!(outcome.code, 65);
        // A VU computes for a slice before an arrival has its turn.
        assert!(outcome.figure("iteration_lateness", "p(99)") > 10.0);
        // How much of its core it had is the machine's affair; that it is said is ours.
        let warned = outcome.warns("of its core");
        assert_eq!(number(&outcome, "cpu") > 0.9, warned, "{:?}", outcome.warnings());
    }
}

/// Returns the work that takes one core `ms` per iteration.
pub(crate) fn work_of(language: Language, ms: f64) -> String {
    const GUESS: f64 = 200_000.0;
    let guess = format!("WORK={GUESS}");
    let sample = Load::of(language, "sample").with(&["-e", &guess, "--workers", "1"]).run(NOBODY);
    let least = sample.figure("iteration_duration", "min");
    format!("WORK={}", (GUESS * ms / least) as u64)
}

/// Plans a core and a half of work for two workers: 60 iterations a second of 25 ms.
pub(crate) fn a_core_and_a_half(language: Language) -> Load {
    let work = work_of(language, 25.0);
    let slice = "SLICE=30ms";
    let flags = ["--workers", "2", "--strict-schedule", "-e", &work, "-e", slice];
    Load::of(language, "heavy").with(&flags)
}

#[test]
fn with_one_core_taken_away_it_warns_and_fails() {
    let _beside = beside_others();
    let outcome = a_core_and_a_half(Language::Luau).on_one_core().start(NOBODY).end();
    assert_eq!(outcome.code, 65, "{:?}", outcome.warnings());
    assert_eq!(outcome.due(), 120);
    assert!(outcome.warns("of the planned iterations were started"), "{:?}", outcome.warnings());
    assert!(outcome.warns("the generator was late"), "{:?}", outcome.warnings());
    let achieved = number(&outcome, "achieved");
    // Two thirds, if nobody else uses the core.
    assert!(achieved < 0.9, "{achieved}");
    // What could not be started in time has waited, and the figures say how long.
    assert!(outcome.figure("iteration_lateness", "max") > 200.0);
}
