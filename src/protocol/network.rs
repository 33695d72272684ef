//! What the VUs of a worker share: the DNS cache, the TLS configuration, a buffer to read into.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, Shared};
use rand::rngs::SysRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use rustls::ClientConfig;

use super::hosts::Hosts;
use super::{ErrorKind, Headers, ProtocolError, tls};
use crate::clock::{self, Instant};
use crate::plan::HttpPlan;

/// How long an address stays good; k6's default.
const DNS_TTL: Duration = Duration::from_mins(5);
/// Time to connect, whatever the request's own; k6's dialer has the same.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// As much as one read takes from a socket.
const SCRATCH_BYTES: usize = 64 * 1024;

type Addresses = Rc<[IpAddr]>;
type Lookup = Shared<Pin<Box<dyn Future<Output = Result<Addresses, ProtocolError>>>>>;

/// What the VUs of a worker share.
pub struct Network {
    hosts: Hosts,
    names: RefCell<BTreeMap<String, Name>>,
    random: Cell<u64>,
    verify: tls::Verify,
    tls: OnceCell<Arc<ClientConfig>>,
    /// A buffer that every connection reads into: an idle one needs none.
    scratch: RefCell<Box<[u8]>>,
    /// The worker's write buffer: a request is encoded here and leaves at once.
    pub(super) out: RefCell<Vec<u8>>,
    /// `User-Agent`; none if the plan's is empty.
    pub(super) user_agent: Option<Rc<str>>,
    pub(super) dial_timeout: Duration,
}

/// What is known of a name.
enum Name {
    Known {
        addresses: Addresses,
        until: Instant,
    },
    /// Being looked up: all who ask meanwhile share the one look-up.
    Asked(Lookup),
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Network {
    /// Returns a network without anything looked up or loaded: this costs microseconds.
    ///
    /// # Errors
    ///
    /// A pattern of the plan's `hosts` is none, or the user agent no header value.
    pub fn new(plan: &HttpPlan) -> Result<Rc<Self>, ProtocolError> {
        let skip = plan.insecure_skip_tls_verify;
        Self::verifying(plan, if skip { tls::Verify::Nothing } else { tls::Verify::System })
    }

    /// Returns a network that trusts these certificates (DER) and no others.
    ///
    /// # Errors
    ///
    /// A pattern of the plan's `hosts` is none, or the user agent no header value.
    pub fn with_roots(plan: &HttpPlan, roots: Vec<Vec<u8>>) -> Result<Rc<Self>, ProtocolError> {
        Self::verifying(plan, tls::Verify::Roots(roots))
    }

    fn verifying(plan: &HttpPlan, verify: tls::Verify) -> Result<Rc<Self>, ProtocolError> {
        // Which address is tried first need not be repeatable, only differ between workers.
        let seed = SplitMix64::try_from_rng(&mut SysRng).map_or(0, |mut random| random.next_u64());
        let user_agent = match plan.user_agent.as_str() {
            "" => None,
            text => {
                Headers::new().append("user-agent", text.as_bytes()).map_err(|_| {
                    let message = "user_agent: control characters cannot be in a header";
                    ProtocolError::new(ErrorKind::Other, message)
                })?;
                Some(text.into())
            }
        };
        Ok(Rc::new(Self {
            hosts: Hosts::new(&plan.hosts)?,
            names: RefCell::default(),
            random: Cell::new(seed),
            verify,
            tls: OnceCell::new(),
            scratch: RefCell::default(),
            out: RefCell::default(),
            user_agent,
            dial_timeout: DIAL_TIMEOUT,
        }))
    }

    /// Returns the TLS configuration, built when first asked for: the trusted roots are files.
    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(self.tls.get_or_init(|| Arc::new(tls::config(&self.verify))))
    }

    /// Returns the worker's read buffer, for as long as nobody waits.
    pub(super) fn scratch(&self) -> RefMut<'_, [u8]> {
        let mut buffer = self.scratch.borrow_mut();
        if buffer.is_empty() {
            *buffer = vec![0; SCRATCH_BYTES].into_boxed_slice();
        }
        RefMut::map(buffer, |buffer| &mut **buffer)
    }

    /// Returns the plan's address for a host, if it gives one.
    pub(super) fn pinned(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.hosts.find(host, port)
    }

    /// Returns a name's addresses if they are known and still good, in the order to try them.
    pub(super) fn known(&self, name: &str) -> Option<Vec<IpAddr>> {
        let names = self.names.borrow();
        match names.get(name)? {
            Name::Known { addresses, until } if *until > clock::now() => {
                Some(self.ordered(addresses))
            }
            _ => None,
        }
    }

    /// Looks a name up. Dropping the future leaves the look-up to the others who wait for it.
    ///
    /// # Errors
    ///
    /// There is no such name, or the resolver could not say.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, ProtocolError> {
        let lookup = self.lookup(name);
        let result = lookup.clone().await;
        self.conclude(name, &lookup, &result);
        result.map(|addresses| self.ordered(&addresses))
    }

    fn lookup(&self, name: &str) -> Lookup {
        let mut names = self.names.borrow_mut();
        if let Some(Name::Asked(lookup)) = names.get(name) {
            return lookup.clone();
        }
        let lookup = ask(name.to_owned()).boxed_local().shared();
        names.insert(name.to_owned(), Name::Asked(lookup.clone()));
        lookup
    }

    /// Keeps a result, unless another of those who waited has done so. Failures are not kept.
    fn conclude(&self, name: &str, lookup: &Lookup, result: &Result<Addresses, ProtocolError>) {
        let mut names = self.names.borrow_mut();
        if !matches!(names.get(name), Some(Name::Asked(asked)) if asked.ptr_eq(lookup)) {
            return;
        }
        match result {
            Ok(addresses) => {
                let known =
                    Name::Known { addresses: Rc::clone(addresses), until: clock::now() + DNS_TTL };
                names.insert(name.to_owned(), known);
            }
            Err(_) => {
                names.remove(name);
            }
        }
    }

    /// Returns the addresses in the order to try them: IPv4 first, else by chance.
    fn ordered(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let mut order = addresses.to_vec();
        if order.len() > 1 {
            let mut random = SplitMix64::seed_from_u64(self.random.get());
            order.shuffle(&mut random);
            self.random.set(random.next_u64());
            order.sort_by_key(IpAddr::is_ipv6);
        }
        order
    }
}

async fn ask(name: String) -> Result<Addresses, ProtocolError> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
    let mut addresses: Vec<IpAddr> = match found {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => return Err(ProtocolError::from_lookup(&error)),
    };
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(ErrorKind::NoSuchHost.into());
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing;

    #[test]
    fn ipv4_is_tried_first_and_the_choice_varies() {
        let network = Network::new(&testing::plan()).expect("network");
        let addresses: Vec<IpAddr> = ["::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
            .map(|text| text.parse().expect("address"))
            .to_vec();
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let order = network.ordered(&addresses);
            assert!(order[3].is_ipv6());
            first.insert(order[0]);
        }
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_who_ask_and_forgotten_after_its_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let network = Network::new(&testing::plan()).expect("network");
            let (one, two) = (network.lookup("localhost"), network.lookup("localhost"));
            assert!(one.ptr_eq(&two));
            let (a, b) = tokio::join!(network.look_up("localhost"), network.look_up("localhost"));
            assert_eq!(a.expect("address").len(), b.expect("address").len());
            assert!(network.known("localhost").is_some());
            tokio::time::advance(DNS_TTL).await;
            assert!(network.known("localhost").is_none());
        });
    }
}
