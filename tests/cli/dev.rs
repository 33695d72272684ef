//! The author's loop, as it prints lines.

use super::bench::{Bench, Target};

#[test]
fn requests_checks_and_logs_are_shown_and_what_is_saved_goes_on() {
    let (bench, target) = (Bench::new(), Target::new());
    let luau = |name: &str| {
        format!(
            r#"test.options = {{ scenarios = {{ crowd = {{
                executor = "constant-arrival-rate", rate = 5000, duration = "1h", exec = "crowd",
            }} }}, thresholds = {{ checks = {{ {{ threshold = "rate > 99%", abort_on_fail = true }} }} }} }}
            function test.crowd()
                local res = http.get(BASE .. "/health", {{ name = "{name}" }})
                kt.check(res, {{ good = function(r) return r.status == 200 end,
                    bad = function(r) return r.status == 201 end }})
                kt.log.info("went {name}")
            end"#
        )
    };
    let rhai = |name: &str| {
        format!(
            r#"fn options() {{ #{{ scenarios: #{{ crowd: #{{
                executor: "constant-arrival-rate", rate: 5000, duration: "1h", exec: "crowd",
            }} }} }} }}
            fn crowd(data) {{
                let res = http::get(global::BASE + "/health", #{{ name: "{name}" }});
                kt::check(res, #{{ "good": |r| r.status == 200, "bad": |r| r.status == 201 }});
                kt::log::info("went {name}");
            }}"#
        )
    };
    for language in ["luau", "rhai"] {
        let write = |name: &str| match language {
            "luau" => bench.luau(&luau(name)),
            _ => bench.rhai(&rhai(name)),
        };
        let mut dev = bench.start(&["dev", write("one"), "--every", "50ms", "-e", &target.env()]);
        dev.wait_for("went one");
        assert!(dev.next_line().starts_with("GET one 200 "));
        assert_eq!(dev.next_line(), "check failed: bad\n");
        write("two");
        dev.wait_for("reload 1 at ");
        dev.wait_for("went two");
        dev.signal("INT");
        let ended = dev.end().exits(0);
        assert!(ended.out.contains("GET two 200 "), "{}", ended.out);
        assert!(ended.out.contains("version 0: ") && ended.out.contains("version 1: "));
        assert!(ended.out.contains(" -> ") && ended.out.contains("since reload 1"));
        // What remains: of all versions, without a verdict.
        let rest = ended.out.rsplit("since reload 1").next().unwrap();
        let name = if language == "luau" { "test.luau" } else { "test.rhai" };
        assert!(rest.contains(&format!("{name}  version 1 (1 reload), ")), "{rest}");
        for part in ["Checks  50.00%", "bad", "Requests", "GET one", "GET two"] {
            assert!(rest.contains(part), "{part}: {rest}");
        }
        assert!(!ended.out.contains("exit code"), "{}", ended.out);
        // One VU, however large the crowd is to be.
        assert!(ended.err.contains("VU 1,") && !ended.err.contains("VU 2,"), "{}", ended.err);
    }
}

#[test]
fn without_a_script_it_is_the_folders_only_one() {
    let bench = Bench::new();
    let told = bench.kingtide(&["dev", "-d", "100ms"]).exits(64);
    told.says(&["there is no script in this folder: name one, or let `kingtide new` write one"]);
    bench.write("buy.luau", "return { iteration = function() error(\"sold out\") end }");
    let told = bench.kingtide(&["dev", "-d", "100ms", "--every", "10ms"]).exits(0);
    let told = told.says(&["runs buy.luau", "sold out"]);
    assert!(told.out.contains("buy.luau  version 0, ") && told.out.contains("of one kind"));
    bench.write("sell.rhai", "fn iteration() {}");
    let told = bench.kingtide(&["dev"]).exits(64);
    told.says(&["there are several scripts in this folder: name one of buy.luau, sell.rhai"]);
}

#[test]
fn a_script_that_cannot_run_and_times_that_are_none_are_refused() {
    let bench = Bench::new();
    let script = bench.luau("function test.iteration(");
    bench.kingtide(&["dev", script]).exits(107).says(&["test.luau:"]);
    bench.kingtide(&["dev", "none.luau"]).exits(64).says(&["none.luau"]);
    let script = bench.luau("function test.iteration() end");
    bench.kingtide(&["dev", script, "--every", "soon"]).exits(64).says(&["--every"]);
    bench.kingtide(&["dev", script, "--every", "10ms", "-d", "300ms"]).exits(0);
}
