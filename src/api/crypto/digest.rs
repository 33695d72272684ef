//! Digests and message authentication: at once, by name, and in parts.

use std::cell::RefCell;
use std::rc::Rc;

use hmac::{Hmac, KeyInit, SimpleHmac};
use md4::Md4;
use md5::Md5;
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::digest::{FixedOutput, Update};
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Keccak256, Sha3_256, Sha3_512};

use super::encoded;
use crate::api::{Answer, ApiError, Args, Method, Object, Value, VuContext};

/// The methods of what `create_hash` and `create_hmac` return.
pub(in crate::api) const HASH_METHODS: &[Method] = &[
    Method { name: "update", params: &["data"], waits: false },
    Method { name: "digest", params: &["encoding?"], waits: false },
];

const ALGORITHMS: &str = "md4, md5, ripemd160, sha1, sha224, sha256, sha384, sha512, sha512_224, \
                          sha512_256, sha3_256, sha3_512, keccak256";

/// A digest, keyed or not, in the making.
pub(super) trait Hasher {
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

/// Returns a digest by its algorithm's name.
fn plain(algorithm: &str) -> Option<Box<dyn Hasher>> {
    Some(match algorithm {
        "md4" => Box::new(Md4::default()),
        "md5" => Box::new(Md5::default()),
        "ripemd160" => Box::new(Ripemd160::default()),
        "sha1" => Box::new(Sha1::default()),
        "sha224" => Box::new(Sha224::default()),
        "sha256" => Box::new(Sha256::default()),
        "sha384" => Box::new(Sha384::default()),
        "sha512" => Box::new(Sha512::default()),
        "sha512_224" => Box::new(Sha512_224::default()),
        "sha512_256" => Box::new(Sha512_256::default()),
        "sha3_256" => Box::new(Sha3_256::default()),
        "sha3_512" => Box::new(Sha3_512::default()),
        // What Ethereum uses: SHA-3 before it became a standard, with another padding.
        "keccak256" => Box::new(Keccak256::default()),
        _ => return None,
    })
}

/// Returns an HMAC (RFC 2104) by its digest's name.
pub(super) fn authenticator(algorithm: &str, key: &[u8]) -> Option<Box<dyn Hasher>> {
    Some(match algorithm {
        "md4" => keyed::<Hmac<Md4>>(key),
        "md5" => keyed::<Hmac<Md5>>(key),
        "ripemd160" => keyed::<Hmac<Ripemd160>>(key),
        "sha1" => keyed::<Hmac<Sha1>>(key),
        "sha224" => keyed::<Hmac<Sha224>>(key),
        "sha256" => keyed::<Hmac<Sha256>>(key),
        "sha384" => keyed::<Hmac<Sha384>>(key),
        "sha512" => keyed::<Hmac<Sha512>>(key),
        "sha512_224" => keyed::<Hmac<Sha512_224>>(key),
        "sha512_256" => keyed::<Hmac<Sha512_256>>(key),
        "sha3_256" => keyed::<SimpleHmac<Sha3_256>>(key),
        "sha3_512" => keyed::<SimpleHmac<Sha3_512>>(key),
        "keccak256" => keyed::<SimpleHmac<Keccak256>>(key),
        _ => return None,
    })
}

/// Returns a digest by its algorithm's name; with a key, its HMAC.
fn hasher(call: &str, algorithm: &str, key: Option<&[u8]>) -> Result<Box<dyn Hasher>, ApiError> {
    let found = match key {
        None => plain(algorithm),
        Some(key) => authenticator(algorithm, key),
    };
    found.ok_or_else(|| {
        ApiError::usage(format!(
            "{call}: unknown algorithm \"{algorithm}\"; there are {ALGORITHMS}"
        ))
    })
}

/// Returns the digest of the first argument in the encoding that the second names.
pub(super) fn digest(mut args: Args, algorithm: &str) -> Result<Value, ApiError> {
    let mut hasher = hasher(&args.call, algorithm, None)?;
    hasher.add(&args.bytes(0)?);
    encoded(args, 1, hasher.digest())
}

pub(super) fn hash(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let algorithm = args.text(0)?;
    let mut hasher = hasher(&args.call, &algorithm.to_str(), None)?;
    hasher.add(&args.bytes(1)?);
    encoded(args, 2, hasher.digest())
}

pub(super) fn hmac(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (algorithm, key) = (args.text(0)?, args.bytes(1)?);
    let mut hasher = hasher(&args.call, &algorithm.to_str(), Some(&key))?;
    hasher.add(&args.bytes(2)?);
    encoded(args, 3, hasher.digest())
}

pub(super) fn create_hash(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let algorithm = args.text(0)?;
    let hasher = hasher(&args.call, &algorithm.to_str(), None)?;
    Ok(Value::object(Hash { hasher: RefCell::new(hasher) }))
}

pub(super) fn create_hmac(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
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
}

#[cfg(test)]
mod tests {
    use super::super::MODULE;
    use super::super::fixture::{run, text};
    use crate::api::Value;
    use crate::api::fixture::{call, message, method, vu};

    /// MD4: RFC 1320, A.5. MD5: RFC 1321, A.5. RIPEMD-160: its authors' page. SHA: FIPS 180-4's and 202's
    /// examples for "abc". Keccak: Ethereum's, where it differs from SHA-3.
    #[test]
    fn digests_have_the_standards_answers() {
        assert_eq!(text("md5", vec!["".into()]), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(text("md5", vec!["message digest".into()]), "f96b697d7cb7938d525a2f31aaf161d0");
        for (name, digest) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("md4", "a448017aaf21d8525fc10ae87aa6729d"),
            ("ripemd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
            ("keccak256", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
            ("sha3_256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            (
                "sha3_512",
                "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e\
                 10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
            ),
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

    /// MD5 and SHA-1: RFC 2202, test case 2. SHA-2: RFC 4231, test case 2. SHA-3: NIST's method by
    /// another implementation.
    #[test]
    fn hmacs_have_the_rfcs_answers() {
        for (name, digest) in [
            ("md5", "750c783e6ab0b503eaa86e310a5db738"),
            ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            ("sha3_256", "c7d4072e788877ae3596bbb0da73b887c9171f93095b294ae857fbe2645e1ba5"),
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
            "crypto.hash: unknown algorithm \"crc\"; there are md4, md5, ripemd160, sha1, \
             sha224, sha256, sha384, sha512, sha512_224, sha512_256, sha3_256, sha3_512, keccak256"
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
}
