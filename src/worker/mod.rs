//! A worker: one thread with its own runtime, VUs, connections and metrics.
//!
//! It shares nothing with other workers while the test runs. What it does follows from the plan and
//! its number alone; the controller only says when to begin and when to stop, and gets a snapshot
//! of the figures once per interval.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::api::{Event, TestStatus};
use crate::clock::Instant;
use crate::metrics::{Registry, Snapshot};
use crate::plan::{Plan, Share};
use crate::script::{Program, ScriptError};

pub use self::errors::{ErrorRow, key as error_key};

mod errors;
mod ground;
mod life;
mod rates;
mod reload;
mod scenario;

/// What a worker needs to start.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Its number and how many there are.
    pub share: Share,
    /// The test.
    pub plan: Arc<Plan>,
    /// The script.
    pub program: Arc<Program>,
    /// The metrics, complete.
    pub registry: Arc<Registry>,
    /// Facts of the whole test.
    pub status: Arc<TestStatus>,
    /// Whether scenarios may join: the worker ends only at [`Command::Finish`].
    pub lingers: bool,
    /// Whether requests and checks are told one by one.
    pub live: bool,
    /// Whether samples of scenarios have the tag `script_version`.
    pub tag_versions: bool,
}

/// What a test becomes while it runs.
#[derive(Debug)]
pub struct Revision {
    /// From 1.
    pub number: u64,
    /// The plan: scenarios keep their positions.
    pub plan: Arc<Plan>,
    /// The script.
    pub program: Arc<Program>,
    /// The metrics: those before keep their ids.
    pub registry: Arc<Registry>,
    /// When changed rates begin to hold.
    pub at: Instant,
    /// The scenarios that are to stop, by their positions.
    pub removed: Vec<usize>,
}

/// What the controller tells a worker.
#[derive(Debug, Clone)]
pub enum Command {
    /// Give VUs the set-up data and run their `vu_setup`. Answered by [`Message::Prepared`].
    Prepare(Arc<serde_json::Value>),
    /// The scenarios' zero of time.
    Begin(Instant),
    /// A scenario that waits for another one starts, with the zero of its time.
    StartScenario(usize, Instant),
    /// A scenario has nothing to go on with: no new iterations of it; graceful stop.
    EndScenario(usize),
    /// The test goes on as a new version. Answered by [`Message::Reloaded`].
    Reload(Arc<Revision>),
    /// No scenario will join any more: end when those that there are have ended.
    Finish,
    /// VUs wait before their next iterations, or go on.
    Pause(bool),
    /// No new iterations; graceful stop.
    Stop,
    /// Iterations are cut off.
    Cut,
}

/// What a worker tells the controller.
#[derive(Debug)]
pub enum Message {
    /// All VUs that exist from the start have been made.
    Ready,
    /// They have been prepared.
    Prepared,
    /// A revision has been taken over: VUs run it from their next iterations on.
    Reloaded(u64),
    /// It cannot go on.
    Failed(Box<Failure>),
    /// Something happened in a script.
    Event(Event),
    /// The figures of an interval.
    Interval(Box<Interval>),
    /// Its part of a scenario has ended.
    ScenarioEnded(usize),
    /// Everything has ended; the last figures.
    Ended(Box<Interval>),
}

/// Why a worker cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The script's top level fails.
    Script(ScriptError),
    /// Something that should not happen.
    Defect(String),
}

/// A worker's figures of one interval.
#[derive(Debug)]
pub struct Interval {
    /// What its shard recorded.
    pub snapshot: Snapshot,
    /// Its scenarios so far, in the plan's order.
    pub scenarios: Vec<ScenarioTally>,
    /// Errors of scripts since the last interval.
    pub errors: Vec<ErrorRow>,
    /// CPU time of its thread so far, and when the scenarios began.
    pub cpu: Duration,
    /// CPU time of its thread when the scenarios began.
    pub cpu_before: Duration,
}

/// A worker's part of a scenario so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScenarioTally {
    /// Arrivals that were due.
    pub due: u64,
    /// Iterations that ended.
    pub ended: u64,
    /// Iterations that were cut off.
    pub interrupted: u64,
    /// Iterations that never started.
    pub dropped: u64,
    /// Iterations that started only after the scenario's regular end.
    pub overdue: u64,
    /// Iterations that ended with an error.
    pub errors: u64,
    /// VUs that exist.
    pub vus: u64,
    /// VUs that run an iteration.
    pub active: u64,
    /// Whether arrivals found all VUs that may exist busy.
    pub short_of_vus: bool,
}

impl ScenarioTally {
    /// Adds another worker's part.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.ended += other.ended;
        self.interrupted += other.interrupted;
        self.dropped += other.dropped;
        self.overdue += other.overdue;
        self.errors += other.errors;
        self.vus += other.vus;
        self.active += other.active;
        self.short_of_vus |= other.short_of_vus;
    }
}

/// Where a worker's messages go, with its number.
pub type Outbox = UnboundedSender<(usize, Message)>;

/// Starts a worker's thread. It ends by itself after [`Message::Ended`] or [`Message::Failed`].
///
/// # Errors
/// If the system gives no thread.
pub fn spawn(
    assignment: Assignment,
    commands: UnboundedReceiver<Command>,
    outbox: Outbox,
) -> std::io::Result<JoinHandle<()>> {
    let index = assignment.share.index;
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let defect = outbox.clone();
        let work = std::panic::AssertUnwindSafe(|| work(assignment, commands, outbox));
        if let Err(panic) = std::panic::catch_unwind(work) {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "unknown".to_owned());
            let failure = Failure::Defect(format!("worker {index} panicked: {text}"));
            let _gone = defect.send((index as usize, Message::Failed(Box::new(failure))));
        }
    })
}

fn work(assignment: Assignment, commands: UnboundedReceiver<Command>, outbox: Outbox) {
    let index = assignment.share.index as usize;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::Defect(format!("worker {index} has no runtime: {error}"));
            let _gone = outbox.send((index, Message::Failed(Box::new(failure))));
            return;
        }
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, life::live(Rc::new(assignment), commands, outbox));
}
