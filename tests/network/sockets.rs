//! Requests over Unix sockets.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use kingtide::protocol::{ErrorKind, Extras, Request, Via};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::loopback::Server;
use crate::requests::{OK, assert_ok, client, get, kind, plan, run, send, with};

fn over(socket: PathBuf, url: &str) -> Request {
    let via = Via { socket: Some(socket), ..Via::default() };
    with(url, Extras { via: Some(Rc::new(via)), ..Extras::default() })
}

/// Serves every request on a socket with its head.
fn serve(path: &Path) {
    let listener = UnixListener::bind(path).expect("bind");
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept");
            tokio::task::spawn_local(async move {
                let mut head = Vec::new();
                while stream.read_buf(&mut head).await.is_ok_and(|bytes| bytes > 0) {
                    if head.ends_with(b"\r\n\r\n") {
                        let answer =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", head.len());
                        stream.write_all(answer.as_bytes()).await.expect("write");
                        stream.write_all(&head).await.expect("write");
                        head.clear();
                    }
                }
            });
        }
    });
}

#[test]
fn a_socket_stands_in_the_place_of_host_and_port() {
    run(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.sock");
        serve(&path);
        let server = Server::answering(OK).await;
        let plan = plan(json!({ "user_agent": "", "proxy": "http://127.0.0.1:1" }));
        let client = client(plan);
        for _ in 0..2 {
            let response = send(&client, over(path.clone(), "http://app.test:81/a?b")).await;
            assert_ok(&response);
            assert_eq!(response.body, "GET /a?b HTTP/1.1\r\nhost: app.test:81\r\n\r\n");
            assert_eq!(response.exchange.remote_address, None);
        }
        let (sent, received) = client.take_bytes();
        assert!(sent == 2 * 40 && received > 100, "{sent} {received}");
        // Its connections serve nobody else.
        let direct = crate::requests::client(crate::requests::plan(json!({})));
        assert_ok(&get(&direct, &server.url("/")).await);
        let same = over(path, &server.url("/"));
        assert_ne!(send(&direct, same).await.body, "ok");
    });
}

#[test]
fn sockets_that_cannot_be_used_are_network_errors() {
    run(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let client = client(plan(json!({})));
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).expect("bind"));
        for (path, message) in [
            (folder.path().join("none.sock"), "no such unix socket"),
            (dead, "nobody listens on the unix socket"),
            (folder.path().join("x".repeat(200)), "network error"),
        ] {
            let response = send(&client, over(path, "http://app.test/")).await;
            assert_eq!((kind(&response), kind(&response).code()), (ErrorKind::Network, 1010));
            assert_eq!(response.exchange.error.expect("an error").message, message);
        }
    });
}

/// The one error code that TCP cannot be made to show reliably.
#[test]
fn a_server_that_closes_while_it_is_written_to_is_a_broken_pipe() {
    run(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("short.sock");
        let listener = UnixListener::bind(&path).expect("bind");
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accept");
                let mut some = [0; 1000];
                stream.read_exact(&mut some).await.expect("a head and more");
            }
        });
        let client = client(plan(json!({})));
        let mut large = over(path, "http://app.test/");
        large.method = http::Method::PUT;
        large.body = vec![b'x'; 8 << 20].into();
        let response = send(&client, large).await;
        assert_eq!((kind(&response), kind(&response).code()), (ErrorKind::BrokenPipe, 1201));
    });
}
