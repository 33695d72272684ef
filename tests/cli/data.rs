//! Data over several workers, as a server and the results see it.

use std::fmt::Write as _;

use serde_json::json;

use super::bench::Bench;
use crate::tally::Tally;

const ROWS: u64 = 3_000;

/// Writes a file of so many rows.
fn users(bench: &Bench) {
    let rows = (0..ROWS).fold("id,name\n".to_owned(), |mut text, id| {
        writeln!(text, "{id},\"user, number {id}\"").unwrap();
        text
    });
    bench.write("users.csv", &rows);
}

#[test]
fn the_server_sees_each_unique_row_exactly_once_whatever_the_workers() {
    let (bench, tally) = (Bench::new(), Tally::start());
    users(&bench);
    let base = format!("BASE=http://{}", tally.address);
    let luau = r#"
        local data = require("@kingtide/data")
        local users = data.feed(data.csv("users.csv"), "unique")
        test.options = { scenarios = {
            many = { executor = "shared-iterations", vus = 7, iterations = 100000 },
            one = { executor = "constant-vus", vus = 1, duration = "10m" },
            due = { executor = "constant-arrival-rate", rate = "200/s", duration = "10m" },
        } }
        function test.iteration()
            http.get(`{BASE}/{users:next().id}`, { name = "user" })
        end"#;
    let rhai = r#"
        import "kingtide/data" as data;
        const USERS = data::feed(data::csv("users.csv"), "unique");
        fn options() { #{ scenarios: #{
            many: #{ executor: "shared-iterations", vus: 7, iterations: 100000 },
            one: #{ executor: "constant-vus", vus: 1, duration: "10m" },
            due: #{ executor: "constant-arrival-rate", rate: "200/s", duration: "10m" }
        } } }
        fn iteration() {
            http::get(`${global::BASE}/${global::USERS.next().id}`, #{ name: "user" });
        }"#;
    for script in bench.both(luau, rhai) {
        let flags = ["run", script, "-e", &base, "--workers", "3", "--summary-export", "out.json"];
        let ended = bench.kingtide(&flags).exits(0);
        for scenario in ["many", "one", "due"] {
            let why = format!(
                "scenario \"{scenario}\" ends: all 3000 rows of users.csv have been handed out"
            );
            assert_eq!(ended.count(&why), 1, "{}", ended.err);
        }
        let asked = tally.take();
        assert_eq!(asked.len() as u64, ROWS, "{script}");
        assert!(asked.values().all(|times| *times == 1), "{script}: {asked:?}");
        let metrics = &bench.json("out.json")["metrics"];
        assert_eq!(metrics["iterations"]["values"]["count"], json!(ROWS));
        assert_eq!(metrics["http_reqs"]["values"]["count"], json!(ROWS));
        // Those that found no row are no part of the distribution.
        assert_eq!(metrics["iteration_duration"]["values"]["count"], json!(ROWS));
        let cut = metrics["interrupted_iterations"]["values"]["count"].as_u64().unwrap();
        assert!((3..=9 + ROWS).contains(&cut), "{cut}");
    }
}

#[test]
fn a_file_may_be_larger_than_the_memory_of_a_vu() {
    let bench = Bench::new();
    // A VU has 64 MiB; what is read for all is no part of that.
    let line = "tide ".repeat(200_000) + "\n";
    bench.write("large.txt", &line.repeat(70));
    let luau = r#"
        local lines = require("@kingtide/data").lines("large.txt")
        function test.iteration() assert(lines.length == 70 and #lines:item(-1) == 1000000) end"#;
    let rhai = r#"
        import "kingtide/data" as data;
        const LINES = data::lines("large.txt");
        fn iteration() {
            if global::LINES.length != 70 || global::LINES.item(-1).len() != 1000000 { throw "lost"; }
        }"#;
    for script in bench.both(luau, rhai) {
        bench.kingtide(&["run", script, "-i", "1", "--fail-on-error"]).exits(0);
    }
}

#[test]
fn a_file_with_a_mistake_ends_the_test_before_its_start() {
    let bench = Bench::new();
    bench.write("users.csv", "id,name\n1,Ada\n2,\"Bob\n");
    let luau = r#"
        require("@kingtide/data").csv("users.csv")
        function test.iteration() end"#;
    let rhai = r#"
        import "kingtide/data" as data;
        data::csv("users.csv");
        fn iteration() {}"#;
    for script in bench.both(luau, rhai) {
        for command in ["check", "run"] {
            let ended = bench.kingtide(&[command, script]).exits(107);
            ended.says(&[
                "users.csv:3:3: the quoted field that begins here is never closed",
                script,
            ]);
        }
    }
}
