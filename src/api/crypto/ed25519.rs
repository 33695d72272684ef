//! Ed25519 (RFC 8032): keys, signatures. What Solana signs with.

use std::rc::Rc;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::entropy::fill;
use super::{encoded, material};
use crate::api::{ApiError, Args, Value, VuContext};

/// Bytes of a private key (RFC 8032 calls it so; others call it the seed), and of a public one.
const KEY: usize = 32;

/// Bytes of a private key with its public key after it, as Solana's tools write it.
const PAIR: usize = 64;

/// Bytes of a signature.
const SIGNATURE: usize = 64;

pub(super) fn generate_key(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    let mut key = [0; KEY];
    fill(&args, &mut key)?;
    encoded(args, 0, key.to_vec())
}

pub(super) fn public_key(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let pair = pair(&mut args)?;
    encoded(args, 1, pair.public_key().as_ref().to_vec())
}

pub(super) fn sign(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (pair, data) = (pair(&mut args)?, args.bytes(1)?);
    encoded(args, 2, pair.sign(&data).as_ref().to_vec())
}

pub(super) fn verify(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (key, data) = (material::exactly::<KEY>(&mut args, 0)?, args.bytes(1)?);
    let signature = material::exactly::<SIGNATURE>(&mut args, 2)?;
    Ok(UnparsedPublicKey::new(&ED25519, key).verify(&data, &signature).is_ok().into())
}

/// Takes a private key from the first argument.
fn pair(args: &mut Args) -> Result<Ed25519KeyPair, ApiError> {
    let bytes = material::take(args, 0, &[KEY, PAIR])?;
    let pair = match bytes.split_at_checked(KEY) {
        Some((private, public)) if !public.is_empty() => {
            Ed25519KeyPair::from_seed_and_public_key(private, public)
        }
        _ => Ed25519KeyPair::from_seed_unchecked(&bytes),
    };
    pair.map_err(|_| {
        ApiError::usage(format!(
            "{}: argument 1 (private_key): its second half is not the public key of its first",
            args.call
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{bytes, run, text};
    use crate::api::Value;
    use crate::api::fixture::message;

    /// RFC 8032, 7.1, tests 1 to 3: private key, public key, message, signature.
    const RFC_8032: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
             387b2eaeb4302aeeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ],
    ];

    #[test]
    fn keys_and_signatures_are_the_rfc_s() {
        for [private, public, data, signature] in RFC_8032 {
            assert_eq!(text("ed25519.public_key", vec![private.into()]), public);
            for key in [private.into(), bytes(private), format!("{private}{public}").into()] {
                assert_eq!(text("ed25519.sign", vec![key, bytes(data)]), signature);
            }
            for (signature, valid) in [(signature.into(), true), (bytes(signature), true)] {
                let values = vec![public.into(), bytes(data), signature];
                assert_eq!(run("ed25519.verify", values).unwrap(), valid.into());
            }
            let values = vec![public.into(), "another".into(), signature.into()];
            assert_eq!(run("ed25519.verify", values).unwrap(), false.into());
        }
    }

    #[test]
    fn a_new_key_signs() {
        let key = run("ed25519.generate_key", vec![]).unwrap();
        assert_ne!(key, run("ed25519.generate_key", vec![]).unwrap());
        let public = run("ed25519.public_key", vec![key.clone(), "binary".into()]).unwrap();
        let signature = run("ed25519.sign", vec![key, "data".into(), "binary".into()]).unwrap();
        let values = vec![public, "data".into(), signature];
        assert_eq!(run("ed25519.verify", values).unwrap(), true.into());
    }

    #[test]
    fn a_key_of_another_length_is_named() {
        assert_eq!(
            message(run("ed25519.sign", vec!["abc".into(), "".into()])),
            "crypto.ed25519.sign: argument 1 (private_key) must be 32 or 64 bytes, raw or as hex \
             digits, got 3"
        );
        assert_eq!(
            message(run("ed25519.sign", vec![Value::Bytes(vec![0; 64].into()), "".into()])),
            "crypto.ed25519.sign: argument 1 (private_key): its second half is not the public key \
             of its first"
        );
    }
}
