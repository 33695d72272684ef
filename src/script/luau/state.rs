//! A Lua state: libraries, sandbox, native modules, and places for VUs.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Lua, LuaOptions, StdLib, Table};

use super::chunks::Chunks;
use super::kit::Kit;
use super::raw::{self, Kept};
use super::slot::Slot;
use super::{bind, memory, meter, natives};
use crate::api::{ErrorKind, Value};
use crate::script::ScriptErrorKind;

/// Globals that scripts do not get; each VU has a `_G` of its own.
const REMOVED: [&str; 7] =
    ["_G", "loadstring", "getfenv", "setfenv", "newproxy", "gcinfo", "_VERSION"];

/// A Lua state with places for VUs.
pub(super) struct State {
    /// What its native functions share. Dropped before the state, to which it refers.
    pub(super) kit: Rc<Kit>,
    /// The metatable of all VUs' globals.
    globals_mark: Table,
    /// What `setup` returned, frozen, with the value that it was made of.
    data: RefCell<Option<(Rc<Value>, Rc<Kept>)>>,
    /// Memory categories that no VU has.
    free: RefCell<Vec<u8>>,
    /// The state.
    pub(super) lua: Lua,
}

impl State {
    /// Makes a state with `places` for VUs.
    pub(super) fn new(chunks: Rc<Chunks>, places: u8) -> mlua::Result<Self> {
        let libraries = StdLib::COROUTINE
            | StdLib::TABLE
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::MATH
            | StdLib::BUFFER
            | StdLib::VECTOR;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        let list_mark = lua.create_table()?;
        list_mark.raw_set("__metatable", "array")?;
        list_mark.set_readonly(true);
        let kit = Kit::new(chunks, list_mark);
        let base = lua.globals();
        for name in REMOVED {
            base.raw_set(name, mlua::Value::Nil)?;
        }
        // It stays as long as the state.
        let mark = std::mem::ManuallyDrop::new(Kept::new(&lua, &kit.list_mark)?);
        kit.list_mark_kept.set(mark.id());
        raw::define_objects(&lua, &kit)?;
        natives::run_prelude(&lua, &kit)?;
        bind::bind_modules(&lua, &kit)?;
        lua.sandbox(true)?;
        lua.globals().set_readonly(true);
        let own = Rc::clone(&kit);
        lua.set_interrupt(move |lua| meter::check(lua, &own));
        memory::thin_interrupt(&lua);
        let globals_mark = lua.create_table()?;
        globals_mark.raw_set("__index", base)?;
        globals_mark.raw_set("__metatable", "globals")?;
        globals_mark.set_readonly(true);
        let free = RefCell::new((1..=places).rev().collect());
        Ok(Self { kit, globals_mark, data: RefCell::default(), free, lua })
    }

    /// Returns whether a VU fits in.
    pub(super) fn has_place(&self) -> bool {
        !self.free.borrow().is_empty()
    }

    /// Takes a place: a memory category.
    pub(super) fn take_place(&self) -> Option<u8> {
        self.free.borrow_mut().pop()
    }

    /// Gives a place back.
    pub(super) fn leave_place(&self, category: u8) {
        self.free.borrow_mut().push(category);
    }

    /// Makes a VU's globals.
    pub(super) fn globals(&self) -> mlua::Result<Table> {
        let globals = self.lua.create_table()?;
        globals.raw_set("_G", &globals)?;
        globals.set_metatable(Some(self.globals_mark.clone()))?;
        // Reads that are not here go to read-only tables, so that built-in functions stay fast.
        globals.set_safeenv(true);
        Ok(globals)
    }

    /// Returns what `setup` returned, frozen; converted once for all VUs of the state.
    pub(super) fn data(&self, data: &Rc<Value>) -> mlua::Result<Rc<Kept>> {
        if let Some((known, kept)) = &*self.data.borrow()
            && Rc::ptr_eq(known, data)
        {
            return Ok(Rc::clone(kept));
        }
        let value = raw::to_lua(&self.lua, &self.kit, data, true)?;
        let kept = Rc::new(Kept::new(&self.lua, value)?);
        self.data.replace(Some((Rc::clone(data), Rc::clone(&kept))));
        Ok(kept)
    }
}

/// Returns the kind of errors that end a VU's memory.
pub(super) const MEMORY: ScriptErrorKind = ScriptErrorKind::Uncaught(ErrorKind::Memory);

/// Marks a place as the one that runs, with its memory limit, until it is dropped.
pub(super) struct Entered<'a> {
    state: &'a State,
    slot: &'a Slot,
}

impl<'a> Entered<'a> {
    /// Enters.
    pub(super) fn new(state: &'a State, slot: &'a Rc<Slot>) -> Self {
        let State { lua, kit, .. } = state;
        kit.set_running(Some(Rc::clone(slot)));
        memory::charge(lua, slot.category);
        let left = kit.chunks.limits.memory_bytes.saturating_sub(Kit::bytes_of(lua, slot));
        // It fails only for states that mlua does not own.
        let _ = lua.set_memory_limit(lua.used_memory().saturating_add(left));
        slot.started.set(None);
        slot.sliced.set(false);
        Self { state, slot }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let State { lua, kit, .. } = self.state;
        if let Some(started) = self.slot.started.take() {
            self.slot.spent.set(self.slot.spent.get() + started.elapsed());
        }
        let _ = lua.set_memory_limit(0);
        memory::charge(lua, 0);
        kit.set_running(None);
    }
}
