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
fn check_finds_what_the_load_does_not_come_by_with_ranges() {
    let bench = Bench::new();
    let scripts = bench.both(
        "function test.iteration()\n    http.gett(\"/\")\n    kt.log.inof(\"a\")\nend",
        "fn iteration(data) {\n    http::gett(\"/\");\n    kt::log::inof(\"a\");\n}",
    );
    for script in scripts {
        let ended = bench.kingtide(&["check", script]).exits(107);
        ended.says(&["no function `gett`, did you mean `get`?", "did you mean `info`?"]);
        let ended = bench.kingtide(&["check", "--json", script]).exits(107);
        let json: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((&json["ok"], &json["exit_code"]), (&false.into(), &107.into()));
        let all = json["diagnostics"].as_array().unwrap();
        assert_eq!(all.len(), 2, "{json:#}");
        assert_eq!(all[0]["severity"], "error");
        let place = &all[0]["location"];
        assert_eq!(place["line"], place["end_line"]);
        let (from, to) = (place["column"].as_u64().unwrap(), place["end_column"].as_u64().unwrap());
        let line = bench
            .read(script)
            .lines()
            .nth(place["line"].as_u64().unwrap() as usize - 1)
            .unwrap()
            .to_owned();
        assert_eq!(&line[from as usize - 1..to as usize - 1], "gett");
    }
}

#[test]
fn check_warns_of_a_rate_that_pauses_make_impossible() {
    let bench = Bench::new();
    let load = |max: u64| {
        let luau = format!(
            "test.options = {{ scenarios = {{ buyers = {{ executor = \"constant-arrival-rate\", rate = 100, \
             duration = \"10s\", pre_allocated_vus = 10, max_vus = {max} }} }} }}\n\
             function test.iteration() kt.sleep(2) end"
        );
        let rhai = format!(
            "fn options() {{ #{{ scenarios: #{{ buyers: #{{ executor: \"constant-arrival-rate\", rate: 100, \
             duration: \"10s\", pre_allocated_vus: 10, max_vus: {max} }} }} }} }}\n\
             fn iteration(data) {{ kt::sleep(2); }}"
        );
        (luau, rhai)
    };
    for (max, warned) in [(50, 1), (200, 0)] {
        let (luau, rhai) = load(max);
        for script in bench.both(&luau, &rhai) {
            let ended = bench.kingtide(&["check", script]).exits(0);
            assert_eq!(ended.count("need 200 VUs, but max_vus is 50"), warned, "{ended:?}");
        }
    }
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
