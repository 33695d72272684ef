//! `/api/rpc`: JSON-RPC 2.0 over HTTP, single calls and batches.
//!
//! Calls of a batch run at the same time and are answered as they end, so a slow one comes last:
//! the specification lets answers come in any order, and servers make use of it.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::relay;
use super::routes::App;

/// The most calls of a batch.
const BATCH_MAX: usize = 1_000;

/// An error as the specification has it (section 5.1).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), data: None }
    }

    /// Params that the method cannot take.
    pub(super) fn params(message: impl fmt::Display) -> Self {
        Self::new(-32602, format_args!("invalid params: {message}"))
    }

    fn invalid() -> Self {
        Self::new(-32600, "invalid request: a call has `jsonrpc` \"2.0\", `method` and `id`")
    }
}

/// What a method comes to: a value, or JSON that was made before.
pub(super) type Outcome = Result<Box<RawValue>, RpcError>;

/// An answer; the id is the call's own text.
#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RpcError>,
}

/// A call as it came.
#[derive(Deserialize)]
struct Call<'a> {
    jsonrpc: Option<&'a str>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Answers what was posted.
pub(super) async fn rpc(State(app): State<Arc<App>>, body: Bytes) -> Response {
    match answers(&app, &body).await {
        Some(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        // Notifications alone have no answer (section 6).
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Returns the answer to a document as text; nothing if there is none to give.
pub(super) async fn answers(app: &App, body: &[u8]) -> Option<String> {
    let Ok(document) = serde_json::from_slice::<&RawValue>(body) else {
        let error = RpcError::new(-32700, "parse error: the body is no JSON");
        return Some(answer(None, Err(error)));
    };
    let document = document.get();
    if !document.starts_with('[') {
        return one(app, document).await;
    }
    let calls: Vec<&RawValue> = serde_json::from_str(document).unwrap_or_default();
    if calls.is_empty() {
        return Some(answer(None, Err(RpcError::invalid())));
    }
    if calls.len() > BATCH_MAX {
        let message = format!("a batch has at most {BATCH_MAX} calls, not {}", calls.len());
        return Some(answer(None, Err(RpcError::new(-32005, message))));
    }
    let running: FuturesUnordered<_> = calls.iter().map(|call| one(app, call.get())).collect();
    let answers: Vec<String> = running.filter_map(std::future::ready).collect().await;
    (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
}

/// Returns the answer to one call; nothing for a notification.
async fn one(app: &App, call: &str) -> Option<String> {
    let Ok(Call { jsonrpc: Some("2.0"), method: Some(method), params, id }) =
        serde_json::from_str(call)
    else {
        return Some(answer(None, Err(RpcError::invalid())));
    };
    let params = params.map_or("[]", RawValue::get);
    let outcome = if params.starts_with(['[', '{']) {
        relay::call(&app.relay, &method, params).await
    } else {
        Err(RpcError::params("they must be an array or an object"))
    };
    // `"id": null` is an id, if a discouraged one; serde takes it for none.
    id.map(|id| answer(Some(id), outcome))
}

fn answer(id: Option<&RawValue>, outcome: Outcome) -> String {
    let (result, error) = match outcome {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let id = id.unwrap_or(RawValue::NULL);
    let answer = Answer { jsonrpc: "2.0", id, result, error };
    serde_json::to_string(&answer).expect("an answer is text and numbers")
}
