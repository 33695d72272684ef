//! Native modules as read-only tables, made when a script asks for them: a state that has all of them is
//! nearly 40 KiB larger than one for `http` alone, and no script asks for all.

use std::rc::Rc;

use mlua::{Function, Lua, Table};

use super::kit::{Kit, interned};
use super::memory;
use super::raw::{self, Kept, Scripted, Target, What};
use crate::api::{Module, Run};

/// Binds the modules that bring along parts in Luau: their objects' methods among them must be there
/// wherever such an object is.
pub(super) fn bind_modules(lua: &Lua, kit: &Rc<Kit>) -> mlua::Result<()> {
    kit.modules.borrow_mut().resize(kit.chunks.modules.len(), None);
    for (index, module) in kit.chunks.modules.iter().enumerate() {
        if has_scripted(kit, module)? {
            module_at(lua, kit, index, 0)?;
        }
    }
    keep_methods(lua, kit)
}

/// Returns a module's table; it is made when first asked for, on the account of no VU but `category`,
/// which goes on afterwards.
pub(super) fn module_at(
    lua: &Lua,
    kit: &Rc<Kit>,
    index: usize,
    category: u8,
) -> mlua::Result<Table> {
    if let Some(table) = &kit.modules.borrow()[index] {
        return Ok(table.clone());
    }
    memory::charge(lua, 0);
    let made = make(lua, kit, &kit.chunks.modules[index]);
    memory::charge(lua, category);
    let table = made?;
    kit.modules.borrow_mut()[index] = Some(table.clone());
    Ok(table)
}

fn make(lua: &Lua, kit: &Rc<Kit>, module: &'static Module) -> mlua::Result<Table> {
    let table = bind_module(lua, kit, module)?;
    add_scripted(lua, kit, module, &table)?;
    let place = if module.name.is_empty() {
        "kingtide".to_owned()
    } else {
        format!("kingtide/{}", module.name)
    };
    seal(kit, &table, &place)?;
    Ok(table)
}

/// Returns whether a module has parts in Luau.
fn has_scripted(kit: &Kit, module: &Module) -> mlua::Result<bool> {
    Ok(kit.makers().scripted.contains_key(module.name)?
        || kit.chunks.scripted(module.name).is_some())
}

/// Keeps the methods of the prelude, which modules' functions with callbacks bring along.
fn keep_methods(lua: &Lua, kit: &Rc<Kit>) -> mlua::Result<()> {
    let makers = kit.makers();
    for (table, always) in [(&makers.methods, false), (&makers.callers, true)] {
        for pair in table.pairs::<String, Table>() {
            let (kind, methods) = pair?;
            for pair in methods.pairs::<String, Function>() {
                let (name, function) = pair?;
                let own = Scripted { function: Kept::new(lua, function)?, always };
                kit.scripted.borrow_mut().push((kind.clone(), name, own));
            }
        }
    }
    Ok(())
}

/// Returns a function's name in messages: `http.get`, `kt.sleep`. Hidden parts go by what they are parts
/// of: `_enter_group` by `kt.group`.
fn call_name(module: &Module, function: &str) -> &'static str {
    let module = if module.name.is_empty() { "kt" } else { module.name };
    let part_of = function.strip_prefix('_').and_then(|part| part.rsplit('_').next());
    let function = part_of.unwrap_or(function);
    interned(&format!("{module}.{function}"))
}

fn bind_module(lua: &Lua, kit: &Rc<Kit>, module: &'static Module) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for function in module.functions {
        let (place, name) = place(lua, &table, function.name)?;
        // Hidden parts tell their problems: what is made of them raises them.
        let (what, tells) = match function.run {
            Run::Now(run) => (What::Now(run), name.starts_with('_')),
            Run::Wait(run) => (What::Wait(run), false),
            Run::Script if call_name(module, name) == "kt.check" => {
                place.raw_set(name, raw::check_function(lua, kit)?)?;
                continue;
            }
            Run::Script => continue,
        };
        let target = Target {
            what,
            name: call_name(module, function.name),
            params: function.params,
            module: place.to_pointer() as usize,
            tells,
            scripted: None,
        };
        place.raw_set(name, kit.function(lua, target)?)?;
    }
    for constant in module.constants {
        let (place, name) = place(lua, &table, constant.name)?;
        place.raw_set(name, raw::to_lua(lua, kit, &(constant.value)(), true)?)?;
    }
    Ok(table)
}

/// Returns the table that `log.info` lies in, and `info`.
fn place<'a>(lua: &Lua, table: &Table, name: &'a str) -> mlua::Result<(Table, &'a str)> {
    let mut table = table.clone();
    let mut name = name;
    while let Some((outer, inner)) = name.split_once('.') {
        table = if let Some(known) = table.raw_get::<Option<Table>>(outer)? {
            known
        } else {
            let new = lua.create_table()?;
            table.raw_set(outer, &new)?;
            new
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
    for functions in made {
        for pair in functions.pairs::<String, mlua::Value>() {
            let (name, function) = pair?;
            let (place, name) = place(lua, table, &name)?;
            place.raw_set(name, function)?;
        }
    }
    for function in module.functions.iter().filter(|f| f.name.starts_with('_')) {
        table.raw_set(function.name, mlua::Value::Nil)?;
    }
    Ok(())
}

/// Makes a module's table, and the tables in it, read-only, and names that are not in it errors.
pub(super) fn seal(kit: &Rc<Kit>, table: &Table, place: &str) -> mlua::Result<()> {
    let mut known = Vec::new();
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (name, value) = pair?;
        let name = name.to_string()?;
        if let mlua::Value::Table(inner) = &value
            && !inner.is_readonly()
        {
            seal(kit, inner, &format!("{place} {name}"))?;
        }
        known.push(name);
    }
    known.sort();
    // A shipped module is sealed for each VU that loads it.
    let same = kit.strict.borrow().iter().position(|(other, _)| other == place);
    let id = same.unwrap_or_else(|| {
        kit.strict.borrow_mut().push((place.to_owned(), known));
        kit.strict.borrow().len() - 1
    });
    kit.makers().strict.call::<()>((table, id))?;
    table.set_readonly(true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Host;
    use super::*;
    use crate::api;
    use crate::plan::{Isolation, ScriptLimits};
    use crate::script::testing::{TestWorker, program};

    #[test]
    fn a_module_is_made_for_the_first_who_asks_and_counts_to_nobody() {
        let worker = TestWorker::new(ScriptLimits::default(), Isolation::Shared);
        let text = "local crypto = if require('@kingtide').vu.id == 1 then nil else require('@kingtide/crypto')\n\
                    return { iteration = function() return crypto end }";
        let program = program("trial.luau", text, Path::new("."));
        let host = Host::new(program, &worker.context).unwrap();
        let index = api::MODULES.iter().position(|module| module.name == "crypto").unwrap();
        let mut held = Vec::new();
        for id in 1..=3 {
            let vu = host.instance(&worker.vu(id)).unwrap();
            let table = vu.state.kit.modules.borrow()[index].clone();
            assert_eq!(table.is_some(), id > 1, "VU {id}");
            held.push((table, vu));
        }
        // Both have the same one, and it is on the account of neither.
        assert_eq!(held[1].0, held[2].0);
        let bytes = |at: usize| memory::bytes(&held[at].1.state.lua, held[at].1.category);
        let (first, second) = (bytes(1), bytes(2));
        assert!(first.abs_diff(second) < 256, "{first} and {second} bytes");
    }
}
