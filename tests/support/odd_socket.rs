//! A JSON-RPC server over WebSockets that misbehaves as the path of the handshake says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;

/// How many handshakes came for each path.
type Handshakes = Rc<RefCell<BTreeMap<String, u64>>>;

/// Starts a server for as long as the process lives.
pub(crate) fn start() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let handshakes = Handshakes::default();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(serve(stream, Rc::clone(&handshakes)));
            }
        });
    });
    address
}

/// Answers until the client closes, or the path says to.
async fn serve(stream: TcpStream, handshakes: Handshakes) -> Option<()> {
    let mut path = String::new();
    let look = |request: &Request, mut response: Response| {
        request.uri().path().clone_into(&mut path);
        *handshakes.borrow_mut().entry(path.clone()).or_default() += 1;
        if path.starts_with("/refuse") {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Err(response.map(|()| None));
        }
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, look).await.ok()?;
    let mut before = None;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let call: Value = serde_json::from_str(&text).unwrap();
        match path.as_str() {
            "/drop" => return None,
            "/close" => {
                socket.close(None).await.ok()?;
                continue;
            }
            // How often somebody came to the path that a call names.
            "/handshakes" => {
                let asked = call["params"][0].as_str().unwrap_or_default();
                let came = handshakes.borrow().get(asked).copied().unwrap_or_default();
                socket.send(Message::text(result(&call, came))).await.ok()?;
                continue;
            }
            // A subscription whose connection ends after two notifications: closed, or broken off.
            path if path.starts_with("/brief/") && call["method"] == "subscribe" => {
                for message in [result(&call, "s1"), told("s1", 1), told("s1", 2)] {
                    socket.send(Message::text(message)).await.ok()?;
                }
                if call["params"][0] != "close" {
                    return None;
                }
                socket.close(None).await.ok()?;
                continue;
            }
            _ => {}
        }
        for answer in answers(&path, &text, &call, before.as_ref()) {
            socket.send(Message::text(answer)).await.ok()?;
        }
        before = Some(call);
    }
    Some(())
}

fn result(call: &Value, result: impl Into<Value>) -> String {
    json!({ "jsonrpc": "2.0", "id": call["id"], "result": result.into() }).to_string()
}

fn told(subscription: &str, result: u64) -> String {
    let params = json!({ "subscription": subscription, "result": result });
    json!({ "jsonrpc": "2.0", "method": "told", "params": params }).to_string()
}

fn answers(path: &str, text: &str, call: &Value, before: Option<&Value>) -> Vec<String> {
    match path {
        // One object for each call of a batch, the last first.
        "/mixed" => {
            let calls = call.as_array().unwrap().iter().rev();
            calls.map(|call| result(call, call["method"].clone())).collect()
        }
        // A subscription tells before it has its name.
        "/early" => vec![told("s1", 1), told("other", 9), result(call, "s1"), told("s1", 2)],
        // Each call is answered when the next one comes, which is answered at once too.
        "/late" => match before {
            None => Vec::new(),
            Some(before) => vec![result(before, "late"), result(call, "in time")],
        },
        "/foreign" => vec![
            json!({ "id": 77, "result": "nobody's" }).to_string(),
            json!({ "id": 1, "method": "serverCalls", "params": [] }).to_string(),
            result(call, "mine"),
        ],
        "/broken" => vec!["{".to_owned()],
        "/null" => {
            let error = json!({ "code": -32700, "message": "what?" });
            vec![json!({ "id": null, "error": error }).to_string()]
        }
        // As many notifications as a call of `flood(n)` says, and then the answer.
        "/flood" => {
            let many = call["params"][0].as_u64().unwrap_or(0);
            (0..many).map(|at| told("s1", at)).chain([result(call, "s1")]).collect()
        }
        // Notifications without a subscription's id.
        "/named" => {
            let news = |at: u64| json!({ "method": "news", "params": { "at": at } }).to_string();
            vec![result(call, true), news(1), news(2)]
        }
        "/echo" => vec![result(call, text)],
        path if path.starts_with("/brief/") => vec![result(call, "here")],
        _ => Vec::new(),
    }
}
