//! Calls from one file of a script into another, and functions handed over there.
//!
//! Rhai runs a file's function on top of what its caller sees. It then takes the caller's functions
//! for the file's own where their names are the same and have been looked up before, and a closure
//! that the file was given sees the constants of the file instead of those of the file that it was
//! written in. So a file offers native functions: each evaluates the file's function where nothing
//! but the file is seen. Functions among arguments and answers are bound to where they come from.

use std::any::TypeId;
use std::rc::Rc;

use rhai::{
    AST, Dynamic, Engine, EvalAltResult, FnAccess, FnPtr, FuncRegistration, GlobalRuntimeState,
    NativeCallContext, Position, RhaiFunc, ScriptFuncDef,
};

use super::current::{Call, Current, terminated};
use super::entry::Entry;
use super::{CAPTURE, Thrown};

/// The name of functions that are bound to a file.
pub(super) const BOUND: &str = "kingtide_bound_function";

/// Most parameters of a native function that takes anything. Functions with more are left to Rhai.
const PARAMS: usize = 16;

type Result<T> = std::result::Result<T, Thrown>;

/// Where a file's functions are evaluated: its functions, imports and constants.
pub(super) type Home = Rc<GlobalRuntimeState>;

/// A file's syntax tree, made to be imported.
pub(super) struct Imported {
    /// Its top level, which leaves its state at the end; its functions are private.
    pub(super) ast: AST,
    /// The functions that it offers.
    offered: Vec<Rc<Entry>>,
}

impl Imported {
    /// Makes a file's syntax tree ready.
    pub(super) fn new(engine: &Engine, ast: &AST) -> Self {
        let mut offered = Entry::all(ast, PARAMS);
        offered.retain(|entry| !entry.is_private());
        let mut functions = rhai::Module::new();
        for function in ast.iter_fn_def() {
            let mut function = ScriptFuncDef::clone(function);
            if function.this_type.is_none() && function.params.len() <= PARAMS {
                function.access = FnAccess::Private;
            }
            functions.set_script_fn(function);
        }
        let capture = engine.compile(format!("{CAPTURE}();")).expect("a call is valid syntax");
        let mut imported = AST::new(ast.statements().iter().cloned(), functions).merge(&capture);
        imported.set_source(ast.source().unwrap_or_default());
        Self { ast: imported, offered: offered.into_iter().map(Rc::new).collect() }
    }

    /// Adds what the file offers to the module that it was evaluated to.
    pub(super) fn offer(
        &self,
        module: &mut rhai::Module,
        mut global: GlobalRuntimeState,
        current: &Rc<Current>,
    ) {
        global.level = 0;
        global.scope_level = 0;
        let home = Rc::new(global);
        let values = module.iter_var().map(|(name, value)| (name.to_owned(), value.clone()));
        for (name, value) in values.collect::<Vec<_>>() {
            let value = bind(value, current, &mut || Rc::clone(&home));
            module.set_var(name, value);
        }
        for function in &self.offered {
            let (current, home) = (Rc::clone(current), Rc::clone(&home));
            let (name, params) = (function.name().to_owned(), function.params());
            let function = Rc::clone(function);
            let run = move |context: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
                enter(&current, &home, &function, &context.ok_or_else(terminated)?, args)
            };
            FuncRegistration::new(name).set_into_module_raw(
                module,
                vec![TypeId::of::<Dynamic>(); params],
                RhaiFunc::Pure {
                    func: Rc::new(run),
                    has_context: true,
                    is_pure: true,
                    is_volatile: true,
                },
            );
        }
    }
}

/// Calls a function of a file from elsewhere.
pub(super) fn enter(
    current: &Rc<Current>,
    home: &Home,
    function: &Entry,
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    let call = &*current.call()?;
    let mut caller = None;
    let mut caller = || Rc::clone(caller.get_or_insert_with(|| here(context)));
    let args = args.iter_mut().map(|arg| bind(arg.take(), current, &mut caller));
    let answer = evaluate(current, call, context, home, |inner| function.evaluate(inner, args))?;
    Ok(bind(answer, current, &mut || Rc::clone(home)))
}

/// Calls a function of a script that a native function was given.
pub(super) fn invoke<const N: usize>(
    current: &Current,
    call: &Call,
    context: &NativeCallContext<'_>,
    function: &FnPtr,
    mut args: [Dynamic; N],
) -> Result<Dynamic> {
    if !function.is_anonymous() {
        return function.call_raw(context, None, args);
    }
    evaluate(current, call, context, context.global_runtime_state(), |inner| {
        let name = function.fn_name();
        if function.is_curried() {
            let mut captured = function.curry().to_vec();
            let mut args: Vec<&mut Dynamic> = captured.iter_mut().chain(&mut args).collect();
            inner.call_fn_raw(name, false, false, &mut args)
        } else {
            inner.call_fn_raw(name, false, false, &mut args.each_mut())
        }
    })
}

fn evaluate(
    current: &Current,
    call: &Call,
    context: &NativeCallContext<'_>,
    global: &GlobalRuntimeState,
    run: impl FnOnce(&mut rhai::EvalContext<'_, '_, '_, '_, '_, '_>) -> Result<Dynamic>,
) -> Result<Dynamic> {
    let level = context.call_level() + 1;
    let answer = current.spaces.evaluate(context.engine(), global, level, &call.has_methods, run);
    answer.map_err(|mut error| {
        if error.position().is_none() {
            error.set_position(context.call_position());
        }
        error
    })
}

/// Returns where the caller of a native function is evaluated.
fn here(context: &NativeCallContext<'_>) -> Home {
    Rc::new(context.global_runtime_state().clone())
}

/// Binds all functions in a value to where they come from.
fn bind(value: Dynamic, current: &Rc<Current>, home: &mut dyn FnMut() -> Home) -> Dynamic {
    if value.is_fnptr() {
        return match value.try_cast_result::<FnPtr>() {
            Ok(function) if function.fn_name() != BOUND => bound(function, current, &home()),
            Ok(function) => function.into(),
            Err(value) => value,
        };
    }
    if value.is_array() && value.as_array_ref().is_ok_and(|items| items.iter().any(holds)) {
        let items = value.into_array().unwrap_or_default();
        let items = items.into_iter().map(|item| bind(item, current, home));
        return Dynamic::from_array(items.collect());
    }
    if value.is_map() && value.as_map_ref().is_ok_and(|map| map.values().any(holds)) {
        let members = value.try_cast::<rhai::Map>().unwrap_or_default();
        let members = members.into_iter().map(|(name, item)| (name, bind(item, current, home)));
        return Dynamic::from_map(members.collect());
    }
    value
}

/// Returns whether a value is or may hold functions.
fn holds(value: &Dynamic) -> bool {
    value.is_fnptr() || value.is_array() || value.is_map()
}

/// Returns a function that is evaluated where `home` says, whoever calls it.
fn bound(function: FnPtr, current: &Rc<Current>, home: &Home) -> Dynamic {
    if !takes(home, &function, None) {
        // A native function, the same everywhere.
        return function.into();
    }
    let (current, home) = (Rc::clone(current), Rc::clone(home));
    let run = move |context: NativeCallContext<'_>, args: &mut [&mut Dynamic]| {
        run_bound(&current, &home, &function, &context, args)
    };
    #[expect(deprecated, reason = "marked as volatile only; the version of rhai is pinned")]
    let bound = FnPtr::from_fn(BOUND, run);
    bound.expect("the name is one of a function").into()
}

fn run_bound(
    current: &Rc<Current>,
    home: &Home,
    function: &FnPtr,
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    let call = &*current.call()?;
    let captured = function.curry();
    let all = captured.len() + args.len();
    // Rhai's own functions hand an element to natives as the first argument, and to scripts as
    // `this` if they do not take it.
    let is_method = !takes(home, function, Some(all));
    if is_method && (args.is_empty() || !takes(home, function, Some(all - 1))) {
        let signature = format!("{BOUND} ({})", vec!["_"; args.len()].join(", "));
        return Err(EvalAltResult::ErrorFunctionNotFound(signature, Position::NONE).into());
    }
    let caller = here(context);
    // Evaluating takes the arguments away, but elements belong to whoever calls.
    let mut values: Vec<Dynamic> = captured.to_vec();
    let given = args.iter().skip(usize::from(is_method)).map(|arg| (**arg).clone());
    values.extend(given.map(|value| bind(value, current, &mut || Rc::clone(&caller))));
    let name = function.fn_name();
    let answer = evaluate(current, call, context, home, |inner| {
        let this = args.iter_mut().take(usize::from(is_method)).map(|this| &mut **this);
        let mut args: Vec<&mut Dynamic> = this.chain(&mut values).collect();
        inner.call_fn_raw(name, is_method, is_method, &mut args)
    })?;
    Ok(bind(answer, current, &mut || Rc::clone(home)))
}

/// Returns whether a script's function takes that many arguments; or whether it is one at all.
fn takes(home: &GlobalRuntimeState, function: &FnPtr, count: Option<usize>) -> bool {
    let name = function.fn_name();
    let known = |count| home.lib.iter().any(|lib| lib.get_script_fn(name, count).is_some());
    count.map_or_else(|| (0..=PARAMS).any(known), known)
}
