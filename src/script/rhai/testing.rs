//! A worker without a run, a module that counts and waits, and scripts from text, for tests.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Host, Instance};
use crate::api::{
    Answer, ApiError, Args, Constant, ErrorKind, Function, MODULES, Map, Method, Module, Object,
    Phase, Run, Value, VuContext, Wait,
};
use crate::plan::{Isolation, ScriptLimits};
use crate::script::testing::TestWorker;
use crate::script::{Argument, Program, ScriptError, ScriptErrorKind};

/// The tests' modules: `kingtide` with its checks kept in memory, and `kingtide/probe`.
pub(super) const TABLES: &[Module] = &[
    Module {
        name: "",
        functions: &[
            Function { name: "check", params: &["value", "predicates", "tags?"], run: Run::Script },
            Function { name: "group", params: &["name", "function"], run: Run::Script },
            Function { name: "env", params: &["name", "default?"], run: Run::Now(env) },
            Function { name: "log.info", params: &["..."], run: Run::Now(note) },
            Function { name: "sleep", params: &["seconds"], run: Run::Wait(later) },
            Function { name: "fail", params: &["message?"], run: Run::Now(fail) },
            Function { name: "abort", params: &["message?"], run: Run::Now(abort) },
            Function {
                name: "_record_check",
                params: &["name", "passed", "tags?"],
                run: Run::Now(record),
            },
            Function { name: "_enter_group", params: &["name"], run: Run::Now(enter) },
            Function { name: "_leave_group", params: &["outer"], run: Run::Now(leave) },
        ],
        constants: MODULES[0].constants,
    },
    Module {
        name: "probe",
        functions: &[
            Function { name: "echo", params: &["value", "other?"], run: Run::Now(echo) },
            Function { name: "get", params: &["url", "params?"], run: Run::Wait(later) },
            Function { name: "forever", params: &[], run: Run::Wait(forever) },
            Function { name: "broken", params: &[], run: Run::Now(broken) },
            Function { name: "thing", params: &[], run: Run::Now(thing) },
            Function { name: "note", params: &["..."], run: Run::Now(note) },
        ],
        constants: &[Constant { name: "common", value: || Value::object(Thing::default()) }],
    },
];

pub(super) const METHODS: &[&[Method]] = &[THING_METHODS.split_at(1).0];

const THING_METHODS: &[Method] = &[
    Method { name: "add", params: &["value", "twice?"], waits: false },
    // Not in `METHODS`, so it is found at run time.
    Method { name: "later", params: &["value"], waits: true },
];

thread_local! {
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes what scripts noted, checked and grouped.
pub(super) fn notes() -> Vec<String> {
    NOTES.take()
}

fn write(line: String) {
    NOTES.with_borrow_mut(|notes| notes.push(line));
}

type Outcome = Result<Value, ApiError>;

fn env(_: &Rc<VuContext>, mut args: Args) -> Outcome {
    Ok(args.take(1))
}

fn note(vu: &Rc<VuContext>, mut args: Args) -> Outcome {
    let parts: Vec<String> = args.rest(0).iter().map(|value| format!("{value:?}")).collect();
    write(format!("{}: {}", vu.id, parts.join(" ")));
    Ok(Value::Nil)
}

fn echo(_: &Rc<VuContext>, mut args: Args) -> Outcome {
    let (value, other) = (args.take(0), args.take(1));
    Ok(if other.is_nil() { value } else { Value::List(vec![value, other]) })
}

fn later(_: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let value = args.take(0);
    Ok(Box::pin(async move {
        tokio::task::yield_now().await;
        Ok(value)
    }))
}

fn forever(_: &Rc<VuContext>, _: Args) -> Result<Wait, ApiError> {
    Ok(Box::pin(std::future::pending()))
}

fn broken(_: &Rc<VuContext>, _: Args) -> Outcome {
    Err(ApiError::new(ErrorKind::Request, "the probe is broken"))
}

fn fail(_: &Rc<VuContext>, mut args: Args) -> Outcome {
    Err(ApiError::new(ErrorKind::Fail, args.text(0)?.to_str().into_owned()))
}

fn abort(vu: &Rc<VuContext>, _: Args) -> Outcome {
    vu.interrupt.stop(crate::api::Stop::Abort);
    Err(ApiError::usage("aborted"))
}

fn record(_: &Rc<VuContext>, mut args: Args) -> Outcome {
    write(format!("check {} {:?} {:?}", args.text(0)?.to_str(), args.take(1), args.take(2)));
    Ok(Value::Nil)
}

fn enter(vu: &Rc<VuContext>, mut args: Args) -> Outcome {
    let outer = vu.enter_group(&args.text(0)?.to_str());
    write(format!("enter {}", vu.group()));
    Ok(outer.into())
}

fn leave(vu: &Rc<VuContext>, mut args: Args) -> Outcome {
    vu.leave_group(args.text(0)?.to_str().into_owned());
    write(format!("leave to {:?}", vu.group()));
    Ok(Value::Nil)
}

fn thing(_: &Rc<VuContext>, _: Args) -> Outcome {
    Ok(Value::object(Thing::default()))
}

/// An object with fields, parts, methods and entries.
#[derive(Default)]
struct Thing {
    status: Rc<Cell<i64>>,
    is_part: bool,
}

impl Object for Thing {
    fn type_name(&self) -> &'static str {
        "thing"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(match field {
            "status" => Value::Int(self.status.get()),
            "content-type" => Value::from("text/plain"),
            "part" if !self.is_part => {
                Value::object(Self { status: Rc::clone(&self.status), is_part: true })
            }
            _ => return Ok(None),
        }))
    }

    fn set(&self, _: &Rc<VuContext>, field: &str, value: Value) -> Result<(), ApiError> {
        match (field, value) {
            ("status", Value::Int(value)) => self.status.set(value),
            _ => return Err(ApiError::usage(format!("thing.{field} cannot be set"))),
        }
        Ok(())
    }

    fn fields(&self) -> &'static [&'static str] {
        &["status", "content-type", "part"]
    }

    fn methods(&self) -> &'static [Method] {
        THING_METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let value = args.int(0)?;
        Ok(match method.name {
            "add" => {
                self.status.set(self.status.get() + value);
                Answer::Now(Value::Int(self.status.get()))
            }
            _ => Answer::Wait(Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(Value::Int(value))
            })),
        })
    }

    fn entries(&self, _: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        Some(vec![("a".to_owned(), Value::Int(1)), ("b".to_owned(), Value::Int(2))])
    }
}

/// A script of one worker, with its folder.
pub(super) struct Script {
    pub(super) folder: TempDir,
    pub(super) worker: TestWorker,
    text: String,
}

impl Script {
    pub(super) fn new(text: &str) -> Self {
        Self::with_limits(text, limits())
    }

    pub(super) fn with_limits(text: &str, limits: ScriptLimits) -> Self {
        notes();
        Self {
            folder: tempfile::tempdir().unwrap(),
            worker: TestWorker::new(limits, Isolation::Shared),
            text: text.to_owned(),
        }
    }

    /// Puts a file beside the script.
    pub(super) fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(super) fn host(&self) -> Result<Host, ScriptError> {
        let folder = self.folder.path().canonicalize().unwrap();
        let program = Program::from_text("test.rhai", &self.text, &folder).unwrap();
        Host::with_modules(Rc::new(program), &self.worker.context, TABLES, METHODS)
    }

    pub(super) fn vu(&self, id: u64) -> Rc<VuContext> {
        self.worker.vu(id)
    }

    /// Returns a VU's script after its top level, in an iteration.
    pub(super) fn instance(&self) -> Result<Instance, ScriptError> {
        instance(&self.host()?, &self.vu(1))
    }

    /// Runs `iteration` once and returns what it returned.
    pub(super) fn run(&self) -> Result<Value, ScriptError> {
        let mut instance = self.instance()?;
        block_on(instance.call("iteration", Argument::None))
    }

    /// Runs `iteration`, which must fail.
    pub(super) fn error(&self) -> ScriptError {
        self.run().expect_err("the script must fail")
    }
}

pub(super) fn instance(host: &Host, vu: &Rc<VuContext>) -> Result<Instance, ScriptError> {
    vu.phase.set(Phase::Load);
    let instance = host.instance(vu)?;
    vu.phase.set(Phase::Iteration);
    Ok(instance)
}

/// Runs a future as a worker does.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

pub(super) fn kind(error: &ScriptError) -> ErrorKind {
    match error.kind {
        ScriptErrorKind::Uncaught(kind) => kind,
        other => panic!("{other:?}: {error}"),
    }
}

pub(super) fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(members.into_iter().collect::<Map>())
}

pub(super) fn limits() -> ScriptLimits {
    ScriptLimits {
        memory_bytes: 64 << 20,
        time: Duration::from_secs(2),
        slice: Duration::from_millis(5),
        call_depth: 200,
        string_bytes: 1 << 20,
        table_entries: 100_000,
        sockets: 10,
        message_bytes: 1 << 20,
        queued_messages: 10,
    }
}
