//! The possible issuers of a leaf, which an OCSP staple may name by their hashes. Each is hashed
//! once per algorithm.

use std::borrow::Cow;
use std::cell::RefCell;

use aws_lc_rs::digest::{self, digest};
use rustls_pki_types::CertificateDer;

use super::der::{Reader, tag, write};
use super::reading::Reading;
use super::roots::Roots;
use crate::limits::MAX_ISSUERS;

/// A possible issuer of the leaf, and the hashes of it that were computed so far.
pub(super) struct Issuer<'a> {
    /// With its header.
    pub(super) name: &'a [u8],
    /// With its header.
    pub(super) spki: Cow<'a, [u8]>,
    key_hashes: RefCell<Hashes>,
}

impl<'a> Issuer<'a> {
    fn new(name: &'a [u8], spki: Cow<'a, [u8]>) -> Self {
        Self { name, spki, key_hashes: RefCell::default() }
    }

    /// The bits of the key, which OCSP hashes.
    pub(super) fn key(&self) -> Option<&[u8]> {
        key_bits(&self.spki)
    }

    pub(super) fn has_key_hash(&self, algorithm: &'static digest::Algorithm, value: &[u8]) -> bool {
        self.key().is_some_and(|key| self.key_hashes.borrow_mut().of(algorithm, key) == value)
    }
}

/// The bits of a key (given with its header).
pub(super) fn key_bits(spki: &[u8]) -> Option<&[u8]> {
    let mut fields = Reader::new(Reader::new(spki).expect(tag::SEQUENCE)?.value);
    fields.expect(tag::SEQUENCE)?;
    let (_unused_bits, key) = fields.expect(tag::BIT_STRING)?.value.split_first()?;
    Some(key)
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

/// The roots and then the sent certificates whose subject is the leaf's issuer, [`MAX_ISSUERS`] at
/// most.
pub(super) fn issuers<'a>(
    leaf: &Reading<'a>,
    others: &'a [CertificateDer<'_>],
    roots: &Roots,
) -> Vec<Issuer<'a>> {
    let Some(name) = leaf.issuer else {
        return Vec::new();
    };
    let inside = Reader::new(name).element().map_or(&[][..], |name| name.value);
    let trusted = roots
        .named(inside)
        .map(|anchor| Cow::Owned(write(tag::SEQUENCE, &[&anchor.subject_public_key_info])));
    let sent = others.iter().filter_map(|der| {
        let reading = Reading::new(der);
        (reading.subject == Some(name)).then_some(Cow::Borrowed(reading.spki?))
    });
    let mut issuers = Vec::<Issuer<'_>>::new();
    for spki in trusted.chain(sent) {
        if issuers.len() == MAX_ISSUERS {
            break;
        }
        if !issuers.iter().any(|known| known.spki == spki) {
            issuers.push(Issuer::new(name, spki));
        }
    }
    issuers
}
