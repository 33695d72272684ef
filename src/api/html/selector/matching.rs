//! Whether a node fulfils a selector, with a bound on the work.
//!
//! A compound is looked for from the right to the left. When one is missing, its kind of failure says
//! how much else cannot succeed either, so that no way is tried twice: a selector takes a node's
//! ancestors and siblings once per compound. What remains expensive (thousands of siblings, each looked
//! at from each) ends with an error.

use std::cell::Cell;

use html5ever::{LocalName, local_name};

use super::super::document::{Document, Kind, NodeId, ROOT, Space};
use super::super::form;
use super::{Combinator, Complex, Nth, Operator, Selector, Simple, State, Test};

/// Most steps of one look-up: about a tenth of a second.
const STEPS_MAX: u64 = 20_000_000;

/// Matches selectors against the nodes of a document.
pub(in crate::api::html) struct Matcher<'d> {
    document: &'d Document,
    steps_max: u64,
    steps: Cell<u64>,
}

/// What came of looking for the rest of a selector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Yes,
    /// Not from here.
    No,
    /// Nor from any element before this one with the same parent.
    NoSibling,
    /// Nor from any element above.
    Never,
}

impl<'d> Matcher<'d> {
    /// Returns a matcher for one look-up.
    pub(in crate::api::html) fn new(document: &'d Document) -> Self {
        Self { document, steps_max: STEPS_MAX, steps: Cell::new(0) }
    }

    /// Returns a matcher that gives up early.
    #[cfg(test)]
    pub(super) fn with_limit(document: &'d Document, steps_max: u64) -> Self {
        Self { steps_max, ..Self::new(document) }
    }

    /// Returns whether a node is an element that fulfils a selector. `scope` is what `:scope` means.
    pub(in crate::api::html) fn matches(
        &self,
        selector: &Selector,
        node: NodeId,
        scope: NodeId,
    ) -> bool {
        self.document.element(node).is_some()
            && selector.0.iter().any(|complex| {
                self.compound(&complex.steps[0].0, node, scope)
                    && self.rest(complex, 0, node, scope) == Found::Yes
            })
    }

    /// Checks that the work did not have to be given up, in which case nothing matched any more.
    ///
    /// # Errors
    /// If it had.
    pub(in crate::api::html) fn check(&self) -> Result<(), String> {
        if self.step(0) {
            return Ok(());
        }
        Err(format!(
            "the selector is too expensive in this document: more than {} steps",
            self.steps_max
        ))
    }

    /// Counts steps and returns whether there may be more.
    pub(in crate::api::html) fn step(&self, count: usize) -> bool {
        let steps = self.steps.get() + count as u64;
        self.steps.set(steps);
        steps <= self.steps_max
    }

    fn element_before(&self, node: NodeId) -> Option<NodeId> {
        let mut before = self.document.previous(node)?;
        while self.step(1) {
            if self.document.element(before).is_some() {
                return Some(before);
            }
            before = self.document.previous(before)?;
        }
        None
    }

    fn element_above(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.document.parent(node).filter(|parent| *parent != ROOT)?;
        self.step(1).then_some(parent)
    }

    /// Looks for what stands left of step `at`, which `node` fulfils.
    fn rest(&self, complex: &Complex, at: usize, node: NodeId, scope: NodeId) -> Found {
        let Some((compound, _)) = complex.steps.get(at + 1) else { return Found::Yes };
        let combinator = complex.steps[at].1;
        let (direct, next, none): (_, fn(&Self, NodeId) -> Option<NodeId>, _) = match combinator {
            Combinator::Child => (true, Self::element_above, Found::Never),
            Combinator::Descendant => (false, Self::element_above, Found::Never),
            Combinator::Next => (true, Self::element_before, Found::NoSibling),
            Combinator::Later => (false, Self::element_before, Found::NoSibling),
        };
        let mut other = node;
        loop {
            other = match next(self, other) {
                Some(other) => other,
                None => return none,
            };
            let found = if self.compound(compound, other, scope) {
                self.rest(complex, at + 1, other, scope)
            } else {
                Found::No
            };
            match (found, combinator) {
                (Found::Yes | Found::Never, _) => return found,
                (Found::NoSibling, Combinator::Later | Combinator::Next) => return found,
                // All siblings have this parent.
                (_, Combinator::Child) => return Found::NoSibling,
                _ if direct => return Found::No,
                _ => {}
            }
        }
    }

    fn compound(&self, compound: &[Simple], node: NodeId, scope: NodeId) -> bool {
        self.step(1) && compound.iter().all(|simple| self.simple(simple, node, scope))
    }

    pub(super) fn simple(&self, simple: &Simple, node: NodeId, scope: NodeId) -> bool {
        let document = self.document;
        let Some(element) = document.element(node) else { return false };
        let html = element.space == Space::Html;
        match simple {
            Simple::Name { exact, lower } => element.name == *if html { lower } else { exact },
            Simple::Id(id) => {
                self.attribute(node, &local_name!("id")).is_some_and(|found| self.is(found, id))
            }
            Simple::Class(class) => self
                .attribute(node, &local_name!("class"))
                .is_some_and(|found| words(found).any(|word| self.is(word, class))),
            Simple::Attribute { exact, lower, test } => {
                let found = self.attribute(node, if html { lower } else { exact });
                match (test, found) {
                    (None, found) => found.is_some(),
                    (Some(test), Some(found)) => test.holds(found),
                    (Some(test), None) => test.operator == Operator::Unequal,
                }
            }
            Simple::Not(selector) => !self.matches(selector, node, scope),
            Simple::Is(selector) => self.matches(selector, node, scope),
            Simple::Has(selector) => selector.0.iter().any(|one| self.has(one, node, scope)),
            Simple::Nth(nth) => self.nth(nth, node, scope),
            Simple::Contains { text, own } => self.contains(node, text, *own),
            Simple::State(state) => self.state(*state, node, scope),
        }
    }

    /// Returns an attribute's value. To look through many takes steps.
    fn attribute(&self, node: NodeId, name: &LocalName) -> Option<&'d str> {
        let mut looked = 0;
        let mut attributes = self.document.attributes(node).inspect(|_| looked += 1);
        let found = attributes.find(|(known, _)| *known == name).map(|(_, value)| value);
        drop(attributes);
        found.filter(|_| self.step(looked / 8)).or_else(|| {
            self.step(looked / 8);
            None
        })
    }

    /// Returns whether names of classes or ids are the same.
    fn is(&self, found: &str, wanted: &str) -> bool {
        found == wanted || self.document.has_quirks() && found.eq_ignore_ascii_case(wanted)
    }

    /// Returns whether a relative selector leads somewhere from a node.
    fn has(&self, complex: &Complex, anchor: NodeId, scope: NodeId) -> bool {
        let document = self.document;
        let first = complex.steps.last().map_or(Combinator::Descendant, |(_, first)| *first);
        let candidates = match first {
            Combinator::Descendant | Combinator::Child => document.below(anchor),
            Combinator::Next => {
                let mut after = document.elements(document.after(anchor));
                after.next().map_or(0..0, |next| next..document.below(next).end)
            }
            Combinator::Later => {
                let parent = document.parent(anchor).unwrap_or(ROOT);
                document.below(anchor).end..document.below(parent).end
            }
        };
        let anchored = |node: NodeId| {
            document.element(node).is_some()
                && self.compound(&complex.steps[0].0, node, scope)
                && self.reaches(complex, 0, node, anchor, scope)
        };
        let mut candidates = candidates;
        candidates.any(|node| self.step(1) && anchored(node))
    }

    /// Returns whether the rest of a relative selector can be followed back to its anchor.
    fn reaches(
        &self,
        complex: &Complex,
        at: usize,
        node: NodeId,
        anchor: NodeId,
        scope: NodeId,
    ) -> bool {
        let combinator = complex.steps[at].1;
        let last = complex.steps.get(at + 1);
        let fits = |other: NodeId| match last {
            None => other == anchor,
            Some((compound, _)) => {
                self.compound(compound, other, scope)
                    && self.reaches(complex, at + 1, other, anchor, scope)
            }
        };
        match combinator {
            Combinator::Child => self.element_above(node).is_some_and(fits),
            Combinator::Next => self.element_before(node).is_some_and(fits),
            Combinator::Descendant => {
                let above = |node: &NodeId| self.element_above(*node);
                // All steps lead down or forward; what lies before the anchor is out of reach.
                std::iter::successors(above(&node), above)
                    .take_while(|other| *other >= anchor)
                    .any(fits)
            }
            Combinator::Later => {
                let before = |node: &NodeId| self.element_before(*node);
                std::iter::successors(before(&node), before)
                    .take_while(|other| *other >= anchor)
                    .any(fits)
            }
        }
    }

    fn nth(&self, nth: &Nth, node: NodeId, scope: NodeId) -> bool {
        let Some(element) = self.document.element(node) else { return false };
        if nth.of.as_ref().is_some_and(|of| !self.matches(of, node, scope)) {
            return false;
        }
        let place = if nth.of_type || nth.of.is_some() {
            let counts = |other: &NodeId| {
                self.step(1)
                    && match &nth.of {
                        Some(of) => self.matches(of, *other, scope),
                        None => self.document.element(*other).is_some_and(|other| {
                            other.name == element.name && other.space == element.space
                        }),
                    }
            };
            let others = if nth.from_end {
                self.document.after(node).filter(counts).count()
            } else {
                self.document.before(node).filter(counts).count()
            };
            others as i64 + 1
        } else if nth.from_end {
            i64::from(element.siblings - element.position) + 1
        } else {
            i64::from(element.position)
        };
        let distance = place - nth.offset;
        match nth.step {
            0 => distance == 0,
            step => distance % step == 0 && distance / step >= 0,
        }
    }

    fn contains(&self, node: NodeId, text: &str, own: bool) -> bool {
        let document = self.document;
        if !own {
            let whole = document.text(node);
            return self.step(whole.len() / 16) && whole.contains(text);
        }
        document.children(node).any(|child| {
            let piece = document.text(child);
            document.kind(child) == Kind::Text
                && self.step(1 + piece.len() / 16)
                && piece.contains(text)
        })
    }

    fn only(&self, node: NodeId, of_type: bool) -> bool {
        let place = |from_end| Nth { step: 0, offset: 1, from_end, of_type, of: None };
        self.nth(&place(false), node, node) && self.nth(&place(true), node, node)
    }

    fn state(&self, state: State, node: NodeId, scope: NodeId) -> bool {
        let document = self.document;
        let Some(name) = document.html_name(node) else {
            return match state {
                State::Root => document.parent(node) == Some(ROOT),
                State::Scope => node == scope,
                State::Empty => self.is_empty(node),
                State::OnlyChild => self.only(node, false),
                State::OnlyOfType => self.only(node, true),
                _ => false,
            };
        };
        let has = |attribute: &LocalName| self.attribute(node, attribute).is_some();
        let is_field =
            matches!(*name, local_name!("input") | local_name!("select") | local_name!("textarea"));
        let is_control = form::is_control(document, node);
        let can_be_disabled = is_control
            || matches!(
                *name,
                local_name!("option") | local_name!("optgroup") | local_name!("fieldset")
            );
        match state {
            State::Root => document.parent(node) == Some(ROOT),
            State::Scope => node == scope || scope == ROOT && document.parent(node) == Some(ROOT),
            State::Empty => self.is_empty(node),
            State::OnlyChild => self.only(node, false),
            State::OnlyOfType => self.only(node, true),
            State::Link => {
                matches!(*name, local_name!("a") | local_name!("area")) && has(&local_name!("href"))
            }
            State::Checked | State::Selected if *name == local_name!("option") => {
                let select = form::select_of(document, node);
                self.step(select.map_or(0, |select| document.below(select).len()))
                    && form::is_chosen(document, node)
            }
            State::Checked => form::is_chosen(document, node),
            State::Selected => false,
            State::Disabled => can_be_disabled && form::is_disabled(document, node),
            State::Enabled => can_be_disabled && !form::is_disabled(document, node),
            State::Required => is_field && has(&local_name!("required")),
            State::Optional => is_field && !has(&local_name!("required")),
            State::Input => is_control,
            State::Button => {
                *name == local_name!("button") || form::input_type(document, node) == Some("button")
            }
            State::Type("submit") if *name == local_name!("button") => {
                form::is_submit(document, node)
            }
            State::Type(wanted) => form::input_type(document, node) == Some(wanted),
        }
    }

    fn is_empty(&self, node: NodeId) -> bool {
        self.document.children(node).all(|child| {
            self.step(1)
                && match self.document.kind(child) {
                    Kind::Element(_) => false,
                    Kind::Text => self.document.text(child).is_empty(),
                    _ => true,
                }
        })
    }
}

/// Returns the words of an attribute that holds several.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split_ascii_whitespace()
}

impl Test {
    fn holds(&self, found: &str) -> bool {
        if self.any_case {
            let (found, value) = (found.to_ascii_lowercase(), self.value.to_ascii_lowercase());
            return compare(self.operator, &found, &value);
        }
        compare(self.operator, found, &self.value)
    }
}

fn compare(operator: Operator, found: &str, value: &str) -> bool {
    match operator {
        Operator::Equal => found == value,
        Operator::Unequal => found != value,
        Operator::Word => words(found).any(|word| word == value),
        Operator::Dash => {
            found.strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        }
        // Every text has nothing at its start; no such selector matches (Selectors, 6.2).
        Operator::Prefix => !value.is_empty() && found.starts_with(value),
        Operator::Suffix => !value.is_empty() && found.ends_with(value),
        Operator::Part => !value.is_empty() && found.contains(value),
    }
}
