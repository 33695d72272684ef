//! Where options come from, and what each flag does.

use serde_json::Value;

use super::bench::{Bench, Target};

/// Returns the plan that `check --json` prints, and its warnings.
fn plan(bench: &Bench, args: &[&str], environment: &[(&str, &str)]) -> (Value, String) {
    let args = [&["check", "--json"], args].concat();
    let ended = bench.kingtide_with(&args, environment).exits(0);
    let mut json: Value = serde_json::from_str(&ended.out).unwrap();
    (json["plan"].take(), json["warnings"].to_string())
}

#[test]
fn options_hold_by_the_rank_of_their_source() {
    let bench = Bench::new();
    let script = bench.luau("test.options = { seed = 2 }\nfunction test.iteration() end");
    bench.write("kingtide.toml", "seed = 1\nbatch = 7\n");
    let environment = [("KINGTIDE_SEED", "3")];
    assert_eq!(plan(&bench, &[script, "--seed", "4"], &environment).0["seed"], 4);
    assert_eq!(plan(&bench, &[script], &environment).0["seed"], 3);
    assert_eq!(plan(&bench, &[script], &[]).0["seed"], 2);
    assert_eq!(plan(&bench, &[script], &[]).0["http"]["batch"][0], 7);
}

#[test]
fn a_load_replaces_the_whole_load_of_a_lower_rank_and_says_so() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { scenarios = { steady = { executor = "constant-vus", duration = "1h" } } }
        function test.iteration() end"#,
    );
    let (planned, warnings) = plan(&bench, &[script, "-u", "3", "-i", "9"], &[]);
    assert_eq!(planned["scenarios"].as_array().unwrap().len(), 1);
    assert_eq!(planned["scenarios"][0]["executor"], "shared-iterations");
    assert!(warnings.contains("scenarios"), "{warnings}");
    bench
        .kingtide(&["run", script, "-u", "3", "-i", "9", "--threshold", "iterations: count == 9"])
        .exits(0)
        .says(&[
            "warning: `--vus` and `--iterations` replace the whole load of the test (`scenarios`: steady): now 9 \
             iterations shared by 3 VUs",
            "help: leave them out to run what the test says",
        ]);
    let (planned, _) = plan(&bench, &[script], &[("KINGTIDE_ITERATIONS", "2")]);
    assert_eq!(planned["scenarios"][0]["iterations"], 2);
    assert_eq!(plan(&bench, &[script], &[]).1, "[]");
}

#[test]
fn what_a_flag_replaces_is_told_with_what_keeps_it() {
    let bench = Bench::new();
    let luau = r#"test.options = { vus = 5, duration = "10m" }
        function test.iteration() end"#;
    let rhai = "fn options() { #{ vus: 5, duration: \"10m\" } } fn iteration() {}";
    for script in bench.both(luau, rhai) {
        bench.kingtide(&["run", script, "-d", "100ms"]).exits(0).says(&[
            "`--duration` replaces the whole load of the test (`vus`: 5): now 1 VU for 100ms",
            "help: add `--vus 5` to keep what is replaced",
        ]);
        let ended = bench.kingtide(&["run", script, "-d", "100ms", "--vus", "5"]).exits(0);
        assert!(!ended.err.contains("replace"), "{}", ended.err);
        let environment = [("KINGTIDE_VUS", "2"), ("KINGTIDE_DURATION", "100ms")];
        assert_eq!(plan(&bench, &[script], &environment).1, "[]");
    }
    let (_, warnings) = plan(&bench, &["test.luau"], &[("KINGTIDE_DURATION", "1s")]);
    assert!(warnings.contains("`KINGTIDE_DURATION` replaces the whole load"), "{warnings}");
}

#[test]
fn a_function_that_only_a_flag_asks_for_is_no_mistake_of_the_script() {
    let bench = Bench::new();
    let luau = r#"test.options = { scenarios = { readers = { executor = "constant-vus", duration = "1s", exec = "read" } } }
        function test.read() end"#;
    let rhai = r#"fn options() { #{ scenarios: #{ readers: #{ executor: "constant-vus", duration: "1s", exec: "read" } } } }
        fn read() {}"#;
    for script in bench.both(luau, rhai) {
        let ended = bench.kingtide(&["run", script, "-d", "1s"]).exits(104);
        let ended = ended.says(&[
            "`--duration` replaces the scenarios of the test (readers), and runs `iteration` instead",
            "it has `read`",
            "help: leave it out to run the scenarios",
        ]);
        assert!(!ended.err.contains("-->"), "no line of the script is wrong: {}", ended.err);
    }
}

#[test]
fn load_flags_make_the_scenario_that_they_describe() {
    let bench = Bench::new();
    let script = bench.luau("function test.iteration() end");
    for (flags, executor) in [
        (&[][..], "per-vu-iterations"),
        (&["-u", "2", "-d", "1s"][..], "constant-vus"),
        (&["-i", "5"], "shared-iterations"),
        (&["-s", "1s:3", "-s", "1s:0"], "ramping-vus"),
        (&["--rate", "50/s", "-d", "1s"], "constant-arrival-rate"),
    ] {
        let (planned, _) = plan(&bench, &[&[script], flags].concat(), &[]);
        assert_eq!(planned["scenarios"][0]["executor"], executor, "{flags:?}");
        assert_eq!(planned["scenarios"][0]["exec"], "iteration");
    }
}

#[test]
fn only_the_scenarios_that_are_named_run() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"local one = { executor = "per-vu-iterations", exec = "go" }
        test.options = { scenarios = { a = one, b = one, c = one } }
        function test.go() kt.log.info("in " .. kt.scenario.name) end"#,
    );
    let ended = bench.kingtide(&["run", script, "--scenario", "a", "--scenario", "c"]).exits(0);
    assert_eq!((ended.count("in a"), ended.count("in b"), ended.count("in c")), (1, 0, 1));
    assert_eq!(bench.kingtide(&["run", script]).exits(0).count("info: in "), 3);
}

#[test]
fn scripts_see_what_env_gives_and_nothing_else() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"function test.iteration()
            kt.log.info(`{kt.env("A", "-")} {kt.env("B", "-")} {kt.env("C", "-")} {kt.env("D", "-")}`)
        end"#,
        r#"fn iteration(data) {
            kt::log::info(`${kt::env("A", "-")} ${kt::env("B", "-")} ${kt::env("C", "-")} ${kt::env("D", "-")}`);
        }"#,
    );
    bench.write("kingtide.toml", "env = { A = \"file\", D = \"file\" }\n");
    for script in scripts {
        let args = ["run", script, "-e", "A=flag=1", "-e", "B", "-e", "NONE"];
        bench
            .kingtide_with(&args, &[("B", "passed"), ("C", "hidden")])
            .exits(0)
            .says(&["info: flag=1 passed - file"]);
    }
}

#[test]
fn setup_and_teardown_can_be_left_out() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"function test.setup() kt.log.info("set up") end
        function test.iteration() end
        function test.teardown() kt.log.info("torn down") end"#,
    );
    for (flags, ups, downs) in
        [(&[][..], 1, 1), (&["--no-setup"], 0, 1), (&["--no-teardown"], 1, 0)]
    {
        let ended = bench.kingtide(&[&["run", script], flags].concat()).exits(0);
        assert_eq!((ended.count("set up"), ended.count("torn down")), (ups, downs), "{flags:?}");
    }
}

#[test]
fn a_seed_repeats_a_run() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"local random = require("@kingtide/random")
        function test.iteration() kt.log.info(`drew {random.int(1, 1000000000)}`) end"#,
        r#"import "kingtide/random" as random;
        fn iteration(data) { kt::log::info(`drew ${random::int(1, 1000000000)}`); }"#,
    );
    for script in scripts {
        let draws = |seed: &str| {
            let args =
                ["run", script, "-q", "-u", "2", "-i", "4", "--workers", "1", "--seed", seed];
            let ended = bench.kingtide(&args).exits(0);
            let lines = ended.err.lines().filter_map(|line| line.strip_prefix("info: drew "));
            let mut lines: Vec<String> = lines.map(ToOwned::to_owned).collect();
            lines.sort_unstable();
            assert_eq!(lines.len(), 4);
            lines
        };
        let first = draws("7");
        assert_eq!(first, draws("7"));
        assert_ne!(first, draws("8"));
    }
}

#[test]
fn names_can_be_given_addresses() {
    let (bench, target) = (Bench::new(), Target::new());
    let script = bench.luau(
        r#"function test.iteration()
            local res = http.get(BASE .. "/health")
            kt.check(res, { ok = function(r) return r.status == 200 end })
        end"#,
    );
    let base = format!("BASE=http://notes.example:{}", target.port());
    let hosts = ["--hosts", "notes.example=127.0.0.1", "--threshold", "checks: rate == 1"];
    bench.kingtide(&[&["run", script, "-e", &base][..], &hosts].concat()).exits(0);
    assert_eq!(target.requests(), 1);
}

#[test]
fn requests_can_be_shown() {
    let (bench, target) = (Bench::new(), Target::new());
    let script = bench.luau(
        r#"function test.iteration()
            http.post(BASE .. "/api/echo", "ebb and flow")
        end"#,
    );
    let env = target.env();
    let run = ["run", script, "-e", &env];
    let heads = bench.kingtide(&[&run[..], &["--http-debug"]].concat()).exits(0);
    let heads = heads.says(&["> POST http://", "/api/echo", "< HTTP/1.1 200"]);
    assert_eq!(heads.count("ebb and flow"), 0);
    bench.kingtide(&[&run[..], &["--http-debug=full"]].concat()).exits(0).says(&[
        "> POST http://",
        "/api/echo",
        "ebb and flow",
    ]);
    assert_eq!(bench.kingtide(&run).exits(0).count("/api/echo"), 0);
}

#[test]
fn log_lines_can_be_json() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"function test.setup() kt.log.warn("low \"water\"") end
        function test.iteration() kt.log.info("flood") kt.log.debug("ripple") error("no luck") end"#,
    );
    let ended = bench.kingtide(&["run", script, "-q", "--log-format", "json"]).exits(0);
    let lines: Vec<Value> =
        ended.err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let said = |level: &str, message: &str| {
        lines.iter().filter(|l| l["level"] == level && l["message"] == message).count()
    };
    assert_eq!(said("warning", "low \"water\""), 1);
    assert_eq!(said("info", "flood"), 1);
    assert_eq!(said("debug", "ripple"), 0);
    assert_eq!(said("error", "no luck"), 1);
    let flood = lines.iter().find(|line| line["message"] == "flood").unwrap();
    assert_eq!((&flood["scenario"], &flood["vu"]), (&"default".into(), &1.into()));
    assert_eq!(flood["iteration"], 0);
    let luck = lines.iter().find(|line| line["message"] == "no luck").unwrap();
    assert_eq!(luck["location"], "test.luau:6");
    let ended = bench.kingtide(&["run", script, "-q", "-v", "--log-format", "json"]).exits(0);
    assert_eq!(ended.count("ripple"), 1);
}

#[test]
fn quiet_says_nothing_but_the_summary() {
    let bench = Bench::new();
    let script = bench.luau("function test.iteration() end");
    let ended = bench.kingtide(&["run", script, "-q"]).exits(0).prints(&["iterations"]);
    assert_eq!(ended.err, "");
    let ended = bench.kingtide(&["run", script]).exits(0);
    assert!(ended.err.contains("1 iteration"), "{}", ended.err);
}

#[test]
fn tags_are_on_every_sample() {
    let (bench, target) = (Bench::new(), Target::new());
    let script = bench.luau(r#"function test.iteration() http.get(BASE .. "/health") end"#);
    let env = target.env();
    let flags = ["--tag", "build=42", "--threshold", "http_reqs{build:42}: count == 3"];
    let run = ["run", script, "-i", "3", "-e", &env, "--summary-export", "out.json"];
    bench.kingtide(&[&run[..], &flags].concat()).exits(0);
    assert_eq!(bench.json("out.json")["metadata"]["tags"]["build"], "42");
}

#[test]
fn the_statistics_of_trends_can_be_chosen() {
    let bench = Bench::new();
    let script = bench.luau("function test.iteration() end");
    let stats = ["--trend-stats", "min,p(12.5)", "--summary-export", "out.json"];
    bench.kingtide(&[&["run", script][..], &stats].concat()).exits(0);
    let values = &bench.json("out.json")["metrics"]["iteration_duration"]["values"];
    assert!(values["p(12.5)"].is_number(), "{values}");
    bench.kingtide(&["run", script, "--trend-stats", "mean"]).exits(104).says(&["mean", "avg"]);
}

#[test]
fn short_iterations_are_padded() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { min_iteration_duration = "400ms", vus = 1, duration = "1s" }
        function test.iteration() end"#,
    );
    bench.kingtide(&["run", script, "--threshold", "iterations: count == 3"]).exits(0);
}
