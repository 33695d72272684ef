//! The module `crypto`: digests, random bytes, signatures, tokens; one file per noun.

use std::rc::Rc;

pub(super) use self::digest::HASH_METHODS;
use self::digest::digest;
pub(super) use self::entropy::count;
use super::encoding::{Base64, hex};
use super::{ApiError, Args, Function, Module, Run, Value, VuContext};

mod cipher;
mod der;
mod derive;
mod digest;
mod ed25519;
mod entropy;
mod jwk;
mod jwt;
mod key;
mod material;
mod pem;
mod secp256k1;
mod signature;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "crypto",
    functions: &[
        of_data("md4", |_, args| digest(args, "md4")),
        of_data("md5", |_, args| digest(args, "md5")),
        of_data("ripemd160", |_, args| digest(args, "ripemd160")),
        of_data("sha1", |_, args| digest(args, "sha1")),
        of_data("sha224", |_, args| digest(args, "sha224")),
        of_data("sha256", |_, args| digest(args, "sha256")),
        of_data("sha384", |_, args| digest(args, "sha384")),
        of_data("sha512", |_, args| digest(args, "sha512")),
        of_data("sha512_224", |_, args| digest(args, "sha512_224")),
        of_data("sha512_256", |_, args| digest(args, "sha512_256")),
        of_data("sha3_256", |_, args| digest(args, "sha3_256")),
        of_data("sha3_512", |_, args| digest(args, "sha3_512")),
        of_data("keccak256", |_, args| digest(args, "keccak256")),
        Function {
            name: "hash",
            params: &["algorithm", "data", "encoding?"],
            run: Run::Now(digest::hash),
        },
        Function {
            name: "hmac",
            params: &["algorithm", "key", "data", "encoding?"],
            run: Run::Now(digest::hmac),
        },
        Function {
            name: "create_hash",
            params: &["algorithm"],
            run: Run::Now(digest::create_hash),
        },
        Function {
            name: "create_hmac",
            params: &["algorithm", "key"],
            run: Run::Now(digest::create_hmac),
        },
        Function { name: "equal", params: &["a", "b"], run: Run::Now(equal) },
        Function { name: "random_bytes", params: &["count"], run: Run::Now(entropy::random_bytes) },
        Function { name: "uuid", params: &[], run: Run::Now(|_, args| entropy::uuid_v4(&args)) },
        Function { name: "uuid_v4", params: &[], run: Run::Now(|_, args| entropy::uuid_v4(&args)) },
        Function { name: "uuid_v7", params: &[], run: Run::Now(|_, args| entropy::uuid_v7(&args)) },
        Function { name: "key", params: &["key"], run: Run::Now(key::key) },
        Function {
            name: "sign",
            params: &["algorithm", "key", "data", "encoding?"],
            run: Run::Now(signature::sign),
        },
        Function {
            name: "verify",
            params: &["algorithm", "key", "data", "signature", "encoding?"],
            run: Run::Now(signature::verify),
        },
        Function {
            name: "jwt.sign",
            params: &["claims", "key", "options?"],
            run: Run::Now(jwt::sign),
        },
        Function {
            name: "jwt.verify",
            params: &["token", "key", "options?"],
            run: Run::Now(jwt::verify),
        },
        Function {
            name: "encrypt",
            params: &["algorithm", "key", "iv", "data", "options?"],
            run: Run::Now(cipher::encrypt),
        },
        Function {
            name: "decrypt",
            params: &["algorithm", "key", "iv", "data", "options?"],
            run: Run::Now(cipher::decrypt),
        },
        Function {
            name: "pbkdf2",
            params: &["algorithm", "password", "salt", "iterations", "length", "encoding?"],
            run: Run::Now(derive::pbkdf2),
        },
        Function {
            name: "hkdf",
            params: &["algorithm", "key", "salt", "info", "length", "encoding?"],
            run: Run::Now(derive::hkdf),
        },
        Function { name: "jwt.decode", params: &["token"], run: Run::Now(jwt::decode) },
        Function {
            name: "ed25519.generate_key",
            params: &["encoding?"],
            run: Run::Now(ed25519::generate_key),
        },
        Function {
            name: "ed25519.public_key",
            params: &["private_key", "encoding?"],
            run: Run::Now(ed25519::public_key),
        },
        Function {
            name: "ed25519.sign",
            params: &["private_key", "data", "encoding?"],
            run: Run::Now(ed25519::sign),
        },
        Function {
            name: "ed25519.verify",
            params: &["public_key", "data", "signature"],
            run: Run::Now(ed25519::verify),
        },
        Function {
            name: "secp256k1.generate_key",
            params: &["encoding?"],
            run: Run::Now(secp256k1::generate_key),
        },
        Function {
            name: "secp256k1.public_key",
            params: &["private_key", "options?"],
            run: Run::Now(secp256k1::public_key),
        },
        Function {
            name: "secp256k1.sign",
            params: &["private_key", "digest", "encoding?"],
            run: Run::Now(secp256k1::sign),
        },
        Function {
            name: "secp256k1.verify",
            params: &["public_key", "digest", "signature"],
            run: Run::Now(secp256k1::verify),
        },
        Function {
            name: "secp256k1.recover",
            params: &["digest", "signature", "recovery_id", "options?"],
            run: Run::Now(secp256k1::recover),
        },
    ],
    constants: &[],
};

/// Returns a digest's entry in the table.
const fn of_data(
    name: &'static str,
    run: fn(&Rc<VuContext>, Args) -> Result<Value, ApiError>,
) -> Function {
    Function { name, params: &["data", "encoding?"], run: Run::Now(run) }
}

/// Returns bytes in the encoding that the argument at `index` names; in hexadecimal digits if it
/// names none.
fn encoded(mut args: Args, index: usize, bytes: Vec<u8>) -> Result<Value, ApiError> {
    let encoding = args.optional_text(index)?;
    encode(&args.call, encoding.as_ref().map(|name| name.to_str()).as_deref(), bytes)
}

fn encode(call: &str, encoding: Option<&str>, bytes: Vec<u8>) -> Result<Value, ApiError> {
    Ok(match encoding {
        None | Some("hex") => hex(&bytes).into(),
        Some("binary") => Value::Bytes(bytes.into()),
        Some(name) => base64(name).ok_or_else(|| no_encoding(call, name))?.encode(&bytes).into(),
    })
}

/// Returns the variant of base64 that an encoding's name stands for.
fn base64(name: &str) -> Option<Base64> {
    Some(match name {
        "base64" => Base64 { url: false, padding: true },
        "base64url" => Base64 { url: true, padding: true },
        "base64rawurl" => Base64 { url: true, padding: false },
        _ => return None,
    })
}

fn no_encoding(call: &str, name: &str) -> ApiError {
    ApiError::usage(format!(
        "{call}: unknown encoding \"{name}\"; there are hex, base64, base64url, base64rawurl, binary"
    ))
}

fn equal(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (a, b) = (args.bytes(0)?, args.bytes(1)?);
    Ok(same(&a, &b).into())
}

/// Returns whether bytes are the same, in a time that says nothing about where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    a.len() == b.len() && difference == 0
}
