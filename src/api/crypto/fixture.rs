//! Calls of the module `crypto`, for its unit tests.

use super::MODULE;
use crate::api::encoding::unhex;
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

/// Returns the bytes of hexadecimal digits.
pub(super) fn bytes(digits: &str) -> Value {
    Value::Bytes(unhex(digits.as_bytes()).unwrap().into())
}

/// Returns a member of a table.
pub(super) fn member(table: &Value, name: &str) -> Value {
    match table {
        Value::Map(map) => map.get(name).cloned().unwrap_or_default(),
        other => panic!("{other:?} is no table"),
    }
}
