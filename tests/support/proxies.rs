//! Proxies of the tests' own: HTTP with tunnels, and SOCKS 5. Each writes down what it was asked.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A listening proxy; lives as long as the test's `LocalSet`.
pub(crate) struct ProxyServer {
    pub(crate) address: SocketAddr,
    /// Heads of HTTP, or targets of SOCKS.
    pub(crate) asked: Rc<RefCell<Vec<String>>>,
}

/// How a proxy is spoken to.
#[derive(Clone)]
pub(crate) enum Speaks {
    Http,
    Https(Arc<ServerConfig>),
    /// With the user `ada` and the password `secret`, if they are wanted.
    Socks {
        password: bool,
    },
}

impl ProxyServer {
    /// Starts a proxy. Names lead to the loopback, whatever they are.
    pub(crate) async fn start(speaks: Speaks) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bind");
        let address = listener.local_addr().expect("address");
        let asked = Rc::<RefCell<Vec<String>>>::default();
        let log = Rc::clone(&asked);
        tokio::task::spawn_local(async move {
            loop {
                let (mut socket, _) = listener.accept().await.expect("accept");
                let (speaks, log) = (speaks.clone(), Rc::clone(&log));
                tokio::task::spawn_local(async move {
                    // A client that does not like us is what some tests want.
                    let _gone = match speaks {
                        Speaks::Http => http(&mut socket, &log).await,
                        Speaks::Socks { password } => socks(&mut socket, password, &log).await,
                        Speaks::Https(config) => {
                            match TlsAcceptor::from(config).accept(socket).await {
                                Ok(mut stream) => http(&mut stream, &log).await,
                                Err(_) => None,
                            }
                        }
                    };
                });
            }
        });
        Self { address, asked }
    }

    /// Returns its URL.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }
}

async fn connect(target: &str) -> Option<TcpStream> {
    let (_, port) = target.rsplit_once(':')?;
    TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse().ok()?)).await.ok()
}

async fn http(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    log: &RefCell<Vec<String>>,
) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("text");
        log.borrow_mut().push(head.clone());
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        if target.contains("forbidden.test") {
            let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            continue;
        }
        if method == "CONNECT" {
            let mut server = connect(target).await?;
            stream.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").await.ok()?;
            stream.flush().await.ok()?;
            copy_bidirectional(stream, &mut server).await.ok()?;
            return None;
        }
        // What is forwarded is asked for anew, once per request.
        let rest = target.strip_prefix("http://")?;
        let (host, path) = rest.split_once('/')?;
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut server = connect(&host).await?;
        let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        server.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(server.read_u8().await.ok()?);
        }
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let from = answer.len();
        answer.resize(from + length.map_or(0, |text| text.parse().expect("length")), 0);
        server.read_exact(&mut answer[from..]).await.ok()?;
        stream.write_all(&answer).await.ok()?;
        stream.flush().await.ok()?;
    }
}

async fn socks(stream: &mut TcpStream, password: bool, log: &RefCell<Vec<String>>) -> Option<()> {
    let [version, count] = read(stream).await?;
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await.ok()?;
    let wanted = if password { 2 } else { 0 };
    if version != 5 || !methods.contains(&wanted) {
        stream.write_all(&[5, 0xff]).await.ok()?;
        return None;
    }
    stream.write_all(&[5, wanted]).await.ok()?;
    if password {
        let [_, length] = read(stream).await?;
        let user = text(stream, length).await?;
        let [length] = read(stream).await?;
        let right = (user.as_str(), text(stream, length).await?.as_str()) == ("ada", "secret");
        stream.write_all(&[1, u8::from(!right)]).await.ok()?;
    }
    let [_, _, _, kind] = read(stream).await?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(stream).await?).to_string(),
        3 => {
            let [length] = read(stream).await?;
            text(stream, length).await?
        }
        _ => return None,
    };
    let target = format!("{host}:{}", u16::from_be_bytes(read(stream).await?));
    log.borrow_mut().push(target.clone());
    if host == "forbidden.test" {
        stream.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
        return None;
    }
    let mut server = connect(&target).await?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.ok()?;
    copy_bidirectional(stream, &mut server).await.ok()?;
    None
}

async fn read<const N: usize>(stream: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn text(stream: &mut TcpStream, length: u8) -> Option<String> {
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}
