//! A cookie jar after RFC 6265.

/// A cookie jar.
#[derive(Debug, Default)]
pub struct CookieJar {}
