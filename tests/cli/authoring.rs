//! What an author begins with: `new`, `types`, `completions`, and `run` without a script.

use super::bench::{Bench, Target};

const TEMPLATES: [&str; 4] = ["http", "crud", "websocket", "jsonrpc"];

/// Returns what makes a template's test short, against a target.
fn short(template: &str, port: u16) -> Vec<String> {
    let load: &[&str] = if template == "crud" { &["-e", "DURATION=1s"] } else { &["-d", "1s"] };
    let base = format!("BASE_URL=http://127.0.0.1:{port}");
    let rest = ["-e", base.as_str()];
    load.iter().chain(&rest).map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_template_is_right_and_passes_against_the_demo_target() {
    let target = Target::new();
    for template in TEMPLATES {
        for lang in ["luau", "rhai"] {
            let bench = Bench::new();
            bench.kingtide(&["new", "--template", template, "--lang", lang]).exits(0).prints(&[
                &format!("created test.{lang}"),
                "kingtide demo",
                "kingtide run",
            ]);
            let checked = bench.kingtide(&["check"]).exits(0);
            assert_eq!(checked.err, "", "{template} in {lang}");
            let arguments = short(template, target.port());
            let mut line = vec!["run"];
            line.extend(arguments.iter().map(String::as_str));
            let ended = bench.kingtide(&line).exits(0);
            assert_eq!(ended.count("error:"), 0, "{template} in {lang}: {ended:?}");
        }
    }
}

#[test]
fn a_template_whose_target_is_not_there_says_how_to_start_one() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    for template in TEMPLATES {
        for lang in ["luau", "rhai"] {
            let bench = Bench::new();
            bench.kingtide(&["new", "--template", template, "--lang", lang]).exits(0);
            let arguments = short(template, port);
            let mut line = vec!["run"];
            line.extend(arguments.iter().map(String::as_str));
            bench.kingtide(&line).exits(108).says(&["does not answer", "`kingtide demo`"]);
        }
    }
}

#[test]
fn a_suite_is_several_tests_that_share_what_they_do() {
    let target = Target::new();
    let base = format!("BASE_URL=http://127.0.0.1:{}", target.port());
    for lang in ["luau", "rhai"] {
        let bench = Bench::new();
        bench.kingtide(&["new", "tests", "--template", "suite", "--lang", lang]).exits(0);
        for name in ["smoke", "load", "stress"] {
            let script = format!("tests/{name}.{lang}");
            let checked = bench.kingtide(&["check", &script]).exits(0);
            assert_eq!(checked.err, "", "{script}");
        }
        let script = format!("tests/smoke.{lang}");
        bench.kingtide(&["run", &script, "-d", "1s", "-e", &base]).exits(0);
        // Which of them is meant, nobody knows.
        bench
            .kingtide(&["run", "tests"])
            .exits(64)
            .says(&["several scripts", &format!("smoke.{lang}")]);
    }
}

#[test]
fn nothing_is_overwritten() {
    let bench = Bench::new();
    bench.write("test.luau", "mine");
    bench.write(".luaurc", "{}");
    bench.kingtide(&["new"]).exits(64).says(&["test.luau is there already"]);
    assert_eq!(bench.read("test.luau"), "mine");
    assert!(!bench.has(".kingtide/types/http.luau"), "nothing is begun that is not ended");
    bench.kingtide(&["new", "other.rhai"]).exits(0).prints(&["add to the aliases of .luaurc"]);
    assert_eq!(bench.read(".luaurc"), "{}");
    bench.kingtide(&["new", "other.rhai", "--lang", "luau"]).exits(64).says(&["--lang"]);
    bench.kingtide(&["new", "other.js"]).exits(64).says(&[".luau or .rhai"]);
}

#[test]
fn types_are_luau_modules_behind_an_alias_and_definitions_of_rhai() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path().join("tests")).unwrap();
    bench.kingtide(&["types", "tests"]).exits(0);
    let alias = bench.json("tests/.luaurc");
    assert_eq!(alias["aliases"]["kingtide"], "./.kingtide/types");
    for module in ["init", "http", "rpc", "profiles"] {
        let text = bench.read(&format!("tests/.kingtide/types/{module}.luau"));
        assert!(text.contains("return "), "{module}: {text}");
    }
    assert!(
        bench.read("tests/.kingtide/types/http.d.rhai").contains("fn get(url: ?) -> Response;")
    );
    // A later version brings its own.
    bench.write("tests/.kingtide/types/http.luau", "old");
    bench.kingtide(&["types", "tests"]).exits(0);
    assert_ne!(bench.read("tests/.kingtide/types/http.luau"), "old");
}

#[test]
fn without_a_script_the_only_one_is_run() {
    let bench = Bench::new();
    bench.kingtide(&["run"]).exits(64).says(&["no script", "`kingtide new`"]);
    bench.luau("function test.iteration() kt.log.info(\"the only one\") end");
    bench.kingtide(&["run"]).exits(0).says(&["the only one"]);
    bench.write("b.rhai", "fn iteration(data) { print(\"the other\") }");
    // Its name says that it is meant.
    bench.kingtide(&["run"]).exits(0).says(&["the only one"]);
    bench.write("test.rhai", "fn iteration(data) { }");
    bench.kingtide(&["run"]).exits(64).says(&["several scripts", "test.luau", "test.rhai"]);
}

#[test]
fn shells_are_told_what_can_be_typed() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let ended = bench.kingtide(&["completions", shell]).exits(0);
        ended.prints(&["kingtide", "check", "summary-export"]);
    }
}
