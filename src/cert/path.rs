//! The way from a leaf to a root, and every fault on it.

use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use rustls_pki_types::{
    CertificateDer, Der, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::algorithms::{Algorithms, Lenient, Memory, Original};
use super::contain::contain;
use super::der::{Reader, tag, write};
use super::mend::{self, Mended, Role, mend};
use super::problem::{Problem, Problems};
use super::reading::{KEY_CERT_SIGN, Reading, algorithm_oid};
use super::roots::Roots;
use super::{name, oid};
use crate::limits::MAX_INTERMEDIATES;
use crate::signature::{Checked, Key};

/// How many of these may have the same name. Each of them is tried at each step of a path, so
/// that a dozen would cost webpki a second.
const MAX_NAMESAKES: usize = 4;

/// The verdict on a chain whatever name was asked for.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) problems: Problems,
    pub(super) anchor: Option<String>,
    /// How many certificates besides the leaf were looked at.
    pub(super) considered: usize,
    /// The moments (seconds since 1970) for which all this holds.
    pub(super) holds: Range<i64>,
}

impl Path {
    /// Looks for a path from the first certificate to one of the roots.
    pub(super) fn find(
        chain: &[CertificateDer<'_>],
        roots: &Roots,
        algorithms: &Algorithms,
        now: i64,
    ) -> Self {
        contain(|| {
            let (leaf, others) = chain.split_first()?;
            Some(Search::new(leaf, others, roots, algorithms, now).run())
        })
        .flatten()
        .unwrap_or_else(|| Self {
            problems: Problems::from_iter([Problem::BadEncoding]),
            anchor: None,
            considered: 0,
            holds: i64::MIN..i64::MAX,
        })
    }
}

/// A certificate that a path may lead through.
struct Link<'a> {
    der: &'a CertificateDer<'a>,
    reading: Reading<'a>,
}

struct Search<'a> {
    leaf: Link<'a>,
    /// The certificates that the leaf's issuers may be among, in the order they were sent in.
    issuers: Vec<Link<'a>>,
    considered: usize,
    roots: &'a Roots,
    algorithms: &'a Algorithms,
    memory: Memory,
    now: i64,
}

impl<'a> Search<'a> {
    fn new(
        leaf: &'a CertificateDer<'a>,
        others: &'a [CertificateDer<'a>],
        roots: &'a Roots,
        algorithms: &'a Algorithms,
        now: i64,
    ) -> Self {
        let leaf = Link { der: leaf, reading: Reading::new(leaf) };
        let related = related(&leaf, others);
        let count = related.len();
        let issuers = bounded(related);
        let considered = match issuers.len() < count {
            true => issuers.len(),
            false => others.len(),
        };
        Self { leaf, issuers, considered, roots, algorithms, memory: Memory::default(), now }
    }

    fn run(&self) -> Path {
        let mut faults = Problems::default();
        let mut anchor = None;
        let mut answer = self.ask_as_sent();
        // Every round adds a fault that was not known before, so there are few.
        loop {
            match answer {
                Ok(found) => {
                    faults.insert_if(found.has_weak_key, Problem::WeakKey);
                    anchor = Some(found.anchor);
                    break;
                }
                Err(Refused { error, fault: Some(fault) }) => {
                    if !faults.insert(fault) || self.is_hopeless(&error) {
                        break;
                    }
                }
                // Which signature it was, and why, is told only about mended certificates.
                Err(Refused { fault: None, .. }) => {}
            }
            answer = self.ask(faults);
        }
        for fault in self.faults_of_leaf() {
            faults.insert(fault);
        }
        Path {
            problems: faults,
            anchor: anchor.filter(|_| !is_unrooted(faults)),
            considered: self.considered,
            holds: self.holds(),
        }
    }

    /// Asks webpki for a path through the certificates as they are.
    fn ask_as_sent(&self) -> Result<Found, Refused> {
        let intermediates = self.issuers.iter().map(|link| link.der.clone()).collect::<Vec<_>>();
        let anchors = self.anchors().collect::<Vec<_>>();
        let strict = self.algorithms.strict();
        let path =
            self.ask_webpki(self.leaf.der, &intermediates, &anchors, &strict, |key| Some(key));
        path.map_err(|error| {
            let fault =
                (!is_about_signature(&error)).then(|| self.fault(&error, Problems::default()));
            Refused { error, fault }
        })
    }

    /// Asks webpki for a path with the known faults put right.
    fn ask(&self, known: Problems) -> Result<Found, Refused> {
        let mut originals = Vec::new();
        let leaf = mended(&self.leaf, Role::Leaf, known, &mut originals);
        let intermediates = self
            .issuers
            .iter()
            .map(|link| mended(link, Role::Issuer, known, &mut originals))
            .collect::<Vec<_>>();
        let mut anchors =
            self.anchors().map(|anchor| mended_anchor(anchor, known)).collect::<Vec<_>>();
        if is_unrooted(known) {
            // Beyond the missing root, the path may have other faults.
            let tops = self.issuers.iter().zip(&intermediates);
            anchors.extend(
                tops.filter(|(link, _)| self.is_top(link))
                    .filter_map(|(_, mended)| webpki::anchor_from_trusted_cert(mended).ok()),
            );
        }
        let lenient = Lenient {
            algorithms: self.algorithms,
            known,
            originals: &originals,
            memory: &self.memory,
            refused: Mutex::default(),
        };
        let path =
            self.ask_webpki(&leaf, &intermediates, &anchors, &[&lenient], mend::original_key);
        path.map_err(|error| {
            let fault = match is_about_signature(&error) {
                true => lenient.complaint(),
                false => self.fault(&error, known),
            };
            Refused { error, fault: Some(fault) }
        })
    }

    fn ask_webpki(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        original_key: fn(&[u8]) -> Option<&[u8]>,
    ) -> Result<Found, Error> {
        let now = Duration::from_secs(u64::try_from(self.now).unwrap_or_default());
        let leaf = EndEntityCert::try_from(leaf)?;
        let path = leaf.verify_for_usage(
            algorithms,
            anchors,
            intermediates,
            UnixTime::since_unix_epoch(now),
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        let mut keys = path
            .intermediate_certificates()
            .map(|certificate| certificate.subject_public_key_info())
            .chain([webpki::spki_for_anchor(path.anchor())]);
        Ok(Found {
            has_weak_key: keys.any(|key| original_key(&key).is_some_and(is_weak_key)),
            anchor: name::distinguished(&sequence(&path.anchor().subject)).unwrap_or_default(),
        })
    }

    /// The roots that one of the certificates names as its issuer.
    fn anchors(&self) -> impl Iterator<Item = TrustAnchor<'a>> {
        let mut issuers =
            self.links().filter_map(|link| inside(link.reading.issuer?)).collect::<Vec<_>>();
        issuers.sort_unstable();
        issuers.dedup();
        let roots = self.roots;
        issuers.into_iter().flat_map(|issuer| roots.named(issuer))
    }

    fn links(&self) -> impl Iterator<Item = &Link<'a>> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }

    /// Whether nothing that was sent stands above this certificate.
    fn is_top(&self, link: &Link<'_>) -> bool {
        link.reading.self_issued() == Some(true)
            || !self.issuers.iter().any(|other| other.reading.subject == link.reading.issuer)
    }

    /// The word for what webpki says.
    fn fault(&self, error: &Error, known: Problems) -> Problem {
        match error {
            Error::UnsupportedCertVersion => match self.has_other_version() {
                true => Problem::UnsupportedVersion,
                false => Problem::BadEncoding,
            },
            Error::UnsupportedCriticalExtension => Problem::CriticalExtension,
            // Roots that webpki itself distrusts, and searches that it gives up, are none.
            Error::UnknownIssuer
            | Error::CertDistrusted
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded => match self.is_self_signed() {
                true => Problem::SelfSigned,
                false => Problem::UnknownIssuer,
            },
            Error::EndEntityUsedAsCa => Problem::IssuerNotCa,
            Error::CaUsedAsEndEntity => Problem::CaAsLeaf,
            Error::PathLenConstraintViolated => Problem::PathLength,
            Error::NameConstraintViolation
            | Error::MalformedNameConstraint
            | Error::InvalidNetworkMaskConstraint
            | Error::MaximumNameConstraintComparisonsExceeded => Problem::NameConstraint,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Problem::BadPurpose,
            Error::MaximumPathDepthExceeded => Problem::ChainTooLong,
            Error::CertExpired { .. } => Problem::Expired,
            Error::CertNotValidYet { .. } => Problem::NotYetValid,
            Error::InvalidCertValidity => match known.contains(Problem::Expired) {
                // It ends before it begins: at any moment it is one of the two, or both.
                false if self.ends_before_now() => Problem::Expired,
                _ => Problem::NotYetValid,
            },
            // The rest are ways of not being the DER of an X.509 certificate.
            _ => Problem::BadEncoding,
        }
    }

    /// Whether asking again would tell nothing, or take long.
    fn is_hopeless(&self, error: &Error) -> bool {
        match error {
            Error::UnknownIssuer => self.issuers.is_empty(),
            Error::CertDistrusted
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumSignatureChecksExceeded => true,
            _ => self.leaf.reading.issuer.is_none() || self.leaf.reading.tbs.is_none(),
        }
    }

    /// What can be told from the leaf alone, however little of it can be read.
    fn faults_of_leaf(&self) -> impl Iterator<Item = Problem> {
        let leaf = &self.leaf.reading;
        let ca = leaf.basic_constraints().map(|(ca, _)| ca);
        // RFC 5280 section 4.2.1.3. webpki does not look at key usages.
        let signs_without_ca =
            ca == Some(false) && leaf.key_usage().is_some_and(|usage| usage & KEY_CERT_SIGN != 0);
        [
            (leaf.version.is_some_and(|version| version != 3), Problem::UnsupportedVersion),
            (ca == Some(true), Problem::CaAsLeaf),
            (signs_without_ca, Problem::BadPurpose),
            (leaf.algorithm.is_some_and(is_weak_signature), Problem::WeakSignature),
            (leaf.spki.is_some_and(is_weak_key), Problem::WeakKey),
            (leaf.not_after.is_some_and(|until| until.seconds < self.now), Problem::Expired),
            (leaf.not_before.is_some_and(|from| from.seconds > self.now), Problem::NotYetValid),
        ]
        .into_iter()
        .filter_map(|(applies, fault)| applies.then_some(fault))
    }

    /// Whether the leaf is its own issuer. A signature that cannot be checked counts as one.
    fn is_self_signed(&self) -> bool {
        let leaf = &self.leaf.reading;
        let check = || {
            let checked =
                self.algorithms.check(leaf.spki?, leaf.algorithm?, leaf.tbs?, leaf.signature?);
            Some(checked != Checked::Invalid)
        };
        leaf.self_issued() == Some(true) && check() == Some(true)
    }

    fn has_other_version(&self) -> bool {
        self.links().any(|link| link.reading.version.is_some_and(|version| version != 3))
    }

    fn ends_before_now(&self) -> bool {
        self.links().filter_map(|link| link.reading.not_after).any(|until| until.seconds < self.now)
    }

    /// From the last to the next moment at which some certificate begins or ends.
    fn holds(&self) -> Range<i64> {
        let moments = self.links().flat_map(|link| {
            let begins = link.reading.not_before.map(|from| from.seconds);
            let ended = link.reading.not_after.map(|until| until.seconds + 1);
            begins.into_iter().chain(ended)
        });
        moments.fold(i64::MIN..i64::MAX, |holds, moment| match moment <= self.now {
            true => holds.start.max(moment)..holds.end,
            false => holds.start..holds.end.min(moment),
        })
    }
}

/// A path that webpki found.
struct Found {
    anchor: String,
    has_weak_key: bool,
}

/// Why webpki found no path.
struct Refused {
    error: Error,
    /// The word for it, where it is known.
    fault: Option<Problem>,
}

/// The certificates that stand above the leaf by their names. What else was sent cannot matter,
/// but would put its own faults into webpki's answer.
fn related<'a>(leaf: &Link<'a>, others: &'a [CertificateDer<'a>]) -> Vec<Link<'a>> {
    let mut candidates = Vec::<Link<'a>>::new();
    for der in others {
        let reading = Reading::new(der);
        let is_new = *der != *leaf.der && !candidates.iter().any(|seen| seen.der == der);
        if reading.subject.is_some() && is_new {
            candidates.push(Link { der, reading });
        }
    }
    let mut wanted = Vec::from_iter(leaf.reading.issuer);
    let mut at = 0;
    while let Some(&name) = wanted.get(at) {
        at += 1;
        let bearers = candidates.iter().filter(|link| link.reading.subject == Some(name));
        for issuer in bearers.filter_map(|link| link.reading.issuer) {
            if !wanted.contains(&issuer) {
                wanted.push(issuer);
            }
        }
    }
    candidates.retain(|link| link.reading.subject.is_some_and(|subject| wanted.contains(&subject)));
    candidates
}

/// As many of them as webpki can try in a reasonable time, the first ones first.
fn bounded(related: Vec<Link<'_>>) -> Vec<Link<'_>> {
    let mut bounded = Vec::<Link<'_>>::new();
    for link in related {
        let namesakes =
            bounded.iter().filter(|other| other.reading.subject == link.reading.subject);
        if bounded.len() < MAX_INTERMEDIATES && namesakes.count() < MAX_NAMESAKES {
            bounded.push(link);
        }
    }
    bounded
}

fn is_unrooted(faults: Problems) -> bool {
    faults.contains(Problem::UnknownIssuer) || faults.contains(Problem::SelfSigned)
}

/// The certificate with the known faults put right. What it was made from goes to `originals`.
fn mended<'a>(
    link: &'a Link<'_>,
    role: Role,
    known: Problems,
    originals: &mut Vec<Original<'a>>,
) -> CertificateDer<'static> {
    let Mended { tbs, der } = mend(&link.reading, role, known);
    originals.push(Original { mended: tbs, reading: &link.reading });
    der.into()
}

fn mended_anchor(anchor: TrustAnchor<'_>, faults: Problems) -> TrustAnchor<'_> {
    let key = mend::carried_key(&webpki::spki_for_anchor(&anchor));
    TrustAnchor {
        subject: anchor.subject,
        subject_public_key_info: Der::from(inside(&key).unwrap_or_default().to_vec()),
        name_constraints: anchor
            .name_constraints
            .filter(|_| !faults.contains(Problem::NameConstraint)),
    }
}

/// Whether webpki refused a signature, or did not know how to check it.
fn is_about_signature(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
    )
}

fn is_weak_key(spki: &[u8]) -> bool {
    Key::read(spki).is_some_and(|key| key.is_weak())
}

fn is_weak_signature(algorithm: &[u8]) -> bool {
    algorithm_oid(algorithm).is_some_and(oid::is_weak_signature)
}

fn inside(element: &[u8]) -> Option<&[u8]> {
    Some(Reader::new(element).element()?.value)
}

fn sequence(inside: &[u8]) -> Vec<u8> {
    write(tag::SEQUENCE, &[inside])
}
