//! The WebSocket client against servers on the loopback, most of which misbehave.

#[path = "support/certificates.rs"]
#[allow(dead_code, reason = "shared with the tests of HTTP")]
mod certificates;
#[path = "support/loopback.rs"]
#[allow(dead_code, reason = "shared with the tests of HTTP")]
mod loopback;

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use kingtide::clock;
use kingtide::plan::{self, Facts, HttpPlan, Options};
use kingtide::protocol::ws::{
    self, Answered, Arrival, Deflate, Ended, Handshake, Kind, Limits, Sent, Socket, Watcher,
};
use kingtide::protocol::{
    CookieAttributes, CookieJar, Destination, ErrorKind, Headers, HttpClient, Network, Via,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use url::Url;

use crate::certificates::Authority;
use crate::loopback::{Peer, Server};

const MS: Duration = Duration::from_millis(1);
const LIMITS: Limits = Limits { message_bytes: 1 << 20, queued_messages: 100 };

/// Runs a test as a worker would, and never longer than 20 s. In a task of its own: what is not woken
/// is not polled along with others by chance.
fn run(test: impl AsyncFnOnce() + 'static) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let limited = async {
        let task = tokio::task::spawn_local(async move { test().await });
        tokio::time::timeout(Duration::from_secs(20), task).await
    };
    if let Err(error) = local.block_on(&runtime, limited).expect("the test hangs") {
        std::panic::resume_unwind(error.into_panic());
    }
}

fn plan() -> HttpPlan {
    plan::resolve(&Options::default(), &Facts::default()).expect("nothing is set").http
}

fn client() -> HttpClient {
    let plan = plan();
    HttpClient::new(Network::new(&plan).expect("network"), Rc::new(plan))
}

fn handshake(url: &str) -> Handshake {
    Handshake {
        url: Rc::new(Destination::new(Url::parse(url).expect("url"))),
        headers: Headers::new(),
        subprotocols: Vec::new(),
        compression: None,
        timeout: Duration::from_secs(10),
        auth: None,
        via: Via::default(),
    }
}

/// Notes what a watcher is told.
#[derive(Clone, Default)]
struct Notes {
    received: Rc<Cell<u64>>,
    ended: Rc<RefCell<Vec<(Ended, Duration)>>>,
}

impl Watcher for Notes {
    fn received(&self, messages: u64) {
        self.received.set(self.received.get() + messages);
    }

    fn ended(&self, ended: &Ended, open_for: Duration) {
        self.ended.borrow_mut().push((ended.clone(), open_for));
    }
}

/// Opens what came of a handshake.
#[track_caller]
fn opened(answered: Answered, limits: Limits) -> (Socket, Notes) {
    let error = &answered.response.exchange.error;
    let opening = answered.opening.unwrap_or_else(|| panic!("no socket: {error:?}"));
    let notes = Notes::default();
    let (socket, driver) = opening.start(limits, Box::new(notes.clone()));
    tokio::task::spawn_local(driver);
    (socket, notes)
}

/// Connects to a server that consents and then does this.
async fn connected(
    limits: Limits,
    handler: impl AsyncFn(Peer) + 'static,
) -> (Socket, Notes, HttpClient) {
    let server = Server::start(async move |mut peer: Peer| {
        consent(&mut peer, "").await;
        handler(peer).await;
    })
    .await;
    let client = client();
    let answered = ws::connect(&client, handshake(&server.url("/")), None, pending()).await;
    let (socket, notes) = opened(answered, limits);
    (socket, notes, client)
}

/// Reads a handshake and consents, with more lines in the head and more behind it.
async fn consent(peer: &mut Peer, more: &str) {
    let request = peer.request().await.expect("a handshake");
    let accept = derive_accept_key(request.header("sec-websocket-key").expect("key").as_bytes());
    peer.write(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    ))
    .await;
}

/// A frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ ..=125 => frame.push(short as u8),
        medium => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(medium).expect("short").to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Reads a client's frame; nothing if the client closed.
async fn read_frame(peer: &mut Peer) -> Option<(u8, Vec<u8>)> {
    let head = peer.read(2).await?;
    assert_eq!(head[1] & 0x80, 0x80, "a client's frames are masked");
    let number = |bytes: Vec<u8>| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let length = match head[1] & 0x7f {
        126 => number(peer.read(2).await?),
        127 => number(peer.read(8).await?),
        short => usize::from(short),
    };
    let key = peer.read(4).await?;
    let payload = peer.read(length).await?;
    Some((head[0], payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()))
}

async fn text(socket: &Socket) -> String {
    let Arrival::Message(_) = socket.arrival(0).await else { panic!("{:?}", socket.ended()) };
    let message = socket.take().expect("it has arrived");
    assert_eq!(message.kind, Kind::Text);
    String::from_utf8(message.data.to_vec()).expect("text")
}

#[track_caller]
fn error_of(socket: &Socket) -> ErrorKind {
    let ended = socket.ended().expect("it is over");
    assert_eq!(ended.code, ws::ABNORMAL);
    ended.error.expect("an error").kind
}

/// Returns what a handshake meets at a server that answers this, with `ACCEPT` replaced.
async fn answer(offer: Handshake, answer: &'static str) -> Answered {
    let server = Server::start(async move |mut peer: Peer| {
        let request = peer.request().await.expect("a handshake");
        let key = request.header("sec-websocket-key").expect("key").as_bytes();
        peer.write(answer.replace("ACCEPT", &derive_accept_key(key))).await;
        peer.half_close().await;
    })
    .await;
    let url = handshake(&server.url("/")).url;
    ws::connect(&client(), Handshake { url, ..offer }, None, pending()).await
}

const OK: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\
                  Connection: keep-alive, upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n";

#[test]
fn only_consent_to_what_was_asked_opens_a_socket() {
    run(async || {
        let ask = || Handshake {
            subprotocols: vec!["a".to_owned(), "b".to_owned()],
            compression: Some(Deflate::default()),
            ..handshake("http://127.0.0.1/")
        };
        for (lines, protocol, extensions) in [
            ("", "", ""),
            ("Sec-WebSocket-Protocol: b\r\n", "b", ""),
            ("sec-websocket-extensions: permessage-deflate\r\n", "", "permessage-deflate"),
        ] {
            let answer = answer(ask(), Box::leak(format!("{OK}{lines}\r\n").into())).await;
            assert_eq!(answer.response.exchange.error, None, "{lines}");
            let opening = answer.opening.expect("consent");
            assert_eq!((&*opening.protocol, &*opening.extensions), (protocol, extensions));
        }
        for (what, head) in [
            ("status 200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_owned()),
            ("status 403", "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".to_owned()),
            ("status 302", "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nno".into()),
            ("upgrade", OK.replace("WebSocket", "h2c") + "\r\n"),
            ("upgrade", OK.replace("Upgrade: WebSocket\r\n", "") + "\r\n"),
            ("connection", OK.replace("upgrade", "x-upgrade") + "\r\n"),
            ("accept", OK.replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") + "\r\n"),
            ("accept", OK.replace("Sec-WebSocket-Accept", "X") + "\r\n"),
            ("subprotocol", format!("{OK}Sec-WebSocket-Protocol: c\r\n\r\n")),
            ("subprotocol", format!("{OK}Sec-WebSocket-Protocol: a, b\r\n\r\n")),
            ("subprotocol", format!("{OK}Sec-WebSocket-Protocol:\r\n\r\n")),
            ("extensions", format!("{OK}Sec-WebSocket-Extensions: x-other\r\n\r\n")),
            ("extensions", format!("{OK}Sec-WebSocket-Extensions: permessage-deflate; x\r\n\r\n")),
        ] {
            let answered = answer(ask(), Box::leak(head.into())).await;
            assert!(answered.opening.is_none(), "{what}");
            let error = answered.response.exchange.error.expect(what);
            assert_eq!(error.kind, ErrorKind::BadHandshake, "{what}");
            assert_eq!(error.message, format!("bad websocket handshake: {what}"));
            let is_page = what.starts_with("status");
            assert_eq!(&answered.response.body[..], if is_page { &b"no"[..] } else { b"" });
        }
        let plain = Handshake { subprotocols: Vec::new(), compression: None, ..ask() };
        let unasked = Box::leak(format!("{OK}Sec-WebSocket-Protocol: a\r\n\r\n").into());
        assert!(answer(plain, unasked).await.opening.is_none());
    });
}

#[test]
fn a_handshake_that_is_not_answered_fails_as_a_request_does() {
    run(async || {
        for (answered, expected) in [
            ("", ErrorKind::ClosedEarly),
            ("HTTP/1.1 101 Swi", ErrorKind::ClosedEarly),
            ("\0\x01\x02garbage\r\n\r\n", ErrorKind::InvalidAnswer),
            ("SSH-2.0-OpenSSH_9.2p1\r\n", ErrorKind::InvalidAnswer),
        ] {
            let answered = answer(handshake("http://127.0.0.1/"), answered).await;
            assert_eq!(answered.response.exchange.error.expect("an error").kind, expected);
        }
        // Never answered: the time that it had is its own.
        let server = Server::start(async |peer: Peer| peer.hold().await).await;
        let slow = Handshake { timeout: 60 * MS, ..handshake(&server.url("/")) };
        let answered = ws::connect(&client(), slow, None, pending()).await;
        let exchange = answered.response.exchange;
        assert_eq!(exchange.error.expect("an error").kind, ErrorKind::Timeout);
        assert!(exchange.timings.total() >= 60 * MS && exchange.timings.waiting >= 40 * MS);
        // Cut off from outside.
        let cut = ws::connect(&client(), handshake(&server.url("/")), None, ready(())).await;
        assert_eq!(cut.response.exchange.error.expect("an error").kind, ErrorKind::Cut);
        // Nobody there at all.
        let gone = handshake("http://127.0.0.1:1/");
        let answered = ws::connect(&client(), gone, None, pending()).await;
        let error = answered.response.exchange.error.expect("an error");
        assert_eq!(error.kind, ErrorKind::ConnectionRefused);
    });
}

#[test]
fn cookies_and_headers_go_with_a_handshake_and_its_cookies_are_kept() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            consent(&mut peer, "Set-Cookie: new=2; Path=/\r\n").await;
            peer.hold().await;
        })
        .await;
        let jar = RefCell::new(CookieJar::new());
        let url = server.url("/a?b=c");
        let place = Url::parse(&url).expect("url");
        let set = jar.borrow_mut().set(&place, "old", "1", &CookieAttributes::default());
        set.expect("a cookie");
        let mut ask = handshake(&url);
        ask.headers.append("Origin", b"https://example.org").expect("a header");
        ask.subprotocols = vec!["a".to_owned(), "b".to_owned()];
        let answered = ws::connect(&client(), ask, Some(&jar), pending()).await;
        assert!(answered.opening.is_some());
        assert_eq!(jar.borrow().header_for(&place).as_deref(), Some("old=1; new=2"));
        let seen = server.seen.borrow()[0].clone();
        assert_eq!(seen.line, "GET /a?b=c HTTP/1.1");
        for (name, value) in [
            ("cookie", "old=1"),
            ("origin", "https://example.org"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "a, b"),
        ] {
            assert_eq!(seen.header(name), Some(value), "{name}");
        }
        assert_eq!(seen.header("sec-websocket-extensions"), None);
    });
}

#[test]
fn what_comes_with_the_handshake_and_in_pieces_is_read() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            let request = peer.request().await.expect("a handshake");
            let key = request.header("sec-websocket-key").expect("key").as_bytes();
            let head = format!("{}\r\n", OK.replace("ACCEPT", &derive_accept_key(key)));
            peer.write([head.as_bytes(), &frame(0x81, b"early"), &[0x01, 3, b'h']].concat()).await;
            for byte in [&b"al"[..], &[0x80, 1], b"f"] {
                tokio::time::sleep(5 * MS).await;
                peer.write(byte).await;
            }
            peer.hold().await;
        })
        .await;
        let answered = ws::connect(&client(), handshake(&server.url("/")), None, pending()).await;
        let (socket, notes) = opened(answered, LIMITS);
        assert_eq!(text(&socket).await, "early");
        assert_eq!(text(&socket).await, "half");
        assert_eq!(notes.received.get(), 2);
    });
}

#[test]
fn a_server_that_dies_ends_the_session_with_what_it_was() {
    run(async || {
        let (socket, notes, _client) = connected(LIMITS, async |mut peer: Peer| {
            peer.write([&frame(0x81, b"whole")[..], &[0x81, 100, b'h']].concat()).await;
        })
        .await;
        assert_eq!(text(&socket).await, "whole");
        assert_eq!(socket.arrival(0).await, Arrival::Ended);
        assert_eq!(error_of(&socket), ErrorKind::ClosedAbnormally);
        assert_eq!(socket.send(Kind::Text, b"x"), Sent::Closed);
        assert_eq!(notes.ended.borrow().len(), 1, "told once");
        let told = notes.ended.borrow()[0].0.error.clone();
        assert_eq!(told.map(|error| error.kind), Some(error_of(&socket)));

        let (socket, ..) = connected(LIMITS, async |mut peer: Peer| {
            peer.write([0x81, 100, b'h']).await;
            peer.reset().await;
        })
        .await;
        assert_eq!(socket.arrival(0).await, Arrival::Ended);
        assert_eq!(error_of(&socket), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_server_that_breaks_the_rules_is_told_so() {
    run(async || {
        for (bytes, code, kind) in [
            (b"\x81\x85abcdefghi".to_vec(), 1002, ErrorKind::InvalidFrame),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 1002, ErrorKind::InvalidFrame),
            (frame(0x81, b"\xff"), 1007, ErrorKind::InvalidFrame),
            (vec![0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], 1009, ErrorKind::MessageTooLarge),
        ] {
            let told: Rc<Cell<Option<u16>>> = Rc::default();
            let hears = Rc::clone(&told);
            let (socket, ..) = connected(LIMITS, async move |mut peer: Peer| {
                peer.write(&bytes).await;
                if let Some((0x88, payload)) = read_frame(&mut peer).await {
                    hears.set(payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
                }
            })
            .await;
            assert_eq!(socket.arrival(0).await, Arrival::Ended);
            assert_eq!(error_of(&socket), kind);
            while told.get().is_none() {
                tokio::time::sleep(MS).await;
            }
            assert_eq!(told.get(), Some(code));
        }
    });
}

#[test]
fn pings_are_answered_while_nobody_waits_and_ours_are_timed() {
    run(async || {
        let pongs: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let hears = Rc::clone(&pongs);
        let (socket, notes, _client) = connected(LIMITS, async move |mut peer: Peer| {
            // One that nobody asked for, and one for a ping that was never sent.
            peer.write([frame(0x8a, b""), frame(0x8a, &[0; 8]), frame(0x89, b"there?")].concat())
                .await;
            while let Some((first, payload)) = read_frame(&mut peer).await {
                match first {
                    0x8a => hears.borrow_mut().push(payload),
                    0x89 => {
                        tokio::time::sleep(20 * MS).await;
                        peer.write(frame(0x8a, &payload)).await;
                    }
                    _ => {}
                }
            }
        })
        .await;
        while pongs.borrow().is_empty() {
            tokio::time::sleep(MS).await;
        }
        assert_eq!(*pongs.borrow(), [b"there?"]);
        let sent = clock::now();
        let (one, two) = (socket.ping().expect("open"), socket.ping().expect("open"));
        // The answer to the first is not one to the second.
        let (first, second) = tokio::join!(socket.pong(one), socket.pong(two));
        let (first, second) = (first.expect("answered"), second.expect("answered"));
        assert!(first - sent >= 20 * MS && second - first >= 10 * MS);
        assert_eq!(notes.received.get(), 0, "control frames are no messages");
    });
}

#[test]
fn closing_waits_for_the_peer_as_long_as_it_may_and_no_longer() {
    run(async || {
        let (socket, notes, _client) = connected(LIMITS, async |mut peer: Peer| {
            peer.write(frame(0x81, b"under way")).await;
            while let Some((first, payload)) = read_frame(&mut peer).await {
                if first == 0x88 {
                    peer.write(frame(0x88, &payload)).await;
                }
            }
        })
        .await;
        socket.close(Some(4000), "done", Duration::from_secs(10));
        assert!(!socket.is_open());
        socket.closed().await;
        let ended = socket.ended().expect("it is over");
        assert_eq!((ended.code, &*ended.reason, ended.error), (4000, "done", None));
        assert_eq!(notes.ended.borrow().len(), 1);

        // One that never answers.
        let (socket, notes, _client) =
            connected(LIMITS, async |peer: Peer| peer.hold().await).await;
        let begun = clock::now();
        socket.close(Some(1000), "", 50 * MS);
        socket.closed().await;
        assert!(clock::now() - begun >= 50 * MS);
        assert_eq!(error_of(&socket), ErrorKind::Timeout);
        assert!(notes.ended.borrow()[0].1 >= 50 * MS);

        // One that floods meanwhile.
        let (socket, ..) = connected(LIMITS, async |mut peer: Peer| {
            for _ in 0..1_000 {
                peer.write(frame(0x81, b"more and more")).await;
            }
            peer.write(frame(0x88, b"\x03\xe8")).await;
            peer.hold().await;
        })
        .await;
        while socket.last_number() < 100 {
            tokio::time::sleep(MS).await;
        }
        socket.close(Some(1000), "", Duration::from_secs(10));
        socket.closed().await;
        assert_eq!(socket.ended().expect("it is over").code, 1000);
    });
}

#[test]
fn leaving_tells_the_watcher_at_once_and_the_peer_politely() {
    run(async || {
        let told: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let hears = Rc::clone(&told);
        let (socket, notes, _client) = connected(LIMITS, async move |mut peer: Peer| {
            peer.write(frame(0x81, b"unread")).await;
            while let Some((first, payload)) = read_frame(&mut peer).await {
                assert_eq!(first, 0x88);
                hears.borrow_mut().push(payload);
            }
        })
        .await;
        socket.leave(1001, 200 * MS);
        assert_eq!(notes.ended.borrow().len(), 1);
        assert_eq!(notes.ended.borrow()[0].0.error, None);
        // Who waits for the end all the same is woken by it.
        socket.closed().await;
        drop(socket);
        while told.borrow().is_empty() {
            tokio::time::sleep(MS).await;
        }
        assert_eq!(*told.borrow(), [b"\x03\xe9"]);
        tokio::time::sleep(250 * MS).await;
        assert_eq!(notes.ended.borrow().len(), 1, "told once");
    });
}

#[test]
fn a_full_queue_stops_the_reading_until_a_message_is_taken() {
    run(async || {
        let written: Rc<Cell<u32>> = Rc::default();
        let writes = Rc::clone(&written);
        let limits = Limits { queued_messages: 10, ..LIMITS };
        let (socket, notes, _client) = connected(limits, async move |mut peer: Peer| {
            let filler = "x".repeat(4_000);
            for number in 0..5_000_u32 {
                peer.write(frame(0x81, format!("{number} {filler}").as_bytes())).await;
                writes.set(number + 1);
            }
            peer.hold().await;
        })
        .await;
        tokio::time::sleep(200 * MS).await;
        let stuck = written.get();
        assert!(stuck < 5_000, "20 MB do not fit into what the system holds");
        assert_eq!(socket.arrival(0).await, Arrival::Message(1));
        assert_eq!(socket.arrival(10).await, Arrival::Full);
        assert_eq!(notes.received.get(), 10, "not one more was read");
        for number in 0..5_000_u32 {
            assert!(text(&socket).await.starts_with(&format!("{number} ")));
        }
        assert_eq!((written.get(), notes.received.get()), (5_000, 5_000));
    });
}

#[test]
fn a_peer_that_does_not_read_makes_the_sender_wait() {
    run(async || {
        let go: Rc<Cell<bool>> = Rc::default();
        let may = Rc::clone(&go);
        let (socket, ..) = connected(LIMITS, async move |mut peer: Peer| {
            while !may.get() {
                tokio::time::sleep(MS).await;
            }
            let mut count = 0_u32;
            while let Some((0x82, payload)) = read_frame(&mut peer).await {
                assert_eq!(payload[..4], count.to_be_bytes());
                count += 1;
                if count.is_multiple_of(100) {
                    peer.write(frame(0x81, count.to_string().as_bytes())).await;
                }
            }
        })
        .await;
        let mut message = vec![7; 16_000];
        let mut sent = 0_u32;
        let mut send = || {
            message[..4].copy_from_slice(&sent.to_be_bytes());
            let came_of_it = socket.send(Kind::Binary, &message);
            sent += u32::from(came_of_it == Sent::Yes);
            (came_of_it, sent)
        };
        while send().0 == Sent::Yes {
            assert!(send().1 < 10_000, "160 MB do not fit into what the system holds");
            tokio::task::yield_now().await;
        }
        let waited = tokio::time::timeout(50 * MS, socket.room()).await;
        assert!(waited.is_err(), "there is no room as long as nobody reads");
        go.set(true);
        socket.room().await;
        let mut total = send().1;
        while !total.is_multiple_of(100) {
            match send() {
                (Sent::Full, _) => socket.room().await,
                (_, sent) => total = sent,
            }
        }
        let last = total.to_string();
        while text(&socket).await != last {}
    });
}

#[test]
fn bytes_on_the_wire_are_counted_to_the_client() {
    run(async || {
        let (socket, _, client) = connected(LIMITS, async |mut peer: Peer| {
            peer.write(frame(0x81, &[b'x'; 1_000])).await;
            read_frame(&mut peer).await;
            peer.write(frame(0x81, b"ok")).await;
            peer.hold().await;
        })
        .await;
        assert_eq!(text(&socket).await.len(), 1_000);
        let (sent, received) = client.take_bytes();
        assert!(sent > 150 && received > 1_004 + 100, "the handshake counts: {sent}, {received}");
        socket.send(Kind::Text, &[b'y'; 200]);
        assert_eq!(text(&socket).await, "ok");
        assert_eq!(client.take_bytes(), (2 + 2 + 4 + 200, 2 + 2));
    });
}

#[test]
fn sockets_over_tls_carry_large_messages_both_ways() {
    run(async || {
        let authority = Authority::new();
        let tls = Some(authority.server("127.0.0.1"));
        let server = Server::listen(Ipv4Addr::LOCALHOST.into(), tls, async |mut peer: Peer| {
            consent(&mut peer, "").await;
            while let Some((first, payload)) = read_frame(&mut peer).await {
                if payload.len() < 60_000 {
                    peer.write(frame(first, &payload)).await;
                    continue;
                }
                // Large ones come back in fragments.
                for (index, part) in payload.chunks(50_000).enumerate() {
                    let opcode = if index == 0 { 2 } else { 0 };
                    peer.write(frame(opcode, part)).await;
                }
                peer.write(frame(0x80, b"")).await;
            }
        })
        .await;
        let plan = plan();
        let network = Network::with_roots(&plan, vec![authority.der.clone()]).expect("network");
        let client = HttpClient::new(network, Rc::new(plan));
        let url = server.url("/").replace("http:", "https:");
        let answered = ws::connect(&client, handshake(&url), None, pending()).await;
        let exchange = &answered.response.exchange;
        assert_eq!(exchange.tls_version, "tls1.3");
        assert!(exchange.timings.tls_handshaking > Duration::ZERO);
        let (socket, _) = opened(answered, LIMITS);
        for size in [0, 1, 125, 126, 5_000, 65_536, 1_000_000] {
            let payload: Vec<u8> = (0..size).map(|at: u32| ((at * 31) >> 3) as u8).collect();
            assert_eq!(socket.send(Kind::Binary, &payload), Sent::Yes);
            let Arrival::Message(_) = socket.arrival(0).await else { panic!("it ended") };
            assert!(socket.take().expect("arrived").data == payload, "{size}");
        }
        socket.close(Some(1000), "", Duration::from_secs(5));
        socket.closed().await;
        assert_eq!(socket.ended().expect("it is over").code, 1000);

        // Without trust there is no socket.
        let untrusting = ws::connect(&self::client(), handshake(&url), None, pending()).await;
        let error = untrusting.response.exchange.error.expect("an error");
        assert_eq!(error.kind, ErrorKind::UnknownAuthority);
    });
}

#[test]
fn a_driver_that_is_dropped_hangs_up() {
    run(async || {
        let gone: Rc<Cell<bool>> = Rc::default();
        let sees = Rc::clone(&gone);
        let server = Server::start(async move |mut peer: Peer| {
            consent(&mut peer, "").await;
            assert_eq!(read_frame(&mut peer).await, None);
            sees.set(true);
        })
        .await;
        let answered = ws::connect(&client(), handshake(&server.url("/")), None, pending()).await;
        let opening = answered.opening.expect("consent");
        let (socket, driver) = opening.start(LIMITS, Box::new(Notes::default()));
        drop((socket, driver));
        while !gone.get() {
            tokio::time::sleep(MS).await;
        }
    });
}
