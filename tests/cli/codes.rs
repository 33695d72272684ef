//! Every exit code, and what is said with it.

use super::bench::Bench;

const NOTHING: (&str, &str) = ("function test.iteration() end", "fn iteration(data) {}");

fn options(body: &str) -> String {
    format!("test.options = {{ {body} }}\nfunction test.iteration() end")
}

#[test]
fn a_run_that_meets_its_thresholds_exits_with_0() {
    let bench = Bench::new();
    for script in bench.both(NOTHING.0, NOTHING.1) {
        let threshold = "iterations: count == 3";
        bench
            .kingtide(&["run", script, "-i", "3", "--threshold", threshold])
            .exits(0)
            .prints(&["iterations", "exit code 0"]);
    }
}

#[test]
fn a_threshold_that_is_violated_at_the_end_exits_with_2() {
    let bench = Bench::new();
    for script in bench.both(NOTHING.0, NOTHING.1) {
        let run = ["run", script, "-i", "3", "--threshold", "iterations: count > 5"];
        bench.kingtide(&[&run[..], &["--summary-export", "out.json"]].concat()).exits(2);
        let summary = bench.json("out.json");
        assert_eq!(summary["outcome"]["exit_code"], 2);
        assert_eq!(summary["outcome"]["reason"], "iterations: count > 5");
        assert_eq!(summary["thresholds"][0]["ok"], false);
        bench.kingtide(&[&run[..], &["--no-thresholds"]].concat()).exits(0);
    }
}

#[test]
fn a_threshold_that_ends_the_test_exits_with_2() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = {
            vus = 2, duration = "10m",
            thresholds = { iterations = { { threshold = "count < 1", abort_on_fail = true } } },
        }
        function test.iteration() kt.sleep(0.05) end
        function test.teardown() kt.log.info("torn down") end"#,
    );
    bench.kingtide(&["run", script]).exits(2).says(&["torn down"]);
}

#[test]
fn wrong_use_exits_with_64() {
    let bench = Bench::new();
    let script = bench.luau(NOTHING.0);
    bench.write("test.js", "export default function () {}");
    bench.write("test.py", "pass");
    bench.kingtide(&["run", script, "--duratoin", "1s"]).exits(64).says(&["--duration"]);
    bench.kingtide(&["run", "missing.luau"]).exits(64).says(&["missing.luau"]);
    bench.kingtide(&["run", "test.py"]).exits(64).says(&["test.py", ".luau", ".rhai"]);
    bench.kingtide(&["run", "test.js"]).exits(64).says(&["test.js", "JavaScript"]);
    bench.kingtide(&["runn", script]).exits(64).says(&["run"]);
    bench.kingtide(&[]).exits(64).says(&["Usage"]);
    bench.kingtide(&["run", script, "-d", "soon"]).exits(64).says(&["--duration"]);
    bench.kingtide(&["run", script, "--rate", "fast"]).exits(64).says(&["--rate"]);
    bench.kingtide(&["run", script, "--stage", "10s"]).exits(64).says(&["--stage"]);
    bench.kingtide(&["run", script, "--tag", "a"]).exits(64).says(&["--tag", "NAME=VALUE"]);
    bench.kingtide(&["run", script, "-e", "=a"]).exits(64).says(&["--env"]);
    bench.kingtide(&["run", script, "--threshold", "x"]).exits(64).says(&["--threshold"]);
    bench.kingtide(&["run", script, "--include", "none"]).exits(64).says(&["none"]);
}

#[test]
fn help_and_version_exit_with_0() {
    let bench = Bench::new();
    bench.kingtide(&["--version"]).exits(0).prints(&[env!("CARGO_PKG_VERSION")]);
    for command in [&["--help"][..], &["run", "--help"], &["check", "--help"], &["demo", "--help"]]
    {
        bench.kingtide(command).exits(0).prints(&["Example"]);
    }
}

#[test]
fn a_schedule_that_is_not_kept_exits_with_65_if_asked() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { scenarios = { steady = {
            executor = "constant-arrival-rate", rate = 20, duration = "1s", max_vus = 1,
            pre_allocated_vus = 1, on_overload = "drop",
        } } }
        function test.iteration() kt.sleep(0.3) end"#,
    );
    let run = ["run", script, "--summary-export", "out.json"];
    bench.kingtide(&[&run[..], &["--strict-schedule"]].concat()).exits(65).prints(&["max_vus"]);
    let steady = &bench.json("out.json")["scenarios"]["steady"];
    let count = |name: &str| steady[name].as_u64().unwrap();
    assert_eq!(count("due"), 20);
    assert_eq!(count("due"), count("ended") + count("interrupted") + count("dropped"));
    assert!(count("dropped") > 10);
    bench.kingtide(&run).exits(0);
}

#[test]
fn results_that_cannot_be_written_exit_with_74() {
    let bench = Bench::new();
    let script = bench.luau(NOTHING.0);
    bench
        .kingtide(&["run", script, "--summary-export", "/dev/full"])
        .exits(74)
        .says(&["/dev/full"])
        .prints(&["exit code"]);
    // What went wrong with the run itself weighs more.
    let threshold = ["--threshold", "iterations: count > 5"];
    bench
        .kingtide(&[&["run", script, "--summary-export", "/dev/full"], &threshold[..]].concat())
        .exits(2)
        .says(&["/dev/full"]);
    let script = bench.luau(
        "function test.iteration() end\n\
         function test.summary() return { [\"none/x.txt\"] = \"x\" } end",
    );
    bench.kingtide(&["run", script]).exits(74).says(&["none/x.txt"]);
}

#[test]
fn setup_that_takes_too_long_exits_with_100() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { setup_timeout = "200ms" }
        function test.setup() kt.sleep(60) end
        function test.iteration() kt.log.info("iterated") end"#,
        r#"fn options() { #{ setup_timeout: "200ms" } }
        fn setup() { kt::sleep(60); }
        fn iteration(data) { kt::log::info("iterated"); }"#,
    );
    for script in scripts {
        let ended = bench.kingtide(&["run", script]).exits(100);
        assert_eq!(ended.count("iterated"), 0);
    }
}

#[test]
fn teardown_that_takes_too_long_exits_with_101() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { teardown_timeout = "200ms" }
        function test.iteration() end
        function test.teardown() kt.sleep(60) end"#,
        r#"fn options() { #{ teardown_timeout: "200ms" } }
        fn iteration(data) {}
        fn teardown(data) { kt::sleep(60); }"#,
    );
    for script in scripts {
        bench.kingtide(&["run", script, "-i", "3"]).exits(101).prints(&["iterations"]);
    }
}

#[test]
fn invalid_options_exit_with_104_and_name_their_line() {
    let bench = Bench::new();
    let scripts = bench.both(
        "test.options = {\n    vus = 1,\n    treshold = {},\n}\nfunction test.iteration() end",
        "fn options() {\n    #{\n        treshold: #{},\n    }\n}\nfn iteration(data) {}",
    );
    for (script, line) in scripts.into_iter().zip(["test.luau:7", "test.rhai:6"]) {
        let says = ["treshold", "thresholds", line];
        bench.kingtide(&["run", script]).exits(104).says(&says);
        bench.kingtide(&["check", script]).exits(104).says(&says);
    }
}

#[test]
fn options_that_cannot_be_exit_with_104() {
    let bench = Bench::new();
    for (body, says) in [
        (r#"thresholds = { http_req_duration = { "p(95) <" } }"#, "http_req_duration"),
        (r#"thresholds = { http_req_duratoin = { "p(95) < 1" } }"#, "http_req_duration"),
        (r#"scenarios = { a = { executor = "constant-vu" } }"#, "constant-vus"),
        (
            r#"scenarios = { a = { executor = "constant-vus", duration = "1s", exec = "x" } }"#,
            "`x`",
        ),
        (r#"scenarios = { a = { executor = "constant-vus" } }"#, "duration"),
        (r#"scenarios = { a = { executor = "constant-vus", duration = "1s", rate = 5 } }"#, "rate"),
        (r#"vus = 0, duration = "1s""#, "vus"),
        (r#"vus = 1, duration = "-1s""#, "duration"),
        (r#"iterations = 1, stages = { { duration = "1s", target = 1 } }"#, "stages"),
        (
            r#"scenarios = { a = { executor = "constant-vus", duration = "1s", start_after = "b" } }"#,
            "start_after",
        ),
    ] {
        let script = bench.luau(&options(body));
        bench.kingtide(&["run", script]).exits(104).says(&[says, "error:"]);
    }
    let script = bench.luau(NOTHING.0);
    bench.kingtide(&["run", script, "--scenario", "x"]).exits(104).says(&["x"]);
    bench
        .kingtide_with(&["run", script], &[("KINGTIDE_VSU", "1")])
        .exits(104)
        .says(&["KINGTIDE_VSU", "KINGTIDE_VUS"]);
    bench.write("kingtide.toml", "seed = 1\nvsu = 3\n");
    bench.kingtide(&["run", script]).exits(104).says(&["kingtide.toml", "vsu", "vus"]);
}

#[test]
fn a_script_that_does_not_load_exits_with_107() {
    let bench = Bench::new();
    for (luau, rhai, says) in [
        ("function test.iteration( end", "fn iteration(data { }", "test."),
        ("error(\"no luck\")", "throw \"no luck\";", "no luck"),
    ] {
        for script in bench.both(luau, rhai) {
            bench.kingtide(&["run", script]).exits(107).says(&[says, "-->"]);
            bench.kingtide(&["check", script]).exits(107).says(&[says]);
        }
    }
    let script = bench.luau("local helpers = require(\"./none\")");
    bench.kingtide(&["run", script]).exits(107).says(&["none"]);
}

#[test]
fn setup_that_fails_exits_with_107_and_nothing_runs() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"function test.setup() error("no luck") end
        function test.iteration() kt.log.info("iterated") end
        function test.teardown() kt.log.info("torn down") end"#,
        r#"fn setup() { throw "no luck"; }
        fn iteration(data) { kt::log::info("iterated"); }
        fn teardown(data) { kt::log::info("torn down"); }"#,
    );
    for script in scripts {
        let ended = bench.kingtide(&["run", script]).exits(107).says(&["no luck", "setup"]);
        assert_eq!(ended.count("iterated") + ended.count("torn down"), 0);
    }
}

#[test]
fn teardown_that_fails_exits_with_107_after_the_run() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"function test.iteration() end
        function test.teardown() error("no luck") end"#,
        r#"fn iteration(data) { }
        fn teardown(data) { throw "no luck"; }"#,
    );
    for script in scripts {
        bench
            .kingtide(&["run", script, "-i", "7", "--summary-export", "out.json"])
            .exits(107)
            .says(&["no luck", "teardown"]);
        assert_eq!(bench.json("out.json")["metrics"]["iterations"]["values"]["count"], 7);
    }
}

#[test]
fn abort_ends_the_test_with_108() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { vus = 3, duration = "10m" }
        function test.iteration() kt.sleep(0.1) kt.abort("enough of it") end
        function test.teardown() kt.log.info("torn down") end"#,
        r#"fn options() { #{ vus: 3, duration: "10m" } }
        fn iteration(data) { kt::sleep(0.1); kt::abort("enough of it"); }
        fn teardown(data) { kt::log::info("torn down"); }"#,
    );
    for script in scripts {
        bench.kingtide(&["run", script]).exits(108).says(&["enough of it", "torn down"]);
    }
    let script = bench.luau(
        r#"function test.setup() kt.abort("no target") end
        function test.iteration() kt.log.info("iterated") end"#,
    );
    let ended = bench.kingtide(&["run", script]).exits(108).says(&["no target"]);
    assert_eq!(ended.count("iterated"), 0);
}

#[test]
fn errors_of_iterations_exit_with_109_if_asked() {
    let bench = Bench::new();
    let scripts = bench.both(
        r"function test.iteration() local x = nil; return x.y end",
        r#"fn iteration(data) { throw "no luck"; }"#,
    );
    for script in scripts {
        let run = ["run", script, "-i", "10", "--summary-export", "out.json"];
        let ended = bench.kingtide(&run).exits(0).says(&["iteration", script]);
        // Once, however often it happened.
        assert_eq!(ended.count("error: "), 1, "{}", ended.err);
        // The last thing to be read, for nothing else tells that it passed by default alone.
        let end = ended.out.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let end: Vec<&str> = end.split_whitespace().collect();
        let end = end.join(" ");
        assert!(end.starts_with("warning: all 10 iterations failed: "), "{end}");
        assert!(end.contains("so the run passes; --fail-on-error makes it fail"), "{end}");
        let summary = bench.json("out.json");
        assert_eq!(summary["errors"][0]["count"], 10);
        assert_eq!(summary["scenarios"]["default"]["errors"], 10);
        assert_eq!(summary["scenarios"]["default"]["ended"], 10);
        bench.kingtide(&[&run[..], &["--fail-on-error"]].concat()).exits(109);
    }
}

#[test]
fn mark_failed_exits_with_110_after_the_run() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"function test.iteration() kt.mark_failed("not good") end"#,
        r#"fn iteration(data) { kt::mark_failed("not good"); }"#,
    );
    for script in scripts {
        let run = ["run", script, "-i", "5", "--summary-export", "out.json"];
        bench.kingtide(&run).exits(110).says(&["not good"]);
        assert_eq!(bench.json("out.json")["metrics"]["iterations"]["values"]["count"], 5);
    }
}
