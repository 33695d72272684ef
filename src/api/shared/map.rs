//! Maps that all VUs share.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::store::Kept;
use crate::api::common::Guarded;
use crate::api::{Answer, ApiError, Args, Map, Method, Name, Object, Value, VuContext};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "get", params: &["key"], waits: false },
    Method { name: "set", params: &["key", "value"], waits: false },
    // It calls the script, so each language's adapter writes it over the two below.
    Method { name: "update", params: &["key", "function"], waits: false },
];

/// A map of a test.
#[derive(Debug, Default)]
pub(in crate::api) struct SharedMap(Guarded<Entries>);

#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<Name, Entry>,
    /// The version of the next change; 0 is for what is not there.
    versions: u64,
}

#[derive(Debug)]
struct Entry {
    value: Kept,
    version: u64,
}

impl SharedMap {
    /// Returns a value and its version; nothing and 0 if there is none.
    fn read(&self, key: &str) -> (Option<Kept>, u64) {
        self.0.with(|entries| {
            let entry = entries.values.get(key);
            entry.map_or((None, 0), |entry| (Some(entry.value.clone()), entry.version))
        })
    }

    fn len(&self) -> usize {
        self.0.with(|entries| entries.values.len())
    }

    /// Sets a value, or takes it out; with a version only if that is still the one. Returns whether
    /// it did.
    fn set(
        &self,
        vu: &VuContext,
        call: &str,
        key: &str,
        value: Option<Kept>,
        version: Option<u64>,
    ) -> Result<bool, ApiError> {
        let room = &vu.worker.status.common.room;
        let bytes = |value: &Kept| key.len() + value.bytes();
        let wanted = value.as_ref().map_or(0, bytes);
        if wanted > 0 {
            room.take(vu, call, wanted)?;
        }
        let freed = self.0.with(|entries| {
            let known = entries.values.get(key);
            if version.is_some_and(|version| known.map_or(0, |entry| entry.version) != version) {
                return None;
            }
            let old = match value {
                Some(value) => {
                    entries.versions += 1;
                    let entry = Entry { value, version: entries.versions };
                    entries.values.insert(Name::from(key), entry)
                }
                None => entries.values.remove(key),
            };
            Some(old.map_or(0, |entry| bytes(&entry.value)))
        });
        let Some(freed) = freed else {
            room.give_back(wanted);
            return Ok(false);
        };
        room.give_back(freed);
        vu.lend(wanted as isize - freed as isize);
        Ok(true)
    }
}

/// A map as a script holds it.
pub(super) struct MapObject {
    pub(super) name: String,
    pub(super) map: Arc<SharedMap>,
}

/// Takes a key.
fn key(args: &mut Args, index: usize) -> Result<String, ApiError> {
    match args.take(index) {
        Value::Text(text) => Ok(text.to_str().into_owned()),
        Value::Int(number) => Ok(number.to_string()),
        other => Err(args.wrong(index, "a string or a whole number", &other)),
    }
}

/// Takes a value to keep; nothing takes out what is there.
fn kept(args: &mut Args, index: usize) -> Result<Option<Kept>, ApiError> {
    match args.take(index) {
        Value::Nil => Ok(None),
        value => Kept::new(&args.call, &value).map(Some),
    }
}

/// Returns the map among the arguments of a part of `update`, and the key.
fn of_update(args: &mut Args) -> Result<(Arc<SharedMap>, String), ApiError> {
    // Luau knows the part by its module; an author knows the method.
    if args.call == "shared.map" {
        args.call = "map:update".into();
    }
    let map = map_of(args)?;
    let mut own = Args::new(args.call.clone(), METHODS[2].params, vec![args.take(1)]);
    Ok((map, key(&mut own, 0)?))
}

fn map_of(args: &mut Args) -> Result<Arc<SharedMap>, ApiError> {
    args.object::<MapObject>(0, "a map").map(|object| Arc::clone(&object.map))
}

/// A part of `update`: returns what is there, and its version.
pub(super) fn read(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (map, key) = of_update(&mut args)?;
    let (value, version) = map.read(&key);
    let mut answer = Map::new();
    answer.push("value", value.map_or(Value::Nil, |value| value.value()));
    answer.push("version", version);
    Ok(Value::Map(answer))
}

/// A part of `update`: sets a value if the version is still the same; returns whether it was.
pub(super) fn swap(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (map, key) = of_update(&mut args)?;
    let version = args.int(2)? as u64;
    let value = kept(&mut args, 3)?;
    map.set(vu, &args.call, &key, value, Some(version)).map(Value::Bool)
}

impl Object for MapObject {
    fn type_name(&self) -> &'static str {
        "map"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok((field == "length").then(|| (self.map.len() as u64).into()))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["length"]
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let key = key(&mut args, 0)?;
        match method.name {
            "get" => {
                let value = self.map.read(&key).0;
                Ok(Answer::Now(value.map_or(Value::Nil, |value| value.value())))
            }
            "set" => {
                let value = kept(&mut args, 1)?;
                self.map.set(vu, &args.call, &key, value, None)?;
                Ok(Answer::Now(Value::Nil))
            }
            _ => {
                let got = args.take(1);
                Err(args.wrong(1, "a function", &got))
            }
        }
    }

    fn describe(&self) -> String {
        format!("<map \"{}\">", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixture::vu;

    fn kept(value: i64) -> Option<Kept> {
        Some(Kept::new("map.set", &Value::Int(value)).unwrap())
    }

    #[test]
    fn room_is_what_the_entries_take() {
        let (vu, map) = (vu(1), SharedMap::default());
        let held = || vu.worker.status.common.room.held();
        let set = |key, value| map.set(&vu, "map.set", key, value, None).unwrap();
        assert!(set("a", kept(1)));
        let one = held();
        assert!(set("bb", kept(22)));
        assert_eq!(held(), 2 * one + 2);
        assert!(set("a", kept(9)));
        assert_eq!(held(), 2 * one + 2);
        assert!(set("a", None) && set("bb", None) && set("none", None));
        assert_eq!((held(), map.len()), (0, 0));
    }

    #[test]
    fn what_has_changed_is_not_swapped() {
        let (vu, map) = (vu(1), SharedMap::default());
        let held = || vu.worker.status.common.room.held();
        let swap = |value, version| map.set(&vu, "map.update", "a", value, Some(version)).unwrap();
        assert!(!swap(kept(1), 1));
        assert_eq!(held(), 0);
        assert!(swap(kept(1), 0));
        let (_, version) = map.read("a");
        assert!(!swap(kept(2), 0));
        assert!(swap(kept(2), version));
        assert!(!swap(None, version));
        let (value, version) = map.read("a");
        assert_eq!(value, kept(2));
        assert!(swap(None, version));
        assert_eq!(map.read("a"), (None, 0));
        // What was taken out and set again is something else.
        assert!(swap(kept(2), 0) && !swap(kept(3), version));
    }
}
