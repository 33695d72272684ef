//! One request of a chain: its head as it goes over the wire.

use std::cell::RefCell;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::Request;
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
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The cookies that the author gave: sent besides the jar's.
    pub(super) own_cookie: Option<HeaderValue>,
    /// Whether the author gave the header `host`.
    pub(super) own_host: bool,
}

impl Hop {
    /// Returns the first request of a chain.
    pub(super) fn first(request: Request) -> Self {
        let Request { method, url, headers, body, .. } = request;
        let mut hop = Self {
            method,
            url,
            own_cookie: headers.get(COOKIE).cloned(),
            own_host: headers.contains_key(HOST),
            headers,
            body,
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
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
            .expect("base64 is a header value");
        value.set_sensitive(true);
        self.headers.entry(AUTHORIZATION).or_insert(value);
    }

    /// Completes the head and returns the request's target in origin-form (RFC 9112, 3.2.1).
    ///
    /// # Errors
    ///
    /// The URL is not one that HTTP can request.
    pub(super) fn prepare(
        &mut self,
        jar: Option<&RefCell<CookieJar>>,
        network: &Network,
        close: bool,
    ) -> Result<PathAndQuery, ProtocolError> {
        let Heading { target, host } = network.heading(&self.url)?;
        let user_agent = network.user_agent.as_ref();
        let given = std::mem::take(&mut self.headers);
        let mut headers = HeaderMap::with_capacity(given.len() + 6);
        // `Host` goes first (RFC 9110, 7.2).
        let host = match given.get(HOST) {
            Some(own) => own.clone(),
            None => host,
        };
        headers.insert(HOST, host);
        headers.extend(given);
        match headers.get(USER_AGENT) {
            Some(empty) if empty.is_empty() => drop(headers.remove(USER_AGENT)),
            Some(_) => {}
            None => drop(user_agent.and_then(|agent| headers.insert(USER_AGENT, agent.clone()))),
        }
        if close && !headers.contains_key(CONNECTION) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Two lengths are how requests are smuggled (RFC 9112, 6.2): the body decides.
        headers.remove(CONTENT_LENGTH);
        let expects_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if (!self.body.is_empty() || expects_body) && !headers.contains_key(TRANSFER_ENCODING) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        match self.cookies(jar)? {
            Some(cookies) => drop(headers.insert(COOKIE, cookies)),
            None => drop(headers.remove(COOKIE)),
        }
        self.headers = headers;
        Ok(target)
    }

    /// Returns whether sending it twice is the same as once (RFC 9110, 9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// Joins the author's cookies and those of the jar whose names the author does not give.
    fn cookies(
        &self,
        jar: Option<&RefCell<CookieJar>>,
    ) -> Result<Option<HeaderValue>, ProtocolError> {
        let from_jar = jar.and_then(|jar| jar.borrow().header_for(&self.url));
        let header = match (&self.own_cookie, from_jar) {
            (own, None) => return Ok(own.clone()),
            (None, Some(jar)) => jar,
            (Some(own), Some(jar)) => {
                let own = String::from_utf8_lossy(own.as_bytes()).into_owned();
                let mut joined = own.clone();
                for (name, pair) in cookie::pairs(&jar) {
                    if !cookie::pairs(&own).any(|(given, _)| given == name) {
                        joined.push_str("; ");
                        joined.push_str(pair);
                    }
                }
                joined
            }
        };
        HeaderValue::try_from(header).map(Some).map_err(|error| {
            ProtocolError::from(ErrorKind::InvalidCookie).with_detail(error.to_string())
        })
    }
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

    fn hop(method: Method, url: &str, headers: &[(&'static str, &'static str)]) -> Hop {
        let pair = |&(name, value): &(&'static str, &'static str)| {
            (name.parse().expect("name"), HeaderValue::from_static(value))
        };
        Hop::first(Request {
            method,
            url: Url::parse(url).expect("url"),
            headers: headers.iter().map(pair).collect(),
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
        let target = hop.prepare(None, &network("kt"), false).expect("target");
        (hop, target.to_string())
    }

    fn header<'a>(hop: &'a Hop, name: &str) -> Option<&'a str> {
        hop.headers.get(name).map(|value| value.to_str().expect("text"))
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
