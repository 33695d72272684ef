//! `kingtide run`: the main job.

use std::path::Path;

use super::args::RunArgs;
use super::errors::CliError;
use super::terminal::{self, Terminal};
use super::test::{self, Prepared};
use super::watch;
use crate::output::{Results, plan_text, summary, summary_json};
use crate::run::{self, Finished, Gates, Observer as _, Sources, Watch, exit};

/// Runs a test and returns the exit code.
pub(super) fn run(args: &RunArgs) -> u8 {
    let gates = Gates {
        no_thresholds: args.no_thresholds,
        strict_schedule: args.strict_schedule,
        fail_on_error: args.fail_on_error,
    };
    if let Err(error) = args.summary_export.as_deref().map_or(Ok(()), writable) {
        return terminal::fail(&error);
    }
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

/// Shows and writes the results: what cannot be done keeps nothing else from being done.
fn show(args: &RunArgs, finished: &Finished) -> Result<(), CliError> {
    let style = terminal::out_style();
    let results = finished.results(style);
    let shown = match &finished.outputs {
        // The script's own summary stands in for ours, as in k6.
        Some(outputs) => outputs.iter().try_for_each(|(name, text)| match name.as_str() {
            "stdout" => terminal::deliver(&String::from_utf8_lossy(text)),
            "stderr" => {
                terminal::eprint(&String::from_utf8_lossy(text));
                Ok(())
            }
            path => write(Path::new(path), text),
        }),
        None => terminal::deliver(&summary(&results, style)),
    };
    let exported = args.summary_export.as_deref().map_or(Ok(()), |path| export(path, &results));
    shown.and(exported)
}

/// Writes the summary as JSON.
fn export(path: &Path, results: &Results<'_>) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(&summary_json(results))
        .map_err(|error| CliError::Defect(format!("the summary is no JSON: {error}")))?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// Refuses a place where nothing can be written, before the run rather than after it.
fn writable(path: &Path) -> Result<(), CliError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let problem = match folder {
        _ if path.is_dir() => "it is a folder; name a file in it".to_owned(),
        Some(folder) if !folder.is_dir() => {
            format!("there is no folder {}; make it first", folder.display())
        }
        _ => return Ok(()),
    };
    Err(CliError::Output(format!("--summary-export {}: {problem}", path.display())))
}

fn write(path: &Path, text: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::Output(format!("cannot write {}: {error}", path.display())))
}
