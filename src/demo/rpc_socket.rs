//! `/ws/rpc`: JSON-RPC 2.0 over a WebSocket, with subscriptions as Ethereum's nodes have them.
//!
//! Calls of one socket run at the same time and are answered as they end, like those of a batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::routes::App;
use super::rpc::{self, RpcError};
use crate::clock::{self, Instant};

/// How often a subscription tells of something unless it is asked for another interval: a block's
/// time.
const INTERVAL: u64 = 1_000;

/// The shortest and the longest interval that can be asked for, in milliseconds.
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// The most subscriptions of one socket.
const SUBSCRIPTIONS_MAX: usize = 100;

/// What can be subscribed to.
const TOPICS: [&str; 2] = ["newHeads", "newPendingTransactions"];

/// `/ws/rpc`.
pub(super) async fn rpc(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket: WebSocket| serve(&app, socket).await)
}

/// What one socket is subscribed to, by id.
#[derive(Default)]
struct Subscriptions {
    made: u64,
    open: BTreeMap<String, Subscription>,
}

struct Subscription {
    topic: &'static str,
    interval: Duration,
    due: Instant,
    sequence: u64,
}

async fn serve(app: &App, mut socket: WebSocket) {
    let mut subscriptions = Subscriptions::default();
    let mut running = FuturesUnordered::new();
    loop {
        let due = subscriptions.open.values().map(|one| one.due).min();
        let tick = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let texts = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let answer = subscriptions.answer(&text);
                    if answer.is_none() {
                        running.push(async move { rpc::answers(app, text.as_bytes()).await });
                    }
                    answer.into_iter().collect()
                }
                Some(Err(_)) | None => return,
                // The rest is answered by itself, a farewell with the next look.
                Some(Ok(_)) => Vec::new(),
            },
            Some(answer) = running.next() => answer.into_iter().collect(),
            () = tick => subscriptions.tell(app),
        };
        for text in texts {
            if socket.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
    }
}

impl Subscriptions {
    /// Answers a call that subscribes or unsubscribes; nothing if it is another.
    fn answer(&mut self, text: &str) -> Option<String> {
        let call: Value = serde_json::from_str(text).ok()?;
        let params = &call["params"];
        let outcome = match call["method"].as_str()? {
            "eth_subscribe" => self.subscribe(params).map(Value::from),
            "eth_unsubscribe" => {
                let known = params[0].as_str().and_then(|id| self.open.remove(id));
                Ok(known.is_some().into())
            }
            _ => return None,
        };
        let id = &call["id"];
        Some(match outcome {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string(),
        })
    }

    fn subscribe(&mut self, params: &Value) -> Result<String, RpcError> {
        let topic = params[0].as_str().unwrap_or_default();
        let topic = TOPICS.into_iter().find(|known| *known == topic).ok_or_else(|| {
            RpcError::params(format_args!("the first is one of {}", TOPICS.join(", ")))
        })?;
        let interval = match &params[1]["interval_ms"] {
            Value::Null => INTERVAL,
            other => other.as_u64().filter(|ms| INTERVALS.contains(ms)).ok_or_else(|| {
                let (least, most) = (INTERVALS.start(), INTERVALS.end());
                RpcError::params(format_args!("interval_ms is {least} to {most}"))
            })?,
        };
        if self.open.len() == SUBSCRIPTIONS_MAX {
            let message = format!("a socket has {SUBSCRIPTIONS_MAX} subscriptions at most");
            return Err(RpcError::new(-32005, message));
        }
        self.made += 1;
        let id = format!("0x{:x}", self.made);
        let interval = Duration::from_millis(interval);
        let due = clock::now() + interval;
        self.open.insert(id.clone(), Subscription { topic, interval, due, sequence: 0 });
        Ok(id)
    }

    /// Returns what is told of the subscriptions that are due.
    fn tell(&mut self, app: &App) -> Vec<String> {
        let now = clock::now();
        let due = self.open.iter_mut().filter(|(_, one)| one.due <= now);
        due.map(|(id, one)| {
            one.sequence += 1;
            one.due = now + one.interval;
            let result = match one.topic {
                "newHeads" => json!({
                    "number": format!("0x{:x}", app.relay.newest()),
                    "sequence": one.sequence,
                }),
                _ => format!("0x{:064x}", one.sequence).into(),
            };
            let params = json!({ "subscription": id, "result": result });
            json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": params }).to_string()
        })
        .collect()
    }
}
