//! Selects the certificates that a path may lead through.

use std::ops::Deref;

use rustls_pki_types::CertificateDer;

use super::der::Reader;
use super::named::Named;
use super::roots::Roots;
use super::well_formed::is_well_formed;
use crate::limits::{MAX_INTERMEDIATES, MAX_NAMESAKES};

/// A certificate that a path may lead through.
pub(super) struct Link<'a> {
    pub(super) der: &'a CertificateDer<'a>,
    named: Named<'a>,
    pub(super) is_well_formed: bool,
}

impl<'a> Deref for Link<'a> {
    type Target = Named<'a>;

    fn deref(&self) -> &Named<'a> {
        &self.named
    }
}

impl<'a> Link<'a> {
    pub(super) fn new(der: &'a CertificateDer<'a>) -> Self {
        Self { der, named: Named::new(der), is_well_formed: is_well_formed(der) }
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether this certificate names that one as its issuer.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.issuer.is_some() && self.issuer == other.subject
    }
}

/// The certificates that can be above the leaf, by their names. Others cannot matter, but webpki would
/// report their faults.
pub(super) fn related<'a>(leaf: &Link<'a>, others: &'a [CertificateDer<'a>]) -> Vec<Link<'a>> {
    let mut candidates = Vec::<Link<'a>>::new();
    for der in others {
        let is_new = *der != *leaf.der && !candidates.iter().any(|seen| seen.der == der);
        if is_new {
            candidates.push(Link::new(der));
        }
    }
    let mut wanted = Vec::from_iter(leaf.issuer.clone());
    let mut at = 0;
    while let Some(name) = wanted.get(at).cloned() {
        at += 1;
        let bearers = candidates.iter().filter(|link| link.subject.as_ref() == Some(&name));
        for issuer in bearers.filter_map(|link| link.issuer.as_ref()) {
            if !wanted.contains(issuer) {
                wanted.push(issuer.clone());
            }
        }
    }
    candidates.retain(|link| link.subject.as_ref().is_some_and(|name| wanted.contains(name)));
    candidates
}

/// The first certificates, as many as webpki can try in a reasonable time.
pub(super) fn bounded(related: Vec<Link<'_>>) -> Vec<Link<'_>> {
    let mut bounded = Vec::<Link<'_>>::new();
    for link in related {
        let namesakes = bounded.iter().filter(|other| other.subject == link.subject);
        if bounded.len() < MAX_INTERMEDIATES && namesakes.count() < MAX_NAMESAKES {
            bounded.push(link);
        }
    }
    bounded
}

/// Whether a certificate spells the name of its issuer differently from the issuer itself.
pub(super) fn names_differ(leaf: &Link<'_>, issuers: &[Link<'_>], roots: &Roots) -> bool {
    let sent = |link: &Link<'_>| {
        let mut above = issuers.iter().filter(|other| link.is_below(other));
        above.any(|other| other.reading.subject != link.reading.issuer)
    };
    let rooted = |link: &Link<'_>| {
        let issuer = link.reading.issuer.and_then(|name| Some(Reader::new(name).element()?.value));
        let mut alike = link.issuer.iter().flat_map(|name| roots.alike(name));
        alike.any(|root| Some(root.anchor().subject.as_ref()) != issuer)
    };
    std::iter::once(leaf).chain(issuers).any(|link| sent(link) || rooted(link))
}
