//! Luau: sandboxed Lua states that several VUs share, and the driver that waits for them.
//!
//! A VU's script runs in one coroutine. A call that waits yields to [`Instance::call`], which waits
//! as an ordinary future and resumes the coroutine with the answer. See `prelude.luau` for the part
//! that is written in Luau.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use mlua::{Function, IntoLuaMulti, MultiValue, Table, Thread};

use self::chunks::Chunks;
use self::kit::Begun;
use self::slot::Slot;
use self::state::{Entered, MEMORY, State, untag};
use super::{Argument, Program, ScriptError, ScriptErrorKind};
use crate::api::{self, ApiError, ErrorKind, Module, Phase, Value, VuContext, WorkerContext};
use crate::plan::Isolation;
use crate::units;

mod chunks;
mod column;
mod convert;
mod failure;
mod kit;
mod memory;
mod meter;
mod object;
mod slot;
mod state;

#[cfg(test)]
mod tests;

/// VUs to a state, unless each has its own: a state costs 190 KiB, a VU in it about 5.
const SHARED: u8 = 64;

/// What a script that waits while it loads is told.
const NO_WAIT: &str = "requests cannot be made while the script loads; move this into setup() or \
                       iteration()";

/// A worker's compiled form of a program.
pub struct Host {
    chunks: Rc<Chunks>,
    places: u8,
    states: RefCell<Vec<Weak<State>>>,
}

/// One VU's script.
///
/// A VU whose script ran out of memory starts anew at its next call: its globals, and what
/// `vu_setup` left in them, are gone.
pub struct Instance {
    /// Nothing after the memory was used up: it is made again at the next call.
    body: Option<Body>,
    /// The names of its functions.
    names: Vec<String>,
    data: Option<Rc<Value>>,
    vu: Rc<VuContext>,
    category: u8,
    state: Rc<State>,
}

/// A script that was loaded for a VU.
struct Body {
    slot: Rc<Slot>,
    thread: Thread,
    test: Table,
    functions: BTreeMap<String, Function>,
    data: mlua::Value,
}

/// How a resumed coroutine came back.
enum Turn {
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

impl Host {
    /// Compiles a program for a worker, with all native modules.
    pub fn new(program: Rc<Program>, worker: &Rc<WorkerContext>) -> Result<Self, ScriptError> {
        Self::with_modules(program, worker, api::MODULES)
    }

    /// Compiles a program for a worker, with some native modules.
    ///
    /// # Errors
    /// If the entry does not compile.
    pub fn with_modules(
        program: Rc<Program>,
        worker: &Rc<WorkerContext>,
        modules: &'static [Module],
    ) -> Result<Self, ScriptError> {
        let chunks = Chunks::new(program, modules, worker.plan.limits.clone())?;
        let places = match worker.plan.isolation {
            Isolation::Shared => SHARED,
            Isolation::State => 1,
        };
        Ok(Self { chunks: Rc::new(chunks), places, states: RefCell::default() })
    }

    /// Makes a VU's script and runs its top level.
    ///
    /// # Errors
    /// If the top level fails, or does not return a table.
    pub fn instance(&self, vu: &Rc<VuContext>) -> Result<Instance, ScriptError> {
        let state = self.state_with_place()?;
        let category = state.take_place().expect("the state was chosen for its free place");
        let mut instance = Instance {
            body: None,
            names: Vec::new(),
            data: None,
            vu: Rc::clone(vu),
            category,
            state,
        };
        let body = instance.load()?;
        instance.names = body.functions.keys().cloned().collect();
        instance.body = Some(body);
        Ok(instance)
    }

    fn state_with_place(&self) -> Result<Rc<State>, ScriptError> {
        let mut states = self.states.borrow_mut();
        states.retain(|state| state.strong_count() > 0);
        let free = states.iter().filter_map(Weak::upgrade).find(|state| state.has_place());
        if let Some(state) = free {
            return Ok(state);
        }
        let state = State::new(Rc::clone(&self.chunks), self.places)
            .map_err(|error| failure::bare(ScriptErrorKind::Load, failure::plain(&error)))?;
        let state = Rc::new(state);
        states.push(Rc::downgrade(&state));
        Ok(state)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.body = None;
        self.state.leave_place(self.category);
    }
}

impl Instance {
    /// Returns the names of the script's functions.
    pub fn functions(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Returns `test.options`.
    ///
    /// # Errors
    /// If it holds what cannot be an option.
    pub fn options(&mut self) -> Result<Value, ScriptError> {
        let body = self.body()?;
        let options: mlua::Value = body.test.raw_get("options").unwrap_or(mlua::Value::Nil);
        convert::from_lua(&self.state.kit, &options).map_err(|error| {
            failure::bare(ScriptErrorKind::Load, format!("test.options: {}", error.message))
        })
    }

    /// Gives the script what `setup` returned.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn set_data(&mut self, data: &Rc<Value>) -> Result<(), ScriptError> {
        let value = self.state.data(data).map_err(|error| {
            failure::bare(ScriptErrorKind::Uncaught(ErrorKind::Memory), failure::plain(&error))
        })?;
        self.data = Some(Rc::clone(data));
        if let Some(body) = &mut self.body {
            body.data = value;
        }
        Ok(())
    }

    /// Calls a function. Dropping the future ends the call.
    ///
    /// # Errors
    /// If the script fails, hits a limit, or is stopped.
    pub async fn call(&mut self, function: &str, argument: Argument) -> Result<Value, ScriptError> {
        let answer_wanted = !matches!(argument, Argument::Data);
        let result = self.run(function, argument).await;
        match result {
            Ok(value) if answer_wanted => {
                convert::from_lua(&self.state.kit, &value).map_err(|error| {
                    let message = format!("{function}() must return data: {}", error.message);
                    failure::bare(ScriptErrorKind::Uncaught(error.kind), message)
                })
            }
            Ok(_) => Ok(Value::Nil),
            Err(error) => {
                if error.kind == MEMORY {
                    self.start_anew();
                }
                Err(error)
            }
        }
    }

    async fn run(
        &mut self,
        function: &str,
        argument: Argument,
    ) -> Result<mlua::Value, ScriptError> {
        self.body()?;
        let Self { body, state, vu, .. } = self;
        let body = body.as_ref().expect("it was made just now");
        let Some(entry) = body.functions.get(function) else {
            return Err(unknown_function(&body.functions, function));
        };
        let memory = |error: mlua::Error| failure::bare(MEMORY, failure::plain(&error));
        let argument = match argument {
            Argument::None => mlua::Value::Nil,
            Argument::Data => body.data.clone(),
            Argument::Value(value) => {
                convert::to_lua(&state.lua, &state.kit, value, false).map_err(memory)?
            }
        };
        let slot = &body.slot;
        slot.begin();
        if let Some(stop) = vu.interrupt.why() {
            return Err(failure::stopped(stop));
        }
        body.thread.reset(state.kit.makers().run.clone()).map_err(memory)?;
        let mut turn = resume(state, body, (entry, argument));
        loop {
            if let Some(stop) = vu.interrupt.why() {
                return Err(failure::stopped(stop));
            }
            turn = match turn {
                Turn::Waits(call) => {
                    slot.spent.set(std::time::Duration::ZERO);
                    let answer = match state.kit.begin(slot, call) {
                        Ok(Begun::Now(value)) => Ok(value),
                        Ok(Begun::Wait(mut wait)) => tokio::select! {
                            biased;
                            // First: what is cut off records its own sample as it ends.
                            answer = &mut wait => answer,
                            () = vu.interrupt.stopped() => continue_after_stop(),
                        },
                        Err(error) => Err(error),
                    };
                    if let Some(stop) = vu.interrupt.why() {
                        return Err(failure::stopped(stop));
                    }
                    answered(state, body, answer)
                }
                Turn::Sliced => {
                    tokio::task::yield_now().await;
                    if let Some(stop) = vu.interrupt.why() {
                        return Err(failure::stopped(stop));
                    }
                    resume(state, body, ())
                }
                other => return ended(state, body, other),
            };
        }
    }

    /// Returns the loaded script, loading it again after its memory was used up.
    fn body(&mut self) -> Result<&Body, ScriptError> {
        if self.body.is_none() {
            let phase = self.vu.phase.replace(Phase::Load);
            let body = self.load();
            self.vu.phase.set(phase);
            let mut body = body?;
            if let Some(data) = &self.data {
                body.data = self
                    .state
                    .data(data)
                    .map_err(|error| failure::bare(MEMORY, failure::plain(&error)))?;
            }
            self.body = Some(body);
        }
        Ok(self.body.as_ref().expect("it is there or was made just now"))
    }

    /// Drops the script with all that it holds, before a neighbor runs.
    fn start_anew(&mut self) {
        self.body = None;
        // It fails only for an error in a finalizer, which Luau does not have.
        let _ = self.state.lua.gc_collect();
    }

    /// Runs the script's top level in a place of its own.
    fn load(&self) -> Result<Body, ScriptError> {
        let state = &*self.state;
        let wrong =
            |error: mlua::Error| failure::bare(ScriptErrorKind::Load, failure::plain(&error));
        if memory::bytes(&state.lua, self.category) > 0 {
            // What the place's last VU left.
            state.lua.gc_collect().map_err(wrong)?;
        }
        memory::charge(&state.lua, self.category);
        let made = self.make();
        memory::charge(&state.lua, 0);
        let (mut body, entry) = made.map_err(wrong)?;
        body.slot.begin();
        let mut turn = resume(state, &body, (entry,));
        let value = loop {
            turn = match turn {
                Turn::Sliced => resume(state, &body, ()),
                Turn::Waits(_) => answered(state, &body, Err(ApiError::usage(NO_WAIT))),
                other => break ended(state, &body, other)?,
            };
        };
        let mlua::Value::Table(test) = value else {
            let mut error = failure::bare(
                ScriptErrorKind::Load,
                format!("{} returns no table of functions", state.kit.chunks.entry),
            );
            error.help = Some("end the script with `return test`".to_owned());
            return Err(error);
        };
        for pair in test.pairs::<mlua::Value, mlua::Value>() {
            if let (mlua::Value::String(name), mlua::Value::Function(function)) =
                pair.map_err(wrong)?
                && name != "options"
            {
                body.functions.insert(name.to_string_lossy(), function);
            }
        }
        body.test = test;
        Ok(body)
    }

    /// Makes a VU's globals, coroutine and entry function.
    fn make(&self) -> mlua::Result<(Body, Function)> {
        let State { lua, kit, .. } = &*self.state;
        let globals = self.state.globals()?;
        let entry = kit.instantiate(lua, &kit.chunks.entry, self.category, globals.clone())?;
        let limit = kit.chunks.limits.memory_bytes;
        let slot = Slot::new(Rc::clone(&self.vu), self.category, globals.clone(), limit);
        let thread = lua.create_thread(kit.makers().run.clone())?;
        slot.thread.set(thread.state() as usize);
        let body = Body {
            slot: Rc::new(slot),
            thread,
            test: globals,
            functions: BTreeMap::new(),
            data: mlua::Value::Nil,
        };
        Ok((body, entry))
    }
}

/// What a cut-off wait would have answered; nobody sees it.
fn continue_after_stop() -> Result<Value, ApiError> {
    Ok(Value::Nil)
}

/// Resumes a VU's coroutine with what its wait answered.
fn answered(state: &State, body: &Body, answer: Result<Value, ApiError>) -> Turn {
    let entered = Entered::new(state, &body.slot);
    let converted = state.kit.answer(&state.lua, &body.slot, answer);
    drop(entered);
    match converted {
        Ok(answer) => resume(state, body, answer),
        Err(error) => Turn::Failed(error),
    }
}

/// Resumes a VU's coroutine within its limits.
fn resume(state: &State, body: &Body, arguments: impl IntoLuaMulti) -> Turn {
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
fn ended(state: &State, body: &Body, turn: Turn) -> Result<mlua::Value, ScriptError> {
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

fn unknown_function(functions: &BTreeMap<String, Function>, name: &str) -> ScriptError {
    let message = match units::nearest(name, functions.keys().map(String::as_str)) {
        Some(near) => format!("the script has no function `{name}`, did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = functions.keys().map(String::as_str).collect();
            format!("the script has no function `{name}`; there are {}", known.join(", "))
        }
    };
    failure::bare(ScriptErrorKind::Load, message)
}
