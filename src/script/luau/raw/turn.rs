//! Turns of a VU's coroutine: from where it is begun or goes on to where it ends, waits or stops.

use std::ffi::c_int;

use mlua::{Lua, Thread};

use super::call::TAG;
use super::read::read;
use super::stack::{Back, Stack};
use super::{Kept, main, of, protected};
use crate::api::{ApiError, Value};
use crate::script::luau::kit::Kit;

/// What a coroutine begins with: kept functions and an argument.
pub(in crate::script::luau) struct Entry<'a> {
    /// The prelude's wrapper.
    pub(in crate::script::luau) run: &'a Kept,
    /// The script's function.
    pub(in crate::script::luau) function: &'a Kept,
    /// Its argument.
    pub(in crate::script::luau) argument: Option<&'a Kept>,
}

/// How a resumed coroutine came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script::luau) enum Turn {
    /// It ended, well or not; its value or error lies on its stack.
    Ended(bool),
    /// It waits for a call, which lies with the VU.
    Waits,
    /// It yielded nothing: its slice ended, or the script yielded to nobody.
    Yielded,
    /// The script yielded a value to nobody.
    Strayed,
    /// It failed outside of its protected call; the error lies on its stack.
    Failed,
    /// It failed for want of memory.
    OutOfMemory,
}

/// Begins a function in a coroutine, whatever the coroutine did before.
pub(in crate::script::luau) fn begin(lua: &Lua, thread: &Thread, entry: &Entry<'_>) -> Turn {
    let stack = of(thread);
    stack.reset();
    // A fresh stack has room for 20 values.
    stack.push_kept(entry.run.id());
    stack.push_kept(entry.function.id());
    match entry.argument {
        Some(argument) => stack.push_kept(argument.id()),
        None => stack.push_nil(),
    }
    turn(stack, stack.resume(main(lua), 2))
}

/// Goes on with a coroutine that yielded.
pub(in crate::script::luau) fn go_on(lua: &Lua, thread: &Thread) -> Turn {
    let stack = of(thread);
    stack.set_top(0);
    turn(stack, stack.resume(main(lua), 0))
}

/// Goes on with a coroutine by raising an error in it.
pub(in crate::script::luau) fn refuse(
    lua: &Lua,
    thread: &Thread,
    message: &str,
) -> mlua::Result<Turn> {
    let stack = of(thread);
    stack.set_top(0);
    protected::<()>(lua, message, |main| main.move_to(stack, 1))?;
    Ok(turn(stack, stack.resume_error(main(lua))))
}

fn turn(stack: Stack, back: Back) -> Turn {
    match back {
        Back::Ended => Turn::Ended(stack.truth(1)),
        Back::Yielded if stack.top() == 0 => Turn::Yielded,
        Back::Yielded if stack.light(1).cast_const().cast() == &raw const TAG => Turn::Waits,
        Back::Yielded => Turn::Strayed,
        Back::Failed => Turn::Failed,
        Back::OutOfMemory => Turn::OutOfMemory,
    }
}

/// Returns what a coroutine that ended returned, by copy.
///
/// # Errors
/// If it cannot be copied.
pub(in crate::script::luau) fn result(kit: &Kit, thread: &Thread) -> Result<Value, ApiError> {
    read(kit, of(thread), RESULT)
}

/// Returns what a coroutine that ended returned, or the error that it failed with.
pub(in crate::script::luau) fn take_top(lua: &Lua, thread: &Thread) -> mlua::Result<mlua::Value> {
    let stack = of(thread);
    protected(lua, (), |main| {
        if stack.top() == 0 {
            main.push_nil();
        } else {
            stack.move_to(main, 1);
        }
    })
}

/// Forgets what a coroutine that ended returned.
pub(in crate::script::luau) fn clear(thread: &Thread) {
    of(thread).set_top(0);
}

/// Where the prelude's wrapper leaves the value behind its success.
const RESULT: c_int = 2;
