//! Which script is meant where none is named: a folder's `test`, or its only one.

use std::path::{Path, PathBuf};

use super::args::TestArgs;
use super::errors::CliError;

/// The name that says which of several scripts is meant.
const NAME: &str = "test";

/// Puts the script that is meant in the place of a folder.
pub(super) fn locate(args: &mut TestArgs) -> Result<(), CliError> {
    if args.script.is_dir() {
        args.script = only(&args.script)?;
    }
    Ok(())
}

fn only(folder: &Path) -> Result<PathBuf, CliError> {
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
