//! What a worker's VUs stand on: the compiled script, network, metrics, and the way out for events.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::errors::Errors;
use super::{Assignment, Failure, Message, Outbox};
use crate::api::{Event, Rounds, Slices, Value, WorkerContext};
use crate::metrics::Shard;
use crate::protocol::Network;
use crate::script::Host;
use crate::vu::{Ground, Pause, Version};

/// Most log lines that one worker lets through per interval; a script that logs in a loop must not
/// fill the memory with them.
const LOGS_PER_INTERVAL: u64 = 1_000;

/// The flow of log lines in an interval.
#[derive(Debug, Default)]
pub(super) struct LogFlow {
    sent: Cell<u64>,
    dropped: Cell<u64>,
}

impl LogFlow {
    /// Begins a new interval; returns how many lines the last one dropped.
    pub(super) fn renew(&self) -> u64 {
        self.sent.set(0);
        self.dropped.take()
    }

    fn admits(&self, event: &Event) -> bool {
        if !matches!(
            event,
            Event::Log { .. } | Event::Debug(_) | Event::Request(_) | Event::Check { .. }
        ) {
            return true;
        }
        if self.sent.get() >= LOGS_PER_INTERVAL {
            self.dropped.set(self.dropped.get() + 1);
            return false;
        }
        self.sent.set(self.sent.get() + 1);
        true
    }
}

/// Makes what the VUs stand on, and compiles the script.
pub(super) fn make(
    assignment: &Assignment,
    outbox: &Outbox,
    errors: &Rc<Errors>,
    logs: &Rc<LogFlow>,
) -> Result<Rc<Ground>, Failure> {
    let plan = &assignment.plan;
    let index = assignment.share.index as usize;
    let network = Network::new(&plan.http)
        .map_err(|error| Failure::Defect(format!("the network cannot be set up: {error}")))?;
    let events = outbox.clone();
    let flow = Rc::clone(logs);
    let worker = Rc::new(WorkerContext {
        plan: Arc::clone(plan),
        revised: RefCell::new(Arc::clone(plan)),
        http: Rc::new(plan.http.clone()),
        expected: Rc::new(plan.http.expected_statuses.clone()),
        registry: RefCell::new((*assignment.registry).clone()),
        declaring: Cell::new(false),
        shard: RefCell::new(Shard::new(Arc::clone(&assignment.registry), plan.series_max)),
        network,
        slices: Slices::default(),
        rounds: Rounds::default(),
        urls: RefCell::default(),
        files: assignment.program.files(),
        data: RefCell::new(Arc::clone(assignment.program.data())),
        events: Box::new(move |event| {
            if flow.admits(&event) {
                let _gone = events.send((index, Message::Event(event)));
            }
        }),
        live: assignment.live,
        status: Arc::clone(&assignment.status),
    });
    let program = Rc::new((*assignment.program).clone());
    let host = Host::new(program, &worker).map_err(Failure::Script)?;
    let version = RefCell::new(Rc::new(Version { number: 0, host }));
    let errors = Rc::clone(errors);
    Ok(Rc::new(Ground {
        worker,
        version,
        data: RefCell::new(Rc::new(Value::Nil)),
        on_error: Box::new(move |error, vu| errors.add(error, vu)),
        next_vu: Cell::new(0),
        pause: Pause::default(),
        tag_versions: assignment.tag_versions,
        rate: super::rates::of_test(plan, assignment.share, assignment.status.zero()),
        share: assignment.share,
    }))
}
