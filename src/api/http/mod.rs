//! The module `kingtide/http`: requests of every kind, and what they answer.

use std::rc::Rc;

use self::params::Params;
pub use self::seen::RequestSeen;
use self::url::Address;
pub use self::url::RecentUrls;
use super::{ApiError, Args, Function, Module, Run, VuContext, Wait};

mod auth;
mod batch;
mod body;
mod carrier;
mod cookies;
mod expect;
pub(in crate::api) mod handshake;
mod multipart;
mod page;
mod params;
mod response;
mod seen;
mod send;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod way;

pub(super) const MODULE: Module = Module {
    name: "http",
    functions: &[
        Function { name: "get", params: &["url", "params?"], run: Run::Wait(get) },
        Function { name: "head", params: &["url", "params?"], run: Run::Wait(head) },
        Function { name: "options", params: &["url", "params?"], run: Run::Wait(options) },
        Function { name: "post", params: &["url", "body?", "params?"], run: Run::Wait(post) },
        Function { name: "put", params: &["url", "body?", "params?"], run: Run::Wait(put) },
        Function { name: "patch", params: &["url", "body?", "params?"], run: Run::Wait(patch) },
        Function { name: "del", params: &["url", "body?", "params?"], run: Run::Wait(del) },
        Function {
            name: "request",
            params: &["method", "url", "body?", "params?"],
            run: Run::Wait(request),
        },
        Function { name: "batch", params: &["requests"], run: Run::Wait(batch::batch) },
        Function { name: "url", params: &["template", "values?"], run: Run::Now(url::template) },
        Function { name: "file", params: &["data", "name?", "type?"], run: Run::Now(body::file) },
        Function {
            name: "expected_statuses",
            params: &["..."],
            run: Run::Now(expect::expected_statuses),
        },
        Function {
            name: "set_response_callback",
            params: &["expected"],
            run: Run::Now(expect::set_response_callback),
        },
        Function { name: "cookie_jar", params: &[], run: Run::Now(cookies::cookie_jar) },
        Function { name: "new_cookie_jar", params: &[], run: Run::Now(cookies::new_cookie_jar) },
        Function { name: "session", params: &["defaults?"], run: Run::Now(session::session) },
    ],
    constants: &[],
};

pub(super) use self::auth::AWS_NAMES;
pub(super) use self::carrier::{Carried, Carrier, Extra};
pub(super) use self::cookies::METHODS as JAR_METHODS;
pub(super) use self::params::NAMES as PARAM_NAMES;
pub(super) use self::response::{
    FIELDS as RESPONSE_FIELDS, HEADERS_METHODS, METHODS as RESPONSE_METHODS,
};
pub(super) use self::session::{METHODS as SESSION_METHODS, NAMES as SESSION_NAMES};

/// The verbs as functions and methods: name, HTTP method, whether a body follows the URL.
const VERBS: &[(&str, &str, bool)] = &[
    ("get", "GET", false),
    ("head", "HEAD", false),
    ("options", "OPTIONS", false),
    ("post", "POST", true),
    ("put", "PUT", true),
    ("patch", "PATCH", true),
    ("del", "DELETE", true),
];

fn get(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::GET, false)
}

fn head(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::HEAD, false)
}

fn options(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::OPTIONS, false)
}

fn post(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::POST, true)
}

fn put(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::PUT, true)
}

fn patch(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::PATCH, true)
}

fn del(vu: &Rc<VuContext>, args: Args) -> Result<Wait, ApiError> {
    verb(vu, args, http::Method::DELETE, true)
}

fn request(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let method = method(&args.call.clone(), &args.text(0)?.to_str())?;
    let call = Call::read(vu, &mut args, 1, method, true, None)?;
    Ok(answer(vu, call))
}

fn verb(
    vu: &Rc<VuContext>,
    mut args: Args,
    method: http::Method,
    has_body: bool,
) -> Result<Wait, ApiError> {
    let call = Call::read(vu, &mut args, 0, method, has_body, None)?;
    Ok(answer(vu, call))
}

/// Reads an HTTP method, in any case.
fn method(place: &str, name: &str) -> Result<http::Method, ApiError> {
    http::Method::from_bytes(name.to_ascii_uppercase().as_bytes())
        .map_err(|_| ApiError::usage(format!("{place}: \"{name}\" is no HTTP method")))
}

/// Sends a call and answers with its response.
fn answer(vu: &Rc<VuContext>, call: Call) -> Wait {
    Box::pin(send::send(Rc::clone(vu), call))
}

/// What one call asks for, read and checked, ready to be sent.
struct Call {
    method: http::Method,
    address: Address,
    body: body::Body,
    /// Boxed, as most calls have none: what a call holds moves into the future that it waits for.
    params: Option<Box<Params>>,
}

impl Call {
    /// Reads URL, body and params from position `first` on, over a session's defaults.
    fn read(
        vu: &Rc<VuContext>,
        args: &mut Args,
        first: usize,
        method: http::Method,
        has_body: bool,
        session: Option<&session::Session>,
    ) -> Result<Self, ApiError> {
        super::kingtide::not_while_loading(vu, "requests cannot be made")?;
        let address = args.take(first);
        let base = session.and_then(|session| session.base_url.as_deref());
        let address = Address::read(&address, base, &vu.worker.urls)
            .ok_or_else(|| args.wrong(first, "a string or http.url(...)", &address))?;
        let (body, at) = if has_body {
            let body = args.take(first + 1);
            (body::Body::read(vu, &args.call, body)?, first + 2)
        } else {
            (body::Body::default(), first + 1)
        };
        let mut fields = args.fields(at, params::NAMES)?;
        let params = if fields.is_empty() && session.is_none() {
            None
        } else {
            Some(Box::new(Params::read(vu, &mut fields, session)?))
        };
        Self::new(&args.call, method, address, body, params)
    }

    /// Returns a call.
    ///
    /// # Errors
    /// If its params ask for what cannot be done to a body that is not in memory.
    fn new(
        place: &str,
        method: http::Method,
        address: Address,
        body: body::Body,
        params: Option<Box<Params>>,
    ) -> Result<Self, ApiError> {
        let params_of_upload = params.as_ref().filter(|_| body.upload.is_some());
        let refused = params_of_upload.and_then(|params| match params.way.refuses_uploads() {
            None if params.compression.is_empty() => None,
            None => Some("`compression` needs a body in memory: send a file that is packed"),
            refused => refused,
        });
        match refused {
            Some(why) => Err(ApiError::usage(format!("{place}: params: {why}"))),
            None => Ok(Self { method, address, body, params }),
        }
    }
}
