//! Holds the tables of `docs/http.md` against the sources: all that there is stands in them, and each
//! test that they name exists, in both languages if it is a script.

use std::collections::BTreeSet;

use super::tables::{assert_same, assert_tests_exist, entries, listed, names, rows, text};

const HTTP: &str = "docs/http.md";

#[test]
fn the_tables_of_http_have_all_that_there_is() {
    let document = text(HTTP);
    let options = text("docs/options.md");
    let described = names(&rows(&options, "### HTTP"));
    assert_same(HTTP, "options", &names(&rows(&document, "## Options")), &described);
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
    assert_same(HTTP, "params", &names(&rows(&document, "## Params")), &params);
    let functions = entries(&text("src/api/http/mod.rs"), "functions: &[");
    assert_same(HTTP, "functions", &names(&rows(&document, "## Functions")), &functions);
    let response = text("src/api/http/response.rs");
    let mut fields = listed(&response, "const FIELDS: &[&str]");
    fields.extend(entries(&response, "const METHODS: &[Method]"));
    assert_same(
        HTTP,
        "fields",
        &names(&rows(&document, "## Fields and methods of a response")),
        &fields,
    );
}

#[test]
fn the_table_of_error_codes_has_each_of_them() {
    let shown: BTreeSet<String> = rows(&text(HTTP), "## Error codes")
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
    assert_same(HTTP, "error codes", &shown, &known);
}

#[test]
fn the_tests_that_stand_for_http_exist() {
    let count = assert_tests_exist(HTTP, "http");
    assert!(count > 100, "{count}");
}
