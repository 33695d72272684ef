//! Bodies of answers in content codings (RFC 9110, 8.4): gzip, deflate, br, zstd, and chains of them.

use std::io::{self, Read};

use bytes::Bytes;

use super::Coding;
use crate::protocol::{ErrorKind, Headers, ProtocolError};

/// More codings than any server means: each is another pass over the body.
const CODINGS_MAX: usize = 4;
/// The window that RFC 9659 allows to zstd as a content coding: 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const PART_BYTES: usize = 16 * 1024;

/// Decodes a body as its headers say, never to more than `limit` bytes at any stage.
///
/// A coding that is not known ends the decoding: what is left is the body, as in k6.
///
/// # Errors
///
/// A coding's rules are broken, or a stage gets too large.
pub(super) fn decode(headers: &Headers, body: Bytes, limit: u64) -> Result<Bytes, ProtocolError> {
    if body.is_empty() || !headers.contains("content-encoding") {
        return Ok(body);
    }
    let mut names: Vec<&str> = Vec::new();
    for value in headers.all("content-encoding") {
        let listed = std::str::from_utf8(value).unwrap_or_default().split(',').map(str::trim);
        names.extend(listed.filter(|n| !n.is_empty() && !n.eq_ignore_ascii_case("identity")));
    }
    if names.len() > CODINGS_MAX {
        let message = "body has too many content codings";
        return Err(ProtocolError::new(ErrorKind::Decompression, message));
    }
    let mut body = body;
    // They are listed in the order in which they were applied.
    for name in names.into_iter().rev() {
        let Some(coding) = Coding::of(name) else { break };
        body = undo(coding, &body, limit)?.into();
    }
    Ok(body)
}

fn undo(coding: Coding, body: &[u8], limit: u64) -> Result<Vec<u8>, ProtocolError> {
    let result = match coding {
        Coding::Gzip => read_all(flate2::read::MultiGzDecoder::new(body), limit),
        Coding::Deflate if is_zlib(body) => read_all(flate2::read::ZlibDecoder::new(body), limit),
        Coding::Deflate => read_all(flate2::read::DeflateDecoder::new(body), limit),
        Coding::Brotli => read_all(brotli::Decompressor::new(body, 4096), limit),
        Coding::Zstd => zstd::stream::read::Decoder::with_buffer(body).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read_all(decoder, limit)
        }),
    };
    match result {
        Ok(Some(decoded)) => Ok(decoded),
        Ok(None) => Err(ErrorKind::BodyTooLarge.into()),
        Err(error) => {
            let message = format!("body is not valid {}", coding.name());
            Err(ProtocolError::new(ErrorKind::Decompression, message)
                .with_detail(error.to_string()))
        }
    }
}

/// "deflate" is zlib (RFC 1950), but some servers send it bare: the two bytes of zlib's head have
/// a method and a check sum to know them by.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0
        }
        _ => false,
    }
}

/// Returns all that a reader gives, or nothing if that is more than `limit`.
fn read_all(mut reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut all = Vec::new();
    let mut part = [0; PART_BYTES];
    loop {
        let read = reader.read(&mut part)?;
        if read == 0 {
            return Ok(Some(all));
        }
        if (all.len() + read) as u64 > limit {
            return Ok(None);
        }
        all.extend_from_slice(&part[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use proptest::prelude::*;

    use super::*;

    /// "kingtide" five times over, as brotli 1.1.0 packs it.
    const BROTLI: &[u8] = &[
        0x1b, 0x27, 0x00, 0xf8, 0x8d, 0x94, 0xa9, 0xe3, 0x5b, 0x92, 0xad, 0xb9, 0x75, 0xd9, 0x59,
        0x1a, 0x9d, 0xe8, 0x27, 0x1c, 0xa0, 0xda, 0x03,
    ];

    fn headers(codings: &str) -> Headers {
        let mut headers = Headers::new();
        headers.append("content-encoding", codings.as_bytes()).expect("valid");
        headers
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        if let Some(coding) = Coding::of(coding) {
            all.extend_from_slice(&coding.pack(bytes));
        } else {
            // What some servers take "deflate" for.
            let mut raw = flate2::read::DeflateEncoder::new(bytes, Compression::fast());
            raw.read_to_end(&mut all).map(drop).expect("memory");
        }
        all
    }

    #[test]
    fn a_bomb_is_too_large_and_broken_data_are_not_valid() {
        let bomb = Bytes::from(gzip(&vec![0; 1 << 20]));
        assert!(bomb.len() < 50_000);
        let error = decode(&headers("gzip"), bomb.clone(), 100_000).expect_err("bomb");
        assert_eq!(error.kind, ErrorKind::BodyTooLarge);
        for coding in ["gzip", "br", "zstd", "deflate"] {
            let broken = Bytes::from_static(b"\xff\xfenot packed at all");
            let error = decode(&headers(coding), broken, 100_000).expect_err(coding);
            assert_eq!(
                (error.kind, error.message),
                (ErrorKind::Decompression, format!("body is not valid {coding}"),)
            );
        }
        let cut = bomb.slice(..bomb.len() / 2);
        let error = decode(&headers("gzip"), cut, 1 << 21).expect_err("cut");
        assert_eq!(error.kind, ErrorKind::Decompression);
    }

    #[test]
    fn unknown_codings_are_left_and_too_many_refused() {
        let packed = Bytes::from(gzip(b"text"));
        let plain = |codings: &str| decode(&headers(codings), packed.clone(), 100).expect(codings);
        assert_eq!(plain("identity"), packed);
        assert_eq!(plain("compress"), packed);
        assert_eq!(plain("compress, X-GZIP"), "text");
        assert!(decode(&headers("gzip,gzip,gzip,gzip,gzip"), packed.clone(), 100).is_err());
        assert_eq!(decode(&headers("gzip"), Bytes::new(), 100).expect("empty"), "");
    }

    #[test]
    fn a_brotli_body_is_decoded() {
        let body = decode(&headers("br"), Bytes::from_static(BROTLI), 100);
        assert_eq!(body.expect("brotli"), "kingtide".repeat(5));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            body in prop::collection::vec(any::<u8>(), 0..5000),
            chain in prop::collection::vec(prop::sample::select(vec!["gzip", "deflate", "raw", "br", "zstd"]), 1..4),
        ) {
            let packed = chain.iter().fold(body.clone(), |bytes, coding| pack(coding, &bytes));
            let names: Vec<&str> = chain
                .iter()
                .map(|coding| if *coding == "raw" { "deflate" } else { coding })
                .collect();
            let decoded = decode(&headers(&names.join(", ")), packed.into(), 1 << 20);
            prop_assert_eq!(decoded.expect("packed"), body);
        }
    }
}
