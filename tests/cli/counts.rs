//! What is counted, counted exactly: VUs at once, iterations that were promised.

use serde_json::Value;

use super::bench::Bench;

fn number(summary: &Value, pointer: &str) -> u64 {
    let value = summary.pointer(pointer);
    let number = value.and_then(|value| value.as_u64().or(value.as_f64().map(|n| n as u64)));
    number.unwrap_or_else(|| panic!("no {pointer} in {summary:#}"))
}

#[test]
fn scenarios_one_after_another_do_not_add_their_vus() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { workers = 2, scenarios = {
            a = { executor = "per-vu-iterations", vus = 5 },
            b = { executor = "per-vu-iterations", vus = 3, start_after = "a" },
        }, thresholds = {
            ["vus{scenario:a}"] = { "max == 5" },
            ["vus{scenario:b}"] = { "max == 3" },
            ["vus_max{scenario:b}"] = { "max == 3" },
        } }
        function test.iteration() kt.sleep(0.1) end"#,
    );
    bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(0);
    let summary = bench.json("out.json");
    // All within one interval.
    assert_eq!(number(&summary, "/metrics/vus/values/max"), 5);
    assert_eq!(number(&summary, "/metrics/vus_max/values/max"), 8);
    assert_eq!(number(&summary, "/scenarios/a/vus_max"), 5);
    assert_eq!(number(&summary, "/scenarios/b/vus_max"), 3);
}

#[test]
fn a_peak_just_before_the_end_is_not_forgotten() {
    let bench = Bench::new();
    // The last figures follow those of the first second by a few milliseconds.
    let script = bench.luau(
        r#"test.options = { scenarios = {
            many = { executor = "per-vu-iterations", vus = 9, exec = "nap" },
            last = { executor = "per-vu-iterations", exec = "sleep" },
        } }
        function test.nap() kt.sleep(0.5) end
        function test.sleep() kt.sleep(1.02) end"#,
    );
    bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(0);
    let summary = bench.json("out.json");
    assert_eq!(number(&summary, "/metrics/vus/values/max"), 10);
    assert_eq!(number(&summary, "/metrics/vus_max/values/max"), 10);
}

#[test]
fn what_a_scenario_promised_and_never_began_is_dropped() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { workers = 2, scenarios = {
            now = { executor = "per-vu-iterations", exec = "go" },
            later = { executor = "per-vu-iterations", vus = 3, iterations = 4, start_time = "1h" },
            after = { executor = "shared-iterations", vus = 2, iterations = 30, start_after = "later" },
            open = { executor = "constant-arrival-rate", rate = 5, duration = "1s", start_time = "1h" },
        } }
        function test.go() kt.abort("enough") end
        function test.iteration() end"#,
    );
    bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(108);
    let summary = bench.json("out.json");
    assert_eq!(number(&summary, "/scenarios/later/dropped"), 12);
    assert_eq!(number(&summary, "/scenarios/after/dropped"), 30);
    // Nothing of it was due.
    assert_eq!(number(&summary, "/scenarios/open/due"), 0);
    assert_eq!(number(&summary, "/scenarios/open/dropped"), 0);
    assert_eq!(number(&summary, "/metrics/dropped_iterations/values/count"), 42);
}

#[test]
fn what_was_promised_is_dropped_if_set_up_ends_the_test() {
    let bench = Bench::new();
    let options = r#"test.options = { scenarios = {
        pot = { executor = "shared-iterations", vus = 2, iterations = 7 },
    }, thresholds = { ["dropped_iterations{scenario:pot}"] = { "count == 7" } } }
    function test.iteration() end"#;
    for ended_by in [
        r#"function test.setup() kt.abort("no target") end"#,
        r#"function test.vu_setup() kt.abort("no target") end"#,
    ] {
        let script = bench.luau(&format!("{options}\n{ended_by}"));
        let ended = bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(108);
        drop(ended);
        let summary = bench.json("out.json");
        assert_eq!(number(&summary, "/scenarios/pot/dropped"), 7);
        assert_eq!(number(&summary, "/metrics/dropped_iterations/values/count"), 7);
        assert_eq!(summary["thresholds"][0]["ok"], true);
    }
}
