//! The certificates that a path may end at.

use std::collections::HashMap;
use std::fmt;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, Der, TrustAnchor};

use super::canonical::canonical;
use super::critical;
use super::der::tag;
use super::pem_file;
use super::reading::{Reading, id};
use super::text::{hex, sha256};
use super::well_formed::is_well_formed;

/// Trusted roots, found by their name.
///
/// A self-signed server certificate among them is trusted as what it is; one that calls itself
/// a CA is still `ca_as_leaf`, because clients built on webpki do refuse it.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    roots: Vec<Root>,
    /// By the canonical form of the name.
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
}

/// One root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    anchor: TrustAnchor<'static>,
    /// `None` for a built-in root: Mozilla's list gives names and keys, but no certificates.
    pub(super) terms: Option<Terms>,
}

/// What the certificate of a root says about its use. OpenSSL holds roots to it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// Seconds since 1970.
    pub(super) not_before: Option<i64>,
    /// Seconds since 1970.
    pub(super) not_after: Option<i64>,
    /// It is a CA, and its key usage, if there is one, lets it sign certificates.
    pub(super) may_sign: bool,
    /// Its extended key usage, if there is one, lists servers.
    pub(super) is_for_servers: bool,
    pub(super) path_length: Option<u32>,
    /// It has a critical extension that nobody knows.
    pub(super) has_unknown_critical: bool,
    pub(super) is_well_formed: bool,
}

impl Root {
    /// As webpki takes it.
    pub(super) fn anchor(&self) -> TrustAnchor<'_> {
        let constraints = self.anchor.name_constraints.as_ref();
        TrustAnchor {
            subject: Der::from_slice(&self.anchor.subject),
            subject_public_key_info: Der::from_slice(&self.anchor.subject_public_key_info),
            name_constraints: constraints.map(|constraints| Der::from_slice(constraints)),
        }
    }

    /// Its key with the header.
    pub(super) fn key(&self) -> Vec<u8> {
        webpki::spki_for_anchor(&self.anchor).as_ref().to_vec()
    }

    /// The inside of their SEQUENCE.
    pub(super) fn name_constraints(&self) -> Option<&[u8]> {
        self.anchor.name_constraints.as_deref()
    }

    pub(super) fn is_built_in(&self) -> bool {
        self.terms.is_none()
    }

    /// All that it says, each part behind its length, so that no two roots are the same bytes.
    fn described(&self) -> Vec<u8> {
        let terms = self.terms.map(|terms| format!("{terms:?}")).unwrap_or_default();
        let parts = [
            Some(&*self.anchor.subject),
            Some(&*self.anchor.subject_public_key_info),
            self.name_constraints(),
            Some(terms.as_bytes()),
        ];
        let mut described = Vec::new();
        for part in parts {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            described.extend(length.to_be_bytes());
            described.extend(part.unwrap_or_default());
        }
        described
    }
}

impl Terms {
    fn new(certificate: &CertificateDer<'_>) -> Self {
        let reading = Reading::new(certificate);
        let (is_ca, path_length) = match reading.extension(id::BASIC_CONSTRAINTS) {
            Some(_) => reading.basic_constraints().unwrap_or_default(),
            // As OpenSSL has it: version 1 cannot say so, and a key usage says enough.
            None => (reading.version == Some(1) || reading.key_usage().is_some(), None),
        };
        Self {
            not_before: reading.not_before.map(|from| from.seconds),
            not_after: reading.not_after.map(|until| until.seconds),
            may_sign: is_ca && reading.may_sign_certificates(),
            is_for_servers: reading.is_for_servers(),
            path_length,
            has_unknown_critical: critical::has_unknown(&reading),
            is_well_formed: is_well_formed(certificate),
        }
    }
}

/// Why a file of roots cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootsError {
    /// There is no certificate in it.
    Empty,
    /// It is not PEM, from about this certificate on (counted from 1).
    Pem(usize, String),
    /// This certificate (counted from 1) cannot be read.
    Certificate(usize, String),
    /// It has a block of OpenSSL's own type `TRUSTED CERTIFICATE`.
    OpenSslTrusted,
}

/// How a block of OpenSSL's own format begins: a certificate with its trust settings behind it.
const TRUSTED_CERTIFICATE: &[u8] = b"-----BEGIN TRUSTED CERTIFICATE-----";

impl Roots {
    /// Mozilla's roots, built in.
    pub fn built_in() -> Self {
        let mut roots = Self::default();
        for anchor in webpki_roots::TLS_SERVER_ROOTS {
            roots.add_root(Root { anchor: anchor.clone(), terms: None });
        }
        roots
    }

    /// The certificates of a file, which is DER or PEM. Other PEM blocks in it are passed over.
    ///
    /// # Errors
    /// When it holds no certificate, or one that cannot be read, or one in OpenSSL's own format,
    /// whose trust settings would be lost.
    pub fn read(file: &[u8]) -> Result<Self, RootsError> {
        let blocks = pem_file::blocks(file);
        if blocks.split(|&byte| byte == b'\n').any(|line| line.starts_with(TRUSTED_CERTIFICATE)) {
            return Err(RootsError::OpenSslTrusted);
        }
        let mut roots = Self::default();
        let mut add = |number, certificate: &CertificateDer<'_>| {
            let added = roots.add(certificate);
            added.map_err(|error| RootsError::Certificate(number, error.to_string()))
        };
        if !pem_file::is_pem(file) && file.first() == Some(&tag::SEQUENCE) {
            add(1, &file.into())?;
        }
        for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&blocks)) {
            let certificate =
                certificate.map_err(|error| RootsError::Pem(number, pem_file::reason(&error)))?;
            add(number, &certificate)?;
        }
        match roots.is_empty() {
            true => Err(RootsError::Empty),
            false => Ok(roots),
        }
    }

    /// Adds a certificate whose name and key are to be trusted, on the terms that it states:
    /// validity, key usage, purposes, path length, name constraints, critical extensions.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add(&mut self, certificate: &CertificateDer<'_>) -> Result<(), webpki::Error> {
        let anchor = webpki::anchor_from_trusted_cert(certificate)?.to_owned();
        self.add_root(Root { anchor, terms: Some(Terms::new(certificate)) });
        Ok(())
    }

    /// Adds a certificate as if it were built in.
    #[cfg(test)]
    pub(super) fn add_built_in(&mut self, certificate: &CertificateDer<'_>) {
        let anchor = webpki::anchor_from_trusted_cert(certificate).unwrap().to_owned();
        self.add_root(Root { anchor, terms: None });
    }

    /// Adds all roots of another store.
    pub fn extend(&mut self, other: Self) {
        for root in other.roots {
            self.add_root(root);
        }
    }

    /// How many roots there are.
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether nothing at all is trusted.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// A SHA-256 over all roots and what each is trusted for, in hex. It is the same in whatever order
    /// they were added.
    pub fn sha256(&self) -> String {
        let mut all: Vec<_> = self.roots.iter().map(|root| sha256(&root.described())).collect();
        all.sort_unstable();
        hex(&sha256(all.as_flattened()))
    }

    /// The roots whose names have this canonical form.
    pub(super) fn alike<'r>(&'r self, subject: &[u8]) -> impl Iterator<Item = &'r Root> + use<'r> {
        let places = self.by_subject.get(subject).into_iter().flatten();
        places.filter_map(|&at| self.roots.get(at))
    }

    fn add_root(&mut self, root: Root) {
        let subject = canonical(&root.anchor.subject).into_owned();
        let same_name = self.by_subject.entry(subject).or_default();
        if same_name.iter().any(|&at| self.roots.get(at) == Some(&root)) {
            return;
        }
        same_name.push(self.roots.len());
        self.roots.push(root);
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
            Self::OpenSslTrusted => write!(
                f,
                "it has a block of OpenSSL's own type TRUSTED CERTIFICATE; convert each with \
                 `openssl x509 -in FILE -out NEW` and use the result"
            ),
        }
    }
}

impl std::error::Error for RootsError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn built_in_roots_are_found_by_name() {
        let roots = Roots::built_in();
        assert_eq!(roots.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        for anchor in webpki_roots::TLS_SERVER_ROOTS {
            let mut alike = roots.alike(&canonical(&anchor.subject));
            assert!(alike.any(|found| found.anchor() == *anchor));
        }
        assert_eq!(roots.alike(b"nobody").count(), 0);
    }

    #[test]
    fn the_hash_depends_on_every_root_and_on_no_order() {
        let [first, second] = [0, 1]
            .map(|at| Root { anchor: webpki_roots::TLS_SERVER_ROOTS[at].clone(), terms: None });
        let of = |added: &[&Root]| {
            let mut roots = Roots::default();
            added.iter().for_each(|root| roots.add_root((*root).clone()));
            roots.sha256()
        };
        let constrained = Root {
            anchor: TrustAnchor {
                name_constraints: Some(Der::from_slice(b"")),
                ..first.anchor.clone()
            },
            ..first.clone()
        };
        let terms = Terms {
            not_before: None,
            not_after: None,
            may_sign: true,
            is_for_servers: true,
            path_length: None,
            has_unknown_critical: false,
            is_well_formed: true,
        };
        let on_terms = Root { terms: Some(terms), ..first.clone() };
        let until = Terms { not_after: Some(0), ..terms };
        let ending = Root { terms: Some(until), ..first.clone() };
        assert_eq!(of(&[&first, &second]), of(&[&second, &first, &second]));
        let different: BTreeSet<_> = [
            of(&[]),
            of(&[&first]),
            of(&[&second]),
            of(&[&first, &second]),
            of(&[&constrained]),
            of(&[&on_terms]),
            of(&[&ending]),
        ]
        .into();
        assert_eq!(different.len(), 7);
        assert!(different.iter().all(|hash| hash.len() == 64));
    }

    #[test]
    fn files_are_read_as_people_save_them() {
        let der = super::super::sample::authority(3);
        let pem = super::super::text::pem(&der);
        let old = pem.replace("CERTIFICATE-----", "X509 CERTIFICATE-----");
        assert_ne!(old, pem);
        let expected = Roots::read(pem.as_bytes()).unwrap().sha256();
        for (what, file) in [
            ("DER", der.to_vec()),
            ("a byte order mark", ["\u{feff}", &pem].concat().into_bytes()),
            ("line ends of Windows", pem.replace('\n', "\r\n").into_bytes()),
            ("the old label", old.into_bytes()),
            ("text before it", ["CN=\u{fc}\n", &pem].concat().into_bytes()),
        ] {
            let read = Roots::read(&file).map(|roots| roots.sha256());
            assert_eq!(read.as_ref(), Ok(&expected), "{what}");
        }
    }

    #[test]
    fn unusable_files_say_why() {
        assert_eq!(Roots::read(b"").unwrap_err(), RootsError::Empty);
        assert_eq!(Roots::read(b"junk\n").unwrap_err(), RootsError::Empty);
        let broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(matches!(Roots::read(broken), Err(RootsError::Certificate(1, _))));
        let cut = b"-----BEGIN CERTIFICATE-----\nMAA=\n";
        assert!(matches!(Roots::read(cut), Err(RootsError::Pem(1, _))));
        for (broken, reason) in [(&cut[..], "END line"), (b"-----BEGIN CERTIFICATE----\n", "BEGIN")]
        {
            let error = Roots::read(broken).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains('['), "{error}");
        }
        let trusted = b"-----BEGIN TRUSTED CERTIFICATE-----\nMAA=\n";
        let error = Roots::read(trusted).unwrap_err();
        assert!(error.to_string().contains("openssl x509 -in"), "{error}");
    }
}
