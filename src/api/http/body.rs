//! Request bodies: as they are, or encoded from JSON, forms and multipart parts.

use std::rc::Rc;

use bytes::Bytes;

use super::multipart;
use crate::api::{ApiError, Args, Map, Name, Object, Value, VuContext};
use crate::protocol::Upload;

/// The content type of bytes that nobody says more about.
pub(super) const BINARY: &str = "application/octet-stream";

/// A request's body, encoded.
#[derive(Default)]
pub(super) struct Body {
    /// The bytes.
    pub(super) bytes: Bytes,
    /// The content type that the encoding asks for, unless the author sets one.
    pub(super) content_type: Option<String>,
    /// What is read from files as it is sent, in the place of `bytes`.
    pub(super) upload: Option<Rc<Upload>>,
}

impl Body {
    /// Encodes what the author gave.
    pub(super) fn read(vu: &Rc<VuContext>, call: &str, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Nil | Value::Null => Ok(Self::default()),
            Value::Text(text) => Ok(Self { bytes: text.into_bytes(), ..Self::default() }),
            Value::Bytes(bytes) => Ok(Self { bytes, ..Self::default() }),
            Value::Map(map) => encoded(vu, call, map),
            other => Err(wrong(call, other.type_name())),
        }
    }
}

fn wrong(call: &str, got: &str) -> ApiError {
    ApiError::usage(format!(
        "{call}: body must be a string, or a table that says how it is encoded: {{ json = ... }}, \
         {{ form = ... }}, {{ multipart = ... }} or {{ file = path }}; got {got}"
    ))
}

fn encoded(vu: &Rc<VuContext>, call: &str, map: Map) -> Result<Body, ApiError> {
    let mut members: Vec<(Name, Value)> = map.into_iter().collect();
    let (Some((encoding, value)), true) = (members.pop(), members.is_empty()) else {
        return Err(wrong(call, "a table with several keys, or none"));
    };
    match (encoding.as_str(), value) {
        ("json", value) => {
            let bytes = serde_json::to_vec(&value)
                .map_err(|error| ApiError::usage(format!("{call}: body.json: {error}")))?;
            Ok(Body {
                bytes: bytes.into(),
                content_type: Some("application/json".into()),
                upload: None,
            })
        }
        ("form", Value::Map(form)) => {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in form.iter() {
                for value in items(value) {
                    text.append_pair(name, &crate::api::args::tag("body.form", name, value)?);
                }
            }
            Ok(Body {
                bytes: text.finish().into(),
                content_type: Some("application/x-www-form-urlencoded".into()),
                upload: None,
            })
        }
        ("form", Value::List(list)) if list.is_empty() => Ok(Body::default()),
        ("multipart", Value::Map(parts)) => multipart::encoded(vu, call, parts),
        ("file", Value::Text(path)) => {
            let mut upload = Upload::default();
            add_file(vu, &format!("{call}: body.file"), &path.to_str(), &mut upload)?;
            Ok(Body {
                content_type: Some(BINARY.into()),
                upload: Some(Rc::new(upload)),
                ..Body::default()
            })
        }
        ("file", other) => Err(ApiError::usage(format!(
            "{call}: body.file must be the path of a file in the script's folder, got {}",
            other.type_name()
        ))),
        ("form" | "multipart", other) => Err(ApiError::usage(format!(
            "{call}: body.{encoding} must be a table of names and values, got {}",
            other.type_name()
        ))),
        (other, _) => Err(wrong(call, &format!("a table with the key `{other}`"))),
    }
}

/// Returns one value as itself, a list as its items.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => list,
        other => std::slice::from_ref(other),
    }
}

/// Adds a file that the script may read to what is sent.
///
/// # Errors
/// If there is none that it may read.
pub(super) fn add_file(
    vu: &VuContext,
    place: &str,
    path: &str,
    upload: &mut Upload,
) -> Result<(), ApiError> {
    let wrong = |problem: String| ApiError::usage(format!("{place}: {problem}"));
    let file = vu.worker.files.open(path).map_err(wrong)?;
    upload.add_file(file, path).map_err(|error| wrong(format!("cannot read {path}: {error}")))
}

/// A file for a multipart body.
pub(super) struct File {
    pub(super) data: Bytes,
    pub(super) name: String,
    pub(super) content_type: String,
}

impl File {
    /// Returns what a file field sends in which no file was chosen (WHATWG HTML, 4.10.21.4).
    pub(super) fn none() -> Self {
        let content_type = BINARY.to_owned();
        Self { data: Bytes::new(), name: String::new(), content_type }
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// `http.file(data, name, type)`
pub(super) fn file(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let data = args.bytes(0)?;
    let text = |value: Option<crate::api::Text>, otherwise: &str| {
        value.map_or_else(|| otherwise.to_owned(), |text| text.to_str().into_owned())
    };
    let name = text(args.optional_text(1)?, "file");
    let content_type = text(args.optional_text(2)?, BINARY);
    if content_type.contains(['\r', '\n']) {
        return Err(ApiError::usage("http.file: type must not contain a line break"));
    }
    Ok(Value::object(File { data, name, content_type }))
}

impl Object for File {
    fn type_name(&self) -> &'static str {
        "file"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(match field {
            "name" => Some(self.name.as_str().into()),
            "type" => Some(self.content_type.as_str().into()),
            "data" => Some(Value::Bytes(self.data.clone())),
            _ => None,
        })
    }

    fn fields(&self) -> &'static [&'static str] {
        &["name", "type", "data"]
    }

    fn held_bytes(&self) -> usize {
        self.data.len()
    }
}
