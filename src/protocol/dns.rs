//! Names and their addresses: looked up once for all who ask, kept for a time, tried in an order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{FutureExt, Shared};
use rand::rngs::SysRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;

use super::{ErrorKind, ProtocolError};
use crate::clock::{self, Instant};
use crate::plan::{DnsPlan, DnsPolicy, DnsSelect};

type Addresses = Rc<[IpAddr]>;
type Lookup = Shared<Pin<Box<dyn Future<Output = Result<Addresses, ProtocolError>>>>>;

/// The names that a worker has asked for.
pub(super) struct Names {
    known: RefCell<BTreeMap<String, Name>>,
    random: Cell<u64>,
    plan: DnsPlan,
}

/// A name that was asked for.
struct Name {
    found: Found,
    /// How often its addresses were given out.
    turn: usize,
}

/// What is known of a name.
enum Found {
    /// Its addresses, good until then; for ever if nothing.
    Known(Addresses, Option<Instant>),
    /// Being looked up: all who ask meanwhile share the one look-up.
    Asked(Lookup),
}

impl Names {
    /// Returns no names yet.
    pub(super) fn new(plan: DnsPlan) -> Self {
        // Which address is tried first need not be repeatable, only differ between workers.
        let seed = SplitMix64::try_from_rng(&mut SysRng).map_or(0, |mut random| random.next_u64());
        Self { known: RefCell::default(), random: Cell::new(seed), plan }
    }

    /// Returns a name's addresses if they are known and still good, in the order to try them.
    pub(super) fn known(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut names = self.known.borrow_mut();
        let Name { found, turn } = names.get_mut(name)?;
        match found {
            Found::Known(addresses, until) if until.is_none_or(|until| until > clock::now()) => {
                *turn += 1;
                Some(self.ordered(addresses, *turn - 1))
            }
            Found::Known(..) | Found::Asked(_) => None,
        }
    }

    /// Looks a name up. Dropping the future leaves the look-up to the others who wait for it.
    ///
    /// # Errors
    ///
    /// There is no such name, or the resolver could not say.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, ProtocolError> {
        let lookup = self.lookup(name);
        let addresses = lookup.clone().await;
        let turn = self.conclude(name, &lookup, &addresses);
        addresses.map(|addresses| self.ordered(&addresses, turn))
    }

    fn lookup(&self, name: &str) -> Lookup {
        let mut names = self.known.borrow_mut();
        if let Some(Name { found: Found::Asked(lookup), .. }) = names.get(name) {
            return lookup.clone();
        }
        let lookup = ask(name.to_owned()).boxed_local().shared();
        let turn = names.get(name).map_or(0, |name| name.turn);
        let found = Found::Asked(lookup.clone());
        names.insert(name.to_owned(), Name { found, turn });
        lookup
    }

    /// Keeps a result, unless another of those who waited has done so; returns whose turn it is.
    /// Failures are not kept.
    fn conclude(
        &self,
        name: &str,
        lookup: &Lookup,
        result: &Result<Addresses, ProtocolError>,
    ) -> usize {
        let mut names = self.known.borrow_mut();
        let Some(known) = names.get_mut(name) else { return 0 };
        known.turn += 1;
        let turn = known.turn - 1;
        if !matches!(&known.found, Found::Asked(asked) if asked.ptr_eq(lookup)) {
            return turn;
        }
        match result {
            Ok(addresses) => {
                let until = self.plan.ttl.0.and_then(|ttl| clock::now().checked_add(ttl));
                known.found = Found::Known(Rc::clone(addresses), until);
            }
            Err(_) => {
                names.remove(name);
            }
        }
        turn
    }

    /// Returns the addresses in the order to try them, as the plan selects them; `turn` is how often
    /// they were asked for before.
    fn ordered(&self, addresses: &[IpAddr], turn: usize) -> Vec<IpAddr> {
        let mut order = addresses.to_vec();
        match self.plan.policy {
            DnsPolicy::OnlyIpv4 => order.retain(IpAddr::is_ipv4),
            DnsPolicy::OnlyIpv6 => order.retain(IpAddr::is_ipv6),
            DnsPolicy::PreferIpv4 | DnsPolicy::PreferIpv6 | DnsPolicy::Any => {}
        }
        if order.len() > 1 {
            match self.plan.select {
                DnsSelect::First => {}
                DnsSelect::RoundRobin => {
                    let count = order.len();
                    order.rotate_left(turn % count);
                }
                DnsSelect::Random => {
                    let mut random = SplitMix64::seed_from_u64(self.random.get());
                    order.shuffle(&mut random);
                    self.random.set(random.next_u64());
                }
            }
            match self.plan.policy {
                DnsPolicy::PreferIpv4 => order.sort_by_key(IpAddr::is_ipv6),
                DnsPolicy::PreferIpv6 => order.sort_by_key(IpAddr::is_ipv4),
                DnsPolicy::OnlyIpv4 | DnsPolicy::OnlyIpv6 | DnsPolicy::Any => {}
            }
        }
        order
    }
}

async fn ask(name: String) -> Result<Addresses, ProtocolError> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
    let mut addresses: Vec<IpAddr> = Vec::new();
    match found {
        Ok(found) => {
            for address in found.map(|address| address.ip()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Err(error) => return Err(ProtocolError::from_lookup(&error)),
    }
    if addresses.is_empty() {
        return Err(ErrorKind::NoSuchHost.into());
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{DnsTtl, Facts, Options, resolve};

    /// Returns the orders in which a worker with these options tries addresses, turn by turn.
    fn orders(select: &str, policy: &str, times: usize) -> Vec<Vec<String>> {
        let dns = serde_json::json!({ "select": select, "policy": policy });
        let options = Options::from_json(serde_json::json!({ "dns": dns })).expect("options");
        let plan = resolve(&options, &Facts::default()).expect("plan").http;
        let names = Names::new(plan.network.dns);
        let addresses: Vec<IpAddr> =
            ["::1", "10.0.0.1", "::2", "10.0.0.2"].map(|text| text.parse().expect("ip")).to_vec();
        let order = |turn| names.ordered(&addresses, turn);
        (0..times).map(|turn| order(turn).iter().map(IpAddr::to_string).collect()).collect()
    }

    #[test]
    fn addresses_are_tried_in_the_order_that_the_plan_says() {
        let (one, two, three, four) = ("::1", "10.0.0.1", "::2", "10.0.0.2");
        assert_eq!(orders("first", "any", 2), [[one, two, three, four]; 2]);
        assert_eq!(orders("first", "preferIPv4", 1), [[two, four, one, three]]);
        assert_eq!(orders("first", "preferIPv6", 1), [[one, three, two, four]]);
        assert_eq!(orders("first", "onlyIPv4", 1), [[two, four]]);
        assert_eq!(orders("first", "onlyIPv6", 1), [[one, three]]);
        assert_eq!(
            orders("roundRobin", "any", 5),
            [
                [one, two, three, four],
                [two, three, four, one],
                [three, four, one, two],
                [four, one, two, three],
                [one, two, three, four],
            ]
        );
        assert_eq!(orders("roundRobin", "onlyIPv4", 3), [[two, four], [four, two], [two, four]]);
        let random: std::collections::BTreeSet<_> =
            orders("random", "any", 200).into_iter().map(|order| order[0].clone()).collect();
        assert_eq!(random.len(), 4);
        let preferred: std::collections::BTreeSet<_> =
            orders("random", "preferIPv4", 200).into_iter().map(|o| o[0].clone()).collect();
        assert_eq!(preferred, [two.to_owned(), four.to_owned()].into());
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_who_ask_and_forgotten_after_its_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let with = |ttl| Names::new(DnsPlan { ttl: DnsTtl(ttl), ..DnsPlan::default() });
            let ttl = Duration::from_secs(7);
            let names = with(Some(ttl));
            let (one, two) = (names.lookup("localhost"), names.lookup("localhost"));
            assert!(one.ptr_eq(&two));
            let (a, b) = tokio::join!(names.look_up("localhost"), names.look_up("localhost"));
            assert_eq!(a.expect("address").len(), b.expect("address").len());
            assert!(names.known("localhost").is_some());
            let (never, always) = (with(Some(Duration::ZERO)), with(None));
            for names in [&never, &always] {
                names.look_up("localhost").await.expect("address");
            }
            assert!(never.known("localhost").is_none());
            tokio::time::advance(ttl).await;
            assert!(names.known("localhost").is_none());
            tokio::time::advance(Duration::from_hours(24 * 365)).await;
            assert!(always.known("localhost").is_some());
        });
    }
}
