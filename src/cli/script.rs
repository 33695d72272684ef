//! Which script is meant where none is named: a folder's `test`, or its only one.

use std::path::{Path, PathBuf};

use super::args::TestArgs;
use super::errors::CliError;
use crate::units;

/// The name that says which of several scripts is meant.
const NAME: &str = "test";

/// Most scripts that are shown where the one that was named is not there.
const SHOWN_MAX: usize = 8;

/// Puts the script that is meant in the place of a folder.
pub(super) fn locate(args: &mut TestArgs) -> Result<(), CliError> {
    if args.script.is_dir() {
        args.script = only(&args.script)?;
    } else if !args.script.exists() {
        return Err(missing(&args.script));
    }
    Ok(())
}

/// Returns the error about a script that is not there, with what is.
fn missing(script: &Path) -> CliError {
    let shown = script.display();
    let folder = script.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return CliError::Usage(format!("there is no script {shown}: there is no such folder"));
    }
    let scripts = scripts_in(folder).unwrap_or_default();
    let shown_as = |path: &PathBuf| path.strip_prefix(".").unwrap_or(path).display().to_string();
    let names: Vec<String> = scripts.iter().map(shown_as).collect();
    let near = units::nearest(&shown.to_string(), names.iter().map(String::as_str));
    CliError::Usage(match (near, names.as_slice()) {
        (Some(near), _) => format!("there is no script {shown}, did you mean {near}?"),
        (None, []) => format!(
            "there is no script {shown}, and no other one in that folder; `kingtide new {shown}` writes one"
        ),
        (None, names) => {
            let more = if names.len() > SHOWN_MAX { ", …" } else { "" };
            let names = names[..names.len().min(SHOWN_MAX)].join(", ");
            format!("there is no script {shown}; there are {names}{more}")
        }
    })
}

/// Returns the scripts that lie in a folder, sorted.
fn scripts_in(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error| CliError::Usage(format!("cannot read {}: {error}", folder.display()));
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_file() && matches!(extension, Some("luau" | "lua" | "rhai")) {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

fn only(folder: &Path) -> Result<PathBuf, CliError> {
    let scripts = scripts_in(folder)?;
    let named = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem == NAME);
    let place = if folder == Path::new(".") {
        "this folder".to_owned()
    } else {
        folder.display().to_string()
    };
    let mut tests = scripts.iter().filter(named);
    let found = match (scripts.as_slice(), tests.next(), tests.next()) {
        ([only], ..) => only,
        (_, Some(test), None) => test,
        ([], ..) => {
            return Err(CliError::Usage(format!(
                "there is no script in {place}: name one, or let `kingtide new` write one"
            )));
        }
        _ => {
            let names = scripts.iter().filter_map(|path| path.file_name());
            let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
            return Err(CliError::Usage(format!(
                "there are several scripts in {place}: name one of {}",
                names.join(", ")
            )));
        }
    };
    // Messages show the path: `test.luau` rather than `./test.luau`.
    Ok(found.strip_prefix(".").unwrap_or(found).to_path_buf())
}
