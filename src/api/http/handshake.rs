//! What other protocols' handshakes have in common with requests: an address, params, how facts of
//! an answer are shown.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::params::Params;
use super::response;
use super::session::Session;
use super::url::{Address, Place, RecentUrls, Template};
use super::way::Way;
use crate::api::{ApiError, Fields, Object, Value, VuContext};
use crate::plan::HttpDebug;
use crate::protocol::{Auth, CookieJar, Destination, Headers, Response, Timings, Via};

/// Names and values.
pub(in crate::api) type Tags = Vec<(String, String)>;

/// Where a handshake goes.
#[derive(Clone)]
pub(in crate::api) struct Target {
    /// What the author's text leads to, or why it leads nowhere.
    pub(in crate::api) destination: Result<Rc<Destination>, String>,
    /// The text.
    pub(in crate::api) text: String,
    /// The template that it was made of: `/users/{id}`.
    pub(in crate::api) name: Option<String>,
}

/// The named arguments of a handshake.
pub(in crate::api) struct Common {
    pub(in crate::api) headers: Headers,
    pub(in crate::api) jar: Rc<RefCell<CookieJar>>,
    pub(in crate::api) tags: Tags,
    pub(in crate::api) name: Option<String>,
    pub(in crate::api) timeout: Duration,
    pub(in crate::api) throw: bool,
    /// How it proves whose it is, and leads to the server.
    pub(in crate::api) auth: Option<Auth>,
    pub(in crate::api) via: Via,
}

/// Returns whether an address has one of these schemes.
pub(in crate::api) fn is_of(value: &Value, (plain, secure): (&str, &str)) -> bool {
    let text = match value {
        Value::Text(text) => text.to_str().into_owned(),
        Value::Object(object) => object.describe(),
        _ => return false,
    };
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.eq_ignore_ascii_case(plain) || scheme.eq_ignore_ascii_case(secure)
    })
}

/// Reads an address: a URL, or what `http.url` made. The schemes are another protocol's, with and
/// without TLS; HTTP's are taken too, as they lead to the same place.
pub(in crate::api) fn target(
    value: &Value,
    (plain, secure): (&str, &str),
    urls: &RefCell<RecentUrls>,
) -> Option<Target> {
    let (text, name) = match value {
        Value::Text(text) => (text.to_str().into_owned(), None),
        Value::Object(object) => {
            let template = object.downcast_ref::<Template>()?;
            (template.describe(), Some(template.name().to_owned()))
        }
        _ => return None,
    };
    let is = |known: &str, scheme: &str| scheme.eq_ignore_ascii_case(known);
    let destination = match text.split_once("://") {
        Some((scheme, rest)) if is(plain, scheme) || is("http", scheme) => {
            find(&format!("http://{rest}"), urls)
        }
        Some((scheme, rest)) if is(secure, scheme) || is("https", scheme) => {
            find(&format!("https://{rest}"), urls)
        }
        Some((scheme, _)) => {
            Err(format!("invalid URL: the scheme {scheme} is not {plain} or {secure}"))
        }
        None => {
            Err(format!("invalid URL: it needs a scheme and a host, as in {plain}://host/path"))
        }
    };
    Some(Target { destination, text, name })
}

fn find(text: &str, urls: &RefCell<RecentUrls>) -> Result<Rc<Destination>, String> {
    match Address::read(&Value::text(text), None, urls).map(|address| address.place) {
        Some(Place::Known(destination)) => Ok(destination),
        Some(Place::Nowhere(nowhere)) => Err(nowhere.why.clone()),
        None => Err("invalid URL".to_owned()),
    }
}

/// Reads the named arguments that a handshake shares with requests: headers, cookies, jar, tags,
/// name, timeout, auth, tls, proxy, socket, throw.
///
/// # Errors
/// If one is not what it must be.
pub(in crate::api) fn params(
    vu: &Rc<VuContext>,
    fields: &mut Fields,
    destination: Option<&Destination>,
) -> Result<Common, ApiError> {
    let Params { mut headers, cookies, jar, tags, name, timeout, throw, way, .. } =
        Params::read(vu, fields, None)?;
    let (auth, via) = way.into_parts();
    let jar = jar.map_or_else(|| Rc::clone(&vu.cookies), |jar| Rc::clone(&jar.0));
    if let (Some(url), false) = (destination, cookies.is_empty()) {
        super::send::add_cookies(&mut headers, cookies, &jar.borrow(), url)?;
    }
    let plan = &vu.worker.http;
    Ok(Common {
        headers,
        jar,
        tags,
        name,
        timeout: timeout.unwrap_or(plan.timeout),
        throw: throw.unwrap_or(plan.throw),
        auth,
        via,
    })
}

/// Reads what one use of a connection has for itself: tags, over those of the connection, and a
/// timeout.
///
/// # Errors
/// If one is not what it must be.
pub(in crate::api) fn narrowed(
    vu: &Rc<VuContext>,
    fields: &mut Fields,
    tags: &[(String, String)],
) -> Result<(Tags, Option<Duration>), ApiError> {
    let defaults = Session {
        base_url: None,
        headers: Headers::new(),
        tags: tags.to_vec(),
        timeout: None,
        way: Way::default(),
    };
    let Params { tags, timeout, .. } = Params::read(vu, fields, Some(&defaults))?;
    Ok((tags, timeout))
}

/// Returns headers as scripts see them.
pub(in crate::api) fn headers(headers: &Headers) -> Value {
    Value::object(response::Headers(headers.clone()))
}

/// Returns times as scripts see them.
pub(in crate::api) fn timings(timings: &Timings) -> Value {
    response::timings(timings)
}

/// Sends what `--http-debug` shows of an answer on its way.
pub(in crate::api) fn debug(vu: &VuContext, response: &Response) {
    let mode = vu.worker.http.debug;
    if mode != HttpDebug::Off {
        super::send::debug(vu, response, mode);
    }
}
