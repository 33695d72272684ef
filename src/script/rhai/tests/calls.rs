//! Functions, values, objects, waiting, checks and groups.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::api::{Stop, Value};
use crate::script::rhai::testing::{Script, block_on, instance, map, notes};
use crate::script::{Argument, ScriptErrorKind};

const HEAD: &str = "import \"kingtide\" as kt;\nimport \"kingtide/probe\" as probe;\n";

fn script(text: &str) -> Script {
    Script::new(&format!("{HEAD}{text}"))
}

fn value(text: &str) -> Value {
    script(text).run().unwrap()
}

#[test]
fn functions_see_the_constants_and_imports_of_the_top_level() {
    let text = "const BASE = kt::env(\"X\", \"http://x\");
        fn url() { global::BASE + \"/y\" }
        fn iteration() { probe::echo(url()) }";
    assert_eq!(value(text), Value::from("http://x/y"));
}

#[test]
fn a_wait_looks_like_a_call_that_blocks() {
    let text = "fn iteration() {
            let sum = 0;
            for i in 0..3 { sum += probe::get(i); }
            [1, 2].map(|x| probe::get(x)) + [sum]
        }";
    let wanted = Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
    assert_eq!(value(text), wanted);
}

#[test]
fn waiting_vus_interleave_on_one_engine() {
    let script = script(
        "fn iteration(data) { for i in 0..3 { probe::note(i); probe::get(i); } probe::note(data) }",
    );
    let host = script.host().unwrap();
    let mut first = instance(&host, &script.vu(1)).unwrap();
    let mut second = instance(&host, &script.vu(2)).unwrap();
    first.set_data(&Rc::new(Value::from("a"))).unwrap();
    second.set_data(&Rc::new(Value::from("b"))).unwrap();
    let (one, two) = block_on(async {
        tokio::join!(
            first.call("iteration", Argument::Data),
            second.call("iteration", Argument::Data)
        )
    });
    assert_eq!((one.unwrap(), two.unwrap()), (Value::Nil, Value::Nil));
    let notes = notes();
    assert!(notes[0].ends_with(": 0") && notes[1].ends_with(": 0"), "both began: {notes:?}");
    let of_one: Vec<&String> = notes.iter().filter(|note| note.starts_with("1:")).collect();
    assert_eq!(of_one, ["1: 0", "1: 1", "1: 2", "1: \"a\""]);
}

#[test]
fn a_function_takes_the_data_or_nothing_and_cannot_change_it_for_others() {
    let script = script(
        "fn iteration(data) { data.n += 1; probe::note(data.n) }
         fn bare() { probe::note(\"bare\") }",
    );
    let mut instance = script.instance().unwrap();
    instance.set_data(&Rc::new(map([("n", Value::Int(1))]))).unwrap();
    block_on(async {
        instance.call("iteration", Argument::Data).await.unwrap();
        instance.call("iteration", Argument::Data).await.unwrap();
        instance.call("bare", Argument::Data).await.unwrap();
    });
    assert_eq!(notes(), ["1: 2", "1: 2", "1: \"bare\""]);
}

#[test]
fn what_a_call_reads_of_the_data_is_its_own() {
    let script = script(
        "fn iteration(data) { let list = data.list; list.push(data.n); probe::note(list.len()); }
         fn change(data) { data.list.push(1); data.n += 1; probe::note(data.list.len()); }",
    );
    let mut instance = script.instance().unwrap();
    let data = map([("n", Value::Int(1)), ("list", Value::List(vec![Value::Int(1)]))]);
    instance.set_data(&Rc::new(data)).unwrap();
    block_on(async {
        for function in ["iteration", "change", "iteration", "change"] {
            instance.call(function, Argument::Data).await.unwrap();
        }
    });
    assert_eq!(notes(), ["1: 2"; 4]);
}

#[test]
fn answers_are_returned_where_they_are_wanted() {
    let script = script("fn summary(result) { #{ twice: result * 2 } }");
    let mut instance = script.instance().unwrap();
    let answer = block_on(instance.call("summary", Argument::Value(Value::Int(4)))).unwrap();
    assert_eq!(answer, map([("twice", Value::Int(8))]));
    let answer = block_on(instance.call("summary", Argument::Data));
    assert!(answer.is_err(), "() * 2 is an error");
}

#[test]
fn functions_offered_are_public_and_take_at_most_one_parameter() {
    let script = script(
        "fn iteration(data) {} fn setup() {} private fn hidden() {} fn two(a, b) {}
         fn options() { #{ vus: 3 } } let f = |x| x;",
    );
    let mut instance = script.instance().unwrap();
    assert_eq!(instance.functions(), ["iteration", "setup"]);
    assert_eq!(instance.options().unwrap(), map([("vus", Value::Int(3))]));
    assert_eq!(self::script("").instance().unwrap().options().unwrap(), Value::Nil);
}

#[test]
fn a_method_of_the_same_name_is_another_function() {
    let text = "fn int.iteration() { this + 1 }
        fn iteration() { let x = 4; return x.iteration(); }
        fn string.iteration() { 0 }";
    assert_eq!(value(text), Value::Int(5));
}

#[test]
fn a_call_sees_nothing_of_the_one_before() {
    let script = script(
        "fn iteration(data) { let x = 1; if is_def_var(\"y\") { return \"seen\"; } let y = data; x }
         fn setup() { is_def_var(\"data\") || is_def_var(\"x\") }",
    );
    let mut instance = script.instance().unwrap();
    block_on(async {
        let twice = Argument::Value(Value::Int(2));
        for _ in 0..3 {
            assert_eq!(instance.call("iteration", twice.clone()).await.unwrap(), Value::Int(1));
            let seen = instance.call("setup", Argument::None).await.unwrap();
            assert_eq!(seen, Value::Bool(false));
        }
    });
}

#[test]
fn a_native_function_leaves_the_variable_it_was_given() {
    let text = "fn iteration() {
            let list = [1]; let text = \"a\"; let map = #{ ok: |v| v == [1] };
            probe::echo(list); probe::echo(text); kt::check(list, map); kt::check(list, map);
            [list, text, map.len()]
        }";
    let wanted = vec![Value::List(vec![Value::Int(1)]), Value::from("a"), Value::Int(1)];
    assert_eq!(value(text), Value::List(wanted));
    assert_eq!(notes(), ["check ok true Nil", "check ok true Nil"]);
}

#[test]
fn objects_have_fields_methods_and_entries() {
    let text = "fn iteration() {
            let thing = probe::thing();
            thing.status = 5;
            thing.part.status += 2;
            let names = \"\";
            for entry in thing { names += entry.name + entry.value; }
            [thing.add(1), thing.add(1, true), thing.later(9), thing[\"content-type\"], names, `${thing}`]
        }";
    let wanted = vec![
        Value::Int(8),
        Value::Int(9),
        Value::Int(9),
        Value::from("text/plain"),
        Value::from("a1b2"),
        Value::from("<thing>"),
    ];
    assert_eq!(value(text), Value::List(wanted));
}

#[test]
fn parts_of_a_modules_objects_can_be_set() {
    let text = "fn iteration() { probe::common.part.status = 4; probe::common.status }";
    assert_eq!(value(text), Value::Int(4));
    assert_eq!(
        value("fn iteration() { kt::vu.tags.team = \"a\"; kt::vu.tags.team }"),
        Value::from("a")
    );
}

#[test]
fn checks_run_in_alphabetical_order_and_answer_whether_all_passed() {
    let script = script(
        "fn iteration() {
            let limit = 2;
            [kt::check(1, #{ b: |v| v < limit, a: |v| probe::get(v) == 1, c: 5 }, #{ t: \"x\" }),
             kt::check(1, #{ no: false })]
        }",
    );
    let wanted = Value::List(vec![Value::Bool(true), Value::Bool(false)]);
    assert_eq!(script.run().unwrap(), wanted);
    let tags = r#"{"t":"x"}"#;
    assert_eq!(
        notes(),
        [
            format!("check a true {tags}"),
            format!("check b true {tags}"),
            format!("check c true {tags}"),
            "check no false Nil".to_owned()
        ]
    );
}

#[test]
fn a_predicate_that_raises_counts_as_failed_and_raises_on() {
    let script = script("fn iteration() { kt::check(1, #{ a: |v| throw \"no\", b: true }) }");
    assert_eq!(script.error().message, "no");
    assert_eq!(notes(), ["check a false Nil"]);
}

#[test]
fn a_group_is_left_on_errors_too_and_answers_as_its_function() {
    let script = script(
        "fn iteration() {
            let value = kt::group(\"a\", || kt::group(\"b\", || probe::get(3)));
            try { kt::group(\"c\", || throw \"x\"); } catch {}
            value
        }",
    );
    assert_eq!(script.run().unwrap(), Value::Int(3));
    assert_eq!(
        notes(),
        [
            "enter ::a",
            "enter ::a::b",
            "leave to \"::a\"",
            "leave to \"\"",
            "enter ::c",
            "leave to \"\""
        ]
    );
}

#[test]
fn errors_of_calls_can_be_caught_with_kind_and_message() {
    let text = "fn iteration() {
            try { probe::broken() } catch (e) { return [e.kind, e.message, `${e}`]; }
        }";
    let text_of = Value::from;
    let wanted =
        vec![text_of("request"), text_of("the probe is broken"), text_of("the probe is broken")];
    assert_eq!(value(text), Value::List(wanted));
}

#[test]
fn prints_become_log_lines() {
    let script = script("fn iteration() { print(\"a\" + 1); debug(\"b\"); }");
    script.run().unwrap();
    assert_eq!(script.worker.logs(), ["a1", "\"b\""]);
}

#[test]
fn an_interrupt_ends_a_wait_whatever_the_script_catches() {
    let script = script(
        "fn iteration() { loop { try { probe::forever() } catch { probe::note(\"caught\") } } }",
    );
    let host = script.host().unwrap();
    let vu = script.vu(1);
    let mut instance = instance(&host, &vu).unwrap();
    let error = block_on(async {
        let stop = async {
            tokio::task::yield_now().await;
            vu.interrupt.stop(Stop::Cut);
        };
        tokio::join!(instance.call("iteration", Argument::None), stop).0.unwrap_err()
    });
    assert_eq!(error.kind, ScriptErrorKind::Stopped(Stop::Cut));
    assert!(notes().is_empty());
    vu.interrupt.reset();
    let error = block_on(instance.call("iterations", Argument::None)).unwrap_err();
    assert_eq!(error.message, "the script has no function `iterations`, did you mean `iteration`?");
}

#[test]
fn abort_ends_the_script_at_once() {
    let script =
        script("fn iteration() { try { kt::abort(\"x\") } catch {} probe::note(\"went on\"); }");
    assert_eq!(script.error().kind, ScriptErrorKind::Stopped(Stop::Abort));
    assert!(notes().is_empty());
}

#[test]
fn a_dropped_call_frees_what_it_held() {
    let script = script("fn iteration() { let t = probe::thing(); probe::forever(); t.status }");
    let host = script.host().unwrap();
    let vu = script.vu(1);
    let mut instance = instance(&host, &vu).unwrap();
    let held = Rc::strong_count(&vu);
    block_on(async {
        let mut call = Box::pin(instance.call("iteration", Argument::None));
        let pending = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
    });
    assert_eq!(Rc::strong_count(&vu), held);
    let error = block_on(async {
        let stop = async { vu.interrupt.stop(Stop::Cut) };
        tokio::join!(instance.call("iteration", Argument::None), stop).0.unwrap_err()
    });
    assert_eq!(error.kind, ScriptErrorKind::Stopped(Stop::Cut), "it can be called again");
}

#[test]
fn nothing_waits_while_the_script_loads_or_in_options() {
    let error = script("probe::get(1);").instance().err().unwrap();
    assert!(error.message.contains("while the script loads"), "{error}");
    let mut instance = script("fn options() { probe::get(1) }").instance().unwrap();
    let error = instance.options().unwrap_err();
    assert!(error.message.contains("in options()"), "{error}");
}
