//! The module `time`: what time it is, and times as text.

use std::rc::Rc;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use time::format_description::well_known::Rfc3339;
use time::format_description::{BorrowedFormatItem, parse_strftime_borrowed};
use time::macros::format_description;
use time::parsing::Parsed;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use super::{ApiError, Args, Function, Map, Module, Run, Value, VuContext};
use crate::clock::{self, Instant};
use crate::units;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "time",
    functions: &[
        Function { name: "now", params: &[], run: Run::Now(|_, _| Ok(wall_seconds().into())) },
        Function { name: "now_ms", params: &[], run: Run::Now(|_, _| Ok(now_ms().into())) },
        Function { name: "monotonic", params: &[], run: Run::Now(|_, _| Ok(monotonic().into())) },
        Function { name: "iso", params: &[], run: Run::Now(|_, args| iso(&args)) },
        Function {
            name: "format",
            params: &["time", "format?", "options?"],
            run: Run::Now(format),
        },
        Function { name: "parse", params: &["text", "format?"], run: Run::Now(parse) },
        Function { name: "date", params: &["time?", "options?"], run: Run::Now(date) },
        Function { name: "duration", params: &["text"], run: Run::Now(duration) },
    ],
    constants: &[],
};

/// RFC 3339 in UTC with milliseconds, as JavaScript's `toISOString`.
const ISO_UTC: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The same with an offset.
const ISO_OFFSET: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3][offset_hour \
     sign:mandatory]:[offset_minute]"
);

const MILLISECONDS: &[BorrowedFormatItem<'_>] = format_description!("[subsecond digits:3]");

const MICROSECONDS: &[BorrowedFormatItem<'_>] = format_description!("[subsecond digits:6]");

fn usage(args: &Args, problem: &str) -> ApiError {
    ApiError::usage(format!("{}: {problem}", args.call))
}

fn wall_seconds() -> f64 {
    clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn now_ms() -> u64 {
    clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn monotonic() -> f64 {
    // One origin for all workers, so that times of different VUs can be compared.
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = clock::now();
    now.saturating_duration_since(*ORIGIN.get_or_init(|| now)).as_secs_f64()
}

fn iso(args: &Args) -> Result<Value, ApiError> {
    written(args, moment(args, wall_seconds())?, ISO_UTC)
}

/// Returns the moment so many seconds after 1970, in UTC, to the microsecond (a float holds no
/// more of a present time).
fn moment(args: &Args, seconds: f64) -> Result<OffsetDateTime, ApiError> {
    let microseconds = (seconds * 1e6).round();
    // NaN fits nowhere; what passes here fits 128 bits in nanoseconds.
    let possible = (-1e18..1e18).contains(&microseconds);
    let moment = possible
        .then(|| OffsetDateTime::from_unix_timestamp_nanos(microseconds as i128 * 1000).ok());
    moment.flatten().ok_or_else(|| {
        usage(args, &format!("{seconds} seconds after 1970 lie outside the years -9999 to 9999"))
    })
}

/// Takes `{offset = "+02:00"}`.
fn offset(args: &mut Args, index: usize) -> Result<Option<UtcOffset>, ApiError> {
    let Some(text) = args.fields(index, &["offset"])?.text("offset")? else { return Ok(None) };
    let text = text.to_str();
    let read = read_offset(&text);
    read.map(Some).ok_or_else(|| {
        usage(args, &format!("the offset must be as \"+02:00\" or \"Z\", got \"{text}\""))
    })
}

fn read_offset(text: &str) -> Option<UtcOffset> {
    if matches!(text, "Z" | "UTC") {
        return Some(UtcOffset::UTC);
    }
    let sign: i8 = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].split(':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i8, i8) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    if minutes > 59 {
        return None;
    }
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

/// Reads a strftime format, with `%L` for milliseconds and `%f` for microseconds besides.
fn items<'a>(args: &Args, format: &'a str) -> Result<Vec<BorrowedFormatItem<'a>>, ApiError> {
    let mut items = Vec::new();
    let mut from = 0;
    let mut chars = format.char_indices();
    while let Some((at, char)) = chars.next() {
        if char != '%' {
            continue;
        }
        let digits = match chars.next() {
            Some((_, 'L')) => MILLISECONDS,
            Some((_, 'f')) => MICROSECONDS,
            _ => continue,
        };
        items.extend(strftime(args, &format[from..at])?);
        items.push(BorrowedFormatItem::Compound(digits));
        from = at + 2;
    }
    items.extend(strftime(args, &format[from..])?);
    Ok(items)
}

fn strftime<'a>(args: &Args, format: &'a str) -> Result<Vec<BorrowedFormatItem<'a>>, ApiError> {
    parse_strftime_borrowed(format)
        .map_err(|error| usage(args, &format!("the format \"{format}\" cannot be read: {error}")))
}

fn written(
    args: &Args,
    moment: OffsetDateTime,
    items: &[BorrowedFormatItem<'_>],
) -> Result<Value, ApiError> {
    let text = moment.format(items);
    text.map(Value::from).map_err(|error| usage(args, &format!("cannot be written: {error}")))
}

fn format(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let seconds = args.number(0)?;
    let pattern = args.optional_text(1)?;
    let offset = offset(&mut args, 2)?;
    let moment = moment(&args, seconds)?.checked_to_offset(offset.unwrap_or(UtcOffset::UTC));
    let moment = moment.ok_or_else(|| usage(&args, "the offset leads outside the years"))?;
    match (pattern, offset) {
        (Some(pattern), _) => {
            let pattern = pattern.to_str();
            written(&args, moment, &items(&args, &pattern)?)
        }
        (None, Some(offset)) if !offset.is_utc() => written(&args, moment, ISO_OFFSET),
        (None, _) => written(&args, moment, ISO_UTC),
    }
}

fn parse(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.text(0)?;
    let text = text.to_str();
    let Some(pattern) = args.optional_text(1)? else {
        let moment = OffsetDateTime::parse(&text, &Rfc3339).map_err(|error| {
            usage(&args, &format!("\"{text}\" is no time after RFC 3339: {error}"))
        })?;
        return Ok(seconds(moment));
    };
    let pattern = pattern.to_str();
    read(&text, &items(&args, &pattern)?).map(seconds).map_err(|problem| {
        usage(&args, &format!("\"{text}\" does not fit the format \"{pattern}\": {problem}"))
    })
}

/// Reads a time; what has no offset is in UTC, what has no time of day is midnight.
fn read(text: &str, items: &[BorrowedFormatItem<'_>]) -> Result<OffsetDateTime, String> {
    let mut parsed = Parsed::new();
    let rest = parsed.parse_items(text.as_bytes(), items).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("\"{}\" is left over", String::from_utf8_lossy(rest)));
    }
    if let Ok(moment) = OffsetDateTime::try_from(parsed) {
        return Ok(moment);
    }
    let date = Date::try_from(parsed).map_err(|error| error.to_string())?;
    let timed = parsed.hour_24().is_some() || parsed.hour_12().is_some();
    let time = if timed {
        Time::try_from(parsed).map_err(|error| error.to_string())?
    } else {
        Time::MIDNIGHT
    };
    let offset = UtcOffset::try_from(parsed).unwrap_or(UtcOffset::UTC);
    Ok(date.with_time(time).assume_offset(offset))
}

/// Returns a moment as seconds after 1970, whole where it is whole.
fn seconds(moment: OffsetDateTime) -> Value {
    match moment.nanosecond() {
        0 => Value::Int(moment.unix_timestamp()),
        nanoseconds => Value::Number(moment.unix_timestamp() as f64 + f64::from(nanoseconds) / 1e9),
    }
}

fn date(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let seconds = args.optional_number(0)?.unwrap_or_else(wall_seconds);
    let offset = offset(&mut args, 1)?.unwrap_or(UtcOffset::UTC);
    let moment = moment(&args, seconds)?.checked_to_offset(offset);
    let moment = moment.ok_or_else(|| usage(&args, "the offset leads outside the years"))?;
    let map: Map = [
        ("year", i64::from(moment.year())),
        ("month", i64::from(u8::from(moment.month()))),
        ("day", i64::from(moment.day())),
        ("hour", i64::from(moment.hour())),
        ("minute", i64::from(moment.minute())),
        ("second", i64::from(moment.second())),
        ("millisecond", i64::from(moment.millisecond())),
        ("weekday", i64::from(moment.weekday().number_from_monday())),
        ("yday", i64::from(moment.ordinal())),
    ]
    .into_iter()
    .collect();
    Ok(Value::Map(map))
}

fn duration(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.text(0)?;
    units::parse_duration(&text.to_str())
        .map(|duration| duration.as_secs_f64().into())
        .map_err(|error| usage(&args, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{call, map, message, vu};
    use super::*;

    fn run(name: &str, values: Vec<Value>) -> Result<Value, ApiError> {
        call(&vu(1), &MODULE, name, values)
    }

    /// 2009-02-13T23:31:30Z, a Friday, with 123 milliseconds.
    const MOMENT: f64 = 1_234_567_890.123;

    fn formatted(format: &str) -> Value {
        run("format", vec![MOMENT.into(), format.into()]).unwrap()
    }

    #[test]
    fn the_default_form_is_rfc_3339_with_milliseconds() {
        assert_eq!(run("format", vec![MOMENT.into()]).unwrap(), "2009-02-13T23:31:30.123Z".into());
        assert_eq!(run("format", vec![Value::Int(0)]).unwrap(), "1970-01-01T00:00:00.000Z".into());
        let offset = map([("offset", "+05:30".into())]);
        assert_eq!(
            run("format", vec![MOMENT.into(), Value::Nil, offset]).unwrap(),
            "2009-02-14T05:01:30.123+05:30".into()
        );
    }

    #[test]
    fn formats_are_those_of_strftime() {
        assert_eq!(formatted("%Y-%m-%d %H:%M:%S"), "2009-02-13 23:31:30".into());
        assert_eq!(formatted("%a, %d %b %Y %T GMT"), "Fri, 13 Feb 2009 23:31:30 GMT".into());
        assert_eq!(formatted("%s.%L %f %j %%L"), "1234567890.123 123000 044 %L".into());
        let offset = map([("offset", "-0130".into())]);
        assert_eq!(
            run("format", vec![MOMENT.into(), "%H:%M %z".into(), offset]).unwrap(),
            "22:01 -0130".into()
        );
        let error = message(run("format", vec![MOMENT.into(), "%Q".into()]));
        assert!(
            error.starts_with("time.format: the format \"%Q\" cannot be read: invalid component"),
            "{error}"
        );
    }

    #[test]
    fn offsets_that_are_none_are_refused() {
        for offset in ["2", "+2", "+02:60", "+26:00", "+0é00", "é"] {
            let options = map([("offset", offset.into())]);
            assert_eq!(
                message(run("format", vec![Value::Int(0), Value::Nil, options])),
                format!("time.format: the offset must be as \"+02:00\" or \"Z\", got \"{offset}\"")
            );
        }
    }

    #[test]
    fn times_outside_the_calendar_are_refused() {
        for seconds in [1e30, f64::NAN, -1e15] {
            assert_eq!(
                message(run("format", vec![seconds.into()])),
                format!(
                    "time.format: {seconds} seconds after 1970 lie outside the years -9999 to 9999"
                )
            );
        }
    }

    #[test]
    fn texts_are_read_with_and_without_a_format() {
        let read = |text: &str| run("parse", vec![text.into()]);
        assert_eq!(read("2009-02-13T23:31:30Z").unwrap(), Value::Int(1_234_567_890));
        assert_eq!(read("2009-02-14T05:01:30.5+05:30").unwrap(), Value::Number(1_234_567_890.5));
        let error = message(read("yesterday"));
        assert!(
            error.starts_with("time.parse: \"yesterday\" is no time after RFC 3339: "),
            "{error}"
        );
        let with = |text: &str, format: &str| run("parse", vec![text.into(), format.into()]);
        assert_eq!(with("2009-02-13", "%Y-%m-%d").unwrap(), Value::Int(1_234_483_200));
        assert_eq!(with("13.02.2009 23:31", "%d.%m.%Y %H:%M").unwrap(), Value::Int(1_234_567_860));
        assert_eq!(
            with("20090213 233130 +0100", "%Y%m%d %H%M%S %z").unwrap(),
            Value::Int(1_234_564_290)
        );
        assert_eq!(with("1234567890", "%s").unwrap(), Value::Int(1_234_567_890));
        assert_eq!(
            message(with("2009-02-13x", "%Y-%m-%d")),
            "time.parse: \"2009-02-13x\" does not fit the format \"%Y-%m-%d\": \"x\" is left over"
        );
    }

    #[test]
    fn dates_have_their_parts() {
        let date = run("date", vec![MOMENT.into()]).unwrap();
        let parts = [
            ("year", 2009),
            ("month", 2),
            ("day", 13),
            ("hour", 23),
            ("minute", 31),
            ("second", 30),
            ("millisecond", 123),
            ("weekday", 5),
            ("yday", 44),
        ];
        assert_eq!(date, map(parts.map(|(name, value)| (name, Value::Int(value)))));
    }

    #[test]
    fn clocks_agree_with_one_another() {
        let number = |name: &str| run(name, vec![]).unwrap().as_number().unwrap();
        assert!((number("now") - number("now_ms") / 1000.0).abs() < 5.0);
        let Value::Text(iso) = run("iso", vec![]).unwrap() else { panic!() };
        let read = run("parse", vec![Value::Text(iso)]).unwrap().as_number().unwrap();
        assert!((number("now") - read).abs() < 5.0);
        let first = number("monotonic");
        assert!((0.0..3600.0).contains(&first) && number("monotonic") >= first);
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(millis in -60_000_000_000_000_i64..250_000_000_000_000) {
            let seconds = millis as f64 / 1000.0;
            let text = run("format", vec![seconds.into()]).unwrap();
            let back = run("parse", vec![text]).unwrap().as_number().unwrap();
            prop_assert!((back - seconds).abs() < 0.0015, "{} {}", back, seconds);
        }

        #[test]
        fn no_format_panics(format in "(%?\\PC){0,8}", text in "\\PC{0,12}") {
            let _ = run("format", vec![MOMENT.into(), format.clone().into()]);
            let _ = run("parse", vec![text.into(), format.into()]);
        }
    }
}
