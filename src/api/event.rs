//! What happens in scripts and is told to who looks on.

use super::RequestSeen;

/// What a worker tells the controller besides figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A script's log line.
    Log {
        /// How grave it is.
        level: LogLevel,
        /// What it says.
        message: String,
        /// The VU, from 1; 0 outside VUs.
        vu: u64,
        /// The VU's iteration, from 0.
        iteration: u64,
        /// The scenario; empty outside.
        scenario: String,
    },
    /// What `--http-debug` shows.
    Debug(String),
    /// A request was answered, or failed; told where requests are shown one by one.
    Request(Box<RequestSeen>),
    /// A check was made; told where requests are.
    Check {
        /// What it checks.
        name: String,
        /// Whether it passed.
        passed: bool,
    },
    /// Advice about how the test is run, once each.
    Warning(String),
    /// A scenario has nothing to go on with.
    EndScenario {
        /// Its position in the plan.
        scenario: usize,
        /// What to say about it.
        why: String,
    },
    /// `kt.abort(message)`.
    Abort(String),
    /// `kt.mark_failed(message)`.
    MarkFailed(String),
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Shown with `--verbose`.
    Debug,
    /// Shown.
    Info,
    /// Shown.
    Warn,
    /// Shown.
    Error,
}

impl LogLevel {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warning",
            Self::Error => "error",
        }
    }
}
