//! Arrivals of a scenario whose rate was changed while it ran.

use std::time::Duration;

use super::{ArrivalRate, ArrivalTimes, Arrivals, Share};

/// A rate that holds from some time of the scenario on, with the numbers that its arrivals have.
///
/// What is due before the change belongs to the rate before it, what is due at the change or later
/// to the new one, as if it had held since the start. So nothing is due twice or never, and numbers
/// go on without a gap; every worker comes to the same, given the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct Spliced {
    rate: ArrivalRate,
    /// When the rate begins to hold.
    from: Duration,
    /// The number of the first arrival from then on.
    first: u64,
    /// The seed of the scenario.
    seed: u64,
}

impl Spliced {
    /// Returns a rate that holds from the start.
    pub fn new(rate: ArrivalRate, seed: u64) -> Self {
        Self { rate, from: Duration::ZERO, first: 0, seed }
    }

    /// Returns the rate that holds now.
    pub fn rate(&self) -> &ArrivalRate {
        &self.rate
    }

    /// Lets another rate hold from a time on, which is not before the last change.
    pub fn change(&mut self, rate: ArrivalRate, at: Duration) {
        let at = at.max(self.from);
        self.first = self.arrivals_before(at);
        self.from = at;
        self.rate = rate;
    }

    /// Returns the arrivals of one share since the last change.
    pub fn times(&self, share: Share) -> SplicedTimes {
        let skipped = due_before(&self.rate, self.from, self.seed);
        let mut times = self.rate.times(share, self.seed);
        if let Some(last) = share.of(skipped).checked_sub(1) {
            times.nth(last as usize);
        }
        SplicedTimes { times, skipped, first: self.first }
    }

    /// Returns how many arrivals of the whole were due before a time, which is not before the last
    /// change, over all changes.
    pub fn arrivals_before(&self, time: Duration) -> u64 {
        let skipped = due_before(&self.rate, self.from, self.seed);
        self.first + due_before(&self.rate, time, self.seed).saturating_sub(skipped)
    }
}

/// Returns how many arrivals of the whole are due before a time.
fn due_before(rate: &ArrivalRate, time: Duration, seed: u64) -> u64 {
    let whole = |from: u64| {
        let mut times = rate.curve.due_times(Share::WHOLE);
        times.nth(usize::try_from(from).ok()?).map(|(_, due)| due)
    };
    match rate.arrivals {
        Arrivals::Poisson => {
            let times = rate.times(Share::WHOLE, seed);
            times.take_while(|(_, due)| *due < time).count() as u64
        }
        Arrivals::Uniform => {
            // The integral tells it but for rounding; what counts is when arrivals are due.
            let mut count = rate.curve.arrivals_before(time);
            while count > 0 && whole(count - 1).is_none_or(|due| due >= time) {
                count -= 1;
            }
            while whole(count).is_some_and(|due| due < time) {
                count += 1;
            }
            count
        }
    }
}

/// The arrivals of one share from a change on: the number of each in the whole, and its due time.
#[derive(Debug, Clone)]
pub struct SplicedTimes {
    times: ArrivalTimes,
    /// How many arrivals of the whole lie before the change.
    skipped: u64,
    /// The number that the first one after it has.
    first: u64,
}

impl Iterator for SplicedTimes {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        self.times.next().map(|(n, due)| (n - self.skipped + self.first, due))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Curve, OnOverload, Stage};

    fn rate(start: f64, stages: &[(f64, f64)], arrivals: Arrivals) -> ArrivalRate {
        let stage = |&(seconds, target): &(f64, f64)| Stage {
            duration: Duration::from_secs_f64(seconds),
            target,
        };
        ArrivalRate {
            constant: false,
            curve: Curve { start, stages: stages.iter().map(stage).collect() },
            time_unit: Duration::from_secs(1),
            pre_allocated_vus: 1,
            max_vus: 10,
            arrivals,
            on_overload: OnOverload::Queue,
        }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Returns what a worker starts: each rate's arrivals up to the next change.
    fn started(
        rates: &[(f64, ArrivalRate)],
        share: Share,
        seed: u64,
    ) -> (Vec<(u64, Duration)>, Spliced) {
        let mut spliced = Spliced::new(rates[0].1.clone(), seed);
        let mut all = Vec::new();
        for (index, (at, rate)) in rates.iter().enumerate() {
            if index > 0 {
                spliced.change(rate.clone(), seconds(*at));
            }
            let next = rates.get(index + 1).map_or(Duration::MAX, |(at, _)| seconds(*at));
            all.extend(spliced.times(share).take_while(|(_, due)| *due < next));
        }
        (all, spliced)
    }

    #[test]
    fn a_new_rate_goes_on_where_it_would_be() {
        let slow = rate(10.0, &[(10.0, 10.0)], Arrivals::Uniform);
        let fast = rate(20.0, &[(5.0, 20.0)], Arrivals::Uniform);
        let (all, spliced) = started(&[(0.0, slow), (2.0, fast)], Share::WHOLE, 0);
        assert_eq!(all.len(), 20 + 60);
        assert_eq!(all[19], (19, seconds(1.9)));
        assert_eq!(all[20], (20, seconds(2.0)));
        assert_eq!(all[21], (21, seconds(2.05)));
        assert_eq!(spliced.arrivals_before(seconds(3.0)), 40);
        assert_eq!(spliced.arrivals_before(seconds(99.0)), 80);
    }

    #[test]
    fn a_rate_whose_time_is_over_has_no_arrivals_left() {
        let long = rate(10.0, &[(10.0, 10.0)], Arrivals::Uniform);
        let short = rate(10.0, &[(1.0, 10.0)], Arrivals::Uniform);
        let (all, _) = started(&[(0.0, long), (2.5, short)], Share::WHOLE, 0);
        assert_eq!(all.len(), 25);
    }

    proptest! {
        #[test]
        fn workers_start_each_number_once_in_the_order_of_due_times(
            first in 0.0..60.0_f64, second in 0.0..60.0_f64, third in 0.0..60.0_f64,
            at in 0.0..4.0_f64, later in 0.0..4.0_f64, workers in 1..5_u64, seed: u64,
            poisson: bool,
        ) {
            let kind = if poisson { Arrivals::Poisson } else { Arrivals::Uniform };
            let rates = [
                (0.0, rate(first, &[(6.0, second)], kind)),
                (at, rate(second, &[(5.0, third)], kind)),
                (at + later, rate(third, &[(3.0, first), (7.0, second)], kind)),
            ];
            let mut all: Vec<(u64, Duration)> = (0..workers)
                .flat_map(|index| started(&rates, Share { index, count: workers }, seed).0)
                .collect();
            all.sort_unstable();
            let numbers: Vec<u64> = all.iter().map(|(n, _)| *n).collect();
            prop_assert_eq!(numbers, (0..all.len() as u64).collect::<Vec<_>>());
            prop_assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].1));
            let (whole, spliced) = started(&rates, Share::WHOLE, seed);
            prop_assert_eq!(spliced.arrivals_before(Duration::from_secs(100)), all.len() as u64);
            prop_assert_eq!(whole, all);
        }
    }
}
