//! A parsed document, laid out flat in document order.
//!
//! A node's number is its place in the document, and what lies below it follows it directly. So what a
//! selector looks through is a range, an element's text is a piece of one string, and neither walking nor
//! freeing a document recurses, however deep it is.

use std::ops::Range;
use std::rc::Rc;

use html5ever::{LocalName, ns};

use super::draft::{self, Data, Draft};
use crate::api::Shared;

/// The number of a node: its place in the document, from 0, which is the document itself.
pub(in crate::api) type NodeId = u32;

/// No node.
pub(super) const NONE: NodeId = u32::MAX;

/// The document itself.
pub(super) const ROOT: NodeId = 0;

/// A node. Children lie between it and `end`.
struct Node {
    parent: NodeId,
    /// The child of the same parent before it.
    previous: NodeId,
    /// Where the nodes below it end.
    end: NodeId,
    /// Where its text begins.
    text: u32,
    kind: Kind,
}

/// What a node is, and where more is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Document,
    /// The place among the elements.
    Element(u32),
    Text,
    /// Start and length among the values.
    Comment(u32, u32),
    /// Start and length of its name among the values.
    Doctype(u32, u32),
}

/// The language that an element belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Html,
    Svg,
    MathMl,
}

/// What an element has beside its node.
pub(super) struct Element {
    /// Its name: lower case in HTML.
    pub(super) name: LocalName,
    pub(super) space: Space,
    /// Its place among its parent's elements, from 1.
    pub(super) position: u32,
    /// How many elements are children of its parent.
    pub(super) siblings: u32,
    /// Its attributes: a range among all attributes.
    attributes: Range<u32>,
}

/// An attribute: its value is a piece of all values.
struct Attribute {
    name: LocalName,
    start: u32,
    length: u32,
}

/// A parsed document.
pub(in crate::api) struct Document {
    nodes: Vec<Node>,
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    /// All text, in the order of the document.
    text: String,
    /// The values of attributes, comments, and the document type's name.
    values: String,
    /// Form controls with the forms that the parser gave them to, by control.
    forms: Vec<(NodeId, NodeId)>,
    quirks: bool,
    shared: Rc<Shared>,
}

impl Document {
    /// Lays a draft out.
    pub(super) fn new(draft: Draft) -> Self {
        let (drafts, quirks) = draft.into_parts();
        let mut layout = Layout::new(drafts.len());
        layout.lay_out(drafts);
        let Layout { mut nodes, mut elements, mut attributes, mut text, mut values, forms, .. } =
            layout;
        nodes.shrink_to_fit();
        elements.shrink_to_fit();
        attributes.shrink_to_fit();
        text.shrink_to_fit();
        values.shrink_to_fit();
        let bytes = size_of::<Self>()
            + nodes.len() * size_of::<Node>()
            + elements.len() * size_of::<Element>()
            + attributes.len() * size_of::<Attribute>()
            + text.len()
            + values.len()
            + forms.len() * size_of::<(NodeId, NodeId)>();
        let shared = Rc::new(Shared::new(bytes));
        Self { nodes, elements, attributes, text, values, forms, quirks, shared }
    }

    /// Returns what its selections hold together.
    pub(in crate::api) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    /// Returns whether names of classes and ids are the same in any case.
    pub(super) fn has_quirks(&self) -> bool {
        self.quirks
    }

    /// Returns the number of nodes.
    pub(super) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Returns what a node is.
    pub(super) fn kind(&self, node: NodeId) -> Kind {
        self.nodes[node as usize].kind
    }

    /// Returns what is known of an element; nothing of other nodes.
    pub(super) fn element(&self, node: NodeId) -> Option<&Element> {
        match self.kind(node) {
            Kind::Element(at) => Some(&self.elements[at as usize]),
            _ => None,
        }
    }

    /// Returns whether a node is an element of HTML with a name.
    pub(super) fn is_html(&self, node: NodeId, name: &LocalName) -> bool {
        self.html_name(node) == Some(name)
    }

    /// Returns the name of an element of HTML.
    pub(super) fn html_name(&self, node: NodeId) -> Option<&LocalName> {
        self.element(node).filter(|element| element.space == Space::Html).map(|e| &e.name)
    }

    /// Returns a node's parent.
    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        known(self.nodes[node as usize].parent)
    }

    /// Returns the parents of a node from the nearest on.
    pub(super) fn ancestors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.parent(node), |node| self.parent(*node))
    }

    /// Returns the node before it, with the same parent.
    pub(super) fn previous(&self, node: NodeId) -> Option<NodeId> {
        known(self.nodes[node as usize].previous)
    }

    /// Returns the node after it, with the same parent.
    pub(super) fn next(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.parent(node)?;
        let next = self.nodes[node as usize].end;
        (next < self.nodes[parent as usize].end).then_some(next)
    }

    /// Returns the nodes before it with the same parent, from the nearest on.
    pub(super) fn before(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.previous(node), |node| self.previous(*node))
    }

    /// Returns the nodes after it with the same parent, from the nearest on.
    pub(super) fn after(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.next(node), |node| self.next(*node))
    }

    /// Returns the nodes below a node, in order.
    pub(super) fn below(&self, node: NodeId) -> Range<NodeId> {
        node + 1..self.nodes[node as usize].end
    }

    /// Returns a node's children.
    pub(super) fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let below = self.below(node);
        let first = (!below.is_empty()).then_some(below.start);
        std::iter::successors(first, |child| self.next(*child))
    }

    /// Returns the elements among nodes.
    pub(super) fn elements(
        &self,
        nodes: impl Iterator<Item = NodeId>,
    ) -> impl Iterator<Item = NodeId> {
        nodes.filter(|node| matches!(self.kind(*node), Kind::Element(_)))
    }

    /// Returns the text of a node and of all below it.
    pub(super) fn text(&self, node: NodeId) -> &str {
        let start = self.nodes[node as usize].text as usize;
        let end = self.nodes.get(self.nodes[node as usize].end as usize);
        &self.text[start..end.map_or(self.text.len(), |node| node.text as usize)]
    }

    /// Returns a piece of the values, as [`Kind::Comment`] has it.
    pub(super) fn value(&self, start: u32, length: u32) -> &str {
        &self.values[start as usize..][..length as usize]
    }

    /// Returns the names and values of an element's attributes.
    pub(super) fn attributes(&self, node: NodeId) -> impl Iterator<Item = (&LocalName, &str)> {
        let range = self.element(node).map_or(0..0, |element| element.attributes.clone());
        let attributes = &self.attributes[range.start as usize..range.end as usize];
        attributes.iter().map(|one| (&one.name, self.value(one.start, one.length)))
    }

    /// Returns an attribute's value.
    pub(super) fn attribute(&self, node: NodeId, name: &LocalName) -> Option<&str> {
        self.attributes(node).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns the form that the parser gave a control to.
    pub(super) fn form_of(&self, control: NodeId) -> Option<NodeId> {
        let at = self.forms.binary_search_by_key(&control, |(control, _)| *control).ok()?;
        Some(self.forms[at].1)
    }
}

fn known(node: NodeId) -> Option<NodeId> {
    (node != NONE).then_some(node)
}

/// A document that is being laid out.
struct Layout {
    nodes: Vec<Node>,
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    text: String,
    values: String,
    forms: Vec<(NodeId, NodeId)>,
    /// Where each node of the draft came to lie.
    places: Vec<NodeId>,
}

/// A node whose children are being laid out.
struct Open {
    node: NodeId,
    /// The child that comes next, in the draft.
    next: draft::Number,
    last: NodeId,
    elements: u32,
}

impl Layout {
    fn new(size: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(size),
            elements: Vec::new(),
            attributes: Vec::new(),
            text: String::new(),
            values: String::new(),
            forms: Vec::new(),
            places: vec![NONE; size],
        }
    }

    fn lay_out(&mut self, mut drafts: Vec<draft::Node>) {
        let mut open: Vec<Open> = vec![self.add(&mut drafts, draft::DOCUMENT, None)];
        while let Some(parent) = open.last_mut() {
            if parent.next == draft::NONE {
                self.close(parent);
                open.pop();
                continue;
            }
            let child = parent.next;
            parent.next = drafts[child as usize].next;
            let opened = self.add(&mut drafts, child, Some(parent));
            open.push(opened);
        }
        for (_, form) in &mut self.forms {
            *form = self.places[*form as usize];
        }
        // A form that was taken out of the document owns nothing.
        self.forms.retain(|(_, form)| *form != NONE);
    }

    /// Adds a node behind all others.
    fn add(
        &mut self,
        drafts: &mut [draft::Node],
        number: draft::Number,
        parent: Option<&mut Open>,
    ) -> Open {
        let node = self.nodes.len() as NodeId;
        self.places[number as usize] = node;
        let text = self.text.len() as u32;
        let position = parent.as_ref().map_or(0, |parent| parent.elements) + 1;
        let kind = match std::mem::take(&mut drafts[number as usize].data) {
            Data::Document => Kind::Document,
            Data::Element { name, attributes, form, .. } => {
                if form != draft::NONE {
                    self.forms.push((node, form));
                }
                self.element(&name, attributes, position)
            }
            Data::Text(text) => {
                self.text.push_str(&text);
                Kind::Text
            }
            Data::Comment(text) => {
                let (start, length) = self.keep(&text);
                Kind::Comment(start, length)
            }
            Data::Doctype(name) => {
                let (start, length) = self.keep(&name);
                Kind::Doctype(start, length)
            }
        };
        let (above, previous) = match parent {
            Some(parent) => {
                parent.elements += u32::from(matches!(kind, Kind::Element(_)));
                (parent.node, std::mem::replace(&mut parent.last, node))
            }
            None => (NONE, NONE),
        };
        self.nodes.push(Node { parent: above, previous, end: node + 1, text, kind });
        Open { node, next: drafts[number as usize].first, last: NONE, elements: 0 }
    }

    /// Ends a node whose children are all there.
    fn close(&mut self, open: &Open) {
        self.nodes[open.node as usize].end = self.nodes.len() as NodeId;
        let mut child = open.last;
        while let Some(node) = self.nodes.get(child as usize) {
            if let Kind::Element(at) = node.kind {
                self.elements[at as usize].siblings = open.elements;
            }
            child = node.previous;
        }
    }

    fn element(
        &mut self,
        name: &html5ever::QualName,
        attributes: Vec<html5ever::Attribute>,
        position: u32,
    ) -> Kind {
        let first = self.attributes.len() as u32;
        for attribute in attributes {
            let (start, length) = self.keep(&attribute.value);
            // Outside HTML the parser takes names such as `xlink:href` apart.
            let name = match &attribute.name.prefix {
                Some(prefix) => LocalName::from(format!("{prefix}:{}", attribute.name.local)),
                None => attribute.name.local,
            };
            self.attributes.push(Attribute { name, start, length });
        }
        let space = match name.ns {
            ns!(svg) => Space::Svg,
            ns!(mathml) => Space::MathMl,
            _ => Space::Html,
        };
        self.elements.push(Element {
            name: name.local.clone(),
            space,
            position,
            siblings: 0,
            attributes: first..self.attributes.len() as u32,
        });
        Kind::Element(self.elements.len() as u32 - 1)
    }

    fn keep(&mut self, value: &str) -> (u32, u32) {
        let start = self.values.len() as u32;
        self.values.push_str(value);
        (start, value.len() as u32)
    }
}
