//! Rates and stages as written.

use std::time::Duration;

use serde_json::Value;

use super::setting::{Fields, Setting, list, unreadable, wrong};
use crate::plan::PlanError;
use crate::units::{format_rate, parse_duration, parse_rate};

/// A rate or target as written: a number, or a text such as `100/s` that names its time unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many per time unit.
    pub per_unit: f64,
    /// The time unit, if the text names one.
    pub unit: Option<Duration>,
}

impl Rate {
    /// A number without a unit of its own.
    pub fn plain(number: f64) -> Self {
        Self { per_unit: number, unit: None }
    }

    /// Reads `100/s`, `5/10s` or a bare number, which takes its unit from where it stands.
    pub fn parse(text: &str) -> Result<Self, crate::units::UnitError> {
        let (per_unit, unit) = parse_rate(text)?;
        Ok(Self { per_unit, unit: text.contains('/').then_some(unit) })
    }
}

impl Setting for Rate {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        if let Value::String(text) = &value {
            return Self::parse(text).map_err(|error| unreadable(path, &error));
        }
        let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number
            .map(Self::plain)
            .ok_or_else(|| wrong(path, "a number from 0 or a string such as \"100/s\"", &value))
    }

    fn write(&self) -> Value {
        match self.unit {
            Some(unit) => Value::from(format_rate(self.per_unit, unit)),
            None => number(self.per_unit),
        }
    }
}

/// Writes whole numbers without a fraction.
fn number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

/// One stage: a duration and the target to reach by its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageOptions {
    /// How long; zero jumps.
    pub duration: Duration,
    /// VUs or arrivals per time unit.
    pub target: Rate,
}

impl StageOptions {
    /// Reads a stage as flags write it: `30s:50`.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let at = |message: String| PlanError::new("stages", message);
        let (duration, target) = text.split_once(':').ok_or_else(|| {
            at(format!("stage \"{text}\" must be a duration, a colon and a target: `30s:50`"))
        })?;
        Ok(Self {
            duration: parse_duration(duration)
                .map_err(|error| at(format!("stage \"{text}\": {error}")))?,
            target: Rate::parse(target)
                .map_err(|_| at(format!("stage \"{text}\": `{target}` is no target")))?,
        })
    }
}

/// Stages, as a list of tables or as one text `10s:5,1m:10`.
impl Setting for Vec<StageOptions> {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        if let Value::String(text) = &value {
            return text
                .split(',')
                .map(|stage| StageOptions::parse(stage.trim()))
                .collect::<Result<_, _>>()
                .map_err(|error| PlanError::new(path, format!("option `{path}`: {error}")));
        }
        list(path, "a list of stages", value)?
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let mut fields = Fields::open(&format!("{path}[{index}]"), value)?;
                let duration = fields.take("duration")?;
                let target = fields.take("target")?;
                // A misspelt key is the likely reason for a missing one.
                fields.finish()?;
                let (Some(duration), Some(target)) = (duration, target) else {
                    let message = format!("option `{path}[{index}]` needs `duration` and `target`");
                    return Err(PlanError::new(path, message));
                };
                Ok(StageOptions { duration, target })
            })
            .collect()
    }

    fn write(&self) -> Value {
        self.iter()
            .map(|stage| {
                serde_json::json!({
                    "duration": stage.duration.write(),
                    "target": stage.target.write(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_from_flags() {
        let stage = StageOptions::parse("30s:50").unwrap();
        let expected =
            StageOptions { duration: Duration::from_secs(30), target: Rate::plain(50.0) };
        assert_eq!(stage, expected);
        assert!(StageOptions::parse("30s").is_err());
        assert!(StageOptions::parse("x:1").is_err());
        assert!(StageOptions::parse("1s:many").is_err());
    }

    #[test]
    fn stages_are_read_from_one_text() {
        let stages = Vec::<StageOptions>::read("stages", Value::from("10s:5, 1m:10/s")).unwrap();
        assert_eq!(stages.len(), 2);
        assert_eq!(stages[1].target.unit, Some(Duration::from_secs(1)));
    }
}
