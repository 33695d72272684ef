//! The module `html`: documents, what selectors find in them, and their forms.

use std::rc::Rc;

pub(super) use self::document::{Document, NodeId};
pub(super) use self::selection::METHODS as SELECTION_METHODS;
use self::selection::Selection;
use super::{ApiError, Args, Function, Module, Run, Value, VuContext};

mod document;
mod draft;
pub(super) mod form;
mod parse;
mod read;
mod selection;
mod selector;
mod walk;
mod write;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "html",
    functions: &[Function { name: "parse", params: &["text"], run: Run::Now(parse) }],
    constants: &[],
};

fn parse(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let document = document(vu, &args.call, &bytes)?;
    Ok(Value::object(Selection::all(Rc::new(document))))
}

/// Parses bytes as a document; what is no UTF-8 in them is replaced. `place` begins messages.
///
/// # Errors
/// If the document is larger than the script's memory may be, or nested too deeply.
pub(super) fn document(vu: &VuContext, place: &str, bytes: &[u8]) -> Result<Document, ApiError> {
    let text = crate::units::lossy(bytes);
    parse::parse(place, &text, vu.worker.plan.limits.memory_bytes)
}

/// Returns a document's selection: the document itself, or what a selector finds in it.
///
/// # Errors
/// If the selector cannot be read, or is too expensive.
pub(super) fn select(
    place: &str,
    document: Rc<Document>,
    selector: Option<&str>,
) -> Result<Value, ApiError> {
    let all = Selection::all(document);
    Ok(Value::object(match selector {
        Some(selector) => all.find_css(place, selector)?,
        None => all,
    }))
}

/// Returns the elements of a document that fulfil a selector, in order.
///
/// # Errors
/// If the selector cannot be read, or is too expensive.
pub(super) fn find(
    place: &str,
    document: &Rc<Document>,
    selector: &str,
) -> Result<Vec<NodeId>, ApiError> {
    Ok(Selection::all(Rc::clone(document)).find_css(place, selector)?.nodes)
}
