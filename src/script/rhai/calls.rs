//! Methods of native objects that call the script: `map.update`, `mix.run`.

use std::any::TypeId;
use std::rc::Rc;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext};

use super::border::{enter, invoke};
use super::current::Current;
use super::failure::Failure;
use super::native::{Now, part, run_part};
use super::object::{Handle, plain_call};
use super::value::{from_dynamic, to_dynamic, type_name};
use crate::api::{ApiError, Module, Value};

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// A method that calls the script.
type Method =
    fn(&Rc<Current>, &NativeCallContext<'_>, &Parts, &mut [&mut Dynamic]) -> Result<Dynamic>;

/// The native parts of the methods.
struct Parts {
    read: Option<Now>,
    swap: Option<Now>,
    pick: Option<Now>,
}

/// Registers the methods over those of the objects' tables.
pub(super) fn register(engine: &mut Engine, current: &Rc<Current>, modules: &'static [Module]) {
    let find = |module: &str, name: &str| {
        modules.iter().find(|known| known.name == module).and_then(|module| part(module, name))
    };
    let parts = Rc::new(Parts {
        read: find("shared", "_read_map"),
        swap: find("shared", "_swap_map"),
        pick: find("mix", "_pick_mix"),
    });
    let methods: [(&str, &str, usize, Method); 3] =
        [("map", "update", 2, update), ("mix", "run", 0, run), ("mix", "run", 1, run)];
    for (kind, name, count, method) in methods {
        let mut types = vec![TypeId::of::<Handle>()];
        types.resize(count + 1, TypeId::of::<Dynamic>());
        let (current, parts) = (Rc::clone(current), Rc::clone(&parts));
        engine.register_raw_fn(name, types, move |context, args| {
            let is_it =
                args[0].read_lock::<Handle>().is_some_and(|handle| handle.0.type_name() == kind);
            let answer = if is_it {
                method(&current, &context, &parts, args)
            } else {
                plain_call(&current, name, args, context.call_position())
            };
            current.note_failure(answer.is_err());
            answer
        });
    }
}

/// `map.update(key, |value| …)`: reads, calls, and sets what came of it unless another VU was faster;
/// then it begins anew.
fn update(
    current: &Rc<Current>,
    context: &NativeCallContext<'_>,
    parts: &Parts,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    const CALL: &str = "map.update";
    let call = &*current.call()?;
    let raise = |error| Failure::raise(error, context.call_position());
    let Some(function) = args[2].read_lock::<FnPtr>().map(|function| function.clone()) else {
        return Err(raise(ApiError::usage(format!(
            "{CALL}: argument 2 (function) must be a function such as `|value| {{ … }}`, got {}",
            type_name(args[2])
        ))));
    };
    let map = from_dynamic(args[0]).map_err(raise)?;
    let key = from_dynamic(args[1]).map_err(raise)?;
    loop {
        call.go_on()?;
        let known = run_part(call, parts.read, CALL, vec![map.clone(), key.clone()]);
        let Value::Map(mut known) = known.map_err(raise)? else {
            return Err(raise(ApiError::usage(format!("{CALL} has no native part"))));
        };
        let value = to_dynamic(known.take("value").unwrap_or_default());
        let version = known.take("version").unwrap_or_default();
        let answer = invoke(current, call, context, &function, [value])?;
        call.go_on()?;
        let new = from_dynamic(&answer).map_err(|error| {
            raise(ApiError {
                message: format!("{CALL}: the function's answer: {}", error.message),
                ..error
            })
        })?;
        let values = vec![map.clone(), key.clone(), version, new];
        let swapped = run_part(call, parts.swap, CALL, values).map_err(raise)?;
        if swapped.is_truthy() {
            return Ok(answer);
        }
    }
}

/// `mix.run(data)`: calls the function of the script that is next.
fn run(
    current: &Rc<Current>,
    context: &NativeCallContext<'_>,
    parts: &Parts,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    const CALL: &str = "mix.run";
    let call = &*current.call()?;
    call.go_on()?;
    let raise = |error| Failure::raise(error, context.call_position());
    let mix = from_dynamic(args[0]).map_err(raise)?;
    let name = run_part(call, parts.pick, CALL, vec![mix]).map_err(raise)?;
    let name = name.as_text().unwrap_or_default();
    let entry = current.entry(&name, 1).or_else(|| current.entry(&name, 0));
    let (Some(entry), Some(home)) = (entry, call.home.borrow().clone()) else {
        let problem = format!("{CALL}: the script has no function `{name}`");
        return Err(raise(ApiError::usage(problem)));
    };
    let mut nothing = Dynamic::UNIT;
    let data = match args.get_mut(1) {
        Some(data) => &mut **data,
        None => &mut nothing,
    };
    enter(current, &home, &entry, context, &mut [data][..entry.params()])
}
