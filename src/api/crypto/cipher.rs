//! Encryption with a shared key: `crypto.encrypt` and `crypto.decrypt`, in the forms that WebCrypto has.

use std::rc::Rc;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use ctr::Ctr128BE;
use ctr::cipher::StreamCipher;
use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};

use super::{encode, material};
use crate::api::{ApiError, Args, Text, Value, VuContext, unknown_name};

/// A cipher and how it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    /// AES in blocks that depend on each other (SP 800-38A, 6.2), filled up as PKCS#7 says.
    AesCbc,
    /// AES as a stream (SP 800-38A, 6.5); the whole initial block counts.
    AesCtr,
    /// AES with a tag that tells changes (SP 800-38D).
    AesGcm,
    /// The same with another cipher (RFC 8439).
    ChaCha20Poly1305,
}

const CIPHERS: [(&str, Cipher); 4] = [
    ("aes-cbc", Cipher::AesCbc),
    ("aes-ctr", Cipher::AesCtr),
    ("aes-gcm", Cipher::AesGcm),
    ("chacha20-poly1305", Cipher::ChaCha20Poly1305),
];

impl Cipher {
    /// Takes a cipher's name from the first argument.
    fn take(args: &mut Args) -> Result<Self, ApiError> {
        let name = args.text(0)?;
        let name = name.to_str();
        let found = CIPHERS.iter().find(|(known, _)| *known == name).map(|(_, cipher)| *cipher);
        found.ok_or_else(|| {
            let known = CIPHERS.map(|(name, _)| name);
            ApiError::usage(unknown_name(&args.call, "algorithm", &name, &known))
        })
    }

    /// Returns the bytes that a key may have.
    fn keys(self) -> &'static [usize] {
        match self {
            Self::AesCbc | Self::AesCtr => &[16, 24, 32],
            Self::AesGcm => &[16, 32],
            Self::ChaCha20Poly1305 => &[32],
        }
    }

    /// Returns the bytes of the initial block, or of the number used once.
    fn initial(self) -> usize {
        match self {
            Self::AesCbc | Self::AesCtr => 16,
            Self::AesGcm | Self::ChaCha20Poly1305 => 12,
        }
    }

    /// Returns whether it tells changes, also of data that is not encrypted.
    fn has_tag(self) -> bool {
        matches!(self, Self::AesGcm | Self::ChaCha20Poly1305)
    }
}

/// What both ways need.
struct Work {
    cipher: Cipher,
    key: Vec<u8>,
    initial: Vec<u8>,
    /// What the tag is for, too.
    aad: Vec<u8>,
}

impl Work {
    fn encrypt(&self, data: &[u8]) -> Vec<u8> {
        let (key, initial) = (&self.key, &self.initial);
        match self.cipher {
            Cipher::AesCbc => match key.len() {
                16 => cbc_encrypted::<cbc::Encryptor<Aes128>>(key, initial, data),
                24 => cbc_encrypted::<cbc::Encryptor<Aes192>>(key, initial, data),
                _ => cbc_encrypted::<cbc::Encryptor<Aes256>>(key, initial, data),
            },
            Cipher::AesCtr => self.stream(data),
            Cipher::AesGcm | Cipher::ChaCha20Poly1305 => {
                let mut sealed = data.to_vec();
                let (key, nonce) = self.sealing();
                key.seal_in_place_append_tag(nonce, Aad::from(&self.aad), &mut sealed)
                    .expect("scripts' data is far below 2^36 bytes");
                sealed
            }
        }
    }

    /// Returns what was encrypted, unless it was changed or is of another key.
    fn decrypt(&self, data: &[u8]) -> Option<Vec<u8>> {
        let (key, initial) = (&self.key, &self.initial);
        match self.cipher {
            Cipher::AesCbc => match key.len() {
                16 => cbc_decrypted::<cbc::Decryptor<Aes128>>(key, initial, data),
                24 => cbc_decrypted::<cbc::Decryptor<Aes192>>(key, initial, data),
                _ => cbc_decrypted::<cbc::Decryptor<Aes256>>(key, initial, data),
            },
            Cipher::AesCtr => Some(self.stream(data)),
            Cipher::AesGcm | Cipher::ChaCha20Poly1305 => {
                let mut opened = data.to_vec();
                let (key, nonce) = self.sealing();
                let length =
                    key.open_in_place(nonce, Aad::from(&self.aad), &mut opened).ok()?.len();
                opened.truncate(length);
                Some(opened)
            }
        }
    }

    fn stream(&self, data: &[u8]) -> Vec<u8> {
        let (key, initial) = (&self.key, &self.initial);
        match key.len() {
            16 => streamed::<Ctr128BE<Aes128>>(key, initial, data),
            24 => streamed::<Ctr128BE<Aes192>>(key, initial, data),
            _ => streamed::<Ctr128BE<Aes256>>(key, initial, data),
        }
    }

    fn sealing(&self) -> (LessSafeKey, Nonce) {
        let algorithm = match (self.cipher, self.key.len()) {
            (Cipher::AesGcm, 16) => &AES_128_GCM,
            (Cipher::AesGcm, _) => &AES_256_GCM,
            _ => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &self.key).expect("the length was checked");
        let nonce = Nonce::try_assume_unique_for_key(&self.initial).expect("so was this one");
        (LessSafeKey::new(key), nonce)
    }
}

const CHECKED: &str = "the lengths of key and initial block were checked";

fn cbc_encrypted<T: KeyIvInit + BlockModeEncrypt>(key: &[u8], iv: &[u8], data: &[u8]) -> Vec<u8> {
    T::new_from_slices(key, iv).expect(CHECKED).encrypt_padded_vec::<Pkcs7>(data)
}

fn cbc_decrypted<T: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Option<Vec<u8>> {
    T::new_from_slices(key, iv).expect(CHECKED).decrypt_padded_vec::<Pkcs7>(data).ok()
}

fn streamed<T: KeyIvInit + StreamCipher>(key: &[u8], iv: &[u8], data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    T::new_from_slices(key, iv).expect(CHECKED).apply_keystream(&mut data);
    data
}

/// The options of both ways; `binary` has a meaning only where text comes back.
struct Options {
    encoding: Option<Text>,
    binary: bool,
}

fn read(args: &mut Args, known: &'static [&'static str]) -> Result<(Work, Options), ApiError> {
    let cipher = Cipher::take(args)?;
    let key = material::take(args, 1, cipher.keys())?;
    let initial = material::take(args, 2, &[cipher.initial()])?;
    let mut fields = args.fields(4, known)?;
    let aad = match fields.take("aad") {
        Value::Nil | Value::Null => Vec::new(),
        Value::Text(text) => text.into_bytes().to_vec(),
        Value::Bytes(bytes) => bytes.to_vec(),
        other => return Err(fields.wrong("aad", "a string or bytes", &other)),
    };
    if !aad.is_empty() && !cipher.has_tag() {
        return Err(ApiError::usage(format!(
            "{}: `aad` needs aes-gcm or chacha20-poly1305, which have a tag",
            args.call
        )));
    }
    let encoding = fields.text("encoding")?;
    let binary = fields.bool("binary")?.unwrap_or(false);
    Ok((Work { cipher, key, initial, aad }, Options { encoding, binary }))
}

/// `crypto.encrypt(algorithm, key, iv, data, options?)`.
pub(super) fn encrypt(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let data = args.bytes(3)?;
    let (work, options) = read(&mut args, &["aad", "encoding"])?;
    let encoding = options.encoding.as_ref().map(|name| name.to_str());
    encode(&args.call, encoding.as_deref(), work.encrypt(&data))
}

/// `crypto.decrypt(algorithm, key, iv, data, options?)`.
pub(super) fn decrypt(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let data = args.bytes(3)?;
    let (work, options) = read(&mut args, &["aad", "encoding", "binary"])?;
    let encoding = options.encoding.as_ref().map(|name| name.to_str());
    let data = material::read(&args.call, encoding.as_deref(), &data)?;
    let plain = work.decrypt(&data).ok_or_else(|| {
        ApiError::usage(format!(
            "{}: the data does not fit the key: it was changed, or encrypted with another key, iv or aad",
            args.call
        ))
    })?;
    Ok(if options.binary {
        Value::Bytes(plain.into())
    } else {
        Value::Text(Text::from_bytes(plain.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{bytes, run, text};
    use super::*;
    use crate::api::fixture::{map, message};

    /// SP 800-38A, F.2.1, F.2.5, F.5.1 and F.5.5, with the padding that the standard leaves out; the
    /// GCM specification's test case 4; RFC 8439, 2.8.2.
    const KNOWN: &[[&str; 6]] = &[
        [
            "aes-cbc",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "000102030405060708090a0b0c0d0e0f",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b255e21d7100b988ffec32feeafaf23538",
        ],
        [
            "aes-cbc",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "000102030405060708090a0b0c0d0e0f",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145ac81ca99c3a1e883fa8d834316a2275ec",
        ],
        [
            "aes-cbc",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d3a3aa5e0213db1a9901f9036cf5102d2",
        ],
        [
            "aes-ctr",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
        ],
        [
            "aes-ctr",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94",
        ],
        [
            "aes-ctr",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
        ],
        [
            "aes-gcm",
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
        ],
        [
            "aes-gcm",
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        ],
        [
            "chacha20-poly1305",
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
        ],
    ];

    #[test]
    fn ciphers_have_the_standards_answers() {
        for [name, key, iv, aad, plain, coded] in KNOWN {
            let options = || match *aad {
                "" => Value::Nil,
                aad => map([("aad", bytes(aad))]),
            };
            for (key, iv) in [(bytes(key), bytes(iv)), ((*key).into(), (*iv).into())] {
                let values = vec![(*name).into(), key, iv, bytes(plain), options()];
                assert_eq!(text("encrypt", values), *coded, "{name}");
            }
            let with = |extra: &'static str, value: Value| match options() {
                Value::Map(mut map) => {
                    map.push(extra, value);
                    Value::Map(map)
                }
                _ => map([(extra, value)]),
            };
            let values = |data: Value| {
                let binary = with("binary", true.into());
                vec![(*name).into(), bytes(key), bytes(iv), data, binary]
            };
            assert_eq!(run("decrypt", values((*coded).into())).unwrap(), bytes(plain), "{name}");
            assert_eq!(run("decrypt", values(bytes(coded))).unwrap(), bytes(plain), "{name}");
        }
    }

    #[test]
    fn what_was_changed_is_not_decrypted() {
        let (key, iv) = (|| Value::Bytes(vec![1; 16].into()), || Value::Bytes(vec![2; 12].into()));
        let sealed = text("encrypt", vec!["aes-gcm".into(), key(), iv(), "secret".into()]);
        let open = |data: Value, options: Value| {
            run("decrypt", vec!["aes-gcm".into(), key(), iv(), data, options])
        };
        assert_eq!(open(sealed.as_str().into(), Value::Nil).unwrap(), "secret".into());
        let changed = sealed.replacen(&sealed[..1], if &sealed[..1] == "0" { "1" } else { "0" }, 1);
        let other = map([("aad", "x".into())]);
        for (data, options) in [(changed.into(), Value::Nil), (sealed.as_str().into(), other)] {
            assert_eq!(
                message(open(data, options)),
                "crypto.decrypt: the data does not fit the key: it was changed, or encrypted with \
                 another key, iv or aad"
            );
        }
        let iv = || Value::Bytes(vec![2; 16].into());
        let cut = vec!["aes-cbc".into(), key(), iv(), "0011".into()];
        assert!(message(run("decrypt", cut)).contains("does not fit the key"));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let key = || Value::Bytes(vec![1; 24].into());
        let iv = || Value::Bytes(vec![2; 16].into());
        for (values, problem) in [
            (
                vec!["aes-gcm".into(), key(), iv(), "".into()],
                "argument 2 (key) must be 16 or 32 bytes, raw or as hex digits, got 24",
            ),
            (
                vec!["aes-cbc".into(), key(), "abc".into(), "".into()],
                "argument 3 (iv) must be 16 bytes, raw or as hex digits, got 3",
            ),
            (
                vec!["aes-gmc".into(), key(), iv(), "".into()],
                "unknown algorithm `aes-gmc`, did you mean `aes-gcm`?",
            ),
            (
                vec!["aes-ctr".into(), key(), iv(), "".into(), map([("aad", "x".into())])],
                "`aad` needs aes-gcm or chacha20-poly1305, which have a tag",
            ),
        ] {
            assert_eq!(message(run("encrypt", values)), format!("crypto.encrypt: {problem}"));
        }
    }
}
