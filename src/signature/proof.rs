//! The proof that a peer holds the key of the certificate that it shows.

use std::fmt;

use super::algorithm::Algorithm;
use super::check::{Checked, check};
use super::key::{Curve, Key, Kind, Unsupported, spki_of};
use crate::escape::cut;
use crate::limits::DETAIL_LIMIT;

/// What the signature over a handshake proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    /// It was checked and holds: the peer has the key of the certificate.
    Held(Held),
    /// It was checked and does not hold: the certificate may be anybody's.
    False,
    /// It was not checked, so the certificate may be anybody's.
    Unproven(Unproven),
}

/// That a signature was checked and holds. Only [`SignedHandshake::prove`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held(());

/// Why a signature over a handshake was not checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unproven {
    /// The peer never came to the point where the signature is checked.
    Unfinished,
    /// The key exchange needs no signature: the server's key decrypts, or is one half of it.
    Unsigned,
    /// The key or the algorithm is not supported.
    Unsupported(Unsupported),
}

impl Proof {
    /// Whether the peer has the key of the certificate.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Whether the signature holds; nothing when it was not checked.
    pub fn is_verified(&self) -> Option<bool> {
        match self {
            Self::Held(_) => Some(true),
            Self::False => Some(false),
            Self::Unproven(_) => None,
        }
    }

    /// Why the signature was not checked, if it was not.
    pub fn why_unchecked(&self) -> Option<String> {
        match self {
            Self::Unproven(reason) => Some(cut(reason.to_string(), DETAIL_LIMIT)),
            Self::Held(_) | Self::False => None,
        }
    }
}

impl Default for Proof {
    /// The state before the signature has arrived.
    fn default() -> Self {
        Self::Unproven(Unproven::Unfinished)
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("the handshake was not finished"),
            Self::Unsigned => f.write_str("the key exchange is not signed"),
            Self::Unsupported(reason) => reason.fmt(f),
        }
    }
}

/// A signature over a handshake, with everything that is needed to check it.
#[derive(Clone, Copy, Debug)]
pub struct SignedHandshake<'a> {
    /// The peer's own certificate.
    pub certificate: &'a [u8],
    /// The number of the signature scheme.
    pub scheme: u16,
    /// Whether the handshake is of TLS 1.3, which ties ECDSA schemes to curves.
    pub is_tls13: bool,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// The signature may hold, but the peer broke a rule by choosing this scheme for this key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongScheme;

impl SignedHandshake<'_> {
    /// Checks the signature.
    ///
    /// # Errors
    /// The scheme is not for this key, although a key of this kind could have made the signature.
    pub fn prove(self) -> Result<Proof, WrongScheme> {
        let unsupported = |reason| Ok(Proof::Unproven(Unproven::Unsupported(reason)));
        let Some(spki) = spki_of(self.certificate) else {
            return unsupported(Unsupported::NoKey);
        };
        let Some(key) = Key::read(spki) else {
            return unsupported(Unsupported::BadKey);
        };
        let Some(algorithm) = Algorithm::of_scheme(self.scheme) else {
            return unsupported(Unsupported::SignatureAlgorithm);
        };
        match check(&key, algorithm, self.message, self.signature) {
            Checked::Invalid => Ok(Proof::False),
            Checked::Valid | Checked::Unsupported(_) if !self.is_scheme_for(key.kind) => {
                Err(WrongScheme)
            }
            Checked::Valid => Ok(Proof::Held(Held(()))),
            Checked::Unsupported(reason) => unsupported(reason),
        }
    }

    /// Whether the scheme may be used with this kind of key. Only rules that the algorithm itself
    /// does not imply are checked here.
    fn is_scheme_for(&self, key: Kind<'_>) -> bool {
        match (self.scheme, key) {
            // RFC 8446, section 4.2.3: rsa_pss_rsae is for rsaEncryption, rsa_pss_pss for RSASSA-PSS.
            (0x0804..=0x0806, Kind::RsaPss(_)) | (0x0809..=0x080b, Kind::Rsa) => false,
            // The same section: since TLS 1.3 a scheme has one curve.
            (0x0403, Kind::Ec(curve)) if self.is_tls13 => curve == Some(Curve::P256),
            (0x0503, Kind::Ec(curve)) if self.is_tls13 => curve == Some(Curve::P384),
            (0x0603, Kind::Ec(curve)) if self.is_tls13 => curve == Some(Curve::P521),
            _ => true,
        }
    }
}
