//! Key shares of our own. They take less memory than those of rustls while a dial waits, and may be
//! used for all hellos of one second.
//!
//! rustls and AWS-LC keep the secret key of ML-KEM, and four copies of its public key, which has 1,184
//! bytes. Here there is one copy of the public key, and secret keys are kept as the random bytes that they
//! are made from. All of it is one block of memory. On a processor that graviola does not support, the key of
//! ML-KEM is a second one.
//!
//! Using a share again gives up forward secrecy (RFC 8446, section 1.2) among the connections of
//! one second. They carry no secrets of the client. An observer can also tell that these
//! connections belong together. The last key is kept until the next one is made.

mod hybrid;
mod ml_kem;
mod x25519;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup,
};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use tokio::time::Instant;

/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), IANA's group 4588.
pub static X25519MLKEM768: &dyn SupportedKxGroup = &FRESH_HYBRID;

/// X25519 (RFC 7748), IANA's group 29.
pub static X25519: &dyn SupportedKxGroup = &FRESH_X25519;

/// The groups whose key shares can be sent again, and are.
pub static REUSED: [&dyn SupportedKxGroup; 2] = [&REUSED_HYBRID, &REUSED_X25519];

/// How long a share is used again after it was made.
const LIFETIME: Duration = Duration::from_secs(1);

static FRESH_HYBRID: Group<hybrid::Keys> = Group::new(false);
static FRESH_X25519: Group<x25519::Keys> = Group::new(false);
static REUSED_HYBRID: Group<hybrid::Keys> = Group::new(true);
static REUSED_X25519: Group<x25519::Keys> = Group::new(true);

struct Group<K> {
    reuses: bool,
    last: Mutex<Option<(Instant, Arc<K>)>>,
}

/// The secret keys of a share, and what is sent.
trait Keys: Send + Sync + 'static {
    /// The same group by rustls.
    fn of_rustls() -> &'static dyn SupportedKxGroup;

    /// What is sent.
    fn public(&self) -> &[u8];

    /// The secret that both sides come to when the server answers with `share`.
    ///
    /// # Errors
    /// That is no share of this group, or there is no memory.
    fn agree(&self, share: &[u8]) -> Result<SharedSecret, Error>;

    /// The share of X25519 inside that of a hybrid: its secret, and what is sent.
    fn x25519(&self) -> Option<(&x25519::Secret, &[u8])> {
        None
    }
}

/// Keys that can be made.
trait Generate: Keys + Sized {
    /// Random ones.
    ///
    /// # Errors
    /// This machine has no random numbers.
    fn generate() -> Result<Self, Unspecified>;
}

/// A key exchange that waits for its answer.
struct Started<K>(K);

impl<K> Group<K> {
    const fn new(reuses: bool) -> Self {
        Self { reuses, last: Mutex::new(None) }
    }
}

/// Whether graviola runs on this processor. It needs BMI2 (`pext`), and does not look for it.
fn is_graviola_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_bmi2 = std::arch::is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    let has_bmi2 = true;
    has_bmi2 && graviola::util::is_cpu_supported()
}

/// Without the secret keys.
impl<K: Keys> fmt::Debug for Group<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = K::of_rustls().name();
        f.debug_struct("Group").field("name", &name).field("reuses", &self.reuses).finish()
    }
}

impl<K: Generate> SupportedKxGroup for Group<K> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let generate = || K::generate().map_err(|Unspecified| Error::from(GetRandomFailed));
        if !self.reuses {
            return Ok(Box::new(Started(generate()?)));
        }
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, keys) = match last.take() {
            Some((made, keys)) if now.duration_since(made) < LIFETIME => (made, keys),
            _ => (now, Arc::new(generate()?)),
        };
        *last = Some((made, Arc::clone(&keys)));
        Ok(Box::new(Started(keys)))
    }

    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        K::of_rustls().start_and_complete(client_share)
    }

    fn name(&self) -> NamedGroup {
        K::of_rustls().name()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        K::of_rustls().usable_for_version(version)
    }
}

/// Keys that other connections use as well.
impl<K: Keys> Keys for Arc<K> {
    fn of_rustls() -> &'static dyn SupportedKxGroup {
        K::of_rustls()
    }

    fn public(&self) -> &[u8] {
        (**self).public()
    }

    fn agree(&self, share: &[u8]) -> Result<SharedSecret, Error> {
        (**self).agree(share)
    }

    fn x25519(&self) -> Option<(&x25519::Secret, &[u8])> {
        (**self).x25519()
    }
}

impl<K: Keys> ActiveKeyExchange for Started<K> {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        self.0.agree(share)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        self.0.x25519().map(|(_secret, public)| (NamedGroup::X25519, public))
    }

    fn complete_hybrid_component(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (secret, _public) = self.0.x25519().ok_or(PeerMisbehaved::InvalidKeyShare)?;
        Ok(secret.agree(share)?.as_slice().into())
    }

    fn pub_key(&self) -> &[u8] {
        self.0.public()
    }

    fn group(&self) -> NamedGroup {
        K::of_rustls().name()
    }
}

#[cfg(test)]
mod tests {
    use std::iter::zip;

    use tokio::time::advance;

    use super::*;

    /// Both groups, first of the kind whose shares are sent once.
    fn groups() -> [Box<dyn SupportedKxGroup>; 4] {
        [
            Box::new(Group::<hybrid::Keys>::new(false)),
            Box::new(Group::<x25519::Keys>::new(false)),
            Box::new(Group::<hybrid::Keys>::new(true)),
            Box::new(Group::<x25519::Keys>::new(true)),
        ]
    }

    fn of_rustls(group: &dyn SupportedKxGroup) -> &'static dyn SupportedKxGroup {
        let known = [hybrid::Keys::of_rustls(), x25519::Keys::of_rustls()];
        known.into_iter().find(|known| known.name() == group.name()).unwrap()
    }

    #[test]
    fn every_server_comes_to_the_same_secret() {
        for group in groups() {
            let secrets = [(); 2].map(|()| {
                let started = group.start().unwrap();
                assert_eq!(started.group(), group.name());
                let server = of_rustls(&*group).start_and_complete(started.pub_key()).unwrap();
                let secret = started.complete(&server.pub_key).unwrap();
                assert_eq!(secret.secret_bytes(), server.secret.secret_bytes(), "{group:?}");
                secret.secret_bytes().to_vec()
            });
            assert_ne!(secrets[0], secrets[1], "{group:?}");
        }
    }

    #[test]
    fn x25519_alone_comes_to_the_same_secret() {
        let [fresh, fresh_x25519, reused, reused_x25519] = groups();
        for hybrid in [fresh, reused] {
            let started = hybrid.start().unwrap();
            let (group, share) = started.hybrid_component().unwrap();
            assert_eq!(group, NamedGroup::X25519);
            assert!(started.pub_key().ends_with(share));
            let server = x25519::Keys::of_rustls().start_and_complete(share).unwrap();
            let secret = started.complete_hybrid_component(&server.pub_key).unwrap();
            assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        }
        for x25519 in [fresh_x25519, reused_x25519] {
            assert!(x25519.start().unwrap().hybrid_component().is_none());
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for group in groups() {
            let before = match group.name() {
                NamedGroup::X25519 => 0,
                _ => ml_kem::CIPHERTEXT,
            };
            let right = before + x25519::KEY;
            let wrong = [0, x25519::KEY - 1, ml_kem::CIPHERTEXT, right - 1, right + 1];
            let mut shares = Vec::from(wrong.map(|length| vec![9; length]));
            // A point of small order: the secret would be zero (RFC 7748, section 6.1).
            shares.push(vec![0; right]);
            // What AWS-LC would take for a key: a SubjectPublicKeyInfo (RFC 8410, section 4).
            let info = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";
            shares.push([&vec![9; before][..], &info, &[9; x25519::KEY]].concat());
            for share in shares {
                let length = share.len();
                let refused = group.start().unwrap().complete(&share).err();
                let invalid = Some(PeerMisbehaved::InvalidKeyShare.into());
                assert_eq!(refused, invalid, "{length} bytes: {group:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_sent_for_a_second_and_no_longer() {
        for (group, reuses) in zip(groups(), [false, false, true, true]) {
            let share = || group.start().unwrap().pub_key().to_vec();
            let first = share();
            advance(LIFETIME - Duration::from_millis(1)).await;
            assert_eq!(share() == first, reuses, "{group:?}");
            advance(Duration::from_millis(1)).await;
            let second = share();
            assert_ne!(second, first);
            assert_eq!(share() == second, reuses, "{group:?}");
        }
    }
}
