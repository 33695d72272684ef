//! The command line: what was typed, and its dispatch to one file per command.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser as _};

use crate::run::exit;
use crate::units;

mod advice;
mod args;
mod check;
mod demo;
mod dev;
mod env;
mod errors;
mod new;
mod run;
mod script;
mod terminal;
mod test;
mod types;
mod watch;

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    let mut args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(mut error) => {
            suggest(&mut error);
            let code = if error.use_stderr() { exit::USAGE } else { exit::PASSED };
            // If even this cannot be printed, the exit code has to say it.
            let _unprintable = error.print();
            return ExitCode::from(code);
        }
    };
    let test = match &mut args.command {
        args::Command::Run(args) => Some(&mut args.test),
        args::Command::Check(args) => Some(&mut args.test),
        _ => None,
    };
    if let Err(error) = test.map_or(Ok(()), script::locate) {
        return ExitCode::from(terminal::fail(&error));
    }
    let code = match args.command {
        args::Command::New(args) => new::new(&args),
        args::Command::Types(args) => types::types(&args),
        args::Command::Completions(args) => completions(&args),
        args::Command::Run(args) => run::run(&args),
        args::Command::Check(args) => check::check(&args),
        args::Command::Dev(args) => dev::dev(&args),
        args::Command::Demo(args) => demo::demo(&args),
    };
    ExitCode::from(code)
}

/// Prints what a shell needs to complete what is typed.
fn completions(args: &args::CompletionsArgs) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut args::Args::command(), "kingtide", &mut text);
    terminal::print(&String::from_utf8_lossy(&text));
    exit::PASSED
}

/// Adds the nearest known name to an error about an unknown one, where clap found none near enough:
/// it does not think of swapped letters.
fn suggest(error: &mut clap::Error) {
    let text = |error: &clap::Error, kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let program = args::Args::command();
    if error.get(ContextKind::SuggestedArg).is_none()
        && let Some(unknown) = text(error, ContextKind::InvalidArg)
        && let Some(name) = unknown.strip_prefix("--")
    {
        let commands = std::iter::once(&program).chain(program.get_subcommands());
        let known: Vec<&str> = commands
            .flat_map(clap::Command::get_arguments)
            .filter_map(clap::Arg::get_long)
            .collect();
        if let Some(near) = units::nearest(name, known) {
            error.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{near}")));
        }
    }
    if error.get(ContextKind::SuggestedSubcommand).is_none()
        && let Some(unknown) = text(error, ContextKind::InvalidSubcommand)
    {
        let known: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
        if let Some(near) = units::nearest(&unknown, known) {
            let near = ContextValue::Strings(vec![near.to_owned()]);
            error.insert(ContextKind::SuggestedSubcommand, near);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &[&str]) -> String {
        let mut error = args::Args::try_parse_from(line).unwrap_err();
        suggest(&mut error);
        error.to_string()
    }

    #[test]
    fn swapped_letters_are_understood() {
        let flag = message(&["kingtide", "run", "a.luau", "--vsu", "3"]);
        assert!(flag.contains("'--vus'"), "{flag}");
        let command = message(&["kingtide", "rnu", "a.luau"]);
        assert!(command.contains("'run'"), "{command}");
    }
}
