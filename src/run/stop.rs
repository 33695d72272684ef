//! Why a run ends early or fails, and the exit code that follows.

use crate::output::Outcome;
use crate::script::ScriptError;

/// The exit codes, as documented in `docs/exit-codes.md`. Those from 100 on are k6's.
pub mod exit {
    /// Finished, thresholds met, no regression.
    pub const PASSED: u8 = 0;
    /// Worse than the baseline.
    pub const REGRESSION: u8 = 1;
    /// A threshold was violated.
    pub const THRESHOLDS: u8 = 2;
    /// Unknown flag, missing file.
    pub const USAGE: u8 = 64;
    /// The generator could not keep the schedule (`--strict-schedule`).
    pub const SCHEDULE: u8 = 65;
    /// A defect of Kingtide.
    pub const DEFECT: u8 = 70;
    /// Results could not be written.
    pub const OUTPUT: u8 = 74;
    /// Set-up ran out of time.
    pub const SETUP_TIMEOUT: u8 = 100;
    /// Tear-down ran out of time.
    pub const TEARDOWN_TIMEOUT: u8 = 101;
    /// Invalid options.
    pub const OPTIONS: u8 = 104;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 105;
    /// Script error at load, in set-up or in tear-down.
    pub const SCRIPT: u8 = 107;
    /// `kt.abort()`.
    pub const ABORTED: u8 = 108;
    /// Iterations failed with errors (`--fail-on-error`).
    pub const ITERATION_ERRORS: u8 = 109;
    /// `kt.mark_failed()`.
    pub const MARKED_FAILED: u8 = 110;
}

/// The first thing that went wrong with a run as a whole.
#[derive(Debug)]
pub(super) enum Stopped {
    /// A signal.
    Interrupted,
    /// `kt.abort(message)`.
    Aborted(String),
    /// The script's top level, `setup` or `teardown` failed: which, and how.
    Script(&'static str, Box<ScriptError>),
    /// `setup` ran out of time.
    SetupTimeout(String),
    /// `teardown` ran out of time.
    TeardownTimeout(String),
    /// Something that should not happen.
    Defect(String),
}

impl Stopped {
    /// Returns how the run ends for it.
    pub(super) fn outcome(&self) -> Outcome {
        let (exit_code, verdict, reason) = match self {
            Self::Interrupted => {
                (exit::INTERRUPTED, "interrupted", "stopped by a signal".to_owned())
            }
            Self::Aborted(message) => (exit::ABORTED, "aborted", message.clone()),
            Self::Script(place, error) => (exit::SCRIPT, "error", format!("{place}: {error}")),
            Self::SetupTimeout(limit) => {
                (exit::SETUP_TIMEOUT, "error", format!("setup() took longer than {limit}"))
            }
            Self::TeardownTimeout(limit) => {
                (exit::TEARDOWN_TIMEOUT, "error", format!("teardown() took longer than {limit}"))
            }
            Self::Defect(message) => (exit::DEFECT, "error", message.clone()),
        };
        Outcome { exit_code, verdict, reason }
    }
}
