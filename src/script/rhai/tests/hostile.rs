//! Scripts that mean harm, or are mistaken: each ends its own call, and a neighbour works on.

use std::time::Duration;

use crate::api::{ErrorKind, Value};
use crate::plan::ScriptLimits;
use crate::script::rhai::testing::{Script, block_on, instance, kind, limits, notes};
use crate::script::{Argument, ScriptErrorKind};

const HEAD: &str = "import \"kingtide\" as kt; import \"kingtide/probe\" as probe;
    fn neighbour() { let sum = 0; for i in 0..5 { sum += probe::get(i); } sum }
    fn recurse(n) { recurse(n + 1) }
    fn try_again(n) { try { try_again(n + 1) } catch { try_again(n + 1) } }
    fn with_closure(f) { [1].map(|x| with_closure(f)) }
    ";

fn quick() -> ScriptLimits {
    ScriptLimits { time: Duration::from_millis(150), ..limits() }
}

/// Runs a body beside a neighbour on the same engine and returns the error's kind.
fn outcome(body: &str) -> ErrorKind {
    outcome_with(body, quick())
}

fn outcome_with(body: &str, limits: ScriptLimits) -> ErrorKind {
    let text = format!("{HEAD} fn iteration() {{ {body} }}");
    let script = Script::with_limits(&text, limits);
    let host = script.host().unwrap();
    let mut bad = instance(&host, &script.vu(1)).unwrap();
    let mut good = instance(&host, &script.vu(2)).unwrap();
    let (bad, good) = block_on(async {
        tokio::join!(bad.call("iteration", Argument::None), good.call("neighbour", Argument::None))
    });
    assert_eq!(good.unwrap(), Value::Int(10), "{body}");
    kind(&bad.expect_err(body))
}

#[test]
fn endless_loops_end_by_time() {
    for body in [
        "loop {}",
        "loop { try { loop {} } catch { } }",
        "let a = []; while true { a = [1].map(|x| x); }",
        "try { [1].map(|x| { loop {} }) } catch { probe::note(\"caught\") }",
        "let a = []; for i in 0..2000 { a.push(i % 7); } a.sort(|x, y| { loop {} }); a",
        "kt::check(1, #{ a: |v| { loop {} } })",
        "kt::group(\"g\", || { loop {} })",
    ] {
        assert_eq!(outcome(body), ErrorKind::Time, "{body}");
    }
    assert!(notes().iter().all(|note| !note.contains("caught")));
}

#[test]
fn endless_recursion_ends_by_stack() {
    for body in [
        "recurse(0)",
        "try_again(0)",
        "with_closure(1)",
        "let f = |g| g.call(g); f.call(f)",
        "[1].sort(|a, b| recurse(0)); recurse(0)",
    ] {
        assert_eq!(outcome(body), ErrorKind::Stack, "{body}");
    }
}

#[test]
fn the_stack_ends_recursion_that_the_call_depth_allows() {
    let limits = ScriptLimits { call_depth: 1_000_000, time: Duration::from_secs(20), ..limits() };
    for body in ["recurse(0)", "with_closure(1)", "let f = |g| g.call(g); f.call(f)"] {
        assert_eq!(outcome_with(body, limits.clone()), ErrorKind::Stack, "{body}");
    }
}

#[test]
fn values_that_grow_end_by_size() {
    let limits = ScriptLimits { time: Duration::from_secs(20), ..limits() };
    for body in [
        "let s = \"x\"; loop { s += s; }",
        "let s = \"x\"; loop { s = s + s; }",
        "let s = \"x\"; loop { s = `${s}${s}`; }",
        "let s = \"x\"; s.pad(100000, 'x'); s.replace(\"x\", s);",
        "let s = \"x\"; s.pad(1000000, 'x'); s.split(\"\")",
        "let s = \"x\"; s.pad(1000000, 'x'); s.to_chars()",
        "let s = \"x\"; s.pad(9000000000, 'x');",
        "let s = \"x\"; s.pad(9000000, \"xy\");",
        "let a = [1]; loop { a += a; }",
        "let a = [1]; loop { a.append(a); }",
        "let a = [1]; loop { a = [a, a]; }",
        "let a = []; a.pad(9000000000, 1);",
        "blob(9000000000)",
        "let b = blob(10); loop { b += b; }",
        "let m = #{}; loop { m.x = [m, m]; }",
    ] {
        assert_eq!(outcome_with(body, limits.clone()), ErrorKind::Size, "{body}");
    }
}

#[test]
fn values_that_are_kept_end_by_memory() {
    let limits = ScriptLimits { time: Duration::from_secs(20), ..limits() };
    for body in [
        "let m = #{}; let i = 0; loop { m[`${i}`] = blob(1000); i += 1; }",
        "let a = []; a.pad(10000, 0); for i in 0..10000 { a[i] = blob(90000); }",
        "let a = []; for i in 0..3 { a.push(0); } loop { a[0] = [a[0], blob(9999)]; a[1] += 1; }",
    ] {
        let kind = outcome_with(body, limits.clone());
        assert!(matches!(kind, ErrorKind::Memory | ErrorKind::Size), "{body}: {kind}");
    }
    let body = "let m = #{}; let i = 0; loop { m[`${i}`] = blob(1000); i += 1; }";
    assert_eq!(outcome_with(body, limits), ErrorKind::Memory);
}

#[test]
fn values_nested_without_end_harm_nobody() {
    for body in [
        "let a = []; loop { a = [a]; }",
        "let a = #{}; loop { a = #{ a: a }; }",
        "let a = []; loop { let b = []; b.push(a); a = b; }",
    ] {
        let kind = outcome(body);
        assert!(matches!(kind, ErrorKind::Time | ErrorKind::Size), "{body}: {kind}");
    }
    let closures = "let f = || 1; loop { let g = f; f = || g; }";
    assert_eq!(outcome(closures), ErrorKind::Time);
    assert_eq!(outcome("let a = [1]; let f = || a; print(f); debug(f); loop {}"), ErrorKind::Time);
}

#[test]
fn a_top_level_without_end_is_an_error_of_loading() {
    let script = Script::with_limits("let x = 0; loop { x += 1; }", quick());
    let error = script.instance().err().unwrap();
    assert_eq!(kind(&error), ErrorKind::Time);
    let script = Script::with_limits("fn f() { f() } f();", quick());
    assert_eq!(kind(&script.instance().err().unwrap()), ErrorKind::Stack);
}

#[test]
fn a_long_computation_lets_others_run() {
    let script = Script::new(
        "import \"kingtide/probe\" as probe;
         fn long() { let x = 0; for i in 0..1000000 { x += i; } probe::note(\"long\"); }
         fn short() { probe::note(\"short\"); }",
    );
    let host = script.host().unwrap();
    let mut long = instance(&host, &script.vu(1)).unwrap();
    let mut short = instance(&host, &script.vu(2)).unwrap();
    block_on(async {
        let (long, short) =
            tokio::join!(long.call("long", Argument::None), short.call("short", Argument::None));
        (long.unwrap(), short.unwrap())
    });
    assert_eq!(notes(), ["2: \"short\"", "1: \"long\""]);
}

#[test]
fn scripts_reach_nothing_but_the_modules() {
    let error = Script::new("fn iteration() { eval(\"1\") }").instance().err().unwrap();
    assert_eq!(error.kind, ScriptErrorKind::Load);
    for call in ["open(\"/etc/passwd\")", "getenv(\"HOME\")", "system(\"ls\")", "sleep(1)"] {
        let script = Script::new(&format!("fn iteration() {{ {call} }}"));
        assert_eq!(kind(&script.error()), ErrorKind::Script, "{call}");
    }
}
