//! `kt.check`: calls predicates and records what they say.
//!
//! In every iteration of most scripts, so not in the prelude. A predicate may wait: what is under
//! way lies on the function's own stack, where the continuation finds it.

#![expect(unsafe_code, reason = "functions that the interpreter calls")]

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::call::{guarded, kit_of};
use super::read::read;
use super::stack::{Kind, Stack};
use crate::api::{self, ApiError, Args, Value};
use crate::script::ScriptErrorKind;
use crate::script::luau::kit::Kit;
use crate::units;

/// Most predicates of one check: each holds a part of the thread's stack until the last is done.
const PREDICATES_MAX: usize = 250;

const PARAMS: &[&str] = &["value", "predicates", "tags?"];

// The function's stack.
const VALUE: c_int = 1;
const PREDICATES: c_int = 2;
const TAGS: c_int = 3;
/// The one name, or a list of names in order.
const NAMES: c_int = 4;
/// How many predicates have been begun.
const BEGUN: c_int = 5;
/// Whether all so far passed.
const ALL: c_int = 6;
/// What keeps the place of an error.
const TRAP: c_int = 7;
/// The name of the predicate under way.
const NAME: c_int = 8;
/// What it answers.
const VERDICT: c_int = 9;

/// Pushes the function. May raise.
pub(super) fn push_check(kit: &Kit, stack: Stack) {
    stack.push_light(std::ptr::from_ref(kit));
    stack.push_function(check, c"check", 1, Some(checked));
}

/// Begins: the interpreter calls this.
unsafe extern "C-unwind" fn check(state: *mut lua_State) -> c_int {
    // SAFETY: the interpreter's own state; `push_check` set the upvalue.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    stack.set_top(TAGS);
    if stack.kind(PREDICATES) != Kind::Table {
        return refuse(kit, stack);
    }
    if !push_only_name(stack) {
        match names(stack) {
            Ok(names) => {
                stack.push_table(names.len(), 0);
                for (index, name) in (1..).zip(names) {
                    stack.push_bytes(name);
                    stack.set_index(NAMES, index);
                }
            }
            Err(message) => return stack.raise(&message),
        }
    }
    stack.push_number(0.0);
    stack.push_bool(true);
    stack.push_kept(kit.makers().trap.id());
    go_through(kit, stack)
}

/// Goes on after a predicate: the interpreter calls this.
unsafe extern "C-unwind" fn checked(state: *mut lua_State, status: c_int) -> c_int {
    // SAFETY: as in `check`.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    if status != 0 {
        let _recorded = record(kit, stack, false);
        return stack.raise_top();
    }
    match settle(kit, stack) {
        Ok(()) => go_through(kit, stack),
        Err(message) => stack.raise(&message),
    }
}

/// Begins predicates until one must be called; ends with whether all passed.
fn go_through(kit: &Kit, stack: Stack) -> c_int {
    while begin_next(stack) {
        if stack.kind(VERDICT) == Kind::Function {
            stack.push_copy(VALUE);
            return stack.call_protected(1, TRAP);
        }
        if let Err(message) = settle(kit, stack) {
            return stack.raise(&message);
        }
    }
    stack.push_copy(ALL);
    1
}

/// Puts the next predicate's name and itself in their places; false if there is none left.
fn begin_next(stack: Stack) -> bool {
    let at = stack.number(BEGUN) as c_int + 1;
    stack.push_number(f64::from(at));
    stack.replace(BEGUN);
    if stack.kind(NAMES) == Kind::String {
        if at > 1 {
            return false;
        }
        stack.push_copy(NAMES);
    } else {
        stack.push_entry(NAMES, at);
        if stack.kind(NAME) != Kind::String {
            stack.pop(1);
            return false;
        }
    }
    stack.push_copy(NAME);
    stack.get(PREDICATES);
    true
}

/// Records the verdict on top and takes it away with its name.
fn settle(kit: &Kit, stack: Stack) -> Result<(), String> {
    let null = stack.kind(VERDICT) == Kind::LightUserdata && stack.light(VERDICT).is_null();
    let passed = stack.truth(VERDICT) && !null;
    record(kit, stack, passed)?;
    if !passed {
        stack.push_bool(false);
        stack.replace(ALL);
    }
    stack.set_top(TRAP);
    Ok(())
}

/// Records one predicate's verdict.
fn record(kit: &Kit, stack: Stack, passed: bool) -> Result<(), String> {
    let Some(slot) = kit.running() else { return Err("no VU runs".to_owned()) };
    let name = units::lossy(stack.bytes(NAME).unwrap_or_default());
    let mut recorded = Ok(());
    guarded(kit, stack, &slot, || {
        recorded =
            tags(kit, stack).and_then(|tags| api::record_check(&slot.vu, &name, passed, &tags));
    });
    recorded.map_err(|error| {
        slot.note(&error.message, ScriptErrorKind::Uncaught(error.kind));
        error.message
    })
}

/// Reads the check's own tags.
fn tags(kit: &Kit, stack: Stack) -> Result<Vec<(String, String)>, ApiError> {
    if stack.kind(TAGS) == Kind::Nil {
        return Ok(Vec::new());
    }
    let tags = read(kit, stack, TAGS)?;
    Args::new("kt.check", PARAMS, vec![Value::Nil, Value::Nil, tags]).tags(2)
}

/// Pushes the name of the only predicate, if there is just one: most checks have one.
fn push_only_name(stack: Stack) -> bool {
    let Some(at) = stack.next_pair(PREDICATES, 0) else { return false };
    stack.pop(1);
    if stack.kind(NAMES) == Kind::String {
        if stack.next_pair(PREDICATES, at).is_none() {
            return true;
        }
        stack.pop(2);
    }
    stack.pop(1);
    false
}

/// Returns the predicates' names in order: a run repeats.
fn names<'a>(stack: Stack) -> Result<Vec<&'a [u8]>, String> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(next) = stack.next_pair(PREDICATES, at) {
        at = next;
        // SAFETY: the name lies in a table that is an argument of the function that runs.
        let Some(name) = (unsafe { stack.anchored_bytes(-2) }) else {
            return Err("kt.check: argument 2 (predicates) must have names: \
                        { [\"status is 200\"] = function(r) ... end }"
                .to_owned());
        };
        names.push(name);
        stack.pop(2);
    }
    if names.len() > PREDICATES_MAX {
        return Err(format!("kt.check: more than {PREDICATES_MAX} predicates: use several checks"));
    }
    names.sort_unstable();
    Ok(names)
}

/// Raises the error of predicates that are no table.
fn refuse(kit: &Kit, stack: Stack) -> c_int {
    let got = match stack.kind(PREDICATES) {
        Kind::Function => "a function",
        Kind::Thread => "a coroutine",
        Kind::Userdata => "an object",
        _ => read(kit, stack, PREDICATES).map_or("an object", |value| value.type_name()),
    };
    let message = format!(
        "kt.check: argument 2 (predicates) must be a table of names and functions, got {got}"
    );
    stack.raise(&message)
}
