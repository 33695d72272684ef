//! A run from set-up to summary: what is called when, with what, and that the counts agree.

use serde_json::Value;

use super::bench::{Bench, Target};

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_f64().expect("a number") as u64)
}

#[test]
fn every_request_and_iteration_is_counted_once() {
    let (bench, target) = (Bench::new(), Target::new());
    let scripts = bench.both(
        r#"test.options = { scenarios = {
            open = { executor = "constant-arrival-rate", rate = 40, duration = "1s" },
            pot = { executor = "shared-iterations", vus = 3, iterations = 20 },
        } }
        function test.iteration() http.get(BASE .. "/health") end"#,
        r#"fn options() { #{ scenarios: #{
            open: #{ executor: "constant-arrival-rate", rate: 40, duration: "1s" },
            pot: #{ executor: "shared-iterations", vus: 3, iterations: 20 },
        } } }
        fn iteration(data) { http::get(global::BASE + "/health"); }"#,
    );
    let env = target.env();
    let mut before = 0;
    for script in scripts {
        bench.kingtide(&["run", script, "-e", &env, "--summary-export", "out.json"]).exits(0);
        let summary = bench.json("out.json");
        let open = &summary["scenarios"]["open"];
        assert_eq!(count(&open["due"]), 40);
        let settled = count(&open["ended"]) + count(&open["interrupted"]) + count(&open["dropped"]);
        assert_eq!(settled, 40);
        let pot = &summary["scenarios"]["pot"];
        assert_eq!((&pot["due"], count(&pot["ended"])), (&Value::Null, 20));
        let metric = |name: &str| count(&summary["metrics"][name]["values"]["count"]);
        assert_eq!((metric("iterations"), metric("http_reqs")), (60, 60));
        assert_eq!(metric("http_req_duration"), 60);
        assert_eq!(metric("iteration_lateness"), 40);
        assert_eq!(count(&summary["metrics"]["http_req_failed"]["values"]["total"]), 60);
        assert_eq!(count(&summary["endpoints"][0]["count"]), 60);
        // The request that asked is counted too, from the second time on.
        let after = target.requests();
        assert_eq!(after - before, 60);
        before = after + 1;
    }
}

#[test]
fn a_scenario_starts_after_another_has_ended() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { scenarios = {
            last = { executor = "per-vu-iterations", exec = "c", start_after = "mid" },
            mid = { executor = "per-vu-iterations", vus = 2, exec = "b", start_after = "first" },
            first = { executor = "per-vu-iterations", vus = 2, exec = "a" },
        } }
        function test.a() kt.sleep(0.2) kt.log.info("ran a") end
        function test.b() kt.sleep(0.1) kt.log.info("ran b") end
        function test.c() kt.log.info("ran c") end"#,
    );
    let ended = bench.kingtide(&["run", script]).exits(0);
    let order: Vec<&str> = ended
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("info: ran "))
        .map(|rest| &rest[..1])
        .collect();
    assert_eq!(order, ["a", "a", "b", "b", "c"]);
}

#[test]
fn scenarios_run_at_once_with_their_own_env_and_tags() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { scenarios = {
            a = { executor = "per-vu-iterations", env = { WHO = "ada" }, tags = { side = "left" } },
            b = { executor = "per-vu-iterations", env = { WHO = "bob" }, start_time = "100ms" },
        } }
        function test.iteration()
            kt.log.info(`{kt.scenario.name} is {kt.env("WHO")}`)
            kt.sleep(0.3)
        end"#,
        r#"fn options() { #{ scenarios: #{
            a: #{ executor: "per-vu-iterations", env: #{ WHO: "ada" }, tags: #{ side: "left" } },
            b: #{ executor: "per-vu-iterations", env: #{ WHO: "bob" }, start_time: "100ms" },
        } } }
        fn iteration(data) {
            kt::log::info(`${kt::scenario.name} is ${kt::env("WHO")}`);
            kt::sleep(0.3);
        }"#,
    );
    for script in scripts {
        let thresholds = [
            "--threshold",
            "iterations{side:left}: count == 1",
            "--threshold",
            "iterations{scenario:b}: count == 1",
            "--threshold",
            "iterations: count == 2",
        ];
        bench
            .kingtide(&[&["run", script], &thresholds[..]].concat())
            .exits(0)
            .says(&["a is ada", "b is bob"]);
    }
}

#[test]
fn what_setup_returns_reaches_everyone() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { vus = 2, iterations = 4 }
        function test.setup() return { token = "t-1", list = { 1, 2, 3 } } end
        function test.vu_setup(data) kt.log.info(`vu up {data.token}`) end
        function test.iteration(data) kt.log.info(`iteration {data.token} {#data.list}`) end
        function test.vu_teardown(data) kt.log.info(`vu down {data.token}`) end
        function test.teardown(data) kt.log.info(`torn down {data.token}`) end
        function test.summary(result)
            return { stdout = `summary {result.setup_data.token}\n` }
        end"#,
        r#"fn options() { #{ vus: 2, iterations: 4 } }
        fn setup() { #{ token: "t-1", list: [1, 2, 3] } }
        fn vu_setup(data) { kt::log::info(`vu up ${data.token}`); }
        fn iteration(data) { kt::log::info(`iteration ${data.token} ${data.list.len()}`); }
        fn vu_teardown(data) { kt::log::info(`vu down ${data.token}`); }
        fn teardown(data) { kt::log::info(`torn down ${data.token}`); }
        fn summary(result) { #{ stdout: "summary " + result.setup_data.token + "\n" } }"#,
    );
    for script in scripts {
        let ended = bench.kingtide(&["run", script]).exits(0);
        let counts = ["vu up t-1", "iteration t-1 3", "vu down t-1", "torn down t-1"];
        let counts = counts.map(|text| ended.count(text));
        assert_eq!(counts, [2, 4, 2, 1], "{}", ended.err);
        assert_eq!(ended.out, "summary t-1\n");
    }
}

#[test]
fn vu_functions_run_once_per_vu_in_open_scenarios_too() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { scenarios = { open = {
            executor = "constant-arrival-rate", rate = 20, duration = "1s", max_vus = 4,
            pre_allocated_vus = 1,
        } } }
        function test.vu_setup() kt.log.info("vu up") end
        function test.iteration() kt.sleep(0.12) end
        function test.vu_teardown() kt.log.info("vu down") end"#,
    );
    let ended = bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(0);
    let vus = count(&bench.json("out.json")["scenarios"]["open"]["vus_max"]) as usize;
    assert!((2..=4).contains(&vus));
    assert_eq!((ended.count("vu up"), ended.count("vu down")), (vus, vus));
}

#[test]
fn a_summary_of_the_script_stands_in_for_ours_and_writes_files() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"function test.iteration() end
        function test.summary(result)
            local count = result.metrics.iterations.values.count
            return { stdout = `mine: {count}\n`, stderr = "aside\n", ["own.txt"] = "kept" }
        end"#,
        r#"fn iteration(data) { }
        fn summary(result) {
            let count = result.metrics.iterations.values.count;
            #{ stdout: "mine: " + count + "\n", stderr: "aside\n", "own.txt": "kept" }
        }"#,
    );
    for script in scripts {
        bench.write("own.txt", "");
        let run = ["run", script, "-i", "6", "-q", "--summary-export", "out.json"];
        let ended = bench.kingtide(&run).exits(0);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("mine: 6\n", "aside\n"));
        assert_eq!(bench.read("own.txt"), "kept");
        assert_eq!(bench.json("out.json")["schema"], "kingtide-summary/1");
    }
    // One that fails takes nothing away.
    let script = bench.luau(
        "function test.iteration() end\nfunction test.summary(result) error(\"no luck\") end",
    );
    bench.kingtide(&["run", script]).exits(0).says(&["no luck"]).prints(&["iterations"]);
}

#[test]
fn requests_of_setup_and_teardown_stay_out_of_the_totals() {
    let (bench, target) = (Bench::new(), Target::new());
    let scripts = bench.both(
        r#"local function ask() http.get(BASE .. "/health") end
        test.setup, test.teardown, test.iteration = ask, ask, ask"#,
        r#"fn setup() { http::get(global::BASE + "/health"); }
        fn iteration(data) { http::get(global::BASE + "/health"); }
        fn teardown(data) { http::get(global::BASE + "/health"); }"#,
    );
    let env = target.env();
    let mut before = 0;
    for script in scripts {
        let thresholds = [
            "--threshold",
            "http_reqs: count == 4",
            "--threshold",
            "http_reqs{phase:setup}: count == 1",
            "--threshold",
            "http_reqs{phase:teardown}: count == 1",
        ];
        bench
            .kingtide(&[&["run", script, "-i", "4", "-e", &env], &thresholds[..]].concat())
            .exits(0);
        let after = target.requests();
        assert_eq!(after - before, 6);
        before = after + 1;
    }
}

#[test]
fn the_ramp_of_vus_is_followed_and_sums_over_workers() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { workers = 3, scenarios = {
            ramp = {
                executor = "ramping-vus", start_vus = 4, graceful_ramp_down = "0s",
                stages = { { duration = "500ms", target = 4 }, { duration = "0s", target = 1 },
                    { duration = "500ms", target = 1 } },
            },
            each = { executor = "per-vu-iterations", vus = 5, iterations = 3, exec = "once" },
        } }
        function test.iteration() kt.sleep(0.35) end
        function test.once() end"#,
    );
    bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(0);
    let scenarios = &bench.json("out.json")["scenarios"];
    // Each VU ends one by 350 ms; three are cut at 500 ms; the fourth goes on to 1,050 ms.
    assert_eq!(count(&scenarios["ramp"]["interrupted"]), 3);
    assert_eq!(count(&scenarios["ramp"]["ended"]), 6);
    assert_eq!(count(&scenarios["ramp"]["vus_max"]), 4);
    assert_eq!(count(&scenarios["each"]["ended"]), 15);
}

#[test]
fn promised_iterations_that_never_start_are_dropped() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { scenarios = { pot = {
            executor = "shared-iterations", vus = 2, iterations = 50, max_duration = "500ms",
            graceful_stop = "0s",
        } } }
        function test.iteration() kt.sleep(0.2) end"#,
    );
    bench.kingtide(&["run", script, "--summary-export", "out.json"]).exits(0);
    let summary = bench.json("out.json");
    let pot = &summary["scenarios"]["pot"];
    let parts = ["ended", "interrupted", "dropped"].map(|part| count(&pot[part]));
    assert_eq!(parts.iter().sum::<u64>(), 50);
    assert_eq!((parts[0], parts[1]), (4, 2));
    // Though none is at work when the last figures are taken.
    assert_eq!(count(&summary["metrics"]["vus"]["values"]["max"]), 2);
    let dropped = &summary["metrics"]["dropped_iterations"]["values"]["count"];
    assert_eq!(count(dropped), parts[2]);
}
