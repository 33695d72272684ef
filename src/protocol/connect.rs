//! From an origin to a connected stream: look-up, TCP, TLS, each in its phase.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::io::{Metered, Socket, Stream, Traffic};
use super::proxy::{self, Detour, Target};
use super::timing::{Phase, Stopwatch};
use super::{ErrorKind, Network, ProtocolError, TlsProfile, tls};
use crate::clock;
use crate::plan::{Proxy, ProxyScheme};

/// Least time for one address when a name has several; Go's dialer has the same.
const LEAST_PER_ADDRESS: Duration = Duration::from_secs(2);

/// Where a connection leads: what makes two requests able to share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    tls: bool,
    /// In lower case, IPv6 addresses in brackets.
    host: String,
    port: u16,
    /// The way there, if it is not the usual one.
    via: Option<Rc<Via>>,
}

/// A way to a server other than the usual one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Via {
    /// How TLS is spoken.
    pub tls: Option<Rc<TlsProfile>>,
    /// The name that the server is to be, in place of the URL's: it is asked for (SNI) and must
    /// stand in the certificate.
    pub server_name: Option<String>,
    /// The proxy in place of the test's.
    pub proxy: Option<Detour>,
    /// The Unix socket that stands in the place of host and port, and of any proxy.
    pub socket: Option<PathBuf>,
    /// Whether another protocol than HTTP is spoken there, which proxies do not forward.
    pub leaves_http: bool,
}

impl Origin {
    /// Returns a URL's origin; nothing if it has no host or port.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        Some(Self {
            tls: url.scheme() == "https",
            host: host.to_ascii_lowercase(),
            port,
            via: None,
        })
    }

    /// Returns whether a proxy must hand bytes through to it.
    pub(super) fn needs_tunnel(&self) -> bool {
        self.tls || self.via.as_ref().is_some_and(|via| via.leaves_http)
    }

    /// Returns the same server, to be reached in another way.
    pub(super) fn through(&self, via: &Rc<Via>) -> Self {
        Self { via: Some(Rc::clone(via)), ..self.clone() }
    }

    /// Returns the way there, if it is not the usual one.
    pub(super) fn via(&self) -> Option<&Rc<Via>> {
        self.via.as_ref()
    }

    /// Returns the host in lower case, IPv6 addresses in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn socket(&self) -> Option<&Path> {
        self.via.as_ref().and_then(|via| via.socket.as_deref())
    }

    /// Returns the name that the server's certificate must have.
    fn server_name(&self) -> &str {
        let given = self.via.as_ref().and_then(|via| via.server_name.as_deref());
        given.unwrap_or_else(|| self.host.trim_matches(['[', ']']))
    }

    /// Returns whether it is spoken to over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.tls
    }
}

/// A fresh connection.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: Stream,
    /// Who is at the other end of the socket: the server, or a proxy. Unix sockets have no address.
    pub(super) remote: Option<SocketAddr>,
    /// Empty without TLS.
    pub(super) tls_version: &'static str,
}

/// Connects to an origin, with TLS if a configuration is given, from a local address if there is one.
///
/// Dropping the future closes what was opened.
pub(super) async fn dial(
    network: &Network,
    tls: Option<Arc<ClientConfig>>,
    origin: &Origin,
    local: Option<IpAddr>,
    traffic: &Rc<Traffic>,
    watch: &Stopwatch,
) -> Result<Dialed, ProtocolError> {
    network.admit_host(&origin.host)?;
    let (stream, remote) = match origin.socket() {
        Some(path) => {
            watch.enter(Phase::Connecting);
            let socket = UnixStream::connect(path).await;
            let socket = socket.map_err(|error| ProtocolError::from_unix(&error, path))?;
            (Stream::Plain(Metered::new(Socket::Unix(socket), Rc::clone(traffic))), None)
        }
        None => {
            if let Some(proxy) = network.proxy(origin) {
                // Boxed, as few connections lead through one.
                Box::pin(detour(network, proxy, origin, local, traffic, watch)).await?
            } else {
                let to = (origin.host.as_str(), origin.port);
                let (socket, remote) = reach(network, to, local, traffic, watch).await?;
                (Stream::Plain(socket), Some(remote))
            }
        }
    };
    let Some(config) = tls else { return Ok(Dialed { stream, remote, tls_version: "" }) };
    watch.enter(Phase::TlsHandshaking);
    let socket = match stream {
        Stream::Plain(socket) => socket,
        Stream::Tls(proxied) => Metered::over(*proxied),
    };
    let stream = shake_hands(config, origin.server_name(), socket).await?;
    let tls_version = tls::version_name(stream.get_ref().1.protocol_version());
    Ok(Dialed { stream: Stream::Tls(Box::new(stream)), remote, tls_version })
}

/// Speaks TLS with a server that must have a name.
async fn shake_hands(
    config: Arc<ClientConfig>,
    name: &str,
    socket: Metered,
) -> Result<TlsStream<Metered>, ProtocolError> {
    let name = ServerName::try_from(name.to_owned()).map_err(|error| {
        ProtocolError::from(ErrorKind::InvalidUrl).with_detail(error.to_string())
    })?;
    let connected = TlsConnector::from(config).connect(name, socket).await;
    connected.map_err(|error| ProtocolError::from_handshake(&error))
}

/// Opens a connection to a host that the plan does not block.
async fn reach(
    network: &Network,
    (host, port): (&str, u16),
    local: Option<IpAddr>,
    traffic: &Rc<Traffic>,
    watch: &Stopwatch,
) -> Result<(Metered, SocketAddr), ProtocolError> {
    let addresses = addresses(network, host, port, watch).await?;
    let addresses = network.admit_addresses(addresses)?;
    watch.enter(Phase::Connecting);
    let (socket, remote) = connect(&addresses, local, network.dial_timeout).await?;
    // Without it a request in two segments waits for the peer's delayed acknowledgement.
    socket.set_nodelay(true).map_err(|error| ProtocolError::from_dial(&error))?;
    Ok((Metered::new(socket, Rc::clone(traffic)), remote))
}

/// Opens a connection through a proxy, up to where the target is spoken to. What a proxy wants is
/// part of connecting.
async fn detour(
    network: &Network,
    proxy: &Proxy,
    origin: &Origin,
    local: Option<IpAddr>,
    traffic: &Rc<Traffic>,
    watch: &Stopwatch,
) -> Result<(Stream, Option<SocketAddr>), ProtocolError> {
    let target = target(network, proxy, origin, watch).await?;
    let to = (proxy.host.as_str(), proxy.port);
    let (mut socket, remote) = reach(network, to, local, traffic, watch).await?;
    let agent = network.user_agent.as_deref();
    let stream = match proxy.scheme {
        ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
            proxy::socks(&mut socket, proxy, target).await?;
            Stream::Plain(socket)
        }
        ProxyScheme::Http => {
            if origin.needs_tunnel() {
                proxy::tunnel(&mut socket, proxy, target, agent).await?;
            }
            Stream::Plain(socket)
        }
        ProxyScheme::Https => {
            let config = network.tls_for_host(&proxy.host);
            let name = proxy.host.trim_matches(['[', ']']);
            let mut stream = shake_hands(config, name, socket).await?;
            if origin.needs_tunnel() {
                proxy::tunnel(&mut stream, proxy, target, agent).await?;
            }
            Stream::Tls(Box::new(stream))
        }
    };
    Ok((stream, Some(remote)))
}

/// Returns what a proxy is told of the target: an address if it is to be looked up here.
async fn target<'o>(
    network: &Network,
    proxy: &Proxy,
    origin: &'o Origin,
    watch: &Stopwatch,
) -> Result<Target<'o>, ProtocolError> {
    let is_name = matches!(Host::parse(&origin.host), Ok(Host::Domain(_)));
    if is_name && proxy.scheme != ProxyScheme::Socks5 {
        return Ok(Target::Name(&origin.host, origin.port));
    }
    let addresses = addresses(network, &origin.host, origin.port, watch).await?;
    let addresses = network.admit_addresses(addresses)?;
    let first = addresses.first().ok_or(ErrorKind::NoSuchHost)?;
    Ok(Target::Address(*first))
}

/// Returns where to connect, in the order to try.
async fn addresses(
    network: &Network,
    host: &str,
    port: u16,
    watch: &Stopwatch,
) -> Result<Vec<SocketAddr>, ProtocolError> {
    if let Some(address) = network.pinned(host, port) {
        return Ok(vec![address]);
    }
    let name = match Host::parse(host) {
        Ok(Host::Ipv4(ip)) => return Ok(vec![(ip, port).into()]),
        Ok(Host::Ipv6(ip)) => return Ok(vec![(ip, port).into()]),
        Ok(Host::Domain(name)) => name,
        Err(error) => {
            return Err(ProtocolError::from(ErrorKind::InvalidUrl).with_detail(error.to_string()));
        }
    };
    let found = if let Some(found) = network.names.known(&name) {
        found
    } else {
        watch.enter(Phase::LookingUp);
        network.names.look_up(&name).await?
    };
    Ok(found.into_iter().map(|ip| (ip, port).into()).collect())
}

/// Connects to the first address that can be, within a time that they share.
///
/// Unlike happy eyeballs (RFC 8305) attempts do not overlap: a load runner must not open twice the
/// connections that its users would.
async fn connect(
    addresses: &[SocketAddr],
    local: Option<IpAddr>,
    limit: Duration,
) -> Result<(TcpStream, SocketAddr), ProtocolError> {
    let begun = clock::now();
    let mut last = ProtocolError::from(ErrorKind::Dial);
    for (index, &address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(clock::now() - begun);
        let share = left / (addresses.len() - index) as u32;
        let time = share.max(LEAST_PER_ADDRESS).min(left);
        match tokio::time::timeout(time, open(address, local)).await {
            Ok(Ok(socket)) => return Ok((socket, address)),
            Ok(Err(error)) => last = error,
            Err(_) => last = ErrorKind::DialTimeout.into(),
        }
    }
    Err(last)
}

/// Opens a connection to one address, from a local one.
async fn open(address: SocketAddr, local: Option<IpAddr>) -> Result<TcpStream, ProtocolError> {
    let Some(local) = local else {
        return TcpStream::connect(address).await.map_err(|e| ProtocolError::from_dial(&e));
    };
    if local.is_ipv4() != address.is_ipv4() {
        let message = "local address of another family";
        let detail = format!("{local} cannot connect to {}", address.ip());
        return Err(ProtocolError::new(ErrorKind::Dial, message).with_detail(detail));
    }
    let bound = || {
        let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Ports of connections that have just ended are free again.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(local, 0))?;
        Ok(socket)
    };
    let socket = bound().map_err(|error: io::Error| ProtocolError::from_bind(&error, local))?;
    socket.connect(address).await.map_err(|e| ProtocolError::from_dial(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_that_of_its_url_whatever_the_path_and_the_case() {
        let origin = |text: &str| Origin::of(&Url::parse(text).expect("url")).expect("origin");
        let one = origin("https://Example.org/a?b");
        assert_eq!(one, origin("https://example.org:443/other"));
        for other in ["http://example.org", "https://example.org:444", "https://a.example.org"] {
            assert_ne!(one, origin(other), "{other}");
        }
    }

    #[test]
    fn the_next_address_is_tried_when_one_refuses() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(async {
            let listen = || tokio::net::TcpListener::bind("127.0.0.1:0");
            let (gone, here) = (listen().await.expect("bind"), listen().await.expect("bind"));
            let gone = { gone }.local_addr().expect("address");
            let here = (here.local_addr().expect("address"), here);
            let connected = connect(&[gone, here.0], None, Duration::from_secs(5)).await;
            assert_eq!(connected.expect("second address").1, here.0);
            let refused =
                connect(&[gone], None, Duration::from_secs(5)).await.expect_err("refused");
            assert_eq!(refused.kind, ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn an_address_that_never_answers_is_a_connect_timeout() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(async {
            let socket = TcpSocket::new_v4().expect("socket");
            socket.bind(([127, 0, 0, 1], 0).into()).expect("bind");
            let listener = socket.listen(1).expect("listen");
            let address = listener.local_addr().expect("address");
            // Nobody accepts: once the backlog is full, the kernel ignores who knocks.
            let mut kept = Vec::new();
            let error = loop {
                match connect(&[address], None, Duration::from_millis(200)).await {
                    Ok(connected) => kept.push(connected),
                    Err(error) => break error,
                }
                assert!(kept.len() < 64, "the backlog never fills");
            };
            assert_eq!(error.kind, ErrorKind::DialTimeout);
        });
    }
}
