//! Runs of kingtide itself, judged by the summary that it exports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;
use tempfile::TempDir;

/// The language of a script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Luau,
    Rhai,
}

/// What is to be run: scenarios of the suite's script.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    language: Language,
    scenarios: Vec<&'static str>,
    arguments: Vec<String>,
    one_core: bool,
}

impl Load {
    /// Returns the load of one scenario.
    pub(crate) fn of(language: Language, scenario: &'static str) -> Self {
        Self { language, scenarios: vec![scenario], arguments: Vec::new(), one_core: false }
    }

    /// Adds a scenario.
    pub(crate) fn and(mut self, scenario: &'static str) -> Self {
        self.scenarios.push(scenario);
        self
    }

    /// Adds arguments.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Sets how many seconds scenarios last whose length is left open.
    pub(crate) fn seconds(self, seconds: u32) -> Self {
        let length = format!("SECONDS={seconds}");
        self.with(&["-e", &length])
    }

    /// Lets the whole process have one core, whatever the machine has.
    pub(crate) fn on_one_core(self) -> Self {
        Self { one_core: true, ..self }
    }

    /// Starts it against a target.
    pub(crate) fn start(&self, target: SocketAddr) -> Run {
        let script = match self.language {
            Language::Luau => "tests/truth/truth.luau",
            Language::Rhai => "tests/truth/truth.rhai",
        };
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kingtide"));
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["run", script, "--quiet", "--ui", "none", "--seed", "2"])
            .args(self.scenarios.iter().flat_map(|scenario| ["--scenario", scenario]))
            .args(["-e", &format!("BASE_URL=http://{target}")])
            .arg("--summary-export")
            .arg(export(folder.path()))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = if self.one_core { spawn_on_one_core(command) } else { command.spawn() };
        let scenario = self.scenarios[0];
        Run { child: child.expect("kingtide starts"), folder, scenario }
    }

    /// Runs it to its end, which must be exit code 0.
    pub(crate) fn run(&self, target: SocketAddr) -> Outcome {
        let outcome = self.start(target).end();
        assert_eq!(outcome.code, 0, "{}", outcome.summary["outcome"]);
        outcome
    }
}

/// A child inherits what its thread may use, so the thread gives the other cores up first.
fn spawn_on_one_core(mut command: Command) -> std::io::Result<Child> {
    let spawn = move || {
        let mine = sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|&core| mine.is_set(core)).expect("a core");
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one)?;
        command.spawn()
    };
    std::thread::spawn(spawn).join().expect("the thread did not panic")
}

/// A run that goes on.
pub(crate) struct Run {
    child: Child,
    folder: TempDir,
    scenario: &'static str,
}

/// What a run left.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) summary: Value,
    scenario: &'static str,
}

impl Run {
    /// Returns the process's id.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Outcome {
        let status = self.child.wait().expect("waited");
        let text = std::fs::read_to_string(export(self.folder.path())).expect("a summary");
        Outcome {
            code: status.code().expect("an exit code"),
            summary: serde_json::from_str(&text).expect("JSON"),
            scenario: self.scenario,
        }
    }
}

fn export(folder: &Path) -> PathBuf {
    folder.join("summary.json")
}

impl Outcome {
    /// Returns a figure of a metric, such as `p(95)`; times in ms.
    pub(crate) fn figure(&self, metric: &str, stat: &str) -> f64 {
        let values = &self.summary["metrics"][metric]["values"];
        values[stat].as_f64().unwrap_or_else(|| panic!("no {stat} of {metric}: {values}"))
    }

    /// Returns a trend's histogram as text.
    pub(crate) fn histogram(&self, metric: &str) -> &str {
        self.summary["metrics"][metric]["histogram"].as_str().expect("a trend with samples")
    }

    /// Returns a number of the first scenario's account, such as `ended`.
    pub(crate) fn account(&self, name: &str) -> u64 {
        self.account_of(self.scenario, name)
    }

    /// Returns a number of a scenario's account.
    pub(crate) fn account_of(&self, scenario: &str, name: &str) -> u64 {
        let account = &self.summary["scenarios"][scenario];
        account[name].as_u64().unwrap_or_else(|| panic!("no {name}: {account}"))
    }

    /// Asserts that every iteration that was due is accounted for, and returns how many were.
    pub(crate) fn due(&self) -> u64 {
        let due = self.account("due");
        let sum = self.account("ended") + self.account("interrupted") + self.account("dropped");
        assert_eq!(due, sum, "{}", self.summary["scenarios"]);
        due
    }

    /// Returns what the generator says about itself.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.summary["generator"]["warnings"].as_array().expect("an array");
        warnings.iter().map(|warning| warning.as_str().expect("text")).collect()
    }

    /// Returns whether a warning contains a text.
    pub(crate) fn warns(&self, text: &str) -> bool {
        self.warnings().iter().any(|warning| warning.contains(text))
    }
}
