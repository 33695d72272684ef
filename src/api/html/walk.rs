//! From a selection to others: up, down and sideways, with k6's and jQuery's meanings.
//!
//! Results are in the order in which they are found from each node in turn, each node once.

use super::document::{Document, Kind, NodeId, ROOT};
use super::selection::{Pattern, Selection};
use super::selector::Matcher;

/// The nodes that were found, or why the look-up was given up.
type Found = Result<Vec<NodeId>, String>;

/// Where to look from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Children,
    Parent,
    Parents,
    Next,
    NextAll,
    Previous,
    PreviousAll,
    Siblings,
}

impl Way {
    /// Returns the way of a method's name, and whether the method stops at a given node.
    pub(super) fn of(method: &str) -> Option<(Self, bool)> {
        Some(match method {
            "children" => (Self::Children, false),
            "parent" => (Self::Parent, false),
            "parents" => (Self::Parents, false),
            "parents_until" => (Self::Parents, true),
            "next" => (Self::Next, false),
            "next_all" => (Self::NextAll, false),
            "next_until" => (Self::NextAll, true),
            "prev" => (Self::Previous, false),
            "prev_all" => (Self::PreviousAll, false),
            "prev_until" => (Self::PreviousAll, true),
            "siblings" => (Self::Siblings, false),
            _ => return None,
        })
    }
}

/// Nodes, each once, in the order in which they came.
struct Unique {
    nodes: Vec<NodeId>,
    /// Which are there; empty if none can come twice.
    seen: Vec<bool>,
}

impl Unique {
    /// Returns a list for what is found from so many nodes.
    fn new(document: &Document, from: usize) -> Self {
        let size = if from > 1 { document.len() as usize } else { 0 };
        Self { nodes: Vec::new(), seen: vec![false; size] }
    }

    fn add(&mut self, node: NodeId) {
        let seen = self.seen.get_mut(node as usize);
        if !seen.is_some_and(|seen| std::mem::replace(seen, true)) {
            self.nodes.push(node);
        }
    }
}

impl Selection {
    /// Returns the elements in a direction that fulfil `filter`; `until` ends the way.
    pub(super) fn walk(
        &self,
        way: Way,
        until: Option<&Pattern>,
        filter: Option<&Pattern>,
    ) -> Found {
        let document = &*self.document;
        let matcher = Matcher::new(document);
        let mut found = Unique::new(&self.document, self.nodes.len());
        for node in self.nodes.iter().copied() {
            let all: Box<dyn Iterator<Item = NodeId>> = match way {
                Way::Children => Box::new(document.children(node)),
                Way::Parent => Box::new(document.parent(node).into_iter()),
                Way::Parents => Box::new(document.ancestors(node)),
                Way::Next | Way::NextAll => Box::new(document.after(node)),
                Way::Previous | Way::PreviousAll => Box::new(document.before(node)),
                Way::Siblings => {
                    let parent = document.parent(node);
                    let all = parent.into_iter().flat_map(|parent| document.children(parent));
                    Box::new(all.filter(move |other| *other != node))
                }
            };
            let most = match way {
                Way::Next | Way::Previous | Way::Parent => 1,
                _ => usize::MAX,
            };
            for other in document.elements(all).take(most) {
                if !matcher.step(1) {
                    break;
                }
                if until.is_some_and(|until| until.is(&matcher, other)) {
                    break;
                }
                if filter.is_none_or(|filter| filter.is(&matcher, other)) {
                    found.add(other);
                }
            }
        }
        matcher.check()?;
        Ok(found.nodes)
    }

    /// Returns what fulfils a pattern below the selected nodes.
    pub(super) fn find(&self, pattern: &Pattern) -> Found {
        let document = &*self.document;
        let matcher = Matcher::new(document);
        let mut found = Unique::new(&self.document, self.nodes.len());
        // What lies below a node that was looked through has been looked through.
        let mut done = 0..0;
        for node in self.nodes.iter().copied() {
            if done.contains(&node) {
                continue;
            }
            done = document.below(node);
            for below in done.clone() {
                if !matcher.step(1) {
                    break;
                }
                if pattern.is_from(&matcher, below, node) {
                    found.add(below);
                }
            }
        }
        matcher.check()?;
        Ok(found.nodes)
    }

    /// Returns for each selected node the nearest that fulfils a pattern: it, or one above it.
    pub(super) fn closest(&self, pattern: &Pattern) -> Found {
        let document = &*self.document;
        let matcher = Matcher::new(document);
        let mut found = Unique::new(&self.document, self.nodes.len());
        for node in self.nodes.iter().copied() {
            let mut line = std::iter::once(node).chain(document.ancestors(node));
            if let Some(nearest) = line.find(|node| pattern.is(&matcher, *node)) {
                found.add(nearest);
            }
        }
        matcher.check()?;
        Ok(found.nodes)
    }

    /// Returns the selected nodes that do, or do not, fulfil a pattern.
    pub(super) fn filter(&self, pattern: &Pattern, wanted: bool) -> Found {
        let matcher = Matcher::new(&self.document);
        let nodes = self.nodes.iter().copied();
        let kept = nodes.filter(|node| pattern.is(&matcher, *node) == wanted).collect();
        matcher.check()?;
        Ok(kept)
    }

    /// Returns the selected nodes below which something fulfils a pattern.
    pub(super) fn having(&self, pattern: &Pattern) -> Found {
        let matcher = Matcher::new(&self.document);
        let has = |node: &NodeId| {
            self.document.below(*node).any(|below| !matcher.step(1) || pattern.is(&matcher, below))
        };
        let kept = self.nodes.iter().copied().filter(has).collect();
        matcher.check()?;
        Ok(kept)
    }

    /// Returns the selected nodes and those of a pattern, which is looked for in the whole document.
    pub(super) fn with(&self, pattern: &Pattern) -> Found {
        let mut found = Unique::new(&self.document, 2);
        self.nodes.iter().for_each(|node| found.add(*node));
        let more = match pattern {
            Pattern::Nodes(nodes) => nodes.clone(),
            Pattern::Css(_) => self.of(vec![ROOT]).find(pattern)?,
        };
        more.into_iter().for_each(|node| found.add(node));
        Ok(found.nodes)
    }

    /// Returns all children of the selected nodes: elements, texts and comments.
    pub(super) fn contents(&self) -> Vec<NodeId> {
        let mut found = Unique::new(&self.document, self.nodes.len());
        for node in self.nodes.iter().copied() {
            for child in self.document.children(node) {
                if !matches!(self.document.kind(child), Kind::Doctype(..)) {
                    found.add(child);
                }
            }
        }
        found.nodes
    }
}
