//! ML-KEM-768 (FIPS 203): where graviola supports the processor, a secret key takes 64 bytes while a
//! dial waits, instead of 2,400.
//!
//! graviola makes a key from its seed, in less time than AWS-LC takes for a random one
//! (`benches/README.md`). So the seed is kept, and the key is made again for the answer. On other
//! processors AWS-LC makes the key. It takes no seed, so the key itself is kept.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use aws_lc_rs::rand;
use graviola::key_agreement::mlkem768::DecapKey;

use super::is_graviola_supported;

/// Bytes of the seed of a key: d and z (FIPS 203, algorithm 16).
const SEED: usize = 64;

/// Bytes of an encapsulation key, a ciphertext and a shared secret (FIPS 203, section 8).
pub(super) const ENCAPSULATION_KEY: usize = 1184;
pub(super) const CIPHERTEXT: usize = 1088;
const SHARED_SECRET: usize = 32;

/// Where the encapsulation key begins in a decapsulation key (FIPS 203, algorithm 16).
const BEGIN: usize = 1152;

/// A secret key.
pub(super) enum SecretKey {
    /// The seed from which graviola makes it.
    Seed([u8; SEED]),
    /// The decapsulation key of AWS-LC.
    Whole(Box<[u8]>),
}

impl SecretKey {
    /// A random key, and the encapsulation key that belongs to it.
    ///
    /// # Errors
    /// This machine has no random numbers.
    pub(super) fn generate() -> Result<(Self, [u8; ENCAPSULATION_KEY]), Unspecified> {
        match is_graviola_supported() {
            true => Self::by_graviola(),
            false => Self::by_aws_lc(),
        }
    }

    fn by_graviola() -> Result<(Self, [u8; ENCAPSULATION_KEY]), Unspecified> {
        let mut seed = [0; SEED];
        rand::fill(&mut seed)?;
        let public = DecapKey::keygen_internal(&seed).encapsulation_key().as_bytes();
        Ok((Self::Seed(seed), public))
    }

    fn by_aws_lc() -> Result<(Self, [u8; ENCAPSULATION_KEY]), Unspecified> {
        let key = DecapsulationKey::generate(&ML_KEM_768)?.key_bytes()?;
        let (_, end) = key.as_ref().split_at_checked(BEGIN).ok_or(Unspecified)?;
        let public = *end.first_chunk().ok_or(Unspecified)?;
        Ok((Self::Whole(key.as_ref().into()), public))
    }

    /// The secret in a ciphertext. One that was not made for this key gives another secret, and no
    /// error (FIPS 203, section 6.3).
    ///
    /// # Errors
    /// There is no memory for the key.
    pub(super) fn decapsulate(
        &self,
        ciphertext: &[u8; CIPHERTEXT],
    ) -> Result<[u8; SHARED_SECRET], Unspecified> {
        match self {
            Self::Seed(seed) => {
                let secret = DecapKey::keygen_internal(seed).decaps(&(*ciphertext).into());
                Ok(*secret.as_ref())
            }
            Self::Whole(key) => {
                let key =
                    DecapsulationKey::new(&ML_KEM_768, key).map_err(|_refused| Unspecified)?;
                let secret = key.decapsulate(ciphertext.as_slice().into())?;
                secret.as_ref().try_into().map_err(|_wrong_length| Unspecified)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::kem::EncapsulationKey;

    use super::*;

    type Generate = fn() -> Result<(SecretKey, [u8; ENCAPSULATION_KEY]), Unspecified>;

    /// Those of the two libraries that work on this processor.
    fn libraries() -> Vec<Generate> {
        match is_graviola_supported() {
            true => vec![SecretKey::by_graviola, SecretKey::by_aws_lc],
            false => vec![SecretKey::by_aws_lc],
        }
    }

    fn encapsulate(public: &[u8]) -> ([u8; CIPHERTEXT], Vec<u8>) {
        let public = EncapsulationKey::new(&ML_KEM_768, public).unwrap();
        let (ciphertext, secret) = public.encapsulate().unwrap();
        (ciphertext.as_ref().try_into().unwrap(), secret.as_ref().to_vec())
    }

    #[test]
    fn both_sides_come_to_the_same_secret() {
        for generate in libraries() {
            let (key, public) = generate().unwrap();
            let (ciphertext, secret) = encapsulate(&public);
            assert_eq!(key.decapsulate(&ciphertext).unwrap(), *secret);
            assert_ne!(public, generate().unwrap().1);
        }
    }

    /// The secret of a bad ciphertext is made from z and the ciphertext alone, so it is the same each
    /// time.
    #[test]
    fn another_ciphertext_gives_another_secret() {
        for generate in libraries() {
            let (key, public) = generate().unwrap();
            let (mut ciphertext, secret) = encapsulate(&public);
            ciphertext[0] ^= 1;
            let another = key.decapsulate(&ciphertext).unwrap();
            assert_ne!(another, *secret);
            assert_eq!(key.decapsulate(&ciphertext).unwrap(), another);
        }
    }
}
