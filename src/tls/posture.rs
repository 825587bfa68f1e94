//! What a key exchange is worth against somebody who records now and has a quantum computer later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{Group, Version};

/// The post-quantum posture of a key exchange.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Posture {
    /// ML-KEM together with a classical group (RFC 10024).
    Hybrid,
    /// ML-KEM alone.
    PostQuantum,
    /// Finite fields, elliptic curves or RSA: a quantum computer breaks them.
    Classical,
    /// A hybrid with Kyber, which was deployed as a draft before ML-KEM was standardised.
    Draft,
}

impl Posture {
    /// The posture of a session: of its group or, without one, of its version. `None`: neither
    /// tells, or IANA does not know the group.
    pub(crate) fn new(version: Option<Version>, group: Option<Group>) -> Option<Self> {
        match group {
            Some(group) => Self::of_group(group),
            // TLS 1.3 is the first version with a post-quantum key exchange.
            None => version.filter(|version| *version <= Version::TLS_1_2).map(|_| Self::Classical),
        }
    }

    /// The posture of a group; `None` for a number without a name at IANA.
    pub(crate) fn of_group(group: Group) -> Option<Self> {
        match group.0 {
            512..=514 => Some(Self::PostQuantum),
            4587..=4590 => Some(Self::Hybrid),
            25497 | 25498 => Some(Self::Draft),
            _ => group.is_named().then_some(Self::Classical),
        }
    }

    /// The word for it in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::PostQuantum => "post_quantum",
            Self::Classical => "classical",
            Self::Draft => "draft",
        }
    }
}

/// Whether a group is, or contains, a post-quantum key exchange: ML-KEM and its hybrids, and the
/// drafts of them that were deployed.
pub fn is_post_quantum(group: Group) -> bool {
    Posture::of_group(group).is_some_and(|posture| posture != Posture::Classical)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IANA's names say what is in a group.
    #[test]
    fn every_group_of_the_registry_has_the_posture_that_its_name_says() {
        let mut seen = Vec::new();
        for group in (0..=u16::MAX).map(Group) {
            let name = group.name();
            let expected = match &*name {
                name if name.contains("Kyber") => Some(Posture::Draft),
                name if name.starts_with("MLKEM") => Some(Posture::PostQuantum),
                name if name.contains("MLKEM") => Some(Posture::Hybrid),
                name if name.parse::<u16>().is_ok() => None,
                _ => Some(Posture::Classical),
            };
            assert_eq!(Posture::of_group(group), expected, "{group:?} {name}");
            seen.extend(expected);
        }
        let count = |posture| seen.iter().filter(|seen| **seen == posture).count();
        assert_eq!(count(Posture::Hybrid), 4);
        assert_eq!(count(Posture::PostQuantum), 3);
        assert_eq!(count(Posture::Draft), 2);
        assert!(count(Posture::Classical) > 30);
    }

    #[test]
    fn without_a_group_the_version_tells() {
        assert_eq!(Posture::new(Some(Version(0x0303)), None), Some(Posture::Classical));
        assert_eq!(Posture::new(Some(Version(0x0300)), None), Some(Posture::Classical));
        assert_eq!(Posture::new(Some(Version(0x0304)), None), None);
        assert_eq!(Posture::new(None, None), None);
        assert_eq!(Posture::new(Some(Version(0x0304)), Some(Group(4588))), Some(Posture::Hybrid));
        assert_eq!(Posture::new(Some(Version(0x0304)), Some(Group(0x2a2a))), None);
    }

    #[test]
    fn the_words_are_those_of_the_output() {
        for posture in [Posture::Hybrid, Posture::PostQuantum, Posture::Classical, Posture::Draft] {
            assert_eq!(serde_json::to_value(posture).unwrap(), posture.as_str());
        }
    }
}
