//! Imports of native modules and of files.

use crate::api::Value;
use crate::script::rhai::testing::{Script, block_on, instance, notes};
use crate::script::{Argument, ScriptErrorKind};

#[test]
fn files_beside_the_script_can_be_imported_with_their_own_imports_and_constants() {
    let script = Script::new(
        "import \"helpers\" as h; import \"./lib/deep\" as deep;
         fn iteration() { [h::greet(\"x\"), deep::twice(4), h::NAME] }",
    )
    .file(
        "helpers.rhai",
        "import \"kingtide/probe\" as probe; const HELLO = \"hello \"; export const NAME = \"n\";
         fn greet(who) { probe::get(global::HELLO) + who }",
    )
    .file("lib/deep.rhai", "import \"./sibling\" as s; fn twice(x) { s::add(x, x) }")
    .file("lib/sibling.rhai", "fn add(a, b) { a + b }");
    let wanted = vec![Value::from("hello x"), Value::Int(8), Value::from("n")];
    assert_eq!(script.run().unwrap(), Value::List(wanted));
}

#[test]
fn predicates_and_closures_work_inside_imported_files() {
    let script = Script::new("import \"h\" as h; fn iteration() { h::apply(|x| x + 1) }").file(
        "h.rhai",
        "import \"kingtide\" as kt;
         fn apply(f) { kt::check(1, #{ one: |v| v == 1 }) && [f.call(1)] == [1].map(|x| x + 1) }",
    );
    assert_eq!(script.run().unwrap(), Value::Bool(true));
    assert_eq!(notes(), ["check one true Nil"]);
}

#[test]
fn nothing_outside_the_folder_can_be_imported() {
    for request in ["../x", "/etc/passwd", "sub/../../x"] {
        let error = Script::new(&format!("import \"{request}\" as x;")).instance().err().unwrap();
        assert_eq!(error.kind, ScriptErrorKind::Load, "{request}");
        assert!(error.message.contains("--include"), "{request}: {error}");
        assert_eq!(error.location.unwrap().line, 1);
    }
}

#[test]
fn unknown_modules_are_refused_with_the_nearest() {
    let error = Script::new("import \"kingtide/prob\" as p;").instance().err().unwrap();
    assert_eq!(error.message, "unknown module \"kingtide/prob\", did you mean \"kingtide/probe\"?");
    let error = Script::new("import \"nothing\" as n;").instance().err().unwrap();
    assert!(error.message.starts_with("cannot find module \"nothing\""), "{error}");
}

#[test]
fn files_that_import_each_other_are_refused() {
    let script = Script::new("import \"a\" as a;")
        .file("a.rhai", "import \"b\" as b;")
        .file("b.rhai", "import \"a\" as a;");
    let error = script.instance().err().unwrap();
    assert_eq!(error.message, "a.rhai imports itself (by a.rhai -> b.rhai)");
    assert_eq!(error.kind, ScriptErrorKind::Load);
    assert_eq!(error.location.unwrap().file, "b.rhai");
}

#[test]
fn vus_do_not_see_each_others_values() {
    let script = Script::new(
        "import \"kingtide/probe\" as probe; import \"m\" as m;
         const THING = probe::thing();
         fn iteration() { global::THING.add(1) + m::count() }",
    )
    .file(
        "m.rhai",
        "import \"kingtide/probe\" as probe; const THING = probe::thing();
         fn count() { global::THING.add(1) * 10 }",
    );
    let host = script.host().unwrap();
    let mut first = instance(&host, &script.vu(1)).unwrap();
    let mut second = instance(&host, &script.vu(2)).unwrap();
    block_on(async {
        assert_eq!(first.call("iteration", Argument::None).await.unwrap(), Value::Int(11));
        assert_eq!(first.call("iteration", Argument::None).await.unwrap(), Value::Int(22));
        assert_eq!(second.call("iteration", Argument::None).await.unwrap(), Value::Int(11));
    });
}

#[test]
fn native_modules_cannot_be_overwritten() {
    let script = Script::new(
        "import \"kingtide/probe\" as probe;
         fn echo(x) { 0 }
         fn iteration() { probe::echo(5) }",
    );
    assert_eq!(script.run().unwrap(), Value::Int(5));
    for text in ["probe::common = 1;", "probe::echo = 1;"] {
        let text = format!("import \"kingtide/probe\" as probe; fn iteration() {{ {text} }}");
        assert!(Script::new(&text).run().is_err(), "{text}");
    }
}

#[test]
fn a_name_means_the_function_of_the_file_that_calls_it() {
    let script = Script::new(
        "import \"kingtide\" as kt; import \"h\" as h;
         fn name() { \"entry\" }
         fn iteration() {
            let n = [name(), name(), name()];
            kt::check(1, #{ a: |v| name() == \"entry\" });
            n + [h::of(), h::of(), h::of(), name(), h::within(|| name())]
         }",
    )
    .file("h.rhai", "fn name() { \"helper\" } fn of() { name() } fn within(f) { f.call() }");
    let mut instance = script.instance().unwrap();
    let [entry, helper] = ["entry", "helper"].map(Value::from);
    let mut wanted = vec![entry.clone(), entry.clone(), entry.clone()];
    wanted.extend([helper.clone(), helper.clone(), helper, entry.clone(), entry]);
    let wanted = Value::List(wanted);
    block_on(async {
        for _ in 0..4 {
            assert_eq!(instance.call("iteration", Argument::None).await.unwrap(), wanted);
        }
    });
    assert!(notes().iter().all(|note| note == "check a true Nil"));
}

#[test]
fn a_closure_sees_the_constants_and_imports_of_the_file_it_was_written_in() {
    let script = Script::new(
        "import \"kingtide\" as kt; import \"kingtide/probe\" as x; import \"h\" as h; import \"g\" as g;
         const BASE = 10; const SAME = 1;
         fn add(n) { n + global::BASE + global::SAME }
         fn iteration() {
            let captured = 100;
            [
                h::apply(|n| n + global::BASE + captured),
                h::apply(add),
                h::all(#{ f: |n| x::echo(n) + global::SAME, more: [|n| h::apply(|m| m + global::BASE)] }),
                h::made().call(1),
                h::MADE.call(1),
                h::twice(|n| n + global::SAME),
                h::check(|v| v == global::SAME),
            ]
         }",
    )
    .file(
        "h.rhai",
        "import \"kingtide\" as kt; import \"g\" as x; const SAME = 2; const OWN = 5;
         export const MADE = |n| n + global::OWN;
         fn apply(f) { f.call(1) }
         fn all(map) { map.f.call(1) + map.more[0].call(1) }
         fn made() { |n| n + global::OWN + global::SAME }
         fn twice(f) { x::each(f) + x::each(|n| n * global::SAME) }
         fn check(f) { kt::check(1, #{ given: f, own: |v| v + 1 == global::SAME }) }",
    )
    .file("g.rhai", "const SAME = 3; fn each(f) { [1, 2].map(f).reduce(|a, b| a + b, 0) }");
    let wanted = [111, 12, 13, 8, 6, 11].map(Value::Int).to_vec();
    let wanted = [wanted, vec![Value::Bool(true)]].concat();
    assert_eq!(script.run().unwrap(), Value::List(wanted));
    assert_eq!(notes(), ["check given true Nil", "check own true Nil"]);
}

#[test]
fn functions_handed_to_a_file_take_what_they_take_at_home() {
    let script = Script::new(
        "import \"h\" as h;
         fn iteration() {
            [
                h::do_map(|x, i| x * 10 + i), h::do_map(|| this + 1), h::do_filter(|x| x > 1), h::do_sort(|a, b| b - a),
                h::name(\"x\".len()), h::do_change(|| this += 1),
            ]
         }",
    );
    let script = script.file(
        "h.rhai",
        "fn do_map(f) { [1, 2].map(f) }
         fn do_filter(f) { let a = [1, 2, 3]; let b = a.filter(f); a + b }
         fn do_sort(f) { let a = [1, 3, 2]; a.sort(f); a }
         fn name(x) { x }
         fn do_change(f) { let a = [1, 2]; a.for_each(f); a }",
    );
    let list = |items: &[i64]| Value::List(items.iter().copied().map(Value::Int).collect());
    let wanted = vec![
        list(&[10, 21]),
        list(&[2, 3]),
        list(&[1, 2, 3, 2, 3]),
        list(&[3, 2, 1]),
        Value::Int(1),
        list(&[2, 3]),
    ];
    assert_eq!(script.run().unwrap(), Value::List(wanted));
    let script = Script::new("import \"h\" as h; fn iteration() { h::once(|a, b| a) }")
        .file("h.rhai", "fn once(f) {\n f.call(1)\n}");
    let error = script.error();
    assert!(error.message.contains("called with 1 argument, which is not"), "{error}");
    assert_eq!(error.location.unwrap().file, "h.rhai");
}

#[test]
fn a_file_that_returns_early_and_one_with_methods_can_be_used() {
    let script = Script::new(
        "import \"early\" as early; import \"methods\" as methods;
         fn iteration() { [early::two(), \"a\".shout(), methods::loud(\"b\")] }",
    )
    .file("early.rhai", "fn two() { 2 } if true { return; }")
    .file("methods.rhai", "fn string.shout() { this + \"!\" } fn loud(x) { x.shout() }");
    let wanted = vec![Value::Int(2), Value::from("a!"), Value::from("b!")];
    assert_eq!(script.run().unwrap(), Value::List(wanted));
}

#[test]
fn a_file_imported_while_a_call_runs_changes_no_later_call() {
    let script = Script::new(
        "fn iteration(load) {
            if load { import \"h\" as h; return [h::of(), h::of(), h::of(), name()]; }
            [name(), name(), name()]
         }
         fn name() { \"entry\" }",
    )
    .file("h.rhai", "fn name() { \"helper\" } fn of() { name() }");
    let host = script.host().unwrap();
    let mut first = instance(&host, &script.vu(1)).unwrap();
    let mut second = instance(&host, &script.vu(2)).unwrap();
    let texts = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::from(*text)).collect());
    block_on(async {
        let load = |load: bool| Argument::Value(Value::Bool(load));
        first.call("iteration", load(true)).await.unwrap();
        let after = second.call("iteration", load(false)).await.unwrap();
        assert_eq!(after, texts(&["entry", "entry", "entry"]));
        let loaded = second.call("iteration", load(true)).await.unwrap();
        let Value::List(loaded) = loaded else { panic!("it answers a list") };
        assert_eq!(Value::List(loaded[..3].to_vec()), texts(&["helper", "helper", "helper"]));
    });
}

#[test]
fn reserved_words_that_mean_nothing_are_names_like_others() {
    let script = Script::new(
        "import \"h\" as shared; import \"h\" as go;
         fn iteration() {
            let sync = #{ throw: 1, default: shared::two(), yield: 3, in: 4 };
            sync.throw += 10;
            [sync.throw, sync.default, sync?.yield, sync.in, go::two(), [1, if true { 5 } else { 6 }]]
         }",
    )
    .file("h.rhai", "fn two() { 2 }");
    let wanted = [11, 2, 3, 4, 2].map(Value::Int).to_vec();
    let wanted = [wanted, vec![Value::List(vec![Value::Int(1), Value::Int(5)])]].concat();
    assert_eq!(script.run().unwrap(), Value::List(wanted));
}

#[test]
fn words_of_other_languages_stay_reserved() {
    for text in
        ["var x = 1;", "let x = null;", "let x = new X();", "fn f() { this.call = throw 1 }"]
    {
        let error = Script::new(text).instance().err().unwrap();
        assert_eq!(error.kind, ScriptErrorKind::Load, "{text}");
    }
    let script = Script::new("fn iteration() { try { throw 1 } catch (e) { return e } }");
    assert_eq!(script.run().unwrap(), Value::Int(1));
}
