//! `kingtide new`: a test that works as it is, and what editors need to know its modules.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::args::{Lang, NewArgs, Template};
use super::errors::CliError;
use super::{terminal, types};
use crate::run::exit;

/// A file's path in a template, and its text.
type File = (&'static str, &'static str);

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../stdlib/templates/", $name))
    };
}

/// The file that a test without a name gets, but for its extension: `kingtide run` looks for it.
const NAME: &str = "test";

const SUITE_LUAU: &[File] = &[
    ("smoke.luau", file!("suite/smoke.luau")),
    ("load.luau", file!("suite/load.luau")),
    ("stress.luau", file!("suite/stress.luau")),
    ("lib/notes.luau", file!("suite/lib/notes.luau")),
    ("kingtide.toml", file!("suite/kingtide.toml")),
];

const SUITE_RHAI: &[File] = &[
    ("smoke.rhai", file!("suite/smoke.rhai")),
    ("load.rhai", file!("suite/load.rhai")),
    ("stress.rhai", file!("suite/stress.rhai")),
    ("lib/notes.rhai", file!("suite/lib/notes.rhai")),
    ("kingtide.toml", file!("suite/kingtide.toml")),
];

/// Returns the text of a template that is one file.
fn text(template: Template, lang: Lang) -> &'static str {
    match (template, lang) {
        (Template::Http | Template::Suite, Lang::Luau) => file!("http.luau"),
        (Template::Http | Template::Suite, Lang::Rhai) => file!("http.rhai"),
        (Template::Crud, Lang::Luau) => file!("crud.luau"),
        (Template::Crud, Lang::Rhai) => file!("crud.rhai"),
        (Template::Jsonrpc, Lang::Luau) => file!("jsonrpc.luau"),
        (Template::Jsonrpc, Lang::Rhai) => file!("jsonrpc.rhai"),
        (Template::Websocket, Lang::Luau) => file!("websocket.luau"),
        (Template::Websocket, Lang::Rhai) => file!("websocket.rhai"),
    }
}

/// What is to be written where, and what is run of it.
struct Plan {
    folder: PathBuf,
    files: Vec<(PathBuf, &'static str)>,
    script: PathBuf,
}

/// Writes a new test and returns the exit code.
pub(super) fn new(args: &NewArgs) -> u8 {
    match plan(args).and_then(|plan| write(&plan)) {
        Ok(said) => {
            terminal::print(&said);
            exit::PASSED
        }
        Err(error) => terminal::fail(&error),
    }
}

fn plan(args: &NewArgs) -> Result<Plan, CliError> {
    if args.template == Template::Suite {
        let folder = args.file.clone().unwrap_or_default();
        let files = if args.lang == Some(Lang::Rhai) { SUITE_RHAI } else { SUITE_LUAU };
        let files: Vec<_> = files.iter().map(|(name, text)| (folder.join(name), *text)).collect();
        let script = files[0].0.clone();
        return Ok(Plan { folder, files, script });
    }
    let mut script = args.file.clone().unwrap_or_else(|| PathBuf::from(NAME));
    let named = match script.extension().and_then(|extension| extension.to_str()) {
        Some("luau" | "lua") => Some(Lang::Luau),
        Some("rhai") => Some(Lang::Rhai),
        None => None,
        Some(other) => {
            return Err(CliError::Usage(format!(
                "a test ends in .luau or .rhai, not in .{other}: {}",
                script.display()
            )));
        }
    };
    if let (Some(named), Some(lang)) = (named, args.lang)
        && named != lang
    {
        return Err(CliError::Usage(format!(
            "{} is not a script of the language that --lang names",
            script.display()
        )));
    }
    let lang = named.or(args.lang).unwrap_or(Lang::Luau);
    if named.is_none() {
        script.set_extension(if lang == Lang::Luau { "luau" } else { "rhai" });
    }
    let folder = script.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Plan { folder, files: vec![(script.clone(), text(args.template, lang))], script })
}

/// Writes the files, none over another, and returns what to do next.
fn write(plan: &Plan) -> Result<String, CliError> {
    if let Some((path, _)) = plan.files.iter().find(|(path, _)| path.exists()) {
        return Err(CliError::Usage(format!(
            "{} is there already, and `new` never overwrites: name another file, as in `kingtide new \
             other.luau`",
            path.display()
        )));
    }
    let mut said = String::new();
    for (path, text) in &plan.files {
        create(path, text)?;
        let _infallible = writeln!(said, "created {}", path.display());
    }
    said.push_str(&types::set_up(&plan.folder)?);
    said.push_str(&next(&plan.script));
    Ok(said)
}

/// Creates a file that is not there.
pub(super) fn create(path: &Path, text: &str) -> Result<(), CliError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(path))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                CliError::Usage(format!("{} is there already", path.display()))
            }
            _ => CliError::Output(format!("cannot write {}: {error}", path.display())),
        })
}

fn next(script: &Path) -> String {
    let is_usual = script.file_stem().is_some_and(|stem| stem == NAME)
        && script.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    let run = if is_usual { String::new() } else { format!(" {}", script.display()) };
    format!(
        "\nTry it:\n  kingtide demo        in another terminal: a target to test against\n  \
         kingtide run{run}\n  kingtide dev{run}         while you write: each request, at every save\n  kingtide check{run}\n"
    )
}
