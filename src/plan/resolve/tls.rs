//! How TLS is spoken.

use super::{Facts, host_patterns};
use crate::plan::{Identity, Options, Pem, PlanError, TlsPlan, TlsVersions};

/// Returns how TLS is spoken. The files that it names are not read yet.
pub(super) fn resolve(options: &Options, facts: &Facts<'_>) -> Result<TlsPlan, PlanError> {
    let default = TlsVersions::default();
    let set = options.tls_version.unwrap_or_default();
    let versions =
        TlsVersions { min: set.min.unwrap_or(default.min), max: set.max.unwrap_or(default.max) };
    if versions.min > versions.max {
        let message = "option `tls_version`: `min` is above `max`";
        return Err(PlanError::new("tls_version", message));
    }
    let declared = options.tls_auth.iter().flatten().enumerate();
    let identities = declared.map(|(index, auth)| {
        let pem = |given: &Option<String>| Pem::new(given.as_deref().unwrap_or_default());
        let place = format!("tls_auth[{index}].domains");
        let domains = host_patterns(&place, auth.domains.as_deref())?;
        Ok(Identity { cert: pem(&auth.cert), key: pem(&auth.key), domains })
    });
    Ok(TlsPlan {
        roots: options.tls_roots.iter().flatten().map(|given| Pem::new(given)).collect(),
        identities: identities.collect::<Result<_, _>>()?,
        versions,
        cipher_suites: options.tls_cipher_suites.clone().unwrap_or_default(),
        key_log: facts.tls_key_log.clone(),
    })
}
