//! The tree while it is built: html5ever hands out nodes, moves them about, and joins their texts.
//!
//! A [`Draft`] is linked in all directions, since the parser takes nodes out and puts them elsewhere
//! (misnested formatting, text inside tables). What it ends as is laid out flat, as a
//! [`super::document::Document`].

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::{Attribute, QualName};

/// The number of a node in a draft.
pub(super) type Number = u32;

/// No node.
pub(super) const NONE: Number = u32::MAX;

/// The number of the document itself.
pub(super) const DOCUMENT: Number = 0;

/// Most attributes that one element may have.
pub(super) const ATTRIBUTES_MAX: usize = 8_192;

/// Deepest nesting: what browsers keep to. The parser looks through all open elements at each tag.
pub(super) const DEPTH_MAX: u32 = 512;

/// A node and its neighbours.
pub(super) struct Node {
    parent: Number,
    previous: Number,
    pub(super) next: Number,
    pub(super) first: Number,
    last: Number,
    depth: u32,
    pub(super) data: Data,
}

/// What a node is.
#[derive(Default)]
pub(super) enum Data {
    /// The document; also what was taken out of a node.
    #[default]
    Document,
    Element {
        name: QualName,
        attributes: Vec<Attribute>,
        /// The form that the parser says it belongs to; [`NONE`] if it says nothing.
        form: Number,
        /// Whether HTML may stand in it though it is MathML.
        holds_html: bool,
    },
    Text(StrTendril),
    Comment(StrTendril),
    Doctype(StrTendril),
}

/// A document under construction.
pub(super) struct Draft {
    nodes: RefCell<Vec<Node>>,
    /// Bytes of texts, names and values, beside the nodes themselves.
    bytes: Cell<usize>,
    too_deep: Cell<bool>,
    quirks: Cell<bool>,
}

impl Draft {
    /// Returns an empty document.
    pub(super) fn new() -> Self {
        let draft = Self {
            nodes: RefCell::default(),
            bytes: Cell::new(0),
            too_deep: Cell::new(false),
            quirks: Cell::new(false),
        };
        draft.add(Data::Document);
        draft
    }

    /// Returns about how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get() + self.nodes.borrow().len() * size_of::<Node>()
    }

    /// Returns whether elements are nested deeper than [`DEPTH_MAX`].
    pub(super) fn is_too_deep(&self) -> bool {
        self.too_deep.get()
    }

    /// Returns the nodes, and whether names of classes and ids are the same in any case.
    pub(super) fn into_parts(self) -> (Vec<Node>, bool) {
        (self.nodes.into_inner(), self.quirks.get())
    }

    fn add(&self, data: Data) -> Number {
        let mut nodes = self.nodes.borrow_mut();
        let number = nodes.len() as Number;
        nodes.push(Node {
            parent: NONE,
            previous: NONE,
            next: NONE,
            first: NONE,
            last: NONE,
            depth: 0,
            data,
        });
        number
    }

    fn count(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Adds a node below `parent`, before `next` if that is one of its children.
    fn insert(&self, parent: Number, next: Number, child: NodeOrText<Number>) {
        let previous = match next {
            NONE => self.nodes.borrow()[parent as usize].last,
            next => self.nodes.borrow()[next as usize].previous,
        };
        let child = match child {
            NodeOrText::AppendNode(child) => child,
            NodeOrText::AppendText(text) => {
                self.count(text.len());
                if previous != NONE {
                    let known = &mut self.nodes.borrow_mut()[previous as usize].data;
                    if let Data::Text(known) = known {
                        known.push_tendril(&text);
                        return;
                    }
                }
                self.add(Data::Text(text))
            }
        };
        self.link(parent, previous, next, child);
    }

    fn link(&self, parent: Number, previous: Number, next: Number, child: Number) {
        let mut nodes = self.nodes.borrow_mut();
        let depth = nodes[parent as usize].depth + 1;
        let node = &mut nodes[child as usize];
        (node.parent, node.previous, node.next, node.depth) = (parent, previous, next, depth);
        if depth > DEPTH_MAX && matches!(node.data, Data::Element { .. }) {
            self.too_deep.set(true);
        }
        match previous {
            NONE => nodes[parent as usize].first = child,
            previous => nodes[previous as usize].next = child,
        }
        match next {
            NONE => nodes[parent as usize].last = child,
            next => nodes[next as usize].previous = child,
        }
    }

    fn unlink(&self, child: Number) {
        let mut nodes = self.nodes.borrow_mut();
        let node = &mut nodes[child as usize];
        let (parent, previous, next) = (node.parent, node.previous, node.next);
        if parent == NONE {
            return;
        }
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
        match previous {
            NONE => nodes[parent as usize].first = next,
            previous => nodes[previous as usize].next = next,
        }
        match next {
            NONE => nodes[parent as usize].last = previous,
            next => nodes[next as usize].previous = previous,
        }
    }
}

impl TreeSink for Draft {
    type Handle = Number;
    type Output = Self;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Self {
        self
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Number {
        DOCUMENT
    }

    fn elem_name<'a>(&'a self, target: &'a Number) -> Ref<'a, QualName> {
        Ref::map(self.nodes.borrow(), |nodes| match &nodes[*target as usize].data {
            Data::Element { name, .. } => name,
            _ => panic!("the parser asks for the names of elements only"),
        })
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        flags: ElementFlags,
    ) -> Number {
        let values: usize = attributes.iter().map(|attribute| attribute.value.len()).sum();
        self.count(values + attributes.len() * size_of::<Attribute>());
        let holds_html = flags.mathml_annotation_xml_integration_point;
        self.add(Data::Element { name, attributes, form: NONE, holds_html })
    }

    fn create_comment(&self, text: StrTendril) -> Number {
        self.count(text.len());
        self.add(Data::Comment(text))
    }

    fn create_pi(&self, _: StrTendril, data: StrTendril) -> Number {
        self.create_comment(data)
    }

    fn append(&self, parent: &Number, child: NodeOrText<Number>) {
        self.insert(*parent, NONE, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Number,
        previous: &Number,
        child: NodeOrText<Number>,
    ) {
        let parent = self.nodes.borrow()[*element as usize].parent;
        match parent {
            NONE => self.append(previous, child),
            _ => self.append_before_sibling(element, child),
        }
    }

    fn append_doctype_to_document(&self, name: StrTendril, _: StrTendril, _: StrTendril) {
        let doctype = self.add(Data::Doctype(name));
        self.insert(DOCUMENT, NONE, NodeOrText::AppendNode(doctype));
    }

    /// A template's contents are its children here: a script finds what stands in them.
    fn get_template_contents(&self, target: &Number) -> Number {
        *target
    }

    fn same_node(&self, x: &Number, y: &Number) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.quirks.set(mode == QuirksMode::Quirks);
    }

    fn append_before_sibling(&self, sibling: &Number, child: NodeOrText<Number>) {
        if let NodeOrText::AppendNode(child) = child {
            self.unlink(child);
        }
        let parent = self.nodes.borrow()[*sibling as usize].parent;
        if parent != NONE {
            self.insert(parent, *sibling, child);
        }
    }

    fn add_attrs_if_missing(&self, target: &Number, attributes: Vec<Attribute>) {
        let mut nodes = self.nodes.borrow_mut();
        let Data::Element { attributes: known, .. } = &mut nodes[*target as usize].data else {
            return;
        };
        for attribute in attributes {
            if known.len() < ATTRIBUTES_MAX && !known.iter().any(|one| one.name == attribute.name) {
                self.count(attribute.value.len() + size_of::<Attribute>());
                known.push(attribute);
            }
        }
    }

    fn associate_with_form(&self, target: &Number, form: &Number, _: (&Number, Option<&Number>)) {
        let mut nodes = self.nodes.borrow_mut();
        if let Data::Element { form: known, .. } = &mut nodes[*target as usize].data {
            *known = *form;
        }
    }

    fn remove_from_parent(&self, target: &Number) {
        self.unlink(*target);
    }

    fn reparent_children(&self, node: &Number, new_parent: &Number) {
        loop {
            let child = self.nodes.borrow()[*node as usize].first;
            if child == NONE {
                return;
            }
            self.unlink(child);
            self.insert(*new_parent, NONE, NodeOrText::AppendNode(child));
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Number) -> bool {
        let nodes = self.nodes.borrow();
        matches!(nodes[*handle as usize].data, Data::Element { holds_html: true, .. })
    }
}
