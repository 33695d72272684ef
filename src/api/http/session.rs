//! Sessions: a base URL, headers, tags and a timeout for all requests made through one.

use std::rc::Rc;
use std::time::Duration;

use super::way::Way;
use super::{Call, VERBS};
use crate::api::{Answer, ApiError, Args, Method, Object, Value, VuContext};
use crate::protocol::Headers;

const VERB_PARAMS: &[&str] = &["url", "params?"];
const VERB_BODY_PARAMS: &[&str] = &["url", "body?", "params?"];

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "get", params: VERB_PARAMS, waits: true },
    Method { name: "head", params: VERB_PARAMS, waits: true },
    Method { name: "options", params: VERB_PARAMS, waits: true },
    Method { name: "post", params: VERB_BODY_PARAMS, waits: true },
    Method { name: "put", params: VERB_BODY_PARAMS, waits: true },
    Method { name: "patch", params: VERB_BODY_PARAMS, waits: true },
    Method { name: "del", params: VERB_BODY_PARAMS, waits: true },
    Method { name: "request", params: &["method", "url", "body?", "params?"], waits: true },
];

/// Defaults for requests.
pub(super) struct Session {
    pub(super) base_url: Option<String>,
    pub(super) headers: Headers,
    pub(super) tags: Vec<(String, String)>,
    pub(super) timeout: Option<Duration>,
    pub(super) way: Way,
}

/// The names of a session's defaults.
pub(in crate::api) const NAMES: &[&str] =
    &["base_url", "headers", "tags", "timeout", "auth", "tls", "proxy", "socket"];

/// `http.session{ base_url = ..., headers = ..., tags = ..., timeout = ..., auth = ..., ... }`
pub(super) fn session(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut fields = args.fields(0, NAMES)?;
    let mut headers = Headers::new();
    if let Some(map) = fields.map("headers")? {
        super::params::read_headers(&fields.place, &map, &mut headers)?;
    }
    let mut way = Way::default();
    way.read(vu, &mut fields, &mut headers)?;
    Ok(Value::object(Session {
        way,
        base_url: fields.text("base_url")?.map(|text| text.to_str().into_owned()),
        headers,
        tags: fields.tags("tags")?,
        timeout: fields.duration("timeout")?,
    }))
}

impl Object for Session {
    fn type_name(&self) -> &'static str {
        "session"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok((field == "base_url").then(|| self.base_url.as_deref().map(Value::from).into()))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["base_url"]
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let known = VERBS.iter().find(|(name, ..)| *name == method.name);
        let call = if let Some((_, verb, has_body)) = known {
            let verb = super::method(&args.call.clone(), verb)?;
            Call::read(vu, &mut args, 0, verb, *has_body, Some(&self))?
        } else {
            let verb = super::method(&args.call.clone(), &args.text(0)?.to_str())?;
            Call::read(vu, &mut args, 1, verb, true, Some(&self))?
        };
        Ok(Answer::Wait(super::answer(vu, call)))
    }
}
