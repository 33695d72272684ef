//! Keys as JWK (RFC 7517, RFC 7518, RFC 8037): tables, or JSON texts.

use ring::rsa::KeyPairComponents;
use ring::signature::{Ed25519KeyPair, RsaKeyPair, RsaPublicKeyComponents};

use super::key::{Curve, Key};
use crate::api::encoding::Base64;
use crate::api::{Map, Value};

/// Reads a key.
///
/// # Errors
/// If a member is missing or wrong, or the key is of a kind that is not supported.
pub(super) fn read(jwk: &Map) -> Result<Key, String> {
    let jwk = Jwk(jwk);
    match &*jwk.text("kty")? {
        "oct" => Ok(Key::Secret(jwk.bytes("k")?.into())),
        "RSA" if jwk.has("d") => {
            let number = |name| jwk.bytes(name);
            let components = KeyPairComponents {
                public_key: RsaPublicKeyComponents { n: number("n")?, e: number("e")? },
                d: number("d")?,
                p: number("p")?,
                q: number("q")?,
                dP: number("dp")?,
                dQ: number("dq")?,
                qInv: number("qi")?,
            };
            let pair = RsaKeyPair::from_components(&components);
            pair.map(Key::rsa).map_err(|error| format!("the JWK is no RSA key: {error}"))
        }
        "RSA" => {
            Ok(Key::RsaPublic(RsaPublicKeyComponents { n: jwk.bytes("n")?, e: jwk.bytes("e")? }))
        }
        "EC" => jwk.ec(),
        "OKP" => jwk.ed25519(),
        other => Err(format!("the JWK's `kty` is \"{other}\"; there are oct, RSA, EC, OKP")),
    }
}

/// Returns the keys of a set (RFC 7517, 5): a table, or a JSON text.
pub(super) fn set(value: &Value) -> Option<Vec<Value>> {
    let keys = match value {
        Value::Map(map) => map.get("keys").cloned(),
        Value::Text(text) if text.as_bytes().starts_with(b"{") => {
            match serde_json::from_slice(text.as_bytes()) {
                Ok(Value::Map(mut map)) => map.take("keys"),
                _ => None,
            }
        }
        _ => None,
    };
    match keys {
        Some(Value::List(keys)) => Some(keys),
        _ => None,
    }
}

/// Reads the key of a set that is named, or its only one.
///
/// # Errors
/// If there is none; the text says so.
pub(super) fn member(keys: &[Value], id: Option<&str>) -> Result<Key, String> {
    let named = |key: &&Value| match (key, id) {
        (Value::Map(map), Some(id)) => {
            map.get("kid").and_then(Value::as_text).as_deref() == Some(id)
        }
        _ => id.is_none() && keys.len() == 1,
    };
    match (keys.iter().find(named), id) {
        (Some(Value::Map(map)), _) => read(map),
        (_, Some(id)) => Err(format!("the key set has no key \"{id}\"")),
        (_, None) => {
            Err(format!("the token names no key (`kid`), and the key set has {}", keys.len()))
        }
    }
}

struct Jwk<'a>(&'a Map);

impl Jwk<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_nil())
    }

    fn text(&self, name: &str) -> Result<String, String> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Ok(text.to_str().into_owned()),
            _ => Err(format!("the JWK has no `{name}` that is a string")),
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let text = self.text(name)?;
        Base64 { url: true, padding: false }
            .decode(text.as_bytes())
            .map_err(|problem| format!("the JWK's `{name}`: {problem}"))
    }

    fn ec(&self) -> Result<Key, String> {
        let name = self.text("crv")?;
        let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
        let curve = curve.ok_or_else(|| {
            format!("the JWK's `crv` is \"{name}\"; there are P-256, P-384 and Ed25519")
        })?;
        // Both coordinates, uncompressed (SEC 1, 2.3.3).
        let mut public = vec![4];
        for name in ["x", "y"] {
            let bytes = self.bytes(name)?;
            let zeros = curve.bytes().checked_sub(bytes.len());
            let zeros = zeros.ok_or_else(|| format!("the JWK's `{name}` is too long"))?;
            public.extend(std::iter::repeat_n(0, zeros));
            public.extend(bytes);
        }
        if !self.has("d") {
            return Ok(Key::EcPublic(curve, public));
        }
        let key = Key::ec(curve, &self.bytes("d")?, &public);
        key.ok_or_else(|| "the JWK's `d` does not belong to its `x` and `y`".to_owned())
    }

    fn ed25519(&self) -> Result<Key, String> {
        let name = self.text("crv")?;
        if name != "Ed25519" {
            return Err(format!("the JWK's `crv` is \"{name}\"; there is Ed25519"));
        }
        let public = self.bytes("x")?;
        if !self.has("d") {
            return Ok(Key::Ed25519Public(public));
        }
        let pair = Ed25519KeyPair::from_seed_and_public_key(&self.bytes("d")?, &public);
        let pair = pair.map_err(|_| "the JWK's `d` does not belong to its `x`".to_owned())?;
        Ok(Key::Ed25519Private(Box::new(pair)))
    }
}
