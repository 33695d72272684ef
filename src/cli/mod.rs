//! The command line: what was typed, and its dispatch to one file per command.

use std::process::ExitCode;

use clap::Parser as _;

use crate::run::exit;

mod args;
mod check;
mod demo;
mod env;
mod errors;
mod run;
mod terminal;
mod test;

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { exit::PASSED };
            // If even this cannot be printed, the exit code has to say it.
            let _unprintable = error.print();
            return ExitCode::from(code);
        }
    };
    let code = match args.command {
        args::Command::Run(args) => run::run(&args),
        args::Command::Check(args) => check::check(&args),
        args::Command::Demo(args) => demo::demo(&args),
    };
    ExitCode::from(code)
}
