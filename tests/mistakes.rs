//! What the program says about typical mistakes: one snapshot for each script in `mistakes`, of
//! what `kingtide check` and `kingtide run` print and exit with.

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes").join(language)
}

/// Returns the scripts of a language, by number.
fn mistakes(language: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder(language)).expect("the folder can be read");
    let names = entries.map(|entry| entry.expect("the entry can be read").file_name());
    let mut names: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(&format!(".{language}")))
        .collect();
    names.sort();
    names
}

/// What a command left: its exit code, what it said, and how many errors it summed up.
#[derive(PartialEq, Eq)]
struct Said {
    code: i32,
    errors: String,
    summed_up: String,
}

fn kingtide(language: &str, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_kingtide"))
        .args(arguments)
        .current_dir(folder(language))
        .env_clear()
        .env("LANG", "C.UTF-8")
        .output()
        .expect("kingtide can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    let out = text(output.stdout);
    // The rest of the summary has times, or says the same again.
    let summed_up = out.lines().find(|line| line.starts_with("Errors "));
    Said {
        code: output.status.code().expect("it exits by itself"),
        errors: text(output.stderr).trim().to_owned(),
        summed_up: summed_up.unwrap_or_default().to_owned(),
    }
}

fn explained(language: &str) {
    let names = mistakes(language);
    assert!(names.len() >= 20, "there are {} mistakes in {language}", names.len());
    for name in names {
        let check = kingtide(language, &["check", &name]);
        let run = kingtide(language, &["run", "--quiet", &name]);
        let checked = format!("$ kingtide check {name}  # {}\n{}", check.code, check.errors);
        let ran = if check == run {
            format!("$ kingtide run {name}  # the same")
        } else {
            format!("$ kingtide run {name}  # {}\n{}\n{}", run.code, run.errors, run.summed_up)
        };
        let text = format!("{}\n\n{}", checked.trim_end(), ran.trim_end());
        let settings = {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path(folder(language));
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings
        };
        settings.bind(|| insta::assert_snapshot!(name.split('.').next().expect("a name"), text));
    }
}

#[test]
fn mistakes_in_luau_are_explained() {
    explained("luau");
}

#[test]
fn mistakes_in_rhai_are_explained() {
    explained("rhai");
}
