//! What each option of the load, of measuring and of judging does to what is reported.

use serde_json::{Value, json};

use super::bench::{Bench, Target};

/// Runs a test with `options` whose iteration does `body`; returns the exit code and the summary.
fn run(bench: &Bench, options: &str, body: &str, flags: &[&str]) -> (i32, Value) {
    let script = bench.luau(&format!(
        "local metrics = require(\"@kingtide/metrics\")\n\
         local value = metrics.trend(\"value\", {{ time = true }})\n\
         test.options = {{ {options} }}\n\
         function test.iteration() {body} end"
    ));
    let ended =
        bench.kingtide(&[&["run", script, "-q", "--summary-export", "out.json"], flags].concat());
    (ended.code, bench.json("out.json"))
}

fn number(summary: &Value, pointer: &str) -> f64 {
    let number = summary.pointer(pointer).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no {pointer} in {summary:#}"))
}

fn open(options: &str) -> String {
    format!("scenarios = {{ load = {{ executor = \"constant-arrival-rate\", {options} }} }}")
}

#[test]
fn load_flags_make_the_load_that_they_say() {
    let bench = Bench::new();
    let nap = "kt.sleep(0.1)";
    let (_, summary) = run(&bench, "", nap, &["--rate", "50/s", "-d", "1s"]);
    assert_eq!(number(&summary, "/scenarios/default/due"), 50.0);
    let (_, summary) = run(&bench, "", nap, &["-u", "3", "-d", "500ms"]);
    assert_eq!(number(&summary, "/metrics/vus/values/max"), 3.0);
    assert!(number(&summary, "/metadata/duration_ms") >= 500.0);
    let (_, summary) = run(&bench, "", nap, &["-u", "3", "-i", "7"]);
    assert_eq!(number(&summary, "/scenarios/default/ended"), 7.0);
    let (_, summary) = run(&bench, "", nap, &["-s", "0s:4", "-s", "400ms:4"]);
    assert_eq!(number(&summary, "/metrics/vus/values/max"), 4.0);
    assert_eq!(summary["scenarios"]["default"]["due"], Value::Null);
}

#[test]
fn a_rate_is_per_its_unit_and_ramps_from_its_start() {
    let bench = Bench::new();
    let ramping = "scenarios = { load = { executor = \"ramping-arrival-rate\", start_rate = 10,
        stages = { { duration = \"1s\", target = 30 } } } }";
    for (options, due) in [
        (open("rate = 30, time_unit = \"500ms\", duration = \"1s\""), 60.0),
        (open("rate = \"120/m\", duration = \"1s\""), 2.0),
        (ramping.to_owned(), 20.0),
    ] {
        let (_, summary) = run(&bench, &options, "", &[]);
        assert_eq!(number(&summary, "/scenarios/load/due"), due, "{options}");
        assert_eq!(number(&summary, "/scenarios/load/ended"), due, "{options}");
    }
}

#[test]
fn vus_are_made_before_the_start_and_up_to_the_limit() {
    let bench = Bench::new();
    let few = open("rate = 5, duration = \"1s\", pre_allocated_vus = 7");
    let (_, summary) = run(&bench, &few, "", &[]);
    assert_eq!(number(&summary, "/scenarios/load/vus_max"), 7.0);
    assert!(number(&summary, "/metrics/vus/values/max") <= 5.0);
    let limited = open("rate = 40, duration = \"1s\", pre_allocated_vus = 1, max_vus = 4");
    let (_, summary) = run(&bench, &limited, "kt.sleep(0.3)", &[]);
    assert_eq!(number(&summary, "/scenarios/load/vus_max"), 4.0);
    assert_eq!(number(&summary, "/metrics/vus/values/max"), 4.0);
}

#[test]
fn the_graceful_stop_is_as_long_as_it_says() {
    let bench = Bench::new();
    for (graceful, ended, interrupted) in [("5s", 2.0, 0.0), ("100ms", 0.0, 2.0)] {
        let options = format!(
            "scenarios = {{ load = {{ executor = \"constant-vus\", vus = 2, duration = \"300ms\", \
             graceful_stop = \"{graceful}\" }} }}"
        );
        let (_, summary) = run(&bench, &options, "kt.sleep(0.9)", &[]);
        assert_eq!(number(&summary, "/scenarios/load/ended"), ended, "{graceful}");
        assert_eq!(number(&summary, "/scenarios/load/interrupted"), interrupted, "{graceful}");
        // Cut off or not, each has the time that it had.
        assert_eq!(number(&summary, "/metrics/iteration_duration/values/count"), 2.0);
    }
}

#[test]
fn a_scenario_begins_at_its_time() {
    let bench = Bench::new();
    let options = "scenarios = {
        first = { executor = \"per-vu-iterations\", start_time = \"300ms\" },
        second = { executor = \"per-vu-iterations\", start_after = \"first\", start_time = \"200ms\" },
    }";
    let flags = ["--threshold", "value{scenario:first}: min >= 300 && max < 1500"];
    let more = ["--threshold", "value{scenario:second}: min >= 500"];
    let body = "value:add(kt.test.elapsed * 1000)";
    let (code, summary) = run(&bench, options, body, &[flags, more].concat());
    assert_eq!(code, 0, "{}", summary["thresholds"]);
}

/// 20 samples a second for 3 s: 500 in the first second, 10 afterwards.
fn first_slow_then_fast(bench: &Bench, threshold: &str) -> (i32, Value) {
    let options = format!(
        "vus = 1, duration = \"3s\", min_iteration_duration = \"50ms\",
         thresholds = {{ value = {{ {threshold} }} }}"
    );
    run(bench, &options, "value:add(if kt.test.elapsed < 0.9 then 500 else 10)", &[])
}

#[test]
fn a_threshold_over_a_window_forgets_what_is_older() {
    let bench = Bench::new();
    assert_eq!(first_slow_then_fast(&bench, "\"max < 100\"").0, 2);
    let (code, summary) = first_slow_then_fast(&bench, "\"max < 100 over 1s\"");
    assert_eq!(code, 0);
    assert!((number(&summary, "/thresholds/0/observed") / 10.0 - 1.0).abs() < 0.001);
    assert_eq!(number(&summary, "/metrics/value/values/max"), 500.0);
}

#[test]
fn a_violation_ends_the_test_after_its_delay_and_with_samples_enough() {
    let bench = Bench::new();
    let ends = |more: &str| {
        let threshold = format!("{{ threshold = \"max < 100\", abort_on_fail = true, {more} }}");
        let (code, summary) = first_slow_then_fast(&bench, &threshold);
        assert_eq!((code, &summary["thresholds"][0]["ok"]), (2, &json!(false)), "{more}");
        number(&summary, "/metadata/duration_ms")
    };
    // Judged once a second.
    let at_once = ends("");
    assert!((1000.0..2000.0).contains(&at_once), "{at_once}");
    let delayed = ends("delay_abort_eval = \"1500ms\"");
    assert!((2000.0..3000.0).contains(&delayed), "{delayed}");
    let scarce = ends("min_samples = 30");
    assert!((2000.0..3000.0).contains(&scarce), "{scarce}");
}

#[test]
fn a_threshold_without_samples_fails_unless_it_may_be_empty() {
    let bench = Bench::new();
    for (threshold, code) in [
        ("\"p(95) < 100\"", 2),
        ("\"count == 0\"", 0),
        ("{ threshold = \"p(95) < 100\", allow_empty = true }", 0),
    ] {
        let options = format!("thresholds = {{ value = {{ {threshold} }} }}");
        assert_eq!(run(&bench, &options, "", &[]).0, code, "{threshold}");
    }
}

/// Runs against a demo target; returns the summary and what was counted.
fn against_target(options: &str, body: &str, flags: &[&str]) -> Value {
    let (bench, target) = (Bench::new(), Target::new());
    let env = target.env();
    let (code, summary) = run(&bench, options, body, &[&["-e", &env], flags].concat());
    assert_eq!(code, 0, "{}\n{}", summary["thresholds"], summary["errors"]);
    summary
}

#[test]
fn bodies_that_are_discarded_are_still_counted() {
    let body = r#"
        local plain = http.post(BASE .. "/api/echo", string.rep("x", 20000))
        local asked = http.post(BASE .. "/api/echo", string.rep("x", 20000), { response = "text" })
        kt.check(nil, {
            ["as told"] = function() return (plain.body ~= nil and #plain.body > 20000) == (kt.env("KEPT") == "yes") end,
            ["asked for"] = function() return #asked.body > 20000 end,
        })"#;
    let checks = ["--threshold", "checks: rate == 1"];
    let kept = against_target("", body, &[&["-e", "KEPT=yes"][..], &checks].concat());
    let discarded = against_target(
        "discard_response_bodies = true",
        body,
        &[&["-e", "KEPT=no"][..], &checks].concat(),
    );
    let received = |summary| number(summary, "/metrics/data_received/values/count");
    assert!(received(&discarded) > 40_000.0);
    // Nothing but ports and dates differ.
    assert!((received(&kept) - received(&discarded)).abs() < 200.0);
    assert_eq!(number(&discarded, "/metrics/http_req_receiving/values/count"), 2.0);
}

#[test]
fn connections_are_kept_as_far_as_they_may_be() {
    let body = r#"http.get(BASE .. "/health") http.get(BASE .. "/health")"#;
    // Of eight requests of one VU: the one that connects, one per iteration, or all.
    for (options, connect) in
        [("", 1), ("no_vu_connection_reuse = true", 4), ("no_connection_reuse = true", 8)]
    {
        let summary = against_target(options, body, &["-i", "4"]);
        assert_eq!(number(&summary, "/metrics/http_reqs/values/count"), 8.0);
        let text = summary["metrics"]["http_req_connecting"]["histogram"].as_str().unwrap();
        let histogram = kingtide::metrics::Histogram::decode(text).unwrap();
        let connected: u64 =
            histogram.iter().filter(|(micros, _)| *micros > 0).map(|(_, count)| count).sum();
        assert_eq!(connected, connect, "{options}");
    }
}

#[test]
fn series_past_the_limit_are_counted_and_the_summary_warns() {
    let body = r#"http.get(BASE .. "/health", { name = `row {kt.scenario.iteration_in_test}` })"#;
    let summary = against_target(
        "series_max = 60",
        body,
        &["-i", "30", "--threshold", "http_reqs{overflow:true}: count > 10"],
    );
    assert_eq!(number(&summary, "/metrics/http_reqs/values/count"), 30.0);
    assert_eq!(number(&summary, "/metrics/http_req_duration/values/count"), 30.0);
    let warnings = summary["generator"]["warnings"].to_string();
    assert!(warnings.contains("more than 60 series"), "{warnings}");
    let roomy = against_target("", body, &["-i", "30"]);
    assert_eq!(roomy["generator"]["warnings"], json!([]));
    assert_eq!(roomy["endpoints"].as_array().unwrap().len(), 30);
}

#[test]
fn set_up_that_overflows_is_no_load() {
    let (bench, target) = (Bench::new(), Target::new());
    let script = bench.luau(
        r#"test.options = { series_max = 30, thresholds = {
            http_reqs = { "count == 3" },
            ["http_reqs{phase:setup}"] = { "count == 20" },
        } }
        function test.setup()
            for at = 1, 20 do http.get(BASE .. "/health", { name = `row {at}` }) end
        end
        function test.iteration() http.get(BASE .. "/health") end"#,
    );
    bench.kingtide(&["run", script, "-i", "3", "-e", &target.env()]).exits(0);
}

#[test]
fn a_request_has_the_time_that_the_options_give_it() {
    let summary = against_target(
        "timeout = \"200ms\"",
        r#"http.get(BASE .. "/api/delay/3000")"#,
        &["--threshold", "http_req_failed: rate == 1"],
    );
    let duration = number(&summary, "/metrics/http_req_duration/values/max");
    assert!((199.0..1500.0).contains(&duration), "{duration}");
}
