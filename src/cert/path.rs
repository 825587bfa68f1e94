//! Searches for a path from a leaf to a root, and finds every fault on it.

mod found;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, VerifiedPath};

use super::algorithms::{Algorithms, Lenient, Memory, Original};
use super::contain::contain;
use super::critical::not_evaluated;
use super::crl::CrlStatus;
use super::crlite::{CrliteStatus, Sources};
use super::der::{tag, write};
use super::leaf::{self, is_weak_key};
use super::link::{Link, bounded, names_differ, related};
use super::mend::{Mended, Role, mend};
use super::meter::{Meter, Metered};
use super::name;
use super::problem::{Problem, Problems};
use super::reading::{self, Reading};
use super::rewrite::{is_beyond_webpki, rewrite, rewritten_anchor};
use super::roots::{Root, Roots};
use super::rules::{Candidate, in_words_of_webpki, is_about_signature, is_given_up};
use crate::limits::MAX_DETOURS;
use found::{Found, Refused, Top};

/// The verdict on a chain, apart from the name that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) problems: Problems,
    pub(super) anchor: Option<String>,
    /// The earliest end of all certificates of the path, in seconds since 1970.
    pub(super) ends: Option<i64>,
    /// Critical extensions on the path that were not evaluated.
    pub(super) not_evaluated: Vec<&'static str>,
    /// How many certificates besides the leaf were looked at.
    pub(super) considered: usize,
    /// What the revocation lists say of it, if there are lists.
    pub(super) crl: Option<CrlStatus>,
    /// What the filters say of its leaf, if there are filters.
    pub(super) crlite: Option<CrliteStatus>,
    /// The period in which this verdict does not change, in seconds since 1970.
    pub(super) holds: Range<i64>,
}

impl Path {
    /// Searches a path from the first certificate to one of the roots.
    pub(super) fn find(
        chain: &[CertificateDer<'_>],
        (roots, sources): (&Roots, Sources<'_>),
        algorithms: &Algorithms,
        now: i64,
    ) -> Self {
        contain(|| {
            let (leaf, others) = chain.split_first()?;
            Some(Search::new(leaf, others, (roots, sources), algorithms, now).run())
        })
        .flatten()
        .unwrap_or_else(|| Self {
            problems: Problems::from_iter([Problem::BadEncoding]),
            anchor: None,
            ends: None,
            not_evaluated: Vec::new(),
            considered: 0,
            crl: None,
            crlite: None,
            holds: i64::MIN..i64::MAX,
        })
    }
}

struct Search<'a> {
    leaf: Link<'a>,
    /// The sent certificates that may be on the path, in the order in which they were sent.
    issuers: Vec<Link<'a>>,
    considered: usize,
    roots: &'a Roots,
    sources: Sources<'a>,
    algorithms: &'a Algorithms,
    memory: Memory,
    meter: Meter,
    now: i64,
}

/// A question to webpki: which path to search for, and in which certificates.
#[derive(Clone, Copy, Default)]
struct Question {
    /// Faults that are already known. They are mended before webpki is asked.
    faults: Problems,
    /// Certificates are rewritten so that webpki can represent them.
    is_rewritten: bool,
    /// Only a path that expires after this moment is accepted.
    ends_after: Option<i64>,
}

impl<'a> Search<'a> {
    fn new(
        leaf: &'a CertificateDer<'a>,
        others: &'a [CertificateDer<'a>],
        (roots, sources): (&'a Roots, Sources<'a>),
        algorithms: &'a Algorithms,
        now: i64,
    ) -> Self {
        let leaf = Link::new(leaf);
        let related = related(&leaf, others);
        let count = related.len();
        let issuers = bounded(related);
        let considered = match issuers.len() < count {
            true => issuers.len(),
            false => others.len(),
        };
        let (meter, memory) = (Meter::new(&leaf, &issuers), Memory::default());
        Self { leaf, issuers, considered, roots, sources, algorithms, memory, meter, now }
    }

    fn run(&self) -> Path {
        // webpki's own limit on name comparisons is too high. Rewritten certificates carry no name
        // constraints, and `constraints`, which evaluates them instead, is metered.
        let is_rewritten = self.has_name_constraints();
        let mut question = Question { is_rewritten, ..Question::default() };
        let mut found = None;
        // Every round adds a fault that was not known before, so there are few rounds.
        loop {
            match self.ask(question) {
                Ok(path) => {
                    found = Some(self.latest(question, path));
                    break;
                }
                // Only rewritten certificates tell which signature failed and why.
                Err(Refused { fault: None, .. }) => question.is_rewritten = true,
                Err(_) if !question.is_rewritten && self.is_worth_rewriting() => {
                    question.is_rewritten = true;
                }
                Err(Refused { error, fault: Some(fault) }) => {
                    if !question.faults.insert(fault) || self.is_hopeless(&error) {
                        break;
                    }
                    question.is_rewritten = true;
                }
            }
        }

        let found = found.unwrap_or_else(|| self.upward());
        let links = self.links_of(&found);
        let root = found.root();
        let readings: Vec<_> = links.iter().map(|link| &link.reading).collect();
        let mut faults = self.with_what_webpki_ignores(question.faults, &links, root);
        let crlite = self.sources.crlite.status(&links, root, faults);
        faults.insert_if(crlite == Some(CrliteStatus::Revoked), Problem::Revoked);
        Path {
            problems: faults,
            anchor: root.filter(|_| !is_unrooted(faults)).map(|root| {
                name::bounded(&write(tag::SEQUENCE, &[&root.anchor().subject])).unwrap_or_default()
            }),
            ends: self.ends(&found),
            not_evaluated: not_evaluated(&readings),
            considered: self.considered,
            crl: self.crl(&links, root, faults),
            crlite,
            holds: self.holds(),
        }
    }

    /// The faults, and those of the path that webpki does not look for.
    fn with_what_webpki_ignores(
        &self,
        mut faults: Problems,
        links: &[&Link<'_>],
        root: Option<&Root>,
    ) -> Problems {
        let mut keys = links.iter().filter_map(|link| link.reading.spki);
        let has_weak_key =
            keys.any(is_weak_key) || root.is_some_and(|root| is_weak_key(&root.key()));
        faults.insert_if(has_weak_key, Problem::WeakKey);
        let is_broken = links.iter().any(|link| !link.is_well_formed);
        faults.insert_if(is_broken, Problem::BadEncoding);
        let is_public = root.is_some_and(Root::is_built_in);
        faults.insert_if(
            is_public && leaf::is_valid_too_long(&self.leaf.reading),
            Problem::ValidityTooLong,
        );
        for fault in leaf::faults(&self.leaf.reading, self.now) {
            faults.insert(fault);
        }
        faults
    }

    /// Searches for the path that expires last, because the leaf is trusted until then. This asks
    /// webpki up to [`MAX_DETOURS`] more times.
    fn latest(&self, question: Question, mut path: Found<'a>) -> Found<'a> {
        let leaf_ends = self.leaf.reading.not_after.map(|until| until.seconds);
        for _ in 0..MAX_DETOURS {
            let ends = self.ends(&path);
            if ends == leaf_ends {
                break;
            }
            match self.ask(Question { ends_after: ends, ..question }) {
                Ok(later) => path = later,
                // This path stays: that it holds is known.
                Err(_no_later_path) => break,
            }
        }
        path
    }

    /// Asks webpki for a path.
    fn ask(&self, question: Question) -> Result<Found<'a>, Refused> {
        match question.is_rewritten {
            true => self.ask_rewritten(question),
            false => self.ask_as_sent(question),
        }
    }

    /// Asks with the certificates as they were sent.
    fn ask_as_sent(&self, question: Question) -> Result<Found<'a>, Refused> {
        let intermediates = self.issuers.iter().map(|link| link.der.clone()).collect::<Vec<_>>();
        let (tops, anchors): (Vec<_>, Vec<_>) =
            self.known_roots().map(|root| (Top::Root(root), root.anchor())).unzip();
        let metered = |inner| Metered { inner, meter: &self.meter };
        let strict = self.algorithms.strict().map(metered).collect::<Vec<_>>();
        let strict = strict.iter().map(|algorithm| algorithm as _).collect::<Vec<_>>();
        let path =
            self.ask_webpki(question, self.leaf.der, &intermediates, (&tops, &anchors), &strict);
        path.map_err(|error| {
            let fault = (!is_about_signature(&error)).then(|| self.fault(&error, question.faults));
            Refused { error, fault }
        })
    }

    /// Asks with rewritten certificates, in which the known faults are mended.
    fn ask_rewritten(&self, question: Question) -> Result<Found<'a>, Refused> {
        let known = question.faults;
        let mut originals = Vec::new();
        let leaf = mended(&self.leaf, Role::Leaf, known, &mut originals);
        let intermediates = self
            .issuers
            .iter()
            .map(|link| mended(link, Role::Issuer, known, &mut originals))
            .collect::<Vec<_>>();
        let (mut tops, mut anchors): (Vec<_>, Vec<_>) = self
            .known_roots()
            .map(|root| (Top::Root(root), rewritten_anchor(root.anchor())))
            .unzip();
        if is_unrooted(known) {
            // Beyond the missing root, the path may have other faults.
            for (place, (link, mended)) in self.issuers.iter().zip(&intermediates).enumerate() {
                if let (true, Ok(anchor)) =
                    (self.is_top(link), webpki::anchor_from_trusted_cert(mended))
                {
                    tops.push(Top::Sent(place));
                    anchors.push(anchor);
                }
            }
        }
        let lenient = Lenient {
            algorithms: self.algorithms,
            known,
            originals: &originals,
            memory: &self.memory,
            meter: &self.meter,
            refused: Mutex::default(),
        };
        let path = self.ask_webpki(question, &leaf, &intermediates, (&tops, &anchors), &[&lenient]);
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
        question: Question,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        (tops, anchors): (&[Top<'a>], &[TrustAnchor<'_>]),
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<Found<'a>, Error> {
        let now = Duration::from_secs(u64::try_from(self.now).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(now);
        self.meter.question(question.is_rewritten)?;
        let leaf = EndEntityCert::try_from(leaf)?;
        let found = |path: &VerifiedPath<'_>| {
            Found::of(path, intermediates, (tops, anchors)).ok_or(Error::UnknownIssuer)
        };
        // What is wrong with a path that webpki itself accepts. Its errors about worse paths may rank higher.
        let refused = Cell::new(None);
        let refuse = |fault| {
            refused.set(refused.get().max(Some(fault)));
            in_words_of_webpki(fault, now)
        };
        let obeys_rules = |path: &VerifiedPath<'_>| {
            let found = found(path)?;
            let links = self.links_of(&found);
            let candidate = Candidate { links: &links, root: found.root() };
            let is_late = question.ends_after.is_none_or(|after| self.ends(&found) > Some(after));
            if !is_late {
                return Err(Error::UnknownIssuer);
            }
            let is_excused = question.faults.contains(Problem::Revoked);
            let crl = || self.crl(&links, candidate.root, question.faults);
            if !is_excused && crl() == Some(CrlStatus::Revoked) {
                return Err(refuse(Problem::Revoked));
            }
            let excused = question.faults;
            candidate.check(self.now, excused, question.is_rewritten, &self.meter).map_err(refuse)
        };
        let path = leaf.verify_for_usage(
            algorithms,
            anchors,
            intermediates,
            now,
            &self.meter,
            None,
            Some(&obeys_rules),
        );
        let path = path.map_err(|error| match (self.meter.explain(error), refused.get()) {
            (error, Some(fault)) if !is_given_up(&error) => in_words_of_webpki(fault, now),
            (error, _) => error,
        });
        found(&path?)
    }

    /// The roots whose name is the issuer of one of the certificates.
    fn known_roots(&self) -> impl Iterator<Item = &'a Root> {
        let mut issuers =
            self.links().filter_map(|link| link.issuer.as_deref()).collect::<Vec<_>>();
        issuers.sort_unstable();
        issuers.dedup();
        let roots = self.roots;
        issuers.into_iter().flat_map(|issuer| roots.alike(issuer))
    }

    fn links(&self) -> impl Iterator<Item = &Link<'a>> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }

    /// The certificates of a path, leaf first.
    fn links_of(&self, found: &Found<'_>) -> Vec<&Link<'a>> {
        let issuers = found.issuers.iter().filter_map(|&place| self.issuers.get(place));
        std::iter::once(&self.leaf).chain(issuers).collect()
    }

    /// What the revocation lists say of a path with these faults.
    fn crl(&self, links: &[&Link<'_>], root: Option<&Root>, faults: Problems) -> Option<CrlStatus> {
        self.sources.crls.status(links, root, faults, self.algorithms, self.now)
    }

    /// When the path expires. The certificate at its top counts, even if it is not a root.
    fn ends(&self, found: &Found<'_>) -> Option<i64> {
        let links = self.links_of(found);
        let sent = match found.top {
            Some(Top::Sent(place)) => self.issuers.get(place),
            _ => None,
        };
        let sent = sent.and_then(|link| link.reading.not_after).map(|until| until.seconds);
        let ends = Candidate { links: &links, root: found.root() }.ends();
        ends.into_iter().chain(sent).min()
    }

    /// The certificates of the chain from the leaf upward, used when webpki found no path.
    fn upward(&self) -> Found<'a> {
        let mut issuers = Vec::<usize>::new();
        let mut below = &self.leaf;
        while let Some((place, link)) = self
            .issuers
            .iter()
            .enumerate()
            .find(|(place, link)| below.is_below(link) && !issuers.contains(place))
        {
            issuers.push(place);
            below = link;
        }
        Found { issuers, top: None }
    }

    /// Whether the issuer of this certificate was not sent.
    fn is_top(&self, link: &Link<'_>) -> bool {
        link.is_self_issued() || !self.issuers.iter().any(|other| link.is_below(other))
    }

    fn has_name_constraints(&self) -> bool {
        self.links().any(|link| link.reading.name_constraints().is_some())
            || self.known_roots().any(|root| root.name_constraints().is_some())
    }

    /// Whether rewriting the certificates can change webpki's answer. The answer itself does not
    /// show this, because webpki reports only one of several faults.
    fn is_worth_rewriting(&self) -> bool {
        let limits_path = |link: &Link<'_>| {
            link.reading.basic_constraints().is_some_and(|(_, length)| length.is_some())
        };
        let mut roots = self.known_roots();
        self.links().any(is_beyond_webpki)
            || self.issuers.iter().any(Link::is_self_issued) && self.links().any(limits_path)
            || roots.any(|root| root.name_constraints().is_some())
            || names_differ(&self.leaf, &self.issuers, self.roots)
    }

    /// The problem for webpki's error.
    fn fault(&self, error: &Error, known: Problems) -> Problem {
        match error {
            Error::UnsupportedCertVersion => match self.has_other_version() {
                true => Problem::UnsupportedVersion,
                false => Problem::BadEncoding,
            },
            Error::UnsupportedCriticalExtension => Problem::CriticalExtension,
            // A path to a root that webpki distrusts, or a search that it gave up, counts as no
            // path.
            Error::UnknownIssuer
            | Error::CertDistrusted
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded => {
                match leaf::is_self_signed(&self.leaf, self.algorithms) {
                    true => Problem::SelfSigned,
                    false => Problem::UnknownIssuer,
                }
            }
            Error::EndEntityUsedAsCa => Problem::IssuerNotCa,
            Error::CaUsedAsEndEntity => Problem::CaAsLeaf,
            Error::PathLenConstraintViolated => Problem::PathLength,
            Error::NameConstraintViolation
            | Error::MalformedNameConstraint
            | Error::InvalidNetworkMaskConstraint
            | Error::MaximumNameConstraintComparisonsExceeded => Problem::NameConstraint,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Problem::BadPurpose,
            Error::MaximumPathDepthExceeded => Problem::ChainTooLong,
            Error::CertRevoked => Problem::Revoked,
            Error::CertExpired { .. } => Problem::Expired,
            Error::CertNotValidYet { .. } => Problem::NotYetValid,
            Error::InvalidCertValidity => match known.contains(Problem::Expired) {
                // A validity that ends before it begins is expired, not yet valid, or both.
                false if self.ends_before_now() => Problem::Expired,
                _ => Problem::NotYetValid,
            },
            // All other errors mean that a certificate is not the DER of an X.509 certificate.
            _ => Problem::BadEncoding,
        }
    }

    /// Whether asking again would find nothing more, or take too long.
    fn is_hopeless(&self, error: &Error) -> bool {
        match error {
            Error::UnknownIssuer => self.issuers.is_empty(),
            Error::CertDistrusted | Error::MaximumPathDepthExceeded => true,
            error if is_given_up(error) => true,
            _ => self.leaf.reading.issuer.is_none() || self.leaf.reading.tbs.is_none(),
        }
    }

    fn has_other_version(&self) -> bool {
        self.links().any(|link| link.reading.version.is_some_and(|version| version != 3))
    }

    fn ends_before_now(&self) -> bool {
        self.links().filter_map(|link| link.reading.not_after).any(|until| until.seconds < self.now)
    }

    /// The period around now in which no certificate begins or ends its validity.
    fn holds(&self) -> Range<i64> {
        let links = self.links().map(|link| {
            let moment = |moment: Option<reading::Moment<'_>>| Some(moment?.seconds);
            (moment(link.reading.not_before), moment(link.reading.not_after))
        });
        let roots = self.known_roots().filter_map(|root| root.terms);
        let roots = roots.map(|terms| (terms.not_before, terms.not_after));
        let moments = links
            .chain(roots)
            .flat_map(|(begins, ends)| begins.into_iter().chain(ends.map(|until| until + 1)));
        let moments = moments.chain(self.sources.crls.moments(self.links()));
        reading::holds(moments, self.now)
    }
}

/// Rewrites a certificate and mends the known faults in it. Its original is added to `originals`.
fn mended<'a>(
    link: &'a Link<'_>,
    role: Role,
    known: Problems,
    originals: &mut Vec<Original<'a>>,
) -> CertificateDer<'static> {
    let rewritten = rewrite(&link.reading);
    let Mended { tbs, der } = mend(&Reading::new(&rewritten), role, known, originals.len());
    originals.push(Original { mended: tbs, reading: &link.reading });
    der.into()
}

fn is_unrooted(faults: Problems) -> bool {
    faults.contains(Problem::UnknownIssuer) || faults.contains(Problem::SelfSigned)
}
