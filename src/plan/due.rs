//! Due times: the inverse of a rate's integral, walked in order, a share at a time.

use std::time::Duration;

use rand::SeedableRng as _;
use rand_distr::{Distribution as _, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Curve, Share};

/// Returns the nearest whole number if the area differs from it by rounding alone: by no more than
/// a billionth of itself, and never by more than a thousandth.
pub(super) fn whole_if_near(area: f64) -> f64 {
    let whole = area.round();
    let tolerance = (area.abs() * 1e-9).min(1e-3);
    if (area - whole).abs() <= tolerance { whole } else { area }
}

/// A place on a curve from which the times of growing areas are found.
#[derive(Debug, Clone)]
struct Cursor {
    curve: Curve,
    /// The index of the stage.
    index: usize,
    /// The time at which the stage begins.
    begin: Duration,
    /// The rate at which it begins.
    from: f64,
    /// The area before the stage, as summed.
    before: f64,
    /// The area up to the stage's end, as summed.
    after: f64,
}

impl Cursor {
    fn new(curve: Curve) -> Self {
        let from = curve.start;
        let after = curve.stages.first().map_or(0.0, |stage| stage.area(from));
        Self { curve, index: 0, begin: Duration::ZERO, from, before: 0.0, after }
    }

    /// Returns when the integral begins to exceed `area`, or nothing if it never does; areas must
    /// not shrink from call to call.
    ///
    /// Within a stage that begins at rate f and has slope s, the area m is reached after x where
    /// `f·x + s·x²/2 = m`. Of the two forms of the root, `x = 2m / (f + sqrt(f² + 2sm))` has no
    /// division by s, so equal and nearly equal rates need no case of their own.
    fn reach(&mut self, area: f64) -> Option<Duration> {
        while area >= whole_if_near(self.after) {
            self.next_stage()?;
        }
        let stage = self.curve.stages.get(self.index)?;
        let m = area - whole_if_near(self.before);
        if m <= 0.0 {
            return Some(self.begin);
        }
        let slope = (stage.target - self.from) / stage.duration.as_secs_f64();
        // Rounding may push the discriminant of a ramp to 0 below it, and the time to the end.
        let root = (self.from * self.from + 2.0 * slope * m).max(0.0).sqrt();
        let after_begin = Duration::from_secs_f64(2.0 * m / (self.from + root));
        let last = stage.duration.saturating_sub(Duration::from_nanos(1));
        Some(self.begin + after_begin.min(last))
    }

    fn next_stage(&mut self) -> Option<()> {
        let stage = self.curve.stages.get(self.index)?;
        self.begin += stage.duration;
        self.from = stage.target;
        self.before = self.after;
        self.index += 1;
        self.after += self.curve.stages.get(self.index)?.area(self.from);
        Some(())
    }
}

/// The evenly spread arrivals of one share: the number of each in the whole, and its due time.
#[derive(Debug, Clone)]
pub struct DueTimes {
    cursor: Cursor,
    share: Share,
    /// How many of the share have been yielded.
    yielded: u64,
    /// How many there are in the share.
    total: u64,
}

impl DueTimes {
    pub(super) fn new(curve: Curve, share: Share) -> Self {
        let total = share.of(curve.arrivals());
        Self { cursor: Cursor::new(curve), share, yielded: 0, total }
    }
}

impl Iterator for DueTimes {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        if self.yielded >= self.total {
            return None;
        }
        let n = self.share.nth(self.yielded);
        self.yielded += 1;
        self.cursor.reach(n as f64).map(|due| (n, due))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.total - self.yielded) as usize;
        (left, Some(left))
    }

    fn nth(&mut self, skipped: usize) -> Option<Self::Item> {
        self.yielded = self.yielded.saturating_add(skipped as u64).min(self.total);
        self.next()
    }
}

impl ExactSizeIterator for DueTimes {}

/// The arrivals of one share of a Poisson process: the number of each in the whole, and its due
/// time.
///
/// A process of rate 1 (gaps drawn from the exponential distribution of mean 1) is mapped through
/// the inverse of the rate's integral, which gives the process of that rate. Every share draws the
/// whole sequence from the same seed and yields its own numbers, so nobody has to talk.
#[derive(Debug, Clone)]
pub struct PoissonTimes {
    cursor: Cursor,
    share: Share,
    random: Xoshiro256PlusPlus,
    /// The area at which the last drawn arrival lies.
    area: f64,
    /// The number of the next arrival to draw.
    n: u64,
}

impl PoissonTimes {
    pub(super) fn new(curve: Curve, share: Share, seed: u64) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { cursor: Cursor::new(curve), share, random, area: 0.0, n: 0 }
    }
}

impl Iterator for PoissonTimes {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let gap: f64 = Exp1.sample(&mut self.random);
            self.area += gap;
            let n = self.n;
            self.n += 1;
            if self.share.has(n) {
                return self.cursor.reach(self.area).map(|due| (n, due));
            }
        }
    }
}

/// The arrivals of one share, however they are spread.
#[derive(Debug, Clone)]
pub enum ArrivalTimes {
    /// Evenly.
    Uniform(DueTimes),
    /// With exponential gaps.
    Poisson(PoissonTimes),
}

impl Iterator for ArrivalTimes {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Uniform(times) => times.next(),
            Self::Poisson(times) => times.next(),
        }
    }

    fn nth(&mut self, skipped: usize) -> Option<Self::Item> {
        match self {
            Self::Uniform(times) => times.nth(skipped),
            Self::Poisson(times) => times.nth(skipped),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::Stage;

    fn curve(start: f64, stages: &[(f64, f64)]) -> Curve {
        let stages = stages
            .iter()
            .map(|&(duration, target)| Stage {
                duration: Duration::from_secs_f64(duration),
                target,
            })
            .collect();
        Curve { start, stages }
    }

    fn whole(curve: &Curve) -> Vec<(u64, Duration)> {
        curve.due_times(Share::WHOLE).collect()
    }

    fn count(rate: f64, seconds: f64) -> usize {
        let curve = Curve::constant(rate, Duration::from_secs_f64(seconds));
        let times = whole(&curve);
        assert_eq!(times.len() as u64, curve.arrivals(), "{rate}/s for {seconds} s");
        times.len()
    }

    #[test]
    fn flat_rates_give_exactly_rate_times_duration() {
        assert_eq!(count(50.0, 30.0), 1_500);
        assert_eq!(count(100.0 / 3.0, 3.0), 100);
        assert_eq!(count(1.0 / 3.0, 3.0), 1);
        assert_eq!(count(0.1, 30.0), 3);
        assert_eq!(count(50.0 / 60.0, 60.0), 50);
        assert_eq!(count(1_000.0 / 7.0, 0.7), 100);
        assert_eq!(count(0.5, 3.0), 2);
        assert_eq!(count(0.0, 3.0), 0);
    }

    #[test]
    fn flat_rates_are_evenly_spread_from_0() {
        let curve = Curve::constant(100.0, Duration::from_secs(1));
        for (n, due) in whole(&curve) {
            assert_eq!(due, Duration::from_millis(10 * n));
        }
    }

    #[test]
    fn the_first_arrival_is_due_where_the_rate_rises_above_0() {
        let delayed = curve(0.0, &[(5.0, 0.0), (10.0, 10.0)]);
        assert_eq!(whole(&delayed)[0], (0, Duration::from_secs(5)));
        let ramp = curve(0.0, &[(10.0, 10.0)]);
        assert_eq!(whole(&ramp)[0], (0, Duration::ZERO));
        // The integral t²/2 reaches 2 after 2 s.
        assert_eq!(whole(&ramp)[2], (2, Duration::from_secs(2)));
    }

    #[test]
    fn a_pause_holds_back_the_arrival_that_opens_the_next_stage() {
        let paused = curve(10.0, &[(1.0, 10.0), (0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (1.0, 10.0)]);
        let times = whole(&paused);
        assert_eq!(times.len(), 20);
        assert_eq!(times[9].1, Duration::from_millis(900));
        assert_eq!(times[10].1, Duration::from_secs(11));
    }

    #[test]
    fn a_trapezium_has_its_area() {
        let trapezium = curve(0.0, &[(60.0, 100.0), (30.0, 100.0), (60.0, 0.0)]);
        let times = whole(&trapezium);
        assert_eq!(times.len(), 9_000);
        assert!(times.is_sorted());
        assert!(times[8_999].1 < Duration::from_secs(150));
    }

    #[test]
    fn nearly_equal_rates_are_as_exact_as_equal_ones() {
        let hour = 3_600.0;
        let times = whole(&curve(10.0, &[(hour, 10.000_000_001)]));
        assert_eq!(times.len(), 36_000);
        for (n, due) in times {
            // f·x + s·x²/2 = n: the second term is at most 1.8e-6.
            let exact = n as f64 / 10.0 - (1e-9 / hour) * (n as f64 / 10.0).powi(2) / 20.0;
            assert!((due.as_secs_f64() - exact).abs() < 2e-9, "arrival {n} at {due:?}");
        }
    }

    #[test]
    fn a_far_arrival_is_reached_without_walking() {
        let mut times =
            Curve::constant(1e6, Duration::from_secs(1_000_000)).due_times(Share::WHOLE);
        assert_eq!(times.len(), 1_000_000_000_000);
        let expected = (999_999_999_999, Duration::from_micros(999_999_999_999));
        assert_eq!(times.nth(999_999_999_999), Some(expected));
        assert_eq!(times.next(), None);
    }

    #[test]
    fn a_poisson_process_has_the_mean_and_the_spread_of_exponential_gaps() {
        let curve = Curve::constant(1_000.0, Duration::from_secs(100));
        let times: Vec<f64> =
            curve.poisson_times(Share::WHOLE, 7).map(|(_, due)| due.as_secs_f64()).collect();
        // Five standard deviations of the count (sqrt of 100,000).
        assert!((times.len() as f64 - 100_000.0).abs() < 5.0 * 316.3);
        let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        // Kolmogorov-Smirnov against 1 - exp(-1000 x); 1.95 / sqrt(n) is the limit for p = 0.001.
        let n = gaps.len() as f64;
        let distance = gaps
            .iter()
            .enumerate()
            .map(|(index, gap)| (1.0 - (-1_000.0 * gap).exp() - (index as f64 + 0.5) / n).abs())
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{distance}");
    }

    #[test]
    fn a_poisson_process_follows_the_rate() {
        let ramp = curve(0.0, &[(100.0, 1_000.0)]);
        let times: Vec<Duration> =
            ramp.poisson_times(Share::WHOLE, 1).map(|(_, due)| due).collect();
        let early = times.iter().filter(|due| **due < Duration::from_secs(50)).count();
        let expected = 12_500.0_f64;
        assert!((early as f64 - expected).abs() < 5.0 * expected.sqrt());
        assert!((times.len() as f64 - 50_000.0).abs() < 5.0 * 50_000_f64.sqrt());
    }

    #[test]
    fn the_seed_decides_a_poisson_process() {
        let curve = Curve::constant(10.0, Duration::from_secs(10));
        let times = |seed| curve.poisson_times(Share::WHOLE, seed).collect::<Vec<_>>();
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }

    fn any_curve() -> impl Strategy<Value = Curve> {
        let number = || prop_oneof![Just(0.0), (0..40_u32).prop_map(f64::from), 0.0..40.0_f64];
        let seconds = || prop_oneof![Just(0.0), (0..8_u32).prop_map(f64::from), 0.0..8.0_f64];
        (number(), prop::collection::vec((seconds(), number()), 0..7))
            .prop_map(|(start, stages)| curve(start, &stages))
    }

    proptest! {
        #[test]
        fn due_times_are_sorted_and_before_the_end(curve in any_curve()) {
            let times = whole(&curve);
            prop_assert!(times.windows(2).all(|pair| pair[0].1 < pair[1].1));
            prop_assert!(times.iter().all(|(_, due)| *due < curve.duration()));
        }

        #[test]
        fn due_times_are_as_many_as_the_area(curve in any_curve()) {
            prop_assert_eq!(whole(&curve).len() as u64, curve.arrivals());
            prop_assert_eq!(curve.arrivals_before(curve.duration()), curve.arrivals());
        }

        #[test]
        fn each_arrival_is_due_where_the_integral_reaches_its_number(curve in any_curve()) {
            for (n, due) in whole(&curve) {
                // Due times are rounded to nanoseconds.
                let near = Duration::from_nanos(100);
                prop_assert!(curve.arrivals_before(due.saturating_sub(near)) <= n);
                prop_assert!(curve.arrivals_before(due + Duration::from_millis(500)) > n
                    || curve.at(due) < 1.0);
            }
        }

        #[test]
        fn shares_merge_to_the_whole(curve in any_curve(), workers in 1..9_u64) {
            let mut merged: Vec<_> = (0..workers)
                .flat_map(|index| curve.due_times(Share { index, count: workers }))
                .collect();
            merged.sort_unstable();
            prop_assert_eq!(merged, whole(&curve));
        }

        #[test]
        fn poisson_shares_merge_to_the_whole(
            curve in any_curve(), workers in 1..9_u64, seed: u64,
        ) {
            let mut merged: Vec<_> = (0..workers)
                .flat_map(|index| curve.poisson_times(Share { index, count: workers }, seed))
                .collect();
            merged.sort_unstable();
            let whole: Vec<_> = curve.poisson_times(Share::WHOLE, seed).collect();
            prop_assert!(whole.iter().all(|(_, due)| *due < curve.duration()));
            prop_assert_eq!(merged, whole);
        }

        #[test]
        fn skipping_equals_walking(curve in any_curve(), skipped in 0..200_usize) {
            let share = Share { index: 1, count: 3 };
            let mut jumped = curve.due_times(share);
            let expected = curve.due_times(share).collect::<Vec<_>>().get(skipped).copied();
            prop_assert_eq!(jumped.nth(skipped), expected);
        }

        #[test]
        fn whole_products_are_exact_however_they_are_written(
            arrivals in 1..1_000_000_u64, milliseconds in 1..10_000_000_u64,
        ) {
            let duration = Duration::from_millis(milliseconds);
            let rate = arrivals as f64 / duration.as_secs_f64();
            prop_assert_eq!(Curve::constant(rate, duration).arrivals(), arrivals);
            // As a ramp from 0 the same area needs twice the rate.
            let ramp = Curve { start: 0.0, stages: vec![Stage { duration, target: 2.0 * rate }] };
            prop_assert_eq!(ramp.arrivals(), arrivals);
        }

        #[test]
        fn a_stage_cut_in_pieces_keeps_its_due_times(
            from in 0..50_u32, to in 1..50_u32, pieces in 1..20_u32,
        ) {
            let (from, to) = (f64::from(from), f64::from(to));
            let one = curve(from, &[(20.0, to)]);
            let cut: Vec<_> = (1..=pieces)
                .map(|k| {
                    let part = f64::from(k) / f64::from(pieces);
                    (20.0 / f64::from(pieces), from + (to - from) * part)
                })
                .collect();
            let cut = curve(from, &cut);
            let (one, cut) = (whole(&one), whole(&cut));
            prop_assert_eq!(one.len(), cut.len());
            for (a, b) in one.iter().zip(&cut) {
                prop_assert!(a.1.abs_diff(b.1) < Duration::from_micros(20), "{:?} {:?}", a, b);
            }
        }
    }
}
