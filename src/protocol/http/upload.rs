//! Bodies that are not in memory: bytes and files, sent one after the other, read as they leave.
//!
//! A file is read by the worker itself, a part at a time: what the machine has in its cache, as it
//! has a file that is sent again and again, takes no waiting.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use bytes::Bytes;

use crate::protocol::{ErrorKind, ProtocolError};

/// As much as is read at once.
const PART_BYTES: usize = 64 * 1024;

/// A body that is read while it is sent. Each request that sends it reads it anew.
#[derive(Debug, Default)]
pub struct Upload {
    pieces: Vec<Piece>,
    length: u64,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    File { file: File, path: Box<str>, length: u64 },
}

impl Upload {
    /// Adds bytes.
    pub fn add_bytes(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.length += bytes.len() as u64;
        self.pieces.push(Piece::Bytes(bytes));
    }

    /// Adds a regular file as long as it is now; `path` is what messages call it.
    ///
    /// # Errors
    ///
    /// Its length cannot be asked for.
    pub fn add_file(&mut self, file: File, path: &str) -> io::Result<()> {
        let length = file.metadata()?.len();
        self.length += length;
        self.pieces.push(Piece::File { file, path: path.into(), length });
        Ok(())
    }

    /// Returns how many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// Reads an upload from its beginning to its end.
#[derive(Debug)]
pub(super) struct Reader {
    upload: Rc<Upload>,
    /// The piece that is read.
    piece: usize,
    /// How much of it was read.
    offset: u64,
    /// How much of all was read.
    read: u64,
}

impl Reader {
    pub(super) fn new(upload: &Rc<Upload>) -> Self {
        Self { upload: Rc::clone(upload), piece: 0, offset: 0, read: 0 }
    }

    /// Returns whether all was read.
    pub(super) fn is_done(&self) -> bool {
        self.read == self.upload.length
    }

    /// Reads more; nothing at the end.
    ///
    /// # Errors
    ///
    /// A file cannot be read any more, or has become shorter.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        while let Some(piece) = self.upload.pieces.get(self.piece) {
            let (part, is_last) = match piece {
                Piece::Bytes(bytes) => (bytes.clone(), true),
                Piece::File { file, path, length } => {
                    let part = read_part(file, self.offset, *length - self.offset)
                        .map_err(|error| unreadable(path, &error))?;
                    self.offset += part.len() as u64;
                    (part, self.offset == *length)
                }
            };
            if is_last {
                self.piece += 1;
                self.offset = 0;
            }
            if !part.is_empty() {
                self.read += part.len() as u64;
                return Ok(Some(part));
            }
        }
        Ok(None)
    }
}

fn read_part(file: &File, offset: u64, left: u64) -> io::Result<Bytes> {
    let mut part = vec![0; left.min(PART_BYTES as u64) as usize];
    file.read_exact_at(&mut part, offset)?;
    Ok(part.into())
}

fn unreadable(path: &str, error: &io::Error) -> ProtocolError {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => "a file of the body became shorter while it was sent",
        _ => "a file of the body cannot be read",
    };
    ProtocolError::new(ErrorKind::Other, message).with_detail(format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn all(upload: Upload) -> Result<Vec<u8>, ProtocolError> {
        let mut reader = Reader::new(&Rc::new(upload));
        let mut all = Vec::new();
        while let Some(part) = reader.next()? {
            assert!(!part.is_empty() && part.len() <= PART_BYTES);
            all.extend_from_slice(&part);
            assert_eq!(reader.is_done(), reader.read == reader.upload.length());
        }
        assert!(reader.is_done());
        Ok(all)
    }

    #[test]
    fn pieces_follow_each_other_and_empty_ones_are_passed_over() {
        let large: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let mut upload = Upload::default();
        upload.add_bytes("head");
        upload.add_file(file(b""), "none").expect("added");
        upload.add_file(file(&large), "large").expect("added");
        upload.add_bytes("");
        upload.add_bytes("tail");
        assert_eq!(upload.length(), 200_008);
        assert_eq!(all(upload).expect("read"), [b"head", &large[..], b"tail"].concat());
        assert_eq!(all(Upload::default()).expect("read"), b"");
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_one_that_grew_is_not() {
        let (short, long) = (file(b"0123456789"), file(b"0123456789"));
        let (mut less, mut more) = (Upload::default(), Upload::default());
        less.add_file(short.try_clone().expect("a copy"), "a/b.bin").expect("added");
        more.add_file(long.try_clone().expect("a copy"), "c").expect("added");
        short.set_len(9).expect("cut");
        long.set_len(11).expect("grown");
        let error = all(less).expect_err("shorter");
        assert_eq!(error.message, "a file of the body became shorter while it was sent");
        assert!(error.detail.expect("where").starts_with("a/b.bin: "));
        assert_eq!(all(more).expect("read"), b"0123456789");
    }
}
