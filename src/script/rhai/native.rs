//! Native modules in scripts: `import "kingtide/http" as http` and what it offers.
//!
//! Every function is registered once for each number of arguments it may have, with parameters of
//! any type; the neutral side checks the types and names the parameters in its errors.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult, FnPtr, FuncRegistration, NativeCallContext, RhaiFunc};

use super::SharedModule;
use super::border::invoke;
use super::current::{Call, Current, terminated};
use super::failure::Failure;
use super::object::finish;
use super::value::{from_dynamic, is_truthy, to_dynamic, type_name};
use super::ws;
use crate::api::{Answer, ApiError, Args, Function, Module, Run, Value, VuContext};

/// Further arguments that `...` stands for.
const FURTHER: usize = 8;

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;
pub(super) type Now = fn(&Rc<VuContext>, Args) -> std::result::Result<Value, ApiError>;
type Native = Box<dyn Fn(&NativeCallContext<'_>, &mut [&mut Dynamic]) -> Result<Dynamic>>;

/// Returns a module's name as scripts import it.
pub(super) fn import_name(module: &Module) -> String {
    if module.name.is_empty() { "kingtide".to_owned() } else { format!("kingtide/{}", module.name) }
}

/// Returns how many arguments a call with these parameters may have.
pub(super) fn arities(params: &[&str]) -> RangeInclusive<usize> {
    let open = params.last() == Some(&"...");
    let named = params.len() - usize::from(open);
    let required = params[..named].iter().filter(|name| !name.ends_with('?')).count();
    required..=named + if open { FURTHER } else { 0 }
}

/// Returns a call's name for messages: `http::get`, `response.json`.
///
/// There are as many as functions and methods, so they are kept for good: no call makes one.
pub(super) fn label(
    kind: &'static str,
    separator: &'static str,
    name: &'static str,
) -> &'static str {
    type Labels = BTreeMap<(&'static str, &'static str, &'static str), &'static str>;
    thread_local! {
        static LABELS: RefCell<Labels> = const { RefCell::new(BTreeMap::new()) };
    }
    LABELS.with_borrow_mut(|labels| {
        let make = || format!("{kind}{separator}{}", name.replace('.', "::"));
        *labels.entry((kind, separator, name)).or_insert_with(|| make().leak())
    })
}

/// Returns a number of arguments as text.
pub(super) fn arguments(count: usize) -> String {
    format!("{count} argument{}", if count == 1 { "" } else { "s" })
}

/// Returns the modules by import name.
pub(super) fn bind(
    current: &Rc<Current>,
    modules: &'static [Module],
) -> BTreeMap<String, SharedModule> {
    modules
        .iter()
        .map(|module| (import_name(module), bind_module(current, module).into()))
        .collect()
}

fn bind_module(current: &Rc<Current>, module: &'static Module) -> rhai::Module {
    let mut root = rhai::Module::new();
    root.set_id(import_name(module));
    let mut inner: BTreeMap<&str, rhai::Module> = BTreeMap::new();
    for function in module.functions {
        if function.name.starts_with('_') {
            continue;
        }
        let (target, name) = match function.name.split_once('.') {
            Some((group, name)) => (inner.entry(group).or_default(), name),
            None => (&mut root, function.name),
        };
        let native: Rc<Native> = Rc::new(native(current, module, function));
        for count in arities(function.params) {
            let native = Rc::clone(&native);
            let run = move |context: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
                native(&context.ok_or_else(terminated)?, args)
            };
            // A method to Rhai: it hands a variable on as it is, where it would copy it first.
            FuncRegistration::new(name).set_into_module_raw(
                target,
                vec![TypeId::of::<Dynamic>(); count],
                RhaiFunc::Method {
                    func: Rc::new(run),
                    has_context: true,
                    is_pure: true,
                    is_volatile: true,
                },
            );
        }
    }
    for constant in module.constants {
        root.set_var(constant.name, to_dynamic((constant.value)()));
    }
    for (name, group) in inner {
        root.set_sub_module(name, group);
    }
    root.build_index();
    root
}

/// Returns what a function runs.
fn native(current: &Rc<Current>, module: &'static Module, function: &'static Function) -> Native {
    let current = Rc::clone(current);
    let namespace = if module.name.is_empty() { "kt" } else { module.name };
    let label = label(namespace, "::", function.name);
    match (function.run, function.name) {
        (Run::Now(run), _) => Box::new(move |context, args| {
            let call = current.call()?;
            call.go_on()?;
            let answer =
                values(label, function, args).and_then(|args| run(&call.vu, args)).map(Answer::Now);
            finish(&call, answer, context.call_position())
        }),
        (Run::Wait(run), _) => Box::new(move |context, args| {
            let call = current.call()?;
            call.go_on()?;
            let answer = values(label, function, args)
                .and_then(|args| run(&call.vu, args))
                .map(Answer::Wait);
            finish(&call, answer, context.call_position())
        }),
        (Run::Script, "check") => {
            let record = part(module, "_record_check");
            Box::new(move |context, args| check(&current, record, context, args))
        }
        (Run::Script, "group") => {
            let parts = (part(module, "_enter_group"), part(module, "_leave_group"));
            Box::new(move |context, args| group(&current, parts, context, args))
        }
        (Run::Script, "array") => {
            let parts = (part(module, "_find_array"), part(module, "_keep_array"));
            Box::new(move |context, args| array(&current, parts, context, args))
        }
        (Run::Script, "run") if module.name == "ws" => Box::new(move |context, args| {
            ws::run(&current, &*current.call()?, module, context, args)
        }),
        (Run::Script, _) => Box::new(move |context, _| {
            let error = ApiError::usage(format!("{label} is not offered in Rhai"));
            Err(Failure::raise(error, context.call_position()))
        }),
    }
}

fn values(
    label: &'static str,
    function: &'static Function,
    args: &[&mut Dynamic],
) -> std::result::Result<Args, ApiError> {
    let mut values = Vec::with_capacity(args.len());
    for (index, value) in args.iter().enumerate() {
        values.push(from_dynamic(value).map_err(|error| {
            let name = function.params.get(index).map_or("...", |name| name.trim_end_matches('?'));
            let position = index + 1;
            ApiError::usage(format!("{label}: argument {position} ({name}): {}", error.message))
        })?);
    }
    Ok(Args::new(label, function.params, values))
}

/// Returns a native part of a function that is written here.
pub(super) fn part(module: &Module, name: &str) -> Option<Now> {
    module.functions.iter().find(|function| function.name == name).and_then(|function| {
        match function.run {
            Run::Now(run) => Some(run),
            Run::Wait(_) | Run::Script => None,
        }
    })
}

pub(super) fn run_part(
    call: &Call,
    part: Option<Now>,
    label: &'static str,
    values: Vec<Value>,
) -> std::result::Result<Value, ApiError> {
    const PARAMS: &[&str] = &["name", "passed", "tags"];
    let part = part.ok_or_else(|| ApiError::usage(format!("{label} has no native part")))?;
    part(&call.vu, Args::new(label, PARAMS, values))
}

/// `check(value, #{ name: |value| … }, tags?)`: the predicates in alphabetical order, since that is
/// how Rhai keeps a map. One that raises counts as failed, and its error goes on.
fn check(
    current: &Current,
    record: Option<Now>,
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    let call = &*current.call()?;
    call.go_on()?;
    let position = context.call_position();
    let raise = |error| Failure::raise(error, position);
    let predicates = args[1].take().flatten().try_cast_result::<rhai::Map>().map_err(|other| {
        raise(ApiError::usage(format!(
            "kt::check: argument 2 (predicates) must be an object map of names and functions, \
             got {}",
            type_name(&other)
        )))
    })?;
    let tags = args.get(2).map_or(Ok(Value::Nil), |tags| from_dynamic(tags)).map_err(raise)?;
    let mut all = true;
    for (name, predicate) in predicates {
        let outcome = match predicate.try_cast_result::<FnPtr>() {
            Ok(function) => invoke(current, call, context, &function, [args[0].flatten_clone()])
                .map(|answer| is_truthy(&answer)),
            Err(value) => Ok(is_truthy(&value)),
        };
        call.go_on()?;
        let passed = *outcome.as_ref().unwrap_or(&false);
        let values = vec![Value::from(name.as_str()), Value::Bool(passed), tags.clone()];
        run_part(call, record, "kt::check", values).map_err(raise)?;
        outcome?;
        all &= passed;
    }
    Ok(all.into())
}

/// `group(name, || …)`: what the function does is tagged with the group, which is left even if the
/// function fails.
fn group(
    current: &Current,
    (enter, leave): (Option<Now>, Option<Now>),
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    let call = &*current.call()?;
    call.go_on()?;
    let raise = |error| Failure::raise(error, context.call_position());
    let Some(function) = args[1].read_lock::<FnPtr>().map(|function| function.clone()) else {
        return Err(raise(ApiError::usage(format!(
            "kt::group: argument 2 (function) must be a function such as `|| {{ … }}`, got {}",
            type_name(args[1])
        ))));
    };
    let name = from_dynamic(args[0]).map_err(raise)?;
    let outer = run_part(call, enter, "kt::group", vec![name]).map_err(raise)?;
    let answer = invoke(current, call, context, &function, []);
    let left = run_part(call, leave, "kt::group", vec![outer]);
    call.go_on()?;
    let answer = answer?;
    left.map_err(raise)?;
    Ok(answer)
}

/// `data::array(name, || …)`: the function runs once in a test; what it returned is found after that.
fn array(
    current: &Current,
    (find, keep): (Option<Now>, Option<Now>),
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    const CALL: &str = "data::array";
    let call = &*current.call()?;
    call.go_on()?;
    let raise = |error| Failure::raise(error, context.call_position());
    let Some(function) = args[1].read_lock::<FnPtr>().map(|function| function.clone()) else {
        return Err(raise(ApiError::usage(format!(
            "{CALL}: argument 2 (function) must be a function such as `|| {{ … }}`, got {}",
            type_name(args[1])
        ))));
    };
    let name = from_dynamic(args[0]).map_err(raise)?;
    let known = run_part(call, find, CALL, vec![name.clone()]).map_err(raise)?;
    if !known.is_nil() {
        return Ok(to_dynamic(known));
    }
    let items = invoke(current, call, context, &function, [])?;
    call.go_on()?;
    let items = from_dynamic(&items).map_err(|error| {
        raise(ApiError { message: format!("{CALL}: {}", error.message), ..error })
    })?;
    run_part(call, keep, CALL, vec![name, items]).map(to_dynamic).map_err(raise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arities_follow_the_parameters() {
        assert_eq!(arities(&[]), 0..=0);
        assert_eq!(arities(&["url", "params?"]), 1..=2);
        assert_eq!(arities(&["..."]), 0..=FURTHER);
    }
}
