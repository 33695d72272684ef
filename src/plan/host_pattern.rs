//! Patterns of host names: a name, all below a suffix, or any.

use std::fmt;

use serde::ser::{Serialize, Serializer};

/// A pattern of host names, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// This very name.
    Name(String),
    /// Names that end so: `*.example.org` is all below `example.org`, but not that itself.
    Suffix(String),
    /// Any name.
    Any,
}

impl HostPattern {
    /// Reads `name`, `*.suffix` or `*`; nothing if it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let is_bad = |c: char| c.is_whitespace() || matches!(c, '*' | '/' | '@' | '?' | '#' | ',');
        let (pattern, name) = match text.strip_prefix('*') {
            Some("") => return Some(Self::Any),
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 => {
                (Self::Suffix(suffix.to_owned()), suffix)
            }
            Some(_) => return None,
            None => (Self::Name(text.clone()), text.as_str()),
        };
        (!name.is_empty() && !name.contains(is_bad)).then_some(pattern)
    }

    /// Returns whether a name in lower case fits.
    pub fn fits(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_patterns() {
        let fits = |pattern: &str, host| HostPattern::parse(pattern).unwrap().fits(host);
        assert!(fits("API.Example.org", "api.example.org"));
        assert!(fits("*.example.org", "a.b.example.org"));
        assert!(fits("*", "anything"));
        for (pattern, host) in [
            ("example.org", "api.example.org"),
            ("*.example.org", "example.org"),
            ("*.example.org", "badexample.org"),
            ("*.example.org", ".example.org"),
        ] {
            assert!(!fits(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", " ", "*.", "*a", "a.*", "a b", "http://a", "*.*.a", "a,b"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
        for text in ["a", "*.a", "*", "127.0.0.1", "[::1]"] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), text);
        }
    }
}
