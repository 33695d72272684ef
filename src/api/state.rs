//! `kt.vu.state`: what a script keeps for its VU from one call to the next.
//!
//! Rhai's variables end with the call, and its constants cannot change; so here is what `vu_setup`
//! opens for iterations, and what iterations hand on. In Luau variables do, and this does the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{ApiError, ErrorKind, Object, Phase, Value, VuContext};

/// What a value takes beside its text: its place.
const PLACE: usize = 64;

/// Values of one VU by name: copies, and native objects by handle.
#[derive(Default)]
pub struct VuState(RefCell<Kept>);

#[derive(Default)]
struct Kept {
    /// With the bytes that each took when it was put there.
    values: BTreeMap<String, (Value, usize)>,
    bytes: usize,
}

impl VuState {
    /// Returns a copy of a value.
    fn get(&self, name: &str) -> Option<Value> {
        self.0.borrow().values.get(name).map(|(value, _)| value.clone())
    }

    /// Returns all of them by name.
    fn all(&self) -> Vec<(String, Value)> {
        let kept = self.0.borrow();
        kept.values.iter().map(|(name, (value, _))| (name.clone(), value.clone())).collect()
    }

    /// Keeps a copy of a value in the place of what was there; nothing takes it out.
    ///
    /// Returns by how many bytes more is kept now; `None` if there was no room: all values together
    /// may take so many bytes.
    fn set(&self, name: &str, value: &Value, most: usize) -> Option<isize> {
        let mut kept = self.0.borrow_mut();
        let old = kept.values.get(name).map_or(0, |(_, bytes)| *bytes);
        let new = if value.is_nil() { 0 } else { size(name, value) };
        let bytes = kept.bytes - old + new;
        if bytes > most {
            return None;
        }
        kept.bytes = bytes;
        let replaced = if value.is_nil() {
            kept.values.remove(name)
        } else {
            kept.values.insert(name.to_owned(), (value.clone(), new))
        };
        drop(kept);
        // Outside of the borrow: an object may close what it holds.
        drop(replaced);
        Some(new as isize - old as isize)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        drop(self.0.take());
    }
}

/// Returns `kt.vu.state`.
///
/// # Errors
/// Where there is no VU: what is kept there would be seen by nobody.
pub(super) fn object(vu: &VuContext) -> Result<Value, ApiError> {
    match vu.phase.get() {
        Phase::VuSetup | Phase::Iteration | Phase::VuTeardown => Ok(Value::object(StateObject)),
        Phase::Load | Phase::Setup | Phase::Teardown | Phase::Summary => Err(ApiError::usage(
            "kt.vu.state is a VU's own: use it in vu_setup, in iterations and in vu_teardown; all VUs are given what \
             setup returns",
        )),
    }
}

/// `kt.vu.state` as a script holds it.
struct StateObject;

impl Object for StateObject {
    fn type_name(&self) -> &'static str {
        "kt.vu.state"
    }

    fn get(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(vu.state.get(field).unwrap_or_default()))
    }

    fn set(&self, vu: &Rc<VuContext>, field: &str, value: Value) -> Result<(), ApiError> {
        let most = vu.worker.plan.limits.memory_bytes;
        if let Some(more) = vu.state.set(field, &value, most) {
            // Counted here, and so no longer as what the call keeps.
            vu.lend(more);
            return Ok(());
        }
        Err(ApiError::new(
            ErrorKind::Memory,
            format!(
                "kt.vu.state: with `{field}` the VU would keep more than {most} bytes (limits.memory): take out what is \
                 not needed any more (nothing in its place); what all VUs read belongs into the module data"
            ),
        ))
    }

    fn takes_objects(&self) -> bool {
        true
    }

    fn entries(&self, vu: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        Some(vu.state.all())
    }
}

fn size(name: &str, value: &Value) -> usize {
    name.len() + PLACE + inner(value)
}

/// Returns the bytes of what a value holds. An object counts with what it holds now.
fn inner(value: &Value) -> usize {
    match value {
        Value::Nil | Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) => 0,
        Value::Text(text) => text.as_bytes().len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(|item| PLACE + inner(item)).sum(),
        Value::Map(map) => map.iter().map(|(name, value)| size(name, value)).sum(),
        Value::Object(object) => object.held_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_counts_until_it_is_taken_out() {
        let state = VuState::default();
        let text = |length: usize| Value::text("x".repeat(length));
        assert_eq!(state.set("a", &text(1_000), 2_000), Some(1_065));
        assert_eq!(state.set("b", &text(1_000), 2_000), None, "both are too much");
        assert_eq!(state.get("b"), None);
        assert_eq!(state.set("a", &text(1_900), 2_000), Some(900), "in the place of the first");
        assert_eq!(state.set("b", &Value::List(vec![Value::Nil; 2]), 2_000), None);
        assert_eq!(state.set("a", &Value::Nil, 2_000), Some(-1_965));
        assert_eq!(state.get("a"), None);
        assert_eq!(state.set("b", &text(1_900), 2_000), Some(1_965));
        assert_eq!(state.all(), [("b".to_owned(), text(1_900))]);
        state.clear();
        assert_eq!(state.set("c", &text(1_900), 2_000), Some(1_965));
    }
}
