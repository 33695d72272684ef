//! Reads the tables of documents, and the lists in sources that they are held against.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// A row's cells.
pub(crate) type Row = Vec<String>;

/// Returns the folder of the project.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a file of the project.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("it is text")
}

/// Returns the text under a heading, to the next heading of its level.
pub(crate) fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let start = document.find(&format!("\n{heading}\n")).expect("the heading is there");
    let section = &document[start + heading.len() + 2..];
    let level = heading.split(' ').next().expect("a level").len();
    let mut end = 0;
    for line in section.split_inclusive('\n') {
        let hashes = line.chars().take_while(|c| *c == '#').count();
        if hashes > 0 && hashes <= level {
            break;
        }
        end += line.len();
    }
    &section[..end]
}

/// Returns the tables under a heading, without heads.
pub(crate) fn tables(document: &str, heading: &str) -> Vec<Vec<Row>> {
    let mut tables: Vec<Vec<Row>> = Vec::new();
    let mut above = "";
    for line in section(document, heading).lines() {
        if line.starts_with('|') {
            if !above.starts_with('|') {
                tables.push(Vec::new());
            }
            let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
            tables.last_mut().expect("it was begun").push(cells.collect());
        }
        above = line;
    }
    // The head, and the line below it.
    tables.into_iter().map(|table| table.into_iter().skip(2).collect()).collect()
}

/// Returns the rows of all tables under a heading, without heads.
pub(crate) fn rows(document: &str, heading: &str) -> Vec<Row> {
    tables(document, heading).concat()
}

/// Returns what stands in backticks.
pub(crate) fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns what stands in the first column, in backticks.
pub(crate) fn names(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().flat_map(|row| quoted(&row[0])).collect()
}

/// The same without what functions take: `get` for `get(path?)`.
pub(crate) fn calls(rows: &[Row]) -> BTreeSet<String> {
    let bare = |name: &String| name.split('(').next().expect("a part").to_owned();
    names(rows).iter().map(bare).collect()
}

/// Returns the texts between quotation marks in a constant's value, which a mark leads to.
pub(crate) fn listed(source: &str, mark: &str) -> BTreeSet<String> {
    let start = source.find(mark).unwrap_or_else(|| panic!("there is no `{mark}`"));
    let (_, value) = source[start..].split_once(" =").expect("it has a value");
    let list = value.split(";\n").next().expect("a part");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the names of the entries of a table of functions or methods.
pub(crate) fn entries(source: &str, mark: &str) -> BTreeSet<String> {
    let start = source.find(mark).unwrap_or_else(|| panic!("there is no `{mark}`"));
    let list = source[start..].split("\n];").next().expect("a part");
    let list = list.split("\n    ],").next().expect("a part");
    let names = list.split("name: \"").skip(1);
    names.map(|rest| rest.split('"').next().expect("a name").to_owned()).collect()
}

/// Returns the metrics of the registry that begin so.
pub(crate) fn metrics(beginning: &str) -> BTreeSet<String> {
    let source = text("src/metrics/registry.rs");
    let texts = source.split('"').skip(1).step_by(2);
    texts.filter(|name| name.starts_with(beginning)).map(str::to_owned).collect()
}

/// Asserts that a document shows what there is, no more and no less.
#[track_caller]
pub(crate) fn assert_same(
    document: &str,
    what: &str,
    shown: &BTreeSet<String>,
    known: &BTreeSet<String>,
) {
    let missing: Vec<_> = known.difference(shown).collect();
    let unknown: Vec<_> = shown.difference(known).collect();
    assert!(missing.is_empty(), "{document}, {what}: {missing:?} are missing");
    assert!(unknown.is_empty(), "{document}, {what}: there are no {unknown:?}");
}

/// Asserts that the tests exist that a document's tables name in their last column, and those that
/// it names elsewhere by their long names; returns how many it names.
///
/// A name is a file, a case of `tests/api` (under `folder` unless it names one), or a test's, whole
/// or its first words with `…`.
#[track_caller]
pub(crate) fn assert_tests_exist(document: &str, folder: &str) -> usize {
    let mut known = Vec::new();
    super::functions(&root().join("tests"), &mut known);
    super::functions(&root().join("src"), &mut known);
    let text = text(document);
    let last = |line: &str| {
        line.trim_matches('|').split(" | ").last().map(str::to_owned).unwrap_or_default()
    };
    let mut count = 0;
    let mut above = "";
    for line in text.lines() {
        let in_column = line.starts_with('|') && above.starts_with('|');
        let cell = if in_column { last(line) } else { line.to_owned() };
        above = line;
        for name in quoted(&cell) {
            let is_word =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_/.…".contains(c);
            let is_long = name.ends_with('…') || name.matches('_').count() > 2;
            if !name.chars().all(is_word) || !(is_long || in_column) {
                continue;
            }
            count += 1;
            if name.contains('.') || name.starts_with("src/") {
                assert!(root().join(&name).exists(), "{document} names `{name}`, which is no file");
            } else if let Some(beginning) = name.strip_suffix('…') {
                let found = known.iter().any(|one| one.starts_with(beginning));
                assert!(found, "{document} names `{name}`, but no test begins so");
            } else if is_long {
                assert!(known.contains(&name), "{document} names `{name}`, which is no test");
            } else {
                let case = if name.contains('/') { name } else { format!("{folder}/{name}") };
                for language in ["luau", "rhai"] {
                    let script = root().join(format!("tests/api/{case}.{language}"));
                    assert!(script.exists(), "{document} names `{case}`: no {}", script.display());
                }
            }
        }
    }
    count
}
