//! New versions of a script while it runs: nothing is lost, what VUs have stays, and what cannot run
//! changes nothing.

use serde_json::Value;

use super::bench::{Bench, Running, Target};

/// Starts a script that is watched.
fn watch(bench: &Bench, script: &str, more: &[&str]) -> Running {
    let args = ["run", script, "--watch", "--quiet", "--summary-export", "out.json"];
    bench.start(&[&args[..], more].concat())
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Returns how many requests had a name.
fn named(summary: &Value, name: &str) -> u64 {
    let endpoints = summary["endpoints"].as_array().unwrap();
    let found = endpoints.iter().find(|one| one["name"] == format!("GET {name}"));
    found.map_or(0, |one| count(&one["count"]))
}

#[test]
fn no_iteration_is_lost_and_no_due_time_moves() {
    let (bench, target) = (Bench::new(), Target::new());
    let luau = |name: &str| {
        format!(
            r#"test.options = {{ scenarios = {{ open = {{
                executor = "constant-arrival-rate", rate = 200, duration = "4s",
            }} }} }}
            function test.iteration()
                if kt.scenario.iteration_in_test % 100 == 0 then kt.log.info("at {name}") end
                http.get(BASE .. "/health", {{ name = "{name}" }})
            end"#
        )
    };
    let rhai = |name: &str| {
        format!(
            r#"fn options() {{ #{{ scenarios: #{{ open: #{{
                executor: "constant-arrival-rate", rate: 200, duration: "4s",
            }} }} }} }}
            fn iteration(data) {{
                if kt::scenario.iteration_in_test % 100 == 0 {{ kt::log::info("at {name}"); }}
                http::get(global::BASE + "/health", #{{ name: "{name}" }});
            }}"#
        )
    };
    let env = target.env();
    let mut before = 0;
    for language in ["luau", "rhai"] {
        let write = |name: &str| match language {
            "luau" => bench.luau(&luau(name)),
            _ => bench.rhai(&rhai(name)),
        };
        let mut run = watch(&bench, write("one"), &["-e", &env]);
        run.wait_for("at one");
        write("two");
        run.wait_for("reload 1 at ");
        run.wait_for("at two");
        write("three");
        run.wait_for("reload 2 at ");
        run.wait_for("at three");
        run.end().exits(0);
        let summary = bench.json("out.json");
        let open = &summary["scenarios"]["open"];
        let parts = ["due", "ended", "dropped", "interrupted", "errors"];
        assert_eq!(parts.map(|part| count(&open[part])), [800, 800, 0, 0, 0]);
        let names = ["one", "two", "three"].map(|name| named(&summary, name));
        assert!(names.iter().all(|count| *count > 0), "{names:?}");
        assert_eq!(names.iter().sum::<u64>(), 800);
        let versions = summary["reloads"].as_array().unwrap();
        let versions: Vec<_> = versions.iter().map(|one| count(&one["version"])).collect();
        assert_eq!(versions, [1, 2]);
        assert_eq!(summary["reloads"][0]["changes"], serde_json::json!(["script"]));
        // The request that asked is counted too, from the second time on.
        let after = target.requests();
        assert_eq!(after - before, 800);
        before = after + 1;
    }
}

#[test]
fn what_a_vu_has_stays_and_what_its_script_held_is_made_anew() {
    let (bench, target) = (Bench::new(), Target::new());
    let luau = |name: &str| {
        format!(
            r#"test.options = {{ vus = 2, duration = "10m", no_cookies_reset = true }}
            local mine = "nothing"
            function test.setup()
                kt.log.info("set up")
                return {{ word = "flood" }}
            end
            function test.vu_setup()
                mine = "{name}"
                if kt.vu.state.version then kt.log.info("held over") end
                kt.vu.state.version = "{name}"
                kt.log.info(`up {{mine}} VU {{kt.vu.id_in_test}}`)
            end
            function test.iteration(data)
                if kt.vu.iteration_in_instance == 0 then
                    kt.vu.tags.side = "left"
                    http.cookie_jar():set(BASE, "who", `vu{{kt.vu.id_in_test}}`)
                end
                local who = http.cookie_jar():cookies_for_url(BASE .. "/").who[1]
                local res = http.get(BASE .. "/health", {{ name = "{name}" }})
                if res.timings.connecting > 0 then kt.log.info("connected") end
                kt.log.info(`{name} {{mine}} {{data.word}} {{kt.vu.tags.side}} {{who}} of VU {{kt.vu.id_in_test}}`)
                kt.sleep(0.05)
            end
            function test.vu_teardown() kt.log.info(`down {{kt.vu.state.version}} VU {{kt.vu.id_in_test}}`) end
            function test.teardown(data) kt.log.info(`torn down {name} {{data.word}}`) end"#
        )
    };
    let script = bench.luau(&luau("one"));
    let mut run = watch(&bench, script, &["-e", &target.env()]);
    run.wait_for("one one flood left vu1 of VU 1");
    run.wait_for("one one flood left vu2 of VU 2");
    bench.luau(&luau("two"));
    run.wait_for("reload 1 at ");
    run.wait_for("two two flood left vu1 of VU 1");
    run.wait_for("two two flood left vu2 of VU 2");
    run.signal("INT");
    let ended = run.end().exits(105);
    let told = ["set up", "up one VU", "up two VU", "down one VU", "down two VU", "held over"];
    assert_eq!(told.map(|text| ended.count(text)), [1, 2, 2, 2, 2, 0], "{}", ended.err);
    assert_eq!((ended.count("torn down two flood"), ended.count("torn down one")), (1, 0));
    // Two VUs, a connection each, whatever the version.
    assert_eq!(ended.count("connected"), 2);
    let summary = bench.json("out.json");
    let iterations = count(&summary["metrics"]["iterations"]["values"]["count"]);
    assert_eq!(iterations, named(&summary, "one") + named(&summary, "two"));
}

#[test]
fn an_error_changes_nothing_until_it_is_mended() {
    let bench = Bench::new();
    let body = |name: &str| {
        format!(
            "test.options = {{ vus = 1, duration = \"10m\" }}\n\
             function test.iteration() kt.log.info(\"runs {name}\") kt.sleep(0.05) end"
        )
    };
    let script = bench.luau(&body("one"));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("runs one");
    bench.luau("function test.iteration( kt.log.info(\"never\") end");
    run.wait_for("error: ");
    run.wait_for("test.luau:5:");
    run.wait_for("not reloaded: the test goes on");
    run.wait_for("runs one");
    // As it was: nothing to take over.
    bench.luau(&body("one"));
    run.wait_for("again the one that runs");
    // Without the function that is run.
    bench.luau(&body("two").replace("iteration()", "iteratoin()"));
    run.wait_for("iteratoin");
    run.wait_for("not reloaded: the test goes on");
    bench.luau(&body("two"));
    run.wait_for("reload 1 at ");
    run.wait_for("runs two");
    // What fails at its top level is no version either.
    bench.luau(&format!("{}\nerror(\"no luck\")", body("three")));
    run.wait_for("no luck");
    run.wait_for("not reloaded: the test goes on");
    run.wait_for("runs two");
    run.signal("INT");
    let ended = run.end().exits(105);
    assert_eq!((ended.count("info: never"), ended.count("runs three")), (0, 0), "{}", ended.err);
    assert_eq!(bench.json("out.json")["reloads"].as_array().unwrap().len(), 1);
}

#[test]
fn editors_save_in_many_ways() {
    let bench = Bench::new();
    let body = |name: &str| {
        format!(
            "fn options() {{ #{{ vus: 1, duration: \"10m\" }} }}\n\
             fn iteration(data) {{ kt::log::info(\"runs {name}\"); kt::sleep(0.05); }}"
        )
    };
    let script = bench.rhai(&body("one"));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("runs one");
    let text = bench.read(script);
    // Another file is put in its place.
    bench.write(".test.rhai.swap", &text.replace("runs one", "runs two"));
    bench.rename(".test.rhai.swap", script);
    run.wait_for("runs two");
    // It is moved away, then written anew.
    bench.rename(script, "test.rhai~");
    bench.write(script, &text.replace("runs one", "runs three"));
    run.wait_for("runs three");
    // In place, and again in place at once: only the last counts for long.
    bench.write(script, &text.replace("runs one", "runs never"));
    bench.write(script, &text.replace("runs one", "runs four"));
    run.wait_for("runs four");
    // The same text, and other files beside it, are no news.
    bench.write(script, &text.replace("runs one", "runs four"));
    bench.write("notes.txt", "something else");
    bench.write(script, &text.replace("runs one", "runs five"));
    run.wait_for("runs five");
    run.signal("INT");
    let ended = run.end().exits(105);
    // On a busy machine what is written twice at once may be seen twice.
    let reloads = ended.count("info: reload ");
    assert!((4..=5).contains(&reloads), "{reloads}: {}", ended.err);
}

#[test]
fn modules_and_the_file_of_options_are_watched_too() {
    let bench = Bench::new();
    bench.write(
        "words.luau",
        "return { say = \"one\", later = function() return require(\"./late\") end }",
    );
    bench.write("late.luau", "return \"early\"");
    let script = bench.luau(
        r#"local words = require("./words")
        test.options = { vus = 1, duration = "10m" }
        function test.iteration()
            kt.log.info(`{words.say} {words.later()} {kt.env("GREETING", "silent")}`)
            kt.sleep(0.05)
        end"#,
    );
    let mut run = watch(&bench, script, &[]);
    run.wait_for("one early silent");
    bench.write("words.luau", &bench.read("words.luau").replace("one", "two"));
    run.wait_for("two early silent");
    bench.write("kingtide.toml", "env = { GREETING = \"hello\" }\n");
    run.wait_for("reload 2 at ");
    run.wait_for("two early hello");
    // A module that an iteration asked for: it is known by now.
    run.wait_for("two early hello");
    bench.write("late.luau", "return \"late\"");
    run.wait_for("two late hello");
    // One that does not compile says where, and one that is missing is waited for.
    bench.write("words.luau", "return {");
    run.wait_for("words.luau:1");
    run.wait_for("not reloaded");
    bench.write("words.luau", "return require(\"./more\")");
    run.wait_for("cannot find module \"./more\"");
    bench.write("more.luau", "return { say = \"more\", later = function() return \"now\" end }");
    run.wait_for("more now hello");
    run.signal("INT");
    run.end().exits(105);
}

#[test]
fn a_new_version_may_have_further_metrics_but_no_other_kind_of_the_same() {
    let bench = Bench::new();
    let body = |declared: &str, add: &str| {
        format!(
            "import \"kingtide/metrics\" as metrics;\n{declared}\n\
             fn options() {{ #{{ vus: 1, duration: \"10m\" }} }}\n\
             fn iteration(data) {{ {add} kt::log::info(\"added {}\"); kt::sleep(0.05); }}",
            declared.len()
        )
    };
    let first = "const A = metrics::counter(\"apples\");";
    let both = "const A = metrics::counter(\"apples\"); const B = metrics::trend(\"size\", true);";
    let script = bench.rhai(&body(first, "global::A.add(1);"));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("added");
    bench.rhai(&body(&both.replace("counter", "gauge"), ""));
    run.wait_for("\"apples\" is declared as a counter and again as a gauge");
    bench.rhai(&body(both, "global::A.add(2); global::B.add(7);"));
    run.wait_for("reload 1 at ");
    run.wait_for(&format!("added {}", both.len()));
    run.signal("INT");
    run.end().exits(105);
    let metrics = &bench.json("out.json")["metrics"];
    assert!(count(&metrics["apples"]["values"]["count"]) >= 3);
    assert_eq!(metrics["size"]["values"]["max"], 7.0);
}

#[test]
fn data_is_handed_out_where_it_was_and_changed_data_is_read_anew() {
    let bench = Bench::new();
    let luau = |word: &str| {
        format!(
            r#"local data = require("@kingtide/data")
            test.options = {{ vus = 2, duration = "10m" }}
            local feed = data.feed(data.csv("users.csv"), "unique")
            function test.iteration()
                kt.log.info(`{word} <{{feed:next().name}}>`)
                kt.sleep(0.05)
            end"#
        )
    };
    let users = |prefix: &str| {
        (0..5_000).fold("name\n".to_owned(), |text, n| format!("{text}{prefix}{n}\n"))
    };
    bench.write("users.csv", &users("ada"));
    let script = bench.luau(&luau("one"));
    let mut run = watch(&bench, script, &[]);
    run.wait_for("one <ada");
    bench.luau(&luau("two"));
    run.wait_for("two <ada");
    run.wait_for("two <ada");
    bench.write("users.csv", &users("bob"));
    run.wait_for("two <bob");
    run.signal("INT");
    let ended = run.end().exits(105);
    let mut names: Vec<&str> = ended
        .err
        .lines()
        .filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{}", ended.err);
    // The place in the file goes on, too.
    let place = |name: &&str| name[3..].parse::<usize>().unwrap();
    let places: std::collections::BTreeSet<usize> = names.iter().map(place).collect();
    assert_eq!(places.len(), count, "{}", ended.err);
}
