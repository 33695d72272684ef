//! One scenario: what its VUs run, by which rule, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::{Executor, print};
use crate::units::format_duration;

/// One scenario.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Scenario {
    /// Its name, tag and key of results.
    pub name: String,
    /// The script's function that its VUs run.
    pub exec: String,
    /// When its iterations start.
    #[serde(flatten)]
    pub executor: Executor,
    /// When it starts itself.
    pub start: Start,
    /// How long iterations may go on after the scenario's regular end.
    #[serde(serialize_with = "print::duration")]
    pub graceful_stop: Duration,
    /// Overlay of the test's `env`.
    pub env: BTreeMap<String, String>,
    /// Tags on every sample of the scenario.
    pub tags: BTreeMap<String, String>,
    /// Most requests per second of its VUs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rps: Option<f64>,
}

impl Scenario {
    /// Returns the longest time from the scenario's start to the end of its last iteration.
    pub fn duration_max(&self) -> Duration {
        self.executor.duration_max() + self.graceful_stop
    }

    /// Returns the scenario's own seed from the test's, so that scenarios with equal rates do not
    /// draw equal gaps; it depends on nothing but the name (FNV-1a), so it stays when others are
    /// added or left out.
    pub fn seed(&self, test_seed: u64) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        test_seed ^ self.name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
    }
}

/// When a scenario starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At this time after the end of set-up.
    At(Duration),
    /// When the scenario of this name has ended, plus a delay.
    After(String, Duration),
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(time) => print::duration(time, serializer),
            Self::After(scenario, delay) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("after", scenario)?;
                map.serialize_entry("delay", &format_duration(*delay))?;
                map.end()
            }
        }
    }
}
