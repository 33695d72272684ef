//! Our reader and hyper's over the same bytes, split anywhere: the same answer, or both an error.
//!
//! We are stricter in the cases of [`STRICTER`], each for its reason, and nowhere more lenient.

use std::collections::BTreeMap;

use http::Method;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::answer::{Answer, Event};
use super::heads::Heads;
use super::oracle::{self, Seen};
use crate::protocol::ProtocolError;

/// What we refuse and hyper reads, by the detail of our error, with the reason.
const STRICTER: &[(&str, &str)] = &[
    (
        "both transfer-encoding and content-length",
        "RFC 9112, 6.3: an attempt at smuggling; hyper believes the former without a word",
    ),
    (
        "a transfer-encoding other than chunked",
        "nobody asked for one (RFC 9110, 10.1.4); hyper hands out what is still encoded",
    ),
    (
        "a line of the head ends without a carriage return",
        "RFC 9112, 2.2 leaves it open; others may see another line",
    ),
    ("too many 1xx heads before the answer", "a server could go on for ever"),
    (
        "the line before a chunk is broken",
        "control characters in an extension (RFC 9112, 7.1.1); hyper passes over all but a line feed",
    ),
    ("chunk line too long", "zeros before a size are digits without end to hyper"),
    ("a trailer is broken", "hyper takes a line feed of its own for the end of all trailers"),
];

thread_local! {
    /// All answers of a test, so that heads come again.
    static HEADS: Heads = Heads::default();
}

/// Reads these pieces as an answer, and then the end of the stream.
fn ours(method: &Method, pieces: &[Vec<u8>]) -> Result<Seen, ProtocolError> {
    HEADS.with(|heads| read(Answer::to(method, heads), pieces))
}

fn read(mut answer: Answer<'_>, pieces: &[Vec<u8>]) -> Result<Seen, ProtocolError> {
    let (mut seen, mut body) = (None, Vec::new());
    'pieces: for piece in pieces {
        let mut input = &piece[..];
        while let Some(event) = answer.next(&mut input)? {
            match event {
                Event::Head(head, _) => seen = Some(head),
                Event::Data(data) => body.extend_from_slice(data),
                Event::End => break 'pieces,
            }
        }
        assert!(input.is_empty(), "what is not read is lost");
    }
    answer.close()?;
    let head = seen.expect("an answer without an error has a head");
    let mut seen = Seen {
        proto: head.proto,
        status: head.status.as_u16(),
        status_text: head.status_text.into_owned(),
        headers: BTreeMap::default(),
        body,
    };
    for (name, value) in &head.headers {
        seen.headers.entry(name.to_owned()).or_default().push(value.to_vec());
    }
    Ok(seen)
}

/// Compares both; returns whether there was an answer.
fn compare(
    runtime: &tokio::runtime::Runtime,
    method: &Method,
    pieces: Vec<Vec<u8>>,
) -> Result<bool, String> {
    let ours = ours(method, &pieces);
    let shown = String::from_utf8_lossy(&pieces.join(&b"|"[..])).into_owned();
    let theirs = runtime.block_on(oracle::read(method.clone(), pieces));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Ok(true),
        (Err(_), Err(_)) => Ok(false),
        (Err(ours), Ok(_)) => {
            let detail = ours.detail.clone().unwrap_or_default();
            let meant = STRICTER.iter().any(|(why, _)| *why == detail);
            if meant { Ok(false) } else { Err(format!("{ours:?}, but hyper reads {shown:?}")) }
        }
        (ours, theirs) => Err(format!("{shown:?}\nours: {ours:?}\nhyper: {theirs:?}")),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime")
}

/// Cuts bytes at these places.
fn cut(bytes: &[u8], places: &[Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = places.iter().map(|at| at.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for at in places.into_iter().chain([bytes.len()]) {
        pieces.push(bytes[from..at].to_vec());
        from = at;
    }
    pieces
}

/// Answers that are mostly right: any version, status, lines, framing, trailers, 1xx before them.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let interim = select(vec![
        "",
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ]);
    let status = select(vec![
        "200 OK",
        "200",
        "200 ",
        "201 Created",
        "204 No Content",
        "304 Not Modified",
        "404 Nicht da",
        "101 Switching Protocols",
        "503 Service Unavailable",
        "999 ?",
        "206 Partial Content",
    ]);
    let version = select(vec!["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]);
    let line = prop_oneof![
        "[A-Za-z-]{1,8}: ?[ -~]{0,12} ?",
        select(vec![
            "Set-Cookie: a=b; Path=/",
            "set-cookie: c=d",
            "Connection: close",
            "Connection: keep-alive, x",
            "Empty:",
            "X:\t tab\tbed \t",
            "Server: caf\u{e9}",
        ])
        .prop_map(str::to_owned),
    ];
    let lines = prop::collection::vec(line, 0..6);
    let chunks = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6);
    let extension = select(vec!["", "", ";a", ";a=\"b c\"", " ;x", "\t"]);
    let trailers = select(vec!["", "", "T: x\r\n", "A: 1\r\nB: \t2 \r\n", "C:\r\n"]);
    let framing =
        select(vec!["length", "length", "chunked", "chunked", "close", "both", "list", "short"]);
    let behind = select(vec!["", "", "", "HTTP/1.1 200 OK\r\n\r\n", "x"]);
    let body = (chunks, extension, trailers);
    (interim, version, status, lines, framing, body, behind).prop_map(
        |(interim, version, status, lines, framing, (chunks, extension, trailers), behind)| {
            let mut text = format!("{interim}{version} {status}\r\n").into_bytes();
            for line in lines {
                text.extend_from_slice(line.as_bytes());
                text.extend_from_slice(b"\r\n");
            }
            let plain = chunks.concat();
            let length = plain.len();
            let framed = match framing {
                "length" => format!("Content-Length: {length}\r\n"),
                "list" => format!("Content-Length: {length}, {length}\r\n"),
                "short" => format!("Content-Length: {}\r\n", length + 1),
                "both" => format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
                "chunked" => "Transfer-Encoding: chunked\r\n".to_owned(),
                _ => String::new(),
            };
            text.extend_from_slice(framed.as_bytes());
            text.extend_from_slice(b"\r\n");
            if matches!(framing, "chunked" | "both") {
                for chunk in chunks {
                    text.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                    text.extend_from_slice(&chunk);
                    text.extend_from_slice(b"\r\n");
                }
                text.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            } else {
                text.extend_from_slice(&plain);
            }
            if framing != "close" {
                text.extend_from_slice(behind.as_bytes());
            }
            text
        },
    )
}

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Delete(Index),
    Double(Index, usize),
    Insert(Index, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = select(vec![
        &b"\r"[..],
        b"\n",
        b"\r\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0",
        b"f",
        b"\x7f",
        b"\xff",
        b"\r\n\r\n",
        b"\r\n x",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"chunked",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 x\r\n\r\n",
    ]);
    let change = prop_oneof![
        (any::<Index>(), 1..=255_u8).prop_map(|(at, mask)| Change::Flip(at, mask)),
        any::<Index>().prop_map(Change::Delete),
        (any::<Index>(), 1..30_usize).prop_map(|(at, size)| Change::Double(at, size)),
        (any::<Index>(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes.to_vec())),
    ];
    prop::collection::vec(change, 1..4)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let size = bytes.len();
        match change {
            Change::Flip(at, mask) if size > 0 => bytes[at.index(size)] ^= mask,
            Change::Delete(at) if size > 0 => drop(bytes.remove(at.index(size))),
            Change::Double(at, length) if size > 0 => {
                let at = at.index(size);
                let again = bytes[at..(at + length).min(size)].to_vec();
                bytes.splice(at..at, again);
            }
            Change::Insert(at, new) => {
                let at = at.index(size + 1);
                bytes.splice(at..at, new.iter().copied());
            }
            _ => {}
        }
    }
    bytes
}

fn methods() -> impl Strategy<Value = Method> {
    select(vec![Method::GET, Method::GET, Method::POST, Method::HEAD])
}

/// Runs a comparison of many cases; at least this share of them must be answers, not errors, so that
/// the test compares something.
fn run(cases: u32, answers_at_least: f64, strategy: impl Strategy<Value = (Method, Vec<Vec<u8>>)>) {
    let (runtime, answered) = (runtime(), std::cell::Cell::new(0));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&strategy, |(method, pieces)| {
        let answer = compare(&runtime, &method, pieces).map_err(TestCaseError::fail)?;
        answered.set(answered.get() + u32::from(answer));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let share = f64::from(answered.get()) / f64::from(cases);
    assert!(share >= answers_at_least, "only {share:.2} of the cases are answers");
}

#[test]
fn generated_answers_are_read_alike() {
    let places = prop::collection::vec(any::<Index>(), 0..8);
    let cases = (methods(), answers(), places);
    run(1_500, 0.5, cases.prop_map(|(method, bytes, places)| (method, cut(&bytes, &places))));
}

#[test]
fn spoilt_answers_are_read_alike_or_refused() {
    let places = prop::collection::vec(any::<Index>(), 0..5);
    let cases = (methods(), answers(), changes(), places);
    let cases = cases.prop_map(|(method, bytes, changes, places)| {
        (method, cut(&changed(bytes, &changes), &places))
    });
    run(3_000, 0.2, cases);
}

#[test]
fn answers_are_read_alike_split_at_every_place() {
    let runtime = runtime();
    for text in [
        "HTTP/1.1 200 OK\r\nX: 1\r\nX: 2\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\n\r\nhello",
        "\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbroken\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshort",
    ] {
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            compare(&runtime, &Method::GET, vec![a.to_vec(), b.to_vec()]).expect("alike");
        }
        let bytes = text.bytes().map(|byte| vec![byte]).collect();
        compare(&runtime, &Method::GET, bytes).expect("alike");
    }
}

#[test]
fn where_we_are_stricter_hyper_reads_an_answer() {
    let runtime = runtime();
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let cases = [
        format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: gzip\r\n\r\nx"),
        format!("{head}A: b\n\r\n"),
        format!("{}{head}\r\n", "HTTP/1.1 100 Continue\r\n\r\n".repeat(33)),
        format!("{chunked}1;\0\r\nx\r\n0\r\n\r\n"),
        format!("{chunked}{}1\r\nx\r\n0\r\n\r\n", "0".repeat(5_000)),
        format!("{chunked}0\r\n\nA: b\r\n\r\n"),
    ];
    for (text, (detail, reason)) in cases.iter().zip(STRICTER) {
        let pieces = vec![text.clone().into_bytes()];
        let error = ours(&Method::GET, &pieces).expect_err(reason);
        assert_eq!(error.detail.as_deref(), Some(*detail), "{text:?}");
        let theirs = runtime.block_on(oracle::read(Method::GET, pieces));
        theirs.unwrap_or_else(|error| panic!("{error} for {text:?}: {detail} is no exception"));
    }
}
