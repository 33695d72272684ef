//! Native objects in scripts: fields by `.` and `[]`, methods by name, iteration, text.
//!
//! All objects are one custom type, [`Handle`], which asks its object what it has. Reading a field
//! of a well-known name goes through a getter of that name; Rhai finds it faster than the indexer,
//! which serves all others.

use std::any::TypeId;
use std::cell::Cell;
use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, NativeCallContext, Position,
};

use super::current::{Call, Current, terminated};
use super::failure::Failure;
use super::native::arities;
use super::value::{from_dynamic, to_dynamic};
use super::ws;
use crate::api::{Answer, ApiError, Args, MODULES, Method, Object, Value};
use crate::units;

/// A native object in a script.
#[derive(Clone)]
pub(super) struct Handle(pub(super) Rc<dyn Object>);

/// Fields that get a getter of their own. Only speed depends on this list.
const QUICK_FIELDS: &[&str] = &[
    "body",
    "cookies",
    "duration",
    "error",
    "error_code",
    "headers",
    "id",
    "iteration_in_instance",
    "iteration_in_scenario",
    "iteration_in_test",
    "name",
    "ok",
    "result",
    "status",
    "text",
    "timings",
    "url",
    "value",
];

/// Returns the name of a type's method for messages.
type Label<'a> = &'a dyn Fn(&'static str, &'static str) -> &'static str;

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// Registers the type, its fields, iteration and texts, and the methods of `tables`.
pub(super) fn register(
    engine: &mut Engine,
    current: &Rc<Current>,
    tables: &'static [&'static [Method]],
) {
    engine.register_type_with_name::<Handle>("object");
    for &field in QUICK_FIELDS {
        let current = Rc::clone(current);
        FuncRegistration::new_getter(field)
            .register_into_engine(engine, move |handle: &mut Handle| get(&current, handle, field));
    }
    let reader = Rc::clone(current);
    FuncRegistration::new_index_getter()
        .register_into_engine(engine, move |handle: &mut Handle, field: ImmutableString| {
            get(&reader, handle, &field)
        });
    let writer = Rc::clone(current);
    // Pure to Rhai, since constants such as `kt::vu` have parts that can be set.
    FuncRegistration::new_index_setter().with_purity(true).register_into_engine(
        engine,
        move |handle: &mut Handle, field: ImmutableString, value: Dynamic| {
            set(&writer, handle, &field, &value)
        },
    );
    register_iterator(engine, current);
    for name in ["to_string", "print", "to_debug", "debug"] {
        engine.register_fn(name, |handle: &mut Handle| handle.0.describe());
    }
    engine.register_fn("==", |a: Handle, b: Handle| Rc::ptr_eq(&a.0, &b.0));
    engine.register_fn("!=", |a: Handle, b: Handle| !Rc::ptr_eq(&a.0, &b.0));
    for method in tables.iter().copied().flatten() {
        register_method(engine, current, method);
    }
    register_missing(engine, current);
}

/// Registers a method's name for every number of arguments that it may have.
fn register_method(engine: &mut Engine, current: &Rc<Current>, method: &'static Method) {
    for count in arities(method.params) {
        let mut types = vec![TypeId::of::<Handle>()];
        types.resize(count + 1, TypeId::of::<Dynamic>());
        let current = Rc::clone(current);
        let name = method.name;
        // Nearly always the objects of one method name are of one type.
        let last = Cell::new(("", ""));
        let label = move |kind: &'static str, name: &'static str| {
            if !std::ptr::eq(last.get().0, kind) {
                last.set((kind, super::native::label(kind, ".", name)));
            }
            last.get().1
        };
        engine.register_raw_fn(name, types, move |context, args| {
            let answer = called_back(&current, name, &context, args)
                .unwrap_or_else(|| call(&current, name, &label, args, context.call_position()));
            current.note_failure(answer.is_err());
            answer
        });
    }
}

/// Calls a method with a callback, if this is one.
fn called_back(
    current: &Current,
    name: &str,
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Option<Result<Dynamic>> {
    if name != "request" {
        return None;
    }
    let module = MODULES.iter().find(|module| module.name == "ws")?;
    match current.call() {
        Ok(call) => ws::request(current, &call, module, context, args),
        Err(error) => Some(Err(error)),
    }
}

/// Serves methods that no table names, and says what is wrong with calls that fit no method.
fn register_missing(engine: &mut Engine, current: &Rc<Current>) {
    let current = Rc::clone(current);
    #[expect(deprecated, reason = "marked as volatile only; the version of rhai is pinned")]
    engine.on_missing_function(move |name, args, _, _| {
        let failed = current.take_failure();
        let is_object = args.first().is_some_and(|first| first.is::<Handle>());
        if failed || !is_object || matches!(name, "==" | "!=") {
            return Ok(None);
        }
        let object = handle_of(args[0])?.0;
        if let Err(error) = fitting(&*object, name, args.len() - 1) {
            current.note_missed(name, error.message);
            return Ok(None);
        }
        plain_call(&current, name, args, Position::NONE).map(Some)
    });
}

fn handle_of(value: &Dynamic) -> Result<Handle> {
    value.read_lock::<Handle>().map(|handle| handle.clone()).ok_or_else(terminated)
}

fn get(current: &Current, handle: &Handle, field: &str) -> Result<Dynamic> {
    let call = current.call()?;
    match handle.0.get(&call.vu, field) {
        Ok(Some(value)) => Ok(to_dynamic(value)),
        Ok(None) => Err(Failure::raise(unknown(&*handle.0, field), Position::NONE)),
        Err(error) => Err(Failure::raise(error, Position::NONE)),
    }
}

fn set(current: &Current, handle: &Handle, field: &str, value: &Dynamic) -> Result<()> {
    let call = current.call()?;
    if value.is::<Handle>()
        && !handle.0.takes_objects()
        && let Ok(Some(Value::Object(_))) = handle.0.get(&call.vu, field)
    {
        // After `object.part.field = x` Rhai writes the part back to where it was read from.
        return Ok(());
    }
    let value = from_dynamic(value).map_err(|error| Failure::raise(error, Position::NONE))?;
    let Err(error) = handle.0.set(&call.vu, field, value.clone()) else { return Ok(()) };
    // After `object.field.method()` Rhai writes the field back too, though nothing has changed.
    let known = handle.0.get(&call.vu, field).ok().flatten().map(to_dynamic);
    let same = known.and_then(|known| from_dynamic(&known).ok()).is_some_and(|k| k == value);
    if same { Ok(()) } else { Err(Failure::raise(error, Position::NONE)) }
}

/// What iterating over an object yields.
type Yields = Box<dyn Iterator<Item = Result<Dynamic>>>;

/// Returns what iterating over an object yields: its items, each made when it is its turn, or maps of
/// its entries' names and values.
fn entries(current: &Current, handle: &Handle) -> Result<Yields> {
    let call = current.call()?;
    if let Some(length) = handle.0.length() {
        let object = Rc::clone(&handle.0);
        return Ok(Box::new((0..length).map(move |at| Ok(to_dynamic(object.item(at))))));
    }
    let Some(entries) = handle.0.entries(&call.vu) else {
        let message = format!("{} cannot be iterated over", handle.0.type_name());
        return Err(Failure::raise(ApiError::usage(message), Position::NONE));
    };
    Ok(Box::new(entries.into_iter().map(|(name, value)| {
        let mut entry = rhai::Map::new();
        entry.insert("name".into(), name.into());
        entry.insert("value".into(), to_dynamic(value));
        Ok(Dynamic::from_map(entry))
    })))
}

/// Calls a method of a name, outside of the tables of methods.
pub(super) fn plain_call(
    current: &Current,
    name: &str,
    args: &mut [&mut Dynamic],
    position: Position,
) -> Result<Dynamic> {
    let label = |kind, name| super::native::label(kind, ".", name);
    call(current, name, &label, args, position)
}

fn call(
    current: &Current,
    name: &str,
    label: Label<'_>,
    args: &mut [&mut Dynamic],
    position: Position,
) -> Result<Dynamic> {
    let call = current.call()?;
    call.go_on()?;
    let object = handle_of(args[0])?.0;
    let method =
        fitting(&*object, name, args.len() - 1).map_err(|error| Failure::raise(error, position))?;
    let label = label(object.type_name(), method.name);
    let answer = args[1..]
        .iter()
        .map(|value| from_dynamic(value))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| ApiError::usage(format!("{label}: {}", error.message)))
        .and_then(|values| {
            let args = Args::new(label, method.params, values);
            object.call(&call.vu, method, args)
        });
    finish(&call, answer, position)
}

/// Returns the method of a name if it takes that many arguments.
fn fitting(
    object: &dyn Object,
    name: &str,
    count: usize,
) -> std::result::Result<&'static Method, ApiError> {
    let Some(method) = object.methods().iter().find(|method| method.name == name) else {
        return Err(no_method(object, name));
    };
    if !arities(method.params).contains(&count) {
        return Err(ApiError::usage(format!(
            "{}.{name} takes ({}), got {}",
            object.type_name(),
            method.params.join(", "),
            super::native::arguments(count),
        )));
    }
    Ok(method)
}

/// Waits for an answer if it must, and returns it to the script.
pub(super) fn finish(
    call: &Call,
    answer: std::result::Result<Answer, ApiError>,
    position: Position,
) -> Result<Dynamic> {
    let answer = match answer {
        Ok(Answer::Now(value)) => Ok(value),
        Ok(Answer::Wait(operation)) => call.wait(operation)?,
        Err(error) => Err(error),
    };
    // `abort()` ends the script here, whatever it answered.
    call.go_on()?;
    answer.map(to_dynamic).map_err(|error| Failure::raise(error, position))
}

fn unknown(object: &dyn Object, field: &str) -> ApiError {
    let kind = object.type_name();
    if let Some(method) = object.methods().iter().find(|method| method.name == field) {
        return ApiError::usage(format!(
            "`{field}` is a method of {kind}: call it as {kind}.{field}({})",
            method.params.join(", ")
        ));
    }
    let known = object.fields().iter().copied();
    let methods = object.methods().iter().map(|method| method.name);
    ApiError::usage(match units::nearest(field, known.chain(methods)) {
        Some(near) => format!("{kind} has no field `{field}`, did you mean `{near}`?"),
        None => format!("{kind} has no field `{field}`"),
    })
}

fn no_method(object: &dyn Object, name: &str) -> ApiError {
    let kind = object.type_name();
    if object.fields().contains(&name) {
        return ApiError::usage(format!(
            "`{name}` is a field of {kind}, not a method: write it without `()`"
        ));
    }
    let methods = object.methods().iter().map(|method| method.name);
    ApiError::usage(match units::nearest(name, methods) {
        Some(near) => format!("{kind} has no method `{name}`, did you mean `{near}`?"),
        None => format!("{kind} has no method `{name}`"),
    })
}

/// Lets scripts iterate over objects: by their method `next`, or over their entries.
fn register_iterator(engine: &mut Engine, current: &Rc<Current>) {
    let current = Rc::clone(current);
    let mut module = rhai::Module::new();
    module.set_iter_result(TypeId::of::<Handle>(), move |value| {
        let Some(handle) = value.try_cast::<Handle>() else {
            return Box::new(std::iter::once(Err(terminated())));
        };
        // Of what has items, `next` is another word: a selection's following siblings.
        let is_iterator = handle.0.length().is_none()
            && handle.0.methods().iter().any(|method| method.name == "next");
        if is_iterator {
            let current = Rc::clone(&current);
            return Box::new(std::iter::from_fn(move || {
                let mut object = Dynamic::from(handle.clone());
                let label = |kind, name| super::native::label(kind, ".", name);
                let args = &mut [&mut object];
                let next = call(&current, "next", &label, args, Position::NONE);
                next.map(|value| (!value.is_unit()).then_some(value)).transpose()
            }));
        }
        entries(&current, &handle).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
    });
    engine.register_global_module(module.into());
}
