//! Content codings (RFC 9110, 8.4): their names, and bodies that are sent in them.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// The format of zlib (RFC 1950).
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// Between speed and size, where servers that pack as they answer have it; k6's encoder has the same.
const BROTLI_QUALITY: u32 = 6;
const BROTLI_WINDOW_LOG: u32 = 22;
const BROTLI_BUFFER_BYTES: usize = 4096;

impl Coding {
    /// Returns the coding of a name, in any case.
    pub fn of(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else if is("br") {
            Some(Self::Brotli)
        } else if is("zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Returns a body in this coding, at the level that its tools have by default.
    pub fn pack(self, body: &[u8]) -> Bytes {
        let packed = match self {
            Self::Gzip => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(body).and_then(|()| packer.finish())
            }
            Self::Deflate => {
                let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
                packer.write_all(body).and_then(|()| packer.finish())
            }
            Self::Brotli => brotlied(body),
            Self::Zstd => zstd::stream::encode_all(body, zstd::DEFAULT_COMPRESSION_LEVEL),
        };
        packed.expect("memory can be written to").into()
    }
}

fn brotlied(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = brotli::CompressorWriter::new(
        Vec::new(),
        BROTLI_BUFFER_BYTES,
        BROTLI_QUALITY,
        BROTLI_WINDOW_LOG,
    );
    packer.write_all(body)?;
    Ok(packer.into_inner())
}
