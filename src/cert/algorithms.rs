//! Signature checks for webpki: strict ones, whose results are cached, and lenient ones, which tell
//! faults apart.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest as _, Sha256};

use super::meter::Meter;
use super::problem::{Problem, Problems};
use super::reading::Reading;
use crate::signature::{Algorithm, Checked, Key, Unsupported, check, is_slow};

/// The algorithms that certificates are checked with; a signature that was found good is not
/// computed again.
#[derive(Debug)]
pub(super) struct Algorithms {
    strict: Vec<Remembering>,
    good: Arc<Good>,
}

/// Hashes of good signatures with all that they depend on.
type Good = Cache<[u8; 32], ()>;

impl Algorithms {
    /// Remembers up to `capacity` good signatures.
    pub(super) fn new(capacity: usize) -> Self {
        let good = Arc::new(Cache::new(capacity));
        let strict = default_provider()
            .signature_verification_algorithms
            .all
            .iter()
            .map(|&algorithm| Remembering { algorithm, good: Arc::clone(&good) })
            .collect();
        Self { strict, good }
    }

    /// Those of rustls, for certificates as they were sent.
    pub(super) fn strict(&self) -> impl Iterator<Item = &dyn SignatureVerificationAlgorithm> {
        self.strict.iter().map(|algorithm| algorithm as _)
    }

    /// As [`Algorithms::check`]; `None` when the meter cannot afford it.
    pub(super) fn check_metered(
        &self,
        spki: &[u8],
        (algorithm, message, signature): (&[u8], &[u8], &[u8]),
        meter: &Meter,
    ) -> Option<Checked> {
        let of = Key::read(spki).zip(Algorithm::of_identifier(algorithm));
        let is_slow = of.is_some_and(|(key, algorithm)| is_slow(&key, algorithm));
        let affords = meter.signature(spki, message, is_slow);
        affords.then(|| self.check(spki, algorithm, message, signature))
    }

    /// Checks one signature; key and algorithm are given with their headers.
    pub(super) fn check(
        &self,
        spki: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Checked {
        let Some(key) = Key::read(spki) else {
            return Checked::Unsupported(Unsupported::BadKey);
        };
        let hash = hash(&[spki, algorithm, message, signature]);
        let Some(algorithm) = Algorithm::of_identifier(algorithm) else {
            return Checked::Unsupported(Unsupported::SignatureAlgorithm);
        };
        if self.good.get(&hash).is_some() {
            return Checked::Valid;
        }
        let checked = check(&key, algorithm, message, signature);
        if checked == Checked::Valid {
            self.good.insert(hash, ());
        }
        checked
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// One of the provider's algorithms with the memory for good signatures, which all of them share.
struct Remembering {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    good: Arc<Good>,
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key_algorithm = self.algorithm.public_key_alg_id();
        let algorithm = self.algorithm.signature_alg_id();
        let hash =
            hash(&[key_algorithm.as_ref(), algorithm.as_ref(), public_key, message, signature]);
        if self.good.get(&hash).is_some() {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        self.good.insert(hash, ());
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

impl fmt::Debug for Remembering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm.fmt(f)
    }
}

/// The algorithm that every mended certificate and key claims, so that webpki always asks
/// [`Lenient`].
pub(super) const CLAIMED: AlgorithmIdentifier = alg_id::ECDSA_SHA256;
pub(super) const CLAIMED_KEY: AlgorithmIdentifier = alg_id::ECDSA_P256;

/// A mended certificate's signed part, and the certificate that it was made from.
#[derive(Debug)]
pub(super) struct Original<'a> {
    pub(super) mended: Vec<u8>,
    pub(super) reading: &'a Reading<'a>,
}

/// Checks the original signatures of mended certificates. A bad signature passes when a fault that
/// is already known explains it.
#[derive(Debug)]
pub(super) struct Lenient<'a> {
    pub(super) algorithms: &'a Algorithms,
    pub(super) known: Problems,
    pub(super) originals: &'a [Original<'a>],
    pub(super) memory: &'a Memory,
    pub(super) meter: &'a Meter,
    /// Why signatures were refused.
    pub(super) refused: Mutex<Problems>,
}

/// Results of the signatures that one search has checked, by the position of the certificate and
/// the key of the issuer. The questions of a search repeat mostly the same checks.
pub(super) type Memory = Mutex<HashMap<(usize, Vec<u8>), Checked>>;

impl Lenient<'_> {
    /// Why a signature was refused. With several issuers of one name, the keys of the wrong ones do
    /// not fit, so "bad" is the answer only if no issuer gives another reason.
    pub(super) fn complaint(&self) -> Problem {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        [Problem::WeakSignature, Problem::WeakKey, Problem::UnsupportedSignature]
            .into_iter()
            .find(|&problem| refused.contains(problem))
            .unwrap_or(Problem::BadSignature)
    }

    fn check(&self, spki: &[u8], place: usize, reading: &Reading<'_>, signature: &[u8]) -> Checked {
        if !self.meter.look_up(spki) {
            return Checked::Invalid;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = memory.entry((place, spki.to_vec())).or_insert_with(|| {
            let (algorithm, tbs) = (reading.algorithm.unwrap_or_default(), reading.tbs);
            let signed = (algorithm, tbs.unwrap_or_default(), signature);
            let checked = self.algorithms.check_metered(spki, signed, self.meter);
            // The search ends here, so this answer is not used.
            checked.unwrap_or(Checked::Invalid)
        });
        checked.clone()
    }

    /// What is wrong with a signature, if it is not among the known faults.
    fn fault(&self, spki: &[u8], mended: &[u8], signature: &[u8]) -> Option<Problem> {
        let found = self.originals.iter().enumerate().find(|(_, o)| o.mended == mended);
        let Some((place, original)) = found else {
            return Some(Problem::BadSignature);
        };
        let has_weak_hash = original
            .reading
            .algorithm
            .and_then(Algorithm::of_identifier)
            .is_some_and(Algorithm::has_weak_hash);
        let is_weak_key = || Key::read(spki).is_some_and(|key| key.is_weak());
        let unknown = |problem| !self.known.contains(problem);
        if has_weak_hash && unknown(Problem::WeakSignature) {
            return Some(Problem::WeakSignature);
        }
        let problem = match self.check(spki, place, original.reading, signature) {
            Checked::Invalid => Problem::BadSignature,
            _ if is_weak_key() && unknown(Problem::WeakKey) => Problem::WeakKey,
            Checked::Unsupported(_) => Problem::UnsupportedSignature,
            Checked::Valid => return None,
        };
        unknown(problem).then_some(problem)
    }
}

impl SignatureVerificationAlgorithm for Lenient<'_> {
    /// `public_key` is the whole SubjectPublicKeyInfo of the issuer.
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match self.fault(public_key, message, signature) {
            Some(problem) => {
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(problem);
                Err(InvalidSignature)
            }
            None => Ok(()),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        CLAIMED_KEY
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        CLAIMED
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

    use super::super::der::{tag, write};
    use super::*;

    #[test]
    fn only_good_signatures_are_remembered() {
        let algorithms = Algorithms::new(8);
        let key = KeyPair::generate().unwrap();
        let spki = key.subject_public_key_info();
        let signature = key.sign(b"message").unwrap();
        let algorithm = write(tag::SEQUENCE, &[alg_id::ECDSA_SHA256.as_ref()]);
        let check = |message: &[u8]| algorithms.check(&spki, &algorithm, message, &signature);
        for _ in 0..2 {
            assert_eq!(check(b"message"), Checked::Valid);
            assert_eq!(check(b"massage"), Checked::Invalid);
        }
        assert_eq!(algorithms.good.len(), 1);
        let unknown = write(tag::SEQUENCE, &[&[tag::OID, 1, 0]]);
        let checked = algorithms.check(&spki, &unknown, b"message", &signature);
        assert_eq!(checked, Checked::Unsupported(Unsupported::SignatureAlgorithm));
    }
}
