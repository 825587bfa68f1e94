//! The one way into this room: a chain goes in, facts and a verdict come out.

use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, ServerName};

use super::algorithms::Algorithms;
use super::cache::{Hashes, Memory};
use super::crl::Crls;
use super::crlite::{Crlite, Sources};
use super::facts::Certificate;
use super::leaf;
use super::ocsp::{Ocsp, Staple};
use super::path::Path;
use super::problem::Problem;
use super::roots::Roots;
use super::text::{hex, pem, seconds};
use super::verdict::{Revocation, Trust, is_for_name};
use crate::limits::{
    MAX_CERTIFICATES, MAX_KEPT_CERTIFICATES, MAX_SIGNATURES, OUTPUT_LINE_LIMIT, PEM_LINE_LIMIT,
};
use crate::signature::Proof;

/// Judges chains against a set of roots, with caches. All tasks share one.
pub struct Judge {
    roots: Roots,
    crls: Arc<Crls>,
    crlite: Arc<Crlite>,
    algorithms: Algorithms,
    memory: Memory,
}

/// What a server presented.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// As sent: the leaf first.
    pub chain: &'a [CertificateDer<'a>],
    /// The name that the leaf should be for.
    pub name: Option<&'a ServerName<'a>>,
    /// The stapled OCSP response; empty when there was none.
    pub ocsp: &'a [u8],
    /// Whether the server has the key of the leaf. If that was disproved, there is no verdict: the
    /// chain may be a copy. If it was not proved, the verdict says so.
    pub proof: &'a Proof,
}

/// Selects what to work out. The rest is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The facts of the leaf.
    pub cert: bool,
    /// The facts of all certificates that are kept.
    pub chain: bool,
    /// The verdict.
    pub trust: bool,
    /// What the staple says. The verdict looks at it in any case.
    pub ocsp: bool,
    /// The certificates themselves beside their facts, in PEM.
    pub pem: bool,
}

impl Wanted {
    /// Whether a record may hold whole certificates, so that it is much larger than others.
    pub fn is_bulky(&self) -> bool {
        self.chain || self.pem
    }
}

impl Default for Wanted {
    /// What a record shows unless asked otherwise.
    fn default() -> Self {
        Self { cert: true, chain: false, trust: true, ocsp: true, pem: false }
    }
}

/// What [`Judge::examine`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// How many certificates were sent.
    pub length: usize,
    /// SHA-256 of the certificates, in the order sent;
    /// [`MAX_KEPT_CERTIFICATES`] of them at most.
    pub sha256: Vec<String>,
    /// The facts of the leaf.
    pub cert: Option<Arc<Certificate>>,
    /// The facts of the same certificates, as many as a line of output has room for.
    pub chain: Option<Vec<Certificate>>,
    /// How many certificates besides the leaf a path was looked for in: all of them, or as many
    /// as webpki can try in a reasonable time, [`MAX_INTERMEDIATES`](super::MAX_INTERMEDIATES) at
    /// most, where more could have mattered.
    pub considered: Option<usize>,
    /// The verdict.
    pub trust: Option<Trust>,
    /// What the staple says.
    pub ocsp: Option<Ocsp>,
    /// What the sources of revocations say that the user gave.
    pub revocation: Option<Revocation>,
}

impl Judge {
    /// A judge that trusts these roots.
    pub fn new(roots: Roots) -> Self {
        Self {
            roots,
            crls: Arc::default(),
            crlite: Arc::default(),
            algorithms: Algorithms::new(MAX_SIGNATURES),
            memory: Memory::new(),
        }
    }

    /// The same, with these revocation lists to look into.
    #[must_use]
    pub fn with_crls(self, crls: Arc<Crls>) -> Self {
        Self { crls, ..self }
    }

    /// The same, with these filters to ask.
    #[must_use]
    pub fn with_crlite(self, crlite: Arc<Crlite>) -> Self {
        Self { crlite, ..self }
    }

    /// Works out what is `wanted`, as of `now`.
    pub fn examine(&self, presented: Presented<'_>, now: SystemTime, wanted: Wanted) -> Examined {
        let now = seconds(now);
        let length = presented.chain.len();
        let chain = presented.chain.get(..MAX_CERTIFICATES).unwrap_or(presented.chain);
        let Some(leaf) = chain.first() else {
            return Examined::default();
        };
        let hashes = Hashes::new(chain);
        let wanted = Wanted { trust: wanted.trust && *presented.proof != Proof::False, ..wanted };
        let facts = chain.iter().zip(&hashes.certificates).take(certificates_to_read(wanted));
        let facts = facts.map(|(der, hash)| self.memory.facts(der, hash, now)).collect::<Vec<_>>();
        let looks_at_staple = !presented.ocsp.is_empty() && (wanted.ocsp || wanted.trust);
        let ocsp = looks_at_staple.then(|| {
            self.memory.staple(&hashes, presented.ocsp, now, || {
                Staple::read(presented.ocsp, chain, &self.roots, &self.algorithms, now)
            })
        });
        let path = wanted.trust.then(|| {
            self.memory.path(&hashes, now, || {
                let sources = Sources { crls: &self.crls, crlite: &self.crlite };
                Path::find(chain, (&self.roots, sources), &self.algorithms, now)
            })
        });
        let trust = path.as_ref().map(|path| {
            let name_ok = presented.name.and_then(|name| is_for_name(leaf, name));
            let is_revoked = ocsp.as_ref().is_some_and(|staple| staple.ocsp.revokes());
            let facts = facts.first().map(Arc::as_ref);
            let others = beside_the_path(facts, is_revoked, presented.proof);
            Trust::new(path, name_ok, presented.proof, others, now)
        });
        let shown = |facts: &Arc<Certificate>, der| {
            let mut facts = Arc::clone(facts);
            if wanted.pem {
                Arc::make_mut(&mut facts).pem = Some(pem(der));
            }
            facts
        };
        let cert = facts.first().filter(|_| wanted.cert).map(|facts| shown(facts, leaf));
        let sha256 = hashes.kept().map(|hash| hex(hash)).collect::<Vec<_>>();
        let kept = facts
            .iter()
            .zip(chain)
            .map(|(facts, der)| Arc::unwrap_or_clone(shown(facts, der)).in_chain());
        let taken =
            || cert.as_ref().map_or(0, |cert| cert.written_length()) + sha256.len() * HASH_LENGTH;
        Examined {
            length,
            chain: wanted.chain.then(|| fitting(kept, room(wanted).saturating_sub(taken()))),
            sha256,
            cert,
            considered: path.as_ref().map(|path| path.considered),
            revocation: path.and_then(|path| Revocation::of(&path)),
            trust,
            ocsp: ocsp.filter(|_| wanted.ocsp).map(|staple| staple.ocsp.clone()),
        }
    }
}

/// What is wrong with a leaf, whatever its path.
fn beside_the_path(
    leaf: Option<&Certificate>,
    is_revoked: bool,
    proof: &Proof,
) -> impl Iterator<Item = Problem> {
    let is_unreadable = leaf.is_some_and(|leaf| leaf.unreadable);
    let is_misused = leaf.is_some_and(|facts| leaf::forbids_key_exchange(facts, proof));
    let revoked = is_revoked.then_some(Problem::Revoked);
    let unreadable = is_unreadable.then_some(Problem::BadEncoding);
    let misused = is_misused.then_some(Problem::BadPurpose);
    revoked.into_iter().chain(unreadable).chain(misused)
}

/// How many certificates of a chain have to be read. The verdict depends on the facts of the leaf,
/// whoever wants to see them.
fn certificates_to_read(wanted: Wanted) -> usize {
    match wanted {
        Wanted { chain: true, .. } => MAX_KEPT_CERTIFICATES,
        Wanted { cert: true, .. } | Wanted { trust: true, .. } => 1,
        _ => 0,
    }
}

/// Bytes of a line that all the certificates and hashes may take.
fn room(wanted: Wanted) -> usize {
    let limit = if wanted.pem { PEM_LINE_LIMIT } else { OUTPUT_LINE_LIMIT };
    limit - OTHER_FIELDS
}

/// Bytes of a line that everything but certificates and hashes takes at most.
const OTHER_FIELDS: usize = 9 * 1024;

/// Bytes of a line that the SHA-256 of a certificate takes.
const HASH_LENGTH: usize = 64 + 5;

/// The first certificates that fit into `limit` bytes of a line.
fn fitting(certificates: impl Iterator<Item = Certificate>, limit: usize) -> Vec<Certificate> {
    let mut left = limit;
    let fits = |facts: &Certificate| {
        let rest = left.checked_sub(facts.written_length());
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    certificates.take_while(fits).collect()
}
