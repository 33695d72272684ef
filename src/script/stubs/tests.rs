//! Stubs, tables and documentation say the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{STUBS, files, parsed, path};
use crate::api::{METHOD_TABLES, MODULES, RECORDS};
use crate::script::syntax::tree::{Function, Node, Shape};

/// Functions with callbacks that are written in Luau alone, by module.
const LUAU_ONLY: &[(&str, &[&str])] = &[("json", &["array", "is_array"])];

/// Functions as the tables name them: `get(url, params?)`.
type Functions = BTreeSet<String>;

fn function(name: &str, params: impl IntoIterator<Item = String>) -> String {
    let params: Vec<String> = params.into_iter().collect();
    format!("{name}({})", params.join(", "))
}

/// Returns a parameter as the tables name it. `any` takes nothing too, so it says neither.
fn param(name: &str, shape: &Shape) -> String {
    let name = name.trim_end_matches('_');
    if matches!(shape, Shape::Optional(_)) { format!("{name}?") } else { name.to_owned() }
}

fn declared(function_: &Function, name: &str) -> String {
    let params = function_.params.iter();
    function(name, params.map(|p| param(&p.name, p.shape.as_ref().unwrap_or(&Shape::Any))))
}

fn all_nodes() -> Vec<(&'static str, Vec<Node>)> {
    parsed()
}

/// Returns the record types of all stubs, by name: fields and methods.
fn records() -> BTreeMap<String, (BTreeSet<String>, Functions)> {
    let mut found = BTreeMap::new();
    for (_, nodes) in all_nodes() {
        for node in nodes {
            let Node::Alias { name, shape: Shape::Record { fields, .. }, .. } = node else {
                continue;
            };
            let (mut names, mut methods) = (BTreeSet::new(), Functions::new());
            for field in fields {
                match &field.shape {
                    Shape::Function { params, .. } => {
                        let params = params.iter().skip(1).map(|(name, shape)| param(name, shape));
                        methods.insert(function(&field.name, params));
                    }
                    _ => drop(names.insert(field.name.clone())),
                }
            }
            found.insert(name, (names, methods));
        }
    }
    found
}

fn difference(what: &str, stub: &BTreeSet<String>, table: &BTreeSet<String>) -> Vec<String> {
    let missing = table.difference(stub).map(|name| format!("{what}: the stub lacks {name}"));
    let extra = stub.difference(table).map(|name| format!("{what}: only the stub has {name}"));
    missing.chain(extra).collect()
}

#[test]
fn every_module_has_a_stub_that_names_its_functions_and_constants() {
    let stubs: BTreeMap<_, _> = all_nodes().into_iter().collect();
    let mut wrong = Vec::new();
    for module in MODULES {
        let Some(nodes) = stubs.get(module.name) else {
            wrong.push(format!("there is no stdlib/types/{}.luau, or STUBS lacks it", module.name));
            continue;
        };
        let mut stub = BTreeSet::new();
        for node in nodes {
            let Node::Set { targets, values } = node else { continue };
            let name = path(&targets[0]).expect("stubs assign to members");
            match &values[0] {
                Node::Function(function) => drop(stub.insert(declared(function, &name))),
                Node::Cast { .. } => drop(stub.insert(name)),
                // A table of functions.
                _ => {}
            }
        }
        let own = LUAU_ONLY.iter().find(|(name, _)| *name == module.name);
        let own = own.map_or(&[][..], |(_, names)| *names);
        stub.retain(|line| !own.contains(&line.split('(').next().unwrap_or_default()));
        let public = module.functions.iter().filter(|function| !function.name.starts_with('_'));
        let mut table: BTreeSet<String> = public
            .map(|f| function(f.name, f.params.iter().map(|param| (*param).to_owned())))
            .collect();
        table.extend(module.constants.iter().map(|constant| constant.name.to_owned()));
        wrong.extend(difference(&format!("stdlib/types/{}.luau", module.name), &stub, &table));
    }
    for name in stubs.keys() {
        if !MODULES.iter().any(|module| module.name == *name) {
            wrong.push(format!("there is a stub of {name}, but no such module"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_object_has_a_type_with_just_its_methods() {
    let records = records();
    let mut wrong = Vec::new();
    for table in METHOD_TABLES {
        let table: Functions = table
            .iter()
            .map(|method| function(method.name, method.params.iter().map(|p| (*p).to_owned())))
            .collect();
        // The type that has most of them is the one that is meant.
        let best = records.iter().max_by_key(|(_, (_, methods))| {
            (methods.intersection(&table).count(), usize::MAX - methods.len())
        });
        let (name, (_, methods)) = best.expect("there are types");
        wrong.extend(difference(&format!("the type {name}"), methods, &table));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_table_of_names_has_a_type_with_just_these() {
    let records = records();
    let mut wrong = Vec::new();
    for (name, names) in RECORDS {
        let Some((fields, _)) = records.get(*name) else {
            wrong.push(format!("no stub has a type {name}"));
            continue;
        };
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        wrong.extend(difference(&format!("the type {name}"), fields, &names));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn stubs_are_luau_and_say_what_each_function_does() {
    for (name, text) in STUBS {
        mlua::chunk::Compiler::new()
            .compile(text)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.starts_with("function ") || line.starts_with("export type ") {
                assert!(
                    at > 0 && lines[at - 1].starts_with("--- "),
                    "{name}: no prose above {line}"
                );
            }
        }
    }
}

#[test]
fn documentation_names_every_function() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let text: String = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let names = |text: &str, name: &str| {
        text.split('`').skip(1).step_by(2).any(|code| {
            code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
                .any(|word| word == name || word.rsplit('.').next() == Some(name))
        })
    };
    let mut silent = Vec::new();
    for module in MODULES {
        for function in module.functions.iter().filter(|function| !function.name.starts_with('_')) {
            let name = function.name.rsplit('.').next().unwrap();
            if !names(&text, name) {
                silent.push(format!("{}.{}", module.name, function.name));
            }
        }
    }
    assert!(silent.is_empty(), "the documentation does not name {}", silent.join(", "));
}

#[test]
fn rhai_gets_an_overload_for_each_number_of_arguments() {
    let files = files();
    let http = &files.iter().find(|(name, _)| name == "http.d.rhai").unwrap().1;
    assert!(http.starts_with("module http;\n\n// import \"kingtide/http\" as http;\n"));
    assert!(http.contains("/// Gets.\nfn get(url: ?) -> Response;\n"), "{http}");
    assert!(http.contains("fn get(url: ?, params: Map) -> Response;\n"));
    assert!(http.contains("fn json(object: Response, path: String) -> ?;\n"));
    assert!(http.contains("fn get status(object: Response) -> float;\n"));
    let kingtide = &files.iter().find(|(name, _)| name == "kingtide.d.rhai").unwrap().1;
    assert!(kingtide.contains("module log {\n    /// Writes a message that `--verbose` shows.\n"));
    assert!(kingtide.contains("const vu: Map;"));
}
