//! The suite at full length, by hand: `scripts/truth.sh` runs it in a release build and keeps the
//! tables.
#![expect(clippy::disallowed_methods, reason = "the script says by the environment where to write")]

use std::fmt::Write as _;
use std::time::Duration;

use kingtide::metrics::Histogram;

use crate::arrivals::{poisson, ramp, uniform};
use crate::equal_runs::mann_whitney;
use crate::finding::{Finding, Row, undisturbed};
use crate::floor::{Noise, Watch};
use crate::generator::{a_core_and_a_half, computing, healthy};
use crate::latency::{DELAYS, known_latency};
use crate::run::{Language, Load};
use crate::stalls::{stalled_target, stopped_generator};
use crate::target::{Behavior, Delay, Target};
use crate::vus::littles_law;

const LANGUAGES: [Language; 2] = [Language::Luau, Language::Rhai];

/// Nothing asks it.
const NOBODY: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// The tables so far.
struct Report {
    text: String,
    holds: bool,
}

impl Report {
    fn add(&mut self, title: &str, measure: impl FnMut() -> Finding) {
        let finding = undisturbed(measure);
        let Noise { worst_ms, foreign_cores } = finding.noise;
        let table = finding.table();
        let disturbed = finding.noise.disturbs();
        // A machine that others use proves nothing either way.
        self.holds &= finding.holds() || disturbed;
        let said = if disturbed && !finding.holds() {
            " Three times disturbed: take it again."
        } else {
            ""
        };
        writeln!(
            self.text,
            "## {title}\n\nMeanwhile: another client's worst request {worst_ms:.2} ms, other processes \
             {foreign_cores:.2} cores.{said}\n\n{table}"
        )
        .expect("a text takes all");
    }
}

/// Runs the same load twice against the same target; the chance that they differ by accident.
fn equal_pair(seed: u64) -> f64 {
    let run = || {
        let target = Target::start(Behavior::delayed(Delay::LogNormal(
            Duration::from_millis(20),
            0.6,
            seed,
        )));
        let outcome = Load::of(Language::Luau, "known").seconds(5).run(target.address);
        let text = outcome.histogram("http_req_duration").to_owned();
        Histogram::decode(&text).expect("a histogram")
    };
    mann_whitney(&run(), &run())
}

fn equal_runs() -> Finding {
    let calm = Target::start(Behavior::default());
    let watch = Watch::start(calm.address);
    let chances = (0..6).map(equal_pair);
    let rows = chances.enumerate().map(|(pair, chance)| {
        // One in a hundred may lie below 0.01 by chance.
        Row::new(
            format!("pair {}: chance to differ so by accident", pair + 1),
            0.505,
            chance,
            0.495,
        )
    });
    let rows = rows.collect();
    Finding::new(rows, &watch.end())
}

/// The same load with two cores and with one.
fn cores(language: Language) -> Finding {
    let calm = Target::start(Behavior::default());
    let watch = Watch::start(calm.address);
    let load = a_core_and_a_half(language).seconds(10);
    let (two, one) = (load.start(NOBODY).end(), load.on_one_core().start(NOBODY).end());
    let achieved = |summary: &serde_json::Value| summary["generator"]["achieved"].as_f64();
    let rows = vec![
        Row::new("two cores: achieved", 1.0, achieved(&two.summary).unwrap_or(0.0), 0.01),
        Row::new("one core: achieved", 0.67, achieved(&one.summary).unwrap_or(0.0), 0.1),
        Row::exact("one core: warning of the load", 1, u64::from(one.warns("planned iterations"))),
        Row::exact("one core: exit code with --strict-schedule", 65, one.code as u64),
    ];
    Finding::new(rows, &watch.end())
}

/// Scripts that compute on the only worker.
fn late(language: Language) -> Finding {
    let calm = Target::start(Behavior::default());
    let watch = Watch::start(calm.address);
    let outcome = computing(language);
    let rows = vec![
        Row::exact(
            "warning that it was late",
            1,
            u64::from(outcome.warns("the generator was late")),
        ),
        Row::exact("warning of its core", 1, u64::from(outcome.warns("of its core"))),
        Row::exact("exit code with --strict-schedule", 65, outcome.code as u64),
    ];
    Finding::new(rows, &watch.end())
}

#[test]
#[ignore = "takes ten minutes: scripts/truth.sh"]
fn everything_at_full_length() {
    let mut report = Report { text: String::new(), holds: true };
    for language in LANGUAGES {
        for (name, delay) in DELAYS {
            let load = Load::of(language, "known").seconds(30);
            let title = format!("Known latency, {name}, {language:?}, 200/s for 30 s");
            report.add(&title, || known_latency(&load, delay));
        }
        let stall = Duration::from_secs(3);
        report.add(&format!("Stalled target, {language:?}, 3 s of 30 s"), || {
            stalled_target(language, 30, stall)
        });
        report.add(&format!("Stopped generator, {language:?}, 1 s of 4 s"), || {
            let rows = stopped_generator(language, Duration::from_secs(1));
            Finding { rows, noise: Noise::default() }
        });
        report.add(&format!("Uniform arrivals, {language:?}, 100/s for 20 s"), || {
            uniform(language, 20)
        });
        report.add(&format!("Poisson arrivals, {language:?}, 100/s for 20 s"), || {
            poisson(language, 20)
        });
        report.add(&format!("Ramp 0→200→200→0/s, {language:?}, 10 s each"), || {
            ramp(language, 10)
        });
        report.add(&format!("Little's law, {language:?}, 10 s"), || littles_law(language, 10));
        report.add(&format!("A healthy generator, {language:?}"), || healthy(language));
        report.add(&format!("Scripts that compute, {language:?}, one worker"), || late(language));
        report.add(&format!("A core and a half of work, {language:?}"), || cores(language));
    }
    report.add("Equal runs against a real target, log-normal, 200/s for 5 s", equal_runs);
    if let Ok(path) = std::env::var("TRUTH_OUT") {
        std::fs::write(&path, &report.text).expect("TRUTH_OUT can be written");
    }
    assert!(report.holds, "{}", report.text);
}
