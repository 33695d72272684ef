//! Base64 (RFC 4648): bytes as text in four variants.

use std::rc::Rc;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{decoded, lower_first};
use crate::api::{ApiError, Args, Value, VuContext};

// Padding may be there or not when reading: which of both a server sends says nothing.
const PADDED: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BARE: GeneralPurposeConfig = PADDED.with_encode_padding(false);
const STD: GeneralPurpose = GeneralPurpose::new(&STANDARD, PADDED);
const RAW_STD: GeneralPurpose = GeneralPurpose::new(&STANDARD, BARE);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, PADDED);
const RAW_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, BARE);

/// The alphabet and the padding of a base64 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Base64 {
    /// Whether `-` and `_` stand for `+` and `/`.
    pub(in crate::api) url: bool,
    /// Whether `=` fills the text up to a multiple of four.
    pub(in crate::api) padding: bool,
}

impl Base64 {
    fn engine(self) -> &'static GeneralPurpose {
        match (self.url, self.padding) {
            (false, true) => &STD,
            (false, false) => &RAW_STD,
            (true, true) => &URL,
            (true, false) => &RAW_URL,
        }
    }

    /// Returns bytes as base64.
    pub(in crate::api) fn encode(self, bytes: &[u8]) -> String {
        self.engine().encode(bytes)
    }

    /// Returns the bytes of a base64 text.
    ///
    /// # Errors
    /// If it is none; the text says where.
    pub(in crate::api) fn decode(self, text: &[u8]) -> Result<Vec<u8>, String> {
        self.engine().decode(text).map_err(|error| {
            let kind = if self.url { "base64url" } else { "base64" };
            format!("the text is no {kind}: {}", lower_first(&error.to_string()))
        })
    }
}

/// Reads the second argument: a variant's name as in k6 (`rawurl`), or named arguments.
fn base64_options(
    args: &mut Args,
    mut variant: Base64,
    known: &'static [&'static str],
) -> Result<(Base64, bool), ApiError> {
    match args.take(1) {
        Value::Text(name) => {
            variant = match &*name.to_str() {
                "std" => Base64 { url: false, padding: true },
                "rawstd" => Base64 { url: false, padding: false },
                "url" => Base64 { url: true, padding: true },
                "rawurl" => Base64 { url: true, padding: false },
                other => {
                    return Err(ApiError::usage(format!(
                        "{}: unknown variant \"{other}\"; there are std, rawstd, url, rawurl",
                        args.call
                    )));
                }
            };
            Ok((variant, false))
        }
        Value::Nil | Value::Null => Ok((variant, false)),
        table => {
            let mut fields = Args::new(args.call.clone(), &["options"], vec![table]);
            let mut fields = fields.fields(0, known)?;
            variant.url = fields.bool("url")?.unwrap_or(variant.url);
            variant.padding = fields.bool("padding")?.unwrap_or(variant.padding);
            Ok((variant, fields.bool("binary")?.unwrap_or(false)))
        }
    }
}

fn encode_with(mut args: Args, variant: Base64) -> Result<Value, ApiError> {
    let data = args.bytes(0)?;
    let (variant, _) = base64_options(&mut args, variant, &["url", "padding"])?;
    Ok(variant.encode(&data).into())
}

fn decode_with(mut args: Args, variant: Base64) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let (variant, binary) = base64_options(&mut args, variant, &["url", "padding", "binary"])?;
    let bytes = variant.decode(&text);
    let bytes = bytes.map_err(|error| ApiError::usage(format!("{}: {error}", args.call)))?;
    Ok(decoded(bytes, binary))
}

pub(super) fn base64_encode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    encode_with(args, Base64 { url: false, padding: true })
}

pub(super) fn base64_decode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    decode_with(args, Base64 { url: false, padding: true })
}

pub(super) fn base64url_encode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    encode_with(args, Base64 { url: true, padding: false })
}

pub(super) fn base64url_decode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    decode_with(args, Base64 { url: true, padding: false })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::fixture::{run, text};
    use crate::api::fixture::{map, message};
    use crate::api::{Text, Value};

    /// RFC 4648, section 10.
    #[test]
    fn base64_has_the_rfc_s_answers() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(text("base64_encode", vec![plain.into()]), coded);
            assert_eq!(text("base64_decode", vec![coded.into()]), plain);
            assert_eq!(text("base64_decode", vec![coded.trim_end_matches('=').into()]), plain);
        }
    }

    #[test]
    fn base64_variants_differ_in_alphabet_and_padding() {
        let data = || Value::Bytes(Bytes::from_static(b"\xfb\xff"));
        for (variant, coded) in
            [("std", "+/8="), ("rawstd", "+/8"), ("url", "-_8="), ("rawurl", "-_8")]
        {
            assert_eq!(text("base64_encode", vec![data(), variant.into()]), coded);
            let options = map([
                ("url", variant.ends_with("url").into()),
                ("padding", (!variant.starts_with("raw")).into()),
            ]);
            assert_eq!(text("base64_encode", vec![data(), options.clone()]), coded);
            assert_eq!(
                run("base64_decode", vec![coded.into(), variant.into()]).unwrap(),
                Value::Text(Text::from_bytes(Bytes::from_static(b"\xfb\xff")))
            );
        }
        assert_eq!(text("base64url_encode", vec![data()]), "-_8");
        let binary = map([("binary", true.into())]);
        assert_eq!(run("base64url_decode", vec!["-_8".into(), binary]).unwrap(), data());
        assert_eq!(
            message(run("base64_encode", vec!["".into(), "rawhide".into()])),
            "encoding.base64_encode: unknown variant \"rawhide\"; there are std, rawstd, url, rawurl"
        );
        let error = message(run("base64_decode", vec!["a*bc".into()]));
        assert!(
            error.starts_with("encoding.base64_decode: the text is no base64: invalid symbol 42"),
            "{error}"
        );
    }
}
