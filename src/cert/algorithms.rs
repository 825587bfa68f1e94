//! Signature checks: the provider's, remembered, and the lenient ones that tell faults apart.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RsaParameters, UnparsedPublicKey,
};
use quick_cache::sync::Cache;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest as _, Sha256};

use super::der::{Reader, tag};
use super::problem::{Problem, Problems};
use super::reading::modulus_bits;

/// RSA keys below this are weak; the provider refuses them.
pub(super) const MIN_RSA_BITS: u32 = 2_048;

/// The size from which the provider checks keys that are too small to be trusted.
const LENIENT_RSA_BITS: u32 = 1_024;

/// The size up to which the provider checks keys at all.
const MAX_RSA_BITS: u32 = 8_192;

/// The sizes that [`lenient`] algorithms check.
pub(super) const LENIENTLY: RangeInclusive<u32> = LENIENT_RSA_BITS..=MAX_RSA_BITS;

/// The provider's algorithms; a signature that was found good is not computed again.
#[derive(Debug)]
pub(super) struct Algorithms(Vec<Remembering>);

/// What came of checking one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Valid,
    Invalid,
    /// There is no algorithm for it.
    Unsupported,
}

impl Algorithms {
    /// Remembers up to `capacity` good signatures.
    pub(super) fn new(capacity: usize) -> Self {
        let good = Arc::new(Cache::new(capacity));
        Self(
            default_provider()
                .signature_verification_algorithms
                .all
                .iter()
                .map(|&algorithm| Remembering { algorithm, good: Arc::clone(&good) })
                .collect(),
        )
    }

    /// As webpki takes them.
    pub(super) fn all(&self) -> Vec<&dyn SignatureVerificationAlgorithm> {
        self.0.iter().map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm).collect()
    }

    /// Checks one signature; key and algorithm are given with their headers.
    pub(super) fn check(
        &self,
        spki: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Checked {
        let rsa_bits = MIN_RSA_BITS..=MAX_RSA_BITS;
        check(&self.all(), rsa_bits, (spki, algorithm), message, signature)
    }
}

/// The same with these algorithms, which take RSA keys of this size.
pub(super) fn check(
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    rsa_bits: RangeInclusive<u32>,
    (spki, algorithm): (&[u8], &[u8]),
    message: &[u8],
    signature: &[u8],
) -> Checked {
    let parts = || {
        let mut spki = Reader::new(Reader::new(spki).expect(tag::SEQUENCE)?.value);
        let key_algorithm = spki.expect(tag::SEQUENCE)?.value;
        let (_unused_bits, key) = spki.expect(tag::BIT_STRING)?.value.split_first()?;
        let algorithm = Reader::new(algorithm).expect(tag::SEQUENCE)?.value;
        Some((key_algorithm, key, algorithm))
    };
    let Some((key_algorithm, key, algorithm)) = parts() else {
        return Checked::Unsupported;
    };
    algorithms
        .iter()
        .find(|known| {
            known.signature_alg_id().as_ref() == algorithm
                && known.public_key_alg_id().as_ref() == key_algorithm
        })
        .map_or(Checked::Unsupported, |known| {
            match known.verify_signature(key, message, signature) {
                Ok(()) => Checked::Valid,
                // Keys of another size fail like false signatures do.
                Err(InvalidSignature)
                    if modulus_bits(key).is_some_and(|bits| !rsa_bits.contains(&bits)) =>
                {
                    Checked::Unsupported
                }
                Err(InvalidSignature) => Checked::Invalid,
            }
        })
}

/// One of the provider's algorithms with a memory for good signatures, shared by all of them.
struct Remembering {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    good: Arc<Cache<[u8; 32], ()>>,
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let mut digest = Sha256::new();
        for part in [
            self.algorithm.public_key_alg_id().as_ref(),
            self.algorithm.signature_alg_id().as_ref(),
            public_key,
            message,
            signature,
        ] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let key = digest.finalize().into();
        if self.good.get(&key).is_some() {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        self.good.insert(key, ());
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

/// Mended signed parts, each with the original that the signature is really over.
pub(super) type Originals<'a> = [(Vec<u8>, &'a [u8])];

/// The algorithms as far as the faults found so far leave them strict.
pub(super) fn lenient<'a>(
    strict: &'a Algorithms,
    faults: Problems,
    originals: &'a Originals<'a>,
) -> Vec<Lenient<'a>> {
    let entry = |public_key, signature, rule| Lenient { public_key, signature, rule, originals };
    if faults.contains(Problem::BadSignature) {
        // Mending has given every key and signature this algorithm.
        return vec![entry(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256, Rule::Anything)];
    }
    let provider = strict.0.iter().map(|algorithm| {
        let rule = match faults.contains(Problem::WeakKey) {
            true => Rule::SmallKeys(algorithm),
            false => Rule::Strict(algorithm),
        };
        entry(algorithm.public_key_alg_id(), algorithm.signature_alg_id(), rule)
    });
    let obsolete = OBSOLETE
        .iter()
        .filter(|_| faults.contains(Problem::WeakSignature))
        .map(|&(key, signature, check)| entry(key, signature, Rule::Obsolete(check)));
    provider.chain(obsolete).collect()
}

/// An algorithm that looks at the original of what was mended.
#[derive(Debug)]
pub(super) struct Lenient<'a> {
    public_key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    rule: Rule<'a>,
    originals: &'a Originals<'a>,
}

#[derive(Debug)]
enum Rule<'a> {
    Strict(&'a Remembering),
    /// Keys that are too small for the provider are put up with.
    SmallKeys(&'a Remembering),
    /// MD5 and SHA-1; without parameters there is no way to check it.
    Obsolete(Option<&'static RsaParameters>),
    Anything,
}

impl SignatureVerificationAlgorithm for Lenient<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let message = self
            .originals
            .iter()
            .find_map(|(mended, original)| (mended == message).then_some(*original))
            .unwrap_or(message);
        match self.rule {
            Rule::Strict(algorithm) => algorithm.verify_signature(public_key, message, signature),
            Rule::SmallKeys(algorithm) if is_small(public_key, self.public_key) => {
                rsa(small_rsa(algorithm), public_key, message, signature)
            }
            Rule::SmallKeys(algorithm) => {
                algorithm.verify_signature(public_key, message, signature)
            }
            Rule::Obsolete(check) => rsa(check, public_key, message, signature),
            Rule::Anything => Ok(()),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.public_key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

fn is_small(public_key: &[u8], algorithm: AlgorithmIdentifier) -> bool {
    algorithm == alg_id::RSA_ENCRYPTION
        && modulus_bits(public_key).is_some_and(|bits| bits < MIN_RSA_BITS)
}

/// How to check a signature of a small RSA key, where there is a way.
fn small_rsa(algorithm: &Remembering) -> Option<&'static RsaParameters> {
    match algorithm.signature_alg_id() {
        alg_id::RSA_PKCS1_SHA256 => Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        alg_id::RSA_PKCS1_SHA512 => Some(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}

/// What cannot be checked is not called false.
fn rsa(
    check: Option<&'static RsaParameters>,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), InvalidSignature> {
    match check {
        Some(check) => UnparsedPublicKey::new(check, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature),
        None => Ok(()),
    }
}

type Obsolete = (AlgorithmIdentifier, AlgorithmIdentifier, Option<&'static RsaParameters>);

const OBSOLETE: [Obsolete; 6] = [
    (
        alg_id::RSA_ENCRYPTION,
        AlgorithmIdentifier::from_slice(&RSA_SHA1),
        Some(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
    ),
    (
        alg_id::RSA_ENCRYPTION,
        AlgorithmIdentifier::from_slice(RSA_SHA1.split_at(11).0),
        Some(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
    ),
    (
        alg_id::RSA_ENCRYPTION,
        AlgorithmIdentifier::from_slice(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4, 5, 0]),
        None,
    ),
    (alg_id::ECDSA_P256, ECDSA_SHA1, None),
    (alg_id::ECDSA_P384, ECDSA_SHA1, None),
    (alg_id::ECDSA_P521, ECDSA_SHA1, None),
];

/// With its NULL parameters, which some leave out.
const RSA_SHA1: [u8; 13] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];

const ECDSA_SHA1: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

    use super::super::der::write;
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
        assert_eq!(algorithms.0[0].good.len(), 1);
        let unknown = write(tag::SEQUENCE, &[&[tag::OID, 1, 0]]);
        let checked = algorithms.check(&spki, &unknown, b"message", &signature);
        assert_eq!(checked, Checked::Unsupported);
    }
}
