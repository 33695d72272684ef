//! A target over time, made of linear stages: VUs, or arrivals per second.

use std::time::Duration;

use super::due::{DueTimes, PoissonTimes, whole_if_near};
use super::{Share, print};

/// A target over time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Curve {
    /// The target at time 0.
    pub start: f64,
    /// What follows.
    pub stages: Vec<Stage>,
}

/// A duration and the target to reach by its end; a duration of zero jumps.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Stage {
    /// How long.
    #[serde(serialize_with = "print::duration")]
    pub duration: Duration,
    /// The target at the end.
    pub target: f64,
}

/// One stage with what precedes it.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The time at which the stage begins.
    begin: Duration,
    /// The target at which it begins.
    from: f64,
    /// The stage.
    stage: Stage,
}

impl Step {
    fn end(self) -> Duration {
        self.begin + self.stage.duration
    }

    /// Returns the target at a time within the stage.
    fn at(self, time: Duration) -> f64 {
        let part =
            time.saturating_sub(self.begin).as_secs_f64() / self.stage.duration.as_secs_f64();
        self.from + (self.stage.target - self.from) * part
    }

    /// Returns the time at which the stage, which is not flat, passes a level.
    fn passes(self, level: f64) -> Duration {
        let part = (level - self.from) / (self.stage.target - self.from);
        self.begin + self.stage.duration.mul_f64(part.clamp(0.0, 1.0))
    }
}

impl Curve {
    /// A target that stays the same.
    pub fn constant(value: f64, duration: Duration) -> Self {
        Self { start: value, stages: vec![Stage { duration, target: value }] }
    }

    /// Returns the length of all stages.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }

    fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let mut begin = Duration::ZERO;
        let mut from = self.start;
        self.stages.iter().map(move |&stage| {
            let step = Step { begin, from, stage };
            begin += stage.duration;
            from = stage.target;
            step
        })
    }

    /// Returns the target at a time after the start; where it jumps, the target after the jump,
    /// and after the end, the last target.
    pub fn at(&self, time: Duration) -> f64 {
        match self.steps().find(|step| time < step.end()) {
            Some(step) => step.at(time),
            None => self.stages.last().map_or(self.start, |stage| stage.target),
        }
    }

    /// Returns the highest target that is held or passed, be it for a moment.
    pub fn max(&self) -> f64 {
        let mut highest: f64 = 0.0;
        for step in self.steps().filter(|step| !step.stage.duration.is_zero()) {
            highest = highest.max(step.from).max(step.stage.target);
        }
        highest
    }

    /// Returns the index of the stage at a time: the last one after the end, and 0 without stages.
    pub fn stage_at(&self, time: Duration) -> usize {
        self.steps()
            .position(|step| time < step.end())
            .unwrap_or_else(|| self.stages.len().saturating_sub(1))
    }

    /// Returns when VU number `n` (from 0) is wanted: the times at which the rounded target passes
    /// n upwards and downwards, in order, as half-open intervals.
    ///
    /// The VU is wanted while the target is at least n + 1/2, that is, while the target rounded to
    /// the nearest whole number is above n; the curve's end ends the last interval.
    pub fn wanted(&self, n: u64) -> Vec<(Duration, Duration)> {
        let level = n as f64 + 0.5;
        let mut intervals: Vec<(Duration, Duration)> = Vec::new();
        for step in self.steps() {
            let (begin, end) = match (step.from >= level, step.stage.target >= level) {
                (true, true) => (step.begin, step.end()),
                (false, true) => (step.passes(level), step.end()),
                (true, false) => (step.begin, step.passes(level)),
                (false, false) => continue,
            };
            match intervals.last_mut() {
                _ if begin >= end => {}
                Some(last) if last.1 == begin => last.1 = end,
                _ => intervals.push((begin, end)),
            }
        }
        intervals
    }

    /// Returns the arrivals of one share, the curve read as a rate per second: the number of each
    /// in the whole (from 0) and its due time.
    ///
    /// Arrival n is due where the integral of the rate begins to exceed n. So the first is due
    /// where the rate rises above 0, and every one strictly before the curve's end: 50/s for 30 s
    /// are 1,500 arrivals. The numbers of the share are jumped to, not searched.
    pub fn due_times(&self, share: Share) -> DueTimes {
        DueTimes::new(self.clone(), share)
    }

    /// Returns the arrivals of one share of a Poisson process with this rate per second; the same
    /// seed gives the same process, whatever the share.
    pub fn poisson_times(&self, share: Share, seed: u64) -> PoissonTimes {
        PoissonTimes::new(self.clone(), share, seed)
    }

    /// Returns the integral over the whole curve: the expected number of arrivals.
    pub fn area(&self) -> f64 {
        whole_if_near(self.stages().map(|(from, stage)| stage.area(from)).sum())
    }

    /// Returns how many arrivals [`Self::due_times`] yields for the whole, without walking them.
    pub fn arrivals(&self) -> u64 {
        self.area().ceil() as u64
    }

    /// Returns how many arrivals of the whole are due before a time after the start.
    pub fn arrivals_before(&self, time: Duration) -> u64 {
        let mut area = 0.0;
        for step in self.steps().take_while(|step| step.begin < time) {
            area += if step.end() <= time {
                step.stage.area(step.from)
            } else {
                Stage { duration: time.saturating_sub(step.begin), target: step.at(time) }
                    .area(step.from)
            };
        }
        whole_if_near(area).ceil() as u64
    }

    /// Returns each stage with the target at its begin.
    fn stages(&self) -> impl Iterator<Item = (f64, Stage)> + '_ {
        self.steps().map(|step| (step.from, step.stage))
    }
}

impl Stage {
    /// Returns the integral over this stage if it begins at `from`: a trapezium.
    pub(super) fn area(&self, from: f64) -> f64 {
        from.midpoint(self.target) * self.duration.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn curve(start: f64, stages: &[(f64, f64)]) -> Curve {
        let stages = stages
            .iter()
            .map(|&(duration, target)| Stage { duration: seconds(duration), target })
            .collect();
        Curve { start, stages }
    }

    #[test]
    fn the_target_is_linear_and_jumps_where_a_stage_has_no_length() {
        let curve = curve(0.0, &[(10.0, 50.0), (0.0, 20.0), (10.0, 20.0)]);
        assert_eq!(curve.at(seconds(0.0)), 0.0);
        assert_eq!(curve.at(seconds(5.0)), 25.0);
        assert_eq!(curve.at(seconds(10.0)), 20.0);
        assert_eq!(curve.at(seconds(99.0)), 20.0);
        assert_eq!(curve.max(), 50.0);
        assert_eq!(curve.duration(), seconds(20.0));
        assert_eq!(curve.stage_at(seconds(9.9)), 0);
        assert_eq!(curve.stage_at(seconds(10.0)), 2);
        assert_eq!(curve.stage_at(seconds(99.0)), 2);
    }

    #[test]
    fn a_target_that_is_jumped_over_is_not_the_highest() {
        assert_eq!(curve(100.0, &[(0.0, 5.0), (1.0, 10.0), (0.0, 70.0)]).max(), 10.0);
    }

    #[test]
    fn vus_are_wanted_while_the_rounded_target_is_above_their_number() {
        let up_and_down = curve(0.0, &[(10.0, 10.0), (10.0, 0.0)]);
        assert_eq!(up_and_down.wanted(0), [(seconds(0.5), seconds(19.5))]);
        assert_eq!(up_and_down.wanted(9), [(seconds(9.5), seconds(10.5))]);
        assert_eq!(up_and_down.wanted(10), []);
        let twice = curve(5.0, &[(10.0, 5.0), (0.0, 2.0), (10.0, 2.0), (0.0, 5.0), (10.0, 5.0)]);
        assert_eq!(twice.wanted(1), [(seconds(0.0), seconds(30.0))]);
        assert_eq!(
            twice.wanted(4),
            [(seconds(0.0), seconds(10.0)), (seconds(20.0), seconds(30.0))]
        );
    }

    #[test]
    fn arrivals_before_a_time_count_the_integral() {
        let ramp = curve(0.0, &[(10.0, 10.0), (10.0, 10.0)]);
        assert_eq!(ramp.arrivals_before(seconds(0.0)), 0);
        assert_eq!(ramp.arrivals_before(seconds(10.0)), 50);
        assert_eq!(ramp.arrivals_before(seconds(15.0)), 100);
        assert_eq!(ramp.arrivals_before(seconds(99.0)), 150);
    }

    proptest! {
        #[test]
        fn the_vus_wanted_at_a_time_are_the_rounded_target(
            start in 0..20_u32,
            stages in prop::collection::vec((0..5_u32, 0..20_u32), 1..6),
            part in 0.0..1.0_f64,
        ) {
            let stages: Vec<_> =
                stages.iter().map(|&(d, t)| (f64::from(d), f64::from(t))).collect();
            let curve = curve(f64::from(start), &stages);
            let time = curve.duration().mul_f64(part);
            prop_assume!(time < curve.duration());
            let target = curve.at(time);
            // At the very edge of an interval the nanosecond decides.
            prop_assume!((target.fract() - 0.5).abs() > 1e-6);
            let wanted = (0..30)
                .filter(|&n| curve.wanted(n).iter().any(|&(from, to)| from <= time && time < to))
                .count();
            prop_assert_eq!(wanted as f64, target.round());
        }

        #[test]
        fn wanted_intervals_are_apart_and_in_order(
            stages in prop::collection::vec((0..5_u32, 0..9_u32), 1..9),
            n in 0..9_u64,
        ) {
            let stages: Vec<_> =
                stages.iter().map(|&(d, t)| (f64::from(d), f64::from(t))).collect();
            let intervals = curve(0.0, &stages).wanted(n);
            prop_assert!(intervals.iter().all(|(from, to)| from < to));
            prop_assert!(intervals.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
