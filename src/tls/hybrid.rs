//! X25519MLKEM768, which takes 3.8 KiB less than rustls' own while the peer is waited for.
//!
//! rustls and AWS-LC keep the public key of 1,184 bytes four times over; here it lies once, inside
//! the secret key.

use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup,
};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), IANA's group 4588.
pub static X25519MLKEM768: &dyn SupportedKxGroup = &Hybrid;

/// Bytes of a public key of X25519, and of its secret (RFC 7748, section 6.1).
const X25519_KEY: usize = 32;

/// Bytes of an ML-KEM-768 encapsulation key, and of a ciphertext (FIPS 203, section 8).
const ENCAPSULATION_KEY: usize = 1184;
const CIPHERTEXT: usize = 1088;

/// Where the encapsulation key begins and ends in a decapsulation key (FIPS 203, algorithm 16).
const BEGIN: usize = 1152;
const END: usize = BEGIN + ENCAPSULATION_KEY;

#[derive(Debug)]
struct Hybrid;

struct Started {
    x25519: Box<dyn ActiveKeyExchange>,
    /// The decapsulation key, with the X25519 public key put in behind the encapsulation key: the
    /// two of them are what is sent.
    keys: Box<[u8]>,
}

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let x25519 = kx_group::X25519.start()?;
        let secret = DecapsulationKey::generate(&ML_KEM_768).and_then(|key| key.key_bytes());
        let secret = secret.map_err(|_unspecified| GetRandomFailed)?;
        let (before, after) = secret.as_ref().split_at_checked(END).ok_or(GetRandomFailed)?;
        let keys = [before, x25519.pub_key(), after].concat().into_boxed_slice();
        Ok(Box::new(Started { x25519, keys }))
    }

    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        kx_group::X25519MLKEM768.start_and_complete(client_share)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        kx_group::X25519MLKEM768.usable_for_version(version)
    }
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        if share.len() != CIPHERTEXT + X25519_KEY {
            return Err(invalid());
        }
        let (ciphertext, theirs) = share.split_at(CIPHERTEXT);
        let (before, after) = self.keys.split_at(END);
        let secret = [before, after.get(X25519_KEY..).unwrap_or_default()].concat();
        let ml_kem = DecapsulationKey::new(&ML_KEM_768, &secret)
            .map_err(|_no_memory| GetRandomFailed)?
            .decapsulate(ciphertext.into())
            .map_err(|_unspecified| invalid())?;
        let x25519 = self.x25519.complete(theirs)?;
        Ok([ml_kem.as_ref(), x25519.secret_bytes()].concat().into())
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.x25519.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        self.x25519.complete(share)
    }

    fn pub_key(&self) -> &[u8] {
        self.keys.get(BEGIN..END + X25519_KEY).unwrap_or_default()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: usize = CIPHERTEXT + X25519_KEY;

    /// rustls' own on the other side.
    fn server(started: &dyn ActiveKeyExchange) -> CompletedKeyExchange {
        kx_group::X25519MLKEM768.start_and_complete(started.pub_key()).unwrap()
    }

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let started = X25519MLKEM768.start().unwrap();
        let server = server(&*started);
        let secret = started.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 2 * X25519_KEY);
    }

    #[test]
    fn x25519_alone_comes_to_the_same_secret() {
        let started = X25519MLKEM768.start().unwrap();
        let (group, share) = started.hybrid_component().unwrap();
        assert_eq!(group, NamedGroup::X25519);
        assert!(started.pub_key().ends_with(share));
        let server = kx_group::X25519.start_and_complete(share).unwrap();
        let secret = started.complete_hybrid_component(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
    }

    #[test]
    fn a_share_of_another_length_is_refused() {
        for length in [0, X25519_KEY, CIPHERTEXT, SHARE - 1, SHARE + 1] {
            let started = X25519MLKEM768.start().unwrap();
            let refused = started.complete(&vec![9; length]).err();
            assert_eq!(refused, Some(PeerMisbehaved::InvalidKeyShare.into()), "{length} bytes");
        }
    }

    #[test]
    fn another_ciphertext_is_another_secret() {
        let started = X25519MLKEM768.start().unwrap();
        let server = server(&*started);
        let mut share = server.pub_key.clone();
        share[0] ^= 1;
        let secret = started.complete(&share).unwrap();
        assert_ne!(secret.secret_bytes(), server.secret.secret_bytes());
    }
}
