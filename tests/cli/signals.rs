//! Signals, and targets that go away: a run always ends, with what it has measured.

use super::bench::{Bench, Target};

#[test]
fn a_signal_lets_iterations_end_and_tears_down() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { vus = 2, duration = "10m" }
        function test.setup() return { word = "flood" } end
        function test.iteration()
            kt.log.info("began")
            kt.sleep(0.4)
        end
        function test.vu_teardown() kt.log.info("vu down") end
        function test.teardown(data) kt.log.info(`torn down after {data.word}`) end"#,
        r#"fn options() { #{ vus: 2, duration: "10m" } }
        fn setup() { #{ word: "flood" } }
        fn iteration(data) { kt::log::info("began"); kt::sleep(0.4); }
        fn vu_teardown(data) { kt::log::info("vu down"); }
        fn teardown(data) { kt::log::info(`torn down after ${data.word}`); }"#,
    );
    for (script, signal) in scripts.into_iter().zip(["INT", "TERM"]) {
        let mut run = bench.start(&["run", script, "--summary-export", "out.json"]);
        run.wait_for("began");
        run.wait_for("began");
        run.signal(signal);
        let ended = run.end().exits(105).prints(&["exit code 105"]);
        assert_eq!((ended.count("vu down"), ended.count("torn down after flood")), (2, 1));
        let summary = bench.json("out.json");
        assert_eq!(summary["outcome"]["verdict"], "interrupted");
        let default = &summary["scenarios"]["default"];
        assert_eq!((&default["ended"], &default["interrupted"]), (&2.into(), &0.into()));
    }
}

#[test]
fn a_second_signal_cuts_iterations() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { vus = 2, duration = "10m" }
        function test.iteration()
            kt.log.info("began")
            kt.sleep(600)
        end
        function test.teardown() kt.log.info("torn down") end"#,
        r#"fn options() { #{ vus: 2, duration: "10m" } }
        fn iteration(data) { kt::log::info("began"); kt::sleep(600); }
        fn teardown(data) { kt::log::info("torn down"); }"#,
    );
    for script in scripts {
        let mut run = bench.start(&["run", script, "--summary-export", "out.json"]);
        run.wait_for("began");
        run.wait_for("began");
        // Two of different kinds, as two of one kind may be taken for one.
        run.signal("INT");
        run.signal("TERM");
        run.end().exits(105).prints(&["exit code 105"]);
        let default = &bench.json("out.json")["scenarios"]["default"];
        assert_eq!((&default["ended"], &default["interrupted"]), (&0.into(), &2.into()));
    }
}

#[test]
fn a_third_signal_ends_at_once() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { vus = 1, duration = "10m" }
        function test.iteration()
            kt.log.info("began")
            kt.sleep(600)
        end
        function test.vu_teardown()
            kt.log.info("goes slowly")
            kt.sleep(600)
        end"#,
    );
    let mut run = bench.start(&["run", script]);
    run.wait_for("began");
    run.signal("INT");
    run.signal("TERM");
    run.wait_for("goes slowly");
    run.signal("INT");
    run.end().exits(105).says(&["third signal"]);
}

#[test]
fn a_vu_teardown_without_end_has_the_limit_of_teardown() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { teardown_timeout = "300ms" }
        function test.iteration() end
        function test.vu_teardown() kt.sleep(600) end"#,
    );
    bench.kingtide(&["run", script]).exits(0);
}

#[test]
fn a_signal_during_setup_stops_before_the_load() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"function test.setup()
            kt.log.info("setting up")
            kt.sleep(50)
        end
        function test.iteration() kt.log.info("iterated") end"#,
        r#"fn setup() { kt::log::info("setting up"); kt::sleep(50); }
        fn iteration(data) { kt::log::info("iterated"); }"#,
    );
    for script in scripts {
        let mut run = bench.start(&["run", script]);
        run.wait_for("setting up");
        run.signal("INT");
        assert_eq!(run.end().exits(105).count("iterated"), 0);
    }
}

#[test]
fn a_signal_during_vu_setup_tears_down_what_was_set_up() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"function test.setup() end
        function test.vu_setup()
            kt.log.info("preparing")
            kt.sleep(50)
        end
        function test.iteration() kt.log.info("iterated") end
        function test.teardown() kt.log.info("torn down") end"#,
    );
    let mut run = bench.start(&["run", script]);
    run.wait_for("preparing");
    run.signal("INT");
    let ended = run.end().exits(105);
    assert_eq!((ended.count("iterated"), ended.count("torn down")), (0, 1));
}

#[test]
fn vus_that_were_prepared_say_goodbye_though_the_load_never_begins() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { scenarios = {
            quick = { executor = "per-vu-iterations", vus = 3 },
            slow_a = { executor = "per-vu-iterations", vus = 2 },
            slow_b = { executor = "per-vu-iterations", vus = 2 },
        } }
        function test.setup() end
        function test.vu_setup()
            kt.log.info("up " .. kt.scenario.name)
            if kt.scenario.name ~= "quick" then kt.sleep(600) end
        end
        function test.iteration() kt.log.info("iterated") end
        function test.vu_teardown() kt.sleep(0.2) kt.log.info("down " .. kt.scenario.name) end
        function test.teardown() kt.log.info("torn down") end"#,
        r#"fn options() { #{ scenarios: #{
            quick: #{ executor: "per-vu-iterations", vus: 3 },
            slow_a: #{ executor: "per-vu-iterations", vus: 2 },
            slow_b: #{ executor: "per-vu-iterations", vus: 2 },
        } } }
        fn setup() {}
        fn vu_setup() {
            kt::log::info("up " + kt::scenario.name);
            if kt::scenario.name != "quick" { kt::sleep(600); }
        }
        fn iteration() { kt::log::info("iterated"); }
        fn vu_teardown() { kt::sleep(0.2); kt::log::info("down " + kt::scenario.name); }
        fn teardown() { kt::log::info("torn down"); }"#,
    );
    for script in scripts {
        let mut run = bench.start(&["run", script, "--workers", "1"]);
        // The scenarios prepare one after another, and either slow one holds up the rest.
        run.wait_for("up slow");
        run.wait_for("up slow");
        run.signal("INT");
        let ended = run.end().exits(105);
        assert_eq!((ended.count("iterated"), ended.count("torn down")), (0, 1));
        // Whoever has begun to prepare, and nobody else.
        assert_eq!((ended.count("up slow"), ended.count("down slow")), (2, 2), "{}", ended.err);
        assert_eq!(ended.count("up quick"), ended.count("down quick"));
        assert!([0, 3].contains(&ended.count("up quick")));
        let order: Vec<_> = ended.err.lines().filter(|line| line.contains("down")).collect();
        assert!(order.last().is_some_and(|line| line.contains("torn down")), "{order:?}");
    }
}

#[test]
fn a_signal_lets_a_teardown_that_runs_end() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"function test.iteration() end
        function test.teardown()
            kt.log.info("tearing down")
            kt.sleep(0.3)
            kt.log.info("torn down")
        end"#,
    );
    let mut run = bench.start(&["run", script]);
    run.wait_for("tearing down");
    run.signal("INT");
    run.end().exits(105).says(&["torn down"]).prints(&["exit code 105"]);
    let mut run = bench.start(&["run", script]);
    run.wait_for("tearing down");
    run.signal("INT");
    run.signal("TERM");
    assert_eq!(run.end().exits(105).count("torn down"), 0);
}

#[test]
fn a_scenario_that_waits_does_not_hold_up_a_stop() {
    let bench = Bench::new();
    let script = bench.luau(
        r#"test.options = { scenarios = {
            now = { executor = "per-vu-iterations", exec = "go" },
            later = { executor = "per-vu-iterations", exec = "go", start_time = "1h" },
            after = { executor = "per-vu-iterations", exec = "go", start_after = "later" },
        } }
        function test.go() kt.log.info("went") end"#,
    );
    let mut run = bench.start(&["run", script]);
    run.wait_for("went");
    run.signal("INT");
    assert_eq!(run.end().exits(105).count("went"), 1);
}

#[test]
fn a_target_that_goes_away_fails_requests_and_not_the_run() {
    let (bench, target) = (Bench::new(), Target::new());
    let script = bench.luau(
        r#"test.options = { vus = 2, duration = "2s" }
        function test.iteration()
            local res = http.get(BASE .. "/health")
            if res.status == 0 then
                kt.log.info(`refused {res.error_code}`)
            else
                kt.log.info("answered")
            end
            kt.sleep(0.05)
        end"#,
    );
    let env = target.env();
    let mut run = bench.start(&["run", script, "-e", &env, "--summary-export", "out.json"]);
    run.wait_for("answered");
    target.stop();
    run.wait_for("refused 1212");
    run.end().exits(0);
    let failed = &bench.json("out.json")["metrics"]["http_req_failed"]["values"];
    let count = |name: &str| failed[name].as_u64().unwrap();
    assert!(0 < count("failed") && count("failed") < count("total"), "{failed}");
}
