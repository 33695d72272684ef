//! What a run shows and leaves: progress, the summary, and files.
//!
//! Everything here turns figures into text or JSON; `cli` prints it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::metrics::{Aggregate, Verdict};
use crate::plan::Plan;

pub use self::diagnostic::{Level, Place, diagnostic};
pub use self::json::{SCHEMA, summary_json};
pub use self::plan_text::plan_text;
pub use self::progress::{progress, progress_line};
pub use self::reloads::reload_line;
pub use self::style::Style;
pub use self::summary::{brief, summary};

mod diagnostic;
pub(crate) mod excerpt;
mod figure;
#[cfg(test)]
mod fixture;
mod json;
mod plan_text;
mod progress;
mod reloads;
mod style;
mod summary;
mod table;

/// A finished run, ready to be shown.
#[derive(Debug)]
pub struct Results<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// The figures.
    pub aggregate: &'a Aggregate,
    /// How it ended.
    pub outcome: Outcome,
    /// Facts about the run.
    pub metadata: Metadata,
    /// The reloads, in their order; mostly none.
    pub reloads: Vec<ReloadResult>,
    /// Each threshold with its verdict, in the plan's order.
    pub thresholds: Vec<ThresholdResult>,
    /// Each scenario, in the plan's order.
    pub scenarios: Vec<ScenarioResult>,
    /// Errors of scripts, most frequent first.
    pub errors: Vec<ErrorResult>,
    /// How the generator itself did.
    pub generator: GeneratorResult,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The process's exit code.
    pub exit_code: u8,
    /// In one word: `passed`, `thresholds`, `regression`, `aborted`, `interrupted`, `error`, ….
    pub verdict: &'static str,
    /// Why, for people; empty if it passed.
    pub reason: String,
}

/// Facts about a run.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// When the scenarios began.
    pub started_at: SystemTime,
    /// From the begin of the scenarios to the end of the last iteration.
    pub duration: Duration,
    /// The script's file name.
    pub script: String,
    /// SHA-256 of the script's text, in hexadecimal.
    pub script_hash: String,
    /// The commit of the script's repository, if it lies in one.
    pub git_commit: Option<String>,
    /// What the machine is: `os`, `cpus`, `memory_bytes`, `name`.
    pub host: BTreeMap<String, serde_json::Value>,
    /// The options as JSON.
    pub options: serde_json::Value,
    /// Tags of the test.
    pub tags: BTreeMap<String, String>,
}

/// A new version of the test that was taken over while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadResult {
    /// Its number: the version that the test began with is 0.
    pub version: u64,
    /// After the scenarios began.
    pub at: Duration,
    /// From the save to the moment when the VUs were told.
    pub took: Duration,
    /// What changed: `script`, `thresholds`, `scenario "buy": env`, ….
    pub changes: Vec<String>,
    /// What was asked for and stays as it is until the test is started again.
    pub left: Vec<String>,
}

/// A threshold with its verdict.
#[derive(Debug, Clone)]
pub struct ThresholdResult {
    /// `http_req_duration{scenario:buy}`
    pub metric: String,
    /// `p(95) < 200ms`
    pub expression: String,
    /// Whether it ends the test.
    pub abort_on_fail: bool,
    /// How it was met.
    pub verdict: Verdict,
    /// Whether it ended the test.
    pub aborted: bool,
}

/// A scenario at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioResult {
    /// Its name.
    pub name: String,
    /// Its executor's name.
    pub executor: &'static str,
    /// Arrivals that were due; `None` in closed scenarios.
    pub due: Option<u64>,
    /// Iterations that ended.
    pub ended: u64,
    /// Iterations that were cut off.
    pub interrupted: u64,
    /// Iterations that never started.
    pub dropped: u64,
    /// Iterations that ended with an error.
    pub errors: u64,
    /// Most VUs at once.
    pub vus_max: u64,
}

/// An error of a script, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResult {
    /// `script`, `fail`, `time`, ….
    pub kind: String,
    /// What it says.
    pub message: String,
    /// `notes.luau:41:18`, if it is known.
    pub location: Option<String>,
    /// How often it happened.
    pub count: u64,
    /// As authors read it, with the source line; several lines.
    pub rendered: String,
}

/// How the generator itself did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeneratorResult {
    /// The busiest worker's share of its core, 0 to 1, over the run.
    pub cpu: f64,
    /// How late timers fired, 99th percentile, in milliseconds.
    pub lag_p99_ms: f64,
    /// Started over planned iterations of open scenarios; 1 if there are none.
    pub achieved: f64,
    /// Resident memory at the end.
    pub memory_bytes: u64,
    /// What makes the figures doubtful, with advice; empty if nothing does.
    pub warnings: Vec<String>,
}

/// A look at a run while it goes on.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The figures so far.
    pub aggregate: &'a Aggregate,
    /// Since the scenarios began.
    pub elapsed: Duration,
    /// `setup`, `running`, `stopping`, `teardown`, ….
    pub phase: &'static str,
    /// Each scenario, in the plan's order.
    pub scenarios: Vec<ScenarioProgress>,
}

/// A scenario while it goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioProgress {
    /// Its name.
    pub name: String,
    /// From 0 to 1; 1 when it has ended.
    pub done: f64,
    /// `4.2s of 10s`, or `120 of 1,000 iterations`.
    pub position: String,
    /// VUs that run an iteration, and that exist.
    pub vus: (u64, u64),
    /// Iterations that ended.
    pub iterations: u64,
    /// Iterations per second in the last interval.
    pub rate: f64,
    /// Iterations that ended with an error.
    pub errors: u64,
    /// Iterations that never started.
    pub dropped: u64,
    /// Whether it has ended.
    pub ended: bool,
}
