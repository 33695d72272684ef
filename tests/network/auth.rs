//! Digest authentication against a server that checks it by its own arithmetic.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use http::Method;
use kingtide::protocol::{Auth, Credentials, Extras, Request};
use md5::{Digest as _, Md5};
use serde_json::json;

use crate::loopback::{Peer, Seen, Server};
use crate::requests::{OK, assert_ok, client, get, hops, plan, request, send};

fn ada(password: &str) -> Option<Rc<Extras>> {
    let credentials = Credentials { user: "ada".to_owned(), password: password.to_owned() };
    Some(Rc::new(Extras { auth: Some(Auth::Digest(credentials)), ..Extras::default() }))
}

fn digest(method: Method, url: &str) -> Request {
    Request { extras: ada("secret"), ..request(method, url) }
}

fn md5(text: &str) -> String {
    let digest: [u8; 16] = Md5::digest(text).into();
    format!("{:032x}", u128::from_be_bytes(digest))
}

/// Returns the parameters of a request's answer.
fn answer(seen: &Seen) -> Option<BTreeMap<String, String>> {
    let params = seen.header("authorization")?.strip_prefix("Digest ")?;
    let pairs = params.split(", ").map(|pair| pair.split_once('=').expect("a pair"));
    Some(pairs.map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned())).collect())
}

/// Returns whether a request proves to be ada's, for a nonce and a quality of protection.
fn is_proved(seen: &Seen, nonce: &str, quality: &str) -> bool {
    let Some(answer) = answer(seen) else { return false };
    let get = |name: &str| answer.get(name).map_or("", String::as_str);
    let method = seen.line.split(' ').next().expect("method");
    let mut asked = format!("{method}:{}", seen.target());
    if quality == "auth-int" {
        asked = format!("{asked}:{}", md5(std::str::from_utf8(&seen.body).expect("text")));
    }
    let (secret, asked) = (md5("ada:tide:secret"), md5(&asked));
    let right = md5(&format!("{secret}:{nonce}:{}:{}:{quality}:{asked}", get("nc"), get("cnonce")));
    get("response") == right && get("nonce") == nonce && get("uri") == seen.target()
}

/// Starts a server that wants a proof for each request. A nonce serves so many requests; then it is
/// stale.
async fn guarded(quality: &'static str, uses: u32) -> Server {
    let nonces = Rc::new(RefCell::new((0_u32, 0_u32)));
    Server::start(async move |mut peer: Peer| {
        while let Some(seen) = peer.request().await {
            let (nonce, used) = *nonces.borrow();
            if is_proved(&seen, &format!("n{nonce}"), quality) && used < uses {
                nonces.borrow_mut().1 += 1;
                peer.write(OK).await;
                continue;
            }
            let stale = seen.header("authorization").is_some() && used >= uses;
            *nonces.borrow_mut() = (nonce + 1, 0);
            let challenge = format!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                 WWW-Authenticate: Digest realm=\"tide\", nonce=\"n{}\", qop=\"{quality}\", \
                 stale={stale}\r\nContent-Length: 4\r\n\r\nwho?",
                nonce + 1
            );
            peer.write(challenge).await;
        }
    })
    .await
}

#[test]
fn a_challenge_is_answered_once_and_the_answer_serves_later_requests() {
    crate::requests::run(async || {
        let server = guarded("auth", 100).await;
        let client = client(plan(json!({})));
        let see = |hop: &kingtide::protocol::Exchange| {
            (hop.status.expect("status").as_u16(), hop.challenge)
        };
        let (first, seen) = hops(&client, digest(Method::GET, &server.url("/a?b=c")), see).await;
        assert_ok(&first);
        assert_eq!(seen, [(401, true), (200, false)]);
        let mut post = digest(Method::POST, &server.url("/b"));
        post.body = Bytes::from_static(b"body");
        let (second, seen) = hops(&client, post, see).await;
        assert_ok(&second);
        assert_eq!(seen, [(200, false)]);
        assert_eq!(server.connections.get(), 1);
        let last = server.seen.borrow().last().cloned().expect("a request");
        let answer = answer(&last).expect("an answer");
        assert_eq!((answer["nc"].as_str(), answer["username"].as_str()), ("00000002", "ada"));
    });
}

#[test]
fn the_body_is_sent_again_and_covered_where_the_server_wants_it() {
    crate::requests::run(async || {
        let server = guarded("auth-int", 100).await;
        let mut post = digest(Method::POST, &server.url("/"));
        post.body = Bytes::from_static(b"the body");
        assert_ok(&send(&client(plan(json!({}))), post).await);
        let bodies: Vec<Vec<u8>> = server.seen.borrow().iter().map(|s| s.body.clone()).collect();
        assert_eq!(bodies, [b"the body", b"the body"]);
    });
}

#[test]
fn a_wrong_password_is_refused_after_one_answer() {
    crate::requests::run(async || {
        let server = guarded("auth", 100).await;
        let client = client(plan(json!({})));
        let wrong = || Request { extras: ada("wrong"), ..request(Method::GET, &server.url("/")) };
        // The second one does not try what was refused: it asks for a challenge again.
        for count in [2, 4] {
            let response = send(&client, wrong()).await;
            assert_eq!(response.exchange.status.expect("status"), 401);
            assert!(!response.exchange.challenge);
            assert_eq!(response.body, "who?");
            assert_eq!(server.seen.borrow().len(), count);
        }
        let unasked = get(&client, &server.url("/")).await;
        assert_eq!(unasked.exchange.status.expect("status"), 401);
        assert_eq!(server.seen.borrow().len(), 5);
    });
}

#[test]
fn a_stale_nonce_earns_another_answer() {
    crate::requests::run(async || {
        let server = guarded("auth", 1).await;
        let client = client(plan(json!({})));
        let get = || hops(&client, digest(Method::GET, &server.url("/")), |hop| hop.challenge);
        assert_eq!(get().await.1, [true, false]);
        let (response, seen) = get().await;
        assert_ok(&response);
        assert_eq!(seen, [true, false]);
        // A server whose nonces are always stale is not asked for ever.
        let never = guarded("auth", 0).await;
        let asked = digest(Method::GET, &never.url("/"));
        let (response, seen) = hops(&client, asked, |hop| hop.challenge).await;
        assert_eq!(response.exchange.status.expect("status"), 401);
        assert_eq!(seen, [true, true, false]);
    });
}

#[test]
fn another_server_gets_no_answer() {
    crate::requests::run(async || {
        let other = guarded("auth", 100).await;
        let location = format!("http://localhost:{}/", other.address.port());
        let server = Server::start(async move |mut peer: Peer| {
            peer.request().await;
            let head = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ";
            peer.write(format!("{head}{location}\r\n\r\n")).await;
        })
        .await;
        let response = send(&client(plan(json!({}))), digest(Method::GET, &server.url("/"))).await;
        assert_eq!(response.exchange.status.expect("status"), 401);
        assert_eq!(other.seen.borrow().len(), 1);
        assert_eq!(other.seen.borrow()[0].header("authorization"), None);
    });
}
