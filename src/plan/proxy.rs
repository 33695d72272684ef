//! Proxies: what stands between us and the target.

use std::fmt;
use std::net::IpAddr;

use serde::ser::{Serialize, Serializer};

use super::IpRange;

/// Which proxy leads where.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct ProxyPlan {
    /// For `http` URLs.
    pub http: Option<Proxy>,
    /// For `https` URLs.
    pub https: Option<Proxy>,
    /// Hosts that are reached without.
    pub except: Vec<ProxyExcept>,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: ProxyScheme,
    /// Its name or address in lower case, IPv6 addresses in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user and the password that it wants.
    pub credentials: Option<(String, String)>,
}

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyScheme {
    /// HTTP: requests for plain targets are forwarded, others go through a tunnel (`CONNECT`).
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS 5 (RFC 1928); names are looked up here.
    Socks5,
    /// SOCKS 5; names are looked up by the proxy.
    Socks5h,
}

impl ProxyScheme {
    const ALL: [(&'static str, Self, u16); 4] = [
        ("http", Self::Http, 80),
        ("https", Self::Https, 443),
        ("socks5", Self::Socks5, 1080),
        ("socks5h", Self::Socks5h, 1080),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, scheme, _)| *scheme == self).map_or("", |(name, ..)| name)
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port`, or the same with `https`, `socks5`, `socks5h`. Without
    /// a scheme it is HTTP.
    ///
    /// # Errors
    ///
    /// It is no such URL; the text does not show the password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "write http://host:port, https://…, socks5://… or socks5h://…";
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let Some((scheme, rest)) = whole.split_once("://") else { return Err(WANTED.to_owned()) };
        let known = ProxyScheme::ALL.iter().find(|(name, ..)| name.eq_ignore_ascii_case(scheme));
        let Some((_, scheme, port)) = known else {
            return Err(format!("a proxy is not spoken to by \"{scheme}\": {WANTED}"));
        };
        // Hosts and ports of all schemes are read as those of HTTP.
        let url = url::Url::parse(&format!("http://{rest}"))
            .map_err(|error| format!("the proxy is no URL: {error}: {WANTED}"))?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(format!("a proxy has a host and a port and nothing else: {WANTED}"));
        }
        // The port of HTTP is left out of a URL that names it.
        let names_port = rest.trim_end_matches('/').ends_with(":80");
        let port = url.port().unwrap_or(if names_port { 80 } else { *port });
        let credentials = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        Ok(Self { scheme: *scheme, host: host.to_ascii_lowercase(), port, credentials })
    }
}

fn decoded(text: &str) -> String {
    // One pair without a `=`: its name is the text. `+` stands for itself in URLs.
    let text = text.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map_or_else(String::new, |(name, _)| name.into_owned())
}

/// Passwords are nobody's business.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Hosts that are reached without a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// All of them.
    All,
    /// This machine: `localhost` and the loopback addresses.
    Loopback,
    /// Addresses.
    Addresses(IpRange),
    /// A name and what is below it.
    Name,
    /// What is below a name.
    Below,
}

/// One exception: hosts, on all ports or one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyExcept {
    who: Who,
    /// The name, if it is one.
    name: String,
    port: Option<u16>,
}

impl ProxyExcept {
    /// This machine.
    pub fn loopback() -> Self {
        Self { who: Who::Loopback, name: String::new(), port: None }
    }

    /// Reads an item of `NO_PROXY`: `*`, `example.org` (with all below it), `.example.org` (all below
    /// it), `10.0.0.0/8`, `10.0.0.1`, each perhaps with `:port`. Nothing if it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (name, port) = match text.rsplit_once(':') {
            // What has more colons is an IPv6 address, unless it stands in brackets.
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name.to_owned(), Some(port.parse().ok()?))
            }
            _ => (text, None),
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let (who, name) = if name == "*" {
            (Who::All, String::new())
        } else if let Ok(range) = IpRange::parse(bare) {
            (Who::Addresses(range), String::new())
        } else if let Some(below) = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
            (Who::Below, below.to_owned())
        } else {
            (Who::Name, name)
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        let named = matches!(who, Who::Name | Who::Below);
        if named && (name.is_empty() || !name.chars().all(is_name)) {
            return None;
        }
        Some(Self { who, name, port })
    }

    /// Returns whether a host in lower case (IPv6 addresses in brackets) is meant.
    pub fn fits(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>().ok();
        let below = || {
            let above = host.strip_suffix(self.name.as_str());
            above.and_then(|rest| rest.strip_suffix('.')).is_some_and(|rest| !rest.is_empty())
        };
        match self.who {
            Who::All => true,
            Who::Loopback => {
                host == "localhost" || address.is_some_and(|a| a.to_canonical().is_loopback())
            }
            Who::Addresses(range) => address.is_some_and(|address| range.has(address)),
            Who::Name => host == self.name || below(),
            Who::Below => below(),
        }
    }
}

impl fmt::Display for ProxyExcept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::All => f.write_str("*")?,
            Who::Loopback => f.write_str("localhost")?,
            Who::Addresses(range) => write!(f, "{range}")?,
            Who::Name => f.write_str(&self.name)?,
            Who::Below => write!(f, ".{}", self.name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for ProxyExcept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ProxyPlan {
    /// Returns the proxy for a host in lower case.
    pub fn for_host(&self, tls: bool, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if tls { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.except.iter().any(|except| except.fits(host, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_with_their_usual_ports() {
        let shown = |text: &str| Proxy::parse(text).unwrap().to_string();
        assert_eq!(shown("http://Proxy.test:3128"), "http://proxy.test:3128");
        assert_eq!(shown("proxy.test:3128/"), "http://proxy.test:3128");
        assert_eq!(shown("http://proxy.test"), "http://proxy.test:80");
        assert_eq!(shown("https://proxy.test"), "https://proxy.test:443");
        assert_eq!(shown("https://proxy.test:80"), "https://proxy.test:80");
        assert_eq!(shown("socks5://[::1]"), "socks5://[::1]:1080");
        assert_eq!(shown("SOCKS5H://10.0.0.1:9050"), "socks5h://10.0.0.1:9050");
        let secret = Proxy::parse("http://a%20b:p%2Bw+%C3%A9=@proxy.test:1").unwrap();
        assert_eq!(secret.credentials, Some(("a b".to_owned(), "p+w+é=".to_owned())));
        assert!(!format!("{secret} {secret:?}").contains("p+w"));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_showing_its_password() {
        for text in
            ["ftp://u:secret@p:1", "http://", "http://u:secret@p:x", "http://u:secret@p:1/path"]
        {
            let problem = Proxy::parse(text).unwrap_err();
            assert!(problem.contains("write http://host:port"), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn exceptions_fit_names_addresses_and_ports() {
        let fits = |text: &str, host, port| ProxyExcept::parse(text).unwrap().fits(host, port);
        assert!(fits("*", "anything", 1));
        for host in ["example.org", "a.example.org", "a.b.example.org"] {
            assert!(fits("Example.org", host, 80), "{host}");
            assert_eq!(fits(".example.org", host, 80), host != "example.org");
            assert_eq!(fits("*.example.org", host, 80), host != "example.org");
        }
        assert!(!fits("example.org", "badexample.org", 80));
        assert!(fits("example.org:8080", "example.org", 8080));
        assert!(!fits("example.org:8080", "example.org", 80));
        assert!(fits("10.0.0.0/8", "10.9.9.9", 80) && !fits("10.0.0.0/8", "11.0.0.0", 80));
        assert!(!fits("10.0.0.0/8", "a10.test", 80));
        assert!(fits("::1", "[::1]", 80) && fits("[::1]:80", "[::1]", 80));
        assert!(!fits("[::1]:80", "[::1]", 81));
        for wrong in ["", ".", "a b", "a:b", "http://a"] {
            assert_eq!(ProxyExcept::parse(wrong), None, "{wrong}");
        }
        let loopback = ProxyExcept::loopback();
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(loopback.fits(host, 1), "{host}");
        }
        assert!(!loopback.fits("10.0.0.1", 1) && !loopback.fits("localhost.test", 1));
    }
}
