//! What mlua does not offer: memory by category, an interrupt that costs about a nanosecond, and a
//! collector that goes on bit by bit.

#![expect(unsafe_code, reason = "memory categories and the interrupt's address are plain C API")]

use std::cell::Cell;
use std::ffi::c_int;

use mlua::{Lua, ffi};

/// Interrupts (loop turns, calls, returns, steps of a pattern match) from one check to the next.
const PERIOD: u32 = 128;

type Interrupt = unsafe extern "C-unwind" fn(*mut ffi::lua_State, c_int);

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(PERIOD) };
    static CHECK: Cell<Option<Interrupt>> = const { Cell::new(None) };
}

/// Returns the address of the coroutine that runs, or of the state itself outside of all.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the type has no public name")]
pub(super) fn state(lua: &Lua) -> *mut ffi::lua_State {
    lua.exec_raw_lua(|raw| raw.state())
}

/// Counts down in front of the callback given to [`Lua::set_interrupt`], which is called every
/// [`PERIOD`]th time only.
pub(super) fn thin_interrupt(lua: &Lua) {
    let state = state(lua);
    // SAFETY: the pointer comes from a live `Lua`, on whose thread we are; the callbacks lie in its
    // global state and are read by the interpreter only.
    unsafe {
        let callbacks = ffi::lua_callbacks(state);
        // All states of a process have the same function here: mlua's, which finds its own closure.
        CHECK.set((*callbacks).interrupt);
        (*callbacks).interrupt = Some(tick);
    }
}

/// Makes the next interrupt call the callback.
pub(super) fn hurry() {
    LEFT.set(1);
}

/// Counts an interrupt. No frame of ours holds anything that an error passing through would leak.
unsafe extern "C-unwind" fn tick(state: *mut ffi::lua_State, gc: c_int) {
    if gc >= 0 {
        return;
    }
    let left = LEFT.get();
    if left > 1 {
        LEFT.set(left - 1);
        return;
    }
    LEFT.set(PERIOD);
    if let Some(check) = CHECK.get() {
        // SAFETY: called as the interpreter would call it, with its own arguments.
        unsafe { check(state, gc) };
    }
}

/// Charges what is allocated outside of coroutines from now on to a category (0 to 255); new
/// coroutines inherit it.
pub(super) fn charge(lua: &Lua, category: u8) {
    let state = state(lua);
    // SAFETY: a live state of this thread; every `u8` is a category.
    unsafe { ffi::lua_setmemcat(state, c_int::from(category)) };
}

/// Returns the bytes that a category holds, garbage included.
pub(super) fn bytes(lua: &Lua, category: u8) -> usize {
    let state = state(lua);
    // SAFETY: a live state of this thread; every `u8` is a category.
    unsafe { ffi::lua_totalbytes(state, c_int::from(category)) }
}

/// Lets the collector do as much work as an allocation of so many KiB would; returns whether it
/// came to the end of a cycle.
pub(super) fn collect_some(lua: &Lua, kib: c_int) -> bool {
    let state = state(lua);
    // SAFETY: a live state of this thread; what is dropped calls no scripts and raises nothing.
    unsafe { ffi::lua_gc(state, ffi::LUA_GCSTEP, kib) != 0 }
}

/// Returns what tells the coroutine that runs from others.
pub(super) fn running(lua: &Lua) -> usize {
    state(lua) as usize
}
