//! What the VUs of all workers have in common while a test runs, by name: positions of feeds, and what
//! scripts share.
//!
//! Workers share nothing by themselves; this is for scripts that ask for it. Things are looked up
//! when a script is loaded, under a lock. What is used in iterations is in the thing itself: a
//! counter that is one atomic operation, or a lock that is held for no longer than a look at a map.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, PoisonError};

use super::mix::Schedule;
use super::shared::{Barrier, Queue, Room, SharedMap};

/// The most things of one kind.
const NAMES_MAX: usize = 100_000;

/// What the VUs of all workers have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// How many rows each feed has handed out.
    pub(super) feeds: Named<AtomicU64>,
    pub(super) counters: Named<AtomicI64>,
    pub(super) maps: Named<SharedMap>,
    pub(super) queues: Named<Queue>,
    pub(super) barriers: Named<Barrier>,
    pub(super) mixes: Named<Schedule>,
    /// How many picks each scenario has made of each mix.
    pub(super) picks: Named<AtomicU64>,
    /// What maps and queues hold.
    pub(super) room: Room,
}

/// Things by name, made when they are first asked for.
#[derive(Debug)]
pub(super) struct Named<T>(Guarded<BTreeMap<String, Arc<T>>>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Guarded::default())
    }
}

impl<T> Named<T> {
    /// Returns all things.
    pub(super) fn all(&self) -> Vec<Arc<T>> {
        self.0.with(|things| things.values().map(Arc::clone).collect())
    }

    /// Returns the thing of a name.
    ///
    /// # Errors
    /// If it would be one too many.
    pub(super) fn get(&self, name: &str, make: impl FnOnce() -> T) -> Result<Arc<T>, String> {
        self.0.with(|things| {
            if let Some(thing) = things.get(name) {
                return Ok(Arc::clone(thing));
            }
            if things.len() >= NAMES_MAX {
                return Err(format!("a test may have {NAMES_MAX} of these, by name"));
            }
            let thing = Arc::new(make());
            things.insert(name.to_owned(), Arc::clone(&thing));
            Ok(thing)
        })
    }
}

/// A value behind a lock that nobody holds across a wait: it is open only inside [`Guarded::with`].
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "scripts share it on purpose; nothing else does")]
pub(super) struct Guarded<T>(std::sync::Mutex<T>);

impl<T> Guarded<T> {
    /// Looks at the value, or changes it.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        // Whoever panicked inside has ended the run.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_name_means_the_same_thing_on_all_threads() {
        let named = Named::<AtomicU64>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for name in ["a", "b"] {
                        let thing = named.get(name, AtomicU64::default).unwrap();
                        thing.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let value = |name| named.get(name, AtomicU64::default).unwrap().load(Ordering::Relaxed);
        assert_eq!((value("a"), value("b"), value("c")), (4, 4, 0));
    }
}
