//! What the search for a path may cost, however a peer has built its chain.
//!
//! webpki has limits of its own, but they are for one question: 100 signatures and 200,000 steps
//! take seconds, and a search asks once for every fault that it finds. The meter counts the work
//! of all questions of a search and ends it when [`SEARCH_NANOSECONDS`] are spent.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};

use super::link::Link;
use crate::limits::{SEARCH_NANOSECONDS, STAPLE_NANOSECONDS};

/// The work that is left to one search or one staple, in estimated nanoseconds of this kind of machine.
///
/// `cargo run --release --features instructions --bin instructions -- --time` measures the worst of each
/// kind. The estimates are at least what that needed; honest chains stay far below the limit.
#[derive(Debug, Default)]
pub(super) struct Meter {
    left: AtomicU64,
    /// For one step of webpki, which parses every certificate that a path may lead through.
    step: u64,
    /// For rewriting all certificates.
    rewriting: u64,
    /// What comparing names may still take of it.
    left_for_names: AtomicU64,
}

impl Meter {
    /// The meter of a search among these certificates.
    pub(super) fn new(leaf: &Link<'_>, issuers: &[Link<'_>]) -> Self {
        let bytes = issuers.iter().map(|link| link.der.len() as u64).sum::<u64>();
        let extensions =
            issuers.iter().map(|link| link.reading.extensions.len() as u64).sum::<u64>();
        Self {
            left: AtomicU64::new(SEARCH_NANOSECONDS),
            step: 1_000 + bytes / 8 + 60 * extensions,
            rewriting: 2 * (bytes + leaf.der.len() as u64)
                + 300 * (extensions + leaf.reading.extensions.len() as u64),
            left_for_names: AtomicU64::new(SEARCH_NANOSECONDS / 2),
        }
    }

    /// The meter of a staple, for which nothing but signatures is counted.
    pub(super) fn of_staple() -> Self {
        Self { left: AtomicU64::new(STAPLE_NANOSECONDS), ..Self::default() }
    }

    /// Takes one step of a path.
    pub(super) fn step(&self) -> Result<(), Error> {
        self.spend(self.step).ok_or(Error::MaximumPathBuildCallsExceeded)
    }

    /// Begins a question.
    pub(super) fn question(&self, is_rewritten: bool) -> Result<(), Error> {
        let rewriting = if is_rewritten { self.rewriting } else { 0 };
        self.spend(rewriting).ok_or(Error::MaximumPathBuildCallsExceeded)
    }

    /// Compares names with name constraints, which takes so many nanoseconds. `None` when that cannot
    /// be afforded; the rest of the search then still can.
    pub(super) fn names(&self, cost: usize) -> Option<()> {
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        take(&self.left_for_names, cost)?;
        self.spend(cost)
    }

    /// Checks a signature under this key (a SubjectPublicKeyInfo or its bits) over this message;
    /// false when that cannot be afforded. `is_slow` as in [`is_slow`](crate::signature::is_slow).
    pub(super) fn signature(&self, key: &[u8], message: &[u8], is_slow: bool) -> bool {
        // RSA grows with the square of the modulus: 8,192 bits take 1.9 ms with the largest exponent.
        // The keys of elliptic curves are short; P-521 takes 0.75 ms.
        let length = key.len() as u64;
        let cost = match length {
            ..100 => 150_000,
            100..200 => 1_000_000,
            _ if is_slow => 5 * (length * length).min(1_200_000),
            _ => 2 * (length * length).min(1_200_000),
        };
        self.spend(cost + 5 * message.len() as u64).is_some()
    }

    /// Looks up what was found out about a signature under this key.
    pub(super) fn look_up(&self, key: &[u8]) -> bool {
        self.spend(200 + 2 * key.len() as u64).is_some()
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
        take(&self.left, cost)
    }
}

fn take(left: &AtomicU64, cost: u64) -> Option<()> {
    let rest = left.load(Ordering::Relaxed).saturating_sub(cost);
    left.store(rest, Ordering::Relaxed);
    (rest > 0).then_some(())
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
        match self.meter.signature(public_key, message, false) {
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
