//! Where connections may lead, and how names become addresses.

use std::net::IpAddr;
use std::time::Duration;

use serde::ser::{Serialize, Serializer};

use super::{HostPattern, IpRange, print};

/// Where connections may lead, and from where they come.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct NetworkPlan {
    /// How names become addresses.
    pub dns: DnsPlan,
    /// Names that nobody connects to.
    pub block_hostnames: Vec<HostPattern>,
    /// Addresses that nobody connects to.
    pub blacklist_ips: Vec<IpRange>,
    /// Addresses of this machine that connections come from; the system chooses if empty.
    pub local_ips: Vec<IpRange>,
}

impl NetworkPlan {
    /// Returns the address that a VU's connections come from, by its number.
    pub fn local_ip(&self, number: u64) -> Option<IpAddr> {
        let total: u128 = self.local_ips.iter().fold(0, |sum, r| sum.saturating_add(r.count()));
        let mut index = u128::from(number).checked_rem(total)?;
        for range in &self.local_ips {
            if index < range.count() {
                return Some(range.nth(index));
            }
            index -= range.count();
        }
        None
    }
}

/// How names become addresses.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DnsPlan {
    /// How long an answer is good.
    pub ttl: DnsTtl,
    /// Which address of several is tried first.
    pub select: DnsSelect,
    /// Which families of addresses are used.
    pub policy: DnsPolicy,
}

impl Default for DnsPlan {
    /// k6's.
    fn default() -> Self {
        Self {
            ttl: DnsTtl(Some(Duration::from_mins(5))),
            select: DnsSelect::Random,
            policy: DnsPolicy::PreferIpv4,
        }
    }
}

/// How long an answer is good: for a time, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsTtl(pub Option<Duration>);

impl Serialize for DnsTtl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(ttl) => print::duration(ttl, serializer),
            None => serializer.serialize_str("inf"),
        }
    }
}

/// Which address of several is tried first. The others follow if it cannot be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DnsSelect {
    /// The resolver's first.
    First,
    /// Any.
    Random,
    /// The next one each time, on each worker.
    RoundRobin,
}

/// Which families of addresses are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum DnsPolicy {
    /// IPv4 before IPv6.
    #[serde(rename = "preferIPv4")]
    PreferIpv4,
    /// IPv6 before IPv4.
    #[serde(rename = "preferIPv6")]
    PreferIpv6,
    /// IPv4 alone.
    #[serde(rename = "onlyIPv4")]
    OnlyIpv4,
    /// IPv6 alone.
    #[serde(rename = "onlyIPv6")]
    OnlyIpv6,
    /// As they come.
    #[serde(rename = "any")]
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vus_go_round_the_addresses_of_all_ranges() {
        let ranges = ["10.0.0.1-10.0.0.2", "10.0.1.0/30"];
        let mut local_ips: Vec<IpRange> =
            ranges.iter().map(|text| IpRange::parse(text).unwrap()).collect();
        local_ips[1] = local_ips[1].of_hosts();
        let plan = NetworkPlan { local_ips, ..NetworkPlan::default() };
        let chosen: Vec<String> =
            (0..5).map(|number| plan.local_ip(number).unwrap().to_string()).collect();
        assert_eq!(chosen, ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2", "10.0.0.1"]);
        assert_eq!(NetworkPlan::default().local_ip(7), None);
    }
}
