//! Public keys as certificates carry them (RFC 5280, section 4.1.2.7).

use std::fmt;

use x509_parser::asn1_rs::Oid;

use crate::bytes::{Reader, tag};

/// RSA keys of fewer bits are weak. aws-lc refuses them; the `rsa` crate verifies with them.
pub(crate) const MIN_STRONG_RSA_BITS: u32 = 2_048;

/// Sizes of RSA keys that are supported. Smaller keys cannot hold a SHA-256 signature. Larger ones
/// would let a peer cost too much CPU time.
const RSA_BITS: std::ops::RangeInclusive<u32> = 512..=8_192;

/// aws-lc and the `rsa` crate refuse longer public exponents, because they make a verification
/// arbitrarily slow.
const MAX_RSA_EXPONENT_BITS: u32 = 33;

/// The fields of a SubjectPublicKeyInfo, of whatever algorithm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spki<'a> {
    /// The object identifier, without its header.
    pub(crate) algorithm: &'a [u8],
    /// What follows it.
    pub(crate) parameters: &'a [u8],
    /// The number of unused bits at the end of the bit string, and its bytes.
    bits: Option<(u8, &'a [u8])>,
}

/// A key of a SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(super) kind: Kind<'a>,
    /// The content of `subjectPublicKey`.
    pub(super) bits: &'a [u8],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind<'a> {
    /// rsaEncryption.
    Rsa,
    /// id-RSASSA-PSS, with the parameters that restrict it, if it has any.
    RsaPss(Option<&'a [u8]>),
    /// A named curve; `None` where the parameters are no object identifier.
    Ec(Option<Curve<'a>>),
    Ed25519,
    Ed448,
    MlDsa(MlDsa),
    /// An unknown algorithm, by its object identifier.
    Unknown(&'a [u8]),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Curve<'a> {
    P256,
    P384,
    P521,
    /// By its object identifier.
    Unknown(&'a [u8]),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MlDsa {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

/// The numbers of an RSA key, big-endian and without leading zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct RsaNumbers<'a> {
    pub(super) modulus: &'a [u8],
    pub(super) exponent: &'a [u8],
}

/// Why a signature cannot be checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unsupported {
    /// The certificate is not readable as far as its key.
    NoKey,
    /// The key is not well-formed, or cannot be a key: its point is not on its curve, for example.
    BadKey,
    /// The algorithm of the key, by its object identifier.
    KeyAlgorithm(String),
    /// The size of an RSA key in bits.
    RsaSize(u32),
    /// The size of an RSA key's public exponent in bits.
    RsaExponent(u32),
    /// The curve of an EC key, by its object identifier.
    Curve(String),
    /// The parameters of an EC key's curve are spelt out instead of named.
    ExplicitCurve,
    /// The parameters that restrict an RSASSA-PSS key.
    PssParameters,
    /// Ed448.
    Ed448,
    /// The algorithm of the signature.
    SignatureAlgorithm,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("the certificate cannot be read as far as its key"),
            Self::BadKey => f.write_str("the certificate's key is malformed"),
            Self::KeyAlgorithm(oid) => write!(f, "a key of the unsupported algorithm {oid}"),
            Self::RsaSize(bits) => write!(f, "an RSA key of {bits} bits"),
            Self::RsaExponent(bits) => {
                write!(f, "an RSA key with a public exponent of {bits} bits")
            }
            Self::Curve(oid) => write!(f, "an EC key on the unsupported curve {oid}"),
            Self::ExplicitCurve => f.write_str("an EC key on a curve with explicit parameters"),
            Self::PssParameters => {
                f.write_str("an RSASSA-PSS key that unsupported parameters restrict")
            }
            Self::Ed448 => f.write_str("Ed448 is not supported"),
            Self::SignatureAlgorithm => f.write_str("an unsupported signature algorithm"),
        }
    }
}

/// The SubjectPublicKeyInfo of a certificate, with its header.
///
/// It is found by its place alone, so that a certificate of an old version, with unknown extensions
/// or with a broken end still has a key.
pub(crate) fn spki_of(certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = Reader::new(certificate).enter_cut(tag::SEQUENCE)?.inside;
    let mut fields = certificate.enter_cut(tag::SEQUENCE)?.inside;
    if fields.peek() == Some(tag::context(0)) {
        fields.element()?;
    }
    fields.expect(tag::INTEGER)?;
    const ALGORITHM_ISSUER_VALIDITY_SUBJECT: usize = 4;
    for _ in 0..ALGORITHM_ISSUER_VALIDITY_SUBJECT {
        fields.expect(tag::SEQUENCE)?;
    }
    Some(fields.expect(tag::SEQUENCE)?.whole)
}

/// The name of the certificate's key, if rustls takes no signature by such a key in TLS 1.2.
pub(crate) fn without_tls12(certificate: &[u8]) -> Option<&'static str> {
    match spki_of(certificate).and_then(Key::read)?.kind {
        Kind::RsaPss(_) => Some("RSASSA-PSS"),
        Kind::Ed448 => Some("Ed448"),
        _ => None,
    }
}

impl<'a> Spki<'a> {
    /// Reads a SubjectPublicKeyInfo, which is given with its header. A key that is malformed may still
    /// have an algorithm.
    pub(crate) fn read(spki: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(Reader::new(spki).expect(tag::SEQUENCE)?.value);
        let mut algorithm = Reader::new(fields.expect(tag::SEQUENCE)?.value);
        let bits = fields.expect(tag::BIT_STRING).and_then(|bits| bits.value.split_first());
        Some(Self {
            algorithm: algorithm.expect(tag::OID)?.value,
            parameters: algorithm.rest(),
            bits: bits.map(|(&unused, bytes)| (unused, bytes)),
        })
    }

    /// The bytes of the bit string, which OCSP hashes.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.bits.map(|(_unused, bytes)| bytes)
    }
}

impl<'a> Key<'a> {
    /// Reads a SubjectPublicKeyInfo, which is given with its header.
    pub(crate) fn read(spki: &'a [u8]) -> Option<Self> {
        let Spki { algorithm, parameters, bits } = Spki::read(spki)?;
        let (unused, bits) = bits?;
        let kind = Kind::read(algorithm, parameters)?;
        (unused == 0).then_some(Self { kind, bits })
    }

    /// The size of an RSA key's modulus, whatever follows it; `None` for other keys.
    pub(crate) fn rsa_bits(&self) -> Option<u32> {
        if !self.is_rsa() {
            return None;
        }
        let mut numbers = Reader::new(Reader::new(self.bits).expect(tag::SEQUENCE)?.value);
        Some(bits(without_zeros(numbers.expect(tag::INTEGER)?.value)))
    }

    /// Whether this is an RSA key that is too short to be trusted.
    pub(crate) fn is_weak(&self) -> bool {
        self.rsa_bits().is_some_and(|bits| bits < MIN_STRONG_RSA_BITS)
    }

    pub(super) fn is_rsa(&self) -> bool {
        matches!(self.kind, Kind::Rsa | Kind::RsaPss(_))
    }

    /// The numbers of an RSA key that signatures can be verified with.
    pub(super) fn rsa(&self) -> Result<RsaNumbers<'a>, Unsupported> {
        let numbers = RsaNumbers::read(self.bits).ok_or(Unsupported::BadKey)?;
        let size = bits(numbers.modulus);
        let exponent = bits(numbers.exponent);
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !RSA_BITS.contains(&size) {
            return Err(Unsupported::RsaSize(size));
        }
        if exponent > MAX_RSA_EXPONENT_BITS {
            return Err(Unsupported::RsaExponent(exponent));
        }
        // With an exponent of one, every padded message is its own signature.
        if exponent < 2 || !is_odd(numbers.exponent) || !is_odd(numbers.modulus) {
            return Err(Unsupported::BadKey);
        }
        Ok(numbers)
    }
}

impl<'a> Kind<'a> {
    /// `parameters` is what follows the object identifier.
    fn read(oid: &'a [u8], parameters: &'a [u8]) -> Option<Self> {
        const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
        const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3];
        let kind = match (oid, oid.strip_prefix(PKCS1), oid.strip_prefix(ML_DSA)) {
            // RFC 3279 wants NULL for parameters; nothing depends on them.
            (_, Some([1]), _) => return Some(Self::Rsa),
            (_, Some([10]), _) => {
                return Some(Self::RsaPss((!parameters.is_empty()).then_some(parameters)));
            }
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], ..) => {
                let mut parameters = Reader::new(parameters);
                let curve = parameters.expect(tag::OID).map(|oid| Curve::of(oid.value));
                return (curve.is_none() || parameters.is_empty()).then_some(Self::Ec(curve));
            }
            ([0x2b, 0x65, 112], ..) => Self::Ed25519,
            ([0x2b, 0x65, 113], ..) => Self::Ed448,
            (_, _, Some([17])) => Self::MlDsa(MlDsa::MlDsa44),
            (_, _, Some([18])) => Self::MlDsa(MlDsa::MlDsa65),
            (_, _, Some([19])) => Self::MlDsa(MlDsa::MlDsa87),
            _ => return Some(Self::Unknown(oid)),
        };
        // RFC 8410 and RFC 9881 leave out the parameters.
        parameters.is_empty().then_some(kind)
    }
}

impl<'a> Curve<'a> {
    fn of(oid: &'a [u8]) -> Self {
        match oid {
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => Self::P256,
            [0x2b, 0x81, 4, 0, 34] => Self::P384,
            [0x2b, 0x81, 4, 0, 35] => Self::P521,
            _ => Self::Unknown(oid),
        }
    }
}

impl<'a> RsaNumbers<'a> {
    /// Reads an RSAPublicKey (RFC 8017, appendix A.1.1).
    fn read(key: &'a [u8]) -> Option<Self> {
        let mut key = Reader::new(key);
        let mut numbers = Reader::new(key.expect(tag::SEQUENCE)?.value);
        let modulus = positive(numbers.expect(tag::INTEGER)?.value)?;
        let exponent = positive(numbers.expect(tag::INTEGER)?.value)?;
        (key.is_empty() && numbers.is_empty()).then_some(Self { modulus, exponent })
    }
}

/// A positive INTEGER without leading zeros.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    if integer.first()? & 0x80 != 0 {
        return None;
    }
    Some(without_zeros(integer))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&digit| digit == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// How many bits a number has that begins without zeros.
fn bits(number: &[u8]) -> u32 {
    let first = number.first().copied().unwrap_or_default();
    let length = u32::try_from(number.len()).unwrap_or(u32::MAX / 8);
    (length * 8).saturating_sub(first.leading_zeros())
}

/// An object identifier in dots.
pub(super) fn dotted(oid: &[u8]) -> String {
    Oid::new(oid.into()).to_id_string()
}
