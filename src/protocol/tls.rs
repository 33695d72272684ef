//! The TLS client's configuration, and the verifier that believes everything.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use self::key_log::KeyLog;
pub(super) use self::profile::Whose;
pub use self::profile::{TlsProfile, TlsSettings};

use crate::plan::Http2;

mod key_log;
mod material;
mod profile;

/// Sessions that one VU keeps; rustls divides by the tickets per server, so this is 8 servers.
const SESSIONS: usize = 64;
/// Ways to speak TLS whose sessions one VU keeps.
const CONFIGS_MAX: usize = 16;

/// Which certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verify {
    /// Those that the machine trusts.
    System,
    /// Those that these (DER) vouch for.
    Roots(Vec<Vec<u8>>),
    /// All.
    Nothing,
}

/// The configurations of one VU: the worker's, each with a session store of the VU's own.
#[derive(Debug, Default)]
pub(super) struct Sessions(RefCell<Vec<Own>>);

/// A VU's version of a configuration.
#[derive(Debug)]
struct Own {
    base: Arc<ClientConfig>,
    wish: Http2,
    config: Arc<ClientConfig>,
}

impl Sessions {
    /// Returns the VU's version of a configuration, which offers the protocols that are wished for.
    pub(super) fn of(&self, base: &Arc<ClientConfig>, wish: Http2) -> Arc<ClientConfig> {
        let mut known = self.0.borrow_mut();
        let is_it = |own: &&Own| own.wish == wish && Arc::ptr_eq(&own.base, base);
        if let Some(own) = known.iter().find(is_it) {
            return Arc::clone(&own.config);
        }
        if known.len() >= CONFIGS_MAX {
            known.remove(0);
        }
        let mut config = (**base).clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = offered(wish);
        let config = Arc::new(config);
        known.push(Own { base: Arc::clone(base), wish, config: Arc::clone(&config) });
        config
    }
}

/// Returns the protocols to offer in a TLS handshake (RFC 7301), the dearest first.
fn offered(wish: Http2) -> Vec<Vec<u8>> {
    let names: &[&str] = match wish {
        Http2::Auto => &["h2", "http/1.1"],
        Http2::Always => &["h2"],
        Http2::Never => &["http/1.1"],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Returns what computes.
fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// Builds a configuration; for [`Verify::System`] the first one reads the machine's files.
fn config(
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    verify: &Verify,
    roots: &[CertificateDer<'static>],
    identity: Option<Arc<SingleCertAndKey>>,
) -> ClientConfig {
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("there are suites for each version, and at least one version");
    let builder = match verify {
        Verify::System if roots.is_empty() => builder.with_root_certificates(system_roots()),
        Verify::System => {
            let mut store = (*system_roots()).clone();
            store.add_parsable_certificates(roots.iter().cloned());
            builder.with_root_certificates(store)
        }
        Verify::Roots(only) => {
            let mut store = RootCertStore::empty();
            let only = only.iter().cloned().map(CertificateDer::from);
            store.add_parsable_certificates(only.chain(roots.iter().cloned()));
            builder.with_root_certificates(store)
        }
        Verify::Nothing => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous { provider }))
        }
    };
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Returns the name that k6 and the tag `tls_version` give to a version.
pub(super) fn version_name(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "tls1.3",
        Some(ProtocolVersion::TLSv1_2) => "tls1.2",
        _ => "",
    }
}

/// Returns what the machine trusts: read once per process, as it is the same for all workers.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut store = RootCertStore::empty();
        // Files that cannot be read or parsed are left out: a missing root shows itself as
        // "unknown authority" where it matters.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    Arc::clone(roots)
}

/// Believes every certificate and every signature (`insecure_skip_tls_verify`).
///
/// Signatures go unchecked too: without a trusted certificate they prove nothing, and checking
/// them would refuse the version 1 certificates that test machines often have.
#[derive(Debug)]
struct Credulous {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
