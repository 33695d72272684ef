//! `kingtide run`: the main job.

use std::path::Path;

use super::args::RunArgs;
use super::errors::CliError;
use super::terminal::{self, Terminal};
use super::test::{self, Prepared};
use super::watch;
use crate::output::{plan_text, summary, summary_json};
use crate::run::{self, Finished, Gates, Observer as _, Sources, Watch, exit};

/// Runs a test and returns the exit code.
pub(super) fn run(args: &RunArgs) -> u8 {
    let gates = Gates {
        no_thresholds: args.no_thresholds,
        strict_schedule: args.strict_schedule,
        fail_on_error: args.fail_on_error,
    };
    let mut sources = Sources::default();
    match test::prepare_again(&args.test, gates, None, &mut sources) {
        Ok(prepared) => {
            let watch = args.watch.then(|| watched(args, gates, sources));
            execute(args, &prepared, watch)
        }
        Err(error) => terminal::fail(&error),
    }
}

/// Runs a prepared test, shows and writes its results.
pub(super) fn execute(args: &RunArgs, prepared: &Prepared, watch: Option<Watch>) -> u8 {
    let mut observer = Terminal::new(args.ui, args.quiet, args.verbose, args.log_format);
    if !args.quiet {
        terminal::eprint(&format!("{}\n", plan_text(&prepared.test.plan, terminal::err_style())));
    }
    for notice in &prepared.notices {
        terminal::warn(notice);
    }
    for event in &prepared.events {
        observer.event(event);
    }
    let finished = run::run(&prepared.test, watch, &mut observer);
    observer.clear();
    match finished {
        Ok(finished) => match show(args, &finished) {
            Ok(()) => finished.outcome.exit_code,
            Err(error) => {
                terminal::fail(&error);
                // What went wrong with the run itself is said first.
                match finished.outcome.exit_code {
                    exit::PASSED => error.code(),
                    code => code,
                }
            }
        },
        Err(outcome) => {
            let error = CliError::Defect(outcome.reason.clone());
            terminal::fail(&error);
            outcome.exit_code
        }
    }
}

fn watched(args: &RunArgs, gates: Gates, sources: Sources) -> Watch {
    let watch = watch::watch(&args.test, gates, sources, |_| {});
    Watch { tag_versions: args.tag_versions, ..watch }
}

fn show(args: &RunArgs, finished: &Finished) -> Result<(), CliError> {
    let style = terminal::out_style();
    let results = finished.results(style);
    match &finished.outputs {
        // The script's own summary stands in for ours, as in k6.
        Some(outputs) => {
            for (name, text) in outputs {
                match name.as_str() {
                    "stdout" => terminal::print(&String::from_utf8_lossy(text)),
                    "stderr" => terminal::eprint(&String::from_utf8_lossy(text)),
                    path => write(Path::new(path), text)?,
                }
            }
        }
        None => terminal::print(&summary(&results, style)),
    }
    if let Some(path) = &args.summary_export {
        let json = summary_json(&results);
        let mut text = serde_json::to_string_pretty(&json)
            .map_err(|error| CliError::Defect(format!("the summary is no JSON: {error}")))?;
        text.push('\n');
        write(path, text.as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::Output(format!("cannot write {}: {error}", path.display())))
}
