//! Digest access authentication (RFC 7616): challenges, the answers to them, and how long they hold.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

use md5::Md5;
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use sha2::digest::Digest as _;
use sha2::{Sha256, Sha512_256};

use super::Credentials;
use super::challenge::{self, Listed};
use crate::protocol::connect::Origin;
use crate::protocol::http::Headers;

/// Most servers whose challenges a client remembers.
const KNOWN_MAX: usize = 16;

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the session's key is derived once, from the first nonces (`-sess`).
    session: bool,
    quality: Quality,
    /// Whether the user's name is hashed, too.
    userhash: bool,
    /// Whether only the nonce of the answer before was too old.
    pub(super) stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512Of256,
}

/// The quality of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quality {
    /// RFC 2069's: neither counter nor client's nonce.
    Old,
    /// Authentication.
    Auth,
    /// Authentication, and the body's integrity.
    AuthInt,
}

/// A request, as far as an answer covers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// Nothing for a body that is not in memory.
    pub(super) body: Option<&'a [u8]>,
}

/// The challenges that one client has met: later requests answer them unasked (RFC 7616, 3.6).
#[derive(Debug, Default)]
pub(in crate::protocol::http) struct Digests {
    /// The newest first.
    known: RefCell<VecDeque<Known>>,
    random: Cell<Option<u64>>,
}

#[derive(Debug)]
struct Known {
    origin: Rc<Origin>,
    credentials: Credentials,
    challenge: Challenge,
    /// How often the nonce was used.
    count: u32,
    /// The client's nonce: one for each of the server's, as a session's key depends on it.
    cnonce: String,
}

impl Digests {
    /// Answers a server's challenge, if it is known.
    pub(super) fn answer(
        &self,
        origin: &Rc<Origin>,
        credentials: &Credentials,
        question: &Question<'_>,
    ) -> Option<String> {
        let mut known = self.known.borrow_mut();
        let known = known.iter_mut().find(|known| known.is_of(origin, credentials))?;
        known.count += 1;
        known.challenge.answer(credentials, question, &known.cnonce, known.count)
    }

    /// Keeps a challenge in the place of the server's last.
    pub(super) fn remember(
        &self,
        origin: &Rc<Origin>,
        credentials: &Credentials,
        challenge: Challenge,
    ) {
        self.forget(origin, credentials);
        let mut known = self.known.borrow_mut();
        known.truncate(KNOWN_MAX - 1);
        known.push_front(Known {
            origin: Rc::clone(origin),
            credentials: credentials.clone(),
            challenge,
            count: 0,
            cnonce: self.nonce(),
        });
    }

    /// Forgets a server's challenge: the answer to it was wrong.
    pub(super) fn forget(&self, origin: &Rc<Origin>, credentials: &Credentials) {
        self.known.borrow_mut().retain(|known| !known.is_of(origin, credentials));
    }

    fn nonce(&self) -> String {
        // Nonces must differ between clients and from each other; nothing else is asked of them.
        let seed = self.random.get().unwrap_or_else(|| {
            SplitMix64::try_from_rng(&mut SysRng).map_or(0, |mut random| random.next_u64())
        });
        let mut random = SplitMix64::seed_from_u64(seed);
        let nonce = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
        self.random.set(Some(random.next_u64()));
        nonce
    }
}

impl Known {
    fn is_of(&self, origin: &Rc<Origin>, credentials: &Credentials) -> bool {
        self.origin == *origin && self.credentials == *credentials
    }
}

impl Challenge {
    /// Returns the first challenge that can be answered: servers list what they prefer first.
    ///
    /// `has_bytes` says whether the request's body is in memory, which `auth-int` needs.
    pub(super) fn find(headers: &Headers, has_bytes: bool) -> Option<Self> {
        let lines = headers.all("www-authenticate").map(String::from_utf8_lossy);
        let listed = lines.flat_map(|line| challenge::read(&line));
        listed.into_iter().find_map(|listed| Self::of(&listed, has_bytes))
    }

    fn of(listed: &Listed, has_bytes: bool) -> Option<Self> {
        if listed.scheme != "digest" {
            return None;
        }
        let says = |name: &str| listed.param(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let name = listed.param("algorithm").unwrap_or("MD5").to_ascii_lowercase();
        let (name, session) = match name.strip_suffix("-sess") {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let algorithm = match name {
            "md5" => Algorithm::Md5,
            "sha-256" => Algorithm::Sha256,
            "sha-512-256" => Algorithm::Sha512Of256,
            _ => return None,
        };
        let offers = |wanted: &str| {
            let offered = listed.param("qop").unwrap_or_default();
            offered.split(',').any(|quality| quality.trim().eq_ignore_ascii_case(wanted))
        };
        let quality = if listed.param("qop").is_none() {
            Quality::Old
        } else if offers("auth") {
            Quality::Auth
        } else if offers("auth-int") && has_bytes {
            Quality::AuthInt
        } else {
            return None;
        };
        Some(Self {
            realm: listed.param("realm").unwrap_or_default().to_owned(),
            nonce: listed.param("nonce")?.to_owned(),
            opaque: listed.param("opaque").map(str::to_owned),
            algorithm,
            session,
            quality,
            userhash: says("userhash"),
            stale: says("stale"),
        })
    }

    /// Returns the header `authorization`; nothing if the body would have to be in memory.
    fn answer(
        &self,
        credentials: &Credentials,
        question: &Question<'_>,
        cnonce: &str,
        count: u32,
    ) -> Option<String> {
        let Self { realm, nonce, .. } = self;
        let hash = |text: &str| self.algorithm.hex(text.as_bytes());
        let Credentials { user, password } = credentials;
        let mut secret = hash(&format!("{user}:{realm}:{password}"));
        if self.session {
            secret = hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let mut request = format!("{}:{}", question.method, question.target);
        if self.quality == Quality::AuthInt {
            let _infallible = write!(request, ":{}", self.algorithm.hex(question.body?));
        }
        let request = hash(&request);
        let quality = self.quality.name();
        let response = match quality {
            None => hash(&format!("{secret}:{nonce}:{request}")),
            Some(qop) => hash(&format!("{secret}:{nonce}:{count:08x}:{cnonce}:{qop}:{request}")),
        };
        let user = if self.userhash { hash(&format!("{user}:{realm}")) } else { user.clone() };
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\", \
             algorithm={}",
            escaped(&user),
            escaped(realm),
            escaped(nonce),
            escaped(question.target),
            self.algorithm.name(self.session),
        );
        if let Some(opaque) = &self.opaque {
            let _infallible = write!(header, ", opaque=\"{}\"", escaped(opaque));
        }
        if let Some(qop) = quality {
            let _infallible = write!(header, ", qop={qop}, nc={count:08x}, cnonce=\"{cnonce}\"");
        }
        if self.userhash {
            header.push_str(", userhash=true");
        }
        Some(header)
    }
}

impl Quality {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Old => None,
            Self::Auth => Some("auth"),
            Self::AuthInt => Some("auth-int"),
        }
    }
}

impl Algorithm {
    fn hex(self, bytes: &[u8]) -> String {
        let digest = match self {
            Self::Md5 => Md5::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512Of256 => Sha512_256::digest(bytes).to_vec(),
        };
        super::hex(&digest)
    }

    fn name(self, session: bool) -> &'static str {
        match (self, session) {
            (Self::Md5, false) => "MD5",
            (Self::Md5, true) => "MD5-sess",
            (Self::Sha256, false) => "SHA-256",
            (Self::Sha256, true) => "SHA-256-sess",
            (Self::Sha512Of256, false) => "SHA-512-256",
            (Self::Sha512Of256, true) => "SHA-512-256-sess",
        }
    }
}

/// Escapes a text for a quoted string (RFC 9110, 5.6.4).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(line: &str) -> Option<Challenge> {
        let mut headers = Headers::new();
        headers.append("www-authenticate", line.as_bytes()).expect("valid");
        Challenge::find(&headers, true)
    }

    /// Returns the answer of RFC 7616's examples, whose nonces are given.
    fn answer(line: &str, user: &str, password: &str, target: &str, cnonce: &str) -> String {
        let credentials = Credentials { user: user.to_owned(), password: password.to_owned() };
        let question = Question { method: "GET", target, body: Some(b"") };
        let challenge = challenge(line).expect("a challenge");
        challenge.answer(&credentials, &question, cnonce, 1).expect("an answer")
    }

    #[track_caller]
    fn assert_has(header: &str, part: &str) {
        assert!(header.contains(part), "{part} is not in {header}");
    }

    #[test]
    fn the_answers_of_rfc_7616_are_given() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let line = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let header = answer(&line, "Mufasa", "Circle of Life", "/dir/index.html", cnonce);
            assert_has(&header, &format!("response=\"{response}\""));
            assert_has(&header, "username=\"Mufasa\", realm=\"http-auth@example.org\"");
            assert_has(&header, "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"");
            assert_has(&header, &format!("algorithm={algorithm},"));
            assert_has(&header, "qop=auth, nc=00000001, cnonce=\"f2/wE4q74E6zIJEt");
        }
    }

    /// The figures are those of the RFC's erratum 4897.
    #[test]
    fn a_hashed_user_is_that_of_rfc_7616() {
        let line = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                    nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                    opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, \
                    userhash=true";
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let header = answer(line, "J\u{e4}s\u{f8}n Doe", "Secret, or not?", "/doe.json", cnonce);
        assert_has(
            &header,
            "username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\"",
        );
        assert_has(
            &header,
            "response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\"",
        );
        assert_has(&header, "userhash=true");
    }

    #[test]
    fn an_old_challenge_is_answered_as_rfc_2069_says() {
        // RFC 2069's example, with the response of its erratum 749.
        let line = "Digest realm=\"testrealm@host.com\", \
                    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let header = answer(line, "Mufasa", "CircleOfLife", "/dir/index.html", "x");
        assert_has(&header, "response=\"1949323746fe6a43ef61f9606e7febea\"");
        assert!(!header.contains("qop") && !header.contains("nc="), "{header}");
    }

    #[test]
    fn what_cannot_be_answered_is_passed_over() {
        for line in [
            "Basic realm=x",
            "Digest realm=x, nonce=y, algorithm=SHA-1",
            "Digest realm=x, nonce=y, qop=other",
            "Digest realm=x",
        ] {
            assert_eq!(challenge(line), None, "{line}");
        }
        let second =
            challenge("Digest nonce=a, algorithm=X, Digest nonce=b, algorithm=sha-256-SESS");
        let second = second.expect("the second");
        assert_eq!((second.nonce.as_str(), second.algorithm), ("b", Algorithm::Sha256));
        assert!(second.session);
    }

    #[test]
    fn integrity_needs_the_body_in_memory() {
        let mut headers = Headers::new();
        headers.append("www-authenticate", b"Digest nonce=a, qop=auth-int").expect("valid");
        assert_eq!(Challenge::find(&headers, false), None);
        let challenge = Challenge::find(&headers, true).expect("a challenge");
        let credentials = Credentials { user: String::new(), password: String::new() };
        let question = |body| Question { method: "PUT", target: "/", body };
        let answer = |body| challenge.answer(&credentials, &question(body), "c", 1);
        assert_ne!(answer(Some(b"a")), answer(Some(b"b")));
        assert_eq!(answer(None), None);
    }

    #[test]
    fn quotes_in_what_is_quoted_are_escaped() {
        let header = answer("Digest realm=\"a\\\"b\", nonce=n", "x\"y\\", "p", "/", "c");
        assert_has(&header, r#"username="x\"y\\", realm="a\"b""#);
    }

    #[test]
    fn nonces_are_counted_and_few_servers_are_remembered() {
        let digests = Digests::default();
        let origin = |port: u16| {
            let url = url::Url::parse(&format!("http://example.org:{port}/")).expect("url");
            Rc::new(Origin::of(&url).expect("origin"))
        };
        let ada = Credentials { user: "ada".to_owned(), password: "secret".to_owned() };
        let question = Question { method: "GET", target: "/", body: None };
        let fresh = || challenge("Digest realm=r, nonce=n, qop=auth").expect("a challenge");
        assert_eq!(digests.answer(&origin(1), &ada, &question), None);
        digests.remember(&origin(1), &ada, fresh());
        for count in ["nc=00000001", "nc=00000002"] {
            assert_has(&digests.answer(&origin(1), &ada, &question).expect("known"), count);
        }
        let eve = Credentials { user: "eve".to_owned(), ..ada.clone() };
        assert_eq!(digests.answer(&origin(1), &eve, &question), None);
        for port in 2..40 {
            digests.remember(&origin(port), &ada, fresh());
        }
        assert_eq!(digests.known.borrow().len(), KNOWN_MAX);
        assert!(digests.answer(&origin(39), &ada, &question).is_some());
        assert_eq!(digests.answer(&origin(1), &ada, &question), None);
    }
}
