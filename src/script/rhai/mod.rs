//! Scripts in Rhai: one engine and syntax tree per worker, one state per VU.
//!
//! A VU's top level runs once. What it left, namely its imports and constants, is kept and given to
//! every later call, so that functions see `http::get` and `global::BASE`; other variables of the
//! top level end with it, as everywhere in Rhai. Each call runs on a [`fiber`], which it gives back
//! at its end: a VU between iterations holds its constants and the modules it imported from files.
//!
//! What `setup` returned is given to each call as a copy, so nothing that a script does to it is seen
//! by another call. A function that does nothing but read parts of it ([`entry`]) is given the VU's
//! own instead. Large tables belong into the module `data`, which holds them once.
//!
//! # Limits
//!
//! Time, slice, stack, memory and interrupt are checked before each operation ([`current`]);
//! strings, arrays and maps by Rhai after most operations and, where a function multiplies, before
//! ([`checked`]). An array counts with all that it holds, so each `push` costs its length.
//!
//! Memory is what a call's own steps have added ([`memory`]); what the top level left has the same
//! limit once more. What a call received, such as bodies, is not counted until it is copied.

use std::rc::Rc;

use rhai::{AST, Dynamic, Engine, GlobalRuntimeState, NativeCallContext, Scope};

pub(super) use self::advice::{is_built_in, offered, unknown_module};
use self::current::{Call, Current, Running, Waiting};
use self::entry::Entry;
use self::explain::Explain;
use self::fiber::Fiber;
use self::library::{Library, Resolver};
#[cfg(test)]
pub(crate) use self::memory::blocks as allocated_blocks;
use super::{Argument, Program, ScriptError, ScriptErrorKind};
use crate::api::{
    ErrorKind, LogLevel, METHOD_TABLES, MODULES, Method, Module, Value, VuContext, WorkerContext,
};
use crate::plan::ScriptLimits;
use crate::units;

mod advice;
mod border;
mod calls;
mod checked;
mod current;
mod entry;
mod explain;
mod failure;
mod fiber;
mod library;
mod memory;
mod missing;
mod native;
mod object;
mod space;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod value;
mod words;
mod ws;

/// Stands at the end of every file and keeps what the top level left.
const CAPTURE: &str = "kingtide_capture_of_the_top_level";

/// Nesting of expressions, at the top level and in functions. The parser's stack bounds it.
const EXPRESSION_DEPTH: usize = 64;

/// Variables that one function may have at a time.
const VARIABLES: usize = 4096;

/// A worker's compiled form of a program.
pub struct Host(Rc<Shared>);

struct Shared {
    engine: Engine,
    library: Rc<Library>,
    current: Rc<Current>,
    limits: ScriptLimits,
    /// The entry's syntax tree.
    ast: AST,
    /// What can be called.
    entries: Vec<Rc<Entry>>,
    /// The entry's name.
    name: String,
}

/// One VU's script.
pub struct Instance {
    shared: Rc<Shared>,
    call: Rc<Call>,
    /// `None` only while it is dropped.
    global: Option<Rc<GlobalRuntimeState>>,
    /// What `setup` returned, shared with the calls that only read it.
    data: Dynamic,
}

type Answer = Result<Value, ScriptError>;

/// What Rhai calls an error.
type Thrown = Box<rhai::EvalAltResult>;

/// A module that has been loaded.
type SharedModule = Rc<rhai::Module>;

impl Host {
    /// Compiles a program for a worker.
    ///
    /// # Errors
    /// If the entry script does not compile.
    pub fn new(program: Rc<Program>, worker: &Rc<WorkerContext>) -> Result<Self, ScriptError> {
        Self::with_modules(program, worker, MODULES, METHOD_TABLES)
    }

    /// Compiles a program with other native modules.
    ///
    /// # Errors
    /// If the entry script does not compile.
    pub fn with_modules(
        program: Rc<Program>,
        worker: &Rc<WorkerContext>,
        modules: &'static [Module],
        methods: &'static [&'static [Method]],
    ) -> Result<Self, ScriptError> {
        let limits = worker.plan.limits.clone();
        let current = Rc::new(Current::default());
        let library = Library::new(program, &current, modules);
        let program = &library.program;
        let mut engine = new_engine(&limits, &current, methods);
        engine.set_module_resolver(Resolver(Rc::clone(&library)));
        calls::register(&mut engine, &current, modules);
        let capture = Rc::clone(&current);
        engine.register_fn(CAPTURE, move |context: NativeCallContext<'_>| {
            *capture.captured.borrow_mut() = Some(context.global_runtime_state().clone());
        });
        let name = program.name();
        let entry = library.compile(&engine, program.path(), &name, program.text());
        let entry = entry.map_err(|error| {
            Explain { library: &library, entry: &name, global: None, ending: None }
                .error(&error.into(), true)
        })?;
        let capture = engine.compile(format!("{CAPTURE}();")).expect("a call is valid syntax");
        let mut ast = entry.merge(&capture);
        ast.set_source(name.as_str());
        let entries: Vec<_> = Entry::all(&ast, 1).into_iter().map(Rc::new).collect();
        current.entries.borrow_mut().clone_from(&entries);
        let shared = Shared { engine, library, current, limits, ast, entries, name };
        Ok(Self(Rc::new(shared)))
    }

    /// Makes a VU's script and runs its top level.
    ///
    /// # Errors
    /// If the top level fails.
    pub fn instance(&self, vu: &Rc<VuContext>) -> Result<Instance, ScriptError> {
        let shared = &self.0;
        let call = Call::new(Rc::clone(vu), shared.limits.clone());
        let (inner, running) = (Rc::clone(shared), Rc::clone(&call));
        let body = move || {
            inner.current.captured.take();
            let result = inner.engine.run_ast_with_scope(&mut Scope::new(), &inner.ast);
            let captured = inner.current.captured.take();
            let explain = inner.explain(&running, captured.as_ref());
            match (result, &captured) {
                (Err(error), _) => Err(explain.error(&error, true)),
                (Ok(()), _) if explain.ending.is_some() => Err(explain.ended()),
                (Ok(()), None) => Err(explain.early_return()),
                (Ok(()), Some(global)) => Ok(global.clone()),
            }
        };
        let fiber = Running::new(&shared.current, &call, Waiting::Loading, body);
        let mut global = fiber.map_err(no_stack)?.finish()?;
        global.level = 0;
        global.scope_level = 0;
        let global = Rc::new(global);
        *call.home.borrow_mut() = Some(Rc::clone(&global));
        let global = Some(global);
        Ok(Instance { shared: Rc::clone(shared), call, global, data: Dynamic::UNIT })
    }
}

/// Returns an engine with everything but modules.
fn new_engine(
    limits: &ScriptLimits,
    current: &Rc<Current>,
    methods: &'static [&'static [Method]],
) -> Engine {
    let mut engine = Engine::new();
    engine.set_max_call_levels(limits.call_depth);
    engine.set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH);
    engine.set_max_variables(VARIABLES);
    engine.set_max_string_size(limits.string_bytes);
    engine.set_max_array_size(limits.table_entries);
    engine.set_max_map_size(limits.table_entries);
    engine.disable_symbol("eval");
    words::free(&mut engine);
    checked::register(&mut engine, limits);
    failure::register(&mut engine);
    object::register(&mut engine, current, methods);
    let progress = Rc::clone(current);
    engine.on_progress(move |_| progress.progress());
    let printing = Rc::clone(current);
    engine.on_print(move |text| log(&printing, LogLevel::Info, text));
    let debugging = Rc::clone(current);
    engine.on_debug(move |text, _, _| log(&debugging, LogLevel::Debug, text));
    engine
}

fn log(current: &Current, level: LogLevel, text: &str) {
    if let Some(call) = current.get() {
        call.vu.log(level, text.to_owned());
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it serves as a function for map_err")]
fn no_stack(error: std::io::Error) -> ScriptError {
    ScriptError {
        kind: ScriptErrorKind::Uncaught(ErrorKind::Memory),
        message: format!("no stack for the script: {error}"),
        location: None,
        function: String::new(),
        stack: Vec::new(),
        help: Some("raise the sysctl vm.max_map_count to 2 x VUs + 5000".to_owned()),
    }
}

impl Shared {
    fn explain<'a>(&'a self, call: &Call, global: Option<&'a GlobalRuntimeState>) -> Explain<'a> {
        Explain {
            library: &self.library,
            entry: &self.name,
            global,
            ending: call.ending().map(|ending| (ending, self.limits.clone())),
        }
    }

    /// Returns the function of a name that takes an argument, or none.
    fn entry(&self, name: &str, argument: bool) -> Option<&Rc<Entry>> {
        let params = usize::from(argument);
        let is_it = |entry: &&Rc<Entry>| entry.params() == params && entry.name() == name;
        self.entries.iter().find(is_it)
    }

    /// Calls a function of the script, in a fiber.
    fn run(
        &self,
        call: &Call,
        global: &GlobalRuntimeState,
        entry: &Entry,
        argument: Option<Dynamic>,
        wanted: bool,
    ) -> Answer {
        let spaces = &self.current.spaces;
        let result = spaces.evaluate(&self.engine, global, 1, &call.has_methods, |context| {
            entry.evaluate(context, argument)
        });
        match result {
            Ok(_) if call.ending().is_some() => Err(self.explain(call, Some(global)).ended()),
            Ok(answer) if wanted => value::from_dynamic(&answer)
                .map_err(|error| self.explain(call, Some(global)).answer(entry.name(), &error)),
            Ok(_) => Ok(Value::Nil),
            Err(error) => match *error {
                rhai::EvalAltResult::Exit(..) => Ok(Value::Nil),
                error => Err(self.explain(call, Some(global)).error(&error, false)),
            },
        }
    }
}

impl Instance {
    /// Returns the names of the script's functions that take at most one parameter, but `options`
    /// and private ones.
    pub fn functions(&self) -> Vec<String> {
        let offered = self.shared.ast.iter_functions().filter(library::is_offered);
        let mut names: Vec<String> = offered.map(|function| function.name.to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Returns what `options()` returns; `Nil` if there is no such function.
    ///
    /// # Errors
    /// If it fails, or waits.
    pub fn options(&mut self) -> Result<Value, ScriptError> {
        let Some(entry) = self.shared.entry("options", false) else { return Ok(Value::Nil) };
        self.prepare(entry, None, true, Waiting::Options)?.finish()
    }

    /// Gives the script what `setup` returned: every call gets a copy.
    ///
    /// # Errors
    /// None so far.
    pub fn set_data(&mut self, data: &Rc<Value>) -> Result<(), ScriptError> {
        self.data = value::to_dynamic(Value::clone(data)).into_shared();
        Ok(())
    }

    /// Calls a function; see [`super::Instance::call`].
    ///
    /// A function without a parameter is called without the argument.
    ///
    /// # Errors
    /// What the script did not catch, or why it was ended.
    pub async fn call(&mut self, function: &str, argument: Argument) -> Answer {
        let shared = &self.shared;
        let entry = shared.entry(function, true).or_else(|| shared.entry(function, false));
        let Some(entry) = entry else { return Err(self.no_function(function)) };
        let takes = entry.params() == 1;
        let (argument, wanted) = match argument {
            Argument::None => (takes.then_some(Dynamic::UNIT), true),
            Argument::Data if entry.only_reads() => (Some(self.data.clone()), false),
            Argument::Data => (takes.then(|| self.data.flatten_clone()), false),
            Argument::Value(value) => (Some(value::to_dynamic(value)), true),
        };
        let mut running = self.prepare(entry, argument, wanted, Waiting::Allowed)?;
        running.drive().await
    }

    fn prepare(
        &self,
        entry: &Rc<Entry>,
        argument: Option<Dynamic>,
        wanted: bool,
        waiting: Waiting,
    ) -> Result<Running<Answer>, ScriptError> {
        let shared = Rc::clone(&self.shared);
        let call = Rc::clone(&self.call);
        let global = Rc::clone(self.global.as_ref().expect("it is there until dropped"));
        let entry = Rc::clone(entry);
        // All values of Rhai die in the fiber too: freeing nested ones may need its stack.
        let body = move || shared.run(&call, &global, &entry, argument, wanted);
        Running::new(&self.shared.current, &self.call, waiting, body).map_err(no_stack)
    }

    fn no_function(&self, name: &str) -> ScriptError {
        let functions = self.functions();
        let params = self
            .shared
            .ast
            .iter_functions()
            .find(|function| function.name == name)
            .map(|function| function.params.len());
        let message = match params {
            Some(count) => format!(
                "the function `{name}` takes {count} parameters; it must take \
                 none or one, the set-up data"
            ),
            None => match units::nearest(name, functions.iter().map(String::as_str)) {
                Some(near) => {
                    format!("the script has no function `{name}`, did you mean `{near}`?")
                }
                None => format!("the script has no function `{name}`"),
            },
        };
        ScriptError {
            kind: ScriptErrorKind::Uncaught(ErrorKind::Script),
            message,
            location: None,
            function: String::new(),
            stack: Vec::new(),
            help: None,
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Constants may be nested as deeply as any value.
        let values = (
            self.global.take(),
            self.call.home.take(),
            self.call.modules.take(),
            std::mem::take(&mut self.data),
        );
        if let Ok(mut fiber) = Fiber::new(move || drop(values)) {
            fiber.resume(fiber::Input::Go);
        }
    }
}
