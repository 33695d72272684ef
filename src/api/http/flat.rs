//! An answer's headers in one block of their own.
//!
//! A header map's values are slices of the connection's read buffer: kept by a script until its
//! collector runs, they would pin 8 KiB per answer. Copied flat they cost their bytes.

use http::HeaderMap;

/// Headers in one block, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct FlatHeaders {
    block: Box<[u8]>,
    /// Lengths of each name and value in the block, one behind the other.
    lengths: Box<[(u16, u32)]>,
}

impl FlatHeaders {
    /// Copies headers. Their names are in lower case.
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let mut block = Vec::with_capacity(bytes);
        let mut lengths = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            block.extend_from_slice(name.as_str().as_bytes());
            block.extend_from_slice(value.as_bytes());
            // Heads are limited to 64 KiB by the client.
            lengths.push((name.as_str().len() as u16, value.len() as u32));
        }
        Self { block: block.into(), lengths: lengths.into() }
    }

    /// Returns names and values in order.
    fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &*self.block;
        self.lengths.iter().map(move |(name, value)| {
            let (name, after) = rest.split_at(usize::from(*name));
            let (value, after) = after.split_at(*value as usize);
            rest = after;
            (std::str::from_utf8(name).unwrap_or_default(), value)
        })
    }

    /// Returns the names in order, one for each value.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Returns all values of a name in any case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.block.len() + size_of_val(&*self.lengths)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn values_are_found_by_name_in_any_case_and_order_is_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("set-cookie", "a=b"), ("set-cookie", "c=d")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let flat = FlatHeaders::new(&headers);
        assert_eq!(flat.all("Set-Cookie").collect::<Vec<_>>(), [b"a=b", b"c=d"]);
        assert_eq!(flat.all("X-A").collect::<Vec<_>>(), [b"1"]);
        assert_eq!(flat.names().collect::<Vec<_>>(), ["x-a", "set-cookie", "set-cookie"]);
        assert_eq!(flat.all("missing").count(), 0);
    }
}
