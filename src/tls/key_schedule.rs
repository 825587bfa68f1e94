//! The key schedule of TLS 1.3 (RFC 8446, section 7.1), on RustCrypto's HKDF.
//!
//! AWS-LC's HKDF hashes its key anew for every secret that is derived, and allocates while it does. This one
//! hashes each key once. A handshake derives some twenty secrets.

use hkdf::hmac::Hmac;
use hkdf::hmac::digest::{Output, OutputSizeUser};
use hkdf::{GenericHkdf, HmacImpl};
use rustls::crypto::hash::HashAlgorithm;
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};
use sha2::{Sha256, Sha384};

/// The key schedule with this hash; `None` for a hash of no suite of TLS 1.3.
///
/// It is never freed, so make it only once.
pub(super) fn key_schedule(hash: HashAlgorithm) -> Option<&'static dyn Hkdf> {
    Some(match hash {
        HashAlgorithm::SHA256 => Box::leak(Box::new(KeySchedule::<Hmac<Sha256>>::new())),
        HashAlgorithm::SHA384 => Box::leak(Box::new(KeySchedule::<Hmac<Sha384>>::new())),
        _ => return None,
    })
}

struct KeySchedule<H: HmacImpl> {
    /// Extracted from zeros, with a salt of zeros. Every handshake that offers no session begins with it.
    beginning: Secret<H>,
}

/// A secret from which others are derived.
#[derive(Clone)]
struct Secret<H: HmacImpl>(GenericHkdf<H>);

impl<H: HmacImpl> KeySchedule<H> {
    fn new() -> Self {
        Self { beginning: Secret::extract(None, &Output::<H>::default()) }
    }
}

impl<H: HmacImpl> Secret<H> {
    /// `None` is a salt of zeros.
    fn extract(salt: Option<&[u8]>, secret: &[u8]) -> Self {
        Self(GenericHkdf::new(salt, secret))
    }
}

impl<H: HmacImpl + Send + Sync + 'static> Hkdf for KeySchedule<H> {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        Box::new(match salt {
            None => self.beginning.clone(),
            Some(_) => Secret::<H>::extract(salt, &Output::<H>::default()),
        })
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        Box::new(Secret::<H>::extract(salt, secret))
    }

    #[expect(clippy::expect_used, reason = "a block is as long as the hash")]
    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Secret::<H>(GenericHkdf::from_prk(okm.as_ref()).expect("a whole block")))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        let mut hmac = H::new_from_slice(key.as_ref());
        hmac.update(message);
        Tag::new(&hmac.finalize())
    }
}

impl<H: HmacImpl + Send + Sync> HkdfExpander for Secret<H> {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        self.0.expand_multi_info(info, output).map_err(|_too_long| OutputLengthError)
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        let mut block = Output::<H>::default();
        // Only an output of more than 255 blocks fails. This is one block.
        let _filled = self.0.expand_multi_info(info, &mut block);
        OkmBlock::new(&block)
    }

    fn hash_len(&self) -> usize {
        <H as OutputSizeUser>::output_size()
    }
}

#[cfg(test)]
mod tests {
    use rustls::SupportedCipherSuite;
    use rustls::crypto::aws_lc_rs::cipher_suite;

    use super::*;

    fn expanded(secret: &dyn HkdfExpander, length: usize) -> (Vec<u8>, OkmBlock) {
        let mut bytes = vec![0; length];
        secret.expand_slice(&[b"some", b"", b" info"], &mut bytes).unwrap();
        (bytes, secret.expand_block(&[b"block"]))
    }

    #[test]
    fn it_derives_what_aws_lc_derives() {
        let suites = [
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        for suite in suites {
            let SupportedCipherSuite::Tls13(suite) = suite else { unreachable!("of TLS 1.3") };
            let ours = key_schedule(suite.common.hash_provider.algorithm()).unwrap();
            let theirs = suite.hkdf_provider;
            let both = |derive: &dyn Fn(&dyn Hkdf) -> Box<dyn HkdfExpander>| {
                for length in [1, 12, 32, 48, 100, 300] {
                    let [(ours, block), (theirs, their_block)] =
                        [ours, theirs].map(|hkdf| expanded(&*derive(hkdf), length));
                    assert_eq!((ours, block.as_ref()), (theirs, their_block.as_ref()));
                }
                let [ours, theirs] = [ours, theirs].map(|hkdf| derive(hkdf).hash_len());
                assert_eq!(ours, theirs);
            };
            let salt: Vec<u8> = (0..200).collect();
            for salt in [None, Some(&salt[..32]), Some(&salt[..48]), Some(&salt[..])] {
                both(&|hkdf| hkdf.extract_from_zero_ikm(salt));
                both(&|hkdf| hkdf.extract_from_secret(salt, b"a secret"));
            }
            let okm = theirs.extract_from_zero_ikm(None).expand_block(&[b"a key"]);
            both(&|hkdf| hkdf.expander_for_okm(&okm));
            let [ours, theirs] = [ours, theirs].map(|hkdf| hkdf.hmac_sign(&okm, b"a message"));
            assert_eq!(ours.as_ref(), theirs.as_ref());
        }
    }

    #[test]
    fn more_than_255_blocks_are_refused() {
        let secret = key_schedule(HashAlgorithm::SHA256).unwrap().extract_from_zero_ikm(None);
        assert!(secret.expand_slice(&[], &mut [0; 255 * 32]).is_ok());
        assert!(secret.expand_slice(&[], &mut [0; 255 * 32 + 1]).is_err());
        assert!(key_schedule(HashAlgorithm::SHA512).is_none());
    }
}
