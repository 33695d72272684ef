//! Hostile scripts beside a well-behaved scenario on the same thread: their iterations end with
//! counted errors of the right kind, and nobody else notices.
//!
//! A script's first line says which kinds of errors are right: `expect memory|size`. Where the work
//! is one call that the engine cannot interrupt before the limit of time, the thread stands still
//! for that long in each of the three iterations: such scripts say `expect time in one piece`.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]

use std::collections::BTreeMap;
use std::fs;

use binary::{Ran, run, script};

#[path = "support/binary.rs"]
mod binary;

/// Bounds of what the well-behaved scenario and the process may suffer, in debug builds on a machine
/// that others use too.
const LATENESS_P99_MS: f64 = 150.0;
const MEMORY_BYTES: f64 = 600e6;

/// `limits.time` of `hostile/kingtide.toml`.
const LIMIT_MS: f64 = 200.0;

fn cases(language: &str) -> BTreeMap<String, (Vec<String>, f64)> {
    let files = fs::read_dir(script("hostile")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let ending = format!(".{language}");
    names
        .filter_map(|file| {
            let name = file.strip_suffix(&ending)?.to_owned();
            let text = fs::read_to_string(script("hostile").join(&file)).unwrap();
            let first = text.lines().next().unwrap().trim_start_matches(['-', '/', ' ']);
            let kinds = first.strip_prefix("expect ").unwrap_or_else(|| panic!("{file}: {first}"));
            let (kinds, late) = match kinds.strip_suffix(" in one piece") {
                Some(kinds) => (kinds, 3.0 * LIMIT_MS + LATENESS_P99_MS),
                None => (kinds, LATENESS_P99_MS),
            };
            Some((name, (kinds.split('|').map(ToOwned::to_owned).collect(), late)))
        })
        .collect()
}

/// Returns what is wrong with a run.
fn problems(ran: &Ran, kinds: &[String], latest: f64) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            problems.push(what);
        }
    };
    let errors = ran.at("/errors").as_array().unwrap();
    let right = |error: &serde_json::Value| kinds.iter().any(|kind| error["kind"] == kind.as_str());
    expect(!errors.is_empty() && errors.iter().all(right), format!("errors {errors:#?}"));
    let count: u64 = errors.iter().map(|error| error["count"].as_u64().unwrap()).sum();
    expect(count == 3, format!("{count} errors of 3 iterations"));
    let shown = errors.iter().all(|error| ran.text.contains(error["message"].as_str().unwrap()));
    expect(shown, "an error is not printed".to_owned());
    let good = ran.at("/scenarios/good");
    expect(good["due"] == 100 && good["ended"] == 100, format!("the schedule: {good}"));
    expect(good["errors"] == 0, format!("errors of the well-behaved: {good}"));
    let late = ran.number("/metrics/iteration_lateness{scenario:good}/values/p(99)");
    expect(late < latest, format!("{late} ms late"));
    let memory = ran.number("/generator/memory_bytes");
    expect(memory < MEMORY_BYTES, format!("{memory} bytes of memory"));
    problems
}

fn check_all(language: &str) {
    let cases = cases(language);
    let mut all = Vec::new();
    for (index, (name, (kinds, latest))) in cases.iter().enumerate() {
        let mut arguments = vec!["--threshold", "iteration_lateness{scenario:good}: p(99) < 1h"];
        let counted: Vec<String> =
            kinds.iter().map(|k| format!("iteration_errors{{kind:{k}}}: count <= 3")).collect();
        for threshold in &counted {
            arguments.extend(["--threshold", threshold.as_str()]);
        }
        // Every other case asks for an exit code that tells of errors.
        let strict = index % 2 == 0;
        if strict {
            arguments.push("--fail-on-error");
        }
        let ran = run(&format!("hostile/{name}.{language}"), &arguments);
        let mut problems = problems(&ran, kinds, *latest);
        let counts = kinds.iter().filter_map(|kind| {
            let pointer = format!("/metrics/iteration_errors{{kind:{kind}}}/values/count");
            ran.summary.pointer(&pointer)?.as_f64()
        });
        let counted: f64 = counts.sum();
        if counted != 3.0 {
            problems.push(format!("iteration_errors counts {counted}"));
        }
        let code = if strict { 109 } else { 0 };
        if ran.code != code {
            problems.push(format!("exit code {}, not {code}", ran.code));
        }
        if !problems.is_empty() {
            all.push(format!("{name}: {}\n{}", problems.join("\n  "), ran.text));
        }
    }
    assert!(all.is_empty(), "{} of {} cases:\n{}", all.len(), cases.len(), all.join("\n\n"));
}

#[test]
fn hostile_scripts_in_luau_harm_nobody_else() {
    check_all("luau");
}

#[test]
fn hostile_scripts_in_rhai_harm_nobody_else() {
    check_all("rhai");
}

#[test]
fn both_languages_are_attacked_in_the_same_ways() {
    let names = |language| cases(language).into_keys().collect::<Vec<_>>();
    assert_eq!(names("luau"), names("rhai"));
    assert!(!names("luau").is_empty());
}
