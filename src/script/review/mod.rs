//! What can be known of a script without running it: misspelt modules, functions, fields and named
//! arguments, also where the load does not come by; names that nothing has; pauses.
//!
//! What is not certain is not said: a value is looked into only where its type follows from the call
//! that made it, in a variable that nothing else is assigned to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use self::catalogue::Loaded;
use self::walk::Walk;
use super::place::Spot;
use super::syntax::{self, tree::Node};
use super::{Language, Location, Program};

mod catalogue;
mod fit;
mod member;
mod names;
mod pauses;
#[cfg(test)]
mod tests;
mod walk;

/// Files that are looked into at most.
const FILES_MAX: usize = 200;

/// Something that a script does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is an error wherever the script comes by; else it may be meant so.
    pub certain: bool,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub location: Location,
    /// What to do about it, if that is known.
    pub help: Option<String>,
}

/// What is known of a script.
#[derive(Debug, Default)]
pub struct Review {
    /// What it does wrong, by file and place.
    pub findings: Vec<Finding>,
    /// How long its functions wait at least, in seconds, by name.
    pub pauses: BTreeMap<String, f64>,
}

/// A file of a script.
struct File {
    name: String,
    path: PathBuf,
    text: String,
    nodes: Vec<Node>,
}

/// Looks into a script and the files that it loads.
pub fn review(program: &Program) -> Review {
    let language = program.language();
    let files = files(program);
    let mut assigned = BTreeSet::new();
    for file in &files {
        names::assigned(&file.nodes, &mut assigned);
    }
    let mut review = Review::default();
    for file in &files {
        let mut walk = Walk::new(language, &assigned, program, &file.path);
        walk.file(&file.nodes);
        let mut found: Vec<Finding> =
            walk.found.into_iter().map(|found| found.placed(&file.name, &file.text)).collect();
        found.sort_by_key(|found| (found.location.line, found.location.column));
        found.dedup();
        review.findings.extend(found);
    }
    if let Some(entry) = files.first() {
        review.pauses = pauses::of(&entry.nodes, language);
    }
    review
}

/// Returns the script's files, the entry first; those that are not understood are left out.
fn files(program: &Program) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    let entry = (program.name(), program.path().to_path_buf(), program.text().to_owned());
    let mut left = VecDeque::from([entry]);
    while let Some((name, path, text)) = left.pop_front() {
        if files.len() == FILES_MAX || files.iter().any(|file| file.path == path) {
            continue;
        }
        let Some(nodes) = syntax::parse(program.language(), &text) else { continue };
        let mut requests = Vec::new();
        names::modules(&nodes, &mut requests);
        for request in requests {
            if let Loaded::File = catalogue::load(program.language(), &request)
                && let Ok(module) = program.module(&path, &request)
            {
                left.push_back((module.name, module.path, module.text));
            }
        }
        files.push(File { name, path, text, nodes });
    }
    files
}

/// A finding before its line is looked up.
struct Found {
    certain: bool,
    message: String,
    at: Spot,
    help: Option<String>,
}

impl Found {
    fn placed(self, file: &str, text: &str) -> Finding {
        let Spot { line, column, width } = self.at;
        let source = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        let file = file.to_owned();
        let location = Location { file, line, column, width, source: source.to_owned() };
        Finding { certain: self.certain, message: self.message, location, help: self.help }
    }
}

/// Returns the language's sign between a module and what lies in it.
fn sign(language: Language) -> &'static str {
    match language {
        Language::Luau => ".",
        Language::Rhai => "::",
    }
}
