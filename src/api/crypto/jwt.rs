//! JSON Web Tokens (RFC 7519), signed (RFC 7515): made, checked, taken apart.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use super::key::Key;
use super::signature::Algorithm;
use crate::api::encoding::Base64;
use crate::api::json::writable;
use crate::api::{ApiError, Args, Fields, Map, Text, Value, VuContext};
use crate::clock;

const BASE64URL: Base64 = Base64 { url: true, padding: false };

/// `jwt.sign(claims, key, options?)`: the token.
pub(super) fn sign(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let claims = args.take(0);
    let key = Key::take(&mut args, 1)?;
    let mut options = args.fields(2, &["algorithm", "headers", "expires_in"])?;
    let algorithm = algorithm(&args.call, &mut options)?;
    let algorithm = match algorithm {
        Some(algorithm) => algorithm,
        None => Algorithm::of_call(&args.call, key.algorithm())?,
    };
    let mut header = Map::new();
    header.push("alg", algorithm.name);
    header.push("typ", "JWT");
    for (name, value) in options.map("headers")?.unwrap_or_default() {
        header.take(&name);
        header.push(name, value);
    }
    if header.get("alg") != Some(&algorithm.name.into()) {
        return Err(ApiError::usage(format!(
            "{}: options: `headers`: name the algorithm with `algorithm`, not with `alg`",
            args.call
        )));
    }
    let payload = payload(&args, claims, &mut options)?;
    let header = json(&args.call, "header", &Value::Map(header))?;
    let mut token = BASE64URL.encode(&header);
    token.push('.');
    token.push_str(&BASE64URL.encode(&payload));
    let signature = algorithm.sign(&key, token.as_bytes());
    let signature =
        signature.map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))?;
    token.push('.');
    token.push_str(&BASE64URL.encode(&signature));
    Ok(token.into())
}

/// Returns what a token says: a table as JSON, a text as it is.
fn payload(args: &Args, claims: Value, options: &mut Fields) -> Result<Vec<u8>, ApiError> {
    let lifetime = options.duration("expires_in")?;
    match claims {
        Value::Text(text) if lifetime.is_none() => Ok(text.into_bytes().to_vec()),
        Value::Bytes(bytes) if lifetime.is_none() => Ok(bytes.to_vec()),
        Value::Text(_) | Value::Bytes(_) => Err(ApiError::usage(format!(
            "{}: options: `expires_in` needs claims that are a table",
            args.call
        ))),
        Value::Map(mut claims) => {
            if let Some(lifetime) = lifetime {
                let now = now();
                for (name, time) in [("iat", now), ("exp", now + lifetime.as_secs_f64())] {
                    claims.take(name);
                    claims.push(name, time.floor() as i64);
                }
            }
            json(&args.call, "claims", &Value::Map(claims))
        }
        Value::List(list) if list.is_empty() => payload(args, Value::Map(Map::new()), options),
        other => Err(args.wrong(0, "a table or a string", &other)),
    }
}

fn json(call: &str, what: &str, value: &Value) -> Result<Vec<u8>, ApiError> {
    let wrong = |problem: &str| ApiError::usage(format!("{call}: {what}: {problem}"));
    writable(value).map_err(|problem| wrong(&problem))?;
    serde_json::to_vec(value).map_err(|error| wrong(&error.to_string()))
}

/// Reads the option `algorithm`.
fn algorithm(call: &str, options: &mut Fields) -> Result<Option<Algorithm>, ApiError> {
    let name = options.text("algorithm")?;
    name.map(|name| Algorithm::of_call(call, &name.to_str())).transpose()
}

/// Returns the seconds since 1970.
fn now() -> f64 {
    clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A token, taken apart.
struct Token<'a> {
    header: Value,
    /// A table if it is JSON, else text.
    claims: Value,
    signature: Vec<u8>,
    /// What is signed.
    signed: &'a [u8],
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// If it is none; the text says why.
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            let count = text.split('.').count();
            return Err(format!("a token has three parts with dots between, got {count}"));
        };
        let part = |name: &str, text: &str| {
            let bytes = BASE64URL.decode(text.as_bytes());
            bytes.map_err(|problem| format!("the token's {name}: {problem}"))
        };
        let signed = &text.as_bytes()[..header.len() + 1 + claims.len()];
        let header = serde_json::from_slice(&part("header", header)?)
            .ok()
            .filter(|header| matches!(header, Value::Map(_)))
            .ok_or("the token's header is no JSON object")?;
        let claims = part("claims", claims)?;
        let claims = serde_json::from_slice(&claims)
            .unwrap_or_else(|_| Value::Text(Text::from_bytes(claims.into())));
        Ok(Self { header, claims, signature: part("signature", signature)?, signed })
    }

    fn name_of_algorithm(&self) -> Option<Cow<'_, str>> {
        self.header_text("alg")
    }

    /// Returns the name of the key that signed.
    fn key_id(&self) -> Option<Cow<'_, str>> {
        self.header_text("kid")
    }

    fn header_text(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.header {
            Value::Map(header) => header.get(name)?.as_text(),
            _ => None,
        }
    }

    /// Returns whether a reader must understand more than this one does (RFC 7515, 4.1.11).
    fn demands_extensions(&self) -> bool {
        matches!(&self.header, Value::Map(header) if header.get("crit").is_some())
    }

    fn claim(&self, name: &str) -> &Value {
        match &self.claims {
            Value::Map(claims) => claims.get(name).unwrap_or(&Value::Nil),
            _ => &Value::Nil,
        }
    }
}

/// `jwt.decode(token)`: what is in a token, whoever signed it.
pub(super) fn decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.text(0)?;
    let text = text.to_str();
    let token = Token::parse(&text)
        .map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))?;
    let mut map = Map::new();
    map.push("header", token.header);
    map.push("claims", token.claims);
    map.push("signature", BASE64URL.encode(&token.signature));
    Ok(Value::Map(map))
}

/// `jwt.verify(token, key, options?)`: whether a token is to be believed, and what is in it. What a
/// server sent is a value, however wrong it is.
pub(super) fn verify(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let text = args.text(0)?;
    let text = text.to_str();
    let token = Token::parse(&text);
    let id = token.as_ref().ok().and_then(Token::key_id);
    let key = Key::take_named(&mut args, 1, id.as_deref())?;
    let known = &["algorithm", "audience", "issuer", "leeway", "time"];
    let mut options = args.fields(2, known)?;
    let expected = Expected::read(&args.call, &mut options)?;
    let mut map = Map::new();
    match token {
        Err(problem) => {
            map.push("valid", false);
            map.push("error", problem);
        }
        Ok(token) => {
            let problem = match &key {
                Ok(key) => expected.signature(&token, key).or_else(|| expected.claims(&token)),
                Err(problem) => Some(problem.clone()),
            };
            map.push("valid", problem.is_none());
            map.push("error", problem);
            map.push("header", token.header);
            map.push("claims", token.claims);
        }
    }
    Ok(Value::Map(map))
}

/// What a token must fulfil.
struct Expected {
    algorithm: Option<Algorithm>,
    audience: Option<Text>,
    issuer: Option<Text>,
    /// Seconds that clocks may differ by.
    leeway: f64,
    /// Seconds since 1970.
    time: f64,
}

impl Expected {
    fn read(call: &str, options: &mut Fields) -> Result<Self, ApiError> {
        let time = options.take("time");
        let time = match time.as_number() {
            Some(time) => time,
            None if time.is_nil() => now(),
            None => return Err(options.wrong("time", "seconds since 1970", &time)),
        };
        Ok(Self {
            algorithm: algorithm(call, options)?,
            audience: options.text("audience")?,
            issuer: options.text("issuer")?,
            leeway: options.duration("leeway")?.unwrap_or_default().as_secs_f64(),
            time,
        })
    }

    /// Returns what is wrong with the signature. The key says which algorithms there are, not the
    /// token: else who knows a public key could sign with it as a secret (RFC 8725, 2.1).
    fn signature(&self, token: &Token<'_>, key: &Key) -> Option<String> {
        let Some(name) = token.name_of_algorithm() else {
            return Some("the token's header names no algorithm (`alg`)".to_owned());
        };
        if token.demands_extensions() {
            return Some(
                "the token demands extensions that are not known here (`crit`)".to_owned(),
            );
        }
        if name == "none" {
            return Some("the token is not signed (`alg` is none)".to_owned());
        }
        let Some(algorithm) = Algorithm::named(&name) else {
            return Some(format!("the token's algorithm {name} is not supported"));
        };
        if let Some(wanted) = self.algorithm.filter(|wanted| *wanted != algorithm) {
            return Some(format!("the token is signed with {name}, not with {}", wanted.name));
        }
        match algorithm.verify(key, token.signed, &token.signature) {
            Ok(true) => None,
            Ok(false) => Some("the signature does not fit".to_owned()),
            Err(problem) => Some(problem),
        }
    }

    /// Returns what is wrong with the claims (RFC 7519, 4.1).
    fn claims(&self, token: &Token<'_>) -> Option<String> {
        for name in ["exp", "nbf"] {
            let claim = token.claim(name);
            let Some(time) = claim.as_number() else {
                if claim.is_nil() {
                    continue;
                }
                return Some(format!("the claim `{name}` is {}, not a number", claim.type_name()));
            };
            if name == "exp" && self.time >= time + self.leeway {
                return Some(format!("the token expired {:.0} s ago", self.time - time));
            }
            if name == "nbf" && self.time < time - self.leeway {
                return Some(format!("the token is valid in {:.0} s only", time - self.time));
            }
        }
        let is =
            |claim: &Value, wanted: &Text| matches!(claim, Value::Text(text) if text == wanted);
        if let Some(issuer) = &self.issuer
            && !is(token.claim("iss"), issuer)
        {
            return Some(format!("the token's issuer is not \"{}\"", issuer.to_str()));
        }
        if let Some(audience) = &self.audience {
            let claim = token.claim("aud");
            let named = match claim {
                Value::List(names) => names.iter().any(|name| is(name, audience)),
                name => is(name, audience),
            };
            if !named {
                return Some(format!("the token is not for \"{}\"", audience.to_str()));
            }
        }
        None
    }
}
