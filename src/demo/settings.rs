//! What the target is told: where to listen, where to keep notes, and how to misbehave.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rand::{Rng, RngExt as _};
use rand_distr::StandardNormal;

use crate::units;

/// The longest latency added to one answer, whatever a distribution's tail says.
const LATENCY_MAX: Duration = Duration::from_mins(1);

/// The widest `lognormal` spread: beyond it most draws are 0 or the maximum.
const SIGMA_MAX: f64 = 5.0;

/// What the target is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The database file, made if it does not exist; `None` keeps the notes in memory.
    pub db: Option<PathBuf>,
    /// The latency added before each answer of the `/api` routes.
    pub latency: Latency,
    /// The share of `/api` answers, 0 to 1, that become errors before any work is done.
    pub error_rate: f64,
    /// The windows in which no `/api` answer leaves.
    pub stall: Vec<Stall>,
}

impl Default for Settings {
    /// A target in memory that behaves well, on 127.0.0.1:7380.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7380)),
            db: None,
            latency: Latency::default(),
            error_rate: 0.0,
            stall: Vec::new(),
        }
    }
}

impl Settings {
    /// Checks what the types do not.
    pub(super) fn validate(&self) -> Result<(), SettingError> {
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err(SettingError::ErrorRate(self.error_rate));
        }
        match self.stall.iter().find(|stall| !stall.in_range()) {
            None => Ok(()),
            Some(stall) => Err(SettingError::Stall {
                text: stall.to_string(),
                reason: Stall::OUT_OF_RANGE.to_owned(),
            }),
        }
    }
}

/// A setting that cannot be read or is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// A latency that is none of the four forms.
    #[error(
        "latency \"{text}\": {reason}; write 50ms, 20ms..80ms, normal(50ms,10ms) or lognormal(50ms,0.5)"
    )]
    Latency {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A stall that is not two durations.
    #[error("stall \"{text}\": {reason}; write start:length, such as 10s:3s")]
    Stall {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A share outside 0 to 1.
    #[error("error rate {0}: a share lies between 0 and 1; 1 % is 0.01")]
    ErrorRate(f64),
}

/// The latency added before each answer; none by default.
///
/// Written `none`, `50ms`, `20ms..80ms` (uniform), `normal(50ms,10ms)` (mean, standard deviation)
/// or `lognormal(50ms,0.5)` (median, and the standard deviation of the logarithm). Draws lie
/// between 0 and one minute.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Latency(Shape);

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Shape {
    #[default]
    None,
    Fixed(Duration),
    Uniform {
        low: Duration,
        high: Duration,
    },
    Normal {
        mean: Duration,
        deviation: Duration,
    },
    Lognormal {
        median: Duration,
        sigma: f64,
    },
}

impl Latency {
    /// Returns whether answers leave without added latency.
    pub fn is_none(&self) -> bool {
        self.0 == Shape::None
    }

    /// Draws the latency of one answer.
    pub(super) fn draw(&self, random: &mut impl Rng) -> Duration {
        let seconds = match self.0 {
            Shape::None => return Duration::ZERO,
            Shape::Fixed(latency) => return latency,
            Shape::Uniform { low, high } => {
                random.random_range(low.as_secs_f64()..=high.as_secs_f64())
            }
            Shape::Normal { mean, deviation } => {
                let z: f64 = random.sample(StandardNormal);
                mean.as_secs_f64() + deviation.as_secs_f64() * z
            }
            Shape::Lognormal { median, sigma } => {
                let z: f64 = random.sample(StandardNormal);
                median.as_secs_f64() * (sigma * z).exp()
            }
        };
        Duration::from_secs_f64(seconds.clamp(0.0, LATENCY_MAX.as_secs_f64()))
    }
}

impl FromStr for Latency {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        parse_shape(text.trim())
            .map(Self)
            .map_err(|reason| SettingError::Latency { text: text.to_owned(), reason })
    }
}

fn parse_shape(text: &str) -> Result<Shape, String> {
    if text == "none" {
        return Ok(Shape::None);
    }
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (latency(low)?, latency(high)?);
        return if low <= high {
            Ok(Shape::Uniform { low, high })
        } else {
            Err("the range runs backwards".to_owned())
        };
    }
    if let Some((mean, deviation)) = arguments(text, "normal")? {
        return Ok(Shape::Normal { mean: latency(mean)?, deviation: latency(deviation)? });
    }
    if let Some((median, sigma)) = arguments(text, "lognormal")? {
        let sigma = sigma.trim();
        return match sigma.parse::<f64>() {
            Ok(value) if (0.0..=SIGMA_MAX).contains(&value) => {
                Ok(Shape::Lognormal { median: latency(median)?, sigma: value })
            }
            _ => Err(format!("the spread \"{sigma}\" is no number between 0 and {SIGMA_MAX}")),
        };
    }
    Ok(Shape::Fixed(latency(text)?))
}

/// Splits `name(a,b)`; `None` if the text does not begin with `name(`.
fn arguments<'a>(text: &'a str, name: &str) -> Result<Option<(&'a str, &'a str)>, String> {
    let Some(rest) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('(')) else {
        return Ok(None);
    };
    rest.strip_suffix(')')
        .and_then(|inner| inner.split_once(','))
        .map(Some)
        .ok_or_else(|| format!("{name} takes two values in parentheses"))
}

fn latency(text: &str) -> Result<Duration, String> {
    let value = units::parse_duration(text.trim()).map_err(|error| error.to_string())?;
    if value > LATENCY_MAX {
        return Err(format!("{text} is above the maximum of one minute"));
    }
    Ok(value)
}

impl fmt::Display for Latency {
    /// Prints the form that [`Latency::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let print = units::format_duration;
        match self.0 {
            Shape::None => f.write_str("none"),
            Shape::Fixed(latency) => f.write_str(&print(latency)),
            Shape::Uniform { low, high } => write!(f, "{}..{}", print(low), print(high)),
            Shape::Normal { mean, deviation } => {
                write!(f, "normal({},{})", print(mean), print(deviation))
            }
            Shape::Lognormal { median, sigma } => {
                write!(f, "lognormal({},{sigma})", print(median))
            }
        }
    }
}

/// A window in which no `/api` answer leaves, whenever its request arrived.
///
/// Written `10s:3s`: from 10 s after the start, for 3 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// How long after the target's start the window opens.
    pub at: Duration,
    /// How long the window stays open.
    pub length: Duration,
}

impl Stall {
    /// Returns when the window closes, counted from the target's start.
    pub(super) fn end(&self) -> Duration {
        self.at.saturating_add(self.length)
    }

    const OUT_OF_RANGE: &str = "the window ends more than a year after the start";

    /// Says whether a clock's reading plus the window's end is surely a reading again.
    fn in_range(&self) -> bool {
        self.end() <= Duration::from_hours(365 * 24)
    }
}

impl FromStr for Stall {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let fail = |reason: String| SettingError::Stall { text: text.to_owned(), reason };
        let (at, length) =
            text.split_once(':').ok_or_else(|| fail("there is no colon".to_owned()))?;
        let read = |part: &str| {
            units::parse_duration(part.trim()).map_err(|error| fail(error.to_string()))
        };
        let stall = Self { at: read(at)?, length: read(length)? };
        stall.in_range().then_some(stall).ok_or_else(|| fail(Self::OUT_OF_RANGE.to_owned()))
    }
}

impl fmt::Display for Stall {
    /// Prints the form that [`Stall::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", units::format_duration(self.at), units::format_duration(self.length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_latency_has_five_forms() {
        let read = |text: &str| text.parse::<Latency>().map(|latency| latency.0);
        let (low, high) = (milliseconds(20), milliseconds(80));
        assert_eq!(read("none"), Ok(Shape::None));
        assert_eq!(read("50ms"), Ok(Shape::Fixed(milliseconds(50))));
        assert_eq!(read(" 20ms .. 80ms "), Ok(Shape::Uniform { low, high }));
        assert_eq!(read("normal(20ms, 80ms)"), Ok(Shape::Normal { mean: low, deviation: high }));
        assert_eq!(read("lognormal(20ms,0.5)"), Ok(Shape::Lognormal { median: low, sigma: 0.5 }));
    }

    #[test]
    fn a_bad_latency_is_named_with_the_remedy() {
        for text in [
            "",
            "fast",
            "80ms..20ms",
            "20ms..",
            "normal(20ms)",
            "normal(20ms,10ms",
            "lognormal(20ms,-1)",
            "lognormal(20ms,NaN)",
            "61s",
        ] {
            let message = text.parse::<Latency>().expect_err(text).to_string();
            assert!(message.contains(&format!("latency \"{text}\"")), "{message}");
            assert!(message.contains("normal(50ms,10ms)"), "{message}");
        }
    }

    #[test]
    fn a_stall_is_a_start_and_a_length() {
        let expected = Stall { at: Duration::from_secs(10), length: Duration::from_secs(3) };
        assert_eq!("10s:3s".parse(), Ok(expected));
        for text in ["10s", "10s:", ":3s", "a:b", "10000d:1s"] {
            let message = text.parse::<Stall>().expect_err(text).to_string();
            assert!(message.contains("10s:3s"), "{message}");
        }
    }

    #[test]
    fn an_error_rate_is_a_share() {
        let rate = |error_rate| Settings { error_rate, ..Settings::default() }.validate();
        assert_eq!(rate(0.0), Ok(()));
        assert_eq!(rate(1.0), Ok(()));
        assert_eq!(rate(1.5), Err(SettingError::ErrorRate(1.5)));
        assert!(rate(f64::NAN).is_err());
    }

    #[test]
    fn a_stall_beyond_the_clock_is_refused_however_it_was_made() {
        let stall = vec![Stall { at: Duration::MAX / 2, length: Duration::MAX / 2 }];
        let outcome = Settings { stall, ..Settings::default() }.validate();
        assert!(matches!(outcome, Err(SettingError::Stall { .. })));
    }

    proptest! {
        #[test]
        fn a_printed_latency_reads_back(low in 0u64..30_000, more in 0u64..30_000, kind in 0..4) {
            let (low, high) = (milliseconds(low), milliseconds(low + more));
            let latency = Latency(match kind {
                0 => Shape::Fixed(low),
                1 => Shape::Uniform { low, high },
                2 => Shape::Normal { mean: low, deviation: high },
                _ => Shape::Lognormal { median: low, sigma: more as f64 / 30_000.0 },
            });
            prop_assert_eq!(latency.to_string().parse(), Ok(latency));
        }

        #[test]
        fn a_printed_stall_reads_back(at in 0u64..10_000_000, length in 0u64..10_000_000) {
            let stall = Stall { at: milliseconds(at), length: milliseconds(length) };
            prop_assert_eq!(stall.to_string().parse(), Ok(stall));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(latency) = text.parse::<Latency>() {
                prop_assert_eq!(latency.to_string().parse(), Ok(latency));
            }
            if let Ok(stall) = text.parse::<Stall>() {
                prop_assert_eq!(stall.to_string().parse(), Ok(stall));
            }
        }

        #[test]
        fn draws_stay_in_their_bounds(seed: u64, low in 0u64..60_000, high in 0u64..60_000) {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let (low, high) = (milliseconds(low.min(high)), milliseconds(low.max(high)));
            let uniform = Latency(Shape::Uniform { low, high }).draw(&mut random);
            // Seconds as f64 are exact to well below a microsecond here.
            let slack = Duration::from_micros(1);
            prop_assert!(uniform + slack >= low && uniform <= high + slack);
            let normal = Shape::Normal { mean: low, deviation: high };
            prop_assert!(Latency(normal).draw(&mut random) <= LATENCY_MAX);
            let lognormal = Shape::Lognormal { median: high, sigma: SIGMA_MAX };
            prop_assert!(Latency(lognormal).draw(&mut random) <= LATENCY_MAX);
        }

        #[test]
        fn half_of_the_draws_lie_below_the_median(seed: u64) {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let middle = milliseconds(50);
            for shape in [
                Shape::Normal { mean: middle, deviation: milliseconds(10) },
                Shape::Lognormal { median: middle, sigma: 0.5 },
            ] {
                let latency = Latency(shape);
                let below = (0..1000).filter(|_| latency.draw(&mut random) < middle).count();
                // Six standard deviations of a fair coin thrown a thousand times.
                prop_assert!((405..=595).contains(&below), "{below} of 1000");
            }
        }
    }
}
