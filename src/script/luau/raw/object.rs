//! Native objects as userdata: fields, methods, iteration.

#![expect(unsafe_code, reason = "functions that the interpreter calls")]

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, c_int};
use std::rc::Rc;

use mlua::ffi::lua_State;

use super::call::{call, deliver, go_on, guarded, kit_of, push_target};
use super::read::read;
use super::stack::{Function, Kind, Stack};
use crate::api::{ApiError, Object, Shared, Value};
use crate::script::luau::kit::Kit;
use crate::script::luau::slot::Slot;
use crate::units;

/// An object in a Lua state. What it holds natively is counted to its VU until it is collected.
pub(super) struct Handle {
    object: Rc<dyn Object>,
    bytes: usize,
    /// What it holds together with others, once it does.
    shared: OnceCell<Rc<Shared>>,
    vu_held: Option<Rc<Cell<usize>>>,
    state_held: Rc<Cell<usize>>,
}

impl Handle {
    /// Takes an object for the VU that runs.
    pub(super) fn new(kit: &Kit, object: &Rc<dyn Object>) -> Self {
        let bytes = object.held_bytes();
        let vu_held =
            if bytes > 0 { kit.running().map(|slot| Rc::clone(&slot.held)) } else { None };
        let handle = Self {
            object: Rc::clone(object),
            bytes,
            shared: OnceCell::new(),
            vu_held,
            state_held: Rc::clone(&kit.held),
        };
        handle.counts().for_each(|count| count.set(count.get() + bytes));
        handle.share();
        handle
    }

    /// Counts what the object holds together with others, if it does by now.
    pub(super) fn share(&self) {
        if self.shared.get().is_none()
            && let Some(shared) = self.object.shared()
        {
            shared.enter(self.counts());
            let _first = self.shared.set(Rc::clone(shared));
        }
    }

    /// Returns what counts the bytes.
    fn counts(&self) -> impl Iterator<Item = &Rc<Cell<usize>>> {
        std::iter::once(&self.state_held).chain(&self.vu_held)
    }

    /// Returns the object at a place of the stack, which keeps it there meanwhile.
    pub(super) fn at<'a>(stack: Stack, index: c_int) -> Option<&'a Self> {
        // SAFETY: `define` says that objects are handles; the callers' frames keep the userdata.
        unsafe { stack.object::<Self>(index) }
    }

    /// Returns the object.
    pub(super) fn object(&self) -> Rc<dyn Object> {
        Rc::clone(&self.object)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.get() {
            shared.leave();
        }
        self.counts().for_each(|count| count.set(count.get() - self.bytes));
    }
}

/// What a metamethod answers, but for reading fields and calling methods.
type Meta = fn(&Kit, &Slot, Stack, &Rc<dyn Object>) -> Result<Value, ApiError>;

/// Makes a state know objects. May raise.
pub(super) fn define(kit: &Kit, stack: Stack) {
    stack.push_table(0, 12);
    let table = stack.top();
    let named = |name: &str, function: Function, label: &'static CStr| {
        stack.push_bytes(name.as_bytes());
        stack.push_light(std::ptr::from_ref(kit));
        stack.push_function(function, label, 1, Some(go_on));
        stack.set(table);
    };
    named("__index", index, c"index");
    named("__namecall", call_method, c"method");
    named("__newindex", meta::<SET>, c"set");
    named("__len", meta::<LEN>, c"len");
    named("__tostring", meta::<TEXT>, c"tostring");
    named("__eq", meta::<EQUAL>, c"eq");
    named("__call", meta::<MISUSE>, c"call");
    named("__concat", meta::<MISUSE>, c"concat");
    named("__iter", iterate, c"iter");
    for (name, value) in [("__metatable", "object"), ("__type", "object")] {
        stack.push_bytes(name.as_bytes());
        stack.push_bytes(value.as_bytes());
        stack.set(table);
    }
    stack.set_readonly(true);
    stack.define_objects::<Handle>();
}

/// Reads a field: the interpreter calls this.
unsafe extern "C-unwind" fn index(state: *mut lua_State) -> c_int {
    // SAFETY: the interpreter's own state; `define` set the upvalue.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    let (Some(slot), Some(handle)) = (kit.running(), Handle::at(stack, 1)) else {
        return stack.raise("no VU runs");
    };
    let mut method = None;
    guarded(kit, stack, &slot, || {
        let field = field(stack, 2);
        let result = match handle.object.get(&slot.vu, field) {
            // Headers answer every name; what is nothing may be a method.
            Ok(Some(Value::Nil) | None) if has_method(&*handle.object, field) => {
                method = kit.method(&handle.object, field);
                return;
            }
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(missing(&*handle.object, field, stack)),
            Err(error) => Err(error),
        };
        slot.answer.replace(Some(result));
    });
    if let Some(method) = method {
        push_target(kit, stack, &method);
        return 1;
    }
    deliver(kit, stack, &slot, false)
}

/// Calls a method, as in `object:method(...)`: the interpreter calls this.
unsafe extern "C-unwind" fn call_method(state: *mut lua_State) -> c_int {
    // SAFETY: as in `index`.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    let (Some(slot), Some(handle)) = (kit.running(), Handle::at(stack, 1)) else {
        return stack.raise("no VU runs");
    };
    let name = stack.called_name().unwrap_or_default();
    let mut method = None;
    guarded(kit, stack, &slot, || match kit.method(&handle.object, name) {
        Some(known) => method = Some(known),
        None => {
            slot.answer.replace(Some(Err(missing(&*handle.object, name, stack))));
        }
    });
    match method {
        Some(method) => call(kit, stack, &method),
        None => deliver(kit, stack, &slot, false),
    }
}

const SET: u8 = 0;
const LEN: u8 = 1;
const TEXT: u8 = 2;
const EQUAL: u8 = 3;
const MISUSE: u8 = 4;

/// The metamethods by their numbers: constants can be part of a C function's type, ours cannot.
const METAS: [Meta; 5] = [
    |kit, slot, stack, object| {
        let key = field(stack, 2);
        let value = read(kit, stack, 3).map_err(|error| {
            let message = format!("{}.{key}: {}", object.type_name(), error.message);
            ApiError { message, ..error }
        })?;
        object.set(&slot.vu, key, value).map(|()| Value::Nil)
    },
    |_, slot, _, object| match object
        .length()
        .or_else(|| object.entries(&slot.vu).map(|entries| entries.len()))
    {
        Some(length) => Ok(Value::Int(length as i64)),
        None => Err(ApiError::usage(format!("{} has no length", object.type_name()))),
    },
    |_, _, _, object| Ok(object.describe().into()),
    |_, _, stack, object| {
        let other = Handle::at(stack, 2);
        Ok(Value::Bool(other.is_some_and(|other| Rc::ptr_eq(object, &other.object))))
    },
    |_, _, stack, _| {
        let object = Handle::at(stack, 1).or_else(|| Handle::at(stack, 2));
        let what = object.map_or("an object", |handle| handle.object.type_name());
        Err(ApiError::usage(format!(
            "{what} can be neither called nor joined to a string; use tostring() to show it"
        )))
    },
];

/// Runs a metamethod: the interpreter calls this.
unsafe extern "C-unwind" fn meta<const WHICH: u8>(state: *mut lua_State) -> c_int {
    // SAFETY: as in `index`.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    // Joined to a string, the object is the second.
    let handle = Handle::at(stack, 1).or_else(|| Handle::at(stack, 2));
    let (Some(slot), Some(handle)) = (kit.running(), handle) else {
        return stack.raise("no VU runs");
    };
    guarded(kit, stack, &slot, || {
        let result = METAS[usize::from(WHICH)](kit, &slot, stack, &handle.object);
        slot.answer.replace(Some(result));
    });
    deliver(kit, stack, &slot, false)
}

/// Begins an iteration over an object: over its items, by its method `next`, or over its entries.
unsafe extern "C-unwind" fn iterate(state: *mut lua_State) -> c_int {
    // SAFETY: as in `index`.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    let (Some(slot), Some(handle)) = (kit.running(), Handle::at(stack, 1)) else {
        return stack.raise("no VU runs");
    };
    if handle.object.length().is_some() {
        stack.push_light(std::ptr::from_ref(kit));
        stack.push_copy(1);
        stack.push_number(0.0);
        stack.push_function(next_item, c"next", 3, None);
        return 1;
    }
    if let Some(next) = kit.method(&handle.object, "next") {
        push_target(kit, stack, &next);
        stack.push_copy(1);
        return 2;
    }
    guarded(kit, stack, &slot, || {
        let object = &*handle.object;
        let flat = if let Some(entries) = object.entries(&slot.vu) {
            let entries = entries.into_iter().flat_map(|(name, value)| [name.into(), value]);
            Ok(Value::List(entries.collect()))
        } else {
            Err(ApiError::usage(format!("{} cannot be iterated", object.type_name())))
        };
        slot.answer.replace(Some(flat));
    });
    // The entries as a table, and how many of them are through, are the next function's own.
    let results = deliver(kit, stack, &slot, false);
    debug_assert_eq!(results, 1, "errors raise");
    stack.push_number(0.0);
    stack.push_function(next_entry, c"next", 2, None);
    1
}

/// Returns the next item of a list and its place from 1: each is made when it is its turn.
unsafe extern "C-unwind" fn next_item(state: *mut lua_State) -> c_int {
    // SAFETY: the interpreter's own state; `iterate` set the upvalues.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    // In the arguments' places, so that what follows lies where it lies in every call.
    stack.set_top(0);
    stack.push_upvalue(2);
    stack.push_upvalue(3);
    let at = stack.number(2) as usize;
    let (Some(slot), Some(handle)) = (kit.running(), Handle::at(stack, 1)) else {
        return stack.raise("no VU runs");
    };
    if handle.object.length().is_none_or(|length| at >= length) {
        stack.push_nil();
        return 1;
    }
    stack.push_number(at as f64 + 1.0);
    stack.push_copy(-1);
    stack.set_upvalue(3);
    guarded(kit, stack, &slot, || {
        slot.answer.replace(Some(Ok(handle.object.item(at))));
    });
    1 + deliver(kit, stack, &slot, false)
}

/// Returns the next entry of an iteration.
unsafe extern "C-unwind" fn next_entry(state: *mut lua_State) -> c_int {
    // SAFETY: the interpreter's own state; `iterate` set the upvalues.
    let stack = unsafe { Stack::new(state) };
    stack.push_upvalue(1);
    stack.push_upvalue(2);
    let at = stack.number(-1) as c_int;
    stack.pop(1);
    stack.push_number(f64::from(at + 2));
    stack.set_upvalue(2);
    stack.push_entry(-1, at + 1);
    stack.push_entry(-2, at + 2);
    2
}

/// Returns whether an object has a method.
fn has_method(object: &dyn Object, name: &str) -> bool {
    object.methods().iter().any(|method| method.name == name)
}

/// Returns a field's name; empty for what is no name.
fn field<'a>(stack: Stack, index: c_int) -> &'a str {
    // SAFETY: the string is an argument of the function that runs, which keeps it.
    let bytes = unsafe { stack.anchored_bytes(index) };
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

/// Returns the error of a field that an object does not have.
fn missing(object: &dyn Object, field: &str, stack: Stack) -> ApiError {
    let what = object.type_name();
    if field.is_empty() && stack.kind(2) != Kind::String {
        return ApiError::usage(format!("{what} has no field of that type: fields have names"));
    }
    let names = object.fields().iter().copied().chain(object.methods().iter().map(|m| m.name));
    let names: Vec<&str> = names.collect();
    ApiError::usage(match units::nearest(field, names.iter().copied()) {
        Some(near) => format!("{what} has no field `{field}`, did you mean `{near}`?"),
        None if names.is_empty() => format!("{what} has no field `{field}`"),
        None => format!("{what} has no field `{field}`; there are {}", names.join(", ")),
    })
}
