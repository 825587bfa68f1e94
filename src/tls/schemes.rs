//! Which signature schemes a hello offers, and what goes with them.

use std::sync::LazyLock;

use rustls::crypto::aws_lc_rs;
use rustls::{SignatureScheme, SupportedCipherSuite};

use crate::names::Version;

/// rsa_pss_pss_sha256, for which rustls has no name: PSS by a key that is for nothing else.
pub const RSA_PSS_PSS_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
const RSA_PSS_PSS_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
const RSA_PSS_PSS_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);

/// Schemes that are offered beyond those of rustls, because a server that has nothing else would
/// answer with an alert instead of a certificate. All are verified but Ed448, which cannot be.
const MORE: [SignatureScheme; 6] = [
    RSA_PSS_PSS_SHA256,
    RSA_PSS_PSS_SHA384,
    RSA_PSS_PSS_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA1,
];

static KNOWN: LazyLock<Vec<SignatureScheme>> = LazyLock::new(|| {
    let verified = aws_lc_rs::default_provider().signature_verification_algorithms;
    verified.supported_schemes().into_iter().chain(MORE).collect()
});

/// The protocol versions that a ClientHello offers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 only.
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// Every scheme that can be offered, in the order in which a hello offers them.
pub fn known_schemes() -> impl Iterator<Item = SignatureScheme> {
    KNOWN.iter().copied()
}

/// What kind of key signs with a scheme in TLS 1.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signer {
    /// RSA, whatever the padding.
    Rsa,
    /// DSA.
    Dsa,
    /// ECDSA and EdDSA.
    Curve,
    /// None that a suite of TLS 1.2 names.
    Other,
}

impl Signer {
    /// That of the scheme with this number.
    pub fn of_scheme(number: u16) -> Self {
        match (number, number.to_be_bytes()) {
            (0x0804..=0x0806 | 0x0809..=0x080b, _) | (_, [1..=6, 1]) => Self::Rsa,
            (_, [1..=6, 2]) => Self::Dsa,
            (0x0807 | 0x0808 | 0x081a..=0x081c, _) | (_, [1..=6, 3]) => Self::Curve,
            _ => Self::Other,
        }
    }
}

/// A set of the schemes that can be offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SchemeSet(u32);

/// The scheme of this number, if it can be offered.
pub fn scheme_of_number(number: u16) -> Option<SignatureScheme> {
    known_schemes().find(|scheme| u16::from(*scheme) == number)
}

impl SchemeSet {
    /// No scheme.
    pub const EMPTY: Self = Self(0);

    /// Every scheme that can sign a handshake of one of these versions.
    pub fn usable(versions: Versions) -> Self {
        let is_usable = |scheme: &SignatureScheme| match versions {
            Versions::Both => is_allowed_in_tls12(*scheme) || is_allowed_in_tls13(*scheme),
            Versions::Tls12 => is_allowed_in_tls12(*scheme),
            Versions::Tls13 => is_allowed_in_tls13(*scheme),
        };
        Self(bits().filter(|(_, scheme)| is_usable(scheme)).fold(0, |set, (bit, _)| set | bit))
    }

    /// The set without this scheme, and without those that the same key signs with in TLS 1.3.
    #[must_use]
    pub fn without_key_of(self, scheme: SignatureScheme) -> Self {
        let is_same_key = |other: &SignatureScheme| {
            *other == scheme
                || [is_rsa, is_rsa_pss].iter().any(|is_of| is_of(*other) && is_of(scheme))
        };
        let same =
            bits().filter(|(_, other)| is_same_key(other)).fold(0, |set, (bit, _)| set | bit);
        Self(self.0 & !same)
    }

    /// Whether this scheme is in it.
    pub fn contains(self, scheme: SignatureScheme) -> bool {
        self.iter().any(|other| other == scheme)
    }

    /// Whether there is no scheme in it.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Its schemes, in the order in which a hello offers them.
    pub fn iter(self) -> impl Iterator<Item = SignatureScheme> {
        bits().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, scheme)| scheme)
    }
}

impl FromIterator<SignatureScheme> for SchemeSet {
    fn from_iter<T: IntoIterator<Item = SignatureScheme>>(schemes: T) -> Self {
        let schemes: Vec<_> = schemes.into_iter().collect();
        let wanted = bits().filter(|(_, scheme)| schemes.contains(scheme));
        Self(wanted.fold(0, |set, (bit, _)| set | bit))
    }
}

fn bits() -> impl Iterator<Item = (u32, SignatureScheme)> {
    known_schemes().enumerate().map(|(place, scheme)| (1 << place, scheme))
}

/// Whether a server that chose this suite could sign with one of these schemes.
pub(super) fn can_sign_for(suite: &SupportedCipherSuite, schemes: &[SignatureScheme]) -> bool {
    match suite {
        SupportedCipherSuite::Tls13(_) => schemes.iter().copied().any(is_allowed_in_tls13),
        SupportedCipherSuite::Tls12(suite) => {
            let is_for_rsa = suite.sign.contains(&SignatureScheme::RSA_PKCS1_SHA256);
            let mut schemes = schemes.iter().filter(|scheme| is_allowed_in_tls12(**scheme));
            schemes.any(|scheme| (is_rsa(*scheme) || is_rsa_pss(*scheme)) == is_for_rsa)
        }
    }
}

/// RFC 8446, section 4.2.3: PKCS#1 v1.5 and SHA-1 are for certificates only.
pub(super) fn is_allowed_in_tls13(scheme: SignatureScheme) -> bool {
    use SignatureScheme as S;
    !matches!(
        scheme,
        S::RSA_PKCS1_SHA1
            | S::RSA_PKCS1_SHA256
            | S::RSA_PKCS1_SHA384
            | S::RSA_PKCS1_SHA512
            | S::ECDSA_SHA1_Legacy
    )
}

/// No suite of TLS 1.2 is for ML-DSA.
fn is_allowed_in_tls12(scheme: SignatureScheme) -> bool {
    use SignatureScheme as S;
    !matches!(scheme, S::ML_DSA_44 | S::ML_DSA_65 | S::ML_DSA_87)
}

/// Whether rustls takes this scheme in a handshake of this version. In TLS 1.2 it takes neither
/// rsa_pss_pss nor Ed448, although servers may use them there (RFC 8446, section 4.2.3; RFC 8422).
pub(super) fn is_taken_by_rustls(version: Version, scheme: SignatureScheme) -> bool {
    match version {
        Version::TLS_1_2 => {
            is_allowed_in_tls12(scheme) && !is_rsa_pss(scheme) && scheme != SignatureScheme::ED448
        }
        Version::TLS_1_3 => is_allowed_in_tls13(scheme),
        _ => false,
    }
}

/// Whether keys for RSASSA-PSS alone sign with this scheme.
fn is_rsa_pss(scheme: SignatureScheme) -> bool {
    matches!(scheme, RSA_PSS_PSS_SHA256 | RSA_PSS_PSS_SHA384 | RSA_PSS_PSS_SHA512)
}

/// Whether keys for RSA of any padding sign with this scheme.
fn is_rsa(scheme: SignatureScheme) -> bool {
    use SignatureScheme as S;
    matches!(
        scheme,
        S::RSA_PKCS1_SHA1
            | S::RSA_PKCS1_SHA256
            | S::RSA_PKCS1_SHA384
            | S::RSA_PKCS1_SHA512
            | S::RSA_PSS_SHA256
            | S::RSA_PSS_SHA384
            | S::RSA_PSS_SHA512
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_room_for_every_scheme() {
        assert!(known_schemes().count() <= u32::BITS as usize);
        let all = SchemeSet::usable(Versions::Both);
        assert_eq!(all.iter().collect::<Vec<_>>(), known_schemes().collect::<Vec<_>>());
    }

    #[test]
    fn rsa_keys_sign_with_several_schemes_and_every_other_key_with_one() {
        use SignatureScheme as S;
        let all = SchemeSet::usable(Versions::Both);
        let count = |set: SchemeSet| set.iter().count();
        assert_eq!(count(all.without_key_of(S::RSA_PSS_SHA384)), count(all) - 7);
        assert_eq!(count(all.without_key_of(RSA_PSS_PSS_SHA384)), count(all) - 3);
        assert_eq!(count(all.without_key_of(S::ECDSA_NISTP384_SHA384)), count(all) - 1);
        let none = known_schemes().fold(all, SchemeSet::without_key_of);
        assert!(none.is_empty());
    }

    #[test]
    fn versions_have_schemes_of_their_own() {
        use SignatureScheme as S;
        let has = |versions, scheme| SchemeSet::usable(versions).iter().any(|s| s == scheme);
        assert!(!has(Versions::Tls13, S::RSA_PKCS1_SHA256));
        assert!(has(Versions::Tls12, S::RSA_PKCS1_SHA256));
        assert!(has(Versions::Tls13, S::ML_DSA_65));
        assert!(!has(Versions::Tls12, S::ML_DSA_65));
        assert!(is_taken_by_rustls(Version::TLS_1_3, RSA_PSS_PSS_SHA256));
        assert!(!is_taken_by_rustls(Version::TLS_1_2, RSA_PSS_PSS_SHA256));
        assert!(!is_taken_by_rustls(Version::TLS_1_2, S::ED448));
        assert!(is_taken_by_rustls(Version::TLS_1_2, S::RSA_PSS_SHA256));
    }
}
