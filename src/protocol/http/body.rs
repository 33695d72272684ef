//! An answer's body as it gathers, never more than may be kept.

use bytes::Bytes;

use crate::protocol::{ErrorKind, ProtocolError};

/// As much as is reserved for a body on the word of its head.
const RESERVED_MAX: u64 = 1 << 20;

/// The body of one answer.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    /// The most bytes that may be kept; `None` if they are dropped.
    limit: Option<u64>,
}

impl Body {
    /// Returns an empty body.
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// Takes note of the length that the head announces.
    ///
    /// # Errors
    ///
    /// It is more than may be kept.
    pub(super) fn announce(&mut self, length: Option<u64>) -> Result<(), ProtocolError> {
        let (Some(limit), Some(length)) = (self.limit, length) else { return Ok(()) };
        if length > limit {
            return Err(ErrorKind::BodyTooLarge.into());
        }
        self.bytes.reserve_exact(length.min(RESERVED_MAX) as usize);
        Ok(())
    }

    /// Takes a part.
    ///
    /// # Errors
    ///
    /// The body is larger than may be kept.
    pub(super) fn take(&mut self, part: &[u8]) -> Result<(), ProtocolError> {
        let Some(limit) = self.limit else { return Ok(()) };
        let size = self.bytes.len() + part.len();
        if size as u64 > limit {
            return Err(ErrorKind::BodyTooLarge.into());
        }
        if size > self.bytes.capacity() {
            // Most bodies come in one part. If not, twice as much each time, up to the limit.
            let twice = if self.bytes.is_empty() { size } else { 2 * size };
            let room = limit.min(twice as u64) as usize;
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Returns the whole body.
    pub(super) fn into_bytes(mut self) -> Bytes {
        // Scripts keep bodies: not with half of their memory empty.
        self.bytes.shrink_to_fit();
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_announced_length_is_reserved_once_and_not_beyond_reason() {
        let mut body = Body::new(Some(u64::MAX));
        body.announce(Some(12)).expect("within the limit");
        assert_eq!(body.bytes.capacity(), 12);
        let mut body = Body::new(Some(u64::MAX));
        body.announce(Some(1 << 40)).expect("within the limit");
        assert!(body.bytes.capacity() as u64 <= RESERVED_MAX);
        assert!(Body::new(Some(5)).announce(Some(6)).is_err());
        Body::new(None).announce(Some(u64::MAX)).expect("nothing is kept");
    }

    proptest! {
        #[test]
        fn memory_stays_within_the_limit_however_the_body_comes(
            parts in prop::collection::vec(0..5_000_usize, 0..30),
            limit in 1..60_000_u64,
            announced in prop::option::of(0..60_000_u64),
        ) {
            let mut body = Body::new(Some(limit));
            let mut whole = 0;
            let fits = body.announce(announced).is_ok() && parts.iter().all(|size| {
                whole += size;
                let taken = body.take(&vec![b'x'; *size]).is_ok();
                assert_eq!(taken, whole as u64 <= limit);
                taken
            });
            prop_assert!(body.bytes.capacity() as u64 <= limit);
            if fits {
                prop_assert_eq!(body.into_bytes().len(), whole);
            }
        }
    }
}
