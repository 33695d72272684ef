//! `kingtide check`: everything that can be known without running.

use std::collections::BTreeMap;

use super::advice::Advice;
use super::args::CheckArgs;
use super::errors::{self, CliError};
use super::terminal;
use super::test::{self, Prepared};
use crate::output::{Level, diagnostic, plan_text};
use crate::plan::{Executor, Plan};
use crate::run::{self, Gates, exit};
use crate::script::{Finding, Program, Review, review};

/// Checks a script and returns the exit code.
pub(super) fn check(args: &CheckArgs) -> u8 {
    let prepared = test::prepare(&args.test, Gates::default());
    let program = Program::load(&args.test.script, &args.test.include);
    let mut reviewed = program.as_ref().map(review).unwrap_or_default();
    if let Err(error) = &prepared {
        // Both may see the same.
        reviewed.findings.retain(|found| !error.is_at(&found.location));
    }
    let code = match &prepared {
        Err(error) => error.code(),
        Ok(_) if reviewed.findings.iter().any(|found| found.certain) => exit::SCRIPT,
        Ok(_) => exit::PASSED,
    };
    let mut advice = prepared.as_ref().map_or_else(|_| Vec::new(), |ok| ok.notices.clone());
    if let Ok(prepared) = &prepared {
        advice.extend(out_of_reach(&prepared.test.plan, &reviewed.pauses));
    }
    if args.json {
        let text = format!("{:#}\n", json(code, &prepared, &reviewed, &advice));
        terminal::deliver(&text).map_or_else(|error| terminal::fail(&error), |()| code)
    } else {
        print(code, &prepared, &reviewed, &advice)
    }
}

/// Shows what was found; returns the exit code.
fn print(
    code: u8,
    prepared: &Result<Prepared, CliError>,
    reviewed: &Review,
    advice: &[Advice],
) -> u8 {
    let mut shown = Ok(());
    if let (Ok(prepared), exit::PASSED) = (prepared, code) {
        let text = format!("{}\n", plan_text(&prepared.test.plan, terminal::out_style()));
        shown = terminal::deliver(&text);
    }
    let style = terminal::err_style();
    let mut parts: Vec<String> =
        prepared.as_ref().err().map(|e| e.render(style)).into_iter().collect();
    for found in &reviewed.findings {
        let level = if found.certain { Level::Error } else { Level::Warning };
        let notes: Vec<_> = found.help.iter().map(|help| format!("help: {help}")).collect();
        let place = Some(run::place(&found.location));
        parts.push(diagnostic(level, &found.message, place, &notes, style));
    }
    if !parts.is_empty() {
        terminal::eprint(&format!("{}\n", parts.join("\n\n")));
    }
    for advice in advice {
        terminal::warn(advice);
    }
    shown.map_or_else(|error| terminal::fail(&error), |()| code)
}

/// Returns what editors read: all that is wrong, with ranges.
fn json(
    code: u8,
    prepared: &Result<Prepared, CliError>,
    reviewed: &Review,
    advice: &[Advice],
) -> serde_json::Value {
    let mut all: Vec<serde_json::Value> = Vec::new();
    if let Err(error) = prepared {
        let mut found = error.to_json();
        found["severity"] = "error".into();
        all.push(found);
    }
    all.extend(reviewed.findings.iter().map(finding));
    all.extend(advice.iter().map(|advice| {
        let Advice { message, help } = advice;
        serde_json::json!({ "severity": "warning", "message": message, "location": null, "help": help })
    }));
    let warnings: Vec<_> = advice.iter().map(|advice| advice.message.as_str()).collect();
    match prepared {
        Err(error) => serde_json::json!({
            "ok": false,
            "exit_code": code,
            "error": error.to_json(),
            "diagnostics": all,
        }),
        Ok(prepared) => serde_json::json!({
            "ok": code == exit::PASSED,
            "exit_code": code,
            "plan": prepared.test.plan.to_json(),
            "functions": prepared.test.functions,
            "warnings": warnings,
            "diagnostics": all,
        }),
    }
}

fn finding(found: &Finding) -> serde_json::Value {
    serde_json::json!({
        "severity": if found.certain { "error" } else { "warning" },
        "message": found.message,
        "location": errors::location(&found.location),
        "help": found.help,
    })
}

/// Says which open scenarios cannot start all their iterations in time, because the VUs that there may
/// be wait longer than the rate leaves them.
fn out_of_reach(plan: &Plan, pauses: &BTreeMap<String, f64>) -> Vec<Advice> {
    let scenarios = plan.scenarios.iter().filter_map(|scenario| {
        let Executor::ArrivalRate(load) = &scenario.executor else { return None };
        let pause = *pauses.get(&scenario.exec)?;
        let rate = load.curve.max();
        // By Little's law; a curve that is at its peak for a moment only needs somewhat less.
        let needed = (rate * pause).ceil();
        (needed > load.max_vus as f64).then(|| {
            let message = format!(
                "scenario \"{}\": {rate} iterations/s of `{}`, which waits {pause} s at least, need \
                 {needed} VUs, but max_vus is {}: arrivals will be late or dropped; raise max_vus, or \
                 leave the pauses out, since the rate sets the pace",
                scenario.name, scenario.exec, load.max_vus
            );
            Advice { message, help: None }
        })
    });
    scenarios.collect()
}
