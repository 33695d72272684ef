//! Loads a script once before the run: its options, its functions, the metrics that it declares.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::api::{Event, Rounds, Slices, Value, VuContext, WorkerContext};
use crate::metrics::{Registry, Shard};
use crate::plan::{Facts, Options, Plan, resolve};
use crate::protocol::Network;
use crate::script::{Host, Location, Program, ScriptError, ScriptErrorKind};

/// What loading a script tells.
#[derive(Debug)]
pub struct Loaded {
    /// The script's options; `Nil` if there are none.
    pub options: Value,
    /// The functions that it offers.
    pub functions: Vec<String>,
    /// The built-in metrics and those that it declares.
    pub registry: Registry,
    /// What its top level logged.
    pub events: Vec<Event>,
}

/// Runs a script's top level once, with the environment that it will see.
///
/// # Errors
/// If it does not compile, or its top level fails.
pub fn load(program: &Program, env: &BTreeMap<String, String>) -> Result<Loaded, ScriptError> {
    load_again(program, env, &Registry::new())
}

/// Loads a script as [`load`] does; the metrics that it declares are added to those of a test that
/// runs.
///
/// # Errors
/// If it does not compile, its top level fails, or it declares a metric otherwise than before.
pub fn load_again(
    program: &Program,
    env: &BTreeMap<String, String>,
    metrics: &Registry,
) -> Result<Loaded, ScriptError> {
    let defect = |message: String| ScriptError {
        kind: ScriptErrorKind::Load,
        message,
        location: None,
        function: String::new(),
        stack: Vec::new(),
        help: None,
    };
    let mut plan = resolve(&Options::default(), &Facts::default())
        .map_err(|error| defect(format!("the empty plan does not resolve: {error}")))?;
    plan.env.clone_from(env);
    let events = Rc::new(RefCell::new(Vec::new()));
    let worker = context(program, Arc::new(plan), &Arc::new(metrics.clone()), {
        let events = Rc::clone(&events);
        Box::new(move |event| events.borrow_mut().push(event))
    })
    .map_err(|error| defect(error.to_string()))?;
    worker.declaring.set(true);
    let worker = Rc::new(worker);
    let host = Host::new(Rc::new(program.clone()), &worker)?;
    let vu = VuContext::new(Rc::clone(&worker), 0, 0);
    let mut instance = host.instance(&vu)?;
    let options = instance.options()?;
    let functions = instance.functions();
    if let Some((name, problem)) = worker.status.missing_function(&functions) {
        let location = place_in_mix(program, &name);
        return Err(ScriptError { location, ..defect(problem) });
    }
    let registry = worker.registry.borrow().clone();
    Ok(Loaded { options, functions, registry, events: events.take() })
}

/// Returns where a mix names a function: the first such word after a call of `mix`, in the entry.
fn place_in_mix(program: &Program, name: &str) -> Option<Location> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let text = program.text();
    let from = text.find("mix(").or_else(|| text.find("mix {"))?;
    let (at, _) = text[from..].match_indices(name).find(|(at, _)| {
        let (before, after) = (&text[..from + at], &text[from + at + name.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })?;
    let before = &text[..from + at];
    let line = before.matches('\n').count();
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    Some(Location {
        file: program.name(),
        line: line as u32 + 1,
        column: before[begin..].chars().count() as u32 + 1,
        width: name.chars().count() as u32,
        source: text.lines().nth(line).unwrap_or_default().to_owned(),
    })
}

/// Returns what operations act on, off the workers.
pub(super) fn context(
    program: &Program,
    plan: Arc<Plan>,
    registry: &Arc<Registry>,
    events: Box<dyn Fn(Event)>,
) -> Result<WorkerContext, crate::protocol::ProtocolError> {
    Ok(WorkerContext {
        http: Rc::new(plan.http.clone()),
        expected: Rc::new(plan.http.expected_statuses.clone()),
        network: Network::new(&plan.http)?,
        slices: Slices::default(),
        rounds: Rounds::default(),
        urls: RefCell::default(),
        files: program.files(),
        data: RefCell::new(Arc::clone(program.data())),
        registry: RefCell::new((**registry).clone()),
        declaring: Cell::new(false),
        shard: RefCell::new(Shard::new(Arc::clone(registry), plan.series_max)),
        events,
        live: false,
        status: Arc::default(),
        revised: RefCell::new(Arc::clone(&plan)),
        plan,
    })
}
