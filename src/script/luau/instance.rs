//! One VU's script: loading it, calling it, waiting for it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, MultiValue, Table, Thread};

use super::kit::Begun;
use super::slot::Slot;
use super::state::{MEMORY, State};
use super::turn::{Turn, answered, ended, refused, resume};
use super::{Instance, convert, failure, memory};
use crate::api::{ApiError, ErrorKind, Phase, Value};
use crate::script::{Argument, ScriptError, ScriptErrorKind};
use crate::{clock, units};

/// What a script that waits while it loads is told.
const NO_WAIT: &str = "requests cannot be made while the script loads; move this into setup() or \
                       iteration()";

/// How often the limit of script time loading may take, waits that are refused included.
const LOADING: u32 = 2;

/// A script that was loaded for a VU.
pub(super) struct Body {
    /// Its place in the state.
    pub(super) slot: Rc<Slot>,
    /// Its coroutine.
    pub(super) thread: Thread,
    test: Table,
    /// The functions that it offers.
    pub(super) functions: BTreeMap<String, Function>,
    data: mlua::Value,
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
                Err(failure::name_entry(error, function))
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
                    let (answer, waited) = answer(state, slot, call).await;
                    if waited {
                        slot.spent.set(Duration::ZERO);
                    } else {
                        // What is answered at once, over and over, must not keep others waiting.
                        tokio::task::yield_now().await;
                    }
                    if let Some(stop) = vu.interrupt.why() {
                        return Err(failure::stopped(stop));
                    }
                    answered(state, body, answer)
                }
                Turn::Sliced | Turn::Yielded => {
                    let sliced = matches!(turn, Turn::Sliced);
                    tokio::task::yield_now().await;
                    if let Some(stop) = vu.interrupt.why() {
                        return Err(failure::stopped(stop));
                    }
                    if sliced { resume(state, body, ()) } else { refused(state, body) }
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
    pub(super) fn load(&self) -> Result<Body, ScriptError> {
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
        let began = clock::now();
        let mut turn = resume(state, &body, (entry,));
        let value = loop {
            if began.elapsed() > state.kit.chunks.limits.time * LOADING {
                return Err(failure::bare(
                    ScriptErrorKind::Uncaught(ErrorKind::Time),
                    format!("{} takes too long to load", state.kit.chunks.entry),
                ));
            }
            turn = match turn {
                Turn::Sliced => resume(state, &body, ()),
                Turn::Waits(call) => {
                    // What is wrong with the call itself is said first.
                    let answer = match state.kit.begin(&body.slot, call) {
                        Ok(Begun::Now(value)) => Ok(value),
                        Ok(Begun::Wait(_)) => Err(ApiError::usage(NO_WAIT)),
                        Err(error) => Err(error),
                    };
                    answered(state, &body, answer)
                }
                Turn::Yielded => refused(state, &body),
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

/// Carries out a call that may wait; returns its answer and whether it did.
async fn answer(state: &State, slot: &Slot, call: MultiValue) -> (Result<Value, ApiError>, bool) {
    let mut wait = match state.kit.begin(slot, call) {
        Ok(Begun::Wait(wait)) => wait,
        Ok(Begun::Now(value)) => return (Ok(value), false),
        Err(error) => return (Err(error), false),
    };
    let waited = Cell::new(false);
    let stopped = async {
        waited.set(true);
        slot.vu.interrupt.stopped().await;
    };
    let answer = tokio::select! {
        biased;
        // First: what is cut off records its own sample as it ends.
        answer = &mut wait => answer,
        () = stopped => Ok(Value::Nil),
    };
    (answer, waited.get())
}

fn unknown_function(functions: &BTreeMap<String, Function>, name: &str) -> ScriptError {
    let known: Vec<&str> = functions.keys().map(String::as_str).collect();
    let message = match units::nearest(name, known.iter().copied()) {
        Some(near) => format!("the script has no function `{name}`, did you mean `{near}`?"),
        None if known.is_empty() => format!("the script has no function `{name}`, and no other"),
        None => {
            format!("the script has no function `{name}`; there are {}", known.join(", "))
        }
    };
    failure::bare(ScriptErrorKind::Load, message)
}
