//! The admission rules of a closed scenario's VUs on one worker.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Instant;
use crate::executor::Admission;
use crate::plan::{Curve, Executor, Share};

/// The rules of a closed scenario.
pub(super) struct Rules {
    executor: Executor,
    share: Share,
    began: Instant,
    pub(super) end: Instant,
    pot: Rc<Cell<u64>>,
}

impl Rules {
    pub(super) fn new(
        executor: &Executor,
        share: Share,
        began: Instant,
        pot: &Rc<Cell<u64>>,
    ) -> Self {
        let end = began + executor.duration_max();
        Self { executor: executor.clone(), share, began, end, pot: Rc::clone(pot) }
    }

    /// Returns the rule of this worker's VU number `n`.
    pub(super) fn of(&self, n: u64) -> Admission {
        let until = self.end;
        match &self.executor {
            Executor::SharedIterations { .. } => {
                Admission::Pot { left: Rc::clone(&self.pot), until }
            }
            Executor::PerVuIterations { iterations, .. } => {
                Admission::Times { left: *iterations, until }
            }
            Executor::RampingVus { curve, graceful_ramp_down } => Admission::Wanted {
                intervals: wanted(curve, self.share.nth(n), self.began),
                end: self.end,
                graceful: *graceful_ramp_down,
            },
            Executor::ConstantVus { .. } | Executor::ArrivalRate(_) => Admission::While { until },
        }
    }

    /// Returns the rule of VU number `n` of `vus` after a change: what it has done counts.
    pub(super) fn after(
        &self,
        before: &Executor,
        vus: u64,
        n: u64,
        now: Option<&Admission>,
    ) -> Admission {
        if n >= vus && !matches!(self.executor, Executor::RampingVus { .. }) {
            return Admission::While { until: self.began };
        }
        match (self.of(n), now, before) {
            (
                Admission::Times { left: all, until },
                Some(Admission::Times { left, .. }),
                Executor::PerVuIterations { iterations, .. },
            ) => Admission::Times { left: (all + left).saturating_sub(*iterations), until },
            (rule, _, _) => rule,
        }
    }
}

fn wanted(curve: &Curve, vu: u64, began: Instant) -> Vec<(Instant, Instant)> {
    let interval = |(from, until): (Duration, Duration)| (began + from, began + until);
    curve.wanted(vu).into_iter().map(interval).collect()
}
