//! The closed driver: each VU starts its next iteration when the last has ended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::admission::Next;
use super::{Admission, Control, Member, Tally, Tasks, Turns, after, bump};
use crate::api::Stop;
use crate::clock::{self, Instant};
use crate::plan::Share;
use crate::vu::Start;

/// After so many new VUs in a row the driver lets the others run.
const HIRED_IN_A_ROW: u64 = 16;

/// A worker's part of a closed scenario.
#[derive(Debug)]
pub struct Closed<M> {
    /// The VUs, each with its rule.
    pub members: Vec<(M, Admission)>,
    /// Where their iterations' numbers come from.
    pub share: Share,
    /// When the scenario ends by its plan.
    pub end: Instant,
    /// How long iterations may go on after it.
    pub graceful_stop: Duration,
    /// Rules that replace these while it runs.
    pub turns: Rc<Turns<ClosedTurn<M>>>,
}

/// Gives VU number n a rule; it had another if it is there already.
pub type RuleOf = Box<dyn Fn(u64, Option<&Admission>) -> Admission>;

/// What a closed scenario does from now on.
pub struct ClosedTurn<M> {
    /// How many VUs there may be; those past it get a rule that ends them.
    pub vus: u64,
    /// Their rules.
    pub rule: RuleOf,
    /// Makes one more VU; nothing if the test cannot go on.
    pub make: Box<dyn Fn() -> Option<M>>,
    /// When the scenario ends by its plan.
    pub end: Instant,
    /// How long iterations may go on after it.
    pub graceful_stop: Duration,
}

impl<M> std::fmt::Debug for ClosedTurn<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClosedTurn").field("vus", &self.vus).finish_non_exhaustive()
    }
}

/// Runs a closed scenario to its end, or until `control` closes it.
///
/// What was promised (a number of iterations) and not started by the end counts as dropped.
/// The future must not be dropped: stop it by `control`.
pub async fn closed<M: Member>(plan: Closed<M>, control: &Rc<Control>, tally: &Rc<Tally>) {
    let numbers = Rc::new(Numbers { share: plan.share, next: Cell::new(0) });
    let Closed { turns, mut end, mut graceful_stop, .. } = plan;
    let mut tasks = Tasks::new();
    let hire = |tasks: &mut Tasks, member: M, admission: Admission| {
        tally.born();
        let rule = Rc::new(Rule::new(admission));
        let interrupt = member.interrupt();
        let (numbers, control, tally) = (Rc::clone(&numbers), Rc::clone(control), Rc::clone(tally));
        tasks.spawn(interrupt, live(member, Rc::clone(&rule), numbers, control, tally));
        rule
    };
    let mut rules = Vec::new();
    for (member, admission) in plan.members {
        rules.push(hire(&mut tasks, member, admission));
    }
    loop {
        tokio::select! {
            biased;
            () = tasks.ended() => return,
            () = control.closed() => break,
            () = turns.changed() => {}
            () = tokio::time::sleep_until(end) => break,
        }
        while let Some(turn) = turns.take() {
            (end, graceful_stop) = (turn.end, turn.graceful_stop);
            for (n, rule) in rules.iter().enumerate() {
                rule.change(|now| (turn.rule)(n as u64, Some(now)));
            }
            for n in 0..turn.vus {
                let place = rules.get(n as usize);
                if place.is_some_and(|rule| rule.lives.get()) {
                    continue;
                }
                let admission = (turn.rule)(n, None);
                if admission.is_over(clock::now()) {
                    continue;
                }
                let Some(member) = (turn.make)() else { break };
                let rule = hire(&mut tasks, member, admission);
                match rules.get_mut(n as usize) {
                    Some(place) => *place = rule,
                    None => rules.push(rule),
                }
                if n % HIRED_IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    let until = after(clock::now(), graceful_stop);
    tasks.finish(control, until).await;
}

/// A VU's rule, which may change while it lives.
struct Rule {
    admission: RefCell<Admission>,
    changed: Notify,
    lives: Cell<bool>,
}

impl Rule {
    fn new(admission: Admission) -> Self {
        Self { admission: RefCell::new(admission), changed: Notify::new(), lives: Cell::new(true) }
    }

    fn change(&self, new: impl FnOnce(&Admission) -> Admission) {
        let admission = new(&self.admission.borrow());
        self.admission.replace(admission);
        self.changed.notify_one();
    }
}

/// The numbers of a worker's iterations in a scenario.
struct Numbers {
    share: Share,
    next: Cell<u64>,
}

impl Numbers {
    fn take(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.share.nth(number)
    }
}

/// One VU's life.
async fn live<M: Member>(
    mut member: M,
    rule: Rc<Rule>,
    numbers: Rc<Numbers>,
    control: Rc<Control>,
    tally: Rc<Tally>,
) {
    while !control.is_closed() {
        let next = rule.admission.borrow_mut().next(clock::now());
        match next {
            Next::Start(deadline) => {
                let start = Start { number: numbers.take(), due: None };
                tally.begin();
                let end = iterate_until(&mut member, start, deadline).await;
                tally.end(end);
                // A script that never waits would otherwise never let the worker's others run.
                tokio::task::consume_budget().await;
            }
            Next::WaitUntil(time) => {
                tokio::select! {
                    biased;
                    () = control.closed() => {}
                    () = rule.changed.notified() => {}
                    () = tokio::time::sleep_until(time) => {}
                }
            }
            Next::Stop => break,
        }
    }
    rule.lives.set(false);
    bump(&tally.dropped, rule.admission.borrow_mut().take_left());
    // Boxed, as it happens once: a task is as large as its largest future.
    Box::pin(member.retire()).await;
    tally.died();
}

/// Runs one iteration, and cuts it off at a deadline.
async fn iterate_until<M: Member>(
    member: &mut M,
    start: Start,
    deadline: Option<Instant>,
) -> crate::vu::End {
    let interrupt = member.interrupt();
    // One future for both cases: it is most of what a VU's task takes.
    let mut iteration = std::pin::pin!(member.iterate(start));
    let Some(deadline) = deadline else {
        return iteration.await;
    };
    tokio::select! {
        biased;
        end = &mut iteration => return end,
        () = tokio::time::sleep_until(deadline) => interrupt.stop(Stop::Cut),
    }
    let end = iteration.await;
    // The VU may be wanted again when the curve rises.
    interrupt.reset();
    end
}
