//! Scripts: sources, the two languages' engines, and errors as authors read them.
//!
//! A [`Program`] is a script's sources, the same for all threads. Each worker makes a [`Host`] of
//! it, which compiles once; each VU gets an [`Instance`], isolated from all others.

use std::rc::Rc;

use crate::api::{Value, VuContext, WorkerContext};

pub use self::error::{Location, ScriptError, ScriptErrorKind};
pub use self::review::{Finding, Review, review};
pub use self::source::{Language, Program, Reads, SourceError};

mod error;
pub mod luau;
mod place;
mod review;
pub mod rhai;
mod source;
mod stdlib;
pub mod stubs;
mod syntax;
#[cfg(test)]
pub(crate) mod testing;

/// A worker's compiled form of a program.
pub enum Host {
    /// In Luau.
    Luau(luau::Host),
    /// In Rhai.
    Rhai(rhai::Host),
}

/// One VU's script.
pub enum Instance {
    /// In Luau.
    Luau(luau::Instance),
    /// In Rhai.
    Rhai(rhai::Instance),
}

impl Host {
    /// Compiles a program for a worker.
    ///
    /// # Errors
    /// If the entry script does not compile. Modules are compiled when they are first loaded.
    pub fn new(program: Rc<Program>, worker: &Rc<WorkerContext>) -> Result<Self, ScriptError> {
        Ok(match program.language() {
            Language::Luau => Self::Luau(luau::Host::new(program, worker)?),
            Language::Rhai => Self::Rhai(rhai::Host::new(program, worker)?),
        })
    }

    /// Makes a VU's script and runs its top level (phase `Load`: nothing may wait).
    ///
    /// # Errors
    /// If the top level fails.
    pub fn instance(&self, vu: &Rc<VuContext>) -> Result<Instance, ScriptError> {
        Ok(match self {
            Self::Luau(host) => Instance::Luau(host.instance(vu)?),
            Self::Rhai(host) => Instance::Rhai(host.instance(vu)?),
        })
    }
}

impl Instance {
    /// Returns the names of the functions that the script offers, `options` aside.
    pub fn functions(&self) -> Vec<String> {
        match self {
            Self::Luau(instance) => instance.functions(),
            Self::Rhai(instance) => instance.functions(),
        }
    }

    /// Returns the script's options: `test.options` in Luau, what `options()` returns in Rhai;
    /// `Nil` if there are none.
    pub fn options(&mut self) -> Result<Value, ScriptError> {
        match self {
            Self::Luau(instance) => instance.options(),
            Self::Rhai(instance) => instance.options(),
        }
    }

    /// Gives the script what `setup` returned: it is passed, read-only, to every later call.
    pub fn set_data(&mut self, data: &Rc<Value>) -> Result<(), ScriptError> {
        match self {
            Self::Luau(instance) => instance.set_data(data),
            Self::Rhai(instance) => instance.set_data(data),
        }
    }

    /// Calls a function with the set-up data (or, for `setup`, without arguments; for `summary`,
    /// with the result in place of the data) and returns what it returned.
    ///
    /// The caller has set the VU's phase. The VU's [`crate::api::Interrupt`] ends the call early
    /// with [`ScriptErrorKind::Stopped`]; dropping the future instead is allowed only for Luau, so
    /// callers always interrupt and wait.
    pub async fn call(&mut self, function: &str, argument: Argument) -> Result<Value, ScriptError> {
        match self {
            Self::Luau(instance) => instance.call(function, argument).await,
            Self::Rhai(instance) => instance.call(function, argument).await,
        }
    }
}

/// What a function of the script is called with.
#[derive(Debug, Clone)]
pub enum Argument {
    /// Nothing; the answer is wanted (`setup`).
    None,
    /// What `setup` returned; the answer is not wanted and comes back as `Nil`.
    Data,
    /// A value; the answer is wanted (`summary`).
    Value(Value),
}
