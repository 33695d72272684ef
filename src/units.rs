//! Durations, rates and sizes as people write and read them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// The longest duration that is read: 100 years of 365 days, so that sums of durations and clocks
/// cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// The units of a duration, longest first, in nanoseconds (Go's, and `d`).
const DURATION_UNITS: [(&str, u128); 9] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// The units of a size in bytes.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// What was wrong with a written quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);

/// Reads a duration such as `200ms`, `1m30s`, `1.5s` or `1d2h`; a bare number is milliseconds, as
/// in k6. Fractions of a nanosecond are cut off.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let wrong = |why: &str| {
        UnitError(format!("\"{text}\" is not a duration: {why} (write `1m30s`, `200ms`, `1.5s`)"))
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong("it is empty"));
    }
    if rest.starts_with('-') {
        return Err(wrong("it is negative"));
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if number.is_empty() {
            return Err(wrong(&format!("`{unit}` lacks a number")));
        }
        let unit_nanoseconds = match DURATION_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, nanoseconds)) => *nanoseconds,
            None if unit.is_empty() && number.len() == text.trim().len() => 1_000_000,
            None if unit.is_empty() => return Err(wrong(&format!("`{number}` lacks a unit"))),
            None => return Err(wrong(&format!("`{unit}` is no unit; d, h, m, s, ms, us, ns are"))),
        };
        nanoseconds += scaled(number, unit_nanoseconds)
            .ok_or_else(|| wrong(&format!("`{number}` is no number or too large")))?;
        if nanoseconds > DURATION_MAX.as_nanos() {
            return Err(wrong("it is longer than 100 years"));
        }
        rest = after;
    }
    Ok(Duration::new((nanoseconds / 1_000_000_000) as u64, (nanoseconds % 1_000_000_000) as u32))
}

/// Multiplies a written decimal number by a unit, in whole numbers so that nothing is rounded.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Eighteen digits are below a nanosecond for every unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_u128.pow(fraction.len() as u32);
    whole.checked_mul(unit)?.checked_add(part * unit / scale)
}

/// Prints a duration in the shortest exact form that [`parse_duration`] reads: `1m30s`.
pub fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = nanoseconds;
    for (name, unit) in &DURATION_UNITS[..3] {
        if rest >= *unit {
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    let smallest = [("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000), ("ns", 1)];
    if let Some((name, unit)) = smallest.into_iter().find(|(_, unit)| rest >= *unit) {
        let _ = write!(text, "{}", rest / unit);
        if !rest.is_multiple_of(unit) {
            let digits = format!("{:0width$}", rest % unit, width = unit.ilog10() as usize);
            let _ = write!(text, ".{}", digits.trim_end_matches('0'));
        }
        text.push_str(name);
    }
    text
}

/// Reads a rate such as `100/s`, `50/m` or `5/10s` as a number per time unit and the time unit; a
/// bare number is per second.
pub fn parse_rate(text: &str) -> Result<(f64, Duration), UnitError> {
    let wrong =
        |why: &str| UnitError(format!("\"{text}\" is not a rate: {why} (write `100/s`, `5/10s`)"));
    let (number, unit) = match text.split_once('/') {
        Some((number, unit)) => (number.trim(), unit.trim()),
        None => (text.trim(), "s"),
    };
    let rate: f64 = number.parse().map_err(|_| wrong(&format!("`{number}` is no number")))?;
    if !rate.is_finite() || rate < 0.0 {
        return Err(wrong("it must be 0 or more"));
    }
    let written = if unit.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        unit.to_owned()
    } else {
        format!("1{unit}")
    };
    if written.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(wrong(&format!("`{unit}` lacks a unit of time")));
    }
    let unit = parse_duration(&written)
        .map_err(|_| wrong(&format!("`{unit}` is no time; s, m, h, 10s are")))?;
    if unit.is_zero() {
        return Err(wrong("its time is 0"));
    }
    Ok((rate, unit))
}

/// Prints a rate in the form that [`parse_rate`] reads: `100/s`, `5/10s`.
pub fn format_rate(rate: f64, unit: Duration) -> String {
    format!("{rate}/{}", format_time_unit(unit))
}

/// Prints the time unit of a rate: `s` for one second, `10s` for ten.
pub fn format_time_unit(unit: Duration) -> String {
    let text = format_duration(unit);
    match text.strip_prefix('1') {
        Some(name) if name.chars().all(char::is_alphabetic) => name.to_owned(),
        _ => text,
    }
}

/// Reads a size in bytes: `64MiB`, `1.5 GB`, `512`; upper and lower case are the same.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let wrong =
        |why: &str| UnitError(format!("\"{text}\" is not a size: {why} (write `64MiB`, `1MB`)"));
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => return Err(wrong(&format!("`{unit}` is no unit; kB, MB, GB, KiB, MiB, GiB are"))),
    };
    scaled(number, u128::from(factor))
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| wrong(&format!("`{number}` is no number or too large")))
}

/// Prints a latency with a fitting unit and three significant digits: `1.23 ms`, `41 µs`, `2.50 s`.
///
/// Below a millisecond it prints whole microseconds, which is as fine as histograms resolve.
pub fn format_latency_ms(milliseconds: f64) -> String {
    if !milliseconds.is_finite() {
        return "-".to_owned();
    }
    let sign = if milliseconds < 0.0 { "-" } else { "" };
    let size = milliseconds.abs();
    // The limits lie where rounding would reach the next unit.
    if size < 0.999_5 {
        format!("{sign}{:.0} µs", size * 1_000.0)
    } else if size < 999.5 {
        format!("{sign}{} ms", three_digits(size))
    } else {
        format!("{sign}{} s", three_digits(size / 1_000.0))
    }
}

/// Prints a number of at least 1 with three significant digits, or all of its whole ones.
fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Prints a byte count in SI units: `1.2 MB`.
pub fn format_bytes(bytes: f64) -> String {
    if !bytes.is_finite() {
        return "-".to_owned();
    }
    let sign = if bytes < 0.0 { "-" } else { "" };
    let mut size = bytes.abs();
    if size < 999.5 {
        return format!("{sign}{size:.0} B");
    }
    let mut unit = "kB";
    size /= 1_000.0;
    for next in ["MB", "GB", "TB", "PB"] {
        if size < 999.95 {
            break;
        }
        size /= 1_000.0;
        unit = next;
    }
    format!("{sign}{size:.1} {unit}")
}

/// Prints a count with separators for people: `1,234,567`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the candidate nearest to a misspelt name, if one is near enough to suggest.
///
/// Case, `_` and `-` do not count, so that `maxVUs` finds `max_vus`. Of the letters one in three
/// may be wrong (a swap of neighbors is one mistake); of equally near ones the first wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = plain(name);
    let allowed = (name.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let known = plain(candidate);
        let distance = strsim::osa_distance(&name, &known);
        // A name of one or two letters is as near to any other: only its spelling may differ.
        let plausible = distance == 0
            || (distance <= allowed && distance < known.chars().count().min(name.chars().count()));
        if plausible && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns a name without what spelling habits change.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Returns bytes as text, with what is not UTF-8 replaced.
///
/// Almost all text is valid, and looking for that alone is several times faster than
/// [`String::from_utf8_lossy`], which looks for chunks.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_like_go_and_k6() {
        let cases: [(&str, u64); 14] = [
            ("200ms", 200_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.5h", 1_800_000_000_000),
            (".5s", 500_000_000),
            ("1d2h3m4s500ms", 93_784_500_000_000),
            ("100", 100_000_000),
            ("1.5", 1_500_000),
            ("0", 0),
            ("0s", 0),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("7ns", 7),
            (" 1s ", 1_000_000_000),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn durations_that_mean_nothing_are_errors_that_say_why() {
        let cases = [
            ("", "is empty"),
            ("-5s", "negative"),
            ("ten", "`ten` lacks a number"),
            ("10x", "`x` is no unit"),
            ("1s5", "`5` lacks a unit"),
            ("5 10s", "` ` is no unit"),
            ("1.2.3s", "`1.2.3` is no number"),
            (".s", "`.` is no number"),
            ("99999999h", "longer than 100 years"),
            ("99999999999999999999999999999999999999999s", "too large"),
        ];
        for (text, why) in cases {
            let error = parse_duration(text).expect_err(text);
            assert!(error.0.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_printed_short() {
        let cases: [(u64, &str); 10] = [
            (0, "0s"),
            (90_000_000_000, "1m30s"),
            (60_000_000_000, "1m"),
            (3_600_000_000_000, "1h"),
            (86_400_000_000_000, "1d"),
            (1_500_000_000, "1.5s"),
            (90_250_000_000, "1m30.25s"),
            (500_000_000, "500ms"),
            (1_500, "1.5µs"),
            (60_000_000_001, "1m1ns"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(format_duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn rates_name_their_time() {
        let second = Duration::from_secs(1);
        assert_eq!(parse_rate("100/s"), Ok((100.0, second)));
        assert_eq!(parse_rate("100"), Ok((100.0, second)));
        assert_eq!(parse_rate("50 / m"), Ok((50.0, second * 60)));
        assert_eq!(parse_rate("5/10s"), Ok((5.0, second * 10)));
        assert_eq!(parse_rate("0.5/ms"), Ok((0.5, Duration::from_millis(1))));
        for wrong in ["", "/s", "ten/s", "-1/s", "inf/s", "1/", "1/0s", "1/fortnight", "1/10"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format_rate(100.0, second), "100/s");
        assert_eq!(format_rate(2.5, second * 10), "2.5/10s");
        assert_eq!(format_rate(1.0, Duration::from_millis(1500)), "1/1.5s");
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        assert_eq!(parse_bytes("512"), Ok(512));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("1MB"), Ok(1_000_000));
        assert_eq!(parse_bytes("1.5 gb"), Ok(1_500_000_000));
        for wrong in ["", "MB", "1 parsec", "-1", "99999999999TB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn latencies_change_unit_where_they_round() {
        let cases = [
            (0.041, "41 µs"),
            (0.000_4, "0 µs"),
            (0.999_4, "999 µs"),
            (0.999_6, "1.00 ms"),
            (1.234, "1.23 ms"),
            (9.996, "10.0 ms"),
            (99.96, "100 ms"),
            (999.4, "999 ms"),
            (999.6, "1.00 s"),
            (2_500.0, "2.50 s"),
            (-1.5, "-1.50 ms"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(format_latency_ms(milliseconds), text);
        }
        assert_eq!(format_latency_ms(f64::NAN), "-");
    }

    #[test]
    fn bytes_and_counts_are_for_people() {
        assert_eq!(format_bytes(0.0), "0 B");
        assert_eq!(format_bytes(999.0), "999 B");
        assert_eq!(format_bytes(999.9), "1.0 kB");
        assert_eq!(format_bytes(1_234_567.0), "1.2 MB");
        assert_eq!(format_bytes(999_960.0), "1.0 MB");
        assert_eq!(format_count(0), "0");
        assert_eq!(format_count(999), "999");
        assert_eq!(format_count(1_000), "1,000");
        assert_eq!(format_count(1_234_567), "1,234,567");
    }

    #[test]
    fn only_plausible_typos_get_a_suggestion() {
        let known = ["thresholds", "vus", "duration", "max_vus", "setup_timeout", "tags"];
        assert_eq!(nearest("treshold", known), Some("thresholds"));
        assert_eq!(nearest("maxVUs", known), Some("max_vus"));
        assert_eq!(nearest("setup-timeout", known), Some("setup_timeout"));
        assert_eq!(nearest("vsu", known), Some("vus"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("x", ["y", "z"]), None);
        assert_eq!(nearest("", known), None);
    }

    proptest! {
        #[test]
        fn durations_survive_printing(nanoseconds in 0..DURATION_MAX.as_nanos() as u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn short_durations_survive_printing(nanoseconds in 0..10_000_000_000_u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn rates_survive_printing(rate in 0.0..1e9_f64, milliseconds in 1..10_000_000_u64) {
            let unit = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_rate(&format_rate(rate, unit)), Ok((rate, unit)));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
            let _ = parse_rate(&text);
            let _ = parse_bytes(&text);
        }

        #[test]
        fn a_known_name_is_nearest_to_itself(index in 0..3_usize) {
            let known = ["stages", "start_rate", "start_time"];
            prop_assert_eq!(nearest(known[index], known), Some(known[index]));
        }
    }
}
