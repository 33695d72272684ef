//! The environment: the only place that reads it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::plan::ProxyEnv;

/// Returns whether colors are unwanted (<https://no-color.org>).
pub(super) fn no_color() -> bool {
    variable("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Returns whether the terminal shows characters beyond ASCII.
pub(super) fn is_unicode() -> bool {
    // The first that is set decides (POSIX, 8.2).
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .is_none_or(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

/// Returns the file of TLS secrets that the environment names.
pub(super) fn tls_key_log() -> Option<PathBuf> {
    variable("SSLKEYLOGFILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Returns what the environment says of proxies. Either case counts, upper before lower.
pub(super) fn proxies() -> ProxyEnv {
    let find = |name: &str| {
        let either = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
        either.filter(|value| !value.is_empty())
    };
    ProxyEnv {
        http: find("HTTP_PROXY"),
        https: find("HTTPS_PROXY"),
        all: find("ALL_PROXY"),
        no: find("NO_PROXY"),
    }
}

/// Returns all variables that are text.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Returns what `-e NAME=VALUE` and `-e NAME` set; the latter let a variable through.
pub(super) fn script_env(given: &[String]) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for text in given {
        match text.split_once('=') {
            Some(("", _)) => return Err(format!("--env {text}: there is no name before the =")),
            Some((name, value)) => {
                env.insert(name.to_owned(), value.to_owned());
            }
            // What is not set stays unset: scripts have their defaults.
            None => {
                if let Some(value) = variable(text) {
                    env.insert(text.clone(), value);
                }
            }
        }
    }
    Ok(env)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
