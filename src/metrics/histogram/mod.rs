//! A distribution whose parts add up to the whole bit for bit.

use std::time::Duration;

pub use self::codec::HistogramError;

use self::buckets::{Buckets, highest_of, index_of, lowest_of};

mod buckets;
mod codec;

/// Ticks per millisecond of a time, and per one of any other number.
const TICKS: f64 = 1000.0;

/// Which values a histogram holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Times in ticks of a microsecond, up to an hour.
    Time,
    /// Other numbers in ticks of a thousandth, up to 2^53 ticks.
    Number,
}

impl Range {
    /// Returns the range's edge in ticks; values from there on are kept at the edge.
    pub const fn edge(self) -> u64 {
        match self {
            Self::Time => 3_600_000_000,
            Self::Number => 1 << 53,
        }
    }
}

/// A distribution in HdrHistogram's layout at three significant digits.
///
/// Values are in **ticks**: microseconds for times, thousandths for other numbers, so that a
/// thousand ticks are one unit of the interface (1 ms, or 1) either way; see
/// [`Histogram::to_unit`]. Count, sum, least and greatest value are exact. An empty one, and one
/// that holds only zeros, takes no memory beside itself.
#[derive(Debug, Clone)]
pub struct Histogram {
    range: Range,
    count: u64,
    zeros: u64,
    beyond: u64,
    min: u64,
    max: u64,
    sum: u128,
    /// Without the zeros.
    buckets: Buckets,
}

impl Histogram {
    /// Returns an empty histogram.
    pub const fn new(range: Range) -> Self {
        Self {
            range,
            count: 0,
            zeros: 0,
            beyond: 0,
            min: u64::MAX,
            max: 0,
            sum: 0,
            buckets: Buckets::new(),
        }
    }

    /// Records a value in ticks. From the range's edge on it is kept at the edge and counted as
    /// beyond.
    #[inline]
    pub fn record(&mut self, ticks: u64) {
        let value = ticks.min(self.range.edge());
        self.beyond += u64::from(value == self.range.edge());
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0 {
            self.zeros += 1;
        } else {
            self.buckets.increment(index_of(value));
        }
    }

    /// Records values in ticks, at most 2^32 of them below 2^32: cheaper than one by one, above all
    /// where they are 0.
    pub(super) fn record_all(&mut self, ticks: impl ExactSizeIterator<Item = u64> + Clone) {
        let edge = self.range.edge();
        self.count += ticks.len() as u64;
        let values = ticks.map(|value| value.min(edge));
        let (mut sum, mut zeros, mut min, mut max) = (0, 0, self.min, self.max);
        for value in values.clone() {
            sum += value;
            zeros += u64::from(value == 0);
            min = min.min(value);
            max = max.max(value);
        }
        (self.min, self.max) = (min, max);
        self.sum += u128::from(sum);
        self.zeros += zeros;
        if max == 0 {
            return;
        }
        for value in values.filter(|&value| value > 0) {
            self.beyond += u64::from(value == edge);
            self.buckets.increment(index_of(value));
        }
    }

    /// Records a number in the interface's unit: milliseconds of a time, or the number itself,
    /// rounded to ticks. A negative one is kept at 0 and counted as beyond; NaN is not recorded.
    pub fn record_unit(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.beyond += u64::from(value < 0.0);
        // The cast saturates: what is negative becomes 0, what is too great passes the edge.
        self.record((value * TICKS).round() as u64);
    }

    /// Records a time, rounded to whole microseconds.
    pub fn record_duration(&mut self, value: Duration) {
        self.record(ticks_of(value));
    }

    /// Adds all samples of another histogram. The order of additions does not matter.
    ///
    /// # Panics
    /// If the ranges differ.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.range, other.range, "only histograms of one range add up");
        self.count += other.count;
        self.zeros += other.zeros;
        self.beyond += other.beyond;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.buckets.add_all(&other.buckets);
    }

    /// Removes all samples.
    pub(super) fn clear(&mut self) {
        let mut buckets = std::mem::replace(&mut self.buckets, Buckets::new());
        buckets.clear();
        *self = Self { buckets, ..Self::new(self.range) };
    }

    /// Adds a bucket of a histogram whose samples are no longer known, at the bucket's middle.
    fn add_bucket(&mut self, lowest: u64, count: u64) {
        let index = index_of(lowest);
        let highest = highest_of(index).min(self.range.edge());
        self.count += count;
        self.sum += u128::from(lowest.midpoint(highest)) * u128::from(count);
        self.min = self.min.min(lowest);
        self.max = self.max.max(highest);
        if lowest == 0 {
            self.zeros += count;
        } else {
            self.buckets.add(index, count);
        }
    }

    /// Returns which values this holds.
    pub fn range(&self) -> Range {
        self.range
    }

    /// Returns the number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns how many samples lay outside the range.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Returns the sum of the samples in ticks, those beyond as they are kept.
    pub fn sum(&self) -> f64 {
        self.sum as f64
    }

    /// Returns the mean in ticks, 0 without samples.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum() / self.count as f64 }
    }

    /// Returns the least sample in ticks, 0 without samples.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// Returns the greatest sample in ticks, 0 without samples.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Returns the value in ticks at or below which the share `q` of the samples lies, as
    /// HdrHistogram's `value_at_quantile` does: the highest value of the bucket of rank
    /// ⌈q · count⌉, the lowest of the first for 0; 0 without samples.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = ((q.min(1.0) * self.count as f64).ceil() as u64).max(1);
        let index = self.index_at(rank);
        if q == 0.0 { lowest_of(index) } else { highest_of(index) }
    }

    /// Returns the `p`-th percentile in ticks, never below the least nor above the greatest sample.
    ///
    /// The rank is ⌈p · count / 100⌉ with `p` one float lower, as in HdrHistogram's Java original:
    /// otherwise 99.9 % of 1000 samples would round up to rank 1000.
    pub fn percentile(&self, p: f64) -> u64 {
        if p <= 0.0 {
            // The least sample is known exactly; its bucket may reach above it.
            return self.min();
        }
        let rank = (p.clamp(0.0, 100.0).next_down() * self.count as f64 / 100.0).ceil() as u64;
        highest_of(self.index_at(rank.max(1))).clamp(self.min(), self.max)
    }

    /// Returns the buckets that are not empty, in order: their least value in ticks, and the count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.indices().map(|(index, count)| (lowest_of(index), count))
    }

    /// Returns a number of ticks in the interface's unit: milliseconds, or the number itself.
    pub fn to_unit(ticks: f64) -> f64 {
        ticks / TICKS
    }

    fn indices(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let zeros = (self.zeros > 0).then_some((0, self.zeros));
        zeros.into_iter().chain(self.buckets.iter())
    }

    fn index_at(&self, rank: u64) -> u32 {
        let mut below = 0;
        for (index, count) in self.indices() {
            below += count;
            if below >= rank {
                return index;
            }
        }
        0
    }
}

/// Equal if all figures are, however they are kept.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let figures = |h: &Self| (h.range, h.count, h.beyond, h.min, h.max, h.sum);
        figures(self) == figures(other) && self.indices().eq(other.indices())
    }
}

/// Returns a time in whole microseconds, rounded to nearest.
fn ticks_of(value: Duration) -> u64 {
    let whole = value.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from((value.subsec_nanos() + 500) / 1000))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn histogram(range: Range, values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new(range);
        for &value in values {
            histogram.record(value);
        }
        histogram
    }

    /// Few and many, equal and different, small and great values.
    fn samples() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![Just(0), 0..3000u64, 0..5_000_000u64, 0..3_700_000_000u64];
        vec(value, 1..600)
    }

    #[test]
    fn the_lowest_percentile_is_the_least_sample_where_buckets_are_wider_than_one() {
        let ours = histogram(Range::Number, &[2442, 2460]);
        assert_eq!(ours.percentile(0.0), 2442);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn quantiles_equal_those_of_hdrhistogram(
            values in samples(),
            qs in vec(0.0..=1.0f64, 5),
            number in any::<bool>(),
        ) {
            let range = if number { Range::Number } else { Range::Time };
            let values: Vec<u64> =
                values.into_iter().map(|value| if number { value << 20 } else { value }).collect();
            let ours = histogram(range, &values);
            let edge = range.edge();
            let mut oracle = hdrhistogram::Histogram::<u64>::new_with_bounds(1, edge, 3).unwrap();
            for &value in &values {
                oracle.record(value.min(edge)).unwrap();
            }
            for q in qs.into_iter().chain([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0, 1.5]) {
                prop_assert_eq!(ours.quantile(q), oracle.value_at_quantile(q));
            }
            prop_assert_eq!(&ours.to_hdr(), &oracle);
        }

        #[test]
        fn percentiles_are_within_a_thousandth_of_the_exact_ones(
            mut values in samples(),
            ps in vec(0.0..=100.0f64, 20),
        ) {
            let ours = histogram(Range::Number, &values);
            values.sort_unstable();
            for p in ps.into_iter().chain([0.0, 50.0, 95.0, 99.9, 100.0]) {
                let rank = ((p.next_down() * values.len() as f64 / 100.0).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                prop_assert!((ours.percentile(p) as f64 - exact).abs() <= exact / 1000.0);
            }
            prop_assert_eq!(ours.min(), values[0]);
            prop_assert_eq!(ours.max(), values[values.len() - 1]);
            prop_assert_eq!(ours.sum(), values.iter().sum::<u64>() as f64);
            prop_assert_eq!(ours.percentile(0.0), ours.min());
            prop_assert_eq!(ours.percentile(100.0), ours.max());
        }

        #[test]
        fn parts_added_in_any_order_equal_the_whole(values in samples(), parts in 1..9usize) {
            let mut shards = vec![Histogram::new(Range::Time); parts];
            for (at, &value) in values.iter().enumerate() {
                shards[at % parts].record(value);
            }
            let mut forward = Histogram::new(Range::Time);
            let mut backward = Histogram::new(Range::Time);
            for shard in &shards {
                forward.add(shard);
            }
            for shard in shards.iter().rev() {
                backward.add(shard);
            }
            let whole = histogram(Range::Time, &values);
            prop_assert_eq!(&forward, &whole);
            prop_assert_eq!(&backward, &whole);
            prop_assert_eq!(forward.encode(), whole.encode());
        }
    }

    #[test]
    fn six_stalls_in_a_hundred_and_two_are_the_95th_percentile() {
        let mut values = vec![7_000; 96];
        values.extend([1_502_000; 6]);
        let stalled = histogram(Range::Time, &values);
        for ticks in [stalled.percentile(95.0), stalled.quantile(0.95)] {
            assert!((Histogram::to_unit(ticks as f64) / 1502.0 - 1.0).abs() < 0.001);
        }
        assert_eq!(stalled.percentile(94.0), 7_003.min(stalled.quantile(0.94)));
    }

    #[test]
    fn a_percentile_that_falls_on_a_rank_is_not_rounded_past_it() {
        let values: Vec<u64> = (1..=1000).collect();
        let thousand = histogram(Range::Time, &values);
        assert_eq!(thousand.percentile(99.9), 999);
        assert_eq!(thousand.percentile(50.0), 500);
        assert_eq!(thousand.percentile(100.0), 1000);
    }

    #[test]
    fn values_beyond_the_range_are_kept_at_its_edge_and_counted() {
        let mut times = Histogram::new(Range::Time);
        times.record_duration(Duration::from_micros(3_599_999_999));
        assert_eq!(times.beyond(), 0);
        times.record_duration(Duration::from_hours(1));
        times.record_duration(Duration::MAX);
        times.record_unit(-0.5);
        times.record_unit(f64::NAN);
        assert_eq!((times.count(), times.beyond()), (4, 3));
        assert_eq!((times.min(), times.max()), (0, 3_600_000_000));

        let mut numbers = Histogram::new(Range::Number);
        numbers.record_unit(f64::INFINITY);
        numbers.record_unit(f64::NEG_INFINITY);
        assert_eq!((numbers.count(), numbers.beyond()), (2, 2));
        assert_eq!((numbers.min(), numbers.max()), (0, 1 << 53));
        assert_eq!(numbers.to_hdr().len(), 2);
    }

    #[test]
    fn numbers_keep_three_decimals_and_times_round_to_the_nearest_microsecond() {
        let mut numbers = Histogram::new(Range::Number);
        numbers.record_unit(0.0014);
        numbers.record_unit(1.2345);
        assert_eq!((numbers.min(), numbers.max()), (1, 1235));
        let mut times = Histogram::new(Range::Time);
        times.record_duration(Duration::from_nanos(1_499));
        times.record_duration(Duration::from_nanos(1_500));
        assert_eq!((times.min(), times.max()), (1, 2));
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        let empty = Histogram::new(Range::Time);
        assert_eq!(
            (empty.min(), empty.max(), empty.quantile(0.5), empty.percentile(99.0)),
            (0, 0, 0, 0)
        );
        assert_eq!(empty.mean(), 0.0);
    }

    #[test]
    fn memory_grows_with_different_values_not_with_samples() {
        let mut histogram = Histogram::new(Range::Time);
        let size = |h: &Histogram| size_of::<Histogram>() + h.buckets.heap_bytes();
        for _ in 0..1000 {
            histogram.record(0);
        }
        assert!(size(&histogram) <= 128, "{}", size(&histogram));
        for at in 0..10 {
            histogram.record(1_000 + at * 137);
        }
        assert!(size(&histogram) <= 256, "{}", size(&histogram));
        // 1 to 100 ms, spread evenly on a logarithmic scale.
        for at in 0..10_000 {
            histogram.record((1000.0 * 100f64.powf(f64::from(at) / 10_000.0)) as u64);
        }
        let many = size(&histogram);
        assert!(many <= 36 * 1024, "{many}");
        for at in 0..100_000 {
            histogram.record((1000.0 * 100f64.powf(f64::from(at) / 100_000.0)) as u64);
        }
        assert_eq!(size(&histogram), many);
    }

    #[test]
    fn a_cleared_histogram_equals_a_new_one() {
        let mut cleared = histogram(Range::Number, &[0, 1, 5_000]);
        cleared.clear();
        assert_eq!(cleared, Histogram::new(Range::Number));
    }
}
