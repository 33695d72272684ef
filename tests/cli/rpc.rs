//! JSON-RPC calls in the results: by method, by error, whatever carried them.

use serde_json::{Value, json};

use super::bench::{Bench, Target};
use crate::odd_relay;

/// Returns method, count and errors of each row.
fn rows(summary: &Value) -> Vec<(String, u64, u64)> {
    let rows = summary["rpc"].as_array().unwrap_or_else(|| panic!("no rows in {summary:#}"));
    let number = |value: &Value| value.as_u64().unwrap();
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["method"].as_str().unwrap().to_owned(),
                number(&row["count"]),
                number(&row["errors"]),
            )
        })
        .collect();
    rows.sort();
    rows
}

fn row(method: &str, count: u64, errors: u64) -> (String, u64, u64) {
    (method.to_owned(), count, errors)
}

#[test]
fn each_method_and_each_error_is_told_apart_without_work_of_the_author() {
    let (bench, target) = (Bench::new(), Target::new());
    let odd = format!("ODD=http://{}", odd_relay::start());
    let luau = r#"
        local rpc = require("@kingtide/rpc")
        local eth = rpc.client(BASE .. "/api/rpc")
        local odd = rpc.client(kt.env("ODD", "http://x") .. "/502")
        test.options = { vus = 2, iterations = 10, thresholds = {
            ["rpc_req_failed{rpc_error:-32601}"] = { "rate == 1" },
            ["rpc_reqs{rpc_error:-32601}"] = { "count == 10" },
            ["rpc_reqs{rpc_error:http 502}"] = { "count == 20" },
            ["rpc_req_duration{rpc_method:demo_delay}"] = { "min >= 20" },
        } }
        function test.setup() eth:call("eth_chainId") end
        function test.iteration()
            eth:call("eth_chainId")
            eth:batch({ { "eth_chainId" }, { "demo_delay", { 20 } }, { "nope" } })
            odd:call("lost")
            odd:batch({ { "lost" } })
            eth:notify("eth_gasPrice")
        end"#;
    let rhai = r#"
        import "kingtide/rpc" as rpc;
        const ETH = rpc::client(BASE + "/api/rpc");
        const ODD = rpc::client(kt::env("ODD", "http://x") + "/502");
        fn options() { #{ vus: 2, iterations: 10, thresholds: #{
            "rpc_req_failed{rpc_error:-32601}": ["rate == 1"],
            "rpc_reqs{rpc_error:-32601}": ["count == 10"],
            "rpc_reqs{rpc_error:http 502}": ["count == 20"],
            "rpc_req_duration{rpc_method:demo_delay}": ["min >= 20"],
        } } }
        fn setup() { global::ETH.request("eth_chainId"); }
        fn iteration() {
            global::ETH.request("eth_chainId");
            global::ETH.batch(["eth_chainId", ["demo_delay", [20]], "nope"]);
            global::ODD.request("lost");
            global::ODD.batch(["lost"]);
            global::ETH.notify("eth_gasPrice");
        }"#;
    for script in bench.both(luau, rhai) {
        let flags =
            ["run", script, "-e", &target.env(), "-e", &odd, "--summary-export", "out.json"];
        let ended = bench.kingtide(&flags).exits(0);
        ended.prints(&["JSON-RPC calls", "eth_chainId", "lost"]);
        let summary = bench.json("out.json");
        assert_eq!(
            rows(&summary),
            [
                row("demo_delay", 10, 0),
                row("eth_chainId", 20, 0),
                row("eth_gasPrice", 10, 0),
                row("lost", 20, 20),
                row("nope", 10, 10),
            ],
            "{script}"
        );
        let metrics = &summary["metrics"];
        let failed = &metrics["rpc_req_failed"]["values"];
        assert_eq!((&failed["failed"], &failed["total"]), (&json!(30), &json!(70)));
        assert_eq!(metrics["rpc_reqs"]["values"]["count"], json!(70));
        assert_eq!(metrics["rpc_req_duration"]["values"]["count"], json!(70));
        // A batch is one request, and a failed call none.
        assert_eq!(metrics["http_reqs"]["values"]["count"], json!(50));
        assert_eq!(metrics["http_req_failed"]["values"]["failed"], json!(20));
    }
    target.stop();
}

#[test]
fn calls_that_are_cut_off_count_with_the_time_that_they_had_and_are_not_judged() {
    let (bench, target) = (Bench::new(), Target::new());
    let script = bench.luau(
        r#"local eth = require("@kingtide/rpc").client(BASE .. "/api/rpc")
        test.options = { scenarios = { s = {
            executor = "constant-vus", vus = 1, duration = "300ms", graceful_stop = "0s",
        } } }
        function test.iteration() eth:call("demo_delay", { 30000 }) end"#,
    );
    let flags = ["run", script, "-e", &target.env(), "--summary-export", "out.json"];
    bench.kingtide(&flags).exits(0);
    let summary = bench.json("out.json");
    let metrics = &summary["metrics"];
    assert_eq!(rows(&summary), [row("demo_delay", 1, 0)]);
    assert!(metrics["rpc_req_duration"]["values"]["min"].as_f64().unwrap() > 200.0, "{summary:#}");
    assert!(metrics.get("rpc_req_failed").is_none(), "{summary:#}");
    target.stop();
}
