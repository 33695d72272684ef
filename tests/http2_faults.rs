//! HTTP/2 against servers on the loopback that misbehave frame by frame.
//!
//! docs/http2.md says which test stands for which error code.

#[path = "support/client.rs"]
mod client;
#[path = "support/frames.rs"]
mod frames;
#[path = "support/requests.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod requests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use kingtide::plan::Http2;
use kingtide::protocol::{ErrorKind, HttpClient, Request, Response};

use crate::client::{assert_ok, failure, plan, post};
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Framed, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, PING, Peer, RST_STREAM, SETTINGS, Server, WINDOW_UPDATE, block,
};
use crate::requests::{client as client_with, get, request, run, send};

const MS: Duration = Duration::from_millis(1);
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

fn client() -> HttpClient {
    client_with(plan(Http2::Always))
}

/// Starts a server that greets each client and then does this.
async fn server(handler: impl AsyncFn(Framed, usize) + 'static) -> Server {
    Server::start(async move |peer: Peer| {
        let number = peer.number;
        handler(Framed::greet(peer, &[]).await, number).await;
    })
    .await
}

/// Returns what a GET meets at a server that reads one request and does this with its stream.
async fn at(handler: impl AsyncFn(&mut Framed, u32) + 'static) -> Response {
    let server = server(async move |mut framed, _| {
        let Some(stream) = framed.request().await else { return };
        handler(&mut framed, stream).await;
        framed.hold().await;
    })
    .await;
    get(&client(), &server.url("/")).await
}

fn with_timeout(request: Request, timeout: Duration) -> Request {
    Request { timeout, ..request }
}

#[test]
fn a_reset_stream_has_the_code_of_its_reason_and_the_connection_goes_on() {
    run(async || {
        let server = server(async |mut framed, _| {
            let mut code = 0;
            while let Some(stream) = framed.request().await {
                framed.reset(stream, code).await;
                code += 1;
                code += u32::from(code == REFUSED_STREAM);
            }
        })
        .await;
        let client = client();
        for code in (0..=0xe).filter(|code| *code != REFUSED_STREAM) {
            let offset = if code == 0xe { 0 } else { code as u16 + 1 };
            let response = get(&client, &server.url("/")).await;
            assert_eq!(failure(&response), (ErrorKind::Http2Stream(code), 1630 + offset));
            assert_eq!(response.exchange.status, None);
        }
        assert_eq!(server.connections.get(), 1);
        let message = get(&client, &server.url("/")).await.exchange.error.expect("error").message;
        assert_eq!(message, "http/2 stream reset: unknown code");
    });
}

#[test]
fn a_refused_stream_is_sent_again_whatever_its_method_and_not_for_ever() {
    run(async || {
        let server = server(async |mut framed, _| {
            let mut refusals = 3;
            while let Some(stream) = framed.request().await {
                if refusals > 0 {
                    refusals -= 1;
                    framed.reset(stream, REFUSED_STREAM).await;
                } else {
                    framed.answer(stream, "ok").await;
                }
            }
        })
        .await;
        let response = send(&client(), post(&server.url("/"), "body")).await;
        assert_ok(&response);
        // The pauses are waiting for a place: 10 and 20 ms.
        assert!(response.exchange.timings.blocked >= 30 * MS);
        assert_eq!(server.connections.get(), 1);
    });
    run(async || {
        let asked = Rc::new(Cell::new(0));
        let seen = Rc::clone(&asked);
        let server = server(async move |mut framed, _| {
            while let Some(stream) = framed.request().await {
                seen.set(seen.get() + 1);
                framed.reset(stream, REFUSED_STREAM).await;
            }
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_eq!(failure(&response), (ErrorKind::Http2Stream(REFUSED_STREAM), 1638));
        assert_eq!(asked.get(), 7);
    });
}

#[test]
fn what_a_goodbye_leaves_unprocessed_goes_over_another_connection() {
    run(async || {
        let server = server(async |mut framed, number| {
            if number == 0 {
                // The first request is answered, those behind it are not looked at.
                let first = framed.request().await.expect("a request");
                framed.request().await.expect("another");
                framed.request().await.expect("a third");
                framed.go_away(first, 0).await;
                framed.answer(first, "first").await;
                framed.hold().await;
            } else {
                framed.serve().await;
            }
        })
        .await;
        let client = client();
        let url = server.url("/");
        let answers = join_all([
            send(&client, request(Method::GET, &url)),
            send(&client, post(&url, "body")),
            send(&client, request(Method::GET, &url)),
        ])
        .await;
        for (answer, body) in answers.iter().zip(["first", "ok", "ok"]) {
            assert_ok(answer);
            assert_eq!(answer.body, body);
        }
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn a_server_that_always_says_goodbye_is_believed_in_the_end() {
    run(async || {
        let server = server(async |mut framed, _| {
            framed.request().await;
            framed.go_away(0, 0).await;
            framed.hold().await;
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_eq!(failure(&response), (ErrorKind::Http2GoAway(0), 1611));
        assert_eq!(server.connections.get(), 7);
    });
    run(async || {
        // Without a look at any request.
        let server = Server::start(async |peer: Peer| {
            let mut framed = Framed::greet(peer, &[]).await;
            framed.go_away(0, 0xb).await;
            framed.hold().await;
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_eq!(failure(&response), (ErrorKind::Http2GoAway(0xb), 1622));
    });
}

#[test]
fn a_goodbye_lets_the_streams_that_are_open_end() {
    run(async || {
        let server = server(async |mut framed, number| {
            let stream = framed.request().await.expect("a request");
            if number == 0 {
                framed.go_away(stream, 0).await;
                tokio::time::sleep(20 * MS).await;
            }
            framed.answer(stream, "ok").await;
            framed.hold().await;
        })
        .await;
        let client = client();
        let url = server.url("/");
        let (first, second) = tokio::join!(get(&client, &url), async {
            tokio::time::sleep(10 * MS).await;
            get(&client, &url).await
        });
        assert_ok(&first);
        assert_ok(&second);
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn a_goodbye_with_an_error_has_its_code_when_the_connection_ends_under_a_stream() {
    run(async || {
        for code in 0..=0xe {
            let response = at(async move |framed, stream| {
                framed.go_away(stream, code).await;
                framed.peer.half_close().await;
            })
            .await;
            let offset = if code == 0xe { 0 } else { code as u16 + 1 };
            assert_eq!(failure(&response), (ErrorKind::Http2GoAway(code), 1610 + offset));
        }
    });
}

#[test]
fn broken_rules_end_the_connection_with_the_code_that_the_server_is_told() {
    run(async || {
        type Wrong = (u8, u8, u32, Vec<u8>);
        let one = |kind, flags, stream, payload: &[u8]| (kind, flags, stream, payload.to_vec());
        let cases: Vec<(Wrong, u32)> = vec![
            // Data for the connection itself; a head that continues nothing.
            (one(DATA, 0, 0, b"x"), 1),
            (one(CONTINUATION, END_HEADERS, 1, &[]), 1),
            // A stream that nobody opened.
            (one(HEADERS, END_HEADERS, 9, &block(&[(":status", "200")])), 1),
            // A window beyond all bounds.
            (one(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()), 3),
            // Sizes that a frame cannot have; h2 calls only the last one by
            // its name.
            (one(SETTINGS, 0, 0, &[0; 5]), 1),
            (one(PING, 0, 0, &[0; 3]), 1),
            (one(DATA, 0, 1, &[0; 20_000]), 6),
            // A head that refers to what was never said.
            (one(HEADERS, END_HEADERS, 1, &[0xfe]), 1),
        ];
        for (wrong, code) in cases {
            let what = format!("{wrong:?}");
            let told = Rc::new(RefCell::new(Vec::new()));
            let heard = Rc::clone(&told);
            let server = server(async move |mut framed, _| {
                framed.request().await.expect("a request");
                let (kind, flags, stream, payload) = &wrong;
                framed.send(*kind, *flags, *stream, payload).await;
                framed.hold().await;
                let goodbyes = framed.came.iter().filter(|frame| frame.kind == frames::GOAWAY);
                heard.borrow_mut().extend(goodbyes.map(|frame| frame.payload[7]));
            })
            .await;
            let client = client();
            let response = get(&client, &server.url("/")).await;
            let expected = (ErrorKind::Http2Connection(code), 1651 + code as u16);
            assert_eq!(failure(&response), expected, "{what:.60}");
            drop(client);
            tokio::time::sleep(10 * MS).await;
            assert_eq!(*told.borrow(), [code as u8], "{what:.60}");
        }
    });
}

#[test]
fn what_is_no_http2_is_named() {
    run(async || {
        for text in [
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "220 mail.example.org ESMTP\r\n",
        ] {
            let server = Server::start(async move |mut peer: Peer| {
                peer.bytes(24).await;
                peer.write(text).await;
                peer.hold().await;
            })
            .await;
            let response = get(&client(), &server.url("/")).await;
            assert_eq!(failure(&response), (ErrorKind::Http2, 1600));
        }
    });
}

#[test]
fn connections_that_end_say_where() {
    run(async || {
        let early = at(async |framed, _| framed.peer.half_close().await).await;
        assert_eq!(failure(&early), (ErrorKind::ClosedEarly, 1000));
        let late = at(async |framed, stream| {
            framed.head(stream, "200", 0, &[]).await;
            framed.send(DATA, 0, stream, b"hel").await;
            framed.peer.half_close().await;
        })
        .await;
        assert_eq!(failure(&late), (ErrorKind::BodyTooShort, 1000));
        assert_eq!(late.exchange.status.expect("status"), 200);
        let server = server(async |mut framed, _| {
            framed.request().await;
            framed.peer.reset();
        })
        .await;
        let reset = get(&client(), &server.url("/")).await;
        assert_eq!(failure(&reset), (ErrorKind::ConnectionReset, 1220));
    });
}

#[test]
fn lengths_that_do_not_fit_are_errors_and_an_end_without_error_is_none() {
    run(async || {
        let length = [("content-length", "5")];
        // h2 ends these streams itself, as RFC 9113, 8.1.1 asks for.
        for body in ["four", "sixsix"] {
            let response = at(async move |framed, stream| {
                framed.head(stream, "200", 0, &length).await;
                framed.send(DATA, END_STREAM, stream, body.as_bytes()).await;
            })
            .await;
            assert_eq!(
                failure(&response),
                (ErrorKind::Http2Stream(PROTOCOL_ERROR), 1632),
                "{body}"
            );
        }
        let stopped = at(async move |framed, stream| {
            framed.head(stream, "200", 0, &length).await;
            framed.send(DATA, 0, stream, b"hel").await;
            framed.reset(stream, 0).await;
        })
        .await;
        assert_eq!(failure(&stopped), (ErrorKind::BodyTooShort, 1000));
        // A server that has answered may say that it needs no more of the request.
        let server = server(async |mut framed, _| {
            let head = framed.next(HEADERS).await.expect("a request");
            framed.head(head.stream, "413", 0, &[]).await;
            framed.send(DATA, END_STREAM, head.stream, b"no").await;
            framed.reset(head.stream, 0).await;
            framed.serve().await;
        })
        .await;
        let client = client();
        let response = send(&client, post(&server.url("/"), vec![b'x'; 1 << 20])).await;
        assert_eq!(response.exchange.error, None);
        assert_eq!(
            (response.exchange.status.expect("status").as_u16(), &response.body[..]),
            (413, &b"no"[..])
        );
        assert_ok(&get(&client, &server.url("/")).await);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn heads_have_their_limits_however_they_come() {
    run(async || {
        let line = |size: usize| [("x-filler", "x".repeat(size))];
        let response = at(async move |framed, stream| {
            // A head of 200 KB, allowed by the frames but not by us.
            framed.send(HEADERS, 0, stream, &block(&[(":status", "200")])).await;
            for part in 0..20 {
                let line = line(10_000);
                let lines = line.each_ref().map(|(name, value)| (*name, value.as_str()));
                let flags = if part == 19 { END_HEADERS } else { 0 };
                framed.send(CONTINUATION, flags, stream, &block(&lines)).await;
            }
        })
        .await;
        let (kind, code) = failure(&response);
        assert!(
            matches!(kind, ErrorKind::HeadTooLarge | ErrorKind::Http2Connection(0xb)),
            "{kind:?} {code}"
        );
        let response = at(async move |framed, stream| {
            let line = line(70_000 / 5);
            let lines = line.each_ref().map(|(name, value)| (*name, value.as_str()));
            framed.send(HEADERS, 0, stream, &block(&[(":status", "200")])).await;
            for part in 0..5 {
                let flags = if part == 4 { END_HEADERS } else { 0 };
                framed.send(CONTINUATION, flags, stream, &block(&lines)).await;
            }
            framed.send(DATA, END_STREAM, stream, b"ok").await;
        })
        .await;
        assert_eq!(failure(&response).0, ErrorKind::HeadTooLarge);
    });
}

#[test]
fn floods_end_and_do_not_gather() {
    run(async || {
        // Continuations without end.
        let response = at(async |framed, stream| {
            framed.send(HEADERS, 0, stream, &block(&[(":status", "200")])).await;
            for _ in 0..100_000 {
                framed.send(CONTINUATION, 0, stream, &block(&[("a", "b")])).await;
            }
        })
        .await;
        assert_eq!(failure(&response), (ErrorKind::Http2Connection(0xb), 1662));
        // Heads that are never the last.
        let response = at(async |framed, stream| {
            for _ in 0..100 {
                framed.head(stream, "103", 0, &[("link", "x")]).await;
            }
            framed.answer(stream, "ok").await;
        })
        .await;
        assert_eq!(failure(&response), (ErrorKind::InvalidAnswer, 1000));
        // Resets of streams that were never opened, pings, settings, empty frames of unknown kinds.
        let server = server(async |mut framed, _| {
            let stream = framed.request().await.expect("a request");
            for _ in 0..2_000 {
                framed.send(PING, 0, 0, &[7; 8]).await;
                framed.send(0xfa, 0, 0, &[]).await;
                framed.settings(&[]).await;
            }
            framed.answer(stream, "ok").await;
            framed.hold().await;
        })
        .await;
        assert_ok(&get(&client(), &server.url("/")).await);
    });
}

#[test]
fn a_server_takes_as_many_streams_at_once_as_it_says() {
    run(async || {
        let most = Rc::new(Cell::new(0));
        let seen = Rc::clone(&most);
        let server = Server::start(async move |peer: Peer| {
            let mut framed = Framed::greet(peer, &[(MAX_CONCURRENT_STREAMS, 1)]).await;
            let mut open = Vec::new();
            let mut acknowledged = false;
            loop {
                let wait = tokio::time::timeout(5 * MS, framed.frame()).await;
                match wait {
                    Ok(Some(frame)) if frame.kind == HEADERS => {
                        if open.is_empty() {
                            open.push(frame.stream);
                        } else {
                            // Only who does not know the limit yet may pass it.
                            assert!(!acknowledged, "the limit is known and passed");
                            framed.reset(frame.stream, REFUSED_STREAM).await;
                        }
                        seen.set(seen.get().max(open.len()));
                    }
                    Ok(Some(frame)) => acknowledged |= frame.kind == SETTINGS && frame.flags == 1,
                    Ok(None) => return,
                    Err(_) => {
                        if let Some(stream) = open.pop() {
                            framed.answer(stream, "ok").await;
                        }
                    }
                }
            }
        })
        .await;
        let client =
            client_with(kingtide::plan::HttpPlan { connections_max: 2, ..plan(Http2::Always) });
        let url = server.url("/");
        let answers = join_all((0..8).map(|_| get(&client, &url))).await;
        answers.iter().for_each(assert_ok);
        assert_eq!(most.get(), 1);
        // What one connection does not take goes over another, as far as the VU may have one.
        assert_eq!(server.connections.get(), 2);
        assert!(answers.iter().any(|answer| answer.exchange.timings.blocked > 10 * MS));
    });
}

#[test]
fn a_server_that_takes_no_stream_is_waited_for_until_it_does() {
    run(async || {
        let server = Server::start(async |peer: Peer| {
            let mut framed = Framed::greet(peer, &[]).await;
            let first = framed.request().await.expect("a request");
            framed.settings(&[(MAX_CONCURRENT_STREAMS, 0)]).await;
            framed.answer(first, "first").await;
            assert!(tokio::time::timeout(60 * MS, framed.request()).await.is_err());
            framed.settings(&[(MAX_CONCURRENT_STREAMS, 5)]).await;
            framed.serve().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        let response = get(&client, &server.url("/")).await;
        assert_ok(&response);
        assert!(response.exchange.timings.blocked >= 40 * MS, "{:?}", response.exchange.timings);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_body_waits_for_the_servers_window() {
    run(async || {
        let server = Server::start(async |peer: Peer| {
            let mut framed = Framed::greet(peer, &[(INITIAL_WINDOW_SIZE, 0)]).await;
            framed.first().await;
            let stream = framed.next(HEADERS).await.expect("a request").stream;
            assert!(tokio::time::timeout(60 * MS, framed.next(DATA)).await.is_err());
            framed.send(WINDOW_UPDATE, 0, stream, &3_u32.to_be_bytes()).await;
            let part = framed.next(DATA).await.expect("a part");
            assert_eq!((&part.payload[..], part.flags), (&b"bod"[..], 0));
            framed.send(WINDOW_UPDATE, 0, stream, &100_u32.to_be_bytes()).await;
            let rest = framed.next(DATA).await.expect("the rest");
            assert_eq!(rest.payload, b"y");
            assert_eq!(rest.flags, END_STREAM);
            framed.answer(stream, "ok").await;
            framed.hold().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        let response = send(&client, post(&server.url("/"), "body")).await;
        assert_ok(&response);
        assert!(response.exchange.timings.sending >= 50 * MS, "{:?}", response.exchange.timings);
    });
    run(async || {
        let server = Server::start(async |peer: Peer| {
            let mut framed = Framed::greet(peer, &[(INITIAL_WINDOW_SIZE, 0)]).await;
            framed.first().await;
            let stream = framed.next(HEADERS).await.expect("a request").stream;
            let reset = framed.next(RST_STREAM).await.expect("a reset");
            assert_eq!((reset.stream, reset.number()), (stream, CANCEL));
            framed.serve().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        let waiting = with_timeout(post(&server.url("/"), "body"), 80 * MS);
        let response = send(&client, waiting).await;
        assert_eq!(failure(&response), (ErrorKind::Timeout, 1050));
        assert!(response.exchange.timings.sending >= 60 * MS, "{:?}", response.exchange.timings);
        tokio::time::sleep(20 * MS).await;
        assert_ok(&get(&client, &server.url("/")).await);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn nothing_outlasts_its_timeout() {
    run(async || {
        for silent in [0, 1, 2] {
            let server = Server::start(async move |peer: Peer| match silent {
                // Not a word; not a word after the settings; a head and half a body.
                0 => peer.hold().await,
                1 => Framed::greet(peer, &[]).await.hold().await,
                _ => {
                    let mut framed = Framed::greet(peer, &[]).await;
                    let stream = framed.request().await.expect("a request");
                    framed.head(stream, "200", 0, &[]).await;
                    framed.send(DATA, 0, stream, b"half").await;
                    framed.hold().await;
                }
            })
            .await;
            let client = client();
            let asking = (0..3).map(|_| {
                send(&client, with_timeout(request(Method::GET, &server.url("/")), 50 * MS))
            });
            for response in join_all(asking).await {
                assert_eq!(failure(&response), (ErrorKind::Timeout, 1050), "{silent}");
                assert!(response.exchange.timings.total() >= 45 * MS);
            }
            assert_eq!(server.connections.get(), 1);
        }
    });
}

#[test]
fn pings_are_answered_while_nothing_is_asked() {
    run(async || {
        let answered = Rc::new(Cell::new(false));
        let heard = Rc::clone(&answered);
        let server = server(async move |mut framed, _| {
            let stream = framed.request().await.expect("a request");
            framed.answer(stream, "ok").await;
            framed.send(PING, 0, 0, b"kingtide").await;
            let pong = framed.next(PING).await.expect("a pong");
            heard.set(pong.flags == 1 && pong.payload == b"kingtide");
            framed.hold().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        tokio::time::sleep(50 * MS).await;
        assert!(answered.get());
    });
}

#[test]
fn a_kept_connection_that_died_is_replaced_and_nothing_is_sent_twice_that_must_not_be() {
    run(async || {
        let server = server(async |mut framed, number| {
            let stream = framed.request().await.expect("a request");
            framed.answer(stream, "ok").await;
            if number < 2 {
                framed.peer.half_close().await;
            }
            framed.serve().await;
        })
        .await;
        let client = client();
        // The end of the first connection waits unread when the second request is made.
        assert_ok(&get(&client, &server.url("/")).await);
        assert_ok(&get(&client, &server.url("/")).await);
        // As a script does that runs long.
        std::thread::sleep(30 * MS);
        assert_ok(&send(&client, post(&server.url("/"), "body")).await);
        assert_eq!(server.connections.get(), 3);
    });
    run(async || {
        // A request that the server has seen is not repeated if that could do something twice.
        let server = server(async |mut framed, number| {
            let stream = framed.request().await.expect("a request");
            framed.answer(stream, "ok").await;
            if number == 0 {
                framed.request().await.expect("a request");
                framed.peer.half_close().await;
            }
            framed.serve().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        let response = send(&client, post(&server.url("/"), "body")).await;
        assert_eq!(failure(&response), (ErrorKind::ClosedEarly, 1000));
        assert_ok(&get(&client, &server.url("/")).await);
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn a_connection_that_died_behind_a_long_script_is_found_out_before_what_cannot_be_repeated() {
    // The server lives in a thread of its own: it closes while the script runs.
    let (told, url) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        run(async || {
            let server = server(async |mut framed, number| {
                framed.first().await;
                if number == 0 {
                    tokio::time::sleep(10 * MS).await;
                    framed.peer.half_close().await;
                    return framed.hold().await;
                }
                framed.serve().await;
            })
            .await;
            told.send(server.url("/")).expect("the test lives");
            tokio::time::sleep(Duration::from_secs(2)).await;
        });
    });
    let url = url.recv().expect("a server");
    run(async || {
        let client = client();
        assert_ok(&get(&client, &url).await);
        std::thread::sleep(60 * MS);
        assert_ok(&send(&client, post(&url, "body")).await);
    });
}
