//! Values outside of all scripts: as JSON, and counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::api::{ApiError, ErrorKind, Value, VuContext, json};

/// The maps and queues of a test hold together as much as so many VUs may.
const VUS: usize = 4;

/// What a value takes beside its text: its place in a map or queue.
const PLACE: usize = 64;

/// How many bytes the maps and queues of a test hold.
#[derive(Debug, Default)]
pub(in crate::api) struct Room(AtomicUsize);

impl Room {
    /// Takes room.
    ///
    /// # Errors
    /// If there is not so much left.
    pub(super) fn take(&self, vu: &VuContext, call: &str, bytes: usize) -> Result<(), ApiError> {
        let most = vu.worker.plan.limits.memory_bytes.saturating_mul(VUS);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= most)
        });
        if taken.is_ok() {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorKind::Memory,
            format!(
                "{call}: the maps and queues of a test may hold {most} bytes together, {VUS} times what a VU \
                 may: take out what is not needed any more"
            ),
        ))
    }

    /// Gives room back.
    pub(super) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that any VU can be given a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept(Box<str>);

impl Kept {
    /// Takes a copy of a value.
    ///
    /// # Errors
    /// If it has no form in JSON.
    pub(super) fn new(call: &str, value: &Value) -> Result<Self, ApiError> {
        let wrong = |problem: String| ApiError::usage(format!("{call}: {problem}"));
        json::writable(value).map_err(wrong)?;
        let text = serde_json::to_string(value).map_err(|error| wrong(error.to_string()))?;
        Ok(Self(text.into()))
    }

    /// Returns a copy.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.0).expect("it was written as JSON")
    }

    /// Returns the bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() + PLACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_copies_as_json_has_them() {
        let value: Value = serde_json::from_str(r#"{"a":[1,2.5,null],"b":{},"c":"x"}"#).unwrap();
        assert_eq!(Kept::new("map.set", &value).unwrap().value(), value);
        let error = Kept::new("map.set", &Value::List(vec![Value::Number(f64::NAN)])).unwrap_err();
        assert_eq!(error.message, "map.set: NaN has no form in JSON (at 0)");
    }

    #[test]
    fn room_ends_and_comes_back() {
        let vu = crate::api::fixture::vu(1);
        let most = 4 * vu.worker.plan.limits.memory_bytes;
        let room = Room::default();
        room.take(&vu, "queue.push", most).unwrap();
        let error = room.take(&vu, "queue.push", 1).unwrap_err();
        let wanted = format!(
            "queue.push: the maps and queues of a test may hold {most} bytes together, 4 times what a VU \
             may: take out what is not needed any more"
        );
        assert_eq!((error.kind, error.message), (ErrorKind::Memory, wanted));
        room.give_back(1);
        room.take(&vu, "queue.push", 1).unwrap();
        assert!(room.take(&vu, "queue.push", usize::MAX).is_err());
        assert_eq!(room.held(), most);
    }
}
