//! Which statuses are expected: what is not fails the request in `http_req_failed`.

use std::rc::Rc;

use crate::api::{ApiError, Args, Value, VuContext};

/// Statuses that are expected. By default those from 200 to 399, as in k6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(Vec<(u16, u16)>);

impl Default for Expected {
    fn default() -> Self {
        Self(vec![(200, 399)])
    }
}

impl Expected {
    /// Returns whether a status is expected.
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// Reads `200`, `"2xx"`, `"200-299"`, `{ min = 200, max = 299 }`, or a list of them.
    pub(super) fn read(place: &str, value: &Value) -> Result<Self, ApiError> {
        let mut ranges = Vec::new();
        add(place, value, &mut ranges)?;
        Ok(Self(ranges))
    }
}

fn add(place: &str, value: &Value, ranges: &mut Vec<(u16, u16)>) -> Result<(), ApiError> {
    let wrong = || {
        ApiError::usage(format!(
            "{place}: an expected status is a number such as 200, a class such as \"2xx\", or \
             {{ min = 200, max = 299 }}, not {value:?}"
        ))
    };
    let status = |value: Option<&Value>| match value {
        Some(Value::Int(status @ 0..=999)) => Ok(*status as u16),
        _ => Err(wrong()),
    };
    match value {
        Value::Int(_) => {
            let status = status(Some(value))?;
            ranges.push((status, status));
        }
        Value::Text(text) => {
            let text = text.to_str();
            if let Some(class) = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok())
                && (1..=9).contains(&class)
            {
                ranges.push((class * 100, class * 100 + 99));
            } else if let Some((low, high)) = text.split_once('-')
                && let (Ok(low), Ok(high)) = (low.trim().parse(), high.trim().parse())
            {
                ranges.push((low, high));
            } else {
                let status = text.parse().map_err(|_| wrong())?;
                ranges.push((status, status));
            }
        }
        Value::Map(map) if map.len() == 2 => {
            ranges.push((status(map.get("min"))?, status(map.get("max"))?));
        }
        Value::List(list) => {
            for item in list {
                add(place, item, ranges)?;
            }
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// `http.expected_statuses(200, "3xx", ...)`: a value for `expected` or `set_response_callback`.
pub(super) fn expected_statuses(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let list = Value::List(args.rest(0));
    Expected::read(&args.call, &list)?;
    Ok(list)
}

/// `http.set_response_callback(http.expected_statuses(404))`: the VU's default from now on.
pub(super) fn set_response_callback(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let expected = match args.take(0) {
        Value::Nil | Value::Null => Expected::default(),
        value => Expected::read(&args.call, &value)?,
    };
    *vu.expected.borrow_mut() = Rc::new(expected);
    Ok(Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Map;

    #[test]
    fn statuses_classes_and_ranges_are_read() {
        let mut range = Map::new();
        range.push("min", 300_i64);
        range.push("max", 302_i64);
        let list =
            Value::List(vec![Value::Int(204), "4xx".into(), "500-502".into(), Value::Map(range)]);
        let expected = Expected::read("x", &list).unwrap();
        for status in [204, 404, 501, 301] {
            assert!(expected.has(status), "{status}");
        }
        for status in [200, 303, 503, 0] {
            assert!(!expected.has(status), "{status}");
        }
    }

    #[test]
    fn what_is_no_status_is_refused_with_its_text() {
        let error = Expected::read("http.get: params", &"2yy".into()).unwrap_err();
        assert!(error.message.contains("\"2yy\""), "{error}");
    }
}
