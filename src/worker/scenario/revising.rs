//! A scenario's new options, taken over while it runs.

use std::cell::RefCell;
use std::rc::Rc;

use super::rules::Rules;
use super::{Part, context, vus_at_start};
use crate::clock::Instant;
use crate::executor::{ClosedTurn, OpenTurn};
use crate::plan::{ArrivalRate, Executor, Plan, Share, Spliced};
use crate::worker::Revision;

impl Part {
    /// Takes over what a revision says about it. A changed rate holds from the revision's moment on,
    /// which is the same for all workers; other changes hold at once.
    pub(in crate::worker) fn revise(&self, revision: &Revision) {
        let plan: &Plan = &revision.plan;
        let Some(new) = plan.scenarios.get(self.index) else { return };
        let rates = self.post.context.borrow().rates.clone();
        let context = context(&self.ground, plan, self.index, self.share, rates, &self.life);
        self.post.context.replace(Rc::new(context));
        self.post.function.borrow_mut().clone_from(&new.exec);
        let old = self.scenario.replace(new.clone());
        if revision.removed.contains(&self.index) {
            self.control.close();
        } else if old.executor != new.executor || old.graceful_stop != new.graceful_stop {
            self.reschedule(&old.executor, revision.at);
        }
    }

    /// Hands the schedule of its new options to the driver, or to what will start it.
    fn reschedule(&self, before: &Executor, at: Instant) {
        let Some(share) = self.share else { return };
        let scenario = self.scenario.borrow();
        let began = self.life.started.get();
        match (&scenario.executor, before) {
            (Executor::ArrivalRate(rate), _) => self.change_rate(rate, share, began, at),
            (
                Executor::SharedIterations { iterations, .. },
                Executor::SharedIterations { iterations: were, .. },
            ) => {
                let more = self.pot.get() + share.of(*iterations);
                self.pot.set(more.saturating_sub(share.of(*were)));
                self.change_rules(before, share, began);
            }
            _ => self.change_rules(before, share, began),
        }
    }

    fn change_rate(&self, rate: &ArrivalRate, share: Share, began: Option<Instant>, at: Instant) {
        let mut spliced = self.spliced.borrow_mut();
        let (Some(began), Some(spliced)) = (began, &mut *spliced) else {
            *spliced = Some(Spliced::new(rate.clone(), self.seed));
            return;
        };
        let after = at.saturating_duration_since(began);
        spliced.change(rate.clone(), after);
        self.open_turns.put(OpenTurn {
            at: after,
            arrivals: spliced.times(share),
            vus_max: share.of(rate.max_vus).max(1),
            on_overload: rate.on_overload,
            end: began + rate.curve.duration(),
            graceful_stop: self.scenario.borrow().graceful_stop,
        });
    }

    fn change_rules(&self, before: &Executor, share: Share, began: Option<Instant>) {
        // Before the start the rules are not made yet.
        let Some(began) = began else { return };
        let scenario = self.scenario.borrow();
        let rules = Rules::new(&scenario.executor, share, began, &self.pot);
        let vus = share.of(vus_at_start(&scenario.executor));
        let (before, end) = (before.clone(), rules.end);
        let maker = self.maker();
        self.closed_turns.put(ClosedTurn {
            vus,
            rule: Box::new(move |n, now| rules.after(&before, vus, n, now)),
            make: Box::new(maker),
            end,
            graceful_stop: scenario.graceful_stop,
        });
    }

    /// Makes VUs until there are as many as it starts with; lets those go that are too many.
    pub(super) async fn fit(&self, share: Share) {
        let make = self.maker();
        let wanted = || {
            let scenario = self.scenario.borrow();
            let exact = !scenario.executor.is_open();
            (share.of(vus_at_start(&scenario.executor)) as usize, exact)
        };
        while self.vus.borrow().len() < wanted().0 {
            let Some(vu) = make() else { return };
            let count = push(&self.vus, vu);
            if count.is_multiple_of(super::MADE_IN_A_ROW) {
                tokio::task::yield_now().await;
            }
        }
        while wanted().1 && self.vus.borrow().len() > wanted().0 {
            let surplus = self.vus.borrow_mut().pop();
            if let Some(vu) = surplus {
                vu.retire().await;
            }
        }
    }
}

fn push<T>(all: &RefCell<Vec<T>>, one: T) -> usize {
    let mut all = all.borrow_mut();
    all.push(one);
    all.len()
}
