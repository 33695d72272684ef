//! Stub.

use std::rc::Rc;

use super::{Argument, Program, ScriptError};
use crate::api::{Value, VuContext, WorkerContext};

/// A worker's compiled form of a program.
pub struct Host {}

/// One VU's script.
pub struct Instance {}

impl Host {
    /// Compiles.
    pub fn new(_program: Rc<Program>, _worker: &Rc<WorkerContext>) -> Result<Self, ScriptError> {
        unimplemented!()
    }

    /// Instantiates.
    pub fn instance(&self, _vu: &Rc<VuContext>) -> Result<Instance, ScriptError> {
        unimplemented!()
    }
}

impl Instance {
    /// Functions.
    pub fn functions(&self) -> Vec<String> {
        unimplemented!()
    }

    /// Options.
    pub fn options(&mut self) -> Result<Value, ScriptError> {
        unimplemented!()
    }

    /// Data.
    pub fn set_data(&mut self, _data: &Rc<Value>) -> Result<(), ScriptError> {
        unimplemented!()
    }

    /// Call.
    pub async fn call(
        &mut self,
        _function: &str,
        _argument: Argument,
    ) -> Result<Value, ScriptError> {
        unimplemented!()
    }
}
