//! Options of TLS that are tables: versions, and client certificates.

use serde_json::{Map, Value};

use super::setting::{Fields, Setting, list, settings, unreadable_text, wrong};
use crate::plan::{PlanError, TlsVersion};

settings! {
    /// A client certificate as written.
    pub struct TlsAuthOptions {
        /// PEM, or the file that holds it.
        pub cert: String,
        /// PEM, or the file that holds it.
        pub key: String,
        /// The hosts that it is for.
        pub domains: Vec<String>,
    }
}

/// Client certificates as written.
impl Setting for Vec<TlsAuthOptions> {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        const WANTED: &str = "a list of { cert, key, domains }";
        list(path, WANTED, value)?
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let path = format!("{path}[{index}]");
                let mut fields = Fields::open(&path, value)?;
                let read = TlsAuthOptions::read_fields(&mut fields)?;
                fields.finish()?;
                for (name, given) in [("cert", &read.cert), ("key", &read.key)] {
                    if given.is_none() {
                        let message = format!(
                            "option `{path}` lacks `{name}`: a PEM file in the script's folder, or \
                             its text"
                        );
                        return Err(PlanError::new(path, message));
                    }
                }
                Ok(read)
            })
            .collect()
    }

    fn write(&self) -> Value {
        self.iter().map(|one| Value::Object(one.write_fields())).collect()
    }

    fn from_text(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
    }
}

/// Versions as written: one, or the least and the greatest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsVersionOptions {
    /// The least.
    pub min: Option<TlsVersion>,
    /// The greatest.
    pub max: Option<TlsVersion>,
}

impl Setting for TlsVersion {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        let text = String::read(path, value)?;
        Self::parse(&text).map_err(|problem| unreadable_text(path, &problem))
    }

    fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Setting for TlsVersionOptions {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        match value {
            Value::String(_) => {
                let only = Some(TlsVersion::read(path, value)?);
                Ok(Self { min: only, max: only })
            }
            Value::Object(_) | Value::Array(_) => {
                let mut fields = Fields::open(path, value)?;
                let versions = Self { min: fields.take("min")?, max: fields.take("max")? };
                fields.finish()?;
                Ok(versions)
            }
            other => Err(wrong(path, "a version such as \"tls1.3\" or { min, max }", &other)),
        }
    }

    fn write(&self) -> Value {
        let ends = [("min", self.min), ("max", self.max)];
        let ends = ends.into_iter().filter_map(|(name, end)| Some((name, end?)));
        ends.map(|(name, end)| (name.to_owned(), end.write())).collect::<Map<_, _>>().into()
    }

    fn from_text(text: &str) -> Value {
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        }
        Value::from(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Options;

    fn message(tree: Value) -> String {
        Options::from_json(tree).unwrap_err().message
    }

    #[test]
    fn versions_are_one_or_two_ends() {
        let read = |value| TlsVersionOptions::read("tls_version", value).unwrap();
        let (old, new) = (Some(TlsVersion::Tls12), Some(TlsVersion::Tls13));
        assert_eq!(read(json!("tls1.2")), TlsVersionOptions { min: old, max: old });
        assert_eq!(read(json!({ "min": "tls1.3" })), TlsVersionOptions { min: new, max: None });
        assert_eq!(
            message(json!({ "tls_version": { "mn": "tls1.2" } })),
            "unknown option `tls_version.mn`, did you mean `min`?"
        );
        assert!(message(json!({ "tls_version": "tls1.1" })).starts_with("option `tls_version`: "));
        assert!(message(json!({ "tls_version": 1.3 })).ends_with("got the number 1.3"));
    }

    #[test]
    fn a_client_certificate_needs_its_key() {
        assert_eq!(
            message(json!({ "tls_auth": [{ "cert": "a.pem" }] })),
            "option `tls_auth[0]` lacks `key`: a PEM file in the script's folder, or its text"
        );
        assert_eq!(
            message(json!({ "tls_auth": [{ "cert": "a", "key": "b", "domain": "c" }] })),
            "unknown option `tls_auth[0].domain`, did you mean `domains`?"
        );
    }
}
