//! From an origin to a connected stream: look-up, TCP, TLS, each in its phase.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::io::{Metered, Stream, Traffic};
use super::timing::{Phase, Stopwatch};
use super::{ErrorKind, Network, ProtocolError, tls};
use crate::clock;

/// Least time for one address when a name has several; Go's dialer has the same.
const LEAST_PER_ADDRESS: Duration = Duration::from_secs(2);

/// Where a connection leads: what makes two requests able to share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    tls: bool,
    /// In lower case, IPv6 addresses in brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// Returns a URL's origin; nothing if it has no host or port.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        Some(Self { tls: url.scheme() == "https", host: host.to_ascii_lowercase(), port })
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
    pub(super) remote: SocketAddr,
    /// Empty without TLS.
    pub(super) tls_version: &'static str,
}

/// Connects to an origin, with TLS if a configuration is given.
///
/// Dropping the future closes what was opened.
pub(super) async fn dial(
    network: &Network,
    tls: Option<Arc<ClientConfig>>,
    origin: &Origin,
    traffic: &Rc<Traffic>,
    watch: &Stopwatch,
) -> Result<Dialed, ProtocolError> {
    let addresses = addresses(network, origin, watch).await?;
    watch.enter(Phase::Connecting);
    let (socket, remote) = connect(&addresses, network.dial_timeout).await?;
    // Without it a request in two segments waits for the peer's delayed acknowledgement.
    if let Err(error) = socket.set_nodelay(true) {
        return Err(ProtocolError::from_dial(&error));
    }
    let socket = Metered::new(socket, Rc::clone(traffic));
    let Some(config) = tls else {
        return Ok(Dialed { stream: Stream::Plain(socket), remote, tls_version: "" });
    };
    watch.enter(Phase::TlsHandshaking);
    let name = origin.host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|error| {
        ProtocolError::from(ErrorKind::InvalidUrl).with_detail(error.to_string())
    })?;
    match TlsConnector::from(config).connect(name, socket).await {
        Ok(stream) => {
            let tls_version = tls::version_name(stream.get_ref().1.protocol_version());
            Ok(Dialed { stream: Stream::Tls(Box::new(stream)), remote, tls_version })
        }
        Err(error) => Err(ProtocolError::from_handshake(&error)),
    }
}

/// Returns where to connect, in the order to try.
async fn addresses(
    network: &Network,
    origin: &Origin,
    watch: &Stopwatch,
) -> Result<Vec<SocketAddr>, ProtocolError> {
    if let Some(address) = network.pinned(&origin.host, origin.port) {
        return Ok(vec![address]);
    }
    let name = match Host::parse(&origin.host) {
        Ok(Host::Ipv4(ip)) => return Ok(vec![(ip, origin.port).into()]),
        Ok(Host::Ipv6(ip)) => return Ok(vec![(ip, origin.port).into()]),
        Ok(Host::Domain(name)) => name,
        Err(error) => {
            return Err(ProtocolError::from(ErrorKind::InvalidUrl).with_detail(error.to_string()));
        }
    };
    let found = if let Some(found) = network.known(&name) {
        found
    } else {
        watch.enter(Phase::LookingUp);
        network.look_up(&name).await?
    };
    Ok(found.into_iter().map(|ip| (ip, origin.port).into()).collect())
}

/// Connects to the first address that can be, within a time that they share.
///
/// Unlike happy eyeballs (RFC 8305) attempts do not overlap: a load runner must not open twice the
/// connections that its users would.
async fn connect(
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<(TcpStream, SocketAddr), ProtocolError> {
    let begun = clock::now();
    let mut last = ProtocolError::from(ErrorKind::Dial);
    for (index, &address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(clock::now() - begun);
        let share = left / (addresses.len() - index) as u32;
        let time = share.max(LEAST_PER_ADDRESS).min(left);
        match tokio::time::timeout(time, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok((socket, address)),
            Ok(Err(error)) => last = ProtocolError::from_dial(&error),
            Err(_) => last = ErrorKind::DialTimeout.into(),
        }
    }
    Err(last)
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
            let connected = connect(&[gone, here.0], Duration::from_secs(5)).await;
            assert_eq!(connected.expect("second address").1, here.0);
            let refused = connect(&[gone], Duration::from_secs(5)).await.expect_err("refused");
            assert_eq!(refused.kind, ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn an_address_that_never_answers_is_a_connect_timeout() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("socket");
            socket.bind(([127, 0, 0, 1], 0).into()).expect("bind");
            let listener = socket.listen(1).expect("listen");
            let address = listener.local_addr().expect("address");
            // Nobody accepts: once the backlog is full, the kernel ignores who knocks.
            let mut kept = Vec::new();
            let error = loop {
                match connect(&[address], Duration::from_millis(200)).await {
                    Ok(connected) => kept.push(connected),
                    Err(error) => break error,
                }
                assert!(kept.len() < 64, "the backlog never fills");
            };
            assert_eq!(error.kind, ErrorKind::DialTimeout);
        });
    }
}
