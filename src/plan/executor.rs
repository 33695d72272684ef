//! Executors: the rules that decide when iterations start.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::{ArrivalTimes, Curve, Share};
use crate::units::{format_count, format_duration, format_time_unit};

/// The rule that decides when iterations start.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// `vus` VUs draw `iterations` from one pot.
    SharedIterations {
        /// VUs.
        vus: u64,
        /// Iterations in total.
        iterations: u64,
        /// Limit.
        max_duration: Duration,
    },
    /// Each of `vus` VUs runs `iterations`.
    PerVuIterations {
        /// VUs.
        vus: u64,
        /// Iterations per VU.
        iterations: u64,
        /// Limit.
        max_duration: Duration,
    },
    /// `vus` VUs iterate for `duration`.
    ConstantVus {
        /// VUs.
        vus: u64,
        /// How long.
        duration: Duration,
    },
    /// The number of VUs follows a curve.
    RampingVus {
        /// VUs over time.
        curve: Curve,
        /// Time for a VU that is ramped down to end its iteration.
        graceful_ramp_down: Duration,
    },
    /// Iterations start at a rate that follows a curve (constant-arrival-rate has one flat stage).
    ArrivalRate(ArrivalRate),
}

/// The executors by the names that options give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorKind {
    /// `shared-iterations`.
    SharedIterations,
    /// `per-vu-iterations`.
    PerVuIterations,
    /// `constant-vus`.
    ConstantVus,
    /// `ramping-vus`.
    RampingVus,
    /// `constant-arrival-rate`.
    ConstantArrivalRate,
    /// `ramping-arrival-rate`.
    RampingArrivalRate,
}

impl ExecutorKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SharedIterations,
        Self::PerVuIterations,
        Self::ConstantVus,
        Self::RampingVus,
        Self::ConstantArrivalRate,
        Self::RampingArrivalRate,
    ];

    /// Returns the name in options, which is k6's.
    pub fn name(self) -> &'static str {
        match self {
            Self::SharedIterations => "shared-iterations",
            Self::PerVuIterations => "per-vu-iterations",
            Self::ConstantVus => "constant-vus",
            Self::RampingVus => "ramping-vus",
            Self::ConstantArrivalRate => "constant-arrival-rate",
            Self::RampingArrivalRate => "ramping-arrival-rate",
        }
    }
}

/// The open model: iterations start when they are due.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrivalRate {
    /// True if declared as `constant-arrival-rate`, for printing.
    pub constant: bool,
    /// Arrivals per second over time.
    pub curve: Curve,
    /// The unit the author used for rates, for printing.
    pub time_unit: Duration,
    /// VUs made before the start. By Little's law a rate needs rate × response time of them; the
    /// default is what the highest rate needs at 100 ms, from 1 to 1,000, as more are made on the
    /// way.
    pub pre_allocated_vus: u64,
    /// Most VUs. The default is what the highest rate needs at 60 s (a request's time-out), at
    /// least 1,000, but no more than memory holds at 64 KiB each, which the scenarios that leave
    /// it open share evenly; in any case 10 times `pre_allocated_vus`.
    pub max_vus: u64,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
    /// What happens to an arrival that finds no free VU.
    pub on_overload: OnOverload,
}

/// How arrivals are spread in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly.
    Uniform,
    /// With exponential gaps.
    Poisson,
}

/// What happens to an arrival that finds no free VU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnOverload {
    /// It waits and keeps its due time.
    Queue,
    /// It is dropped and counted (k6's rule).
    Drop,
}

impl ArrivalRate {
    /// Returns the arrivals of one share, each with its number in the whole and its due time; the
    /// seed ([`Scenario::seed`](super::Scenario::seed)) matters to Poisson arrivals only.
    pub fn times(&self, share: Share, seed: u64) -> ArrivalTimes {
        match self.arrivals {
            Arrivals::Uniform => ArrivalTimes::Uniform(self.curve.due_times(share)),
            Arrivals::Poisson => ArrivalTimes::Poisson(self.curve.poisson_times(share, seed)),
        }
    }

    fn describe(&self) -> String {
        let rates = path_of(&self.curve, self.time_unit.as_secs_f64());
        let mut facts = Vec::new();
        if !self.constant {
            facts.push(stages(&self.curve));
        }
        facts.push(format!("up to {}", count(self.max_vus, "VU")));
        match self.on_overload {
            OnOverload::Queue => facts.push("queue".to_owned()),
            OnOverload::Drop => facts.push("drop".to_owned()),
        }
        if self.arrivals == Arrivals::Poisson {
            facts.push("poisson".to_owned());
        }
        format!(
            "{rates} {}/{} {} {} ({})",
            if rates == "1" { "iteration" } else { "iterations" },
            format_time_unit(self.time_unit),
            if self.constant { "for" } else { "in" },
            format_duration(self.curve.duration()),
            facts.join(", ")
        )
    }
}

impl Executor {
    /// Returns which of the six executors it is.
    pub fn kind(&self) -> ExecutorKind {
        match self {
            Self::SharedIterations { .. } => ExecutorKind::SharedIterations,
            Self::PerVuIterations { .. } => ExecutorKind::PerVuIterations,
            Self::ConstantVus { .. } => ExecutorKind::ConstantVus,
            Self::RampingVus { .. } => ExecutorKind::RampingVus,
            Self::ArrivalRate(rate) if rate.constant => ExecutorKind::ConstantArrivalRate,
            Self::ArrivalRate(_) => ExecutorKind::RampingArrivalRate,
        }
    }

    /// Returns its name in options, which is k6's: `constant-vus`.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Returns whether iterations start when they are due, whatever the VUs do.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::ArrivalRate(_))
    }

    /// Returns how many iterations it promises, where it does.
    pub fn iterations_promised(&self) -> Option<u64> {
        match self {
            Self::SharedIterations { iterations, .. } => Some(*iterations),
            Self::PerVuIterations { vus, iterations, .. } => Some(vus * iterations),
            Self::ConstantVus { .. } | Self::RampingVus { .. } | Self::ArrivalRate(_) => None,
        }
    }

    /// Returns the longest time from its start to its regular end, after which no iteration
    /// starts.
    pub fn duration_max(&self) -> Duration {
        match self {
            Self::SharedIterations { max_duration, .. }
            | Self::PerVuIterations { max_duration, .. } => *max_duration,
            Self::ConstantVus { duration, .. } => *duration,
            Self::RampingVus { curve, .. } => curve.duration(),
            Self::ArrivalRate(rate) => rate.curve.duration(),
        }
    }

    /// Returns the least time from its start to its regular end if nothing cuts it short: counts
    /// of iterations may be done at once.
    pub fn duration_min(&self) -> Duration {
        match self {
            Self::SharedIterations { .. } | Self::PerVuIterations { .. } => Duration::ZERO,
            _ => self.duration_max(),
        }
    }

    /// Returns the most VUs that it uses at a time.
    pub fn vus_max(&self) -> u64 {
        match self {
            Self::SharedIterations { vus, .. }
            | Self::PerVuIterations { vus, .. }
            | Self::ConstantVus { vus, .. } => *vus,
            Self::RampingVus { curve, .. } => curve.max().round() as u64,
            Self::ArrivalRate(rate) => rate.max_vus,
        }
    }

    /// Returns how many iterations it is to start, if that is known: of closed ones by duration it
    /// is not, and of Poisson arrivals it is the mean.
    pub fn planned_iterations(&self) -> Option<u64> {
        match self {
            Self::SharedIterations { iterations, .. } => Some(*iterations),
            Self::PerVuIterations { vus, iterations, .. } => Some(vus.saturating_mul(*iterations)),
            Self::ConstantVus { .. } | Self::RampingVus { .. } => None,
            Self::ArrivalRate(rate) => Some(rate.curve.arrivals()),
        }
    }

    /// Says it in words for people: `10 VUs for 5m`.
    pub fn describe(&self) -> String {
        match self {
            Self::SharedIterations { vus, iterations, max_duration } => format!(
                "{} shared by {} (at most {})",
                count(*iterations, "iteration"),
                count(*vus, "VU"),
                format_duration(*max_duration)
            ),
            Self::PerVuIterations { vus, iterations, max_duration } => format!(
                "{}{} by {} (at most {})",
                count(*iterations, "iteration"),
                if *vus == 1 { "" } else { " each" },
                count(*vus, "VU"),
                format_duration(*max_duration)
            ),
            Self::ConstantVus { vus, duration } => {
                format!("{} for {}", count(*vus, "VU"), format_duration(*duration))
            }
            Self::RampingVus { curve, .. } => format!(
                "{} VUs in {} ({})",
                path_of(curve, 1.0),
                format_duration(curve.duration()),
                stages(curve)
            ),
            Self::ArrivalRate(rate) => rate.describe(),
        }
    }
}

impl Serialize for Executor {
    /// Writes a map whose `executor` is the name; the other keys are those of the options, except
    /// that what a curve holds stands under `curve`, in VUs or in arrivals per second.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("executor", self.name())?;
        match self {
            Self::SharedIterations { vus, iterations, max_duration }
            | Self::PerVuIterations { vus, iterations, max_duration } => {
                map.serialize_entry("vus", vus)?;
                map.serialize_entry("iterations", iterations)?;
                map.serialize_entry("max_duration", &format_duration(*max_duration))?;
            }
            Self::ConstantVus { vus, duration } => {
                map.serialize_entry("vus", vus)?;
                map.serialize_entry("duration", &format_duration(*duration))?;
            }
            Self::RampingVus { curve, graceful_ramp_down } => {
                map.serialize_entry("curve", curve)?;
                let graceful = format_duration(*graceful_ramp_down);
                map.serialize_entry("graceful_ramp_down", &graceful)?;
            }
            Self::ArrivalRate(rate) => {
                map.serialize_entry("curve", &rate.curve)?;
                map.serialize_entry("time_unit", &format_duration(rate.time_unit))?;
                map.serialize_entry("pre_allocated_vus", &rate.pre_allocated_vus)?;
                map.serialize_entry("max_vus", &rate.max_vus)?;
                map.serialize_entry("arrivals", &rate.arrivals)?;
                map.serialize_entry("on_overload", &rate.on_overload)?;
            }
        }
        map.end()
    }
}

/// Counts things: `1 VU`, `1,000 VUs`.
fn count(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", format_count(number), if number == 1 { "" } else { "s" })
}

fn stages(curve: &Curve) -> String {
    count(curve.stages.len() as u64, "stage")
}

/// Says which targets a curve passes: `0→50→0`; of many, the first ones and the last.
fn path_of(curve: &Curve, scale: f64) -> String {
    let mut targets = vec![curve.start];
    targets.extend(curve.stages.iter().map(|stage| stage.target));
    targets.dedup();
    let mut texts: Vec<String> = targets.iter().map(|target| rate(target * scale)).collect();
    if texts.len() > 6 {
        texts.splice(4..texts.len() - 1, ["…".to_owned()]);
    }
    texts.join("→")
}

/// Prints a rate to at most three decimals, which hides what rounding did to its unit.
fn rate(rate: f64) -> String {
    let rounded = (rate * 1_000.0).round() / 1_000.0;
    if rounded.fract() == 0.0 {
        return format_count(rounded as u64);
    }
    format!("{}.{}", format_count(rounded as u64), {
        let thousandths = format!("{:03}", (rounded.fract() * 1_000.0).round() as u64);
        thousandths.trim_end_matches('0').to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Stage;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ramp(start: f64, targets: &[f64], each: u64) -> Curve {
        let stages =
            targets.iter().map(|&target| Stage { duration: seconds(each), target }).collect();
        Curve { start, stages }
    }

    fn arrivals(curve: Curve, unit: Duration, constant: bool) -> Executor {
        Executor::ArrivalRate(ArrivalRate {
            constant,
            curve,
            time_unit: unit,
            pre_allocated_vus: 1,
            max_vus: 1_000,
            arrivals: Arrivals::Uniform,
            on_overload: OnOverload::Queue,
        })
    }

    #[test]
    fn executors_are_described_in_words() {
        let max_duration = seconds(600);
        let cases = [
            (Executor::ConstantVus { vus: 10, duration: seconds(300) }, "10 VUs for 5m"),
            (
                Executor::SharedIterations { vus: 1, iterations: 5_000, max_duration },
                "5,000 iterations shared by 1 VU (at most 10m)",
            ),
            (
                Executor::PerVuIterations { vus: 1, iterations: 1, max_duration },
                "1 iteration by 1 VU (at most 10m)",
            ),
            (
                Executor::PerVuIterations { vus: 5, iterations: 2, max_duration },
                "2 iterations each by 5 VUs (at most 10m)",
            ),
            (
                Executor::RampingVus {
                    curve: ramp(0.0, &[50.0, 0.0], 90),
                    graceful_ramp_down: seconds(30),
                },
                "0→50→0 VUs in 3m (2 stages)",
            ),
            (
                arrivals(Curve::constant(100.0, seconds(30)), seconds(1), true),
                "100 iterations/s for 30s (up to 1,000 VUs, queue)",
            ),
            (
                arrivals(Curve::constant(50.0 / 60.0, seconds(30)), seconds(60), true),
                "50 iterations/m for 30s (up to 1,000 VUs, queue)",
            ),
            (
                arrivals(ramp(0.5, &[2_000.25, 10.0], 60), seconds(1), false),
                "0.5→2,000.25→10 iterations/s in 2m (2 stages, up to 1,000 VUs, queue)",
            ),
            (
                Executor::RampingVus {
                    curve: ramp(0.0, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 10),
                    graceful_ramp_down: seconds(30),
                },
                "0→1→2→3→…→7 VUs in 1m10s (7 stages)",
            ),
        ];
        for (executor, text) in cases {
            assert_eq!(executor.describe(), text);
        }
    }

    #[test]
    fn an_executor_is_written_with_its_name() {
        let executor = arrivals(Curve::constant(2.0, seconds(30)), seconds(1), true);
        assert_eq!(
            serde_json::to_value(&executor).unwrap(),
            serde_json::json!({
                "executor": "constant-arrival-rate",
                "curve": { "start": 2.0, "stages": [{ "duration": "30s", "target": 2.0 }] },
                "time_unit": "1s",
                "pre_allocated_vus": 1,
                "max_vus": 1000,
                "arrivals": "uniform",
                "on_overload": "queue",
            })
        );
    }
}
