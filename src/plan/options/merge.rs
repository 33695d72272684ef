//! Laying the options of a higher source over those of a lower one.

use super::Options;

/// What a reader should know about how sources were merged: that one load took another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The load options of the higher source.
    pub set: Vec<&'static str>,
    /// The load options of the lower source that no longer hold, with what they said; of scenarios the
    /// names.
    pub replaced: Vec<(&'static str, String)>,
}

impl Options {
    /// Lays these options over those of a lower source: what is set here holds. Maps are merged by
    /// key, limits one by one.
    ///
    /// If any of `vus`, `duration`, `iterations`, `stages`, `rate` and `scenarios` is set here, none
    /// of the lower source's holds; a notice says so unless each is set here anew.
    pub fn over(self, mut lower: Self) -> (Self, Vec<Notice>) {
        let mut notices = Vec::new();
        let set = self.load();
        if !set.is_empty() {
            let said = lower.to_json();
            let mut replaced = lower.take_load();
            // Setting the same option again is what precedence is for; scenarios have a content.
            replaced.retain(|key| *key == "scenarios" || !set.contains(key));
            let replaced: Vec<_> =
                replaced.into_iter().map(|key| (key, text(&said[key]))).collect();
            if !replaced.is_empty() {
                notices.push(Notice { set, replaced });
            }
        }
        (self.fields_over(lower), notices)
    }

    /// Returns the names of the options that say how to load and are set.
    pub fn load(&self) -> Vec<&'static str> {
        let all = [
            ("vus", self.vus.is_some()),
            ("duration", self.duration.is_some()),
            ("iterations", self.iterations.is_some()),
            ("stages", self.stages.is_some()),
            ("rate", self.rate.is_some()),
            ("scenarios", self.scenarios.is_some()),
        ];
        all.into_iter().filter(|(_, set)| *set).map(|(key, _)| key).collect()
    }

    /// Unsets the options that say how to load and returns the names of those that were set.
    fn take_load(&mut self) -> Vec<&'static str> {
        let set = self.load();
        self.vus = None;
        self.duration = None;
        self.iterations = None;
        self.stages = None;
        self.rate = None;
        self.scenarios = None;
        set
    }
}

/// Returns what an option says as it would be typed; the names of what it holds.
fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(members) => {
            // Tables of Luau have no order.
            let mut names: Vec<_> = members.keys().map(String::as_str).collect();
            names.sort_unstable();
            names.join(", ")
        }
        serde_json::Value::Array(_) => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn options(tree: Value) -> Options {
        Options::from_json(tree).unwrap()
    }

    fn over(higher: Value, lower: Value) -> (Value, Vec<Notice>) {
        let (merged, notices) = options(higher).over(options(lower));
        (merged.to_json(), notices)
    }

    #[test]
    fn a_higher_load_replaces_the_lower_one_and_says_so() {
        let (merged, notices) = over(
            json!({ "vus": 5, "duration": "10s" }),
            json!({ "scenarios": { "a": { "executor": "constant-vus" } }, "seed": 1 }),
        );
        assert_eq!(merged, json!({ "vus": 5, "duration": "10s", "seed": 1 }));
        let set = vec!["vus", "duration"];
        assert_eq!(notices, [Notice { set, replaced: vec![("scenarios", "a".to_owned())] }]);
    }

    #[test]
    fn what_is_lost_is_told_with_what_it_said() {
        let lower = json!({ "vus": 5, "duration": "1m30s", "rate": "50/s" });
        let (merged, notices) = over(json!({ "vus": 1 }), lower);
        assert_eq!(merged, json!({ "vus": 1 }));
        let replaced = vec![("duration", "1m30s".to_owned()), ("rate", "50/s".to_owned())];
        assert_eq!(notices, [Notice { set: vec!["vus"], replaced }]);
    }

    #[test]
    fn setting_the_same_load_options_again_needs_no_notice() {
        let (merged, notices) =
            over(json!({ "vus": 5, "duration": "10s" }), json!({ "vus": 1, "duration": "1s" }));
        assert_eq!(merged, json!({ "vus": 5, "duration": "10s" }));
        assert!(notices.is_empty());
    }

    #[test]
    fn a_source_without_load_keeps_the_lower_one() {
        let (merged, notices) = over(json!({ "seed": 2 }), json!({ "vus": 1, "seed": 1 }));
        assert_eq!(merged, json!({ "vus": 1, "seed": 2 }));
        assert!(notices.is_empty());
    }

    #[test]
    fn maps_merge_by_key_and_thresholds_per_metric() {
        let (merged, _) = over(
            json!({
                "tags": { "b": "2", "c": "3" },
                "hosts": { "x": "127.0.0.2" },
                "thresholds": { "checks": ["rate > 0.9"] },
                "limits": { "memory": 1 },
            }),
            json!({
                "tags": { "a": "1", "b": "1" },
                "hosts": { "x": "127.0.0.1", "y": "127.0.0.1" },
                "thresholds": { "checks": ["rate > 0.1", "rate > 0.2"], "vus": ["value < 9"] },
                "limits": { "table": 2 },
            }),
        );
        assert_eq!(
            merged,
            json!({
                "tags": { "a": "1", "b": "2", "c": "3" },
                "hosts": { "x": "127.0.0.2", "y": "127.0.0.1" },
                "thresholds": { "checks": ["rate > 0.9"], "vus": ["value < 9"] },
                "limits": { "memory": 1, "table": 2 },
            })
        );
    }

    fn any_options() -> impl Strategy<Value = Options> {
        let tags = prop::option::of(prop::collection::btree_map("[a-c]", "[0-9]", 0..3));
        let whole = || prop::option::of(0..5_u64);
        (whole(), whole(), whole(), whole(), tags).prop_map(
            |(vus, iterations, seed, batch, tags)| Options {
                vus,
                iterations,
                tags,
                batch,
                seed,
                ..Options::default()
            },
        )
    }

    proptest! {
        #[test]
        fn laying_over_is_associative(a in any_options(), b in any_options(), c in any_options()) {
            let left = a.clone().over(b.clone()).0.over(c.clone()).0;
            let right = a.over(b.over(c).0).0;
            prop_assert_eq!(left, right);
        }

        #[test]
        fn nothing_is_neutral(a in any_options()) {
            prop_assert_eq!(&a.clone().over(Options::default()).0, &a);
            prop_assert_eq!(&Options::default().over(a.clone()).0, &a);
        }
    }
}
