//! What VUs share over several workers: counters, queues, and the schedule of a mix.

use std::path::Path;

use serde_json::{Value, json};

use super::bench::{Bench, Target};

/// Returns the count of a counter.
fn count(summary: &Value, metric: &str) -> Value {
    summary["metrics"][metric]["values"]["count"].clone()
}

#[test]
fn the_shares_of_a_mix_are_exact_over_all_workers() {
    let bench = Bench::new();
    let luau = r#"
        local metrics = require("@kingtide/metrics")
        local usage = require("@kingtide/mix").mix({ list = 40, get = 25, put = 20, drop = 15 })
        test.options = { scenarios = {
            closed = { executor = "shared-iterations", vus = 9, iterations = 20000 },
        } }
        for _, name in { "list", "get", "put", "drop" } do
            local calls = metrics.counter(name)
            test[name] = function() calls:add(1) end
        end
        function test.iteration() usage:run() end"#;
    let rhai = r#"
        import "kingtide/metrics" as metrics;
        import "kingtide/mix" as mix;
        const USAGE = mix::mix(#{ list: 40, get: 25, put: 20, drop: 15 });
        const CALLS = #{
            list: metrics::counter("list"), get: metrics::counter("get"),
            put: metrics::counter("put"), drop: metrics::counter("drop")
        };
        fn options() { #{ scenarios: #{
            closed: #{ executor: "shared-iterations", vus: 9, iterations: 20000 }
        } } }
        fn list() { global::CALLS.list.add(1); }
        fn get() { global::CALLS.get.add(1); }
        fn put() { global::CALLS.put.add(1); }
        fn drop() { global::CALLS.drop.add(1); }
        fn iteration() { global::USAGE.run(); }"#;
    for script in bench.both(luau, rhai) {
        let flags = ["run", script, "--workers", "3", "--summary-export", "out.json"];
        bench.kingtide(&flags).exits(0);
        let summary = bench.json("out.json");
        let counts = ["list", "get", "put", "drop"].map(|name| count(&summary, name));
        assert_eq!(counts, [json!(8000), json!(5000), json!(4000), json!(3000)], "{script}");
    }
}

#[test]
fn what_vus_of_several_workers_share_is_one() {
    let bench = Bench::new();
    let luau = r#"
        local metrics = require("@kingtide/metrics")
        local shared = require("@kingtide/shared")
        local queue, map = shared.queue("q"), shared.map("m")
        local tickets, gate = shared.counter("t"), shared.barrier("g", 6)
        local sum = metrics.counter("sum")
        test.options = { scenarios = {
            push = { executor = "per-vu-iterations", vus = 6, iterations = 50, exec = "give" },
            pop = { executor = "per-vu-iterations", vus = 3, iterations = 100, exec = "take" },
        } }
        function test.give()
            gate:wait()
            queue:push(tickets:add())
            map:update("count", function(count) return (count or 0) + 1 end)
        end
        function test.take() sum:add(queue:pop()) end
        function test.teardown() assert(map:get("count") == 300 and queue.length == 0) end"#;
    let rhai = r#"
        import "kingtide/metrics" as metrics;
        import "kingtide/shared" as shared;
        const QUEUE = shared::queue("q");
        const MAP = shared::map("m");
        const TICKETS = shared::counter("t");
        const GATE = shared::barrier("g", 6);
        const SUM = metrics::counter("sum");
        fn options() { #{ scenarios: #{
            push: #{ executor: "per-vu-iterations", vus: 6, iterations: 50, exec: "give" },
            pop: #{ executor: "per-vu-iterations", vus: 3, iterations: 100, exec: "take" }
        } } }
        fn give() {
            global::GATE.wait();
            global::QUEUE.push(global::TICKETS.add());
            global::MAP.update("count", |count| if count == () { 1 } else { count + 1 });
        }
        fn take() { global::SUM.add(global::QUEUE.pop()); }
        fn teardown() {
            if global::MAP.get("count") != 300 || global::QUEUE.length != 0 { throw "lost"; }
        }"#;
    for script in bench.both(luau, rhai) {
        let flags =
            ["run", script, "--workers", "3", "--fail-on-error", "--summary-export", "out.json"];
        bench.kingtide(&flags).exits(0);
        assert_eq!(count(&bench.json("out.json"), "sum"), json!(300 * 301 / 2), "{script}");
    }
}

#[test]
fn the_newsroom_runs_in_both_languages() {
    let (bench, target) = (Bench::new(), Target::new());
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let base = format!("BASE_URL=http://127.0.0.1:{}", target.port());
    for name in ["newsroom.luau", "newsroom.rhai"] {
        let script = examples.join(name);
        let script = script.to_str().unwrap();
        let flags = ["run", script, "-e", &base, "-e", "DURATION=1s", "--workers", "2"];
        // The thresholds judge times, which a test does not.
        let flags = [&flags[..], &["--no-thresholds", "--fail-on-error"]].concat();
        let ended = bench.kingtide(&flags).exits(0);
        ended
            .says(&["science: ", "notes are left to review"])
            .prints(&["is reviewed", "front page"]);
    }
    target.stop();
}

#[test]
fn a_mix_of_a_function_that_is_not_there_ends_at_its_place() {
    let bench = Bench::new();
    let luau = r#"
        local usage = require("@kingtide/mix").mix({
            list = 1, lsit = 2,
        })
        function test.list() end
        function test.iteration() usage:run() end"#;
    let rhai = r#"
        import "kingtide/mix" as mix;
        const USAGE = mix::mix(#{ list: 1, lsit: 2 });
        fn list() {}
        fn iteration() { global::USAGE.run(); }"#;
    for (script, place) in bench.both(luau, rhai).into_iter().zip([":7:23", ":6:44"]) {
        for command in ["check", "run"] {
            let ended = bench.kingtide(&[command, script]).exits(107);
            let place = format!("{script}{place}");
            ended.says(&["mix.mix: unknown function `lsit`, did you mean `list`?", &place]);
        }
    }
}
