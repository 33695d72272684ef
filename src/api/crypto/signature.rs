//! Signatures by the names of JWS (RFC 7518, 3; RFC 8037, 3.1): `crypto.sign` and `crypto.verify`.

use std::rc::Rc;

use ring::rand::SystemRandom;
use ring::signature::{
    self as schemes, ED25519, KeyPair, RsaEncoding, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::digest::authenticator;
use super::key::{Curve, Key};
use super::{encoded, material, same};
use crate::api::{ApiError, Args, Value, VuContext, unknown_name};

/// How one signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Algorithm {
    /// Its name in JWS.
    pub(super) name: &'static str,
    scheme: Scheme,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// HMAC with a digest.
    Hmac(&'static str),
    /// RSA with PKCS#1 1.5 padding and a digest.
    Pkcs1(&'static str),
    /// RSA with PSS padding and a digest.
    Pss(&'static str),
    Ecdsa(Curve),
    Ed25519,
}

const ALGORITHMS: &[Algorithm] = &[
    Algorithm { name: "HS256", scheme: Scheme::Hmac("sha256") },
    Algorithm { name: "HS384", scheme: Scheme::Hmac("sha384") },
    Algorithm { name: "HS512", scheme: Scheme::Hmac("sha512") },
    Algorithm { name: "RS256", scheme: Scheme::Pkcs1("sha256") },
    Algorithm { name: "RS384", scheme: Scheme::Pkcs1("sha384") },
    Algorithm { name: "RS512", scheme: Scheme::Pkcs1("sha512") },
    Algorithm { name: "PS256", scheme: Scheme::Pss("sha256") },
    Algorithm { name: "PS384", scheme: Scheme::Pss("sha384") },
    Algorithm { name: "PS512", scheme: Scheme::Pss("sha512") },
    Algorithm { name: "ES256", scheme: Scheme::Ecdsa(Curve::P256) },
    Algorithm { name: "ES384", scheme: Scheme::Ecdsa(Curve::P384) },
    Algorithm { name: "EdDSA", scheme: Scheme::Ed25519 },
];

impl Algorithm {
    /// Returns an algorithm by its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALGORITHMS.iter().find(|algorithm| algorithm.name == name).copied()
    }

    /// Returns an algorithm by its name, or the error of a call.
    pub(super) fn of_call(call: &str, name: &str) -> Result<Self, ApiError> {
        Self::named(name).ok_or_else(|| {
            let known: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
            ApiError::usage(unknown_name(call, "algorithm", name, &known))
        })
    }

    /// Returns whether a key is one for this algorithm, so that no public key is taken for a secret.
    pub(super) fn fits(self, key: &Key) -> bool {
        match (self.scheme, key) {
            (Scheme::Hmac(_), Key::Secret(_))
            | (Scheme::Pkcs1(_) | Scheme::Pss(_), Key::RsaPrivate(_) | Key::RsaPublic(_))
            | (Scheme::Ed25519, Key::Ed25519Private(_) | Key::Ed25519Public(_)) => true,
            (Scheme::Ecdsa(wanted), Key::EcPrivate(curve, _) | Key::EcPublic(curve, _)) => {
                wanted == *curve
            }
            _ => false,
        }
    }

    /// Signs.
    ///
    /// # Errors
    /// If the key is none for it; the text says what is wanted.
    pub(super) fn sign(self, key: &Key, data: &[u8]) -> Result<Vec<u8>, String> {
        if !self.fits(key) {
            return Err(self.misfit(key));
        }
        let random = SystemRandom::new();
        let failed = |_| "the system gives no random numbers, or the key is broken".to_owned();
        match (self.scheme, key) {
            (Scheme::Hmac(digest), Key::Secret(secret)) => Ok(mac(digest, secret, data)),
            (scheme, Key::RsaPrivate(pair)) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let encoding = scheme.rsa_encoding();
                pair.sign(encoding, &random, data, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            (_, Key::EcPrivate(_, pair)) => {
                let signature = pair.sign(&random, data).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            (_, Key::Ed25519Private(pair)) => Ok(pair.sign(data).as_ref().to_vec()),
            _ => Err(format!("{} needs the private key to sign, got the public one", self.name)),
        }
    }

    /// Returns whether a signature fits. A private key will do, too: the public one is in it.
    ///
    /// # Errors
    /// If the key is none for it; the text says what is wanted.
    pub(super) fn verify(self, key: &Key, data: &[u8], signature: &[u8]) -> Result<bool, String> {
        if !self.fits(key) {
            return Err(self.misfit(key));
        }
        let check = |algorithm, public: &[u8]| {
            UnparsedPublicKey::new(algorithm, public).verify(data, signature).is_ok()
        };
        Ok(match (self.scheme, key) {
            (Scheme::Hmac(digest), Key::Secret(secret)) => {
                same(&mac(digest, secret, data), signature)
            }
            (scheme, Key::RsaPublic(public)) => {
                public.verify(scheme.rsa_parameters(), data, signature).is_ok()
            }
            (scheme, Key::RsaPrivate(pair)) => {
                let public: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                public.verify(scheme.rsa_parameters(), data, signature).is_ok()
            }
            (_, Key::EcPublic(curve, public)) => check(curve.checking(), public),
            (_, Key::EcPrivate(curve, pair)) => check(curve.checking(), pair.public_key().as_ref()),
            (_, Key::Ed25519Public(public)) => check(&ED25519, public),
            (_, Key::Ed25519Private(pair)) => check(&ED25519, pair.public_key().as_ref()),
            _ => false,
        })
    }

    fn misfit(self, key: &Key) -> String {
        let wanted = match self.scheme {
            Scheme::Hmac(_) => "a secret",
            Scheme::Pkcs1(_) | Scheme::Pss(_) => "an RSA key",
            Scheme::Ecdsa(Curve::P256) => "an EC key on P-256",
            Scheme::Ecdsa(Curve::P384) => "an EC key on P-384",
            Scheme::Ed25519 => "an Ed25519 key",
        };
        let got = match key {
            Key::Secret(_) => "a secret",
            Key::RsaPrivate(_) | Key::RsaPublic(_) => "an RSA key",
            Key::EcPrivate(..) | Key::EcPublic(..) => "an EC key",
            Key::Ed25519Private(_) | Key::Ed25519Public(_) => "an Ed25519 key",
        };
        format!("{} needs {wanted}, got {got}", self.name)
    }
}

impl Scheme {
    fn rsa_encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Pkcs1("sha384") => &schemes::RSA_PKCS1_SHA384,
            Self::Pkcs1("sha512") => &schemes::RSA_PKCS1_SHA512,
            Self::Pss("sha256") => &schemes::RSA_PSS_SHA256,
            Self::Pss("sha384") => &schemes::RSA_PSS_SHA384,
            Self::Pss("sha512") => &schemes::RSA_PSS_SHA512,
            _ => &schemes::RSA_PKCS1_SHA256,
        }
    }

    fn rsa_parameters(self) -> &'static RsaParameters {
        match self {
            Self::Pkcs1("sha384") => &schemes::RSA_PKCS1_2048_8192_SHA384,
            Self::Pkcs1("sha512") => &schemes::RSA_PKCS1_2048_8192_SHA512,
            Self::Pss("sha256") => &schemes::RSA_PSS_2048_8192_SHA256,
            Self::Pss("sha384") => &schemes::RSA_PSS_2048_8192_SHA384,
            Self::Pss("sha512") => &schemes::RSA_PSS_2048_8192_SHA512,
            _ => &schemes::RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

fn mac(digest: &str, secret: &[u8], data: &[u8]) -> Vec<u8> {
    let mut hasher = authenticator(digest, secret).expect("the table above names digests");
    hasher.add(data);
    hasher.digest()
}

pub(super) fn sign(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let algorithm = Algorithm::of_call(&args.call, &name.to_str())?;
    let (key, data) = (Key::take(&mut args, 1)?, args.bytes(2)?);
    let signature = algorithm.sign(&key, &data);
    let signature = signature.map_err(|problem| wrong(&args, &problem))?;
    encoded(args, 3, signature)
}

pub(super) fn verify(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let algorithm = Algorithm::of_call(&args.call, &name.to_str())?;
    let (key, data) = (Key::take(&mut args, 1)?, args.bytes(2)?);
    let signature = material::encoded(&mut args, 3, 4)?;
    let fits = algorithm.verify(&key, &data, &signature);
    fits.map(Value::Bool).map_err(|problem| wrong(&args, &problem))
}

fn wrong(args: &Args, problem: &str) -> ApiError {
    ApiError::usage(format!("{}: {problem}", args.call))
}
