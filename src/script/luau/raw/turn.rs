//! Turns of a VU's coroutine: from where it is begun or goes on to where it ends, waits or stops.

use std::ffi::c_int;

use mlua::{Lua, Thread};

use super::call::TAG;
use super::read::read;
use super::stack::{Back, Stack};
use super::{Kept, main, of, protected};
use crate::api::{ApiError, Value};
use crate::script::luau::kit::Kit;
use crate::script::luau::slot::{self, Frame};

/// How a resumed coroutine came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script::luau) enum Turn {
    /// It ended; what it returned lies on its stack.
    Ended,
    /// It waits for a call, which lies with the VU.
    Waits,
    /// It yielded nothing: its slice ended, or the script yielded to nobody.
    Yielded,
    /// The script yielded a value to nobody.
    Strayed,
    /// It failed; the error lies on its stack, and its calls can be looked at.
    Failed,
    /// It failed for want of memory.
    OutOfMemory,
}

/// Begins a function in a coroutine, whatever the coroutine did before.
pub(in crate::script::luau) fn begin(
    lua: &Lua,
    thread: &Thread,
    function: &Kept,
    argument: Option<&Kept>,
) -> Turn {
    let stack = of(thread);
    stack.reset();
    // A fresh stack has room for 20 values.
    stack.push_kept(function.id());
    match argument {
        Some(argument) => stack.push_kept(argument.id()),
        None => stack.push_nil(),
    }
    turn(stack, stack.resume(main(lua), 1))
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
        Back::Ended => {
            // Further results are nobody's.
            stack.set_top(stack.top().min(1));
            Turn::Ended
        }
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
    let stack = of(thread);
    if stack.top() == 0 { Ok(Value::Nil) } else { read(kit, stack, 1) }
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

/// Returns the author's calls of a coroutine, innermost first, even after it failed.
pub(in crate::script::luau) fn frames(kit: &Kit, thread: &Thread) -> Vec<Frame> {
    let stack = of(thread);
    slot::frames_by(&kit.chunks, |level| {
        let call = stack.call_at(c_int::try_from(level).ok()?)?;
        Some((call.source, call.line, call.function))
    })
}
