//! Metrics: their names and kinds, one worker's shard, the whole run's aggregate, and thresholds.
//!
//! A worker records into its own [`Shard`] without a lock. Once per interval the shard's part since
//! the last time leaves as a [`Snapshot`]; the controller adds snapshots into one [`Aggregate`],
//! which thresholds, progress and summary read. Every distribution is a [`Histogram`] that adds bit
//! for bit, so it does not matter how many workers there were.

pub use self::registry::{Definition, Kind, MetricError, MetricId, Registry, Unit, builtin};
pub use self::shard::{RequestSample, RequestTimings, Shard, TagSetId};

mod registry;
mod shard;
