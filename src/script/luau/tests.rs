//! Scripts against the engine: binding, waiting, limits, isolation, errors.

use std::fmt::Write;
use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::{Host, Instance};
use crate::api::{self, ErrorKind, Module, Stop, Value, VuContext};
use crate::plan::{Isolation, ScriptLimits};
use crate::script::testing::{TRIAL, TestWorker, begin, program};
use crate::script::{Argument, ScriptError, ScriptErrorKind};

const MODULES: &[Module] = &[api::MODULES[0], TRIAL];

const HEAD: &str =
    "local kt = require(\"@kingtide\")\nlocal trial = require(\"@kingtide/trial\")\n";

fn limits() -> ScriptLimits {
    ScriptLimits {
        memory_bytes: 8 << 20,
        time: Duration::from_millis(300),
        slice: Duration::from_millis(20),
        call_depth: 20_000,
        ..ScriptLimits::default()
    }
}

/// A worker with a program.
struct Bench {
    worker: TestWorker,
    host: Host,
}

impl Bench {
    /// `body` are functions of `test`; two lines stand before it.
    fn new(body: &str) -> Self {
        Self::in_folder(&format!("{HEAD}{body}"), Path::new(".")).unwrap()
    }

    fn in_folder(text: &str, folder: &Path) -> Result<Self, ScriptError> {
        let worker = TestWorker::new(limits(), Isolation::Shared);
        let program = program("trial.luau", text, folder);
        let host = Host::with_modules(program, &worker.context, MODULES)?;
        Ok(Self { worker, host })
    }

    fn vu(&self, id: u64) -> (Rc<VuContext>, Instance) {
        let vu = self.worker.vu(id);
        let instance = self.host.instance(&vu).unwrap_or_else(|error| panic!("{error:#?}"));
        begin(&vu);
        (vu, instance)
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, future)
}

fn call(instance: &mut Instance, function: &str) -> Result<Value, ScriptError> {
    block(instance.call(function, Argument::None))
}

/// Runs the body of a function in a VU of its own and returns what it returns.
fn eval(body: &str) -> Result<Value, ScriptError> {
    let bench = Bench::new(&format!("return {{ run = function()\n{body}\nend }}"));
    let (_vu, mut instance) = bench.vu(1);
    call(&mut instance, "run")
}

fn text(body: &str) -> String {
    match eval(body) {
        Ok(value) => {
            value.as_text().map_or_else(|| format!("{value:?}"), std::borrow::Cow::into_owned)
        }
        Err(error) => panic!("{error:#?}"),
    }
}

fn failure(body: &str) -> ScriptError {
    eval(body).expect_err("it should fail")
}

fn load_failure(text: &str) -> ScriptError {
    match Bench::in_folder(text, Path::new(".")) {
        Err(error) => error,
        Ok(bench) => match bench.host.instance(&bench.worker.vu(0)) {
            Err(error) => error,
            Ok(_) => panic!("it should not load"),
        },
    }
}

const KINDS: [(&str, ErrorKind); 5] = [
    ("script", ErrorKind::Script),
    ("time", ErrorKind::Time),
    ("memory", ErrorKind::Memory),
    ("stack", ErrorKind::Stack),
    ("fail", ErrorKind::Fail),
];

fn kind_name(error: &ScriptError) -> &'static str {
    match error.kind {
        ScriptErrorKind::Uncaught(kind) => {
            KINDS.iter().find(|(_, k)| *k == kind).map_or("other", |(name, _)| name)
        }
        ScriptErrorKind::Load => "load",
        ScriptErrorKind::Stopped(_) => "stopped",
    }
}

#[test]
fn values_keep_their_kind_across_the_border() {
    for (luau, seen) in [
        ("nil", "Nil"),
        ("trial.null", "null"),
        ("true", "true"),
        ("7", "7"),
        ("7.5", "7.5"),
        ("2^60", "1.152921504606847e+18"),
        ("'a\\u{e9}'", "\"a\u{e9}\""),
        ("buffer.fromstring('xy')", "\"xy\""),
        ("{1, 2, {3}}", "[1,2,[3]]"),
        ("{}", "{}"),
        ("{a = {b = 1}}", "{\"a\":{\"b\":1}}"),
        ("{1, x = 2}", "{\"1\":1,\"x\":2}"),
        ("{[1] = 'a', [3] = 'c'}", "{\"1\":\"a\",\"3\":\"c\"}"),
    ] {
        assert_eq!(text(&format!("return trial.kind({luau})")), seen, "{luau}");
    }
}

#[test]
fn what_cannot_pass_is_refused_by_name() {
    for (luau, message) in [
        ("print", "trial.kind: argument 1 (value): a function cannot be passed here"),
        (
            "{a = print}",
            "trial.kind: argument 1 (value): a function cannot be passed here (in `a`)",
        ),
        (
            "{[{}] = 1}",
            "trial.kind: argument 1 (value): a table's names must be strings or numbers, got a table",
        ),
    ] {
        assert_eq!(failure(&format!("return trial.kind({luau})")).message, message);
    }
    let cycle = failure("local t = {}\nt.t = t\ntrial.kind(t)");
    assert!(cycle.message.contains("contains itself"), "{}", cycle.message);
    let deep = failure("local t = {}\nfor _ = 1, 200 do t = { t } end\ntrial.kind(t)");
    assert!(deep.message.contains("nested deeper than 100"), "{}", deep.message);
    let wide = failure("local t = {1}\nfor _ = 1, 60 do t = { t, t } end\ntrial.kind(t)");
    assert_eq!(wide.kind, ScriptErrorKind::Uncaught(ErrorKind::Size), "{}", wide.message);
}

#[test]
fn empty_arrays_and_nulls_survive() {
    let bench = Bench::new(
        "local test = {}\nfunction test.run(data)\n  return { data.list, data.map, data.null == trial.null, #data.items }\nend\nreturn test",
    );
    let (_vu, mut instance) = bench.vu(1);
    let json = serde_json::json!({"list": [], "map": {}, "null": null, "items": [1, 2]});
    let argument = Argument::Value(Value::from_json(&json));
    let value = block(instance.call("run", argument)).unwrap();
    assert_eq!(value.to_json(), serde_json::json!([[], {}, true, 2]));
}

#[test]
fn objects_have_fields_methods_and_iteration() {
    assert_eq!(text("local t = trial.thing()\nt.count = 5\nreturn t.count + t:add(2)"), "12");
    assert_eq!(text("local s = 0\nfor n in trial.thing() do s = s * 10 + n end\nreturn s"), "321");
    assert_eq!(
        text("local t = trial.thing()\nreturn tostring(t) .. #t .. tostring(t == trial.echo(t))"),
        "<thing>1true"
    );
    let error = failure("local t = trial.thing()\nreturn t.cuont");
    assert_eq!(error.message, "thing has no field `cuont`, did you mean `count`?");
    assert_eq!(error.location.unwrap().line, 5);
    let caught = text(
        "local t = trial.thing()\nlocal ok, e = pcall(function() return t.cuont end)\nreturn type(e) .. e",
    );
    assert!(caught.starts_with("stringtrial.luau:5: thing has no field"), "{caught}");
    let error = failure("local t = trial.thing()\nt.add(2)");
    assert!(error.message.contains("call it with `:`"), "{}", error.message);
}

#[test]
fn modules_are_strict_and_read_only() {
    assert_eq!(text("return trial.deep.name() .. trial.answer"), "deep42");
    assert_eq!(
        failure("trial.ehco(1)").message,
        "kingtide/trial has no function `ehco`, did you mean `echo`?"
    );
    assert!(failure("trial._hidden()").message.contains("no function"));
    assert!(failure("trial.echo = nil").message.contains("read-only"));
    assert!(failure("trial.deep.name = nil").message.contains("read-only"));
    let colon = failure("return trial:echo(1)");
    assert_eq!(colon.message, "trial.echo: call it with `.`, not `:`: trial.echo(...)");
    let unknown = failure("return require('@kingtide/trail')");
    assert!(unknown.message.contains("did you mean \"@kingtide/trial\"?"), "{}", unknown.message);
}

#[test]
fn waits_work_in_protected_calls_coroutines_and_iterators() {
    assert_eq!(text("return trial.nap(5) + select(2, pcall(trial.nap, 6))"), "11");
    let body = "local co = coroutine.wrap(function() for i = 1, 300 do coroutine.yield(trial.nap(i) + trial.nap(0)) end end)\nlocal sum = 0\nfor v in co do sum += v end\nreturn sum";
    assert_eq!(text(body), "45150");
    let nested = "local outer = coroutine.create(function()\n local inner = coroutine.wrap(function() return trial.nap(1) + trial.nap(2) end)\n return inner() + trial.nap(3)\nend)\nreturn select(2, coroutine.resume(outer))";
    assert_eq!(text(nested), "6");
    assert_eq!(text("return tostring(select(2, pcall(trial.reject)))"), "no answer");
    let rejected = failure("trial.reject()");
    assert_eq!(rejected.kind, ScriptErrorKind::Uncaught(ErrorKind::Request));
    assert_eq!(rejected.location.unwrap().line, 4);
}

#[test]
fn where_nothing_can_wait_the_error_says_so() {
    for body in [
        "table.sort({2, 1}, function(a, b) trial.nap() return a < b end)",
        "string.gsub('a', 'a', function() trial.nap() end)",
        "return setmetatable({}, { __index = function() return trial.nap() end }).x",
        "table.sort({2, 1}, function(a, b) coroutine.wrap(trial.nap)() return a < b end)",
    ] {
        let error = failure(body);
        assert!(error.message.contains("cannot wait inside a metamethod"), "{}", error.message);
        assert_eq!(error.location.map(|l| l.line), Some(4), "{body}");
    }
    let error = failure("coroutine.yield(1)");
    assert!(error.message.contains("only coroutines"), "{}", error.message);
    assert_eq!(error.location.unwrap().line, 4);
}

#[test]
fn vus_wait_at_the_same_time() {
    let bench = Bench::new(
        "local test = {}\nlocal mine\nfunction test.run(id)\n  mine = id\n  for _ = 1, 50 do assert(trial.nap(id) == id and mine == id) end\n  return mine\nend\nreturn test",
    );
    let mut vus: Vec<_> = (0..300).map(|id| bench.vu(id)).collect();
    assert_eq!(bench.host.states.borrow().len(), 2, "250 to a state");
    let calls =
        vus.iter_mut().map(|(vu, instance)| instance.call("run", Argument::Value(vu.id.into())));
    let answers = block(futures_util::future::join_all(calls));
    for (id, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), Value::Int(id as i64));
    }
}

#[test]
fn an_interrupt_ends_waits_and_loops() {
    for body in [
        "trial.forever()",
        "while true do trial.nap() end",
        "while true do pcall(trial.nap) end",
        "while true do end",
    ] {
        let bench = Bench::new(&format!(
            "local test = {{}}\nfunction test.run()\n{body}\nend\nfunction test.ok() return 1 end\nreturn test"
        ));
        let (vu, mut instance) = bench.vu(1);
        let interrupt = Rc::clone(&vu.interrupt);
        let result = block(async move {
            let stop = async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                interrupt.stop(Stop::Cut);
            };
            let result =
                futures_util::future::join(instance.call("run", Argument::None), stop).await.0;
            vu.interrupt.reset();
            assert_eq!(instance.call("ok", Argument::None).await.unwrap(), Value::Int(1));
            result
        });
        let error = result.unwrap_err();
        assert_eq!(error.kind, ScriptErrorKind::Stopped(Stop::Cut), "{body}");
    }
    let error = failure("pcall(kt.abort, 'enough')\nwhile true do end");
    assert_eq!(error.kind, ScriptErrorKind::Stopped(Stop::Abort));
}

#[test]
fn a_call_may_be_dropped_while_it_waits() {
    let bench = Bench::new(
        "return { hang = function() trial.forever() end, ok = function() return trial.nap(1) end }",
    );
    let (_vu, mut instance) = bench.vu(1);
    block(async {
        let hang = instance.call("hang", Argument::None);
        let limit = Duration::from_millis(10);
        assert!(tokio::time::timeout(limit, hang).await.is_err());
        assert_eq!(instance.call("ok", Argument::None).await.unwrap(), Value::Int(1));
    });
}

#[test]
fn a_vu_out_of_memory_starts_anew_and_keeps_its_data() {
    let bench = Bench::new(
        "local n = 0\nreturn { run = function(data) n += 1 return n + data end,\n  bomb = function() return string.rep('x', 1e9) end }",
    );
    let (_vu, mut instance) = bench.vu(1);
    instance.set_data(&Rc::new(Value::Int(10))).unwrap();
    let run = "run";
    let first = instance.body.as_ref().unwrap().slot.category;
    block(async {
        assert_eq!(instance.call(run, Argument::Data).await, Ok(Value::Nil));
        let error = instance.call("bomb", Argument::Data).await.unwrap_err();
        assert!(error.help.unwrap().contains("starts anew"));
        assert_eq!(instance.call(run, Argument::Data).await, Ok(Value::Nil));
        assert_eq!(instance.call(run, Argument::Value(Value::Int(0))).await, Ok(Value::Int(2)));
    });
    assert_eq!(instance.body.as_ref().unwrap().slot.category, first);
}

#[test]
fn a_state_of_its_own_is_one_vus() {
    let worker = TestWorker::new(limits(), Isolation::State);
    let program = program("trial.luau", "return {}", Path::new("."));
    let host = Host::with_modules(program, &worker.context, MODULES).unwrap();
    let instances: Vec<_> = (1..4).map(|id| host.instance(&worker.vu(id)).unwrap()).collect();
    assert_eq!(host.states.borrow().len(), 3);
    drop(instances);
    host.instance(&worker.vu(9)).unwrap();
    assert_eq!(host.states.borrow().len(), 1);
}

#[test]
fn a_long_slice_lets_others_run() {
    let bench = Bench::new(
        "local test = {}\nfunction test.run()\n  local n = 0\n  while not _G.done and n < 1e12 do n += 1 trial.echo(n) end\nend\nfunction test.other() return 'ran' end\nreturn test",
    );
    let (vu, mut spinning) = bench.vu(1);
    let (_, mut other) = bench.vu(2);
    let order = block(async {
        let spin = spinning.call("run", Argument::None);
        let run = async {
            tokio::task::yield_now().await;
            let value = other.call("other", Argument::None).await;
            vu.interrupt.stop(Stop::Cut);
            value
        };
        futures_util::future::join(spin, run).await
    });
    assert!(matches!(order.0.unwrap_err().kind, ScriptErrorKind::Stopped(_)));
    assert_eq!(order.1.unwrap(), Value::from("ran"));
}

/// Hostile bodies, and how each must end.
const HOSTILE: &[(&str, &str)] = &[
    ("while true do end", "time"),
    ("while true do pcall(function() while true do end end) end", "time"),
    ("pcall(function() while true do end end) return 1", "time"),
    ("coroutine.wrap(function() while true do end end)()", "time"),
    (
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "time",
    ),
    ("table.sort({3, 2, 1}, function() while true do end end)", "time"),
    (
        "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
        "time",
    ),
    ("xpcall(function() while true do end end, function() while true do end end)", "time"),
    ("local s = string.rep('a', 60) return string.match(s, string.rep('.-', 25) .. 'b')", "time"),
    ("assert(string.find(string.rep('a', 3e6), string.rep('a', 1e6) .. 'b', 1, true))", "script"),
    ("string.split(string.rep('a', 3e6), string.rep('a', 1e6) .. 'b')", "script"),
    ("table.move({}, 1, 2 ^ 31 - 2, 2)", "script"),
    ("error(string.rep('', 2 ^ 31 - 1))", "script"),
    ("error(setmetatable({}, { __tostring = function() while true do end end }))", "script"),
    ("tostring(setmetatable({}, { __tostring = function() while true do end end }))", "time"),
    ("local s = 'x' while true do s = s .. s end", "memory"),
    ("local t = {} while true do t[#t + 1] = { 1, 2, 3 } end", "memory"),
    ("return #string.rep('x', 1e9)", "memory"),
    ("table.create(6e7)", "memory"),
    ("buffer.create(1e9)", "memory"),
    ("local t = {} while true do t[#t + 1] = trial.thing(1000000) end", "memory"),
    ("local t = {} while true do t[#t + 1] = trial.thing(1000000) trial.nap() end", "memory"),
    (
        "while true do pcall(function() local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end end) end",
        "memory or time",
    ),
    ("local function f() return f() + 1 end return f()", "stack"),
    ("local function f() return (select(2, pcall(f))) end error(f(), 0)", "stack"),
    ("return setmetatable({}, { __index = function(t, k) return t[k] end }).x", "stack"),
    ("return os.time()", "script"),
    ("return io.open('/etc/passwd')", "script"),
    ("return debug.info(1, 'l')", "script"),
    ("return loadstring('return 1')()", "script"),
    ("return getfenv(1)", "script"),
    ("setfenv(1, {})", "script"),
    ("newproxy(true)", "script"),
    ("collectgarbage('collect')", "script"),
    ("getmetatable('').__index = nil", "script"),
    ("rawset(string, 'rep', nil)", "script"),
    ("table.clear(math)", "script"),
    ("string.rep = nil", "script"),
    ("setmetatable(_G, {})", "script"),
    ("setmetatable(trial, {})", "script"),
    ("rawset(trial, 'echo', 1)", "script"),
    ("getmetatable(trial.thing()).__index = nil", "script"),
    ("coroutine.wrap = nil", "script"),
    ("return require('../x')", "load"),
    ("return require('/etc/passwd')", "load"),
    (
        "local co co = coroutine.create(function() coroutine.close(co) end) error(select(2, coroutine.resume(co)))",
        "script",
    ),
    ("math = nil _G.string = nil leak = 1 _G.print = 1 kt.fail('done')", "fail"),
    ("math.randomseed(1) error({ code = 7 })", "script"),
];

#[test]
fn hostile_scripts_end_their_own_call_and_leave_no_trace() {
    let mut bodies = String::new();
    for (index, (body, _)) in HOSTILE.iter().enumerate() {
        write!(bodies, "test.h{index} = function()\n{body}\nend\n").unwrap();
    }
    let bench = Bench::new(&format!(
        "local test = {{}}\nlocal up = 0\n{bodies}\nfunction test.fine()\n  up += 1\n  local parts = {{}}\n  for name in _G do parts[#parts + 1] = name end\n  assert(leak == nil and math)\n  assert(#parts == 1, table.concat(parts, ' '))\n  assert( ('x'):rep(2) == 'xx')\n  assert(getmetatable('').__index == string and trial.nap(3) == 3 and trial.answer == 42)\n  assert(string.format('%d', 4) == '4' and kt.check(1, {{ one = function(v) return v == 1 end }}))\n  return up\nend\nreturn test"
    ));
    let (_neighbor_vu, mut neighbor) = bench.vu(1);
    for (index, (body, kind)) in HOSTILE.iter().enumerate() {
        let (_vu, mut hostile) = bench.vu(2);
        assert_eq!(bench.host.states.borrow().len(), 1);
        let error = match call(&mut hostile, &format!("h{index}")) {
            Err(error) => error,
            Ok(value) => panic!("{body} returned {value:?}"),
        };
        assert!(kind.contains(kind_name(&error)), "{body}: {error:#?}");
        let fine = call(&mut neighbor, "fine").unwrap_or_else(|e| panic!("{body}: {e:#?}"));
        assert_eq!(fine, Value::Int(index as i64 + 1), "{body}");
        // The hostile VU itself goes on as well.
        if *kind != "fail" {
            call(&mut hostile, "fine").unwrap_or_else(|error| panic!("{body}: {error:#?}"));
        }
    }
}

#[test]
fn garbage_is_no_reason_to_end_a_call() {
    let body = "local n = 0\nfor i = 1, 4000 do local s = string.rep('x', 5000) .. i n += #s end\nreturn n > 0";
    assert_eq!(text(body), "true");
    let held = "for i = 1, 200 do trial.thing(1000000) trial.nap() end\nreturn 'kept'";
    assert_eq!(text(held), "kept");
}

#[test]
fn checks_and_groups_call_back_and_may_wait() {
    let body = "local seen = {}\nlocal ok = kt.check(5, { b = function(v) seen[#seen + 1] = 'b' return trial.nap(v) == 5 end, a = function() seen[#seen + 1] = 'a' return false end })\nreturn tostring(ok) .. table.concat(seen)";
    assert_eq!(text(body), "falseab");
    assert_eq!(text("return kt.group('pay', function() return trial.nap(3) end)"), "3");
    let bench = Bench::new(
        "local function buy() local r = nil return r.id end\nreturn { run = function()\n  kt.group('a', function() kt.group('b', buy) end)\nend }",
    );
    let (vu, mut instance) = bench.vu(1);
    let error = call(&mut instance, "run").unwrap_err();
    assert_eq!(vu.group(), "");
    assert_eq!(
        (error.message.as_str(), error.function.as_str()),
        ("attempt to index nil with 'id'", "buy")
    );
    let location = error.location.unwrap();
    assert_eq!((location.line, location.column, location.width), (3, 43, 1), "{location:?}");
}

#[test]
fn errors_have_place_function_and_advice() {
    let bench = Bench::new(
        "local test = {}\nfunction test.buy()\n  local order = { item = nil }\n  local id = order.item.id\n  return id\nend\nreturn test",
    );
    let (_vu, mut instance) = bench.vu(1);
    let error = call(&mut instance, "buy").unwrap_err();
    let location = error.location.clone().unwrap();
    assert_eq!((location.file.as_str(), location.line), ("trial.luau", 6));
    assert_eq!((location.column, location.width), (14, 10));
    assert_eq!(location.source, "  local id = order.item.id");
    assert_eq!(error.function, "buy");
    assert_eq!(error.stack, ["buy at trial.luau:6"]);
    let help = failure("return http.get('x')").help.unwrap();
    assert_eq!(help, "`http` is not loaded: local http = require(\"@kingtide/http\")");
    assert_eq!(failure("error({ code = 7 })").message, "{\"code\":7}");
    assert_eq!(failure("error({ code = 7 })").location.unwrap().line, 4);
    assert_eq!(failure("error()").message, "nil");
    let fail = failure("kt.fail('no stock')");
    assert_eq!(fail.kind, ScriptErrorKind::Uncaught(ErrorKind::Fail));
    let again = failure("local ok, e = pcall(trial.refuse)\nerror(e)");
    assert_eq!(again.kind, ScriptErrorKind::Uncaught(ErrorKind::Fail));
    assert_eq!(again.message, "refused");
}

#[test]
fn functions_without_a_name_take_the_one_they_are_called_by() {
    let bench = Bench::new(
        "local test = {}\nlocal function f(v) return v.x.y end\ntest.run = function()\n  select(1, (function() f({}) end)())\nend\nreturn test",
    );
    let (_vu, mut instance) = bench.vu(1);
    let error = call(&mut instance, "run").unwrap_err();
    assert_eq!(error.function, "f");
    let stack = ["f at trial.luau:4", "anonymous function at trial.luau:6", "run at trial.luau:6"];
    assert_eq!(error.stack, stack);
}

#[test]
fn what_does_not_load_says_where_and_why() {
    let syntax = load_failure("local x = 1\nif x the\nend");
    assert_eq!(syntax.kind, ScriptErrorKind::Load);
    let location = syntax.location.unwrap();
    assert_eq!((location.line, location.column, location.width), (2, 6, 3), "{}", syntax.message);
    let table = load_failure("local x = 1");
    assert_eq!(table.help.as_deref(), Some("end the script with `return test`"));
    let waits = load_failure(&format!("{HEAD}local ok = trial.nap(1)\nreturn {{}}"));
    assert!(waits.message.contains("move this into setup()"), "{}", waits.message);
    assert_eq!(waits.location.unwrap().line, 3);
    let endless = load_failure(&format!("{HEAD}while true do pcall(trial.nap) end"));
    assert_eq!(endless.kind, ScriptErrorKind::Uncaught(ErrorKind::Time));
}

#[test]
fn files_are_modules_of_each_vu() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("counter.luau", "local n = 0\nreturn { add = function() n += 1 return n end }");
    file("a.luau", "return require('./b')");
    file("b.luau", "return require('./a')");
    file("broken.luau", "return {\n  1,\n  if\n}");
    file("empty.luau", "local x = 1");
    let run = "local c = require('./counter')\nlocal test = {}\nfunction test.run() assert(require('counter') == c) return c.add() end\n";
    let bench = Bench::in_folder(&format!("{run}return test"), folder.path()).unwrap();
    let (_a, mut one) = bench.vu(1);
    let (_b, mut two) = bench.vu(2);
    assert_eq!(call(&mut one, "run").unwrap(), Value::Int(1));
    assert_eq!(call(&mut one, "run").unwrap(), Value::Int(2));
    assert_eq!(call(&mut two, "run").unwrap(), Value::Int(1));
    let failing = |request: &str| {
        let text = format!("require('{request}')\nreturn {{}}");
        let bench = Bench::in_folder(&text, folder.path()).unwrap();
        match bench.host.instance(&bench.worker.vu(0)) {
            Err(error) => error,
            Ok(_) => panic!("{request} should not load"),
        }
    };
    assert!(failing("./a").message.contains("requires itself"));
    let broken = failing("./broken");
    assert_eq!(broken.kind, ScriptErrorKind::Load);
    assert_eq!(broken.location.map(|l| (l.file, l.line)), Some(("broken.luau".to_owned(), 4)));
    assert!(failing("./empty").message.contains("returns nothing"));
    assert!(failing("./nowhere").message.contains("cannot find module"));
    assert!(failing("../x").message.contains("only files in the script's folder"));
}

#[test]
fn set_up_data_is_shared_and_read_only() {
    let bench = Bench::new(
        "local test = { options = { vus = 3 } }\nfunction test.run(data) return data.users[1] end\nfunction test.write(data) data.users[1] = 'x' end\nfunction test.push(data) data.new = 1 end\nreturn test",
    );
    let (_vu, mut instance) = bench.vu(1);
    assert_eq!(instance.functions(), ["push", "run", "write"]);
    assert_eq!(instance.options().unwrap().to_json(), serde_json::json!({"vus": 3}));
    let data = Rc::new(Value::from_json(&serde_json::json!({"users": ["ada"]})));
    instance.set_data(&data).unwrap();
    assert_eq!(block(instance.call("run", Argument::Data)).unwrap(), Value::Nil);
    for function in ["write", "push"] {
        let error = block(instance.call(function, Argument::Data)).unwrap_err();
        assert!(error.message.contains("setup data is read-only"), "{}", error.message);
    }
    let error = block(instance.call("rum", Argument::Data)).unwrap_err();
    assert_eq!(error.message, "the script has no function `rum`, did you mean `run`?");
}

#[test]
fn random_numbers_are_the_vus_own() {
    let bench = Bench::new(
        "local test = {}\nfunction test.run() local r = {} for i = 1, 5 do r[i] = math.random(1, 6) end return r end\nfunction test.seed() math.randomseed(1) end\nreturn test",
    );
    let (_a, mut one) = bench.vu(1);
    let (_b, mut two) = bench.vu(1);
    call(&mut two, "run").unwrap();
    let (_c, mut three) = bench.vu(1);
    call(&mut three, "seed").unwrap();
    let (_d, mut four) = bench.vu(1);
    assert_eq!(call(&mut one, "run").unwrap(), call(&mut four, "run").unwrap());
    let value = call(&mut three, "run").unwrap().to_json();
    assert!(value.as_array().unwrap().iter().all(|n| (1..=6).contains(&n.as_i64().unwrap())));
}

#[test]
fn long_searches_answer_as_short_ones() {
    let body = "local p = string.rep('a', 300)\nlocal s = 'xx' .. p .. 'b'\nlocal a, b = s:find(p, 1, true)\nlocal c, d = s:find(p .. 'c')\nlocal e = s:find(p .. '.')\nlocal f = s:find(p, 4, true)\nlocal g = s:find(p, -301, true)\nreturn table.concat({ a, b, tostring(c), tostring(d), e, tostring(f), g }, ' ')";
    assert_eq!(text(body), "3 302 nil nil 3 nil 3");
}

#[test]
fn print_writes_to_the_log() {
    let bench = Bench::new("return { run = function() print('a', 1, nil, true) end }");
    let (_vu, mut instance) = bench.vu(1);
    call(&mut instance, "run").unwrap();
    assert_eq!(bench.worker.logs(), ["a 1 nil true"]);
}

#[test]
#[ignore = "figures, to be read in a release build"]
fn costs() {
    const TIMES: f64 = 1_000_000.0;
    let loops = [
        ("empty loop", ""),
        ("native call", "trial.echo(i)"),
        ("field", "local _ = thing.count"),
        ("method", "thing:add(1)"),
        ("protected native call", "pcall(trial.echo, i)"),
        ("wait", "trial.nap()"),
        ("check", "kt.check(i, one)"),
    ];
    for (name, body) in loops {
        let bench = Bench::new(&format!(
            "local thing = trial.thing()\nlocal one = {{ ok = function(v) return v end }}\nreturn {{ run = function()\n  for i = 1, 10000 do {body} end\nend }}"
        ));
        let (_vu, mut instance) = bench.vu(1);
        let began = crate::clock::now();
        for _ in 0..100 {
            call(&mut instance, "run").unwrap();
        }
        println!("{name}: {:.0} ns", began.elapsed().as_nanos() as f64 / TIMES);
    }
    let bench = Bench::new("local test = {}\nfunction test.run() end\nreturn test");
    let began = crate::clock::now();
    let mut vus: Vec<_> = (0..1_000).map(|id| bench.vu(id)).collect();
    println!("instance: {:.1} us", began.elapsed().as_nanos() as f64 / 1e6);
    let states: Vec<_> =
        bench.host.states.borrow().iter().filter_map(std::rc::Weak::upgrade).collect();
    let bytes: usize = states.iter().map(|state| state.lua.used_memory()).sum();
    println!("{} states, {} bytes per VU with its share", states.len(), bytes / 1_000);
    let (_, instance) = &mut vus[0];
    let began = crate::clock::now();
    block(async {
        for _ in 0..100_000 {
            instance.call("run", Argument::Data).await.unwrap();
        }
    });
    println!("empty call: {:.0} ns", began.elapsed().as_nanos() as f64 / 1e5);
}

#[test]
fn every_function_with_callbacks_is_written() {
    let worker = TestWorker::new(limits(), Isolation::State);
    let program = program("trial.luau", "return {}", Path::new("."));
    let host = Host::new(program, &worker.context).unwrap();
    let instance = host.instance(&worker.vu(0)).unwrap();
    let kit = &instance.state.kit;
    for (index, module) in api::MODULES.iter().enumerate() {
        let table = super::bind::module_at(&instance.state.lua, kit, index, 0).unwrap();
        for function in module.functions.iter().filter(|f| !f.name.starts_with('_')) {
            let found =
                function.name.split('.').try_fold(mlua::Value::Table(table.clone()), |t, n| {
                    t.as_table()?.raw_get::<mlua::Value>(n).ok()
                });
            assert!(found.is_some_and(|f| f.is_function()), "{}.{}", module.name, function.name);
        }
    }
}
