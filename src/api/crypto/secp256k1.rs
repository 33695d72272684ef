//! ECDSA on secp256k1 (SEC 2): keys, signatures from which the key can be recovered. What Ethereum and
//! Bitcoin sign with.

use std::rc::Rc;

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};

use super::entropy::fill;
use super::{encode, encoded, material};
use crate::api::{ApiError, Args, Map, Value, VuContext};

/// Bytes of a private key, of a digest, and of each number of a signature.
const NUMBER: usize = 32;

/// Bytes of a public key: with its sign and one coordinate, with both, with both and without the
/// byte that says so.
const PUBLIC: [usize; 3] = [33, 65, 64];

/// The byte before both coordinates of a public key (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

pub(super) fn generate_key(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    let mut key = [0; NUMBER];
    // One in 2^128 is none: 0, or beyond the group's order.
    while SigningKey::from_slice(&key).is_err() {
        fill(&args, &mut key)?;
    }
    encoded(args, 0, key.to_vec())
}

pub(super) fn public_key(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let key = private(&mut args)?;
    written(args, 1, key.verifying_key())
}

/// Signs a digest as RFC 6979 says, so that the same digest gives the same signature, with the lower
/// of the two possible `s`, as Ethereum wants it (EIP-2).
pub(super) fn sign(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (key, digest) = (private(&mut args)?, material::exactly::<NUMBER>(&mut args, 1)?);
    let encoding = args.optional_text(2)?;
    let encoding = encoding.as_ref().map(|name| name.to_str());
    let (signature, recovery_id) = key.sign_prehash_recoverable(&digest);
    let bytes = signature.to_bytes();
    let (r, s) = bytes.split_at(NUMBER);
    let form = |bytes: &[u8]| encode(&args.call, encoding.as_deref(), bytes.to_vec());
    let mut map = Map::new();
    map.push("signature", form(&bytes)?);
    map.push("r", form(r)?);
    map.push("s", form(s)?);
    map.push("recovery_id", i64::from(recovery_id.to_byte()));
    // Known by now, and dear to make again.
    map.push("public_key", form(key.verifying_key().to_sec1_point(false).as_bytes())?);
    Ok(Value::Map(map))
}

pub(super) fn verify(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut key = material::take(&mut args, 0, &PUBLIC)?;
    if key.len() == 2 * NUMBER {
        key.insert(0, UNCOMPRESSED);
    }
    let key = VerifyingKey::from_sec1_bytes(&key);
    let key = key.map_err(|_| wrong(&args, 0, "is no point of the curve"))?;
    let digest = material::exactly::<NUMBER>(&mut args, 1)?;
    let signature = material::exactly::<{ 2 * NUMBER }>(&mut args, 2)?;
    let valid = Signature::from_slice(&signature)
        .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok());
    Ok(valid.into())
}

pub(super) fn recover(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let digest = material::exactly::<NUMBER>(&mut args, 0)?;
    let signature = material::exactly::<{ 2 * NUMBER }>(&mut args, 1)?;
    let id = args.int(2)?;
    let id = u8::try_from(id).ok().and_then(RecoveryId::from_byte);
    let id = id.ok_or_else(|| wrong(&args, 2, "must be from 0 to 3"))?;
    let key = Signature::from_slice(&signature)
        .and_then(|signature| VerifyingKey::recover_from_prehash(&digest, &signature, id));
    // A signature that no key can have made is an answer, as one that does not fit is.
    key.map_or(Ok(Value::Nil), |key| written(args, 3, &key))
}

/// Takes a private key from the first argument.
fn private(args: &mut Args) -> Result<SigningKey, ApiError> {
    let bytes = material::exactly::<NUMBER>(args, 0)?;
    let key = SigningKey::from_slice(&bytes);
    key.map_err(|_| wrong(args, 0, "must be above 0 and below the order of the curve"))
}

fn wrong(args: &Args, index: usize, problem: &str) -> ApiError {
    let name = args.params[index];
    ApiError::usage(format!("{}: argument {} ({name}) {problem}", args.call, index + 1))
}

/// Returns a public key in the form that the options at `index` ask for.
fn written(mut args: Args, index: usize, key: &VerifyingKey) -> Result<Value, ApiError> {
    let mut fields = args.fields(index, &["compressed", "encoding"])?;
    let compressed = fields.bool("compressed")?.unwrap_or(true);
    let encoding = fields.text("encoding")?;
    let encoding = encoding.as_ref().map(|name| name.to_str());
    encode(&args.call, encoding.as_deref(), key.to_sec1_point(compressed).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{bytes, member, run, text};
    use crate::api::Value;
    use crate::api::encoding::hex;
    use crate::api::fixture::{map, message};

    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    /// The generator itself is the public key of 1.
    const G: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const G_Y: &str = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";

    fn one() -> Value {
        format!("{}1", "0".repeat(63)).into()
    }

    fn digest(data: &str) -> Value {
        run("sha256", vec![data.into(), "binary".into()]).unwrap()
    }

    #[test]
    fn public_keys_have_both_forms() {
        assert_eq!(text("secp256k1.public_key", vec![one()]), format!("02{G}"));
        let whole = map([("compressed", false.into())]);
        assert_eq!(text("secp256k1.public_key", vec![one(), whole]), format!("04{G}{G_Y}"));
    }

    /// RFC 6979's method on this curve, as libraries of Bitcoin agree on it: the key 1 signs the
    /// SHA-256 of a saying.
    #[test]
    fn signatures_are_those_of_rfc_6979_with_a_low_s() {
        let saying = "All those moments will be lost in time, like tears in rain. Time to die...";
        for (saying, r, s) in [
            (
                saying,
                "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b",
                "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
            ),
            (
                "Satoshi Nakamoto",
                "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8",
                "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
            ),
        ] {
            let signed = run("secp256k1.sign", vec![one(), digest(saying)]).unwrap();
            assert_eq!(member(&signed, "r"), r.into());
            assert_eq!(member(&signed, "s"), s.into());
            assert_eq!(member(&signed, "signature"), format!("{r}{s}").into());
            assert_eq!(member(&signed, "public_key"), format!("04{G}{G_Y}").into());
            let again = run("secp256k1.sign", vec![one(), digest(saying)]).unwrap();
            assert_eq!(signed, again);
        }
    }

    #[test]
    fn signatures_are_checked_and_say_who_signed() {
        let key = run("secp256k1.generate_key", vec!["binary".into()]).unwrap();
        let public = text("secp256k1.public_key", vec![key.clone()]);
        let whole = map([("compressed", false.into())]);
        let long = text("secp256k1.public_key", vec![key.clone(), whole]);
        let signed = run("secp256k1.sign", vec![key, digest("a"), "binary".into()]).unwrap();
        let signature = member(&signed, "signature");
        for form in [&*public, &*long, &long[2..]] {
            let verify = |data, signature| {
                run("secp256k1.verify", vec![form.into(), digest(data), signature]).unwrap()
            };
            assert_eq!(verify("a", signature.clone()), true.into());
            assert_eq!(verify("b", signature.clone()), false.into());
            assert_eq!(verify("a", Value::Bytes(vec![0; 64].into())), false.into());
        }
        let id = member(&signed, "recovery_id");
        let values = vec![digest("a"), signature.clone(), id.clone()];
        assert_eq!(text("secp256k1.recover", values), public);
        let Value::Int(id) = id else { panic!("{id:?}") };
        let other =
            run("secp256k1.recover", vec![digest("a"), signature, (1 - id).into()]).unwrap();
        assert_ne!(other, public.into());
    }

    /// The high `s` of a signature fits in mathematics; Ethereum and Bitcoin refuse it.
    #[test]
    fn a_high_s_is_refused() {
        let signed = run("secp256k1.sign", vec![one(), digest("a"), "binary".into()]).unwrap();
        let (Value::Bytes(r), Value::Bytes(s)) = (member(&signed, "r"), member(&signed, "s"))
        else {
            panic!("{signed:?}")
        };
        let Value::Bytes(order) = bytes(ORDER) else { unreachable!() };
        let mut high = [0; 32];
        let mut borrow = 0;
        for place in (0..32).rev() {
            let difference = i16::from(order[place]) - i16::from(s[place]) - borrow;
            borrow = i16::from(difference < 0);
            high[place] = difference.rem_euclid(256) as u8;
        }
        let high = format!("{}{}", hex(&r), hex(&high));
        let values = vec![format!("02{G}").into(), digest("a"), high.into()];
        assert_eq!(run("secp256k1.verify", values).unwrap(), false.into());
    }

    #[test]
    fn what_is_no_key_is_named() {
        for (function, values, problem) in [
            (
                "secp256k1.public_key",
                vec![ORDER.into()],
                "argument 1 (private_key) must be above 0 and below the order of the curve",
            ),
            (
                "secp256k1.sign",
                vec![one(), "abc".into()],
                "argument 2 (digest) must be 32 bytes, raw or as hex digits, got 3",
            ),
            (
                "secp256k1.verify",
                vec![format!("02{}", "f".repeat(64)).into(), digest("a"), "".into()],
                "argument 1 (public_key) is no point of the curve",
            ),
            (
                "secp256k1.verify",
                vec!["05".into(), digest("a"), "".into()],
                "argument 1 (public_key) must be 33, 65 or 64 bytes, raw or as hex digits, got 2",
            ),
            (
                "secp256k1.recover",
                vec![digest("a"), "0".repeat(128).into(), 4_i64.into()],
                "argument 3 (recovery_id) must be from 0 to 3",
            ),
        ] {
            assert_eq!(message(run(function, values)), format!("crypto.{function}: {problem}"));
        }
        let none = vec![digest("a"), "0".repeat(128).into(), 0_i64.into()];
        assert_eq!(run("secp256k1.recover", none).unwrap(), Value::Nil);
    }
}
