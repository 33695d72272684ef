//! Redirects, and the cookies and passwords on their way.

use std::cell::RefCell;
use std::future::pending;

use bytes::Bytes;
use http::Method;
use kingtide::protocol::{CookieJar, ErrorKind};
use url::Url;

use super::{at_text, client};
use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, get, kind, request, run, send};

/// Answers `/STATUS/REST` with a redirect to `REST`, anything else with 200.
async fn redirecting() -> Server {
    Server::start(async |mut peer: Peer| {
        while let Some(seen) = peer.request().await {
            let target = seen.target().trim_start_matches('/').to_owned();
            let answer = match target.split_once('/') {
                Some((status, rest)) if status.starts_with('3') => format!(
                    "HTTP/1.1 {status} Elsewhere\r\nLocation: {rest}\r\n\
                     Set-Cookie: via={status}; Path=/\r\nContent-Length: 0\r\n\r\n"
                ),
                _ => OK.to_owned(),
            };
            peer.write(answer).await;
        }
    })
    .await
}

#[test]
fn redirects_are_followed_with_their_methods_and_each_hop_is_observed() {
    run(async || {
        let server = redirecting().await;
        let client = client();
        for (status, method, body) in [
            ("301", "GET", ""),
            ("302", "GET", ""),
            ("303", "GET", ""),
            ("307", "POST", "x"),
            ("308", "POST", "x"),
        ] {
            server.seen.borrow_mut().clear();
            let mut post = request(Method::POST, &server.url(&format!("/{status}//there")));
            post.body = Bytes::from_static(b"x");
            let mut statuses = Vec::new();
            let response = client
                .send(post, None, pending(), |hop| statuses.push(hop.status.expect("status")))
                .await;
            assert_ok(&response);
            assert_eq!(response.exchange.url.path(), "/there");
            assert_eq!(response.exchange.method.as_str(), method);
            assert_eq!((statuses[0].as_str(), statuses[1].as_str()), (status, "200"));
            let seen = server.seen.borrow()[1].clone();
            assert_eq!(seen.line, format!("{method} /there HTTP/1.1"));
            assert_eq!(seen.body, body.as_bytes());
        }
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn past_the_limit_the_last_redirect_is_the_answer() {
    run(async || {
        let server = redirecting().await;
        let client = client();
        for (redirects, target, warns) in [(0, "/302//302//x", false), (1, "/302//302//x", true)] {
            let mut limited = request(Method::GET, &server.url(target));
            limited.redirects = redirects;
            let response = send(&client, limited).await;
            assert_eq!(response.exchange.error, None);
            assert_eq!(response.exchange.status.expect("status"), 302);
            assert_eq!(response.warning.is_some(), warns);
        }
        let bad = get(&client, &server.url("/302/ftp://example.org/")).await;
        assert_eq!(kind(&bad), ErrorKind::InvalidUrl);
        assert_eq!(bad.exchange.status.expect("status"), 302);
        let plain = at_text("HTTP/1.1 304 Not Modified\r\nLocation: /x\r\n\r\n").await;
        assert_eq!((plain.exchange.status.expect("status").as_u16(), plain.warning), (304, None));
    });
}

#[test]
fn cookies_set_on_the_way_are_kept_and_sent() {
    run(async || {
        let server = redirecting().await;
        let client = client();
        let jar = RefCell::new(CookieJar::new());
        let mut first = request(Method::GET, &server.url("/302//there"));
        first.headers.insert("cookie", b"mine=1; via=old").expect("valid");
        let response = client.send(first, Some(&jar), pending(), |_| {}).await;
        assert_ok(&response);
        let seen = server.seen.borrow().clone();
        assert_eq!(seen[0].header("cookie"), Some("mine=1; via=old"));
        assert_eq!(seen[1].header("cookie"), Some("mine=1; via=302"));
        assert_eq!(response.sent.headers.get("cookie"), Some(&b"mine=1; via=302"[..]));
        let url = Url::parse(&server.url("/any")).expect("url");
        assert_eq!(jar.borrow().header_for(&url).as_deref(), Some("via=302"));
    });
}

#[test]
fn another_host_gets_neither_the_password_nor_the_cookies() {
    run(async || {
        let server = redirecting().await;
        let port = server.address.port();
        let client = client();
        let url = format!("http://user:secret@127.0.0.1:{port}/302/http://localhost:{port}/x");
        let mut first = request(Method::GET, &url);
        first.headers.insert("cookie", b"mine=1").expect("valid");
        let response = send(&client, first).await;
        assert_ok(&response);
        let seen = server.seen.borrow().clone();
        assert_eq!(seen[0].header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
        assert_eq!(seen[1].header("host"), Some(format!("localhost:{port}").as_str()));
        assert_eq!((seen[1].header("authorization"), seen[1].header("cookie")), (None, None));
        assert_eq!(response.exchange.url.as_str(), format!("http://localhost:{port}/x"));
    });
}
