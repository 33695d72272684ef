//! A cookie jar after RFC 6265.

/// A cookie jar.
#[derive(Debug, Default)]
pub struct CookieJar {}

impl CookieJar {
    /// Returns whether there are no cookies.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Removes all cookies, or those for one URL.
    pub fn clear(&mut self, _url: Option<&url::Url>) {
        unimplemented!()
    }
}
