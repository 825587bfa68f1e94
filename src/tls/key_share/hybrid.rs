//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): the secret is that of ML-KEM-768 and that of X25519, one
//! behind the other, and so are the shares.

use aws_lc_rs::error::Unspecified;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, PeerMisbehaved};

use super::ml_kem::{CIPHERTEXT, ENCAPSULATION_KEY};
use super::{ml_kem, x25519};

/// The keys of a share.
pub(super) struct Keys {
    ml_kem: ml_kem::SecretKey,
    x25519: x25519::Secret,
    public: [u8; ENCAPSULATION_KEY + x25519::KEY],
}

impl super::Generate for Keys {
    fn generate() -> Result<Self, Unspecified> {
        let (ml_kem, encapsulation_key) = ml_kem::SecretKey::generate()?;
        let (x25519, of_x25519) = x25519::Secret::generate()?;
        let mut public = [0; _];
        let (begin, end) = public.split_at_mut(ENCAPSULATION_KEY);
        begin.copy_from_slice(&encapsulation_key);
        end.copy_from_slice(&of_x25519);
        Ok(Self { ml_kem, x25519, public })
    }
}

impl super::Keys for Keys {
    fn of_rustls() -> &'static dyn SupportedKxGroup {
        kx_group::X25519MLKEM768
    }

    fn public(&self) -> &[u8] {
        &self.public
    }

    fn agree(&self, share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, theirs) =
            share.split_first_chunk::<CIPHERTEXT>().ok_or(PeerMisbehaved::InvalidKeyShare)?;
        let ml_kem = self.ml_kem.decapsulate(ciphertext).map_err(|Unspecified| GetRandomFailed)?;
        let x25519 = self.x25519.agree(theirs)?;
        Ok([ml_kem, x25519].concat().into())
    }

    fn x25519(&self) -> Option<(&x25519::Secret, &[u8])> {
        Some((&self.x25519, self.public.get(ENCAPSULATION_KEY..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that every dial which waits for a ServerHello holds beside what it sent: two seeds of ML-KEM, one
    /// key of X25519, and a tag.
    const SECRETS: usize = 2 * 32 + 32 + 8;

    #[test]
    fn keys_that_wait_in_large_numbers_are_small() {
        assert!(size_of::<Keys>() <= ENCAPSULATION_KEY + x25519::KEY + SECRETS);
    }
}
