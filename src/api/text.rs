//! Text between scripts and the native side. Short ones, as most names, words and ids are, lie in the
//! value itself: a call with a few strings allocates nothing for them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use crate::units;

/// As many bytes as fit into the value without making it larger.
const SHORT: usize = 30;

/// Text as bytes that are meant as UTF-8, though a server may have sent others. Cheap to clone.
#[derive(Clone)]
pub struct Text(Form);

#[derive(Clone)]
enum Form {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Bytes),
}

impl Text {
    /// Takes bytes as text.
    pub fn from_bytes(bytes: Bytes) -> Self {
        match Form::short(&bytes) {
            Some(short) => Self(short),
            None => Self(Form::Long(bytes)),
        }
    }

    /// Copies bytes as text.
    pub fn copy(bytes: &[u8]) -> Self {
        Self(Form::short(bytes).unwrap_or_else(|| Form::Long(Bytes::copy_from_slice(bytes))))
    }

    /// Takes a constant as text, without a copy.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Form::Long(Bytes::from_static(text.as_bytes())))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Short { length, bytes } => &bytes[..usize::from(*length)],
            Form::Long(bytes) => bytes,
        }
    }

    /// Returns the bytes; long ones without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Form::Long(bytes) => bytes,
            Form::Short { .. } => Bytes::copy_from_slice(self.as_bytes()),
        }
    }

    /// Returns the text, with what is not UTF-8 replaced.
    pub fn to_str(&self) -> Cow<'_, str> {
        units::lossy(self.as_bytes())
    }
}

impl Form {
    fn short(bytes: &[u8]) -> Option<Self> {
        let mut own = [0; SHORT];
        own.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self::Short { length: bytes.len() as u8, bytes: own })
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Form::Short { length: 0, bytes: [0; SHORT] })
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::copy(text.as_bytes())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        match Form::short(text.as_bytes()) {
            Some(short) => Self(short),
            None => Self(Form::Long(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::Value;

    #[test]
    fn a_text_makes_a_value_no_larger() {
        assert_eq!(size_of::<Text>(), 40);
        assert_eq!(size_of::<Value>(), 40);
    }

    proptest! {
        #[test]
        fn texts_of_all_lengths_and_origins_are_what_was_given(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let texts = [Text::copy(&bytes), Text::from_bytes(bytes.clone().into())];
            for text in &texts {
                prop_assert_eq!(text.as_bytes(), &*bytes);
                prop_assert_eq!(&text.clone().into_bytes(), &*bytes);
                prop_assert_eq!(text.to_str(), String::from_utf8_lossy(&bytes));
            }
            prop_assert_eq!(&texts[0], &texts[1]);
        }

        #[test]
        fn texts_are_ordered_as_their_bytes(one in ".{0,40}", two in ".{0,40}") {
            let (a, b) = (Text::from(one.as_str()), Text::from(two.clone()));
            prop_assert_eq!(a.cmp(&b), one.as_bytes().cmp(two.as_bytes()));
            prop_assert_eq!(a == b, one == two);
        }
    }
}
