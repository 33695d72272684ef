//! WebSockets: an echo, a feed of tides to subscribe to, one that tells of its handshake, one that is
//! closed at once.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::input;
use crate::clock::{self, Instant};

/// The subprotocols of the echo. They mean nothing; the first that a client offers is agreed on.
const PROTOCOLS: [&str; 2] = ["echo.v1", "echo.v2"];

/// The largest message.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// How often the feed tells of a topic unless it is asked for another interval, and the shortest
/// and longest that it can be asked for, in milliseconds.
const INTERVAL: u64 = 100;
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// The most topics of one feed.
const TOPICS_MAX: usize = 100;

/// `/ws/echo`: sends every message back.
pub(super) async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(PROTOCOLS)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(async |mut socket: WebSocket| {
            while let Some(Ok(message)) = socket.recv().await {
                // The rest is answered by itself, a farewell with the next look at the socket.
                let echoed = matches!(message, Message::Text(_) | Message::Binary(_));
                if echoed && socket.send(message).await.is_err() {
                    break;
                }
            }
        })
}

/// `/ws/handshake`: tells the handshake's headers, and sets a cookie with its answer.
pub(super) async fn handshake(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let told: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let mut response = upgrade.on_upgrade(async move |mut socket: WebSocket| {
        let told = Value::from(told).to_string();
        if socket.send(Message::Text(told.into())).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    });
    let cookie = HeaderValue::from_static("handshake=seen; Path=/");
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// `/ws/close/{code}`: closes at once.
pub(super) async fn close(
    Path(code): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let code = input::path_number("code", &code, 1000..=4999u16)?;
    Ok(upgrade
        .on_upgrade(async move |mut socket: WebSocket| {
            let frame = CloseFrame { code, reason: "as asked".into() };
            if socket.send(Message::Close(Some(frame))).await.is_ok() {
                // The client's farewell.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        })
        .into_response())
}

/// `/ws/feed`: tells of topics that the client subscribes to.
pub(super) async fn feed(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| Feed { socket, topics: Vec::new() }.serve())
}

struct Feed {
    socket: WebSocket,
    topics: Vec<Topic>,
}

struct Topic {
    name: String,
    interval: Duration,
    due: Instant,
    sequence: u64,
}

impl Feed {
    async fn serve(mut self) {
        loop {
            let due = self.topics.iter().map(|topic| topic.due).min();
            let tick = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let answers = tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => vec![self.answer(&text)],
                    Some(Err(_)) | None => return,
                    // The rest is answered by itself, a farewell with the next look.
                    Some(Ok(_)) => Vec::new(),
                },
                () = tick => self.tell(),
            };
            for answer in answers {
                if self.socket.send(Message::Text(answer.to_string().into())).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Returns what a request is answered.
    fn answer(&mut self, text: &str) -> Value {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return json!({ "id": null, "error": "this is no JSON" });
        };
        let id = &request["id"];
        let topic = request["params"]["topic"].as_str().unwrap_or("tides");
        match request["method"].as_str() {
            Some("subscribe") => match self.subscribe(topic, &request["params"]["interval_ms"]) {
                Ok(()) => json!({ "id": id, "result": topic }),
                Err(why) => json!({ "id": id, "error": why }),
            },
            Some("unsubscribe") => {
                let before = self.topics.len();
                self.topics.retain(|known| known.name != topic);
                json!({ "id": id, "result": before > self.topics.len() })
            }
            _ => json!({ "id": id, "error": "the methods are subscribe and unsubscribe" }),
        }
    }

    fn subscribe(&mut self, name: &str, interval: &Value) -> Result<(), String> {
        let interval = match interval {
            Value::Null => INTERVAL,
            other => other.as_u64().filter(|ms| INTERVALS.contains(ms)).ok_or_else(|| {
                format!("interval_ms is {} to {}", INTERVALS.start(), INTERVALS.end())
            })?,
        };
        let interval = Duration::from_millis(interval);
        self.topics.retain(|known| known.name != name);
        if self.topics.len() == TOPICS_MAX {
            return Err(format!("a feed has {TOPICS_MAX} topics at most"));
        }
        let due = clock::now() + interval;
        self.topics.push(Topic { name: name.to_owned(), interval, due, sequence: 0 });
        Ok(())
    }

    /// Returns what is told of the topics that are due.
    fn tell(&mut self) -> Vec<Value> {
        let now = clock::now();
        let due = self.topics.iter_mut().filter(|topic| topic.due <= now);
        due.map(|topic| {
            topic.sequence += 1;
            topic.due = now + topic.interval;
            // Twice a day for the impatient: a tide of sixteen messages.
            let turn = topic.sequence as f64 * std::f64::consts::TAU / 16.0;
            json!({ "topic": topic.name, "sequence": topic.sequence, "level": turn.sin() })
        })
        .collect()
    }
}
