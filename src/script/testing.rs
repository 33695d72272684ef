//! What tests of both engines need: a worker and a VU that no test run drives, and modules whose
//! behavior is known.

#![expect(clippy::unnecessary_wraps, reason = "the signatures are the API's")]

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::api::{
    Answer, ApiError, Args, Constant, ErrorKind, Event, Files, Function, Method, Module, Object,
    Phase, Run, Value, VuContext, Wait, WorkerContext,
};
use crate::metrics::{Registry, Shard};
use crate::plan::{self, Facts, Isolation, Options, Plan, ScriptLimits};
use crate::protocol::Network;
use crate::script::Program;

/// A worker, and what it has told the controller.
pub(crate) struct TestWorker {
    /// The worker.
    pub(crate) context: Rc<WorkerContext>,
    /// Its events.
    pub(crate) events: Rc<RefCell<Vec<Event>>>,
}

impl TestWorker {
    /// Returns a worker whose scripts have these limits.
    pub(crate) fn new(limits: ScriptLimits, isolation: Isolation) -> Self {
        let plan = plan::resolve(&Options::default(), &Facts::default()).unwrap();
        let plan = Arc::new(Plan { limits, isolation, ..plan });
        let registry = Registry::new();
        let events = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&events);
        let context = Rc::new(WorkerContext {
            network: Network::new(&plan.http).unwrap(),
            slices: crate::api::Slices::default(),
            rounds: crate::api::Rounds::default(),
            urls: RefCell::default(),
            files: Files::default(),
            data: RefCell::default(),
            http: Rc::new(plan.http.clone()),
            expected: Rc::new(plan.http.expected_statuses.clone()),
            shard: RefCell::new(Shard::new(Arc::new(registry.clone()), plan.series_max)),
            revised: RefCell::new(Arc::clone(&plan)),
            plan,
            registry: RefCell::new(registry),
            declaring: Cell::new(true),
            events: Box::new(move |event| sink.borrow_mut().push(event)),
            live: false,
            status: Arc::default(),
        });
        Self { context, events }
    }

    /// Returns a VU.
    pub(crate) fn vu(&self, id: u64) -> Rc<VuContext> {
        VuContext::new(Rc::clone(&self.context), id, id)
    }

    /// Returns the log lines so far.
    pub(crate) fn logs(&self) -> Vec<String> {
        let events = self.events.borrow();
        events
            .iter()
            .filter_map(|event| match event {
                Event::Log { message, .. } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }
}

/// Returns a program from text; its modules lie in `folder`.
pub(crate) fn program(name: &str, text: &str, folder: &Path) -> Rc<Program> {
    Rc::new(Program::from_text(name, text, folder).unwrap())
}

/// Puts a VU into an iteration.
pub(crate) fn begin(vu: &VuContext) {
    vu.phase.set(Phase::Iteration);
}

/// A module to call in tests.
pub(crate) const TRIAL: Module = Module {
    name: "trial",
    functions: &[
        Function { name: "echo", params: &["value"], run: Run::Now(|_, mut a| Ok(a.take(0))) },
        Function { name: "deep.name", params: &[], run: Run::Now(|_, _| Ok("deep".into())) },
        Function { name: "text", params: &["text"], run: Run::Now(text) },
        Function { name: "kind", params: &["value"], run: Run::Now(kind) },
        Function { name: "refuse", params: &[], run: Run::Now(refuse) },
        Function { name: "nap", params: &["value?"], run: Run::Wait(nap) },
        Function { name: "forever", params: &[], run: Run::Wait(forever) },
        Function { name: "reject", params: &[], run: Run::Wait(reject) },
        Function {
            name: "ready",
            params: &[],
            run: Run::Wait(|_, _| Ok(Box::pin(std::future::ready(Ok(Value::Nil))))),
        },
        Function { name: "thing", params: &["bytes?"], run: Run::Now(thing) },
        Function { name: "_hidden", params: &[], run: Run::Now(|_, _| Ok(Value::Nil)) },
    ],
    constants: &[
        Constant { name: "null", value: || Value::Null },
        Constant { name: "answer", value: || Value::Int(42) },
    ],
};

fn text(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(Value::Text(args.text(0)?))
}

fn kind(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(format!("{:?}", args.take(0)).into())
}

fn refuse(_: &Rc<VuContext>, _: Args) -> Result<Value, ApiError> {
    Err(ApiError::new(ErrorKind::Fail, "refused"))
}

fn nap(_: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let value = args.take(0);
    Ok(Box::pin(async move {
        tokio::task::yield_now().await;
        Ok(value)
    }))
}

fn forever(_: &Rc<VuContext>, _: Args) -> Result<Wait, ApiError> {
    Ok(Box::pin(std::future::pending()))
}

fn reject(_: &Rc<VuContext>, _: Args) -> Result<Wait, ApiError> {
    Ok(Box::pin(async { Err(ApiError::new(ErrorKind::Request, "no answer")) }))
}

fn thing(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.optional_int(0)?.unwrap_or(0) as usize;
    Ok(Value::object(Thing { count: Cell::new(3), bytes }))
}

/// An object to use in tests.
struct Thing {
    count: Cell<i64>,
    bytes: usize,
}

impl Object for Thing {
    fn type_name(&self) -> &'static str {
        "thing"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(match field {
            "count" => Some(self.count.get().into()),
            "nothing" => Some(Value::Nil),
            _ => None,
        })
    }

    fn set(&self, _: &Rc<VuContext>, field: &str, value: Value) -> Result<(), ApiError> {
        match (field, value) {
            ("count", Value::Int(count)) => {
                self.count.set(count);
                Ok(())
            }
            _ => Err(ApiError::usage(format!("thing.{field} cannot be set"))),
        }
    }

    fn fields(&self) -> &'static [&'static str] {
        &["count", "nothing"]
    }

    fn methods(&self) -> &'static [Method] {
        const METHODS: &[Method] = &[
            Method { name: "add", params: &["n"], waits: false },
            Method { name: "next", params: &[], waits: true },
        ];
        METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        if method.name == "add" {
            self.count.set(self.count.get() + args.int(0)?);
            return Ok(Answer::Now(self.count.get().into()));
        }
        Ok(Answer::Wait(Box::pin(async move {
            tokio::task::yield_now().await;
            let left = self.count.get();
            self.count.set(left - 1);
            Ok(if left > 0 { left.into() } else { Value::Nil })
        })))
    }

    fn entries(&self, _: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        Some(vec![("count".to_owned(), self.count.get().into())])
    }

    fn held_bytes(&self) -> usize {
        self.bytes
    }
}
