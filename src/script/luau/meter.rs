//! The limits of script code: checked now and then while it runs.

use mlua::{Lua, VmState};

use super::kit::Kit;
use super::memory;
use super::slot::{Slot, Trip, frames};
use crate::api::ErrorKind;
use crate::clock;

/// An error that a native function raises in a script, as text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

impl Raised {
    /// Returns it as an error of mlua.
    pub(super) fn error(message: impl Into<String>) -> mlua::Error {
        mlua::Error::external(Self(message.into()))
    }
}

/// Checks the limits of the VU that runs: ends what must end, yields at the end of a slice.
pub(super) fn check(lua: &Lua, kit: &Kit) -> mlua::Result<VmState> {
    let Some(slot) = kit.running() else { return Ok(VmState::Continue) };
    if slot.vu.interrupt.why().is_some() {
        // Every further check raises again, so that no `pcall` keeps a stopped script alive.
        memory::hurry();
        return Err(Raised::error("stopped"));
    }
    if let Some(trip) = &*slot.trip.borrow() {
        memory::hurry();
        return Err(Raised::error(trip.message.clone()));
    }
    check_memory(lua, kit, &slot)?;
    check_depth(lua, kit, &slot)?;
    check_time(lua, kit, &slot)
}

/// Ends the call for good: `pcall` does not help.
fn trip(
    lua: &Lua,
    kit: &Kit,
    slot: &Slot,
    kind: ErrorKind,
    message: String,
) -> mlua::Result<VmState> {
    let frames = frames(lua, &kit.chunks);
    slot.trip.replace(Some(Trip { kind, message: message.clone(), frames }));
    memory::hurry();
    Err(Raised::error(message))
}

fn check_memory(lua: &Lua, kit: &Kit, slot: &Slot) -> mlua::Result<()> {
    if Kit::bytes_of(lua, slot) > slot.watermark.get() && kit.collect_for(lua, slot)? {
        trip(lua, kit, slot, ErrorKind::Memory, kit.memory_message())?;
    }
    Ok(())
}

fn check_depth(lua: &Lua, kit: &Kit, slot: &Slot) -> mlua::Result<()> {
    let depth = kit.chunks.limits.call_depth;
    // Two frames are ours: the protected call and its wrapper.
    if lua.inspect_stack(depth.saturating_add(2), |_| ()).is_some() {
        let message = format!("stack overflow: calls are nested deeper than {depth}");
        slot.note(&message, crate::script::ScriptErrorKind::Uncaught(ErrorKind::Stack));
        return Err(Raised::error(message));
    }
    Ok(())
}

fn check_time(lua: &Lua, kit: &Kit, slot: &Slot) -> mlua::Result<VmState> {
    let now = clock::now();
    let Some(started) = slot.started.get() else {
        slot.started.set(Some(now));
        return Ok(VmState::Continue);
    };
    let limits = &kit.chunks.limits;
    let slice = now.duration_since(started);
    let spent = slot.spent.get() + slice;
    if spent.saturating_sub(slot.vu.excused.get()) > limits.time {
        let message = format!("script ran {:?} without waiting", limits.time);
        return trip(lua, kit, slot, ErrorKind::Time, message);
    }
    if slice > limits.slice && memory::running(lua) == slot.thread.get() {
        slot.spent.set(spent);
        slot.started.set(None);
        slot.sliced.set(true);
        return Ok(VmState::Yield);
    }
    Ok(VmState::Continue)
}
