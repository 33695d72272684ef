//! The module `crypto`: digests, message authentication, random bytes and UUIDs.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use hmac::{Hmac, KeyInit};
use md5::Md5;
use rand::TryRng;
use rand::rngs::SysRng;
use sha1::Sha1;
use sha2::digest::{FixedOutput, Update};
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use uuid::Builder;

use super::encoding::{Base64, hex};
use super::{
    Answer, ApiError, Args, ErrorKind, Function, Method, Module, Object, Run, Value, VuContext,
};
use crate::clock;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "crypto",
    functions: &[
        Function { name: "md5", params: DATA, run: Run::Now(md5) },
        Function { name: "sha1", params: DATA, run: Run::Now(sha1) },
        Function { name: "sha224", params: DATA, run: Run::Now(sha224) },
        Function { name: "sha256", params: DATA, run: Run::Now(sha256) },
        Function { name: "sha384", params: DATA, run: Run::Now(sha384) },
        Function { name: "sha512", params: DATA, run: Run::Now(sha512) },
        Function { name: "sha512_224", params: DATA, run: Run::Now(sha512_224) },
        Function { name: "sha512_256", params: DATA, run: Run::Now(sha512_256) },
        Function { name: "hash", params: &["algorithm", "data", "encoding?"], run: Run::Now(hash) },
        Function {
            name: "hmac",
            params: &["algorithm", "key", "data", "encoding?"],
            run: Run::Now(hmac),
        },
        Function { name: "create_hash", params: &["algorithm"], run: Run::Now(create_hash) },
        Function { name: "create_hmac", params: &["algorithm", "key"], run: Run::Now(create_hmac) },
        Function { name: "equal", params: &["a", "b"], run: Run::Now(equal) },
        Function { name: "random_bytes", params: &["count"], run: Run::Now(random_bytes) },
        Function { name: "uuid", params: &[], run: Run::Now(|_, args| uuid_v4(&args)) },
        Function { name: "uuid_v4", params: &[], run: Run::Now(|_, args| uuid_v4(&args)) },
        Function { name: "uuid_v7", params: &[], run: Run::Now(|_, args| uuid_v7(&args)) },
    ],
    constants: &[],
};

const DATA: &[&str] = &["data", "encoding?"];

/// The methods of what `create_hash` and `create_hmac` return.
pub(super) const HASH_METHODS: &[Method] = &[
    Method { name: "update", params: &["data"], waits: false },
    Method { name: "digest", params: &["encoding?"], waits: false },
];

const ALGORITHMS: &str = "md5, sha1, sha224, sha256, sha384, sha512, sha512_224, sha512_256";

/// A digest, keyed or not, in the making.
trait Hasher {
    fn add(&mut self, data: &[u8]);

    /// Returns the digest of what has been added so far.
    fn digest(&self) -> Vec<u8>;
}

impl<T: Update + FixedOutput + Clone> Hasher for T {
    fn add(&mut self, data: &[u8]) {
        self.update(data);
    }

    fn digest(&self) -> Vec<u8> {
        self.clone().finalize_fixed().to_vec()
    }
}

fn keyed<T: KeyInit + Hasher + 'static>(key: &[u8]) -> Box<dyn Hasher> {
    Box::new(T::new_from_slice(key).expect("HMAC takes keys of any length"))
}

/// Returns a digest by its algorithm's name; with a key, its HMAC (RFC 2104).
fn hasher(call: &str, algorithm: &str, key: Option<&[u8]>) -> Result<Box<dyn Hasher>, ApiError> {
    Ok(match (algorithm, key) {
        ("md5", None) => Box::new(Md5::default()),
        ("sha1", None) => Box::new(Sha1::default()),
        ("sha224", None) => Box::new(Sha224::default()),
        ("sha256", None) => Box::new(Sha256::default()),
        ("sha384", None) => Box::new(Sha384::default()),
        ("sha512", None) => Box::new(Sha512::default()),
        ("sha512_224", None) => Box::new(Sha512_224::default()),
        ("sha512_256", None) => Box::new(Sha512_256::default()),
        ("md5", Some(key)) => keyed::<Hmac<Md5>>(key),
        ("sha1", Some(key)) => keyed::<Hmac<Sha1>>(key),
        ("sha224", Some(key)) => keyed::<Hmac<Sha224>>(key),
        ("sha256", Some(key)) => keyed::<Hmac<Sha256>>(key),
        ("sha384", Some(key)) => keyed::<Hmac<Sha384>>(key),
        ("sha512", Some(key)) => keyed::<Hmac<Sha512>>(key),
        ("sha512_224", Some(key)) => keyed::<Hmac<Sha512_224>>(key),
        ("sha512_256", Some(key)) => keyed::<Hmac<Sha512_256>>(key),
        _ => {
            return Err(ApiError::usage(format!(
                "{call}: unknown algorithm \"{algorithm}\"; there are {ALGORITHMS}"
            )));
        }
    })
}

/// Returns a digest in the form that the argument at `index` names.
fn encoded(mut args: Args, index: usize, digest: Vec<u8>) -> Result<Value, ApiError> {
    let encoding = args.optional_text(index)?;
    Ok(match encoding.as_ref().map(|name| name.to_str()).as_deref() {
        None | Some("hex") => hex(&digest).into(),
        Some("base64") => Base64 { url: false, padding: true }.encode(&digest).into(),
        Some("base64url") => Base64 { url: true, padding: true }.encode(&digest).into(),
        Some("base64rawurl") => Base64 { url: true, padding: false }.encode(&digest).into(),
        Some("binary") => Value::Bytes(digest.into()),
        Some(other) => {
            return Err(ApiError::usage(format!(
                "{}: unknown encoding \"{other}\"; there are hex, base64, base64url, \
                 base64rawurl, binary",
                args.call
            )));
        }
    })
}

fn digest(mut args: Args, algorithm: &str) -> Result<Value, ApiError> {
    let mut hasher = hasher(&args.call, algorithm, None)?;
    hasher.add(&args.bytes(0)?);
    encoded(args, 1, hasher.digest())
}

fn md5(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "md5")
}

fn sha1(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha1")
}

fn sha224(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha224")
}

fn sha256(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha256")
}

fn sha384(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha384")
}

fn sha512(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha512")
}

fn sha512_224(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha512_224")
}

fn sha512_256(_: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    digest(args, "sha512_256")
}

fn hash(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let algorithm = args.text(0)?;
    let mut hasher = hasher(&args.call, &algorithm.to_str(), None)?;
    hasher.add(&args.bytes(1)?);
    encoded(args, 2, hasher.digest())
}

fn hmac(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (algorithm, key) = (args.text(0)?, args.bytes(1)?);
    let mut hasher = hasher(&args.call, &algorithm.to_str(), Some(&key))?;
    hasher.add(&args.bytes(2)?);
    encoded(args, 3, hasher.digest())
}

fn create_hash(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let algorithm = args.text(0)?;
    let hasher = hasher(&args.call, &algorithm.to_str(), None)?;
    Ok(Value::object(Hash { hasher: RefCell::new(hasher) }))
}

fn create_hmac(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (algorithm, key) = (args.text(0)?, args.bytes(1)?);
    let hasher = hasher(&args.call, &algorithm.to_str(), Some(&key))?;
    Ok(Value::object(Hash { hasher: RefCell::new(hasher) }))
}

/// A digest that a script feeds in parts.
struct Hash {
    hasher: RefCell<Box<dyn Hasher>>,
}

impl Object for Hash {
    fn type_name(&self) -> &'static str {
        "hash"
    }

    fn get(&self, _: &Rc<VuContext>, _: &str) -> Result<Option<Value>, ApiError> {
        Ok(None)
    }

    fn methods(&self) -> &'static [Method] {
        HASH_METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        if method.name == "update" {
            self.hasher.borrow_mut().add(&args.bytes(0)?);
            return Ok(Answer::Now(Value::Object(self)));
        }
        let digest = self.hasher.borrow().digest();
        encoded(args, 0, digest).map(Answer::Now)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn equal(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (a, b) = (args.bytes(0)?, args.bytes(1)?);
    // Without an early end, so that the time says nothing about where two secrets differ.
    let difference = a.iter().zip(&b).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    Ok((a.len() == b.len() && difference == 0).into())
}

fn random_bytes(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let count = count(vu, &mut args, 0)?;
    let mut bytes = vec![0; count];
    fill(&args, &mut bytes)?;
    Ok(Value::Bytes(Bytes::from(bytes)))
}

/// Takes a number of bytes or characters that one text may have.
pub(super) fn count(vu: &VuContext, args: &mut Args, index: usize) -> Result<usize, ApiError> {
    let count = args.int(index)?;
    let most = vu.worker.plan.limits.string_bytes;
    match usize::try_from(count) {
        Ok(count) if count <= most => Ok(count),
        Ok(count) => Err(ApiError::new(
            ErrorKind::Size,
            format!("{}: {count} is more than the {most} bytes that a string may have", args.call),
        )),
        Err(_) => {
            let name = args.params.get(index).map_or("", |name| name.trim_end_matches('?'));
            Err(ApiError::usage(format!(
                "{}: argument {} ({name}) must be at least 0, got {count}",
                args.call,
                index + 1
            )))
        }
    }
}

/// Fills bytes from the operating system's random source.
fn fill(args: &Args, bytes: &mut [u8]) -> Result<(), ApiError> {
    SysRng.try_fill_bytes(bytes).map_err(|error| {
        ApiError::usage(format!("{}: the system gives no random bytes: {error}", args.call))
    })
}

fn uuid_v4(args: &Args) -> Result<Value, ApiError> {
    let mut bytes = [0; 16];
    fill(args, &mut bytes)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid().to_string().into())
}

fn uuid_v7(args: &Args) -> Result<Value, ApiError> {
    let mut bytes = [0; 10];
    fill(args, &mut bytes)?;
    let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uuid = Builder::from_unix_timestamp_millis(since.as_millis() as u64, &bytes).into_uuid();
    Ok(uuid.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{call, message, method, vu};
    use super::*;

    fn run(name: &str, values: Vec<Value>) -> Result<Value, ApiError> {
        call(&vu(1), &MODULE, name, values)
    }

    fn text(name: &str, values: Vec<Value>) -> String {
        match run(name, values).unwrap() {
            Value::Text(text) => text.to_str().into_owned(),
            other => panic!("{other:?} is no text"),
        }
    }

    /// MD5: RFC 1321, A.5. SHA: FIPS 180-4's examples for "abc".
    #[test]
    fn digests_have_the_standards_answers() {
        assert_eq!(text("md5", vec!["".into()]), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(text("md5", vec!["message digest".into()]), "f96b697d7cb7938d525a2f31aaf161d0");
        for (name, digest) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "sha384",
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            ("sha512_224", "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
            ("sha512_256", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        ] {
            assert_eq!(text(name, vec!["abc".into()]), digest, "{name}");
            assert_eq!(text("hash", vec![name.into(), "abc".into()]), digest, "{name}");
        }
    }

    /// MD5 and SHA-1: RFC 2202, test case 2. SHA-2: RFC 4231, test case 2.
    #[test]
    fn hmacs_have_the_rfcs_answers() {
        for (name, digest) in [
            ("md5", "750c783e6ab0b503eaa86e310a5db738"),
            ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            ("sha224", "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
            ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                "sha384",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                 8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                "sha512",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let data = "what do ya want for nothing?";
            let values = vec![name.into(), "Jefe".into(), data.into()];
            assert_eq!(text("hmac", values), digest, "{name}");
        }
        // RFC 4231, test case 6: a key longer than a block.
        let key = Value::Bytes(vec![0xaa; 131].into());
        let data = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            text("hmac", vec!["sha256".into(), key, data.into()]),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn digests_come_in_the_encoding_asked_for() {
        let get = |encoding: &str| run("md5", vec!["abc".into(), encoding.into()]);
        assert_eq!(get("base64").unwrap(), "kAFQmDzST7DWlj99KOF/cg==".into());
        assert_eq!(get("base64url").unwrap(), "kAFQmDzST7DWlj99KOF_cg==".into());
        assert_eq!(get("base64rawurl").unwrap(), "kAFQmDzST7DWlj99KOF_cg".into());
        assert!(
            matches!(get("binary").unwrap(), Value::Bytes(bytes) if bytes[..2] == [0x90, 0x01])
        );
        assert_eq!(
            message(get("octal")),
            "crypto.md5: unknown encoding \"octal\"; there are hex, base64, base64url, \
             base64rawurl, binary"
        );
        assert_eq!(
            message(run("hash", vec!["crc".into(), "".into()])),
            "crypto.hash: unknown algorithm \"crc\"; there are md5, sha1, sha224, sha256, sha384, \
             sha512, sha512_224, sha512_256"
        );
        assert_eq!(
            message(run("sha256", vec![Value::Int(1)])),
            "crypto.sha256: argument 1 (data) must be a string or bytes, got a number"
        );
    }

    #[test]
    fn a_digest_in_parts_equals_the_whole_and_may_go_on() {
        let vu = vu(1);
        let hash = call(&vu, &MODULE, "create_hash", vec!["sha1".into()]).unwrap();
        let chained = method(&vu, &hash, "update", vec!["a".into()]).unwrap();
        assert_eq!(chained, hash);
        let a = method(&vu, &hash, "digest", vec![]).unwrap();
        assert_eq!(a, text("sha1", vec!["a".into()]).into());
        method(&vu, &hash, "update", vec!["bc".into()]).unwrap();
        let abc = method(&vu, &hash, "digest", vec![]).unwrap();
        assert_eq!(abc, text("sha1", vec!["abc".into()]).into());

        let keyed = call(&vu, &MODULE, "create_hmac", vec!["sha1".into(), "k".into()]).unwrap();
        method(&vu, &keyed, "update", vec!["x".into()]).unwrap();
        let base64 = method(&vu, &keyed, "digest", vec!["base64".into()]).unwrap();
        let whole = vec!["sha1".into(), "k".into(), "x".into(), "base64".into()];
        assert_eq!(base64, run("hmac", whole).unwrap());
    }

    #[test]
    fn equality_looks_at_every_byte() {
        for (a, b, same) in [("abc", "abc", true), ("abc", "abd", false), ("abc", "ab", false)] {
            assert_eq!(run("equal", vec![a.into(), b.into()]).unwrap(), same.into());
        }
    }

    #[test]
    fn random_bytes_have_the_length_asked_for_within_limits() {
        let get = |count| run("random_bytes", vec![Value::Int(count)]);
        let (a, b) = (get(32).unwrap(), get(32).unwrap());
        assert!(matches!(&a, Value::Bytes(bytes) if bytes.len() == 32));
        assert_ne!(a, b);
        assert_eq!(
            message(get(-1)),
            "crypto.random_bytes: argument 1 (count) must be at least 0, got -1"
        );
        let error = get((1 << 20) + 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Size);
        assert_eq!(
            error.message,
            "crypto.random_bytes: 1048577 is more than the 1048576 bytes that a string may have"
        );
    }

    #[test]
    fn uuids_carry_version_and_variant() {
        for (name, version) in [("uuid", 4), ("uuid_v4", 4), ("uuid_v7", 7)] {
            let (a, b) = (text(name, vec![]), text(name, vec![]));
            assert_ne!(a, b);
            let uuid = uuid::Uuid::parse_str(&a).unwrap();
            assert_eq!(uuid.get_version_num(), version);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
        let stamp = uuid::Uuid::parse_str(&text("uuid_v7", vec![])).unwrap().get_timestamp();
        let now = clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(stamp.unwrap().to_unix().0) < 60);
    }
}
