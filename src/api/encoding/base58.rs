//! Base58 in Bitcoin's alphabet, and base58check, which ends with a checksum: what keys, addresses and
//! transactions of Solana and Bitcoin are written in.

use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::{decoded, lower_first};
use crate::api::{ApiError, Args, ErrorKind, Value, VuContext};

/// The most bytes that are encoded, and characters that are decoded: the work grows with the square
/// of the length. Transactions of Solana have up to 1,232 bytes.
const LENGTH_MAX: usize = 8192;

/// Bytes of the checksum: the first of the SHA-256 of the SHA-256.
const CHECKSUM: usize = 4;

pub(super) fn base58_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(bs58::encode(short(&mut args, "bytes")?).into_string().into())
}

pub(super) fn base58_decode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    let (_, bytes, binary) = decode(args)?;
    Ok(decoded(bytes, binary))
}

pub(super) fn base58check_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut data = short(&mut args, "bytes")?.to_vec();
    data.extend(checksum(&data));
    Ok(bs58::encode(data).into_string().into())
}

pub(super) fn base58check_decode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    let (call, mut bytes, binary) = decode(args)?;
    let wrong = |problem| ApiError::usage(format!("{call}: {problem}"));
    let end = bytes.len().checked_sub(CHECKSUM);
    let end = end.ok_or_else(|| wrong("the text is too short for a checksum"))?;
    if checksum(&bytes[..end]) != bytes[end..] {
        return Err(wrong("the checksum does not fit: the text has been changed"));
    }
    bytes.truncate(end);
    Ok(decoded(bytes, binary))
}

type Decoded = (std::borrow::Cow<'static, str>, Vec<u8>, bool);

/// Reads a text and its options; returns the call's name, the bytes, and whether bytes are wanted.
fn decode(mut args: Args) -> Result<Decoded, ApiError> {
    let text = short(&mut args, "characters")?;
    let binary = args.fields(1, &["binary"])?.bool("binary")?.unwrap_or(false);
    let bytes = bs58::decode(&text).into_vec().map_err(|error| {
        let problem = match error {
            bs58::decode::Error::InvalidCharacter { character, index } => {
                format!("`{character}` at {} is none of its characters", index + 1)
            }
            bs58::decode::Error::NonAsciiCharacter { index } => {
                format!("the character at {} is none of its characters", index + 1)
            }
            other => lower_first(&other.to_string()),
        };
        ApiError::usage(format!("{}: the text is no base58: {problem}", args.call))
    })?;
    Ok((args.call, bytes, binary))
}

/// Takes bytes that are not too many for quadratic work.
fn short(args: &mut Args, unit: &str) -> Result<bytes::Bytes, ApiError> {
    let bytes = args.bytes(0)?;
    if bytes.len() > LENGTH_MAX {
        return Err(ApiError::new(
            ErrorKind::Size,
            format!(
                "{}: {} {unit} are too many, base58 takes up to {LENGTH_MAX}; use base64",
                args.call,
                bytes.len()
            ),
        ));
    }
    Ok(bytes)
}

fn checksum(data: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::digest(Sha256::digest(data));
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::fixture::{run, text};
    use super::super::unhex;
    use super::LENGTH_MAX;
    use crate::api::fixture::{map, message};
    use crate::api::{ErrorKind, Value};

    fn bytes(digits: &str) -> Value {
        Value::Bytes(unhex(digits.as_bytes()).unwrap().into())
    }

    /// The examples of draft-msporny-base58, and zeros, which are digits of their own in front.
    #[test]
    fn base58_has_the_draft_s_answers() {
        for (plain, coded) in [
            ("", ""),
            ("48656c6c6f20576f726c6421", "2NEpo7TZRRrLZSi2U"),
            (
                "54686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c617a7920\
                 646f672e",
                "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
            ),
            ("0000287fb4cd", "11233QC4"),
            ("0000", "11"),
        ] {
            assert_eq!(text("base58_encode", vec![bytes(plain)]), coded);
            let binary = map([("binary", true.into())]);
            assert_eq!(run("base58_decode", vec![coded.into(), binary]).unwrap(), bytes(plain));
        }
        assert_eq!(text("base58_decode", vec!["2NEpo7TZRRrLZSi2U".into()]), "Hello World!");
        assert_eq!(
            message(run("base58_decode", vec!["2NEpo0".into()])),
            "encoding.base58_decode: the text is no base58: `0` at 6 is none of its characters"
        );
        assert_eq!(
            message(run("base58_decode", vec!["2é".into()])),
            "encoding.base58_decode: the text is no base58: the character at 2 is none of its \
             characters"
        );
    }

    /// The address of Bitcoin's first block.
    #[test]
    fn base58check_knows_a_changed_text() {
        let address = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
        let payload = bytes("0062e907b15cbf27d5425399ebf6f0fb50ebb88f18");
        assert_eq!(text("base58check_encode", vec![payload.clone()]), address);
        let binary = map([("binary", true.into())]);
        assert_eq!(run("base58check_decode", vec![address.into(), binary]).unwrap(), payload);
        assert_eq!(
            message(run("base58check_decode", vec![address.replace("Gef", "Gfe").into()])),
            "encoding.base58check_decode: the checksum does not fit: the text has been changed"
        );
        assert_eq!(
            message(run("base58check_decode", vec!["111".into()])),
            "encoding.base58check_decode: the text is too short for a checksum"
        );
    }

    #[test]
    fn long_data_is_refused() {
        let most = Value::Bytes(Bytes::from(vec![7; LENGTH_MAX]));
        assert!(run("base58_encode", vec![most]).is_ok());
        let more = Value::Bytes(Bytes::from(vec![7; LENGTH_MAX + 1]));
        let error = run("base58_encode", vec![more]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Size);
        assert_eq!(
            error.message,
            "encoding.base58_encode: 8193 bytes are too many, base58 takes up to 8192; use base64"
        );
    }
}
