//! The param `tls`: another way to speak TLS than the test's.

use std::rc::Rc;

use crate::api::{ApiError, Fields, Value, VuContext};
use crate::plan::{Pem, TlsVersion};
use crate::protocol::{TlsSettings, Via};

/// The names of `tls`.
const NAMES: &[&str] = &[
    "roots",
    "cert",
    "key",
    "min_version",
    "max_version",
    "cipher_suites",
    "server_name",
    "insecure",
];

/// Reads `tls = { roots, cert, key, min_version, max_version, cipher_suites, server_name, insecure }`.
pub(super) fn read(vu: &Rc<VuContext>, fields: &mut Fields, via: &mut Via) -> Result<(), ApiError> {
    let Some(map) = fields.map("tls")? else { return Ok(()) };
    let mut fields = Fields::new(format!("{}: tls", fields.place), map, NAMES)?;
    let pem = |text: crate::api::Text| Pem::new(&text.to_str());
    let cert = fields.text("cert")?.map(pem);
    let key = fields.text("key")?.map(pem);
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            let message = "`cert` and `key` go together: PEM files in the script's folder";
            return Err(ApiError::usage(format!("{}: {message}", fields.place)));
        }
    };
    let roots = texts(&mut fields, "roots")?;
    let settings = TlsSettings {
        roots: roots.iter().map(|text| Pem::new(text)).collect(),
        identity,
        min_version: version(&mut fields, "min_version")?,
        max_version: version(&mut fields, "max_version")?,
        cipher_suites: texts(&mut fields, "cipher_suites")?,
        insecure: fields.bool("insecure")?,
    };
    via.server_name = fields.text("server_name")?.map(|text| text.to_str().into_owned());
    via.tls = if settings == TlsSettings::default() {
        None
    } else {
        let files = &vu.worker.files;
        let profile = vu.worker.network.tls_profile(settings, |path| files.read_text(path));
        let place = fields.place.trim_end_matches("tls");
        Some(profile.map_err(|error| ApiError::usage(format!("{place}{error}")))?)
    };
    Ok(())
}

fn version(fields: &mut Fields, name: &str) -> Result<Option<TlsVersion>, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    TlsVersion::parse(&text.to_str())
        .map(Some)
        .map_err(|problem| ApiError::usage(format!("{}: `{name}`: {problem}", fields.place)))
}

/// Takes one text or a list of them.
fn texts(fields: &mut Fields, name: &str) -> Result<Vec<String>, ApiError> {
    let list = match fields.take(name) {
        Value::Nil | Value::Null => Vec::new(),
        Value::List(list) => list,
        one => vec![one],
    };
    let text = |value: &Value| match value {
        Value::Text(text) => Ok(text.to_str().into_owned()),
        other => Err(fields.wrong(name, "a string or a list of strings", other)),
    };
    list.iter().map(text).collect()
}
