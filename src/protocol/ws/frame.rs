//! Frames (RFC 6455, 5.2): their heads, and the mask of what a client sends.

use super::Violation;

/// The longest head of a frame from a server, which has no mask.
pub(super) const HEAD_BYTES_MAX: usize = 10;
/// The largest payload of a control frame (RFC 6455, 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// More of a message that was begun.
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Returns whether it may stand between the frames of a message.
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether it is the last of its message.
    pub(super) fin: bool,
    /// Whether the message that begins here is compressed (RFC 7692, 6).
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    /// Bytes of its payload.
    pub(super) length: u64,
}

impl Head {
    /// Reads the head of a server's frame at the beginning of `bytes`; returns it with its length,
    /// or nothing if it is not there in full. What is wrong is said as early as it can be seen.
    ///
    /// # Errors
    ///
    /// No server may send such a frame.
    pub(super) fn read(
        bytes: &[u8],
        compression: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let compressed = first & COMPRESSED != 0;
        if first & RESERVED != 0 || compressed && !compression {
            return Err(Violation::protocol("a frame has reserved bits set"));
        }
        let Some(opcode) = Opcode::of(first & 0x0f) else {
            return Err(Violation::protocol("a frame has a reserved opcode"));
        };
        let fin = first & FIN != 0;
        if opcode.is_control() && (!fin || compressed) {
            return Err(Violation::protocol("a control frame is fragmented or compressed"));
        }
        if opcode == Opcode::Continuation && compressed {
            return Err(Violation::protocol("a continuation has the bit of compression"));
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED != 0 {
            return Err(Violation::protocol("a frame from the server is masked"));
        }
        let (length, size) = match second {
            126 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None if opcode.is_control() => (126, 2),
                None => return Ok(None),
            },
            127 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None if opcode.is_control() => (127, 2),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if opcode.is_control() && (second > 125 || length > CONTROL_BYTES_MAX as u64) {
            return Err(Violation::protocol("a control frame is longer than 125 bytes"));
        }
        if length > u64::MAX / 2 {
            return Err(Violation::protocol("a frame's length has its highest bit set"));
        }
        Ok(Some((Self { fin, compressed, opcode, length }, size)))
    }

    /// Returns the head of a whole message, or of a control frame.
    pub(super) fn whole(opcode: Opcode, length: usize) -> Self {
        Self { fin: true, compressed: false, opcode, length: length as u64 }
    }

    /// Writes a client's frame: this head, the key, the payload under the mask of the key.
    pub(super) fn write(self, key: [u8; 4], payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(HEAD_BYTES_MAX + key.len() + payload.len());
        let fin = if self.fin { FIN } else { 0 };
        let compressed = if self.compressed { COMPRESSED } else { 0 };
        out.push(fin | compressed | self.opcode.number());
        match payload.len() {
            short @ ..=125 => out.push(MASKED + short as u8),
            medium @ ..=0xffff => {
                out.push(MASKED + 126);
                out.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                out.push(MASKED + 127);
                out.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&key);
        let at = out.len();
        out.extend_from_slice(payload);
        mask(&mut out[at..], key);
    }
}

/// Puts a mask on, or takes it off (RFC 6455, 5.3).
pub(super) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mask_is_the_one_of_the_rfc() {
        // RFC 6455, 5.7: a single-frame masked text message.
        let mut out = Vec::new();
        Head::whole(Opcode::Text, 5).write([0x37, 0xfa, 0x21, 0x3d], b"Hello", &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            Head::whole(Opcode::Binary, length).write([0; 4], &vec![1; length], &mut out);
            assert_eq!(out.len(), head + 4 + length, "{length}");
            // The same without a mask is a server's.
            out[1] &= 0x7f;
            let read = Head::read(&out, false).expect("valid").expect("whole");
            assert_eq!(read, (Head::whole(Opcode::Binary, length), head));
            for cut in 0..head {
                assert_eq!(Head::read(&out[..cut], false), Ok(None), "{length} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_no_server_may_send_is_seen_at_the_first_byte_that_shows_it() {
        for bytes in [
            &[0x90][..],
            &[0xa1],
            &[0xc1],
            &[0x83],
            &[0x8b],
            &[0x09],
            &[0xc9],
            &[0x81, 0x80],
            &[0x89, 126],
            &[0x88, 127],
            &[0x89, 126, 0, 1],
            &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let violation = Head::read(bytes, false).expect_err("no such frame");
            assert_eq!(violation.code, 1002, "{bytes:x?}");
        }
        assert!(Head::read(&[0xc1, 0], true).is_ok_and(|head| head.is_some()));
        assert!(Head::read(&[0xc0, 0], true).is_err());
    }

    proptest! {
        #[test]
        fn a_mask_is_taken_off_as_it_is_put_on(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            key in any::<[u8; 4]>(),
        ) {
            let mut masked = bytes.clone();
            mask(&mut masked, key);
            let plain = bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
            prop_assert_eq!(&masked, &plain.collect::<Vec<_>>());
            mask(&mut masked, key);
            prop_assert_eq!(masked, bytes);
        }
    }
}
