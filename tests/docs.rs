//! Checks the scripts that the documentation shows: each block that names a file is one that
//! `kingtide check` accepts.

#[path = "docs/http.rs"]
mod http;
#[path = "docs/sockets.rs"]
mod sockets;
#[path = "docs/tables.rs"]
mod tables;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A script in a document.
struct Block {
    /// The document and the line where the block begins.
    place: String,
    /// The file's name, from the block's first line.
    file: String,
    /// The whole block.
    text: String,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).expect("docs can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the blocks of a document that begin with `-- file: NAME` or `// file: NAME`.
fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let comment = match line.trim() {
            "```luau" => "-- file: ",
            "```rhai" => "// file: ",
            _ => continue,
        };
        let body: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
        let first = body.first().copied().unwrap_or_default();
        if let Some(file) = first.strip_prefix(comment) {
            found.push(Block {
                place: format!("{name}:{}", number + 1),
                file: file.trim().to_owned(),
                text: format!("{}\n", body.join("\n")),
            });
        }
    }
    found
}

fn all_blocks() -> Vec<Block> {
    documents()
        .into_iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(&path).expect("the document is text");
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            blocks(&name, &text)
        })
        .collect()
}

/// Returns what `kingtide check` says against a script; nothing if it accepts it.
fn refusal(file: &str, text: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let script = folder.path().join(file);
    std::fs::write(&script, text).expect("the script can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_kingtide"))
        .arg("check")
        .arg(&script)
        .output()
        .expect("kingtide can be started");
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(says)
}

/// Returns the names of the functions in the sources below a folder.
fn functions(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("the file is text");
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("fn "));
            found.extend(lines.filter_map(|line| line.split(['(', '<']).next()).map(str::to_owned));
        }
    }
}

#[test]
fn the_tests_that_stand_for_http2_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/http2.md")).expect("the document is text");
    let mut known = Vec::new();
    functions(&root.join("tests"), &mut known);
    // Whole names, or their beginnings.
    let named = text.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 3);
    let named: Vec<&str> = named.filter(|word| !word.contains(' ')).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let found = match name.strip_suffix('…') {
            Some(beginning) => known.iter().any(|one| one.starts_with(beginning)),
            None => known.iter().any(|one| one == name),
        };
        assert!(found, "docs/http2.md names `{name}`, which is no test");
    }
}

#[test]
fn scripts_in_the_documentation_are_accepted() {
    let blocks = all_blocks();
    for language in ["luau", "rhai"] {
        let count = blocks.iter().filter(|block| block.file.ends_with(language)).count();
        assert!(count >= 2, "the documentation shows {count} files of {language}");
    }
    let wrong: Vec<String> = blocks
        .iter()
        .filter_map(|block| {
            let says = refusal(&block.file, &block.text)?;
            Some(format!("{}, {}:\n{says}", block.place, block.file))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_block_without_a_name_is_passed_over_and_a_wrong_one_is_refused() {
    let text = "# A\n\n```luau\nlocal x =\n```\n\n```rhai\n// file: a.rhai\nfn (\n```\n";
    let found = blocks("a.md", text);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].place.as_str(), found[0].file.as_str()), ("a.md:7", "a.rhai"));
    assert!(refusal(&found[0].file, &found[0].text).is_some());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("the document is text");
        let folder = path.parent().expect("it lies in a folder");
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") {
                continue;
            }
            if !folder.join(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links to nothing: {broken:#?}");
}

/// Returns the text of all tests below a folder.
fn sources_below(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            sources_below(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("the source is text"));
        }
    }
}

/// Returns what stands in backticks and looks like a test's name or a part of one.
fn tests_named(document: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (index, quoted) in document.split('`').enumerate() {
        let is_name = |part: &str| {
            part.matches('_').count() >= 3
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if index % 2 == 1 {
            // `the_first_words_…` and `*_the_last_words` stand for all that begin or end so.
            names.extend(quoted.split(['*', '…']).filter(|part| is_name(part)).map(str::to_owned));
        }
    }
    names
}

#[test]
fn tests_that_stand_for_claims_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/truth.md")).expect("it is text");
    let mut text = String::new();
    sources_below(&root.join("tests"), &mut text);
    let options = std::fs::read_to_string(root.join("docs/options.md")).expect("it is text");
    let mut names = tests_named(&document);
    names.retain(|name| !options.contains(&format!("`{name}`")));
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let known = text.lines().any(|line| {
            line.trim_start().strip_prefix("fn ").is_some_and(|line| line.contains(&name))
        });
        assert!(known, "docs/truth.md: there is no test `{name}`");
    }
}

#[test]
fn cases_that_call_the_standard_library_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/stdlib.md")).expect("it is text");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let cases: Vec<&str> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(cases.len() > 50, "{cases:?}");
    for case in cases {
        for language in ["luau", "rhai"] {
            let file = format!("tests/api/{case}.{language}");
            assert!(root.join(&file).exists(), "docs/stdlib.md names {file}, which is not there");
        }
    }
}

#[test]
fn tests_that_stand_for_what_crypto_answers_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/crypto.md")).expect("it is text");
    let mut text = String::new();
    sources_below(&root.join("src/api"), &mut text);
    let names = tests_named(&document);
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(text.contains(&format!("fn {name}(")), "docs/crypto.md: there is no test `{name}`");
    }
}
