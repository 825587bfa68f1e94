//! The one way into this room: a chain goes in, facts and a verdict come out.

use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, ServerName};

use super::algorithms::Algorithms;
use super::cache::{Hashes, Memory};
use super::facts::Certificate;
use super::ocsp::Ocsp;
use super::path::Path;
use super::problem::Problem;
use super::roots::Roots;
use super::text::hex;
use super::verdict::{Trust, is_for_name};
use crate::limits::MAX_SIGNATURES;
use crate::signature::Proof;

/// Judges chains against the roots it was made with, and remembers. One serves all tasks.
pub struct Judge {
    roots: Roots,
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

/// What is to be worked out. The rest is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The facts of the leaf.
    pub cert: bool,
    /// The facts of every certificate.
    pub chain: bool,
    /// The verdict.
    pub trust: bool,
    /// What the staple says. The verdict looks at it in any case.
    pub ocsp: bool,
}

impl Default for Wanted {
    /// What a record shows unless asked otherwise.
    fn default() -> Self {
        Self { cert: true, chain: false, trust: true, ocsp: true }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// SHA-256 of every certificate, in the order sent.
    pub sha256: Vec<String>,
    /// The facts of the leaf.
    pub cert: Option<Certificate>,
    /// The facts of every certificate, in the order sent.
    pub chain: Option<Vec<Certificate>>,
    /// How many certificates besides the leaf a path was looked for in: all of them, or as many
    /// as webpki can try in a reasonable time, [`MAX_INTERMEDIATES`](super::MAX_INTERMEDIATES) at
    /// most, where more could have mattered.
    pub considered: Option<usize>,
    /// The verdict.
    pub trust: Option<Trust>,
    /// What the staple says.
    pub ocsp: Option<Ocsp>,
}

impl Judge {
    /// A judge who trusts these roots.
    pub fn new(roots: Roots) -> Self {
        Self { roots, algorithms: Algorithms::new(MAX_SIGNATURES), memory: Memory::new() }
    }

    /// Works out what is wanted, as of this moment.
    pub fn examine(&self, presented: Presented<'_>, now: SystemTime, wanted: Wanted) -> Examined {
        let now = seconds(now);
        let chain = presented.chain;
        let Some(leaf) = chain.first() else {
            return Examined::default();
        };
        let hashes = Hashes::new(chain);
        let wanted = Wanted { trust: wanted.trust && *presented.proof != Proof::False, ..wanted };
        let count = match wanted {
            Wanted { chain: true, .. } => chain.len(),
            Wanted { cert: true, .. } => 1,
            _ => 0,
        };
        let facts = chain
            .iter()
            .zip(&hashes.certificates)
            .take(count)
            .map(|(der, hash)| self.memory.facts(der, hash))
            .collect::<Vec<_>>();

        let looks_at_staple = !presented.ocsp.is_empty() && (wanted.ocsp || wanted.trust);
        let ocsp = looks_at_staple
            .then(|| Ocsp::new(presented.ocsp, chain, &self.roots, &self.algorithms, now));
        let path = wanted.trust.then(|| {
            self.memory.path(&hashes, now, || Path::find(chain, &self.roots, &self.algorithms, now))
        });
        let trust = path.as_ref().map(|path| {
            let name_ok = presented.name.and_then(|name| is_for_name(leaf, name));
            let is_revoked = ocsp.as_ref().is_some_and(Ocsp::revokes);
            let is_unreadable = facts.first().is_some_and(|leaf| leaf.unreadable);
            let revoked = is_revoked.then_some(Problem::Revoked);
            let unreadable = is_unreadable.then_some(Problem::BadEncoding);
            let others = revoked.into_iter().chain(unreadable);
            Trust::new(path, name_ok, presented.proof, others, now)
        });
        let as_of_now = |facts: &Arc<Certificate>| facts.as_of(now);
        Examined {
            sha256: hashes.certificates.iter().map(|hash| hex(hash)).collect(),
            cert: facts.first().filter(|_| wanted.cert).map(as_of_now),
            chain: wanted.chain.then(|| facts.iter().map(as_of_now).collect()),
            considered: path.map(|path| path.considered),
            trust,
            ocsp: ocsp.filter(|_| wanted.ocsp),
        }
    }
}

/// Seconds since 1970.
fn seconds(moment: SystemTime) -> i64 {
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |before| -before)
        }
    }
}
