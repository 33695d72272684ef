//! Text that comes in parts: whether it can still be UTF-8 (RFC 6455, 8.1).

/// What of a text has been seen so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Utf8 {
    /// The beginning of a character whose end has not come.
    begun: [u8; 4],
    length: u8,
}

/// What has come is the beginning of no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotText;

impl Utf8 {
    /// Looks at the next part.
    ///
    /// # Errors
    ///
    /// With it, what has come is the beginning of no text, whatever may follow.
    pub(super) fn take(&mut self, part: &[u8]) -> Result<(), NotText> {
        let mut part = part;
        while self.length > 0 {
            let Some((&byte, rest)) = part.split_first() else { return Ok(()) };
            part = rest;
            self.begun[usize::from(self.length)] = byte;
            self.length += 1;
            match std::str::from_utf8(&self.begun[..usize::from(self.length)]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NotText),
            }
        }
        match std::str::from_utf8(part) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let begun = &part[error.valid_up_to()..];
                self.begun[..begun.len()].copy_from_slice(begun);
                self.length = begun.len() as u8;
                Ok(())
            }
            Err(_) => Err(NotText),
        }
    }

    /// Ends the text.
    ///
    /// # Errors
    ///
    /// It ends in the middle of a character.
    pub(super) fn end(self) -> Result<(), NotText> {
        if self.length == 0 { Ok(()) } else { Err(NotText) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns whether bytes, in parts cut there, are text; an error is said at its part.
    fn is_text(bytes: &[u8], cuts: &[usize]) -> bool {
        let mut text = Utf8::default();
        let mut from = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            let to = cut.clamp(from, bytes.len());
            if text.take(&bytes[from..to]).is_err() {
                let sure = std::str::from_utf8(&bytes[..to]).expect_err("it is no text");
                assert!(sure.error_len().is_some(), "{bytes:x?} may still become text");
                return false;
            }
            from = to;
        }
        text.end().is_ok()
    }

    #[test]
    fn what_can_become_no_text_is_seen_before_the_next_byte() {
        for bytes in [
            &b"\xff"[..],
            b"\xc0",
            b"\xed\xa0",
            b"\xf4\x90",
            b"\xf5",
            b"\xe0\x80",
            b"\xf0\x8f",
            b"a\x80",
        ] {
            let mut text = Utf8::default();
            let last = bytes.len() - 1;
            for byte in &bytes[..last] {
                assert_eq!(text.take(&[*byte]), Ok(()), "{bytes:x?}");
            }
            assert_eq!(text.take(&bytes[last..]), Err(NotText), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_text_where_the_whole_is(
            pieces in prop::collection::vec(
                prop_oneof![
                    "\\PC{0,3}".prop_map(String::into_bytes),
                    prop::collection::vec(any::<u8>(), 0..2),
                ],
                0..6,
            ),
            cuts in prop::collection::vec(0..24_usize, 0..6),
        ) {
            let bytes = pieces.concat();
            let mut cuts = cuts;
            cuts.sort_unstable();
            prop_assert_eq!(is_text(&bytes, &cuts), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
