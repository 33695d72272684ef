//! Metrics: their names and kinds, one worker's shard, the whole run's aggregate, and thresholds.
//!
//! A worker records into its own [`Shard`] without a lock. Once per interval the shard's part since
//! the last time leaves as a [`Snapshot`]; the controller adds snapshots into one [`Aggregate`],
//! which thresholds, progress and summary read. Every distribution is a [`Histogram`] that adds bit
//! for bit, so it does not matter how many workers there were.

pub use self::aggregate::{Aggregate, Check, Endpoint, RpcMethod};
pub use self::histogram::{Histogram, HistogramError, Range};
pub use self::registry::{Definition, Kind, MetricError, MetricId, Registry, Unit, builtin};
pub use self::request::{RequestSample, RequestTimings};
pub use self::selector::{Selector, SelectorError};
pub use self::shard::Shard;
pub use self::snapshot::Snapshot;
pub use self::stats::{Stat, Stats};
pub use self::tag::{TagSetId, Tags};
pub use self::threshold::{Threshold, ThresholdError, Verdict};

mod aggregate;
mod histogram;
mod registry;
mod request;
mod selector;
mod series;
mod shard;
mod snapshot;
mod stats;
mod tag;
mod threshold;
