//! Records calls: how many, how long, and what went wrong, by method.

use std::time::Duration;

use crate::api::VuContext;
use crate::metrics::{TagSetId, builtin};

/// What came of a call, for the metrics.
pub(super) struct Sample<'a> {
    pub(super) method: &'a str,
    /// The tag `rpc_error`; empty if nothing went wrong.
    pub(super) error: &'a str,
    /// Nothing if there was nothing to wait for.
    pub(super) duration: Option<Duration>,
    /// Whether it was cut off at the end of the test: it counts, but is not judged.
    pub(super) cut: bool,
}

/// Records a call under the tags of its request.
pub(super) fn record(vu: &VuContext, tags: TagSetId, sample: &Sample<'_>) {
    let mut shard = vu.worker.shard.borrow_mut();
    let own = [("rpc_error", sample.error), ("rpc_method", sample.method)];
    let tags = shard.tag_set(tags, &own);
    shard.add(builtin::RPC_REQS, tags, 1.0);
    if let Some(duration) = sample.duration {
        shard.add_duration(builtin::RPC_REQ_DURATION, tags, duration);
    }
    if !sample.cut {
        let failed = f64::from(u8::from(!sample.error.is_empty()));
        shard.add(builtin::RPC_REQ_FAILED, tags, failed);
    }
}
