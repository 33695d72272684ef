//! What the native functions of one Lua state share: the VU that runs, bound methods, loaded chunks.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table};

use super::chunks::Chunks;
use super::convert::{from_lua, to_lua};
use super::memory;
use super::meter::Raised;
use super::object::Handle;
use super::slot::{Slot, frames};
use crate::api::{
    Answer, ApiError, Args, Function as ApiFunction, Method, Object, Run, Value, VuContext, Wait,
};
use crate::script::ScriptErrorKind;

/// Bytes held by objects of a state that are worth a collection: the collector does not see them.
const HELD_WORTH_COLLECTING: usize = 1 << 20;

/// The prelude's makers.
pub(super) struct Makers {
    /// Wraps a native function that answers at once.
    pub(super) now: Function,
    /// Makes a function that waits.
    pub(super) wait: Function,
    /// Runs in a VU's coroutine.
    pub(super) run: Function,
    /// Makes an iterator of a method `next`.
    pub(super) iterator: Function,
    /// Makes names that are not in a table errors.
    pub(super) strict: Function,
    /// Makes functions with callbacks, by module.
    pub(super) scripted: Table,
}

/// What a yielded number means.
#[derive(Clone, Copy)]
pub(super) enum Waiting {
    /// A module's function: its name in messages, and the address of the module's table.
    Function(&'static ApiFunction, &'static str, usize),
    /// An object's method, with its name in messages.
    Method(&'static Method, &'static str),
}

/// What the native functions of one Lua state share.
pub(super) struct Kit {
    /// The worker's chunks.
    pub(super) chunks: Rc<Chunks>,
    /// The metatable of arrays.
    pub(super) list_mark: Table,
    /// Set when the prelude has run.
    pub(super) makers: OnceCell<Makers>,
    /// The native modules' tables, in the order of the chunks' modules.
    pub(super) modules: RefCell<Vec<Table>>,
    /// Names of strict tables and of what is in them.
    pub(super) strict: RefCell<Vec<(String, Vec<String>)>>,
    /// Bytes that all objects of the state hold natively.
    pub(super) held: Rc<Cell<usize>>,
    collect_at: Cell<usize>,
    running: RefCell<Option<Rc<Slot>>>,
    waits: RefCell<Vec<Waiting>>,
    /// By the object's type and the method's name: tables of methods may share addresses.
    methods: RefCell<BTreeMap<(&'static str, &'static str), Function>>,
    iterators: RefCell<BTreeMap<usize, Function>>,
    loaded: RefCell<BTreeMap<Rc<str>, Function>>,
}

impl Kit {
    /// Returns the kit of a new state.
    pub(super) fn new(chunks: Rc<Chunks>, list_mark: Table) -> Rc<Self> {
        Rc::new(Self {
            chunks,
            list_mark,
            makers: OnceCell::new(),
            modules: RefCell::default(),
            strict: RefCell::default(),
            held: Rc::default(),
            collect_at: Cell::new(HELD_WORTH_COLLECTING),
            running: RefCell::default(),
            waits: RefCell::default(),
            methods: RefCell::default(),
            iterators: RefCell::default(),
            loaded: RefCell::default(),
        })
    }

    /// Returns the place of the VU that runs.
    pub(super) fn running(&self) -> Option<Rc<Slot>> {
        self.running.borrow().clone()
    }

    /// Sets which VU runs.
    pub(super) fn set_running(&self, slot: Option<Rc<Slot>>) {
        self.running.replace(slot);
    }

    /// Returns the place of the VU that runs, for functions that need one.
    pub(super) fn slot(&self) -> mlua::Result<Rc<Slot>> {
        self.running().ok_or_else(|| Raised::error("no VU runs"))
    }

    /// Returns the prelude's makers.
    pub(super) fn makers(&self) -> &Makers {
        self.makers.get().expect("the prelude runs before anything is bound")
    }

    /// Returns whether a table is marked as an array.
    pub(super) fn is_list(&self, table: &Table) -> bool {
        table.has_metatable() && table.metatable().is_some_and(|mark| mark == self.list_mark)
    }

    /// Returns the bytes that a VU uses in the state: its category's and its objects'.
    pub(super) fn bytes_of(lua: &Lua, slot: &Slot) -> usize {
        memory::bytes(lua, slot.category) + slot.held.get()
    }

    /// Collects the state because a VU passed its watermark; returns whether it uses too much even
    /// so.
    pub(super) fn collect_for(&self, lua: &Lua, slot: &Slot) -> mlua::Result<bool> {
        lua.gc_collect()?;
        let limit = self.chunks.limits.memory_bytes;
        let bytes = Self::bytes_of(lua, slot);
        slot.watermark.set((bytes + limit / 4).clamp(limit / 2, limit));
        Ok(bytes > limit)
    }

    /// Collects the state if its objects hold so much natively that it is worth it.
    pub(super) fn collect_held(&self, lua: &Lua) -> mlua::Result<()> {
        if self.held.get() > self.collect_at.get() {
            lua.gc_collect()?;
            self.collect_at.set(HELD_WORTH_COLLECTING.max(self.held.get() * 2));
        }
        Ok(())
    }

    /// Returns the message of a VU that uses too much memory.
    pub(super) fn memory_message(&self) -> String {
        let limit = self.chunks.limits.memory_bytes;
        format!("not enough memory: the script's limit is {limit} bytes per VU")
    }

    /// Returns an error to be raised in the script from where no prelude raises it, with its place.
    pub(super) fn raise(&self, lua: &Lua, slot: &Slot, error: &ApiError) -> mlua::Error {
        slot.note(&error.message, ScriptErrorKind::Uncaught(error.kind));
        if slot.vu.interrupt.why().is_some() {
            memory::hurry();
        }
        match frames(lua, &self.chunks).first() {
            Some(frame) => {
                Raised::error(format!("{}:{}: {}", frame.chunk, frame.line, error.message))
            }
            None => Raised::error(error.message.clone()),
        }
    }

    /// Converts a result for the prelude's wrappers: a problem or nil, and a value.
    pub(super) fn answer(
        &self,
        lua: &Lua,
        slot: &Slot,
        result: Result<Value, ApiError>,
    ) -> mlua::Result<(mlua::Value, mlua::Value)> {
        if slot.vu.interrupt.why().is_some() {
            memory::hurry();
        }
        match result {
            Ok(value) => Ok((mlua::Value::Nil, to_lua(lua, self, value, false)?)),
            Err(error) => {
                slot.note(&error.message, ScriptErrorKind::Uncaught(error.kind));
                let problem = mlua::Value::String(lua.create_string(&error.message)?);
                Ok((problem, mlua::Value::Nil))
            }
        }
    }

    /// Converts a call's arguments. `module` is the address of the function's module: called with
    /// `:` it comes as the first argument.
    fn args(
        &self,
        call: &'static str,
        params: &'static [&'static str],
        values: &MultiValue,
        module: usize,
    ) -> Result<Args, ApiError> {
        if let Some(mlua::Value::Table(first)) = values.front()
            && first.to_pointer() as usize == module
        {
            return Err(ApiError::usage(format!("{call}: call it with `.`, not `:`: {call}(...)")));
        }
        let mut converted = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            converted.push(from_lua(self, value).map_err(|error| {
                let name = params.get(index).map_or("...", |name| name.trim_end_matches('?'));
                let message = format!("{call}: argument {} ({name}): {}", index + 1, error.message);
                ApiError { message, ..error }
            })?);
        }
        Ok(Args::new(call, params, converted))
    }

    /// Returns a native function that runs at once, to be wrapped by the prelude.
    pub(super) fn native(
        self: &Rc<Self>,
        lua: &Lua,
        run: fn(&Rc<VuContext>, Args) -> Result<Value, ApiError>,
        call: &'static str,
        params: &'static [&'static str],
        module: usize,
    ) -> mlua::Result<Function> {
        let kit = Rc::clone(self);
        lua.create_function(move |lua, values: MultiValue| {
            let slot = kit.slot()?;
            let result = kit.args(call, params, &values, module).and_then(|a| run(&slot.vu, a));
            kit.answer(lua, &slot, result)
        })
    }

    /// Returns a function that waits.
    pub(super) fn waiting(&self, what: Waiting) -> mlua::Result<Function> {
        let name = match what {
            Waiting::Function(_, name, _) | Waiting::Method(_, name) => name,
        };
        let id = self.waits.borrow().len();
        self.waits.borrow_mut().push(what);
        self.makers().wait.call((id, name))
    }

    /// Begins what a coroutine yielded: `id`, then the call's arguments.
    pub(super) fn begin(&self, slot: &Slot, mut yielded: MultiValue) -> Result<Begun, ApiError> {
        let id = yielded.pop_front().and_then(|id| id.as_usize());
        let waiting = id.and_then(|id| self.waits.borrow().get(id).copied());
        match waiting {
            Some(Waiting::Function(function, call, module)) => {
                let args = self.args(call, function.params, &yielded, module)?;
                match function.run {
                    Run::Wait(run) => run(&slot.vu, args).map(Begun::Wait),
                    _ => Err(ApiError::usage(format!("{call} does not wait"))),
                }
            }
            Some(Waiting::Method(method, call)) => {
                let object = receiver(&mut yielded, call)?;
                let args = self.args(call, method.params, &yielded, 0)?;
                Ok(match object.call(&slot.vu, method, args)? {
                    Answer::Now(value) => Begun::Now(value),
                    Answer::Wait(wait) => Begun::Wait(wait),
                })
            }
            None => Err(ApiError::usage("only coroutines of the script may yield")),
        }
    }

    /// Returns an object's method as a function, if it has such a method.
    pub(super) fn method(
        self: &Rc<Self>,
        lua: &Lua,
        object: &Rc<dyn Object>,
        name: &str,
    ) -> mlua::Result<Option<Function>> {
        let Some(method) = object.methods().iter().find(|method| method.name == name) else {
            return Ok(None);
        };
        let key = (object.type_name(), method.name);
        if let Some(function) = self.methods.borrow().get(&key) {
            return Ok(Some(function.clone()));
        }
        let call = interned(&format!("{}:{}", object.type_name(), method.name));
        let function = if method.waits {
            self.waiting(Waiting::Method(method, call))?
        } else {
            let kit = Rc::clone(self);
            let native = lua.create_function(move |lua, mut values: MultiValue| {
                let slot = kit.slot()?;
                let result = receiver(&mut values, call).and_then(|object| {
                    let args = kit.args(call, method.params, &values, 0)?;
                    match object.call(&slot.vu, method, args)? {
                        Answer::Now(value) => Ok(value),
                        Answer::Wait(_) => Err(ApiError::usage(format!("{call} may not wait"))),
                    }
                });
                kit.answer(lua, &slot, result)
            })?;
            self.makers().now.call::<Function>(native)?
        };
        self.methods.borrow_mut().insert(key, function.clone());
        Ok(Some(function))
    }

    /// Returns a function that calls an object's method `next`, if it has one.
    pub(super) fn iterator(
        self: &Rc<Self>,
        lua: &Lua,
        object: &Rc<dyn Object>,
    ) -> mlua::Result<Option<Function>> {
        let Some(next) = self.method(lua, object, "next")? else { return Ok(None) };
        let key = next.to_pointer() as usize;
        if let Some(function) = self.iterators.borrow().get(&key) {
            return Ok(Some(function.clone()));
        }
        let function: Function = self.makers().iterator.call(next)?;
        self.iterators.borrow_mut().insert(key, function.clone());
        Ok(Some(function))
    }

    /// Returns a chunk's function with the globals of a VU. Its code is shared by the state.
    pub(super) fn instantiate(
        &self,
        lua: &Lua,
        name: &Rc<str>,
        category: u8,
        globals: Table,
    ) -> mlua::Result<Function> {
        let known = self.loaded.borrow().get(name).cloned();
        let shared = if let Some(function) = known {
            function
        } else {
            let bytecode = self.chunks.bytecode(name).map_err(Raised::error)?;
            memory::charge(lua, 0);
            let function = lua
                .load(bytecode.as_slice())
                .set_mode(mlua::chunk::ChunkMode::Binary)
                .set_name(format!("={name}"))
                .into_function();
            memory::charge(lua, category);
            let function = function?;
            self.loaded.borrow_mut().insert(Rc::clone(name), function.clone());
            function
        };
        let own = shared.deep_clone()?;
        own.set_environment(globals)?;
        Ok(own)
    }
}

/// What a waiting call has begun.
pub(super) enum Begun {
    /// It was answered at once.
    Now(Value),
    /// It waits.
    Wait(Wait),
}

/// Takes the object that a method was called on.
fn receiver(values: &mut MultiValue, call: &'static str) -> Result<Rc<dyn Object>, ApiError> {
    let object = values.pop_front().and_then(|value| {
        let object = value.as_userdata()?.borrow::<Handle>().ok()?.object();
        (object.type_name() == call.split(':').next().unwrap_or_default()).then_some(object)
    });
    object.ok_or_else(|| ApiError::usage(format!("{call}: call it with `:`, as in {call}(...)")))
}

/// Returns a name that lives as long as the program. There are as many as functions and methods.
pub(super) fn interned(name: &str) -> &'static str {
    thread_local! {
        static NAMES: RefCell<BTreeMap<String, &'static str>> = const { RefCell::new(BTreeMap::new()) };
    }
    NAMES.with_borrow_mut(|names| {
        if let Some(known) = names.get(name) {
            return *known;
        }
        let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
        names.insert(name.to_owned(), kept);
        kept
    })
}
