//! What `kingtide dev` knows of a test that runs: requests, checks, logs, figures of each version.

use std::collections::VecDeque;
use std::time::Duration;

use indexmap::IndexMap;

use crate::api::{Event, RequestSeen};
use crate::metrics::{Histogram, Range};

/// Most requests that are kept.
const ROWS_MAX: usize = 500;

/// Most lines of the log that are kept.
const LOG_MAX: usize = 500;

/// Most checks that are told apart.
const CHECKS_MAX: usize = 200;

/// What happens while a test is developed.
#[derive(Debug)]
pub(super) enum Update {
    /// Something happened in a script.
    Event(Event),
    /// The run is in a phase.
    Phase(&'static str),
    /// A second has passed: since the begin, and how many iterations have ended.
    Progress(Duration, u64),
    /// A version was taken over: its number, in one line.
    Taken(u64, Vec<String>),
    /// A version cannot run.
    Refused(String),
    /// What could not run was taken back.
    Mended,
    /// A script's error, with its source.
    Error(String),
    /// The run has ended, and why; empty if its time was over.
    Ended(String),
}

/// A request as it is shown.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) request: RequestSeen,
    /// Heads and bodies.
    pub(super) details: String,
}

/// The requests of one version.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) version: u64,
    times: Histogram,
    pub(super) failed: u64,
}

impl Figures {
    fn new(version: u64) -> Self {
        Self { version, times: Histogram::new(Range::Time), failed: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.times.count()
    }

    /// Returns a percentile in milliseconds; nothing without requests.
    pub(super) fn percentile(&self, p: f64) -> Option<f64> {
        (self.count() > 0).then(|| Histogram::to_unit(self.times.percentile(p) as f64))
    }
}

/// What is known.
#[derive(Debug)]
pub(super) struct State {
    pub(super) script: String,
    pub(super) vus: u64,
    pub(super) phase: &'static str,
    pub(super) elapsed: Duration,
    pub(super) iterations: u64,
    pub(super) rows: VecDeque<Row>,
    /// Passes and fails by name, in this version.
    pub(super) checks: IndexMap<String, (u64, u64)>,
    pub(super) log: VecDeque<(Tone, String)>,
    /// What is wrong now, as compilers say it.
    pub(super) error: Option<String>,
    /// Why what is saved is not what runs.
    pub(super) refusal: Option<String>,
    /// Of the version that runs.
    pub(super) now: Figures,
    /// Of the last version before it that made requests.
    pub(super) before: Option<Figures>,
    pub(super) paused: bool,
    pub(super) bodies: bool,
}

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Doubtful,
    Bad,
}

impl State {
    pub(super) fn new(script: String, vus: u64) -> Self {
        Self {
            script,
            vus,
            phase: "starting",
            elapsed: Duration::ZERO,
            iterations: 0,
            rows: VecDeque::new(),
            checks: IndexMap::new(),
            log: VecDeque::new(),
            error: None,
            refusal: None,
            now: Figures::new(0),
            before: None,
            paused: false,
            bodies: false,
        }
    }

    /// Takes notice.
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Event(event) => self.event(event),
            Update::Phase(phase) => self.phase = phase,
            Update::Progress(elapsed, iterations) => {
                (self.elapsed, self.iterations) = (elapsed, iterations);
            }
            Update::Taken(version, lines) => {
                (self.error, self.refusal) = (None, None);
                self.renew(version);
                let mut lines = lines.into_iter();
                lines.next().into_iter().for_each(|line| self.log(Tone::Good, line));
                lines.for_each(|line| self.log(Tone::Doubtful, line));
            }
            Update::Refused(text) => {
                self.refusal = Some(text.clone());
                self.error = Some(text);
            }
            Update::Error(text) => self.error = Some(text),
            Update::Mended => (self.error, self.refusal) = (None, None),
            Update::Ended(reason) => {
                self.phase = "ended: r starts again";
                if !reason.is_empty() {
                    self.log(Tone::Doubtful, format!("ended: {reason}"));
                }
            }
        }
    }

    /// Begins the figures of another version.
    pub(super) fn renew(&mut self, version: u64) {
        let last = std::mem::replace(&mut self.now, Figures::new(version));
        if last.count() > 0 {
            self.before = Some(last);
        }
        self.checks.clear();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Request(request) => self.request(*request),
            Event::Check { name, passed } => self.check(name, passed),
            Event::Debug(text) => {
                if let Some(row) = self.rows.back_mut() {
                    row.details = text;
                }
            }
            Event::Log { level, message, .. } => {
                use crate::api::LogLevel::{Debug, Error, Info, Warn};
                let tone = match level {
                    Debug | Info => Tone::Plain,
                    Warn => Tone::Doubtful,
                    Error => Tone::Bad,
                };
                self.log(tone, format!("{}: {message}", level.as_str()));
            }
            Event::Warning(text) => self.log(Tone::Doubtful, format!("warning: {text}")),
            Event::EndScenario { why, .. } => self.log(Tone::Doubtful, why),
            Event::Abort(text) => self.log(Tone::Bad, format!("test aborted: {text}")),
            Event::MarkFailed(text) => self.log(Tone::Bad, format!("marked as failed: {text}")),
        }
    }

    fn request(&mut self, request: RequestSeen) {
        self.now.times.record_duration(request.duration());
        self.now.failed += u64::from(request.expected == Some(false));
        if self.rows.len() == ROWS_MAX {
            self.rows.pop_front();
        }
        self.rows.push_back(Row { request, details: String::new() });
    }

    fn check(&mut self, name: String, passed: bool) {
        if self.checks.len() == CHECKS_MAX && !self.checks.contains_key(&name) {
            return;
        }
        let (passes, fails) = self.checks.entry(name).or_default();
        *(if passed { passes } else { fails }) += 1;
    }

    fn log(&mut self, tone: Tone, text: String) {
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back((tone, text));
    }
}
