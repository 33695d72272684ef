//! Which statuses of answers are expected: what is not fails the request.

use std::fmt;

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// Statuses of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Default for Statuses {
    /// Those from 200 to 399, as in k6.
    fn default() -> Self {
        Self(vec![(200, 399)])
    }
}

/// What may stand for statuses.
pub(crate) const STATUSES: &str = "a number such as 200, a class such as \"2xx\", or \
                                   { min = 200, max = 299 }";

impl Statuses {
    /// Returns whether a status is among them.
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// Reads `200`, `"2xx"`, `"200-299"`, `{ min = 200, max = 299 }`, or a list of them.
    ///
    /// # Errors
    ///
    /// The value that is none of these.
    pub fn read(value: &Value) -> Result<Self, &Value> {
        let mut ranges = Vec::new();
        add(value, &mut ranges)?;
        Ok(Self(ranges))
    }
}

fn add<'v>(value: &'v Value, ranges: &mut Vec<(u16, u16)>) -> Result<(), &'v Value> {
    if let Value::Array(list) = value {
        return list.iter().try_for_each(|item| add(item, ranges));
    }
    let range = match value {
        Value::Number(_) => status(Some(value)).map(|status| (status, status)),
        Value::String(text) => parse(text),
        Value::Object(map) if map.len() == 2 => status(map.get("min")).zip(status(map.get("max"))),
        _ => None,
    };
    ranges.push(range.ok_or(value)?);
    Ok(())
}

fn status(value: Option<&Value>) -> Option<u16> {
    // A whole number may come as a float: Luau has no other.
    let number = value?.as_f64()?;
    (number.fract() == 0.0 && (0.0..1000.0).contains(&number)).then_some(number as u16)
}

fn parse(text: &str) -> Option<(u16, u16)> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
    if let Some(class @ 1..=9) = class {
        return Some((class * 100, class * 100 + 99));
    }
    if let Some((low, high)) = text.split_once('-') {
        return low.trim().parse().ok().zip(high.trim().parse().ok());
    }
    text.parse().ok().map(|status| (status, status))
}

/// As [`Statuses::read`] reads it.
impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{low}")?;
            if low != high {
                write!(f, "-{high}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|range| Self(vec![*range]).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_classes_and_ranges_are_read() {
        let value = json!([204, "4xx", "500-502", { "min": 300.0, "max": 302 }, "599"]);
        let statuses = Statuses::read(&value).unwrap();
        for status in [204, 404, 501, 301, 599] {
            assert!(statuses.has(status), "{status}");
        }
        for status in [200, 303, 503, 0] {
            assert!(!statuses.has(status), "{status}");
        }
        assert_eq!(statuses.to_string(), "204, 400-499, 500-502, 300-302, 599");
        let written = serde_json::to_value(&statuses).unwrap();
        assert_eq!(Statuses::read(&written).unwrap(), statuses);
    }

    #[test]
    fn what_is_no_status_is_pointed_at() {
        for wrong in [json!("2yy"), json!(1000), json!(200.5), json!({ "min": 1 }), json!(true)] {
            assert_eq!(Statuses::read(&json!([200, wrong])).unwrap_err(), &wrong);
        }
        assert!(!Statuses::read(&json!([])).unwrap().has(200));
    }
}
