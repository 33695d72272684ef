//! What the native functions of one Lua state share: the VU that runs, bound methods, loaded chunks.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Function, Lua, Table};

use super::chunks::Chunks;
use super::memory;
use super::meter::Raised;
use super::raw::{self, Kept, Scripted, Target, What};
use super::slot::Slot;
use crate::api::Object;

/// Bytes held by objects of a state that are worth a collection: the collector does not see them.
const HELD_WORTH_COLLECTING: usize = 768 << 10;

/// What the collector does in each turn of a VU then, as KiB that were allocated: about 25 µs.
const COLLECTED_PER_TURN_KIB: i32 = 4;

/// The prelude's makers.
pub(super) struct Makers {
    /// Keeps the place of an error that is being raised.
    pub(super) trap: Kept,
    /// Makes names that are not in a table errors.
    pub(super) strict: Function,
    /// Makes functions with callbacks, by module.
    pub(super) scripted: Table,
    /// Methods with callbacks, by the object's type; filled while modules are bound.
    pub(super) methods: Table,
    /// Methods that call the script whatever their arguments, likewise.
    pub(super) callers: Table,
}

/// What the native functions of one Lua state share.
pub(super) struct Kit {
    /// The worker's chunks.
    pub(super) chunks: Rc<Chunks>,
    /// The metatable of arrays.
    pub(super) list_mark: Table,
    /// The same, as the state keeps it.
    pub(super) list_mark_kept: Cell<i32>,
    /// Set when the prelude has run.
    pub(super) makers: OnceCell<Makers>,
    /// The native modules' tables as far as they were asked for, in the order of the chunks' modules.
    pub(super) modules: RefCell<Vec<Option<Table>>>,
    /// Names of strict tables and of what is in them.
    pub(super) strict: RefCell<Vec<(String, Vec<String>)>>,
    /// Bytes that all objects of the state hold natively.
    pub(super) held: Rc<Cell<usize>>,
    collect_at: Cell<usize>,
    collecting: Cell<bool>,
    running: RefCell<Option<Rc<Slot>>>,
    /// What bound functions refer to.
    targets: RefCell<Vec<Rc<Target>>>,
    /// Methods of the prelude: the object's type, the name, the function.
    pub(super) scripted: RefCell<Vec<(String, String, Scripted<Kept>)>>,
    /// By the object's type: tables of methods may share addresses.
    methods: RefCell<Vec<(&'static str, Rc<Target>)>>,
    panic: Cell<Option<Box<dyn Any + Send>>>,
    loaded: RefCell<BTreeMap<Rc<str>, Function>>,
}

impl Kit {
    /// Returns the kit of a new state.
    pub(super) fn new(chunks: Rc<Chunks>, list_mark: Table) -> Rc<Self> {
        Rc::new(Self {
            chunks,
            list_mark,
            list_mark_kept: Cell::new(0),
            makers: OnceCell::new(),
            modules: RefCell::default(),
            strict: RefCell::default(),
            held: Rc::default(),
            collect_at: Cell::new(HELD_WORTH_COLLECTING),
            collecting: Cell::default(),
            running: RefCell::default(),
            targets: RefCell::default(),
            scripted: RefCell::default(),
            methods: RefCell::default(),
            panic: Cell::default(),
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

    /// Collects the state bit by bit once its objects hold so much natively that it is worth it: all
    /// at once, other VUs' large heaps would delay those that are due.
    pub(super) fn collect_held(&self, lua: &Lua) {
        if !self.collecting.get() && self.held.get() <= self.collect_at.get() {
            return;
        }
        let done = memory::collect_some(lua, COLLECTED_PER_TURN_KIB);
        self.collecting.set(!done);
        if done {
            self.collect_at.set(HELD_WORTH_COLLECTING.max(self.held.get() * 2));
        }
    }

    /// Returns the message of a VU that uses too much memory.
    pub(super) fn memory_message(&self) -> String {
        let limit = self.chunks.limits.memory_bytes;
        format!("not enough memory: the script's limit is {limit} bytes per VU")
    }

    /// Keeps a target and makes a function of it.
    pub(super) fn function(&self, lua: &Lua, target: Target) -> mlua::Result<Function> {
        let target = Rc::new(target);
        self.targets.borrow_mut().push(Rc::clone(&target));
        raw::function(lua, self, &target)
    }

    /// Returns an object's method, if it has such a method.
    pub(super) fn method(&self, object: &Rc<dyn Object>, name: &str) -> Option<Rc<Target>> {
        let kind = object.type_name();
        let known = self.methods.borrow();
        let is_it = |(of, target): &&(&str, Rc<Target>)| *of == kind && target.short_name() == name;
        if let Some((_, target)) = known.iter().find(is_it) {
            return Some(Rc::clone(target));
        }
        drop(known);
        let method = object.methods().iter().find(|method| method.name == name)?;
        let target = Rc::new(Target {
            what: What::Method(method),
            name: interned(&format!("{kind}:{}", method.name)),
            params: method.params,
            module: 0,
            tells: false,
            scripted: self.scripted_method(kind, name),
        });
        self.methods.borrow_mut().push((kind, Rc::clone(&target)));
        Some(target)
    }

    /// Returns what the prelude has in a method's place.
    fn scripted_method(&self, kind: &str, name: &str) -> Option<Scripted<i32>> {
        let scripted = self.scripted.borrow();
        let found = scripted.iter().find(|method| method.0 == kind && method.1 == name);
        found.map(|(_, _, own)| Scripted { function: own.function.id(), always: own.always })
    }

    /// Keeps a panic of ours that happened inside of a call from a script.
    pub(super) fn panicked(&self, panic: Box<dyn Any + Send>) {
        self.panic.replace(Some(panic));
    }

    /// Goes on with a panic that a call from a script kept.
    pub(super) fn resume_panic(&self) {
        if let Some(panic) = self.panic.take() {
            std::panic::resume_unwind(panic);
        }
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
