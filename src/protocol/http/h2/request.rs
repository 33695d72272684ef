//! A request's head for HTTP/2: what HTTP/1.1 says of the connection has no place in it.

use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Uri, Version};

use crate::protocol::http::hop::Hop;
use crate::protocol::http::{Destination, Headers};
use crate::protocol::{ErrorKind, ProtocolError};

/// Returns the head of a hop, without a `content-length` if the author wished for none.
///
/// # Errors
///
/// The author's `host` is none, or the target is longer than one can be.
pub(super) fn head(hop: &Hop) -> Result<Request<()>, ProtocolError> {
    let mut headers = HeaderMap::with_capacity(8);
    let mut own_host = None;
    for (name, value) in &hop.headers {
        match name {
            "host" => own_host = hop.own_host.then_some(value),
            // Each pair can then be known from before (RFC 9113, 8.2.3).
            "cookie" => {
                let pairs = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
                for pair in pairs.filter(|pair| !pair.is_empty()) {
                    append(&mut headers, name, pair)?;
                }
            }
            _ if is_of_the_connection(name, value, &hop.headers) => {}
            _ => append(&mut headers, name, value)?,
        }
    }
    let mut request = Request::new(());
    *request.method_mut() = hop.method.clone();
    *request.uri_mut() = uri(&hop.url, own_host)?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Returns the headers that HTTP/2 has a place for.
pub(in crate::protocol::http) fn without_connection_headers(headers: &Headers) -> Headers {
    let kept = headers.iter().filter(|(name, value)| !is_of_the_connection(name, value, headers));
    Headers::of(kept.map(|(name, value)| (name.as_bytes(), value)))
}

/// Returns whether a line is for one connection alone (RFC 9113, 8.2.2).
fn is_of_the_connection(name: &str, value: &[u8], headers: &Headers) -> bool {
    match name {
        "connection" | "proxy-connection" | "keep-alive" | "transfer-encoding" | "upgrade"
        | "http2-settings" => true,
        "te" => !value.eq_ignore_ascii_case(b"trailers"),
        _ => {
            let tokens = headers.all("connection").flat_map(|list| list.split(|b| *b == b','));
            tokens.map(<[u8]>::trim_ascii).any(|token| token.eq_ignore_ascii_case(name.as_bytes()))
        }
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) -> Result<(), ProtocolError> {
    let line =
        HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value).ok());
    let added = line.is_some_and(|(name, value)| headers.try_append(name, value).is_ok());
    let refused = || {
        let message = "a header that HTTP/2 cannot send";
        ProtocolError::new(ErrorKind::Other, message).with_detail(name)
    };
    added.then_some(()).ok_or_else(refused)
}

fn uri(url: &Destination, own_host: Option<&[u8]>) -> Result<Uri, ProtocolError> {
    let invalid = |why: String| ProtocolError::from(ErrorKind::InvalidUrl).with_detail(why);
    let host = own_host.unwrap_or(url.host().as_bytes());
    let authority = Authority::try_from(host)
        .map_err(|error| invalid(format!("host {}: {error}", String::from_utf8_lossy(host))))?;
    let target = PathAndQuery::try_from(url.target())
        .map_err(|error| invalid(format!("{}: {error}", url.target())))?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if url.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(authority);
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use bytes::Bytes;
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::http::auth::Digests;
    use crate::protocol::http::{Request as Asked, ResponseKind};
    use crate::protocol::{Network, testing};

    fn hop(url: &str, headers: &[(&str, &str)]) -> Hop {
        let mut given = Headers::new();
        for (name, value) in headers {
            given.append(name, value.as_bytes()).expect("valid");
        }
        let mut hop = Hop::first(Asked {
            method: Method::POST,
            url: Rc::new(Destination::new(url::Url::parse(url).expect("url"))),
            headers: given,
            body: Bytes::from_static(b"body"),
            timeout: Duration::from_secs(1),
            redirects: 0,
            response: ResponseKind::Keep,
            extras: None,
        });
        let network = Network::new(&testing::plan()).expect("network");
        hop.prepare(None, &network, &Digests::default(), true).expect("a head");
        hop
    }

    fn lines(request: &Request<()>) -> Vec<(&str, &str)> {
        let lines = request.headers().iter();
        lines.map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect()
    }

    #[test]
    fn a_head_has_its_authority_and_nothing_of_the_connection() {
        let hop = hop(
            "https://Example.org:8443/a b?q=1#part",
            &[
                ("Connection", "keep-alive, X-Hop"),
                ("X-Hop", "1"),
                ("Keep-Alive", "timeout=5"),
                ("Transfer-Encoding", "chunked"),
                ("Upgrade", "x"),
                ("TE", "gzip"),
                ("X-Mine", "2"),
            ],
        );
        let request = head(&hop).expect("a head");
        assert_eq!(request.uri().to_string(), "https://example.org:8443/a%20b?q=1");
        assert_eq!(lines(&request), [("x-mine", "2"), ("user-agent", "kingtide")]);
        let kept = without_connection_headers(&hop.headers);
        let names: Vec<&str> = kept.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "x-mine", "user-agent"]);
    }

    #[test]
    fn cookies_go_apart_and_an_own_host_is_the_authority() {
        let given = [("cookie", "a=1; b=2;c=\"3;\""), ("te", "Trailers"), ("host", "other.test:1")];
        let request = hop("http://example.org/", &given);
        let request = head(&request).expect("a head");
        assert_eq!(request.uri().to_string(), "http://other.test:1/");
        let cookies: Vec<_> = request.headers().get_all("cookie").iter().collect();
        assert_eq!(cookies[..2], ["a=1", "b=2"]);
        assert_eq!(request.headers()["te"], "Trailers");
        assert_eq!(request.headers()["content-length"], "4");
        let wrong = head(&hop("http://example.org/", &[("host", "a b")])).expect_err("no host");
        assert_eq!(wrong.kind, ErrorKind::InvalidUrl);
    }

    proptest! {
        #[test]
        fn each_url_that_can_be_requested_has_a_head(rest in "[ -~]{0,40}") {
            if let Ok(url) = url::Url::parse(&format!("https://example.org/{rest}")) {
                let request = head(&hop(url.as_str(), &[])).expect("a head");
                let target = request.uri().path_and_query().expect("a target").as_str();
                prop_assert_eq!(target, &url[url::Position::BeforePath..url::Position::AfterQuery]);
            }
        }
    }
}
