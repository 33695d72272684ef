//! Ranges of addresses: networks to keep away from, and addresses of our own to come from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::ser::{Serialize, Serializer};

/// Addresses from one to another, both included, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// Reads `10.0.0.0/8`, `10.0.0.1-10.0.0.9` or `10.0.0.1`, and the same with IPv6.
    ///
    /// # Errors
    ///
    /// It is none of them; the text says what would be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is no address, no range and no network: write 10.0.0.1, \
                     10.0.0.1-10.0.0.9 or 10.0.0.0/8"
            )
        };
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| wrong());
        if let Some((base, bits)) = text.split_once('/') {
            let bits = bits.trim().parse().map_err(|_| wrong())?;
            return Self::network(address(base)?, bits).ok_or_else(wrong);
        }
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (address(first)?, address(last)?),
            None => (address(text)?, address(text)?),
        };
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(format!("\"{text}\" goes backwards, or from one family to another"));
        }
        Ok(Self { first, last })
    }

    /// Returns the network of an address, with so many bits.
    fn network(base: IpAddr, bits: u32) -> Option<Self> {
        match base {
            IpAddr::V4(base) if bits <= 32 => {
                let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
                let first = base.to_bits() & !rest;
                Some(Self {
                    first: Ipv4Addr::from_bits(first).into(),
                    last: Ipv4Addr::from_bits(first | rest).into(),
                })
            }
            IpAddr::V6(base) if bits <= 128 => {
                let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
                let first = base.to_bits() & !rest;
                Some(Self {
                    first: Ipv6Addr::from_bits(first).into(),
                    last: Ipv6Addr::from_bits(first | rest).into(),
                })
            }
            _ => None,
        }
    }

    /// Returns the addresses that hosts have: of an IPv4 network of more than two addresses
    /// neither the first (its name) nor the last (its broadcast address).
    #[must_use]
    pub fn of_hosts(self) -> Self {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if last.to_bits() - first.to_bits() > 1 => Self {
                first: Ipv4Addr::from_bits(first.to_bits() + 1).into(),
                last: Ipv4Addr::from_bits(last.to_bits() - 1).into(),
            },
            _ => self,
        }
    }

    /// Returns whether an address is among them; an IPv4 address in IPv6's clothes is what it is.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }

    /// Returns how many there are, as far as that can be said.
    pub fn count(&self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }

    /// Returns the address number `index`, from 0; the last one past the end.
    pub fn nth(&self, index: u128) -> IpAddr {
        let at = bits(self.first).saturating_add(index).min(bits(self.last));
        match self.first {
            IpAddr::V4(_) => Ipv4Addr::from_bits(at as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(at).into(),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for IpRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> IpRange {
        IpRange::parse(text).unwrap()
    }

    #[test]
    fn ranges_are_read_in_three_forms() {
        for (text, shown, count) in [
            ("10.0.0.1", "10.0.0.1", 1),
            ("10.1.2.3/8", "10.0.0.0-10.255.255.255", 1 << 24),
            ("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9", 9),
            ("0.0.0.0/0", "0.0.0.0-255.255.255.255", 1 << 32),
            ("10.0.0.1/32", "10.0.0.1", 1),
            ("fd00::/126", "fd00::-fd00::3", 4),
            ("::1 - ::5", "::1-::5", 5),
        ] {
            assert_eq!((range(text).to_string().as_str(), range(text).count()), (shown, count));
        }
        assert_eq!(range("::/0").count(), u128::MAX);
        for wrong in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0/8", "1.2.3.4-x"] {
            assert!(IpRange::parse(wrong).unwrap_err().contains("write 10.0.0.1"), "{wrong}");
        }
        for wrong in ["10.0.0.9-10.0.0.1", "10.0.0.1-::1"] {
            assert!(IpRange::parse(wrong).unwrap_err().contains("backwards"), "{wrong}");
        }
    }

    #[test]
    fn the_ends_of_a_network_are_no_hosts() {
        let hosts = |text: &str| range(text).of_hosts().to_string();
        assert_eq!(hosts("192.168.1.0/30"), "192.168.1.1-192.168.1.2");
        assert_eq!(hosts("192.168.1.0/31"), "192.168.1.0-192.168.1.1");
        assert_eq!(hosts("192.168.1.7/32"), "192.168.1.7");
        assert_eq!(hosts("fd00::/126"), "fd00::-fd00::3");
    }

    #[test]
    fn an_address_cannot_hide_in_another_family() {
        let local = range("127.0.0.0/8");
        assert!(local.has("127.9.9.9".parse().unwrap()));
        assert!(local.has("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!local.has("::1".parse().unwrap()));
        assert!(!range("::/0").has("127.0.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn every_address_of_a_network_is_in_it_and_none_beyond(
            base in any::<u32>(), bits in 0..=32_u32, index in any::<u32>(), other in any::<u32>(),
        ) {
            let network = range(&format!("{}/{bits}", Ipv4Addr::from_bits(base)));
            prop_assert!(network.has(Ipv4Addr::from_bits(base).into()));
            prop_assert!(network.has(network.nth(u128::from(index) % network.count())));
            let shares = bits == 0 || (base ^ other) >> (32 - bits) == 0;
            prop_assert_eq!(network.has(Ipv4Addr::from_bits(other).into()), shares);
        }
    }
}
