//! TLS: whom a client trusts, who it says it is, and what it speaks, against rustls servers.

use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use kingtide::plan::{Facts, HttpPlan, Options, Pem, TlsVersion, resolve};
use kingtide::protocol::{
    ErrorKind, Extras, HttpClient, Network, Request, TlsSettings, Via, check,
};
use rustls::ServerConfig;
use serde_json::{Value, json};

use crate::certificates::{Authority, Certified};
use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, client, get, kind, plan, run, send, with};

async fn serve(config: Arc<ServerConfig>) -> Server {
    Server::listen(Ipv4Addr::LOCALHOST.into(), Some(config), async |mut peer: Peer| {
        while peer.request().await.is_some() {
            peer.write(OK).await;
        }
    })
    .await
}

fn url(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.address.port())
}

/// Returns a GET that speaks TLS in its own way.
fn speaking(network: &Network, url: &str, settings: TlsSettings) -> Request {
    let tls = network.tls_profile(settings, |path| Err(format!("no {path}"))).expect("settings");
    let via = Via { tls: Some(tls), ..Via::default() };
    with(url, Extras { via: Some(Rc::new(via)), ..Extras::default() })
}

fn spoken_by(plan: HttpPlan) -> (Rc<Network>, HttpClient) {
    let network = Network::new(&plan).expect("network");
    (Rc::clone(&network), HttpClient::new(network, Rc::new(plan)))
}

#[test]
fn roots_of_the_test_are_trusted_besides_those_of_the_machine() {
    run(async || {
        let authority = Authority::new();
        let server = serve(authority.server("127.0.0.1")).await;
        let url = url(&server, "127.0.0.1");
        let stranger = get(&client(plan(json!({}))), &url).await;
        assert_eq!(kind(&stranger), ErrorKind::UnknownAuthority);
        let knowing = client(plan(json!({ "tls_roots": [authority.pem] })));
        let response = get(&knowing, &url).await;
        assert_ok(&response);
        assert_eq!(response.exchange.tls_version, "tls1.3");
    });
}

#[test]
fn a_client_certificate_is_shown_to_its_hosts_only() {
    run(async || {
        let authority = Authority::new();
        let Certified { cert, key } = authority.certify("vu.test");
        let server = serve(authority.server_for_known("server.test")).await;
        let address = server.address.to_string();
        let plan = plan(json!({
            "tls_roots": [authority.pem],
            "tls_auth": [{ "cert": cert, "key": key, "domains": ["*.friend.test"] }],
            "hosts": { "a.friend.test": address, "stranger.test": address },
        }));
        let (network, client) = spoken_by(plan);
        let named = |host: &str| {
            let via = Via { server_name: Some("server.test".to_owned()), ..Via::default() };
            let extras = Extras { via: Some(Rc::new(via)), ..Extras::default() };
            with(&format!("https://{host}/"), extras)
        };
        assert_ok(&send(&client, named("a.friend.test")).await);
        let refused = send(&client, named("stranger.test")).await;
        assert_eq!(kind(&refused), ErrorKind::Tls);
        let message = refused.exchange.error.expect("an error").message;
        assert_eq!(message, "tls alert: certificate required");
        // A name that the certificate does not have is another server.
        let other = get(&client, "https://a.friend.test/").await;
        assert_eq!(kind(&other), ErrorKind::WrongName);
        drop(network);
    });
}

#[test]
fn a_request_may_speak_in_its_own_way_on_connections_of_its_own() {
    run(async || {
        let authority = Authority::new();
        let server = serve(authority.server_for_known("127.0.0.1")).await;
        let url = url(&server, "127.0.0.1");
        let (network, client) = spoken_by(plan(json!({ "tls_roots": [authority.pem] })));
        let known = || {
            let Certified { cert, key } = authority.certify("vu.test");
            TlsSettings { identity: Some((Pem::new(&cert), Pem::new(&key))), ..Default::default() }
        };
        let (ada, eve) = (known(), known());
        for (settings, connections) in [(&ada, 1), (&ada, 1), (&eve, 2), (&ada, 2), (&eve, 2)] {
            assert_ok(&send(&client, speaking(&network, &url, settings.clone())).await);
            assert_eq!(server.connections.get(), connections);
        }
        assert_eq!(kind(&get(&client, &url).await), ErrorKind::Tls);
    });
}

#[test]
fn certificates_can_go_unchecked_for_one_request() {
    run(async || {
        let server = serve(Authority::new().server("127.0.0.1")).await;
        let url = url(&server, "127.0.0.1");
        let (network, client) = spoken_by(plan(json!({})));
        let insecure = TlsSettings { insecure: Some(true), ..TlsSettings::default() };
        assert_ok(&send(&client, speaking(&network, &url, insecure)).await);
        assert_eq!(kind(&get(&client, &url).await), ErrorKind::UnknownAuthority);
        let (network, client) = spoken_by(plan(json!({ "insecure_skip_tls_verify": true })));
        assert_ok(&get(&client, &url).await);
        let strict = TlsSettings { insecure: Some(false), ..TlsSettings::default() };
        let response = send(&client, speaking(&network, &url, strict)).await;
        assert_eq!(kind(&response), ErrorKind::UnknownAuthority);
    });
}

#[test]
fn only_the_versions_that_were_asked_for_are_spoken() {
    run(async || {
        let authority = Authority::new();
        let server = serve(authority.server("127.0.0.1")).await;
        let url = url(&server, "127.0.0.1");
        let roots = json!([authority.pem]);
        let with = |version: Value| plan(json!({ "tls_roots": roots, "tls_version": version }));
        let old = get(&client(with(json!("tls1.2"))), &url).await;
        assert_ok(&old);
        assert_eq!(old.exchange.tls_version, "tls1.2");
        let new = get(&client(with(json!({ "min": "tls1.3" }))), &url).await;
        assert_eq!(new.exchange.tls_version, "tls1.3");
        let (network, client) = spoken_by(with(json!("tls1.3")));
        let max_version = Some(TlsVersion::Tls12);
        let settings = TlsSettings { max_version, ..TlsSettings::default() };
        let lower = send(&client, speaking(&network, &url, settings)).await;
        assert_eq!(lower.exchange.tls_version, "tls1.2");
    });
}

#[test]
fn only_the_suites_that_were_asked_for_are_offered() {
    run(async || {
        let authority = Authority::new();
        let mut config = (*authority.server("127.0.0.1")).clone();
        let (heard, offered) = mpsc::channel();
        let inner = Arc::clone(&config.cert_resolver);
        config.cert_resolver = Arc::new(Listener { inner, heard });
        let server = serve(Arc::new(config)).await;
        let suites = ["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];
        let plan = plan(json!({ "tls_roots": [authority.pem], "tls_cipher_suites": suites }));
        assert_ok(&get(&client(plan), &url(&server, "127.0.0.1")).await);
        let offered: Vec<String> = offered.try_iter().collect();
        let wanted = ["TLS13_AES_256_GCM_SHA384", suites[1], "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"];
        assert_eq!(offered, wanted);
    });
}

/// Hears which suites a client offers.
#[derive(Debug)]
struct Listener {
    inner: Arc<dyn rustls::server::ResolvesServerCert>,
    heard: mpsc::Sender<String>,
}

impl rustls::server::ResolvesServerCert for Listener {
    fn resolve(
        &self,
        hello: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        for suite in hello.cipher_suites() {
            self.heard.send(format!("{suite:?}")).expect("the test listens");
        }
        self.inner.resolve(hello)
    }
}

/// Keeps what a server would log, in the order of labels.
#[derive(Debug)]
struct Ear(mpsc::Sender<String>);

impl rustls::KeyLog for Ear {
    fn log(&self, label: &str, random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |t, b| format!("{t}{b:02x}"));
        let line = format!("{label} {} {}", hex(random), hex(secret));
        self.0.send(line).expect("the test listens");
    }
}

#[test]
fn the_key_log_has_the_secrets_that_the_server_has() {
    run(async || {
        let authority = Authority::new();
        let mut config = (*authority.server("127.0.0.1")).clone();
        let (ear, heard) = mpsc::channel();
        config.key_log = Arc::new(Ear(ear));
        let server = serve(Arc::new(config)).await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.log");
        std::fs::write(&path, "# kept\n").expect("write");
        let options = Options::from_json(json!({ "tls_roots": [authority.pem] })).expect("options");
        let facts = Facts { tls_key_log: Some(path.clone()), ..Facts::default() };
        let plan = resolve(&options, &facts).expect("a plan").http;
        for version in ["tls1.2", "tls1.3"] {
            let version = TlsVersion::parse(version).expect("a version");
            let mut plan = plan.clone();
            plan.tls.versions.min = version;
            plan.tls.versions.max = version;
            assert_ok(&get(&client(plan), &url(&server, "127.0.0.1")).await);
        }
        let logged = std::fs::read_to_string(&path).expect("a log");
        let mut lines: Vec<&str> = logged.lines().collect();
        assert_eq!(lines.remove(0), "# kept");
        let mut heard: Vec<String> = heard.try_iter().collect();
        lines.sort_unstable();
        heard.sort();
        assert_eq!(lines, heard);
        assert!(lines.len() >= 5, "{lines:?}");
        let nowhere = Facts { tls_key_log: Some(Path::new("/dev/null/x").into()), ..facts };
        let plan = resolve(&options, &nowhere).expect("a plan").http;
        let problem = check(&plan).expect_err("no such folder").message;
        assert!(problem.starts_with("the TLS key log /dev/null/x cannot be written"), "{problem}");
    });
}

#[test]
fn what_cannot_be_used_is_named_before_the_start() {
    let authority = Authority::new();
    let Certified { cert, key } = authority.certify("a.test");
    let other = authority.certify("b.test").key;
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    for (options, message) in [
        (json!({ "tls_roots": ["ca.pem"] }), "tls_roots[0]: ca.pem was not read"),
        (json!({ "tls_roots": [key] }), "tls_roots[0]: the PEM text holds no certificate in PEM"),
        (
            json!({ "tls_auth": [{ "cert": key, "key": key }] }),
            "tls_auth[0].cert: the PEM text holds no certificate in PEM",
        ),
        (
            json!({ "tls_auth": [{ "cert": cert, "key": cert }] }),
            "tls_auth[0].key: the PEM text holds no private key in PEM",
        ),
        (
            json!({ "tls_auth": [{ "cert": cert, "key": other }] }),
            "tls_auth[0]: the PEM text and the PEM text do not fit",
        ),
        (
            json!({ "tls_auth": [{ "cert": cert, "key": locked }] }),
            "tls_auth[0].key: the PEM text is encrypted",
        ),
        (json!({ "tls_cipher_suites": "AES" }), "tls_cipher_suites: unknown suite AES"),
    ] {
        let problem = check(&plan(options)).expect_err(message).message;
        assert!(problem.starts_with(message), "{problem}");
    }
}
