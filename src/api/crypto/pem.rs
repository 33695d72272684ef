//! Keys in PEM (RFC 7468): PKCS#8, PKCS#1, SEC 1 and SubjectPublicKeyInfo.

use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, RsaPublicKeyComponents};

use super::der::{INTEGER, OBJECT, OCTET_STRING, Reader, marked};
use super::key::{Curve, Key};
use crate::api::encoding::Base64;

/// The contents of object identifiers: rsaEncryption (RFC 8017), id-ecPublicKey, secp256r1, secp384r1
/// (RFC 5480), id-Ed25519 (RFC 8410).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const BEGIN: &str = "-----BEGIN ";

/// What keys there are, for messages.
const KINDS: &str = "RSA with 2048 bits or more, EC on P-256 or P-384, Ed25519";

/// Returns whether a text holds a PEM block.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

/// Reads the first key of a PEM text.
///
/// # Errors
/// If there is none, or it is of a kind that is not supported.
pub(super) fn read(text: &str) -> Result<Key, String> {
    let mut rest = text;
    loop {
        let (label, body, after) = block(rest).ok_or("the PEM text has no key in it")?;
        rest = after;
        let read: fn(&[u8]) -> Option<Key> = match label {
            // What openssl writes before a key on a curve.
            "EC PARAMETERS" => continue,
            "PRIVATE KEY" => pkcs8,
            "RSA PRIVATE KEY" => |der| RsaKeyPair::from_der(der).ok().map(Key::rsa),
            "EC PRIVATE KEY" => sec1,
            "PUBLIC KEY" => public,
            "RSA PUBLIC KEY" => rsa_public,
            "ENCRYPTED PRIVATE KEY" => return Err(encrypted()),
            _ => return Err(format!("a PEM block \"{label}\" is no key; extract the key first")),
        };
        if body.contains("Proc-Type:") {
            return Err(encrypted());
        }
        let compact: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let der = Base64 { url: false, padding: true }.decode(&compact)?;
        return read(&der).ok_or_else(|| format!("the {label} cannot be read; there are {KINDS}"));
    }
}

fn encrypted() -> String {
    "the key is encrypted; decrypt it first: openssl pkey -in key.pem -out plain.pem".to_owned()
}

/// Returns a block's label, what is in it, and what follows it.
fn block(text: &str) -> Option<(&str, &str, &str)> {
    let (_, text) = text.split_once(BEGIN)?;
    let (label, text) = text.split_once("-----")?;
    let (body, after) = text.split_once(&format!("-----END {label}-----"))?;
    Some((label, body, after))
}

/// Reads a private key of any kind (RFC 5208).
fn pkcs8(der: &[u8]) -> Option<Key> {
    let random = SystemRandom::new();
    if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
        return Some(Key::rsa(pair));
    }
    for curve in Curve::ALL {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.signing(), der, &random) {
            return Some(Key::EcPrivate(curve, Box::new(pair)));
        }
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
    Some(Key::Ed25519Private(Box::new(pair)))
}

/// Reads a private key on a curve (RFC 5915). Its public key may be left out there, not here.
fn sec1(der: &[u8]) -> Option<Key> {
    let mut key = Reader(der).sequence()?;
    key.take(INTEGER)?;
    let private = key.take(OCTET_STRING)?;
    let curve = curve(Reader(key.take(marked(0))?).take(OBJECT)?)?;
    let public = Reader(key.take(marked(1))?).bits()?;
    Key::ec(curve, private, public)
}

/// Reads a public key of any kind (RFC 5280, 4.1).
fn public(der: &[u8]) -> Option<Key> {
    let mut info = Reader(der).sequence()?;
    let mut algorithm = info.sequence()?;
    let kind = algorithm.take(OBJECT)?;
    let bits = info.bits()?;
    match kind {
        RSA => rsa_public(bits),
        EC => Some(Key::EcPublic(curve(algorithm.take(OBJECT)?)?, bits.to_vec())),
        ED25519 => Some(Key::Ed25519Public(bits.to_vec())),
        _ => None,
    }
}

/// Reads an RSA public key (RFC 8017, A.1.1).
fn rsa_public(der: &[u8]) -> Option<Key> {
    let mut key = Reader(der).sequence()?;
    let (n, e) = (key.unsigned()?.to_vec(), key.unsigned()?.to_vec());
    Some(Key::RsaPublic(RsaPublicKeyComponents { n, e }))
}

fn curve(object: &[u8]) -> Option<Curve> {
    match object {
        P256 => Some(Curve::P256),
        P384 => Some(Curve::P384),
        _ => None,
    }
}
