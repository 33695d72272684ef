//! `kingtide types`: what editors need to know the modules: Luau modules behind an alias, Rhai's
//! definitions.

use std::path::{Path, PathBuf};

use super::args::TypesArgs;
use super::errors::CliError;
use super::{new, terminal};
use crate::run::exit;
use crate::script::stubs;

/// The folder of types, below that of the tests.
const FOLDER: &str = ".kingtide/types";

/// The file that gives Luau's tools the alias `@kingtide`.
const LUAURC: &str = ".luaurc";

/// Writes the types and returns the exit code.
pub(super) fn types(args: &TypesArgs) -> u8 {
    match set_up(args.dir.as_deref().unwrap_or(Path::new(""))) {
        Ok(said) => {
            terminal::print(&said);
            exit::PASSED
        }
        Err(error) => terminal::fail(&error),
    }
}

/// Writes the types below a folder, over those of another version, and the alias if there is no file for
/// it; returns what was done.
pub(super) fn set_up(dir: &Path) -> Result<String, CliError> {
    let folder = dir.join(FOLDER);
    let failed = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |error| CliError::Output(format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
    for (name, text) in stubs::files() {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(failed(&path))?;
    }
    let alias =
        format!("{{\n    \"aliases\": {{\n        \"kingtide\": \"./{FOLDER}\"\n    }}\n}}\n");
    let rc = dir.join(LUAURC);
    let known = match std::fs::read_to_string(&rc) {
        Ok(text) => Some(text.contains("\"kingtide\"")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(CliError::Usage(format!("cannot read {}: {error}", rc.display())));
        }
    };
    Ok(match known {
        None => {
            new::create(&rc, &alias)?;
            format!("created {} and {}: editors know the modules\n", rc.display(), folder.display())
        }
        Some(true) => format!("created {}: editors know the modules\n", folder.display()),
        Some(false) => format!(
            "created {}; add to the aliases of {}: \"kingtide\": \"./{FOLDER}\"\n",
            folder.display(),
            rc.display()
        ),
    })
}
