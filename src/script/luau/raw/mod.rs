//! The path of a request through Luau, on its C API: calls, values, objects, turns of a coroutine.
//!
//! With mlua's safe API a request with one check spent about 2.5 µs in boxes, copies and
//! multi-values; this spends a fifth of it. `stack` holds the C API's calls and the rules for them;
//! what stands on it knows no pointers but for the functions that the interpreter calls.

#![expect(unsafe_code, reason = "states of mlua enter here")]

use std::rc::Rc;

use mlua::{Lua, Thread};

pub(super) use self::call::{Scripted, Target, What};
use self::stack::Stack;
pub(super) use self::turn::{Turn, begin, clear, frames, go_on, refuse, result, take_top};
use super::kit::Kit;
use crate::api::{ApiError, Value};

mod call;
mod check;
mod kind;
mod object;
mod push;
mod read;
mod stack;
mod turn;

/// A value that a state keeps until this is dropped.
pub(super) struct Kept {
    id: i32,
    /// Its state, which lives longer: mlua's own handle would be a reference cycle's beginning.
    lua: mlua::WeakLua,
}

impl Kept {
    /// Keeps a value.
    pub(super) fn new(lua: &Lua, value: impl mlua::IntoLua) -> mlua::Result<Self> {
        let mut id = 0;
        protected::<()>(lua, value, |stack| {
            id = stack.keep();
            stack.pop(1);
        })?;
        Ok(Self { id, lua: lua.weak() })
    }

    /// Returns its number.
    pub(super) fn id(&self) -> i32 {
        self.id
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(lua) = self.lua.try_upgrade() {
            main(&lua).forget(self.id);
        }
    }
}

/// Returns the stack of a state outside of its coroutines, or of the one that runs.
fn main(lua: &Lua) -> Stack {
    // SAFETY: the pointer comes from a live `Lua`, on whose thread we are.
    unsafe { Stack::new(super::memory::state(lua)) }
}

/// Runs code that may raise; what it leaves on the stack, with `values` at the bottom, is returned.
fn protected<R: mlua::FromLuaMulti>(
    lua: &Lua,
    values: impl mlua::IntoLuaMulti,
    code: impl FnOnce(Stack),
) -> mlua::Result<R> {
    // SAFETY: the state is live; whatever is raised inside is caught there.
    unsafe { lua.exec_raw(values, |state| code(Stack::new(state))) }
}

/// Makes a Luau value. `frozen` makes all tables read-only.
pub(super) fn to_lua(
    lua: &Lua,
    kit: &Kit,
    value: &Value,
    frozen: bool,
) -> mlua::Result<mlua::Value> {
    protected(lua, (), |stack| push::push(kit, stack, value, frozen))
}

/// Takes a Luau value.
///
/// # Errors
/// If it holds what cannot pass: a function, a table in itself, or more than the limits allow.
pub(super) fn from_lua(lua: &Lua, kit: &Kit, value: &mlua::Value) -> Result<Value, ApiError> {
    let mut read = None;
    let done = protected::<()>(lua, value, |stack| {
        read = Some(read::read(kit, stack, -1));
        stack.pop(1);
    });
    match (done, read) {
        (Ok(()), Some(read)) => read,
        (Err(error), _) => Err(ApiError::usage(super::failure::plain(&error))),
        (Ok(()), None) => Err(ApiError::usage("this value cannot be passed here")),
    }
}

/// Returns whether a table is a list: marked as one, or with entries from 1 on and no others.
pub(super) fn is_list(lua: &Lua, kit: &Kit, table: &mlua::Table) -> bool {
    matches!(from_lua(lua, kit, &mlua::Value::Table(table.clone())), Ok(Value::List(_)))
}

/// Makes a function that runs a target.
pub(super) fn function(lua: &Lua, kit: &Kit, target: &Rc<Target>) -> mlua::Result<mlua::Function> {
    protected(lua, (), |stack| call::push_target(kit, stack, target))
}

/// Makes the function `kt.check`.
pub(super) fn check_function(lua: &Lua, kit: &Kit) -> mlua::Result<mlua::Function> {
    protected(lua, (), |stack| check::push_check(kit, stack))
}

/// Makes a state know native objects.
pub(super) fn define_objects(lua: &Lua, kit: &Kit) -> mlua::Result<()> {
    protected(lua, (), |stack| object::define(kit, stack))
}

/// Returns what marks yields to the worker.
pub(super) fn tag() -> mlua::Value {
    let address = std::ptr::from_ref(&call::TAG).cast_mut().cast();
    mlua::Value::LightUserData(mlua::LightUserData(address))
}

/// Returns a coroutine's stack.
fn of(thread: &Thread) -> Stack {
    // SAFETY: the pointer comes from a live `Thread`, on whose thread we are.
    unsafe { Stack::new(thread.state()) }
}
