//! What a search for a path comes to.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{Error, VerifiedPath};

use super::super::problem::Problem;
use super::super::roots::Root;

/// What stands at the top of a path.
#[derive(Clone, Copy)]
pub(super) enum Top<'a> {
    Root(&'a Root),
    /// The certificate that was sent in this place, where no root is known.
    Sent(usize),
}

/// A path.
pub(super) struct Found<'a> {
    /// The places of the certificates above the leaf, from the leaf up.
    pub(super) issuers: Vec<usize>,
    pub(super) top: Option<Top<'a>>,
}

/// Why webpki found no path.
pub(super) struct Refused {
    pub(super) error: Error,
    /// The problem, if it is known.
    pub(super) fault: Option<Problem>,
}

impl<'a> Found<'a> {
    /// A path of webpki's, which was given these certificates and anchors. `anchors[i]` is `tops[i]` in webpki's
    /// form.
    pub(super) fn of(
        path: &VerifiedPath<'_>,
        given: &[CertificateDer<'_>],
        (tops, anchors): (&[Top<'a>], &[TrustAnchor<'_>]),
    ) -> Option<Self> {
        let place = |der: CertificateDer<'_>| {
            given.iter().position(|known| std::ptr::eq(known.as_ptr(), der.as_ptr()))
        };
        let issuers = path.intermediate_certificates().map(|it| place(it.der()));
        let top = anchors.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()))?;
        Some(Self { issuers: issuers.collect::<Option<_>>()?, top: Some(*tops.get(top)?) })
    }

    pub(super) fn root(&self) -> Option<&'a Root> {
        match self.top {
            Some(Top::Root(root)) => Some(root),
            _ => None,
        }
    }
}
