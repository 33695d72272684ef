//! Multipart bodies (RFC 7578): fields, files of the script's, and files that are read as they are sent.

use std::rc::Rc;

use rand::RngExt as _;

use super::body::{BINARY, Body, File, add_file, items};
use crate::api::{ApiError, Fields, Map, Value, VuContext};
use crate::protocol::Upload;

/// The names of a file that is read as it is sent.
const FILE_NAMES: &[&str] = &["file", "name", "type"];

/// What is sent, as far as it is known: bytes, and files in between.
#[derive(Default)]
struct Parts {
    /// What follows the last file.
    bytes: Vec<u8>,
    /// What goes before, if there are files.
    upload: Upload,
    has_files: bool,
}

/// Encodes fields and files.
///
/// # Errors
/// If a value is none, or there is no such file.
pub(super) fn encoded(vu: &Rc<VuContext>, call: &str, parts: Map) -> Result<Body, ApiError> {
    let boundary = format!("kingtide-{:032x}", vu.random().random::<u128>());
    let mut all = Parts::default();
    for (name, value) in parts {
        for value in items(&value) {
            all.add_text(&format!("--{boundary}\r\n"));
            all.add(vu, call, &name, value)?;
            all.add_text("\r\n");
        }
    }
    all.add_text(&format!("--{boundary}--\r\n"));
    let content_type = Some(format!("multipart/form-data; boundary={boundary}"));
    Ok(if all.has_files {
        all.upload.add_bytes(all.bytes);
        Body { upload: Some(Rc::new(all.upload)), content_type, ..Body::default() }
    } else {
        Body { bytes: all.bytes.into(), content_type, upload: None }
    })
}

impl Parts {
    fn add_text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Adds what stands between two boundaries.
    fn add(
        &mut self,
        vu: &VuContext,
        call: &str,
        name: &str,
        value: &Value,
    ) -> Result<(), ApiError> {
        let file = match value {
            Value::Object(object) => object.downcast_ref::<File>(),
            Value::Map(map) => return self.add_file(vu, call, name, map.clone()),
            _ => None,
        };
        if let Some(file) = file {
            self.add_head(name, &file.name, &file.content_type);
            self.bytes.extend_from_slice(&file.data);
            return Ok(());
        }
        self.add_text(&format!(
            "Content-Disposition: form-data; name=\"{}\"\r\n\r\n",
            quoted(name)
        ));
        match value {
            Value::Bytes(data) => self.bytes.extend_from_slice(data),
            other => self.add_text(&crate::api::args::tag("body.multipart", name, other)?),
        }
        Ok(())
    }

    /// Adds `{ file = path, name = ..., type = ... }`.
    fn add_file(
        &mut self,
        vu: &VuContext,
        call: &str,
        field: &str,
        map: Map,
    ) -> Result<(), ApiError> {
        let place = format!("{call}: body.multipart.{field}");
        let mut fields = Fields::new(place, map, FILE_NAMES)?;
        let text = |fields: &mut Fields, name: &str| {
            fields.text(name).map(|text| text.map(|text| text.to_str().into_owned()))
        };
        let Some(path) = text(&mut fields, "file")? else {
            return Err(ApiError::usage(format!(
                "{}: `file` is missing: the path of a file in the script's folder",
                fields.place
            )));
        };
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        let name = text(&mut fields, "name")?.unwrap_or(last);
        let content_type = text(&mut fields, "type")?.unwrap_or_else(|| BINARY.to_owned());
        if content_type.contains(['\r', '\n']) {
            let message = format!("{}: `type` must not contain a line break", fields.place);
            return Err(ApiError::usage(message));
        }
        self.add_head(field, &name, &content_type);
        self.upload.add_bytes(std::mem::take(&mut self.bytes));
        self.has_files = true;
        add_file(vu, &fields.place, &path, &mut self.upload)
    }

    fn add_head(&mut self, field: &str, name: &str, content_type: &str) {
        self.add_text(&format!(
            "Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n\
             Content-Type: {content_type}\r\n\r\n",
            quoted(field),
            quoted(name),
        ));
    }
}

/// Escapes a name for a quoted string, as browsers do (WHATWG HTML, 4.10.21.8).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
