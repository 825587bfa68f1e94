//! X25519 (RFC 7748). A secret key is its 32 random bytes.
//!
//! AWS-LC keeps a key in three blocks of memory. Where graviola supports the processor, it works with the
//! bytes, in the same time (`benches/README.md`). On other processors AWS-LC makes its key from them each time.

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, PeerMisbehaved};

use super::is_graviola_supported;

/// Bytes of a public key, of a secret key and of what both sides come to (RFC 7748, section 6.1).
pub(super) const KEY: usize = 32;

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// A secret key.
pub(super) struct Secret([u8; KEY]);

/// The keys of a share of X25519 alone.
pub(super) struct Keys {
    secret: Secret,
    public: [u8; KEY],
}

impl Secret {
    /// A random key, and the public key that belongs to it.
    ///
    /// # Errors
    /// This machine has no random numbers.
    pub(super) fn generate() -> Result<(Self, [u8; KEY]), Unspecified> {
        let mut secret = [0; KEY];
        rand::fill(&mut secret)?;
        let public = match is_graviola_supported() {
            true => public_by_graviola(&secret),
            false => public_by_aws_lc(&secret)?,
        };
        Ok((Self(secret), public))
    }

    /// What both sides come to.
    ///
    /// # Errors
    /// `theirs` is no public key, the secret would be zero, or there is no memory.
    pub(super) fn agree(&self, theirs: &[u8]) -> Result<[u8; KEY], Error> {
        // AWS-LC would also accept a SubjectPublicKeyInfo.
        let theirs = theirs.try_into().map_err(|_wrong_length| INVALID)?;
        match is_graviola_supported() {
            true => agree_by_graviola(&self.0, theirs),
            false => agree_by_aws_lc(&self.0, theirs),
        }
    }
}

fn public_by_graviola(secret: &[u8; KEY]) -> [u8; KEY] {
    StaticPrivateKey::from_array(secret).public_key().as_bytes()
}

fn public_by_aws_lc(secret: &[u8; KEY]) -> Result<[u8; KEY], Unspecified> {
    let public = of_aws_lc(secret)?.compute_public_key()?;
    public.as_ref().try_into().map_err(|_wrong_length| Unspecified)
}

fn agree_by_graviola(secret: &[u8; KEY], theirs: &[u8; KEY]) -> Result<[u8; KEY], Error> {
    let secret = StaticPrivateKey::from_array(secret);
    let agreed = secret.diffie_hellman(&PublicKey::from_array(theirs));
    agreed.map(|agreed| agreed.0).map_err(|_zero| INVALID)
}

fn agree_by_aws_lc(secret: &[u8; KEY], theirs: &[u8; KEY]) -> Result<[u8; KEY], Error> {
    let secret = of_aws_lc(secret).map_err(|Unspecified| GetRandomFailed)?;
    let theirs = UnparsedPublicKey::new(&agreement::X25519, theirs);
    agree(&secret, theirs, INVALID, |agreed| agreed.try_into().map_err(|_wrong_length| INVALID))
}

fn of_aws_lc(secret: &[u8; KEY]) -> Result<PrivateKey, Unspecified> {
    PrivateKey::from_private_key(&agreement::X25519, secret).map_err(|_refused| Unspecified)
}

impl super::Generate for Keys {
    fn generate() -> Result<Self, Unspecified> {
        let (secret, public) = Secret::generate()?;
        Ok(Self { secret, public })
    }
}

impl super::Keys for Keys {
    fn of_rustls() -> &'static dyn SupportedKxGroup {
        kx_group::X25519
    }

    fn public(&self) -> &[u8] {
        &self.public
    }

    fn agree(&self, share: &[u8]) -> Result<SharedSecret, Error> {
        Ok(self.secret.agree(share)?.as_slice().into())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// The public key of a secret one, and what it comes to with the public key of the other side.
    type Library = (
        fn(&[u8; KEY]) -> Result<[u8; KEY], Unspecified>,
        fn(&[u8; KEY], &[u8; KEY]) -> Result<[u8; KEY], Error>,
    );

    /// Those that work on this processor.
    fn libraries() -> Vec<Library> {
        let mut libraries: Vec<Library> = vec![(public_by_aws_lc, agree_by_aws_lc)];
        if is_graviola_supported() {
            libraries.push((|secret| Ok(public_by_graviola(secret)), agree_by_graviola));
        }
        libraries
    }

    const BASE_POINT: [u8; KEY] = first(9);

    /// A number below 256 as a key: the first byte is the lowest.
    const fn first(byte: u8) -> [u8; KEY] {
        let mut key = [0; KEY];
        key[0] = byte;
        key
    }

    /// RFC 7748, section 5.2: the secret of each step is the next secret key, and the secret key is the next
    /// public one.
    #[test]
    fn a_thousand_agreements_lead_to_the_vector() {
        for (public, agree) in libraries() {
            assert_eq!(public(&BASE_POINT).unwrap(), agree(&BASE_POINT, &BASE_POINT).unwrap());
            let (mut secret, mut theirs) = (BASE_POINT, BASE_POINT);
            for step in 1..=1000 {
                (secret, theirs) = (agree(&secret, &theirs).unwrap(), secret);
                let vector = match step {
                    1 => "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
                    1000 => "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
                    _ => continue,
                };
                assert_eq!(HEXLOWER.encode(&secret), vector, "{step}");
            }
        }
    }

    /// The secret of some keys would be zero (section 6.1). The highest bit of a public key does not count
    /// (section 5).
    #[test]
    fn public_keys_at_the_edges() {
        for (public, agree) in libraries() {
            for small_order in [first(0), first(1)] {
                assert_eq!(agree(&[7; KEY], &small_order), Err(INVALID));
            }
            let theirs = public(&[8; KEY]).unwrap();
            let mut with_highest_bit = theirs;
            with_highest_bit[KEY - 1] |= 0x80;
            assert_eq!(agree(&[7; KEY], &with_highest_bit), agree(&[7; KEY], &theirs));
        }
    }
}
