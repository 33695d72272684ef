//! How TLS is spoken on some connections: the test's way, or what a request asks for.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;

use super::{KeyLog, Verify, material};
use crate::plan::{HostPattern, Identity, Pem, TlsPlan, TlsVersion, TlsVersions};
use crate::protocol::{ErrorKind, ProtocolError};

/// What a request sets in place of the test's way to speak TLS. Certificates and keys are PEM files
/// or their text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsSettings {
    /// Certificates that are trusted besides the test's.
    pub roots: Vec<Pem>,
    /// Who we are.
    pub identity: Option<(Pem, Pem)>,
    /// The least version.
    pub min_version: Option<TlsVersion>,
    /// The greatest version.
    pub max_version: Option<TlsVersion>,
    /// The only cipher suites; the test's if empty.
    pub cipher_suites: Vec<String>,
    /// Whether certificates go unchecked.
    pub insecure: Option<bool>,
}

impl TlsSettings {
    /// Returns a profile with these settings over another.
    pub(in crate::protocol) fn over(
        &self,
        base: &TlsProfile,
        mut read: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<TlsProfile, ProtocolError> {
        let mut load = |name: &str, pem: &mut Pem| {
            let named = |problem| format!("tls.{name}: {problem}");
            pem.load(&mut read).map_err(|p| ProtocolError::new(ErrorKind::Other, named(p)))
        };
        let mut plan = base.plan.clone();
        for root in &self.roots {
            let mut root = root.clone();
            load("roots", &mut root)?;
            plan.roots.push(root);
        }
        if let Some((cert, key)) = &self.identity {
            let (mut cert, mut key) = (cert.clone(), key.clone());
            load("cert", &mut cert)?;
            load("key", &mut key)?;
            plan.identities = vec![Identity { cert, key, domains: Vec::new() }];
        }
        let TlsVersions { min, max } = plan.versions;
        // One end that is set moves the other along.
        let min = self.min_version.unwrap_or(min.min(self.max_version.unwrap_or(min)));
        let max = self.max_version.unwrap_or(max.max(min));
        if min > max {
            let message = "tls: `min_version` is above `max_version`";
            return Err(ProtocolError::new(ErrorKind::Other, message));
        }
        plan.versions = TlsVersions { min, max };
        if !self.cipher_suites.is_empty() {
            plan.cipher_suites.clone_from(&self.cipher_suites);
        }
        let verify = match self.insecure {
            Some(true) => Verify::Nothing,
            Some(false) if base.verify == Verify::Nothing => Verify::System,
            Some(false) | None => base.verify.clone(),
        };
        TlsProfile::new(Whose::Requests, plan, verify)
    }
}

/// Who said how TLS is spoken: it decides what the settings are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Whose {
    /// The test's options.
    Tests,
    /// A request's params.
    Requests,
}

impl Whose {
    fn roots(self, index: usize) -> String {
        match self {
            Self::Tests => format!("tls_roots[{index}]"),
            Self::Requests => "tls.roots".to_owned(),
        }
    }

    fn identity(self, index: usize) -> String {
        match self {
            Self::Tests => format!("tls_auth[{index}]"),
            Self::Requests => "tls".to_owned(),
        }
    }
}

/// A way to speak TLS: all that is in the files has been read and understood.
#[derive(Debug)]
pub struct TlsProfile {
    plan: TlsPlan,
    verify: Verify,
    roots: Vec<CertificateDer<'static>>,
    identities: Vec<(Vec<HostPattern>, Arc<SingleCertAndKey>)>,
    suites: Vec<rustls::SupportedCipherSuite>,
    key_log: Option<Arc<KeyLog>>,
    /// For hosts that nobody asks who we are.
    anonymous: OnceCell<Arc<ClientConfig>>,
    /// By the number of the identity.
    known: RefCell<Vec<Option<Arc<ClientConfig>>>>,
}

/// Connections are shared by requests that speak alike.
impl PartialEq for TlsProfile {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.plan == other.plan && self.verify == other.verify)
    }
}

impl Eq for TlsProfile {}

impl TlsProfile {
    /// Reads certificates, keys and names of a plan whose files have been read. The machine's own
    /// certificates are not touched before the first connection.
    ///
    /// # Errors
    ///
    /// What cannot be used, by the option's name.
    pub(in crate::protocol) fn new(
        whose: Whose,
        plan: TlsPlan,
        verify: Verify,
    ) -> Result<Self, ProtocolError> {
        let provider = super::provider();
        let mut roots = Vec::new();
        for (index, pem) in plan.roots.iter().enumerate() {
            roots.extend(material::certificates(&whose.roots(index), pem)?);
        }
        let mut identities = Vec::new();
        for (index, identity) in plan.identities.iter().enumerate() {
            let known = material::identity(&whose.identity(index), identity, &provider)?;
            identities.push((identity.domains.clone(), known));
        }
        let key_log = plan.key_log.as_deref().map(|path| {
            KeyLog::open(path).map(Arc::new).map_err(|error| {
                let path = path.display();
                let message = format!("the TLS key log {path} cannot be written: {error}");
                ProtocolError::new(ErrorKind::Other, message)
            })
        });
        Ok(Self {
            suites: material::cipher_suites(&plan, &provider)?,
            key_log: key_log.transpose()?,
            roots,
            known: RefCell::new(vec![None; identities.len()]),
            identities,
            anonymous: OnceCell::new(),
            verify,
            plan,
        })
    }

    /// Returns the configuration for a host in lower case.
    pub(in crate::protocol) fn config(&self, host: &str) -> Arc<ClientConfig> {
        let is_for = |domains: &[HostPattern]| {
            domains.is_empty() || domains.iter().any(|domain| domain.fits(host))
        };
        let Some(number) = self.identities.iter().position(|(domains, _)| is_for(domains)) else {
            return Arc::clone(self.anonymous.get_or_init(|| Arc::new(self.build(None))));
        };
        let mut known = self.known.borrow_mut();
        let config = known[number].get_or_insert_with(|| {
            let (_, identity) = &self.identities[number];
            Arc::new(self.build(Some(Arc::clone(identity))))
        });
        Arc::clone(config)
    }

    fn build(&self, identity: Option<Arc<SingleCertAndKey>>) -> ClientConfig {
        let mut provider = super::provider();
        provider.cipher_suites.clone_from(&self.suites);
        let versions = material::versions(&self.plan);
        let mut config = super::config(provider, &versions, &self.verify, &self.roots, identity);
        if let Some(key_log) = &self.key_log {
            config.key_log = Arc::<KeyLog>::clone(key_log);
        }
        config
    }
}
