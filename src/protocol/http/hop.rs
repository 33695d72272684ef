//! One request of a chain: its head as it goes over the wire.

use std::cell::RefCell;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use url::Url;

use super::h1::Outgoing;
use super::{Headers, Request};
use crate::protocol::cookie::{self, CookieJar};
use crate::protocol::network::{Heading, Network};
use crate::protocol::{ErrorKind, ProtocolError};

/// One request of a chain of redirects.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    /// Without user and password.
    pub(super) url: Url,
    /// As sent, once [`Self::prepare`] was called.
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    /// The cookies that the author gave: sent besides the jar's.
    pub(super) own_cookie: Option<String>,
    /// Whether the author gave the header `host`.
    pub(super) own_host: bool,
    /// Whether the body is sent chunked, as the author wished.
    chunked: bool,
    /// Whether the connection ends with the answer.
    closes: bool,
}

impl Hop {
    /// Returns the first request of a chain.
    pub(super) fn first(request: Request) -> Self {
        let Request { method, url, headers, body, .. } = request;
        let cookies: Vec<_> = headers.all("cookie").map(String::from_utf8_lossy).collect();
        let mut hop = Self {
            method,
            url,
            own_cookie: (!cookies.is_empty()).then(|| cookies.join("; ")),
            own_host: headers.contains("host"),
            headers,
            body,
            chunked: false,
            closes: false,
        };
        hop.take_userinfo();
        hop
    }

    /// Takes user and password out of the URL, which is reported, into `authorization` (RFC 7617)
    /// unless the author gave that.
    pub(super) fn take_userinfo(&mut self) {
        let url = &mut self.url;
        if url.username().is_empty() && url.password().is_none() {
            return;
        }
        let mut pair = percent_decoded(url.username());
        pair.push(b':');
        pair.extend(percent_decoded(url.password().unwrap_or_default()));
        // Neither can fail where there was userinfo before.
        let _cleared = (url.set_username(""), url.set_password(None));
        if !self.headers.contains("authorization") {
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            let added = self.headers.append("authorization", value.as_bytes());
            added.expect("base64 is a header's value");
        }
    }

    /// Completes the head and returns what its first line needs.
    ///
    /// # Errors
    ///
    /// The URL is not one that HTTP can request, or a cookie is none that a head can hold.
    pub(super) fn prepare(
        &mut self,
        jar: Option<&RefCell<CookieJar>>,
        network: &Network,
        close: bool,
    ) -> Result<Heading, ProtocolError> {
        let heading = network.heading(&self.url)?;
        let bad = |error: super::BadHeader| {
            ProtocolError::from(ErrorKind::Other).with_detail(error.to_string())
        };
        let given = std::mem::take(&mut self.headers);
        let mut headers = Headers::new();
        // `Host` goes first (RFC 9110, 7.2).
        let host = given.get("host").unwrap_or(heading.host.as_bytes());
        headers.append("host", host).map_err(bad)?;
        for (name, value) in &given {
            // Two lengths are how requests are smuggled (RFC 9112, 6.2): the body decides. An empty
            // `user-agent` sends none.
            let left_out = matches!(name, "host" | "content-length")
                || name == "user-agent" && value.is_empty()
                || name == "transfer-encoding" && self.body.is_empty();
            if !left_out {
                headers.append(name, value).map_err(bad)?;
            }
        }
        if let (Some(agent), false) = (&network.user_agent, given.contains("user-agent")) {
            headers.append("user-agent", agent).map_err(bad)?;
        }
        if close && !headers.contains("connection") {
            headers.append("connection", b"close").map_err(bad)?;
        }
        self.closes = has_token(&headers, "connection", "close");
        self.chunked = headers.contains("transfer-encoding");
        if self.chunked && !has_token(&headers, "transfer-encoding", "chunked") {
            // Without it nobody could tell where the body ends (RFC 9112, 6.1).
            headers.append("transfer-encoding", b"chunked").map_err(bad)?;
        }
        let expects_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if (!self.body.is_empty() || expects_body) && !self.chunked {
            let length = self.body.len().to_string();
            headers.append("content-length", length.as_bytes()).map_err(bad)?;
        }
        match self.cookies(jar) {
            Some(cookies) => headers.insert("cookie", cookies.as_bytes()).map_err(|error| {
                ProtocolError::from(ErrorKind::InvalidCookie).with_detail(error.to_string())
            })?,
            None => headers.remove("cookie"),
        }
        self.headers = headers;
        Ok(heading)
    }

    /// Returns the request as it goes over the wire, once [`Self::prepare`] was called.
    pub(super) fn outgoing<'a>(&'a self, heading: &'a Heading) -> Outgoing<'a> {
        Outgoing {
            method: &self.method,
            target: &heading.target,
            headers: &self.headers,
            body: &self.body,
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
            (own, None) => own.clone(),
            (None, jar) => jar,
            (Some(own), Some(jar)) => {
                let mut joined = own.clone();
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

/// Returns whether one of the lists in a header's lines has a token, in any case.
fn has_token(headers: &Headers, name: &str, token: &str) -> bool {
    let items = headers.all(name).flat_map(|value| value.split(|byte| *byte == b','));
    items.map(<[u8]>::trim_ascii).any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let mut literal = byte;
        if let (b'%', [high, low, beyond @ ..]) = (byte, after)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            literal = high * 16 + low;
            rest = beyond;
        }
        decoded.push(literal);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ResponseKind;
    use std::rc::Rc;

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
            url: Url::parse(url).expect("url"),
            headers: given,
            body: Bytes::new(),
            timeout: Duration::from_secs(1),
            redirects: 0,
            response: ResponseKind::Keep,
        })
    }

    fn network(user_agent: &str) -> Rc<Network> {
        let plan = resolve(&Options::default(), &Facts::default()).expect("plan");
        let plan = HttpPlan { user_agent: user_agent.to_owned(), ..plan.http };
        Network::new(&plan).expect("network")
    }

    fn prepared(mut hop: Hop) -> (Hop, String) {
        let heading = hop.prepare(None, &network("kt"), false).expect("target");
        (hop, heading.target.to_string())
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
    fn user_and_password_become_basic_authentication_and_leave_the_url() {
        let (hop, _) = prepared(hop(Method::GET, "http://a%20b:p%C3%A9%zz@example.org/", &[]));
        assert_eq!(hop.url.as_str(), "http://example.org/");
        let expected = format!("Basic {}", BASE64_STANDARD.encode("a b:pé%zz"));
        assert_eq!(header(&hop, "authorization"), Some(expected.as_str()));
    }

    #[test]
    fn the_authors_cookies_go_before_the_jars_of_the_same_name() {
        let jar = RefCell::new(CookieJar::new());
        let url = Url::parse("http://example.org/").expect("url");
        let none = CookieAttributes::default();
        for (name, value) in [("a", "jar"), ("b", "jar")] {
            jar.borrow_mut().set(&url, name, value, &none).expect("cookie");
        }
        let mut hop = hop(Method::GET, url.as_str(), &[("cookie", "a=own; c=own")]);
        hop.prepare(Some(&jar), &network(""), true).expect("target");
        assert_eq!(header(&hop, "cookie"), Some("a=own; c=own; b=jar"));
        assert_eq!(header(&hop, "connection"), Some("close"));
    }

    #[test]
    fn other_schemes_are_invalid_and_show_no_password() {
        let mut hop = hop(Method::GET, "ftp://user:secret@example.org/", &[]);
        let error = hop.prepare(None, &network(""), false).expect_err("ftp");
        assert_eq!(error.kind, ErrorKind::InvalidUrl);
        assert!(!error.detail.expect("detail").contains("secret"));
    }
}
