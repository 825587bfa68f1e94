//! What a target showed in an earlier sweep and does not show any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many fields are compared.
pub const COMPARED: usize = 7;

/// The fields that are compared, in their order everywhere.
pub const FIELDS: [&str; COMPARED] = [
    "result",
    "tls.version",
    "tls.group",
    "cert.sha256",
    "cert.spki_sha256",
    "cert.issuer",
    "trust.verdict",
];

/// The fields that differ from those of an earlier sweep, with their values in it.
///
/// A field is compared only where both sweeps observed it. Empty: nothing has changed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
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
pub struct ChangedTrust {
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}

impl Changed {
    /// A target that the earlier sweep has no record of.
    pub fn new_target() -> Self {
        Self { new: Some(true), ..Self::default() }
    }

    /// The fields that have changed to their earlier values, in the order of [`FIELDS`].
    pub fn of(earlier: [Option<String>; COMPARED]) -> Self {
        let [result, version, group, sha256, spki_sha256, issuer, verdict] = earlier;
        let (tls, trust) = (ChangedTls { version, group }, ChangedTrust { verdict });
        let cert = ChangedCert { sha256, spki_sha256, issuer };
        Self {
            new: None,
            result,
            tls: (tls != ChangedTls::default()).then_some(tls),
            cert: (cert != ChangedCert::default()).then_some(cert),
            trust: (trust != ChangedTrust::default()).then_some(trust),
        }
    }

    /// Whether the target is new, or anything about it is.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    /// The fields that have changed, with their earlier values.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (tls, cert) = (self.tls.as_ref(), self.cert.as_ref());
        let earlier = [
            self.result.as_deref(),
            tls.and_then(|tls| tls.version.as_deref()),
            tls.and_then(|tls| tls.group.as_deref()),
            cert.and_then(|cert| cert.sha256.as_deref()),
            cert.and_then(|cert| cert.spki_sha256.as_deref()),
            cert.and_then(|cert| cert.issuer.as_deref()),
            self.trust.as_ref().and_then(|trust| trust.verdict.as_deref()),
        ];
        FIELDS.into_iter().zip(earlier).filter_map(|(field, earlier)| Some((field, earlier?)))
    }

    /// Everything that has changed, in words; hashes without their values. Nothing when nothing has.
    pub fn line(&self) -> Option<String> {
        if self.new == Some(true) {
            return Some("new".to_owned());
        }
        let word = |(field, earlier)| match field {
            "cert.sha256" | "cert.spki_sha256" => field.to_owned(),
            _ => format!("{field} (was {earlier})"),
        };
        let words: Vec<_> = self.fields().map(word).collect();
        (!words.is_empty()).then(|| format!("changed: {}", words.join(", ")))
    }
}
