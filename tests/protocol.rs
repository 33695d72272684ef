//! The HTTP client against servers on the loopback, most of which misbehave.

#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "support/loopback.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod loopback;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use kingtide::plan::{Facts, HttpPlan, Options, resolve};
use kingtide::protocol::{
    CookieJar, Destination, ErrorKind, Headers, HttpClient, Network, Request, Response,
    ResponseKind,
};
use url::Url;

use crate::certificates::Authority;
use crate::loopback::{Peer, Server};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MS: Duration = Duration::from_millis(1);
/// "kingtide" five times over, as brotli 1.1.0 packs it.
const BROTLI: &[u8] = &[
    0x1b, 0x27, 0x00, 0xf8, 0x8d, 0x94, 0xa9, 0xe3, 0x5b, 0x92, 0xad, 0xb9, 0x75, 0xd9, 0x59, 0x1a,
    0x9d, 0xe8, 0x27, 0x1c, 0xa0, 0xda, 0x03,
];

/// Runs a test as a worker would, and never longer than 20 s.
fn run(test: impl AsyncFnOnce()) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let limited = async { tokio::time::timeout(Duration::from_secs(20), test()).await };
    local.block_on(&runtime, limited).expect("the test hangs");
}

fn plan() -> HttpPlan {
    let plan = resolve(&Options::default(), &Facts::default()).expect("nothing is set");
    HttpPlan {
        user_agent: "kingtide".to_owned(),
        timeout: Duration::from_secs(10),
        body_bytes_max: 1 << 20,
        connections_max: 10,
        ..plan.http
    }
}

fn client_with(plan: HttpPlan) -> HttpClient {
    HttpClient::new(Network::new(&plan).expect("network"), Rc::new(plan))
}

fn client() -> HttpClient {
    client_with(plan())
}

fn trusting(authority: &Authority, plan: HttpPlan) -> HttpClient {
    let network = Network::with_roots(&plan, vec![authority.der.clone()]).expect("network");
    HttpClient::new(network, Rc::new(plan))
}

fn request(method: Method, url: &str) -> Request {
    Request {
        method,
        url: Rc::new(Destination::new(Url::parse(url).expect("url"))),
        headers: Headers::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        redirects: 10,
        response: ResponseKind::Keep,
        extras: None,
    }
}

async fn send(client: &HttpClient, request: Request) -> Response {
    client.send(request, None, pending(), |_| {}).await
}

async fn get(client: &HttpClient, url: &str) -> Response {
    send(client, request(Method::GET, url)).await
}

#[track_caller]
fn kind(response: &Response) -> ErrorKind {
    response.exchange.error.as_ref().expect("an error").kind
}

#[track_caller]
fn assert_ok(response: &Response) {
    assert_eq!(response.exchange.error, None);
    assert_eq!(response.exchange.status.expect("status"), 200);
}

/// Returns what a GET meets at a server that reads one request and then does this.
async fn at(handler: impl AsyncFn(Peer) + 'static) -> Response {
    let server = Server::start(async move |mut peer: Peer| {
        peer.request().await;
        handler(peer).await;
    })
    .await;
    get(&client(), &server.url("/")).await
}

/// Returns what a GET meets at a server that writes this and then closes.
async fn at_text(answer: impl Into<Vec<u8>>) -> Response {
    let answer: Rc<[u8]> = answer.into().into();
    at(async move |mut peer: Peer| {
        peer.write(&answer).await;
        peer.half_close().await;
    })
    .await
}

fn packed(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let fast = flate2::Compression::fast();
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        "raw" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        _ => {
            let mut all = Vec::new();
            zstd::stream::copy_encode(bytes, &mut all, 1).expect("memory");
            all
        }
    }
}

fn encoded(codings: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\nContent-Length: {length}\r\n");
    [head.as_bytes(), b"\r\n", body].concat()
}

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
fn a_longer_body_than_announced_is_cut_there_and_its_connection_not_used_again() {
    run(async || {
        let server =
            Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokGARBAGE").await;
        let client = client();
        for _ in 0..2 {
            let response = get(&client, &server.url("/")).await;
            assert_ok(&response);
            assert_eq!(response.body, "ok");
        }
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn bodies_are_framed_in_every_way_that_http_has() {
    run(async || {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
        let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                     HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let old = "HTTP/1.0 200 OK\r\n\r\nhello";
        let to_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello";
        for answer in [chunked, early, old, to_the_end] {
            let response = at_text(answer).await;
            assert_ok(&response);
            assert_eq!(response.body, "hello", "{answer:?}");
        }
        for answer in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ] {
            let response = at_text(answer).await;
            assert_eq!((response.exchange.error, response.body.len()), (None, 0));
        }
        let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n").await;
        let client = client();
        for _ in 0..2 {
            assert_ok(&send(&client, request(Method::HEAD, &server.url("/"))).await);
        }
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn codings_are_undone_and_broken_or_huge_ones_are_errors() {
    run(async || {
        let text = "kingtide".repeat(5).into_bytes();
        let both = packed("gzip", &packed("zlib", &text));
        for (codings, body) in [
            ("gzip", packed("gzip", &text)),
            ("deflate", packed("zlib", &text)),
            ("deflate", packed("raw", &text)),
            ("zstd", packed("zstd", &text)),
            ("br", BROTLI.to_vec()),
            ("deflate, gzip", both),
        ] {
            let response = at_text(encoded(codings, &body)).await;
            assert_ok(&response);
            assert_eq!(response.body, text, "{codings}");
        }
        let broken = at_text(encoded("gzip", b"no gzip at all")).await;
        assert_eq!((kind(&broken), kind(&broken).code()), (ErrorKind::Decompression, 1701));
        assert_eq!(broken.exchange.status.expect("status"), 200);
        let bomb = at_text(encoded("gzip", &packed("gzip", &vec![0; 3 << 20]))).await;
        assert_eq!(kind(&bomb), ErrorKind::BodyTooLarge);
        assert!(bomb.body.is_empty());
    });
}

#[test]
fn plain_bodies_have_the_same_limit_announced_or_not() {
    run(async || {
        let size = (1 << 20) + 1;
        let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        assert_eq!(kind(&at_text(announced).await), ErrorKind::BodyTooLarge);
        let unannounced = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; size]].concat();
        assert_eq!(kind(&at_text(unannounced).await), ErrorKind::BodyTooLarge);
    });
}

#[test]
fn large_bodies_pass_both_ways_on_a_kept_connection() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while let Some(seen) = peer.request().await {
                let length = seen.body.len();
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
                peer.write(&seen.body).await;
            }
        })
        .await;
        let client = client();
        let body: Bytes = (0..700_000_u32).map(|n| n as u8).collect();
        for _ in 0..3 {
            let mut put = request(Method::PUT, &server.url("/"));
            put.body = body.clone();
            let response = send(&client, put).await;
            assert_ok(&response);
            assert!(response.body == body);
        }
        assert_eq!(server.connections.get(), 1);
        let (sent, received) = client.take_bytes();
        assert!(sent > 2_100_000 && received > 2_100_000);
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
fn connections_are_kept_unless_either_side_says_otherwise() {
    run(async || {
        let server = Server::answering(OK).await;
        let kept = client();
        for _ in 0..5 {
            let response = get(&kept, &server.url("/")).await;
            assert_ok(&response);
        }
        assert_eq!(server.connections.get(), 1);
        let again = get(&kept, &server.url("/")).await.exchange.timings;
        assert_eq!((again.connecting, again.looking_up, again.blocked), Default::default());
        kept.close_idle();
        get(&kept, &server.url("/")).await;
        assert_eq!(server.connections.get(), 2);

        let never = client_with(HttpPlan { no_connection_reuse: true, ..plan() });
        for _ in 0..3 {
            assert_ok(&get(&never, &server.url("/")).await);
        }
        assert_eq!(server.connections.get(), 5);
        let last = server.seen.borrow().last().cloned().expect("request");
        assert_eq!(last.header("connection"), Some("close"));

        let server = Server::answering(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
        for _ in 0..3 {
            assert_ok(&get(&kept, &server.url("/")).await);
        }
        assert_eq!(server.connections.get(), 3);
    });
}

#[test]
fn a_kept_connection_that_the_server_closed_is_replaced() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
        })
        .await;
        let client = client();
        for method in [Method::GET, Method::POST, Method::POST] {
            let response = send(&client, request(method, &server.url("/"))).await;
            assert_ok(&response);
            // The worker sees the end of the connection while the VU thinks.
            tokio::time::sleep(5 * MS).await;
        }
        assert_eq!(server.connections.get(), 3);
        assert_eq!(server.seen.borrow().len(), 3);
    });
}

#[test]
fn only_what_may_be_repeated_is_sent_again_when_a_kept_connection_dies_under_it() {
    run(async || {
        // The first connection answers once and drops the second request unanswered.
        let server = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
            if peer.number > 0 {
                peer.hold().await;
            } else {
                peer.request().await;
            }
        })
        .await;
        let other = client();
        assert_ok(&get(&other, &server.url("/first")).await);
        let mut hops = 0;
        let again = request(Method::GET, &server.url("/again"));
        assert_ok(&other.send(again, None, pending(), |_| hops += 1).await);
        assert_eq!((hops, server.connections.get()), (1, 2));
        let came_on: Vec<usize> = server.seen.borrow().iter().map(|s| s.connection).collect();
        assert_eq!(came_on, [0, 0, 1]);
    });
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
            peer.request().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        let post = send(&client, request(Method::POST, &server.url("/"))).await;
        assert_eq!(kind(&post), ErrorKind::ClosedEarly);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn parallel_requests_have_connections_of_their_own_up_to_the_limit() {
    run(async || {
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (busy, peak) = (Rc::clone(&now), Rc::clone(&most));
        let server = Server::start(async move |mut peer: Peer| {
            while peer.request().await.is_some() {
                busy.set(busy.get() + 1);
                peak.set(peak.get().max(busy.get()));
                tokio::time::sleep(30 * MS).await;
                busy.set(busy.get() - 1);
                peer.write(OK).await;
            }
        })
        .await;
        let client = client_with(HttpPlan { connections_max: 2, ..plan() });
        let url = server.url("/");
        let all = (0..4).map(|_| get(&client, &url));
        let answers = futures_util::future::join_all(all).await;
        answers.iter().for_each(assert_ok);
        assert_eq!((most.get(), server.connections.get()), (2, 2));
        let waited = answers.iter().filter(|r| r.exchange.timings.blocked > 20 * MS).count();
        assert_eq!(waited, 2);
    });
}

#[test]
fn kept_connections_to_many_servers_stay_within_the_limit() {
    run(async || {
        let client = client_with(HttpPlan { connections_max: 2, ..plan() });
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(Server::answering(OK).await);
        }
        for server in servers.iter().chain(servers.iter().rev()) {
            assert_ok(&get(&client, &server.url("/")).await);
        }
        // The third pushed the first one out; the second was still there.
        let opened: Vec<usize> = servers.iter().map(|s| s.connections.get()).collect();
        assert_eq!(opened, [2, 1, 1]);
    });
}

#[test]
fn a_failed_exchange_leaves_the_other_connections_alone() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while let Some(seen) = peer.request().await {
                if seen.target() == "/never" {
                    return peer.hold().await;
                }
                peer.write(OK).await;
            }
        })
        .await;
        let client = client();
        let mut never = request(Method::GET, &server.url("/never"));
        never.timeout = 50 * MS;
        let (good, bad) = tokio::join!(
            async {
                assert_ok(&get(&client, &server.url("/")).await);
                tokio::time::sleep(80 * MS).await;
                get(&client, &server.url("/")).await
            },
            send(&client, never),
        );
        assert_ok(&good);
        assert_eq!(kind(&bad), ErrorKind::Timeout);
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn a_timeout_shows_where_the_time_went() {
    run(async || {
        let limited = async |server: &Server| {
            let mut slow = request(Method::GET, &server.url("/"));
            slow.timeout = 60 * MS;
            let response = send(&client(), slow).await;
            let error = response.exchange.error.clone().expect("error");
            assert_eq!((error.kind.code(), error.message.as_str()), (1050, "request timeout"));
            response.exchange
        };
        let never = Server::start(Peer::hold).await;
        let exchange = limited(&never).await;
        assert!(exchange.timings.waiting > 50 * MS, "{:?}", exchange.timings);
        assert_eq!((exchange.status, exchange.timings.receiving), (None, Duration::ZERO));

        let slow_head = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write("HTTP/1.1 2").await;
            peer.hold().await;
        })
        .await;
        let exchange = limited(&slow_head).await;
        assert!(exchange.timings.receiving > 50 * MS, "{:?}", exchange.timings);
        assert_eq!(exchange.status, None);

        let slow_body = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel").await;
            peer.hold().await;
        })
        .await;
        let exchange = limited(&slow_body).await;
        assert!(exchange.timings.receiving > 50 * MS, "{:?}", exchange.timings);
        assert_eq!(exchange.status.expect("status"), 200);
    });
}

#[test]
fn a_request_that_nobody_reads_times_out_while_sending() {
    run(async || {
        let server = Server::start(async |peer: Peer| {
            let _unread = peer;
            pending::<()>().await;
        })
        .await;
        let mut large = request(Method::POST, &server.url("/"));
        large.body = vec![0; 32 << 20].into();
        large.timeout = 300 * MS;
        let response = send(&client(), large).await;
        assert_eq!(kind(&response), ErrorKind::Timeout);
        let timings = response.exchange.timings;
        assert!(timings.sending > 150 * MS && timings.waiting == Duration::ZERO, "{timings:?}");
    });
}

#[test]
fn a_connect_that_is_never_answered_shows_in_connecting_and_blocked() {
    run(async || {
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let listener = socket.listen(1).expect("listen");
        let address = listener.local_addr().expect("address");
        let mut kept = Vec::new();
        let short = 100 * MS;
        while let Ok(connected) =
            tokio::time::timeout(short, tokio::net::TcpStream::connect(address)).await
        {
            kept.push(connected.expect("backlog"));
            assert!(kept.len() < 64, "the backlog never fills");
        }
        let mut lost = request(Method::GET, &format!("http://{address}/"));
        lost.timeout = short;
        let response = send(&client(), lost).await;
        assert_eq!(kind(&response), ErrorKind::Timeout);
        let timings = response.exchange.timings;
        assert!(timings.connecting > 80 * MS && timings.blocked >= timings.connecting);
        assert_eq!(timings.duration(), Duration::ZERO);
    });
}

#[test]
fn timings_are_those_of_the_server() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while peer.request().await.is_some() {
                tokio::time::sleep(60 * MS).await;
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
                tokio::time::sleep(40 * MS).await;
                peer.write("k").await;
            }
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_ok(&response);
        let timings = response.exchange.timings;
        let near = |got: Duration, want: u32| got >= (want - 2) * MS && got < (want + 200) * MS;
        assert!(near(timings.waiting, 60), "{timings:?}");
        assert!(near(timings.receiving, 40), "{timings:?}");
        assert!(timings.connecting > Duration::ZERO && timings.blocked >= timings.connecting);
        assert!(timings.sending > Duration::ZERO && timings.sending < 50 * MS);
        assert_eq!(timings.tls_handshaking, Duration::ZERO);
    });
}

#[test]
fn a_cut_ends_the_exchange_at_once_with_the_time_that_it_had() {
    run(async || {
        let server = Server::start(Peer::hold).await;
        let mut observed = None;
        let asked = request(Method::GET, &server.url("/"));
        let client = client();
        let cut = tokio::time::sleep(50 * MS);
        let response = client.send(asked, None, cut, |e| observed = Some(e.timings)).await;
        assert_eq!(kind(&response), ErrorKind::Cut);
        assert_eq!(observed, Some(response.exchange.timings));
        let waiting = response.exchange.timings.waiting;
        assert!(waiting > 40 * MS && waiting < 5000 * MS);
    });
}

#[test]
fn what_is_cut_before_it_begins_connects_nowhere_and_shows_no_password() {
    run(async || {
        let server = Server::answering(OK).await;
        let url = format!("http://user:secret@{}/", server.address);
        let asked = request(Method::GET, &url);
        let response = client().send(asked, None, std::future::ready(()), |_| {}).await;
        assert_eq!(kind(&response), ErrorKind::Cut);
        assert_eq!(response.exchange.url.as_str(), server.url("/"));
        assert_eq!(server.connections.get(), 0);
    });
}

#[test]
fn a_discarded_body_is_read_and_its_connection_kept() {
    run(async || {
        let size = 3 << 20;
        let server = Server::start(async move |mut peer: Peer| {
            while peer.request().await.is_some() {
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")).await;
                peer.write(vec![b'x'; size]).await;
            }
        })
        .await;
        let client = client();
        for _ in 0..2 {
            let mut discarded = request(Method::GET, &server.url("/"));
            discarded.response = ResponseKind::Discard;
            let response = send(&client, discarded).await;
            assert_ok(&response);
            assert!(response.body.is_empty());
        }
        assert_eq!(server.connections.get(), 1);
        assert!(client.take_bytes().1 > 2 * size as u64);
    });
}

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

#[test]
fn hosts_of_the_plan_go_before_dns_and_keep_the_name() {
    run(async || {
        let server = Server::answering(OK).await;
        let mut hosts = indexmap::IndexMap::new();
        hosts.insert("*.example.test".to_owned(), server.address);
        hosts.insert("exact.test".to_owned(), ([127, 0, 0, 1], 0).into());
        let client = client_with(HttpPlan { hosts, ..plan() });
        let response = get(&client, "http://api.example.test/").await;
        assert_ok(&response);
        assert_eq!(response.exchange.timings.looking_up, Duration::ZERO);
        assert_eq!(server.seen.borrow()[0].header("host"), Some("api.example.test"));
        let port = server.address.port();
        assert_ok(&get(&client, &format!("http://exact.test:{port}/")).await);
    });
}

#[test]
fn ipv6_addresses_are_spoken_to() {
    run(async || {
        let ip = std::net::Ipv6Addr::LOCALHOST.into();
        let server = Server::listen(ip, None, async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_ok(&response);
        let host = format!("[::1]:{}", server.address.port());
        assert_eq!(server.seen.borrow()[0].header("host"), Some(host.as_str()));
    });
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

#[test]
fn a_url_that_is_not_http_is_invalid() {
    run(async || {
        let mut hops = 0;
        let asked = request(Method::GET, "ftp://example.org/");
        let response = client().send(asked, None, pending(), |_| hops += 1).await;
        assert_eq!((kind(&response).code(), hops), (1020, 1));
    });
}
