//! Requests through proxies, which write down what they were asked.

use std::future::pending;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kingtide::plan::Proxy;
use kingtide::protocol::ws::{self, Answered, Handshake};
use kingtide::protocol::{
    Destination, Detour, ErrorKind, Extras, Headers, HttpClient, Request, Via,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::certificates::Authority;
use crate::loopback::{Peer, Server};
use crate::proxies::{ProxyServer, Speaks};
use crate::requests::{OK, assert_ok, client, get, kind, plan, request, run, send, with};

async fn secure(authority: &Authority) -> Server {
    let config = Some(authority.server("target.test"));
    Server::listen(Ipv4Addr::LOCALHOST.into(), config, async |mut peer: Peer| {
        while peer.request().await.is_some() {
            peer.write(OK).await;
        }
    })
    .await
}

fn url(scheme: &str, server: &Server) -> String {
    format!("{scheme}://target.test:{}/a?b", server.address.port())
}

fn detour(url: &str, detour: Detour) -> Request {
    let via = Via { proxy: Some(detour), ..Via::default() };
    with(url, Extras { via: Some(Rc::new(via)), ..Extras::default() })
}

#[test]
fn a_plain_request_is_forwarded_by_its_whole_url() {
    run(async || {
        let proxy = ProxyServer::start(Speaks::Http).await;
        let server = Server::answering(OK).await;
        let with_password = proxy.url("http").replace("://", "://ada:se%20cret@");
        let client = client(plan(json!({ "proxy": with_password, "user_agent": "kt" })));
        for _ in 0..2 {
            let response = get(&client, &format!("{}#part", url("http", &server))).await;
            assert_ok(&response);
            assert_eq!(response.exchange.remote_address, Some(proxy.address));
            assert!(response.sent.headers.contains("proxy-authorization"));
        }
        let port = server.address.port();
        let head = format!(
            "GET http://target.test:{port}/a?b HTTP/1.1\r\nhost: target.test:{port}\r\n\
             user-agent: kt\r\nproxy-authorization: Basic YWRhOnNlIGNyZXQ=\r\n\r\n"
        );
        assert_eq!(*proxy.asked.borrow(), [head.clone(), head]);
    });
}

#[test]
fn a_request_over_tls_goes_through_a_tunnel_that_is_kept() {
    run(async || {
        let proxy = ProxyServer::start(Speaks::Http).await;
        let authority = Authority::new();
        let server = secure(&authority).await;
        let options = json!({ "proxy": proxy.url("http"), "tls_roots": [authority.pem] });
        let client = client(plan(options));
        for _ in 0..2 {
            let response = get(&client, &url("https", &server)).await;
            assert_ok(&response);
            assert_eq!(response.exchange.tls_version, "tls1.3");
        }
        assert_eq!(proxy.asked.borrow().len(), 1);
        let line = format!("CONNECT target.test:{} HTTP/1.1\r\n", server.address.port());
        assert!(proxy.asked.borrow()[0].starts_with(&line));
        assert_eq!(server.seen.borrow()[1].line, "GET /a?b HTTP/1.1");
        let (sent, received) = client.take_bytes();
        assert!(sent > 300 && received > 500, "{sent} {received}");
    });
}

#[test]
fn a_proxy_may_be_spoken_to_over_tls_itself() {
    run(async || {
        let authority = Authority::new();
        let proxy = ProxyServer::start(Speaks::Https(authority.server("127.0.0.1"))).await;
        let (plain, secure) = (Server::answering(OK).await, secure(&authority).await);
        let trusting = plan(json!({ "proxy": proxy.url("https"), "tls_roots": [authority.pem] }));
        let trusting = client(trusting);
        let forwarded = get(&trusting, &url("http", &plain)).await;
        assert_ok(&forwarded);
        assert_eq!(forwarded.exchange.tls_version, "");
        for _ in 0..2 {
            let tunnelled = get(&trusting, &url("https", &secure)).await;
            assert_ok(&tunnelled);
            assert_eq!(tunnelled.exchange.tls_version, "tls1.3");
        }
        assert_eq!(secure.connections.get(), 1);
        let mut large = request(Method::POST, &url("https", &secure));
        large.body = Bytes::from(vec![b'x'; 3 << 20]);
        assert_ok(&send(&trusting, large).await);
        assert!(trusting.take_bytes().0 > 3 << 20);
        let stranger = client(plan(json!({ "proxy": proxy.url("https") })));
        let refused = get(&stranger, &url("http", &plain)).await;
        assert_eq!(kind(&refused), ErrorKind::UnknownAuthority);
    });
}

#[test]
fn socks_leads_to_plain_and_secure_targets_by_name_or_address() {
    run(async || {
        let authority = Authority::new();
        let (plain, secure) = (Server::answering(OK).await, secure(&authority).await);
        let ports = (plain.address.port(), secure.address.port());
        for (scheme, password, host) in [
            ("socks5h", false, "target.test"),
            ("socks5h", true, "target.test"),
            ("socks5", false, "127.0.0.1"),
        ] {
            let proxy = ProxyServer::start(Speaks::Socks { password }).await;
            let url_of_proxy = if password {
                proxy.url(scheme).replace("://", "://ada:secret@")
            } else {
                proxy.url(scheme)
            };
            let client = client(plan(json!({
                "proxy": url_of_proxy,
                "tls_roots": [authority.pem],
                "hosts": { "target.test": "127.0.0.1" },
            })));
            assert_ok(&get(&client, &url("http", &plain)).await);
            assert_ok(&get(&client, &url("https", &secure)).await);
            let asked = [format!("{host}:{}", ports.0), format!("{host}:{}", ports.1)];
            assert_eq!(*proxy.asked.borrow(), asked);
        }
        assert_eq!(plain.seen.borrow()[0].line, "GET /a?b HTTP/1.1");
    });
}

#[test]
fn what_a_proxy_refuses_is_an_error_and_what_it_forbids_an_answer() {
    run(async || {
        let proxy = ProxyServer::start(Speaks::Http).await;
        let client = client(plan(json!({ "proxy": proxy.url("http") })));
        let forbidden = get(&client, "http://forbidden.test/").await;
        assert_eq!(forbidden.exchange.status.expect("status"), 403);
        let refused = get(&client, "https://forbidden.test/").await;
        assert_eq!((kind(&refused), kind(&refused).code()), (ErrorKind::Proxy, 1000));
        let message = refused.exchange.error.expect("an error").message;
        assert_eq!(message, "proxy refused with status 403");
        for (speaks, url, message) in [
            (Speaks::Socks { password: false }, "ada:x@", "proxy refused: not allowed"),
            (Speaks::Socks { password: true }, "", "proxy wants another authentication"),
            (Speaks::Socks { password: true }, "ada:x@", "proxy refused user and password"),
        ] {
            let proxy = ProxyServer::start(speaks).await;
            let url = format!("socks5h://{url}{}", proxy.address);
            let plan = plan(json!({ "proxy": url }));
            let refused = get(&crate::requests::client(plan), "http://forbidden.test/").await;
            assert_eq!(refused.exchange.error.expect("an error").message, message);
        }
        let gone = crate::requests::client(plan(json!({ "proxy": "http://127.0.0.1:1" })));
        assert_eq!(kind(&get(&gone, "http://target.test/").await), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn exceptions_and_single_requests_go_their_own_way() {
    run(async || {
        let (proxy, other) =
            (ProxyServer::start(Speaks::Http).await, ProxyServer::start(Speaks::Http).await);
        let server = Server::answering(OK).await;
        let client = client(plan(json!({
            "proxy": { "http": proxy.url("http"), "except": ["localhost"] },
            "hosts": { "target.test": server.address.to_string() },
        })));
        let direct = format!("http://localhost:{}/", server.address.port());
        assert_ok(&get(&client, &direct).await);
        let url = url("http", &server);
        assert_ok(&send(&client, detour(&url, Detour::None)).await);
        assert_eq!(proxy.asked.borrow().len(), 0);
        let through = Detour::Through(Proxy::parse(&other.url("http")).expect("a proxy"));
        assert_ok(&send(&client, detour(&url, through)).await);
        assert_ok(&get(&client, &url).await);
        assert_eq!((other.asked.borrow().len(), proxy.asked.borrow().len()), (1, 1));
        let lines: Vec<String> = server.seen.borrow().iter().map(|s| s.line.clone()).collect();
        assert_eq!(lines[..2], ["GET / HTTP/1.1", "GET /a?b HTTP/1.1"]);
    });
}

#[test]
fn the_proxys_password_stays_with_the_proxy() {
    run(async || {
        let proxy = ProxyServer::start(Speaks::Http).await;
        let authority = Authority::new();
        let secure = secure(&authority).await;
        let location = url("https", &secure);
        let plain = Server::start(async move |mut peer: Peer| {
            if peer.request().await.is_some() {
                let head =
                    "HTTP/1.1 307 There\r\nConnection: close\r\nContent-Length: 0\r\nLocation: ";
                peer.write(format!("{head}{location}\r\n\r\n")).await;
            }
        })
        .await;
        let with_password = proxy.url("http").replace("://", "://ada:secret@");
        let options = json!({ "proxy": with_password, "tls_roots": [authority.pem] });
        let response = get(&client(plan(options)), &url("http", &plain)).await;
        assert_ok(&response);
        let asked = proxy.asked.borrow();
        assert!(asked.len() == 2 && asked.iter().all(|head| head.contains("proxy-authorization")));
        assert_eq!(secure.seen.borrow()[0].header("proxy-authorization"), None);
    });
}

#[test]
fn what_is_blocked_is_not_reached_through_a_proxy_either() {
    run(async || {
        let proxy = ProxyServer::start(Speaks::Http).await;
        let client = client(plan(json!({
            "proxy": proxy.url("http"),
            "block_hostnames": ["blocked.test"],
            "blacklist_ips": ["10.0.0.0/8"],
        })));
        let name = get(&client, "http://blocked.test/").await;
        assert_eq!(kind(&name), ErrorKind::BlockedHost);
        for url in ["http://10.1.2.3/", "https://10.1.2.3/"] {
            assert_eq!(kind(&get(&client, url).await), ErrorKind::BlockedAddress);
        }
        assert_eq!(proxy.asked.borrow().len(), 0);
    });
}

#[test]
fn what_a_proxy_takes_its_time_for_is_connecting() {
    run(async || {
        let slow = Server::start(async |mut peer: Peer| {
            peer.request().await;
            tokio::time::sleep(Duration::from_millis(60)).await;
            peer.write("HTTP/1.1 502 Nobody there\r\nContent-Length: 0\r\n\r\n").await;
            peer.hold().await;
        })
        .await;
        let client = client(plan(json!({ "proxy": slow.url("") })));
        let response = get(&client, "https://target.test/").await;
        assert_eq!(kind(&response), ErrorKind::Proxy);
        let timings = response.exchange.timings;
        assert!(timings.connecting.as_millis() >= 58, "{timings:?}");
        assert_eq!(timings.blocked, timings.total());
    });
}

/// Consents to be a WebSocket.
async fn consent(mut peer: Peer) {
    let request = peer.request().await.expect("a handshake");
    let accept = derive_accept_key(request.header("sec-websocket-key").expect("key").as_bytes());
    let head = "HTTP/1.1 101 Go on\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    peer.write(format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n")).await;
    peer.hold().await;
}

async fn connect(client: &HttpClient, url: &str) -> Answered {
    let handshake = Handshake {
        url: Rc::new(Destination::new(url.parse().expect("url"))),
        headers: Headers::new(),
        subprotocols: Vec::new(),
        compression: None,
        timeout: Duration::from_secs(10),
        auth: None,
        via: Via::default(),
    };
    ws::connect(client, handshake, None, pending()).await
}

#[test]
fn a_websocket_goes_through_a_tunnel_whatever_its_scheme() {
    run(async || {
        let authority = Authority::new();
        let config = Some(authority.server("target.test"));
        let plain = Server::start(consent).await;
        let secure = Server::listen(Ipv4Addr::LOCALHOST.into(), config, consent).await;
        let http = ProxyServer::start(Speaks::Http).await;
        let socks = ProxyServer::start(Speaks::Socks { password: false }).await;
        for (proxy, scheme, before) in [(&http, "http", "CONNECT "), (&socks, "socks5h", "")] {
            let options = json!({ "proxy": proxy.url(scheme), "tls_roots": [authority.pem] });
            let client = client(plan(options));
            for (scheme, server) in [("http", &plain), ("https", &secure)] {
                let answered = connect(&client, &url(scheme, server)).await;
                let exchange = &answered.response.exchange;
                assert!(answered.opening.is_some(), "{scheme}: {:?}", exchange.error);
                assert_eq!(exchange.remote_address, Some(proxy.address));
                let target = format!("{before}target.test:{}", server.address.port());
                assert!(proxy.asked.borrow().last().expect("asked").starts_with(&target));
            }
        }
        assert_eq!(plain.seen.borrow()[0].line, "GET /a?b HTTP/1.1");
        let blocking = json!({ "proxy": http.url("http"), "block_hostnames": ["blocked.test"] });
        let client = client(plan(blocking));
        let refused = connect(&client, "http://forbidden.test/").await;
        assert_eq!(kind(&refused.response), ErrorKind::Proxy);
        let blocked = connect(&client, "http://blocked.test/").await;
        assert_eq!(kind(&blocked.response), ErrorKind::BlockedHost);
        assert_eq!(http.asked.borrow().len(), 3);
    });
}
