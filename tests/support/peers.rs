//! Servers on threads of their own, for tests whose client runs in a runtime of its own: whole runs,
//! and runs of the binary.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as a peer sees it.
pub(crate) struct Asked {
    /// The first line and the header lines.
    pub(crate) lines: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Returns a header's value by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Reads a request; nothing if the client is gone.
    pub(crate) fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut asked = Self { lines, body: Vec::new() };
        let length = asked.header("content-length").map_or(0, |text| text.parse().expect("length"));
        asked.body = vec![0; length];
        stream.read_exact(&mut asked.body).ok()?;
        Some(asked)
    }
}

/// Accepts connections for as long as the process lives, each on a thread.
pub(crate) fn accept(handle: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, handle) = (stream.expect("accept"), handle.clone());
            std::thread::spawn(move || handle(stream));
        }
    });
    address
}

/// Starts a server that answers each request with head lines and a body.
pub(crate) fn serve(
    answer: impl Fn(&Asked) -> (String, Vec<u8>) + Send + Clone + 'static,
) -> SocketAddr {
    accept(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("clone"));
        while let Some(asked) = Asked::read(&mut reader) {
            let (head, body) = answer(&asked);
            let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
            if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
                return;
            }
        }
    })
}

/// Starts a server that speaks TLS and answers each request with what it asked for.
pub(crate) fn secure(config: Arc<ServerConfig>) -> SocketAddr {
    accept(move |stream| {
        let Ok(session) = ServerConnection::new(Arc::clone(&config)) else { return };
        let mut stream = BufReader::new(StreamOwned::new(session, stream));
        while let Some(asked) = Asked::read(&mut stream) {
            let body = asked.lines[0].as_str();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let stream = stream.get_mut();
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    })
}

/// Starts a server that wants digest authentication of ada, whose password is `secret`.
pub(crate) fn guard() -> SocketAddr {
    let md5 = |text: &str| {
        let digest: [u8; 16] = Md5::digest(text).into();
        format!("{:032x}", u128::from_be_bytes(digest))
    };
    serve(move |asked| {
        let answer = asked.header("authorization").unwrap_or_default().to_owned();
        let part = |name: &str| -> String {
            let parts = answer.trim_start_matches("Digest ").split(", ");
            let mut values = parts.filter_map(|part| part.split_once('='));
            let value = values.find(|(known, _)| *known == name).map(|(_, value)| value);
            value.unwrap_or_default().trim_matches('"').to_owned()
        };
        let mut first = asked.lines[0].split(' ');
        let (method, target) = (first.next().expect("method"), first.next().expect("target"));
        let right = md5(&format!(
            "{}:n:{}:{}:auth:{}",
            md5("ada:tide:secret"),
            part("nc"),
            part("cnonce"),
            md5(&format!("{method}:{target}"))
        ));
        if part("response") == right {
            return (format!("200 OK\r\nX-Count: {}", part("nc")), asked.body.clone());
        }
        let challenge = "Digest realm=\"tide\", nonce=\"n\", qop=\"auth\"";
        (format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"), b"who?".to_vec())
    })
}

/// Starts a server that answers with the body that it was sent, in the coding that it was sent in, and
/// says in headers of its own what it was asked.
pub(crate) fn mirror() -> SocketAddr {
    serve(|asked| {
        let mut head = format!("200 OK\r\nX-Length: {}", asked.body.len());
        for (name, own) in [
            ("content-encoding", "Content-Encoding"),
            ("content-type", "X-Type"),
            ("authorization", "X-Authorization"),
            ("x-amz-content-sha256", "X-Sha256"),
        ] {
            if let Some(value) = asked.header(name) {
                head.extend(["\r\n", own, ": ", value]);
            }
        }
        (head, asked.body.clone())
    })
}

/// Starts an HTTP proxy for ada, whose password is `secret`. What it is to forward it answers itself,
/// with the line that it was asked; its tunnels lead to the loopback, whatever the name.
pub(crate) fn proxy() -> SocketAddr {
    accept(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("clone"));
        while let Some(asked) = Asked::read(&mut reader) {
            let line = asked.lines[0].clone();
            let known = asked.header("proxy-authorization") == Some("Basic YWRhOnNlY3JldA==");
            let answer = |status: &str, body: &str| {
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            };
            let answer = match line.strip_prefix("CONNECT ") {
                _ if !known => answer("407 Proxy Authentication Required", "who?"),
                None => answer("200 OK", &line),
                Some(target) => {
                    let port = target.split([':', ' ']).nth(1).expect("a port");
                    let port = port.parse().expect("a port");
                    return tunnel(&stream, port);
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Leads what comes to a port of the loopback and back, until both are silent.
fn tunnel(mut client: &TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    if client.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").is_err() {
        return;
    }
    let lead = |mut from: &TcpStream, mut to: &TcpStream| {
        let _broken = std::io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Write);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| lead(client, &server));
        lead(&server, client);
    });
}

/// Starts a server on a Unix socket that answers each request with the line that it was asked.
pub(crate) fn on_socket(path: &Path) {
    let listener = UnixListener::bind(path).expect("bind");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("accept"));
            std::thread::spawn(move || {
                while let Some(asked) = Asked::read(&mut stream) {
                    let line = &asked.lines[0];
                    let length = line.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{line}");
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
}
