//! The other side, in the hand of a test: frames as a server writes them, and a client that echoes.

use super::super::close::Close;
use super::super::deflate::{Codec, Shared};
use super::super::extension::Agreed;
use super::super::frame::mask;
use super::super::session::{Event, Session};
use super::super::{Ended, Kind, Limits};

pub(super) const LIMITS: Limits = Limits { message_bytes: 1 << 24, queued_messages: 1000 };

/// A frame with any first byte, right or wrong, and no mask.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ ..=125 => frame.push(short as u8),
        medium @ ..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

pub(super) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x81, payload.as_ref())
}

pub(super) fn binary(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x82, payload.as_ref())
}

pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &Close::payload(Some(code), reason))
}

/// A frame as a client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) first: u8,
    pub(super) payload: Vec<u8>,
}

/// Takes apart what a client wrote; every frame must be whole and masked.
pub(super) fn written(bytes: &[u8]) -> Vec<Written> {
    let mut rest = bytes;
    let mut frames = Vec::new();
    while let [first, second, after @ ..] = rest {
        assert_eq!(second & 0x80, 0x80, "a client's frames are masked");
        let (length, after) = match second & 0x7f {
            126 => {
                let (length, after) = after.split_first_chunk::<2>().expect("length");
                (u64::from(u16::from_be_bytes(*length)), after)
            }
            127 => {
                let (length, after) = after.split_first_chunk::<8>().expect("length");
                (u64::from_be_bytes(*length), after)
            }
            short => (u64::from(short), after),
        };
        let (key, after) = after.split_first_chunk::<4>().expect("key");
        let (payload, after) = after.split_at(length as usize);
        let mut payload = payload.to_vec();
        mask(&mut payload, *key);
        frames.push(Written { first: *first, payload });
        rest = after;
    }
    assert!(rest.is_empty(), "half a frame was written");
    frames
}

/// A client that sends each message back, as Autobahn's expects it.
pub(super) struct Echo {
    pub(super) session: Session,
    shared: Shared,
    out: Vec<u8>,
    pub(super) came: Vec<(Kind, Vec<u8>)>,
}

impl Echo {
    pub(super) fn new(limits: &Limits, agreed: Option<Agreed>) -> Self {
        Self {
            session: Session::new(limits, agreed.map(Codec::new)),
            shared: Shared::default(),
            out: Vec::new(),
            came: Vec::new(),
        }
    }

    /// Takes what comes in one read.
    pub(super) fn feed(&mut self, part: &[u8]) {
        let mut input = part;
        while let Some(event) = self.session.receive(&mut input, &self.shared, &mut self.out) {
            let Event::Came(kind, data) = event else { return };
            if matches!(kind, Kind::Text | Kind::Binary) {
                self.session.send(kind, &data, &self.shared, &mut self.out);
            }
            self.came.push((kind, data.to_vec()));
        }
    }

    /// Takes a stream in reads of that many bytes.
    pub(super) fn feed_chopped(&mut self, bytes: &[u8], size: usize) {
        bytes.chunks(size).for_each(|part| self.feed(part));
    }

    /// Returns what it wrote, and how it ended.
    pub(super) fn end(self) -> (Vec<Written>, Option<Ended>) {
        (written(&self.out), self.session.ended().cloned())
    }
}
