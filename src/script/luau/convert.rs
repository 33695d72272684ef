//! Values across the border, by copy.

use mlua::{Lua, Table};

use super::kit::Kit;
use super::object::Handle;
use crate::api::{ApiError, ErrorKind, Map, Value};

/// Deepest nesting of tables.
const DEPTH: usize = 100;

/// Numbers below this are whole without doubt.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Makes a Luau value. `frozen` makes all tables read-only.
pub(super) fn to_lua(
    lua: &Lua,
    kit: &Kit,
    value: Value,
    frozen: bool,
) -> mlua::Result<mlua::Value> {
    Ok(match value {
        Value::Nil => mlua::Value::Nil,
        Value::Null => mlua::Value::NULL,
        Value::Bool(value) => mlua::Value::Boolean(value),
        Value::Int(value) => mlua::Value::Number(value as f64),
        Value::Number(value) => mlua::Value::Number(value),
        Value::Text(text) => mlua::Value::String(lua.create_string(text.as_bytes())?),
        Value::Bytes(bytes) => mlua::Value::String(lua.create_string(&bytes)?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.into_iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, kit, item, frozen)?)?;
            }
            table.set_metatable(Some(kit.list_mark.clone()))?;
            table.set_readonly(frozen);
            mlua::Value::Table(table)
        }
        Value::Map(map) => {
            let table = lua.create_table_with_capacity(0, map.len())?;
            for (name, value) in map {
                table.raw_set(name, to_lua(lua, kit, value, frozen)?)?;
            }
            table.set_readonly(frozen);
            mlua::Value::Table(table)
        }
        Value::Object(object) => {
            mlua::Value::UserData(lua.create_any_userdata(Handle::new(kit, object))?)
        }
    })
}

/// Takes a Luau value.
///
/// # Errors
/// If it holds what cannot pass: a function, a table in itself, or more than the limits allow.
pub(super) fn from_lua(kit: &Kit, value: &mlua::Value) -> Result<Value, ApiError> {
    let mut copy = Copy {
        kit,
        entries: kit.chunks.limits.table_entries,
        bytes: kit.chunks.limits.memory_bytes,
        path: Vec::new(),
    };
    copy.value(value)
}

/// A copy under way. The budgets bound tables that are reached by many ways.
struct Copy<'a> {
    kit: &'a Kit,
    entries: usize,
    bytes: usize,
    path: Vec<usize>,
}

impl Copy<'_> {
    fn value(&mut self, value: &mlua::Value) -> Result<Value, ApiError> {
        Ok(match value {
            mlua::Value::Nil => Value::Nil,
            mlua::Value::Boolean(value) => Value::Bool(*value),
            mlua::Value::Integer(value) => number(*value as f64),
            mlua::Value::Number(value) => number(*value),
            mlua::Value::String(text) => {
                let bytes = text.as_bytes();
                self.count(bytes.len())?;
                Value::Text(crate::api::Text::from_bytes(bytes::Bytes::copy_from_slice(&bytes)))
            }
            mlua::Value::Buffer(buffer) => {
                self.count(buffer.len())?;
                Value::Bytes(buffer.to_vec().into())
            }
            mlua::Value::Vector(vector) => Value::List(vec![
                number(f64::from(vector.x())),
                number(f64::from(vector.y())),
                number(f64::from(vector.z())),
            ]),
            mlua::Value::LightUserData(_) if value.is_null() => Value::Null,
            mlua::Value::Table(table) => self.table(table)?,
            mlua::Value::UserData(data) => match data.borrow::<Handle>() {
                Ok(handle) => Value::Object(handle.object()),
                Err(_) => return Err(ApiError::usage("this value cannot be passed here")),
            },
            mlua::Value::Function(_) => {
                return Err(ApiError::usage("a function cannot be passed here"));
            }
            mlua::Value::Thread(_) => {
                return Err(ApiError::usage("a coroutine cannot be passed here"));
            }
            mlua::Value::Error(error) => Value::text(super::failure::plain(error)),
            _ => return Err(ApiError::usage("this value cannot be passed here")),
        })
    }

    fn count(&mut self, bytes: usize) -> Result<(), ApiError> {
        match self.bytes.checked_sub(bytes) {
            Some(rest) => self.bytes = rest,
            None => {
                return Err(ApiError::new(
                    ErrorKind::Size,
                    "the value is larger than the script's memory may be",
                ));
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<Value, ApiError> {
        let address = table.to_pointer() as usize;
        if self.path.contains(&address) {
            return Err(ApiError::usage("a table that contains itself cannot be passed here"));
        }
        if self.path.len() == DEPTH {
            return Err(ApiError::usage(format!("tables are nested deeper than {DEPTH} levels")));
        }
        self.path.push(address);
        let value = self.members(table);
        self.path.pop();
        value
    }

    fn members(&mut self, table: &Table) -> Result<Value, ApiError> {
        let mut list = Vec::new();
        let mut map: Vec<(mlua::Value, Value)> = Vec::new();
        for pair in table.pairs::<mlua::Value, mlua::Value>() {
            let (key, value) = pair.map_err(|error| ApiError::usage(error.to_string()))?;
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
            let next = key.as_usize() == Some(list.len() + 1);
            let value = self.value(&value).map_err(|error| Self::inside(&key, error))?;
            if map.is_empty() && next {
                list.push(value);
            } else {
                map.push((key, value));
            }
        }
        if map.is_empty() {
            if list.is_empty() && !self.kit.is_list(table) {
                return Ok(Value::Map(Map::new()));
            }
            return Ok(Value::List(list));
        }
        // A list whose entries were not set in order comes in any order.
        let total = list.len() + map.len();
        let whole = map.iter().all(|(key, _)| key.as_usize().is_some_and(|key| key <= total));
        let whole = whole && map.iter().all(|(key, _)| key.as_usize() != Some(0));
        if whole {
            let rank = |key: &mlua::Value| key.as_usize().unwrap_or_default();
            map.sort_by_key(|(key, _)| rank(key));
            list.extend(map.into_iter().map(|(_, value)| value));
            return Ok(Value::List(list));
        }
        let mut members = Map::new();
        for (index, value) in list.into_iter().enumerate() {
            members.push((index + 1).to_string(), value);
        }
        for (key, value) in map {
            members.push(name_of(&key)?, value);
        }
        Ok(Value::Map(members))
    }

    /// Says at which member an error lies, once, at the innermost.
    fn inside(key: &mlua::Value, error: ApiError) -> ApiError {
        match name_of(key) {
            Ok(name) if !error.message.contains("(in `") => {
                ApiError { message: format!("{} (in `{name}`)", error.message), ..error }
            }
            _ => error,
        }
    }
}

fn name_of(key: &mlua::Value) -> Result<String, ApiError> {
    match key {
        mlua::Value::String(name) => Ok(name.to_string_lossy()),
        mlua::Value::Integer(value) => Ok(value.to_string()),
        mlua::Value::Number(value) => Ok(value.to_string()),
        other => Err(ApiError::usage(format!(
            "a table's names must be strings or numbers, got a {}",
            other.type_name()
        ))),
    }
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < WHOLE {
        Value::Int(value as i64)
    } else {
        Value::Number(value)
    }
}
