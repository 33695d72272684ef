//! One turn of a VU's coroutine: resumed within its limits until it ends, waits or must let others
//! run.

use mlua::{IntoLuaMulti, MultiValue};

use super::failure;
use super::instance::Body;
use super::kit::Kit;
use super::state::{Entered, State, untag};
use crate::api::{ApiError, Value};
use crate::script::ScriptError;

/// How a resumed coroutine came back.
pub(super) enum Turn {
    /// It ended, well or not.
    Ended(bool, mlua::Value),
    /// It waits for a call.
    Waits(MultiValue),
    /// Its slice ended.
    Sliced,
    /// The script yielded to nobody.
    Yielded,
    /// It failed outside of its protected call.
    Failed(mlua::Error),
}

/// Resumes a VU's coroutine within its limits.
pub(super) fn resume(state: &State, body: &Body, arguments: impl IntoLuaMulti) -> Turn {
    within(state, body, || body.thread.resume(arguments))
}

/// Resumes a VU's coroutine with what its wait answered.
pub(super) fn answered(state: &State, body: &Body, answer: Result<Value, ApiError>) -> Turn {
    within(state, body, || body.thread.resume(state.kit.answer(&state.lua, &body.slot, answer)?))
}

/// Resumes a VU's coroutine with an error, where it yielded to nobody.
pub(super) fn refused(state: &State, body: &Body) -> Turn {
    within(state, body, || {
        body.thread.resume_error("only coroutines that the script made itself may yield")
    })
}

/// Runs script code within a VU's limits.
fn within(state: &State, body: &Body, run: impl FnOnce() -> mlua::Result<MultiValue>) -> Turn {
    let State { lua, kit, .. } = state;
    let slot = &body.slot;
    if let Err(error) = kit.collect_held(lua) {
        return Turn::Failed(error);
    }
    if Kit::bytes_of(lua, slot) > slot.watermark.get() {
        match kit.collect_for(lua, slot) {
            Ok(false) => {}
            Ok(true) => return Turn::Failed(mlua::Error::MemoryError(kit.memory_message())),
            Err(error) => return Turn::Failed(error),
        }
    }
    let entered = Entered::new(state, slot);
    let result = run();
    drop(entered);
    let mut values = match result {
        Ok(values) => values,
        Err(error) => return Turn::Failed(error),
    };
    if !body.thread.is_resumable() {
        let fine = matches!(values.pop_front(), Some(mlua::Value::Boolean(true)));
        return Turn::Ended(fine, values.pop_front().unwrap_or(mlua::Value::Nil));
    }
    match untag(values) {
        Ok(call) => Turn::Waits(call),
        Err(rest) if rest.is_empty() && slot.sliced.get() => Turn::Sliced,
        Err(_) => Turn::Yielded,
    }
}

/// Returns what a call came to.
pub(super) fn ended(state: &State, body: &Body, turn: Turn) -> Result<mlua::Value, ScriptError> {
    let kit = &state.kit;
    let slot = &body.slot;
    if let Some(error) = failure::tripped(kit, slot) {
        return Err(error);
    }
    match turn {
        Turn::Ended(true, value) => Ok(value),
        Turn::Ended(false, error) => Err(failure::raised(kit, slot, &error)),
        Turn::Failed(error) => {
            Err(failure::raised(kit, slot, &mlua::Value::Error(Box::new(error))))
        }
        Turn::Waits(_) | Turn::Sliced | Turn::Yielded => Ok(mlua::Value::Nil),
    }
}
