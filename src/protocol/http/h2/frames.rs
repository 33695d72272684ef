//! Frames as they pass by (RFC 9113, 4.1): whose bytes are moving, without a look inside.

/// What a client says before its first frame (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// The head that each frame has.
const HEAD_BYTES: usize = 9;

/// The kinds of frames that are told apart here (RFC 9113, 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Settings,
    Continuation,
    Other,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The stream's identifier; 0 for the connection.
    pub(super) stream: u32,
    flags: u8,
}

impl Frame {
    /// Returns whether a request's or an answer's own bytes are in it.
    pub(super) fn is_message(self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers | Kind::Continuation)
    }

    /// Returns whether its sender sends nothing more on the stream but what continues this one.
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags & 1 != 0
    }
}

/// Follows the frames of one direction, in whatever pieces they come.
#[derive(Debug)]
pub(super) struct Walker {
    head: [u8; HEAD_BYTES],
    /// How much of `head` is there.
    got: usize,
    /// What is left of the frame's payload.
    left: usize,
    /// What is left of the preface.
    preface: usize,
}

impl Walker {
    /// Returns one for what a server sends.
    pub(super) fn incoming() -> Self {
        Self { head: [0; HEAD_BYTES], got: 0, left: 0, preface: 0 }
    }

    /// Returns one for what a client sends.
    pub(super) fn outgoing() -> Self {
        Self { preface: PREFACE_BYTES, ..Self::incoming() }
    }

    /// Walks on over some bytes. `passed` hears of each frame that has bytes among them once its
    /// head is complete, and whether it ends there.
    pub(super) fn walk(&mut self, bytes: &[u8], mut passed: impl FnMut(Frame, bool)) {
        let mut rest = &bytes[self.preface.min(bytes.len())..];
        self.preface -= bytes.len() - rest.len();
        while !rest.is_empty() {
            if self.got < HEAD_BYTES {
                let taken = rest.len().min(HEAD_BYTES - self.got);
                let (part, after) = rest.split_at(taken);
                self.head[self.got..self.got + taken].copy_from_slice(part);
                self.got += taken;
                rest = after;
                if self.got < HEAD_BYTES {
                    return;
                }
                let [a, b, c, ..] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            let taken = rest.len().min(self.left);
            rest = &rest[taken..];
            self.left -= taken;
            passed(self.frame(), self.left == 0);
            if self.left == 0 {
                self.got = 0;
            }
        }
    }

    fn frame(&self) -> Frame {
        let [_, _, _, kind, flags, stream @ ..] = self.head;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            4 => Kind::Settings,
            9 => Kind::Continuation,
            _ => Kind::Other,
        };
        // The highest bit is reserved and must be ignored.
        Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(frames: &[(u8, u8, u32, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, flags, stream, size) in frames {
            bytes.extend_from_slice(&(*size as u32).to_be_bytes()[1..]);
            bytes.extend_from_slice(&[*kind, *flags]);
            bytes.extend_from_slice(&stream.to_be_bytes());
            bytes.resize(bytes.len() + size, 0xff);
        }
        bytes
    }

    fn ended(walker: &mut Walker, pieces: &[&[u8]]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for piece in pieces {
            walker.walk(piece, |frame, ended| {
                if ended {
                    frames.push(frame);
                }
            });
        }
        frames
    }

    #[test]
    fn a_frame_is_told_with_each_of_its_pieces() {
        let bytes = encoded(&[(1, 0x5, 3, 4), (0, 1, 0x8000_0003, 0)]);
        let mut told = Vec::new();
        let mut walker = Walker::incoming();
        for piece in [&bytes[..8], &bytes[8..9], &bytes[9..11], &bytes[11..]] {
            walker.walk(piece, |frame, ended| told.push((frame.kind, frame.stream, ended)));
        }
        let expected = [
            (Kind::Headers, 3, false),
            (Kind::Headers, 3, false),
            (Kind::Headers, 3, true),
            (Kind::Data, 3, true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_ends_a_stream_is_a_flag_of_two_kinds_of_frames() {
        let bytes =
            encoded(&[(0, 1, 1, 0), (1, 0, 1, 0), (4, 1, 0, 0), (8, 1, 1, 4), (9, 4, 1, 0)]);
        let frames = ended(&mut Walker::incoming(), &[&bytes]);
        let ends: Vec<bool> = frames.iter().map(|frame| frame.ends_stream()).collect();
        assert_eq!(ends, [true, false, false, false, false]);
        let own: Vec<bool> = frames.iter().map(|frame| frame.is_message()).collect();
        assert_eq!(own, [true, true, false, false, true]);
    }

    proptest! {
        #[test]
        fn frames_are_the_same_in_whatever_pieces_they_come(
            frames in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u32>(), 0..40_usize), 0..12),
            sizes in prop::collection::vec(1..30_usize, 1..40),
        ) {
            let mut bytes = vec![b'P'; PREFACE_BYTES];
            bytes.extend(encoded(&frames));
            let whole = ended(&mut Walker::outgoing(), &[&bytes]);
            prop_assert_eq!(whole.len(), frames.len());
            let streams: Vec<u32> = frames.iter().map(|frame| frame.2 & 0x7fff_ffff).collect();
            prop_assert_eq!(whole.iter().map(|frame| frame.stream).collect::<Vec<_>>(), streams);
            let (mut rest, mut pieces, mut at) = (&bytes[..], Vec::new(), 0);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes[at % sizes.len()].min(rest.len()));
                pieces.push(piece);
                rest = after;
                at += 1;
            }
            prop_assert_eq!(ended(&mut Walker::outgoing(), &pieces), whole);
        }
    }
}
