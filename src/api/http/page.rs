//! A response as a page: what is found in it, its forms sent, its links followed.

use std::rc::Rc;

use ::url::form_urlencoded::Serializer;

use super::body::{Body, File};
use super::params::{self, Params};
use super::response::Answered;
use super::url::{Address, Place};
use super::{Call, answer};
use crate::api::html::form::{self, Encoding, EntryValue, Sending};
use crate::api::html::{self, Document, NodeId};
use crate::api::{ApiError, Args, Fields, Map, Value, VuContext, Wait};

/// Names and values that a form sends.
type Pairs = Vec<(String, Value)>;

impl Answered {
    /// `response:html(selector?)`
    pub(super) fn html(&self, vu: &VuContext, args: &mut Args) -> Result<Value, ApiError> {
        let selector = args.optional_text(0)?;
        let document = self.document(vu, &args.call)?;
        html::select(&args.call, document, selector.as_ref().map(|text| text.to_str()).as_deref())
    }

    /// `response:click_link{ selector = "a[href]", params = {...} }`
    pub(super) fn click_link(&self, vu: &Rc<VuContext>, args: &mut Args) -> Result<Wait, ApiError> {
        let mut fields = args.fields(0, &["selector", "params"])?;
        let place = &args.call;
        let document = self.document(vu, place)?;
        let selector = text(&mut fields, "selector")?.unwrap_or_else(|| "a[href]".to_owned());
        let node = self.first(place, &document, &selector)?;
        let href = form::link(&document, node).ok_or_else(|| {
            ApiError::usage(format!(
                "{place}: what \"{selector}\" finds in {} has no `href`",
                self.url.as_str()
            ))
        })?;
        let url = self.resolved(place, &document, href)?;
        let params = read_params(vu, place, &mut fields)?;
        request(vu, place, http::Method::GET, &url, Body::default(), params)
    }

    /// `response:submit_form{ form_selector = "form", submit_selector = ..., fields = {...},
    /// params = {...} }`
    pub(super) fn submit_form(
        &self,
        vu: &Rc<VuContext>,
        args: &mut Args,
    ) -> Result<Wait, ApiError> {
        let names = &["form_selector", "submit_selector", "fields", "params"];
        let mut fields = args.fields(0, names)?;
        let place = &args.call;
        let document = self.document(vu, place)?;
        let selector = text(&mut fields, "form_selector")?.unwrap_or_else(|| "form".to_owned());
        let form = self.first(place, &document, &selector)?;
        if !form::is_form(&document, form) {
            return Err(ApiError::usage(format!(
                "{place}: what \"{selector}\" finds in {} is no form",
                self.url.as_str()
            )));
        }
        let controls = form::controls(&document, form);
        let button = match text(&mut fields, "submit_selector")? {
            Some(selector) => Some(self.button(place, &document, &controls, &selector)?),
            None => form::default_button(&document, &controls),
        };
        let mut pairs = pairs(&document, &controls, button);
        for (name, value) in fields.map("fields")?.unwrap_or_default() {
            fill(&mut pairs, &document, &controls, &name, value);
        }
        let action = form::action(&document, form, button);
        let mut url = match action {
            "" => self.url.as_str().to_owned(),
            action => self.resolved(place, &document, action)?,
        };
        let (method, body) = match form::sending(&document, form, button) {
            Sending::Dialog => {
                return Err(ApiError::usage(format!(
                    "{place}: the form closes a dialog (its method is `dialog`): nothing is sent"
                )));
            }
            Sending::Query => {
                let query = url_encoded(place, &pairs)?;
                if let Ok(mut parsed) = ::url::Url::parse(&url) {
                    parsed.set_query(Some(&query));
                    url = parsed.into();
                }
                (http::Method::GET, Body::default())
            }
            Sending::Body(encoding) => (http::Method::POST, body(vu, place, encoding, pairs)?),
        };
        let params = read_params(vu, place, &mut fields)?;
        request(vu, place, method, &url, body, params)
    }

    /// Returns the body as a document, which is parsed once.
    fn document(&self, vu: &VuContext, place: &str) -> Result<Rc<Document>, ApiError> {
        if let Some(known) = self.document.get() {
            return Ok(Rc::clone(known));
        }
        let document = Rc::new(html::document(vu, place, self.read_body(place)?)?);
        Ok(Rc::clone(self.document.get_or_init(|| document)))
    }

    /// Returns the first element that a selector finds.
    fn first(
        &self,
        place: &str,
        document: &Rc<Document>,
        selector: &str,
    ) -> Result<NodeId, ApiError> {
        html::find(place, document, selector)?.first().copied().ok_or_else(|| {
            ApiError::usage(format!(
                "{place}: \"{selector}\" finds nothing in {}",
                self.url.as_str()
            ))
        })
    }

    /// Returns the first of a form's buttons that a selector finds.
    fn button(
        &self,
        place: &str,
        document: &Rc<Document>,
        controls: &[NodeId],
        selector: &str,
    ) -> Result<NodeId, ApiError> {
        let found = html::find(place, document, selector)?;
        let button =
            found.iter().find(|node| controls.contains(node) && form::is_button(document, **node));
        button.copied().ok_or_else(|| {
            ApiError::usage(format!(
                "{place}: \"{selector}\" finds no button of the form in {}",
                self.url.as_str()
            ))
        })
    }

    /// Returns a URL of the page as it is written if it leads nowhere, and else as a whole: relative to
    /// the page's `base`, or to where the page came from.
    fn resolved(
        &self,
        place: &str,
        document: &Document,
        reference: &str,
    ) -> Result<String, ApiError> {
        let Place::Known(from) = &self.url else {
            return Err(ApiError::usage(format!("{place}: the response has no URL")));
        };
        let base = form::base(document).and_then(|base| from.join(base.trim()).ok());
        let url = base.as_ref().unwrap_or(from).join(reference);
        Ok(url.map_or_else(|_| reference.to_owned(), String::from))
    }
}

fn text(fields: &mut Fields, name: &str) -> Result<Option<String>, ApiError> {
    Ok(fields.text(name)?.map(|text| text.to_str().into_owned()))
}

fn read_params(
    vu: &Rc<VuContext>,
    place: &str,
    fields: &mut Fields,
) -> Result<Option<Box<Params>>, ApiError> {
    let Some(map) = fields.map("params")?.filter(|map| !map.is_empty()) else { return Ok(None) };
    let mut fields = Fields::new(format!("{place}: params"), map, params::NAMES)?;
    Ok(Some(Box::new(Params::read(vu, &mut fields, None)?)))
}

fn request(
    vu: &Rc<VuContext>,
    place: &str,
    method: http::Method,
    url: &str,
    body: Body,
    params: Option<Box<Params>>,
) -> Result<Wait, ApiError> {
    let address = Address::read(&url.into(), None, &vu.worker.urls).expect("it is text");
    Ok(answer(vu, Call::new(place, method, address, body, params)?))
}

/// Returns what a form sends before anything is filled in.
fn pairs(document: &Document, controls: &[NodeId], button: Option<NodeId>) -> Pairs {
    let entries = form::entries(document, controls, button).into_iter();
    let pairs = entries.map(|entry| match entry.value {
        EntryValue::Text(text) => (entry.name, text.into()),
        EntryValue::NoFile => (entry.name, Value::object(File::none())),
    });
    pairs.collect()
}

/// Fills a field in: in the place of what was there, or at the end. A list sends a name several times,
/// nothing takes it away; `true` and `false` check and uncheck boxes.
fn fill(pairs: &mut Pairs, document: &Document, controls: &[NodeId], name: &str, value: Value) {
    let boxes = match value {
        Value::Bool(_) => form::boxes(document, controls, name),
        _ => Vec::new(),
    };
    let values: Vec<Value> = match value {
        Value::Nil | Value::Null => Vec::new(),
        Value::Bool(checked) if !boxes.is_empty() => {
            boxes.into_iter().filter(|_| checked).map(Value::from).collect()
        }
        Value::List(list) => list,
        Value::Map(map) if map.is_empty() => Vec::new(),
        Value::Text(text) => vec![form::lines(&text.to_str()).into()],
        other => vec![other],
    };
    let at = pairs.iter().position(|(known, _)| known == name).unwrap_or(pairs.len());
    pairs.retain(|(known, _)| known != name);
    let filled = values.into_iter().map(|value| (name.to_owned(), value));
    pairs.splice(at..at, filled);
}

fn url_encoded(place: &str, pairs: &Pairs) -> Result<String, ApiError> {
    let mut text = Serializer::new(String::new());
    for (name, value) in pairs {
        text.append_pair(name, &plain(place, name, value)?);
    }
    Ok(text.finish())
}

fn body(
    vu: &Rc<VuContext>,
    place: &str,
    encoding: Encoding,
    pairs: Pairs,
) -> Result<Body, ApiError> {
    let (text, content_type) = match encoding {
        Encoding::Multipart => {
            let parts: Map = pairs.into_iter().collect();
            let body = [("multipart", Value::Map(parts))].into_iter().collect();
            return Body::read(vu, place, Value::Map(body));
        }
        Encoding::UrlEncoded => (url_encoded(place, &pairs)?, "application/x-www-form-urlencoded"),
        Encoding::Plain => {
            let mut text = String::new();
            for (name, value) in &pairs {
                text.extend([name, "=", &plain(place, name, value)?, "\r\n"]);
            }
            (text, "text/plain")
        }
    };
    Ok(Body { bytes: text.into(), content_type: Some(content_type.to_owned()), ..Body::default() })
}

/// Returns a field's value as text; a file is its name where files cannot be sent.
fn plain(place: &str, name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::Text(_) | Value::Int(_) | Value::Number(_) | Value::Bool(_) => {
            crate::api::args::tag(place, name, value)
        }
        Value::Object(object) if let Some(file) = object.downcast_ref::<File>() => {
            Ok(file.name().to_owned())
        }
        other => Err(ApiError::usage(format!(
            "{place}: fields: `{name}` must be a string, a number, a boolean, a list or a file, got {}",
            other.type_name()
        ))),
    }
}
