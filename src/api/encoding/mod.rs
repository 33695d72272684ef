//! The module `encoding`: bytes as text and back, one file per form.

use bytes::Bytes;

pub(super) use self::base64::Base64;
pub(super) use self::hex::{hex, unhex};
use super::{Function, Module, Run, Text, Value};

mod base58;
mod base64;
#[cfg(test)]
mod fixture;
mod hex;
mod int;
mod rlp;
mod url;
mod utf8;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "encoding",
    functions: &[
        Function { name: "base64_encode", params: TO, run: Run::Now(base64::base64_encode) },
        Function { name: "base64_decode", params: FROM, run: Run::Now(base64::base64_decode) },
        Function { name: "base64url_encode", params: TO, run: Run::Now(base64::base64url_encode) },
        Function {
            name: "base64url_decode",
            params: FROM,
            run: Run::Now(base64::base64url_decode),
        },
        Function { name: "base58_encode", params: DATA, run: Run::Now(base58::base58_encode) },
        Function { name: "base58_decode", params: FROM, run: Run::Now(base58::base58_decode) },
        Function {
            name: "base58check_encode",
            params: DATA,
            run: Run::Now(base58::base58check_encode),
        },
        Function {
            name: "base58check_decode",
            params: FROM,
            run: Run::Now(base58::base58check_decode),
        },
        Function { name: "hex_encode", params: DATA, run: Run::Now(hex::hex_encode) },
        Function { name: "hex_decode", params: FROM, run: Run::Now(hex::hex_decode) },
        Function { name: "int_encode", params: &["value", "options?"], run: Run::Now(int::encode) },
        Function { name: "int_decode", params: TO, run: Run::Now(int::decode) },
        Function { name: "rlp_encode", params: &["value"], run: Run::Now(rlp::rlp_encode) },
        Function { name: "rlp_decode", params: DATA, run: Run::Now(rlp::rlp_decode) },
        Function { name: "url_encode", params: &["text"], run: Run::Now(url::url_encode) },
        Function { name: "url_decode", params: FROM, run: Run::Now(url::url_decode) },
        Function {
            name: "query_encode",
            params: &["parameters"],
            run: Run::Now(url::query_encode),
        },
        Function { name: "query_decode", params: &["text"], run: Run::Now(url::query_decode) },
        Function { name: "utf8_encode", params: &["text"], run: Run::Now(utf8::utf8_encode) },
        Function { name: "utf8_decode", params: TO, run: Run::Now(utf8::utf8_decode) },
        Function { name: "utf8_valid", params: DATA, run: Run::Now(utf8::utf8_valid) },
        Function { name: "utf8_length", params: DATA, run: Run::Now(utf8::utf8_length) },
    ],
    constants: &[],
};

const DATA: &[&str] = &["data"];
const TO: &[&str] = &["data", "options?"];
const FROM: &[&str] = &["text", "options?"];

/// Returns what a text stood for: bytes if they were asked for, else text.
fn decoded(bytes: impl Into<Bytes>, binary: bool) -> Value {
    let bytes = bytes.into();
    if binary { Value::Bytes(bytes) } else { Value::Text(Text::from_bytes(bytes)) }
}

/// Returns an error's text with a small first letter, as the house writes them.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fixture::run;
    use super::*;
    use crate::api::fixture::map;

    proptest! {
        #[test]
        fn all_encodings_give_back_what_went_in(data in proptest::collection::vec(any::<u8>(), 0..100)) {
            let data = Value::Bytes(data.into());
            let binary = || map([("binary", true.into())]);
            for name in ["base64", "base64url", "base58", "base58check", "hex", "url"] {
                let coded = run(&format!("{name}_encode"), vec![data.clone()]).unwrap();
                let back = run(&format!("{name}_decode"), vec![coded, binary()]).unwrap();
                prop_assert_eq!(&back, &data);
            }
        }
    }
}
