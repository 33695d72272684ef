//! Proxies: those of the option, or those that the environment names, if that is allowed.

use super::Facts;
use crate::plan::{Options, PlanError, Proxy, ProxyExcept, ProxyPlan};

/// What the environment says of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyEnv {
    /// `HTTP_PROXY`.
    pub http: Option<String>,
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `ALL_PROXY`: for what the others leave out.
    pub all: Option<String>,
    /// `NO_PROXY`.
    pub no: Option<String>,
}

/// Returns which proxy leads where.
pub(super) fn resolve(options: &Options, facts: &Facts<'_>) -> Result<ProxyPlan, PlanError> {
    if let Some(set) = &options.proxy {
        let proxy = |name: &str, url: &Option<String>| {
            let url = url.as_deref().filter(|url| !url.is_empty());
            url.map(Proxy::parse).transpose().map_err(|problem| {
                let path = format!("proxy.{name}");
                PlanError::new(path, format!("option `proxy`: {problem}"))
            })
        };
        let except = set.except.iter().flatten().map(|text| {
            ProxyExcept::parse(text).ok_or_else(|| {
                let message = format!(
                    "option `proxy.except`: \"{text}\" must be a name, an address, a network or `*`"
                );
                PlanError::new("proxy.except", message)
            })
        });
        return Ok(ProxyPlan {
            http: proxy("http", &set.http)?,
            https: proxy("https", &set.https)?,
            except: except.collect::<Result<_, _>>()?,
        });
    }
    match &facts.proxy_env {
        Some(env) if options.proxy_from_env == Some(true) => of_environment(env),
        _ => Ok(ProxyPlan::default()),
    }
}

fn of_environment(env: &ProxyEnv) -> Result<ProxyPlan, PlanError> {
    let proxy = |name: &str, url: &Option<String>| {
        let (name, url) = match (url, &env.all) {
            (Some(url), _) => (name, url),
            (None, Some(all)) => ("ALL_PROXY", all),
            (None, None) => return Ok(None),
        };
        Proxy::parse(url).map(Some).map_err(|problem| {
            let message = format!("environment variable {name}: {problem}");
            PlanError::new("proxy_from_env", message)
        })
    };
    let items = env.no.iter().flat_map(|list| list.split(','));
    // Other programs pass over what they do not understand there, too.
    let except = items.filter_map(ProxyExcept::parse);
    Ok(ProxyPlan {
        http: proxy("HTTP_PROXY", &env.http)?,
        https: proxy("HTTPS_PROXY", &env.https)?,
        // As in Go, so in k6: no proxy leads back to this machine.
        except: std::iter::once(ProxyExcept::loopback()).chain(except).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(tree: Value, env: Option<ProxyEnv>) -> Result<ProxyPlan, PlanError> {
        let facts = Facts { proxy_env: env, ..Facts::default() };
        resolve(&Options::from_json(tree).unwrap(), &facts)
    }

    fn shown(proxy: Option<&Proxy>) -> String {
        proxy.map_or_else(String::new, ToString::to_string)
    }

    #[test]
    fn one_url_is_for_both_and_a_table_for_each() {
        let both = plan(json!({ "proxy": "http://p:1" }), None).unwrap();
        assert_eq!(shown(both.for_host(false, "a", 80)), "http://p:1");
        assert_eq!(shown(both.for_host(true, "a", 443)), "http://p:1");
        let table = json!({ "proxy": { "https": "socks5://q:2", "except": ["b", "10.0.0.0/8"] } });
        let table = plan(table, None).unwrap();
        assert_eq!(shown(table.for_host(false, "a", 80)), "");
        assert_eq!(shown(table.for_host(true, "a", 443)), "socks5://q:2");
        assert_eq!(shown(table.for_host(true, "x.b", 443)), "");
        assert_eq!(shown(table.for_host(true, "10.1.1.1", 443)), "");
        let error = plan(json!({ "proxy": "ftp://p:1" }), None).unwrap_err();
        assert!(error.message.starts_with("option `proxy`: a proxy is not spoken to by \"ftp\""));
        let error = Options::from_json(json!({ "proxy": { "htp": "x" } })).unwrap_err();
        assert_eq!(error.message, "unknown option `proxy.htp`, did you mean `http`?");
    }

    #[test]
    fn the_environment_counts_only_where_it_is_allowed() {
        let text = |text: &str| Some(text.to_owned());
        let env = ProxyEnv {
            http: text("p:1"),
            https: None,
            all: text("socks5h://q:2"),
            no: text("inside.test, ,.x"),
        };
        let none = plan(json!({}), Some(env.clone())).unwrap();
        assert_eq!(none, ProxyPlan::default());
        let some = plan(json!({ "proxy_from_env": true }), Some(env.clone())).unwrap();
        assert_eq!(shown(some.for_host(false, "a", 80)), "http://p:1");
        assert_eq!(shown(some.for_host(true, "a", 443)), "socks5h://q:2");
        assert_eq!(shown(some.for_host(true, "a.inside.test", 443)), "");
        assert_eq!(shown(some.for_host(false, "localhost", 80)), "");
        let own = json!({ "proxy_from_env": true, "proxy": "http://r:3" });
        assert_eq!(shown(plan(own, Some(env)).unwrap().for_host(true, "a", 1)), "http://r:3");
        let bad = ProxyEnv { https: text("x://y"), ..ProxyEnv::default() };
        let error = plan(json!({ "proxy_from_env": true }), Some(bad)).unwrap_err();
        assert!(error.message.starts_with("environment variable HTTPS_PROXY: "), "{error}");
    }
}
