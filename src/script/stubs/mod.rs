//! What editors know of the modules: Luau modules without content, and Rhai's definitions made of
//! them. `check` reads them too.

use super::syntax::tree::Node;
use super::{Language, stdlib, syntax};

mod definitions;
#[cfg(test)]
mod tests;

/// Each module's stub, by its name.
const STUBS: &[(&str, &str)] = &[
    ("", include_str!("../../../stdlib/types/kingtide.luau")),
    ("http", include_str!("../../../stdlib/types/http.luau")),
    ("ws", include_str!("../../../stdlib/types/ws.luau")),
    ("rpc", include_str!("../../../stdlib/types/rpc.luau")),
    ("metrics", include_str!("../../../stdlib/types/metrics.luau")),
    ("data", include_str!("../../../stdlib/types/data.luau")),
    ("shared", include_str!("../../../stdlib/types/shared.luau")),
    ("mix", include_str!("../../../stdlib/types/mix.luau")),
    ("json", include_str!("../../../stdlib/types/json.luau")),
    ("encoding", include_str!("../../../stdlib/types/encoding.luau")),
    ("crypto", include_str!("../../../stdlib/types/crypto.luau")),
    ("random", include_str!("../../../stdlib/types/random.luau")),
    ("time", include_str!("../../../stdlib/types/time.luau")),
    ("html", include_str!("../../../stdlib/types/html.luau")),
];

/// Returns the stubs as they are read.
pub(super) fn parsed() -> Vec<(&'static str, Vec<Node>)> {
    STUBS
        .iter()
        .map(|(name, text)| {
            let nodes = syntax::parse(Language::Luau, text);
            (*name, nodes.expect("a test reads all stubs"))
        })
        .collect()
}

/// Returns the files that editors read, by their paths below the folder of types.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (name, text) in STUBS {
        let luau = if name.is_empty() { "init" } else { name };
        files.push((format!("{luau}.luau"), (*text).to_owned()));
        let rhai = if name.is_empty() { "kingtide" } else { name };
        files.push((format!("{rhai}.d.rhai"), definitions::of(name, text)));
    }
    // What is written in the script languages is its own description.
    for (language, extension) in [(Language::Luau, "luau"), (Language::Rhai, "rhai")] {
        let shipped = stdlib::sources(language).into_iter();
        files.extend(shipped.map(|(name, text)| (format!("{name}.{extension}"), text.to_owned())));
    }
    files
}

/// Returns the path of what is assigned to, below its first name: `log.info` of `kingtide.log.info`.
pub(super) fn path(target: &Node) -> Option<String> {
    match target {
        Node::Member { of, name, .. } => match &**of {
            Node::Name(..) => Some(name.clone()),
            of => Some(format!("{}.{name}", path(of)?)),
        },
        _ => None,
    }
}
