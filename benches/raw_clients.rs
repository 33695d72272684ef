//! What messages cost without scripts and without measuring: clients of tokio-tungstenite and of
//! hyper, for `scripts/bench.sh messages` to compare with.
//!
//! `raw_clients ws|rpc|hold ADDRESS CONNECTIONS COUNT`: so many echoes or calls on each connection;
//! `hold` keeps sockets that are told of tides for so many seconds. Prints how many messages came.

#![expect(clippy::print_stdout, reason = "what it prints is its answer")]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// The text of an echo: as long as a small JSON message.
const TEXT: &str = r#"{"id":1,"method":"subscribe","params":{"topic":"tides","n":12}}"#;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, address, connections, count] = words.as_slice() else {
        bail!("raw_clients ws|rpc|hold ADDRESS CONNECTIONS COUNT");
    };
    let address: SocketAddr = address.parse().context("ADDRESS")?;
    let connections: usize = connections.parse().context("CONNECTIONS")?;
    let count: u64 = count.parse().context("COUNT")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let came = local.block_on(&runtime, async {
        match what.as_str() {
            "ws" => try_join_all((0..connections).map(|_| echoes(address, count))).await,
            "rpc" => try_join_all((0..connections).map(|_| calls(address, count))).await,
            "hold" => {
                let time = Duration::from_secs(count);
                try_join_all((0..connections).map(|_| hold(address, time))).await
            }
            other => bail!("`{other}` is none of ws, rpc, hold"),
        }
    })?;
    println!("messages {}", came.iter().sum::<u64>());
    Ok(())
}

async fn socket(address: SocketAddr, path: &str) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(client_async(format!("ws://{address}{path}"), stream).await?.0)
}

async fn echoes(address: SocketAddr, count: u64) -> Result<u64> {
    let mut socket = socket(address, "/ws/echo").await?;
    for _ in 0..count {
        socket.send(Message::text(TEXT)).await?;
        let answer = socket.next().await.context("an echo")??;
        ensure!(answer.to_text()? == TEXT, "another text");
    }
    socket.close(None).await?;
    Ok(count)
}

async fn hold(address: SocketAddr, time: Duration) -> Result<u64> {
    let mut socket = socket(address, "/ws/feed").await?;
    let params = json!({ "topic": "tides", "interval_ms": 1000 });
    let subscribe = json!({ "id": 1, "method": "subscribe", "params": params });
    socket.send(Message::text(subscribe.to_string())).await?;
    let mut came = 0;
    let mut over = std::pin::pin!(tokio::time::sleep(time));
    loop {
        tokio::select! {
            tide = socket.next() => tide.context("a tide")??,
            () = &mut over => return Ok(came),
        };
        came += 1;
    }
}

async fn calls(address: SocketAddr, count: u64) -> Result<u64> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    for id in 1..=count {
        let call = json!({ "jsonrpc": "2.0", "method": "eth_chainId", "params": [], "id": id });
        let request = hyper::Request::post("/api/rpc")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(&call)?)))?;
        let answer = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&answer)?;
        ensure!(answer["result"] == "0x1cd4" && answer["id"] == id, "another answer");
    }
    Ok(count)
}
