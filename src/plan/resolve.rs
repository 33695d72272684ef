//! From options to the plan: defaults, shortcuts, and every check that needs no script.

use std::path::PathBuf;
use std::time::Duration;

use super::error::suggestion;
use super::options::Options;
use super::{
    HostPattern, HttpDebug, Isolation, LimitOptions, Plan, PlanError, Rate, ScriptLimits,
    ThresholdPlan,
};

pub use self::proxy::ProxyEnv;

mod arrivals;
mod http;
mod network;
mod proxy;
mod scenarios;
mod shortcuts;
mod start;
mod tls;

/// The most VUs of a test.
pub const VUS_MAX: u64 = 1_000_000;

/// The most worker threads.
const WORKERS_MAX: u64 = 1_024;

/// k6's default for `setup` and `teardown`.
const PHASE_TIMEOUT: Duration = Duration::from_mins(1);

/// k6's default statistics of a trend.
const TREND_STATS: [&str; 6] = ["avg", "min", "med", "max", "p(90)", "p(95)"];

/// The statistics of a trend that are not percentiles.
const STAT_WORDS: [&str; 5] = ["avg", "min", "med", "max", "count"];

/// The default of `series_max`.
const SERIES_MAX: u64 = 100_000;

/// What the plan depends on besides the options.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Processor cores that this process may use.
    pub cores: usize,
    /// Memory that VUs may use.
    pub memory_bytes: u64,
    /// The seed of a test that sets none.
    pub now_seed: u64,
    /// The only scenarios to run; all if empty.
    pub only_scenarios: Vec<String>,
    /// Kingtide's version, for `User-Agent`.
    pub version: &'a str,
    /// The file to which TLS secrets are added. No option says so: a script must not name files
    /// that are written.
    pub tls_key_log: Option<PathBuf>,
    /// What the environment says of proxies: used if the options allow it.
    pub proxy_env: Option<ProxyEnv>,
}

impl Default for Facts<'_> {
    /// A machine with one core and 1 GiB.
    fn default() -> Self {
        Self {
            cores: 1,
            memory_bytes: 1 << 30,
            now_seed: 0,
            only_scenarios: Vec::new(),
            version: env!("CARGO_PKG_VERSION"),
            tls_key_log: None,
            proxy_env: None,
        }
    }
}

/// Resolves merged options into the plan of a test.
///
/// Defaults are k6's: one VU with one iteration, `graceful_stop` and `graceful_ramp_down` 30 s,
/// `max_duration` 10 min, at most 10 redirects, 60 s for a request, `setup` and `teardown`, `batch`
/// 20 and 6 per host. Ours: `exec` is `iteration`, one worker per core, the seed from the facts,
/// 100,000 series, 256 MiB of body, [`ScriptLimits::default`], and the numbers of VUs that
/// [`ArrivalRate`](super::ArrivalRate) says.
pub fn resolve(options: &Options, facts: &Facts<'_>) -> Result<Plan, PlanError> {
    let declared = shortcuts::scenarios(options)?;
    let mut scenarios = scenarios::resolve(&declared, facts)?;
    start::check(&scenarios)?;
    start::keep_only(&mut scenarios, &facts.only_scenarios)?;
    let workers = options.workers.unwrap_or_else(|| (facts.cores as u64).clamp(1, WORKERS_MAX));
    let plan = Plan {
        scenarios,
        thresholds: thresholds(options),
        tags: options.tags.clone().unwrap_or_default(),
        env: options.env.clone().unwrap_or_default(),
        http: http::resolve(options, facts)?,
        setup_timeout: positive("setup_timeout", options.setup_timeout, PHASE_TIMEOUT)?,
        teardown_timeout: positive("teardown_timeout", options.teardown_timeout, PHASE_TIMEOUT)?,
        setup: options.no_setup != Some(true),
        teardown: options.no_teardown != Some(true),
        seed: options.seed.unwrap_or(facts.now_seed),
        workers: within("workers", workers, 1, WORKERS_MAX)? as usize,
        min_iteration_duration: options.min_iteration_duration.unwrap_or_default(),
        trend_stats: trend_stats(options)?,
        limits: limits(options.limits.as_ref())?,
        series_max: within(
            "series_max",
            options.series_max.unwrap_or(SERIES_MAX),
            1,
            u64::from(u32::MAX),
        )? as usize,
        isolation: options.isolation.unwrap_or(Isolation::Shared),
    };
    let vus = plan.vus_max();
    if vus > VUS_MAX {
        let message =
            format!("the scenarios need {vus} VUs at a time; at most {VUS_MAX} are allowed");
        return Err(PlanError::new("scenarios", message));
    }
    Ok(plan)
}

fn thresholds(options: &Options) -> Vec<ThresholdPlan> {
    let declared = options.thresholds.iter().flatten();
    declared
        .flat_map(|(selector, thresholds)| thresholds.iter().map(move |one| (selector, one)))
        .map(|(selector, one)| ThresholdPlan {
            selector: selector.clone(),
            expression: one.threshold.clone(),
            abort_on_fail: one.abort_on_fail,
            delay_abort_eval: one.delay_abort_eval,
            min_samples: one.min_samples,
            allow_empty: one.allow_empty,
        })
        .collect()
}

fn trend_stats(options: &Options) -> Result<Vec<String>, PlanError> {
    let Some(stats) = &options.summary_trend_stats else {
        return Ok(TREND_STATS.map(str::to_owned).to_vec());
    };
    for stat in stats {
        let percentile = stat.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
        let percentile = percentile.and_then(|number| number.parse::<f64>().ok());
        if !STAT_WORDS.contains(&stat.as_str())
            && !percentile.is_some_and(|number| (0.0..=100.0).contains(&number))
        {
            let suggestion = suggestion(stat, STAT_WORDS);
            let message = format!(
                "option `summary_trend_stats`: `{stat}` is no statistic; avg, min, med, max, count \
                 and p(0) to p(100) are{suggestion}"
            );
            return Err(PlanError::new("summary_trend_stats", message));
        }
    }
    Ok(stats.clone())
}

fn limits(options: Option<&LimitOptions>) -> Result<ScriptLimits, PlanError> {
    let default = ScriptLimits::default();
    let Some(set) = options else { return Ok(default) };
    let bytes =
        |value: Option<super::Bytes>, default: usize| value.map_or(default as u64, |bytes| bytes.0);
    let most = u64::from(u32::MAX);
    let memory = bytes(set.memory, default.memory_bytes);
    let limits = ScriptLimits {
        memory_bytes: within("limits.memory", memory, 64 << 10, 1 << 40)? as usize,
        time: positive("limits.time", set.time, default.time)?,
        slice: positive("limits.slice", set.slice, default.slice)?,
        call_depth: count("limits.call_depth", set.call_depth, default.call_depth, 1_000_000)?,
        string_bytes: within("limits.string", bytes(set.string, default.string_bytes), 1, most)?
            as usize,
        table_entries: count("limits.table", set.table, default.table_entries, most)?,
        sockets: count("limits.sockets", set.sockets, default.sockets, 1_000_000)?,
        message_bytes: within("limits.message", bytes(set.message, default.message_bytes), 1, most)?
            as usize,
        queued_messages: count(
            "limits.queued_messages",
            set.queued_messages,
            default.queued_messages,
            1_000_000,
        )?,
    };
    Ok(limits)
}

/// Returns a count within 1 and a maximum.
fn count(path: &str, set: Option<u64>, default: usize, max: u64) -> Result<usize, PlanError> {
    within(path, set.unwrap_or(default as u64), 1, max).map(|count| count as usize)
}

/// Returns a number if it lies within bounds, both of which are allowed.
fn within(path: &str, number: u64, least: u64, most: u64) -> Result<u64, PlanError> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    let message = format!("option `{path}` must be from {least} to {most}, got {number}");
    Err(PlanError::new(path, message))
}

/// Returns a duration above zero.
fn positive(path: &str, set: Option<Duration>, default: Duration) -> Result<Duration, PlanError> {
    match set {
        Some(Duration::ZERO) => {
            Err(PlanError::new(path, format!("option `{path}` must be more than 0")))
        }
        set => Ok(set.unwrap_or(default)),
    }
}

/// Returns the limit that a rate means; as in k6, 0 is none.
fn per_second(rate: Option<Rate>) -> Option<f64> {
    let Rate { per_unit, unit } = rate?;
    let unit = unit.unwrap_or(Duration::from_secs(1));
    (per_unit > 0.0).then(|| per_unit / unit.as_secs_f64())
}

/// Reads patterns of host names.
fn host_patterns(path: &str, given: Option<&[String]>) -> Result<Vec<HostPattern>, PlanError> {
    let patterns = given.unwrap_or_default().iter().map(|text| {
        HostPattern::parse(text).ok_or_else(|| {
            let message = format!("option `{path}`: \"{text}\" must be a name, `*.suffix` or `*`");
            PlanError::new(path, message)
        })
    });
    patterns.collect()
}

/// Returns what is printed of requests.
fn debug(options: &Options) -> HttpDebug {
    options.http_debug.unwrap_or(HttpDebug::Off)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(tree: Value) -> Result<Plan, PlanError> {
        resolve(&Options::from_json(tree).unwrap(), &Facts { cores: 4, ..Facts::default() })
    }

    #[test]
    fn defaults_are_as_documented() {
        let plan = plan(json!({})).unwrap();
        assert_eq!(plan.workers, 4);
        assert_eq!(plan.setup_timeout, Duration::from_mins(1));
        assert!(plan.setup && plan.teardown);
        assert_eq!(plan.trend_stats, ["avg", "min", "med", "max", "p(90)", "p(95)"]);
        assert_eq!(plan.series_max, 100_000);
        assert_eq!(plan.limits, ScriptLimits::default());
        assert_eq!(plan.isolation, Isolation::Shared);
        assert_eq!(plan.duration_max(), Duration::from_secs(630));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let cases = [
            (json!({ "workers": 0 }), "option `workers` must be from 1 to 1024, got 0"),
            (json!({ "setup_timeout": 0 }), "option `setup_timeout` must be more than 0"),
            (
                json!({ "limits": { "call_depth": 0 } }),
                "option `limits.call_depth` must be from 1 to 1000000, got 0",
            ),
            (
                json!({ "summary_trend_stats": ["medn"] }),
                "option `summary_trend_stats`: `medn` is no statistic; avg, min, med, max, count \
                 and p(0) to p(100) are, did you mean `med`?",
            ),
        ];
        for (tree, message) in cases {
            assert_eq!(plan(tree).unwrap_err().message, message);
        }
        assert!(plan(json!({ "summary_trend_stats": ["p(101)"] })).is_err());
        assert!(plan(json!({ "summary_trend_stats": ["p(99.9)", "count"] })).is_ok());
    }

    #[test]
    fn thresholds_keep_their_order_and_settings() {
        let plan = plan(json!({ "thresholds": {
            "http_req_duration": ["p(95) < 200ms", "avg < 100"],
            "checks": { "threshold": "rate > 0.9", "abort_on_fail": true, "min_samples": 5 },
        } }))
        .unwrap();
        let texts: Vec<_> = plan.thresholds.iter().map(|t| t.expression.as_str()).collect();
        assert_eq!(texts, ["p(95) < 200ms", "avg < 100", "rate > 0.9"]);
        assert!(plan.thresholds[2].abort_on_fail);
        assert_eq!(plan.thresholds[2].min_samples, 5);
    }

    #[test]
    fn a_plan_is_printed_with_durations_as_texts() {
        let plan = plan(json!({ "vus": 2, "duration": "90s", "seed": 7 })).unwrap();
        let tree = serde_json::to_value(&plan).unwrap();
        assert_eq!(tree["seed"], json!(7));
        assert_eq!(tree["http"]["timeout"], json!("1m"));
        assert_eq!(
            tree["scenarios"][0],
            json!({
                "name": "default", "exec": "iteration",
                "executor": "constant-vus", "vus": 2, "duration": "1m30s",
                "start": "0s", "graceful_stop": "30s", "env": {}, "tags": {},
            })
        );
    }

    #[test]
    fn a_test_has_a_limit_of_vus() {
        let half = json!({ "executor": "constant-vus", "vus": 600_000, "duration": "1s" });
        let error = plan(json!({ "scenarios": { "a": half, "b": half } })).unwrap_err();
        assert_eq!(
            error.message,
            "the scenarios need 1200000 VUs at a time; at most 1000000 are allowed"
        );
    }
}
