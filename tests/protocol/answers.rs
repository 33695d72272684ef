//! What a client tells of answers, of those that break off, and of none.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kingtide::protocol::ErrorKind;

use super::{at, at_text, client};
use crate::loopback::{Peer, Server};
use crate::requests::{assert_ok, get, kind, request, run, send};

#[test]
fn an_answer_has_its_head_its_body_and_what_was_sent() {
    run(async || {
        let server = Server::answering(
            "HTTP/1.1 200 Fine\r\nX: 1\r\nX: 2\r\nContent-Length: 5\r\n\r\nhello",
        )
        .await;
        let client = client();
        let mut post = request(Method::POST, &server.url("/a?b=c#d"));
        post.body = Bytes::from_static(b"body");
        post.headers.insert("x-mine", b"yes").expect("valid");
        let response = send(&client, post).await;
        assert_ok(&response);
        assert_eq!(response.status_text, "Fine");
        assert_eq!(response.headers.all("x").count(), 2);
        assert_eq!(response.body, "hello");
        assert_eq!(response.exchange.proto, "HTTP/1.1");
        assert_eq!(response.exchange.remote_address, Some(server.address));
        assert_eq!(response.exchange.tls_version, "");
        let seen = server.seen.borrow()[0].clone();
        assert_eq!((seen.line.as_str(), &seen.body[..]), ("POST /a?b=c HTTP/1.1", &b"body"[..]));
        let sent: Vec<(String, String)> = response
            .sent
            .headers
            .iter()
            .map(|(name, value)| (name, std::str::from_utf8(value).expect("text")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(sent, seen.headers);
        assert_eq!(seen.header("user-agent"), Some("kingtide"));
        assert_eq!(seen.header("accept-encoding"), None);
        let (sent, received) = client.take_bytes();
        assert!(sent > 50 && received > 50);
        assert_eq!(client.take_bytes(), (0, 0));
    });
}

#[test]
fn nobody_listening_is_a_refused_connection() {
    run(async || {
        let address = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
            listener.local_addr().expect("address")
        };
        let response = get(&client(), &format!("http://{address}/")).await;
        assert_eq!(kind(&response), ErrorKind::ConnectionRefused);
        let error = response.exchange.error.expect("error");
        assert_eq!((error.kind.code(), error.message.as_str()), (1212, "connection refused"));
        assert_eq!((response.exchange.status, response.exchange.proto), (None, ""));
    });
}

#[test]
fn an_unknown_name_is_no_such_host_and_the_time_went_to_the_look_up() {
    run(async || {
        let response = get(&client(), "http://nobody.invalid/").await;
        // Without any resolver the machine cannot know that there is no such name.
        assert!(matches!(kind(&response), ErrorKind::NoSuchHost | ErrorKind::Dns));
        let timings = response.exchange.timings;
        assert!(timings.looking_up > Duration::ZERO && timings.blocked >= timings.looking_up);
        assert_eq!(timings.duration(), Duration::ZERO);
    });
}

#[test]
fn connections_closed_or_reset_before_the_answer_are_told_apart() {
    run(async || {
        assert_eq!(kind(&at(async |peer: Peer| drop(peer)).await), ErrorKind::ClosedEarly);
        assert_eq!(kind(&at(Peer::half_close).await), ErrorKind::ClosedEarly);
        assert_eq!(kind(&at(Peer::reset).await), ErrorKind::ConnectionReset);
        assert_eq!(kind(&at_text("HTTP/1.1 200 OK\r\nX: ").await), ErrorKind::ClosedEarly);
    });
}

#[test]
fn bodies_that_break_off_keep_their_status_and_have_an_error() {
    run(async || {
        let short = at_text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").await;
        assert_eq!(kind(&short), ErrorKind::BodyTooShort);
        assert_eq!(short.exchange.status.expect("status"), 200);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let short = at_text(format!("{chunked}5\r\nhello\r\n")).await;
        assert_eq!(kind(&short), ErrorKind::BodyTooShort);
        let garbage = at_text(format!("{chunked}5\r\nhello\r\nzzz\r\n")).await;
        assert_eq!(kind(&garbage), ErrorKind::InvalidAnswer);
        let reset = at(async |mut peer: Peer| {
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").await;
            peer.reset().await;
        })
        .await;
        assert_eq!(kind(&reset), ErrorKind::ConnectionReset);
        assert_eq!(reset.exchange.status.expect("status"), 200);
    });
}

#[test]
fn what_is_not_http_is_an_invalid_answer() {
    run(async || {
        for answer in [
            "220 mail.example.org ESMTP\r\n\r\n",
            "\0\0\0\u{1}binary\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nbad header line\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        ] {
            assert_eq!(kind(&at_text(answer).await), ErrorKind::InvalidAnswer, "{answer:?}");
        }
        let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
        let bomb = format!("HTTP/1.1 200 OK\r\n{}", line.repeat(1000));
        assert_eq!(kind(&at_text(bomb).await), ErrorKind::HeadTooLarge);
        let upgrade = at_text("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").await;
        assert_eq!(kind(&upgrade), ErrorKind::UnexpectedUpgrade);
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_counts() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            peer.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno").await;
            pending::<()>().await;
        })
        .await;
        let client = client();
        for _ in 0..2 {
            let mut large = request(Method::POST, &server.url("/"));
            large.body = vec![0; 32 << 20].into();
            let response = send(&client, large).await;
            assert_eq!(response.exchange.error, None);
            assert_eq!(response.exchange.status.expect("status"), 413);
        }
        // What was left of the request must not meet the next one.
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn a_url_that_is_not_http_is_invalid() {
    run(async || {
        let mut hops = 0;
        let asked = request(Method::GET, "ftp://example.org/");
        let response = client().send(asked, None, pending(), |_| hops += 1).await;
        assert_eq!((kind(&response).code(), hops), (1020, 1));
    });
}
