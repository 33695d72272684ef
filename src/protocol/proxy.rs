//! Through a proxy: the tunnel of HTTP (`CONNECT`, RFC 9110, 9.3.6) and SOCKS 5 (RFC 1928, 1929).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{ErrorKind, ProtocolError};
use crate::plan::Proxy;

/// The largest head of an answer to `CONNECT`.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// More lines than such a head has.
const LINES_MAX: usize = 100;

/// Where a tunnel leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// To a name, which the proxy looks up, or an address in its place; IPv6 in brackets.
    Name(&'a str, u16),
    /// To an address.
    Address(SocketAddr),
}

/// Which proxy a request goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detour {
    /// None.
    None,
    /// This one.
    Through(Proxy),
}

/// Returns the header `proxy-authorization` for a proxy that wants to know who we are.
pub(super) fn authorization(proxy: &Proxy) -> Option<String> {
    let (user, password) = proxy.credentials.as_ref()?;
    Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// Asks an HTTP proxy for a tunnel.
///
/// # Errors
///
/// It refuses, or speaks no HTTP.
pub(super) async fn tunnel(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    proxy: &Proxy,
    target: Target<'_>,
    user_agent: Option<&str>,
) -> Result<(), ProtocolError> {
    let target = match target {
        Target::Name(host, port) => format!("{host}:{port}"),
        Target::Address(address) => address.to_string(),
    };
    let mut head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
    if let Some(agent) = user_agent {
        let _infallible = write!(head, "user-agent: {agent}\r\n");
    }
    if let Some(proof) = authorization(proxy) {
        let _infallible = write!(head, "proxy-authorization: {proof}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    let mut answer = Vec::with_capacity(512);
    loop {
        let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
        let mut parsed = httparse::Response::new(&mut lines);
        match parsed.parse(&answer) {
            Ok(httparse::Status::Complete(length)) => {
                match parsed.code.unwrap_or_default() {
                    // Interim answers are passed over.
                    100..200 => drop(answer.drain(..length)),
                    // The target is silent until it is spoken to.
                    200..300 if answer.len() > length => return Err(garbled("a tunnel")),
                    200..300 => return Ok(()),
                    status => return Err(failed(&format!("proxy refused with status {status}"))),
                }
                continue;
            }
            Ok(httparse::Status::Partial) if answer.len() < HEAD_BYTES_MAX => {}
            Ok(httparse::Status::Partial) | Err(_) => return Err(garbled("HTTP")),
        }
        if stream.read_buf(&mut answer).await.map_err(|error| broken(&error))? == 0 {
            return Err(failed("proxy closed the connection"));
        }
    }
}

/// Asks a SOCKS 5 proxy for a tunnel.
///
/// # Errors
///
/// It refuses, wants what it does not get, or speaks no SOCKS.
pub(super) async fn socks(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    proxy: &Proxy,
    target: Target<'_>,
) -> Result<(), ProtocolError> {
    // One exchange after the other: each says what the next must be.
    let methods: &[u8] = if proxy.credentials.is_some() {
        &[VERSION, 2, OPEN, PASSWORD]
    } else {
        &[VERSION, 1, OPEN]
    };
    let [version, method] = exchange(stream, methods).await?;
    match (version, method, &proxy.credentials) {
        (VERSION, OPEN, _) => {}
        (VERSION, PASSWORD, Some((user, password))) => log_in(stream, user, password).await?,
        (VERSION, ..) => return Err(failed("proxy wants another authentication")),
        _ => return Err(garbled("SOCKS 5")),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    request.extend(encoded(target)?);
    let [version, reply, _, kind] = exchange(stream, &request).await?;
    if version != VERSION {
        return Err(garbled("SOCKS 5"));
    }
    if reply != 0 {
        return Err(failed(&format!("proxy refused: {}", reason(reply))));
    }
    // Where the proxy comes from is nothing to us, but it must be read.
    let rest = match kind {
        IPV4 => 4 + 2,
        IPV6 => 16 + 2,
        NAME => usize::from(read::<1>(stream).await?[0]) + 2,
        _ => return Err(garbled("SOCKS 5")),
    };
    let mut bound = vec![0; rest];
    stream.read_exact(&mut bound).await.map_err(|error| broken(&error))?;
    Ok(())
}

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const OPEN: u8 = 0;
const PASSWORD: u8 = 2;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    user: &str,
    password: &str,
) -> Result<(), ProtocolError> {
    let mut request = vec![1];
    for text in [user, password] {
        let length = u8::try_from(text.len()).map_err(|_| {
            failed("user and password of a SOCKS proxy have at most 255 bytes each")
        })?;
        request.push(length);
        request.extend_from_slice(text.as_bytes());
    }
    match exchange(stream, &request).await? {
        [1, 0] => Ok(()),
        [1, _] => Err(failed("proxy refused user and password")),
        _ => Err(garbled("SOCKS 5")),
    }
}

fn encoded(target: Target<'_>) -> Result<Vec<u8>, ProtocolError> {
    let (mut bytes, port) = match target {
        Target::Address(address) => (of_address(address.ip()), address.port()),
        Target::Name(host, port) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let bytes = if let Ok(address) = bare.parse() {
                of_address(address)
            } else {
                let length = u8::try_from(host.len())
                    .map_err(|_| failed("a name for a SOCKS proxy has at most 255 bytes"))?;
                [&[NAME, length], host.as_bytes()].concat()
            };
            (bytes, port)
        }
    };
    bytes.extend(port.to_be_bytes());
    Ok(bytes)
}

fn of_address(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [&[IPV4], &address.octets()[..]].concat(),
        IpAddr::V6(address) => [&[IPV6], &address.octets()[..]].concat(),
    }
}

/// Sends something and reads an answer of known length.
async fn exchange<const N: usize>(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> Result<[u8; N], ProtocolError> {
    stream.write_all(request).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    read(stream).await
}

async fn read<const N: usize>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<[u8; N], ProtocolError> {
    let mut answer = [0; N];
    stream.read_exact(&mut answer).await.map_err(|error| broken(&error))?;
    Ok(answer)
}

fn reason(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "no known reason",
    }
}

fn failed(message: &str) -> ProtocolError {
    ProtocolError::new(ErrorKind::Proxy, message)
}

fn garbled(what: &str) -> ProtocolError {
    failed(&format!("proxy does not speak {what}"))
}

fn broken(error: &std::io::Error) -> ProtocolError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => failed("proxy closed the connection"),
        _ => ProtocolError::from_io(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// Returns what comes of a proxy's answers, and what it was sent.
    fn speak(
        answers: &[u8],
        ask: &impl AsyncFn(&mut DuplexStream) -> Result<(), ProtocolError>,
    ) -> (Result<(), String>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(4096);
            theirs.write_all(answers).await.expect("room");
            // It says nothing more, but listens.
            let (mut ear, mouth) = tokio::io::split(theirs);
            let result = {
                let mut mouth = mouth;
                let _closed = mouth.shutdown().await;
                ask(&mut ours).await
            };
            drop(ours);
            let mut heard = Vec::new();
            ear.read_to_end(&mut heard).await.expect("memory");
            (result.map_err(|error| error.message), heard)
        })
    }

    fn proxy(url: &str) -> Proxy {
        Proxy::parse(url).expect("a proxy")
    }

    fn connect(answers: &str) -> (Result<(), String>, String) {
        let proxy = proxy("http://ada:secret@p:1");
        let target = Target::Name("target.test", 443);
        let ask =
            async |stream: &mut DuplexStream| tunnel(stream, &proxy, target, Some("kt")).await;
        let (result, heard) = speak(answers.as_bytes(), &ask);
        (result, String::from_utf8(heard).expect("text"))
    }

    #[test]
    fn a_tunnel_is_asked_for_by_name_and_with_the_password() {
        let (result, heard) = connect("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n");
        assert_eq!(result, Ok(()));
        assert_eq!(
            heard,
            "CONNECT target.test:443 HTTP/1.1\r\nhost: target.test:443\r\nuser-agent: kt\r\n\
             proxy-authorization: Basic YWRhOnNlY3JldA==\r\n\r\n"
        );
        assert_eq!(connect("HTTP/1.1 103 Wait\r\n\r\nHTTP/1.1 204 Go\r\n\r\n").0, Ok(()));
    }

    #[test]
    fn what_is_no_tunnel_is_told_apart() {
        for (answer, message) in [
            ("HTTP/1.1 407 Who?\r\n\r\n", "proxy refused with status 407"),
            ("HTTP/1.1 302 There\r\nLocation: x\r\n\r\n", "proxy refused with status 302"),
            ("SSH-2.0-x\r\n", "proxy does not speak HTTP"),
            ("HTTP/1.1 200 OK\r\n\r\nbytes", "proxy does not speak a tunnel"),
            ("HTTP/1.1 200 OK\r\n", "proxy closed the connection"),
            ("", "proxy closed the connection"),
        ] {
            assert_eq!(connect(answer).0, Err(message.to_owned()), "{answer:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        let proxy = proxy("http://p:1");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let error = runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(64 * 1024);
            theirs.write_all(endless.as_bytes()).await.expect("room");
            tunnel(&mut ours, &proxy, Target::Name("a", 1), None).await.expect_err("endless")
        });
        assert_eq!(error.message, "proxy does not speak HTTP");
    }

    fn socks_to(url: &str, target: Target<'_>, answers: &[u8]) -> (Result<(), String>, Vec<u8>) {
        let proxy = proxy(url);
        speak(answers, &async |stream: &mut DuplexStream| socks(stream, &proxy, target).await)
    }

    #[test]
    fn socks_targets_are_names_or_addresses() {
        let granted = [5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
        let name = Target::Name("target.test", 443);
        let (result, heard) = socks_to("socks5h://p", name, &granted);
        assert_eq!(result, Ok(()));
        assert_eq!(heard, [&[5, 1, 0, 5, 1, 0, 3, 11], &b"target.test"[..], &[1, 187]].concat());
        let address = Target::Address("10.0.0.1:80".parse().expect("address"));
        let (_, heard) = socks_to("socks5://p", address, &granted);
        assert_eq!(heard, [5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 1, 0, 80]);
        // An address in the place of a name, and answers with every kind of address.
        let six = [&[5, 0, 5, 0, 0, 4][..], &[0; 18]].concat();
        let (result, heard) = socks_to("socks5h://p", Target::Name("[::1]", 80), &six);
        assert_eq!(result, Ok(()));
        let mut wanted = vec![5, 1, 0, 5, 1, 0, 4];
        wanted.extend([0; 15]);
        wanted.extend([1, 0, 80]);
        assert_eq!(heard, wanted);
        let named = [5, 0, 5, 0, 0, 3, 2, b'a', b'b', 0, 80];
        assert_eq!(socks_to("socks5h://p", name, &named).0, Ok(()));
    }

    #[test]
    fn socks_passwords_are_given_to_who_asks() {
        let name = Target::Name("t", 1);
        let granted = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (result, heard) = socks_to("socks5://ada:pw@p", name, &granted);
        assert_eq!(result, Ok(()));
        assert!(heard.starts_with(&[5, 2, 0, 2, 1, 3, b'a', b'd', b'a', 2, b'p', b'w', 5, 1, 0]));
        let (result, heard) = socks_to("socks5://ada:pw@p", name, &[5, 2, 1, 1]);
        assert_eq!(result, Err("proxy refused user and password".to_owned()));
        assert!(heard.ends_with(b"pw"));
    }

    #[test]
    fn what_is_no_socks_is_told_apart() {
        for (answers, message) in [
            (&[5, 0xff][..], "proxy wants another authentication"),
            (&[5, 2], "proxy wants another authentication"),
            (b"HTTP/1.1 400", "proxy does not speak SOCKS 5"),
            (&[5, 0, 5, 5, 0, 1], "proxy refused: connection refused"),
            (&[5, 0, 5, 99, 0, 1], "proxy refused: no known reason"),
            (&[5, 0, 5, 0, 0, 9], "proxy does not speak SOCKS 5"),
            (&[5, 0, 4, 0, 0, 1], "proxy does not speak SOCKS 5"),
            (&[5, 0, 5, 0, 0, 1, 127], "proxy closed the connection"),
            (&[5], "proxy closed the connection"),
        ] {
            let (result, _) = socks_to("socks5://p", Target::Name("t", 1), answers);
            assert_eq!(result, Err(message.to_owned()), "{answers:?}");
        }
        let long = "x".repeat(256);
        let (result, _) = socks_to("socks5h://p", Target::Name(&long, 1), &[5, 0]);
        assert_eq!(result, Err("a name for a SOCKS proxy has at most 255 bytes".to_owned()));
    }
}
