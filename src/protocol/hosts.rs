//! Addresses that the plan gives to names, before DNS is asked.

use std::net::SocketAddr;

use indexmap::IndexMap;

use super::{ErrorKind, ProtocolError};

/// The plan's `hosts`: exact names, and names below a suffix.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: IndexMap<String, SocketAddr>,
    /// Suffix with its leading dot and perhaps a port, longest first: the nearest one wins.
    suffixes: Vec<(String, SocketAddr)>,
}

impl Hosts {
    /// Reads the plan's patterns.
    ///
    /// # Errors
    ///
    /// A pattern is empty or has `*` elsewhere than in a leading `*.`.
    pub(super) fn new(plan: &IndexMap<String, SocketAddr>) -> Result<Self, ProtocolError> {
        let mut hosts = Self::default();
        for (pattern, &address) in plan {
            let name = pattern.to_ascii_lowercase();
            let bad = || {
                let message = format!(
                    "hosts: `{pattern}` is no pattern; write `name`, `name:port` or `*.suffix`"
                );
                Err(ProtocolError::new(ErrorKind::InvalidUrl, message))
            };
            match name.strip_prefix('*') {
                Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 => {
                    if suffix.contains('*') {
                        return bad();
                    }
                    hosts.suffixes.push((suffix.to_owned(), address));
                }
                None if !name.is_empty() && !name.contains('*') => {
                    hosts.exact.insert(name, address);
                }
                _ => return bad(),
            }
        }
        hosts.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        Ok(hosts)
    }

    /// Returns the address for a host in lower case, IPv6 addresses in brackets.
    pub(super) fn find(&self, host: &str, port: u16) -> Option<SocketAddr> {
        if self.exact.is_empty() && self.suffixes.is_empty() {
            return None;
        }
        let with_port = format!("{host}:{port}");
        let exact = self.exact.get(&with_port).or_else(|| self.exact.get(host)).copied();
        let below = |text: &str, suffix: &str| text.len() > suffix.len() && text.ends_with(suffix);
        let mut address = exact.or_else(|| {
            let mut suffixes = self.suffixes.iter();
            suffixes.find(|(s, _)| below(&with_port, s) || below(host, s)).map(|&(_, a)| a)
        })?;
        if address.port() == 0 {
            address.set_port(port);
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[(&str, &str)]) -> Hosts {
        let plan = entries
            .iter()
            .map(|(name, address)| ((*name).to_owned(), address.parse().expect("address")))
            .collect();
        Hosts::new(&plan).expect("patterns")
    }

    #[test]
    fn a_name_with_its_port_goes_before_the_name_and_the_name_before_a_suffix() {
        let hosts = hosts(&[
            ("*.example.org", "10.0.0.3:0"),
            ("api.example.org", "10.0.0.2:0"),
            ("api.example.org:8443", "10.0.0.1:9"),
        ]);
        let find = |host, port| hosts.find(host, port).map(|a| a.to_string());
        assert_eq!(find("api.example.org", 8443).as_deref(), Some("10.0.0.1:9"));
        assert_eq!(find("api.example.org", 80).as_deref(), Some("10.0.0.2:80"));
        assert_eq!(find("www.example.org", 80).as_deref(), Some("10.0.0.3:80"));
        assert_eq!(find("example.org", 80), None);
    }

    #[test]
    fn the_longest_suffix_wins_whatever_the_order() {
        let hosts = hosts(&[("*.org", "10.0.0.1:0"), ("*.example.org", "10.0.0.2:0")]);
        assert_eq!(
            hosts.find("a.example.org", 1).map(|a| a.to_string()).as_deref(),
            Some("10.0.0.2:1")
        );
        assert_eq!(
            hosts.find("a.other.org", 1).map(|a| a.to_string()).as_deref(),
            Some("10.0.0.1:1")
        );
    }

    #[test]
    fn patterns_are_read_in_any_case_and_bad_ones_are_refused() {
        assert!(hosts(&[("API.Example.Org", "10.0.0.1:0")]).find("api.example.org", 1).is_some());
        for bad in ["", "*", "*.", "a.*.b", "*a", "*.*.b"] {
            let plan = std::iter::once((bad.to_owned(), ([127, 0, 0, 1], 0).into())).collect();
            assert!(Hosts::new(&plan).is_err(), "{bad}");
        }
    }
}
