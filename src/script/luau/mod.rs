//! Luau: sandboxed Lua states that several VUs share, and the driver that waits for them.
//!
//! A VU's script runs in one coroutine. A call that waits yields to [`Instance::call`], which waits
//! as an ordinary future and resumes the coroutine with the answer. See `prelude.luau` for the part
//! that is written in Luau.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use self::chunks::Chunks;
pub(super) use self::failure::{GLOBALS, advice_on_name};
use self::instance::Body;
use self::state::State;
use super::{Program, ScriptError, ScriptErrorKind};
use crate::api::{self, Module, Value, VuContext, WorkerContext};
use crate::plan::Isolation;

mod bind;
mod chunks;
mod column;
mod failure;
mod instance;
mod kit;
mod memory;
mod meter;
mod natives;
mod raw;
mod slot;
mod state;

#[cfg(test)]
mod tests;

/// VUs to a state, unless each has its own: a state costs 190 KiB, a VU in it about 5. There are 255
/// memory categories.
const SHARED: u8 = 250;

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
