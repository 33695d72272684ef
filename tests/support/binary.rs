//! Runs the real binary on a script and reads what it leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What a run left.
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) code: i32,
    /// `--summary-export`.
    pub(crate) summary: Value,
    /// All that was printed.
    pub(crate) text: String,
}

impl Ran {
    /// Returns a part of the summary by its JSON pointer; the run's text explains what is missing.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.summary
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in {:#}\n{}", self.summary, self.text))
    }

    /// Returns a number of the summary.
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        self.at(pointer).as_f64().unwrap_or_else(|| panic!("{pointer} is no number"))
    }
}

/// Returns a file below `tests`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Runs `kingtide run SCRIPT ARGUMENTS` to its end.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("summary.json");
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_kingtide"))
        .arg("run")
        .arg(script(name))
        .args(["--quiet", "--summary-export"])
        .arg(&export)
        .args(arguments)
        .output()
        .expect("the binary runs");
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let summary = std::fs::read_to_string(&export)
        .unwrap_or_else(|error| panic!("{name} left no summary: {error}\n{text}"));
    let summary = serde_json::from_str(&summary).expect("the summary is JSON");
    Ran { code: status.code().unwrap_or(-1), summary, text }
}
