//! When a VU of a closed scenario may start its next iteration.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::after;
use crate::clock::Instant;

/// The rule of one VU.
#[derive(Debug)]
pub enum Admission {
    /// `constant-vus`: until a time.
    While {
        /// The end.
        until: Instant,
    },
    /// `per-vu-iterations`: so many times.
    Times {
        /// How many are left.
        left: u64,
        /// The limit.
        until: Instant,
    },
    /// `shared-iterations`: as long as the pot of all VUs has some.
    Pot {
        /// How many are left.
        left: Rc<Cell<u64>>,
        /// The limit.
        until: Instant,
    },
    /// `ramping-vus`: while this VU is wanted.
    Wanted {
        /// When it is wanted, in order: from, until.
        intervals: Vec<(Instant, Instant)>,
        /// When the scenario ends by its plan; what runs then has the graceful stop.
        end: Instant,
        /// How long an iteration may go on after the end of an interval before.
        graceful: Duration,
    },
}

/// What a VU does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Starts an iteration, which is cut off at the time if one is given.
    Start(Option<Instant>),
    /// Waits.
    WaitUntil(Instant),
    /// Ends its life.
    Stop,
}

impl Admission {
    /// Decides what comes next; a start is taken from what is left.
    pub fn next(&mut self, now: Instant) -> Next {
        match self {
            Self::While { until } if now < *until => Next::Start(None),
            Self::Times { left, until } if *left > 0 && now < *until => {
                *left -= 1;
                Next::Start(None)
            }
            Self::Pot { left, until } if left.get() > 0 && now < *until => {
                left.set(left.get() - 1);
                Next::Start(None)
            }
            Self::Wanted { intervals, end, graceful } => {
                intervals.retain(|(_, until)| now < *until);
                match intervals.first() {
                    Some((from, _)) if *from <= now => {
                        Next::Start(deadline(intervals, *end, *graceful))
                    }
                    Some((from, _)) => Next::WaitUntil(*from),
                    // The scenario lasts as long as its curve, be its last stages at 0.
                    None if now < *end => Next::WaitUntil(*end),
                    None => Next::Stop,
                }
            }
            _ => Next::Stop,
        }
    }

    /// Returns whether no iteration starts by this rule any more.
    pub fn is_over(&self, now: Instant) -> bool {
        match self {
            Self::While { until } => now >= *until,
            Self::Times { left, until } => *left == 0 || now >= *until,
            Self::Pot { left, until } => left.get() == 0 || now >= *until,
            Self::Wanted { intervals, .. } => intervals.iter().all(|(_, until)| now >= *until),
        }
    }

    /// Takes what the VU will not do any more, to be counted as dropped.
    pub fn take_left(&mut self) -> u64 {
        match self {
            Self::Times { left, .. } => std::mem::take(left),
            Self::Pot { left, .. } => left.take(),
            Self::While { .. } | Self::Wanted { .. } => 0,
        }
    }
}

/// Returns when an iteration that starts in the first interval is cut off: where the VU is wanted
/// again before that, the iteration goes on.
fn deadline(intervals: &[(Instant, Instant)], end: Instant, graceful: Duration) -> Option<Instant> {
    let mut deadline = None;
    for (from, until) in intervals {
        if deadline.is_some_and(|deadline| deadline < *from) {
            break;
        }
        if *until >= end {
            return None;
        }
        deadline = Some(after(*until, graceful));
    }
    deadline
}
