//! Checks the rules for a path that webpki does not check.
//!
//! webpki finds the path and checks signatures, dates, CA flags and purposes. It looks neither at
//! key usages nor at what the certificate of a root says about itself, it passes over malformed
//! extensions, and it cannot represent all name constraints. These rules are those of RFC 5280,
//! section 6.1, as OpenSSL applies them.

use rustls_pki_types::UnixTime;
use webpki::Error;

use super::constraints;
use super::link::Link;
use super::meter::Meter;
use super::problem::{Problem, Problems};
use super::roots::{Root, Terms};

/// A way from the leaf to a root.
pub(super) struct Candidate<'p, 'a> {
    /// Leaf first.
    pub(super) links: &'p [&'p Link<'a>],
    /// `None` when no root is known above the last link.
    pub(super) root: Option<&'a Root>,
}

impl Candidate<'_, '_> {
    /// The first fault that is not excused.
    ///
    /// `checks_names`: name constraints are up to us, because webpki does not see them.
    ///
    /// # Errors
    /// The fault.
    pub(super) fn check(
        &self,
        now: i64,
        excused: Problems,
        checks_names: bool,
        meter: &Meter,
    ) -> Result<(), Problem> {
        let is_malformed = self.links.iter().any(|link| !link.is_well_formed)
            || self.terms().is_some_and(|terms| !terms.is_well_formed);
        let has_unknown = self.terms().is_some_and(|terms| terms.has_unknown_critical);
        let faults = [
            (Problem::BadEncoding, is_malformed),
            (Problem::CriticalExtension, has_unknown),
            (Problem::Expired, self.root_has_ended(now)),
            (Problem::NotYetValid, self.root_begins_after(now)),
            (Problem::IssuerNotCa, self.has_issuer_without_right()),
            (Problem::BadPurpose, self.terms().is_some_and(|terms| !terms.is_for_servers)),
            (Problem::PathLength, self.exceeds_path_length()),
        ];
        let fault =
            faults.into_iter().find(|&(fault, applies)| applies && !excused.contains(fault));
        if let Some((fault, _)) = fault {
            return Err(fault);
        }
        if checks_names && !excused.contains(Problem::NameConstraint) {
            self.obeys_constraints(meter).then_some(()).ok_or(Problem::NameConstraint)?;
        }
        Ok(())
    }

    /// The earliest end of all certificates, in seconds since 1970. The end of a built-in root is
    /// not known.
    pub(super) fn ends(&self) -> Option<i64> {
        let links = self.links.iter().filter_map(|link| link.reading.not_after);
        let root = self.root.and_then(|root| root.terms?.not_after);
        links.map(|until| until.seconds).chain(root).min()
    }

    /// What the root's certificate says of itself. A leaf that is a root itself is trusted as what
    /// it is, and is not asked whether it may sign others.
    fn terms(&self) -> Option<Terms> {
        let is_leaf = |root: &&Root| match self.links {
            [leaf] => {
                leaf.reading.spki.is_some_and(|spki| root.key() == spki) && leaf.is_self_issued()
            }
            _ => false,
        };
        self.root.filter(|root| !is_leaf(root))?.terms
    }

    fn root_has_ended(&self, now: i64) -> bool {
        self.terms().and_then(|terms| terms.not_after).is_some_and(|until| until < now)
    }

    fn root_begins_after(&self, now: i64) -> bool {
        self.terms().and_then(|terms| terms.not_before).is_some_and(|from| from > now)
    }

    fn has_issuer_without_right(&self) -> bool {
        let mut issuers = self.links.iter().skip(1);
        issuers.any(|link| !link.reading.may_sign_certificates())
            || self.terms().is_some_and(|terms| !terms.may_sign)
    }

    /// RFC 5280, section 6.1.4 (l): CAs that are issued by themselves do not count.
    fn exceeds_path_length(&self) -> bool {
        let mut below = 0;
        for issuer in self.links.iter().skip(1) {
            let (_, limit) = issuer.reading.basic_constraints().unwrap_or_default();
            if limit.is_some_and(|limit| below > limit) {
                return true;
            }
            below += u32::from(!issuer.is_self_issued());
        }
        let limit = self.terms().and_then(|terms| terms.path_length);
        limit.is_some_and(|limit| below > limit)
    }

    /// Whether every certificate obeys the constraints of all above it. CAs that are issued by
    /// themselves need not (RFC 5280, section 6.1.3 (b)).
    fn obeys_constraints(&self, meter: &Meter) -> bool {
        let of_links = self.links.iter().map(|link| link.reading.name_constraints());
        let of_root = self.root.map(|root| root.name_constraints());
        let constraints = of_links.chain(of_root).collect::<Vec<_>>();
        self.links.iter().enumerate().all(|(at, link)| {
            let is_exempt = at > 0 && link.is_self_issued();
            let above = constraints.iter().skip(at + 1).flatten();
            is_exempt
                || above
                    .into_iter()
                    .all(|constraints| constraints::permits(constraints, link, meter) == Some(true))
        })
    }
}

/// The error that webpki would have reported for the fault.
pub(super) fn in_words_of_webpki(fault: Problem, time: UnixTime) -> Error {
    match fault {
        Problem::BadEncoding => Error::BadDer,
        Problem::CriticalExtension => Error::UnsupportedCriticalExtension,
        Problem::Expired => Error::CertExpired { time, not_after: time },
        Problem::NotYetValid => Error::CertNotValidYet { time, not_before: time },
        Problem::IssuerNotCa => Error::EndEntityUsedAsCa,
        Problem::BadPurpose => Error::EmptyEkuExtension,
        Problem::PathLength => Error::PathLenConstraintViolated,
        Problem::Revoked => Error::CertRevoked,
        _ => Error::NameConstraintViolation,
    }
}

/// Whether webpki refused a signature, or did not know how to check it.
pub(super) fn is_about_signature(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
    )
}

/// Whether webpki gave up the search for a path.
pub(super) fn is_given_up(error: &Error) -> bool {
    matches!(error, Error::MaximumPathBuildCallsExceeded | Error::MaximumSignatureChecksExceeded)
}
