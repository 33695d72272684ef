//! Executors decide when virtual users iterate.
//!
//! An *open* scenario starts iterations when they are due, whatever the target does. A *closed* one
//! starts a VU's next iteration when its last has ended and a rule admits it. Two drivers, [`open`]
//! and [`closed`], serve all six executors; what differs between executors is data: due times for
//! the one, an admission rule for the other. When to stop stands outside both, in a [`Control`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::api::{Interrupt, Stop};
use crate::clock::Instant;
use crate::vu::{End, Start, Vu};

pub use self::admission::Admission;
pub use self::closed::{Closed, ClosedTurn, RuleOf, closed};
pub use self::open::{Open, OpenTurn, open};
pub use self::turns::Turns;

mod admission;
mod closed;
mod open;
mod turns;

/// What a driver drives: a VU, or a stand-in for it in simulations.
pub trait Member: 'static {
    /// Runs one iteration. To end it early, stop [`Member::interrupt`] and wait.
    fn iterate(&mut self, start: Start) -> impl Future<Output = End>;

    /// Returns what ends an iteration from outside.
    fn interrupt(&self) -> Rc<Interrupt>;

    /// Ends the member's life.
    fn retire(self) -> impl Future<Output = ()>;
}

impl Member for Vu {
    fn iterate(&mut self, start: Start) -> impl Future<Output = End> {
        Self::iterate(self, start)
    }

    fn interrupt(&self) -> Rc<Interrupt> {
        Self::interrupt(self)
    }

    fn retire(self) -> impl Future<Output = ()> {
        Self::retire(self)
    }
}

/// Stops a scenario from outside, in two steps.
#[derive(Debug, Default)]
pub struct Control {
    closed: Cell<bool>,
    cut: Cell<bool>,
    changed: Notify,
}

impl Control {
    /// No iteration starts from now on; those that run have the graceful stop.
    pub fn close(&self) {
        self.closed.set(true);
        self.changed.notify_waiters();
    }

    /// Iterations that run are cut off now.
    pub fn cut(&self) {
        self.closed.set(true);
        self.cut.set(true);
        self.changed.notify_waiters();
    }

    /// Returns whether no iteration may start any more.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Waits until no iteration may start any more.
    pub async fn closed(&self) {
        self.until(&self.closed).await;
    }

    async fn cut_off(&self) {
        self.until(&self.cut).await;
    }

    async fn until(&self, flag: &Cell<bool>) {
        loop {
            let changed = self.changed.notified();
            if flag.get() {
                return;
            }
            changed.await;
        }
    }
}

/// What a worker's part of a scenario has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Arrivals that were due; open scenarios only.
    pub due: Cell<u64>,
    /// Iterations that ended, with or without an error.
    pub ended: Cell<u64>,
    /// Iterations that were cut off.
    pub interrupted: Cell<u64>,
    /// Iterations that were due, or promised, and never started.
    pub dropped: Cell<u64>,
    /// Iterations of an open scenario that started only after its regular end.
    pub overdue: Cell<u64>,
    /// Iterations that ended with an error.
    pub errors: Cell<u64>,
    /// VUs that exist.
    pub vus: Cell<u64>,
    /// VUs that run an iteration.
    pub active: Cell<u64>,
    /// Whether arrivals had to wait or were dropped because all VUs that may exist were busy.
    pub short_of_vus: Cell<bool>,
}

impl Tally {
    fn begin(&self) {
        bump(&self.active, 1);
    }

    fn end(&self, end: End) {
        self.active.set(self.active.get() - 1);
        match end {
            End::Completed => bump(&self.ended, 1),
            End::Failed => {
                bump(&self.ended, 1);
                bump(&self.errors, 1);
            }
            End::Interrupted => bump(&self.interrupted, 1),
        }
    }

    fn born(&self) {
        bump(&self.vus, 1);
    }

    fn died(&self) {
        self.vus.set(self.vus.get() - 1);
    }
}

fn bump(cell: &Cell<u64>, by: u64) {
    cell.set(cell.get() + by);
}

/// The tasks of a scenario's VUs, and what cuts them off.
struct Tasks {
    tasks: JoinSet<()>,
    interrupts: RefCell<Vec<Rc<Interrupt>>>,
}

impl Tasks {
    fn new() -> Self {
        Self { tasks: JoinSet::new(), interrupts: RefCell::default() }
    }

    fn spawn(&mut self, interrupt: Rc<Interrupt>, task: impl Future<Output = ()> + 'static) {
        self.interrupts.borrow_mut().push(interrupt);
        self.tasks.spawn_local(task);
    }

    /// Waits until all have ended. A panic in one goes on here.
    async fn ended(&mut self) {
        while let Some(result) = self.tasks.join_next().await {
            pass_on(result);
        }
    }

    /// Waits for ever. A panic in one goes on here at once.
    async fn panicked(&mut self) {
        self.ended().await;
        std::future::pending::<()>().await;
    }

    /// Lets a panic of those that have ended go on here, without waiting.
    fn look(&mut self) {
        while let Some(result) = self.tasks.try_join_next() {
            pass_on(result);
        }
    }

    /// Waits for all, at most until a time; then, or when `control` says so, cuts off the rest.
    async fn finish(&mut self, control: &Control, until: Instant) {
        let in_time = tokio::select! {
            biased;
            () = self.ended() => true,
            () = control.cut_off() => false,
            () = tokio::time::sleep_until(until) => false,
        };
        if !in_time {
            for interrupt in &*self.interrupts.borrow() {
                interrupt.stop(Stop::Cut);
            }
            self.ended().await;
        }
    }
}

fn pass_on(result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Returns a time after another, however far.
fn after(instant: Instant, duration: Duration) -> Instant {
    // Thirty years stand for "never"; adding more could overflow the clock.
    const FAR: Duration = Duration::from_hours(30 * 365 * 24);
    instant + duration.min(FAR)
}

#[cfg(test)]
mod simulation;
