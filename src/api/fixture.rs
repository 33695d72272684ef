//! A VU without a run around it, for unit tests of modules.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::{
    Answer, ApiError, Args, Files, Function, Method, Module, Object, Phase, Run, Value, VuContext,
    WorkerContext,
};
use crate::metrics::{Registry, Shard};
use crate::plan::{Facts, Options, Plan, ScriptLimits, resolve};
use crate::protocol::Network;

/// Returns a VU of a test with this seed, in an iteration.
pub(super) fn vu(seed: u64) -> Rc<VuContext> {
    let plan = Arc::new(plan(seed));
    let registry = Registry::new();
    let worker = WorkerContext {
        http: Rc::new(plan.http.clone()),
        expected: Rc::new(plan.http.expected_statuses.clone()),
        shard: RefCell::new(Shard::new(Arc::new(registry.clone()), plan.series_max)),
        registry: RefCell::new(registry),
        declaring: Cell::new(false),
        network: Network::new(&plan.http).unwrap(),
        slices: super::Slices::default(),
        rounds: super::Rounds::default(),
        urls: RefCell::default(),
        files: Files::default(),
        data: RefCell::default(),
        events: Box::new(|_| {}),
        live: false,
        status: Arc::default(),
        revised: RefCell::new(Arc::clone(&plan)),
        plan,
    };
    let vu = VuContext::new(Rc::new(worker), 1, 1);
    vu.phase.set(Phase::Iteration);
    vu
}

fn plan(seed: u64) -> Plan {
    let plan = resolve(&Options::default(), &Facts::default()).expect("nothing is set");
    // A limit that tests can reach without a wait.
    let limits = ScriptLimits { string_bytes: 1 << 20, ..plan.limits };
    Plan { seed, limits, ..plan }
}

/// Calls a function of a module that does not wait.
pub(super) fn call(
    vu: &Rc<VuContext>,
    module: &Module,
    name: &str,
    values: Vec<Value>,
) -> Result<Value, ApiError> {
    let function: &Function =
        module.functions.iter().find(|function| function.name == name).expect("a function");
    let Run::Now(run) = function.run else { panic!("{name} waits") };
    run(vu, Args::new(format!("{}.{name}", module.name), function.params, values))
}

/// Calls a method that does not wait.
pub(super) fn method(
    vu: &Rc<VuContext>,
    object: &Value,
    name: &str,
    values: Vec<Value>,
) -> Result<Value, ApiError> {
    let Value::Object(object) = object else { panic!("{object:?} is no object") };
    let method: &'static Method =
        object.methods().iter().find(|method| method.name == name).expect("a method");
    let args = Args::new(format!("{}:{name}", object.type_name()), method.params, values);
    match Rc::<dyn Object>::clone(object).call(vu, method, args)? {
        Answer::Now(value) => Ok(value),
        Answer::Wait(_) => panic!("{name} waits"),
    }
}

/// Returns the message of a call that must fail.
pub(super) fn message(result: Result<Value, ApiError>) -> String {
    result.expect_err("an error").message
}

/// Runs in virtual time.
pub(super) fn simulate<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Returns the text of a value that is text.
pub(super) fn text_of(value: &Value) -> String {
    value.as_text().unwrap_or_else(|| panic!("{value:?} is no text")).into_owned()
}

/// Returns a map.
pub(super) fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(members.into_iter().collect())
}
