//! A finished run with everything that its results are made of.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};

use crate::metrics::Aggregate;
use crate::output::{
    ErrorResult, GeneratorResult, Level, Metadata, Outcome, Place, ReloadResult, Results,
    ScenarioResult, Style, ThresholdResult, diagnostic,
};
use crate::plan::Plan;
use crate::script::{Location, ScriptError, ScriptErrorKind};
use crate::worker::ErrorRow;

use super::Test;
use super::host;

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// What the script's `summary` function returned, if there is one: where, and what text.
    pub outputs: Option<Vec<(String, Vec<u8>)>>,
    pub(super) plan: Arc<Plan>,
    pub(super) aggregate: Aggregate,
    pub(super) metadata: Metadata,
    pub(super) reloads: Vec<ReloadResult>,
    pub(super) thresholds: Vec<ThresholdResult>,
    pub(super) scenarios: Vec<ScenarioResult>,
    pub(super) errors: IndexMap<String, ErrorRow>,
    pub(super) generator: GeneratorResult,
}

impl Finished {
    /// Returns what outputs show, with errors rendered for a style.
    pub fn results(&self, style: Style) -> Results<'_> {
        let mut errors: Vec<ErrorResult> =
            self.errors.values().map(|row| error_result(row, style)).collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        Results {
            plan: &self.plan,
            aggregate: &self.aggregate,
            outcome: self.outcome.clone(),
            metadata: self.metadata.clone(),
            reloads: self.reloads.clone(),
            thresholds: self.thresholds.clone(),
            scenarios: self.scenarios.clone(),
            errors,
            generator: self.generator.clone(),
        }
    }
}

/// Returns the facts about a run.
pub(super) fn metadata(test: &Test, started_at: SystemTime, duration: Duration) -> Metadata {
    let hash = Sha256::digest(test.program.text().as_bytes());
    Metadata {
        started_at,
        duration,
        script: test.program.name(),
        script_hash: hash.iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        }),
        git_commit: host::git_commit(test.program.path()),
        host: host::facts(),
        options: test.options.clone(),
        tags: test.plan.tags.clone(),
    }
}

fn error_result(row: &ErrorRow, style: Style) -> ErrorResult {
    let error = &row.error;
    let kind = match error.kind {
        ScriptErrorKind::Load => "load",
        ScriptErrorKind::Uncaught(kind) => kind.as_str(),
        ScriptErrorKind::Stopped(_) => "stopped",
    };
    let location = error.location.as_ref().map(|at| match at.column {
        0 => format!("{}:{}", at.file, at.line),
        column => format!("{}:{}:{column}", at.file, at.line),
    });
    ErrorResult {
        kind: kind.to_owned(),
        message: error.message.clone(),
        location,
        count: row.count,
        rendered: render(error, Some((&row.first, row.count)), style),
    }
}

/// Returns a script's error as authors read it; with where it was first seen and how often.
pub fn render(
    error: &ScriptError,
    seen: Option<(&(String, u64, u64), u64)>,
    style: Style,
) -> String {
    let mut notes = Vec::new();
    let mut parts = Vec::new();
    if !error.function.is_empty() {
        // A closure has no name: what stands for it is no code.
        parts.push(if error.function.contains(' ') {
            format!("in {}", error.function)
        } else {
            format!("in function `{}`", error.function)
        });
    }
    if let Some(((scenario, vu, iteration), count)) = seen {
        if !scenario.is_empty() {
            parts.push(format!("scenario `{scenario}`"));
        }
        if *vu > 0 {
            parts.push(format!("first seen at VU {vu}, iteration {iteration}"));
        }
        let note = parts.join(", ");
        notes.push(if count > 1 { format!("{note}; {count} times") } else { note });
    } else if !parts.is_empty() {
        notes.push(parts.join(", "));
    }
    // The innermost call is what the arrow shows already.
    notes.extend(error.stack.iter().skip(1).map(|frame| format!("called from {frame}")));
    if let Some(help) = &error.help {
        notes.push(format!("help: {help}"));
    }
    notes.retain(|note| !note.is_empty());
    let place = error.location.as_ref().map(place);
    diagnostic(Level::Error, &error.message, place, &notes, style)
}

/// Returns a place as the renderer takes it.
pub fn place(at: &Location) -> Place<'_> {
    Place { file: &at.file, line: at.line, column: at.column, width: at.width, source: &at.source }
}
