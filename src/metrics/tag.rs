//! Sets of tags, interned so that a set is one number.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

/// A set of tags, interned in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagSetId(pub u32);

impl TagSetId {
    /// No tags.
    pub const EMPTY: Self = Self(0);
    /// `overflow:true`, for what found no room.
    pub(super) const OVERFLOW: Self = Self(1);

    /// Returns whether samples come here because their own set found no room.
    pub(super) fn is_overflow(self) -> bool {
        (1..=PHASES.len() as u32).contains(&self.0)
    }
}

/// The values of `phase` that overflow keeps apart, `""` for none: what set-up and tear-down record
/// is no load, however many tags it has.
const PHASES: [&str; 3] = ["", "setup", "teardown"];

/// Returns the overflow set of a phase.
fn overflow_of(phase: Option<&str>) -> TagSetId {
    let at = PHASES.iter().position(|known| phase == Some(*known)).unwrap_or(0);
    TagSetId(TagSetId::OVERFLOW.0 + at as u32)
}

/// A set of tags: each key once, ordered by key, no value empty. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tags(Arc<[(Arc<str>, Arc<str>)]>);

impl Tags {
    /// Returns a tag's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|tag| (*tag.0).cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// Returns keys and values, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The tag sets of one shard.
#[derive(Debug)]
pub(super) struct Interner {
    hasher: DefaultHashBuilder,
    /// At most this many sets beside those that always exist.
    max: usize,
    sets: Vec<Tags>,
    ids: HashTable<(u64, TagSetId)>,
    texts: HashSet<Arc<str>>,
    /// What was asked before.
    steps: HashTable<Step>,
}

/// A base and an extra that led to a set.
#[derive(Debug)]
struct Step {
    hash: u64,
    base: TagSetId,
    extra: Box<[(Arc<str>, Arc<str>)]>,
    result: TagSetId,
}

impl Interner {
    /// Returns an interner of the empty set and the overflow sets.
    pub(super) fn new(max: usize) -> Self {
        let mut interner = Self {
            hasher: DefaultHashBuilder::default(),
            max: max.saturating_add(1 + PHASES.len()),
            sets: Vec::new(),
            ids: HashTable::new(),
            texts: HashSet::new(),
            steps: HashTable::new(),
        };
        let empty = interner.intern(&[]);
        debug_assert_eq!(empty, TagSetId::EMPTY);
        for phase in PHASES {
            let set = interner.combined(empty, &[("overflow", "true"), ("phase", phase)]);
            debug_assert_eq!(set, overflow_of(Some(phase)));
        }
        interner
    }

    /// Returns where samples under a set go that find no room.
    pub(super) fn overflow(&self, id: TagSetId) -> TagSetId {
        overflow_of(self.tags(id).get("phase"))
    }

    /// Returns a set.
    pub(super) fn tags(&self, id: TagSetId) -> &Tags {
        &self.sets[id.0 as usize]
    }

    /// Returns the sets from number `first` on.
    pub(super) fn since(&self, first: usize) -> &[Tags] {
        &self.sets[first..]
    }

    /// Returns the number of sets.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Returns `base` with `extra`, from memory if it was asked before.
    pub(super) fn extended(&mut self, base: TagSetId, extra: &[(&str, &str)]) -> TagSetId {
        if extra.is_empty() {
            return base;
        }
        let hash = self.hash_of(base, extra);
        let known = self.steps.find(hash, |step| {
            step.hash == hash
                && step.base == base
                && step.extra.len() == extra.len()
                && step.extra.iter().zip(extra).all(|(a, b)| *a.0 == *b.0 && *a.1 == *b.1)
        });
        if let Some(step) = known {
            return step.result;
        }
        let result = self.combined(base, extra);
        if !result.is_overflow() {
            if self.steps.len() >= self.max.saturating_mul(2) {
                self.steps.clear();
            }
            let extra = extra.iter().map(|tag| (self.text(tag.0), self.text(tag.1))).collect();
            let step = Step { hash, base, extra, result };
            self.steps.insert_unique(hash, step, |step| step.hash);
        }
        result
    }

    /// Returns `base` with `extra`: later tags replace earlier ones, empty values remove. Returns
    /// the overflow set of its phase if the set is new and there is no room.
    pub(super) fn combined(&mut self, base: TagSetId, extra: &[(&str, &str)]) -> TagSetId {
        let mut tags = self.tags(base).0.to_vec();
        for &(key, value) in extra {
            match tags.binary_search_by(|tag| (*tag.0).cmp(key)) {
                Ok(at) if value.is_empty() => {
                    tags.remove(at);
                }
                Ok(at) => tags[at].1 = Arc::from(value),
                Err(_) if value.is_empty() => {}
                Err(at) => tags.insert(at, (Arc::from(key), Arc::from(value))),
            }
        }
        self.intern(&tags)
    }

    fn intern(&mut self, tags: &[(Arc<str>, Arc<str>)]) -> TagSetId {
        let hash = self.hasher.hash_one(tags);
        let sets = &self.sets;
        let known =
            self.ids.find(hash, |&(known, id)| known == hash && *sets[id.0 as usize].0 == *tags);
        if let Some(&(_, id)) = known {
            return id;
        }
        if self.sets.len() >= self.max {
            let phase = tags.iter().find(|tag| &*tag.0 == "phase");
            return overflow_of(phase.map(|tag| &*tag.1));
        }
        let id = TagSetId(self.sets.len() as u32);
        let shared = tags.iter().map(|tag| (self.text(&tag.0), self.text(&tag.1))).collect();
        self.sets.push(Tags(shared));
        self.ids.insert_unique(hash, (hash, id), |entry| entry.0);
        id
    }

    /// Returns the one copy of a text.
    fn text(&mut self, text: &str) -> Arc<str> {
        Arc::clone(self.texts.get_or_insert_with(text, |text| Arc::from(text)))
    }

    fn hash_of(&self, base: TagSetId, extra: &[(&str, &str)]) -> u64 {
        let mut state = self.hasher.build_hasher();
        state.write_u32(base.0);
        for (key, value) in extra {
            state.write(key.as_bytes());
            state.write_u8(0xff);
            state.write(value.as_bytes());
            state.write_u8(0xff);
        }
        state.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_what_a_map_would_hold_and_has_one_number(
            steps in vec(vec(("[a-d]", "[x-z]{0,2}"), 0..4), 1..20),
        ) {
            let mut interner = Interner::new(10_000);
            let mut seen: BTreeMap<BTreeMap<String, String>, TagSetId> = BTreeMap::new();
            let mut id = TagSetId::EMPTY;
            let mut map = BTreeMap::new();
            for step in &steps {
                let extra: Vec<_> = step.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                let next = interner.extended(id, &extra);
                prop_assert_eq!(next, interner.extended(id, &extra));
                id = next;
                for (key, value) in step {
                    if value.is_empty() {
                        map.remove(key);
                    } else {
                        map.insert(key.clone(), value.clone());
                    }
                }
                let tags: Vec<_> = interner.tags(id).iter().collect();
                let expected: Vec<_> = map.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                prop_assert_eq!(tags, expected);
                prop_assert_eq!(*seen.entry(map.clone()).or_insert(id), id);
            }
        }
    }

    #[test]
    fn a_new_set_without_room_is_the_overflow_set_and_known_ones_stay() {
        let mut interner = Interner::new(1);
        let first = interner.extended(TagSetId::EMPTY, &[("a", "1")]);
        assert_eq!(interner.extended(TagSetId::EMPTY, &[("a", "2")]), TagSetId::OVERFLOW);
        assert_eq!(interner.extended(TagSetId::EMPTY, &[("a", "1")]), first);
        assert_eq!(interner.extended(first, &[("a", "")]), TagSetId::EMPTY);
        assert_eq!(interner.tags(TagSetId::OVERFLOW).get("overflow"), Some("true"));
        assert_eq!(interner.len(), 5);
    }

    #[test]
    fn an_overflow_set_keeps_the_phase() {
        let mut interner = Interner::new(0);
        for (phase, kept) in
            [("", None), ("setup", Some("setup")), ("teardown", Some("teardown")), ("own", None)]
        {
            let id = interner.extended(TagSetId::EMPTY, &[("name", "a"), ("phase", phase)]);
            assert!(id.is_overflow());
            assert_eq!(interner.tags(id).get("overflow"), Some("true"));
            assert_eq!(interner.tags(id).get("phase"), kept);
            // What has overflowed once stays there.
            assert_eq!(interner.extended(id, &[("name", "b")]), id);
            assert_eq!(interner.overflow(id), id);
        }
        assert!(!TagSetId::EMPTY.is_overflow());
    }

    #[test]
    fn a_tag_is_found_by_its_key() {
        let mut interner = Interner::new(10);
        let id = interner.extended(TagSetId::EMPTY, &[("b", "2"), ("a", "1")]);
        assert_eq!(interner.tags(id).get("b"), Some("2"));
        assert_eq!(interner.tags(id).get("c"), None);
    }
}
