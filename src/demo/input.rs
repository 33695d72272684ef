//! Reading requests: JSON objects and query strings, with every broken rule reported at once.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value};

use super::error::{ApiError, FieldError};

/// The most tags that a note may carry, and the longest of them in characters.
const TAGS_MAX: usize = 16;
const TAG_CHARS: RangeInclusive<usize> = 1..=50;

/// A JSON object that is taken apart field by field.
pub(super) struct Fields {
    object: Map<String, Value>,
    faults: Vec<FieldError>,
}

impl Fields {
    /// Reads a body; 400 if it is no JSON, 422 if it is no object.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let value = serde_json::from_slice(body).map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string())
        })?;
        match value {
            Value::Object(object) => Ok(Self { object, faults: Vec::new() }),
            _ => Err(ApiError::invalid_field("body", "must be a JSON object")),
        }
    }

    /// Takes a text whose number of characters lies in `chars`; `None` if it is absent or faulty.
    pub(super) fn text(
        &mut self,
        field: &'static str,
        chars: RangeInclusive<usize>,
    ) -> Option<String> {
        let text = self.string(field)?;
        if chars.contains(&text.chars().count()) {
            return Some(text);
        }
        self.fault(field, length_rule(&chars, "characters"))
    }

    /// Takes a text of at most `bytes` bytes; `None` if it is absent or faulty.
    pub(super) fn long_text(&mut self, field: &'static str, bytes: usize) -> Option<String> {
        let text = self.string(field)?;
        if text.len() <= bytes {
            return Some(text);
        }
        self.fault(field, format!("must have at most {bytes} bytes"))
    }

    /// Takes `tags`, a list of short texts without repetition; `None` if absent or faulty.
    pub(super) fn tags(&mut self) -> Option<Vec<String>> {
        let Value::Array(items) = self.present("tags")? else {
            return self.fault("tags", "must be a list of texts");
        };
        if items.len() > TAGS_MAX {
            return self.fault("tags", format!("must have at most {TAGS_MAX} items"));
        }
        let mut tags: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(tag) if TAG_CHARS.contains(&tag.chars().count()) => {
                    if !tags.contains(&tag) {
                        tags.push(tag);
                    }
                }
                _ => {
                    let rule = length_rule(&TAG_CHARS, "characters");
                    return self.fault("tags", format!("each must be a text; each {rule}"));
                }
            }
        }
        Some(tags)
    }

    /// Takes a whole number; `None` if it is absent or faulty.
    pub(super) fn integer(&mut self, field: &'static str) -> Option<i64> {
        match self.present(field)?.as_i64() {
            Some(value) => Some(value),
            None => self.fault(field, "must be a whole number"),
        }
    }

    /// Says that a field is needed, unless something is wrong with it already.
    pub(super) fn require(&mut self, field: &'static str, found: bool) {
        if !found && !self.faults.iter().any(|fault| fault.field == field) {
            self.faults.push(FieldError { field, message: "is required".into() });
        }
    }

    /// Ends the reading; 422 with every fault found.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.faults)) }
    }

    /// Removes a field; `null` counts as absent.
    fn present(&mut self, field: &str) -> Option<Value> {
        // The order of what remains does not matter, so this is the cheap removal.
        self.object.swap_remove(field).filter(|value| !value.is_null())
    }

    fn string(&mut self, field: &'static str) -> Option<String> {
        match self.present(field)? {
            Value::String(text) => Some(text),
            _ => self.fault(field, "must be a text"),
        }
    }

    fn fault<T>(
        &mut self,
        field: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Option<T> {
        self.faults.push(FieldError { field, message: message.into() });
        None
    }
}

fn length_rule(chars: &RangeInclusive<usize>, unit: &str) -> String {
    format!("must have {} to {} {unit}", chars.start(), chars.end())
}

/// Splits a query string into its decoded pairs.
pub(super) fn pairs(uri: &Uri) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
}

/// Reads a number that stands in the path: 400 if it is none, 422 if it is out of `range`.
pub(super) fn path_number<T>(
    field: &'static str,
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, ApiError>
where
    T: FromStr + PartialOrd + Display,
{
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "not_a_number",
            format!("{field} \"{text}\" in the path is no whole number"),
        ));
    }
    ranged(text, &range).map_err(|message| ApiError::invalid_field(field, message))
}

/// Reads a number of the query string.
pub(super) fn query_number<T>(
    field: &'static str,
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, FieldError>
where
    T: FromStr + PartialOrd + Display,
{
    ranged(text, &range).map_err(|message| FieldError { field, message: message.into() })
}

fn ranged<T>(text: &str, range: &RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    match text.parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!("must be a whole number from {} to {}", range.start(), range.end())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_fault_is_reported_at_once() {
        let body = br#"{"title": 7, "tags": ["a", ""], "version": 1.5, "body": "12345"}"#;
        let mut fields = Fields::parse(body).expect("an object");
        let title = fields.text("title", 1..=5);
        assert_eq!(title, None);
        fields.require("title", title.is_some());
        assert_eq!(fields.tags(), None);
        assert_eq!(fields.integer("version"), None);
        assert_eq!(fields.long_text("body", 4), None);
        fields.require("user", false);
        let error = fields.finish().expect_err("four faults");
        let named: Vec<_> = error.fields.iter().map(|fault| fault.field).collect();
        assert_eq!(named, ["title", "tags", "version", "body", "user"]);
        assert_eq!(error.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn lengths_count_characters() {
        let mut fields = Fields::parse("{\"title\": \"ααα\"}".as_bytes()).expect("an object");
        assert_eq!(fields.text("title", 1..=3).as_deref(), Some("ααα"));
    }

    #[test]
    fn repeated_tags_are_kept_once() {
        let mut fields = Fields::parse(br#"{"tags": ["b", "a", "b"]}"#).expect("an object");
        assert_eq!(fields.tags(), Some(vec!["b".to_owned(), "a".to_owned()]));
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        let status = |body: &[u8]| Fields::parse(body).err().map(|error| error.status.as_u16());
        assert_eq!(status(b"{"), Some(400));
        assert_eq!(status(b""), Some(400));
        assert_eq!(status(b"[]"), Some(422));
        assert_eq!(status(b"{}"), None);
    }

    #[test]
    fn a_path_number_is_digits_in_a_range() {
        let status =
            |text| path_number("id", text, 1..=9u64).map_err(|error| error.status.as_u16());
        assert_eq!(status("7"), Ok(7));
        assert_eq!(status("10"), Err(422));
        assert_eq!(status("99999999999999999999999"), Err(422));
        for text in ["", "x", "-1", "+1", "1.0"] {
            assert_eq!(status(text), Err(400), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = Fields::parse(&body) {
                prop_assert!(error.status.is_client_error());
            }
        }
    }
}
