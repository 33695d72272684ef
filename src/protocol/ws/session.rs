//! A connection after its handshake, without its I/O: what is answered to what comes, and what may
//! still be sent.

use bytes::Bytes;
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;

use super::close::{ABNORMAL, Close, NO_CODE};
use super::deflate::{Codec, Shared};
use super::frame::{Head, Opcode};
use super::reader::{self, Reader};
use super::{Ended, Kind, Limits, Violation};
use crate::protocol::ProtocolError;

/// What the caller is told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A message, or a control frame that needs no answer any more.
    Came(Kind, Bytes),
    /// Nothing more will come: see [`Session::ended`].
    End,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// We have sent a close frame, and wait for the peer's.
    Closing,
    /// It is over: nothing is sent or read.
    Over,
}

/// One connection: the client's side of RFC 6455.
pub(super) struct Session {
    state: State,
    reader: Reader,
    /// What came of it, once it is over.
    ended: Option<Ended>,
    /// Keys of frames. They keep proxies from taking a script's text for another protocol's (RFC
    /// 6455, 10.3), which nobody tries here: it is enough that they are not known before.
    keys: SplitMix64,
}

impl Session {
    /// Begins after a handshake.
    pub(super) fn new(limits: &Limits, codec: Option<Codec>) -> Self {
        let keys = SplitMix64::try_from_rng(&mut SysRng);
        Self {
            state: State::Open,
            reader: Reader::new(limits, codec),
            ended: None,
            keys: keys.unwrap_or_else(|_| SplitMix64::seed_from_u64(0)),
        }
    }

    /// Returns whether messages can be sent.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns what came of it, once it is over.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Writes a message to `out`; false if none can be sent any more.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        payload: &[u8],
        shared: &Shared,
        out: &mut Vec<u8>,
    ) -> bool {
        if !self.is_open() {
            return false;
        }
        let opcode = match kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
            Kind::Ping => Opcode::Ping,
            Kind::Pong => Opcode::Pong,
        };
        if !opcode.is_control()
            && let Some(codec) = self.reader.codec()
        {
            let mut compressed = Vec::new();
            if codec.compress(shared, payload, &mut compressed) {
                let head = Head::whole(opcode, compressed.len());
                let head = Head { compressed: true, ..head };
                head.write(self.key(), &compressed, out);
                return true;
            }
        }
        self.write(opcode, payload, out);
        true
    }

    /// Begins to close; does nothing if that was begun before.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str, out: &mut Vec<u8>) {
        if self.is_open() {
            self.write(Opcode::Close, &Close::payload(code, reason), out);
            self.state = State::Closing;
        }
    }

    /// Takes from `input` up to the next event, and writes what must be answered to `out`.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        shared: &Shared,
        out: &mut Vec<u8>,
    ) -> Option<Event> {
        if self.state == State::Over {
            return None;
        }
        let came = match self.reader.next(input, shared) {
            Ok(came) => came?,
            Err(violation) => {
                self.fail(&violation, out);
                return Some(Event::End);
            }
        };
        Some(match came {
            reader::Event::Text(data) => Event::Came(Kind::Text, data),
            reader::Event::Binary(data) => Event::Came(Kind::Binary, data),
            reader::Event::Pong(data) => Event::Came(Kind::Pong, data),
            reader::Event::Ping(data) => {
                // After a close frame nothing is sent (RFC 6455, 5.5.1).
                if self.is_open() {
                    self.write(Opcode::Pong, &data, out);
                }
                Event::Came(Kind::Ping, data)
            }
            reader::Event::Close(close) => {
                if self.is_open() {
                    self.write(Opcode::Close, &Close::payload(close.code, ""), out);
                }
                let code = close.code.unwrap_or(NO_CODE);
                self.end(Ended { code, reason: close.reason, error: None });
                Event::End
            }
        })
    }

    /// Notes that the connection broke off, or was given up.
    pub(super) fn lost(&mut self, error: ProtocolError) {
        self.end(Ended { code: ABNORMAL, reason: "".into(), error: Some(error) });
    }

    /// Tells the peer what it did wrong, and ends.
    fn fail(&mut self, violation: &Violation, out: &mut Vec<u8>) {
        if self.is_open() {
            let payload = Close::payload(Some(violation.code), violation.why);
            self.write(Opcode::Close, &payload, out);
        }
        self.lost(ProtocolError::from(violation));
    }

    fn end(&mut self, ended: Ended) {
        self.state = State::Over;
        self.ended.get_or_insert(ended);
    }

    fn write(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        Head::whole(opcode, payload.len()).write(self.key(), payload, out);
    }

    fn key(&mut self) -> [u8; 4] {
        self.keys.next_u32().to_ne_bytes()
    }
}
