//! Certificates and keys, from PEM to what rustls takes.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::plan::{Identity, Pem, TlsPlan, TlsVersion};
use crate::protocol::{ErrorKind, ProtocolError};

fn problem(message: String) -> ProtocolError {
    ProtocolError::new(ErrorKind::Other, message)
}

fn text<'p>(place: &str, pem: &'p Pem) -> Result<&'p str, ProtocolError> {
    pem.text().ok_or_else(|| problem(format!("{place}: {pem} was not read")))
}

/// Returns the certificates of a PEM text, at least one.
pub(super) fn certificates(
    place: &str,
    pem: &Pem,
) -> Result<Vec<CertificateDer<'static>>, ProtocolError> {
    let certificates: Result<Vec<_>, PemError> =
        CertificateDer::pem_slice_iter(text(place, pem)?.as_bytes()).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(problem(format!("{place}: {pem} holds no certificate in PEM")))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(problem(format!("{place}: {pem} is no valid PEM: {error}"))),
    }
}

/// Returns who we are for a server that wants to know.
pub(super) fn identity(
    place: &str,
    identity: &Identity,
    provider: &CryptoProvider,
) -> Result<Arc<SingleCertAndKey>, ProtocolError> {
    let Identity { cert, key, .. } = identity;
    let chain = certificates(&format!("{place}.cert"), cert)?;
    let pem = text(&format!("{place}.key"), key)?;
    if pem.contains("ENCRYPTED") {
        return Err(problem(format!(
            "{place}.key: {key} is encrypted; decrypt it first: openssl pkey -in {key} -out plain.pem"
        )));
    }
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
        problem(format!("{place}.key: {key} holds no private key in PEM: {error}"))
    })?;
    let certified = CertifiedKey::from_der(chain, der, provider)
        .map_err(|error| problem(format!("{place}: {cert} and {key} do not fit: {error}")))?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

/// Returns the versions that a plan allows.
pub(super) fn versions(plan: &TlsPlan) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(TlsVersion::Tls13, &version::TLS13), (TlsVersion::Tls12, &version::TLS12)];
    all.into_iter()
        .filter(|(known, _)| plan.versions.have(*known))
        .map(|(_, spoken)| spoken)
        .collect()
}

/// Returns the suites that a plan allows: of a version without any among them, all.
pub(super) fn cipher_suites(
    plan: &TlsPlan,
    provider: &CryptoProvider,
) -> Result<Vec<SupportedCipherSuite>, ProtocolError> {
    let all = &provider.cipher_suites;
    let mut chosen = Vec::new();
    for given in &plan.cipher_suites {
        let suite = all.iter().find(|suite| name(suite) == long_name(given));
        let Some(suite) = suite else {
            let known: Vec<String> = all.iter().map(name).collect();
            return Err(problem(format!(
                "tls_cipher_suites: unknown suite {given}; there are {}",
                known.join(", ")
            )));
        };
        chosen.push(*suite);
    }
    for version in [&version::TLS13, &version::TLS12] {
        if !chosen.iter().any(|suite| suite.version() == version) {
            chosen.extend(all.iter().filter(|suite| suite.version() == version));
        }
    }
    Ok(chosen)
}

/// Returns the suite's name in the registry of RFC 8446 and RFC 5246.
pub(super) fn name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// Returns the name in the registry for one that k6's suites may have: Go once left the hash out.
fn long_name(given: &str) -> String {
    let given = given.trim().to_ascii_uppercase();
    if given.ends_with("_POLY1305") { format!("{given}_SHA256") } else { given }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring;

    use super::*;

    fn suites(names: &[&str]) -> Result<Vec<String>, String> {
        let cipher_suites = names.iter().map(|name| (*name).to_owned()).collect();
        let plan = TlsPlan { cipher_suites, ..TlsPlan::default() };
        let suites = cipher_suites_of(&plan).map_err(|error| error.message)?;
        Ok(suites.iter().map(name).collect())
    }

    fn cipher_suites_of(plan: &TlsPlan) -> Result<Vec<SupportedCipherSuite>, ProtocolError> {
        cipher_suites(plan, &ring::default_provider())
    }

    #[test]
    fn suites_are_chosen_per_version() {
        let all = suites(&[]).expect("all");
        assert_eq!(all.len(), ring::default_provider().cipher_suites.len());
        let chosen = suites(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]).expect("known");
        assert_eq!(chosen[0], "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
        assert!(chosen.contains(&"TLS_AES_128_GCM_SHA256".to_owned()), "{chosen:?}");
        assert!(!chosen.contains(&"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()));
        let one = suites(&["tls_aes_256_gcm_sha384"]).expect("known");
        assert_eq!(one.iter().filter(|name| name.starts_with("TLS_AES")).count(), 1);
        let error = suites(&["TLS_RSA_WITH_RC4_128_SHA"]).expect_err("old");
        assert!(error.contains("unknown suite TLS_RSA_WITH_RC4_128_SHA; there are TLS_AES"));
    }
}
