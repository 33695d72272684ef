//! The entry: runs the command line and turns its outcome into the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kingtide::cli::main()
}
