//! The module `encoding`: bytes as text and back.

use std::fmt::Write as _;
use std::rc::Rc;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use url::form_urlencoded;

use super::args::tag;
use super::{ApiError, Args, Function, Map, Module, Run, Text, Value, VuContext};

/// The module.
pub(super) const MODULE: Module = Module {
    name: "encoding",
    functions: &[
        Function { name: "base64_encode", params: TO, run: Run::Now(base64_encode) },
        Function { name: "base64_decode", params: FROM, run: Run::Now(base64_decode) },
        Function { name: "base64url_encode", params: TO, run: Run::Now(base64url_encode) },
        Function { name: "base64url_decode", params: FROM, run: Run::Now(base64url_decode) },
        Function { name: "hex_encode", params: &["data"], run: Run::Now(hex_encode) },
        Function { name: "hex_decode", params: FROM, run: Run::Now(hex_decode) },
        Function { name: "url_encode", params: &["text"], run: Run::Now(url_encode) },
        Function { name: "url_decode", params: FROM, run: Run::Now(url_decode) },
        Function { name: "query_encode", params: &["parameters"], run: Run::Now(query_encode) },
        Function { name: "query_decode", params: &["text"], run: Run::Now(query_decode) },
        Function { name: "utf8_valid", params: &["data"], run: Run::Now(utf8_valid) },
        Function { name: "utf8_length", params: &["data"], run: Run::Now(utf8_length) },
    ],
    constants: &[],
};

const TO: &[&str] = &["data", "options?"];
const FROM: &[&str] = &["text", "options?"];

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
pub(super) struct Base64 {
    /// Whether `-` and `_` stand for `+` and `/`.
    pub(super) url: bool,
    /// Whether `=` fills the text up to a multiple of four.
    pub(super) padding: bool,
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
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        self.engine().encode(bytes)
    }
}

/// Returns bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
    let bytes = variant.engine().decode(&text).map_err(|error| {
        let kind = if variant.url { "base64url" } else { "base64" };
        ApiError::usage(format!("{}: the text is no {kind}: {}", args.call, lower(&error)))
    })?;
    Ok(decoded(bytes, binary))
}

/// Returns an error's text with a small first letter, as the house writes them.
fn lower(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn decoded(bytes: impl Into<Bytes>, binary: bool) -> Value {
    let bytes = bytes.into();
    if binary { Value::Bytes(bytes) } else { Value::Text(Text::from_bytes(bytes)) }
}

fn base64_encode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    encode_with(args, Base64 { url: false, padding: true })
}

fn base64_decode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    decode_with(args, Base64 { url: false, padding: true })
}

fn base64url_encode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    encode_with(args, Base64 { url: true, padding: false })
}

fn base64url_decode(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    decode_with(args, Base64 { url: true, padding: false })
}

fn hex_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(hex(&args.bytes(0)?).into())
}

fn hex_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let binary = args.fields(1, &["binary"])?.bool("binary")?.unwrap_or(false);
    let digits = text.strip_prefix(b"0x").unwrap_or(&text);
    if digits.len() % 2 != 0 {
        return Err(ApiError::usage(format!(
            "{}: {} digits are no whole number of bytes",
            args.call,
            digits.len()
        )));
    }
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    let bytes = bytes.ok_or_else(|| {
        let at = digits.iter().position(|byte| digit(*byte).is_none()).unwrap_or_default();
        ApiError::usage(format!("{}: the text is no hex: wrong digit at {}", args.call, at + 1))
    })?;
    Ok(decoded(bytes, binary))
}

/// Returns what a hexadecimal digit is worth.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|worth| worth as u8)
}

fn url_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let mut text = String::with_capacity(bytes.len());
    for &byte in &bytes {
        // RFC 3986, 2.3: the unreserved characters; all others could mean something in a URL.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Ok(text.into())
}

fn url_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let binary = args.fields(1, &["binary"])?.bool("binary")?.unwrap_or(false);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = &text[..];
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let worth = match tail {
            [high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        let (high, low) = worth.ok_or_else(|| {
            ApiError::usage(format!(
                "{}: `%` at {} has no two hex digits after it",
                args.call,
                text.len() - tail.len()
            ))
        })?;
        bytes.push(high << 4 | low);
        rest = &tail[2..];
    }
    Ok(decoded(bytes, binary))
}

fn query_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let map = match args.take(0) {
        Value::Map(map) => map,
        Value::List(list) if list.is_empty() => Map::new(),
        other => return Err(args.wrong(0, "a table of parameters", &other)),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in map.iter() {
        match value {
            Value::Nil | Value::Null => {}
            Value::List(items) => {
                for item in items {
                    query.append_pair(name, &parameter(&args.call, name, item)?);
                }
            }
            value => {
                query.append_pair(name, &parameter(&args.call, name, value)?);
            }
        }
    }
    Ok(query.finish().into())
}

fn parameter(call: &str, name: &str, value: &Value) -> Result<String, ApiError> {
    tag(call, name, value).map_err(|_| {
        ApiError::usage(format!(
            "{call}: parameter `{name}` must be a string, a number, a boolean or an array of \
             these, got {}",
            value.type_name()
        ))
    })
}

fn query_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.bytes(0)?;
    let text = text.strip_prefix(b"?").unwrap_or(&text);
    let mut map: Vec<(String, Value)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text) {
        let value = Value::from(&*value);
        match map.iter_mut().find(|(known, _)| *known == name) {
            None => map.push((name.into_owned(), value)),
            Some((_, Value::List(values))) => values.push(value),
            Some((_, first)) => *first = Value::List(vec![std::mem::take(first), value]),
        }
    }
    Ok(Value::Map(map.into_iter().collect()))
}

fn utf8_valid(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(std::str::from_utf8(&args.bytes(0)?).is_ok().into())
}

fn utf8_length(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    Ok(String::from_utf8_lossy(&bytes).chars().count().try_into().map_or(Value::Nil, Value::Int))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{call, map, message, vu};
    use super::*;

    fn run(name: &str, values: Vec<Value>) -> Result<Value, ApiError> {
        call(&vu(1), &MODULE, name, values)
    }

    fn text(name: &str, values: Vec<Value>) -> String {
        match run(name, values).unwrap() {
            Value::Text(text) => text.to_str().into_owned(),
            other => panic!("{other:?} is no text"),
        }
    }

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

    #[test]
    fn url_components_escape_all_that_could_mean_something() {
        assert_eq!(text("url_encode", vec!["a b&c=ü/~".into()]), "a%20b%26c%3D%C3%BC%2F~");
        assert_eq!(text("url_decode", vec!["a%20b%26c+%C3%BC".into()]), "a b&c+ü");
        assert_eq!(
            message(run("url_decode", vec!["100%".into()])),
            "encoding.url_decode: `%` at 4 has no two hex digits after it"
        );
    }

    #[test]
    fn queries_keep_order_and_repeat_names_for_arrays() {
        let parameters = map([
            ("q", "a b".into()),
            ("tag", Value::List(vec!["x".into(), Value::Int(2)])),
            ("none", Value::Nil),
            ("on", true.into()),
        ]);
        let coded = "q=a+b&tag=x&tag=2&on=true";
        assert_eq!(text("query_encode", vec![parameters]), coded);
        assert_eq!(
            run("query_decode", vec![format!("?{coded}").into()]).unwrap(),
            map([
                ("q", "a b".into()),
                ("tag", Value::List(vec!["x".into(), "2".into()])),
                ("on", "true".into()),
            ])
        );
        assert_eq!(
            message(run("query_encode", vec![map([("a", map([]))])])),
            "encoding.query_encode: parameter `a` must be a string, a number, a boolean or an \
             array of these, got a table"
        );
    }

    #[test]
    fn utf8_counts_characters() {
        assert_eq!(run("utf8_length", vec!["aé😀".into()]).unwrap(), Value::Int(3));
        assert_eq!(run("utf8_valid", vec!["é".into()]).unwrap(), true.into());
        let broken = Value::Bytes(Bytes::from_static(b"a\xff"));
        assert_eq!(run("utf8_valid", vec![broken.clone()]).unwrap(), false.into());
        assert_eq!(run("utf8_length", vec![broken]).unwrap(), Value::Int(2));
    }

    proptest! {
        #[test]
        fn all_encodings_give_back_what_went_in(data in proptest::collection::vec(any::<u8>(), 0..100)) {
            let data = Value::Bytes(data.into());
            let binary = || map([("binary", true.into())]);
            for name in ["base64", "base64url", "hex", "url"] {
                let coded = run(&format!("{name}_encode"), vec![data.clone()]).unwrap();
                let back = run(&format!("{name}_decode"), vec![coded, binary()]).unwrap();
                prop_assert_eq!(&back, &data);
            }
        }
    }
}
