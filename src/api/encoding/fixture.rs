//! Calls of the module `encoding`, for its unit tests.

use super::MODULE;
use crate::api::fixture::{call, text_of, vu};
use crate::api::{ApiError, Value};

/// Calls a function of the module.
pub(super) fn run(name: &str, values: Vec<Value>) -> Result<Value, ApiError> {
    call(&vu(1), &MODULE, name, values)
}

/// Calls a function that returns text.
pub(super) fn text(name: &str, values: Vec<Value>) -> String {
    text_of(&run(name, values).unwrap())
}

/// Calls a function that returns bytes; returns their digits.
pub(super) fn digits(name: &str, values: Vec<Value>) -> String {
    match run(name, values).unwrap() {
        Value::Bytes(bytes) => super::hex(&bytes),
        other => panic!("{other:?} are no bytes"),
    }
}
