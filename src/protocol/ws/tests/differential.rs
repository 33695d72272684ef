//! Against tungstenite: over generated and spoilt streams both must see the same messages, and an
//! end at the same place for the same reason.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use super::super::{Kind, Limits};
use super::peer::{Echo, frame};

const LIMITS: Limits = Limits { message_bytes: 2_000, queued_messages: 1000 };

/// What a client saw of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Saw {
    came: Vec<(Kind, Vec<u8>)>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The stream ended first.
    None,
    Close(Option<u16>, String),
    /// Broken rules, broken text, too much.
    Failed,
}

/// A stream that was written before.
struct Recorded<'a>(&'a [u8]);

impl Read for Recorded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Recorded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(stream: &[u8]) -> Saw {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMITS.message_bytes))
        .max_frame_size(Some(LIMITS.message_bytes));
    let mut socket = WebSocket::from_raw_socket(Recorded(stream), Role::Client, Some(config));
    let mut came = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Text(text)) => came.push((Kind::Text, text.as_bytes().to_vec())),
            Ok(Message::Binary(data)) => came.push((Kind::Binary, data.to_vec())),
            Ok(Message::Ping(data)) => came.push((Kind::Ping, data.to_vec())),
            Ok(Message::Pong(data)) => came.push((Kind::Pong, data.to_vec())),
            Ok(Message::Close(frame)) => {
                break match frame {
                    // What it makes of a code that may not be sent.
                    Some(frame) if &*frame.reason == "Protocol violation" => End::Failed,
                    Some(frame) => End::Close(Some(frame.code.into()), frame.reason.to_string()),
                    None => End::Close(None, String::new()),
                };
            }
            Ok(Message::Frame(_)) => unreachable!("frames are not read as such"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break End::None,
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => break End::Failed,
            Err(other) => panic!("{other}"),
        }
    };
    Saw { came, end }
}

fn ours(stream: &[u8], chop: usize) -> Saw {
    let mut client = Echo::new(&LIMITS, None);
    client.feed_chopped(stream, chop);
    let came = std::mem::take(&mut client.came);
    let end = match client.end().1 {
        None => End::None,
        Some(ended) if ended.error.is_some() => End::Failed,
        Some(ended) => {
            let code = Some(ended.code).filter(|code| *code != super::super::NO_CODE);
            End::Close(code, ended.reason.into())
        }
    };
    Saw { came, end }
}

/// Frames, most of them right.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => Just(0x88_u8),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "[ -~]{0,20}".prop_map(String::into_bytes),
        2 => "\\PC{0,6}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => (120..140_usize).prop_map(|size| vec![b'x'; size]),
        1 => (1_990..2_010_usize).prop_map(|size| vec![b'x'; size]),
        1 => (990..5_010_u16).prop_map(|code| [&code.to_be_bytes()[..], b"why"].concat()),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

/// Returns whether a stream may have what both are known to see differently.
///
/// A control frame with its length in more than seven bits is refused here, as it is by Go's clients,
/// and taken by tungstenite if the length is small all the same. The close code 1014 (bad gateway)
/// is in IANA's registry, but tungstenite does not know it.
fn has_known_difference(stream: &[u8]) -> bool {
    const BAD_GATEWAY: [u8; 2] = 1014_u16.to_be_bytes();
    stream.windows(2).any(|pair| matches!(pair, [0x88..=0x8a, 126 | 127]) || pair == BAD_GATEWAY)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn both_see_the_same_in_streams_of_frames(
        stream in prop::collection::vec(frames(), 1..10),
        chop in 1..50_usize,
    ) {
        let stream = stream.concat();
        let (ours, theirs) = (ours(&stream, chop), theirs(&stream));
        let known = has_known_difference(&stream);
        prop_assert!(ours == theirs || known, "{ours:?}\n{theirs:?}");
    }

    #[test]
    fn both_see_the_same_in_spoilt_streams(
        stream in prop::collection::vec(frames(), 1..8),
        spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        chop in 1..50_usize,
    ) {
        let mut stream = stream.concat();
        for (at, byte) in spoil {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        // Ours says what is wrong at the byte that shows it; theirs has all that it may wait for.
        stream.extend([0x8a, 0].repeat(LIMITS.message_bytes));
        let (ours, theirs) = (ours(&stream, chop), theirs(&stream));
        let known = has_known_difference(&stream);
        prop_assert!(ours == theirs || known, "{ours:?}\n{theirs:?}");
    }
}
