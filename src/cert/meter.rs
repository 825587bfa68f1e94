//! What the search for a path may cost, however a peer has built its chain.
//!
//! webpki has limits of its own, but they are for one question: 100 signatures and 200,000 steps
//! take seconds, and a search asks once for every fault that it finds. The meter counts the work
//! of all questions of a search and ends it when [`SEARCH_NANOSECONDS`] are spent.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};

use super::der::{Reader, tag};
use super::link::Link;
use super::problem::{Problem, Problems};
use super::reading::id;
use crate::limits::SEARCH_NANOSECONDS;

/// The work that is left to one search, in estimated nanoseconds of this kind of machine.
///
/// The estimates are deliberately high: honest chains stay far below the limit.
#[derive(Debug)]
pub(super) struct Meter {
    left: AtomicU64,
    /// For one step of webpki, which parses every certificate that a path may lead through.
    step: u64,
    /// For rewriting all certificates.
    rewriting: u64,
    /// For holding all names of the leaf against all name constraints.
    constraints: u64,
}

impl Meter {
    /// The meter of a search among these certificates.
    pub(super) fn new(leaf: &Link<'_>, issuers: &[Link<'_>]) -> Self {
        let bytes = issuers.iter().map(|link| link.der.len() as u64).sum::<u64>();
        let names = elements(leaf, id::SUBJECT_ALT_NAME).max(1);
        let subtrees = issuers.iter().map(|link| subtrees(link)).sum::<u64>();
        Self {
            left: AtomicU64::new(SEARCH_NANOSECONDS),
            step: 1_000 + 5 * bytes,
            rewriting: 10 * (bytes + leaf.der.len() as u64),
            constraints: 30 * names * subtrees,
        }
    }

    /// Takes one step of a path.
    pub(super) fn step(&self) -> Result<(), Error> {
        self.spend(self.step).ok_or(Error::MaximumPathBuildCallsExceeded)
    }

    /// Begins a question in which these faults are put right.
    pub(super) fn question(&self, is_rewritten: bool, known: Problems) -> Result<(), Error> {
        let rewriting = if is_rewritten { self.rewriting } else { 0 };
        self.spend(rewriting).ok_or(Error::MaximumPathBuildCallsExceeded)?;
        if known.contains(Problem::NameConstraint) {
            return Ok(());
        }
        // Names are the only thing left out: the rest of the search can still be afforded.
        let left = self.left.load(Ordering::Relaxed);
        if self.constraints > left / 2 {
            return Err(Error::MaximumNameConstraintComparisonsExceeded);
        }
        self.spend(self.constraints).ok_or(Error::MaximumPathBuildCallsExceeded)
    }

    /// Checks a signature under this key (a SubjectPublicKeyInfo or its bits) over this message;
    /// false when that cannot be afforded.
    pub(super) fn signature(&self, key: &[u8], message: &[u8]) -> bool {
        // RSA grows with the square of the modulus: 8,192 bits are a millisecond with the largest
        // exponent. The keys of elliptic curves are short, and P-521 takes as long.
        let length = key.len() as u64;
        let cost = match length {
            ..100 => 150_000,
            100..200 => 1_000_000,
            _ => (length * length).min(1_200_000),
        };
        self.spend(cost + 5 * message.len() as u64).is_some()
    }

    /// The error as it is, unless the search had to stop: a check that could not be afforded says
    /// nothing about the signature.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.left.load(Ordering::Relaxed) {
            0 => Error::MaximumPathBuildCallsExceeded,
            _ => error,
        }
    }

    /// Once something cannot be afforded, nothing can.
    fn spend(&self, cost: u64) -> Option<()> {
        let left = self.left.load(Ordering::Relaxed);
        let rest = left.saturating_sub(cost);
        self.left.store(rest, Ordering::Relaxed);
        (rest > 0).then_some(())
    }
}

/// The purpose of servers, and a step on the meter: webpki asks at every step.
impl ExtendedKeyUsageValidator for &Meter {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        self.step()?;
        KeyUsage::server_auth().validate(purposes)
    }
}

/// An algorithm whose checks are on the meter.
#[derive(Debug)]
pub(super) struct Metered<'a> {
    pub(super) inner: &'a dyn SignatureVerificationAlgorithm,
    pub(super) meter: &'a Meter,
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match self.meter.signature(public_key, message) {
            true => self.inner.verify_signature(public_key, message, signature),
            false => Err(InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}

/// How many elements the list in an extension has.
fn elements(link: &Link<'_>, id: &[u8]) -> u64 {
    let list = link
        .reading
        .extension(id)
        .and_then(|extension| Reader::new(extension.value).expect(tag::SEQUENCE));
    list.map_or(0, |list| count(list.value))
}

/// How many subtrees a certificate permits and excludes.
fn subtrees(link: &Link<'_>) -> u64 {
    let constraints = link
        .reading
        .extension(id::NAME_CONSTRAINTS)
        .and_then(|extension| Reader::new(extension.value).expect(tag::SEQUENCE));
    let mut lists = Reader::new(constraints.map_or(&[], |constraints| constraints.value));
    std::iter::from_fn(|| lists.element()).map(|list| count(list.value)).sum()
}

fn count(list: &[u8]) -> u64 {
    let mut list = Reader::new(list);
    std::iter::from_fn(|| list.element()).count() as u64
}
