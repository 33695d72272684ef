//! Why the target did not start, and what it answers when a request cannot be served.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::settings::SettingError;

/// Why the demo target could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another address, or port 0 for a free one"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be opened, or it is in use: a file serves one target at a time.
    #[error("cannot open the database {}: {source}", place(path.as_ref()))]
    Database {
        /// The file, or `None` for a database in memory.
        path: Option<PathBuf>,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The target's thread or runtime could not be made.
    #[error("cannot start the demo's thread: {0}")]
    Thread(#[source] io::Error),
}

fn place(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "in memory".to_owned(), |path| format!("\"{}\"", path.display()))
}

/// One rule that a request broke, for clients that show it beside the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    pub(super) field: &'static str,
    pub(super) message: Cow<'static, str>,
}

/// An answer that is an error: a status and `{"error": {"code", "message", "fields"?}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: Cow<'static, str>,
    pub(super) fields: Vec<FieldError>,
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new() }
    }

    /// A request that is well formed but breaks rules.
    pub(super) fn invalid(fields: Vec<FieldError>) -> Self {
        let names: Vec<_> = fields.iter().map(|fault| fault.field).collect();
        let message = format!("invalid: {}", names.join(", "));
        Self { fields, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message) }
    }

    /// A request whose one named part breaks a rule.
    pub(super) fn invalid_field(
        field: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid(vec![FieldError { field, message: message.into() }])
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database", error.to_string())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            "body_too_large"
        } else {
            "body_unreadable"
        };
        Self::new(rejection.status(), code, rejection.body_text())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldError],
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = Detail { code: self.code, message: &self.message, fields: &self.fields };
        (self.status, Json(Document { error })).into_response()
    }
}
