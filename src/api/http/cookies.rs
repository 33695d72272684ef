//! Cookie jars as scripts see them.

use std::cell::RefCell;
use std::rc::Rc;

use url::Url;

use crate::api::{Answer, ApiError, Args, Map, Method, Object, Value, VuContext};
use crate::protocol::{CookieAttributes, CookieJar};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "cookies_for_url", params: &["url"], waits: false },
    Method { name: "set", params: &["url", "name", "value", "attributes?"], waits: false },
    Method { name: "delete", params: &["url", "name"], waits: false },
    Method { name: "clear", params: &["url?"], waits: false },
];

/// A cookie jar that a script holds: the VU's own, or one made by the script.
pub(super) struct Jar(pub(super) Rc<RefCell<CookieJar>>);

/// `http.cookie_jar()`: the VU's jar.
pub(super) fn cookie_jar(vu: &Rc<VuContext>, _: Args) -> Result<Value, ApiError> {
    Ok(Value::object(Jar(Rc::clone(&vu.cookies))))
}

/// `http.new_cookie_jar()`: an empty jar, for the param `jar`.
pub(super) fn new_cookie_jar(_: &Rc<VuContext>, _: Args) -> Result<Value, ApiError> {
    Ok(Value::object(Jar(Rc::default())))
}

fn url_at(args: &mut Args, index: usize) -> Result<Url, ApiError> {
    let text = args.text(index)?;
    Url::parse(&text.to_str())
        .map_err(|error| ApiError::usage(format!("{}: invalid URL: {error}", args.call)))
}

impl Jar {
    fn set(&self, args: &mut Args) -> Result<(), ApiError> {
        let url = url_at(args, 0)?;
        let name = args.text(1)?.to_str().into_owned();
        let value = args.take(2);
        let value = crate::api::args::tag(&args.call.clone(), &name, &value)?;
        let mut fields =
            args.fields(3, &["domain", "path", "expires", "max_age", "secure", "http_only"])?;
        let text = |value: Option<crate::api::Text>| value.map(|text| text.to_str().into_owned());
        let attributes = CookieAttributes {
            domain: text(fields.text("domain")?),
            path: text(fields.text("path")?),
            expires: text(fields.text("expires")?),
            max_age: fields.count("max_age")?.map(|seconds| seconds as i64),
            secure: fields.bool("secure")?.unwrap_or(false),
            http_only: fields.bool("http_only")?.unwrap_or(false),
        };
        self.0
            .borrow_mut()
            .set(&url, &name, &value, &attributes)
            .map_err(|error| ApiError::usage(format!("{}: {error}", args.call)))
    }
}

impl Object for Jar {
    fn type_name(&self) -> &'static str {
        "cookie jar"
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let answer = match method.name {
            "cookies_for_url" => {
                let url = url_at(&mut args, 0)?;
                let mut cookies = Map::new();
                for (name, value) in self.0.borrow().cookies_for(&url) {
                    match cookies.take(&name) {
                        Some(Value::List(mut values)) => {
                            values.push(value.into());
                            cookies.push(name, Value::List(values));
                        }
                        _ => cookies.push(name, Value::List(vec![value.into()])),
                    }
                }
                Value::Map(cookies)
            }
            "set" => {
                self.set(&mut args)?;
                Value::Bool(true)
            }
            "delete" => {
                let url = url_at(&mut args, 0)?;
                let name = args.text(1)?;
                self.0.borrow_mut().delete(&url, &name.to_str());
                Value::Nil
            }
            _ => {
                let url = if args.is_empty() { None } else { Some(url_at(&mut args, 0)?) };
                self.0.borrow_mut().clear(url.as_ref());
                Value::Nil
            }
        };
        Ok(Answer::Now(answer))
    }
}
