//! What a server was found to speak, as it stands in the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::tls::enumerate::{self, Findings};
use crate::tls::hello::Parameters;

/// Everything that a server speaks.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// From SSL 3.0 to TLS 1.3.
    pub versions: Vec<Version>,
    /// The curves of TLS 1.2 and before, in the order in which they were chosen.
    pub curves: Vec<String>,
    /// Whether the list of curves is whole; else the peer fell silent.
    pub curves_complete: bool,
    /// The groups of TLS 1.3, in the order in which they were chosen.
    pub groups: Vec<String>,
    /// Whether the list of groups is whole; else the peer fell silent.
    pub groups_complete: bool,
    /// Compression of the record layer, which CRIME is about.
    pub compression: Support,
    /// TLS_FALLBACK_SCSV (RFC 7507).
    pub fallback_scsv: Support,
    /// Secure renegotiation (RFC 5746).
    pub secure_renegotiation: Support,
    /// The extended master secret (RFC 7627).
    pub extended_master_secret: Support,
}

/// Three answers that are never mixed up.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// The server showed it.
    Supported,
    /// The server refused it.
    NotSupported,
    /// The server did not say.
    Unknown,
}

/// A protocol version.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Its IANA name.
    pub version: String,
    /// Whether the server speaks it.
    pub support: Support,
    /// Its suites, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<Suite>,
    /// Whose preference decides, when that was found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Whether the list is whole; else the peer fell silent.
    pub complete: bool,
}

/// A cipher suite, with the parameters of its key exchange where they are public.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Its IANA name.
    pub suite: String,
    /// The group of an elliptic-curve key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Bits of the prime of a Diffie-Hellman key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<usize>,
    /// Bits of the modulus of an export-grade RSA key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa_bits: Option<usize>,
}

/// Whose preference decides on the suite.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The client's.
    Client,
    /// The server's.
    Server,
}

impl Report {
    /// One line for people: versions with their numbers of suites, then groups.
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
        format!("suites: {}; groups: {}", words.join(", "), groups.join(" "))
    }
}

impl From<Findings> for Report {
    fn from(findings: Findings) -> Self {
        let named = |groups: &[u16]| groups.iter().map(|n| names::group(*n).into_owned()).collect();
        Self {
            versions: findings.versions.into_iter().map(Version::from).collect(),
            curves: named(&findings.curves.numbers),
            curves_complete: findings.curves.complete,
            groups: named(&findings.groups.numbers),
            groups_complete: findings.groups.complete,
            compression: findings.compression.into(),
            fallback_scsv: findings.fallback_scsv.into(),
            secure_renegotiation: findings.secure_renegotiation.into(),
            extended_master_secret: findings.extended_master_secret.into(),
        }
    }
}

impl From<enumerate::Support> for Support {
    fn from(support: enumerate::Support) -> Self {
        match support {
            enumerate::Support::Supported => Self::Supported,
            enumerate::Support::NotSupported => Self::NotSupported,
            enumerate::Support::Unknown => Self::Unknown,
        }
    }
}

impl From<enumerate::Version> for Version {
    fn from(version: enumerate::Version) -> Self {
        Self {
            version: names::version(version.number).into_owned(),
            support: version.support.into(),
            suites: version.suites.into_iter().map(Suite::from).collect(),
            order: version.order.map(|order| match order {
                enumerate::Order::Client => Order::Client,
                enumerate::Order::Server => Order::Server,
            }),
            complete: version.complete,
        }
    }
}

impl From<enumerate::Suite> for Suite {
    fn from(suite: enumerate::Suite) -> Self {
        let (group, dh_bits, rsa_bits) = match suite.parameters {
            Some(Parameters::Ecdh { group }) => (Some(group), None, None),
            Some(Parameters::Dh { prime_bits }) => (None, Some(prime_bits), None),
            Some(Parameters::Rsa { modulus_bits }) => (None, None, Some(modulus_bits)),
            Some(Parameters::Other) | None => (None, None, None),
        };
        Self {
            suite: names::suite(suite.number).into_owned(),
            group: group.map(|number| names::group(number).into_owned()),
            dh_bits,
            rsa_bits,
        }
    }
}
