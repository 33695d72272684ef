//! The validated test as plain data: what will run, when, and how it is judged.
//!
//! [`Options`] are what one source sets (script, file, environment, flags); they are merged by
//! precedence and resolved into one [`Plan`], which can be printed, compared and sent to a thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use indexmap::IndexMap;

pub use self::curve::Curve;
pub use self::error::PlanError;
pub use self::options::Options;
pub use self::share::Share;

mod curve;
mod error;
mod options;
mod share;

/// A validated test.
#[derive(Debug, Clone, PartialEq)]
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
    pub setup_timeout: Duration,
    /// How long `teardown` may take.
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

/// One scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name, tag and key of results.
    pub name: String,
    /// The script's function that its VUs run.
    pub exec: String,
    /// When its iterations start.
    pub executor: Executor,
    /// When it starts itself.
    pub start: Start,
    /// How long iterations may go on after the scenario's regular end.
    pub graceful_stop: Duration,
    /// Overlay of the test's `env`.
    pub env: BTreeMap<String, String>,
    /// Tags on every sample of the scenario.
    pub tags: BTreeMap<String, String>,
}

/// When a scenario starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At this time after the end of set-up.
    At(Duration),
    /// When the scenario of this name has ended, plus a delay.
    After(String, Duration),
}

/// The rule that decides when iterations start.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// `vus` VUs draw `iterations` from one pot.
    SharedIterations {
        /** VUs. */
        vus: u64,
        /** Iterations in total. */
        iterations: u64,
        /** Limit. */
        max_duration: Duration,
    },
    /// Each of `vus` VUs runs `iterations`.
    PerVuIterations {
        /** VUs. */
        vus: u64,
        /** Iterations per VU. */
        iterations: u64,
        /** Limit. */
        max_duration: Duration,
    },
    /// `vus` VUs iterate for `duration`.
    ConstantVus {
        /** VUs. */
        vus: u64,
        /** How long. */
        duration: Duration,
    },
    /// The number of VUs follows a curve.
    RampingVus {
        /** VUs over time. */
        curve: Curve,
        /** Time for a VU that is ramped down to end its iteration. */
        graceful_ramp_down: Duration,
    },
    /// Iterations start at a rate that follows a curve (constant-arrival-rate has one flat stage).
    ArrivalRate(ArrivalRate),
}

/// The open model: iterations start when they are due.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrivalRate {
    /// True if declared as `constant-arrival-rate`, for printing.
    pub constant: bool,
    /// Arrivals per second over time.
    pub curve: Curve,
    /// The unit the author used for rates, for printing.
    pub time_unit: Duration,
    /// VUs made before the start.
    pub pre_allocated_vus: u64,
    /// Most VUs.
    pub max_vus: u64,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
    /// What happens to an arrival that finds no free VU.
    pub on_overload: OnOverload,
}

/// How arrivals are spread in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Uniform,
    /// With exponential gaps.
    Poisson,
}

/// What happens to an arrival that finds no free VU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOverload {
    /// It waits and keeps its due time.
    Queue,
    /// It is dropped and counted (k6's rule).
    Drop,
}

/// A threshold as declared; `metrics::Threshold` is its parsed form.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdPlan {
    /// The metric selector: `http_req_duration{scenario:buy}`.
    pub selector: String,
    /// The expression: `p(95) < 200ms over 30s`.
    pub expression: String,
    /// Whether a violation ends the test.
    pub abort_on_fail: bool,
    /// Not before this time may it end the test.
    pub delay_abort_eval: Duration,
    /// Fewer samples than this are not judged while the test runs.
    pub min_samples: u64,
    /// Whether no samples at all pass.
    pub allow_empty: bool,
}

/// How requests are made, unless a request says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpPlan {
    /// `User-Agent`; none if empty.
    pub user_agent: String,
    /// Most redirects followed.
    pub max_redirects: u32,
    /// Time for one request with its redirects.
    pub timeout: Duration,
    /// Whether certificates go unchecked.
    pub insecure_skip_tls_verify: bool,
    /// Addresses for names: `name[:port]` or `*.suffix` to an address (port 0: the URL's port).
    pub hosts: IndexMap<String, SocketAddr>,
    /// Whether each request opens a connection.
    pub no_connection_reuse: bool,
    /// Whether each iteration opens its connections anew.
    pub no_vu_connection_reuse: bool,
    /// Whether the cookie jar is kept from one iteration to the next.
    pub no_cookies_reset: bool,
    /// Whether bodies are read and dropped unless a request asks for them.
    pub discard_response_bodies: bool,
    /// Whether a failed request raises an error in the script.
    pub throw: bool,
    /// What `--http-debug` prints.
    pub debug: HttpDebug,
    /// Parallel requests of one `batch`, in total and per host.
    pub batch: (u32, u32),
    /// Most bytes of one answer's body, decoded.
    pub body_bytes_max: u64,
    /// Most connections that one VU keeps.
    pub connections_max: usize,
}

/// What `--http-debug` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpDebug {
    /// Nothing.
    Off,
    /// Heads of requests and answers.
    Headers,
    /// Heads and bodies.
    Full,
}

/// What a script may use before its iteration ends with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Bytes per VU.
    pub memory_bytes: usize,
    /// Script code without waiting.
    pub time: Duration,
    /// Script code without waiting after which the VU lets others run.
    pub slice: Duration,
    /// Nested calls.
    pub call_depth: usize,
    /// Bytes of one string.
    pub string_bytes: usize,
    /// Elements of one table, array or map.
    pub table_entries: usize,
}

/// How Luau VUs share states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// 64 VUs to a state.
    Shared,
    /// A state each.
    State,
}

impl Plan {
    /// Returns the plan as JSON, durations as text.
    pub fn to_json(&self) -> serde_json::Value {
        unimplemented!()
    }
}
