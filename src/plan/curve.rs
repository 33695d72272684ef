//! A target over time, made of linear stages: VUs, or arrivals per second.

use std::time::Duration;

/// A target over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The target at time 0.
    pub start: f64,
    /// What follows.
    pub stages: Vec<Stage>,
}

/// A duration and the target to reach by its end; a duration of zero jumps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long.
    pub duration: Duration,
    /// The target at the end.
    pub target: f64,
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

    /// Returns the target at a time after the start; after the end, the last target.
    pub fn at(&self, _time: Duration) -> f64 {
        unimplemented!()
    }

    /// Returns the highest target.
    pub fn max(&self) -> f64 {
        unimplemented!()
    }

    /// Returns the index of the stage at a time.
    pub fn stage_at(&self, _time: Duration) -> usize {
        unimplemented!()
    }

    /// Returns when VU number `n` (from 0) is wanted: the times at which the rounded target passes
    /// n upwards and downwards, in order, as half-open intervals.
    pub fn wanted(&self, _n: u64) -> Vec<(Duration, Duration)> {
        unimplemented!()
    }

    /// Returns the due times of the whole curve read as a rate, first at 0 (if the rate is above 0).
    pub fn due_times(&self) -> impl Iterator<Item = Duration> + '_ {
        std::iter::empty()
    }

    /// Returns how many arrivals [`Self::due_times`] yields, without walking them.
    pub fn arrivals(&self) -> u64 {
        unimplemented!()
    }
}
