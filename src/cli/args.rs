//! What can be typed: definitions only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Cyan.on_default().bold())
    .usage(AnsiColor::Cyan.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::BrightBlack.on_default());

/// Kingtide: a load runner. Scripts in Luau or Rhai say what virtual users do.
#[derive(Debug, Parser)]
#[command(name = "kingtide", version, styles = STYLES, disable_help_subcommand = true)]
#[command(
    after_help = "Example:\n  kingtide demo run\n  kingtide run examples/notes.luau -u 10 -d 30s"
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs a test.
    Run(RunArgs),
    /// Validates a script and prints its plan; runs nothing.
    Check(CheckArgs),
    /// Runs a script with one VU, shows each request, and goes on with what is saved.
    Dev(Box<DevArgs>),
    /// Writes a test that works as it is, and what editors need to know its modules.
    New(NewArgs),
    /// Writes what editors need to know the modules.
    Types(TypesArgs),
    /// Prints what a shell needs to complete commands and flags.
    Completions(CompletionsArgs),
    /// Serves the demo target; `demo run` tests it.
    Demo(Box<DemoArgs>),
}

/// `kingtide run`
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_help = "Examples:\n  \
    kingtide run notes.luau -u 10 -d 30s\n  \
    kingtide run notes.rhai --rate 100/s -d 1m -e BASE_URL=http://127.0.0.1:8080\n  \
    kingtide run notes.luau --threshold 'http_req_duration: p(95) < 200ms' --summary-export out.json\n  \
    kingtide run notes.luau --rate 10/s -d 10m --watch")]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) test: TestArgs,
    /// Writes the summary as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) summary_export: Option<PathBuf>,
    /// Shows no progress, only what goes wrong and the summary.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Shows debug messages of the script.
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// How progress is shown.
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub(super) ui: Ui,
    /// How log lines are written.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// Goes on with the new version of the script, or of anything that it loaded, when it is saved.
    #[arg(long)]
    pub(super) watch: bool,
    /// Tags samples with script_version: 0, and the number of each reload.
    #[arg(long, requires = "watch")]
    pub(super) tag_versions: bool,
    /// Leaves thresholds unjudged.
    #[arg(long)]
    pub(super) no_thresholds: bool,
    /// Exits with 65 if the generator could not keep the schedule.
    #[arg(long)]
    pub(super) strict_schedule: bool,
    /// Exits with 109 if iterations ended with errors.
    #[arg(long)]
    pub(super) fail_on_error: bool,
}

/// `kingtide check`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  kingtide check notes.luau")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) test: TestArgs,
    /// Prints JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// `kingtide new`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    kingtide new\n  \
    kingtide new checkout.rhai --template crud\n  \
    kingtide new tests --template suite")]
pub(super) struct NewArgs {
    /// The file; its extension says the language. A folder for the template `suite`.
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// What the test shows.
    #[arg(long, value_name = "NAME", default_value = "http")]
    pub(super) template: Template,
    /// The language: Luau, unless FILE says another.
    #[arg(long, value_name = "LANG")]
    pub(super) lang: Option<Lang>,
}

/// What a new test shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// Requests, checks and thresholds.
    Http,
    /// Two scenarios that read and write.
    Crud,
    /// Round trips and messages over WebSockets.
    Websocket,
    /// Calls and batches of JSON-RPC.
    Jsonrpc,
    /// Several tests that share a module.
    Suite,
}

/// `kingtide types`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  kingtide types tests")]
pub(super) struct TypesArgs {
    /// The folder of the tests; this one if it is left out.
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

/// `kingtide completions`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  \
    kingtide completions bash > ~/.local/share/bash-completion/completions/kingtide")]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

/// What says which test and how much of it.
#[derive(Debug, Clone, Default, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct TestArgs {
    /// The script: .luau, .lua or .rhai; or a folder, of which `test` or the only script is taken.
    #[arg(value_name = "SCRIPT", default_value = ".")]
    pub(super) script: PathBuf,
    /// Virtual users.
    #[arg(short = 'u', long, value_name = "N", help_heading = "Load")]
    pub(super) vus: Option<u64>,
    /// How long, as in 30s or 1m30s.
    #[arg(short = 'd', long, value_name = "TIME", help_heading = "Load")]
    pub(super) duration: Option<String>,
    /// Iterations in total, shared by the VUs.
    #[arg(short = 'i', long, value_name = "N", help_heading = "Load")]
    pub(super) iterations: Option<u64>,
    /// A stage: a time, and the VUs to reach by its end. Repeatable.
    #[arg(short = 's', long = "stage", value_name = "TIME:VUS", help_heading = "Load")]
    pub(super) stages: Vec<String>,
    /// Iterations started per time, as in 100/s, whatever the target does.
    #[arg(long, value_name = "N/TIME", help_heading = "Load")]
    pub(super) rate: Option<String>,
    /// Most requests per second of all VUs together, as in 50 or 300/m.
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(super) rps: Option<String>,
    /// Only this scenario. Repeatable.
    #[arg(long = "scenario", value_name = "NAME", help_heading = "Load")]
    pub(super) scenarios: Vec<String>,
    /// The seed of everything random.
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(super) seed: Option<u64>,
    /// Worker threads; by default one per core.
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(super) workers: Option<u64>,
    /// Sets what kt.env gives, or lets it through from the environment. Repeatable.
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]", help_heading = "Script")]
    pub(super) env: Vec<String>,
    /// Lets scripts load modules from another folder. Repeatable.
    #[arg(long, value_name = "DIR", help_heading = "Script")]
    pub(super) include: Vec<PathBuf>,
    /// Leaves out setup().
    #[arg(long, help_heading = "Script")]
    pub(super) no_setup: bool,
    /// Leaves out teardown().
    #[arg(long, help_heading = "Script")]
    pub(super) no_teardown: bool,
    /// A tag on every sample. Repeatable.
    #[arg(long = "tag", value_name = "NAME=VALUE", help_heading = "Measuring")]
    pub(super) tags: Vec<String>,
    /// What must hold, as in 'http_req_duration: p(95) < 200ms'. Repeatable.
    #[arg(long = "threshold", value_name = "METRIC: EXPR", help_heading = "Measuring")]
    pub(super) thresholds: Vec<String>,
    /// Statistics of trends in the summary, as in 'avg,p(95),p(99)'.
    #[arg(long, value_name = "LIST", help_heading = "Measuring")]
    pub(super) trend_stats: Option<String>,
    /// Shows requests and answers: heads, or with =full bodies too.
    #[arg(
        long,
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "headers",
        help_heading = "Network"
    )]
    pub(super) http_debug: Option<DebugMode>,
    /// Adds TLS secrets to a file, by default the one that SSLKEYLOGFILE names.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        help_heading = "Network"
    )]
    pub(super) tls_key_log: Option<String>,
    /// Accepts any certificate.
    #[arg(long, help_heading = "Network")]
    pub(super) insecure: bool,
    /// A proxy, as in http://user:password@host:port or socks5://host:port.
    #[arg(long, value_name = "URL", help_heading = "Network")]
    pub(super) proxy: Option<String>,
    /// Takes proxies from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
    #[arg(long, help_heading = "Network")]
    pub(super) proxy_from_env: bool,
    /// An address for a name. Repeatable.
    #[arg(long, value_name = "NAME=ADDRESS", help_heading = "Network")]
    pub(super) hosts: Vec<String>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ui {
    /// Redrawn on a terminal, lines elsewhere.
    Auto,
    /// Lines.
    Plain,
    /// Not at all.
    None,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What `--http-debug` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DebugMode {
    /// Heads.
    Headers,
    /// Heads and bodies.
    Full,
}

/// `kingtide dev`
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    kingtide dev notes.luau -e BASE_URL=http://127.0.0.1:7380\n  \
    kingtide dev notes.rhai -u 3 --scenario buyers --every 200ms")]
pub(super) struct DevArgs {
    /// The script: .luau, .lua or .rhai; or a folder, of which `test` or the only script is taken.
    #[arg(value_name = "SCRIPT", default_value = ".")]
    pub(super) script: PathBuf,
    /// VUs of each scenario.
    #[arg(short = 'u', long, value_name = "N", default_value_t = 1)]
    pub(super) vus: u64,
    /// How long; without it, until q is pressed or a signal comes.
    #[arg(short = 'd', long, value_name = "TIME")]
    pub(super) duration: Option<String>,
    /// Least time between the starts of a VU's iterations.
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(super) every: String,
    /// Only this scenario. Repeatable.
    #[arg(long = "scenario", value_name = "NAME")]
    pub(super) scenarios: Vec<String>,
    /// Sets what kt.env gives, or lets it through from the environment. Repeatable.
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    pub(super) env: Vec<String>,
    /// Lets scripts load modules from another folder. Repeatable.
    #[arg(long, value_name = "DIR")]
    pub(super) include: Vec<PathBuf>,
    /// Prints lines, though there is a terminal to draw on.
    #[arg(long)]
    pub(super) plain: bool,
}

/// `kingtide demo`
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:\n  \
    kingtide demo --listen 127.0.0.1:7380 --latency 20ms..80ms\n  \
    kingtide demo run --lang rhai")]
pub(super) struct DemoArgs {
    #[command(subcommand)]
    pub(super) command: Option<DemoCommand>,
    #[command(flatten)]
    pub(super) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum DemoCommand {
    /// Starts the target on a free port and runs an example against it.
    Run(DemoRunArgs),
}

/// `kingtide demo run`
#[derive(Debug, ClapArgs)]
pub(super) struct DemoRunArgs {
    /// The language of the example.
    #[arg(long, value_name = "LANG", default_value = "luau")]
    pub(super) lang: Lang,
    /// How long the example runs.
    #[arg(short, long, value_name = "TIME", default_value = "10s")]
    pub(super) duration: String,
    #[command(flatten)]
    pub(super) faults: FaultArgs,
    /// Writes the summary as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) summary_export: Option<PathBuf>,
}

/// A script's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Luau.
    Luau,
    /// Rhai.
    Rhai,
}

/// How the demo target serves.
#[derive(Debug, ClapArgs)]
pub(super) struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7380")]
    pub(super) listen: SocketAddr,
    /// Keeps notes in a file instead of in memory.
    #[arg(long, value_name = "FILE")]
    pub(super) db: Option<PathBuf>,
    #[command(flatten)]
    pub(super) faults: FaultArgs,
}

/// How the demo target misbehaves.
#[derive(Debug, ClapArgs)]
pub(super) struct FaultArgs {
    /// Waits before answers: 50ms, 20ms..80ms, normal(50ms,10ms) or lognormal(50ms,0.5).
    #[arg(long, value_name = "TIME")]
    pub(super) latency: Option<String>,
    /// The share of answers that are errors, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(super) error_rate: f64,
    /// Answers nothing from a time on, for a time, as in 10s:3s. Repeatable.
    #[arg(long, value_name = "AT:FOR")]
    pub(super) stall: Vec<String>,
}
