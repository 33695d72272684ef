//! Forms as the HTML standard has them: which controls belong to one, which of them are successful, and
//! what they send (4.10.18 and 4.10.21).

use html5ever::{LocalName, local_name};

use super::document::{Document, NodeId, ROOT};

/// A name with its value, as a form sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Entry {
    pub(in crate::api) control: NodeId,
    pub(in crate::api) name: String,
    pub(in crate::api) value: EntryValue,
}

/// What a control sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum EntryValue {
    Text(String),
    /// A file field in which no file was chosen.
    NoFile,
}

/// The types of `input`; what is not among them is a text field.
const TYPES: &[&str] = &[
    "text",
    "hidden",
    "search",
    "tel",
    "url",
    "email",
    "password",
    "date",
    "month",
    "week",
    "time",
    "datetime-local",
    "number",
    "range",
    "color",
    "checkbox",
    "radio",
    "file",
    "submit",
    "image",
    "reset",
    "button",
];

/// Returns the type of an `input`; nothing of other elements.
pub(super) fn input_type(document: &Document, node: NodeId) -> Option<&'static str> {
    if !document.is_html(node, &local_name!("input")) {
        return None;
    }
    let wanted = document.attribute(node, &local_name!("type")).unwrap_or("text");
    Some(TYPES.iter().find(|known| wanted.eq_ignore_ascii_case(known)).unwrap_or(&"text"))
}

/// Returns the type of a `button`; nothing of other elements.
fn button_type(document: &Document, node: NodeId) -> Option<&'static str> {
    if !document.is_html(node, &local_name!("button")) {
        return None;
    }
    let wanted = document.attribute(node, &local_name!("type")).unwrap_or("submit");
    let known = ["reset", "button"].into_iter().find(|known| wanted.eq_ignore_ascii_case(known));
    Some(known.unwrap_or("submit"))
}

/// Returns whether a click on an element submits its form.
pub(in crate::api) fn is_submit(document: &Document, node: NodeId) -> bool {
    matches!(input_type(document, node), Some("submit" | "image"))
        || button_type(document, node) == Some("submit")
}

/// Returns whether an element is a button of any kind.
pub(in crate::api) fn is_button(document: &Document, node: NodeId) -> bool {
    matches!(input_type(document, node), Some("submit" | "image" | "reset" | "button"))
        || button_type(document, node).is_some()
}

/// Returns whether an element can be part of what a form sends.
pub(super) fn is_control(document: &Document, node: NodeId) -> bool {
    matches!(
        document.html_name(node),
        Some(
            &local_name!("input")
                | &local_name!("select")
                | &local_name!("textarea")
                | &local_name!("button")
        )
    )
}

/// Returns whether an element is a `select` of which several options can be selected.
pub(super) fn is_multiple(document: &Document, node: NodeId) -> bool {
    document.is_html(node, &local_name!("select")) && has(document, node, &local_name!("multiple"))
}

fn has(document: &Document, node: NodeId, name: &LocalName) -> bool {
    document.attribute(node, name).is_some()
}

/// Returns whether an element is disabled: by itself, or by what it lies in.
pub(in crate::api) fn is_disabled(document: &Document, node: NodeId) -> bool {
    if has(document, node, &local_name!("disabled")) {
        return true;
    }
    if document.is_html(node, &local_name!("option")) {
        let group = document.parent(node);
        return group.is_some_and(|group| {
            document.is_html(group, &local_name!("optgroup"))
                && has(document, group, &local_name!("disabled"))
        });
    }
    let mut inner = node;
    for outer in document.ancestors(node) {
        if document.is_html(outer, &local_name!("fieldset"))
            && has(document, outer, &local_name!("disabled"))
        {
            // What lies in its first legend stays enabled.
            let mut children = document.children(outer);
            let legend = children.find(|child| document.is_html(*child, &local_name!("legend")));
            if legend != Some(inner) {
                return true;
            }
        }
        inner = outer;
    }
    false
}

/// Returns whether a box is checked, or an option selected.
pub(super) fn is_chosen(document: &Document, node: NodeId) -> bool {
    if document.is_html(node, &local_name!("option")) {
        return match select_of(document, node) {
            Some(select) => selected(document, select).contains(&node),
            None => has(document, node, &local_name!("selected")),
        };
    }
    matches!(input_type(document, node), Some("checkbox" | "radio"))
        && has(document, node, &local_name!("checked"))
}

/// Returns the `select` that an option belongs to.
pub(super) fn select_of(document: &Document, option: NodeId) -> Option<NodeId> {
    document.ancestors(option).find(|above| document.is_html(*above, &local_name!("select")))
}

/// Returns the controls that belong to a form, in order: those that name it, and those that the parser
/// found in it, which need not lie below it (a form among table rows).
pub(in crate::api) fn controls(document: &Document, form: NodeId) -> Vec<NodeId> {
    let id = document.attribute(form, &local_name!("id")).filter(|id| {
        // The first with an id is meant.
        !(0..form).any(|node| document.attribute(node, &local_name!("id")) == Some(id))
    });
    let belongs = |node: &NodeId| match document.attribute(*node, &local_name!("form")) {
        Some(named) => id == Some(named),
        None => {
            let above = || {
                let mut above = document.ancestors(*node);
                above.find(|above| document.is_html(*above, &local_name!("form")))
            };
            document.form_of(*node).or_else(above) == Some(form)
        }
    };
    (0..document.len()).filter(|node| is_control(document, *node)).filter(belongs).collect()
}

/// Returns what a form sends, by its controls, with the button that was clicked.
pub(in crate::api) fn entries(
    document: &Document,
    controls: &[NodeId],
    clicked: Option<NodeId>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, control) in controls.iter().enumerate() {
        let (control, after) = (*control, &controls[index + 1..]);
        if !is_control(document, control)
            || is_button(document, control) && clicked != Some(control)
            || clicked != Some(control) && is_disabled(document, control)
            || is_inert(document, control)
        {
            continue;
        }
        add(document, control, after, &mut entries);
    }
    entries
}

/// Returns whether a control only stands for others: in a list of proposals, or a template.
fn is_inert(document: &Document, control: NodeId) -> bool {
    document.ancestors(control).any(|above| {
        document.is_html(above, &local_name!("datalist"))
            || document.is_html(above, &local_name!("template"))
    })
}

/// Adds what one control sends; `after` are the controls that follow.
fn add(document: &Document, control: NodeId, after: &[NodeId], entries: &mut Vec<Entry>) {
    let kind = input_type(document, control);
    let name = document.attribute(control, &local_name!("name")).unwrap_or_default();
    let mut push = |name: &str, value: EntryValue| {
        entries.push(Entry { control, name: lines(name), value });
    };
    let text = |text: &str| EntryValue::Text(lines(text));
    if kind == Some("image") {
        // Clicked at its upper left corner.
        let dot = if name.is_empty() { "" } else { "." };
        push(&format!("{name}{dot}x"), text("0"));
        push(&format!("{name}{dot}y"), text("0"));
        return;
    }
    if name.is_empty() {
        return;
    }
    match kind {
        Some("checkbox" | "radio") if !is_chosen(document, control) => return,
        // Of radio buttons with one name the last that is checked stays so.
        Some("radio") if after.iter().any(|other| is_same_choice(document, *other, name)) => return,
        Some("file") => push(name, EntryValue::NoFile),
        Some("hidden") if name.eq_ignore_ascii_case("_charset_") => push(name, text("UTF-8")),
        _ if document.is_html(control, &local_name!("select")) => {
            for option in selected(document, control) {
                if !is_disabled(document, option) {
                    push(name, text(&option_value(document, option)));
                }
            }
        }
        _ => push(name, text(&value(document, control))),
    }
    if let Some(direction) = document.attribute(control, &local_name!("dirname"))
        && !direction.is_empty()
        && (matches!(kind, Some("text" | "search" | "tel" | "url" | "email" | "hidden"))
            || document.is_html(control, &local_name!("textarea")))
    {
        push(direction, text(direction_of(document, control)));
    }
}

fn is_same_choice(document: &Document, other: NodeId, name: &str) -> bool {
    input_type(document, other) == Some("radio")
        && document.attribute(other, &local_name!("name")) == Some(name)
        && is_chosen(document, other)
}

fn direction_of(document: &Document, control: NodeId) -> &'static str {
    let directions = std::iter::once(control)
        .chain(document.ancestors(control))
        .filter_map(|node| document.attribute(node, &local_name!("dir")));
    let known = |direction: &str| {
        ["ltr", "rtl"].into_iter().find(|known| direction.eq_ignore_ascii_case(known))
    };
    directions.filter_map(known).next().unwrap_or("ltr")
}

/// Returns the value of a control that has one value at a time.
fn value(document: &Document, control: NodeId) -> String {
    let given = document.attribute(control, &local_name!("value"));
    match input_type(document, control) {
        Some("checkbox" | "radio") => given.unwrap_or("on").to_owned(),
        Some("color") => given.unwrap_or("#000000").to_owned(),
        Some("range") if given.is_none_or(|given| given.parse::<f64>().is_err()) => {
            middle(document, control)
        }
        Some("text" | "search" | "tel" | "password") => {
            given.unwrap_or_default().replace(['\n', '\r'], "")
        }
        Some("url" | "email") => {
            given.unwrap_or_default().replace(['\n', '\r'], "").trim().to_owned()
        }
        Some(_) => given.unwrap_or_default().to_owned(),
        None if document.is_html(control, &local_name!("textarea")) => {
            document.text(control).to_owned()
        }
        None => given.unwrap_or_default().to_owned(),
    }
}

/// Returns where a slider stands that nobody has moved.
fn middle(document: &Document, control: NodeId) -> String {
    let bound = |name: &LocalName, otherwise: f64| {
        let given = document.attribute(control, name);
        given
            .and_then(|given| given.parse().ok())
            .filter(|n: &f64| n.is_finite())
            .unwrap_or(otherwise)
    };
    let (least, most) = (bound(&local_name!("min"), 0.0), bound(&local_name!("max"), 100.0));
    if most < least { least.to_string() } else { (least + (most - least) / 2.0).to_string() }
}

/// Returns the options of a `select`, in order.
fn options(document: &Document, select: NodeId) -> impl Iterator<Item = NodeId> {
    document.below(select).filter(|node| document.is_html(*node, &local_name!("option")))
}

/// Returns the options of a `select` that are selected.
fn selected(document: &Document, select: NodeId) -> Vec<NodeId> {
    let marked =
        options(document, select).filter(|node| has(document, *node, &local_name!("selected")));
    if is_multiple(document, select) {
        return marked.collect();
    }
    if let Some(last) = marked.last() {
        return vec![last];
    }
    // A list that shows one row always has one selected.
    let size = document.attribute(select, &local_name!("size"));
    if size.and_then(|size| size.trim().parse::<u32>().ok()).is_some_and(|size| size > 1) {
        return Vec::new();
    }
    options(document, select).find(|node| !is_disabled(document, *node)).into_iter().collect()
}

fn option_value(document: &Document, option: NodeId) -> String {
    match document.attribute(option, &local_name!("value")) {
        Some(value) => value.to_owned(),
        None => {
            let words: Vec<&str> = document.text(option).split_ascii_whitespace().collect();
            words.join(" ")
        }
    }
}

/// The value of an element that can have one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// None: it is no control.
    Nothing,
    One(String),
    Many(Vec<String>),
}

/// Returns the value of a control or option.
pub(super) fn held(document: &Document, node: NodeId) -> Held {
    match document.html_name(node) {
        Some(&local_name!("option")) => Held::One(option_value(document, node)),
        Some(&local_name!("select")) => {
            let mut values =
                selected(document, node).into_iter().map(|o| option_value(document, o));
            if is_multiple(document, node) {
                Held::Many(values.collect())
            } else {
                values.next().map_or(Held::Nothing, Held::One)
            }
        }
        Some(&local_name!("input") | &local_name!("button") | &local_name!("textarea")) => {
            Held::One(value(document, node))
        }
        _ => Held::Nothing,
    }
}

/// Returns a text with the line breaks that forms send: CR LF.
pub(in crate::api) fn lines(text: &str) -> String {
    if !text.contains(['\r', '\n']) {
        return text.to_owned();
    }
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Returns what the document's URLs are relative to: its first `base`.
pub(in crate::api) fn base(document: &Document) -> Option<&str> {
    let bases = document.below(ROOT).filter(|node| document.is_html(*node, &local_name!("base")));
    bases.filter_map(|node| document.attribute(node, &local_name!("href"))).next()
}

/// Returns whether a node is a form.
pub(in crate::api) fn is_form(document: &Document, node: NodeId) -> bool {
    document.is_html(node, &local_name!("form"))
}

/// How a form is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Sending {
    /// In the URL's query.
    Query,
    /// In a body of this encoding.
    Body(Encoding),
    /// Not at all: it closes a dialog.
    Dialog,
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Encoding {
    UrlEncoded,
    Multipart,
    Plain,
}

/// Returns how a form is sent when a button is clicked, whose own attributes come first.
pub(in crate::api) fn sending(
    document: &Document,
    form: NodeId,
    clicked: Option<NodeId>,
) -> Sending {
    let method =
        either(document, form, clicked, &local_name!("formmethod"), &local_name!("method"));
    let method = method.unwrap_or_default();
    if method.eq_ignore_ascii_case("dialog") {
        return Sending::Dialog;
    }
    if !method.eq_ignore_ascii_case("post") {
        return Sending::Query;
    }
    let encoding =
        either(document, form, clicked, &local_name!("formenctype"), &local_name!("enctype"));
    let encoding = encoding.unwrap_or_default();
    Sending::Body(if encoding.eq_ignore_ascii_case("multipart/form-data") {
        Encoding::Multipart
    } else if encoding.eq_ignore_ascii_case("text/plain") {
        Encoding::Plain
    } else {
        Encoding::UrlEncoded
    })
}

/// Returns where a form is sent to when a button is clicked; empty for where it came from.
pub(in crate::api) fn action(document: &Document, form: NodeId, clicked: Option<NodeId>) -> &str {
    let action =
        either(document, form, clicked, &local_name!("formaction"), &local_name!("action"));
    action.unwrap_or_default().trim()
}

fn either<'d>(
    document: &'d Document,
    form: NodeId,
    clicked: Option<NodeId>,
    of_button: &LocalName,
    of_form: &LocalName,
) -> Option<&'d str> {
    let own = clicked.and_then(|button| document.attribute(button, of_button));
    own.or_else(|| document.attribute(form, of_form))
}

/// Returns the button that is clicked where the author names none: the first that submits.
pub(in crate::api) fn default_button(document: &Document, controls: &[NodeId]) -> Option<NodeId> {
    let mut all = controls.iter().copied();
    all.find(|node| is_submit(document, *node) && !is_disabled(document, *node))
}

/// Returns what the boxes of a name send if they are checked.
pub(in crate::api) fn boxes(document: &Document, controls: &[NodeId], name: &str) -> Vec<String> {
    let boxes = controls.iter().copied().filter(|control| {
        input_type(document, *control) == Some("checkbox")
            && document.attribute(*control, &local_name!("name")) == Some(name)
            && !is_disabled(document, *control)
    });
    boxes.map(|control| value(document, control)).collect()
}

/// Returns where a link leads, as it is written.
pub(in crate::api) fn link(document: &Document, node: NodeId) -> Option<&str> {
    document.attribute(node, &local_name!("href")).map(str::trim)
}
