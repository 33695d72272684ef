//! How TLS is spoken: whom to trust, who we are, which versions and ciphers.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::{HostPattern, PlanError};

/// How TLS is spoken, unless a request says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct TlsPlan {
    /// Certificates that are trusted besides those of the machine.
    pub roots: Vec<Pem>,
    /// Who we are, for the hosts that want to know.
    pub identities: Vec<Identity>,
    /// The least and the greatest version.
    pub versions: TlsVersions,
    /// The only cipher suites, by their names; of a version without any, all.
    pub cipher_suites: Vec<String>,
    /// The file to which secrets are added, for who looks into the traffic.
    pub key_log: Option<PathBuf>,
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub cert: Pem,
    /// Its private key.
    pub key: Pem,
    /// The hosts that it is for; all if empty.
    pub domains: Vec<HostPattern>,
}

/// The versions of TLS that there are for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[serde(rename = "tls1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "tls1.3")]
    Tls13,
}

/// The versions that may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct TlsVersions {
    /// The least.
    pub min: TlsVersion,
    /// The greatest.
    pub max: TlsVersion,
}

impl Default for TlsVersions {
    fn default() -> Self {
        Self { min: TlsVersion::Tls12, max: TlsVersion::Tls13 }
    }
}

impl TlsVersions {
    /// Returns whether a version may be spoken.
    pub fn have(self, version: TlsVersion) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

impl TlsVersion {
    /// Reads `tls1.2` or `tls1.3`.
    ///
    /// # Errors
    ///
    /// It is another version, or none.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "tls1.2" => Ok(Self::Tls12),
            "tls1.3" => Ok(Self::Tls13),
            "tls1.0" | "tls1.1" => Err(format!(
                "\"{text}\" is not spoken any more (RFC 8996): write \"tls1.2\" or \"tls1.3\""
            )),
            other => Err(format!("\"{other}\" is no version: write \"tls1.2\" or \"tls1.3\"")),
        }
    }
}

/// Certificates or a key as PEM: a file, or the text itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pem {
    /// The file as the author named it; nothing for a text.
    path: Option<String>,
    text: Option<Arc<str>>,
}

impl Pem {
    /// Takes a text that holds PEM, or the path of a file.
    pub fn new(given: &str) -> Self {
        if given.contains("-----BEGIN ") {
            Self { path: None, text: Some(given.into()) }
        } else {
            Self { path: Some(given.to_owned()), text: None }
        }
    }

    /// Returns the text; nothing if it is a file that was not read.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Reads the file, unless it is a text or was read.
    ///
    /// # Errors
    ///
    /// What `read` says.
    pub fn load<E>(&mut self, read: impl FnOnce(&str) -> Result<String, E>) -> Result<(), E> {
        if let (Some(path), None) = (&self.path, &self.text) {
            self.text = Some(read(path)?.into());
        }
        Ok(())
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path.as_deref().unwrap_or("the PEM text"))
    }
}

/// Keys are nobody's business.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}

impl Serialize for Pem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pem = serializer.serialize_struct("Pem", 1)?;
        pem.serialize_field("file", &self.path)?;
        pem.end()
    }
}

impl TlsPlan {
    /// Reads the files that certificates and keys are in.
    ///
    /// # Errors
    ///
    /// One cannot be read: what `read` says, with the option that names it.
    pub fn load(
        &mut self,
        mut read: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<(), PlanError> {
        let mut load = |option: String, pem: &mut Pem| {
            pem.load(&mut read).map_err(|problem| {
                PlanError::new(option.as_str(), format!("option `{option}`: {problem}"))
            })
        };
        for (index, root) in self.roots.iter_mut().enumerate() {
            load(format!("tls_roots[{index}]"), root)?;
        }
        for (index, identity) in self.identities.iter_mut().enumerate() {
            load(format!("tls_auth[{index}].cert"), &mut identity.cert)?;
            load(format!("tls_auth[{index}].key"), &mut identity.key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_once_and_texts_are_taken_as_they_are() {
        let mut plan = TlsPlan {
            roots: vec![Pem::new("ca.pem"), Pem::new("-----BEGIN CERTIFICATE-----\n")],
            identities: vec![Identity {
                cert: Pem::new("cert.pem"),
                key: Pem::new("key.pem"),
                domains: Vec::new(),
            }],
            ..TlsPlan::default()
        };
        let mut read = Vec::new();
        for _ in 0..2 {
            plan.load(|path| {
                read.push(path.to_owned());
                Ok(path.to_ascii_uppercase())
            })
            .unwrap();
        }
        assert_eq!(read, ["ca.pem", "cert.pem", "key.pem"]);
        assert_eq!(plan.roots[0].text(), Some("CA.PEM"));
        assert_eq!(plan.roots[1].text(), Some("-----BEGIN CERTIFICATE-----\n"));
        let error = TlsPlan { roots: vec![Pem::new("x")], ..TlsPlan::default() }
            .load(|path| Err(format!("no {path}")))
            .unwrap_err();
        assert_eq!((error.path.as_str(), error.message.as_str()), {
            ("tls_roots[0]", "option `tls_roots[0]`: no x")
        });
    }

    #[test]
    fn a_key_shows_itself_nowhere() {
        let key = Pem::new("-----BEGIN PRIVATE KEY-----\nsecret");
        let shown = format!("{key} {key:?} {}", serde_json::to_string(&key).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn versions_of_old_are_refused_with_the_remedy() {
        assert_eq!(TlsVersion::parse("tls1.3"), Ok(TlsVersion::Tls13));
        assert!(TlsVersion::parse("tls1.0").unwrap_err().contains("RFC 8996"));
        assert!(TlsVersion::parse("1.2").unwrap_err().contains("write \"tls1.2\""));
    }
}
