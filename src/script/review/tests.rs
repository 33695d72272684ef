//! What a review finds, and what it must not find.

use std::path::Path;

use super::{Review, review};
use crate::script::Program;

fn reviewed(name: &str, text: &str) -> Review {
    review(&Program::from_text(name, text, Path::new(".")).unwrap())
}

/// Returns the findings as `LINE:COLUMN+WIDTH message (help)`, with `?` for what may be meant so.
fn findings(name: &str, text: &str) -> Vec<String> {
    let found = reviewed(name, text).findings;
    let line = |found: &super::Finding| {
        let at = &found.location;
        let doubt = if found.certain { "" } else { "? " };
        let help = found.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        format!("{}:{}+{} {doubt}{}{help}", at.line, at.column, at.width, found.message)
    };
    found.iter().map(line).collect()
}

const LUAU: &str = "local http = require(\"@kingtide/http\") local kt = require(\"@kingtide\")\n";
const RHAI: &str = "import \"kingtide/http\" as http; import \"kingtide\" as kt;\n";

fn luau(text: &str) -> Vec<String> {
    findings("a.luau", &format!("{LUAU}{text}"))
}

fn rhai(text: &str) -> Vec<String> {
    findings("a.rhai", &format!("{RHAI}{text}"))
}

#[test]
fn functions_that_never_run_are_looked_into() {
    let found = luau("local function f()\n    http.gett(\"/\")\nend");
    assert_eq!(found, ["3:10+4 kingtide/http has no function `gett`, did you mean `get`?"]);
    let found = rhai("fn f() {\n    http::gett(\"/\");\n}");
    assert_eq!(found, ["3:11+4 kingtide/http has no function `gett`, did you mean `get`?"]);
    let found = luau("local function f() kt.log.inof(\"a\") end");
    assert_eq!(found, ["2:27+4 kingtide log has no function `inof`, did you mean `info`?"]);
    let found = rhai("fn f() { kt::log::inof(\"a\"); }");
    assert_eq!(found, ["2:19+4 kingtide log has no function `inof`, did you mean `info`?"]);
}

#[test]
fn named_arguments_are_known_to_any_depth() {
    let found = luau("http.post(\"/\", { jsn = 1 }, { timeot = 1, auth = { bearr = \"x\" } })");
    assert_eq!(
        found,
        [
            "2:18+3 http.post: body: unknown argument `jsn`, did you mean `json`?",
            "2:31+6 http.post: params: unknown argument `timeot`, did you mean `timeout`?",
            "2:52+5 http.post: params.auth: unknown argument `bearr`, did you mean `bearer`?",
        ]
    );
    let found =
        rhai("fn f() { http::get(\"/\", #{ tag: #{}, tags: #{ any: 1 }, response: \"txt\" }) }");
    assert_eq!(
        found,
        [
            "2:28+3 http::get: params: unknown argument `tag`, did you mean `tags`?",
            "2:67+5 http::get: params.response must be \"text\" or \"binary\" or \"none\", not \"txt\"",
        ]
    );
}

#[test]
fn what_a_call_returned_is_known() {
    let found = luau("local r = http.get(\"/\")\nprint(r.stauts, r:jsn(), r.headers.anything)");
    assert_eq!(
        found,
        [
            "3:9+6 response has no field `stauts`, did you mean `status`?",
            "3:19+3 response has no field `jsn`, did you mean `json`?",
        ]
    );
    let found = rhai(
        "fn f() {\n let r = http::get(\"/\");\n r.stauts + r.timings.wating + r.json(\"a\").b;\n}",
    );
    assert_eq!(
        found,
        [
            "4:4+6 response has no field `stauts`, did you mean `status`?",
            "4:23+6 timings has no field `wating`, did you mean `waiting`?",
        ]
    );
}

#[test]
fn a_predicate_is_given_what_is_checked() {
    let found = luau("kt.check(http.get(\"/\"), {\n a = function(r) return r.stauts == 200 end })");
    assert_eq!(found, ["3:27+6 response has no field `stauts`, did you mean `status`?"]);
    let found = rhai("fn f() { kt::check(http::get(\"/\"), #{\n a: |r| r.stauts == 200 }) }");
    assert_eq!(found, ["3:11+6 response has no field `stauts`, did you mean `status`?"]);
}

#[test]
fn a_text_where_a_table_must_be_is_shown() {
    assert_eq!(
        luau("kt.check(1, \"is one\")"),
        ["2:13+8 kt.check: predicates must be a table, got a string"]
    );
    assert_eq!(
        rhai("fn f() { kt::check(1, \"is one\") }"),
        ["2:23+8 kt::check: predicates must be a table, got a string"]
    );
}

#[test]
fn what_is_assigned_again_is_not_judged() {
    let text = "local r = http.get(\"/\") r = { stauts = 1 } print(r.stauts)";
    assert_eq!(luau(text), [""; 0]);
    assert_eq!(rhai("fn f() { let r = http::get(\"/\"); r = #{ a: 1 }; r.a }"), [""; 0]);
    // Neither is a variable of the same name, nor what an author gives a type.
    assert_eq!(luau("local function f(http) http.gett() end"), [""; 0]);
    assert_eq!(luau("local r = (http.get(\"/\") :: any) print(r.stauts)"), [""; 0]);
}

#[test]
fn arguments_are_counted() {
    assert_eq!(luau("kt.sleep()"), ["2:4+5 kt.sleep takes (seconds), got nothing"]);
    assert_eq!(luau("kt.sleep(...) kt.sleep(f()) local function f() end").len(), 1);
    assert_eq!(luau("kt.pace(1, 2)"), ["2:4+4 ? kt.pace takes (period), got 2 arguments"]);
    assert_eq!(
        rhai("fn f() { http::get(); kt::log::info(1, 2, 3); }"),
        ["2:16+3 http::get takes (url, params?), got nothing"]
    );
    assert_eq!(rhai("fn f(a, b) { f(1); }"), ["2:14+1 `f` takes 2 arguments, got 1"]);
}

#[test]
fn signs_are_those_of_the_language() {
    assert_eq!(
        luau("http:get(\"/\")"),
        ["2:6+3 http.get: call it with `.`, not `:`: http.get(...)"]
    );
    assert_eq!(
        luau("local r = http.get(\"/\") r.json()"),
        ["2:27+4 response:json: call it with `:`, as in response:json(...)"]
    );
    assert_eq!(luau("local r = http.get(\"/\") r.json(r)"), [""; 0]);
    let found = rhai("fn f() { http.get(\"/\"); kt.vu.id }");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("`http` is a module: write `http::…`"), "{found:?}");
}

#[test]
fn names_that_nothing_has_are_shown() {
    let found = luau("for _, x in ipiars({}) do print(x) end");
    assert_eq!(found, ["2:13+6 nothing is called `ipiars` here (did you mean `ipairs`?)"]);
    assert_eq!(luau("if DEBUG then print(1) end"), ["2:4+5 ? nothing is called `DEBUG` here"]);
    assert_eq!(luau("function f() end f() G = 1 print(G)"), [""; 0]);
    let found = luau("json.encode(1)");
    assert_eq!(
        found,
        ["2:1+4 nothing is called `json` here (`json` is not loaded: local json = \
         require(\"@kingtide/json\"))"]
    );
    let found =
        rhai("const BASE = 1;\nlet x = 2;\nfn f(list) { print(lst); BASE + x + global::BASE }");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("unknown variable `lst` (did you mean `list`?)"), "{found:?}");
    assert!(found[1].contains("write `global::BASE`"), "{found:?}");
    assert!(found[2].contains("functions do not see variables of the top level"), "{found:?}");
    assert_eq!(rhai("fn f() { let g = |a| a; g.call(1); let h = 1; || h + 1 }"), [""; 0]);
    let found = rhai("fn login(a) {}\nfn f() { logn(1); sleep(1); print(len([1])); }");
    assert_eq!(
        found,
        [
            "3:10+4 unknown function `logn` (did you mean `login`?)",
            "3:19+5 unknown function `sleep` (write `kt::sleep(…)`)",
        ]
    );
}

#[test]
fn modules_that_are_not_there_are_shown_wherever_they_are_loaded() {
    let found = luau("local function f() return require(\"@kingtide/htpp\") end");
    assert_eq!(
        found,
        ["2:35+16 unknown module \"@kingtide/htpp\", did you mean \"@kingtide/http\"?"]
    );
    let found = luau("local x = require(\"./nowhere\")");
    assert!(found[0].contains("cannot find module \"./nowhere\""), "{found:?}");
    let found = rhai("fn f() { import \"kingtide/htpp\" as h; h::get(); }");
    assert_eq!(
        found,
        ["2:17+15 unknown module \"kingtide/htpp\", did you mean \"kingtide/http\"?"]
    );
}

#[test]
fn files_that_a_script_loads_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lib.luau"), format!("{LUAU}return {{ f = http.gett }}"))
        .unwrap();
    std::fs::write(folder.path().join("lib.rhai"), format!("{RHAI}fn f() {{ http::gett() }}"))
        .unwrap();
    for (name, text) in
        [("a.luau", "return require(\"./lib\")"), ("a.rhai", "import \"lib\" as lib;")]
    {
        let found = review(&Program::from_text(name, text, folder.path()).unwrap()).findings;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].location.file.starts_with("lib."), "{found:?}");
        assert_eq!(found[0].location.line, 2);
    }
}

#[test]
fn what_an_imported_file_of_rhai_offers_is_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lib.rhai"), "const A = 1;\nfn login(a) {}").unwrap();
    let text = "import \"lib\" as lib;\nconst BASE = 2;\n\
                fn f() { lib::logn(1); lib::login(lib::A); global::BSAE + global::BASE }";
    let found = review(&Program::from_text("a.rhai", text, folder.path()).unwrap()).findings;
    let messages: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`lib` has no function `logn`, did you mean `login`?",
            "the script has no constant `BSAE`, did you mean `BASE`?",
        ]
    );
}

#[test]
fn pauses_count_only_where_they_always_come_by() {
    let text = "local test = {}\nfunction test.a() kt.sleep(1) kt.sleep(\"500ms\") end\n\
                function test.b() if kt.vu.id > 1 then return end kt.sleep(1) end\n\
                function test.c() kt.sleep(1) kt.pace(3) end";
    let pauses = reviewed("a.luau", &format!("{LUAU}{text}")).pauses;
    assert_eq!(pauses.get("a"), Some(&1.5));
    assert_eq!(pauses.get("b"), None);
    assert_eq!(pauses.get("c"), Some(&3.0));
    let pauses = reviewed("a.rhai", &format!("{RHAI}fn a(data) {{ kt::sleep(2); }}")).pauses;
    assert_eq!(pauses.get("a"), Some(&2.0));
}

#[test]
fn the_examples_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "luau" || extension == "rhai") {
            let found = review(&Program::load(&path, &[]).unwrap()).findings;
            assert!(found.is_empty(), "{}: {found:?}", path.display());
            count += 1;
        }
    }
    assert!(count >= 2, "there are {count} examples");
}
