//! `kingtide check`: everything that can be known without running.

use super::args::CheckArgs;
use super::{terminal, test};
use crate::output::plan_text;
use crate::run::{Gates, exit};

/// Checks a script and returns the exit code.
pub(super) fn check(args: &CheckArgs) -> u8 {
    let prepared = match test::prepare(&args.test, Gates::default()) {
        Ok(prepared) => prepared,
        Err(error) => {
            if args.json {
                let json = serde_json::json!({
                    "ok": false,
                    "exit_code": error.code(),
                    "error": error.to_json(),
                });
                terminal::print(&format!("{json:#}\n"));
            } else {
                terminal::fail(&error);
            }
            return error.code();
        }
    };
    if args.json {
        let json = serde_json::json!({
            "ok": true,
            "exit_code": exit::PASSED,
            "plan": prepared.test.plan.to_json(),
            "functions": prepared.test.functions,
            "warnings": prepared.notices,
        });
        terminal::print(&format!("{json:#}\n"));
    } else {
        terminal::print(&format!("{}\n", plan_text(&prepared.test.plan, terminal::out_style())));
        for notice in &prepared.notices {
            terminal::warn(notice);
        }
    }
    exit::PASSED
}
