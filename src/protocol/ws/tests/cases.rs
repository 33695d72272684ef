//! The cases of Autobahn's test suite for clients, in small: categories 1 to 7, 9, 10, 12 and 13,
//! each stream in one read, chopped into bytes, and in between.
//!
//! Autobahn's suite itself runs on Python 2, which systems no longer have. As there, the client
//! echoes messages; what it must write back follows from RFC 6455.

use proptest::prelude::*;

use super::super::deflate::{Codec, Shared};
use super::super::extension::Agreed;
use super::super::{Kind, Limits};
use super::peer::{Echo, LIMITS, Written, binary, close, frame, text, written};
use crate::protocol::ErrorKind;

/// What a client must do.
#[derive(Debug)]
enum Must {
    /// Send these frames and stay open.
    Send(Vec<Written>),
    /// Send these frames, then a close frame with this code, and end.
    Fail(Vec<Written>, u16),
    /// Send these frames, then answer the close frame.
    Close(Vec<Written>, Option<u16>),
}

fn sent(first: u8, payload: impl AsRef<[u8]>) -> Written {
    Written { first, payload: payload.as_ref().to_vec() }
}

#[track_caller]
fn check(name: &str, stream: &[Vec<u8>], must: &Must) {
    let bytes = stream.concat();
    for size in [usize::MAX, 1, 2, 3, 7, 997] {
        // Large streams need not come byte by byte.
        if bytes.len() / size > 200_000 {
            continue;
        }
        let mut client = Echo::new(&LIMITS, None);
        client.feed_chopped(&bytes, size);
        let (frames, ended) = client.end();
        let place = format!("{name}, {size} bytes at a time");
        let (expected, code) = match must {
            Must::Send(expected) => {
                assert_eq!(ended, None, "{place}");
                assert_eq!(&frames, expected, "{place}");
                continue;
            }
            Must::Fail(expected, code) => (expected, Some(*code)),
            Must::Close(expected, code) => (expected, *code),
        };
        let ended = ended.unwrap_or_else(|| panic!("{place}: it goes on"));
        assert_eq!(ended.error.is_some(), matches!(must, Must::Fail(..)), "{place}: {ended:?}");
        let (last, before) = frames.split_last().expect("a close frame");
        assert_eq!(before, expected, "{place}");
        assert_eq!(last.first, 0x88, "{place}");
        let said = last.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        assert_eq!(said, code, "{place}");
    }
}

fn sends(name: &str, stream: &[Vec<u8>], expected: &[Written]) {
    check(name, stream, &Must::Send(expected.to_vec()));
}

fn fails(name: &str, stream: &[Vec<u8>], before: &[Written], code: u16) {
    check(name, stream, &Must::Fail(before.to_vec(), code));
}

#[test]
fn category_1_messages_of_all_lengths_come_back() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 100_000] {
        let payload = vec![b'*'; length];
        sends(&format!("1.1, {length}"), &[text(&payload)], &[sent(0x81, &payload)]);
        let payload = vec![0xfe; length];
        sends(&format!("1.2, {length}"), &[binary(&payload)], &[sent(0x82, &payload)]);
    }
}

#[test]
fn category_2_pings_are_answered_and_pongs_are_not() {
    for payload in [&b""[..], b"Hello, world!", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", &[0xfe; 125]] {
        sends("2.1 to 2.4", &[frame(0x89, payload)], &[sent(0x8a, payload)]);
    }
    fails("2.5", &[frame(0x89, &[0xfe; 126])], &[], 1002);
    sends("2.7", &[frame(0x8a, b"")], &[]);
    sends("2.8", &[frame(0x8a, b"unsolicited")], &[]);
    let ping = frame(0x89, b"ping");
    sends("2.9", &[frame(0x8a, b"unsolicited"), ping], &[sent(0x8a, b"ping")]);
    let pings: Vec<Vec<u8>> = (0..10).map(|n| frame(0x89, &[n; 7])).collect();
    let pongs: Vec<Written> = (0..10).map(|n| sent(0x8a, [n; 7])).collect();
    sends("2.10, 2.11", &pings, &pongs);
}

#[test]
fn category_3_reserved_bits_are_refused() {
    let small = text("small");
    let echoed = [sent(0x81, "small")];
    fails("3.1", &[frame(0xc1, b"rsv1")], &[], 1002);
    for first in [0xa1, 0xb1, 0xc1, 0xd1, 0xe1, 0xf1, 0xf2] {
        let stream = [small.clone(), frame(first, b"reserved"), frame(0x89, b"")];
        fails("3.2 to 3.5", &stream, &echoed, 1002);
    }
    for first in [0xd9, 0xf8, 0xaa] {
        fails("3.6, 3.7", &[small.clone(), frame(first, b"")], &echoed, 1002);
    }
}

#[test]
fn category_4_reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        fails("4.*.1", &[frame(0x80 | opcode, b"")], &[], 1002);
        let stream = [text("small"), frame(0x80 | opcode, b"payload"), frame(0x89, b"")];
        fails("4.*.3", &stream, &[sent(0x81, "small")], 1002);
    }
}

#[test]
fn category_5_fragments_become_messages_with_control_frames_between() {
    let part = |first: u8, payload: &str| frame(first, payload.as_bytes());
    fails("5.1", &[part(0x09, "frag"), part(0x80, "ment")], &[], 1002);
    fails("5.2", &[part(0x0a, "frag"), part(0x80, "ment")], &[], 1002);
    let whole = [sent(0x81, "fragment1fragment2")];
    sends("5.3 to 5.5", &[part(0x01, "fragment1"), part(0x80, "fragment2")], &whole);
    let between = [part(0x01, "fragment1"), frame(0x89, b"ping"), part(0x80, "fragment2")];
    sends("5.6 to 5.8", &between, &[sent(0x8a, b"ping"), whole[0].clone()]);
    fails("5.9", &[part(0x80, "no message"), text("x")], &[], 1002);
    fails("5.12", &[part(0x00, "no message"), text("x")], &[], 1002);
    let again = [part(0x01, "1"), part(0x80, "2"), part(0x00, "3"), text("x")];
    fails("5.15", &again, &[sent(0x81, "12")], 1002);
    fails("5.16", &[part(0x00, "1"), part(0x01, "2"), part(0x80, "3")], &[], 1002);
    fails("5.18", &[part(0x01, "1"), part(0x81, "2")], &[], 1002);
    let many = [
        part(0x01, "fragment1"),
        part(0x00, "fragment2"),
        frame(0x89, b"1"),
        part(0x00, "fragment3"),
        part(0x00, "fragment4"),
        frame(0x89, b"2"),
        part(0x80, "fragment5"),
    ];
    let all = "fragment1fragment2fragment3fragment4fragment5";
    sends("5.19, 5.20", &many, &[sent(0x8a, b"1"), sent(0x8a, b"2"), sent(0x81, all)]);
    sends("5, empty ones", &[part(0x01, ""), part(0x00, ""), part(0x80, "")], &[sent(0x81, "")]);
    sends("5, binary", &[part(0x02, "a"), part(0x80, "b")], &[sent(0x82, "ab")]);
}

#[test]
fn category_6_text_is_utf8_to_the_last_fragment() {
    let greek = "Hello-µ@ßöäüàá-UTF-8!!";
    sends("6.2.1", &[text(greek)], &[sent(0x81, greek)]);
    for cut in 1..greek.len() {
        let (one, two) = greek.as_bytes().split_at(cut);
        sends("6.2.2", &[frame(0x01, one), frame(0x80, two)], &[sent(0x81, greek)]);
    }
    let bytes: Vec<Vec<u8>> = greek.bytes().map(|byte| frame(0x00, &[byte])).collect();
    let stream = [vec![frame(0x01, b"")], bytes, vec![frame(0x80, b"")]].concat();
    sends("6.2.3", &stream, &[sent(0x81, greek)]);
    let broken =
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64";
    fails("6.3.1", &[text(broken)], &[], 1007);
    // As soon as it is seen: the rest never comes.
    fails("6.4.1", &[frame(0x01, &broken[..13])], &[], 1007);
    fails("6.4.2", &[frame(0x01, &broken[..11]), frame(0x00, &broken[11..13])], &[], 1007);
    let mut half = text(broken);
    half.truncate(2 + 13);
    let mut client = Echo::new(&LIMITS, None);
    client.feed(&half);
    assert!(client.end().1.is_some(), "6.4.3: within a frame");
    for valid in [
        "\u{0}",
        "\u{7f}\u{80}\u{7ff}\u{800}",
        "\u{ffff}\u{10000}\u{d7ff}\u{e000}\u{10ffff}",
        "\u{fffd}\u{fffe}\u{1fffe}",
        "κόσμε",
    ] {
        sends("6.5 to 6.23", &[text(valid)], &[sent(0x81, valid)]);
    }
    for invalid in [
        &b"\xce"[..],
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xbf",
        b"\xfe",
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
    ] {
        fails("6.6 to 6.21", &[text(invalid)], &[], 1007);
        fails("6, in a fragment", &[frame(0x01, b"a"), frame(0x80, invalid)], &[], 1007);
    }
    sends("6, bytes may be anything", &[binary(b"\xff\xfe")], &[sent(0x82, b"\xff\xfe")]);
}

#[test]
fn category_7_a_close_frame_is_answered_once_and_nothing_after_it_counts() {
    let hello = [sent(0x81, "hello")];
    let echoed = |must: Option<u16>| Must::Close(hello.to_vec(), must);
    check("7.1.1", &[text("hello"), close(1000, "")], &echoed(Some(1000)));
    check("7.1.2", &[text("hello"), close(1000, ""), close(1000, "")], &echoed(Some(1000)));
    let after = [text("hello"), close(1000, ""), frame(0x89, b"late"), text("late")];
    check("7.1.3, 7.1.4", &after, &echoed(Some(1000)));
    let within = [text("hello"), frame(0x01, b"fragment"), close(1000, ""), frame(0x80, b"")];
    check("7.1.5", &within, &echoed(Some(1000)));
    check("7.3.1", &[text("hello"), frame(0x88, b"")], &echoed(None));
    fails("7.3.2", &[frame(0x88, b"a")], &[], 1002);
    for reason in ["", "Hello World!", &"*".repeat(123)] {
        check("7.3.3 to 7.3.5", &[close(1000, reason)], &Must::Close(vec![], Some(1000)));
    }
    fails("7.3.6", &[frame(0x88, &[3; 126])], &[], 1002);
    fails("7.5.1", &[frame(0x88, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], &[], 1007);
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check("7.7", &[close(code, "")], &Must::Close(vec![], Some(code)));
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        fails("7.9, 7.13", &[close(code, "")], &[], 1002);
    }
}

#[test]
fn category_9_large_messages_are_taken_up_to_the_limit() {
    for size in [1 << 20, 1 << 22, 1 << 24] {
        let payload = vec![0xfe; size];
        sends("9.2", &[binary(&payload)], &[sent(0x82, &payload)]);
        let payload = vec![b'*'; size];
        let mut parts: Vec<Vec<u8>> = payload.chunks(1 << 16).map(|part| frame(0, part)).collect();
        parts[0][0] = 0x01;
        parts.push(frame(0x80, b""));
        sends("9.3", &parts, &[sent(0x81, &payload)]);
    }
    let limits = Limits { message_bytes: 100, ..LIMITS };
    let large = |stream: &[Vec<u8>]| {
        let mut client = Echo::new(&limits, None);
        client.feed(&stream.concat());
        let (frames, ended) = client.end();
        let ended = ended.expect("it is over");
        assert_eq!(ended.error.map(|error| error.kind), Some(ErrorKind::MessageTooLarge));
        assert_eq!(frames.last().map(|frame| &frame.payload[..2]), Some(&b"\x03\xf1"[..]));
    };
    large(&[text("*".repeat(101))]);
    // The head alone says so; the payload need not come.
    large(&[vec![0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]]);
    large(&[frame(0x01, &[b'*'; 60]), frame(0x00, &[b'*'; 60])]);
    let mut client = Echo::new(&limits, None);
    client.feed(&[text("*".repeat(100)), frame(0x02, &[1; 50]), frame(0x80, &[1; 50])].concat());
    assert_eq!(client.came.len(), 2);
}

#[test]
fn category_10_small_fragments_of_a_large_message_come_together() {
    let payload = vec![b'*'; 65_536];
    let mut parts: Vec<Vec<u8>> = payload.chunks(1_300).map(|part| frame(0, part)).collect();
    parts[0][0] = 0x01;
    let last = parts.len() - 1;
    parts[last][0] = 0x80;
    sends("10.1.1", &parts, &[sent(0x81, &payload)]);
}

/// Sends messages both ways under an agreement, compressed by another codec, whole or in fragments.
fn compressed(agreed: Agreed, server: Agreed, messages: &[Vec<u8>], fragment: usize, chop: usize) {
    let shared = Shared::default();
    let mut theirs = Codec::new(server);
    let mut stream = Vec::new();
    for message in messages {
        let mut packed = Vec::new();
        assert!(theirs.compress(&shared, message, &mut packed));
        let parts: Vec<&[u8]> =
            if packed.is_empty() { vec![&packed] } else { packed.chunks(fragment).collect() };
        for (index, part) in parts.iter().enumerate() {
            let first = if index == 0 { 0x42 } else { 0 };
            let fin = if index + 1 == parts.len() { 0x80 } else { 0 };
            stream.push(frame(first | fin, part));
            // A control frame between fragments is never compressed.
            stream.push(frame(0x89, b"between"));
        }
    }
    let mut client = Echo::new(&LIMITS, Some(agreed));
    client.feed_chopped(&stream.concat(), chop);
    let came = client.came.iter().filter(|came| came.0 == Kind::Binary).map(|came| &came.1);
    // What is compared is too large to be shown.
    assert!(came.eq(messages), "{agreed:?}, {fragment}, {chop}");
    // What comes back is compressed too, and says what was said.
    let (frames, ended) = client.end();
    assert_eq!(ended, None);
    let back = frames.iter().filter(|frame| frame.first & 0x0f == 2);
    for (frame, message) in back.zip(messages) {
        let (payload, packed) = (&frame.payload, frame.first & 0x40 != 0);
        assert_eq!(packed, agreed.client_window_bits > 8);
        if packed {
            let plain = theirs.inflate(&shared, payload, message.len()).expect("valid");
            assert!(plain == *message, "{agreed:?}");
        } else {
            assert!(payload == message, "{agreed:?}");
        }
    }
}

#[test]
fn categories_12_and_13_compressed_messages_survive_every_agreement() {
    let samples: [Vec<u8>; 4] = [
        Vec::new(),
        b"{\"level\":1.25,\"station\":\"Emden\"}".repeat(40),
        (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect(),
        vec![0; 131_072],
    ];
    let messages: Vec<Vec<u8>> = samples.iter().chain(&samples).cloned().collect();
    for client_context in [false, true] {
        for server_context in [false, true] {
            for client_window_bits in [15, 11, 9, 8] {
                let agreed = Agreed { client_context, server_context, client_window_bits };
                // The same agreement from the other side.
                let server = Agreed {
                    client_context: server_context,
                    server_context: client_context,
                    client_window_bits: 15,
                };
                for (fragment, chop) in [(usize::MAX, usize::MAX), (1_000, 4_096), (100, 997)] {
                    compressed(agreed, server, &messages, fragment, chop);
                }
            }
        }
    }
}

#[test]
fn compression_has_its_own_ways_to_be_wrong() {
    let agreed = Agreed { client_context: false, server_context: true, client_window_bits: 15 };
    let fail = |stream: &[Vec<u8>], code: u16| {
        let limits = Limits { message_bytes: 10_000, ..LIMITS };
        let mut client = Echo::new(&limits, Some(agreed));
        client.feed(&stream.concat());
        let (frames, ended) = client.end();
        assert!(ended.is_some_and(|ended| ended.error.is_some()), "{code}");
        let said = frames.last().and_then(|frame| frame.payload.first_chunk());
        assert_eq!(said.map(|code| u16::from_be_bytes(*code)), Some(code));
    };
    fail(&[frame(0xc1, b"\xff\xff\xff\xff")], 1007);
    fail(&[frame(0x41, b"\xf2\x48"), frame(0xc0, b"\xcd\xc9\xc9\x07\x00")], 1002);
    fail(&[frame(0xc9, b"")], 1002);
    fail(&[frame(0xa1, b"")], 1002);
    let shared = Shared::default();
    let pack = |message: &[u8]| {
        let mut packed = Vec::new();
        Codec::new(agreed).compress(&shared, message, &mut packed);
        packed
    };
    fail(&[frame(0xc1, &pack(b"\xff"))], 1007);
    fail(&[frame(0xc2, &pack(&[0; 10_001]))], 1009);
    // An uncompressed message is none the worse for the agreement.
    let mut client = Echo::new(&LIMITS, Some(agreed));
    client.feed(&[text("plain"), frame(0xc1, &pack(b"packed"))].concat());
    assert_eq!(client.came, [(Kind::Text, b"plain".to_vec()), (Kind::Text, b"packed".to_vec())]);
}

#[test]
fn what_we_close_is_over_with_the_peers_close_frame_and_no_sooner() {
    let mut client = Echo::new(&LIMITS, None);
    let (shared, mut out) = (Shared::default(), Vec::new());
    client.session.close(Some(4000), "done", &mut out);
    assert_eq!(written(&out), [sent(0x88, b"\x0f\xa0done")]);
    assert!(!client.session.is_open() && client.session.ended().is_none());
    assert!(!client.session.send(Kind::Text, b"late", &shared, &mut out));
    client.session.close(Some(1000), "again", &mut out);
    assert_eq!(written(&out).len(), 1, "nothing follows a close frame");
    // Messages under way still come; pings are no longer answered.
    client.feed(&[text("under way"), frame(0x89, b"ping"), close(4000, "done")].concat());
    let (frames, ended) = client.end();
    assert_eq!(frames, []);
    let ended = ended.expect("it is over");
    assert_eq!((ended.code, &*ended.reason, ended.error), (4000, "done", None));
}

proptest! {
    #[test]
    fn messages_survive_any_fragmentation_and_any_reads(
        messages in prop::collection::vec(("\\PC{0,40}", any::<bool>()), 1..5),
        cuts in prop::collection::vec(0..60_usize, 0..12),
        chop in 1..40_usize,
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (message, is_text) in &messages {
            let bytes = message.as_bytes();
            let mut from = 0;
            let mut first = if *is_text { 1 } else { 2 };
            for cut in &cuts {
                let to = (*cut).clamp(from, bytes.len());
                stream.push(frame(first, &bytes[from..to]));
                (first, from) = (0, to);
            }
            stream.push(frame(first | 0x80, &bytes[from..]));
            let kind = if *is_text { Kind::Text } else { Kind::Binary };
            expected.push((kind, bytes.to_vec()));
        }
        let mut client = Echo::new(&LIMITS, None);
        client.feed_chopped(&stream.concat(), chop);
        prop_assert_eq!(&client.came, &expected);
        let (frames, ended) = client.end();
        prop_assert_eq!(frames.len(), messages.len());
        prop_assert_eq!(ended, None);
    }
}
