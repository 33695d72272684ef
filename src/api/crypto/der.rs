//! DER (X.690), as far as keys are written in it: elements with definite lengths, one after the other.

/// Tags of elements.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// Returns the tag of a marked element, `[NUMBER]` in ASN.1.
pub(super) const fn marked(number: u8) -> u8 {
    0xa0 + number
}

/// Reads elements from the front of bytes.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Takes the next element if it has this tag; returns what is in it.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (length, rest) = length(rest)?;
        if *found != tag {
            return None;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// Takes a sequence; returns a reader of what is in it.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// Takes a string of whole bytes that is written as bits.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        match self.take(BIT_STRING)? {
            [0, bytes @ ..] => Some(bytes),
            _ => None,
        }
    }

    /// Takes a number of at least 0, most significant byte first.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, bytes @ ..] if !bytes.is_empty() => Some(bytes),
            [first, ..] if *first >= 0x80 => None,
            bytes => Some(bytes),
        }
    }
}

/// Reads a length (X.690, 8.1.3); returns what follows it, too.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    // Keys are far below 2^16 bytes.
    let count = usize::from(*first & 0x7f);
    let (digits, rest) = rest.split_at_checked(count).filter(|_| matches!(count, 1 | 2))?;
    Some((digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_one_by_one() {
        let mut reader =
            Reader(&[0x30, 0x05, 0x02, 0x01, 0x07, 0x04, 0x00, 0x02, 0x02, 0x00, 0xff]);
        let mut inner = reader.sequence().unwrap();
        assert_eq!(inner.take(OCTET_STRING), None, "another element comes first");
        assert_eq!(inner.unsigned(), Some(&[7][..]));
        assert_eq!(inner.take(OCTET_STRING), Some(&[][..]));
        assert_eq!(inner.take(OCTET_STRING), None);
        assert_eq!(reader.unsigned(), Some(&[0xff][..]));
    }

    #[test]
    fn what_is_cut_off_or_odd_is_refused() {
        for bytes in [
            &[][..],
            &[0x02],
            &[0x02, 0x02, 0x01],
            &[0x02, 0x80],
            &[0x02, 0x83, 0x00, 0x00, 0x01, 0x07],
            &[0x02, 0x81],
            &[0x02, 0x01, 0x80],
        ] {
            assert_eq!(Reader(bytes).unsigned(), None, "{bytes:?}");
        }
        assert_eq!(Reader(&[0x03, 0x02, 0x01, 0xfe]).bits(), None, "not whole bytes");
        assert_eq!(Reader(&[0x03, 0x00]).bits(), None);
    }

    #[test]
    fn long_lengths_are_read() {
        for (head, length) in [(&[0x04, 0x81, 0x80][..], 128), (&[0x04, 0x82, 0x01, 0x00], 256)] {
            let mut bytes = head.to_vec();
            bytes.extend(vec![1; length]);
            assert_eq!(Reader(&bytes).take(OCTET_STRING).map(<[u8]>::len), Some(length));
        }
    }
}
