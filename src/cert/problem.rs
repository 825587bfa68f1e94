//! The problems that a chain can have.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reason for which a strict client would not trust a chain, gravest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// A certificate is revoked. The source is a genuine, current OCSP staple or a CRLite filter (leaf
    /// only), or a list of `--crl` (any certificate of the path).
    Revoked,
    /// A certificate is not the DER of an X.509 certificate.
    BadEncoding,
    /// A certificate is not version 3.
    UnsupportedVersion,
    /// A certificate has a critical extension that is not understood.
    CriticalExtension,
    /// A signature does not hold under the issuer's key.
    BadSignature,
    /// A signature cannot be checked, because its algorithm or the issuer's key is not supported.
    UnsupportedSignature,
    /// The leaf is signed by its own key and not among the roots.
    SelfSigned,
    /// No path leads to a root.
    UnknownIssuer,
    /// A certificate is signed by one that may not sign certificates: no CA, or its key usage lacks
    /// keyCertSign.
    IssuerNotCa,
    /// The leaf may sign certificates itself.
    CaAsLeaf,
    /// The path has more CAs than one of them allows (path length constraint).
    PathLength,
    /// A name is outside of the name constraints of a CA.
    NameConstraint,
    /// A certificate is not meant for TLS servers, or the leaf's key is not meant for signing
    /// handshakes.
    BadPurpose,
    /// The path has more CAs than webpki follows.
    ChainTooLong,
    /// The leaf is for other names.
    NameMismatch,
    /// The peer did not prove that it has the leaf's key, so the chain may be a copy.
    Unproven,
    /// A signature uses SHA-1, MD5 or MD2.
    WeakSignature,
    /// An RSA key of fewer than 2048 bits.
    WeakKey,
    /// The validity of a certificate has ended; that of a root counts when its dates are known.
    Expired,
    /// The validity of a certificate has not begun.
    NotYetValid,
    /// The leaf is valid for longer than browsers allow certificates of public CAs.
    ValidityTooLong,
}

impl Problem {
    /// Every problem, gravest first.
    pub const ALL: [Self; 21] = [
        Self::Revoked,
        Self::BadEncoding,
        Self::UnsupportedVersion,
        Self::CriticalExtension,
        Self::BadSignature,
        Self::UnsupportedSignature,
        Self::SelfSigned,
        Self::UnknownIssuer,
        Self::IssuerNotCa,
        Self::CaAsLeaf,
        Self::PathLength,
        Self::NameConstraint,
        Self::BadPurpose,
        Self::ChainTooLong,
        Self::NameMismatch,
        Self::Unproven,
        Self::WeakSignature,
        Self::WeakKey,
        Self::Expired,
        Self::NotYetValid,
        Self::ValidityTooLong,
    ];

    /// The word that stands in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::BadEncoding => "bad_encoding",
            Self::UnsupportedVersion => "unsupported_version",
            Self::CriticalExtension => "critical_extension",
            Self::BadSignature => "bad_signature",
            Self::UnsupportedSignature => "unsupported_signature",
            Self::SelfSigned => "self_signed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::IssuerNotCa => "issuer_not_ca",
            Self::CaAsLeaf => "ca_as_leaf",
            Self::PathLength => "path_length",
            Self::NameConstraint => "name_constraint",
            Self::BadPurpose => "bad_purpose",
            Self::ChainTooLong => "chain_too_long",
            Self::NameMismatch => "name_mismatch",
            Self::Unproven => "unproven",
            Self::WeakSignature => "weak_signature",
            Self::WeakKey => "weak_key",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::ValidityTooLong => "validity_too_long",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `trusted`, or the gravest problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Verdict {
    /// There is no problem.
    Trusted(Trusted),
    /// The gravest problem.
    Untrusted(Problem),
}

/// The word for no problem at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trusted {
    /// A strict client would accept the chain.
    Trusted,
}

impl Verdict {
    /// The word that stands in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted(Trusted::Trusted) => "trusted",
            Self::Untrusted(problem) => problem.as_str(),
        }
    }

    /// Whether there is no problem.
    pub const fn is_trusted(self) -> bool {
        matches!(self, Self::Trusted(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Problems(u32);

impl Problems {
    /// Whether it was not there yet.
    pub(super) fn insert(&mut self, problem: Problem) -> bool {
        let is_new = !self.contains(problem);
        self.0 |= Self::bit(problem);
        is_new
    }

    pub(super) fn insert_if(&mut self, applies: bool, problem: Problem) {
        if applies {
            self.insert(problem);
        }
    }

    pub(super) fn contains(self, problem: Problem) -> bool {
        self.0 & Self::bit(problem) != 0
    }

    /// Gravest first.
    pub(super) fn to_vec(self) -> Vec<Problem> {
        Problem::ALL.into_iter().filter(|&problem| self.contains(problem)).collect()
    }

    fn bit(problem: Problem) -> u32 {
        1 << problem as u32
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let mut set = Self::default();
        for problem in problems {
            set.insert(problem);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_records() {
        for problem in Problem::ALL {
            let word = serde_json::to_value(problem).unwrap();
            assert_eq!(word, problem.as_str());
            let verdict: Verdict = serde_json::from_value(word).unwrap();
            assert_eq!(verdict, Verdict::Untrusted(problem));
        }
        let trusted = Verdict::Trusted(Trusted::Trusted);
        assert_eq!(serde_json::to_value(trusted).unwrap(), "trusted");
        assert_eq!(serde_json::from_str::<Verdict>("\"trusted\"").unwrap(), trusted);
    }

    #[test]
    fn all_are_listed_in_order() {
        assert!(Problem::ALL.is_sorted());
        let everything: Problems = Problem::ALL.into_iter().rev().collect();
        assert_eq!(everything.to_vec(), Problem::ALL);
    }
}
