//! Keys, digests and signatures as scripts give them: as raw bytes, or as hexadecimal digits.

use std::fmt::Write as _;

use super::{base64, no_encoding};
use crate::api::encoding::unhex;
use crate::api::{ApiError, Args, Value};

/// Takes an argument of one of these numbers of bytes.
///
/// # Errors
/// If it is of another length; it names the lengths.
pub(super) fn take(args: &mut Args, index: usize, lengths: &[usize]) -> Result<Vec<u8>, ApiError> {
    let (given, text) = match args.take(index) {
        Value::Text(text) => (text.into_bytes(), true),
        Value::Bytes(bytes) => (bytes, false),
        other => return Err(args.wrong(index, "a string or bytes", &other)),
    };
    // Digits first: raw bytes in a string of Luau are no digits throughout, but by a rare chance.
    let digits = unhex(&given).ok().filter(|bytes| text && lengths.contains(&bytes.len()));
    if let Some(bytes) = digits {
        return Ok(bytes);
    }
    if lengths.contains(&given.len()) {
        return Ok(given.to_vec());
    }
    let name = args.params.get(index).map_or("", |name| name.trim_end_matches('?'));
    let mut wanted = String::new();
    for (place, length) in lengths.iter().enumerate() {
        let joint = match place {
            0 => "",
            _ if place + 1 == lengths.len() => " or ",
            _ => ", ",
        };
        let _infallible = write!(wanted, "{joint}{length}");
    }
    Err(ApiError::usage(format!(
        "{}: argument {} ({name}) must be {wanted} bytes, raw or as hex digits, got {}",
        args.call,
        index + 1,
        given.len()
    )))
}

/// Takes an argument of so many bytes.
///
/// # Errors
/// As [`take`].
pub(super) fn exactly<const N: usize>(args: &mut Args, index: usize) -> Result<[u8; N], ApiError> {
    let bytes = take(args, index, &[N])?;
    Ok(bytes.try_into().expect("it has the length that was asked for"))
}

/// Takes bytes of any length in the encoding that the argument at `encoding` names; without one
/// hexadecimal digits are those, and all else is raw.
///
/// # Errors
/// If there is no such encoding, or the bytes are not in it.
pub(super) fn encoded(args: &mut Args, index: usize, encoding: usize) -> Result<Vec<u8>, ApiError> {
    let given = args.bytes(index)?;
    let name = args.optional_text(encoding)?;
    read(&args.call, name.as_ref().map(|name| name.to_str()).as_deref(), &given)
}

/// Returns the bytes that are given in an encoding; without one hexadecimal digits are those, and all
/// else is raw.
///
/// # Errors
/// If there is no such encoding, or the bytes are not in it.
pub(super) fn read(call: &str, encoding: Option<&str>, given: &[u8]) -> Result<Vec<u8>, ApiError> {
    let read = match encoding {
        None => Ok(unhex(given).unwrap_or_else(|_| given.to_vec())),
        Some("binary") => Ok(given.to_vec()),
        Some("hex") => unhex(given),
        Some(name) => base64(name).ok_or_else(|| no_encoding(call, name))?.decode(given),
    };
    read.map_err(|problem| ApiError::usage(format!("{call}: {problem}")))
}
