//! AWS Signature Version 4: requests signed with a secret key.
//!
//! The source is AWS's documentation of the signing process, for S3 that of S3. Where they leave
//! room (paths that are encoded already, headers that need not be signed) this does as botocore.

use std::fmt;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::hex;
use crate::protocol::http::{Headers, destination};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What stands for the hash of a body that is not signed; S3 alone takes it.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
/// Bytes of a time in that form.
const TIME_BYTES: usize = 16;
/// Headers that are not signed: those of the connection, and those that are changed on the way.
const LEFT_OUT: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "proxy-authorization",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// Who signs, and for what.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKey {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
    /// The region, as in `eu-central-1`.
    pub region: String,
    /// The service, as in `execute-api` or `s3`.
    pub service: String,
}

/// The secret is nobody's business.
impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key_id, region, service, .. } = self;
        write!(f, "AwsKey({access_key_id}, {region}, {service})")
    }
}

/// A request, as far as it is signed besides its headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// As it goes over the wire.
    pub(super) path: &'a str,
    /// Without the question mark.
    pub(super) query: &'a str,
    pub(super) host: &'a str,
    /// Nothing for a body that is not in memory.
    pub(super) body: Option<&'a [u8]>,
}

impl AwsKey {
    /// Returns whether it is for S3, which has rules of its own.
    pub fn is_for_s3(&self) -> bool {
        self.service == "s3"
    }

    /// Returns the headers that a request needs besides its own, with the signature of all.
    ///
    /// A time that the author gave (`x-amz-date`) is used, and not replaced.
    pub(super) fn sign(
        &self,
        request: &Unsigned<'_>,
        headers: &Headers,
        now: SystemTime,
    ) -> Vec<(&'static str, String)> {
        let given = headers.get("x-amz-date").map(String::from_utf8_lossy);
        let time = match given.filter(|time| time.len() == TIME_BYTES && time.is_ascii()) {
            Some(time) => time.into_owned(),
            None => OffsetDateTime::from(now).format(TIME).expect("all parts are known"),
        };
        let body = request.body.map_or_else(|| UNSIGNED.to_owned(), hash);
        let mut added = vec![("x-amz-date", time.clone())];
        if self.is_for_s3() {
            added.push(("x-amz-content-sha256", body.clone()));
        }
        if let Some(token) = &self.session_token {
            added.push(("x-amz-security-token", token.clone()));
        }
        let (names, lines) = canonical_headers(request.host, headers, &added);
        let path = if self.is_for_s3() {
            encoded(&decoded(request.path.as_bytes()), b"/")
        } else {
            encoded(normal(request.path).as_bytes(), b"/")
        };
        let (method, query) = (request.method, canonical_query(request.query));
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}");
        let day = &time[..8];
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
        let signature = hex(&hmac(&self.key_of(day), text.as_bytes()));
        let credential = format!("{}/{scope}", self.access_key_id);
        let authorization = format!(
            "{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        );
        added.push(("authorization", authorization));
        added
    }

    /// Returns the key of a day, which is good for this region and service alone.
    fn key_of(&self, day: &str) -> Vec<u8> {
        let secret = format!("AWS4{}", self.secret_access_key).into_bytes();
        let parts = [day, &self.region, &self.service, "aws4_request"];
        parts.iter().fold(secret, |key, part| hmac(&key, part.as_bytes()))
    }
}

/// Returns the names of the headers that are signed, and their lines.
fn canonical_headers(
    host: &str,
    headers: &Headers,
    added: &[(&'static str, String)],
) -> (String, String) {
    let given = headers.iter().filter(|(name, _)| {
        !LEFT_OUT.contains(name) && added.iter().all(|(known, _)| known != name)
    });
    let added = added.iter().map(|(name, value)| (*name, value.as_bytes()));
    let mut all: Vec<(&str, Vec<u8>)> = std::iter::once(("host", host.as_bytes()))
        .chain(given)
        .chain(added)
        .map(|(name, value)| (name, single_spaced(value)))
        .collect();
    // Values of the same name keep their order.
    all.sort_by_key(|(name, _)| *name);
    all.dedup_by(|(name, value), (before, values)| {
        let same = name == before;
        if same {
            values.push(b',');
            values.append(value);
        }
        same
    });
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let line =
        |(name, value): &(&str, Vec<u8>)| format!("{name}:{}\n", String::from_utf8_lossy(value));
    (names.join(";"), all.iter().map(line).collect())
}

/// Returns a value with one space where it has several, and none at its ends.
fn single_spaced(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// Returns a path without empty segments and dots.
fn normal(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

/// Returns a query with its names and values encoded alike, in their order.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A plus is a space, as in forms.
            let alike = |text: &str| encoded(&decoded(text.replace('+', " ").as_bytes()), b"");
            (alike(name), alike(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Encodes all but what needs no encoding anywhere (RFC 3986, 2.3), and what is to be kept.
fn encoded(text: &[u8], kept: &[u8]) -> String {
    use std::fmt::Write as _;
    text.iter().fold(String::with_capacity(text.len()), |mut all, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) || kept.contains(byte);
        if plain {
            all.push(char::from(*byte));
        } else {
            let _infallible = write!(all, "%{byte:02X}");
        }
        all
    })
}

fn decoded(text: &[u8]) -> Vec<u8> {
    destination::percent_decoded(text)
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Returns what of the header `authorization` follows the credential.
    fn signed(
        key: &AwsKey,
        (method, path, query, host): (&str, &str, &str, &str),
        lines: &[(&str, &str)],
        body: Option<&str>,
        now: u64,
    ) -> String {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.append(name, value.as_bytes()).expect("valid");
        }
        let body = body.map(str::as_bytes);
        let request = Unsigned { method, path, query, host, body };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let added = key.sign(&request, &headers, now);
        let (name, header) = added.last().expect("the signature");
        assert_eq!(*name, "authorization");
        let (_, rest) = header.split_once("SignedHeaders=").expect("its parts");
        rest.replace(", Signature=", " ")
    }

    /// What a request is signed with: its name, the request, its headers and body, the signature.
    struct Vector {
        name: &'static str,
        request: (&'static str, &'static str, &'static str),
        lines: &'static [(&'static str, &'static str)],
        body: &'static str,
        signature: &'static str,
    }

    /// Of AWS's published suite (aws-sig-v4-test-suite).
    const SUITE: &[Vector] = &[
        Vector {
            name: "get-vanilla",
            request: ("GET", "/", ""),
            lines: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Vector {
            name: "get-vanilla-query-order-key-case",
            request: ("GET", "/", "Param2=value2&Param1=value1"),
            lines: &[],
            body: "",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        },
        Vector {
            name: "get-utf8",
            request: ("GET", "/\u{1234}", ""),
            lines: &[],
            body: "",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        },
        Vector {
            name: "get-vanilla-utf8-query",
            request: ("GET", "/", "\u{1234}=bar"),
            lines: &[],
            body: "",
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        },
        Vector {
            name: "get-unreserved",
            request: (
                "GET",
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                "",
            ),
            lines: &[],
            body: "",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        },
        Vector {
            name: "get-space",
            request: ("GET", "/example space/", ""),
            lines: &[],
            body: "",
            signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        },
        Vector {
            name: "get-relative-relative",
            request: ("GET", "/example1/example2/../..", ""),
            lines: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Vector {
            name: "get-slash",
            request: ("GET", "//", ""),
            lines: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Vector {
            name: "get-header-value-trim",
            request: ("GET", "/", ""),
            lines: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            body: "",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        },
        Vector {
            name: "get-header-key-duplicate",
            request: ("GET", "/", ""),
            lines: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            body: "",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        },
        Vector {
            name: "post-vanilla",
            request: ("POST", "/", ""),
            lines: &[],
            body: "",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        },
        Vector {
            name: "post-x-www-form-urlencoded",
            request: ("POST", "/", ""),
            lines: &[("content-type", "application/x-www-form-urlencoded")],
            body: "Param1=value1",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        },
    ];

    #[test]
    fn the_vectors_of_the_suite_are_met() {
        let key = AwsKey {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
        };
        for Vector { name, request: (method, path, query), lines, body, signature } in SUITE {
            let request = (*method, *path, *query, "example.amazonaws.com");
            let got = signed(&key, request, lines, Some(body), 1_440_938_160);
            assert!(got.ends_with(signature), "{name}: {got}");
            let dated = [lines, &[("x-amz-date", "20150830T123600Z")][..]].concat();
            assert_eq!(signed(&key, request, &dated, Some(body), 0), got, "{name}");
        }
    }

    /// The examples of "Signature Calculations for the Authorization Header" in S3's documentation.
    #[test]
    fn the_examples_of_s3_are_met() {
        let key = AwsKey {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        };
        let host = "examplebucket.s3.amazonaws.com";
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let range: &[(&str, &str)] = &[("range", "bytes=0-9"), ("user-agent", "left out")];
        for (method, path, query, lines, body, signed_headers, signature) in [
            (
                "GET",
                "/test.txt",
                "",
                range,
                "",
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test$file.text",
                "",
                &put,
                "Welcome to Amazon S3.",
                "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                "lifecycle",
                &[],
                "",
                "host;x-amz-content-sha256;x-amz-date",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                "max-keys=2&prefix=J",
                &[],
                "",
                "host;x-amz-content-sha256;x-amz-date",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let got = signed(&key, (method, path, query, host), lines, Some(body), 1_369_353_600);
            assert_eq!(got, format!("{signed_headers} {signature}"), "{method} {path}?{query}");
        }
    }

    #[test]
    fn bodies_that_are_not_in_memory_go_unsigned_and_tokens_are_signed() {
        let key = AwsKey {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
            region: "r".to_owned(),
            service: "s3".to_owned(),
        };
        let request = Unsigned { method: "PUT", path: "/", query: "", host: "h", body: None };
        let added = key.sign(&request, &Headers::new(), SystemTime::UNIX_EPOCH);
        let names: Vec<&str> = added.iter().map(|(name, _)| *name).collect();
        let all = ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "authorization"];
        assert_eq!(names, all);
        assert_eq!((added[0].1.as_str(), added[1].1.as_str()), ("19700101T000000Z", UNSIGNED));
        assert!(added[3].1.contains("host;x-amz-content-sha256;x-amz-date;x-amz-security-token"));
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn paths_and_queries_have_one_form_each() {
        assert_eq!(
            canonical_query("b=2&a=%7e&a=+1&c&a=%2f&&d=x=y"),
            "a=%201&a=%2F&a=~&b=2&c=&d=x%3Dy"
        );
        for (path, form) in [("/", "/"), ("/a/./b//c/../d/", "/a/b/d/"), ("/../..", "/"), ("", "/")]
        {
            assert_eq!(normal(path), form);
        }
        // What was encoded for the wire is encoded again, but not for S3.
        assert_eq!(encoded(normal("/a%20b").as_bytes(), b"/"), "/a%2520b");
        assert_eq!(encoded(&decoded(b"/a%20b*"), b"/"), "/a%20b%2A");
    }
}
