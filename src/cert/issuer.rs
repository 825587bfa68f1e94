//! The possible issuers of a leaf, which an OCSP staple may name by their hashes. Each is hashed
//! once per algorithm.

use std::borrow::Cow;
use std::cell::RefCell;

use aws_lc_rs::digest::{self, digest};
use rustls_pki_types::CertificateDer;

use super::canonical;
use super::named::Named;
use super::reading::Reading;
use super::roots::Roots;
use crate::limits::MAX_ISSUERS;
use crate::signature::Spki;

/// A possible issuer of the leaf, and the hashes of it that were computed so far.
pub(super) struct Issuer<'a> {
    /// The name in canonical form, without header.
    pub(super) name: Cow<'a, [u8]>,
    /// With its header.
    pub(super) spki: Cow<'a, [u8]>,
    key_hashes: RefCell<Hashes>,
}

impl<'a> Issuer<'a> {
    fn new(name: Cow<'a, [u8]>, spki: Cow<'a, [u8]>) -> Self {
        Self { name, spki, key_hashes: RefCell::default() }
    }

    /// The bits of the key, which OCSP hashes.
    pub(super) fn key(&self) -> Option<&[u8]> {
        Spki::read(&self.spki)?.key()
    }

    pub(super) fn has_key_hash(&self, algorithm: &'static digest::Algorithm, value: &[u8]) -> bool {
        self.key().is_some_and(|key| self.key_hashes.borrow_mut().of(algorithm, key) == value)
    }
}

/// Hashes of the same bytes, each computed when it is first asked for.
#[derive(Default)]
pub(super) struct Hashes(Vec<(&'static digest::Algorithm, digest::Digest)>);

impl Hashes {
    pub(super) fn of(&mut self, algorithm: &'static digest::Algorithm, bytes: &[u8]) -> &[u8] {
        let place = self.0.iter().position(|(known, _)| *known == algorithm);
        let place = place.unwrap_or_else(|| {
            self.0.push((algorithm, digest(algorithm, bytes)));
            self.0.len() - 1
        });
        self.0.get(place).map_or(&[], |(_, hash)| hash.as_ref())
    }
}

/// The hash algorithm of an OID (given without header).
pub(super) fn hash_of_oid(oid: &[u8]) -> Option<&'static digest::Algorithm> {
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
    match (oid, oid.strip_prefix(SHA2)) {
        ([0x2b, 0x0e, 3, 2, 0x1a], _) => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        (_, Some([1])) => Some(&digest::SHA256),
        (_, Some([2])) => Some(&digest::SHA384),
        (_, Some([3])) => Some(&digest::SHA512),
        _ => None,
    }
}

/// The roots and then the sent certificates whose subject is the leaf's issuer, [`MAX_ISSUERS`] at
/// most.
pub(super) fn issuers<'a>(
    leaf: &Reading<'a>,
    others: &'a [CertificateDer<'_>],
    roots: &Roots,
) -> Vec<Issuer<'a>> {
    let Some(name) = leaf.issuer.and_then(canonical::of_name) else {
        return Vec::new();
    };
    let trusted = roots.alike(&name).map(|root| Cow::Owned(root.key()));
    let sent = others.iter().filter_map(|der| {
        let sent = Named::new(der);
        (sent.subject.as_ref() == Some(&name)).then_some(Cow::Borrowed(sent.reading.spki?))
    });
    let mut issuers = Vec::<Issuer<'_>>::new();
    for spki in trusted.chain(sent) {
        if issuers.len() == MAX_ISSUERS {
            break;
        }
        if !issuers.iter().any(|known| known.spki == spki) {
            issuers.push(Issuer::new(name.clone(), spki));
        }
    }
    issuers
}
