//! How long functions wait at least: pauses that are written out and always come by.

use std::collections::BTreeMap;

use crate::script::Language;
use crate::script::syntax::tree::Node;
use crate::units;

/// Returns the functions that wait, by name, with the seconds that they wait at least.
pub(super) fn of(nodes: &[Node], language: Language) -> BTreeMap<String, f64> {
    let alias = alias(nodes, language);
    let mut found = BTreeMap::new();
    for node in nodes {
        let Node::Set { targets, values } = node else { continue };
        let ([target], [Node::Function(function)]) = (targets.as_slice(), values.as_slice()) else {
            continue;
        };
        let (Node::Name(name, _) | Node::Member { name, .. }) = target else { continue };
        let seconds = seconds(&function.body, &alias);
        if seconds > 0.0 {
            found.insert(name.clone(), seconds);
        }
    }
    found
}

/// Returns the name of the module `kingtide` in a script.
fn alias(nodes: &[Node], language: Language) -> String {
    let own = if language == Language::Luau { "@kingtide" } else { "kingtide" };
    let alias = nodes.iter().find_map(|node| match node {
        Node::Let { names, values, .. } => match (names.as_slice(), values.as_slice()) {
            ([(name, _)], [Node::Module(request, _)]) if request == own => Some(name.clone()),
            _ => None,
        },
        _ => None,
    });
    alias.unwrap_or_default()
}

/// Sums up what comes by whatever happens: not what stands in branches, loops and closures. A
/// function may end early; so what follows something else than a plain statement is not counted
/// after a `return`, which stands last in any case.
fn seconds(body: &[Node], alias: &str) -> f64 {
    let (mut slept, mut paced) = (0.0, 0.0_f64);
    for node in body {
        if matches!(node, Node::Other(parts) if parts.iter().any(|part| matches!(part, Node::Block(_))))
        {
            // A branch may return.
            break;
        }
        let Node::Call { callee, args, .. } = node else { continue };
        let Node::Member { of, name, .. } = &**callee else { continue };
        let time = match args.first() {
            Some(Node::Number(seconds)) => *seconds,
            Some(Node::Text(text, _)) => {
                units::parse_duration(text).map_or(0.0, |time| time.as_secs_f64())
            }
            _ => continue,
        };
        if !super::names::is(of, alias) || !time.is_finite() {
            continue;
        }
        match name.as_str() {
            "sleep" => slept += time,
            "pace" => paced = paced.max(time),
            _ => {}
        }
    }
    paced.max(slept)
}
