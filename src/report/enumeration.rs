//! What a server was found to speak, as it stands in the record.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cert::{Certificate, Examined, Trust};
use crate::names::{self, Group};
use crate::plural::count;
use crate::probe::{self, Facts, Protocols, Resumption, SignatureSchemes, Ssl2};
use crate::tls::enumerate::{Support, Version};

/// Everything that a server speaks.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Report {
    /// From SSL 3.0 to TLS 1.3.
    pub versions: Vec<Version>,
    /// The curves of TLS 1.2 and before, in the order in which they were chosen.
    pub curves: Vec<Group>,
    /// Whether the list of curves is whole.
    pub curves_complete: bool,
    /// The groups of TLS 1.3, in the order in which they were chosen.
    pub groups: Vec<Group>,
    /// Whether the list of groups is whole.
    pub groups_complete: bool,
    /// Compression of the record layer, which CRIME is about.
    pub compression: Support,
    /// TLS_FALLBACK_SCSV (RFC 7507).
    pub fallback_scsv: Support,
    /// Secure renegotiation (RFC 5746).
    pub secure_renegotiation: Support,
    /// The extended master secret (RFC 7627).
    pub extended_master_secret: Support,
    /// Every certificate that the server shows, one for each kind of key: RSA, each curve of ECDSA,
    /// Ed25519, Ed448, ML-DSA. A server without a second one is asked for it all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Shown>,
    /// Whether that list is whole; else the peer fell silent, or speaks only what rustls cannot.
    #[serde(default)]
    pub certificates_complete: bool,
    /// The signature schemes that the server signs handshakes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_schemes: Option<SignatureSchemes>,
    /// The application protocols that the server chooses in the ALPN extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Protocols>,
    /// What the server does with sessions that are offered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumption: Option<Resumption>,
    /// Whether a client may begin a second handshake in a session of TLS 1.2.
    #[serde(default)]
    pub client_renegotiation: Support,
    /// SSL 2.0.
    #[serde(default)]
    pub ssl2: Ssl2,
}

/// A certificate of a server, and the handshake in which it was shown.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Shown {
    /// The scheme of the signature over the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Whether that signature holds under the certificate's key. Absent: it was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_verified: Option<bool>,
    /// Why that signature was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_unchecked: Option<String>,
    /// The leaf.
    pub cert: Certificate,
    /// Certificates that were sent, the leaf included.
    pub chain_length: usize,
    /// What a strict client would say to the chain, fetching nothing. Absent when the signature is
    /// false, because the certificate may be a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
}

impl Report {
    /// One line for people: versions with their numbers of suites, then groups.
    #[doc(hidden)]
    pub fn line(&self) -> String {
        let mut words = Vec::new();
        for version in self.versions.iter().rev() {
            let name = &version.version;
            match version.support {
                Support::Supported => words.push(format!("{name} {}", version.suites.len())),
                Support::Unknown => words.push(format!("{name} ?")),
                Support::NotSupported => {}
            }
        }
        let groups = if self.groups.is_empty() { &self.curves } else { &self.groups };
        let groups: Vec<_> = groups.iter().map(|group| group.name()).collect();
        let mut line = format!("suites: {}; groups: {}", words.join(", "), groups.join(" "));
        if self.certificates.len() > 1 {
            let certificates: Vec<_> = self.certificates.iter().map(Shown::line).collect();
            line.push_str(&format!("; certificates: {}", certificates.join(", ")));
        }
        line
    }

    /// Moves the findings of `--enumerate` out of `facts`. None: it was not asked for, or the server was
    /// not reached.
    pub(crate) fn of(facts: &mut Facts) -> Option<Self> {
        let findings = *facts.enumeration.take()?;
        let found = *facts.certificates.take().unwrap_or_default();
        Some(Self {
            versions: findings.versions,
            curves: findings.curves.list,
            curves_complete: findings.curves.complete,
            groups: findings.groups.list,
            groups_complete: findings.groups.complete,
            compression: findings.compression,
            fallback_scsv: findings.fallback_scsv,
            secure_renegotiation: findings.secure_renegotiation,
            extended_master_secret: findings.extended_master_secret,
            certificates: found.certificates.into_iter().map(Shown::from).collect(),
            certificates_complete: found.is_complete,
            signature_schemes: facts.signature_schemes.take().map(|schemes| *schemes),
            alpn: facts.alpn.take().map(|protocols| *protocols),
            resumption: facts.resumption.take().map(|resumption| *resumption),
            client_renegotiation: facts.client_renegotiation.unwrap_or_default(),
            ssl2: facts.ssl2.take().unwrap_or_default(),
        })
    }
}

impl Shown {
    /// The kind of its key, its verdict and how long its path lasts, for people.
    #[doc(hidden)]
    pub fn line(&self) -> String {
        let verdict = self.trust.as_ref().map(|trust| trust.verdict.as_str());
        let days = self.trust.as_ref().and_then(|trust| trust.days_left);
        let words = [
            self.cert.key_and_size(),
            Some(verdict.unwrap_or("bad_signature").to_owned()),
            days.map(|days| count(days, "day")),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl From<probe::Shown> for Shown {
    fn from(shown: probe::Shown) -> Self {
        let Examined { cert, trust, length, .. } = *shown.examined;
        Self {
            signature: shown.scheme.map(|scheme| names::signature_scheme(scheme).into_owned()),
            signature_verified: shown.proof.is_verified(),
            signature_unchecked: shown.proof.why_unchecked(),
            cert: cert.map(Arc::unwrap_or_clone).unwrap_or_default().in_chain(),
            chain_length: length,
            trust,
        }
    }
}
