//! The certificates that a path may end at.

use std::collections::HashMap;
use std::fmt;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, Der, TrustAnchor};

/// Trusted roots, found by their name.
///
/// A self-signed server certificate among them is trusted as what it is; one that calls itself
/// a CA is still `ca_as_leaf`, because clients built on webpki do refuse it.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
}

/// Why a file of roots cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootsError {
    /// There is no certificate in it.
    Empty,
    /// It is not PEM, from about this certificate on (counted from 1).
    Pem(usize, String),
    /// This certificate (counted from 1) cannot be read.
    Certificate(usize, String),
}

impl Roots {
    /// Mozilla's roots, built in.
    pub fn built_in() -> Self {
        let mut roots = Self::default();
        for anchor in webpki_roots::TLS_SERVER_ROOTS {
            roots.add_anchor(anchor.clone());
        }
        roots
    }

    /// The certificates of a PEM file. Other PEM blocks in it are passed over.
    ///
    /// # Errors
    /// When it holds no certificate, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let mut roots = Self::default();
        for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
            let certificate =
                certificate.map_err(|error| RootsError::Pem(number, error.to_string()))?;
            roots
                .add(&certificate)
                .map_err(|error| RootsError::Certificate(number, error.to_string()))?;
        }
        match roots.is_empty() {
            true => Err(RootsError::Empty),
            false => Ok(roots),
        }
    }

    /// Adds a certificate whose name and key are to be trusted, whatever else it says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add(&mut self, certificate: &CertificateDer<'_>) -> Result<(), webpki::Error> {
        let anchor = webpki::anchor_from_trusted_cert(certificate)?;
        self.add_anchor(anchor.to_owned());
        Ok(())
    }

    /// Adds all roots of another store.
    pub fn extend(&mut self, other: Self) {
        for anchor in other.anchors {
            self.add_anchor(anchor);
        }
    }

    /// How many roots there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether nothing at all is trusted.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The roots with this name (the inside of the subject's SEQUENCE).
    pub(super) fn named(&self, subject: &[u8]) -> impl Iterator<Item = TrustAnchor<'_>> {
        self.by_subject
            .get(subject)
            .into_iter()
            .flatten()
            .filter_map(|&at| self.anchors.get(at))
            .map(|anchor| TrustAnchor {
                subject: Der::from_slice(&anchor.subject),
                subject_public_key_info: Der::from_slice(&anchor.subject_public_key_info),
                name_constraints: anchor
                    .name_constraints
                    .as_ref()
                    .map(|constraints| Der::from_slice(constraints)),
            })
    }

    fn add_anchor(&mut self, anchor: TrustAnchor<'static>) {
        let same_name = self.by_subject.entry(anchor.subject.as_ref().to_vec()).or_default();
        if same_name.iter().any(|&at| self.anchors.get(at) == Some(&anchor)) {
            return;
        }
        same_name.push(self.anchors.len());
        self.anchors.push(anchor);
    }
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no certificate in it"),
            Self::Pem(number, reason) => write!(f, "certificate {number} is not PEM: {reason}"),
            Self::Certificate(number, reason) => {
                write!(f, "certificate {number} cannot be read: {reason}")
            }
        }
    }
}

impl std::error::Error for RootsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_roots_are_found_by_name() {
        let roots = Roots::built_in();
        assert_eq!(roots.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        for anchor in webpki_roots::TLS_SERVER_ROOTS {
            assert!(roots.named(&anchor.subject).any(|found| found == *anchor));
        }
        assert_eq!(roots.named(b"nobody").count(), 0);
    }

    #[test]
    fn unusable_files_say_why() {
        assert_eq!(Roots::from_pem(b"").unwrap_err(), RootsError::Empty);
        assert_eq!(Roots::from_pem(b"junk\n").unwrap_err(), RootsError::Empty);
        let broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(matches!(Roots::from_pem(broken), Err(RootsError::Certificate(1, _))));
        let cut = b"-----BEGIN CERTIFICATE-----\nMAA=\n";
        assert!(matches!(Roots::from_pem(cut), Err(RootsError::Pem(1, _))));
    }
}
