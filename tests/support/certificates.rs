//! Certificates made on the spot.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority of a test's own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate (DER).
    pub(crate) der: Vec<u8>,
}

impl Authority {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let der = params.self_signed(&key).expect("certificate").der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// Returns a server's configuration with a certificate for a name or address.
    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new([name.to_owned()]).expect("name");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        config(certificate.der().clone(), &key)
    }
}

/// Returns a server's configuration with a certificate that signs itself; as an authority, it also
/// says that it may sign others.
pub(crate) fn self_signed(name: &str, authority: bool) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new([name.to_owned()]).expect("name");
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).expect("certificate");
    config(certificate.der().clone(), &key)
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("certificate");
    Arc::new(config)
}
