//! One worker's metrics, recorded without a lock.

use std::sync::Arc;
use std::time::Duration;

use super::{MetricId, Registry};

/// A set of tags, interned in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagSetId(pub u32);

impl TagSetId {
    /// No tags.
    pub const EMPTY: Self = Self(0);
}

/// The parts of one request's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestTimings {
    /// Waiting for a connection slot, plus looking_up, connecting and tls_handshaking.
    pub blocked: Duration,
    /// DNS.
    pub looking_up: Duration,
    /// TCP connect.
    pub connecting: Duration,
    /// TLS handshake.
    pub tls_handshaking: Duration,
    /// First to last byte written.
    pub sending: Duration,
    /// Last byte written to first byte read.
    pub waiting: Duration,
    /// First to last byte read.
    pub receiving: Duration,
}

/// One request as the metrics see it.
#[derive(Debug, Clone, Copy)]
pub struct RequestSample<'a> {
    /// `GET`.
    pub method: &'a str,
    /// The row it belongs to.
    pub name: &'a str,
    /// Its URL, or `name` if the author gave one.
    pub url: &'a str,
    /// `HTTP/1.1`; empty if there was no answer.
    pub proto: &'a str,
    /// 0 if there was no answer.
    pub status: u16,
    /// What went wrong, short and without addresses or ports; empty if nothing did.
    pub error: &'a str,
    /// k6's code; 0 if nothing went wrong.
    pub error_code: u16,
    /// Whether the answer was as expected; `None` if it is not judged (cut off at the end of the test).
    pub expected: Option<bool>,
    /// `tls1.3`; empty without TLS.
    pub tls_version: &'a str,
    /// Its time.
    pub timings: RequestTimings,
}

/// One worker's metrics.
#[derive(Debug)]
pub struct Shard {}

impl Shard {
    /// Returns an empty shard that holds at most `series_max` series.
    pub fn new(_registry: Arc<Registry>, _series_max: usize) -> Self {
        Self {}
    }

    /// Returns the set `base` with `extra` added; a tag that is already there is replaced, an empty
    /// value removes it.
    pub fn tag_set(&mut self, _base: TagSetId, _extra: &[(&str, &str)]) -> TagSetId {
        TagSetId::EMPTY
    }

    /// Records one sample: adds to a counter, sets a gauge, counts a rate (non-zero passes), or
    /// enters a trend (a time in milliseconds).
    pub fn add(&mut self, _metric: MetricId, _tags: TagSetId, _value: f64) {}

    /// Records a time.
    pub fn add_duration(&mut self, _metric: MetricId, _tags: TagSetId, _value: Duration) {}

    /// Records all metrics of one request under `base` and the request's own tags.
    pub fn add_request(&mut self, _base: TagSetId, _request: &RequestSample<'_>) {}
}
