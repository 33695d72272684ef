//! Holds the tables of `docs/http.md` against the sources: all that there is stands in them, and each
//! test that they name exists, in both languages if it is a script.

use std::collections::BTreeSet;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("it is text")
}

/// Returns the rows of the tables under a heading, without heads: their cells.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let start = document.find(&format!("\n{heading}\n")).expect("the heading is there");
    let section = &document[start + heading.len() + 2..];
    let level = heading.split(' ').next().expect("a level").len();
    let lines = section.lines().take_while(|line| {
        let hashes = line.chars().take_while(|c| *c == '#').count();
        hashes == 0 || hashes > level
    });
    let rows = lines.filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// Returns what stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn names(rows: &[Vec<String>]) -> BTreeSet<String> {
    rows.iter().flat_map(|row| quoted(&row[0])).collect()
}

/// Returns the texts between quotation marks in a source, from a mark to the next `];`.
fn listed(source: &str, mark: &str) -> BTreeSet<String> {
    let start = source.find(mark).unwrap_or_else(|| panic!("there is no `{mark}`"));
    let list = source[start..].split("];").next().expect("a part");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the names of the entries of a table of functions or methods.
fn entries(source: &str, mark: &str) -> BTreeSet<String> {
    let start = source.find(mark).unwrap_or_else(|| panic!("there is no `{mark}`"));
    let list = source[start..].split("\n];").next().expect("a part");
    let list = list.split("\n    ],").next().expect("a part");
    let names = list.split("name: \"").skip(1);
    names.map(|rest| rest.split('"').next().expect("a name").to_owned()).collect()
}

#[track_caller]
fn assert_same(what: &str, shown: &BTreeSet<String>, known: &BTreeSet<String>) {
    let missing: Vec<_> = known.difference(shown).collect();
    let unknown: Vec<_> = shown.difference(known).collect();
    assert!(missing.is_empty(), "docs/http.md, {what}: {missing:?} are missing");
    assert!(unknown.is_empty(), "docs/http.md, {what}: there are no {unknown:?}");
}

#[test]
fn the_tables_of_http_have_all_that_there_is() {
    let document = text("docs/http.md");
    let options = text("docs/options.md");
    let described = names(&rows(&options, "### HTTP"));
    assert_same("options", &names(&rows(&document, "## Options")), &described);
    // What is described exists, and nothing that the plan's part of HTTP reads is left out.
    let source = text("src/plan/options.rs");
    for name in &described {
        assert!(source.contains(&format!("pub {name}: ")), "there is no option `{name}`");
    }
    let read = ["http", "network", "proxy", "tls"]
        .map(|name| text(&format!("src/plan/resolve/{name}.rs")));
    for rest in read.iter().flat_map(|source| source.split("options.").skip(1)) {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_field = source.contains(&format!("pub {name}: "));
        assert!(!is_field || described.contains(&name), "docs/options.md: `{name}` is no row");
    }
    let params = listed(&text("src/api/http/params.rs"), "const NAMES: &[&str]");
    assert_same("params", &names(&rows(&document, "## Params")), &params);
    let functions = entries(&text("src/api/http/mod.rs"), "functions: &[");
    assert_same("functions", &names(&rows(&document, "## Functions")), &functions);
    let response = text("src/api/http/response.rs");
    let mut fields = listed(&response, "const FIELDS: &[&str]");
    fields.extend(entries(&response, "const METHODS: &[Method]"));
    assert_same("fields", &names(&rows(&document, "## Fields and methods of a response")), &fields);
}

#[test]
fn the_table_of_error_codes_has_each_of_them() {
    let shown: BTreeSet<String> = rows(&text("docs/http.md"), "## Error codes")
        .iter()
        .filter_map(|row| row[0].split('–').next().map(str::to_owned))
        // Those of statuses are no kinds of errors.
        .filter(|code| code != "1400")
        .collect();
    let source = text("src/protocol/error.rs");
    let arms = source.split("=> 1").skip(1);
    let known: BTreeSet<String> = arms
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        .filter(|digits| digits.len() == 3)
        .map(|digits| format!("1{digits}"))
        .collect();
    assert!(known.len() > 20, "{known:?}");
    assert_same("error codes", &shown, &known);
}

#[test]
fn the_tests_that_stand_for_http_exist() {
    let document = text("docs/http.md");
    let mut known = Vec::new();
    super::functions(&root().join("tests"), &mut known);
    super::functions(&root().join("src"), &mut known);
    let lines = document.lines().filter(|line| line.starts_with("| "));
    let cells = lines.filter_map(|line| line.trim_matches('|').split(" | ").last());
    let mut count = 0;
    for name in cells.flat_map(quoted) {
        if name.contains('.') {
            assert!(root().join(&name).exists(), "docs/http.md names `{name}`, which is no file");
        } else if name.contains('/') {
            for language in ["luau", "rhai"] {
                let script = root().join(format!("tests/api/{name}.{language}"));
                assert!(script.exists(), "docs/http.md names `{name}`: no {}", script.display());
            }
            count += 1;
        } else if name.matches('_').count() > 2 {
            assert!(known.contains(&name), "docs/http.md names `{name}`, which is no test");
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
