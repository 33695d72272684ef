//! One request of a chain: its head as it goes over the wire.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::Method;

use super::auth::{Digests, Proof, Proved};
use super::h1::{Outgoing, OutgoingHead};
use super::{Destination, Headers, Request, Response, Upload};
use crate::protocol::connect::{Origin, Via};
use crate::protocol::cookie::{self, CookieJar};
use crate::protocol::{ErrorKind, Network, ProtocolError, proxy};

/// One request of a chain of redirects.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a head, each for itself")]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Rc<Destination>,
    /// As sent, once [`Self::prepare`] was called.
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    /// The cookies that the author gave: sent besides the jar's.
    pub(super) own_cookie: Option<Box<str>>,
    /// Whether the author gave the header `host`.
    pub(super) own_host: bool,
    /// Whether the author gave the header `referer`.
    pub(super) own_referer: bool,
    /// What few requests have.
    rare: Option<Box<Rare>>,
    /// Whether the head is the usual one.
    usual: bool,
    /// Whether the body is sent chunked, as the author wished.
    chunked: bool,
    /// Whether the connection ends with the answer.
    closes: bool,
    /// Whether a proxy forwards it.
    forwarded: bool,
}

/// What a head gets besides the author's headers.
struct Added {
    length: Option<String>,
    cookies: Option<String>,
    /// `proxy-authorization`.
    for_proxy: Option<String>,
}

/// What few requests have, on its way through a chain.
#[derive(Debug)]
struct Rare {
    /// How it proves whose it is, where a header does not say it all.
    proof: Option<Proof>,
    /// The way to the server, if it is not the usual one.
    via: Option<Rc<Via>>,
    /// The body, if it is not in memory.
    upload: Option<Rc<Upload>>,
}

impl Hop {
    /// Returns the first request of a chain.
    pub(super) fn first(request: Request) -> Self {
        let Request { method, url, headers, body, extras, .. } = request;
        let rare = extras.map(|extras| {
            let proof = extras.auth.clone().map(Proof::new);
            Box::new(Rare { proof, via: extras.via.clone(), upload: extras.upload.clone() })
        });
        let mut hop = Self {
            method,
            url,
            own_cookie: None,
            own_host: false,
            own_referer: false,
            rare,
            headers,
            body,
            usual: false,
            chunked: false,
            closes: false,
            forwarded: false,
        };
        if !hop.headers.is_empty() {
            let cookies: Vec<_> = hop.headers.all("cookie").map(String::from_utf8_lossy).collect();
            hop.own_cookie = (!cookies.is_empty()).then(|| cookies.join("; ").into());
            hop.own_host = hop.headers.contains("host");
            hop.own_referer = hop.headers.contains("referer");
        }
        hop
    }

    /// Returns whose connections can serve it.
    ///
    /// # Errors
    ///
    /// The URL is not one that HTTP can request.
    pub(super) fn origin(&self) -> Result<Rc<Origin>, ProtocolError> {
        let origin = self.url.origin()?;
        let via = self.rare.as_ref().and_then(|rare| rare.via.as_ref());
        Ok(match via {
            Some(via) => Rc::new(origin.through(via)),
            None => Rc::clone(origin),
        })
    }

    /// Completes the head.
    ///
    /// # Errors
    ///
    /// The URL is not one that HTTP can request, or a cookie is none that a head can hold.
    pub(super) fn prepare(
        &mut self,
        jar: Option<&RefCell<CookieJar>>,
        network: &Network,
        digests: &Digests,
        close: bool,
    ) -> Result<(), ProtocolError> {
        self.url.origin()?;
        if self.has_proof() {
            self.prove(digests)?;
        }
        let expects_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        let for_proxy = self.for_proxy(network)?;
        let plain = self.headers.is_empty() && !self.has_body() && !self.forwarded;
        let bare = plain && !expects_body && !close;
        let cookies = self.cookies(jar);
        if bare
            && cookies.is_none()
            && let Some(usual) = self.url.usual(network)
        {
            self.headers = usual.headers.clone();
            self.usual = true;
            return Ok(());
        }
        self.usual = false;
        if let Some(cookies) = &cookies {
            super::headers::check("cookie", cookies.as_bytes()).map_err(|error| {
                ProtocolError::from(ErrorKind::InvalidCookie).with_detail(error.to_string())
            })?;
        }
        let length = self.body_length();
        let length = (length > 0 || expects_body).then(|| length.to_string());
        let added = Added { length, cookies, for_proxy };
        self.headers = self.completed(network, close, &added);
        Ok(())
    }

    /// Notes whether a proxy forwards it; returns what proves to the proxy whose it is.
    fn for_proxy(&mut self, network: &Network) -> Result<Option<String>, ProtocolError> {
        self.forwarded = false;
        if !network.has_proxies() && self.rare.is_none() {
            return Ok(None);
        }
        let origin = self.origin()?;
        let Some(proxy) = network.forwarder(&origin) else { return Ok(None) };
        self.forwarded = true;
        Ok(proxy::authorization(proxy))
    }

    /// Returns the author's headers and those that are missing among them, in one allocation.
    fn completed(&mut self, network: &Network, close: bool, added: &Added) -> Headers {
        let Added { length, cookies, for_proxy } = added;
        let (length, cookies) = (length.as_deref(), cookies.as_deref());
        let (given, has_body) = (&self.headers, self.has_body());
        let missing = |name: &str| !given.contains(name);
        self.chunked = has_body && !missing("transfer-encoding");
        let closed_by_us = close && missing("connection");
        self.closes = closed_by_us || has_token(given, "connection", "close");
        // Without it nobody could tell where the body ends (RFC 9112, 6.1).
        let not_yet = self.chunked && !has_token(given, "transfer-encoding", "chunked");
        // `Host` goes first (RFC 9110, 7.2).
        let host = given.get("host").unwrap_or(self.url.host().as_bytes());
        let kept = given.iter().filter(|(name, value)| match *name {
            // Two lengths are how requests are smuggled (RFC 9112, 6.2): the body decides.
            "host" | "content-length" | "cookie" => false,
            "user-agent" => !value.is_empty(),
            "transfer-encoding" => has_body,
            _ => true,
        });
        let own_proof = self.has_proof() || !missing("authorization");
        let authorization = self.url.authorization().filter(|_| !own_proof);
        let for_proxy = for_proxy.as_deref().filter(|_| missing("proxy-authorization"));
        let agent = network.user_agent.as_deref().filter(|_| missing("user-agent"));
        let lines = std::iter::once(("host", host))
            .chain(kept)
            .chain(line("authorization", authorization))
            .chain(line("user-agent", agent))
            .chain(line("proxy-authorization", for_proxy))
            .chain(line("connection", closed_by_us.then_some("close")))
            .chain(line("transfer-encoding", not_yet.then_some("chunked")))
            .chain(line("content-length", length.filter(|_| !self.chunked)))
            .chain(line("cookie", cookies));
        Headers::of(lines.map(|(name, value)| (name.as_bytes(), value)))
    }

    fn has_proof(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.proof.is_some())
    }

    /// Goes on to another request: what was meant for one host stays there, and proofs begin anew.
    pub(super) fn go_on(&mut self, same_host: bool) {
        let Some(rare) = &mut self.rare else { return };
        if !same_host {
            rare.proof = None;
            // The name was that of the first server.
            if let Some(via) = rare.via.take_if(|via| via.server_name.is_some()) {
                rare.via = Some(Rc::new(Via { server_name: None, ..(*via).clone() }));
            }
        }
        if let Some(proof) = &mut rare.proof {
            proof.renew();
        }
    }

    /// Gives up its proof, as the next URL has one of its own.
    pub(super) fn forget_proof(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.proof = None;
        }
    }

    /// Sets the headers anew that prove whose it is, as far as the server has said what it wants.
    fn prove(&mut self, digests: &Digests) -> Result<(), ProtocolError> {
        let Some(proof) = self.rare.as_ref().and_then(|rare| rare.proof.as_ref()) else {
            return Ok(());
        };
        self.headers.remove("authorization");
        let added = proof.headers(
            digests,
            &Proved {
                origin: self.url.origin()?,
                method: self.method.as_str(),
                url: &self.url,
                headers: &self.headers,
                body: self.upload().is_none().then_some(&self.body),
            },
        );
        for (name, value) in added {
            self.headers.insert(name, value.as_bytes()).map_err(|error| {
                let message = "user, password or key cannot stand in a header";
                ProtocolError::new(ErrorKind::Other, message).with_detail(error.to_string())
            })?;
        }
        Ok(())
    }

    /// Returns the body that is not in memory.
    pub(super) fn upload(&self) -> Option<&Rc<Upload>> {
        self.rare.as_ref().and_then(|rare| rare.upload.as_ref())
    }

    /// Returns the body's length.
    fn body_length(&self) -> u64 {
        self.upload().map_or(self.body.len() as u64, |upload| upload.length())
    }

    /// Returns whether it has a body that is not empty.
    pub(super) fn has_body(&self) -> bool {
        self.body_length() > 0
    }

    /// Gives up its body.
    pub(super) fn drop_body(&mut self) {
        self.body.clear();
        if let Some(rare) = &mut self.rare {
            rare.upload = None;
        }
    }

    /// Returns whether an answer asks for a proof that sending the hop again can give.
    pub(super) fn is_challenged(&mut self, response: &Response, digests: &Digests) -> bool {
        let has_bytes = self.upload().is_none();
        let Some(proof) = self.rare.as_mut().and_then(|rare| rare.proof.as_mut()) else {
            return false;
        };
        let (Some(status), None) = (response.exchange.status, &response.exchange.error) else {
            return false;
        };
        let Ok(origin) = self.url.origin() else { return false };
        proof.is_challenged(digests, origin, status, &response.headers, has_bytes)
    }

    /// Returns the request as it goes over the wire, once [`Self::prepare`] was called.
    pub(super) fn outgoing(&self, network: &Network) -> Outgoing<'_> {
        let usual = if self.usual { self.url.usual(network) } else { None };
        Outgoing {
            method: &self.method,
            head: match usual {
                Some(usual) => OutgoingHead::Encoded(&usual.lines),
                None if self.forwarded => OutgoingHead::Parts(self.url.absolute(), &self.headers),
                None => OutgoingHead::Parts(self.url.target(), &self.headers),
            },
            body: &self.body,
            upload: self.upload(),
            chunked: self.chunked,
            closes: self.closes,
        }
    }

    /// Returns whether sending it twice is the same as once (RFC 9110, 9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// Joins the author's cookies and those of the jar whose names the author does not give.
    fn cookies(&self, jar: Option<&RefCell<CookieJar>>) -> Option<String> {
        let from_jar = jar.and_then(|jar| jar.borrow().header_for(&self.url));
        match (&self.own_cookie, from_jar) {
            (own, None) => own.as_deref().map(str::to_owned),
            (None, jar) => jar,
            (Some(own), Some(jar)) => {
                let mut joined = own.to_string();
                for (name, pair) in cookie::pairs(&jar) {
                    if !cookie::pairs(own).any(|(given, _)| given == name) {
                        joined.push_str("; ");
                        joined.push_str(pair);
                    }
                }
                Some(joined)
            }
        }
    }
}

/// Returns a line that may be missing.
fn line<'a>(
    name: &'a str,
    value: Option<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
    value.map(|value| (name, value.as_bytes())).into_iter()
}

/// Returns whether one of the lists in a header's lines has a token, in any case.
fn has_token(headers: &Headers, name: &str, token: &str) -> bool {
    let items = headers.all(name).flat_map(|value| value.split(|byte| *byte == b','));
    items.map(<[u8]>::trim_ascii).any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ResponseKind;
    use super::*;
    use crate::plan::{Facts, HttpPlan, Options, resolve};
    use crate::protocol::CookieAttributes;

    fn hop(method: Method, url: &str, headers: &[(&str, &str)]) -> Hop {
        let mut given = Headers::new();
        for (name, value) in headers {
            given.append(name, value.as_bytes()).expect("valid");
        }
        Hop::first(Request {
            method,
            url: Rc::new(Destination::new(url::Url::parse(url).expect("url"))),
            headers: given,
            body: Bytes::new(),
            timeout: Duration::from_secs(1),
            redirects: 0,
            response: ResponseKind::Keep,
            extras: None,
        })
    }

    fn network(user_agent: &str) -> Rc<Network> {
        let plan = resolve(&Options::default(), &Facts::default()).expect("plan");
        let plan = HttpPlan { user_agent: user_agent.to_owned(), ..plan.http };
        Network::new(&plan).expect("network")
    }

    fn prepared(mut hop: Hop) -> (Hop, String) {
        hop.prepare(None, &network("kt"), &Digests::default(), false).expect("target");
        let target = hop.url.target().to_owned();
        (hop, target)
    }

    fn header<'a>(hop: &'a Hop, name: &str) -> Option<&'a str> {
        hop.headers.get(name).map(|value| std::str::from_utf8(value).expect("text"))
    }

    #[test]
    fn a_head_is_completed_with_what_is_missing() {
        let (hop, target) = prepared(hop(Method::GET, "http://Example.org:8080/a b?q=1#part", &[]));
        assert_eq!(target, "/a%20b?q=1");
        assert_eq!(header(&hop, "host"), Some("example.org:8080"));
        assert_eq!(header(&hop, "user-agent"), Some("kt"));
        assert_eq!(header(&hop, "content-length"), None);
    }

    #[test]
    fn what_the_author_gave_stays_but_a_wrong_length() {
        let given = [("host", "other"), ("user-agent", ""), ("content-length", "99")];
        let (hop, _) = prepared(hop(Method::POST, "http://example.org", &given));
        assert_eq!(header(&hop, "host"), Some("other"));
        assert_eq!(header(&hop, "user-agent"), None);
        assert_eq!(header(&hop, "content-length"), Some("0"));
    }

    #[test]
    fn a_password_in_the_url_gives_way_to_the_authors_own() {
        let url = "http://a:b@example.org/";
        let (given, _) = prepared(hop(Method::GET, url, &[("authorization", "mine")]));
        assert_eq!(header(&given, "authorization"), Some("mine"));
        let (added, _) = prepared(hop(Method::GET, url, &[]));
        assert_eq!(header(&added, "authorization"), Some("Basic YTpi"));
    }

    #[test]
    fn an_authors_transfer_coding_ends_in_chunks_and_goes_with_a_body_only() {
        let given = [("transfer-encoding", "gzip")];
        let (empty, _) = prepared(hop(Method::POST, "http://example.org", &given));
        assert_eq!(header(&empty, "transfer-encoding"), None);
        assert_eq!(header(&empty, "content-length"), Some("0"));
        let mut full = hop(Method::POST, "http://example.org", &given);
        full.body = Bytes::from_static(b"x");
        let (full, _) = prepared(full);
        let codings: Vec<&[u8]> = full.headers.all("transfer-encoding").collect();
        assert_eq!(codings, [&b"gzip"[..], b"chunked"]);
        assert!(full.chunked && header(&full, "content-length").is_none());
    }

    #[test]
    fn the_authors_cookies_go_before_the_jars_of_the_same_name() {
        let jar = RefCell::new(CookieJar::new());
        let url = url::Url::parse("http://example.org/").expect("url");
        let none = CookieAttributes::default();
        for (name, value) in [("a", "jar"), ("b", "jar")] {
            jar.borrow_mut().set(&url, name, value, &none).expect("cookie");
        }
        let mut hop = hop(Method::GET, url.as_str(), &[("cookie", "a=own; c=own")]);
        hop.prepare(Some(&jar), &network(""), &Digests::default(), true).expect("target");
        assert_eq!(header(&hop, "cookie"), Some("a=own; c=own; b=jar"));
        assert_eq!(header(&hop, "connection"), Some("close"));
    }
}
