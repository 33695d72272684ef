//! Keeps the modules in their layers, the engines and libraries in their folders, and the habits
//! that no compiler checks.
//!
//! It reads the sources as text: comments, strings' insides and unit tests do not count, re-exports
//! would hide an arrow (there are none between layers).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Each module and those that it may use. Nothing else of the crate may stand in its sources.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "run", "output", "worker", "executor", "vu", "script", "api", "protocol", "plan",
            "metrics", "demo", "units", "clock",
        ],
    ),
    (
        "run",
        &[
            "output", "worker", "executor", "vu", "script", "api", "protocol", "plan", "metrics",
            "units", "clock",
        ],
    ),
    ("output", &["metrics", "plan", "units", "clock"]),
    (
        "worker",
        &["executor", "vu", "script", "api", "protocol", "plan", "metrics", "units", "clock"],
    ),
    ("executor", &["vu", "script", "api", "protocol", "plan", "metrics", "units", "clock"]),
    ("vu", &["script", "api", "protocol", "plan", "metrics", "units", "clock"]),
    ("script", &["api", "protocol", "plan", "metrics", "units", "clock"]),
    ("api", &["protocol", "plan", "metrics", "units", "clock"]),
    ("protocol", &["plan", "units", "clock"]),
    ("metrics", &["plan", "units", "clock"]),
    ("plan", &["units", "clock"]),
    ("demo", &["units", "clock"]),
    ("units", &[]),
    ("clock", &[]),
];

/// Libraries, and the folders outside which they must not be named.
const KEPT_IN: &[(&str, &str)] = &[
    ("mlua", "src/script/"),
    ("rhai", "src/script/"),
    ("corosensei", "src/script/"),
    ("clap", "src/cli/"),
    ("clap_complete", "src/cli/"),
    ("httparse", "src/protocol/"),
    ("h2", "src/protocol/"),
    ("hyper", "src/protocol/"),
    ("axum", "src/demo/"),
    ("rusqlite", "src/demo/"),
    ("hdrhistogram", "src/metrics/"),
    ("html5ever", "src/api/html/"),
    ("notify", "src/run/"),
    ("ratatui", "src/cli/"),
];

/// The files that may hold `unsafe` code; each says why at its head.
const UNSAFE_FILES: &[&str] = &[
    "src/script/luau/memory.rs",
    "src/script/luau/raw/call.rs",
    "src/script/luau/raw/check.rs",
    "src/script/luau/raw/mod.rs",
    "src/script/luau/raw/object.rs",
    "src/script/luau/raw/stack.rs",
    "src/script/rhai/fiber.rs",
    "src/script/rhai/memory.rs",
];

/// What only `cli` does: print, read the environment, end the process.
const CLI_ONLY: &[&str] = &[
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "std::env::",
    "process::exit",
    "process::abort",
];

/// The most lines of a file that is not for tests alone.
const LINES_MAX: usize = 500;

/// A source file: its path from the package's root with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).expect("the folder can be read");
        for path in entries.map(|entry| entry.expect("the entry can be read").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("the file is text");
                found.push(Source { path: relative(root, &path), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "there are sources in {folder}");
    found
}

fn relative(root: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root).expect("it lies in the root").to_owned();
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Returns whether the file is compiled for tests only.
fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "tests.rs" | "testing.rs" | "fixture.rs" | "simulation.rs")
        || ["/tests/", "/fixture/", "/simulation/"].iter().any(|folder| path.contains(folder))
}

/// Returns the module of a file: the first name below `src`.
fn module(path: &str) -> &str {
    let rest = path.strip_prefix("src/").unwrap_or(path);
    rest.split(['/', '.']).next().unwrap_or(rest)
}

/// Returns what is compiled into the program: without comments, strings' insides and the items
/// under `#[cfg(test)]`.
fn shipped(text: &str) -> String {
    without_tests(&without_comments(text))
}

/// Blanks comments and what stands in strings, so that braces and words in them do not count.
fn without_comments(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let taken = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => {
                rest.windows(2).position(|w| w == ['*', '/']).map_or(rest.len(), |n| n + 2)
            }
            ['r', '"' | '#', ..] if !ends_word(&kept) => raw_string(rest),
            ['"', ..] => plain_string(rest),
            ['\'', '\\', ..] => {
                rest[2..].iter().skip(1).position(|c| *c == '\'').map_or(1, |n| n + 4)
            }
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if taken == 0 {
            kept.push(chars[at]);
            at += 1;
        } else {
            kept.extend(rest[..taken].iter().filter(|c| **c == '\n'));
            at += taken;
        }
    }
    kept
}

fn ends_word(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn plain_string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Returns the length of `r"…"` or `r#"…"#`; 0 for a raw identifier.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let from = 2 + hashes;
    let found = rest[from..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |n| from + n + end.len())
}

/// Drops each item under `#[cfg(test)]`: up to its `;`, or to the end of its braces.
fn without_tests(text: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        let mut depth = 0;
        let end = rest.char_indices().find(|(_, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && matches!(c, ';' | '}')
        });
        rest = end.map_or("", |(at, _)| &rest[at + 1..]);
    }
    kept.push_str(rest);
    kept
}

/// Returns whether a path `name::` begins somewhere, as a word, and not as a part of a longer path
/// (`super::rhai::` is a module of ours).
fn names_crate(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].trim_end_matches("::");
        let own_path = before.len() + 2 <= at && before.ends_with(is_word);
        let after = &text[at + name.len()..];
        !text[..at].ends_with(is_word) && !own_path && after.starts_with("::")
            || text[..at].ends_with("use ") && after.starts_with([';', ' '])
    })
}

/// Returns the crate's modules that a text uses: `crate::name` and `crate::{name, …}`.
fn used_modules(text: &str) -> Vec<&'static str> {
    let mut used = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = text[at + "crate::".len()..].trim_start();
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => first_names(group),
            None => vec![word(rest)],
        };
        for name in names {
            if let Some((module, _)) = MAY_USE.iter().find(|(module, _)| *module == name)
                && !used.contains(module)
            {
                used.push(module);
            }
        }
    }
    used
}

/// Returns the first names of the paths in a `use` group, which may hold groups.
fn first_names(group: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                names.push(word(group[start..].trim_start()));
                start = at + 1;
            }
            '}' if depth == 0 => {
                names.push(word(group[start..].trim_start()));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

/// Returns what is wrong with a file, one line each.
fn violations(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path}: the file does not open with //! and what it is for"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !is_test_file(path) {
        found.push(format!("{path}: {lines} lines, more than {LINES_MAX}: split it by noun"));
    }
    let text = shipped(text);
    for (library, folder) in KEPT_IN {
        if !path.starts_with(folder) && names_crate(&text, library) {
            found.push(format!("{path}: `{library}` stands outside {folder}"));
        }
    }
    let is_unsafe = |keyword: &str| text.contains(keyword);
    if ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].into_iter().any(is_unsafe)
        && !UNSAFE_FILES.contains(&path.as_str())
    {
        found.push(format!("{path}: `unsafe` code; only {} have it", UNSAFE_FILES.join(", ")));
    }
    if is_test_file(path) {
        return found;
    }
    let own = module(path);
    if own != "cli" {
        for word in CLI_ONLY {
            if text.match_indices(word).any(|(at, _)| !ends_word(&text[..at])) {
                found.push(format!("{path}: `{}` is for cli alone", word.trim_end_matches("::")));
            }
        }
    }
    // The crate's root lists the modules; the program's entry calls the command line.
    if matches!(own, "lib" | "main") {
        return found;
    }
    let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == own) else {
        found.push(format!("{path}: the module {own} has no place among the layers"));
        return found;
    };
    for used in used_modules(&text) {
        if used != own && !allowed.contains(&used) {
            found.push(format!("{path}: {own} uses {used}"));
        }
    }
    found
}

fn report(found: &[String]) -> String {
    found.iter().fold(String::new(), |mut text, line| {
        let _infallible = writeln!(text, "  {line}");
        text
    })
}

#[test]
fn every_source_keeps_to_its_layer_and_its_place() {
    let found: Vec<String> = sources("src").iter().flat_map(violations).collect();
    assert!(found.is_empty(), "the layers do not hold:\n{}", report(&found));
}

#[test]
fn every_test_file_says_what_it_is_for() {
    let silent: Vec<String> = sources("tests")
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "these do not open with //!:\n{}", report(&silent));
}

#[test]
fn exceptions_are_still_needed() {
    let sources = sources("src");
    let find = |path: &str| sources.iter().find(|source| source.path == path);
    for path in UNSAFE_FILES {
        let text = &find(path).unwrap_or_else(|| panic!("{path} is gone")).text;
        assert!(text.contains("unsafe_code, reason"), "{path} does not say why it is unsafe");
    }
}

#[test]
fn dependencies_stand_in_order() {
    let text = include_str!("../Cargo.toml");
    for group in ["dependencies", "dev-dependencies"] {
        let (_, rest) = text.split_once(&format!("\n[{group}]\n")).expect("the group is there");
        let lines = rest.lines().take_while(|line| !line.is_empty());
        let names: Vec<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
        assert!(names.len() > 5, "{group}: {names:?}");
        let wrong = names.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(wrong, None, "Cargo.toml, {group}: the second belongs before the first");
    }
}

#[test]
fn the_layers_have_no_circle() {
    let allowed = |module: &str| MAY_USE.iter().find(|(own, _)| *own == module).unwrap().1;
    for (module, uses) in MAY_USE {
        for used in *uses {
            assert!(!allowed(used).contains(module), "{module} and {used} may use each other");
        }
    }
}

#[test]
fn deliberate_violations_are_reported() {
    let cases = [
        ("src/metrics/x.rs", "use crate::worker::Worker;", "src/metrics/x.rs: metrics uses worker"),
        (
            "src/plan/x.rs",
            "use crate::{\n    units::{self, format},\n    metrics::Shard,\n};",
            "src/plan/x.rs: plan uses metrics",
        ),
        ("src/units.rs", "fn f() { crate::clock::now(); }", "src/units.rs: units uses clock"),
        ("src/run/x.rs", "use crate::demo::Demo;", "src/run/x.rs: run uses demo"),
        ("src/api/x.rs", "use mlua::Lua;", "src/api/x.rs: `mlua` stands outside src/script/"),
        ("src/api/y.rs", "fn f(_: &rhai::Engine) {}", "`rhai` stands outside src/script/"),
        ("src/api/x.rs", "fn f() { unsafe { g() } }", "src/api/x.rs: `unsafe` code"),
        ("src/run/x.rs", "fn f() { println!(); }", "src/run/x.rs: `println!` is for cli alone"),
        ("src/vu/x.rs", "fn f() { std::env::var(\"A\"); }", "`std::env` is for cli alone"),
        ("src/new/x.rs", "", "the module new has no place among the layers"),
    ];
    for (path, text, expected) in cases {
        let source = Source { path: path.to_owned(), text: format!("//! X.\n{text}\n") };
        let found = violations(&source);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].contains(expected), "{found:?} lacks {expected}");
    }
    let silent = Source { path: "src/api/x.rs".to_owned(), text: "use std::fmt;\n".to_owned() };
    assert!(violations(&silent)[0].contains("does not open with //!"));
    let long = Source { path: "src/api/x.rs".to_owned(), text: "//! X.\n".repeat(501) };
    assert!(violations(&long)[0].contains("501 lines"));
}

#[test]
fn comments_strings_and_unit_tests_do_not_count() {
    let text = concat!(
        "//! X, see crate::worker.\n",
        "/* crate::worker */ const A: &str = \"crate::worker \\\" { mlua::x\";\n",
        "const B: &str = r#\"mlua::Lua \" crate::worker\"#; const C: char = '\"';\n",
        "#[cfg(test)]\nuse crate::worker::X;\n",
        "#[cfg(test)]\nmod tests {\n    use crate::worker::X;\n    fn f() { unsafe { println!() } }\n}\n",
        "fn f(_: super::rhai::Host, _: script::rhai::Host) {}\n",
    );
    let source = Source { path: "src/metrics/x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(violations(&source), [""; 0]);
    let after = Source { text: format!("{text}use crate::worker::X;\n"), ..source };
    assert_eq!(violations(&after), ["src/metrics/x.rs: metrics uses worker"]);
}
