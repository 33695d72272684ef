//! Where a request goes: a URL, and the name of its row in the results.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use url::Url;

use crate::api::{ApiError, Args, Object, Text, Value, VuContext};

/// Where a request goes, as the author gave it.
pub(super) struct Address {
    /// The URL's text.
    pub(super) text: Text,
    /// The template that it was made of: `/users/{id}`.
    pub(super) name: Option<String>,
}

impl Address {
    /// Reads a URL or what `http.url` made, relative to a session's base.
    pub(super) fn read(value: &Value, base: Option<&str>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(Self { text: joined(base, text), name: None }),
            Value::Object(object) => {
                let template = object.as_any().downcast_ref::<Template>()?;
                Some(Self {
                    text: joined(base, &template.text.as_str().into()),
                    name: Some(joined(base, &template.name.as_str().into()).to_str().into_owned()),
                })
            }
            _ => None,
        }
    }

    /// Returns the URL, parsed now or not long ago.
    pub(super) fn parse(&self, recent: &RefCell<RecentUrls>) -> Result<Url, String> {
        let text = self.text.to_str();
        if let Some(url) = recent.borrow().0.get(&*text) {
            return Ok(url.clone());
        }
        let url = parse(&text)?;
        let mut recent = recent.borrow_mut();
        if recent.0.len() >= RECENT_MAX {
            recent.0.clear();
        }
        recent.0.insert(text.as_ref().into(), url.clone());
        Ok(url)
    }
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

/// URLs that a worker parsed not long ago: most scripts ask for few, and parsing one (with its
/// host's internationalisation rules) costs a tenth of a request.
#[derive(Debug, Default)]
pub struct RecentUrls(hashbrown::HashMap<Box<str>, Url>);

/// Returns a URL relative to a session's base: absolute ones stay as they are.
fn joined(base: Option<&str>, text: &Text) -> Text {
    let Some(base) = base else { return text.clone() };
    match &*text.to_str() {
        relative if !relative.contains("://") => {
            let text = relative;
            let slash = if text.is_empty() || text.starts_with(['/', '?']) { "" } else { "/" };
            format!("{}{slash}{text}", base.trim_end_matches('/')).into()
        }
        _ => text.clone(),
    }
}

/// Returns the default name of a URL: without query, fragment and user.
pub(super) fn name_of(url: &Url) -> Cow<'_, str> {
    let text = url.as_str();
    if url.query().is_none() && url.fragment().is_none() && url.username().is_empty() {
        return Cow::Borrowed(text);
    }
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    Cow::Owned(format!("{}://{authority}{}", url.scheme(), url.path()))
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

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_out_query_fragment_and_user() {
        let name = |text| name_of(&Url::parse(text).unwrap()).into_owned();
        assert_eq!(name("http://a/b?c=1#d"), "http://a/b");
        assert_eq!(name("http://u:p@a:81/b"), "http://a:81/b");
        assert_eq!(name("http://a/b"), "http://a/b");
    }

    #[test]
    fn a_base_is_put_before_what_is_relative() {
        assert_eq!(joined(Some("http://a/v1/"), &"x".into()), Text::from("http://a/v1/x"));
        assert_eq!(joined(Some("http://a"), &"/x?y".into()), Text::from("http://a/x?y"));
        assert_eq!(joined(Some("http://a"), &"https://b/x".into()), Text::from("https://b/x"));
        assert_eq!(joined(None, &"http://b".into()), Text::from("http://b"));
    }
}
