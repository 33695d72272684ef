//! Where a request goes: a URL, with all that its requests derive from it.
//!
//! Most scripts ask for few URLs, again and again. What is derived from one is derived once, kept
//! behind an `Rc`, and shared by the requests, their answers and what they report.

use std::cell::OnceCell;
use std::ops::Deref;
use std::rc::Rc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::{Position, Url};

use super::Headers;
use super::h1::Lines;
use crate::protocol::connect::Origin;
use crate::protocol::{ErrorKind, Network, ProtocolError};

/// A URL and what requests to it derive from it. It is read like its [`Url`], in which user and
/// password are missing.
#[derive(Debug)]
pub struct Destination {
    url: Url,
    /// Without query and fragment; `None` if the URL has neither.
    name: Option<Box<str>>,
    /// `None` if HTTP cannot request it.
    origin: Option<Rc<Origin>>,
    /// User and password as basic authentication (RFC 7617).
    authorization: Option<Box<str>>,
    usual: OnceCell<Usual>,
}

/// The head of a request without body to which nobody adds anything: what nearly all of them send.
#[derive(Debug)]
pub(super) struct Usual {
    /// The `user-agent` that it has.
    agent: Option<Rc<str>>,
    pub(super) headers: Headers,
    /// The same as it goes over the wire, from the request's target on.
    pub(super) lines: Lines,
}

impl Destination {
    /// Takes a URL apart.
    pub fn new(mut url: Url) -> Self {
        let authorization = take_userinfo(&mut url);
        let bare = url.query().is_none() && url.fragment().is_none();
        let requestable = matches!(url.scheme(), "http" | "https") && url.has_host();
        Self {
            name: (!bare).then(|| url[..Position::AfterPath].into()),
            origin: Origin::of(&url).filter(|_| requestable).map(Rc::new),
            authorization,
            usual: OnceCell::new(),
            url,
        }
    }

    /// Returns the URL without query and fragment.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.url.as_str())
    }

    /// Returns whose connections can serve it.
    ///
    /// # Errors
    ///
    /// The URL is not one that HTTP can request.
    pub(super) fn origin(&self) -> Result<&Rc<Origin>, ProtocolError> {
        self.origin.as_ref().ok_or_else(|| {
            let why = format!("neither http nor https: {}", self.url);
            ProtocolError::from(ErrorKind::InvalidUrl).with_detail(why)
        })
    }

    /// Returns the target in origin-form (RFC 9112, 3.2.1).
    pub(super) fn target(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// Returns the target in absolute-form (RFC 9112, 3.2.2), as proxies want it.
    pub(super) fn absolute(&self) -> &str {
        &self.url[..Position::AfterQuery]
    }

    /// Returns the header `host`.
    pub(super) fn host(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// Returns the header `authorization` that user and password of the URL ask for.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Returns the usual head; nothing if requests to this URL have something of their own.
    pub(super) fn usual(&self, network: &Network) -> Option<&Usual> {
        if self.authorization.is_some() {
            return None;
        }
        let agent = network.user_agent.as_ref();
        let usual = self.usual.get_or_init(|| {
            let lines = [("host", self.host())];
            let agent = agent.map(|agent| ("user-agent", &**agent));
            let lines = lines.into_iter().chain(agent);
            let headers = Headers::of(lines.map(|(n, v)| (n.as_bytes(), v.as_bytes())));
            Usual {
                agent: network.user_agent.clone(),
                lines: Lines::of(self.target(), &headers),
                headers,
            }
        });
        // Another network's agent may be another one.
        let same = match (&usual.agent, agent) {
            (Some(one), Some(other)) => Rc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same.then_some(usual)
    }
}

impl Deref for Destination {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.url
    }
}

/// Takes user and password out of a URL, which is reported.
fn take_userinfo(url: &mut Url) -> Option<Box<str>> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decoded(url.username().as_bytes());
    pair.push(b':');
    pair.extend(percent_decoded(url.password().unwrap_or_default().as_bytes()));
    // Neither can fail where there was userinfo before.
    let _cleared = (url.set_username(""), url.set_password(None));
    Some(format!("Basic {}", BASE64_STANDARD.encode(pair)).into())
}

/// Returns a text without its percent-encoding (RFC 3986, 2.1). What is none is left.
pub(super) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
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
    use super::*;
    use crate::plan::HttpPlan;
    use crate::protocol::testing;

    fn destination(text: &str) -> Destination {
        Destination::new(Url::parse(text).expect("url"))
    }

    fn network(user_agent: &str) -> Rc<Network> {
        let plan = HttpPlan { user_agent: user_agent.to_owned(), ..testing::plan() };
        Network::new(&plan).expect("network")
    }

    #[test]
    fn names_leave_out_query_fragment_and_user() {
        for (text, name) in [
            ("http://a/b?c=1#d", "http://a/b"),
            ("http://u:p@a:81/b", "http://a:81/b"),
            ("http://u@a/?x", "http://a/"),
            ("http://a/b", "http://a/b"),
        ] {
            assert_eq!(destination(text).name(), name);
        }
    }

    #[test]
    fn user_and_password_become_basic_authentication_and_leave_the_url() {
        let destination = destination("http://a%20b:p%C3%A9%zz@example.org/");
        assert_eq!(destination.as_str(), "http://example.org/");
        let expected = format!("Basic {}", BASE64_STANDARD.encode("a b:pé%zz"));
        assert_eq!(destination.authorization(), Some(expected.as_str()));
        assert!(destination.usual(&network("kt")).is_none());
    }

    #[test]
    fn a_usual_head_is_made_once_for_each_user_agent() {
        let destination = destination("http://Example.org:8080/a b?q=1#part");
        let mine = network("kt");
        let usual = destination.usual(&mine).expect("nothing is unusual");
        let lines: Vec<(&str, &[u8])> = usual.headers.iter().collect();
        assert_eq!(lines, [("host", &b"example.org:8080"[..]), ("user-agent", b"kt")]);
        assert!(std::ptr::eq(usual, destination.usual(&mine).expect("the same")));
        assert!(destination.usual(&network("other")).is_none());
        assert!(destination.usual(&network("")).is_none());
    }

    #[test]
    fn other_schemes_have_no_origin_and_show_no_password() {
        let error =
            destination("ftp://user:secret@example.org/").origin().expect_err("ftp").clone();
        assert_eq!(error.kind, ErrorKind::InvalidUrl);
        assert!(!error.detail.expect("detail").contains("secret"));
    }
}
