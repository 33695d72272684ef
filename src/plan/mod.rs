//! The validated test as plain data: what will run, when, and how it is judged.
//!
//! [`Options`] are what one source sets (script, file, environment, flags); they are merged by
//! precedence ([`Options::over`]) and resolved ([`resolve()`]) into one [`Plan`], which can be
//! printed, compared and sent to a thread.

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::curve::{Curve, Stage};
pub use self::due::{ArrivalTimes, DueTimes, PoissonTimes};
pub use self::error::PlanError;
pub use self::executor::{ArrivalRate, Arrivals, Executor, ExecutorKind, OnOverload};
pub use self::host_pattern::HostPattern;
pub use self::http::{Http2, HttpDebug, HttpPlan};
pub use self::ip_range::IpRange;
pub use self::limits::{Isolation, ScriptLimits};
pub use self::network::{DnsPlan, DnsPolicy, DnsSelect, DnsTtl, NetworkPlan};
pub use self::options::{
    Bytes, DnsOptions, LimitOptions, Notice, Options, ProxyOptions, Rate, ScenarioOptions,
    StageOptions, ThresholdOptions, TlsAuthOptions, TlsVersionOptions,
};
pub use self::proxy::{Proxy, ProxyExcept, ProxyPlan, ProxyScheme};
pub use self::resolve::{Facts, ProxyEnv, VUS_MAX, resolve};
pub use self::revise::{Revised, Standing, revise};
pub use self::scenario::{Scenario, Start};
pub use self::share::Share;
pub use self::splice::{Spliced, SplicedTimes};
pub(crate) use self::statuses::STATUSES;
pub use self::statuses::Statuses;
pub use self::tls::{Identity, Pem, TlsPlan, TlsVersion, TlsVersions};

mod curve;
mod due;
mod error;
mod executor;
mod host_pattern;
mod http;
mod ip_range;
mod limits;
mod network;
mod options;
mod print;
mod proxy;
mod resolve;
mod revise;
mod scenario;
mod share;
mod splice;
mod statuses;
mod timetable;
mod tls;

/// A validated test.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Plan {
    /// The scenarios, in the order of their declaration.
    pub scenarios: Vec<Scenario>,
    /// What must hold, by metric selector text (`http_req_duration{scenario:buy}`).
    pub thresholds: Vec<ThresholdPlan>,
    /// Tags on every sample of the test.
    pub tags: BTreeMap<String, String>,
    /// What `kt.env` sees.
    pub env: BTreeMap<String, String>,
    /// How requests are made.
    pub http: HttpPlan,
    /// How long `setup` may take.
    #[serde(serialize_with = "print::duration")]
    pub setup_timeout: Duration,
    /// How long `teardown` may take.
    #[serde(serialize_with = "print::duration")]
    pub teardown_timeout: Duration,
    /// Whether `setup` runs.
    pub setup: bool,
    /// Whether `teardown` runs.
    pub teardown: bool,
    /// The seed of everything random in the test.
    pub seed: u64,
    /// How many worker threads drive the VUs.
    pub workers: usize,
    /// Least time between the starts of a VU's iterations.
    #[serde(serialize_with = "print::duration")]
    pub min_iteration_duration: Duration,
    /// Statistics of a trend that the summary shows.
    pub trend_stats: Vec<String>,
    /// What a script may use.
    pub limits: ScriptLimits,
    /// Most series that the metrics hold; new tag sets past it share one overflow series.
    pub series_max: usize,
    /// VUs per Luau state.
    pub isolation: Isolation,
}

/// A threshold as declared; `metrics::Threshold` is its parsed form.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ThresholdPlan {
    /// The metric selector: `http_req_duration{scenario:readers}`.
    pub selector: String,
    /// The expression: `p(95) < 200ms over 30s`.
    pub expression: String,
    /// Whether a violation ends the test.
    pub abort_on_fail: bool,
    /// Not before this time may it end the test.
    #[serde(serialize_with = "print::duration")]
    pub delay_abort_eval: Duration,
    /// Fewer samples than this are not judged while the test runs.
    pub min_samples: u64,
    /// Whether no samples at all pass.
    pub allow_empty: bool,
}

impl Plan {
    /// Returns the plan as JSON, durations as text.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }

    /// Returns the tags on every sample of a scenario; later ones replace earlier ones.
    pub fn tags_of<'a>(&'a self, scenario: &'a Scenario) -> Vec<(&'a str, &'a str)> {
        let tags = self.tags.iter().chain(&scenario.tags);
        let tags = tags.map(|(name, value)| (name.as_str(), value.as_str()));
        tags.chain([("scenario", scenario.name.as_str())]).collect()
    }
}
