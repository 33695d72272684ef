//! When a plan's scenarios may run, and what that means for the whole test.

use std::time::Duration;

use super::{Plan, Scenario, Start};

/// The time in which a scenario may run, after the end of set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// The earliest start.
    from: Duration,
    /// The latest end.
    to: Duration,
    /// The earliest end, from which a follower may start.
    done: Duration,
}

impl Plan {
    /// Returns the longest time from the end of set-up to the end of the last iteration.
    pub fn duration_max(&self) -> Duration {
        self.windows().into_iter().map(|window| window.to).max().unwrap_or_default()
    }

    /// Returns the most VUs that may be needed at a time: scenarios that cannot overlap use the
    /// same ones.
    ///
    /// Of scenarios that overlap, the one that starts last starts within all others; so the
    /// greatest sum is found at the starts.
    pub fn vus_max(&self) -> u64 {
        let windows = self.windows();
        let overlap = |a: usize, b: usize| {
            let at = windows[a].from;
            let within = windows[b].from <= at && at < windows[b].to;
            a == b || within && !self.follows(a, b) && !self.follows(b, a)
        };
        (0..windows.len())
            .map(|a| {
                (0..windows.len())
                    .filter(|&b| overlap(a, b))
                    .map(|b| self.scenarios[b].executor.vus_max())
                    .sum()
            })
            .max()
            .unwrap_or(0)
    }

    fn windows(&self) -> Vec<Window> {
        (0..self.scenarios.len()).map(|index| self.window(index)).collect()
    }

    fn window(&self, index: usize) -> Window {
        let scenario = &self.scenarios[index];
        let (from, latest) = match &scenario.start {
            Start::At(time) => (*time, *time),
            Start::After(_, delay) => {
                let before = self.before(scenario).map(|before| self.window(before));
                let (done, to) = before.map_or_else(Default::default, |w| (w.done, w.to));
                (done + *delay, to + *delay)
            }
        };
        Window {
            from,
            to: latest + scenario.duration_max(),
            done: from + scenario.executor.duration_min(),
        }
    }

    /// Returns the index of the scenario after whose end another starts.
    fn before(&self, scenario: &Scenario) -> Option<usize> {
        match &scenario.start {
            Start::At(_) => None,
            Start::After(name, _) => self.scenarios.iter().position(|other| other.name == *name),
        }
    }

    /// Returns whether a scenario starts only after another has ended.
    fn follows(&self, later: usize, earlier: usize) -> bool {
        let mut at = later;
        while let Some(before) = self.before(&self.scenarios[at]) {
            if before == earlier {
                return true;
            }
            at = before;
        }
        false
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` is easier to read without borrows")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Facts, Options, resolve};

    fn plan(scenarios: Value) -> Plan {
        let options = Options::from_json(json!({ "scenarios": scenarios })).unwrap();
        resolve(&options, &Facts::default()).unwrap()
    }

    fn vus(vus: u64, start_time: &str) -> Value {
        json!({
            "executor": "constant-vus", "vus": vus, "duration": "10s", "graceful_stop": "5s",
            "start_time": start_time,
        })
    }

    #[test]
    fn the_longest_time_follows_chains() {
        let plan = plan(json!({
            "c": { "executor": "shared-iterations", "start_after": "b", "start_time": "1s" },
            "b": { "executor": "constant-vus", "duration": "10s", "start_after": "a" },
            "a": { "executor": "constant-vus", "duration": "5s", "start_time": "2s",
                "graceful_stop": "3s" },
        }));
        // a: 2 + 5 + 3, b: 10 + 30, c: 1 + 600 + 30.
        assert_eq!(plan.duration_max(), Duration::from_secs(10 + 40 + 631));
    }

    #[test]
    fn scenarios_that_cannot_overlap_use_the_same_vus() {
        assert_eq!(plan(json!({ "a": vus(5, "0s"), "b": vus(7, "15s") })).vus_max(), 7);
        assert_eq!(plan(json!({ "a": vus(5, "0s"), "b": vus(7, "14s") })).vus_max(), 12);
        let mut after = vus(7, "0s");
        after["start_after"] = json!("a");
        assert_eq!(plan(json!({ "a": vus(5, "0s"), "b": after })).vus_max(), 7);
    }

    #[test]
    fn a_follower_may_overlap_with_what_starts_later() {
        let plan = plan(json!({
            "a": { "executor": "shared-iterations", "vus": 1 },
            "b": { "executor": "constant-vus", "vus": 10, "duration": "1h", "start_after": "a" },
            "c": { "executor": "constant-vus", "vus": 100, "duration": "1s", "start_time": "30m" },
        }));
        assert_eq!(plan.vus_max(), 110);
    }
}
