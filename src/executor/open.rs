//! The open driver: iterations start when they are due.
//!
//! An arrival that finds no free VU gets a new one, up to the limit; past it, it waits with its due
//! time, or is dropped if the author wants k6's rule. Waiting for a VU without keeping the due time
//! would let a slow target slow the arrivals: coordinated omission.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Control, Member, Tally, Tasks, Turns, after, bump};
use crate::clock::{self, ArrivalTimer, Instant};
use crate::plan::OnOverload;
use crate::vu::Start;

/// Most arrivals that wait for a VU; those past it are dropped, so that memory stays bounded.
const QUEUE_MAX: usize = 1_000_000;

/// After so many new VUs in a row the driver lets the others run.
const NEW_IN_A_ROW: u32 = 16;

/// A driver that is later than this lets the VUs run before it makes another one.
const LATE: Duration = Duration::from_millis(1);

/// An iteration that starts so long after the scenario's regular end had to wait for that: the last
/// ones are due just before it, and timers fire a little late.
const OVERDUE: Duration = Duration::from_millis(100);

/// After so many arrivals in a row the driver lets the VUs run.
const ARRIVALS_IN_A_ROW: u32 = 256;

/// A worker's part of an open scenario.
pub struct Open<M, A, F, L> {
    /// When the scenario began: the zero of due times.
    pub began: Instant,
    /// Number in the scenario and due time of each arrival, in order.
    pub arrivals: A,
    /// VUs made before the start.
    pub members: Vec<M>,
    /// Makes one more VU; nothing if the test cannot go on.
    pub make: F,
    /// Most VUs.
    pub vus_max: u64,
    /// What happens to an arrival that finds no free VU.
    pub on_overload: OnOverload,
    /// When the scenario ends by its plan.
    pub end: Instant,
    /// How long iterations may go on after it.
    pub graceful_stop: Duration,
    /// Wakes the driver.
    pub timer: ArrivalTimer,
    /// Schedules that replace this one while it runs.
    pub turns: Rc<Turns<OpenTurn<A>>>,
    /// Told of arrivals that waited in vain, with the time that they had waited; and of dropped
    /// ones, without.
    pub on_lost: L,
}

/// What an open scenario does from some time on.
#[derive(Debug)]
pub struct OpenTurn<A> {
    /// When it begins, after the scenario began: what is due before is not touched by it.
    pub at: Duration,
    /// The arrivals from then on.
    pub arrivals: A,
    /// Most VUs; those that there are stay.
    pub vus_max: u64,
    /// What happens to an arrival that finds no free VU.
    pub on_overload: OnOverload,
    /// When the scenario ends by its plan.
    pub end: Instant,
    /// How long iterations may go on after it.
    pub graceful_stop: Duration,
}

/// Runs an open scenario to its end, or until `control` closes it.
///
/// At the end `due = ended + interrupted + dropped` in the tally, to the unit. The future must not
/// be dropped: stop it by `control`.
pub async fn open<M, A, F, L>(plan: Open<M, A, F, L>, control: &Rc<Control>, tally: &Rc<Tally>)
where
    M: Member,
    A: Iterator<Item = (u64, Duration)>,
    F: Fn() -> Option<M>,
    L: Fn(Option<Duration>),
{
    let Open { began, arrivals, members, make, on_lost, turns, mut timer, .. } = plan;
    let Open { mut vus_max, mut on_overload, mut end, mut graceful_stop, .. } = plan;
    let mut arrivals = arrivals.peekable();
    let overdue = Rc::new(Cell::new(end + OVERDUE));
    let desk = Rc::new(Desk::default());
    let mut tasks = Tasks::new();
    let hire = |tasks: &mut Tasks, member: M, first: Option<Start>| {
        tally.born();
        let interrupt = member.interrupt();
        let seat = desk.seat(first);
        let overdue = Rc::clone(&overdue);
        let work = serve(member, seat, Rc::clone(&desk), Rc::clone(tally), overdue);
        tasks.spawn(interrupt, work);
    };
    // The first one lies on top of the free ones.
    for member in members.into_iter().rev() {
        hire(&mut tasks, member, None);
    }
    let (mut new_in_a_row, mut in_a_row) = (0, 0);
    let mut last = None;
    'arrivals: loop {
        // What is due when the next schedule begins, or later, is that one's affair.
        let bound = turns.peek(|turn| turn.at);
        let next = arrivals.peek().copied().filter(|(_, due)| bound.is_none_or(|at| *due < at));
        let Some((number, due)) = next else {
            if let Some(turn) = turns.take() {
                arrivals = turn.arrivals.peekable();
                (vus_max, on_overload) = (turn.vus_max, turn.on_overload);
                (end, graceful_stop) = (turn.end, turn.graceful_stop);
                overdue.set(end + OVERDUE);
                // It came later than it was to begin: what was due meanwhile has had its start.
                while arrivals.next_if(|(_, due)| last.is_some_and(|last| *due <= last)).is_some() {
                }
                continue;
            }
            tokio::select! {
                biased;
                () = control.closed() => break,
                () = turns.changed() => continue,
                () = tokio::time::sleep_until(end) => break,
                () = tasks.panicked() => continue,
            }
        };
        let start = Start { number, due: Some(began + due) };
        // A timer may fire early; an iteration never starts before it is due.
        while clock::now() < began + due {
            (new_in_a_row, in_a_row) = (0, 0);
            tokio::select! {
                biased;
                () = control.closed() => break 'arrivals,
                () = turns.changed() => continue 'arrivals,
                () = timer.wait_until(began + due) => {}
                () = tasks.panicked() => {}
            }
        }
        arrivals.next();
        last = Some(due);
        in_a_row += 1;
        if in_a_row % ARRIVALS_IN_A_ROW == 0 {
            tokio::task::yield_now().await;
            tasks.look();
        }
        if control.is_closed() {
            break;
        }
        bump(&tally.due, 1);
        if desk.give(start) {
            continue;
        }
        if clock::now() > began + due + LATE {
            // The driver itself is behind: VUs may have become free while it did not look, and
            // making more of them would only put it further behind.
            tokio::task::yield_now().await;
            if desk.give(start) {
                continue;
            }
        }
        if tally.vus.get() < vus_max
            && let Some(member) = make()
        {
            hire(&mut tasks, member, Some(start));
            new_in_a_row += 1;
            if new_in_a_row % NEW_IN_A_ROW == 0 {
                tokio::task::yield_now().await;
            }
            continue;
        }
        tally.short_of_vus.set(true);
        if on_overload == OnOverload::Queue && desk.queue.borrow().len() < QUEUE_MAX {
            desk.queue.borrow_mut().push_back(start);
        } else {
            bump(&tally.dropped, 1);
            on_lost(None);
        }
    }
    wind_up(&desk, tasks, control, tally, &on_lost, graceful_stop).await;
}

/// Ends a scenario whose arrivals are through: those that wait for a VU still get one, as long as the
/// graceful stop lasts. If it was stopped from outside, nothing starts any more.
async fn wind_up(
    desk: &Desk,
    mut tasks: Tasks,
    control: &Control,
    tally: &Tally,
    on_lost: &impl Fn(Option<Duration>),
    graceful_stop: Duration,
) {
    let lose_queue = || {
        for lost in desk.queue.take() {
            bump(&tally.dropped, 1);
            on_lost(lost.due.map(|due| clock::now().saturating_duration_since(due)));
        }
    };
    if control.is_closed() {
        lose_queue();
    }
    desk.end();
    let until = after(clock::now(), graceful_stop);
    tokio::select! {
        biased;
        () = tasks.ended() => {}
        () = control.closed() => lose_queue(),
        () = tokio::time::sleep_until(until) => lose_queue(),
    }
    tasks.finish(control, until).await;
    lose_queue();
}

/// Where arrivals and free VUs meet.
#[derive(Default)]
struct Desk {
    /// Arrivals that wait for a VU.
    queue: RefCell<VecDeque<Start>>,
    /// Free VUs, the last one freed on top: it is the one whose memory is still in the cache.
    free: RefCell<Vec<Rc<Seat>>>,
    ended: Cell<bool>,
}

/// Where a free VU waits.
struct Seat {
    start: Cell<Option<Start>>,
    called: Notify,
}

impl Seat {
    async fn wait(&self) -> Option<Start> {
        self.called.notified().await;
        self.start.take()
    }
}

impl Desk {
    /// Gives an arrival to a free VU; returns false if there is none.
    fn give(&self, start: Start) -> bool {
        let Some(seat) = self.free.borrow_mut().pop() else { return false };
        seat.start.set(Some(start));
        seat.called.notify_one();
        true
    }

    /// Returns the seat of a new VU, which has its first arrival or is free from now on: before
    /// its task has run for the first time.
    fn seat(&self, first: Option<Start>) -> Rc<Seat> {
        let seat = Rc::new(Seat { start: Cell::new(first), called: Notify::new() });
        match first {
            Some(_) => seat.called.notify_one(),
            None => self.free.borrow_mut().push(Rc::clone(&seat)),
        }
        seat
    }

    /// Waits for the next arrival; nothing if there are no more.
    async fn take(&self, seat: &Rc<Seat>) -> Option<Start> {
        if let Some(start) = self.queue.borrow_mut().pop_front() {
            return Some(start);
        }
        if self.ended.get() {
            return None;
        }
        self.free.borrow_mut().push(Rc::clone(seat));
        seat.wait().await
    }

    /// Sends free VUs home; the others follow when they are free and nothing waits.
    fn end(&self) {
        self.ended.set(true);
        for seat in self.free.take() {
            seat.called.notify_one();
        }
    }
}

/// One VU's life.
async fn serve<M: Member>(
    mut member: M,
    seat: Rc<Seat>,
    desk: Rc<Desk>,
    tally: Rc<Tally>,
    overdue: Rc<Cell<Instant>>,
) {
    let interrupt = member.interrupt();
    let mut next = seat.wait().await;
    while let Some(start) = next {
        if interrupt.why().is_some() {
            // Cut off between two iterations: this one was given, and does not start.
            desk.queue.borrow_mut().push_back(start);
            break;
        }
        tally.begin();
        if clock::now() > overdue.get() {
            bump(&tally.overdue, 1);
        }
        let end = member.iterate(start).await;
        tally.end(end);
        tokio::task::consume_budget().await;
        next = desk.take(&seat).await;
    }
    // Boxed, as it happens once: a task is as large as its largest future.
    Box::pin(member.retire()).await;
    tally.died();
}
