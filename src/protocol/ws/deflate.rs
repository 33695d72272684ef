//! Compressed messages (RFC 7692, 7.2).
//!
//! A compressor takes some 260 KiB and a decompressor 40. A socket whose sides keep no context from
//! one message to the next has neither: a worker has one of each for all of them.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Violation;
use super::extension::{Agreed, BITS_MAX};

/// What every flushed message ends with, and no compressed one has on the wire (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The least window of the library.
const BITS_MIN: u8 = 9;
/// What is asked for at a time.
const PART_BYTES: usize = 4 * 1024;

/// What the sockets of a worker share.
#[derive(Default)]
pub(in crate::protocol) struct Shared {
    compress: RefCell<Option<Compress>>,
    inflate: RefCell<Option<Decompress>>,
}

/// A socket's part.
pub(super) struct Codec {
    agreed: Agreed,
    /// Its own if it keeps a context, or has a window of its own.
    compress: Option<Compress>,
    inflate: Option<Decompress>,
}

impl Codec {
    /// Begins without a context.
    pub(super) fn new(agreed: Agreed) -> Self {
        let own = agreed.client_context || agreed.client_window_bits != BITS_MAX;
        // Less than the library can: then what is sent is sent as it is.
        let bits = agreed.client_window_bits;
        Self {
            agreed,
            compress: (own && bits >= BITS_MIN).then(|| new_compress(bits)),
            inflate: agreed.server_context.then(new_inflate),
        }
    }

    /// Appends a message, compressed; false, and nothing is appended, if it is to go as it is.
    pub(super) fn compress(&mut self, shared: &Shared, message: &[u8], out: &mut Vec<u8>) -> bool {
        if self.agreed.client_window_bits < BITS_MIN {
            return false;
        }
        if let Some(own) = &mut self.compress {
            if !self.agreed.client_context {
                own.reset();
            }
            compress(own, message, out);
        } else {
            let mut shared = shared.compress.borrow_mut();
            let shared = shared.get_or_insert_with(|| new_compress(BITS_MAX));
            shared.reset();
            compress(shared, message, out);
        }
        true
    }

    /// Returns a message as it was before it was compressed.
    ///
    /// # Errors
    ///
    /// It is broken, or has more than `limit` bytes.
    pub(super) fn inflate(
        &mut self,
        shared: &Shared,
        message: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, Violation> {
        if let Some(own) = &mut self.inflate {
            return inflate(own, message, limit);
        }
        let mut shared = shared.inflate.borrow_mut();
        let shared = shared.get_or_insert_with(new_inflate);
        shared.reset(false);
        inflate(shared, message, limit)
    }
}

fn new_compress(bits: u8) -> Compress {
    // The fastest, as in k6: the generator's time is dear.
    Compress::new_with_window_bits(Compression::fast(), false, bits)
}

fn new_inflate() -> Decompress {
    Decompress::new_with_window_bits(false, BITS_MAX)
}

fn compress(compress: &mut Compress, message: &[u8], out: &mut Vec<u8>) {
    let (start, before) = (out.len(), compress.total_in());
    loop {
        out.reserve(PART_BYTES.max(message.len() / 2));
        let taken = (compress.total_in() - before) as usize;
        compress
            .compress_vec(&message[taken..], out, FlushCompress::Sync)
            .expect("a compressor takes all bytes");
        let all_in = (compress.total_in() - before) as usize == message.len();
        // With room left nothing is held back.
        if all_in && out.len() < out.capacity() {
            break;
        }
    }
    if out[start..].ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    }
    if out.len() == start {
        // Right after a flush there is nothing to flush, but an empty message is not nothing (RFC
        // 7692, 7.2.3.6).
        out.push(0);
    }
}

fn inflate(inflate: &mut Decompress, message: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
    let mut out = Vec::with_capacity((message.len() * 2).clamp(64, limit.max(64)));
    for part in [message, &TAIL] {
        let mut rest = part;
        loop {
            if out.len() == out.capacity() {
                out.reserve(PART_BYTES.max(out.len()));
            }
            let before = inflate.total_in();
            let status = inflate
                .decompress_vec(rest, &mut out, FlushDecompress::Sync)
                .map_err(|_| Violation::text("a compressed message is broken"))?;
            if out.len() > limit {
                return Err(Violation::too_large());
            }
            rest = &rest[(inflate.total_in() - before) as usize..];
            match status {
                // A message may end its stream (RFC 7692, 7.2.3.4): what follows begins anew.
                Status::StreamEnd => inflate.reset(false),
                // With room left, all that has come was used.
                _ if rest.is_empty() && out.len() < out.capacity() => break,
                _ => {}
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codec(context: bool, bits: u8) -> Codec {
        Codec::new(Agreed {
            client_context: context,
            server_context: context,
            client_window_bits: bits,
        })
    }

    /// Returns what messages become on the wire, by one who sends, and what they are then.
    fn there_and_back(context: bool, bits: u8, messages: &[&[u8]]) -> Vec<usize> {
        let shared = Shared::default();
        let (mut sender, mut receiver) = (codec(context, bits), codec(context, bits));
        let pass = |message: &&[u8]| {
            let mut wire = Vec::new();
            assert!(sender.compress(&shared, message, &mut wire));
            let back = receiver.inflate(&shared, &wire, message.len()).expect("valid");
            assert_eq!(back, *message);
            wire.len()
        };
        messages.iter().map(pass).collect()
    }

    #[test]
    fn examples_of_the_rfc_are_read() {
        let shared = Shared::default();
        let mut keeps = codec(true, 15);
        // RFC 7692, 7.2.3.1 and 7.2.3.2: the second refers to the first.
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(keeps.inflate(&shared, &hello, 5).expect("valid"), b"Hello");
        assert_eq!(keeps.inflate(&shared, &again, 5).expect("valid"), b"Hello");
        let mut forgets = codec(false, 15);
        assert_eq!(forgets.inflate(&shared, &hello, 5).expect("valid"), b"Hello");
        assert_eq!(forgets.inflate(&shared, &again, 5).expect_err("no context").code, 1007);
        // 7.2.3.3: a block without compression; 7.2.3.4: the last block; 7.2.3.5: two blocks.
        for message in [
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00][..],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(forgets.inflate(&shared, message, 5).expect("valid"), b"Hello");
        }
        assert_eq!(forgets.inflate(&shared, b"\0", 0).expect("valid"), b"");
    }

    #[test]
    fn a_context_makes_the_next_message_shorter_and_no_context_does_not() {
        let message = &b"the tide rises, the tide falls, the twilight darkens"[..];
        let kept = there_and_back(true, 15, &[message, message]);
        assert!(kept[1] < kept[0] / 2, "{kept:?}");
        let not_kept = there_and_back(false, 15, &[message, message]);
        assert_eq!(not_kept[0], not_kept[1]);
    }

    #[test]
    fn a_window_is_kept_to() {
        let mut far = vec![0; 4096];
        let mut state = 1_u32;
        for byte in &mut far {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        let twice = [&far[..], &far].concat();
        let wide = there_and_back(false, 15, &[&twice]);
        let narrow = there_and_back(false, 9, &[&twice]);
        assert!(narrow[0] > wide[0] + 3_000, "what lies 4 KiB back is out of sight: {narrow:?}");
        let mut wire = Vec::new();
        assert!(!codec(true, 8).compress(&Shared::default(), &far, &mut wire));
        assert!(wire.is_empty());
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_nonsense_is_refused() {
        let shared = Shared::default();
        let mut wire = Vec::new();
        codec(false, 15).compress(&shared, &vec![0; 1 << 24], &mut wire);
        assert!(wire.len() < 1 << 18);
        let error = codec(false, 15).inflate(&shared, &wire, 1 << 16).expect_err("too large");
        assert_eq!(error.code, 1009);
        let error = codec(false, 15).inflate(&shared, b"\xff\xff\xff", 100).expect_err("broken");
        assert_eq!(error.code, 1007);
    }

    proptest! {
        #[test]
        fn messages_survive(
            messages in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..2_000),
                    prop::collection::vec(0..3_u8, 0..20_000),
                ],
                1..4,
            ),
            context in any::<bool>(),
            bits in 9..=15_u8,
        ) {
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            there_and_back(context, bits, &messages);
        }
    }
}
