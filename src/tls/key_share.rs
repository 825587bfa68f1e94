//! Key shares of our own. They take less memory than those of rustls while a dial waits, and may be
//! used for all hellos of one second.
//!
//! rustls and AWS-LC keep the secret key of ML-KEM, and four copies of its public key, which has 1,184
//! bytes. Here there is one copy of the public key, and the secret key is kept as its seed (`ml_kem.rs`).
//!
//! Using a share again gives up forward secrecy (RFC 8446, section 1.2) among the connections of
//! one second. They carry no secrets of the client. An observer can also tell that these
//! connections belong together. The last key is kept until the next one is made.

mod ml_kem;

use std::borrow::Borrow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup,
};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use tokio::time::Instant;

use ml_kem::{CIPHERTEXT, ENCAPSULATION_KEY, SecretKey};

/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), IANA's group 4588.
pub static X25519MLKEM768: &dyn SupportedKxGroup = &FRESH_HYBRID;

/// X25519 (RFC 7748), IANA's group 29.
pub static X25519: &dyn SupportedKxGroup = &FRESH_X25519;

/// The groups whose key shares can be sent again, and are.
pub static REUSED: [&dyn SupportedKxGroup; 2] = [&REUSED_HYBRID, &REUSED_X25519];

/// How long a share is used again after it was made.
const LIFETIME: Duration = Duration::from_secs(1);

static FRESH_HYBRID: Group = Group::new(NamedGroup::X25519MLKEM768, false);
static FRESH_X25519: Group = Group::new(NamedGroup::X25519, false);
static REUSED_HYBRID: Group = Group::new(NamedGroup::X25519MLKEM768, true);
static REUSED_X25519: Group = Group::new(NamedGroup::X25519, true);

/// Bytes of a public key of X25519, and of its secret (RFC 7748, section 6.1).
const X25519_KEY: usize = 32;

struct Group {
    name: NamedGroup,
    reuses: bool,
    last: Mutex<Option<(Instant, Arc<Keys>)>>,
}

/// The secret keys, and what is sent.
struct Keys {
    x25519: PrivateKey,
    /// The ML-KEM key, which only a hybrid has.
    ml_kem: Option<SecretKey>,
    /// What is sent: the X25519 public key, in a hybrid behind the encapsulation key.
    public: Box<[u8]>,
}

/// A key exchange that waits for its answer: with keys of its own, or with some that other connections use
/// as well.
struct Started<K>(K);

impl Group {
    const fn new(name: NamedGroup, reuses: bool) -> Self {
        Self { name, reuses, last: Mutex::new(None) }
    }

    fn of_rustls(&self) -> &'static dyn SupportedKxGroup {
        match self.name {
            NamedGroup::X25519 => kx_group::X25519,
            _ => kx_group::X25519MLKEM768,
        }
    }

    fn generate(&self) -> Result<Keys, Error> {
        let generate = || {
            let x25519 = PrivateKey::generate(&agreement::X25519)?;
            let public = x25519.compute_public_key()?;
            Ok(match self.name {
                NamedGroup::X25519 => Keys { x25519, ml_kem: None, public: public.as_ref().into() },
                _ => {
                    let (ml_kem, encapsulation_key) = SecretKey::generate()?;
                    let public = [&encapsulation_key, public.as_ref()].concat().into_boxed_slice();
                    Keys { x25519, ml_kem: Some(ml_kem), public }
                }
            })
        };
        generate().map_err(|_unspecified: Unspecified| GetRandomFailed.into())
    }
}

/// Without the secret keys.
impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).field("reuses", &self.reuses).finish()
    }
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        if !self.reuses {
            return Ok(Box::new(Started(self.generate()?)));
        }
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, keys) = match last.take() {
            Some((made, keys)) if now.duration_since(made) < LIFETIME => (made, keys),
            _ => (now, Arc::new(self.generate()?)),
        };
        *last = Some((made, Arc::clone(&keys)));
        Ok(Box::new(Started(keys)))
    }

    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        self.of_rustls().start_and_complete(client_share)
    }

    fn name(&self) -> NamedGroup {
        self.name
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        self.of_rustls().usable_for_version(version)
    }
}

impl Keys {
    fn agree_by_x25519(&self, share: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = PeerMisbehaved::InvalidKeyShare.into();
        // AWS-LC would also accept a SubjectPublicKeyInfo here.
        if share.len() != X25519_KEY {
            return Err(invalid);
        }
        let theirs = UnparsedPublicKey::new(&agreement::X25519, share);
        agree(&self.x25519, theirs, invalid, |secret| Ok(secret.to_vec().into()))
    }
}

impl<K: Borrow<Keys> + Send + Sync> ActiveKeyExchange for Started<K> {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let keys = self.0.borrow();
        let Some(ml_kem) = &keys.ml_kem else { return keys.agree_by_x25519(share) };
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let (ciphertext, theirs) = share.split_first_chunk::<CIPHERTEXT>().ok_or_else(invalid)?;
        let ml_kem = ml_kem.decapsulate(ciphertext).map_err(|_no_memory| GetRandomFailed)?;
        let x25519 = keys.agree_by_x25519(theirs)?;
        Ok([&ml_kem, x25519.secret_bytes()].concat().into())
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        let keys = self.0.borrow();
        let share = keys.public.get(ENCAPSULATION_KEY..).filter(|_| keys.ml_kem.is_some())?;
        Some((NamedGroup::X25519, share))
    }

    fn complete_hybrid_component(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        self.0.borrow().agree_by_x25519(share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.0.borrow().public
    }

    fn group(&self) -> NamedGroup {
        match self.0.borrow().ml_kem {
            Some(_) => NamedGroup::X25519MLKEM768,
            None => NamedGroup::X25519,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn groups() -> [Group; 4] {
        [
            Group::new(NamedGroup::X25519MLKEM768, false),
            Group::new(NamedGroup::X25519MLKEM768, true),
            Group::new(NamedGroup::X25519, true),
            Group::new(NamedGroup::X25519, false),
        ]
    }

    #[test]
    fn every_server_comes_to_the_same_secret() {
        for group in groups() {
            let secrets = [(); 2].map(|()| {
                let started = group.start().unwrap();
                let server = group.of_rustls().start_and_complete(started.pub_key()).unwrap();
                let secret = started.complete(&server.pub_key).unwrap();
                assert_eq!(secret.secret_bytes(), server.secret.secret_bytes(), "{group:?}");
                secret.secret_bytes().to_vec()
            });
            assert_ne!(secrets[0], secrets[1], "{group:?}");
        }
    }

    #[test]
    fn x25519_alone_comes_to_the_same_secret() {
        let [fresh, reused, x25519, fresh_x25519] = groups();
        for hybrid in [fresh, reused] {
            let started = hybrid.start().unwrap();
            let (group, share) = started.hybrid_component().unwrap();
            assert_eq!(group, NamedGroup::X25519);
            assert!(started.pub_key().ends_with(share));
            let server = kx_group::X25519.start_and_complete(share).unwrap();
            let secret = started.complete_hybrid_component(&server.pub_key).unwrap();
            assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        }
        for x25519 in [x25519, fresh_x25519] {
            assert!(x25519.start().unwrap().hybrid_component().is_none());
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for group in groups() {
            let right = match group.name {
                NamedGroup::X25519 => X25519_KEY,
                _ => CIPHERTEXT + X25519_KEY,
            };
            let wrong = [0, X25519_KEY - 1, CIPHERTEXT, right - 1, right + 1];
            let mut shares = Vec::from(wrong.map(|length| vec![9; length]));
            // A point of small order: the secret would be zero (RFC 7748, section 6.1).
            shares.push(vec![0; right]);
            // What AWS-LC would take for a key: a SubjectPublicKeyInfo (RFC 8410, section 4).
            let before = vec![9; right - X25519_KEY];
            let info = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";
            shares.push([&before[..], &info, &[9; X25519_KEY]].concat());
            for share in shares {
                let length = share.len();
                let refused = group.start().unwrap().complete(&share).err();
                let invalid = Some(PeerMisbehaved::InvalidKeyShare.into());
                assert_eq!(refused, invalid, "{length} bytes: {group:?}");
            }
        }
    }

    #[test]
    fn another_ciphertext_is_another_secret() {
        for group in &groups()[..2] {
            let started = group.start().unwrap();
            let server = group.of_rustls().start_and_complete(started.pub_key()).unwrap();
            let mut share = server.pub_key.clone();
            share[0] ^= 1;
            let secret = started.complete(&share).unwrap();
            assert_ne!(secret.secret_bytes(), server.secret.secret_bytes());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_sent_for_a_second_and_no_longer() {
        for group in groups() {
            let share = || group.start().unwrap().pub_key().to_vec();
            let first = share();
            advance(LIFETIME - Duration::from_millis(1)).await;
            assert_eq!(share() == first, group.reuses, "{group:?}");
            advance(Duration::from_millis(1)).await;
            let second = share();
            assert_ne!(second, first);
            assert_eq!(share() == second, group.reuses, "{group:?}");
        }
    }
}
