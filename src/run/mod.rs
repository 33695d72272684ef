//! A test run: load the script, set up, drive the scenarios through workers, judge, tear down.
//!
//! The controller is the only one that sees all workers. It merges their snapshots once per
//! interval, judges thresholds on the aggregate, and passes stops on; it takes no part in the load.

use std::sync::Arc;
use std::time::Duration;

use crate::api::Event;
use crate::metrics::Registry;
use crate::output::{Progress, ReloadResult};
use crate::plan::Plan;
use crate::script::{Program, ScriptError};

pub use self::controller::run;
pub use self::finished::{Finished, place, render};
pub use self::load::{Loaded, load, load_again};
pub use self::signal::Signals;
pub use self::stop::exit;
pub use self::thresholds::Thresholds;
pub use self::watch::{Before, Compile, Compiled, Order, Refusal, Sources, Stamp, Watch};

mod backstage;
mod controller;
mod finished;
mod generator;
mod host;
mod load;
mod population;
mod scenarios;
mod signal;
mod stop;
mod thresholds;
mod watch;

/// A test, ready to run.
#[derive(Debug)]
pub struct Test {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// The script.
    pub program: Arc<Program>,
    /// Its metrics.
    pub registry: Arc<Registry>,
    /// The functions that the script offers.
    pub functions: Vec<String>,
    /// The options that the plan was made of, for the record.
    pub options: serde_json::Value,
    /// What decides the exit code besides the thresholds.
    pub gates: Gates,
}

/// What decides the exit code besides the thresholds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gates {
    /// Thresholds are not judged.
    pub no_thresholds: bool,
    /// A generator that cannot keep the schedule fails the run.
    pub strict_schedule: bool,
    /// Iterations that end with errors fail the run.
    pub fail_on_error: bool,
}

/// Who watches a run: the terminal.
pub trait Observer {
    /// The run enters a phase: `starting`, `setup`, `running`, `stopping`, `teardown`.
    fn phase(&mut self, phase: &'static str);

    /// An interval has ended.
    fn progress(&mut self, progress: &Progress<'_>);

    /// Something happened in a script.
    fn event(&mut self, event: &Event);

    /// A version was saved while the test runs.
    fn reload(&mut self, reload: &Reload<'_>);

    /// An error of a script was seen for the first time: scenario, VU and iteration say where.
    fn error(&mut self, error: &ScriptError, first: &(String, u64, u64));
}

/// What came of a version that was saved while the test runs.
#[derive(Debug, Clone, Copy)]
pub enum Reload<'a> {
    /// The test goes on as the new version.
    Taken(&'a ReloadResult),
    /// The test goes on as it was.
    Refused(&'a Refusal),
    /// What was refused has been taken back.
    Mended,
}

/// How long a run waits for workers to make their VUs, beyond what signals cut short.
const START_LIMIT: Duration = Duration::from_mins(10);
