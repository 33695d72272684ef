//! Where a request goes: a URL, and the name of its row in the results.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use url::Url;

use crate::api::{ApiError, Args, Object, Value, VuContext};
use crate::protocol::Destination;

/// Where a request goes.
pub(super) struct Address {
    /// What the author's text leads to.
    pub(super) place: Place,
    /// The template that it was made of: `/users/{id}`.
    pub(super) name: Option<String>,
}

/// What a URL's text leads to.
#[derive(Clone)]
pub(super) enum Place {
    Known(Rc<Destination>),
    Nowhere(Rc<Nowhere>),
}

/// Text that is no URL of HTTP's, and why.
pub(super) struct Nowhere {
    pub(super) text: String,
    pub(super) why: String,
}

impl Address {
    /// Reads a URL or what `http.url` made, relative to a session's base.
    pub(super) fn read(
        value: &Value,
        base: Option<&str>,
        recent: &RefCell<RecentUrls>,
    ) -> Option<Self> {
        match value {
            Value::Text(text) => {
                Some(Self { place: find(&joined(base, &text.to_str()), recent), name: None })
            }
            Value::Object(object) => {
                let template = object.downcast_ref::<Template>()?;
                Some(Self {
                    place: find(&joined(base, &template.text), recent),
                    name: Some(joined(base, &template.name).into_owned()),
                })
            }
            _ => None,
        }
    }
}

impl Place {
    /// Returns the URL as text, or what stands in its place.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(destination) => destination.as_str(),
            Self::Nowhere(nowhere) => &nowhere.text,
        }
    }
}

/// Returns where a URL's text leads, found out now or not long ago.
fn find(text: &str, recent: &RefCell<RecentUrls>) -> Place {
    if let Some(known) = recent.borrow().0.get(text) {
        return Place::Known(Rc::clone(known));
    }
    let destination = match parse(text) {
        Ok(url) => Rc::new(Destination::new(url)),
        Err(why) => return Place::Nowhere(Rc::new(Nowhere { text: text.to_owned(), why })),
    };
    let mut recent = recent.borrow_mut();
    if recent.0.len() >= RECENT_MAX {
        recent.0.clear();
    }
    recent.0.insert(text.into(), Rc::clone(&destination));
    Place::Known(destination)
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => {
            "invalid URL: it needs a scheme and a host, as in http://host/path".to_owned()
        }
        other => format!("invalid URL: {other}"),
    })?;
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        "http" | "https" => Err("invalid URL: it has no host".to_owned()),
        other => Err(format!("invalid URL: the scheme {other} is not http or https")),
    }
}

/// Most URLs that a worker remembers parsed.
const RECENT_MAX: usize = 1_024;

/// Destinations of not long ago, by the text that leads to them: most scripts ask for few, and
/// parsing a URL (with its host's internationalisation rules) costs a tenth of a request.
#[derive(Debug, Default)]
pub struct RecentUrls(hashbrown::HashMap<Box<str>, Rc<Destination>>);

/// Returns a URL relative to a session's base: absolute ones stay as they are.
fn joined<'t>(base: Option<&str>, text: &'t str) -> Cow<'t, str> {
    let Some(base) = base.filter(|_| !text.contains("://")) else { return Cow::Borrowed(text) };
    let slash = if text.is_empty() || text.starts_with(['/', '?']) { "" } else { "/" };
    Cow::Owned(format!("{}{slash}{text}", base.trim_end_matches('/')))
}

/// A URL made of a template: its values in the URL, the template in the name.
pub(super) struct Template {
    text: String,
    name: String,
}

/// `http.url("/users/{id}", {id = 7})`
pub(super) fn template(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let template = args.text(0)?.to_str().into_owned();
    let values = match args.take(1) {
        Value::Nil | Value::Null => Value::Nil,
        value @ (Value::Map(_) | Value::List(_)) => value,
        other => return Err(args.wrong(1, "a table of values", &other)),
    };
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template.as_str();
    let mut used = 0;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|at| open + at) else {
            return Err(ApiError::usage(format!("http.url: \"{template}\" has a {{ without a }}")));
        };
        let name = &rest[open + 1..close];
        let value = match &values {
            Value::Map(map) => map.get(name),
            Value::List(list) => list.get(used),
            _ => None,
        };
        let Some(value) = value.filter(|value| !value.is_nil()) else {
            return Err(ApiError::usage(format!(
                "http.url: there is no value for {{{name}}} of \"{template}\""
            )));
        };
        text.push_str(&rest[..open]);
        let value = crate::api::args::tag("http.url", name, value)?;
        text.extend(url::form_urlencoded::byte_serialize(value.as_bytes()).map(|part| {
            // Paths know no `+` for a space.
            if part == "+" { "%20" } else { part }
        }));
        used += 1;
        rest = &rest[close + 1..];
    }
    text.push_str(rest);
    Ok(Value::object(Template { text, name: template }))
}

impl Template {
    /// Returns the template, which names the requests.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Object for Template {
    fn type_name(&self) -> &'static str {
        "url"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(match field {
            "url" => Some(self.text.as_str().into()),
            "name" => Some(self.name.as_str().into()),
            _ => None,
        })
    }

    fn fields(&self) -> &'static [&'static str] {
        &["url", "name"]
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parsed_once_and_the_memory_of_it_is_bounded() {
        let recent = RefCell::default();
        let known = |text: &str| match find(text, &recent) {
            Place::Known(destination) => destination,
            Place::Nowhere(nowhere) => panic!("{}", nowhere.why),
        };
        assert!(Rc::ptr_eq(&known("http://a/1"), &known("http://a/1")));
        for number in 0..2 * RECENT_MAX {
            known(&format!("http://a/{number}"));
        }
        assert!(recent.borrow().0.len() <= RECENT_MAX);
        assert!(matches!(find("/x", &recent), Place::Nowhere(_)));
        assert!(!recent.borrow().0.contains_key("/x"));
    }

    #[test]
    fn a_base_is_put_before_what_is_relative() {
        assert_eq!(joined(Some("http://a/v1/"), "x"), "http://a/v1/x");
        assert_eq!(joined(Some("http://a"), "/x?y"), "http://a/x?y");
        assert_eq!(joined(Some("http://a"), "https://b/x"), "https://b/x");
        assert_eq!(joined(None, "http://b"), "http://b");
    }
}
