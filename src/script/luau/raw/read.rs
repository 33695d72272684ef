//! From a Luau stack to values, by copy.

use std::ffi::c_int;

use bytes::Bytes;

use super::object::Handle;
use super::stack::{Kind, Stack};
use crate::api::{ApiError, ErrorKind, Map, Name, Text, Value};
use crate::script::luau::kit::Kit;
use crate::units;

/// Deepest nesting of tables.
const DEPTH: usize = 100;

/// Numbers below this are whole without doubt.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Takes a value, which stays on the stack.
///
/// # Errors
/// If it holds what cannot pass: a function, a table in itself, or more than the limits allow.
pub(super) fn read(kit: &Kit, stack: Stack, index: c_int) -> Result<Value, ApiError> {
    let limits = &kit.chunks.limits;
    let mut copy = Copy {
        kit,
        stack,
        entries: limits.table_entries,
        bytes: limits.memory_bytes,
        path: Vec::new(),
    };
    copy.value(index)
}

/// A copy under way. The budgets bound tables that are reached by many ways.
struct Copy<'a> {
    kit: &'a Kit,
    stack: Stack,
    entries: usize,
    bytes: usize,
    path: Vec<usize>,
}

/// A table's key.
enum Key {
    /// A whole number from 1 on.
    Position(usize),
    Number(f64),
    Name(Name),
    Other(&'static str),
}

impl Copy<'_> {
    fn value(&mut self, index: c_int) -> Result<Value, ApiError> {
        let stack = self.stack;
        Ok(match stack.kind(index) {
            Kind::Nil | Kind::None => Value::Nil,
            Kind::Boolean => Value::Bool(stack.truth(index)),
            Kind::Number => number(stack.number(index)),
            Kind::Integer => number(stack.integer(index) as f64),
            Kind::String => Value::Text(Text::copy(self.counted(stack.bytes(index))?)),
            Kind::Buffer => {
                Value::Bytes(Bytes::copy_from_slice(self.counted(stack.buffer(index))?))
            }
            Kind::Vector => {
                let parts = stack.vector(index).unwrap_or_default();
                Value::List(parts.iter().map(|part| number(f64::from(*part))).collect())
            }
            Kind::LightUserdata if stack.light(index).is_null() => Value::Null,
            Kind::Table => self.table(index)?,
            Kind::Userdata => match Handle::at(stack, index) {
                Some(handle) => Value::Object(handle.object()),
                None => return Err(ApiError::usage("this value cannot be passed here")),
            },
            Kind::Function => return Err(ApiError::usage("a function cannot be passed here")),
            Kind::Thread => return Err(ApiError::usage("a coroutine cannot be passed here")),
            Kind::LightUserdata => {
                return Err(ApiError::usage("this value cannot be passed here"));
            }
        })
    }

    /// Takes bytes from the budget.
    fn counted<'b>(&mut self, bytes: Option<&'b [u8]>) -> Result<&'b [u8], ApiError> {
        let bytes = bytes.unwrap_or_default();
        let Some(rest) = self.bytes.checked_sub(bytes.len()) else {
            return Err(ApiError::new(
                ErrorKind::Size,
                "the value is larger than the script's memory may be",
            ));
        };
        self.bytes = rest;
        Ok(bytes)
    }

    fn table(&mut self, index: c_int) -> Result<Value, ApiError> {
        let identity = self.stack.identity(index);
        if self.path.contains(&identity) {
            return Err(ApiError::usage("a table that contains itself cannot be passed here"));
        }
        if self.path.len() == DEPTH {
            return Err(ApiError::usage(format!("tables are nested deeper than {DEPTH} levels")));
        }
        if !self.stack.room(4) {
            return Err(ApiError::new(ErrorKind::Memory, "not enough memory to copy the value"));
        }
        self.path.push(identity);
        let top = self.stack.top();
        let index = if index < 0 { top + 1 + index } else { index };
        let value = self.members(index);
        self.stack.set_top(top);
        self.path.pop();
        value
    }

    fn members(&mut self, table: c_int) -> Result<Value, ApiError> {
        let stack = self.stack;
        let mut list = Vec::new();
        let mut map: Vec<(Key, Value)> = Vec::new();
        let mut state = 0;
        while let Some(next) = stack.next_pair(table, state) {
            state = next;
            if self.entries == 0 {
                return Err(ApiError::new(
                    ErrorKind::Size,
                    format!(
                        "the value has more than {} entries",
                        self.kit.chunks.limits.table_entries
                    ),
                ));
            }
            self.entries -= 1;
            let key = key(stack, -2);
            let value = match self.value(-1) {
                Ok(value) => value,
                Err(error) => return Err(inside(&key, error)),
            };
            stack.pop(2);
            if map.is_empty() && key.is(list.len() + 1) {
                list.push(value);
            } else {
                map.push((key, value));
            }
        }
        if map.is_empty() {
            if list.is_empty() && !is_list(self.kit, stack, table) {
                return Ok(Value::Map(Map::new()));
            }
            return Ok(Value::List(list));
        }
        named(list, map)
    }
}

/// Returns a table that is not just a list in order: a list in disorder, or names.
fn named(mut list: Vec<Value>, mut map: Vec<(Key, Value)>) -> Result<Value, ApiError> {
    let total = list.len() + map.len();
    // A list whose entries were not set in order comes in any order.
    if map.iter().all(|(key, _)| matches!(key, Key::Position(at) if *at <= total)) {
        map.sort_by_key(|(key, _)| match key {
            Key::Position(at) => *at,
            _ => 0,
        });
        list.extend(map.into_iter().map(|(_, value)| value));
        return Ok(Value::List(list));
    }
    let mut members = Map::new();
    for (index, value) in list.into_iter().enumerate() {
        members.push((index + 1).to_string(), value);
    }
    for (key, value) in map {
        members.push(key.name()?, value);
    }
    Ok(Value::Map(members))
}

impl Key {
    fn is(&self, position: usize) -> bool {
        matches!(self, Self::Position(at) if *at == position)
    }

    /// Returns it as a member's name.
    fn name(self) -> Result<Name, ApiError> {
        match self {
            Self::Position(at) => Ok(at.to_string().into()),
            Self::Number(value) => Ok(value.to_string().into()),
            Self::Name(name) => Ok(name),
            Self::Other(kind) => Err(ApiError::usage(format!(
                "a table's names must be strings or numbers, got a {kind}"
            ))),
        }
    }
}

fn key(stack: Stack, index: c_int) -> Key {
    match stack.kind(index) {
        Kind::String => {
            let bytes = stack.bytes(index).unwrap_or_default();
            Key::Name(units::lossy(bytes).into())
        }
        Kind::Number => {
            let value = stack.number(index);
            if value >= 1.0 && value.fract() == 0.0 && value < WHOLE {
                Key::Position(value as usize)
            } else {
                Key::Number(value)
            }
        }
        Kind::Integer => Key::Number(stack.integer(index) as f64),
        Kind::Boolean => Key::Other("boolean"),
        Kind::Table => Key::Other("table"),
        Kind::Function => Key::Other("function"),
        Kind::Thread => Key::Other("thread"),
        _ => Key::Other("userdata"),
    }
}

/// Says at which member an error lies, once, at the innermost.
fn inside(key: &Key, error: ApiError) -> ApiError {
    let name = match key {
        Key::Position(at) => at.to_string(),
        Key::Number(value) => value.to_string(),
        Key::Name(name) => name.to_string(),
        Key::Other(_) => return error,
    };
    if error.message.contains("(in `") {
        return error;
    }
    ApiError { message: format!("{} (in `{name}`)", error.message), ..error }
}

/// Returns whether a table is marked as an array.
pub(super) fn is_list(kit: &Kit, stack: Stack, table: c_int) -> bool {
    if !stack.push_metatable(table) {
        return false;
    }
    let marked = stack.identity(-1) == kit.list_mark.to_pointer() as usize;
    stack.pop(1);
    marked
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < WHOLE {
        Value::Int(value as i64)
    } else {
        Value::Number(value)
    }
}
