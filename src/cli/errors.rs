//! What ends a command before or after the run, with its exit code.

use crate::output::{Level, Style, diagnostic};
use crate::plan::PlanError;
use crate::run::{self, exit};
use crate::script::{Location, Program, ScriptError, SourceError};

/// What ends a command.
#[derive(Debug)]
pub(super) enum CliError {
    /// Wrong use: unknown flag, missing file.
    Usage(String),
    /// Options that cannot be; where they were set and what to do about it, if that is known.
    Options(String, Option<Location>, Option<String>),
    /// A script that does not load.
    Script(Box<ScriptError>),
    /// Something cannot be written.
    Output(String),
    /// Something that should not happen.
    Defect(String),
}

impl CliError {
    /// Returns the exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Options(..) => exit::OPTIONS,
            Self::Script(_) => exit::SCRIPT,
            Self::Output(_) => exit::OUTPUT,
            Self::Defect(_) => exit::DEFECT,
        }
    }

    /// Returns it as people read it.
    pub(super) fn render(&self, style: Style) -> String {
        match self {
            Self::Usage(message) | Self::Output(message) | Self::Defect(message) => {
                diagnostic(Level::Error, message, None, &[], style)
            }
            Self::Options(message, place, help) => {
                let place = place.as_ref().map(run::place);
                let notes: Vec<_> = help.iter().map(|help| format!("help: {help}")).collect();
                diagnostic(Level::Error, message, place, &notes, style)
            }
            Self::Script(error) => run::render(error, None, style),
        }
    }

    /// Returns it for editors.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let help = match self {
            Self::Options(_, _, help) => help.as_ref(),
            Self::Script(error) => error.help.as_ref(),
            Self::Usage(_) | Self::Output(_) | Self::Defect(_) => None,
        };
        let message = match self {
            Self::Usage(message)
            | Self::Output(message)
            | Self::Defect(message)
            | Self::Options(message, ..) => message,
            Self::Script(error) => &error.message,
        };
        let place = self.place().map(location);
        serde_json::json!({ "message": message, "location": place, "help": help })
    }

    /// Returns whether it is about a place's line.
    pub(super) fn is_at(&self, other: &Location) -> bool {
        self.place().is_some_and(|place| place.file == other.file && place.line == other.line)
    }

    fn place(&self) -> Option<&Location> {
        match self {
            Self::Usage(_) | Self::Output(_) | Self::Defect(_) => None,
            Self::Options(_, place, _) => place.as_ref(),
            Self::Script(error) => error.location.as_ref(),
        }
    }

    /// Returns an options error with the line of the script that sets the option.
    pub(super) fn in_script(error: &PlanError, program: &Program) -> Self {
        let place = place_of(&error.path, &program.name(), program.text());
        Self::Options(error.to_string(), place, None)
    }

    /// Returns an options error with the line of `kingtide.toml` that sets the option.
    pub(super) fn in_file(error: &PlanError, name: &str, text: &str) -> Self {
        Self::Options(format!("{name}: {error}"), place_of(&error.path, name, text), None)
    }
}

impl From<SourceError> for CliError {
    fn from(error: SourceError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Returns a place as editors read it: lines and characters from 1, the end behind the last one.
pub(super) fn location(at: &Location) -> serde_json::Value {
    serde_json::json!({
        "file": at.file,
        "line": at.line,
        "column": at.column,
        "width": at.width,
        "end_line": at.line,
        "end_column": at.column + at.width,
    })
}

/// Finds the line that defines a function, by any of the ways of both languages.
pub(super) fn definition_of(function: &str, program: &Program) -> Option<Location> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    program.text().lines().enumerate().find_map(|(number, line)| {
        let rest = line.trim_start();
        let rest = rest.strip_prefix("local ").or(rest.strip_prefix("private ")).unwrap_or(rest);
        let rest = rest.strip_prefix("function ").or(rest.strip_prefix("fn "))?;
        let head = rest.split('(').next()?;
        let name = head.rsplit(['.', ':']).next()?.trim();
        if name != function || !name.chars().all(is_word) {
            return None;
        }
        let before = line.len() - rest.len() + head.rfind(name)?;
        Some(Location {
            file: program.name(),
            line: number as u32 + 1,
            column: line[..before].chars().count() as u32 + 1,
            width: name.chars().count() as u32,
            source: line.to_owned(),
        })
    })
}

/// Finds the line that sets an option: the last part of its path as a word, below the lines of the
/// parts before it. Options are values by the time they are judged, so their text is looked up.
fn place_of(path: &str, file: &str, text: &str) -> Option<Location> {
    let mut found = None;
    let mut from = 0;
    for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Some((line, column)) = word_after(text, part, from) else { continue };
        from = line;
        found = Some((line, column, part.chars().count()));
    }
    let (line, column, width) = found?;
    Some(Location {
        file: file.to_owned(),
        line: line as u32 + 1,
        column: column as u32 + 1,
        width: width as u32,
        source: text.lines().nth(line)?.to_owned(),
    })
}

/// Returns line and column, from 0, of a word that is set (followed by `=`, `:` or `]`).
fn word_after(text: &str, word: &str, from: usize) -> Option<(usize, usize)> {
    for (number, line) in text.lines().enumerate().skip(from) {
        for (at, _) in line.match_indices(word) {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].trim_start_matches(['"', '\'']).trim_start();
            let whole = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
            if whole && after.starts_with(['=', ':', ']']) && !after.starts_with("==") {
                return Some((number, line[..at].chars().count()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_on_the_line_that_sets_it() {
        let text = "local vus = 1\ntest.options = {\n  scenarios = {\n    buy = { max_vus = 3 },\n";
        let place = place_of("scenarios.buy.max_vus", "a.luau", text).unwrap();
        assert_eq!((place.line, place.column, place.width), (4, 13, 7));
        assert_eq!(place.source, "    buy = { max_vus = 3 },");
    }

    #[test]
    fn a_function_is_found_where_it_is_defined() {
        let folder = std::path::Path::new(".");
        let place = |name, text, function| {
            let program = Program::from_text(name, text, folder).unwrap();
            definition_of(function, &program).map(|at| (at.line, at.column, at.width))
        };
        assert_eq!(place("a.luau", "\nlocal function go(a)\nend", "go"), Some((2, 16, 2)));
        assert_eq!(place("a.luau", "function test.go()", "go"), Some((1, 15, 2)));
        assert_eq!(place("a.rhai", "fn gone() {}\nfn go(a) {}", "go"), Some((2, 4, 2)));
        assert_eq!(place("a.rhai", "go();", "go"), None);
    }

    #[test]
    fn an_option_that_stands_nowhere_has_no_place() {
        assert!(place_of("seed", "a.luau", "return {}").is_none());
    }
}
