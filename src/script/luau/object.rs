//! Native objects as userdata.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, MetaMethod, UserDataMethods, UserDataRegistry};

use super::convert::{from_lua, to_lua};
use super::kit::Kit;
use super::meter::Raised;
use crate::api::{ApiError, Object, Value};
use crate::units;

/// An object in a Lua state. What it holds natively is counted to its VU until it is collected.
pub(super) struct Handle {
    object: Rc<dyn Object>,
    bytes: usize,
    vu_held: Option<Rc<Cell<usize>>>,
    state_held: Rc<Cell<usize>>,
}

impl Handle {
    /// Takes an object for the VU that runs.
    pub(super) fn new(kit: &Kit, object: Rc<dyn Object>) -> Self {
        let bytes = object.held_bytes();
        let state_held = Rc::clone(&kit.held);
        let mut vu_held = None;
        if bytes > 0 {
            state_held.set(state_held.get() + bytes);
            vu_held = kit.running().map(|slot| Rc::clone(&slot.held));
            if let Some(held) = &vu_held {
                held.set(held.get() + bytes);
            }
        }
        Self { object, bytes, vu_held, state_held }
    }

    /// Returns the object.
    pub(super) fn object(&self) -> Rc<dyn Object> {
        Rc::clone(&self.object)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state_held.set(self.state_held.get() - self.bytes);
        if let Some(held) = &self.vu_held {
            held.set(held.get() - self.bytes);
        }
    }
}

/// Makes a state know objects.
pub(super) fn register(lua: &Lua, kit: &Rc<Kit>) -> mlua::Result<()> {
    lua.register_userdata_type::<Handle>(|registry| {
        register_fields(registry, kit);
        register_rest(registry, kit);
    })
}

fn register_fields(registry: &mut UserDataRegistry<Handle>, kit: &Rc<Kit>) {
    let own = Rc::clone(kit);
    registry.add_meta_method(MetaMethod::Index, move |lua, this, key: mlua::Value| {
        let slot = own.slot()?;
        let result = match &key {
            mlua::Value::String(key) => match std::str::from_utf8(&key.as_bytes()) {
                Ok(field) => match this.object.get(&slot.vu, field) {
                    Ok(Some(Value::Nil)) => {
                        // Headers answer every name; what is nothing may be a method.
                        let method = own.method(lua, &this.object, field)?;
                        return Ok(method.map_or(mlua::Value::Nil, mlua::Value::Function));
                    }
                    Ok(Some(value)) => return to_lua(lua, &own, value, false),
                    Ok(None) => {
                        if let Some(method) = own.method(lua, &this.object, field)? {
                            return Ok(mlua::Value::Function(method));
                        }
                        missing(&*this.object, field)
                    }
                    Err(error) => error,
                },
                Err(_) => missing(&*this.object, "?"),
            },
            other => ApiError::usage(format!(
                "{} has no field of type {}",
                this.object.type_name(),
                other.type_name()
            )),
        };
        Err(own.raise(lua, &slot, &result))
    });
    let own = Rc::clone(kit);
    registry.add_meta_method(
        MetaMethod::NewIndex,
        move |lua, this, (key, value): (String, mlua::Value)| {
            let slot = own.slot()?;
            from_lua(&own, &value)
                .map_err(|error| {
                    let message = format!("{}.{key}: {}", this.object.type_name(), error.message);
                    ApiError { message, ..error }
                })
                .and_then(|value| this.object.set(&slot.vu, &key, value))
                .map_err(|error| own.raise(lua, &slot, &error))
        },
    );
}

fn register_rest(registry: &mut UserDataRegistry<Handle>, kit: &Rc<Kit>) {
    let own = Rc::clone(kit);
    registry.add_meta_method(MetaMethod::Len, move |lua, this, ()| {
        let slot = own.slot()?;
        let entries = this.object.entries(&slot.vu).ok_or_else(|| {
            let message = format!("{} has no length", this.object.type_name());
            own.raise(lua, &slot, &ApiError::usage(message))
        })?;
        Ok(entries.len())
    });
    let own = Rc::clone(kit);
    registry.add_meta_method(MetaMethod::Iter, move |lua, this, ()| {
        let slot = own.slot()?;
        if let Some(iterator) = own.iterator(lua, &this.object)? {
            let object = lua.create_any_userdata(Handle::new(&own, this.object()))?;
            return Ok((mlua::Value::Function(iterator), mlua::Value::UserData(object)));
        }
        let entries = this.object.entries(&slot.vu).ok_or_else(|| {
            let message = format!("{} cannot be iterated", this.object.type_name());
            own.raise(lua, &slot, &ApiError::usage(message))
        })?;
        let kit = Rc::clone(&own);
        let entries = std::cell::RefCell::new(entries.into_iter());
        let next = lua.create_function(move |lua, ()| {
            let entry = entries.borrow_mut().next();
            let Some((name, value)) = entry else {
                return Ok((mlua::Value::Nil, mlua::Value::Nil));
            };
            let name = mlua::Value::String(lua.create_string(&name)?);
            Ok((name, to_lua(lua, &kit, value, false)?))
        })?;
        Ok((mlua::Value::Function(next), mlua::Value::Nil))
    });
    registry.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.object.describe()));
    registry.add_meta_method(MetaMethod::Eq, |_, this, other: mlua::Value| {
        let other = other.as_userdata().and_then(|other| other.borrow::<Handle>().ok());
        Ok(other.is_some_and(|other| Rc::ptr_eq(&this.object, &other.object)))
    });
    for name in [MetaMethod::Call, MetaMethod::Concat] {
        registry.add_meta_method(name, |_, this, _: mlua::MultiValue| -> mlua::Result<()> {
            let message = format!(
                "{} can be neither called nor joined to a string; use tostring() to show it",
                this.object.type_name()
            );
            Err(Raised::error(message))
        });
    }
}

/// Returns the error of a field that an object does not have.
fn missing(object: &dyn Object, field: &str) -> ApiError {
    let names = object.fields().iter().copied().chain(object.methods().iter().map(|m| m.name));
    let names: Vec<&str> = names.collect();
    let what = object.type_name();
    ApiError::usage(match units::nearest(field, names.iter().copied()) {
        Some(near) => format!("{what} has no field `{field}`, did you mean `{near}`?"),
        None if names.is_empty() => format!("{what} has no field `{field}`"),
        None => format!("{what} has no field `{field}`; there are {}", names.join(", ")),
    })
}
