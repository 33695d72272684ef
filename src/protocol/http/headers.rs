//! Header lines in one block: what came, what was sent, what an author gave.
//!
//! A header map takes a KiB of its own, and its values are slices of a read buffer that they pin.
//! Here the lines lie one behind the other in a single allocation, which clones share; look-ups
//! walk over it, since few heads have more than twenty lines.

use std::fmt;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Bytes before each line: the lengths of its name (2) and of its value (4).
const PREFIX: usize = 6;

/// Header lines in their order; those of one name stay apart.
///
/// Names are kept in lower case and found in any. A clone shares the block.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    block: Bytes,
}

/// Why a line cannot stand in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// The name is no token (RFC 9110, 5.6.2).
    #[error("a header's name must be a token: letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// The value has a control character, or is longer than any head.
    #[error("a header's value cannot have control characters")]
    Value,
}

impl Headers {
    /// Returns no headers; this does not allocate.
    pub const fn new() -> Self {
        Self { block: Bytes::new() }
    }

    /// Returns headers that are known to be valid, in one allocation.
    pub(super) fn of<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Self {
        let size = lines.clone().map(|(name, value)| PREFIX + name.len() + value.len()).sum();
        Self::sized(size, lines)
    }

    /// Returns the headers of a map that are known to be valid, in one allocation.
    pub(super) fn of_map(map: &HeaderMap) -> Self {
        let bytes =
            |(name, value): (&HeaderName, &HeaderValue)| PREFIX + name.as_str().len() + value.len();
        let lines = map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        Self::sized(map.iter().map(bytes).sum(), lines)
    }

    fn sized<'a>(size: usize, lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut block = Vec::with_capacity(size);
        for (name, value) in lines {
            push(&mut block, name, value);
        }
        Self { block: block.into() }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Returns names and values in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { lines: Lines(&self.block) }
    }

    /// Returns the first value of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Returns all values of a name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let lines = Lines(&self.block);
        lines.filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|l| l.1)
    }

    /// Returns whether there is a line of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds a line at the end.
    ///
    /// # Errors
    ///
    /// The name or the value cannot stand in a head.
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), BadHeader> {
        check(name, value)?;
        self.edit(|block| push(block, name.as_bytes(), value));
        Ok(())
    }

    /// Puts a line in the place of the first of this name, and removes its others; adds it at the
    /// end if there is none.
    ///
    /// # Errors
    ///
    /// The name or the value cannot stand in a head.
    pub fn insert(&mut self, name: &str, value: &[u8]) -> Result<(), BadHeader> {
        check(name, value)?;
        if !self.contains(name) {
            self.edit(|block| push(block, name.as_bytes(), value));
            return Ok(());
        }
        let mut block = Vec::with_capacity(self.block.len() + value.len());
        let mut placed = false;
        for (known, old) in Lines(&self.block) {
            if !known.eq_ignore_ascii_case(name.as_bytes()) {
                push(&mut block, known, old);
            } else if !std::mem::replace(&mut placed, true) {
                push(&mut block, known, value);
            }
        }
        self.block = block.into();
        Ok(())
    }

    /// Removes all lines of a name.
    pub fn remove(&mut self, name: &str) {
        if !self.contains(name) {
            return;
        }
        let lines = Lines(&self.block);
        *self = Self::of(lines.filter(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes())));
    }

    /// Returns the bytes that it holds.
    pub fn held_bytes(&self) -> usize {
        self.block.len()
    }

    /// Lets the block grow in place unless a clone shares it.
    fn edit(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut block = Vec::from(std::mem::take(&mut self.block));
        change(&mut block);
        self.block = block.into();
    }
}

fn push(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.extend_from_slice(&(name.len() as u16).to_le_bytes());
    block.extend_from_slice(&(value.len() as u32).to_le_bytes());
    let at = block.len();
    block.extend_from_slice(name);
    block[at..].make_ascii_lowercase();
    block.extend_from_slice(value);
}

/// Returns whether a line can stand in a head.
///
/// # Errors
///
/// Its name or its value cannot.
pub(super) fn check(name: &str, value: &[u8]) -> Result<(), BadHeader> {
    if name.is_empty() || name.len() > usize::from(u16::MAX) || !name.bytes().all(is_token) {
        return Err(BadHeader::Name);
    }
    if value.len() > u32::MAX as usize || !value.iter().copied().all(is_value) {
        return Err(BadHeader::Value);
    }
    Ok(())
}

/// Returns whether a byte can be in a token, such as a name (RFC 9110, 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*'
        | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Returns whether a byte can be in a value (RFC 9110, 5.5).
pub(super) const fn is_value(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f || byte == b'\t'
}

/// Walks over a block.
#[derive(Clone)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk()?;
        let (value, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at(usize::from(u16::from_le_bytes(*name)));
        let (value, rest) = rest.split_at(u32::from_le_bytes(*value) as usize);
        self.0 = rest;
        Some((name, value))
    }
}

/// Names, in lower case, and values in their order.
#[derive(Clone)]
pub struct Iter<'a> {
    lines: Lines<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.lines.next()?;
        // They are tokens, which are ASCII.
        Some((std::str::from_utf8(name).unwrap_or_default(), value))
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(lines).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.append(name, value.as_bytes()).expect("valid");
        }
        headers
    }

    fn lines(headers: &Headers) -> Vec<(String, String)> {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("text");
        headers.iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    #[test]
    fn values_are_found_by_name_in_any_case_and_order_is_kept() {
        let headers = of(&[("X-A", "1"), ("set-cookie", "a=b"), ("Set-Cookie", "c=d")]);
        assert_eq!(headers.all("SET-cookie").collect::<Vec<_>>(), [b"a=b", b"c=d"]);
        assert_eq!(headers.get("x-a"), Some(&b"1"[..]));
        let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-a", "set-cookie", "set-cookie"]);
        assert!(!headers.contains("x") && headers.get("missing").is_none());
    }

    #[test]
    fn what_is_put_in_takes_the_place_of_its_namesakes() {
        let mut headers = of(&[("a", "1"), ("b", "2"), ("A", "3"), ("c", "4")]);
        let shared = headers.clone();
        headers.insert("A", b"new").expect("valid");
        headers.insert("d", b"").expect("valid");
        headers.remove("C");
        assert_eq!(headers, of(&[("a", "new"), ("b", "2"), ("d", "")]));
        assert_eq!(lines(&shared).len(), 4);
    }

    #[test]
    fn lines_that_would_break_a_head_are_refused() {
        let mut headers = Headers::new();
        for name in ["", "a b", "a:", "é", "a\r\n"] {
            assert_eq!(headers.append(name, b""), Err(BadHeader::Name), "{name:?}");
        }
        for value in ["a\r\nb: c", "\0", "\x7f"] {
            assert_eq!(headers.insert("a", value.as_bytes()), Err(BadHeader::Value), "{value:?}");
        }
        assert!(headers.is_empty());
        headers.append("a", b"\xff\t ").expect("obs-text and tabs may be in values");
    }

    proptest! {
        #[test]
        fn a_block_holds_what_was_put_in(
            given in prop::collection::vec(("[A-Za-z-]{1,9}", "[ -~]{0,20}"), 0..12),
            gone in "[a-c]",
        ) {
            let pairs: Vec<(&str, &str)> = given.iter().map(|(n, v)| (&**n, &**v)).collect();
            let mut headers = of(&pairs);
            let lower = given.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone()));
            let mut expected: Vec<(String, String)> = lower.collect();
            prop_assert_eq!(lines(&headers), expected.clone());
            let at_once = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
            prop_assert_eq!(&Headers::of(at_once), &headers);
            headers.remove(&gone);
            expected.retain(|(name, _)| *name != gone);
            prop_assert_eq!(lines(&headers), expected);
        }
    }
}
