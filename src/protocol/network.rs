//! What the VUs of a worker share: the DNS cache, the TLS configuration, a buffer to read into.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::connect::Origin;
use super::dns::Names;
use super::hosts::Hosts;
use super::http::Heads;
use super::tls::{TlsProfile, Whose};
use super::{Detour, ErrorKind, Headers, ProtocolError, TlsSettings, Via, tls, ws};
use crate::plan::{HttpPlan, NetworkPlan, Proxy, ProxyPlan, ProxyScheme};

/// Time to connect, whatever the request's own; k6's dialer has the same.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// As much as one read takes from a socket.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Most ways to speak TLS that requests ask for and a worker remembers.
const PROFILES_MAX: usize = 64;

/// What the VUs of a worker share.
pub struct Network {
    hosts: Hosts,
    /// The addresses of names.
    pub(super) names: Names,
    plan: NetworkPlan,
    proxies: ProxyPlan,
    /// How TLS is spoken, unless a request says otherwise.
    tls: TlsProfile,
    /// How requests that say otherwise speak it.
    profiles: RefCell<BTreeMap<TlsSettings, Rc<TlsProfile>>>,
    /// A buffer that every connection reads into: an idle one needs none.
    scratch: RefCell<Box<[u8]>>,
    /// The worker's write buffer: a request is encoded here and leaves at once.
    pub(super) out: RefCell<Vec<u8>>,
    /// The heads of answers that have come before.
    pub(super) heads: Heads,
    /// What packs and unpacks messages of WebSockets that keep no context.
    pub(super) deflate: ws::Shared,
    /// `User-Agent`; none if the plan's is empty.
    pub(super) user_agent: Option<Rc<str>>,
    pub(super) dial_timeout: Duration,
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
    /// A pattern of the plan's `hosts` is none, the user agent no header value, or what TLS needs
    /// cannot be used.
    pub fn new(plan: &HttpPlan) -> Result<Rc<Self>, ProtocolError> {
        let skip = plan.insecure_skip_tls_verify;
        Self::verifying(plan, if skip { tls::Verify::Nothing } else { tls::Verify::System })
    }

    /// Returns a network that trusts these certificates (DER) and no others.
    ///
    /// # Errors
    ///
    /// A pattern of the plan's `hosts` is none, the user agent no header value, or what TLS needs
    /// cannot be used.
    pub fn with_roots(plan: &HttpPlan, roots: Vec<Vec<u8>>) -> Result<Rc<Self>, ProtocolError> {
        Self::verifying(plan, tls::Verify::Roots(roots))
    }

    fn verifying(plan: &HttpPlan, verify: tls::Verify) -> Result<Rc<Self>, ProtocolError> {
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
            names: Names::new(plan.network.dns),
            plan: plan.network.clone(),
            proxies: plan.proxy.clone(),
            tls: TlsProfile::new(Whose::Tests, plan.tls.clone(), verify)?,
            profiles: RefCell::default(),
            scratch: RefCell::default(),
            out: RefCell::default(),
            heads: Heads::default(),
            deflate: ws::Shared::default(),
            user_agent,
            dial_timeout: DIAL_TIMEOUT,
        }))
    }

    /// Returns the TLS configuration for an origin, built when first asked for: the trusted roots
    /// are files.
    pub(super) fn tls(&self, origin: &Origin) -> Arc<ClientConfig> {
        let profile = origin.via().and_then(|via| via.tls.as_deref()).unwrap_or(&self.tls);
        profile.config(origin.host())
    }

    /// Returns the test's TLS configuration for a host.
    pub(super) fn tls_for_host(&self, host: &str) -> Arc<ClientConfig> {
        self.tls.config(host)
    }

    /// Returns the proxy that connections to an origin go through.
    pub(super) fn proxy<'a>(&'a self, origin: &'a Origin) -> Option<&'a Proxy> {
        match origin.via().map(|via| &**via) {
            Some(Via { socket: Some(_), .. } | Via { proxy: Some(Detour::None), .. }) => None,
            Some(Via { proxy: Some(Detour::Through(proxy)), .. }) => Some(proxy),
            _ => self.proxies.for_host(origin.is_tls(), origin.host(), origin.port()),
        }
    }

    /// Returns whether the test has proxies.
    pub(super) fn has_proxies(&self) -> bool {
        self.proxies.http.is_some() || self.proxies.https.is_some()
    }

    /// Returns the proxy that requests to an origin are handed to, to be forwarded: one of HTTP, as
    /// nothing but TLS and other protocols needs a tunnel.
    pub(super) fn forwarder<'a>(&'a self, origin: &'a Origin) -> Option<&'a Proxy> {
        let spoken =
            |proxy: &&Proxy| matches!(proxy.scheme, ProxyScheme::Http | ProxyScheme::Https);
        if origin.needs_tunnel() { None } else { self.proxy(origin).filter(spoken) }
    }

    /// Returns how requests with these settings speak TLS: the test's way, but for what is set.
    /// Files are read by `read`, once.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or what is in it cannot be used; it names the argument.
    pub fn tls_profile(
        &self,
        settings: TlsSettings,
        read: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<Rc<TlsProfile>, ProtocolError> {
        if let Some(known) = self.profiles.borrow().get(&settings) {
            return Ok(Rc::clone(known));
        }
        let profile = Rc::new(settings.over(&self.tls, read)?);
        let mut profiles = self.profiles.borrow_mut();
        if profiles.len() >= PROFILES_MAX {
            profiles.clear();
        }
        profiles.insert(settings, Rc::clone(&profile));
        Ok(profile)
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

    /// Refuses a host that the plan blocks.
    ///
    /// # Errors
    ///
    /// Its name is blocked.
    pub(super) fn admit_host(&self, host: &str) -> Result<(), ProtocolError> {
        if self.plan.block_hostnames.iter().any(|pattern| pattern.fits(host)) {
            return Err(ProtocolError::from(ErrorKind::BlockedHost).with_detail(host));
        }
        Ok(())
    }

    /// Leaves out the addresses that the plan blocks.
    ///
    /// # Errors
    ///
    /// None is left.
    pub(super) fn admit_addresses(
        &self,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, ProtocolError> {
        let blocked = &self.plan.blacklist_ips;
        if blocked.is_empty() {
            return Ok(addresses);
        }
        let first = addresses.first().copied();
        addresses.retain(|address| !blocked.iter().any(|range| range.has(address.ip())));
        if addresses.is_empty() {
            let error = ProtocolError::from(ErrorKind::BlockedAddress);
            return Err(match first {
                Some(first) => error.with_detail(first.to_string()),
                None => error,
            });
        }
        Ok(addresses)
    }
}
