//! From values to a Luau stack, by copy.

use super::object::Handle;
use super::stack::Stack;
use crate::api::Value;
use crate::script::luau::kit::Kit;

/// Pushes a value; `frozen` makes all tables read-only. May raise for want of memory: the value
/// must be owned by somebody who survives that.
pub(super) fn push(kit: &Kit, stack: Stack, value: &Value, frozen: bool) {
    match value {
        Value::Nil => stack.push_nil(),
        Value::Null => stack.push_light(std::ptr::null::<u8>()),
        Value::Bool(value) => stack.push_bool(*value),
        Value::Int(value) => stack.push_number(*value as f64),
        Value::Number(value) => stack.push_number(*value),
        Value::Text(text) => stack.push_bytes(text.as_bytes()),
        Value::Bytes(bytes) => stack.push_bytes(bytes),
        Value::List(items) => {
            stack.need(4);
            stack.push_table(items.len(), 0);
            let table = stack.top();
            for (index, item) in (1..).zip(items) {
                push(kit, stack, item, frozen);
                stack.set_index(table, index);
            }
            stack.push_kept(kit.list_mark_kept.get());
            stack.set_metatable();
            stack.set_readonly(frozen);
        }
        Value::Map(map) => {
            stack.need(4);
            stack.push_table(0, map.len());
            let table = stack.top();
            for (name, value) in map.iter() {
                stack.push_bytes(name.as_bytes());
                push(kit, stack, value, frozen);
                stack.set(table);
            }
            stack.set_readonly(frozen);
        }
        Value::Object(object) => stack.push_object(|| Handle::new(kit, object)),
    }
}
