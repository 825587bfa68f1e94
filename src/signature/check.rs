//! The check of one signature.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, RsaParameters, VerificationAlgorithm};

use super::algorithm::{Algorithm, Hash, pss_parameters};
use super::key::{Curve, Key, Kind, MlDsa, Unsupported, dotted};
use super::rsa::{self, Padding};

/// What came of the check of one signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Checked {
    /// It holds.
    Valid,
    /// It does not hold, or no key of this kind makes signatures of this algorithm.
    Invalid,
    /// It cannot be checked.
    Unsupported(Unsupported),
}

impl From<bool> for Checked {
    fn from(holds: bool) -> Self {
        match holds {
            true => Self::Valid,
            false => Self::Invalid,
        }
    }
}

/// Checks one signature.
pub(crate) fn check(
    key: &Key<'_>,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Checked {
    let checked = match (algorithm, key.kind) {
        (_, Kind::Unknown(oid)) => Err(Unsupported::KeyAlgorithm(dotted(oid))),
        (Algorithm::RsaPkcs1(hash), Kind::Rsa) => {
            check_rsa(key, (Padding::Pkcs1, hash), message, signature)
        }
        (Algorithm::RsaPss { hash, salt }, Kind::Rsa) => {
            check_rsa(key, (Padding::Pss { salt }, hash), message, signature)
        }
        (Algorithm::RsaPss { hash, salt }, Kind::RsaPss(parameters)) => {
            match parameters.map(pss_parameters) {
                // RFC 4055, section 3.3: the hash is fixed, the salt may be longer.
                Some(Some(Algorithm::RsaPss { hash: only, salt: least }))
                    if only != hash || salt < least =>
                {
                    Ok(false)
                }
                Some(None) => Err(Unsupported::PssParameters),
                _ => check_rsa(key, (Padding::Pss { salt }, hash), message, signature),
            }
        }
        (Algorithm::Ecdsa(hash), Kind::Ec(curve)) => {
            check_ecdsa(key, curve, hash, message, signature)
        }
        (Algorithm::Ed25519, Kind::Ed25519) => check_aws(&aws::ED25519, key, message, signature),
        (Algorithm::Ed448, Kind::Ed448) => Err(Unsupported::Ed448),
        (Algorithm::MlDsa(set), Kind::MlDsa(of_key)) if set == of_key => {
            let algorithm = match set {
                MlDsa::MlDsa44 => &aws::ML_DSA_44,
                MlDsa::MlDsa65 => &aws::ML_DSA_65,
                MlDsa::MlDsa87 => &aws::ML_DSA_87,
            };
            check_aws(algorithm, key, message, signature)
        }
        _ => Ok(false),
    };
    checked.map_or_else(Checked::Unsupported, Checked::from)
}

/// Whether such a signature is checked by code that takes several times as long as aws-lc.
pub(crate) fn is_slow(key: &Key<'_>, algorithm: Algorithm) -> bool {
    let (padding, hash) = match algorithm {
        Algorithm::RsaPkcs1(hash) => (Padding::Pkcs1, hash),
        Algorithm::RsaPss { hash, salt } => (Padding::Pss { salt }, hash),
        _ => return false,
    };
    key.is_weak() || aws_rsa(padding, hash).is_none()
}

fn check_rsa(
    key: &Key<'_>,
    (padding, hash): (Padding, Hash),
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Unsupported> {
    let numbers = key.rsa()?;
    match aws_rsa(padding, hash).filter(|_| !key.is_weak()) {
        Some(parameters) => check_aws(parameters, key, message, signature),
        None => rsa::verify(numbers, (padding, hash), message, signature),
    }
}

/// How aws-lc verifies such signatures, where it does.
fn aws_rsa(padding: Padding, hash: Hash) -> Option<&'static RsaParameters> {
    Some(match (padding, hash) {
        (Padding::Pkcs1, Hash::Sha1) => &aws::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Padding::Pkcs1, Hash::Sha256) => &aws::RSA_PKCS1_2048_8192_SHA256,
        (Padding::Pkcs1, Hash::Sha384) => &aws::RSA_PKCS1_2048_8192_SHA384,
        (Padding::Pkcs1, Hash::Sha512) => &aws::RSA_PKCS1_2048_8192_SHA512,
        (Padding::Pss { salt: 32 }, Hash::Sha256) => &aws::RSA_PSS_2048_8192_SHA256,
        (Padding::Pss { salt: 48 }, Hash::Sha384) => &aws::RSA_PSS_2048_8192_SHA384,
        (Padding::Pss { salt: 64 }, Hash::Sha512) => &aws::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn check_ecdsa(
    key: &Key<'_>,
    curve: Option<Curve<'_>>,
    hash: Hash,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Unsupported> {
    // RFC 5480, section 2.2: an uncompressed or a compressed point. aws-lc takes more than that.
    if !matches!(key.bits.first(), Some(2..=4)) {
        return Err(Unsupported::BadKey);
    }
    let algorithm = match (curve, hash) {
        (None, _) => return Err(Unsupported::ExplicitCurve),
        (Some(Curve::Unknown(oid)), _) => return Err(Unsupported::Curve(dotted(oid))),
        (Some(Curve::P256), Hash::Sha1) => &aws::ECDSA_P256_SHA1_ASN1,
        (Some(Curve::P256), Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (Some(Curve::P256), Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (Some(Curve::P256), Hash::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (Some(Curve::P384), Hash::Sha1) => return check_p384_sha1(key, message, signature),
        (Some(Curve::P384), Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (Some(Curve::P384), Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (Some(Curve::P384), Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (Some(Curve::P521), Hash::Sha1) => &aws::ECDSA_P521_SHA1_ASN1,
        (Some(Curve::P521), Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (Some(Curve::P521), Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (Some(Curve::P521), Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
        (_, Hash::Md5) => return Err(Unsupported::SignatureAlgorithm),
    };
    check_aws(algorithm, key, message, signature)
}

/// Checks ECDSA with P-384 and SHA-1, for which aws-lc has no name.
///
/// ECDSA treats a digest as a number (SEC 1, section 4.1.4). A SHA-1 digest is shorter than the
/// order of the curve, so padding it with zeros at the front to the length of SHA-256 does not
/// change the number.
fn check_p384_sha1(key: &Key<'_>, message: &[u8], signature: &[u8]) -> Result<bool, Unsupported> {
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
    let mut number = [0; digest::SHA256_OUTPUT_LEN];
    for (to, from) in number.iter_mut().rev().zip(sha1.as_ref().iter().rev()) {
        *to = *from;
    }
    let digest = Digest::import_less_safe(&number, &digest::SHA256)
        .map_err(|_other_length| Unsupported::SignatureAlgorithm)?;
    let key = parse(&aws::ECDSA_P384_SHA256_ASN1, key)?;
    Ok(key.verify_digest_sig(&digest, signature).is_ok())
}

fn check_aws(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &Key<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Unsupported> {
    Ok(parse(algorithm, key)?.verify_sig(message, signature).is_ok())
}

/// The key, unless aws-lc refuses it: a point that is not on its curve, for example.
fn parse(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &Key<'_>,
) -> Result<ParsedPublicKey, Unsupported> {
    ParsedPublicKey::new(algorithm, key.bits).map_err(|_refused| Unsupported::BadKey)
}
