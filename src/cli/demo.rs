//! `kingtide demo`: the embedded target; `kingtide demo run`: the first thing that one tries.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use super::args::{
    DemoArgs, DemoCommand, DemoRunArgs, FaultArgs, Lang, LogFormat, RunArgs, ServeArgs, TestArgs,
    Ui,
};
use super::errors::CliError;
use super::{run, terminal, test};
use crate::demo::{Demo, Settings};
use crate::run::{Gates, Signals, exit};

const EXAMPLE_LUAU: &str = include_str!("../../examples/notes.luau");
const EXAMPLE_RHAI: &str = include_str!("../../examples/notes.rhai");

/// Serves, or runs the example; returns the exit code.
pub(super) fn demo(args: &DemoArgs) -> u8 {
    let result = match &args.command {
        None => serve(&args.serve),
        Some(DemoCommand::Run(args)) => run_example(args),
    };
    result.unwrap_or_else(|error| terminal::fail(&error))
}

fn settings(listen: SocketAddr, faults: &FaultArgs) -> Result<Settings, CliError> {
    let mut settings = Settings { listen, ..Settings::default() };
    if let Some(latency) = &faults.latency {
        settings.latency = read("--latency", latency)?;
    }
    settings.error_rate = faults.error_rate;
    for stall in &faults.stall {
        settings.stall.push(read("--stall", stall)?);
    }
    Ok(settings)
}

fn read<T: FromStr<Err: std::fmt::Display>>(flag: &str, text: &str) -> Result<T, CliError> {
    text.parse().map_err(|error| CliError::Usage(format!("{flag}: {error}")))
}

fn start(settings: Settings) -> Result<Demo, CliError> {
    Demo::start(settings).map_err(|error| CliError::Usage(error.to_string()))
}

fn serve(args: &ServeArgs) -> Result<u8, CliError> {
    let mut settings = settings(args.listen, &args.faults)?;
    settings.db.clone_from(&args.db);
    let demo = start(settings)?;
    terminal::print(&format!(
        "the demo target listens on http://{}; stop it with Ctrl-C\n",
        demo.address()
    ));
    let defect = |error: std::io::Error| CliError::Defect(format!("cannot wait: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(defect)?;
    runtime.block_on(async {
        Signals::new().map_err(defect)?.next().await;
        Ok::<(), CliError>(())
    })?;
    demo.stop();
    Ok(exit::PASSED)
}

fn run_example(args: &DemoRunArgs) -> Result<u8, CliError> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let demo = start(settings(free, &args.faults)?)?;
    let folder = std::env::temp_dir().join(format!("kingtide-demo-{}", std::process::id()));
    let (name, text) = match args.lang {
        Lang::Luau => ("notes.luau", EXAMPLE_LUAU),
        Lang::Rhai => ("notes.rhai", EXAMPLE_RHAI),
    };
    let script = folder.join(name);
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&script, text))
        .map_err(|error| CliError::Output(format!("cannot write {}: {error}", script.display())))?;
    let args = RunArgs {
        test: TestArgs {
            script,
            env: vec![
                format!("BASE_URL=http://{}", demo.address()),
                format!("DURATION={}", args.duration),
            ],
            ..TestArgs::default()
        },
        summary_export: args.summary_export.clone(),
        quiet: false,
        verbose: false,
        ui: Ui::Auto,
        log_format: LogFormat::Text,
        watch: false,
        tag_versions: false,
        no_thresholds: false,
        strict_schedule: false,
        fail_on_error: false,
    };
    let prepared = test::prepare(&args.test, Gates::default());
    let code = prepared.map(|prepared| run::execute(&args, &prepared, None));
    demo.stop();
    // A folder left behind in the system's own place for such things harms nobody.
    let _left = std::fs::remove_dir_all(&folder);
    code
}
