//! One VU's script: loading it, calling it, waiting for it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use mlua::{Table, Thread};

use super::kit::Kit;
use super::raw::{self, Kept, Turn};
use super::slot::Slot;
use super::state::{Entered, MEMORY, State};
use super::{Instance, failure, memory};
use crate::api::{ApiError, ErrorKind, Phase, Slice, Value, Wait};
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
    pub(super) functions: BTreeMap<String, Kept>,
    data: Option<Rc<Kept>>,
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
        raw::from_lua(&self.state.lua, &self.state.kit, &options).map_err(|error| {
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
            body.data = Some(value);
        }
        Ok(())
    }

    /// Calls a function. Dropping the future ends the call.
    ///
    /// # Errors
    /// If the script fails, hits a limit, or is stopped.
    pub async fn call(&mut self, function: &str, argument: Argument) -> Result<Value, ScriptError> {
        let answer_wanted = !matches!(argument, Argument::Data);
        let ended = self.run(function, argument).await;
        let Self { body, state, .. } = self;
        let result = match (ended, body) {
            (Ok(()), Some(body)) if answer_wanted => {
                raw::result(&state.kit, &body.thread).map_err(|error| {
                    let message = format!("{function}() must return data: {}", error.message);
                    failure::bare(ScriptErrorKind::Uncaught(error.kind), message)
                })
            }
            (Ok(()), _) => Ok(Value::Nil),
            (Err(error), _) => {
                if error.kind == MEMORY {
                    self.start_anew();
                }
                return Err(failure::name_entry(error, function));
            }
        };
        if let Some(body) = &self.body {
            raw::clear(&body.thread);
        }
        result
    }

    /// Runs a function to its end; what it returned lies on its coroutine's stack.
    async fn run(&mut self, function: &str, argument: Argument) -> Result<(), ScriptError> {
        self.body()?;
        let Self { body, state, vu, .. } = self;
        let body = body.as_ref().expect("it was made just now");
        let Some(entry) = body.functions.get(function) else {
            return Err(unknown_function(&body.functions, function));
        };
        let memory = |error: mlua::Error| failure::bare(MEMORY, failure::plain(&error));
        let own = match &argument {
            Argument::Value(value) => {
                let value = raw::to_lua(&state.lua, &state.kit, value, false).map_err(memory)?;
                Some(Kept::new(&state.lua, value).map_err(memory)?)
            }
            Argument::None | Argument::Data => None,
        };
        let argument = match argument {
            Argument::Data => body.data.as_deref(),
            _ => own.as_ref(),
        };
        let slot = &body.slot;
        slot.begin();
        if let Some(stop) = vu.interrupt.why() {
            return Err(failure::stopped(stop));
        }
        let mut turn =
            within(state, body, || raw::begin(&state.lua, &body.thread, entry, argument))?;
        let mut slice: Option<Slice<'_>> = None;
        loop {
            if let Some(stop) = vu.interrupt.why() {
                return Err(failure::stopped(stop));
            }
            match turn {
                Turn::Waits => {
                    let Some(wait) = slot.wait.take() else { return Err(given_up()) };
                    vu.worker.step().await;
                    if let Some(stop) = vu.interrupt.why() {
                        return Err(failure::stopped(stop));
                    }
                    let (answer, waited) = answer(slot, wait).await;
                    slot.answer.replace(Some(answer));
                    if waited {
                        slot.spent.set(Duration::ZERO);
                    } else {
                        // What is answered at once, over and over, must not keep others waiting.
                        tokio::task::yield_now().await;
                    }
                }
                Turn::Yielded | Turn::Strayed => slice = Some(vu.worker.slices.turn().await),
                _ => return ended(state, body, turn),
            }
            if let Some(stop) = vu.interrupt.why() {
                return Err(failure::stopped(stop));
            }
            turn = go_on(state, body, turn)?;
            drop(slice.take());
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
                let kept = self.state.data(data);
                body.data =
                    Some(kept.map_err(|error| failure::bare(MEMORY, failure::plain(&error)))?);
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
        self.run_top_level(&body, &entry)?;
        let value = raw::take_top(&state.lua, &body.thread).map_err(wrong)?;
        raw::clear(&body.thread);
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
                let kept = Kept::new(&state.lua, function).map_err(wrong)?;
                body.functions.insert(name.to_string_lossy(), kept);
            }
        }
        body.slot.test.replace(Some(test.clone()));
        body.test = test;
        Ok(body)
    }

    /// Runs the script's top level to its end.
    fn run_top_level(&self, body: &Body, entry: &Kept) -> Result<(), ScriptError> {
        let state = &*self.state;
        let slot = &body.slot;
        slot.begin();
        let began = clock::now();
        let mut turn = within(state, body, || raw::begin(&state.lua, &body.thread, entry, None))?;
        loop {
            let spent = began.elapsed().saturating_sub(slot.vu.excused.get());
            if spent > state.kit.chunks.limits.time * LOADING {
                return Err(failure::bare(
                    ScriptErrorKind::Uncaught(ErrorKind::Time),
                    format!("{} takes too long to load", state.kit.chunks.entry),
                ));
            }
            match turn {
                Turn::Waits => {
                    slot.wait.replace(None);
                    slot.answer.replace(Some(Err(ApiError::usage(NO_WAIT))));
                }
                Turn::Yielded | Turn::Strayed => {}
                _ => return ended(state, body, turn),
            }
            turn = go_on(state, body, turn)?;
        }
    }

    /// Makes a VU's globals, coroutine and entry function.
    fn make(&self) -> mlua::Result<(Body, Kept)> {
        let State { lua, kit, .. } = &*self.state;
        let globals = self.state.globals()?;
        let entry = kit.instantiate(lua, &kit.chunks.entry, self.category, globals.clone())?;
        let limit = kit.chunks.limits.memory_bytes;
        let slot = Slot::new(Rc::clone(&self.vu), self.category, globals.clone(), limit);
        let thread = lua.create_thread(entry.clone())?;
        slot.thread.set(thread.state() as usize);
        let body = Body {
            slot: Rc::new(slot),
            thread,
            test: globals,
            functions: BTreeMap::new(),
            data: None,
        };
        Ok((body, Kept::new(lua, entry)?))
    }
}

/// Waits for a call; returns its answer and whether it took any time.
async fn answer(slot: &Slot, mut wait: Wait) -> (Result<Value, ApiError>, bool) {
    let mut waited = false;
    let mut stopped = slot.vu.interrupt.stopped();
    let answer = poll_fn(|context| {
        // First: what is cut off records its own sample as it ends.
        if let Poll::Ready(answer) = wait.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        waited = true;
        Pin::new(&mut stopped).poll(context).map(|()| Ok(Value::Nil))
    });
    let answer = answer.await;
    (answer, waited)
}

/// Goes on with a coroutine that came back with `turn`.
fn go_on(state: &State, body: &Body, turn: Turn) -> Result<Turn, ScriptError> {
    let State { lua, .. } = state;
    let stray =
        matches!(turn, Turn::Strayed) || matches!(turn, Turn::Yielded) && !body.slot.sliced.get();
    if !stray {
        return within(state, body, || raw::go_on(lua, &body.thread));
    }
    let message = "only coroutines that the script made itself may yield";
    let mut refused = Ok(Turn::Failed);
    let turn = within(state, body, || {
        refused = raw::refuse(lua, &body.thread, message);
        *refused.as_ref().unwrap_or(&Turn::Failed)
    });
    refused.map_err(|error| failure::bare(MEMORY, failure::plain(&error)))?;
    turn
}

/// Runs a turn of a VU's coroutine within its limits.
fn within(state: &State, body: &Body, turn: impl FnOnce() -> Turn) -> Result<Turn, ScriptError> {
    let State { lua, kit, .. } = state;
    let slot = &body.slot;
    let failed = |error: &mlua::Error| {
        let value = mlua::Value::Error(Box::new(error.clone()));
        failure::raised(lua, kit, slot, &value)
    };
    kit.collect_held(lua);
    if Kit::bytes_of(lua, slot) > slot.watermark.get()
        && kit.collect_for(lua, slot).map_err(|error| failed(&error))?
    {
        return Err(failed(&mlua::Error::MemoryError(kit.memory_message())));
    }
    let entered = Entered::new(state, slot);
    let turn = turn();
    drop(entered);
    kit.resume_panic();
    Ok(turn)
}

/// Returns what a coroutine that came back for good came to; what it returned stays on its stack.
fn ended(state: &State, body: &Body, turn: Turn) -> Result<(), ScriptError> {
    let State { lua, kit, .. } = state;
    let slot = &body.slot;
    if let Some(error) = failure::tripped(kit, slot) {
        return Err(error);
    }
    let error = match turn {
        Turn::Failed => raised(state, body),
        Turn::OutOfMemory => {
            mlua::Value::Error(Box::new(mlua::Error::MemoryError("not enough memory".to_owned())))
        }
        Turn::Ended | Turn::Waits | Turn::Yielded | Turn::Strayed => return Ok(()),
    };
    Err(failure::raised(lua, kit, slot, &error))
}

/// Returns what a coroutine failed with, and keeps where.
fn raised(state: &State, body: &Body) -> mlua::Value {
    let State { lua, kit, .. } = state;
    let frames = raw::frames(kit, &body.thread);
    let error = match raw::take_top(lua, &body.thread) {
        Ok(value) => value,
        Err(error) => mlua::Value::Error(Box::new(error)),
    };
    body.slot.keep_trace(failure::describe(lua, kit, &error), frames);
    error
}

/// Returns the error of a coroutine that waits for nothing.
fn given_up() -> ScriptError {
    let message = "the script waits for a call that was given up";
    failure::bare(ScriptErrorKind::Uncaught(ErrorKind::Script), message.to_owned())
}

fn unknown_function(functions: &BTreeMap<String, Kept>, name: &str) -> ScriptError {
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
