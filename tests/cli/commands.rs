//! The other commands: `check`, `demo` and `demo run`.

use std::net::SocketAddr;

use serde_json::Value;

use super::bench::{Bench, get};

#[test]
fn check_prints_the_plan_and_runs_nothing() {
    let bench = Bench::new();
    let scripts = bench.both(
        r#"test.options = { scenarios = {
            readers = { executor = "constant-arrival-rate", rate = 50, duration = "30s" },
        }, thresholds = { checks = { "rate > 99%" } } }
        function test.setup() kt.log.info("set up") end
        function test.iteration() kt.log.info("iterated") end"#,
        r#"fn options() { #{ scenarios: #{
            readers: #{ executor: "constant-arrival-rate", rate: 50, duration: "30s" },
        }, thresholds: #{ checks: ["rate > 99%"] } } }
        fn setup() { kt::log::info("set up"); }
        fn iteration(data) { kt::log::info("iterated"); }"#,
    );
    for script in scripts {
        let ended = bench.kingtide(&["check", script]).exits(0);
        assert_eq!(ended.count("set up") + ended.count("iterated"), 0);
        ended.prints(&["readers", "50 iterations/s for 30s", "checks"]);
        let ended = bench.kingtide(&["check", "--json", script]).exits(0);
        let json: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((&json["ok"], &json["exit_code"]), (&true.into(), &0.into()));
        assert_eq!(json["plan"]["scenarios"][0]["name"], "readers");
        let functions = json["functions"].as_array().unwrap();
        assert!(functions.contains(&"setup".into()) && functions.contains(&"iteration".into()));
    }
}

#[test]
fn check_tells_editors_what_is_wrong_and_where() {
    let bench = Bench::new();
    let script = bench.luau("test.options = {\n    vsu = 1,\n}\nfunction test.iteration() end");
    let ended = bench.kingtide(&["check", "--json", script]).exits(104);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&json["ok"], &json["exit_code"]), (&false.into(), &104.into()));
    let location = &json["error"]["location"];
    assert_eq!((&location["file"], &location["line"]), (&"test.luau".into(), &6.into()));
    assert!(json["error"]["message"].as_str().unwrap().contains("vus"));
}

#[test]
fn demo_run_meets_its_thresholds_in_both_languages() {
    let bench = Bench::new();
    for lang in ["luau", "rhai"] {
        let ended = bench
            .kingtide(&[
                "demo",
                "run",
                "--lang",
                lang,
                "--duration",
                "1s",
                "--summary-export",
                "out.json",
            ])
            .exits(0);
        ended.prints(&["readers", "writers", "exit code 0"]);
        let summary = bench.json("out.json");
        assert_eq!(summary["metadata"]["script"], format!("notes.{lang}"));
        assert_eq!(summary["scenarios"]["writers"]["ended"], 20);
        assert_eq!(summary["errors"], serde_json::json!([]));
    }
}

#[test]
fn demo_run_shows_what_misbehaves() {
    let bench = Bench::new();
    let ended = bench.kingtide(&["demo", "run", "--duration", "1s", "--error-rate", "0.5"]);
    assert!([2, 108].contains(&ended.code), "{ended:?}");
    bench.kingtide(&["demo", "run", "--latency", "soon"]).exits(64).says(&["--latency"]);
    bench.kingtide(&["demo", "--error-rate", "2"]).exits(64).says(&["error"]);
}

#[test]
fn demo_serves_until_it_is_stopped() {
    let bench = Bench::new();
    let mut demo = bench.start(&["demo", "--listen", "127.0.0.1:0"]);
    let line = demo.next_line();
    let (_, rest) = line.split_once("http://").unwrap();
    let address: SocketAddr = rest.split(';').next().unwrap().parse().unwrap();
    assert!(get(address, "/health").starts_with("HTTP/1.1 200"));
    demo.signal("TERM");
    demo.end().exits(0);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    bench.kingtide(&["demo", "--listen", &address]).exits(64).says(&[&address]);
}
