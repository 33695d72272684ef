//! `kingtide dev`: the author's loop. Runs each scenario with few VUs, shows what happens, and goes on
//! with what is saved.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::args::{DebugMode, DevArgs, TestArgs};
use super::errors::CliError;
use super::test::Prepared;
use super::{script, terminal, test, watch};
use crate::plan::{Executor, Plan, Start};
use crate::run::{Gates, Sources, Watch, exit};
use crate::units;

mod draw;
mod lines;
mod screen;
mod state;
mod wrap;

/// How long a test runs that says nothing about it: an author's day.
const DAY: Duration = Duration::from_hours(24);

/// How long iterations may go on when the author does not want them any more.
const GRACE: Duration = Duration::from_secs(2);

/// What the command runs.
#[derive(Debug, Clone)]
struct Loop {
    test: TestArgs,
    vus: u64,
    duration: Duration,
    every: Duration,
}

/// Develops a script and returns the exit code.
pub(super) fn dev(args: &DevArgs) -> u8 {
    let work = match Loop::new(args) {
        Ok(work) => work,
        Err(error) => return terminal::fail(&error),
    };
    let drawn = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let ended = if drawn && !args.plain { screen::run(&work) } else { lines::run(&work) };
    match ended {
        // To have had enough of it is how it ends.
        Ok(exit::INTERRUPTED) => exit::PASSED,
        Ok(code) => code,
        Err(error) => terminal::fail(&error),
    }
}

impl Loop {
    fn new(args: &DevArgs) -> Result<Self, CliError> {
        let time = |flag: &str, text: &str| {
            units::parse_duration(text).map_err(|error| CliError::Usage(format!("{flag}: {error}")))
        };
        let mut work = Self {
            test: TestArgs {
                script: args.script.clone(),
                scenarios: args.scenarios.clone(),
                env: args.env.clone(),
                include: args.include.clone(),
                http_debug: Some(DebugMode::Full),
                ..TestArgs::default()
            },
            vus: args.vus,
            duration: args.duration.as_deref().map_or(Ok(DAY), |text| time("--duration", text))?,
            every: time("--every", &args.every)?,
        };
        script::locate(&mut work.test)?;
        if work.test.script != args.script {
            terminal::eprint(&format!("runs {}\n", work.test.script.display()));
        }
        Ok(work)
    }

    fn prepare(&self, sources: &mut Sources) -> Result<Prepared, CliError> {
        let mut prepared = test::prepare_again(&self.test, Gates::default(), None, sources)?;
        self.calm(std::sync::Arc::make_mut(&mut prepared.test.plan));
        Ok(prepared)
    }

    fn watch(&self, sources: Sources) -> Watch {
        let own = self.clone();
        watch::watch(&self.test, Gates::default(), sources, move |plan| own.calm(plan))
    }

    /// Makes a plan one that an author can follow with the eye.
    fn calm(&self, plan: &mut Plan) {
        for scenario in &mut plan.scenarios {
            scenario.executor = Executor::ConstantVus { vus: self.vus, duration: self.duration };
            scenario.start = Start::At(Duration::ZERO);
            scenario.graceful_stop = GRACE;
        }
        for threshold in &mut plan.thresholds {
            threshold.abort_on_fail = false;
        }
        plan.min_iteration_duration = plan.min_iteration_duration.max(self.every);
        plan.workers = 1;
    }
}
