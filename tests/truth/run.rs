//! Runs of kingtide itself, judged by the summary that it exports.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The language of a script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Luau,
    Rhai,
}

/// A run that goes on.
pub(crate) struct Run {
    child: Child,
    folder: TempDir,
}

/// What a run left.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) summary: Value,
    scenario: String,
}

impl Run {
    /// Starts a scenario of the suite's script against a target.
    pub(crate) fn start(
        language: Language,
        scenario: &str,
        target: SocketAddr,
        flags: &[&str],
    ) -> Self {
        let script = match language {
            Language::Luau => "tests/truth/truth.luau",
            Language::Rhai => "tests/truth/truth.rhai",
        };
        let folder = tempfile::tempdir().expect("a folder");
        let child = Command::new(env!("CARGO_BIN_EXE_kingtide"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["run", script, "--quiet", "--ui", "none", "--seed", "2"])
            .args(["--scenario", scenario, "-e", &format!("BASE_URL=http://{target}")])
            .args(["--trend-stats", "count,min,avg,med,p(95),p(99),max"])
            .arg("--summary-export")
            .arg(export(folder.path()))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("kingtide starts");
        Self { child, folder }
    }

    /// Returns the process's id.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Waits for the end.
    pub(crate) fn end(mut self, scenario: &str) -> Outcome {
        let status = self.child.wait().expect("waited");
        let text = std::fs::read_to_string(export(self.folder.path())).expect("a summary");
        Outcome {
            code: status.code().expect("an exit code"),
            summary: serde_json::from_str(&text).expect("JSON"),
            scenario: scenario.to_owned(),
        }
    }
}

fn export(folder: &Path) -> std::path::PathBuf {
    folder.join("summary.json")
}

/// Runs a scenario to its end, which must be exit code 0.
pub(crate) fn run(language: Language, scenario: &str, target: SocketAddr) -> Outcome {
    let outcome = Run::start(language, scenario, target, &[]).end(scenario);
    assert_eq!(outcome.code, 0, "{}", outcome.summary["outcome"]);
    outcome
}

impl Outcome {
    /// Returns a figure of a metric, such as `p(95)`; times in ms.
    pub(crate) fn figure(&self, metric: &str, stat: &str) -> f64 {
        let values = &self.summary["metrics"][metric]["values"];
        values[stat].as_f64().unwrap_or_else(|| panic!("no {stat} of {metric}: {values}"))
    }

    /// Returns a number of the scenario's account, such as `ended`.
    pub(crate) fn account(&self, name: &str) -> u64 {
        let account = &self.summary["scenarios"][&self.scenario];
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
}
