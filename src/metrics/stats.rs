//! What samples of one metric amount to, and the statistics that can be asked of it.

use std::fmt;
use std::time::Duration;

use super::{Definition, Histogram, Kind, Range, Unit};

/// A statistic of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stat {
    /// The mean of a trend.
    Avg,
    /// The least value of a trend or gauge.
    Min,
    /// The greatest value of a trend or gauge.
    Max,
    /// The median of a trend.
    Med,
    /// A percentile of a trend, 0 to 100.
    P(f64),
    /// A counter's sum; the number of samples of a rate or trend.
    Count,
    /// A counter's sum per second; the share of a rate's samples that are not zero.
    Rate,
    /// A gauge's last value.
    Value,
}

impl Stat {
    /// Returns whether metrics of this kind have the statistic.
    pub fn fits(self, kind: Kind) -> bool {
        match kind {
            Kind::Counter | Kind::Rate => matches!(self, Self::Count | Self::Rate),
            Kind::Gauge => matches!(self, Self::Value | Self::Min | Self::Max),
            Kind::Trend => !matches!(self, Self::Rate | Self::Value),
        }
    }

    /// Returns the names of the statistics that metrics of a kind have.
    pub fn names(kind: Kind) -> &'static str {
        match kind {
            Kind::Counter | Kind::Rate => "count, rate",
            Kind::Gauge => "value, min, max",
            Kind::Trend => "avg, min, max, med, p(N), count",
        }
    }

    /// Reads `avg`, `p(99.9)` and so on; `None` if there is no such statistic.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "med" => Self::Med,
            "count" => Self::Count,
            "rate" => Self::Rate,
            "value" => Self::Value,
            _ => {
                let inner = text.strip_prefix("p(")?.strip_suffix(')')?.trim();
                if !inner.starts_with(|first: char| first.is_ascii_digit()) {
                    return None;
                }
                let percent: f64 = inner.parse().ok()?;
                return (0.0..=100.0).contains(&percent).then_some(Self::P(percent));
            }
        })
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Avg => f.write_str("avg"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Med => f.write_str("med"),
            Self::P(percent) => write!(f, "p({percent})"),
            Self::Count => f.write_str("count"),
            Self::Rate => f.write_str("rate"),
            Self::Value => f.write_str("value"),
        }
    }
}

/// A view of what samples of one metric amount to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stats<'a> {
    /// A counter.
    Counter {
        /** The sum. */
        count: f64,
    },
    /// A rate.
    Rate {
        /** Samples that are not zero. */
        passes: u64,
        /** All samples. */
        total: u64,
    },
    /// A gauge.
    Gauge {
        /** The last value. */
        value: f64,
        /** The least. */
        min: f64,
        /** The greatest. */
        max: f64,
    },
    /// A trend, in ticks, and the unit that its values have in the interface.
    Trend(&'a Histogram, &'a Unit),
}

impl Stats<'_> {
    /// Returns a statistic in the interface's unit (milliseconds for times); `None` if the kind
    /// does not have it, or if there are no samples to take it of. A counter's rate is per second
    /// of `elapsed`.
    pub fn stat(&self, stat: Stat, elapsed: Duration) -> Option<f64> {
        match (*self, stat) {
            (Self::Counter { count }, Stat::Count) => Some(count),
            (Self::Counter { count }, Stat::Rate) => {
                let seconds = elapsed.as_secs_f64();
                (seconds > 0.0).then(|| count / seconds)
            }
            (Self::Rate { total, .. }, Stat::Count) => Some(total as f64),
            (Self::Rate { passes, total }, Stat::Rate) => {
                (total > 0).then(|| passes as f64 / total as f64)
            }
            (Self::Gauge { value, .. }, Stat::Value) => Some(value),
            (Self::Gauge { min, .. }, Stat::Min) => Some(min),
            (Self::Gauge { max, .. }, Stat::Max) => Some(max),
            (Self::Trend(histogram, _), Stat::Count) => Some(histogram.count() as f64),
            (Self::Trend(histogram, _), _) if histogram.count() > 0 => {
                let ticks = match stat {
                    Stat::Avg => histogram.mean(),
                    Stat::Min => histogram.min() as f64,
                    Stat::Max => histogram.max() as f64,
                    Stat::Med => histogram.percentile(50.0) as f64,
                    Stat::P(percent) => histogram.percentile(percent) as f64,
                    Stat::Count | Stat::Rate | Stat::Value => return None,
                };
                Some(Histogram::to_unit(ticks))
            }
            _ => None,
        }
    }

    /// Returns the number of samples as far as it is kept: a counter's sum stands for it, and a
    /// gauge counts as one.
    pub fn samples(&self) -> u64 {
        match self {
            Self::Counter { count } => *count as u64,
            Self::Rate { total, .. } => *total,
            Self::Gauge { .. } => 1,
            Self::Trend(histogram, _) => histogram.count(),
        }
    }
}

/// What samples of one metric amount to, as it grows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Accumulator {
    Counter(f64),
    Rate { passes: u64, total: u64 },
    Gauge { value: f64, min: f64, max: f64 },
    Trend(Histogram),
}

impl Accumulator {
    /// Returns one without samples.
    pub(super) fn new(metric: &Definition) -> Self {
        match metric.kind {
            Kind::Counter => Self::Counter(0.0),
            Kind::Rate => Self::Rate { passes: 0, total: 0 },
            Kind::Gauge => Self::Gauge { value: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY },
            Kind::Trend => Self::Trend(Histogram::new(match metric.unit {
                Unit::Time => Range::Time,
                Unit::None | Unit::Bytes | Unit::Named(_) => Range::Number,
            })),
        }
    }

    /// Adds a sample in the interface's unit.
    pub(super) fn record(&mut self, sample: f64) {
        match self {
            Self::Counter(count) => *count += sample,
            Self::Rate { passes, total } => {
                *passes += u64::from(sample != 0.0);
                *total += 1;
            }
            Self::Gauge { value, min, max } => {
                *value = sample;
                *min = min.min(sample);
                *max = max.max(sample);
            }
            Self::Trend(histogram) => histogram.record_unit(sample),
        }
    }

    /// Adds what later samples of the same metric amount to.
    pub(super) fn merge(&mut self, later: Stats<'_>) {
        match (self, later) {
            (Self::Counter(sum), Stats::Counter { count }) => *sum += count,
            (Self::Rate { passes, total }, Stats::Rate { passes: more, total: of }) => {
                *passes += more;
                *total += of;
            }
            (
                Self::Gauge { value, min, max },
                Stats::Gauge { value: last, min: low, max: high },
            ) => {
                *value = last;
                *min = min.min(low);
                *max = max.max(high);
            }
            (Self::Trend(histogram), Stats::Trend(more, _)) => histogram.add(more),
            (own, later) => unreachable!("a metric has one kind: {own:?} and {later:?}"),
        }
    }

    /// Returns the view for readers.
    pub(super) fn stats<'a>(&'a self, metric: &'a Definition) -> Stats<'a> {
        match self {
            Self::Counter(count) => Stats::Counter { count: *count },
            Self::Rate { passes, total } => Stats::Rate { passes: *passes, total: *total },
            Self::Gauge { value, min, max } => Stats::Gauge { value: *value, min: *min, max: *max },
            Self::Trend(histogram) => Stats::Trend(histogram, &metric.unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, unit: Unit, samples: &[f64]) -> (Definition, Accumulator) {
        let metric = Definition { name: "m".to_owned(), kind, unit };
        let mut accumulator = Accumulator::new(&metric);
        for &sample in samples {
            accumulator.record(sample);
        }
        (metric, accumulator)
    }

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_counter_has_its_sum_and_the_sum_per_second() {
        let (metric, counter) = of(Kind::Counter, Unit::None, &[20.0, 5.0]);
        let stats = counter.stats(&metric);
        assert_eq!(stats.stat(Stat::Count, TEN), Some(25.0));
        assert_eq!(stats.stat(Stat::Rate, TEN), Some(2.5));
        assert_eq!(stats.stat(Stat::Rate, Duration::ZERO), None);
        assert_eq!(stats.stat(Stat::Avg, TEN), None);
    }

    #[test]
    fn a_rate_is_the_share_of_samples_that_are_not_zero() {
        let (metric, rate) = of(Kind::Rate, Unit::None, &[1.0, 0.0, 7.0, 1.0]);
        assert_eq!(rate.stats(&metric).stat(Stat::Rate, TEN), Some(0.75));
        let (metric, none) = of(Kind::Rate, Unit::None, &[]);
        assert_eq!(none.stats(&metric).stat(Stat::Rate, TEN), None);
    }

    #[test]
    fn a_gauge_keeps_last_least_and_greatest() {
        let (metric, gauge) = of(Kind::Gauge, Unit::None, &[3.0, -1.0, 2.0]);
        let stats = gauge.stats(&metric);
        let figures = [Stat::Value, Stat::Min, Stat::Max].map(|stat| stats.stat(stat, TEN));
        assert_eq!(figures, [Some(2.0), Some(-1.0), Some(3.0)]);
    }

    #[test]
    fn a_trend_answers_in_the_interface_unit() {
        let (metric, trend) = of(Kind::Trend, Unit::Time, &[1.0, 2.0, 6.0]);
        let stats = trend.stats(&metric);
        assert_eq!(stats.stat(Stat::Avg, TEN), Some(3.0));
        assert_eq!(stats.stat(Stat::Med, TEN), Some(2.0));
        assert_eq!(stats.stat(Stat::P(100.0), TEN), Some(6.0));
        assert_eq!(stats.stat(Stat::Count, TEN), Some(3.0));
        let (metric, empty) = of(Kind::Trend, Unit::Time, &[]);
        assert_eq!(empty.stats(&metric).stat(Stat::Avg, TEN), None);
    }

    #[test]
    fn statistics_are_read_as_they_are_printed() {
        for text in ["avg", "min", "max", "med", "count", "rate", "value", "p(95)", "p(99.9)"] {
            assert_eq!(Stat::parse(text).expect(text).to_string(), text);
        }
        for text in ["p95", "p()", "p(101)", "p(-1)", "p(nan)", "mean", "P(95)"] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
    }
}
