//! Signature algorithms as TLS numbers them and as X.509 names them.

use super::key::MlDsa;
use crate::bytes::{Reader, tag};

/// An algorithm that signatures are checked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    RsaPkcs1(Hash),
    RsaPss {
        hash: Hash,
        /// The length of the salt in bytes.
        salt: usize,
    },
    Ecdsa(Hash),
    Ed25519,
    Ed448,
    MlDsa(MlDsa),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The length of a digest in bytes.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Algorithm {
    /// The algorithm of a signature scheme of TLS (IANA's registry of TLS SignatureScheme).
    pub(crate) fn of_scheme(scheme: u16) -> Option<Self> {
        Some(match scheme {
            0x0201 => Self::RsaPkcs1(Hash::Sha1),
            0x0401 => Self::RsaPkcs1(Hash::Sha256),
            0x0501 => Self::RsaPkcs1(Hash::Sha384),
            0x0601 => Self::RsaPkcs1(Hash::Sha512),
            0x0203 => Self::Ecdsa(Hash::Sha1),
            0x0403 => Self::Ecdsa(Hash::Sha256),
            0x0503 => Self::Ecdsa(Hash::Sha384),
            0x0603 => Self::Ecdsa(Hash::Sha512),
            0x0804 | 0x0809 => Self::pss(Hash::Sha256),
            0x0805 | 0x080a => Self::pss(Hash::Sha384),
            0x0806 | 0x080b => Self::pss(Hash::Sha512),
            0x0807 => Self::Ed25519,
            0x0808 => Self::Ed448,
            0x0904 => Self::MlDsa(MlDsa::MlDsa44),
            0x0905 => Self::MlDsa(MlDsa::MlDsa65),
            0x0906 => Self::MlDsa(MlDsa::MlDsa87),
            _ => return None,
        })
    }

    /// The algorithm of an AlgorithmIdentifier, which is given with its header.
    pub(crate) fn of_identifier(identifier: &[u8]) -> Option<Self> {
        const NULL: &[u8] = &[0x05, 0];
        const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
        const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
        const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3];
        let mut fields = Reader::new(Reader::new(identifier).expect(tag::SEQUENCE)?.value);
        let oid = fields.expect(tag::OID)?.value;
        let parameters = fields.rest();
        let pkcs1 = |hash| {
            // RFC 4055, section 5, asks for NULL. It is often left out.
            (parameters.is_empty() || parameters == NULL).then_some(Self::RsaPkcs1(hash))
        };
        if let Some(number) = oid.strip_prefix(PKCS1) {
            return match number {
                [4] => pkcs1(Hash::Md5),
                [5] => pkcs1(Hash::Sha1),
                [10] => pss_parameters(parameters),
                [11] => pkcs1(Hash::Sha256),
                [12] => pkcs1(Hash::Sha384),
                [13] => pkcs1(Hash::Sha512),
                _ => None,
            };
        }
        let algorithm = match (oid, oid.strip_prefix(ECDSA), oid.strip_prefix(ML_DSA)) {
            (_, Some([1]), _) => Self::Ecdsa(Hash::Sha1),
            (_, Some([3, 2]), _) => Self::Ecdsa(Hash::Sha256),
            (_, Some([3, 3]), _) => Self::Ecdsa(Hash::Sha384),
            (_, Some([3, 4]), _) => Self::Ecdsa(Hash::Sha512),
            ([0x2b, 0x65, 112], ..) => Self::Ed25519,
            ([0x2b, 0x65, 113], ..) => Self::Ed448,
            (_, _, Some([17])) => Self::MlDsa(MlDsa::MlDsa44),
            (_, _, Some([18])) => Self::MlDsa(MlDsa::MlDsa65),
            (_, _, Some([19])) => Self::MlDsa(MlDsa::MlDsa87),
            _ => return None,
        };
        parameters.is_empty().then_some(algorithm)
    }

    /// Whether the hash is one that no strict client accepts any more.
    pub(crate) fn has_weak_hash(self) -> bool {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss { hash, .. } | Self::Ecdsa(hash) => {
                matches!(hash, Hash::Md5 | Hash::Sha1)
            }
            Self::Ed25519 | Self::Ed448 | Self::MlDsa(_) => false,
        }
    }

    const fn pss(hash: Hash) -> Self {
        Self::RsaPss { hash, salt: hash.length() }
    }
}

/// RSASSA-PSS-params (RFC 4055, section 3.1). MGF1 must use the same hash as the signature.
pub(super) fn pss_parameters(parameters: &[u8]) -> Option<Algorithm> {
    const TRAILER: &[u8] = &[1];
    let mut outer = Reader::new(parameters);
    let mut fields = Reader::new(outer.expect(tag::SEQUENCE)?.value);
    let mut explicit = |number| fields.expect(tag::context(number)).map(|field| field.value);
    let hash = explicit(0).map_or(Some(Hash::Sha1), hash_of_identifier)?;
    let mask_hash = explicit(1).map_or(Some(Hash::Sha1), mask_hash)?;
    let salt = match explicit(2) {
        Some(salt) => small(Reader::new(salt).expect(tag::INTEGER)?.value)?,
        None => Hash::Sha1.length(),
    };
    let is_usual_trailer = explicit(3).is_none_or(|trailer| {
        Reader::new(trailer).expect(tag::INTEGER).is_some_and(|field| field.value == TRAILER)
    });
    let is_complete = fields.is_empty() && outer.is_empty();
    (hash == mask_hash && is_usual_trailer && is_complete)
        .then_some(Algorithm::RsaPss { hash, salt })
}

/// The hash of an AlgorithmIdentifier, which is given with its header.
fn hash_of_identifier(identifier: &[u8]) -> Option<Hash> {
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
    let mut fields = Reader::new(Reader::new(identifier).expect(tag::SEQUENCE)?.value);
    let oid = fields.expect(tag::OID)?.value;
    match (oid, oid.strip_prefix(SHA2)) {
        ([0x2b, 0x0e, 3, 2, 0x1a], _) => Some(Hash::Sha1),
        (_, Some([1])) => Some(Hash::Sha256),
        (_, Some([2])) => Some(Hash::Sha384),
        (_, Some([3])) => Some(Hash::Sha512),
        _ => None,
    }
}

/// The hash of MGF1, whose AlgorithmIdentifier is given with its header.
fn mask_hash(identifier: &[u8]) -> Option<Hash> {
    const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let mut fields = Reader::new(Reader::new(identifier).expect(tag::SEQUENCE)?.value);
    let is_mgf1 = fields.expect(tag::OID)?.value == MGF1;
    is_mgf1.then(|| hash_of_identifier(fields.rest())).flatten()
}

/// A number of at most two bytes.
fn small(digits: &[u8]) -> Option<usize> {
    match digits {
        [only] if *only < 0x80 => Some(usize::from(*only)),
        [high, low] if *high < 0x80 => Some(usize::from(*high) << 8 | usize::from(*low)),
        _ => None,
    }
}
