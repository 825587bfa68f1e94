//! What a target showed in an earlier sweep and does not show any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A field that is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Field {
    /// `ok`, or stage and kind of the failure.
    Result,
    /// The protocol version.
    Version,
    /// The key-exchange group.
    Group,
    /// The leaf.
    Sha256,
    /// The leaf's key.
    SpkiSha256,
    /// The leaf's issuer.
    Issuer,
    /// What the chain was worth.
    Verdict,
}

/// The fields that differ from those of an earlier sweep, with their values in it.
///
/// A field is compared only where both sweeps observed it. Empty: nothing has changed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Changed {
    /// The earlier sweep has no record of this target; absent where it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<bool>,
    /// What the result was: `ok`, or stage and kind of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ChangedTls>,
    /// What the leaf was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<ChangedCert>,
    /// What the chain was worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<ChangedTrust>,
}

/// Earlier values of `tls`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChangedTls {
    /// The protocol version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key-exchange group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Earlier values of `cert`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChangedCert {
    /// The SHA-256 of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The SHA-256 of its public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spki_sha256: Option<String>,
    /// Its issuer; a long one is cut, and ends with `…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// Earlier values of `trust`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChangedTrust {
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}

impl Field {
    /// Every field, in the order in which changes are told.
    pub const ALL: [Self; 7] = [
        Self::Result,
        Self::Version,
        Self::Group,
        Self::Sha256,
        Self::SpkiSha256,
        Self::Issuer,
        Self::Verdict,
    ];

    /// What the field is called in conditions, and in the record but for `result`.
    #[doc(hidden)]
    pub fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Version => "tls.version",
            Self::Group => "tls.group",
            Self::Sha256 => "cert.sha256",
            Self::SpkiSha256 => "cert.spki_sha256",
            Self::Issuer => "cert.issuer",
            Self::Verdict => "trust.verdict",
        }
    }
}

impl Changed {
    /// A target that the earlier sweep has no record of.
    #[doc(hidden)]
    pub fn new_target() -> Self {
        Self { new: Some(true), ..Self::default() }
    }

    /// A target that has changed in these fields, which are given with their earlier values.
    #[doc(hidden)]
    pub fn of(earlier: impl IntoIterator<Item = (Field, String)>) -> Self {
        let mut changed = Self::default();
        for (field, value) in earlier {
            let place = match field {
                Field::Result => &mut changed.result,
                Field::Version => &mut changed.tls.get_or_insert_default().version,
                Field::Group => &mut changed.tls.get_or_insert_default().group,
                Field::Sha256 => &mut changed.cert.get_or_insert_default().sha256,
                Field::SpkiSha256 => &mut changed.cert.get_or_insert_default().spki_sha256,
                Field::Issuer => &mut changed.cert.get_or_insert_default().issuer,
                Field::Verdict => &mut changed.trust.get_or_insert_default().verdict,
            };
            *place = Some(value);
        }
        changed
    }

    /// Whether the target is new, or anything about it is.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    /// The fields that have changed, with their earlier values.
    #[doc(hidden)]
    pub fn fields(&self) -> impl Iterator<Item = (Field, &str)> {
        Field::ALL.into_iter().filter_map(|field| Some((field, self.earlier(field)?)))
    }

    /// The earlier value of a field, if it has changed.
    fn earlier(&self, field: Field) -> Option<&str> {
        let (tls, cert) = (self.tls.as_ref(), self.cert.as_ref());
        let earlier = match field {
            Field::Result => &self.result,
            Field::Version => &tls?.version,
            Field::Group => &tls?.group,
            Field::Sha256 => &cert?.sha256,
            Field::SpkiSha256 => &cert?.spki_sha256,
            Field::Issuer => &cert?.issuer,
            Field::Verdict => &self.trust.as_ref()?.verdict,
        };
        earlier.as_deref()
    }

    /// Everything that has changed, in words; hashes without their values. Nothing when nothing has.
    #[doc(hidden)]
    pub fn line(&self) -> Option<String> {
        if self.new == Some(true) {
            return Some("new".to_owned());
        }
        let word = |(field, earlier): (Field, &str)| match field {
            Field::Sha256 | Field::SpkiSha256 => field.name().to_owned(),
            _ => format!("{} (was {earlier})", field.name()),
        };
        let words: Vec<_> = self.fields().map(word).collect();
        (!words.is_empty()).then(|| format!("changed: {}", words.join(", ")))
    }
}
