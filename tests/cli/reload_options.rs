//! New options while a test runs: what they change, from when on, and what they leave.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bench::{Bench, Running, Target};

fn watch(bench: &Bench, script: &str, more: &[&str]) -> Running {
    let args = ["run", script, "--watch", "--quiet", "--summary-export", "out.json"];
    bench.start(&[&args[..], more].concat())
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Returns the numbers that follow a text in the lines of a run.
fn numbers(text: &str, mark: &str) -> Vec<u64> {
    let after = |line: &str| {
        let rest = line.split_once(mark)?.1;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    text.lines().filter_map(after).collect()
}

#[test]
fn a_changed_rate_goes_on_where_it_would_be_and_loses_nothing() {
    let (bench, target) = (Bench::new(), Target::new());
    let luau = |rate: u32, seconds: u32| {
        format!(
            r#"test.options = {{ scenarios = {{ open = {{
                executor = "constant-arrival-rate", rate = {rate}, duration = "{seconds}s",
            }} }} }}
            function test.iteration()
                http.get(BASE .. "/health")
                kt.log.info(`number={{kt.scenario.iteration_in_test}}`)
            end"#
        )
    };
    let rhai = |rate: u32, seconds: u32| {
        format!(
            r#"fn options() {{ #{{ scenarios: #{{ open: #{{
                executor: "ramping-arrival-rate", start_rate: {rate},
                stages: [#{{ duration: "{seconds}s", target: {rate} }}], arrivals: "poisson",
            }} }} }} }}
            fn iteration(data) {{
                http::get(global::BASE + "/health");
                kt::log::info(`number=${{kt::scenario.iteration_in_test}}`);
            }}"#
        )
    };
    let env = target.env();
    let mut before = 0;
    for language in ["luau", "rhai"] {
        let write = |rate, seconds| match language {
            "luau" => bench.luau(&luau(rate, seconds)),
            _ => bench.rhai(&rhai(rate, seconds)),
        };
        let mut run = watch(&bench, write(40, 60), &["-e", &env, "--seed", "3", "--workers", "2"]);
        run.wait_for("number=30");
        write(150, 60);
        run.wait_for("reload 1 at ");
        run.wait_for("number=200");
        // Shorter, too: it ends when this one would have.
        write(60, 4);
        run.wait_for("reload 2 at ");
        let ended = run.end().exits(0);
        let summary = bench.json("out.json");
        let open = &summary["scenarios"]["open"];
        let due = count(&open["due"]);
        let parts = ["ended", "dropped", "interrupted", "errors"].map(|part| count(&open[part]));
        assert_eq!(parts, [due, 0, 0, 0]);
        let found = numbers(&ended.err, "number=");
        let distinct: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!((found.len() as u64, distinct.len() as u64), (due, due));
        assert_eq!(distinct.last(), Some(&(due - 1)));
        assert_eq!(summary["generator"]["achieved"], 1.0);
        let changes = &summary["reloads"][0]["changes"];
        let change = changes[1].as_str().unwrap();
        assert!(change.starts_with("scenario \"open\": 150"), "{changes}");
        let after = target.requests();
        assert_eq!(after - before, due);
        before = after + 1;
    }
}

#[test]
fn vus_come_and_go() {
    let bench = Bench::new();
    let luau = |vus: u32| {
        format!(
            r#"test.options = {{ workers = 1, scenarios = {{ all = {{
                executor = "constant-vus", vus = {vus}, duration = "10m", graceful_stop = "5s",
            }} }} }}
            function test.iteration()
                kt.log.info(`{vus} wanted: VU {{kt.vu.id_in_test}}`)
                kt.sleep(0.05)
            end"#
        )
    };
    let script = bench.luau(&luau(2));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("2 wanted: VU 2");
    bench.luau(&luau(4));
    run.wait_for("4 wanted: VU 4");
    bench.luau(&luau(1));
    for _ in 0..3 {
        run.wait_for("1 wanted: VU 1");
    }
    // A ramp takes over from here: it is at 3 VUs.
    let ramp = luau(3).replace("constant-vus", "ramping-vus").replace(
        "vus = 3, duration = \"10m\"",
        "start_vus = 3, stages = {{ duration = \"10m\", target = 3 }}",
    );
    bench.luau(&ramp);
    run.wait_for("3 wanted: VU ");
    run.wait_for("3 wanted: VU 6");
    run.signal("INT");
    let ended = run.end().exits(105);
    let too_many = [2, 3, 4].map(|vu| ended.count(&format!("1 wanted: VU {vu}")));
    assert_eq!(too_many, [0, 0, 0], "{}", ended.err);
    let all = &bench.json("out.json")["scenarios"]["all"];
    assert_eq!((&all["errors"], &all["interrupted"]), (&0.into(), &0.into()));
}

#[test]
fn promised_iterations_may_become_more_or_fewer() {
    let bench = Bench::new();
    let rhai = |each: u32, pot: u32| {
        format!(
            r#"fn options() {{ #{{ workers: 2, scenarios: #{{
                each: #{{ executor: "per-vu-iterations", vus: 3, iterations: {each} }},
                pot: #{{ executor: "shared-iterations", vus: 2, iterations: {pot}, exec: "draw" }},
            }} }} }}
            fn iteration(data) {{ kt::log::info("each"); kt::sleep(0.1); }}
            fn draw(data) {{ kt::log::info("drawn"); kt::sleep(0.1); }}"#
        )
    };
    let script = bench.rhai(&rhai(1_000, 20));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("drawn");
    run.wait_for("each");
    bench.rhai(&rhai(12, 30));
    run.wait_for("reload 1 at ");
    run.end().exits(0);
    let scenarios = &bench.json("out.json")["scenarios"];
    let of = |name: &str, part: &str| count(&scenarios[name][part]);
    assert_eq!((of("each", "ended"), of("each", "dropped")), (36, 0));
    assert_eq!((of("pot", "ended"), of("pot", "dropped")), (30, 0));
}

#[test]
fn scenarios_join_and_stop() {
    let bench = Bench::new();
    let luau = |scenarios: &str| {
        format!(
            r#"local function load(name, duration, more)
                local one = {{ executor = "constant-vus", vus = 2, duration = duration, exec = name }}
                for key, value in more or {{}} do one[key] = value end
                return one
            end
            test.options = {{ scenarios = {{ {scenarios} }} }}
            for _, name in {{ "a", "b", "c", "d" }} do
                test[name] = function() kt.log.info("runs " .. name) kt.sleep(0.05) end
            end"#
        )
    };
    let script = bench.luau(&luau(r#"a = load("a", "10m"), b = load("b", "10m")"#));
    let mut run = watch(&bench, script, &["--workers", "2"]);
    run.wait_for("runs a");
    run.wait_for("runs b");
    bench.luau(&luau(
        r#"a = load("a", "10m"), c = load("c", "500ms"), d = load("d", "300ms", { start_after = "c" })"#,
    ));
    run.wait_for("reload 1 at ");
    run.wait_for("runs c");
    run.wait_for("runs d");
    // One that was stopped does not come back; the last one goes, and the test has ended.
    bench.luau(&luau(r#"b = load("b", "10m")"#));
    run.wait_for("reload 2 at ");
    run.wait_for("\"b\" was stopped");
    let ended = run.end().exits(0);
    let after = ended.err.split_once("reload 1 at ").unwrap().1;
    assert!(after.matches("runs b").count() <= 4, "{after}");
    let summary = bench.json("out.json");
    let scenarios = summary["scenarios"].as_object().unwrap();
    let mut names: Vec<&str> = scenarios.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c", "d"]);
    for (name, scenario) in scenarios {
        let parts = ["interrupted", "dropped", "errors"].map(|part| count(&scenario[part]));
        assert_eq!(parts, [0, 0, 0], "{name}");
        assert!(count(&scenario["ended"]) >= 2, "{name}");
        assert_eq!(count(&scenario["vus_max"]), 2, "{name}");
    }
}

#[test]
fn samples_tell_versions_apart_where_it_is_wanted() {
    let bench = Bench::new();
    let rhai = |word: &str| {
        format!(
            r#"fn options() {{ #{{ vus: 2, duration: "10m", thresholds: #{{
                "iterations{{script_version:0}}": ["count > 0"],
                "iterations{{script_version:1}}": ["count > 0"],
            }} }} }}
            fn iteration(data) {{ kt::log::info("runs {word}"); kt::sleep(0.05); }}"#
        )
    };
    let script = bench.rhai(&rhai("one"));
    bench.kingtide(&["run", script, "--tag-versions"]).exits(64).says(&["--watch"]);
    let mut run = watch(&bench, script, &["--tag-versions"]);
    run.wait_for("runs one");
    bench.rhai(&rhai("two"));
    run.wait_for("reload 1 at ");
    run.wait_for("runs two");
    run.wait_for("runs two");
    run.wait_for("runs two");
    run.signal("INT");
    let ended = run.end().exits(105);
    let metrics = &bench.json("out.json")["metrics"];
    let of = |metric: &str| count(&metrics[metric]["values"]["count"]);
    let versions = [of("iterations{script_version:0}"), of("iterations{script_version:1}")];
    let runs = [ended.count("runs one") as u64, ended.count("runs two") as u64];
    assert_eq!(versions, runs);
}

#[test]
fn thresholds_tags_and_env_hold_at_once() {
    let bench = Bench::new();
    let luau = |word: &str, threshold: &str| {
        format!(
            r#"test.options = {{
                vus = 2, duration = "10m", env = {{ WORD = "{word}" }}, tags = {{ side = "{word}" }},
                thresholds = {{ {threshold} }},
            }}
            local AT_LOAD = kt.env("WORD", "none")
            function test.iteration()
                kt.log.info(`{{AT_LOAD}} {{kt.env("WORD")}}`)
                kt.sleep(0.05)
            end"#
        )
    };
    let script = bench.luau(&luau("left", ""));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("left left");
    let judged = r#"["iterations{side:right}"] = { "count > 0" }, ["iterations{side:left}"] = { "count > 0" },
        iterations = { "count > 2" }, iteration_duration = { "max < 1ms" }"#;
    bench.luau(&luau("right", judged));
    run.wait_for("reload 1 at ");
    run.wait_for("right right");
    bench.luau(&luau("right", &judged.replace("max < 1ms", "max > 1ms")));
    run.wait_for("reload 2 at ");
    run.wait_for("right right");
    run.signal("INT");
    run.end().exits(105);
    let summary = bench.json("out.json");
    let thresholds = summary["thresholds"].as_array().unwrap();
    let ok = |metric: &str| {
        let found = thresholds.iter().find(|one| one["metric"] == metric).unwrap();
        found["ok"].as_bool().unwrap()
    };
    assert!(ok("iterations{side:right}") && ok("iterations") && ok("iteration_duration"));
    // The iteration that ran at the reload may have ended on the other side, but no other.
    assert_eq!(thresholds.len(), 4);
    assert_eq!(summary["reloads"][1]["changes"], serde_json::json!(["script", "thresholds"]));
}
