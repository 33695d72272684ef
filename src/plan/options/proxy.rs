//! The option `proxy`: a URL, or `{ http, https, except }`.

use serde_json::Value;

use super::setting::{Fields, Setting, settings};
use crate::plan::PlanError;

settings! {
    /// Proxies as written.
    pub struct ProxyOptions {
        /// For `http` URLs.
        pub http: String,
        /// For `https` URLs.
        pub https: String,
        /// Hosts that are reached without.
        pub except: Vec<String>,
    }
}

impl Setting for ProxyOptions {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        if let Value::String(url) = value {
            return Ok(Self { http: Some(url.clone()), https: Some(url), except: None });
        }
        let mut fields = Fields::open(path, value)?;
        let proxy = Self::read_fields(&mut fields)?;
        fields.finish()?;
        Ok(proxy)
    }

    fn write(&self) -> Value {
        Value::Object(self.write_fields())
    }

    fn over(self, lower: Self) -> Self {
        self.fields_over(lower)
    }

    fn from_text(text: &str) -> Value {
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        }
        Value::from(text)
    }
}
