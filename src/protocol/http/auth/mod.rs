//! Authentication that depends on the request: digest (RFC 7616) and the signatures of AWS.
//!
//! Basic and bearer are headers like others; what is here must see the request, or what the server
//! said before.

use std::fmt::{self, Write as _};
use std::rc::Rc;

use http::StatusCode;

pub use self::aws::AwsKey;
use self::aws::Unsigned;
pub(super) use self::digest::Digests;
use self::digest::{Challenge, Question};
use super::{Destination, Headers};
use crate::clock;
use crate::protocol::connect::Origin;

mod aws;
mod challenge;
mod digest;

/// How a request proves whose it is.
#[derive(Debug, Clone)]
pub enum Auth {
    /// By an answer to the server's challenge (RFC 7616). The first request of a client to a server
    /// meets a 401 with the challenge, and is sent again with the answer.
    Digest(Credentials),
    /// By a signature of AWS's fourth version.
    Aws(Rc<AwsKey>),
}

/// A request, as far as proofs cover it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proved<'a> {
    pub(super) origin: &'a Rc<Origin>,
    pub(super) method: &'a str,
    pub(super) url: &'a Destination,
    /// Those that the author gave.
    pub(super) headers: &'a Headers,
    /// Nothing for a body that is not in memory.
    pub(super) body: Option<&'a [u8]>,
}

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Returns bytes as hexadecimal digits in lower case.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The authentication of a chain of hops, and how far it has come.
#[derive(Debug)]
pub(super) struct Proof {
    auth: Auth,
    /// How often challenges of the current server were answered.
    answers: u8,
}

impl Proof {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, answers: 0 }
    }

    /// Begins anew, as the next hop is another request.
    pub(super) fn renew(&mut self) {
        self.answers = 0;
    }

    /// Returns the headers that prove whose a request is: none if the server must ask first.
    pub(super) fn headers(
        &self,
        digests: &Digests,
        request: &Proved<'_>,
    ) -> Vec<(&'static str, String)> {
        let Proved { origin, method, url, headers, body } = *request;
        match &self.auth {
            Auth::Digest(credentials) => {
                let question = Question { method, target: url.target(), body };
                let answer = digests.answer(origin, credentials, &question);
                answer.map(|answer| ("authorization", answer)).into_iter().collect()
            }
            Auth::Aws(key) => {
                let own_host = headers.get("host").and_then(|host| std::str::from_utf8(host).ok());
                let request = Unsigned {
                    method,
                    path: url.path(),
                    query: url.query().unwrap_or_default(),
                    host: own_host.unwrap_or(url.host()),
                    body,
                };
                key.sign(&request, headers, clock::wall())
            }
        }
    }

    /// Notes the challenge of an answer; returns whether the request is to be sent again with an
    /// answer to it.
    pub(super) fn is_challenged(
        &mut self,
        digests: &Digests,
        origin: &Rc<Origin>,
        status: StatusCode,
        headers: &Headers,
        has_bytes: bool,
    ) -> bool {
        let Auth::Digest(credentials) = &self.auth else { return false };
        if status != StatusCode::UNAUTHORIZED {
            return false;
        }
        let Some(challenge) = Challenge::find(headers, has_bytes) else { return false };
        // One answer is right or wrong; a stale nonce alone earns another.
        let allowed = if challenge.stale { 2 } else { 1 };
        if self.answers >= allowed {
            digests.forget(origin, credentials);
            return false;
        }
        self.answers += 1;
        digests.remember(origin, credentials, challenge);
        true
    }
}
