//! What sockets put into the metrics, with k6's names and tags.

use std::rc::Rc;
use std::time::Duration;

use crate::api::WorkerContext;
use crate::metrics::{MetricId, TagSetId, builtin};
use crate::protocol::ProtocolError;
use crate::protocol::ws::{Ended, Watcher};

/// Records what happens on one socket, under its tags.
#[derive(Clone)]
pub(super) struct Recorder {
    worker: Rc<WorkerContext>,
    tags: TagSetId,
}

/// The tags of one socket's samples.
pub(super) struct Tags<'a> {
    /// Without query, or what the author calls it.
    pub(super) name: &'a str,
    /// The subprotocol; empty if none.
    pub(super) subprotocol: &'a str,
    /// 0 without an answer.
    pub(super) status: u16,
}

impl Recorder {
    /// Returns a recorder for samples with these tags over the VU's.
    pub(super) fn new(worker: &Rc<WorkerContext>, base: TagSetId, tags: &Tags<'_>) -> Self {
        let status = tags.status.to_string();
        let extra = [
            ("name", tags.name),
            ("status", &status),
            ("subproto", tags.subprotocol),
            ("url", tags.name),
        ];
        let tags = worker.shard.borrow_mut().tag_set(base, &extra);
        Self { worker: Rc::clone(worker), tags }
    }

    /// Records an attempt to connect.
    pub(super) fn connected(&self, took: Duration, failure: Option<(&str, u16)>) {
        let tags = self.failed(failure);
        let mut shard = self.worker.shard.borrow_mut();
        shard.add(builtin::WS_SESSIONS, tags, 1.0);
        shard.add_duration(builtin::WS_CONNECTING, tags, took);
    }

    /// Counts a message that was sent.
    pub(super) fn sent(&self) {
        self.worker.shard.borrow_mut().add(builtin::WS_MSGS_SENT, self.tags, 1.0);
    }

    /// Records how long a ping took.
    pub(super) fn ping(&self, took: Duration) {
        self.time(builtin::WS_PING, self.tags, took);
    }

    /// Records how long a reply took; what failed has the time that it had.
    pub(super) fn round_trip(&self, took: Duration, failure: Option<(&str, u16)>) {
        self.time(builtin::WS_ROUND_TRIP, self.failed(failure), took);
    }

    fn time(&self, metric: MetricId, tags: TagSetId, took: Duration) {
        self.worker.shard.borrow_mut().add_duration(metric, tags, took);
    }

    /// Returns the tags of what failed so.
    fn failed(&self, failure: Option<(&str, u16)>) -> TagSetId {
        let Some((error, code)) = failure else { return self.tags };
        let code = code.to_string();
        let extra = [("error", error), ("error_code", &*code)];
        self.worker.shard.borrow_mut().tag_set(self.tags, &extra)
    }
}

impl Watcher for Recorder {
    fn received(&self, messages: u64) {
        let mut shard = self.worker.shard.borrow_mut();
        shard.add(builtin::WS_MSGS_RECEIVED, self.tags, messages as f64);
    }

    fn ended(&self, ended: &Ended, open_for: Duration) {
        let tags = self.failed(ended.error.as_ref().map(failure));
        self.time(builtin::WS_SESSION_DURATION, tags, open_for);
    }
}

/// Returns an error as tags have it.
pub(super) fn failure(error: &ProtocolError) -> (&str, u16) {
    (&error.message, error.kind.code())
}
