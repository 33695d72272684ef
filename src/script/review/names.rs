//! Names that a script assigns to or loads, whatever stands around.

use std::collections::BTreeSet;

use crate::script::syntax::tree::Node;

/// Calls a function with a node and all its parts, outermost first.
pub(super) fn each<'n>(nodes: &'n [Node], seen: &mut impl FnMut(&'n Node)) {
    for node in nodes {
        seen(node);
        match node {
            Node::Member { of, .. } => each(std::slice::from_ref(of), seen),
            Node::Call { callee, args, .. } => {
                each(std::slice::from_ref(callee), seen);
                each(args, seen);
            }
            Node::Table(entries) => {
                for entry in entries {
                    each(std::slice::from_ref(&entry.value), seen);
                }
            }
            Node::Function(function) => each(&function.body, seen),
            Node::Let { values, .. } => each(values, seen),
            Node::Set { targets, values } => {
                each(targets, seen);
                each(values, seen);
            }
            Node::Cast { value, .. } => each(std::slice::from_ref(value), seen),
            Node::Block(parts) | Node::Other(parts) => each(parts, seen),
            Node::Module(..)
            | Node::Name(..)
            | Node::Text(..)
            | Node::Number(_)
            | Node::Rest
            | Node::Alias { .. } => {}
        }
    }
}

/// Adds the names that get a value after their declaration, or without one.
pub(super) fn assigned(nodes: &[Node], names: &mut BTreeSet<String>) {
    each(nodes, &mut |node| {
        let Node::Set { targets, .. } = node else { return };
        for target in targets {
            match target {
                Node::Name(name, _) => drop(names.insert(name.clone())),
                // `_G.name = …`
                Node::Member { of, name, .. } if is(of, "_G") => {
                    names.insert(name.clone());
                }
                _ => {}
            }
        }
    });
}

/// Adds the modules that are loaded.
pub(super) fn modules(nodes: &[Node], requests: &mut Vec<String>) {
    each(nodes, &mut |node| {
        if let Node::Module(request, _) = node {
            requests.push(request.clone());
        }
    });
}

/// Returns whether a node is a name.
pub(super) fn is(node: &Node, word: &str) -> bool {
    matches!(node, Node::Name(name, _) if name == word)
}
