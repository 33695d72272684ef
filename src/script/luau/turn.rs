//! One turn of a VU's coroutine: resumed within its limits until it ends, waits or must let others
//! run.

use mlua::{IntoLuaMulti, MultiValue};

use super::failure;
use super::instance::Body;
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

/// Resumes a VU's coroutine with what its wait answered.
pub(super) fn answered(state: &State, body: &Body, answer: Result<Value, ApiError>) -> Turn {
    let entered = Entered::new(state, &body.slot);
    let converted = state.kit.answer(&state.lua, &body.slot, answer);
    drop(entered);
    match converted {
        Ok(answer) => resume(state, body, answer),
        Err(error) => Turn::Failed(error),
    }
}

/// Resumes a VU's coroutine within its limits.
pub(super) fn resume(state: &State, body: &Body, arguments: impl IntoLuaMulti) -> Turn {
    let State { lua, kit, .. } = state;
    let slot = &body.slot;
    if let Err(error) = kit.collect_held(lua) {
        return Turn::Failed(error);
    }
    if kit.bytes_of(lua, slot) > slot.watermark.get() {
        match kit.collect_for(lua, slot) {
            Ok(false) => {}
            Ok(true) => return Turn::Failed(mlua::Error::MemoryError(kit.memory_message())),
            Err(error) => return Turn::Failed(error),
        }
    }
    let entered = Entered::new(state, slot);
    let result = body.thread.resume::<MultiValue>(arguments);
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
        Turn::Yielded => {
            // Raised where it yielded, so that the error has its place.
            let text = "only coroutines that the script made itself may yield";
            let entered = Entered::new(state, slot);
            let result = body.thread.resume_error::<MultiValue>(text);
            drop(entered);
            let error = match result {
                Ok(mut values) => values.pop_back().unwrap_or(mlua::Value::Nil),
                Err(error) => mlua::Value::Error(Box::new(error)),
            };
            Err(failure::raised(kit, slot, &error))
        }
        Turn::Waits(_) | Turn::Sliced => Ok(mlua::Value::Nil),
    }
}
