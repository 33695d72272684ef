//! Which statuses are expected: what is not fails the request in `http_req_failed`.

use std::rc::Rc;

use crate::api::{ApiError, Args, Value, VuContext};
use crate::plan::{STATUSES, Statuses};

/// Reads `200`, `"2xx"`, `"200-299"`, `{ min = 200, max = 299 }`, or a list of them.
///
/// # Errors
/// If it is none of these.
pub(super) fn read(place: &str, value: &Value) -> Result<Rc<Statuses>, ApiError> {
    let json = value.to_json();
    Statuses::read(&json).map(Rc::new).map_err(|wrong| {
        ApiError::usage(format!("{place}: an expected status is {STATUSES}, not {wrong}"))
    })
}

/// `http.expected_statuses(200, "3xx", ...)`: a value for `expected` or `set_response_callback`.
pub(super) fn expected_statuses(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let list = Value::List(args.rest(0));
    read(&args.call, &list)?;
    Ok(list)
}

/// `http.set_response_callback(http.expected_statuses(404))`: the VU's default from now on.
pub(super) fn set_response_callback(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let expected = match args.take(0) {
        Value::Nil | Value::Null => Rc::clone(&vu.worker.expected),
        value => read(&args.call, &value)?,
    };
    *vu.expected.borrow_mut() = expected;
    Ok(Value::Nil)
}
