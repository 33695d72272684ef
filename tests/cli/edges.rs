//! What new users stumble over: files that are not there, or not as expected, and full disks.

use std::fs::OpenOptions;
use std::process::Command;

use super::bench::Bench;

#[test]
fn a_script_that_is_not_there_is_answered_with_those_that_are() {
    let bench = Bench::new();
    let told = bench.kingtide(&["run", "buy.luau"]).exits(64);
    told.says(&[
        "there is no script buy.luau, and no other one",
        "`kingtide new buy.luau` writes one",
    ]);
    bench.write("buy.luau", "return { iteration = function() end }");
    bench.write("sell.rhai", "fn iteration() {}");
    for command in ["run", "check", "dev"] {
        let told = bench.kingtide(&[command, "bvy.luau"]).exits(64);
        told.says(&["there is no script bvy.luau, did you mean buy.luau?"]);
    }
    let told = bench.kingtide(&["run", "something.luau"]).exits(64);
    told.says(&["there is no script something.luau; there are buy.luau, sell.rhai"]);
    bench.kingtide(&["run", "no/buy.luau"]).exits(64).says(&["there is no such folder"]);
}

#[test]
fn results_that_cannot_be_written_are_told_before_the_run_where_that_can_be_known() {
    let bench = Bench::new();
    let luau = "function test.iteration() kt.log.info(\"ran\") end";
    let rhai = "fn iteration() { kt::log::info(\"ran\"); }";
    for script in bench.both(luau, rhai) {
        let ended = bench.kingtide(&["run", script, "--summary-export", "no/out.json"]).exits(74);
        let ended = ended.says(&["--summary-export no/out.json: there is no folder no"]);
        assert_eq!(ended.count("ran"), 0);
        bench.kingtide(&["run", script, "--summary-export", "."]).exits(74).says(&["a folder"]);
        for command in ["run", "check"] {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_kingtide"))
                .args([command, script])
                .current_dir(bench.path())
                .stdout(full)
                .output()
                .unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(74), "{err}");
            assert!(err.contains("cannot write to standard output"), "{err}");
        }
    }
}

#[test]
fn a_byte_order_mark_before_a_script_is_no_part_of_it() {
    let bench = Bench::new();
    for (name, text) in [
        ("bom.luau", "return { iteration = function() error(\"here\") end }"),
        ("bom.rhai", "fn iteration() { throw \"here\"; }"),
    ] {
        bench.write(name, &format!("\u{feff}{text}"));
        bench
            .kingtide(&["run", name, "-i", "1"])
            .exits(0)
            .says(&["error: here", &format!("{name}:1:")]);
    }
}

#[test]
fn no_line_of_the_script_is_blamed_for_what_was_typed() {
    let bench = Bench::new();
    let luau = r#"test.options = { vus = 5, duration = "1s", thresholds = { checks = { "rate > 0" } } }
        function test.iteration() end"#;
    let rhai = r#"fn options() { #{ vus: 5, duration: "1s", thresholds: #{ checks: ["rate > 0"] } } }
        fn iteration() {}"#;
    for script in bench.both(luau, rhai) {
        for (flags, says) in [
            (&["-u", "0"][..], "vus must be from 1"),
            (&["--threshold", "chekcs: rate > 0"], "did you mean \"checks\"?"),
            (&["--threshold", "checks: rte > 0"], "rte"),
        ] {
            let ended = bench.kingtide(&[&["run", script], flags].concat()).exits(104);
            let ended = ended.says(&[says]);
            assert!(!ended.err.contains("-->"), "{}", ended.err);
        }
        // What the script says itself is shown where it says it.
        let environment = [("KINGTIDE_SEED", "1")];
        let ended = bench.kingtide_with(&["run", script, "--no-thresholds"], &environment);
        ended.exits(0);
    }
    let wrong = bench.luau("test.options = { vus = 0 }\nfunction test.iteration() end");
    bench.kingtide(&["run", wrong, "--seed", "1"]).exits(104).says(&["vus must be", "test.luau:"]);
}

#[test]
fn a_native_module_that_is_named_like_a_file_is_told_by_its_name() {
    let bench = Bench::new();
    for (name, text, says) in [
        ("a.luau", "local kt = require(\"kingtide\")\nreturn {}", "`require(\"@kingtide\")`"),
        ("b.luau", "local http = require(\"http\")\nreturn {}", "`require(\"@kingtide/http\")`"),
        ("c.rhai", "import \"http\" as http;\nfn iteration() {}", "`import \"kingtide/http\"`"),
    ] {
        bench.write(name, text);
        let ended = bench.kingtide(&["run", name]).exits(107);
        ended.says(&["cannot find module", "the native module is written", says]);
    }
}
