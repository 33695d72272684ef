//! Requests that another module makes over HTTP (`rpc`): sent and recorded like all others, but the
//! answer goes to that module, not to the script.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::body::Body;
use super::params::Params;
use super::session::Session;
use super::url::Place;
use super::{Address, Call, send};
use crate::api::{ApiError, Fields, Value, VuContext};
use crate::protocol::{ErrorKind, ProtocolError, status_code_error};

/// Where requests go, and what they have in common.
pub(in crate::api) struct Carrier {
    place: Place,
    /// The template of the URL, if it was made of one.
    name: Option<String>,
    defaults: Session,
}

/// What one request asks for besides.
#[derive(Default)]
pub(in crate::api) struct Extra(Option<Box<Params>>);

/// What came of a request.
pub(in crate::api) struct Carried {
    /// 0 if there was no answer.
    pub(in crate::api) status: u16,
    /// Why there was no answer.
    pub(in crate::api) error: Option<ProtocolError>,
    /// k6's number for the error or the status; 0 if nothing went wrong.
    pub(in crate::api) code: u16,
    /// The answer's body.
    pub(in crate::api) body: Bytes,
    /// From the first byte sent to the last received, over all redirects; what failed has the time
    /// that it had, with waiting for a connection.
    pub(in crate::api) duration: Duration,
}

impl Carrier {
    /// The named arguments that [`Carrier::new`] reads.
    pub(in crate::api) const DEFAULTS: [&'static str; 7] =
        ["headers", "auth", "tls", "proxy", "socket", "tags", "timeout"];

    /// Returns a carrier to a URL.
    ///
    /// # Errors
    /// If it is no URL of HTTP's, or a named argument is wrong.
    pub(in crate::api) fn new(
        vu: &Rc<VuContext>,
        call: &str,
        url: &Value,
        fields: &mut Fields,
        content_type: &'static str,
    ) -> Result<Self, ApiError> {
        let Some(Address { place, name }) = Address::read(url, None, &vu.worker.urls) else {
            return Err(ApiError::usage(format!(
                "{call}: argument 1 (url) must be a string or http.url(...), got {}",
                url.type_name()
            )));
        };
        if let Place::Nowhere(nowhere) = &place {
            return Err(ApiError::usage(format!("{call}: {}: \"{}\"", nowhere.why, nowhere.text)));
        }
        let Params { mut headers, tags, timeout, way, .. } = Params::read(vu, fields, None)?;
        if !headers.contains("content-type") {
            let _valid = headers.append("content-type", content_type.as_bytes());
        }
        Ok(Self { place, name, defaults: Session { base_url: None, headers, tags, timeout, way } })
    }

    /// Reads what one request asks for besides: [`Carrier::DEFAULTS`] and `name`.
    pub(in crate::api) fn extra(
        &self,
        vu: &Rc<VuContext>,
        fields: &mut Fields,
    ) -> Result<Extra, ApiError> {
        if fields.is_empty() {
            return Ok(Extra(None));
        }
        Ok(Extra(Some(Box::new(Params::read(vu, fields, Some(&self.defaults))?))))
    }

    /// Returns the URL.
    pub(in crate::api) fn url(&self) -> &str {
        self.place.as_str()
    }

    /// Returns the tags of a request.
    pub(in crate::api) fn tags<'a>(&'a self, extra: &'a Extra) -> &'a [(String, String)] {
        extra.0.as_ref().map_or(&self.defaults.tags, |params| &params.tags)
    }

    /// Posts a body. The request's row is the one that it names, else `name`, else the URL's.
    pub(in crate::api) async fn post(
        &self,
        vu: &Rc<VuContext>,
        body: Bytes,
        name: Option<&str>,
        extra: &Extra,
    ) -> Carried {
        // There is a URL, and cookies are the jar's alone.
        let Ok((request, wanted)) = send::prepare(vu, self.call(body, name, extra)) else {
            unreachable!("a carrier's requests can be sent")
        };
        let spent = Cell::new(Duration::ZERO);
        let observe = |exchange: &crate::protocol::Exchange| {
            send::record(vu, &wanted, exchange);
            let timings = &exchange.timings;
            let took = if exchange.error.is_some() { timings.total() } else { timings.duration() };
            spent.set(spent.get() + took);
        };
        let stopped = vu.interrupt.stopped();
        let response = vu.http.send(request, Some(&*wanted.jar), stopped, observe).await;
        send::conclude(vu, &wanted, &response);
        let status = response.exchange.status.map_or(0, |status| status.as_u16());
        let error = response.exchange.error;
        let code = match &error {
            Some(error) => error.kind.code(),
            None => status_code_error(status).unwrap_or(0),
        };
        let status = if error.is_some() { 0 } else { status };
        Carried { status, error, code, body: response.body, duration: spent.get() }
    }

    fn call(&self, body: Bytes, name: Option<&str>, extra: &Extra) -> Call {
        let mut params = match &extra.0 {
            Some(params) => Params {
                headers: params.headers.clone(),
                tags: params.tags.clone(),
                name: params.name.clone(),
                timeout: params.timeout,
                way: params.way.clone(),
                ..Params::default()
            },
            None => Params {
                headers: self.defaults.headers.clone(),
                tags: self.defaults.tags.clone(),
                timeout: self.defaults.timeout,
                way: self.defaults.way.clone(),
                ..Params::default()
            },
        };
        params.response = Some(super::params::Kind::Text);
        params.throw = Some(false);
        if params.name.is_none() {
            params.name = name.map(str::to_owned);
        }
        Call {
            method: http::Method::POST,
            address: Address { place: self.place.clone(), name: self.name.clone() },
            body: Body { bytes: body, ..Body::default() },
            params: Some(Box::new(params)),
        }
    }
}

impl Carried {
    /// Returns whether there was an answer, with a status that says that it is one (2xx).
    pub(in crate::api) fn is_answer(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns whether the request was cut off at the end of the test or of the iteration.
    pub(in crate::api) fn is_cut(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Cut)
    }
}
