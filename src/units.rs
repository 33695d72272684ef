//! Durations, rates and sizes as people write and read them.

use std::time::Duration;

/// What was wrong with a written quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);

/// Reads a duration such as `200ms`, `1m30s` or `1d2h`; a bare number is milliseconds, as in k6.
pub fn parse_duration(_text: &str) -> Result<Duration, UnitError> {
    unimplemented!()
}

/// Prints a duration in the shortest exact form that [`parse_duration`] reads: `1m30s`.
pub fn format_duration(_duration: Duration) -> String {
    unimplemented!()
}

/// Prints a latency with a fitting unit and three significant digits: `1.23 ms`, `41 µs`, `2.50 s`.
pub fn format_latency_ms(_milliseconds: f64) -> String {
    unimplemented!()
}

/// Prints a byte count in SI units: `1.2 MB`.
pub fn format_bytes(_bytes: f64) -> String {
    unimplemented!()
}

/// Prints a count with thin separators for people: `1,234,567`.
pub fn format_count(_count: u64) -> String {
    unimplemented!()
}

/// Returns the candidate nearest to a misspelt name, if one is near enough to suggest.
pub fn nearest<'a>(_name: &str, _candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    unimplemented!()
}
