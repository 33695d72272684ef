//! Hexadecimal digits: bytes as text and back.

use std::fmt::Write as _;
use std::rc::Rc;

use super::decoded;
use crate::api::{ApiError, Args, Value, VuContext};

/// Returns bytes as lower-case hexadecimal digits.
pub(in crate::api) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the bytes of hexadecimal digits, with or without `0x` before them.
///
/// # Errors
/// If they are none; the text says where.
pub(in crate::api) fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} digits are no whole number of bytes", digits.len()));
    }
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    bytes.ok_or_else(|| {
        let at = digits.iter().position(|byte| digit(*byte).is_none()).unwrap_or_default();
        format!("the text is no hex: wrong digit at {}", at + 1)
    })
}

pub(super) fn hex_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(hex(&args.bytes(0)?).into())
}

pub(super) fn hex_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let binary = args.fields(1, &["binary"])?.bool("binary")?.unwrap_or(false);
    let bytes = unhex(&text);
    let bytes = bytes.map_err(|error| ApiError::usage(format!("{}: {error}", args.call)))?;
    Ok(decoded(bytes, binary))
}

/// Returns what a hexadecimal digit is worth.
pub(super) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|worth| worth as u8)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{run, text};
    use crate::api::fixture::message;

    #[test]
    fn hex_reads_both_cases_and_a_prefix() {
        assert_eq!(text("hex_encode", vec!["\u{1}Az".into()]), "01417a");
        assert_eq!(text("hex_decode", vec!["0x4a4B".into()]), "JK");
        assert_eq!(
            message(run("hex_decode", vec!["abc".into()])),
            "encoding.hex_decode: 3 digits are no whole number of bytes"
        );
        assert_eq!(
            message(run("hex_decode", vec!["0g".into()])),
            "encoding.hex_decode: the text is no hex: wrong digit at 2"
        );
    }
}
