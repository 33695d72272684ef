//! The closed driver: each VU starts its next iteration when the last has ended.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::admission::Next;
use super::{Admission, Control, Member, Tally, Tasks, after, bump};
use crate::api::Stop;
use crate::clock::{self, Instant};
use crate::plan::Share;
use crate::vu::Start;

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
}

/// Runs a closed scenario to its end, or until `control` closes it.
///
/// What was promised (a number of iterations) and not started by the end counts as dropped.
/// The future must not be dropped: stop it by `control`.
pub async fn closed<M: Member>(plan: Closed<M>, control: &Rc<Control>, tally: &Rc<Tally>) {
    let numbers = Rc::new(Numbers { share: plan.share, next: Cell::new(0) });
    let mut tasks = Tasks::new();
    for (member, admission) in plan.members {
        tally.born();
        let interrupt = member.interrupt();
        let (control, tally) = (Rc::clone(control), Rc::clone(tally));
        tasks.spawn(interrupt, live(member, admission, Rc::clone(&numbers), control, tally));
    }
    tokio::select! {
        biased;
        () = tasks.ended() => return,
        () = control.closed() => {}
        () = tokio::time::sleep_until(plan.end) => {}
    }
    let until = after(clock::now(), plan.graceful_stop);
    tasks.finish(control, until).await;
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
    mut admission: Admission,
    numbers: Rc<Numbers>,
    control: Rc<Control>,
    tally: Rc<Tally>,
) {
    while !control.is_closed() {
        match admission.next(clock::now()) {
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
                    () = tokio::time::sleep_until(time) => {}
                }
            }
            Next::Stop => break,
        }
    }
    bump(&tally.dropped, admission.take_left());
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
