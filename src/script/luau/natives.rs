//! The native parts of the prelude.

use std::rc::Rc;

use mlua::{Lua, LuaString, Table};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::chunks::{Found, PRELUDE, compile};
use super::kit::{Kit, Makers};
use super::raw::{self, Kept, Target, What};
use super::{bind, failure, meter, slot};
use crate::api::{ApiError, Args, LogLevel, Value, VuContext};
use crate::script::ScriptErrorKind;
use crate::units;

/// Runs the prelude: it replaces library functions and returns the makers of bound ones.
pub(super) fn run_prelude(lua: &Lua, kit: &Rc<Kit>) -> mlua::Result<()> {
    let native = lua.create_table()?;
    native.raw_set("tag", raw::tag())?;
    native.raw_set("null", mlua::Value::NULL)?;
    let own = Rc::clone(kit);
    let trap = lua.create_function(move |lua, error: mlua::Value| {
        if let Some(slot) = own.running() {
            let frames = slot::frames(lua, &own.chunks);
            slot.keep_trace(failure::describe(lua, &own, &error), frames);
        }
        Ok(error)
    })?;
    native.raw_set("trap", &trap)?;
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
        trap: Kept::new(lua, &trap)?,
        strict: makers.raw_get("strict")?,
        scripted: makers.raw_get("scripted")?,
        methods: makers.raw_get("methods")?,
        callers: makers.raw_get("callers")?,
    };
    if kit.makers.set(makers).is_err() {
        return Err(meter::Raised::error("the prelude ran twice"));
    }
    Ok(())
}

fn add_small_parts(lua: &Lua, kit: &Rc<Kit>, native: &Table) -> mlua::Result<()> {
    let own = Rc::clone(kit);
    let log = lua.create_function(move |_, text: LuaString| {
        own.slot()?.vu.log(LogLevel::Info, text.to_string_lossy());
        Ok(())
    })?;
    native.raw_set("log", log)?;
    let own = Rc::clone(kit);
    let memory =
        lua.create_function(move |lua, ()| Ok(Kit::bytes_of(lua, &*own.slot()?) as f64 / 1024.0))?;
    native.raw_set("memory", memory)?;
    let random = [
        ("random", "math.random", RANDOM, random as Native),
        ("randomseed", "math.randomseed", SEED, seed),
    ];
    for (key, name, params, run) in random {
        let target =
            Target { what: What::Now(run), name, params, module: 0, tells: false, scripted: None };
        native.raw_set(key, kit.function(lua, target)?)?;
    }
    native.raw_set("entries", kit.chunks.limits.table_entries)?;
    let find = lua.create_function(|_, (text, part, from): (LuaString, LuaString, f64)| {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        let from = if from < 0.0 { text.len() as f64 + from } else { from - 1.0 };
        let from = from.max(0.0) as usize;
        let found = text.get(from..).and_then(|rest| position(rest, &part));
        Ok(found.map_or((None, None), |at| (Some(from + at + 1), Some(from + at + part.len()))))
    })?;
    native.raw_set("find", find)?;
    let own = Rc::clone(kit);
    let mark = lua.create_function(move |_, table: Table| {
        if !table.has_metatable() && !table.is_readonly() {
            table.set_metatable(Some(own.list_mark.clone()))?;
        }
        Ok(table)
    })?;
    native.raw_set("mark", mark)?;
    let own = Rc::clone(kit);
    let is_list =
        lua.create_function(move |lua, table: Table| Ok(raw::is_list(lua, &own, &table)))?;
    native.raw_set("is_list", is_list)?;
    let own = Rc::clone(kit);
    let entry = lua.create_function(move |_, name: LuaString| {
        let slot = own.slot()?;
        let test = slot.test.borrow();
        test.as_ref().map_or(Ok(mlua::Value::Nil), |test| test.raw_get(name))
    })?;
    native.raw_set("entry", entry)?;
    let own = Rc::clone(kit);
    let missing = lua.create_function(move |_, (id, key): (usize, mlua::Value)| {
        let strict = own.strict.borrow();
        let key = key.to_string()?;
        Ok(strict.get(id).map(|(place, known)| missing(place, known, &key)))
    })?;
    native.raw_set("missing", missing)
}

/// Finds bytes in linear time, after Knuth, Morris and Pratt: Luau's own search takes the product
/// of both lengths at worst.
fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    // A script's string has less than 4 GiB.
    let mut border = vec![0_u32; part.len()];
    let mut fits = 0;
    for at in 1..part.len() {
        while fits > 0 && part[at] != part[fits] {
            fits = border[fits - 1] as usize;
        }
        fits += usize::from(part[at] == part[fits]);
        border[at] = fits as u32;
    }
    fits = 0;
    for (at, byte) in text.iter().enumerate() {
        while fits > 0 && *byte != part[fits] {
            fits = border[fits - 1] as usize;
        }
        fits += usize::from(*byte == part[fits]);
        if fits == part.len() {
            return Some(at + 1 - fits);
        }
    }
    None
}

type Native = fn(&Rc<VuContext>, Args) -> Result<Value, ApiError>;

const RANDOM: &[&str] = &["low?", "high?"];
const SEED: &[&str] = &["seed"];

/// `math.random` from the VU's own numbers, so that runs repeat and VUs do not see each other.
fn random(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (low, high) = (args.optional_number(0)?, args.optional_number(1)?);
    let bits = vu.random().next_u64();
    let (low, high) = match (low, high) {
        (None, _) => return Ok(Value::Number((bits >> 11) as f64 / (1_u64 << 53) as f64)),
        (Some(high), None) => (1.0, high.floor()),
        (Some(low), Some(high)) => (low.floor(), high.floor()),
    };
    if !(low <= high && high - low < 9e15) {
        return Err(ApiError::usage(format!("math.random: there is no number in {low}..{high}")));
    }
    let span = (high - low) as u64 + 1;
    Ok(Value::Number(low + ((u128::from(bits) * u128::from(span)) >> 64) as f64))
}

/// `math.randomseed` for the VU's own numbers.
fn seed(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let seed = args.number(0)?;
    *vu.random() = Xoshiro256PlusPlus::seed_from_u64(seed.to_bits());
    Ok(Value::Nil)
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
                let category = own.running().map_or(0, |slot| slot.category);
                let module = bind::module_at(lua, &own, index, category)?;
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
                if let (Some(place), mlua::Value::Table(table)) = (key.strip_prefix('@'), &value)
                    && !own.chunks.is_author(&key)
                {
                    bind::seal(&own, table, place)?;
                }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::position;

    proptest! {
        #[test]
        fn a_search_finds_the_first_place(text in "[ab]{0,40}", part in "[ab]{1,6}") {
            prop_assert_eq!(position(text.as_bytes(), part.as_bytes()), text.find(&part));
        }
    }
}
