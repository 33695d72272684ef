//! The option `dns`: `{ ttl, select, policy }`.

use std::time::Duration;

use serde_json::Value;

use super::setting::{Fields, Setting, choice, pairs_or_json, settings, word};
use crate::plan::{DnsPolicy, DnsSelect, DnsTtl, PlanError};

settings! {
    /// How names become addresses, as written.
    pub struct DnsOptions {
        /// How long an answer is good.
        pub ttl: DnsTtl,
        /// Which address of several is tried first.
        pub select: DnsSelect,
        /// Which families of addresses are used.
        pub policy: DnsPolicy,
    }
}

impl Setting for DnsOptions {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        // k6 has one text for all three; so have environment variables.
        let value = match value {
            Value::String(text) => pairs_or_json(&text),
            other => other,
        };
        let mut fields = Fields::open(path, value)?;
        let dns = Self::read_fields(&mut fields)?;
        fields.finish()?;
        Ok(dns)
    }

    fn write(&self) -> Value {
        Value::Object(self.write_fields())
    }

    fn over(self, lower: Self) -> Self {
        self.fields_over(lower)
    }
}

impl Setting for DnsTtl {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        match value.as_str() {
            Some("inf") => Ok(Self(None)),
            // k6 has it so; a number without unit is milliseconds elsewhere, which 0 is too.
            Some("0") => Ok(Self(Some(Duration::ZERO))),
            _ => Duration::read(path, value).map(|ttl| Self(Some(ttl))),
        }
    }

    fn write(&self) -> Value {
        self.0.map_or_else(|| Value::from("inf"), |ttl| ttl.write())
    }
}

const SELECTS: [(&str, DnsSelect); 3] = [
    ("first", DnsSelect::First),
    ("random", DnsSelect::Random),
    ("roundRobin", DnsSelect::RoundRobin),
];

impl Setting for DnsSelect {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &SELECTS)
    }

    fn write(&self) -> Value {
        word(&SELECTS, self)
    }
}

const POLICIES: [(&str, DnsPolicy); 5] = [
    ("preferIPv4", DnsPolicy::PreferIpv4),
    ("preferIPv6", DnsPolicy::PreferIpv6),
    ("onlyIPv4", DnsPolicy::OnlyIpv4),
    ("onlyIPv6", DnsPolicy::OnlyIpv6),
    ("any", DnsPolicy::Any),
];

impl Setting for DnsPolicy {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        choice(path, &value, &POLICIES)
    }

    fn write(&self) -> Value {
        word(&POLICIES, self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Options;

    fn dns(tree: Value) -> DnsOptions {
        DnsOptions::read("dns", tree).unwrap()
    }

    #[test]
    fn it_is_a_table_or_k6s_text() {
        let table = dns(json!({ "ttl": "1m", "select": "roundRobin", "policy": "onlyIPv6" }));
        assert_eq!(table, dns(json!("ttl=1m,select=roundRobin,policy=onlyIPv6")));
        assert_eq!(table.ttl, Some(DnsTtl(Some(Duration::from_mins(1)))));
        assert_eq!(dns(json!({ "ttl": "inf" })).ttl, Some(DnsTtl(None)));
        for zero in [json!("ttl=0"), json!({ "ttl": 0 }), json!({ "ttl": "0s" })] {
            assert_eq!(dns(zero).ttl, Some(DnsTtl(Some(Duration::ZERO))));
        }
    }

    #[test]
    fn what_it_does_not_know_is_named() {
        let message = |tree| Options::from_json(tree).unwrap_err().message;
        assert_eq!(
            message(json!({ "dns": { "polcy": "any" } })),
            "unknown option `dns.polcy`, did you mean `policy`?"
        );
        assert_eq!(
            message(json!({ "dns": { "select": "roundrobin" } })),
            "option `dns.select` must be one of \"first\", \"random\", \"roundRobin\"; got the \
             string \"roundrobin\", did you mean `roundRobin`?"
        );
        assert!(message(json!({ "dns": "fast" })).contains("`dns` must be a table"));
    }

    #[test]
    fn sources_are_merged_one_by_one() {
        let options = |tree| Options::from_json(tree).unwrap();
        let higher = options(json!({ "dns": { "ttl": "inf" } }));
        let lower = options(json!({ "dns": { "ttl": "1s", "select": "first" } }));
        let merged = higher.over(lower).0.to_json();
        assert_eq!(merged, json!({ "dns": { "ttl": "inf", "select": "first" } }));
    }
}
