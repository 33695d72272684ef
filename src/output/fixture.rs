//! Finished runs for tests, recorded into a shard and added up as a real run's figures are.

use std::time::Duration;

use self::plans::{closed, open, plan};
use self::recorder::Recorder;
use super::{
    ErrorResult, GeneratorResult, Level, Metadata, Outcome, Place, Progress, Results,
    ScenarioProgress, ScenarioResult, Style, ThresholdResult, diagnostic,
};
use crate::metrics::{Aggregate, TagSetId};
use crate::plan::Plan;

mod plans;
mod recorder;

/// All that [`Results`] borrows and holds.
pub(super) struct Fixture {
    pub(super) plan: Plan,
    pub(super) aggregate: Aggregate,
    outcome: Outcome,
    metadata: Metadata,
    pub(super) thresholds: Vec<ThresholdResult>,
    pub(super) scenarios: Vec<ScenarioResult>,
    pub(super) errors: Vec<ErrorResult>,
    generator: GeneratorResult,
    running: Vec<ScenarioProgress>,
}

impl Fixture {
    pub(super) fn results(&self) -> Results<'_> {
        Results {
            plan: &self.plan,
            aggregate: &self.aggregate,
            outcome: self.outcome.clone(),
            metadata: self.metadata.clone(),
            reloads: Vec::new(),
            thresholds: self.thresholds.clone(),
            scenarios: self.scenarios.clone(),
            errors: self.errors.clone(),
            generator: self.generator.clone(),
        }
    }

    pub(super) fn progress(&self) -> Progress<'_> {
        Progress {
            aggregate: &self.aggregate,
            elapsed: self.metadata.duration,
            phase: "running",
            scenarios: self.running.clone(),
        }
    }
}

/// A run of 30 seconds in which all went well.
pub(super) fn passed() -> Fixture {
    let scenarios = vec![open("readers", 30.0, 30), closed("writers", 4, 30)];
    let thresholds = [
        ("http_req_duration", "p(95) < 200ms"),
        ("http_req_duration{scenario:readers}", "p(99)<50 && max < 1s"),
        ("http_req_failed", "rate < 1%"),
        ("checks", "rate == 100%"),
    ];
    let plan = plan(scenarios, &thresholds);
    let mut recorder = Recorder::new(&plan);
    let url = "http://127.0.0.1:8080/api";
    for _ in 0..30 {
        for _ in 0..30 {
            let tags = recorder.iteration("readers", true, 2_000);
            recorder.request(tags, "GET", &format!("{url}/notes"), 700, 200);
            recorder.request(tags, "GET", &format!("{url}/notes/{{id}}"), 400, 200);
            recorder.check(tags, "", "status is 200", true);
            recorder.check(tags, "", "has notes", true);
        }
        for _ in 0..8 {
            let tags = recorder.iteration("writers", false, 400_000);
            recorder.request(tags, "POST", &format!("{url}/notes"), 2_600, 201);
            recorder.check(tags, "::write", "created", true);
            recorder.check(tags, "::write", "has an id", true);
        }
        recorder.bytes(12_000.0, 91_000.0, 7.0);
        recorder.tick();
    }
    let mut fixture = recorder.finish(plan, "notes.luau");
    fixture.scenarios = vec![
        ended("readers", "constant-arrival-rate", Some(900), [900, 0, 0, 0, 3]),
        ended("writers", "constant-vus", None, [240, 0, 0, 0, 4]),
    ];
    fixture
}

/// A run of two minutes in which much went wrong.
pub(super) fn violated() -> Fixture {
    let scenarios =
        vec![open("browse", 20.0, 120), open("buyers", 5.0, 120), closed("back-office", 2, 120)];
    let thresholds = [
        ("http_req_duration", "p(95) < 200ms"),
        ("http_req_duration{scenario:buyers}", "p(99) < 1.5s over 30s"),
        ("http_req_failed", "rate < 1%"),
        ("checks{check:has a receipt}", "rate > 99%"),
        ("time_to_pay", "count > 100 && p(90) < 2s"),
        ("ws_connecting", "p(95) < 100ms"),
        ("iteration_response_time{scenario:buyers}", "p(95) < 5s"),
    ];
    let mut plan = plan(scenarios, &thresholds);
    plan.thresholds[2].abort_on_fail = true;
    plan.tags.insert("release".to_owned(), "2026.11".to_owned());
    let mut recorder = Recorder::new(&plan);
    for second in 0..120_u64 {
        browse(&mut recorder);
        buy(&mut recorder, second);
        let tags = recorder.iteration("back-office", false, 1_400_000);
        recorder.request(tags, "GET", REPORT, 900_000, 200);
        recorder.check(tags, "", "report is complete", true);
        recorder.bytes(61_000.0, 1_940_000.0, 43.0);
        recorder.tick();
    }
    let mut fixture = recorder.finish(plan, "checkout.luau");
    fixture.outcome = Outcome {
        exit_code: 2,
        verdict: "thresholds",
        reason: "http_req_failed: rate < 1% ended the test\nhttp_req_duration: p(95) < 200ms"
            .to_owned(),
    };
    fixture.thresholds[2].aborted = true;
    fixture.scenarios = vec![
        ended("browse", "constant-arrival-rate", Some(2_400), [2_398, 2, 0, 0, 12]),
        ended("buyers", "ramping-arrival-rate", Some(642), [598, 2, 42, 121, 20]),
        ended("back-office", "constant-vus", None, [119, 1, 0, 0, 2]),
    ];
    fixture.errors = violated_errors();
    fixture.generator = GeneratorResult {
        cpu: 0.94,
        lag_p99_ms: 14.2,
        achieved: 0.986,
        memory_bytes: 48_234_496,
        warnings: vec![
            "the busiest worker used 94% of its core, so times may be the generator's own: use \
             more workers (--workers) or a lower rate"
                .to_owned(),
            "42 iterations of `buyers` never started: max_vus = 20 is too low for 5/s at the \
             response times seen"
                .to_owned(),
        ],
    };
    fixture
}

const REPORT: &str = "https://shop.example/admin/reports/turnover/by-region/and-product-group";

fn browse(recorder: &mut Recorder) {
    for _ in 0..20 {
        let tags = recorder.iteration("browse", true, 60_000);
        recorder.request(tags, "GET", "https://shop.example/", 9_000, 200);
        recorder.request(tags, "GET", "https://shop.example/products/{id}", 31_000, 200);
        recorder.check(tags, "", "status is 200", true);
        recorder.check(tags, "", "shows a price", true);
    }
}

fn buy(recorder: &mut Recorder, second: u64) {
    for number in 0..5 {
        let tags = recorder.iteration("buyers", true, 2_100_000);
        let slow = second > 60;
        let refused = second % 5 == 1 && number < 4;
        recorder.request(tags, "POST", "https://shop.example/cart", 48_000, 201);
        let status = if refused { 503 } else { 200 };
        let time = if slow { 1_650_000 } else { 240_000 };
        recorder.request(tags, "POST", "https://shop.example/checkout/payment", time, status);
        recorder.check(tags, "::checkout::pay", "has a receipt", !refused);
        recorder.check(tags, "::checkout::pay", "status is 200", !refused);
        recorder.check(tags, "::checkout", "cart is full", !(second == 7 && number == 0));
        recorder.check(tags, "::checkout", "total is right", true);
        recorder.custom("time_to_pay", tags, time as f64 / 1_000.0);
        recorder.custom("basket_value", tags, 12.5 + f64::from(number * 17));
        recorder.custom("orders", tags, f64::from(u8::from(!refused)));
        recorder.custom(
            "sold_out",
            tags,
            f64::from(u8::from(number == 4 && second.is_multiple_of(9))),
        );
        recorder.custom("upload_size", tags, 180_000.0 + second as f64);
    }
    recorder.custom("level", TagSetId::EMPTY, (second % 17) as f64);
}

fn violated_errors() -> Vec<ErrorResult> {
    let style = Style { color: false, width: 80, unicode: true };
    let place = Place {
        file: "checkout.luau",
        line: 41,
        column: 16,
        width: 5,
        source: "    local id = order.item.id",
    };
    let note = "in function `buy`, scenario `buyers`, first seen at VU 3, iteration 12; 118 times";
    let message = "attempt to index nil with 'id'";
    let first = diagnostic(Level::Error, message, Some(place), &[note.to_owned()], style);
    let failed = "the shop refused the payment, although the card was valid and the basket full";
    let note = "scenario `buyers`, first seen at VU 1, iteration 40";
    let second = diagnostic(Level::Error, failed, None, &[note.to_owned()], style);
    let error = |kind: &str, message: &str, location: Option<&str>, count, rendered| ErrorResult {
        kind: kind.to_owned(),
        message: message.to_owned(),
        location: location.map(str::to_owned),
        count,
        rendered,
    };
    vec![
        error("script", message, Some("checkout.luau:41:16"), 118, first),
        error("fail", failed, None, 3, second),
    ]
}

/// A run of a second that passed, since its threshold judges requests alone: every iteration
/// failed.
pub(super) fn failed() -> Fixture {
    let plan = plan(vec![closed("buyers", 1, 10)], &[("http_req_failed", "rate < 1%")]);
    let mut recorder = Recorder::new(&plan);
    for _ in 0..121 {
        let tags = recorder.iteration("buyers", false, 5_000);
        recorder.request(tags, "POST", "https://shop.example/cart", 400, 201);
    }
    recorder.tick();
    let mut fixture = recorder.finish(plan, "checkout.luau");
    fixture.scenarios = vec![ended("buyers", "constant-vus", None, [121, 0, 0, 121, 1])];
    fixture.errors = violated_errors();
    fixture
}

/// A run of 10 seconds against a relay: single calls, and batches of three.
pub(super) fn relay() -> Fixture {
    let plan = plan(vec![closed("callers", 1, 10)], &[("rpc_req_failed", "rate < 1%")]);
    let mut recorder = Recorder::new(&plan);
    let url = "http://127.0.0.1:8545/";
    for _ in 0..10 {
        for number in 0..5 {
            let tags = recorder.iteration("callers", false, 5_000);
            recorder.request(tags, "POST", url, 400, 200);
            recorder.rpc(tags, "eth_blockNumber", 400, "");
            if number < 2 {
                recorder.request(tags, "POST", "batch", 9_000, 200);
                for call in 0..3 {
                    let error = if number == 0 && call == 0 { "-32000" } else { "" };
                    recorder.rpc(tags, "eth_call", 9_000, error);
                }
            }
            recorder.request(tags, "POST", url, 400, 200);
            recorder.rpc(tags, "eth_blockNumber", 400, "");
        }
        recorder.tick();
    }
    let mut fixture = recorder.finish(plan, "relay.luau");
    fixture.outcome = Outcome {
        exit_code: 2,
        verdict: "thresholds",
        reason: "rpc_req_failed: rate < 1%".to_owned(),
    };
    fixture.scenarios = vec![ended("callers", "constant-vus", None, [50, 0, 0, 0, 1])];
    fixture
}

/// Returns every fixture.
pub(super) fn all() -> [Fixture; 6] {
    [passed(), violated(), failed(), relay(), empty(), odd()]
}

/// A run that ended before anything happened.
pub(super) fn empty() -> Fixture {
    let plan = plan(vec![open("readers", 30.0, 30)], &[("http_req_duration", "p(95) < 200ms")]);
    let mut fixture = Recorder::new(&plan).finish(plan, "notes.luau");
    fixture.outcome = Outcome {
        exit_code: 105,
        verdict: "interrupted",
        reason: "interrupted by a signal during setup".to_owned(),
    };
    fixture.scenarios = vec![ended("readers", "constant-arrival-rate", Some(0), [0, 0, 0, 0, 0])];
    fixture.metadata.git_commit = None;
    fixture
}

/// A run of no length with long names, many rows, and figures that are no numbers.
pub(super) fn odd() -> Fixture {
    let long = "a-scenario-with-a-name-that-is-far-longer-than-anyone-would-like-to-read-it";
    let thresholds = [("http_reqs{name:a b}", "count > 1")];
    let plan = plan(vec![closed(long, 1, 1)], &thresholds);
    let mut recorder = Recorder::new(&plan);
    let tags = recorder.iteration(long, false, 10);
    for row in 0..60 {
        let url = format!("http://host-{row}.example/{}", "very/long/path/".repeat(8));
        recorder.request(tags, "DELETE", &url, 90, 200);
    }
    let word = "x".repeat(300);
    recorder.check(tags, "", &word, true);
    recorder.check(tags, "::::a::b", &word, false);
    recorder.custom("level", tags, f64::INFINITY);
    recorder.custom("level", tags, f64::NEG_INFINITY);
    recorder.tick();
    let mut fixture = recorder.finish(plan, &word);
    fixture.metadata.duration = Duration::ZERO;
    fixture.outcome =
        Outcome { exit_code: 108, verdict: "aborted", reason: format!("{word} {word}") };
    fixture.scenarios = vec![ended(long, "constant-vus", None, [1_000_000_000, 0, 0, 0, 1])];
    fixture.errors = (0..13)
        .map(|number| ErrorResult {
            kind: "script".to_owned(),
            message: word.clone(),
            location: None,
            count: 13 - number,
            rendered: format!("\u{1b}[31merror\u{1b}[0m: {word} {number}\n  = {word}\n{word}"),
        })
        .collect();
    fixture.generator.warnings = vec![word];
    fixture
}

fn ended(
    name: &str,
    executor: &'static str,
    due: Option<u64>,
    [ended, interrupted, dropped, errors, vus_max]: [u64; 5],
) -> ScenarioResult {
    let name = name.to_owned();
    ScenarioResult { name, executor, due, ended, interrupted, dropped, errors, vus_max }
}
