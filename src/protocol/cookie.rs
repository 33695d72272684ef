//! A cookie jar after RFC 6265, and the cookies of an answer.

use std::cmp::Reverse;

use cookie_store::{CookieStore, RawCookie, StoreAction};
use time::OffsetDateTime;
use url::Url;

use super::{ErrorKind, Headers, ProtocolError};

/// The most cookies of a jar: as many as a browser should keep (RFC 6265, 6.1).
const COOKIES_MAX: usize = 3_000;

/// A cookie jar: what one user's browser would keep.
#[derive(Debug, Default)]
pub struct CookieJar {
    store: CookieStore,
    /// At least as many as there are.
    count: usize,
}

/// What may be said of a cookie besides its name and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieAttributes {
    /// Whom it goes to with all below; only the URL's host if not given.
    pub domain: Option<String>,
    /// Which paths it goes to; the URL's folder if not given.
    pub path: Option<String>,
    /// When it ends, as in `Set-Cookie`: `Wed, 21 Oct 2026 07:28:00 GMT`.
    pub expires: Option<String>,
    /// Seconds that it lasts; goes before `expires`.
    pub max_age: Option<i64>,
    /// Whether it goes over TLS only.
    pub secure: bool,
    /// Whether scripts of a page may not see it; kept, without effect here.
    pub http_only: bool,
}

impl CookieJar {
    /// Returns an empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether nothing was ever stored, or all was cleared.
    pub fn is_empty(&self) -> bool {
        self.store.iter_any().next().is_none()
    }

    /// Returns the value of the header `cookie` for a URL; nothing if no cookie matches.
    pub fn header_for(&self, url: &Url) -> Option<String> {
        let mut header = String::new();
        for cookie in self.matching(url) {
            append_pair(&mut header, cookie.name(), cookie.value());
        }
        (!header.is_empty()).then_some(header)
    }

    /// Keeps what an answer from this URL sets. What it may not set is left out (RFC 6265, 5.3).
    pub fn store(&mut self, url: &Url, headers: &Headers) {
        for line in set_cookie_lines(headers) {
            // A server's bad cookie is its own affair; browsers ignore it without a word too.
            if let Ok(StoreAction::Inserted) = self.store.parse(line, url) {
                self.count_one();
            }
        }
    }

    /// Counts a new cookie; forgets one of the oldest if there are too many.
    fn count_one(&mut self) {
        self.count += 1;
        if self.count <= COOKIES_MAX {
            return;
        }
        // Those that have ended, or were removed, were counted too.
        let ended: Vec<_> = self.store.iter_any().filter(|c| c.is_expired()).map(key).collect();
        for key in &ended {
            self.remove(key);
        }
        self.count = self.store.iter_any().count();
        let oldest = self.store.iter_any().next().map(key);
        if let (Some(oldest), true) = (oldest, self.count > COOKIES_MAX) {
            self.remove(&oldest);
            self.count -= 1;
        }
    }

    fn remove(&mut self, (domain, path, name): &(String, String, String)) {
        self.store.remove(domain, path, name);
    }

    /// Sets a cookie as an answer from this URL would.
    ///
    /// # Errors
    ///
    /// A name, value or attribute that no header could carry, or a domain that is not the URL's.
    pub fn set(
        &mut self,
        url: &Url,
        name: &str,
        value: &str,
        attributes: &CookieAttributes,
    ) -> Result<(), ProtocolError> {
        let bad = |what: String| ProtocolError::new(ErrorKind::InvalidCookie, what);
        let forbidden = |c: char| c.is_control() || c == ';';
        if name.is_empty() || name.contains('=') || name.contains(forbidden) {
            return Err(bad("cookie: a name must be text without `=` and `;`".to_owned()));
        }
        let texts = [Some(value), attributes.domain.as_deref(), attributes.path.as_deref()];
        if texts.into_iter().flatten().any(|text| text.contains(forbidden)) {
            return Err(bad(format!(
                "cookie `{name}`: `;` and control characters cannot be in it"
            )));
        }
        let mut cookie = RawCookie::new(name, value);
        if let Some(domain) = attributes.domain.as_deref().filter(|text| !text.is_empty()) {
            cookie.set_domain(domain);
        }
        if let Some(path) = attributes.path.as_deref().filter(|text| !text.is_empty()) {
            cookie.set_path(path);
        }
        if let Some(text) = attributes.expires.as_deref().filter(|text| !text.is_empty()) {
            let when = http_date(text).ok_or_else(|| {
                bad(format!("cookie `{name}`: expires is no HTTP date: `{text}`"))
            })?;
            cookie.set_expires(when);
        }
        if let Some(seconds) = attributes.max_age {
            cookie.set_max_age(time::Duration::seconds(seconds));
        }
        cookie.set_secure(attributes.secure);
        cookie.set_http_only(attributes.http_only);
        match self.store.insert_raw(&cookie, url) {
            // One that has ended already deletes its namesake, as it does from a server.
            Ok(StoreAction::Inserted) => {
                self.count_one();
                Ok(())
            }
            Ok(_) | Err(cookie_store::CookieError::Expired) => Ok(()),
            Err(error) => Err(bad(format!("cookie `{name}` cannot be set for this url"))
                .with_detail(error.to_string())),
        }
    }

    /// Returns the names and values that a request to the URL would carry.
    pub fn cookies_for(&self, url: &Url) -> Vec<(String, String)> {
        let pairs = self.matching(url);
        pairs.into_iter().map(|c| (c.name().to_owned(), c.value().to_owned())).collect()
    }

    /// Removes the cookies of this name that a request to the URL would carry.
    pub fn delete(&mut self, url: &Url, name: &str) {
        self.remove_where(url, |cookie| cookie.name() == name);
    }

    /// Removes the cookies that a request to the URL would carry, or all.
    pub fn clear(&mut self, url: Option<&Url>) {
        match url {
            Some(url) => self.remove_where(url, |_| true),
            None => self.store.clear(),
        }
    }

    /// Longer paths first, then in the order in which they were first set (RFC 6265, 5.4).
    fn matching(&self, url: &Url) -> Vec<&cookie_store::Cookie<'static>> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut cookies = self.store.matches(url);
        cookies.sort_by_key(|cookie| Reverse(cookie.path.as_ref().len()));
        cookies
    }

    fn remove_where(&mut self, url: &Url, doomed: impl Fn(&cookie_store::Cookie<'_>) -> bool) {
        let matching = self.store.matches(url).into_iter();
        let keys: Vec<_> = matching.filter(|cookie| doomed(cookie)).map(key).collect();
        for key in &keys {
            self.remove(key);
        }
    }
}

/// Returns what tells cookies apart (RFC 6265, 5.3): domain, path and name.
fn key(cookie: &cookie_store::Cookie<'_>) -> (String, String, String) {
    (String::from(&cookie.domain), String::from(&cookie.path), cookie.name().to_owned())
}

/// A cookie as an answer set it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value, as it came.
    pub value: String,
    /// Empty if not said.
    pub domain: String,
    /// Empty if not said.
    pub path: String,
    /// Whether it is not for a page's scripts.
    pub http_only: bool,
    /// Whether it goes over TLS only.
    pub secure: bool,
    /// Seconds that it lasts; 0 if not said, as in k6.
    pub max_age: i64,
    /// When it ends, in milliseconds since 1970; 0 if not said, as in k6.
    pub expires: i64,
}

impl Cookie {
    /// Reads an answer's `set-cookie` headers, in their order; leaves out what is none.
    pub fn from_headers(headers: &Headers) -> Vec<Self> {
        set_cookie_lines(headers).filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let raw = RawCookie::parse(line).ok()?;
        let expires = raw.expires_datetime().map_or(0, |at| at.unix_timestamp() * 1000);
        Some(Self {
            name: raw.name().to_owned(),
            value: raw.value().to_owned(),
            domain: raw.domain().unwrap_or_default().to_owned(),
            path: raw.path().unwrap_or_default().to_owned(),
            http_only: raw.http_only().unwrap_or(false),
            secure: raw.secure().unwrap_or(false),
            max_age: raw.max_age().map_or(0, time::Duration::whole_seconds),
            expires,
        })
    }
}

/// Appends `name=value` to the value of a header `cookie`.
pub(super) fn append_pair(header: &mut String, name: &str, value: &str) {
    if !header.is_empty() {
        header.push_str("; ");
    }
    header.push_str(name);
    header.push('=');
    header.push_str(value);
}

/// Returns the name of each pair in the value of a header `cookie`, with the pair.
pub(super) fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let name = pair.split_once('=').map_or("", |(name, _)| name.trim_end());
        (name, pair)
    })
}

fn set_cookie_lines(headers: &Headers) -> impl Iterator<Item = &str> {
    headers.all("set-cookie").filter_map(|value| std::str::from_utf8(value).ok())
}

/// Reads a date as `Set-Cookie` has it: the cookie parser knows the forms that are about.
fn http_date(text: &str) -> Option<OffsetDateTime> {
    RawCookie::parse(format!("x=y; Expires={text}")).ok()?.expires_datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("url")
    }

    fn answer(lines: &[&str]) -> Headers {
        let mut headers = Headers::new();
        for line in lines {
            headers.append("set-cookie", line.as_bytes()).expect("valid");
        }
        headers
    }

    #[test]
    fn cookies_go_to_their_host_and_path_longer_paths_first() {
        let mut jar = CookieJar::new();
        let from = url("http://example.org/shop/cart");
        jar.store(
            &from,
            &answer(&["b=2; Path=/", "a=1; Path=/", "deep=3", "sec=4; Secure; Path=/"]),
        );
        let header = |text: &str| jar.header_for(&url(text));
        assert_eq!(header("http://example.org/shop/x").as_deref(), Some("deep=3; b=2; a=1"));
        assert_eq!(header("http://example.org/").as_deref(), Some("b=2; a=1"));
        assert_eq!(header("https://example.org/").as_deref(), Some("b=2; a=1; sec=4"));
        assert_eq!(header("http://other.org/"), None);
        assert_eq!(header("http://www.example.org/"), None);
    }

    #[test]
    fn a_server_cannot_set_cookies_of_another_domain_and_can_delete_its_own() {
        let mut jar = CookieJar::new();
        let from = url("http://a.example.org/");
        jar.store(&from, &answer(&["x=1; Domain=other.org", "y=1; Domain=example.org", "z=1"]));
        assert_eq!(jar.cookies_for(&url("http://b.example.org/")), [("y".into(), "1".into())]);
        jar.store(&from, &answer(&["z=; Max-Age=0"]));
        assert_eq!(jar.header_for(&from).as_deref(), Some("y=1"));
    }

    #[test]
    fn cookies_of_paths_of_one_length_go_in_the_order_in_which_they_were_set() {
        let mut jar = CookieJar::new();
        let from = url("http://example.org/");
        jar.store(&from, &answer(&["c=1", "a=1", "b=1; Path=/x"]));
        jar.store(&from, &answer(&["z=1", "c=2"]));
        let header = jar.header_for(&url("http://example.org/x"));
        assert_eq!(header.as_deref(), Some("b=1; c=2; a=1; z=1"));
        jar.store(&from, &answer(&["c=; Max-Age=0"]));
        jar.store(&from, &answer(&["c=3"]));
        let pairs = jar.cookies_for(&from);
        assert_eq!(pairs.iter().map(|(name, _)| name.as_str()).collect::<String>(), "caz");
    }

    /// What RFC 6265, 5.2 and 5.3, say of each line, and k6's jar does.
    #[test]
    fn what_an_answer_may_set_is_what_the_rfc_says() {
        let from = "http://www.Example.org/a/b";
        for (line, at, carried) in [
            // Domains (5.1.3, 5.2.3).
            ("x=1; Domain=.example.org", "http://other.example.org/a/", true),
            ("x=1; Domain=EXAMPLE.ORG", "http://other.example.org/a/", true),
            ("x=1; Domain=example.org", "http://badexample.org/a/", false),
            ("x=1; Domain=ample.org", "http://example.org/a/", false),
            ("x=1; Domain=", "http://www.example.org/a/", true),
            ("x=1; Domain=", "http://sub.www.example.org/a/", false),
            ("x=1; Domain=sub.www.example.org", "http://sub.www.example.org/a/", false),
            // Paths (5.1.4, 5.2.4).
            ("x=1", "http://www.example.org/a", true),
            ("x=1", "http://www.example.org/ab", false),
            ("x=1", "http://www.example.org/", false),
            ("x=1; Path=/a/b", "http://www.example.org/a/b/c", true),
            ("x=1; Path=/a/b", "http://www.example.org/a/bc", false),
            ("x=1; Path=c", "http://www.example.org/a/c", true),
            ("x=1; Path=/; Path=/a", "http://www.example.org/", false),
            // Times (5.2.1, 5.2.2): `Max-Age` goes before `Expires`.
            ("x=1; Path=/; Max-Age=-1", "http://www.example.org/", false),
            (
                "x=1; Path=/; Max-Age=60; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
                "http://www.example.org/",
                true,
            ),
            ("x=1; Path=/; Max-Age=soon", "http://www.example.org/", true),
            (
                "x=1; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
                "http://www.example.org/",
                false,
            ),
            (
                "x=1; Path=/; Expires=Wednesday, 21-Oct-15 07:28:00 GMT",
                "http://www.example.org/",
                false,
            ),
            (
                "x=1; Path=/; Expires=Wed, 21-Oct-2015 07:28:00 GMT",
                "http://www.example.org/",
                false,
            ),
            ("x=1; Path=/; Expires=Wed Oct 21 07:28:00 2015", "http://www.example.org/", false),
            ("x=1; Path=/; Expires=some time", "http://www.example.org/", true),
            // Names and values (5.2).
            ("=1; Path=/", "http://www.example.org/", false),
            ("x; Path=/", "http://www.example.org/", false),
            ("  x = 1 ; Path=/; Colour=blue; Secure=no", "https://www.example.org/", true),
            ("x=1; Path=/; Secure", "http://www.example.org/", false),
            ("x=1; Path=/; HttpOnly; SameSite=Strict", "http://www.example.org/", true),
        ] {
            let mut jar = CookieJar::new();
            jar.store(&url(from), &answer(&[line]));
            let expected = carried.then_some("x=1");
            assert_eq!(jar.header_for(&url(at)).as_deref(), expected, "{line} at {at}");
        }
        // An address has nothing below it (5.1.3).
        let mut jar = CookieJar::new();
        jar.store(
            &url("http://127.0.0.1/"),
            &answer(&["x=1; Domain=0.0.1", "y=1; Domain=127.0.0.1"]),
        );
        assert_eq!(jar.header_for(&url("http://127.0.0.1/")).as_deref(), Some("y=1"));
    }

    #[test]
    fn a_jar_holds_no_more_than_a_browser_and_forgets_the_oldest() {
        let mut jar = CookieJar::new();
        let from = url("http://example.org/");
        let lines: Vec<String> = (0..COOKIES_MAX + 100).map(|n| format!("n{n}=1")).collect();
        jar.store(&from, &answer(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
        let kept = jar.cookies_for(&from);
        assert_eq!((kept.len(), kept[0].0.as_str()), (COOKIES_MAX, "n100"));
        // Those that have ended make room for others.
        let ended: Vec<String> = (100..1_100).map(|n| format!("n{n}=; Max-Age=0")).collect();
        jar.store(&from, &answer(&ended.iter().map(String::as_str).collect::<Vec<_>>()));
        jar.set(&from, "new", "1", &CookieAttributes::default()).expect("set");
        let kept = jar.cookies_for(&from);
        assert_eq!((kept.len(), kept[0].0.as_str()), (COOKIES_MAX - 999, "n1100"));
    }

    #[test]
    fn cookies_are_set_deleted_and_cleared_by_hand() {
        let mut jar = CookieJar::new();
        let (here, there) = (url("http://127.0.0.1:8080/"), url("http://127.0.0.2/"));
        for (at, name) in [(&here, "a"), (&here, "b"), (&there, "c")] {
            jar.set(at, name, "v", &CookieAttributes::default()).expect("cookie");
        }
        jar.delete(&here, "a");
        assert_eq!(jar.header_for(&here).as_deref(), Some("b=v"));
        jar.clear(Some(&here));
        assert_eq!((jar.header_for(&here), jar.header_for(&there).is_some()), (None, true));
        jar.clear(None);
        assert!(jar.is_empty());
    }

    #[test]
    fn a_cookie_that_no_header_could_carry_is_refused() {
        let mut jar = CookieJar::new();
        let here = url("http://example.org/");
        let none = CookieAttributes::default();
        assert!(jar.set(&here, "a", "1; Domain=x", &none).is_err());
        assert!(jar.set(&here, "a=b", "1", &none).is_err());
        assert!(jar.set(&here, "", "1", &none).is_err());
        let elsewhere = CookieAttributes { domain: Some("other.org".into()), ..none.clone() };
        assert!(jar.set(&here, "a", "1", &elsewhere).is_err());
        let bad_date = CookieAttributes { expires: Some("tomorrow".into()), ..none };
        assert!(jar.set(&here, "a", "1", &bad_date).is_err());
        assert!(jar.is_empty());
    }

    #[test]
    fn expired_and_secure_cookies_are_kept_back() {
        let mut jar = CookieJar::new();
        let here = url("http://example.org/");
        let old = CookieAttributes {
            expires: Some("Wed, 21 Oct 2015 07:28:00 GMT".into()),
            ..CookieAttributes::default()
        };
        jar.set(&here, "old", "1", &old).expect("deleting");
        let secure = CookieAttributes { secure: true, ..CookieAttributes::default() };
        jar.set(&here, "s", "1", &secure).expect("secure");
        assert_eq!(jar.header_for(&here), None);
        assert_eq!(jar.header_for(&url("https://example.org/")).as_deref(), Some("s=1"));
    }

    #[test]
    fn an_answers_cookies_are_seen_with_their_attributes() {
        let headers = answer(&[
            "id=7; Path=/p; Domain=example.org; Secure; HttpOnly; Max-Age=60; \
             Expires=Thu, 01 Jan 1970 00:00:01 GMT",
            "plain=a b",
            "nonsense",
        ]);
        let cookies = Cookie::from_headers(&headers);
        let full = Cookie {
            name: "id".into(),
            value: "7".into(),
            domain: "example.org".into(),
            path: "/p".into(),
            http_only: true,
            secure: true,
            max_age: 60,
            expires: 1000,
        };
        let plain = Cookie { name: "plain".into(), value: "a b".into(), ..Cookie::default() };
        assert_eq!(cookies, [full, plain]);
    }
}
