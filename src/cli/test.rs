//! From what was typed to a test: the script loaded, options merged by precedence, the plan made.
//!
//! Precedence: defaults < `kingtide.toml` beside the script < script < `KINGTIDE_*` < flags.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::advice::{Advice, Replacement, Source};
use super::args::{DebugMode, TestArgs};
use super::env;
use super::errors::{CliError, definition_of};
use crate::api::{Event, unknown_name};
use crate::plan::{
    self, Facts, HttpDebug, Options, PlanError, ProxyOptions, Rate, StageOptions, ThresholdOptions,
};
use crate::protocol;
use crate::run::{self, Before, Gates, Sources, Test, Thresholds};
use crate::script::{Language, Program};
use crate::units;

/// The file of options beside a script.
const OPTIONS_FILE: &str = "kingtide.toml";

/// A test, and what was noticed while it was made.
pub(super) struct Prepared {
    /// The test.
    pub(super) test: Test,
    /// Advice, such as options that replace others.
    pub(super) notices: Vec<Advice>,
    /// What the script's top level logged.
    pub(super) events: Vec<Event>,
}

/// Makes a test of what was typed.
pub(super) fn prepare(args: &TestArgs, gates: Gates) -> Result<Prepared, CliError> {
    prepare_again(args, gates, None, &mut Sources::default())
}

/// Makes a test of what was typed, maybe as the next version of one that runs. Says which files it
/// consists of, even if it fails.
pub(super) fn prepare_again(
    args: &TestArgs,
    gates: Gates,
    before: Option<&Before>,
    sources: &mut Sources,
) -> Result<Prepared, CliError> {
    let entry = args.script.canonicalize().or_else(|_| std::path::absolute(&args.script));
    let entry = entry.unwrap_or_else(|_| args.script.clone());
    sources.files = vec![entry.with_file_name(OPTIONS_FILE), entry];
    let (mut program, reads) = Program::load(&args.script, &args.include)?.observed();
    if let Some(data) = before.and_then(|before| before.data.clone()) {
        program = program.with_data(data);
    }
    sources.data = Arc::clone(program.data());
    let reads = sources.reads.insert(reads);
    let file = options_file(&args.script)?;
    let flags = flags(args)?;
    let mut known = file.env.clone().unwrap_or_default();
    known.extend(flags.env.clone().unwrap_or_default());
    let loaded = match before {
        Some(before) => run::load_again(&program, &known, &before.metrics),
        None => run::load(&program, &known),
    };
    let loaded = loaded.map_err(|error| CliError::Script(Box::new(error)))?;
    let program = reads.keep(&program);
    let script = script_options(&program, &loaded.options)?;
    let environment = Options::from_env(env::variables())
        .map_err(|error| CliError::Options(error.to_string(), None, None))?;
    let typed = [environment.to_json(), flags.to_json()];
    let in_script = |error: PlanError| {
        if typed.iter().any(|typed| sets(typed, &error.path)) {
            return CliError::Options(error.to_string(), None, None);
        }
        CliError::in_script(&error, &program)
    };
    let mut replaced = Vec::new();
    let mut merged = file;
    for (options, source) in
        [(script, Source::Script), (environment, Source::Environment), (flags, Source::Flags)]
    {
        merged = lay(options, merged, source, &mut replaced);
    }
    let plan = resolve(args, &merged, &program, in_script)?;
    check_functions(&plan, &loaded.functions, &program, &replaced)?;
    let notices = replaced.iter().map(|one| one.advice(&plan)).collect();
    let registry = loaded.registry;
    Thresholds::new(&plan, &registry).map_err(|error| {
        let path = format!("thresholds.{}", error.selector);
        in_script(PlanError { message: error.to_string(), path })
    })?;
    let test = Test {
        plan: Arc::new(plan),
        program: Arc::new(program),
        registry: Arc::new(registry),
        functions: loaded.functions,
        options: merged.without_secrets().to_json(),
        gates,
    };
    Ok(Prepared { test, notices, events: loaded.events })
}

/// Lays a source over the weaker ones.
fn lay(options: Options, weaker: Options, by: Source, replaced: &mut Vec<Replacement>) -> Options {
    let (merged, notices) = options.over(weaker);
    replaced.extend(notices.into_iter().map(|notice| Replacement { by, notice }));
    merged
}

/// Returns whether options have a value where a path leads: then no line of the script is to blame.
fn sets(options: &serde_json::Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(value) = options.get(name.split('[').next().unwrap_or(name)) else { return false };
    match value {
        serde_json::Value::Object(members) if !rest.is_empty() => {
            members.contains_key(rest)
                || members.contains_key(rest.split(['.', '[']).next().unwrap_or(rest))
        }
        value => !value.is_null(),
    }
}

fn resolve(
    args: &TestArgs,
    options: &Options,
    program: &Program,
    in_script: impl Fn(PlanError) -> CliError,
) -> Result<plan::Plan, CliError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = rustix::system::sysinfo();
    let facts = Facts {
        cores,
        memory_bytes: memory.totalram * u64::from(memory.mem_unit) / 2,
        // The hasher's keys are the system's randomness; they are all that is wanted of it.
        now_seed: RandomState::new().hash_one(0) >> 16,
        only_scenarios: args.scenarios.clone(),
        version: env!("CARGO_PKG_VERSION"),
        tls_key_log: key_log(args)?,
        proxy_env: (options.proxy_from_env == Some(true)).then(env::proxies),
    };
    let mut plan = plan::resolve(options, &facts).map_err(&in_script)?;
    plan.http.tls.load(|path| program.files().read_text(path)).map_err(&in_script)?;
    protocol::check(&plan.http)
        .map_err(|error| CliError::Options(error.to_string(), None, None))?;
    Ok(plan)
}

/// Returns the file of TLS secrets that `--tls-key-log` asks for.
fn key_log(args: &TestArgs) -> Result<Option<PathBuf>, CliError> {
    match args.tls_key_log.as_deref() {
        None => Ok(None),
        Some("") => env::tls_key_log().map(Some).ok_or_else(|| {
            CliError::Usage(
                "--tls-key-log: SSLKEYLOGFILE is not set; set it, or name the file: \
                 --tls-key-log=FILE"
                    .to_owned(),
            )
        }),
        Some(path) => Ok(Some(PathBuf::from(path))),
    }
}

/// Reads `kingtide.toml` beside the script, if there is one.
fn options_file(script: &Path) -> Result<Options, CliError> {
    let path = script.with_file_name(OPTIONS_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Options::default()),
        Err(error) => {
            return Err(CliError::Usage(format!("cannot read {}: {error}", path.display())));
        }
    };
    Options::from_toml(&text).map_err(|error| CliError::in_file(&error, OPTIONS_FILE, &text))
}

fn script_options(program: &Program, value: &crate::api::Value) -> Result<Options, CliError> {
    if value.is_nil() {
        return Ok(Options::default());
    }
    let json = match value.to_json() {
        // An empty table of Luau may be either.
        serde_json::Value::Array(list) if list.is_empty() => serde_json::json!({}),
        other => other,
    };
    Options::from_json(json).map_err(|error| CliError::in_script(&error, program))
}

/// Returns the options that flags set.
fn flags(args: &TestArgs) -> Result<Options, CliError> {
    let usage =
        |flag: &str, error: &dyn std::fmt::Display| CliError::Usage(format!("{flag}: {error}"));
    let mut options = Options {
        vus: args.vus,
        iterations: args.iterations,
        seed: args.seed,
        workers: args.workers,
        no_setup: args.no_setup.then_some(true),
        no_teardown: args.no_teardown.then_some(true),
        insecure_skip_tls_verify: args.insecure.then_some(true),
        proxy_from_env: args.proxy_from_env.then_some(true),
        ..Options::default()
    };
    if let Some(text) = &args.duration {
        let duration = units::parse_duration(text).map_err(|error| usage("--duration", &error))?;
        options.duration = Some(duration);
    }
    if let Some(text) = &args.rate {
        options.rate = Some(Rate::parse(text).map_err(|error| usage("--rate", &error))?);
    }
    if let Some(text) = &args.rps {
        options.rps = Some(Rate::parse(text).map_err(|error| usage("--rps", &error))?);
    }
    if !args.stages.is_empty() {
        let stages = args.stages.iter().map(|text| StageOptions::parse(text));
        let stages = stages.collect::<Result<_, _>>().map_err(|error| usage("--stage", &error))?;
        options.stages = Some(stages);
    }
    if !args.env.is_empty() {
        options.env = Some(env::script_env(&args.env).map_err(CliError::Usage)?);
    }
    if !args.tags.is_empty() {
        options.tags = Some(pairs("--tag", &args.tags)?.into_iter().collect());
    }
    if !args.hosts.is_empty() {
        options.hosts = Some(pairs("--hosts", &args.hosts)?.into_iter().collect());
    }
    if let Some(url) = &args.proxy {
        let (http, https) = (Some(url.clone()), Some(url.clone()));
        options.proxy = Some(ProxyOptions { http, https, except: None });
    }
    if let Some(list) = &args.trend_stats {
        let stats = list.split(',').map(|stat| stat.trim().to_owned()).collect();
        options.summary_trend_stats = Some(stats);
    }
    options.http_debug = args.http_debug.map(|mode| match mode {
        DebugMode::Headers => HttpDebug::Headers,
        DebugMode::Full => HttpDebug::Full,
    });
    for text in &args.thresholds {
        let (metric, expression) = threshold(text)?;
        let all = options.thresholds.get_or_insert_default();
        all.entry(metric).or_default().push(ThresholdOptions::new(expression));
    }
    Ok(options)
}

/// Splits `METRIC: EXPRESSION` at the colon that is not in the selector's braces.
fn threshold(text: &str) -> Result<(String, String), CliError> {
    let from = text.find('}').unwrap_or(0);
    match text[from..].find(':') {
        Some(at) => {
            let (metric, expression) = text.split_at(from + at);
            Ok((metric.trim().to_owned(), expression[1..].trim().to_owned()))
        }
        None => Err(CliError::Usage(format!(
            "--threshold {text}: write it as METRIC: EXPRESSION, as in 'http_req_duration: p(95) < \
             200ms'"
        ))),
    }
}

fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(CliError::Usage(format!("{flag} {text}: write it as NAME=VALUE"))),
    };
    given.iter().map(pair).collect()
}

/// Checks that the functions that scenarios run exist.
fn check_functions(
    plan: &plan::Plan,
    functions: &[String],
    program: &Program,
    replaced: &[Replacement],
) -> Result<(), CliError> {
    let missing = plan.scenarios.iter().find(|scenario| !functions.contains(&scenario.exec));
    let Some(scenario) = missing else { return Ok(()) };
    let exec = &scenario.exec;
    let known: Vec<&str> = functions
        .iter()
        .map(String::as_str)
        .filter(|name| {
            !matches!(*name, "setup" | "teardown" | "vu_setup" | "vu_teardown" | "summary")
        })
        .collect();
    // Nobody has written the scenario that flags make.
    if let Some((message, help)) =
        replaced.iter().rev().find_map(|one| one.why_missing(exec, &known))
    {
        return Err(CliError::Options(message, None, Some(help)));
    }
    let message = if known.is_empty() {
        format!(
            "scenario \"{}\" runs the function `{exec}`, but the script offers no function to run",
            scenario.name
        )
    } else {
        let place = format!("scenario \"{}\"", scenario.name);
        unknown_name(&place, "function", exec, &known)
    };
    let path = format!("scenarios.{}.exec", scenario.name);
    let mut error = CliError::in_script(&PlanError { message, path }, program);
    if let CliError::Options(_, place @ None, help) = &mut error {
        let near = units::nearest(exec, known.iter().copied());
        *place = definition_of(near.unwrap_or(exec), program);
        let definition = match program.language() {
            Language::Luau => format!("function test.{exec}() … end"),
            Language::Rhai => format!("fn {exec}(data) {{ … }}"),
        };
        *help = Some(format!("write `{definition}`, or name another function with `exec`"));
    }
    Err(error)
}
