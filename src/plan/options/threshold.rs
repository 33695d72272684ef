//! A threshold as written.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::setting::{Fields, Setting};
use crate::plan::PlanError;

/// A threshold as written: an expression and how it is judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThresholdOptions {
    /// The expression: `p(95) < 200ms`.
    pub threshold: String,
    /// Whether a violation ends the test.
    pub abort_on_fail: bool,
    /// Not before this time may it end the test.
    pub delay_abort_eval: Duration,
    /// Fewer samples than this are not judged while the test runs.
    pub min_samples: u64,
    /// Whether no samples at all pass.
    pub allow_empty: bool,
}

impl ThresholdOptions {
    /// An expression with everything else at its default.
    pub fn new(threshold: impl Into<String>) -> Self {
        Self { threshold: threshold.into(), ..Self::default() }
    }
}

impl Setting for ThresholdOptions {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        if let Value::String(threshold) = value {
            return Ok(Self::new(threshold));
        }
        let mut fields = Fields::open(path, value)?;
        let threshold = fields.take("threshold")?;
        let read = Self {
            threshold: String::new(),
            abort_on_fail: fields.take("abort_on_fail")?.unwrap_or_default(),
            delay_abort_eval: fields.take("delay_abort_eval")?.unwrap_or_default(),
            min_samples: fields.take("min_samples")?.unwrap_or_default(),
            allow_empty: fields.take("allow_empty")?.unwrap_or_default(),
        };
        // A misspelt key is the likely reason for a missing one.
        fields.finish()?;
        let threshold = threshold.ok_or_else(|| {
            PlanError::new(path, format!("option `{path}` lacks `threshold`, the expression"))
        })?;
        Ok(Self { threshold, ..read })
    }

    fn write(&self) -> Value {
        if *self == Self::new(self.threshold.as_str()) {
            return Value::from(self.threshold.as_str());
        }
        let mut map = Map::new();
        map.insert("threshold".to_owned(), self.threshold.write());
        let others = [
            ("abort_on_fail", self.abort_on_fail.then(|| json!(true))),
            (
                "delay_abort_eval",
                (!self.delay_abort_eval.is_zero()).then(|| self.delay_abort_eval.write()),
            ),
            ("min_samples", (self.min_samples > 0).then(|| json!(self.min_samples))),
            ("allow_empty", self.allow_empty.then(|| json!(true))),
        ];
        for (key, value) in others {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        }
        Value::Object(map)
    }
}

/// The thresholds of one metric: one, or a list.
impl Setting for Vec<ThresholdOptions> {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        match value {
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(index, value)| ThresholdOptions::read(&format!("{path}[{index}]"), value))
                .collect(),
            Value::Object(map) if map.is_empty() => Ok(Self::new()),
            one => Ok(vec![ThresholdOptions::read(path, one)?]),
        }
    }

    fn write(&self) -> Value {
        self.iter().map(Setting::write).collect()
    }
}
