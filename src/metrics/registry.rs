//! Which metrics there are: built in, and declared by scripts while they load.

use std::collections::BTreeMap;
use std::fmt;

/// A metric's number, dense from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(pub u16);

/// What a metric's samples mean together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A sum.
    Counter,
    /// The last value, with the least and the greatest.
    Gauge,
    /// The share of samples that are not zero.
    Rate,
    /// A distribution.
    Trend,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
            Self::Trend => "trend",
        })
    }
}

/// What a metric's numbers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    None,
    /// Times: milliseconds in every interface, recorded in whole microseconds.
    Time,
    /// Bytes.
    Bytes,
    /// As the author calls it.
    Named(String),
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// `[a-zA-Z_][a-zA-Z0-9_]{0,127}`.
    pub name: String,
    /// What samples mean together.
    pub kind: Kind,
    /// What numbers are.
    pub unit: Unit,
}

/// A metric that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MetricError(pub String);

/// The metrics of a test. Starts with the built-in ones, at the ids of [`builtin`].
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    definitions: Vec<Definition>,
    ids: BTreeMap<String, MetricId>,
}

impl Registry {
    /// Returns the built-in metrics.
    pub fn new() -> Self {
        let mut registry = Self { definitions: Vec::new(), ids: BTreeMap::new() };
        for (id, name, kind, unit) in builtin::ALL {
            let new = registry.push(name, *kind, unit.clone());
            debug_assert_eq!(new, *id, "built-in metrics are numbered in their order");
        }
        registry
    }

    /// Declares a metric, or finds it if it was declared alike.
    ///
    /// # Errors
    /// If the name is no identifier, is that of a built-in metric, or is taken by a metric of
    /// another kind or unit.
    pub fn declare(&mut self, name: &str, kind: Kind, unit: Unit) -> Result<MetricId, MetricError> {
        if !is_name(name) {
            return Err(MetricError(format!(
                "metric name {name:?}: use letters, digits and _, at most {NAME_MAX} of them, \
                 and begin with a letter or _"
            )));
        }
        let Some(id) = self.find(name) else {
            if self.definitions.len() > usize::from(u16::MAX) {
                return Err(MetricError(format!(
                    "metric {name:?}: a test has at most {} metrics; use tags to tell samples apart",
                    u32::from(u16::MAX) + 1
                )));
            }
            return Ok(self.push(name, kind, unit));
        };
        if usize::from(id.0) < builtin::ALL.len() {
            return Err(MetricError(format!(
                "metric {name:?} is built in and recorded by itself: choose another name"
            )));
        }
        let found = self.definition(id);
        if found.kind == kind && found.unit == unit {
            return Ok(id);
        }
        Err(MetricError(format!(
            "metric {name:?} is declared as a {} and again as a {}: declare it alike, or choose \
             another name",
            described(found.kind, &found.unit),
            described(kind, &unit)
        )))
    }

    /// Returns the metric of a name.
    pub fn find(&self, name: &str) -> Option<MetricId> {
        self.ids.get(name).copied()
    }

    /// Returns what a metric is.
    pub fn definition(&self, id: MetricId) -> &Definition {
        &self.definitions[usize::from(id.0)]
    }

    /// Returns all metrics in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (MetricId, &Definition)> {
        self.definitions.iter().enumerate().map(|(id, metric)| (MetricId(id as u16), metric))
    }

    /// Returns whether all metrics of another registry stand here at the same ids.
    pub fn begins_with(&self, other: &Self) -> bool {
        self.definitions.starts_with(&other.definitions)
    }

    /// Returns how many metrics there are.
    pub(super) fn len(&self) -> usize {
        self.definitions.len()
    }

    fn push(&mut self, name: &str, kind: Kind, unit: Unit) -> MetricId {
        let id = MetricId(self.definitions.len() as u16);
        self.definitions.push(Definition { name: name.to_owned(), kind, unit });
        self.ids.insert(name.to_owned(), id);
        id
    }
}

/// Most characters of a metric's name.
const NAME_MAX: usize = 128;

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= NAME_MAX
}

fn described(kind: Kind, unit: &Unit) -> String {
    match unit {
        Unit::None => kind.to_string(),
        Unit::Time => format!("{kind} of times"),
        Unit::Bytes => format!("{kind} of bytes"),
        Unit::Named(unit) => format!("{kind} of {unit:?}"),
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

/// Declares the built-in metrics: constant, name, kind, unit.
macro_rules! builtin {
    ($($id:ident = $name:literal $kind:ident $unit:ident;)*) => {
        /// The built-in metrics' ids.
        pub mod builtin {
            use super::{Kind, MetricId, Unit};
            #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "counts the constants below")]
            #[repr(u16)]
            enum Index { $($id),* }
            $(#[doc = concat!("`", $name, "`")] pub const $id: MetricId = MetricId(Index::$id as u16);)*
            /// All of them, in the order of their ids.
            pub const ALL: &[(MetricId, &str, Kind, Unit)] = &[$(($id, $name, Kind::$kind, Unit::$unit)),*];
        }
    };
}

builtin! {
    VUS = "vus" Gauge None;
    VUS_MAX = "vus_max" Gauge None;
    ITERATIONS = "iterations" Counter None;
    ITERATION_DURATION = "iteration_duration" Trend Time;
    ITERATION_LATENESS = "iteration_lateness" Trend Time;
    ITERATION_RESPONSE_TIME = "iteration_response_time" Trend Time;
    ITERATION_ERRORS = "iteration_errors" Counter None;
    DROPPED_ITERATIONS = "dropped_iterations" Counter None;
    INTERRUPTED_ITERATIONS = "interrupted_iterations" Counter None;
    CHECKS = "checks" Rate None;
    GROUP_DURATION = "group_duration" Trend Time;
    DATA_SENT = "data_sent" Counter Bytes;
    DATA_RECEIVED = "data_received" Counter Bytes;
    HTTP_REQS = "http_reqs" Counter None;
    HTTP_REQ_FAILED = "http_req_failed" Rate None;
    HTTP_REQ_DURATION = "http_req_duration" Trend Time;
    HTTP_REQ_BLOCKED = "http_req_blocked" Trend Time;
    HTTP_REQ_LOOKING_UP = "http_req_looking_up" Trend Time;
    HTTP_REQ_CONNECTING = "http_req_connecting" Trend Time;
    HTTP_REQ_TLS_HANDSHAKING = "http_req_tls_handshaking" Trend Time;
    HTTP_REQ_SENDING = "http_req_sending" Trend Time;
    HTTP_REQ_WAITING = "http_req_waiting" Trend Time;
    HTTP_REQ_RECEIVING = "http_req_receiving" Trend Time;
    HTTP_REQ_TOTAL = "http_req_total" Trend Time;
    WS_CONNECTING = "ws_connecting" Trend Time;
    WS_SESSIONS = "ws_sessions" Counter None;
    WS_SESSION_DURATION = "ws_session_duration" Trend Time;
    WS_MSGS_SENT = "ws_msgs_sent" Counter None;
    WS_MSGS_RECEIVED = "ws_msgs_received" Counter None;
    WS_PING = "ws_ping" Trend Time;
    WS_ROUND_TRIP = "ws_round_trip" Trend Time;
    RPC_REQS = "rpc_reqs" Counter None;
    RPC_REQ_DURATION = "rpc_req_duration" Trend Time;
    RPC_REQ_FAILED = "rpc_req_failed" Rate None;
    GENERATOR_CPU = "generator_cpu" Gauge None;
    GENERATOR_LAG = "generator_lag" Trend Time;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_metrics_stand_at_their_ids() {
        let registry = Registry::new();
        for (id, name, kind, _) in builtin::ALL {
            assert_eq!(registry.find(name), Some(*id));
            assert_eq!(registry.definition(*id).kind, *kind);
        }
        assert_eq!(registry.iter().count(), builtin::ALL.len());
        assert_eq!(registry.definition(builtin::HTTP_REQ_DURATION).unit, Unit::Time);
    }

    #[test]
    fn declaring_alike_finds_the_same_metric() {
        let mut registry = Registry::new();
        let id = registry.declare("orders", Kind::Counter, Unit::None).unwrap();
        assert_eq!(registry.declare("orders", Kind::Counter, Unit::None), Ok(id));
        assert_eq!(registry.find("orders"), Some(id));
        assert_eq!(usize::from(id.0), builtin::ALL.len());
    }

    #[test]
    fn declaring_otherwise_names_both_kinds_and_units() {
        let mut registry = Registry::new();
        registry.declare("size", Kind::Trend, Unit::Bytes).unwrap();
        let kind = registry.declare("size", Kind::Counter, Unit::Bytes).unwrap_err().0;
        assert!(kind.contains("trend of bytes") && kind.contains("counter of bytes"), "{kind}");
        let unit = registry.declare("size", Kind::Trend, Unit::Time).unwrap_err().0;
        assert!(unit.contains("trend of bytes") && unit.contains("trend of times"), "{unit}");
    }

    #[test]
    fn a_builtin_name_cannot_be_declared_even_alike() {
        let error = Registry::new().declare("http_reqs", Kind::Counter, Unit::None).unwrap_err();
        assert!(error.0.contains("built in"), "{error}");
    }

    #[test]
    fn names_are_identifiers_of_at_most_128_characters() {
        let mut registry = Registry::new();
        let longest = "x".repeat(128);
        for name in ["a", "_", "a1_B", longest.as_str()] {
            assert!(registry.declare(name, Kind::Rate, Unit::None).is_ok(), "{name}");
        }
        let too_long = "x".repeat(129);
        for name in ["", "1a", "a-b", "a b", "é", too_long.as_str()] {
            assert!(registry.declare(name, Kind::Rate, Unit::None).is_err(), "{name}");
        }
    }
}
