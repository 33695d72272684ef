//! Which answers send a request elsewhere, and what the next request keeps: Go's rules, as k6's.

use std::rc::Rc;

use http::{Method, StatusCode};
use url::Url;

use super::Destination;
use super::hop::Hop;
use crate::protocol::cookie::{self, Cookie};
use crate::protocol::{ErrorKind, Headers, ProtocolError};

/// Returns whether an answer asks for another request. One without `location`, or with an empty one,
/// is just an answer.
pub(super) fn is_redirect(status: StatusCode, headers: &Headers) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
        && headers.get("location").is_some_and(|location| !location.is_empty())
}

/// Turns a request into the one that its answer asks for.
///
/// # Errors
///
/// The location cannot be requested.
pub(super) fn follow(
    hop: &mut Hop,
    status: StatusCode,
    answer: &Headers,
) -> Result<(), ProtocolError> {
    let location = answer.get("location").unwrap_or_default();
    let location = String::from_utf8_lossy(location);
    let next = match hop.url.join(&location) {
        Ok(next) if matches!(next.scheme(), "http" | "https") && next.has_host() => next,
        Ok(_) | Err(_) => {
            return Err(ProtocolError::new(ErrorKind::InvalidUrl, "redirect to an invalid url")
                .with_detail(location));
        }
    };
    if matches!(status.as_u16(), 301..=303) {
        without_body(hop);
    }
    // A host of the author's own is for this server; a relative location stays with it.
    if !hop.own_host || Url::parse(&location).is_ok() {
        hop.headers.remove("host");
        hop.own_host = false;
    }
    hop.headers.remove("cookie");
    // It is for the proxy of this request; the next may go to its server directly.
    hop.headers.remove("proxy-authorization");
    if next.host_str() == hop.url.host_str() {
        hop.own_cookie = hop
            .own_cookie
            .take()
            .and_then(|own| without_replaced(&own, answer))
            .map(String::into_boxed_str);
    } else {
        // What was meant for one server is not shown to another, nor to the first when it is
        // reached by way of another.
        for secret in ["authorization", "www-authenticate", "x-amz-security-token"] {
            hop.headers.remove(secret);
        }
        hop.own_cookie = None;
    }
    hop.go_on(next.host_str() == hop.url.host_str());
    if !next.username().is_empty() || next.password().is_some() {
        hop.headers.remove("authorization");
        hop.forget_proof();
    }
    if !hop.own_referer {
        refer(hop, &next);
    }
    hop.url = Rc::new(Destination::new(next));
    Ok(())
}

/// Says where the next request comes from (RFC 9110, 10.1.3), but not without TLS what went over TLS.
fn refer(hop: &mut Hop, next: &Url) {
    hop.headers.remove("referer");
    if hop.url.scheme() != "https" || next.scheme() == "https" {
        // What is a URL can stand in a head; its user and password are not in it.
        let _infallible = hop.headers.append("referer", hop.url.absolute().as_bytes());
    }
}

fn without_body(hop: &mut Hop) {
    if hop.method != Method::HEAD {
        hop.method = Method::GET;
    }
    hop.drop_body();
    // They describe the body that is no more (RFC 9110, 15.4); the length is set anew anyway.
    for name in [
        "content-type",
        "content-encoding",
        "content-language",
        "content-location",
        "transfer-encoding",
    ] {
        hop.headers.remove(name);
    }
}

/// Returns the author's cookies but those that the answer has set anew.
fn without_replaced(own: &str, answer: &Headers) -> Option<String> {
    let set = Cookie::from_headers(answer);
    let kept: Vec<&str> = cookie::pairs(own)
        .filter(|(name, _)| set.iter().all(|cookie| cookie.name != *name))
        .map(|(_, pair)| pair)
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::{Request, ResponseKind};
    use super::*;

    fn post() -> Hop {
        let given =
            [("content-type", "text/plain"), ("authorization", "x"), ("cookie", "a=1; b=2")];
        let mut headers = Headers::new();
        for (name, value) in given {
            headers.append(name, value.as_bytes()).expect("valid");
        }
        Hop::first(Request {
            method: Method::POST,
            url: Rc::new(Destination::new(Url::parse("http://example.org/a/b?c").expect("url"))),
            headers,
            body: Bytes::from_static(b"body"),
            timeout: Duration::from_secs(1),
            redirects: 9,
            response: ResponseKind::Keep,
            extras: None,
        })
    }

    fn answer(location: &str, set_cookie: Option<&str>) -> Headers {
        let mut headers = Headers::new();
        headers.append("location", location.as_bytes()).expect("location");
        if let Some(line) = set_cookie {
            headers.append("set-cookie", line.as_bytes()).expect("cookie");
        }
        headers
    }

    fn followed(status: u16, location: &str) -> Hop {
        let mut hop = post();
        let status = StatusCode::from_u16(status).expect("status");
        follow(&mut hop, status, &answer(location, None)).expect("location");
        hop
    }

    #[test]
    fn old_redirects_become_get_and_new_ones_keep_method_and_body() {
        for status in [301, 302, 303] {
            let hop = followed(status, "/x");
            assert_eq!((hop.method, hop.body.len()), (Method::GET, 0));
            assert!(!hop.headers.contains("content-type"));
        }
        for status in [307, 308] {
            let hop = followed(status, "/x");
            assert_eq!((hop.method, hop.body.len()), (Method::POST, 4));
            assert!(hop.headers.contains("content-type"));
        }
        let mut head = post();
        head.method = Method::HEAD;
        follow(&mut head, StatusCode::SEE_OTHER, &answer("/x", None)).expect("location");
        assert_eq!(head.method, Method::HEAD);
    }

    #[test]
    fn locations_are_read_relative_to_the_request() {
        for (location, expected) in [
            ("x", "http://example.org/a/x"),
            ("/x", "http://example.org/x"),
            ("?x", "http://example.org/a/b?x"),
            ("//other.org/x", "http://other.org/x"),
            ("https://other.org", "https://other.org/"),
        ] {
            assert_eq!(followed(302, location).url.as_str(), expected);
        }
    }

    #[test]
    fn secrets_stay_with_their_host() {
        let same = followed(307, "https://example.org:8443/x");
        assert!(same.headers.contains("authorization") && same.own_cookie.is_some());
        let other = followed(307, "http://www.example.org/x");
        assert!(!other.headers.contains("authorization") && other.own_cookie.is_none());
    }

    #[test]
    fn a_password_in_the_location_goes_before_the_one_so_far() {
        let hop = followed(302, "http://a:b@example.org/x");
        assert!(!hop.headers.contains("authorization"));
        assert_eq!(hop.url.authorization(), Some("Basic YTpi"));
        assert_eq!(hop.url.as_str(), "http://example.org/x");
    }

    #[test]
    fn a_host_header_of_the_authors_stays_for_relative_locations_only() {
        for (location, stays) in [("/x", true), ("http://example.org/x", false)] {
            let mut hop = post();
            hop.headers.insert("host", b"own").expect("valid");
            hop.own_host = true;
            follow(&mut hop, StatusCode::FOUND, &answer(location, None)).expect("location");
            assert_eq!(hop.headers.contains("host"), stays, "{location}");
        }
    }

    #[test]
    fn the_next_request_says_where_it_comes_from() {
        let referer = |hop: &Hop| {
            hop.headers.get("referer").map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let mut hop = post();
        hop.url =
            Rc::new(Destination::new(Url::parse("http://u:p@example.org/a?b#c").expect("url")));
        let to = |hop: &mut Hop, location: &str| {
            follow(hop, StatusCode::FOUND, &answer(location, None)).expect("location");
        };
        to(&mut hop, "https://example.org/x");
        assert_eq!(referer(&hop).as_deref(), Some("http://example.org/a?b"));
        to(&mut hop, "/y");
        assert_eq!(referer(&hop).as_deref(), Some("https://example.org/x"));
        to(&mut hop, "http://example.org/z");
        assert_eq!(referer(&hop), None);
        let mut own = post();
        own.headers.insert("referer", b"mine").expect("valid");
        own.own_referer = true;
        to(&mut own, "/y");
        assert_eq!(referer(&own).as_deref(), Some("mine"));
    }

    #[test]
    fn an_empty_location_leads_nowhere() {
        assert!(!is_redirect(StatusCode::FOUND, &answer("", None)));
        assert!(is_redirect(StatusCode::FOUND, &answer("/", None)));
        assert!(!is_redirect(StatusCode::NOT_MODIFIED, &answer("/", None)));
    }

    #[test]
    fn a_cookie_that_the_answer_sets_anew_replaces_the_authors() {
        let mut hop = post();
        follow(&mut hop, StatusCode::FOUND, &answer("/x", Some("a=new"))).expect("location");
        assert_eq!(hop.own_cookie.as_deref(), Some("b=2"));
    }

    #[test]
    fn a_location_that_cannot_be_requested_is_an_error() {
        for location in ["ftp://example.org/", "http://", "mailto:a@example.org", "http://[::1"] {
            let mut hop = post();
            let error = follow(&mut hop, StatusCode::FOUND, &answer(location, None));
            assert_eq!(error.expect_err(location).kind, ErrorKind::InvalidUrl);
            assert_eq!(hop.url.as_str(), "http://example.org/a/b?c");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_location_says_secrets_never_reach_another_host(location in "[ -~]{0,30}") {
            let mut hop = post();
            if follow(&mut hop, StatusCode::FOUND, &answer(&location, None)).is_ok()
                && hop.url.host_str() != Some("example.org")
            {
                prop_assert!(hop.own_cookie.is_none());
                prop_assert!(!hop.headers.contains("authorization"));
                prop_assert!(!hop.headers.contains("cookie"));
            }
        }
    }
}
