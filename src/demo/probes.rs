//! Routes that answer as the request asks: statuses, delays, echoes, bodies, redirects, cookies.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::input;

/// The longest delay in milliseconds.
const DELAY_MAX: u64 = 60_000;

/// The largest body in bytes.
const BYTES_MAX: usize = 100_000_000;

/// The most hops: more than any client follows.
const REDIRECTS_MAX: u32 = 100;

/// A piece of a body; larger ones repeat it without copying.
static CHUNK: [u8; 64 * 1024] = [b'k'; 64 * 1024];

type Answer = Result<Response, ApiError>;

/// `/api/status/{code}`: answers that status.
pub(super) async fn status(Path(code): Path<String>) -> Answer {
    let code = input::path_number("code", &code, 200..=599u16)?;
    let status = StatusCode::from_u16(code).expect("it is in range");
    // Statuses that define an answer without content (RFC 9110, section 15).
    if matches!(code, 204 | 205 | 304) {
        return Ok(status.into_response());
    }
    Ok((status, Json(json!({ "status": code }))).into_response())
}

/// `/api/delay/{ms}`: answers after that time.
pub(super) async fn delay(Path(milliseconds): Path<String>) -> Answer {
    let milliseconds = input::path_number("ms", &milliseconds, 0..=DELAY_MAX)?;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Ok(Json(json!({ "delay_ms": milliseconds })).into_response())
}

/// `/api/echo`: answers what it was sent.
pub(super) async fn echo(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let mut query = Map::new();
    for (name, value) in input::pairs(&uri) {
        gather(&mut query, &name, value.into_owned());
    }
    let mut fields = Map::new();
    for (name, value) in &headers {
        gather(&mut fields, name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let body = body?;
    let mut answer = json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": query,
        "headers": fields,
    });
    if let Ok(text) = str::from_utf8(&body) {
        answer["body"] = text.into();
    } else {
        answer["body"] = Value::Null;
        answer["body_base64"] = BASE64_STANDARD.encode(&body).into();
    }
    Ok(Json(answer).into_response())
}

/// `/api/page`: answers the page that it was sent.
pub(super) async fn page(body: Result<Bytes, BytesRejection>) -> Answer {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    Ok((headers, body?).into_response())
}

/// Adds a value to a name: alone it is a text, with others a list.
fn gather(map: &mut Map<String, Value>, name: &str, value: String) {
    match map.get_mut(name) {
        None => {
            map.insert(name.to_owned(), value.into());
        }
        Some(Value::Array(values)) => values.push(value.into()),
        Some(single) => *single = json!([single.take(), value]),
    }
}

/// `/api/bytes/{n}`: answers that many bytes.
pub(super) async fn bytes(Path(count): Path<String>) -> Answer {
    let count = input::path_number("n", &count, 0..=BYTES_MAX)?;
    let body = if count <= CHUNK.len() {
        Body::from(&CHUNK[..count])
    } else {
        let pieces = (0..count).step_by(CHUNK.len()).map(move |sent| {
            let piece = &CHUNK[..CHUNK.len().min(count - sent)];
            Ok::<_, Infallible>(Bytes::from_static(piece))
        });
        Body::from_stream(stream::iter(pieces))
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(count)),
    ];
    Ok((headers, body).into_response())
}

/// `/api/redirect/{n}`: answers after that many hops.
pub(super) async fn redirect(Path(hops): Path<String>) -> Answer {
    match input::path_number("n", &hops, 0..=REDIRECTS_MAX)? {
        0 => Ok(Json(json!({ "arrived": true })).into_response()),
        hops => Ok(found(format!("/api/redirect/{}", hops - 1)).into_response()),
    }
}

fn found(location: String) -> impl IntoResponse {
    (StatusCode::FOUND, [(header::LOCATION, location)])
}

/// `/api/cookies`: answers the cookies that it was sent.
pub(super) async fn cookies(headers: HeaderMap) -> Json<Value> {
    let mut cookies = Map::new();
    for field in headers.get_all(header::COOKIE) {
        for pair in field.to_str().unwrap_or_default().split(';') {
            if let Some((name, value)) = pair.trim().split_once('=') {
                gather(&mut cookies, name, value.to_owned());
            }
        }
    }
    Json(json!({ "cookies": cookies }))
}

/// `/api/cookies/set?name=value`: sets cookies and sends the client to see them.
pub(super) async fn set_cookies(uri: Uri) -> Answer {
    let mut response = found("/api/cookies".to_owned()).into_response();
    for (name, value) in input::pairs(&uri) {
        if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_cookie_octet) {
            return Err(ApiError::invalid_field(
                "query",
                format!("\"{name}\" and its value cannot stand in a cookie"),
            ));
        }
        let cookie = HeaderValue::from_str(&format!("{name}={value}; Path=/"))
            .expect("only visible ASCII is left");
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A byte of a cookie's value (RFC 6265, section 4.1.1).
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// `/api/gzip`: answers JSON in gzip, whatever the client accepts.
pub(super) async fn gzip() -> impl IntoResponse {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| {
        let lines: Vec<_> =
            (1..=100).map(|line| format!("line {line} of the tide table")).collect();
        let text = json!({ "encoding": "gzip", "lines": lines }).to_string();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish())
            .expect("a vector takes all")
            .into()
    });
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
    (headers, BODY.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_become_a_list() {
        let mut map = Map::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
            gather(&mut map, name, value.to_owned());
        }
        assert_eq!(Value::from(map), json!({ "a": ["1", "3", "4"], "b": "2" }));
    }

    #[tokio::test]
    async fn cookies_that_would_split_a_header_are_refused() {
        for query in ["a=b%0d%0ac:d", "a%20b=c", "=c", "a=b;c", "a=%C3%A9"] {
            let uri = format!("/api/cookies/set?{query}").parse().expect("a URI");
            let error = set_cookies(uri).await.expect_err(query);
            assert_eq!(error.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
}
