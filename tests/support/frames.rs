//! HTTP/2 by hand (RFC 9113): a server that sends what frames a test says, rightly or wrongly.

use std::cell::Cell;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// A listening server; lives as long as the test's `LocalSet`.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    pub(crate) connections: Rc<Cell<usize>>,
}

impl Server {
    /// Starts a server on 127.0.0.1 that does this to each client.
    pub(crate) async fn start(handler: impl AsyncFn(Peer) + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let connections = Rc::new(Cell::new(0));
        let server = Self { address, connections: Rc::clone(&connections) };
        let handler = Rc::new(handler);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                let number = connections.replace(connections.get() + 1);
                let handler = Rc::clone(&handler);
                tokio::task::spawn_local(async move {
                    handler(Peer { stream, number, unread: Vec::new() }).await;
                });
            }
        });
        server
    }

    /// Returns a URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// One accepted connection.
pub(crate) struct Peer {
    stream: TcpStream,
    /// From 0.
    pub(crate) number: usize,
    unread: Vec<u8>,
}

impl Peer {
    /// Reads so many bytes; nothing if the client closed before.
    pub(crate) async fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            let read = self.stream.read_buf(&mut self.unread).await;
            read.ok().filter(|bytes| *bytes > 0)?;
        }
        Some(self.unread.drain(..count).collect())
    }

    /// Writes; that the client may be gone is no concern of the server's.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _gone = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Closes its writing side.
    pub(crate) async fn half_close(&mut self) {
        let _gone = self.stream.shutdown().await;
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("linger");
    }

    /// Says nothing more until the client closes.
    pub(crate) async fn hold(mut self) {
        while self.bytes(1).await.is_some() {}
    }
}

/// A frame as it came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Returns the number that the payload begins with.
    pub(crate) fn number(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().expect("four bytes"))
    }
}

/// A client's connection after both have greeted.
pub(crate) struct Framed {
    pub(crate) peer: Peer,
    /// All frames that came.
    pub(crate) came: Vec<Frame>,
}

impl Framed {
    /// Reads the client's preface and sends the server's settings.
    pub(crate) async fn greet(peer: Peer, settings: &[(u16, u32)]) -> Self {
        let mut framed = Self { peer, came: Vec::new() };
        let preface = framed.peer.bytes(24).await.expect("a preface");
        assert_eq!(preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        framed.settings(settings).await;
        framed
    }

    pub(crate) async fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        self.send(SETTINGS, 0, 0, &payload).await;
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.peer.write(frame).await;
    }

    /// Reads a frame; settings are acknowledged and nothing else done about it.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let head = self.peer.bytes(9).await?;
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        let payload = self.peer.bytes(size).await?;
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if frame.kind == SETTINGS && frame.flags == 0 {
            self.send(SETTINGS, 1, 0, &[]).await;
        }
        self.came.push(frame.clone());
        Some(frame)
    }

    /// Reads on until a frame of this kind comes.
    pub(crate) async fn next(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads on until a request has come whole; returns its stream.
    pub(crate) async fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.frame().await?;
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return Some(frame.stream);
            }
        }
    }

    /// Sends the head of an answer.
    pub(crate) async fn head(
        &mut self,
        stream: u32,
        status: &str,
        flags: u8,
        more: &[(&str, &str)],
    ) {
        let lines = [(":status", status)];
        let lines: Vec<_> = lines.iter().chain(more).copied().collect();
        self.send(HEADERS, flags | END_HEADERS, stream, &block(&lines)).await;
    }

    /// Answers 200 with a body.
    pub(crate) async fn answer(&mut self, stream: u32, body: &str) {
        self.head(stream, "200", 0, &[]).await;
        self.send(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub(crate) async fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// Reads on until the client closes.
    pub(crate) async fn hold(&mut self) {
        while self.frame().await.is_some() {}
    }

    /// Answers one request, after which the client knows the settings.
    pub(crate) async fn first(&mut self) {
        let stream = self.request().await.expect("a request");
        self.answer(stream, "ok").await;
    }

    /// Answers all requests, each with `ok`, until the client closes.
    pub(crate) async fn serve(&mut self) {
        while let Some(stream) = self.request().await {
            self.answer(stream, "ok").await;
        }
    }
}

/// Encodes header lines as literals that nobody remembers (RFC 7541, 6.2.2).
pub(crate) fn block(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        block.push(0);
        for text in [name, value] {
            number(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Encodes a length with a prefix of seven bits (RFC 7541, 5.1).
fn number(block: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        return block.push(value as u8);
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push(value as u8 | 128);
        value >>= 7;
    }
    block.push(value as u8);
}
