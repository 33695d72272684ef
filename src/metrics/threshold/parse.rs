//! Reads threshold expressions: `p(95) < 200ms && avg < 80 over 30s`.

use std::time::Duration;

use super::super::{Definition, Kind, Stat, Unit};

/// How an observed value and a limit compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The operators, longer ones before those that they begin with.
const OPERATORS: [(&str, Comparison); 7] = [
    ("===", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Comparison {
    /// Returns whether it holds.
    pub(super) fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
            Self::Equal => observed == limit,
            Self::NotEqual => observed != limit,
        }
    }
}

/// One comparison, its limit in the interface's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub(super) stat: Stat,
    pub(super) comparison: Comparison,
    pub(super) limit: f64,
}

/// What must hold, and over which window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression {
    pub(super) terms: Vec<Term>,
    pub(super) window: Option<Duration>,
}

impl Expression {
    /// Reads `stat op number [unit] { "&&" ... } [ "over" duration ]` about a metric.
    pub(super) fn parse(text: &str, metric: &Definition) -> Result<Self, String> {
        let mut cursor = Cursor { rest: text.trim() };
        let mut terms = vec![cursor.term(metric)?];
        while cursor.eat("&&") {
            terms.push(cursor.term(metric)?);
        }
        let window = if cursor.eat_word("over") { Some(cursor.duration()?) } else { None };
        if cursor.rest.is_empty() {
            return Ok(Self { terms, window });
        }
        Err(format!(
            "{:?} is too much: join comparisons with &&, and end with over 30s",
            cursor.rest
        ))
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn term(&mut self, metric: &Definition) -> Result<Term, String> {
        let stat = self.stat(metric)?;
        let comparison = self.comparison()?;
        let number = self.number()?;
        let unit = self.unit();
        let limit = number * factor(unit, stat, metric)?;
        if limit.is_finite() {
            return Ok(Term { stat, comparison, limit });
        }
        Err(format!("{number}{unit} is too great"))
    }

    fn stat(&mut self, metric: &Definition) -> Result<Stat, String> {
        let text = self.take_until(|c| matches!(c, '<' | '>' | '=' | '!' | '&')).trim();
        let fitting = Stat::names(metric.kind);
        let stat = Stat::parse(text).ok_or_else(|| {
            if text.starts_with("p(") || text.starts_with('p') && text[1..].parse::<f64>().is_ok() {
                return format!("{text:?}: write a percentile as p(95), from p(0) to p(100)");
            }
            format!("{text:?} is no statistic of a {}: use {fitting}", metric.kind)
        })?;
        if stat.fits(metric.kind) {
            return Ok(stat);
        }
        Err(format!(
            "metric {:?} is a {} and has no {stat}: use {fitting}",
            metric.name, metric.kind
        ))
    }

    fn comparison(&mut self) -> Result<Comparison, String> {
        OPERATORS
            .into_iter()
            .find_map(|(text, comparison)| self.eat(text).then_some(comparison))
            .ok_or_else(|| "compare with <, <=, >, >=, == or !=, as in p(95) < 200ms".to_owned())
    }

    /// Takes a decimal number with an optional sign and exponent.
    fn number(&mut self) -> Result<f64, String> {
        let bytes = self.rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
        let mut end = digits(sign);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        let (number, rest) = self.rest.split_at(end);
        let value = number.parse().map_err(|_| {
            let found = self.rest.split_whitespace().next().unwrap_or("nothing");
            format!("expected a number to compare with, found {found:?}")
        })?;
        self.rest = rest;
        Ok(value)
    }

    /// Takes what stands before white space, `&&` or the end; `over` is no unit.
    fn unit(&mut self) -> &'a str {
        let before = self.rest;
        self.rest = self.rest.trim_start();
        let unit = self.take_until(|c| c == '&' || c.is_whitespace());
        if unit == "over" {
            self.rest = before;
            return "";
        }
        unit
    }

    /// Takes `30s`, `1m30s` and the like.
    fn duration(&mut self) -> Result<Duration, String> {
        let wrong = || "write the window after over as 30s, 5m or 1m30s".to_owned();
        let mut milliseconds = 0.0;
        while !self.rest.is_empty() {
            let number = self.number().map_err(|_| wrong())?;
            let unit = self.take_until(|c| !c.is_alphabetic());
            let factor = time_factor(unit).ok_or_else(wrong)?;
            milliseconds += number * factor;
        }
        let duration = Duration::try_from_secs_f64(milliseconds / 1000.0).map_err(|_| wrong())?;
        if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
    }

    fn eat(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(token) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let ends = |rest: &str| rest.starts_with(char::is_whitespace);
        let found = self.rest.trim_start().strip_prefix(word).is_some_and(ends);
        found && self.eat(word)
    }

    fn take_until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// Returns what one of the written unit is in the interface's unit of the statistic.
fn factor(unit: &str, stat: Stat, metric: &Definition) -> Result<f64, String> {
    if unit.is_empty() {
        return Ok(1.0);
    }
    let counts_samples = stat == Stat::Count && metric.kind != Kind::Counter;
    let per_second = stat == Stat::Rate && metric.kind == Kind::Counter;
    let plain = if per_second { unit.strip_suffix("/s").unwrap_or(unit) } else { unit };
    let (found, fitting) = match &metric.unit {
        _ if counts_samples => (None, "no unit"),
        _ if metric.kind == Kind::Rate => ((unit == "%").then_some(0.01), "% or no unit"),
        _ if plain.is_empty() => (Some(1.0), ""),
        Unit::Time => (time_factor(plain), "us, ms, s or m"),
        Unit::Bytes => (bytes_factor(plain), "B, kB, MB, GB, KiB, MiB or GiB"),
        Unit::Named(name) => ((plain == name).then_some(1.0), name.as_str()),
        Unit::None => (None, "no unit"),
    };
    found.ok_or_else(|| {
        format!("unit {unit:?} does not fit {stat} of metric {:?}: use {fitting}", metric.name)
    })
}

/// Returns a time unit in milliseconds.
fn time_factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-6,
        // The micro sign and the Greek letter look the same.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return None,
    })
}

fn bytes_factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metric(kind: Kind, unit: Unit) -> Definition {
        Definition { name: "m".to_owned(), kind, unit }
    }

    fn times() -> Definition {
        metric(Kind::Trend, Unit::Time)
    }

    fn limit(text: &str, metric: &Definition) -> f64 {
        Expression::parse(text, metric).unwrap_or_else(|error| panic!("{text}: {error}")).terms[0]
            .limit
    }

    #[test]
    fn the_whole_grammar_is_read() {
        let read = Expression::parse(" p(99.9)<=1.5s && avg < 200 &&count>10 over 1m30s", &times());
        let read = read.unwrap();
        let term = |stat, comparison, limit| Term { stat, comparison, limit };
        assert_eq!(
            read.terms,
            [
                term(Stat::P(99.9), Comparison::LessOrEqual, 1500.0),
                term(Stat::Avg, Comparison::Less, 200.0),
                term(Stat::Count, Comparison::Greater, 10.0),
            ]
        );
        assert_eq!(read.window, Some(Duration::from_secs(90)));
    }

    #[test]
    fn expressions_of_k6_are_valid_as_they_are() {
        for (text, metric) in [
            ("p(95)<200", times()),
            ("p(99.99) < 200.5", times()),
            ("med === 1e3", times()),
            ("max != -1", times()),
            ("rate<0.01", metric(Kind::Rate, Unit::None)),
            ("rate>=.95", metric(Kind::Rate, Unit::None)),
            ("count>=0", metric(Kind::Counter, Unit::None)),
            ("rate > 100", metric(Kind::Counter, Unit::Bytes)),
            ("value<5", metric(Kind::Gauge, Unit::None)),
        ] {
            let read = Expression::parse(text, &metric);
            assert!(read.is_ok(), "{text}: {read:?}");
        }
    }

    #[test]
    fn units_are_brought_to_the_interface_unit() {
        for (text, expected) in [
            ("avg<500us", 0.5),
            ("avg<500\u{b5}s", 0.5),
            ("avg<500\u{3bc}s", 0.5),
            ("avg<200 ms", 200.0),
            ("avg<2s", 2000.0),
            ("avg<1.5m over 5s", 90_000.0),
            ("avg<5 over 5s", 5.0),
        ] {
            assert_eq!(limit(text, &times()), expected, "{text}");
        }
        assert_eq!(limit("rate<1%", &metric(Kind::Rate, Unit::None)), 0.01);
        let bytes = metric(Kind::Counter, Unit::Bytes);
        assert_eq!(limit("count < 2MB", &bytes), 2e6);
        assert_eq!(limit("rate < 1KiB/s", &bytes), 1024.0);
        assert_eq!(limit("rate > 100/s", &metric(Kind::Counter, Unit::None)), 100.0);
        assert_eq!(limit("avg<7gas", &metric(Kind::Trend, Unit::Named("gas".to_owned()))), 7.0);
    }

    #[test]
    fn what_is_written_wrongly_is_an_error_with_the_remedy() {
        let rate = metric(Kind::Rate, Unit::None);
        for (text, metric, part) in [
            (
                "rate<0.1",
                &times(),
                "is a trend and has no rate: use avg, min, max, med, p(N), count",
            ),
            ("p(95)<1", &rate, "is a rate and has no p(95): use count, rate"),
            ("p95<1", &times(), "p(95)"),
            ("p(101)<1", &times(), "p(0) to p(100)"),
            ("mean<1", &times(), "\"mean\" is no statistic of a trend"),
            ("", &times(), "no statistic"),
            ("avg", &times(), "compare with"),
            ("avg=1", &times(), "compare with"),
            ("avg<", &times(), "expected a number"),
            ("avg<ms", &times(), "found \"ms\""),
            ("avg<5MB", &times(), "use us, ms, s or m"),
            ("count<5ms", &times(), "use no unit"),
            ("rate<5ms", &rate, "use % or no unit"),
            ("avg<5 avg<6", &times(), "does not fit"),
            ("avg<5ms avg<6", &times(), "too much"),
            ("avg<5 &&", &times(), "no statistic"),
            ("avg<5 & max<6", &times(), "too much"),
            ("avg<5 over", &times(), "too much"),
            ("avg<5 over 30", &times(), "30s"),
            ("avg<5 over 0s", &times(), "30s"),
            ("avg<1e999", &times(), "too great"),
        ] {
            let error = Expression::parse(text, metric).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,24}", words in "[pavgount()<>=! .&over0-9msµ%é]{0,24}") {
            for metric in [times(), metric(Kind::Rate, Unit::None)] {
                let _ = Expression::parse(&text, &metric);
                let _ = Expression::parse(&words, &metric);
            }
        }

        #[test]
        fn spaces_do_not_matter(percent in 0..=100u32, limit in 0..100_000u32, gap in " {0,3}") {
            let spaced = format!("p({percent}){gap}<{gap}{limit}ms{gap}&&{gap}max{gap}>={gap}1");
            let dense = format!("p({percent})<{limit}ms&&max>=1");
            prop_assert_eq!(
                Expression::parse(&spaced, &times()),
                Expression::parse(&dense, &times())
            );
        }
    }
}
