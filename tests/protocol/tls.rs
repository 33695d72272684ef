//! Exchanges over TLS.

use std::rc::Rc;
use std::time::Duration;

use kingtide::plan::HttpPlan;
use kingtide::protocol::{ErrorKind, HttpClient, Network};

use super::{MS, client, client_with, plan};
use crate::certificates::{self, Authority};
use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, get, kind, run};

fn trusting(authority: &Authority, plan: HttpPlan) -> HttpClient {
    let network = Network::with_roots(&plan, vec![authority.der.clone()]).expect("network");
    HttpClient::new(network, Rc::new(plan))
}

async fn tls_server(config: std::sync::Arc<rustls::ServerConfig>) -> Server {
    let ip = std::net::Ipv4Addr::LOCALHOST.into();
    Server::listen(ip, Some(config), async |mut peer: Peer| {
        while let Some(seen) = peer.request().await {
            tokio::time::sleep(30 * MS).await;
            peer.write(OK).await;
            if seen.target() == "/close" {
                return;
            }
        }
    })
    .await
}

#[test]
fn a_trusted_server_is_spoken_to_over_tls_and_tickets_are_no_answer() {
    run(async || {
        let authority = Authority::new();
        let server = tls_server(authority.server("127.0.0.1")).await;
        let client = trusting(&authority, plan());
        let url = |path: &str| format!("https://{}{path}", server.address);
        let response = get(&client, &url("/")).await;
        assert_ok(&response);
        assert_eq!(response.exchange.tls_version, "tls1.3");
        let timings = response.exchange.timings;
        assert!(timings.tls_handshaking > Duration::ZERO && timings.sending > Duration::ZERO);
        assert!(timings.blocked >= timings.connecting + timings.tls_handshaking);
        // The server sends its session tickets at once and the answer 30 ms later.
        assert!(timings.waiting > 25 * MS && timings.receiving < 20 * MS, "{timings:?}");
        let again = get(&client, &url("/close")).await;
        assert_ok(&again);
        assert_eq!(again.exchange.timings.tls_handshaking, Duration::ZERO);
        assert_eq!(again.exchange.tls_version, "tls1.3");
        assert_eq!(server.connections.get(), 1);
        // More than the requests: handshake and records are counted.
        assert!(client.take_bytes().1 > 500);
    });
}

#[test]
fn a_client_resumes_its_own_tls_sessions_and_nobody_elses() {
    run(async || {
        let authority = Authority::new();
        let ip = std::net::Ipv4Addr::LOCALHOST.into();
        let tls = Some(authority.server("127.0.0.1"));
        let server = Server::listen(ip, tls, async |mut peer: Peer| {
            let body = if peer.resumed() { "old" } else { "new" };
            while peer.request().await.is_some() {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
                peer.write(format!("{head}{body}")).await;
            }
        })
        .await;
        let plan = Rc::new(HttpPlan { no_connection_reuse: true, ..plan() });
        let network = Network::with_roots(&plan, vec![authority.der.clone()]).expect("network");
        let vu = || HttpClient::new(Rc::clone(&network), Rc::clone(&plan));
        let (one, two) = (vu(), vu());
        let url = format!("https://{}/", server.address);
        for (client, expected) in [(&one, "new"), (&one, "old"), (&two, "new"), (&two, "old")] {
            assert_eq!(get(client, &url).await.body, expected);
        }
    });
}

#[test]
fn bad_certificates_have_errors_of_their_own_and_can_be_ignored() {
    run(async || {
        let authority = Authority::new();
        let mine = tls_server(authority.server("other.test")).await;
        let own = tls_server(certificates::self_signed("127.0.0.1", false)).await;
        let also_authority = tls_server(certificates::self_signed("127.0.0.1", true)).await;
        let trusting = trusting(&authority, plan());
        let skipping = client_with(HttpPlan { insecure_skip_tls_verify: true, ..plan() });
        for (server, expected, code) in [
            (&mine, ErrorKind::WrongName, 1311),
            (&own, ErrorKind::UnknownAuthority, 1310),
            (&also_authority, ErrorKind::UnknownAuthority, 1310),
        ] {
            let url = format!("https://{}/", server.address);
            let response = get(&trusting, &url).await;
            assert_eq!((kind(&response), kind(&response).code()), (expected, code));
            let timings = response.exchange.timings;
            assert!(timings.tls_handshaking > Duration::ZERO);
            assert_eq!(timings.duration(), Duration::ZERO);
            assert_ok(&get(&skipping, &url).await);
        }
        // The machine's own roots do not know the test's authority either.
        let system = get(&client(), &format!("https://{}/", own.address)).await;
        assert_eq!(kind(&system), ErrorKind::UnknownAuthority);
    });
}

#[test]
fn a_plain_server_on_an_https_url_is_not_tls_and_a_silent_one_a_tls_error() {
    run(async || {
        let plain = Server::start(async |mut peer: Peer| {
            peer.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
            peer.hold().await;
        })
        .await;
        let response = get(&client(), &format!("https://{}/", plain.address)).await;
        assert_eq!((kind(&response), kind(&response).code()), (ErrorKind::NotTls, 1301));
        let closing = Server::start(async |mut peer: Peer| {
            peer.write("").await;
            peer.half_close().await;
        })
        .await;
        let response = get(&client(), &format!("https://{}/", closing.address)).await;
        assert_eq!(kind(&response), ErrorKind::Tls);
    });
}
