//! The notes and the login: what the target is an application of.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;
use super::input::{self, Fields};
use super::routes::App;
use super::store::{Change, Draft, Filter, NOTES_MAX, Note, Written};

/// The longest title in characters, the longest body in bytes.
const TITLE_CHARS_MAX: usize = 200;
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest user name in characters.
const USER_CHARS_MAX: usize = 100;

/// The last page number that is looked for.
const PAGE_MAX: u32 = 1_000_000_000;

type Body = Result<Bytes, BytesRejection>;
type Answer = Result<Response, ApiError>;

#[derive(Serialize)]
struct Session {
    token: String,
    user: String,
}

/// `POST /api/login`: any user may come in, with any password or none.
pub(super) async fn login(State(app): State<Arc<App>>, body: Body) -> Answer {
    let mut fields = Fields::parse(&body?)?;
    let user = fields.text("user", 1..=USER_CHARS_MAX);
    fields.require("user", user.is_some());
    fields.long_text("password", 1024);
    fields.finish()?;
    let user = user.expect("it was required");
    Ok(Json(Session { token: app.sessions.token(&user), user }).into_response())
}

#[derive(Serialize)]
struct List {
    notes: Vec<Note>,
    page: u32,
    per_page: u32,
    total: u64,
}

/// `GET /api/notes`: a page of the notes, newest first.
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Answer {
    let (mut page, mut per_page) = (1, 20);
    let mut filter = Filter::default();
    let mut faults = Vec::new();
    for (name, value) in input::pairs(&uri) {
        let number = match &*name {
            "page" => input::query_number("page", &value, 1..=PAGE_MAX).map(|n| page = n),
            "per_page" => input::query_number("per_page", &value, 1..=100).map(|n| per_page = n),
            "q" => {
                filter.text = Some(value.into_owned()).filter(|text| !text.is_empty());
                Ok(())
            }
            "tag" => {
                filter.tag = Some(value.into_owned()).filter(|tag| !tag.is_empty());
                Ok(())
            }
            _ => Ok(()),
        };
        faults.extend(number.err());
    }
    if !faults.is_empty() {
        return Err(ApiError::invalid(faults));
    }
    let (notes, total) = app.store.list(&filter, page, per_page)?;
    Ok(Json(List { notes, page, per_page, total }).into_response())
}

/// `POST /api/notes`: keeps a note of the user who is logged in.
pub(super) async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Answer {
    let author = app.sessions.user(&headers)?;
    let (_, draft) = draft(&body?)?;
    let note = app.store.create(draft, author)?.ok_or_else(|| {
        ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "full",
            format!("the demo holds {NOTES_MAX} notes; delete some or start it anew"),
        )
    })?;
    let location = format!("/api/notes/{}", note.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], tagged(note)).into_response())
}

/// `GET /api/notes/{id}`.
pub(super) async fn read(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let id = note_id(&id)?;
    let note = app.store.get(id)?.ok_or_else(|| unknown(id))?;
    Ok(tagged(note).into_response())
}

/// `PUT /api/notes/{id}`: replaces what a note says.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    app.sessions.user(&headers)?;
    let id = note_id(&id)?;
    let (version, Draft { title, body, tags }) = draft(&body?)?;
    let change = Change { title: Some(title), body: Some(body), tags: Some(tags) };
    write(&app, id, &headers, version, change)
}

/// `PATCH /api/notes/{id}`: replaces the parts of a note that are given.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    app.sessions.user(&headers)?;
    let id = note_id(&id)?;
    let mut fields = Fields::parse(&body?)?;
    let change = Change {
        title: fields.text("title", 1..=TITLE_CHARS_MAX),
        body: fields.long_text("body", BODY_BYTES_MAX),
        tags: fields.tags(),
    };
    let version = fields.integer("version");
    fields.finish()?;
    write(&app, id, &headers, version, change)
}

/// `DELETE /api/notes/{id}`.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    app.sessions.user(&headers)?;
    let id = note_id(&id)?;
    match app.store.delete(id, if_match(&headers)?)? {
        Written::Done(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Written::Unknown => Err(unknown(id)),
        Written::Conflict { version } => Err(precondition_failed(version)),
    }
}

/// Changes a note under the conditions of the header, else of the body.
fn write(app: &App, id: i64, headers: &HeaderMap, version: Option<i64>, change: Change) -> Answer {
    let required = if_match(headers)?;
    match app.store.change(id, required.or(version), change)? {
        Written::Done(note) => Ok(tagged(note).into_response()),
        Written::Unknown => Err(unknown(id)),
        Written::Conflict { version } if required.is_some() => Err(precondition_failed(version)),
        Written::Conflict { version } => Err(ApiError::new(
            StatusCode::CONFLICT,
            "version_conflict",
            format!("the note has version {version} by now"),
        )),
    }
}

/// Reads a whole note, and the version that it shall replace.
fn draft(body: &[u8]) -> Result<(Option<i64>, Draft), ApiError> {
    let mut fields = Fields::parse(body)?;
    let title = fields.text("title", 1..=TITLE_CHARS_MAX);
    fields.require("title", title.is_some());
    let body = fields.long_text("body", BODY_BYTES_MAX).unwrap_or_default();
    let tags = fields.tags().unwrap_or_default();
    let version = fields.integer("version");
    fields.finish()?;
    Ok((version, Draft { title: title.expect("it was required"), body, tags }))
}

fn note_id(text: &str) -> Result<i64, ApiError> {
    // A number beyond the range is still a number, and surely unknown.
    input::path_number("id", text, 0..=i64::MAX).map_err(|error| {
        if error.status == StatusCode::BAD_REQUEST { error } else { unknown(text) }
    })
}

fn unknown(id: impl std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_note", format!("there is no note {id}"))
}

fn precondition_failed(version: i64) -> ApiError {
    ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "version_conflict",
        format!("the note has version {version} by now"),
    )
}

/// Reads the version that `If-Match` asks for; `*` asks for any (RFC 9110, section 13.1.1).
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_matches('"').parse().map(Some).map_err(|_| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_if_match",
            "If-Match takes a note's version, such as \"3\"",
        )
    })
}

/// A note with its version as the entity tag.
fn tagged(note: Note) -> impl IntoResponse {
    let tag = HeaderValue::from_str(&format!("\"{}\"", note.version)).expect("digits in quotes");
    ([(header::ETAG, tag)], Json(note))
}
