//! The TLS client's configuration, and the verifier that believes everything.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
};

/// Sessions that one VU keeps; rustls divides by the tickets per server, so this is 8 servers.
const SESSIONS: usize = 64;

/// Which certificates are believed.
#[derive(Debug)]
pub(super) enum Verify {
    /// Those that the machine trusts.
    System,
    /// Those that these (DER) vouch for.
    Roots(Vec<Vec<u8>>),
    /// All.
    Nothing,
}

/// Builds a configuration; for [`Verify::System`] the first one reads the machine's files.
pub(super) fn config(verify: &Verify) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3");
    let mut config = match verify {
        Verify::System => builder.with_root_certificates(system_roots()).with_no_client_auth(),
        Verify::Roots(roots) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots.iter().cloned().map(CertificateDer::from));
            builder.with_root_certificates(store).with_no_client_auth()
        }
        Verify::Nothing => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous { provider }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Returns a configuration with a session store of its own: each VU resumes its own sessions.
pub(super) fn for_one_vu(base: &ClientConfig) -> ClientConfig {
    let mut config = base.clone();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
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
