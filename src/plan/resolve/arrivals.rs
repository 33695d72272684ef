//! An arrival rate from its options: rates in any time unit, and the numbers of VUs.

use std::time::Duration;

use super::VUS_MAX;
use super::scenarios::Declaration;
use crate::plan::{ArrivalRate, Arrivals, Curve, Executor, OnOverload, PlanError, Rate};

/// The most arrivals per second.
const RATE_MAX: f64 = 10_000_000.0;

impl Declaration<'_> {
    pub(super) fn constant_arrival_rate(&self) -> Result<Executor, PlanError> {
        let Some(rate) = self.options.rate else {
            return Err(self.place.wrong("rate", "rate is missing"));
        };
        let per_second = self.per_second("rate", rate)?;
        if per_second == 0.0 {
            return Err(self.place.wrong("rate", "rate must be more than 0"));
        }
        let curve = Curve::constant(per_second, self.duration()?);
        self.arrival_rate(true, curve, rate.unit)
    }

    pub(super) fn ramping_arrival_rate(&self) -> Result<Executor, PlanError> {
        let start = self.options.start_rate.unwrap_or(Rate::plain(0.0));
        let curve = self.curve(self.per_second("start_rate", start)?, |index, target| {
            self.per_second(&format!("stages[{index}].target"), target)
        })?;
        if curve.max() == 0.0 {
            return Err(self.place.wrong("stages", "stages never ask for an iteration"));
        }
        let stages = self.options.stages.iter().flatten();
        let unit = start.unit.or_else(|| stages.map(|stage| stage.target.unit).find_map(|u| u));
        self.arrival_rate(false, curve, unit)
    }

    /// Converts a written rate into arrivals per second.
    fn per_second(&self, key: &str, rate: Rate) -> Result<f64, PlanError> {
        let unit = match (rate.unit, self.options.time_unit) {
            (Some(_), Some(_)) => {
                let message = format!("{key} names its own time unit: leave out time_unit");
                return Err(self.place.wrong(key, &message));
            }
            (Some(unit), None) | (None, Some(unit)) => self.place.positive("time_unit", unit)?,
            (None, None) => Duration::from_secs(1),
        };
        let per_second = rate.per_unit / unit.as_secs_f64();
        if per_second > RATE_MAX {
            let message = format!("{key} is above {RATE_MAX} iterations per second");
            return Err(self.place.wrong(key, &message));
        }
        Ok(per_second)
    }

    fn arrival_rate(
        &self,
        constant: bool,
        curve: Curve,
        written_unit: Option<Duration>,
    ) -> Result<Executor, PlanError> {
        let time_unit = written_unit.or(self.options.time_unit).unwrap_or(Duration::from_secs(1));
        let (pre_allocated_vus, max_vus) = self.arrival_vus(curve.max())?;
        Ok(Executor::ArrivalRate(ArrivalRate {
            constant,
            curve,
            time_unit,
            pre_allocated_vus,
            max_vus,
            arrivals: self.options.arrivals.unwrap_or(Arrivals::Uniform),
            on_overload: self.options.on_overload.unwrap_or(OnOverload::Queue),
        }))
    }

    /// Returns the VUs made before the start and the most VUs; [`ArrivalRate`] has the defaults.
    fn arrival_vus(&self, rate: f64) -> Result<(u64, u64), PlanError> {
        let (place, options) = (self.place, self.options);
        if let Some(most) = options.max_vus {
            let key = if place.shortcut { "vus" } else { "max_vus" };
            place.within(key, most, 1, VUS_MAX)?;
        }
        if let Some(made) = options.pre_allocated_vus {
            place.within("pre_allocated_vus", made, 0, VUS_MAX)?;
        }
        let guess = ((rate * 0.1).ceil() as u64).clamp(1, 1_000);
        let made = options.pre_allocated_vus.unwrap_or(guess);
        let most = options.max_vus.unwrap_or_else(|| {
            let wished = ((rate * 60.0).ceil() as u64).max(1_000);
            wished.min(self.vus_allowed).max(10 * made).clamp(1, VUS_MAX)
        });
        match options.pre_allocated_vus {
            Some(made) if made > most => {
                let message = format!("max_vus ({most}) is below pre_allocated_vus ({made})");
                Err(place.wrong("max_vus", &message))
            }
            _ => Ok((made.min(most), most)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "`json!` is easier to read without borrows")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Facts, Options, Plan, resolve};

    fn plan(scenarios: Value) -> Plan {
        let options = Options::from_json(json!({ "scenarios": scenarios })).unwrap();
        resolve(&options, &Facts { memory_bytes: 1 << 30, ..Facts::default() }).unwrap()
    }

    fn arrivals(scenario: Value) -> ArrivalRate {
        match plan(json!({ "buy": scenario })).scenarios.remove(0).executor {
            Executor::ArrivalRate(rate) => rate,
            other => panic!("{other:?} is no arrival rate"),
        }
    }

    fn per_second(rate: Value) -> ArrivalRate {
        arrivals(json!({ "executor": "constant-arrival-rate", "rate": rate, "duration": "3s" }))
    }

    #[test]
    fn rates_may_be_fractions_and_name_their_unit() {
        assert_eq!(per_second(json!(2.5)).curve.start, 2.5);
        assert_eq!(per_second(json!("5/10s")).curve.start, 0.5);
        assert_eq!(per_second(json!("5/10s")).time_unit, Duration::from_secs(10));
        let ramp = arrivals(json!({
            "executor": "ramping-arrival-rate", "time_unit": "1m", "start_rate": 60,
            "stages": [{ "duration": "1m", "target": 120 }],
        }));
        assert_eq!((ramp.curve.start, ramp.curve.max()), (1.0, 2.0));
        assert!(!ramp.constant);
        assert_eq!(ramp.curve.arrivals(), 90);
    }

    #[test]
    fn the_most_vus_follow_rate_and_memory() {
        // 1 GiB holds 16,384 VUs.
        let vus = |rate: Value| {
            let rate = per_second(rate);
            (rate.pre_allocated_vus, rate.max_vus)
        };
        assert_eq!(vus(json!(1)), (1, 1_000));
        assert_eq!(vus(json!(100)), (10, 6_000));
        assert_eq!(vus(json!(100_000)), (1_000, 16_384));
        let pre = arrivals(json!({
            "executor": "constant-arrival-rate", "rate": 1, "duration": "1s",
            "pre_allocated_vus": 5_000,
        }));
        assert_eq!((pre.pre_allocated_vus, pre.max_vus), (5_000, 50_000));
        let most = arrivals(json!({
            "executor": "constant-arrival-rate", "rate": 1_000, "duration": "1s", "max_vus": 7,
        }));
        assert_eq!((most.pre_allocated_vus, most.max_vus), (7, 7));
    }

    #[test]
    fn scenarios_that_leave_the_most_vus_open_share_the_memory() {
        let one = json!({ "executor": "constant-arrival-rate", "rate": 10_000, "duration": "1s" });
        let made = plan(json!({ "a": one, "b": one }));
        assert_eq!(made.vus_max(), 2 * 10_000, "10 times what is made at first");
        let one = json!({
            "executor": "constant-arrival-rate", "rate": 10_000, "duration": "1s",
            "pre_allocated_vus": 1,
        });
        let spare = plan(json!({ "a": one, "b": one }));
        assert_eq!(spare.vus_max(), 16_384);
    }
}
