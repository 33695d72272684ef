//! What authors read: message, place, function, stack, help.

use std::fmt::Write as _;

use crate::api::ErrorKind;
use crate::script::rhai::testing::{Script, kind};
use crate::script::{ScriptError, ScriptErrorKind};

const HEAD: &str = "import \"kingtide\" as kt; import \"kingtide/probe\" as probe;\n";

/// Prints an error as tests compare it.
fn shown(error: &ScriptError) -> String {
    let mut text = error.message.clone();
    if let Some(place) = &error.location {
        write!(text, " @ {}:{}:{}+{}", place.file, place.line, place.column, place.width).unwrap();
    }
    if let Some(help) = &error.help {
        write!(text, " | {help}").unwrap();
    }
    text
}

fn error(text: &str) -> String {
    shown(&Script::new(&format!("{HEAD}{text}")).error())
}

#[test]
fn misspelt_names_are_answered_with_the_nearest() {
    assert_eq!(
        error("fn iteration() { probe::gett(1) }"),
        "kingtide/probe has no function `gett`, did you mean `get`? @ test.rhai:2:25+4"
    );
    assert_eq!(
        error("fn helper() {} fn iteration() {\n  helpr() }"),
        "unknown function `helpr`, did you mean `helper`? @ test.rhai:3:3+5"
    );
    assert_eq!(
        error("fn iteration() { let t = probe::thing(); t.statu }"),
        "thing has no field `statu`, did you mean `status`? @ test.rhai:2:44+5"
    );
    assert_eq!(
        error("fn iteration() { let t = probe::thing(); t.ad(1) }"),
        "thing has no method `ad`, did you mean `add`? @ test.rhai:2:44+2"
    );
    assert_eq!(
        error("const BASE = 1 + 1; fn iteration() { global::BSE }"),
        "the script has no constant `BSE`, did you mean `BASE`? @ test.rhai:2:38+11"
    );
}

#[test]
fn wrong_arguments_name_the_parameters() {
    assert_eq!(
        error("fn iteration() { probe::get(1, 2, 3) }"),
        "probe::get takes (url, params?), got 3 arguments @ test.rhai:2:25+3"
    );
    assert_eq!(
        error("fn iteration() { probe::thing().add() }"),
        "thing.add takes (value, twice?), got 0 arguments @ test.rhai:2:33+3"
    );
    assert_eq!(
        error("fn iteration() { probe::echo(|x| x) }"),
        "probe::echo: argument 1 (value): a function cannot be passed here @ test.rhai:2:25+4"
    );
    assert_eq!(
        error("fn two(a, b) { a } fn iteration() { two(1) }"),
        "`two` takes 2 arguments, got 1 @ test.rhai:2:37+3"
    );
}

#[test]
fn common_mistakes_come_with_the_remedy() {
    assert_eq!(
        error("fn iteration() { kt.sleep(1) }"),
        "unknown variable `kt` @ test.rhai:2:18+2 | `kt` is a module: write \
         `kt::function(…)`, with `::` instead of `.`"
    );
    assert_eq!(
        error("const BASE = kt::env(\"X\", 1); fn iteration() { BASE }"),
        "unknown variable `BASE` in a function @ test.rhai:2:48+4 | `BASE` is a constant of the \
         script: write `global::BASE`"
    );
    assert_eq!(
        shown(&Script::new("fn iteration() { probe::get(1) }").error()),
        "unknown module `probe` @ test.rhai:1:18+10 | add `import \"kingtide/probe\" as probe;` at \
         the top"
    );
    assert_eq!(
        error("let count = 1;\nfn iteration() { count }"),
        "unknown variable `count` @ test.rhai:3:18+5 | functions do not see variables of the top \
         level; declare it with `const count = …;` and write `global::count`"
    );
}

#[test]
fn errors_carry_function_and_stack() {
    let script = Script::new(
        "import \"h\" as h;
fn inner(x) { h::deep(x) }
fn iteration() {
    [1].map(|x| inner(x));
}",
    )
    .file("h.rhai", "\nfn deep(x) {\n    throw `bad ${x}`;\n}");
    let error = script.error();
    assert_eq!(shown(&error), "bad 1 @ h.rhai:3:5+5");
    assert_eq!(error.location.as_ref().unwrap().source, "    throw `bad ${x}`;");
    assert_eq!(error.function, "deep");
    assert_eq!(
        error.stack,
        [
            "deep at h.rhai:3",
            "inner at test.rhai:2",
            "a closure at test.rhai:4",
            "iteration at test.rhai:4"
        ]
    );
}

#[test]
fn kinds_of_calls_survive() {
    for (call, wanted) in
        [("kt::fail(\"no\")", ErrorKind::Fail), ("probe::broken()", ErrorKind::Request)]
    {
        let script = Script::new(&format!("{HEAD}fn f() {{ {call} }} fn iteration() {{ f() }}"));
        assert_eq!(kind(&script.error()), wanted);
        let text = format!("{HEAD}fn iteration() {{ try {{ {call} }} catch (e) {{ throw e; }} }}");
        assert_eq!(kind(&Script::new(&text).error()), wanted, "thrown again");
    }
}

#[test]
fn thrown_values_are_shown_as_text_or_json() {
    assert_eq!(
        error("fn iteration() { throw #{ a: [1, ()] } }"),
        "{\"a\":[1,null]} @ test.rhai:2:18+5"
    );
    assert_eq!(
        error("fn iteration() { throw }"),
        "an error was thrown without a message @ test.rhai:2:18+5"
    );
}

#[test]
fn syntax_errors_are_errors_of_loading_with_their_place() {
    let error = Script::new("fn iteration() {\n  let x = ;\n}").instance().err().unwrap();
    assert_eq!(error.kind, ScriptErrorKind::Load);
    let place = error.location.unwrap();
    assert_eq!(
        (place.file.as_str(), place.line, place.source.as_str()),
        ("test.rhai", 2, "  let x = ;")
    );
    let script = Script::new("import \"m\" as m;").file("m.rhai", "fn f( {");
    let error = script.instance().err().unwrap();
    assert_eq!(error.kind, ScriptErrorKind::Load);
    assert_eq!(error.location.as_ref().unwrap().file, "m.rhai");
    assert_eq!(error.stack, ["the top level at m.rhai:1", "the top level at test.rhai:1"]);
}

#[test]
fn a_broken_limit_names_the_function_that_was_called_and_the_line_in_it() {
    let script = Script::new("\nfn iteration() {\n let s = \"x\";\n loop { s += s; }\n}");
    let error = script.error();
    assert_eq!(kind(&error), ErrorKind::Size);
    assert_eq!(error.message, "length of string is over the limit");
    assert_eq!((error.function.as_str(), error.location.unwrap().line), ("iteration", 4));
    let deeper = "fn grow(s) { loop { s += s; } }\nfn iteration() {\n let x = 1;\n grow(\"x\");\n}";
    let error = Script::new(deeper).error();
    assert_eq!(kind(&error), ErrorKind::Size);
    assert_eq!(error.location.unwrap().line, 4, "the call that led there");
}

#[test]
fn a_top_level_that_returns_early_is_refused() {
    let error = Script::new("let x = 1; if x == 1 { return; } x = 2;").instance().err().unwrap();
    assert_eq!(error.kind, ScriptErrorKind::Load);
    assert!(error.message.contains("top level must run to its end"), "{error}");
}

#[test]
fn answers_that_cannot_leave_the_script_are_refused() {
    assert_eq!(
        error("fn iteration() { |x| x }"),
        "what iteration() returned cannot be used: a function cannot be passed here"
    );
}
