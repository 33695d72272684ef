//! Keys of all kinds: secrets, PEM texts, JWKs; read once, where a script keeps them.

use std::rc::Rc;

use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    RsaKeyPair, RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::{jwk, pem};
use crate::api::{ApiError, Args, Object, Value, VuContext};

/// A key.
pub(super) enum Key {
    /// What both sides share.
    Secret(Bytes),
    RsaPrivate(Box<RsaKeyPair>),
    RsaPublic(RsaPublicKeyComponents<Vec<u8>>),
    EcPrivate(Curve, Box<EcdsaKeyPair>),
    /// The point, uncompressed.
    EcPublic(Curve, Vec<u8>),
    Ed25519Private(Box<Ed25519KeyPair>),
    Ed25519Public(Vec<u8>),
}

/// A curve of NIST (FIPS 186-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) const ALL: [Self; 2] = [Self::P256, Self::P384];

    /// Returns its name in JWKs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// Returns the bytes of a coordinate.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// Returns how one signs on it: with `r` and `s` one after the other (RFC 7518, 3.4).
    pub(super) fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    /// Returns how signatures on it are checked.
    pub(super) fn checking(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

impl Key {
    /// Takes an RSA key pair.
    pub(super) fn rsa(pair: RsaKeyPair) -> Self {
        Self::RsaPrivate(Box::new(pair))
    }

    /// Returns a private key on a curve, if both parts belong to each other.
    pub(super) fn ec(curve: Curve, private: &[u8], public: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            curve.signing(),
            private,
            public,
            &random,
        );
        pair.ok().map(|pair| Self::EcPrivate(curve, Box::new(pair)))
    }

    /// Takes a key from an argument: what `crypto.key` returned, a PEM text, a JWK, or a secret.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn take(args: &mut Args, index: usize) -> Result<Rc<Self>, ApiError> {
        let value = args.take(index);
        Self::of(args, index, value)
    }

    /// Takes a key from an argument, or from a set of keys the one that a token names. A token that
    /// names none of them is not the script's mistake: it is told as text.
    ///
    /// # Errors
    /// If it is no key.
    pub(super) fn take_named(
        args: &mut Args,
        index: usize,
        id: Option<&str>,
    ) -> Result<Result<Rc<Self>, String>, ApiError> {
        let value = args.take(index);
        match jwk::set(&value) {
            Some(keys) => Ok(jwk::member(&keys, id).map(Rc::new)),
            None => Self::of(args, index, value).map(Ok),
        }
    }

    fn of(args: &Args, index: usize, value: Value) -> Result<Rc<Self>, ApiError> {
        let read = match value {
            Value::Object(object) => {
                let known = object.downcast_ref::<Handle>();
                let known = known.map(|handle| Rc::clone(&handle.0));
                return known.ok_or_else(|| args.wrong(index, WANTED, &Value::Object(object)));
            }
            Value::Text(text) => Self::written(text.into_bytes()),
            Value::Bytes(bytes) => Self::written(bytes),
            Value::Map(map) => jwk::read(&map),
            other => return Err(args.wrong(index, WANTED, &other)),
        };
        read.map(Rc::new).map_err(|problem| {
            let name = args.params[index];
            ApiError::usage(format!("{}: argument {} ({name}): {problem}", args.call, index + 1))
        })
    }

    fn written(bytes: Bytes) -> Result<Self, String> {
        if let Ok(text) = std::str::from_utf8(&bytes) {
            if pem::is_pem(text) {
                return pem::read(text);
            }
            if text.trim_start().starts_with('{')
                && let Ok(Value::Map(map)) = serde_json::from_str(text)
                && map.get("kty").is_some()
            {
                return jwk::read(&map);
            }
        }
        Ok(Self::Secret(bytes))
    }

    /// Returns what kind of key it is.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Secret(_) => "secret",
            Self::RsaPrivate(_) | Self::RsaPublic(_) => "rsa",
            Self::EcPrivate(..) | Self::EcPublic(..) => "ec",
            Self::Ed25519Private(_) | Self::Ed25519Public(_) => "ed25519",
        }
    }

    /// Returns whether it can sign.
    pub(super) fn is_private(&self) -> bool {
        !matches!(self, Self::RsaPublic(_) | Self::EcPublic(..) | Self::Ed25519Public(_))
    }

    /// Returns the algorithm that it is used with unless another is named.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::RsaPrivate(_) | Self::RsaPublic(_) => "RS256",
            Self::EcPrivate(Curve::P256, _) | Self::EcPublic(Curve::P256, _) => "ES256",
            Self::EcPrivate(Curve::P384, _) | Self::EcPublic(Curve::P384, _) => "ES384",
            Self::Ed25519Private(_) | Self::Ed25519Public(_) => "EdDSA",
        }
    }
}

const WANTED: &str = "a secret, a PEM text, a JWK or a key of crypto.key";

/// `crypto.key(key)`: a key that is read once.
pub(super) fn key(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Key::take(&mut args, 0).map(|key| Value::object(Handle(key)))
}

/// A key that a script keeps.
struct Handle(Rc<Key>);

impl Object for Handle {
    fn type_name(&self) -> &'static str {
        "key"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["kind", "private", "algorithm"]
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(match field {
            "kind" => Some(self.0.kind().into()),
            "private" => Some(self.0.is_private().into()),
            "algorithm" => Some(self.0.algorithm().into()),
            _ => None,
        })
    }
}
