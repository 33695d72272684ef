//! Where connections may lead, and how names become addresses.

use super::host_patterns;
use crate::plan::{DnsPlan, IpRange, NetworkPlan, Options, PlanError};

/// Returns where connections may lead, and from where they come.
pub(super) fn resolve(options: &Options) -> Result<NetworkPlan, PlanError> {
    let default = DnsPlan::default();
    let dns = options.dns.clone().unwrap_or_default();
    let of_hosts =
        |text: &str, range: IpRange| if text.contains('/') { range.of_hosts() } else { range };
    Ok(NetworkPlan {
        dns: DnsPlan {
            ttl: dns.ttl.unwrap_or(default.ttl),
            select: dns.select.unwrap_or(default.select),
            policy: dns.policy.unwrap_or(default.policy),
        },
        block_hostnames: host_patterns("block_hostnames", options.block_hostnames.as_deref())?,
        blacklist_ips: ranges("blacklist_ips", options.blacklist_ips.as_deref(), |_, range| range)?,
        local_ips: ranges("local_ips", options.local_ips.as_deref(), of_hosts)?,
    })
}

fn ranges(
    path: &str,
    given: Option<&[String]>,
    meant: impl Fn(&str, IpRange) -> IpRange,
) -> Result<Vec<IpRange>, PlanError> {
    let ranges = given.unwrap_or_default().iter().map(|text| {
        let range = IpRange::parse(text);
        range
            .map(|range| meant(text, range))
            .map_err(|problem| PlanError::new(path, format!("option `{path}`: {problem}")))
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(tree: Value) -> Result<NetworkPlan, PlanError> {
        resolve(&Options::from_json(tree).unwrap())
    }

    #[test]
    fn networks_are_whole_to_keep_away_from_and_without_their_ends_to_come_from() {
        let plan = plan(json!({
            "blacklist_ips": ["10.0.0.0/30"], "local_ips": "10.0.0.0/30, 10.0.1.0-10.0.1.3",
        }))
        .unwrap();
        assert_eq!(plan.blacklist_ips[0].count(), 4);
        let counts: Vec<_> = plan.local_ips.iter().map(IpRange::count).collect();
        assert_eq!(counts, [2, 4]);
    }

    #[test]
    fn what_is_no_name_or_address_is_an_error_of_its_option() {
        let error = plan(json!({ "blacklist_ips": ["10.0.0.0/40"] })).unwrap_err();
        assert!(error.message.starts_with("option `blacklist_ips`: \"10.0.0.0/40\" is no address"));
        let error = plan(json!({ "block_hostnames": ["a.*.b"] })).unwrap_err();
        assert_eq!(
            error.message,
            "option `block_hostnames`: \"a.*.b\" must be a name, `*.suffix` or `*`"
        );
    }
}
