//! The chunked transfer coding (RFC 9112, 7.1), byte by byte but for the data itself.

use super::head::invalid;
use crate::protocol::ProtocolError;
use crate::protocol::http::headers::{is_token, is_value};

/// The longest line before a chunk: its size with extensions.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// As much as all lines of a body may have beyond their sizes: extensions are for nobody here.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// As much as trailers may have, in bytes and in lines.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
const TRAILER_LINES_MAX: usize = 100;

/// Where in a chunked body the reader is.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    /// The size as far as it was read; then what is left of the chunk.
    left: u64,
    /// Bytes of the line so far; from the last chunk on, of all trailers.
    line: usize,
    /// Bytes of all extensions so far.
    extensions: usize,
    /// Lines of trailers so far.
    trailers: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    #[default]
    Start,
    /// The other digits.
    Size,
    /// Blanks behind the size.
    Blank,
    Extension,
    /// The line feed behind the size.
    SizeEnd,
    Data,
    /// The line end behind the data.
    DataCr,
    DataLf,
    /// The first byte of a trailer, or of the empty line that ends all.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// What a reader came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'b> {
    Data(&'b [u8]),
    /// All was read, and more must come.
    More,
    End,
}

impl Chunked {
    /// Takes the next part of the body from the front of `input`.
    ///
    /// # Errors
    ///
    /// A rule of the coding is broken, or a limit.
    pub(super) fn next<'b>(&mut self, input: &mut &'b [u8]) -> Result<Part<'b>, ProtocolError> {
        loop {
            match self.at {
                At::Done => return Ok(Part::End),
                At::Data if !input.is_empty() => {
                    let size = self.left.min(input.len() as u64) as usize;
                    let (data, rest) = input.split_at(size);
                    *input = rest;
                    self.left -= size as u64;
                    if self.left == 0 {
                        self.at = At::DataCr;
                    }
                    return Ok(Part::Data(data));
                }
                _ => {}
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(Part::More) };
            *input = rest;
            self.at = self.step(byte)?;
        }
    }

    fn step(&mut self, byte: u8) -> Result<At, ProtocolError> {
        self.line += 1;
        let trailing = matches!(
            self.at,
            At::Trailer | At::TrailerName | At::TrailerValue | At::TrailerLf | At::LastLf
        );
        if trailing && self.line > TRAILER_BYTES_MAX {
            return Err(invalid("trailers too large"));
        } else if !trailing && self.line > LINE_BYTES_MAX {
            return Err(invalid("chunk line too long"));
        }
        match (self.at, byte) {
            (At::Size | At::Blank | At::Extension, b'\r') => Ok(At::SizeEnd),
            (At::Size | At::Blank, b' ' | b'\t') => Ok(At::Blank),
            (At::Size | At::Blank, b';') => Ok(At::Extension),
            (At::Start | At::Size, _) => self.digit(byte),
            (At::Extension, _) if is_value(byte) => {
                self.extensions += 1;
                if self.extensions >= EXTENSION_BYTES_MAX {
                    return Err(invalid("chunk extensions too large"));
                }
                Ok(At::Extension)
            }
            (At::SizeEnd, b'\n') => {
                self.line = 0;
                Ok(if self.left == 0 { At::Trailer } else { At::Data })
            }
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => {
                self.line = 0;
                Ok(At::Start)
            }
            (At::Trailer, b'\r') => Ok(At::LastLf),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::Trailer | At::TrailerName, _) if is_token(byte) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if is_value(byte) => Ok(At::TrailerValue),
            (At::TrailerLf, b'\n') => {
                self.trailers += 1;
                if self.trailers > TRAILER_LINES_MAX {
                    return Err(invalid("too many trailers"));
                }
                Ok(At::Trailer)
            }
            (At::LastLf, b'\n') => Ok(At::Done),
            (At::Blank | At::Extension | At::SizeEnd, _) => {
                Err(invalid("the line before a chunk is broken"))
            }
            (At::DataCr | At::DataLf, _) => Err(invalid("a chunk is longer than its size")),
            _ => Err(invalid("a trailer is broken")),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, ProtocolError> {
        let digit = char::from(byte).to_digit(16).ok_or_else(|| invalid("no chunk size"))?;
        let size = self.left.checked_mul(16).ok_or_else(|| invalid("chunk size too large"))?;
        self.left = size + u64::from(digit);
        Ok(At::Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body and what stands behind it; nothing if it is not complete.
    type Read<'t> = Option<(Vec<u8>, &'t [u8])>;

    fn read(mut text: &[u8]) -> Result<Read<'_>, String> {
        let (mut chunked, mut body) = (Chunked::default(), Vec::new());
        loop {
            match chunked.next(&mut text).map_err(|error| error.detail.expect("why"))? {
                Part::Data(data) => body.extend_from_slice(data),
                Part::More => return Ok(None),
                Part::End => return Ok(Some((body, text))),
            }
        }
    }

    #[test]
    fn chunks_are_joined_and_their_extensions_and_trailers_dropped() {
        for text in [
            "5\r\nhello\r\n0\r\n\r\nrest",
            "3;a=\"b;\"\r\nhel\r\n02 \t;c\r\nlo\r\n000;x\r\n\r\nrest",
            "5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\nrest",
        ] {
            assert_eq!(read(text.as_bytes()), Ok(Some((b"hello".to_vec(), &b"rest"[..]))));
        }
        let text = b"A\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn broken_chunks_are_errors() {
        for text in [
            "",
            "g\r\n",
            ";\r\n",
            "\r\n",
            " 5\r\nhello\r\n",
            "5 5\r\n",
            "5\nhello",
            "5\r hello",
            "-1\r\n",
            "0x5\r\n",
            "5\r\nhello0\r\n",
            "5\r\nhello\n0\r\n",
            "5;a\nb\r\n",
            "5;\0\r\n",
            "10000000000000000\r\n",
            "0\r\n: a\r\n",
            "0\r\n a: b\r\n",
            "0\r\na\r\n",
            "0\r\na : b\r\n",
            "0\r\na: \0\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na: b\r\r\n",
            "0\r\n\rx",
            "0\r\na: b\r\n c\r\n",
        ] {
            let expected = if text.is_empty() { Ok(None) } else { read(text.as_bytes()) };
            assert_eq!(expected.is_err(), !text.is_empty(), "{text:?}: {expected:?}");
        }
        assert!(read(b"ffffffffffffffff\r\nx").is_ok_and(|body| body.is_none()));
    }

    #[test]
    fn lines_extensions_and_trailers_have_limits() {
        let long = |size: usize| format!("1;{}\r\nx\r\n", "e".repeat(size));
        let zeros = format!("{}5\r\n", "0".repeat(LINE_BYTES_MAX));
        let trailer = |size: usize| format!("0\r\na: {}\r\n\r\n", "x".repeat(size));
        for (text, why) in [
            (long(LINE_BYTES_MAX), "chunk line too long"),
            (zeros, "chunk line too long"),
            (long(2000).repeat(9), "chunk extensions too large"),
            (trailer(TRAILER_BYTES_MAX), "trailers too large"),
            (format!("0\r\n{}\r\n", "a: b\r\n".repeat(TRAILER_LINES_MAX + 1)), "too many trailers"),
        ] {
            assert_eq!(read(text.as_bytes()), Err(why.to_owned()));
        }
        let fits = format!("0\r\n{}\r\n", "a: b\r\n".repeat(TRAILER_LINES_MAX));
        for text in [long(2000).repeat(8) + "0\r\n\r\n", trailer(TRAILER_BYTES_MAX - 8), fits] {
            assert!(matches!(read(text.as_bytes()), Ok(Some(_))));
        }
    }
}
