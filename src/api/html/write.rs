//! From nodes back to HTML (the standard's 13.3).

use html5ever::{LocalName, local_name};

use super::document::{Document, Kind, NodeId, Space};

/// Returns what lies below a node as HTML; nothing if that takes more than `bytes_max` bytes.
pub(super) fn inner(document: &Document, node: NodeId, bytes_max: usize) -> Option<String> {
    let mut text = String::new();
    let mut open: Vec<NodeId> = Vec::new();
    for child in document.below(node) {
        while let Some(last) = open.pop_if(|last| document.below(*last).end <= child) {
            end(document, last, &mut text);
        }
        match document.kind(child) {
            Kind::Element(_) => {
                start(document, child, &mut text);
                open.push(child);
            }
            Kind::Text => match document.parent(child).and_then(|p| document.html_name(p)) {
                Some(name) if is_raw(name) => text.push_str(document.text(child)),
                _ => escape(document.text(child), false, &mut text),
            },
            Kind::Comment(start, length) => {
                text.extend(["<!--", document.value(start, length), "-->"]);
            }
            Kind::Doctype(start, length) => {
                text.extend(["<!DOCTYPE ", document.value(start, length), ">"]);
            }
            Kind::Document => {}
        }
        if text.len() > bytes_max {
            return None;
        }
    }
    while let Some(last) = open.pop() {
        end(document, last, &mut text);
    }
    (text.len() <= bytes_max).then_some(text)
}

fn start(document: &Document, node: NodeId, text: &mut String) {
    let Some(element) = document.element(node) else { return };
    text.extend(["<", &element.name]);
    for (name, value) in document.attributes(node) {
        text.extend([" ", name, "=\""]);
        escape(value, true, text);
        text.push('"');
    }
    text.push('>');
}

fn end(document: &Document, node: NodeId, text: &mut String) {
    let Some(element) = document.element(node) else { return };
    if element.space != Space::Html || !is_void(&element.name) {
        text.extend(["</", &element.name, ">"]);
    }
}

/// Returns whether an element has no end tag.
fn is_void(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("area")
            | local_name!("base")
            | local_name!("basefont")
            | local_name!("bgsound")
            | local_name!("br")
            | local_name!("col")
            | local_name!("embed")
            | local_name!("frame")
            | local_name!("hr")
            | local_name!("img")
            | local_name!("input")
            | local_name!("keygen")
            | local_name!("link")
            | local_name!("meta")
            | local_name!("param")
            | local_name!("source")
            | local_name!("track")
            | local_name!("wbr")
    )
}

/// Returns whether an element's text stands as it is.
fn is_raw(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("style")
            | local_name!("script")
            | local_name!("xmp")
            | local_name!("iframe")
            | local_name!("noembed")
            | local_name!("noframes")
            | local_name!("noscript")
            | local_name!("plaintext")
    )
}

fn escape(from: &str, in_value: bool, text: &mut String) {
    let mut rest = from;
    let special = |c: char| matches!(c, '&' | '<' | '>' | '\u{a0}') || in_value && c == '"';
    while let Some(at) = rest.find(special) {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let mut after = after.chars();
        text.push_str(match after.next() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('"') => "&quot;",
            _ => "&nbsp;",
        });
        rest = after.as_str();
    }
    text.push_str(rest);
}
