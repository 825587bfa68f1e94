//! RSA signatures that aws-lc does not verify: by short keys, over MD5, or with an unusual salt.

use md5::Md5;
use md5::digest::const_oid::AssociatedOid;
use md5::digest::{Digest, FixedOutputReset};
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, PublicKey};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::algorithm::Hash;
use super::key::{RsaNumbers, Unsupported};

/// The largest keys that are verified with here. Larger ones cost several times what they cost in
/// aws-lc.
const MAX_BITS: usize = 4_096;

/// How the digest of a message is padded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Padding {
    Pkcs1,
    Pss {
        /// The length of the salt in bytes.
        salt: usize,
    },
}

/// Whether the signature holds.
///
/// # Errors
/// The key is not one to verify with.
pub(super) fn verify(
    numbers: RsaNumbers<'_>,
    (padding, hash): (Padding, Hash),
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Unsupported> {
    let [modulus, exponent] =
        [numbers.modulus, numbers.exponent].map(BoxedUint::from_be_slice_vartime);
    if modulus.bit_width_vartime() as usize > MAX_BITS {
        return Err(Unsupported::SignatureAlgorithm);
    }
    let key = PublicKey::new_with_size_limits(modulus, exponent, 1..=MAX_BITS)
        .map_err(|_refused| Unsupported::BadKey)?;
    let verify = match hash {
        Hash::Md5 => verify_with::<Md5>,
        Hash::Sha1 => verify_with::<Sha1>,
        Hash::Sha256 => verify_with::<Sha256>,
        Hash::Sha384 => verify_with::<Sha384>,
        Hash::Sha512 => verify_with::<Sha512>,
    };
    Ok(verify(&key, padding, message, signature))
}

fn verify_with<D: Digest + FixedOutputReset + AssociatedOid>(
    key: &PublicKey,
    padding: Padding,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let digest = D::digest(message);
    let verified = match padding {
        Padding::Pkcs1 => key.verify(Pkcs1v15Sign::new::<D>(), &digest, signature),
        Padding::Pss { salt } => key.verify(Pss::<D>::new_with_salt(salt), &digest, signature),
    };
    verified.is_ok()
}
