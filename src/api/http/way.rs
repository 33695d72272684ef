//! The params that say how a request reaches its server and proves whose it is: `auth`, `tls`,
//! `proxy`, `socket`.

use std::rc::Rc;

use super::{auth, tls};
use crate::api::{ApiError, Fields, Value, VuContext};
use crate::plan::Proxy;
use crate::protocol::{Auth, Detour, Extras, Headers, Upload, Via};

/// How requests reach their server and prove whose they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    auth: Option<Auth>,
    via: Via,
}

impl Way {
    /// Reads what the fields set. What is a header goes into `headers`, over what was there.
    pub(super) fn read(
        &mut self,
        vu: &Rc<VuContext>,
        fields: &mut Fields,
        headers: &mut Headers,
    ) -> Result<(), ApiError> {
        if fields.has("auth") {
            self.auth = auth::read(fields, headers)?;
        }
        tls::read(vu, fields, &mut self.via)?;
        if let Some(proxy) = read_proxy(fields)? {
            self.via.proxy = Some(proxy);
        }
        if let Some(path) = fields.text("socket")? {
            let found = vu.worker.files.place(&path.to_str());
            let wrong = |problem| ApiError::usage(format!("{}: `socket`: {problem}", fields.place));
            self.via.socket = Some(found.map_err(wrong)?);
        }
        Ok(())
    }

    /// Returns its parts.
    pub(super) fn into_parts(self) -> (Option<Auth>, Via) {
        (self.auth, self.via)
    }

    /// Returns what a request needs of it; nothing if it is the usual way.
    pub(super) fn into_extras(self, upload: Option<Rc<Upload>>) -> Option<Extras> {
        let via = (self.via != Via::default()).then(|| Rc::new(self.via));
        let is_usual = via.is_none() && self.auth.is_none() && upload.is_none();
        (!is_usual).then_some(Extras { auth: self.auth, via, upload })
    }

    /// Says what is wrong with sending what is not in memory, if anything is.
    pub(super) fn refuses_uploads(&self) -> Option<&'static str> {
        match &self.auth {
            Some(Auth::Aws(key)) if !key.is_for_s3() => {
                Some("`auth.aws` signs bodies, and those from files for the service s3 alone")
            }
            _ => None,
        }
    }
}

/// Reads `proxy`: a URL, or `false` for none.
fn read_proxy(fields: &mut Fields) -> Result<Option<Detour>, ApiError> {
    let proxy = match fields.take("proxy") {
        Value::Nil | Value::Null => return Ok(None),
        Value::Bool(false) => return Ok(Some(Detour::None)),
        Value::Text(text) => Proxy::parse(&text.to_str()),
        other => return Err(fields.wrong("proxy", "a URL, or false for none", &other)),
    };
    let wrong = |problem| ApiError::usage(format!("{}: `proxy`: {problem}", fields.place));
    proxy.map(Detour::Through).map(Some).map_err(wrong)
}
