//! Figures as people read them.

use std::time::Duration;

use super::style::Style;
use crate::metrics::{Kind, Stat, Unit};
use crate::units::{format_bytes, format_count, format_duration, format_latency_ms};

/// Returns a time in milliseconds with a fitting unit.
pub(super) fn time(style: Style, milliseconds: f64) -> String {
    let text = format_latency_ms(milliseconds);
    if style.unicode { text } else { text.replace('µ', "u") }
}

/// Returns a share of 1 in percent. Only none at all is 0.00 %, and only all is 100.00 %.
pub(super) fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.005 {
        "<0.01%".to_owned()
    } else if (99.995..100.0).contains(&percent) {
        "99.99%".to_owned()
    } else {
        format!("{percent:.2}%")
    }
}

/// Returns a part of a whole in percent; of nothing it is none.
pub(super) fn share_of(part: u64, whole: u64) -> String {
    share(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

/// Returns a number per second, without the unit.
pub(super) fn per_second(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else if rate < 9.995 {
        format!("{rate:.2}")
    } else if rate < 999.95 {
        format!("{rate:.1}")
    } else {
        format_count(rate.round() as u64)
    }
}

/// Returns a plain number with about three significant digits, or all of its whole ones.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 0.000_5) {
        return format!("{value:.2e}");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    if size.fract() == 0.0 || size >= 999.5 {
        return format!("{sign}{}", format_count(size.round() as u64));
    }
    let text = match size {
        _ if size < 0.995 => format!("{size:.3}"),
        _ if size < 9.995 => format!("{size:.2}"),
        _ => format!("{size:.1}"),
    };
    format!("{sign}{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Returns a value of a metric with its unit.
pub(super) fn value(style: Style, unit: &Unit, value: f64) -> String {
    match unit {
        Unit::None => number(value),
        Unit::Time => time(style, value),
        Unit::Bytes => format_bytes(value),
        Unit::Named(name) => format!("{} {name}", number(value)),
    }
}

/// Returns a statistic of a metric with the statistic's unit.
pub(super) fn statistic(style: Style, kind: Kind, unit: &Unit, stat: Stat, figure: f64) -> String {
    match (kind, stat) {
        (Kind::Rate, Stat::Rate) => share(figure),
        (Kind::Counter, Stat::Rate) => match unit {
            Unit::Bytes | Unit::Time => format!("{}/s", value(style, unit, figure)),
            Unit::Named(name) => format!("{} {name}/s", per_second(figure)),
            Unit::None => format!("{}/s", per_second(figure)),
        },
        (Kind::Rate | Kind::Trend, Stat::Count) => number(figure),
        _ => value(style, unit, figure),
    }
}

/// Returns a duration, rounded so that it is quick to read: `30.01s`, `2m1s`.
pub(super) fn length(style: Style, duration: Duration) -> String {
    let grain: u128 = match duration.as_secs() {
        0..10 => 1,
        10..60 => 10,
        _ => 1_000,
    };
    if duration.as_millis() == 0 && !duration.is_zero() {
        return time(style, duration.as_secs_f64() * 1_000.0);
    }
    let milliseconds = (duration.as_millis() + grain / 2) / grain * grain;
    format_duration(Duration::from_millis(milliseconds as u64))
}

/// Returns a time since the start as a clock has it: `01:05`, `1:00:05`.
pub(super) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes:02}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

/// Returns a count with its noun: `1 error`, `1,204 errors`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", format_count(count), if count == 1 { "" } else { "s" })
}

/// Returns times in milliseconds as one column without units: their points stand below each other,
/// and every one that is not 0 has a digit.
pub(super) fn column(milliseconds: &[f64], unit: ColumnUnit) -> Vec<String> {
    let values: Vec<f64> = milliseconds.iter().map(|time| time * unit.per_millisecond()).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    let least = values.iter().copied().filter(|&value| value > 0.0).fold(f64::MAX, f64::min);
    let for_most = if most < 99.995 { 2 } else { usize::from(most < 999.95) };
    let for_least = match least {
        _ if least >= 0.95 => 0,
        _ if least >= 0.095 => 1,
        _ if least >= 0.009_5 => 2,
        _ => 3,
    };
    let decimals = if unit == ColumnUnit::Microseconds { 0 } else { for_most.max(for_least) };
    values
        .into_iter()
        .map(|value| {
            let text = format!("{value:.decimals$}");
            let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
            format!("{}{fraction}", whole.parse().map_or_else(|_| whole.to_owned(), format_count))
        })
        .collect()
}

/// The one unit of a table's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnUnit {
    /// µs.
    Microseconds,
    /// ms.
    Milliseconds,
    /// s.
    Seconds,
}

impl ColumnUnit {
    /// Returns the unit in which times of which these are the least median and the greatest are
    /// short.
    pub(super) fn fitting(least: f64, greatest: f64) -> Self {
        if greatest < 1.0 {
            Self::Microseconds
        } else if least >= 1_000.0 {
            Self::Seconds
        } else {
            Self::Milliseconds
        }
    }

    /// Returns its name.
    pub(super) fn name(self, style: Style) -> &'static str {
        match self {
            Self::Microseconds if style.unicode => "µs",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    fn per_millisecond(self) -> f64 {
        match self {
            Self::Microseconds => 1_000.0,
            Self::Milliseconds => 1.0,
            Self::Seconds => 0.001,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { color: false, width: 80, unicode: false };

    #[test]
    fn a_share_is_none_or_all_only_if_it_is() {
        let texts = [0.0, 1e-7, 0.000_1, 0.5, 0.999_99, 1.0].map(share);
        assert_eq!(texts, ["0.00%", "<0.01%", "0.01%", "50.00%", "99.99%", "100.00%"]);
        assert_eq!(share_of(0, 0), "0.00%");
    }

    #[test]
    fn numbers_have_as_many_digits_as_tell_something() {
        let texts = [0.0, 0.5, 1.256, 12.34, 999.6, 1_234.5, -7.0, -0.25, 1e20].map(number);
        assert_eq!(texts, ["0", "0.5", "1.26", "12.3", "1,000", "1,235", "-7", "-0.25", "1.00e20"]);
    }

    #[test]
    fn a_column_of_times_lines_up_and_none_vanishes() {
        let ms = ColumnUnit::Milliseconds;
        assert_eq!(column(&[1.2, 31.0, 0.25], ms), ["1.20", "31.00", "0.25"]);
        assert_eq!(column(&[231.46, 4.0], ms), ["231.5", "4.0"]);
        assert_eq!(column(&[12_345.6, 2.0, 0.0], ms), ["12,346", "2", "0"]);
        assert_eq!(column(&[1_520.2, 0.041], ms), ["1,520.20", "0.04"]);
        assert_eq!(column(&[0.041, 0.9], ColumnUnit::Microseconds), ["41", "900"]);
        assert_eq!(column(&[1_500.0], ColumnUnit::Seconds), ["1.50"]);
    }

    #[test]
    fn statistics_have_the_unit_of_what_they_are() {
        let text = |kind, unit, stat, figure| statistic(STYLE, kind, unit, stat, figure);
        assert_eq!(text(Kind::Rate, &Unit::None, Stat::Rate, 0.995), "99.50%");
        assert_eq!(text(Kind::Counter, &Unit::Bytes, Stat::Rate, 1500.0), "1.5 kB/s");
        assert_eq!(text(Kind::Counter, &Unit::None, Stat::Count, 1500.0), "1,500");
        assert_eq!(text(Kind::Trend, &Unit::Time, Stat::P(95.0), 0.25), "250 us");
        assert_eq!(text(Kind::Trend, &Unit::Time, Stat::Count, 25.0), "25");
        let items = Unit::Named("items".to_owned());
        assert_eq!(text(Kind::Trend, &items, Stat::Max, 25.0), "25 items");
    }

    #[test]
    fn lengths_are_rounded_by_their_size() {
        let texts = [0, 1, 9_876, 30_012, 120_130, 3_700_900].map(Duration::from_millis);
        let texts = texts.map(|duration| length(STYLE, duration));
        assert_eq!(texts, ["0s", "1ms", "9.876s", "30.01s", "2m", "1h1m41s"]);
        assert_eq!(length(STYLE, Duration::from_micros(40)), "40 us");
        assert_eq!(clock(Duration::from_secs(65)), "01:05");
        assert_eq!(clock(Duration::from_secs(3_605)), "1:00:05");
    }
}
