//! Bodies that are read from files as they are sent.

use std::fs::File;
use std::io::Write as _;
use std::rc::Rc;

use http::Method;
use kingtide::protocol::{Auth, Credentials, ErrorKind, Extras, Request, Upload};
use serde_json::json;

use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, client, kind, plan, request, run, send};

/// Returns a file with so many bytes, each the low one of its place.
fn file(length: usize) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes(length)).expect("written");
    file
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| place as u8).collect()
}

fn put(url: &str, file: File, auth: Option<Auth>) -> Request {
    let mut upload = Upload::default();
    upload.add_bytes("<");
    upload.add_file(file, "tide.bin").expect("a length");
    upload.add_bytes(">");
    let extras = Extras { auth, upload: Some(Rc::new(upload)), ..Extras::default() };
    Request { extras: Some(Rc::new(extras)), ..request(Method::PUT, url) }
}

fn whole(length: usize) -> Vec<u8> {
    [b"<", &bytes(length)[..], b">"].concat()
}

#[test]
fn a_file_is_sent_as_long_as_it_was_on_a_kept_connection() {
    run(async || {
        let server = Server::answering(OK).await;
        let client = client(plan(json!({})));
        for length in [0, 1, 65_536, 3_000_001] {
            let response = send(&client, put(&server.url("/"), file(length), None)).await;
            assert_ok(&response);
            let seen = server.seen.borrow().last().expect("a request").clone();
            assert_eq!(seen.header("content-length"), Some((length + 2).to_string().as_str()));
            assert!(seen.body == whole(length), "{length}");
            assert!(response.sent.body.is_empty());
        }
        assert_eq!(server.connections.get(), 1);
        assert!(client.take_bytes().0 > 3_065_000);
    });
}

#[test]
fn a_file_is_read_anew_for_each_hop_that_keeps_the_body() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while let Some(seen) = peer.request().await {
                let answer = match seen.target() {
                    "/307" => "HTTP/1.1 307 There\r\nLocation: /303\r\nContent-Length: 0\r\n\r\n",
                    "/303" => "HTTP/1.1 303 There\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n",
                    _ => OK,
                };
                peer.write(answer).await;
            }
        })
        .await;
        let client = client(plan(json!({})));
        let response = send(&client, put(&server.url("/307"), file(100_000), None)).await;
        assert_ok(&response);
        let seen = server.seen.borrow();
        let facts: Vec<(&str, usize)> =
            seen.iter().map(|seen| (seen.line.as_str(), seen.body.len())).collect();
        let expected = [
            ("PUT /307 HTTP/1.1", 100_002),
            ("PUT /303 HTTP/1.1", 100_002),
            ("GET /end HTTP/1.1", 0),
        ];
        assert_eq!(facts, expected);
        assert!(seen[1].body == whole(100_000));
        assert_eq!(seen[2].header("content-length"), None);
    });
}

#[test]
fn a_file_is_sent_again_with_the_answer_to_a_challenge() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while let Some(seen) = peer.request().await {
                // A body that is not in memory cannot be covered by the answer.
                let challenge = "HTTP/1.1 401 Who?\r\nContent-Length: 0\r\n\
                    WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth-int, auth\"\r\n\r\n";
                let is_proved = seen.header("authorization").is_some_and(|h| h.contains("qop=auth,"));
                peer.write(if is_proved { OK } else { challenge }).await;
            }
        })
        .await;
        let client = client(plan(json!({})));
        let ada = Credentials { user: "ada".to_owned(), password: "secret".to_owned() };
        let proved = put(&server.url("/"), file(70_000), Some(Auth::Digest(ada)));
        assert_ok(&send(&client, proved).await);
        let seen = server.seen.borrow();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|seen| seen.body == whole(70_000)));
    });
}

#[test]
fn a_file_that_becomes_shorter_ends_the_request_and_its_connection() {
    run(async || {
        let server = Server::answering(OK).await;
        let client = client(plan(json!({})));
        let short = file(200_000);
        let request = put(&server.url("/"), short.try_clone().expect("a copy"), None);
        short.set_len(100_000).expect("cut");
        let response = send(&client, request).await;
        assert_eq!((kind(&response), kind(&response).code()), (ErrorKind::Other, 1000));
        let message = response.exchange.error.expect("an error").message;
        assert_eq!(message, "a file of the body became shorter while it was sent");
        assert_ok(&send(&client, put(&server.url("/"), file(10), None)).await);
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn an_answer_that_comes_before_the_file_is_read_counts() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            peer.write("HTTP/1.1 413 Too much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            peer.hold().await;
        })
        .await;
        let client = client(plan(json!({})));
        let endless = tempfile::tempfile().expect("a file");
        // Nothing of it is on the disk.
        endless.set_len(1 << 40).expect("a hole");
        let response = send(&client, put(&server.url("/"), endless, None)).await;
        assert_eq!(response.exchange.error, None);
        assert_eq!(response.exchange.status.expect("an answer"), 413);
    });
}
