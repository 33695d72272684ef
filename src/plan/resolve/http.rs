//! How requests are made: defaults and the addresses of `hosts`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use indexmap::IndexMap;

use super::{Facts, debug, network, positive, proxy, tls, within};
use crate::plan::{HttpPlan, Options, PlanError};

/// The default of `body_bytes_max`.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// Most connections that one VU keeps.
const CONNECTIONS_MAX: usize = 64;

/// Most parallel requests of one `batch` that can be asked for.
const BATCH_MAX: u64 = 10_000;

/// Most redirects that can be asked for.
const REDIRECTS_MAX: u64 = 1_000;

/// Returns how requests are made.
pub(super) fn resolve(options: &Options, facts: &Facts<'_>) -> Result<HttpPlan, PlanError> {
    let redirects = within("max_redirects", options.max_redirects.unwrap_or(10), 0, REDIRECTS_MAX)?;
    let batch = within("batch", options.batch.unwrap_or(20), 1, BATCH_MAX)?;
    let per_host = within("batch_per_host", options.batch_per_host.unwrap_or(6), 1, BATCH_MAX)?;
    let user_agent =
        options.user_agent.clone().unwrap_or_else(|| format!("kingtide/{}", facts.version));
    if user_agent.chars().any(char::is_control) {
        let message = "option `user_agent` must not hold control characters";
        return Err(PlanError::new("user_agent", message));
    }
    Ok(HttpPlan {
        user_agent,
        max_redirects: redirects as u32,
        timeout: positive("timeout", options.timeout, Duration::from_mins(1))?,
        insecure_skip_tls_verify: options.insecure_skip_tls_verify.unwrap_or(false),
        network: network::resolve(options)?,
        proxy: proxy::resolve(options, facts)?,
        tls: tls::resolve(options, facts)?,
        hosts: hosts(options)?,
        no_connection_reuse: options.no_connection_reuse.unwrap_or(false),
        no_vu_connection_reuse: options.no_vu_connection_reuse.unwrap_or(false),
        no_cookies_reset: options.no_cookies_reset.unwrap_or(false),
        discard_response_bodies: options.discard_response_bodies.unwrap_or(false),
        throw: options.throw.unwrap_or(false),
        expected_statuses: options.expected_statuses.clone().unwrap_or_default(),
        http2: options.http2.unwrap_or_default(),
        debug: debug(options),
        rps: super::per_second(options.rps),
        batch: (batch as u32, per_host as u32),
        body_bytes_max: options.body_bytes_max.map_or(BODY_BYTES_MAX, |bytes| bytes.0),
        connections_max: CONNECTIONS_MAX,
    })
}

fn hosts(options: &Options) -> Result<IndexMap<String, SocketAddr>, PlanError> {
    let mut hosts = IndexMap::new();
    for (name, address) in options.hosts.iter().flatten() {
        let wrong = |message: String| PlanError::new(format!("hosts.{name}"), message);
        if !is_host_pattern(name) {
            return Err(wrong(format!(
                "hosts: \"{name}\" must be a name, `name:port` or `*.suffix`"
            )));
        }
        let address = parse_address(address).ok_or_else(|| {
            wrong(format!(
                "hosts: \"{name}\" must have an address such as 1.2.3.4, 1.2.3.4:8080 or \
                 [::1]:80, got \"{address}\""
            ))
        })?;
        hosts.insert(name.to_ascii_lowercase(), address);
    }
    Ok(hosts)
}

/// Returns whether a text is `name`, `name:port` or either with `*.` in front.
fn is_host_pattern(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let name = name.strip_prefix("*.").unwrap_or(name);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let name_fits = !name.is_empty()
        && !name.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '/' | '@' | '?' | '#'));
    name_fits && port_fits
}

/// Reads `address` or `address:port`; without a port it is 0.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(bare) = bare {
        return bare.parse().ok().map(|address| SocketAddr::new(IpAddr::V6(address), 0));
    }
    let with_port = || text.parse::<SocketAddr>().ok();
    text.parse().ok().map(|address| SocketAddr::new(address, 0)).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::Http2;

    fn http(tree: Value) -> Result<HttpPlan, PlanError> {
        let facts = Facts { version: "1.2.3", ..Facts::default() };
        resolve(&Options::from_json(tree).unwrap(), &facts)
    }

    #[test]
    fn defaults_are_those_of_k6() {
        let http = http(json!({})).unwrap();
        assert_eq!(http.user_agent, "kingtide/1.2.3");
        assert_eq!(http.max_redirects, 10);
        assert_eq!(http.timeout, Duration::from_mins(1));
        assert_eq!(http.batch, (20, 6));
        assert_eq!(http.body_bytes_max, 256 << 20);
        assert!(!http.throw && !http.insecure_skip_tls_verify);
        assert_eq!(http.http2, Http2::Auto);
    }

    #[test]
    fn http2_is_one_of_three_words() {
        for (word, expected) in
            [("auto", Http2::Auto), ("always", Http2::Always), ("never", Http2::Never)]
        {
            assert_eq!(http(json!({ "http2": word })).unwrap().http2, expected);
        }
        let message = |tree| Options::from_json(tree).unwrap_err().message;
        assert_eq!(
            message(json!({ "http2": true })),
            r#"option `http2` must be one of "auto", "always", "never"; got true"#
        );
        assert_eq!(
            message(json!({ "htpp2": "auto" })),
            "unknown option `htpp2`, did you mean `http2`?"
        );
    }

    #[test]
    fn hosts_have_addresses_with_and_without_ports() {
        let http = http(json!({ "hosts": {
            "A.test": "1.2.3.4", "b.test:443": "1.2.3.4:8080", "*.c.test": "[::1]:80",
            "d.test": "::1", "e.test": "[::1]",
        } }))
        .unwrap();
        let hosts: Vec<_> =
            http.hosts.iter().map(|(name, address)| format!("{name} {address}")).collect();
        assert_eq!(
            hosts,
            [
                "a.test 1.2.3.4:0",
                "b.test:443 1.2.3.4:8080",
                "*.c.test [::1]:80",
                "d.test [::1]:0",
                "e.test [::1]:0"
            ]
        );
    }

    #[test]
    fn hosts_that_cannot_be_are_named() {
        let error = http(json!({ "hosts": { "a.test": "localhost" } })).unwrap_err();
        assert_eq!(error.path, "hosts.a.test");
        assert!(error.message.ends_with("got \"localhost\""));
        for name in ["", "*", "a.*.test", "http://a", "a:b", "a:0"] {
            assert!(http(json!({ "hosts": { name: "1.2.3.4" } })).is_err(), "{name}");
        }
    }

    #[test]
    fn a_user_agent_may_be_empty_but_not_split_a_header() {
        assert_eq!(http(json!({ "user_agent": "" })).unwrap().user_agent, "");
        assert!(http(json!({ "user_agent": "a\r\nb: c" })).is_err());
    }
}
