//! Keys from passwords (PBKDF2, RFC 8018) and from other keys (HKDF, RFC 5869).

use std::num::NonZeroU32;
use std::rc::Rc;

use ring::{hkdf, pbkdf2};

use super::encoded;
use crate::api::{ApiError, Args, Value, VuContext};

/// The most iterations of PBKDF2: a third of a second of work that nothing interrupts.
const ITERATIONS_MAX: i64 = 1_000_000;

/// The most bytes of a derived key.
const LENGTH_MAX: i64 = 1024;

const DIGESTS: &str = "sha1, sha256, sha384, sha512";

/// `crypto.pbkdf2(algorithm, password, salt, iterations, length, encoding?)`.
pub(super) fn pbkdf2(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let algorithm = match &*name.to_str() {
        "sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "sha384" => pbkdf2::PBKDF2_HMAC_SHA384,
        "sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
        other => return Err(no_digest(&args, other)),
    };
    let (password, salt) = (args.bytes(1)?, args.bytes(2)?);
    let iterations = within(&mut args, 3, ITERATIONS_MAX)?;
    let iterations = NonZeroU32::new(iterations as u32).expect("it is at least 1");
    let mut key = vec![0; within(&mut args, 4, LENGTH_MAX)?];
    pbkdf2::derive(algorithm, iterations, &salt, &password, &mut key);
    encoded(args, 5, key)
}

/// `crypto.hkdf(algorithm, key, salt, info, length, encoding?)`.
pub(super) fn hkdf(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let algorithm = match &*name.to_str() {
        "sha1" => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hkdf::HKDF_SHA256,
        "sha384" => hkdf::HKDF_SHA384,
        "sha512" => hkdf::HKDF_SHA512,
        other => return Err(no_digest(&args, other)),
    };
    let (secret, salt, info) = (args.bytes(1)?, args.bytes(2)?, args.bytes(3)?);
    let mut key = vec![0; within(&mut args, 4, LENGTH_MAX)?];
    let parts = [&info[..]];
    let derived = hkdf::Salt::new(algorithm, &salt).extract(&secret);
    derived
        .expand(&parts, Length(key.len()))
        .and_then(|derived| derived.fill(&mut key))
        .expect("no digest here has fewer than 20 bytes, of which there may be 255");
    encoded(args, 5, key)
}

/// How many bytes ring is asked for.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn within(args: &mut Args, index: usize, most: i64) -> Result<usize, ApiError> {
    let value = args.int(index)?;
    if (1..=most).contains(&value) {
        return Ok(value as usize);
    }
    let name = args.params[index];
    Err(ApiError::usage(format!(
        "{}: argument {} ({name}) must be from 1 to {most}, got {value}",
        args.call,
        index + 1
    )))
}

fn no_digest(args: &Args, name: &str) -> ApiError {
    ApiError::usage(format!("{}: unknown algorithm \"{name}\"; there are {DIGESTS}", args.call))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{bytes, run, text};
    use super::*;
    use crate::api::fixture::message;

    /// RFC 6070 for SHA-1, RFC 7914, 11 for SHA-256.
    #[test]
    fn pbkdf2_has_the_rfcs_answers() {
        for (digest, password, salt, iterations, length, key) in [
            ("sha1", "password", "salt", 1, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            ("sha1", "password", "salt", 4096, 20, "4b007901b765489abead49d926f721d065a429c1"),
            (
                "sha256",
                "passwd",
                "salt",
                1,
                64,
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
                 49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
            ),
        ] {
            let values = vec![
                digest.into(),
                password.into(),
                salt.into(),
                Value::Int(iterations),
                Value::Int(length),
            ];
            assert_eq!(text("pbkdf2", values), key, "{digest}");
        }
    }

    /// RFC 5869, A.1 and A.3.
    #[test]
    fn hkdf_has_the_rfc_s_answers() {
        let secret = || Value::Bytes(vec![0x0b; 22].into());
        let values = vec![
            "sha256".into(),
            secret(),
            bytes("000102030405060708090a0b0c"),
            bytes("f0f1f2f3f4f5f6f7f8f9"),
            Value::Int(42),
        ];
        assert_eq!(
            text("hkdf", values),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
        let values = vec!["sha256".into(), secret(), "".into(), "".into(), Value::Int(42)];
        assert_eq!(
            text("hkdf", values),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }

    #[test]
    fn work_without_end_is_refused() {
        let values = |iterations, length| {
            vec![
                "sha256".into(),
                "p".into(),
                "s".into(),
                Value::Int(iterations),
                Value::Int(length),
            ]
        };
        for (iterations, length, problem) in [
            (1_000_001, 1, "argument 4 (iterations) must be from 1 to 1000000, got 1000001"),
            (0, 1, "argument 4 (iterations) must be from 1 to 1000000, got 0"),
            (1, 1025, "argument 5 (length) must be from 1 to 1024, got 1025"),
        ] {
            let said = message(run("pbkdf2", values(iterations, length)));
            assert_eq!(said, format!("crypto.pbkdf2: {problem}"));
        }
        let values = vec!["md5".into(), "k".into(), "s".into(), "i".into(), Value::Int(1)];
        assert_eq!(
            message(run("hkdf", values)),
            "crypto.hkdf: unknown algorithm \"md5\"; there are sha1, sha256, sha384, sha512"
        );
    }
}
