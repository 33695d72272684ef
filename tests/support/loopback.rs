//! A server on the loopback that does to each connection what a test says, rightly or wrongly.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A listening server; lives as long as the test's `LocalSet`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Rc<Cell<usize>>,
    pub(crate) seen: Rc<RefCell<Vec<Seen>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// The first line.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Returns a header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Returns the request's target.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).expect("target")
    }
}

/// One accepted connection.
pub(crate) struct Peer {
    stream: Stream,
    /// From 0.
    pub(crate) number: usize,
    unread: Vec<u8>,
    seen: Rc<RefCell<Vec<Seen>>>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Server {
    /// Starts a plain server on 127.0.0.1.
    pub(crate) async fn start(handler: impl AsyncFn(Peer) + 'static) -> Self {
        Self::listen(Ipv4Addr::LOCALHOST.into(), None, handler).await
    }

    /// Starts a server; with a configuration it speaks TLS.
    pub(crate) async fn listen(
        ip: IpAddr,
        tls: Option<Arc<ServerConfig>>,
        handler: impl AsyncFn(Peer) + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("bind");
        let server = Self {
            address: listener.local_addr().expect("address"),
            connections: Rc::default(),
            seen: Rc::default(),
        };
        let (connections, seen) = (Rc::clone(&server.connections), Rc::clone(&server.seen));
        let handler = Rc::new(handler);
        tokio::task::spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("accept");
                let number = connections.replace(connections.get() + 1);
                let (seen, handler, tls) = (Rc::clone(&seen), Rc::clone(&handler), tls.clone());
                tokio::task::spawn_local(async move {
                    let stream = match tls {
                        None => Stream::Plain(socket),
                        Some(config) => match TlsAcceptor::from(config).accept(socket).await {
                            Ok(stream) => Stream::Tls(Box::new(stream)),
                            // The client did not like us: that is what some tests want.
                            Err(_) => return,
                        },
                    };
                    handler(Peer { stream, number, unread: Vec::new(), seen }).await;
                });
            }
        });
        server
    }

    /// Starts a server that answers every request alike and keeps its connections.
    pub(crate) async fn answering(answer: &'static str) -> Self {
        Self::start(async move |mut peer: Peer| {
            while peer.request().await.is_some() {
                peer.write(answer).await;
            }
        })
        .await
    }

    /// Returns a URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Peer {
    /// Reads a request; nothing if the client closed.
    pub(crate) async fn request(&mut self) -> Option<Seen> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.unread[..end].to_vec()).expect("head");
        self.unread.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let line = lines.next().expect("first line").to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").expect("header"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut seen = Seen { connection: self.number, line, headers, body: Vec::new() };
        let length = seen.header("content-length").map_or(0, |text| text.parse().expect("length"));
        while self.unread.len() < length {
            self.more().await?;
        }
        seen.body = self.unread.drain(..length).collect();
        self.seen.borrow_mut().push(seen.clone());
        Some(seen)
    }

    async fn more(&mut self) -> Option<()> {
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.unread).await,
            Stream::Tls(stream) => stream.read_buf(&mut self.unread).await,
        };
        read.is_ok_and(|bytes| bytes > 0).then_some(())
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Returns the address that the client comes from.
    pub(crate) fn remote_ip(&self) -> IpAddr {
        self.socket().peer_addr().expect("a peer").ip()
    }

    /// Returns the port that the server listens on.
    pub(crate) fn local_port(&self) -> u16 {
        self.socket().local_addr().expect("an address").port()
    }

    /// Reads so many bytes that are no request; nothing if the client closed before.
    #[allow(dead_code, reason = "not every test that includes this file reads other protocols")]
    pub(crate) async fn read(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.unread.len() < bytes {
            self.more().await?;
        }
        Some(self.unread.drain(..bytes).collect())
    }

    /// Returns whether the client came with a TLS session of before.
    pub(crate) fn resumed(&self) -> bool {
        match &self.stream {
            Stream::Plain(_) => false,
            Stream::Tls(stream) => {
                stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
            }
        }
    }

    /// Writes; that the client may be gone is no concern of the server's.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        match &mut self.stream {
            Stream::Plain(stream) => write(stream, bytes.as_ref()).await,
            Stream::Tls(stream) => write(&mut **stream, bytes.as_ref()).await,
        }
    }

    /// Closes its writing side and goes on reading until the client closes.
    pub(crate) async fn half_close(mut self) {
        if let Stream::Plain(stream) = &mut self.stream {
            stream.shutdown().await.expect("shutdown");
        }
        self.hold().await;
    }

    /// Says nothing more until the client closes.
    pub(crate) async fn hold(mut self) {
        while self.more().await.is_some() {}
    }

    /// Resets the connection, after the client had its chance to read what was written.
    pub(crate) async fn reset(self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        if let Stream::Plain(stream) = &self.stream {
            stream.set_zero_linger().expect("linger");
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    let _gone = stream.write_all(bytes).await;
    let _gone = stream.flush().await;
}
