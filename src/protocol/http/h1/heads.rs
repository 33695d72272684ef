//! Heads that have come before: most answers of a server have the same one, byte for byte, but for a
//! date that changes once in a second. One that is known need not be parsed and copied again.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher as _;

use hashbrown::DefaultHashBuilder;
use memchr::memmem::Finder;

use super::head::{self, Head, Parsed, Said};
use crate::protocol::ProtocolError;

/// How many are known at a time; a power of two.
const PLACES: usize = 128;
/// Longer ones are not worth their memory.
const BYTES_MAX: usize = 2048;

/// The heads that a worker knows.
pub(in crate::protocol) struct Heads {
    places: RefCell<Vec<Place>>,
    /// The place of the one that came last: it often comes again.
    latest: Cell<usize>,
    hasher: DefaultHashBuilder,
    end: Finder<'static>,
}

/// What came last with a hash that belongs here.
#[derive(Default)]
struct Place {
    hash: u64,
    /// Nothing as long as it came only once: many heads come never again.
    known: Option<Known>,
}

struct Known {
    bytes: Box<[u8]>,
    head: Head,
    said: Said,
}

impl Known {
    fn again(&self) -> (usize, Parsed) {
        (self.bytes.len(), Parsed::Final(self.head.clone(), self.said))
    }
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            places: RefCell::default(),
            latest: Cell::default(),
            hasher: DefaultHashBuilder::default(),
            end: Finder::new(b"\r\n\r\n"),
        }
    }
}

impl Heads {
    /// Parses the head at the beginning of `bytes` and returns how long it is, as [`head::parse`]
    /// does.
    ///
    /// # Errors
    ///
    /// What stands there can become no head.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<(usize, Parsed), ProtocolError> {
        let mut places = self.places.borrow_mut();
        if places.is_empty() {
            places.resize_with(PLACES, Place::default);
        }
        if let Some(known) = &places[self.latest.get()].known
            && bytes.starts_with(&known.bytes)
        {
            return Ok(known.again());
        }
        let reach = &bytes[..bytes.len().min(BYTES_MAX)];
        let Some(end) = self.end.find(reach) else { return head::parse(bytes) };
        let text = &bytes[..end + 4];
        let hash = self.hasher.hash_one(text);
        let at = hash as usize % PLACES;
        let place = &mut places[at];
        let came_before = place.hash == hash;
        if let (true, Some(known)) = (came_before, &place.known)
            && *known.bytes == *text
        {
            self.latest.set(at);
            return Ok(known.again());
        }
        let (length, parsed) = head::parse(bytes)?;
        // A head that ends elsewhere for the parser is left to the parser.
        *place = match &parsed {
            Parsed::Final(head, said) if came_before && length == text.len() => Place {
                hash,
                known: Some(Known { bytes: text.into(), head: head.clone(), said: *said }),
            },
            _ => Place { hash, known: None },
        };
        Ok((length, parsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Part: a\r\n\r\n";

    fn known(heads: &Heads) -> usize {
        heads.places.borrow().iter().filter(|place| place.known.is_some()).count()
    }

    #[test]
    fn a_head_is_known_from_its_second_time_on_whatever_follows_it() {
        let heads = Heads::default();
        for (time, body) in [&b"ok"[..], b"", b"no", b"ok\r\n\r\n"].into_iter().enumerate() {
            let answer = [HEAD, body].concat();
            assert_eq!(heads.parse(&answer), head::parse(&answer));
            assert_eq!(known(&heads), usize::from(time > 0));
        }
    }

    #[test]
    fn what_is_no_whole_final_head_is_never_known() {
        let heads = Heads::default();
        for bytes in [
            &HEAD[..HEAD.len() - 1],
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
            b"nonsense\r\n\r\n",
        ] {
            for _ in 0..3 {
                assert_eq!(heads.parse(bytes), head::parse(bytes));
            }
        }
        assert_eq!(known(&heads), 0);
    }

    #[test]
    fn heads_that_differ_in_a_byte_are_different_heads() {
        let heads = Heads::default();
        for time in 0..3 {
            for byte in b'a'..=b'z' {
                let mut head = HEAD.to_vec();
                head[HEAD.len() - 5] = byte;
                let (_, parsed) = heads.parse(&head).expect("a head");
                let Parsed::Final(parsed, _) = parsed else { panic!("{time}: {parsed:?}") };
                assert_eq!(parsed.headers.get("x-part"), Some(&[byte][..]));
            }
        }
    }
}
