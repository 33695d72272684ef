//! Calls as the author writes them: a method, its params, perhaps an id of its own.

use std::rc::Rc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::api::{ApiError, Args, Fields, Method, Value};
use crate::protocol::rpc::Id;

/// A call, read and checked.
pub(super) struct Call {
    pub(super) method: Rc<str>,
    pub(super) params: Option<Params>,
    pub(super) id: CallId,
}

/// What tells a call from others.
pub(super) enum CallId {
    /// The client's next id.
    Next,
    /// The author's own.
    Own(Id),
    /// None: a notification.
    Notification,
}

/// The params of a call: an array or an object.
pub(super) enum Params {
    Value(Value),
    /// JSON that the author wrote, as it stands.
    Json(Box<RawValue>),
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Json(json) => json.serialize(serializer),
        }
    }
}

impl Params {
    /// Reads params: an array, a table, JSON of either as text, or nothing.
    ///
    /// # Errors
    /// If they are something else, or hold what has no form in JSON.
    pub(super) fn read(place: &str, value: Value) -> Result<Option<Self>, ApiError> {
        match value {
            Value::Nil | Value::Null => Ok(None),
            // Luau has one empty table for both, and methods without params have an array of them.
            Value::Map(map) if map.is_empty() => Ok(Some(Self::Value(Value::List(Vec::new())))),
            Value::List(_) | Value::Map(_) => {
                crate::api::json::writable(&value)
                    .map_err(|problem| ApiError::usage(format!("{place}: params: {problem}")))?;
                Ok(Some(Self::Value(value)))
            }
            Value::Text(text) => {
                let json = RawValue::from_string(text.to_str().into_owned()).map_err(|error| {
                    ApiError::usage(format!("{place}: params: the text is no JSON: {error}"))
                })?;
                if !json.get().starts_with(['[', '{']) {
                    return Err(ApiError::usage(format!(
                        "{place}: params: the text must be a JSON array or object, not {}",
                        json.get()
                    )));
                }
                Ok(Some(Self::Json(json)))
            }
            other => Err(ApiError::usage(format!(
                "{place}: params must be an array or a table, or JSON as text, got {}",
                other.type_name()
            ))),
        }
    }
}

impl CallId {
    /// Reads an id that the author gives.
    ///
    /// # Errors
    /// If it is neither a whole number nor text.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        match fields.take("id") {
            Value::Nil => Ok(Self::Next),
            Value::Int(number) => Ok(Self::Own(Id::Number(number))),
            Value::Text(text) => Ok(Self::Own(Id::Text(text.to_str().into()))),
            other => Err(fields.wrong("id", "a whole number or a string", &other)),
        }
    }
}

impl Call {
    /// Reads the call that a method of a client makes, with its other named arguments.
    ///
    /// # Errors
    /// If an argument is wrong.
    pub(super) fn of_method(
        method: &Method,
        args: &mut Args,
        options: &'static [&'static str],
    ) -> Result<(Self, Fields), ApiError> {
        let name = args.text(0)?.to_str().into();
        let params = args.take(1);
        let params = Params::read(&args.call, params)?;
        let mut fields = args.fields(2, options)?;
        let id = match method.name {
            "notify" => CallId::Notification,
            _ => CallId::read(&mut fields)?,
        };
        Ok((Self { method: name, params, id }, fields))
    }

    /// Reads one of a batch's calls: `"method"`, `{ "method", params }`, or
    /// `{ method = ..., params = ..., id = ..., notify = true }`.
    ///
    /// # Errors
    /// If it has none of these forms.
    pub(super) fn of_batch(place: &str, value: Value) -> Result<Self, ApiError> {
        let wrong = |got: &str| {
            ApiError::usage(format!(
                "{place} must be {{ method, params }} or a table with `method`, `params`, `id` and \
                 `notify`, got {got}"
            ))
        };
        match value {
            Value::Text(method) => {
                Ok(Self { method: method.to_str().into(), params: None, id: CallId::Next })
            }
            Value::List(parts) if parts.len() <= 2 => {
                let mut parts = parts.into_iter();
                let Some(Value::Text(method)) = parts.next() else {
                    return Err(wrong("an array that does not begin with a method's name"));
                };
                let params = Params::read(place, parts.next().unwrap_or_default())?;
                Ok(Self { method: method.to_str().into(), params, id: CallId::Next })
            }
            Value::List(parts) => Err(wrong(&format!("an array of {}", parts.len()))),
            Value::Map(map) => {
                let known = &["method", "params", "id", "notify"];
                let mut fields = Fields::new(place.to_owned(), map, known)?;
                let Some(method) = fields.text("method")? else {
                    return Err(wrong("a table without `method`"));
                };
                let params = Params::read(place, fields.take("params"))?;
                let id = CallId::read(&mut fields)?;
                let id = match (fields.bool("notify")?, id) {
                    (Some(true), CallId::Next) => CallId::Notification,
                    (Some(true), _) => {
                        return Err(ApiError::usage(format!(
                            "{place}: a notification has no `id`: leave out one of `id` and `notify`"
                        )));
                    }
                    (_, id) => id,
                };
                Ok(Self { method: method.to_str().into(), params, id })
            }
            other => Err(wrong(other.type_name())),
        }
    }
}
