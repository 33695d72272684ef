//! Which metrics there are: built in, and declared by scripts while they load.

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
pub struct Registry {}

impl Registry {
    /// Returns the built-in metrics.
    pub fn new() -> Self {
        Self {}
    }

    /// Declares a metric, or finds it if it was declared alike.
    ///
    /// # Errors
    /// If the name is no identifier, or is taken by a metric of another kind or unit.
    pub fn declare(
        &mut self,
        _name: &str,
        _kind: Kind,
        _unit: Unit,
    ) -> Result<MetricId, MetricError> {
        Ok(MetricId(0))
    }

    /// Returns the metric of a name.
    pub fn find(&self, _name: &str) -> Option<MetricId> {
        None
    }

    /// Returns what a metric is.
    pub fn definition(&self, _id: MetricId) -> &Definition {
        unimplemented!()
    }

    /// Returns all metrics in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (MetricId, &Definition)> {
        std::iter::empty()
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
