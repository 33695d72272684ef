//! A Lua state: libraries, sandbox, native modules, and places for VUs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Function, LightUserData, Lua, LuaOptions, MultiValue, StdLib, Table};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::chunks::{Chunks, Found, PRELUDE, compile};
use super::kit::{Kit, Makers, Waiting, interned};
use super::slot::{self, Slot};
use super::{convert, failure, memory, meter, object};
use crate::api::{ApiError, ErrorKind, LogLevel, Module, Run, Value};
use crate::script::ScriptErrorKind;
use crate::units;

/// Marks what the prelude yields to the worker. Scripts cannot make such a value.
static TAG: u8 = 0;

/// Globals that scripts do not get.
const REMOVED: [&str; 6] = ["loadstring", "getfenv", "setfenv", "newproxy", "gcinfo", "_VERSION"];

/// Returns what marks yields to the worker.
pub(super) fn tag() -> mlua::Value {
    mlua::Value::LightUserData(LightUserData(std::ptr::from_ref(&TAG).cast_mut().cast()))
}

/// A Lua state with places for VUs.
pub(super) struct State {
    /// What its native functions share. Dropped before the state, to which it refers.
    pub(super) kit: Rc<Kit>,
    /// The metatable of all VUs' globals.
    globals_mark: Table,
    /// What `setup` returned, frozen, with the value that it was made of.
    data: RefCell<Option<(Rc<Value>, mlua::Value)>>,
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
        object::register(&lua, &kit)?;
        run_prelude(&lua, &kit)?;
        bind_modules(&lua, &kit)?;
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
    pub(super) fn data(&self, data: &Rc<Value>) -> mlua::Result<mlua::Value> {
        if let Some((known, value)) = &*self.data.borrow()
            && Rc::ptr_eq(known, data)
        {
            return Ok(value.clone());
        }
        let value = convert::to_lua(&self.lua, &self.kit, Value::clone(data), true)?;
        self.data.replace(Some((Rc::clone(data), value.clone())));
        Ok(value)
    }
}

/// Runs the prelude: it replaces library functions and returns the makers of bound ones.
fn run_prelude(lua: &Lua, kit: &Rc<Kit>) -> mlua::Result<()> {
    let native = lua.create_table()?;
    native.raw_set("tag", tag())?;
    native.raw_set("null", mlua::Value::NULL)?;
    let own = Rc::clone(kit);
    let trap = lua.create_function(move |lua, error: mlua::Value| {
        if let Some(slot) = own.running() {
            let frames = slot::frames(lua, &own.chunks);
            slot.keep_trace(failure::describe(&own, &error), frames);
        }
        Ok(error)
    })?;
    native.raw_set("trap", trap)?;
    let plain = lua.create_function(|lua, error: mlua::Value| match &error {
        mlua::Value::Error(inner) => {
            Ok(mlua::Value::String(lua.create_string(failure::plain(inner))?))
        }
        _ => Ok(error),
    })?;
    native.raw_set("plain", plain)?;
    add_small_parts(lua, kit, &native)?;
    add_require(lua, kit, &native)?;
    let bytecode = compile(include_str!("prelude.luau")).map_err(meter::Raised::error)?;
    let makers: Table = lua
        .load(bytecode.as_slice())
        .set_mode(mlua::chunk::ChunkMode::Binary)
        .set_name(format!("={PRELUDE}"))
        .call(native)?;
    let makers = Makers {
        now: makers.raw_get("now")?,
        wait: makers.raw_get("wait")?,
        run: makers.raw_get("run")?,
        iterator: makers.raw_get("iterator")?,
        strict: makers.raw_get("strict")?,
        scripted: makers.raw_get("scripted")?,
    };
    if kit.makers.set(makers).is_err() {
        return Err(meter::Raised::error("the prelude ran twice"));
    }
    Ok(())
}

fn add_small_parts(lua: &Lua, kit: &Rc<Kit>, native: &Table) -> mlua::Result<()> {
    let own = Rc::clone(kit);
    let log = lua.create_function(move |_, text: mlua::LuaString| {
        own.slot()?.vu.log(LogLevel::Info, text.to_string_lossy());
        Ok(())
    })?;
    native.raw_set("log", log)?;
    let own = Rc::clone(kit);
    let memory =
        lua.create_function(move |lua, ()| Ok(own.bytes_of(lua, &*own.slot()?) as f64 / 1024.0))?;
    native.raw_set("memory", memory)?;
    let own = Rc::clone(kit);
    let random = lua.create_function(move |lua, (low, high): (Option<f64>, Option<f64>)| {
        let slot = own.slot()?;
        let bits = slot.vu.random.borrow_mut().next_u64();
        own.answer(lua, &slot, random(bits, low, high).map(Value::Number))
    })?;
    native.raw_set("random", random)?;
    let own = Rc::clone(kit);
    let seed = lua.create_function(move |lua, seed: f64| {
        let slot = own.slot()?;
        *slot.vu.random.borrow_mut() = Xoshiro256PlusPlus::seed_from_u64(seed.to_bits());
        own.answer(lua, &slot, Ok(Value::Nil))
    })?;
    native.raw_set("randomseed", seed)?;
    let own = Rc::clone(kit);
    let mark = lua.create_function(move |_, table: Table| {
        if !table.has_metatable() && !table.is_readonly() {
            table.set_metatable(Some(own.list_mark.clone()))?;
        }
        Ok(table)
    })?;
    native.raw_set("mark", mark)?;
    let own = Rc::clone(kit);
    let is_list = lua.create_function(move |_, table: Table| {
        let listed =
            matches!(convert::from_lua(&own, &mlua::Value::Table(table)), Ok(Value::List(_)));
        Ok(listed)
    })?;
    native.raw_set("is_list", is_list)?;
    let own = Rc::clone(kit);
    let missing = lua.create_function(move |_, (id, key): (usize, mlua::Value)| {
        let strict = own.strict.borrow();
        let key = key.to_string()?;
        Ok(strict.get(id).map(|(place, known)| missing(place, known, &key)))
    })?;
    native.raw_set("missing", missing)
}

/// `math.random` from the VU's own numbers, so that runs repeat and VUs do not see each other.
fn random(bits: u64, low: Option<f64>, high: Option<f64>) -> Result<f64, ApiError> {
    let (low, high) = match (low, high) {
        (None, _) => return Ok((bits >> 11) as f64 / (1_u64 << 53) as f64),
        (Some(high), None) => (1.0, high.floor()),
        (Some(low), Some(high)) => (low.floor(), high.floor()),
    };
    if !(low <= high && high - low < 9e15) {
        return Err(ApiError::usage(format!("math.random: there is no number in {low}..{high}")));
    }
    let span = (high - low) as u64 + 1;
    Ok(low + ((u128::from(bits) * u128::from(span)) >> 64) as f64)
}

fn missing(place: &str, known: &[String], key: &str) -> String {
    match units::nearest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("{place} has no function `{key}`, did you mean `{near}`?"),
        None => format!("{place} has no function `{key}`; there are {}", known.join(", ")),
    }
}

/// The native parts of `require`.
fn add_require(lua: &Lua, kit: &Rc<Kit>, native: &Table) -> mlua::Result<()> {
    let own = Rc::clone(kit);
    let resolve = lua.create_function(move |lua, request: mlua::Value| {
        let problem = |text: &str| -> mlua::Result<_> {
            if let Some(slot) = own.running() {
                slot.note(text, ScriptErrorKind::Load);
            }
            let text = mlua::Value::String(lua.create_string(text)?);
            Ok(("problem", text, mlua::Value::Nil))
        };
        let mlua::Value::String(request) = &request else {
            return problem("require: argument 1 must be a string such as \"@kingtide/http\"");
        };
        let from = slot::caller(lua, &own.chunks).unwrap_or_else(|| Rc::clone(&own.chunks.entry));
        let name = match own.chunks.find(&from, &request.to_string_lossy()) {
            Ok(Found::Native(index)) => {
                let module = own.modules.borrow()[index].clone();
                return Ok(("value", mlua::Value::Table(module), mlua::Value::Nil));
            }
            Ok(Found::Chunk(name)) => name,
            Err(error) => {
                let (_, text, key) = problem(&error.message)?;
                return Ok((if error.placed { "place" } else { "problem" }, text, key));
            }
        };
        let slot = own.slot()?;
        match slot.modules.borrow().get(&name) {
            Some(Some(value)) => return Ok(("value", value.clone(), mlua::Value::Nil)),
            Some(None) => {
                return problem(&format!(
                    "module {name} requires itself, perhaps through other modules"
                ));
            }
            None => {}
        }
        let function = own.instantiate(lua, &name, slot.category, slot.globals.clone())?;
        slot.modules.borrow_mut().insert(Rc::clone(&name), None);
        let key = mlua::Value::String(lua.create_string(&*name)?);
        Ok(("load", mlua::Value::Function(function), key))
    })?;
    native.raw_set("resolve", resolve)?;
    let own = Rc::clone(kit);
    let loaded = lua.create_function(
        move |_, (key, fine, value): (String, bool, mlua::Value)| -> mlua::Result<Option<String>> {
            let slot = own.slot()?;
            let mut modules = slot.modules.borrow_mut();
            if fine && !value.is_nil() {
                modules.insert(key.into(), Some(value));
                return Ok(None);
            }
            modules.remove(key.as_str());
            let problem = format!("module {key} returns nothing: end it with `return`");
            slot.note(&problem, ScriptErrorKind::Load);
            Ok(Some(problem))
        },
    )?;
    native.raw_set("loaded", loaded)
}

/// Binds every module's functions and constants.
fn bind_modules(lua: &Lua, kit: &Rc<Kit>) -> mlua::Result<()> {
    for module in kit.chunks.modules {
        let table = bind_module(lua, kit, module)?;
        kit.modules.borrow_mut().push(table);
    }
    for (index, module) in kit.chunks.modules.iter().enumerate() {
        let table = kit.modules.borrow()[index].clone();
        add_scripted(lua, kit, module, &table)?;
        let place = if module.name.is_empty() {
            "kingtide".to_owned()
        } else {
            format!("kingtide/{}", module.name)
        };
        seal(lua, kit, &table, &place)?;
    }
    Ok(())
}

/// Returns a function's name in messages: `http.get`, `kt.sleep`.
fn call_name(module: &Module, function: &str) -> &'static str {
    let module = if module.name.is_empty() { "kt" } else { module.name };
    interned(&format!("{module}.{function}"))
}

fn bind_module(lua: &Lua, kit: &Rc<Kit>, module: &'static Module) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for function in module.functions {
        let call = call_name(module, function.name);
        let (place, name) = place(lua, &table, function.name)?;
        let address = place.to_pointer() as usize;
        match function.run {
            Run::Now(run) => {
                let native = kit.native(lua, run, call, function.params, address)?;
                place.raw_set(name, kit.makers().now.call::<Function>(native)?)?;
            }
            Run::Wait(_) => {
                place.raw_set(name, kit.waiting(Waiting::Function(function, call, address))?)?;
            }
            Run::Script => {}
        }
    }
    for constant in module.constants {
        let (place, name) = place(lua, &table, constant.name)?;
        place.raw_set(name, convert::to_lua(lua, kit, (constant.value)(), true)?)?;
    }
    Ok(table)
}

/// Returns the table that `log.info` lies in, and `info`.
fn place<'a>(lua: &Lua, table: &Table, name: &'a str) -> mlua::Result<(Table, &'a str)> {
    let mut table = table.clone();
    let mut name = name;
    while let Some((outer, inner)) = name.split_once('.') {
        table = match table.raw_get::<Option<Table>>(outer)? {
            Some(known) => known,
            None => {
                let new = lua.create_table()?;
                table.raw_set(outer, &new)?;
                new
            }
        };
        name = inner;
    }
    Ok((table, name))
}

/// Adds a module's functions with callbacks and takes its hidden parts away.
fn add_scripted(lua: &Lua, kit: &Rc<Kit>, module: &Module, table: &Table) -> mlua::Result<()> {
    // The parts stay reachable for the functions that are made of them, and for nobody else.
    let parts = lua.create_table()?;
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (name, value) = pair?;
        parts.raw_set(name, value)?;
    }
    let mut made: Vec<Table> = Vec::new();
    if let Some(make) = kit.makers().scripted.raw_get::<Option<Function>>(module.name)? {
        made.push(make.call(&parts)?);
    }
    if let Some(chunk) = kit.chunks.scripted(module.name) {
        let make = kit.instantiate(lua, &chunk, 0, lua.globals())?;
        made.push(make.call(&parts)?);
    }
    let mut wanted = BTreeMap::new();
    for functions in made {
        for pair in functions.pairs::<String, mlua::Value>() {
            let (name, function) = pair?;
            wanted.insert(name, function);
        }
    }
    for function in module.functions.iter().filter(|f| matches!(f.run, Run::Script)) {
        if let Some(made) = wanted.remove(function.name) {
            let (place, name) = place(lua, table, function.name)?;
            place.raw_set(name, made)?;
        }
    }
    for function in module.functions.iter().filter(|f| f.name.starts_with('_')) {
        table.raw_set(function.name, mlua::Value::Nil)?;
    }
    Ok(())
}

/// Makes a module's table, and the tables in it, read-only, and names that are not in it errors.
fn seal(lua: &Lua, kit: &Rc<Kit>, table: &Table, place: &str) -> mlua::Result<()> {
    let mut known = Vec::new();
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (name, value) = pair?;
        let name = name.to_string()?;
        if let mlua::Value::Table(inner) = &value
            && !inner.is_readonly()
        {
            seal(lua, kit, inner, &format!("{place} {name}"))?;
        }
        known.push(name);
    }
    known.sort();
    let id = kit.strict.borrow().len();
    kit.strict.borrow_mut().push((place.to_owned(), known));
    kit.makers().strict.call::<()>((table, id))?;
    table.set_readonly(true);
    Ok(())
}

/// Returns the kind of errors that end a VU's memory.
pub(super) const MEMORY: ScriptErrorKind = ScriptErrorKind::Uncaught(ErrorKind::Memory);

/// Marks a place as the one that runs, with its memory limit, until it is dropped.
pub(super) struct Entered<'a> {
    state: &'a State,
}

impl<'a> Entered<'a> {
    /// Enters.
    pub(super) fn new(state: &'a State, slot: &Rc<Slot>) -> Self {
        let State { lua, kit, .. } = state;
        kit.set_running(Some(Rc::clone(slot)));
        memory::charge(lua, slot.category);
        let left = kit.chunks.limits.memory_bytes.saturating_sub(kit.bytes_of(lua, slot));
        // It fails only for states that mlua does not own.
        let _ = lua.set_memory_limit(lua.used_memory().saturating_add(left));
        slot.started.set(None);
        slot.sliced.set(false);
        Self { state }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let State { lua, kit, .. } = self.state;
        let _ = lua.set_memory_limit(0);
        memory::charge(lua, 0);
        kit.set_running(None);
    }
}

/// Returns what a coroutine yielded without its tag, if it is for the worker.
pub(super) fn untag(mut yielded: MultiValue) -> Result<MultiValue, MultiValue> {
    if yielded.front() == Some(&tag()) {
        yielded.pop_front();
        return Ok(yielded);
    }
    Err(yielded)
}
