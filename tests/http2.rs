//! HTTP/2 against servers that keep its rules, with and without TLS.

#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "support/client.rs"]
mod client;
#[path = "support/proxies.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod proxies;
#[path = "support/requests.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod requests;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use kingtide::plan::{Facts, Options, resolve};
use kingtide::plan::{Http2, HttpPlan};
use kingtide::protocol::{
    Auth, Credentials, ErrorKind, Extras, HttpClient, Network, ResponseKind, Upload,
};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Authority, self_signed};
use crate::client::{assert_ok, failure, plan, post};
use crate::proxies::{ProxyServer, Speaks};
use crate::requests::{client as client_with, get, request, run, send};

const MS: Duration = Duration::from_millis(1);

type Asked = http::Request<RecvStream>;
type Answer = SendResponse<Bytes>;

/// A server that speaks HTTP/2, or what TLS comes to.
struct Server {
    scheme: &'static str,
    address: std::net::SocketAddr,
    connections: Rc<Cell<usize>>,
    /// Connections that have ended.
    ended: Rc<Cell<usize>>,
    /// The most requests that were under way at once.
    most: Rc<Cell<usize>>,
}

impl Server {
    async fn start(handler: impl AsyncFn(Asked, Answer) + 'static) -> Self {
        Self::listen(None, handler).await
    }

    async fn listen(
        tls: Option<Arc<ServerConfig>>,
        handler: impl AsyncFn(Asked, Answer) + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let server = Self {
            scheme: if tls.is_some() { "https" } else { "http" },
            address: listener.local_addr().expect("address"),
            connections: Rc::default(),
            ended: Rc::default(),
            most: Rc::default(),
        };
        let (connections, ended) = (Rc::clone(&server.connections), Rc::clone(&server.ended));
        let most = Rc::clone(&server.most);
        let handler = Rc::new(handler);
        tokio::task::spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("accept");
                connections.set(connections.get() + 1);
                let (handler, tls) = (Rc::clone(&handler), tls.clone());
                let (most, ended) = (Rc::clone(&most), Rc::clone(&ended));
                tokio::task::spawn_local(async move {
                    match tls {
                        None => serve(socket, handler, most).await,
                        Some(config) => match TlsAcceptor::from(config).accept(socket).await {
                            Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                                serve(stream, handler, most).await;
                            }
                            Ok(stream) => serve_http1(stream).await,
                            Err(_) => {}
                        },
                    }
                    ended.set(ended.get() + 1);
                });
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Rc<impl AsyncFn(Asked, Answer) + 'static>,
    most: Rc<Cell<usize>>,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let under_way = Rc::new(Cell::new(0));
    while let Some(Ok((asked, answer))) = connection.accept().await {
        let (handler, under_way) = (Rc::clone(&handler), Rc::clone(&under_way));
        under_way.set(under_way.get() + 1);
        most.set(most.get().max(under_way.get()));
        tokio::task::spawn_local(async move {
            handler(asked, answer).await;
            under_way.set(under_way.get() - 1);
        });
    }
}

/// Answers one request after the other over HTTP/1.1.
async fn serve_http1(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    use tokio::io::AsyncReadExt;
    let mut buffer = vec![0; 10_000];
    while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> http::Response<()> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).expect("a head")
}

async fn answer(mut answer: Answer, body: impl Into<Bytes>) {
    let body = body.into();
    let mut stream = answer.send_response(head(200, &[]), false).expect("the client is there");
    write(&mut stream, body, true).await;
}

/// Sends as the client's windows let it; a client may have gone.
async fn write(stream: &mut h2::SendStream<Bytes>, mut body: Bytes, end: bool) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let Some(Ok(allowed)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let part = body.split_to(allowed.min(body.len()));
        if stream.send_data(part, end && body.is_empty()).is_err() {
            return;
        }
    }
}

async fn read(asked: Asked) -> Vec<u8> {
    let mut body = asked.into_body();
    let mut all = Vec::new();
    while let Some(Ok(part)) = body.data().await {
        let _gone = body.flow_control().release_capacity(part.len());
        all.extend_from_slice(&part);
    }
    all
}

fn client() -> HttpClient {
    client_with(plan(Http2::Always))
}

fn trusting(authority: &Authority, plan: HttpPlan) -> HttpClient {
    let network = Network::with_roots(&plan, vec![authority.der.clone()]).expect("network");
    HttpClient::new(network, Rc::new(plan))
}

/// Returns a server's configuration that offers these protocols.
fn offering(authority: &Authority, protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(&authority.server("127.0.0.1"));
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

#[test]
fn a_request_goes_as_it_must_and_its_answer_comes_whole() {
    run(async || {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&seen);
        let server = Server::start(async move |asked: Asked, mut response: Answer| {
            let mut lines = vec![format!("{} {}", asked.method(), asked.uri())];
            let headers = asked.headers().iter();
            lines.extend(headers.map(|(n, v)| format!("{n}: {}", v.to_str().expect("text"))));
            lines.push(String::from_utf8(read(asked).await).expect("text"));
            *noted.borrow_mut() = lines;
            let headers = [("set-cookie", "a=1"), ("x-one", "1"), ("set-cookie", "b=2")];
            let mut stream = response.send_response(head(201, &headers), false).expect("there");
            stream.send_data("hel".into(), false).expect("there");
            stream.send_data("lo".into(), false).expect("there");
            let trailers = HeaderMap::from_iter([(
                HeaderName::from_static("x-late"),
                HeaderValue::from_static("1"),
            )]);
            stream.send_trailers(trailers).expect("there");
        })
        .await;
        let mut asked = post(&server.url("/a?b=c#d"), "body");
        for (name, value) in [
            ("cookie", "a=1; b=2"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("transfer-encoding", "gzip"),
            ("x-mine", "yes"),
        ] {
            asked.headers.append(name, value.as_bytes()).expect("valid");
        }
        let response = send(&client(), asked).await;
        let authority = server.address.to_string();
        let line = format!("POST http://{authority}/a?b=c");
        let expected =
            [&line, "x-mine: yes", "user-agent: kingtide", "cookie: a=1", "cookie: b=2", "body"];
        assert_eq!(*seen.borrow(), expected);
        assert_eq!(response.exchange.error, None);
        assert_eq!(response.exchange.status, Some(StatusCode::CREATED));
        assert_eq!((response.exchange.proto, &*response.status_text), ("HTTP/2.0", "Created"));
        assert_eq!((response.exchange.tls_version, &response.body[..]), ("", &b"hello"[..]));
        assert_eq!(response.exchange.remote_address, Some(server.address));
        let headers: Vec<(&str, &[u8])> = response.headers.iter().collect();
        let cookies: Vec<&[u8]> = response.headers.all("set-cookie").collect();
        assert_eq!((headers.len(), cookies), (3, vec![&b"a=1"[..], b"b=2"]));
        let names: Vec<&str> = response.sent.headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "x-mine", "user-agent", "cookie"]);
    });
}

#[test]
fn the_handshake_decides_and_the_option_what_is_offered() {
    run(async || {
        let authority = Authority::new();
        let cases: [(Http2, &[&str], Result<&str, ErrorKind>); 7] = [
            (Http2::Auto, &["h2", "http/1.1"], Ok("HTTP/2.0")),
            (Http2::Auto, &["http/1.1"], Ok("HTTP/1.1")),
            (Http2::Auto, &[], Ok("HTTP/1.1")),
            (Http2::Never, &["h2", "http/1.1"], Ok("HTTP/1.1")),
            (Http2::Always, &["h2", "http/1.1"], Ok("HTTP/2.0")),
            // The server finds nothing in common, or does not know the question.
            (Http2::Always, &["http/1.1"], Err(ErrorKind::Tls)),
            (Http2::Always, &[], Err(ErrorKind::Http2)),
        ];
        for (wish, offered, expected) in cases {
            let tls = offering(&authority, offered);
            let server =
                Server::listen(Some(tls), async |_, response| answer(response, "ok").await).await;
            let client = trusting(&authority, plan(wish));
            for _ in 0..2 {
                let response = get(&client, &server.url("/")).await;
                match expected {
                    Ok(proto) => {
                        assert_eq!(response.exchange.error, None, "{wish:?} {offered:?}");
                        assert_eq!(response.exchange.proto, proto, "{wish:?} {offered:?}");
                        assert_eq!(response.exchange.tls_version, "tls1.3");
                        assert_eq!(server.connections.get(), 1);
                    }
                    Err(kind) => assert_eq!(failure(&response).0, kind, "{offered:?}"),
                }
            }
        }
        assert_eq!(ErrorKind::Http2.code(), 1600);
    });
}

#[test]
fn a_plain_server_is_asked_in_http1_unless_the_option_says_otherwise() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}/", listener.local_addr().expect("address"));
        tokio::task::spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("accept");
                tokio::task::spawn_local(serve_http1(socket));
            }
        });
        for wish in [Http2::Auto, Http2::Never] {
            assert_eq!(get(&client_with(plan(wish)), &url).await.exchange.proto, "HTTP/1.1");
        }
        let refused = get(&client(), &url).await;
        assert_eq!(failure(&refused).0, ErrorKind::Http2);
    });
}

#[test]
fn requests_at_the_same_time_share_a_connection_from_the_first_handshake_on() {
    run(async || {
        let authority = Authority::new();
        let slow = async |_, response| {
            tokio::time::sleep(50 * MS).await;
            answer(response, "ok").await;
        };
        let tls = offering(&authority, &["h2"]);
        let server = Server::listen(Some(tls), slow).await;
        let client = trusting(&authority, plan(Http2::Auto));
        let url = server.url("/");
        for _ in 0..2 {
            let answers = join_all((0..20).map(|_| get(&client, &url))).await;
            answers.iter().for_each(assert_ok);
        }
        assert_eq!((server.connections.get(), server.most.get()), (1, 20));
        // One of them made the handshake, the others waited for it.
        let tls = offering(&authority, &["h2"]);
        let server = Server::listen(Some(tls), slow).await;
        let url = server.url("/");
        let answers = join_all((0..3).map(|_| get(&client, &url))).await;
        let dialed = |timings: &&kingtide::protocol::Response| {
            timings.exchange.timings.tls_handshaking > Duration::ZERO
        };
        assert_eq!(answers.iter().filter(dialed).count(), 1);
        assert!(answers.iter().all(|answer| answer.exchange.timings.blocked > Duration::ZERO));
    });
}

#[test]
fn who_speaks_http1_gets_a_connection_for_each_request() {
    run(async || {
        let authority = Authority::new();
        let tls = offering(&authority, &["http/1.1"]);
        let server = Server::listen(Some(tls), async |_, _| unreachable!("HTTP/1.1 alone")).await;
        let client = trusting(&authority, plan(Http2::Auto));
        let url = server.url("/");
        for _ in 0..2 {
            let answers = join_all((0..4).map(|_| get(&client, &url))).await;
            assert!(answers.iter().all(|answer| answer.exchange.error.is_none()));
        }
        assert_eq!(server.connections.get(), 4);
    });
}

#[test]
fn who_waits_for_a_connection_that_fails_fails_with_it() {
    run(async || {
        let config = self_signed("127.0.0.1", false);
        let server = Server::listen(Some(config), async |_, _| {}).await;
        let client = trusting(&Authority::new(), plan(Http2::Auto));
        let url = server.url("/");
        let answers = join_all((0..5).map(|_| get(&client, &url))).await;
        assert!(answers.iter().all(|answer| failure(answer).0 == ErrorKind::UnknownAuthority));
        assert_eq!(server.connections.get(), 1);
        // Who gives up leaves it to the others.
        let authority = Authority::new();
        let tls = offering(&authority, &["h2"]);
        let server =
            Server::listen(Some(tls), async |_, response| answer(response, "ok").await).await;
        let client = trusting(&authority, plan(Http2::Auto));
        let url = server.url("/");
        let hasty =
            kingtide::protocol::Request { timeout: Duration::ZERO, ..request(Method::GET, &url) };
        let (first, second) = tokio::join!(send(&client, hasty), get(&client, &url));
        assert_eq!(failure(&first).0, ErrorKind::Timeout);
        assert_ok(&second);
    });
}

#[test]
fn large_bodies_pass_the_windows_both_ways() {
    run(async || {
        let authority = Authority::new();
        let echo = async |asked: Asked, response: Answer| answer(response, read(asked).await).await;
        for tls in [None, Some(offering(&authority, &["h2"]))] {
            let server = Server::listen(tls, echo).await;
            let client = trusting(&authority, plan(Http2::Always));
            let body: Bytes = (0..5_000_000_u32).map(|n| n as u8).collect::<Vec<u8>>().into();
            let url = server.url("/");
            let answers = join_all((0..3).map(|_| send(&client, post(&url, body.clone())))).await;
            for response in answers {
                assert_ok(&response);
                assert!(response.body == body);
                assert!(response.exchange.timings.sending > Duration::ZERO);
            }
            let (sent, received) = client.take_bytes();
            assert!(sent > 15_000_000 && received > 15_000_000, "{sent} {received}");
            assert!(sent < 15_500_000 && received < 15_500_000, "{sent} {received}");
            assert_eq!(server.connections.get(), 1);
        }
    });
}

#[test]
fn a_body_that_is_too_large_ends_its_stream_and_a_dropped_one_leaves_nothing() {
    run(async || {
        let server =
            Server::start(async |_, response| answer(response, vec![b'x'; 3_000_000]).await).await;
        let client = client_with(HttpPlan { body_bytes_max: 1 << 20, ..plan(Http2::Always) });
        let response = get(&client, &server.url("/")).await;
        assert_eq!(failure(&response).0, ErrorKind::BodyTooLarge);
        let dropped = kingtide::protocol::Request {
            response: ResponseKind::Discard,
            ..request(Method::GET, &server.url("/"))
        };
        let response = send(&client, dropped).await;
        assert_ok(&response);
        assert!(response.body.is_empty());
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn what_is_cut_off_is_reset_and_the_connection_serves_on() {
    run(async || {
        let resets = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&resets);
        let server = Server::start(async move |asked: Asked, mut response: Answer| {
            match asked.uri().path() {
                "/slow" => {
                    let reason = poll_fn(|cx| response.poll_reset(cx)).await;
                    noted.borrow_mut().push(reason.expect("a reset"));
                }
                _ => answer(response, "ok").await,
            }
        })
        .await;
        let client = client();
        let slow = server.url("/slow");
        let timed = kingtide::protocol::Request { timeout: 30 * MS, ..request(Method::GET, &slow) };
        let response = send(&client, timed).await;
        assert_eq!(failure(&response).0, ErrorKind::Timeout);
        assert!(response.exchange.timings.waiting >= 20 * MS);
        let cut = tokio::time::sleep(30 * MS);
        let response = client.send(request(Method::GET, &slow), None, cut, |_| {}).await;
        assert_eq!(failure(&response).0, ErrorKind::Cut);
        let dropped = client.send(request(Method::GET, &slow), None, pending(), |_| {});
        assert!(tokio::time::timeout(30 * MS, dropped).await.is_err());
        assert_ok(&get(&client, &server.url("/")).await);
        tokio::time::sleep(20 * MS).await;
        assert_eq!(*resets.borrow(), [Reason::CANCEL; 3]);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn answers_without_a_body_and_heads_before_the_answer_are_read_right() {
    run(async || {
        let server = Server::start(async |asked: Asked, mut response: Answer| {
            let length = [("content-length", "9")];
            let last = match asked.uri().path() {
                "/204" => head(204, &[]),
                "/304" => head(304, &length),
                "/early" => {
                    for _ in 0..2 {
                        let hints = head(103, &[("link", "</a>; rel=preload")]);
                        response.send_informational(hints).expect("the client is there");
                        tokio::task::yield_now().await;
                    }
                    return answer(response, "ok").await;
                }
                _ => head(200, &length),
            };
            response.send_response(last, true).expect("the client is there");
        })
        .await;
        let client = client();
        for (method, path, status) in [
            (Method::HEAD, "/", 200),
            (Method::GET, "/204", 204),
            (Method::GET, "/304", 304),
            (Method::HEAD, "/304", 304),
        ] {
            let response = send(&client, request(method, &server.url(path))).await;
            assert_eq!(response.exchange.error, None, "{path}");
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(
                (response.exchange.status, response.body.len()),
                (Some(status), 0),
                "{path}"
            );
        }
        let early = get(&client, &server.url("/early")).await;
        assert_ok(&early);
        assert_eq!((&early.body[..], early.headers.contains("link")), (&b"ok"[..], false));
    });
}

#[test]
fn connections_are_kept_as_far_as_they_may_be() {
    run(async || {
        let quick = async |_, response| answer(response, "ok").await;
        let server = Server::start(quick).await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        client.close_idle();
        tokio::time::sleep(20 * MS).await;
        assert_eq!((server.connections.get(), server.ended.get()), (1, 1));
        assert_ok(&get(&client, &server.url("/")).await);
        assert_eq!(server.connections.get(), 2);
        drop(client);
        tokio::time::sleep(20 * MS).await;
        assert_eq!(server.ended.get(), 2);

        let server = Server::start(quick).await;
        let client = client_with(HttpPlan { no_connection_reuse: true, ..plan(Http2::Always) });
        let url = server.url("/");
        for _ in 0..2 {
            join_all((0..3).map(|_| get(&client, &url))).await.iter().for_each(assert_ok);
        }
        tokio::time::sleep(20 * MS).await;
        assert_eq!((server.connections.get(), server.ended.get()), (6, 6));
    });
}

#[test]
fn a_connection_that_nobody_uses_makes_room_for_another() {
    run(async || {
        let slow = async |_, response| {
            tokio::time::sleep(30 * MS).await;
            answer(response, "ok").await;
        };
        let (one, other) = (Server::start(slow).await, Server::start(slow).await);
        let client = client_with(HttpPlan { connections_max: 1, ..plan(Http2::Always) });
        let urls = [one.url("/"), one.url("/"), other.url("/"), one.url("/"), other.url("/")];
        let answers = join_all(urls.iter().map(|url| get(&client, url))).await;
        answers.iter().for_each(assert_ok);
        assert_eq!((one.connections.get(), other.connections.get()), (1, 1));
        tokio::time::sleep(20 * MS).await;
        assert_eq!(one.ended.get(), 1);
    });
}

#[test]
fn each_stream_has_its_own_times() {
    run(async || {
        let server = Server::start(async |asked: Asked, mut response: Answer| {
            let path = asked.uri().path().to_owned();
            let wait: u64 = path[1..].parse().expect("milliseconds");
            tokio::time::sleep(MS * wait as u32).await;
            let mut stream = response.send_response(head(200, &[]), false).expect("there");
            stream.send_data("part".into(), false).expect("there");
            tokio::time::sleep(60 * MS).await;
            stream.send_data("rest".into(), true).expect("there");
        })
        .await;
        let client = client();
        let urls = [server.url("/0"), server.url("/120")];
        let answers = join_all(urls.iter().map(|url| get(&client, url))).await;
        for (answer, wait) in answers.iter().zip([0, 120]) {
            assert_ok(answer);
            let timings = answer.exchange.timings;
            let room = 40 * MS;
            assert!(
                timings.waiting >= MS * wait && timings.waiting < MS * wait + room,
                "{timings:?}"
            );
            assert!(
                timings.receiving >= 58 * MS && timings.receiving < 60 * MS + room,
                "{timings:?}"
            );
            assert!(timings.sending < room && timings.blocked < room, "{timings:?}");
        }
    });
}

#[test]
fn redirects_and_codings_are_those_of_http1() {
    run(async || {
        let server = Server::start(async |asked: Asked, mut response: Answer| {
            if asked.uri().path() == "/from" {
                let to = head(302, &[("location", "/to"), ("set-cookie", "seen=1")]);
                response.send_response(to, true).expect("the client is there");
            } else {
                assert_eq!(asked.headers()["cookie"], "seen=1");
                let packed = zstd::encode_all(&b"kingtide"[..], 1).expect("memory");
                let told = head(200, &[("content-encoding", "zstd")]);
                let mut stream = response.send_response(told, false).expect("there");
                stream.send_data(packed.into(), true).expect("there");
            }
        })
        .await;
        let jar = RefCell::new(kingtide::protocol::CookieJar::new());
        let hops = Cell::new(0);
        let asked = request(Method::GET, &server.url("/from"));
        let count = |_: &kingtide::protocol::Exchange| hops.set(hops.get() + 1);
        let response = client().send(asked, Some(&jar), pending(), count).await;
        assert_ok(&response);
        assert_eq!((&response.body[..], hops.get()), (&b"kingtide"[..], 2));
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_file_passes_the_windows_as_it_is_read_and_one_that_got_shorter_resets_its_stream_alone() {
    run(async || {
        let server = Server::start(async |asked: Asked, through: Answer| {
            let body = read(asked).await;
            let sum = body.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            answer(through, format!("{} {sum}", body.len())).await;
        })
        .await;
        let client = client();
        let put = |length: u64, cut: u64| {
            let file = tempfile::tempfile().expect("a file");
            file.set_len(length).expect("a hole");
            let mut upload = Upload::default();
            upload.add_bytes("a");
            upload.add_file(file.try_clone().expect("a copy"), "hole").expect("a length");
            upload.add_bytes("b");
            file.set_len(length - cut).expect("cut");
            let extras = Extras { upload: Some(Rc::new(upload)), ..Extras::default() };
            let url = server.url("/");
            kingtide::protocol::Request {
                extras: Some(Rc::new(extras)),
                ..request(Method::PUT, &url)
            }
        };
        for length in [0, 100, 5 << 20] {
            let response = send(&client, put(length, 0)).await;
            assert_ok(&response);
            assert_eq!(response.body, format!("{} 195", length + 2));
        }
        let response = send(&client, put(1 << 20, 1)).await;
        assert_eq!(failure(&response), (ErrorKind::Other, 1000));
        assert_ok(&send(&client, put(0, 0)).await);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_challenge_is_answered_on_the_same_connection() {
    run(async || {
        let server = Server::start(async |asked: Asked, mut refusal: Answer| {
            let proof = asked.headers().get("authorization").map(HeaderValue::as_bytes);
            if proof.is_some_and(|proof| proof.starts_with(b"Digest username=\"ada\", ")) {
                let body = read(asked).await;
                answer(refusal, body).await;
            } else {
                let challenge =
                    [("www-authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")];
                refusal.send_response(head(401, &challenge), true).expect("the client is there");
            }
        })
        .await;
        let client = client();
        let ada = Credentials { user: "ada".to_owned(), password: "secret".to_owned() };
        let extras = Extras { auth: Some(Auth::Digest(ada)), ..Extras::default() };
        let proved = kingtide::protocol::Request {
            extras: Some(Rc::new(extras)),
            ..post(&server.url("/"), "body")
        };
        for wanted in [&[401, 200][..], &[200]] {
            let mut statuses = Vec::new();
            let see = |hop: &kingtide::protocol::Exchange| {
                statuses.push(hop.status.expect("an answer").as_u16());
            };
            let response = client.send(proved.clone(), None, pending(), see).await;
            assert_ok(&response);
            assert_eq!(response.body, "body");
            assert_eq!(statuses, wanted);
        }
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_tunnel_is_shared_and_a_proxy_that_forwards_is_no_way() {
    run(async || {
        let proxy = ProxyServer::start(Speaks::Http).await;
        let authority = Authority::new();
        let server = Server::listen(
            Some(offering(&authority, &["h2"])),
            async |_: Asked, through: Answer| answer(through, "ok").await,
        )
        .await;
        let options = serde_json::json!({ "proxy": proxy.url("http"), "http2": "always" });
        let options = Options::from_json(options).expect("options");
        let plan = resolve(&options, &Facts::default()).expect("a plan").http;
        let client = trusting(&authority, plan);
        let url = server.url("/");
        for response in join_all((0..3).map(|_| get(&client, &url))).await {
            assert_ok(&response);
        }
        assert_eq!((proxy.asked.borrow().len(), server.connections.get()), (1, 1));
        let plain = get(&client, "http://127.0.0.1:9/").await;
        assert_eq!(failure(&plain), (ErrorKind::Http2, 1600));
        assert_eq!(proxy.asked.borrow().len(), 1);
    });
}
