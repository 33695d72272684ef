//! The readers: what they must understand, and what they find.

use std::path::Path;

use super::luau::parse;
use super::tree::{Node, Shape};
use crate::script::Language;
use crate::script::place::Spot;

fn compile(text: &str) -> mlua::Result<Vec<u8>> {
    mlua::chunk::Compiler::new().compile(text)
}

fn compile_rhai(text: &str) -> Result<rhai::AST, rhai::ParseError> {
    rhai::Engine::new_raw().compile(text)
}

fn only(text: &str) -> Node {
    let nodes = parse(text).unwrap_or_else(|| panic!("not understood: {text}"));
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    nodes.into_iter().next().unwrap()
}

#[test]
fn whatever_compiles_is_understood() {
    let texts = [
        "local a, b: number?, c = 1, 'x', ...",
        "for i = 1, 10, 2 do continue end for k, v: any in pairs(t) do break end",
        "repeat local x = f() until x",
        "if a then elseif b then else end",
        "local x = if a then if b then 1 else 2 elseif c then 3 else 4",
        "local f = function<T>(a: T, ...: any): (T, number) return a, 1 end",
        "a.b[\"c\"].d, e[1] = f { x = 1, [\"y\"] = 2; 3, [z] = 4 }, g 'text'",
        "x += 1 y ..= `a {b} c {`{d}`}` z //= 2",
        "type A<T> = { read x: T, [string]: number } | (a: number, ...string) -> ...any",
        "export type B = typeof(f(1)) & { T }",
        "local continue = 1 continue = 2",
        "local type = 3 type = 4 print(type)",
        "@native function a.b:c() return self end",
        "local n = -#t ^ 2 :: number",
        "do local a <const> = 1 end",
        "return",
    ];
    for text in texts {
        if compile(text).is_ok() {
            assert!(parse(text).is_some(), "not understood: {text}");
        }
    }
    assert!(texts.iter().filter(|text| compile(text).is_ok()).count() >= texts.len() - 1);
}

#[test]
fn all_scripts_of_the_project_are_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = ["examples", "tests", "src", "stdlib"].map(|name| root.join(name)).to_vec();
    let mut counts = [0, 0];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let (at, language) = match path.extension().and_then(|extension| extension.to_str()) {
                Some("luau") => (0, Language::Luau),
                Some("rhai") => (1, Language::Rhai),
                _ => continue,
            };
            let text = std::fs::read_to_string(&path).unwrap();
            let compiles = match language {
                Language::Luau => compile(&text).is_ok(),
                Language::Rhai => compile_rhai(&text).is_ok(),
            };
            if compiles {
                let understood = super::parse(language, &text).is_some();
                assert!(understood, "not understood: {}", path.display());
                counts[at] += 1;
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 50), "there are {counts:?} scripts");
}

#[test]
fn a_call_names_what_it_calls_and_where() {
    let Node::Call { callee, args, method } = only("api.http:get(url, { name = 'x' })") else {
        panic!("no call");
    };
    assert!(method);
    let Node::Member { name, at, .. } = *callee else { panic!("no member") };
    assert_eq!((name.as_str(), at), ("get", Spot { line: 1, column: 10, width: 3 }));
    let Node::Table(entries) = &args[1] else { panic!("no table") };
    assert_eq!(entries[0].name.as_ref().unwrap().0, "name");
}

#[test]
fn a_module_is_known_by_its_require() {
    let Node::Let { names, values, .. } = only("local http = require(\"@kingtide/http\")") else {
        panic!("no local");
    };
    assert_eq!(names[0].0, "http");
    assert!(matches!(&values[0], Node::Module(name, _) if name == "@kingtide/http"));
}

#[test]
fn types_tell_fields_and_functions() {
    let node = only("export type R = { status: number, json: (self: R, path: string?) -> any }");
    let Node::Alias { name, shape: Shape::Record { fields, open: false }, .. } = node else {
        panic!("no record")
    };
    assert_eq!(name, "R");
    let Shape::Function { params, returns } = &fields[1].shape else { panic!("no function") };
    assert_eq!(params[1].0, "path");
    assert!(matches!(params[1].1, Shape::Optional(_)));
    assert_eq!(**returns, Shape::Any);
}

#[test]
fn nesting_without_end_is_given_up() {
    assert!(parse(&format!("x = {}1{}", "(".repeat(9_000), ")".repeat(9_000))).is_none());
}

#[test]
fn whatever_compiles_in_rhai_is_understood() {
    let texts = [
        "let a = 1; const B = 0x1F; let c;",
        "for i in 0..10 { continue; } for (x, n) in [1, 2] { break; }",
        "fn f(a, b) { if a == 1 { return b; } else if b != 2 { throw \"x\"; } a ?? b }",
        "let f = |x, y| x + y; let g = || { 1 }; f.call(1, 2);",
        "let m = #{ a: 1, \"b c\": [1, 2, #{}], d: `x ${1 + f(2)} y` }; m.a.b[\"c\"].d(1)?.e",
        "switch x { 1 | 2 if y > 3 => \"a\", 4..=5 => { 6 } _ => () }",
        "do { x += 1; } until x > 3; while x !in [1] { x -= 1 } loop { break 3; }",
        "try { f() } catch (e) { print(e); } try { f() } catch { }",
        "let y = if a { 1 } else { 2 } + 3; let z = -(1) ** 2 - -1; let w = a[0..2];",
        "export const X = 1; let s = #\"raw \"x\" \"#; 'c'; 1.5e-3; 1.to_string()",
        "fn string.shout() { this + \"!\" } \"a\".shout()",
    ];
    for text in texts {
        if let Err(error) = rhai::Engine::new().compile(text) {
            panic!("{error}: {text}");
        }
        assert!(super::rhai::parse(text).is_some(), "not understood: {text}");
    }
}
