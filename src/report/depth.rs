//! What `--enumerate` finds out besides versions, suites, groups and certificates, as it stands in
//! the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::probe;
use crate::tls::enumerate::Support;
use crate::tls::ssl2;

/// The signature schemes that a server signs handshakes with.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SignatureSchemes {
    /// In TLS 1.2, by their IANA names, in the order in which they were chosen.
    pub tls12: Vec<String>,
    /// Whether that list is whole; else no clear answer came.
    pub tls12_complete: bool,
    /// In TLS 1.3.
    pub tls13: Vec<String>,
    /// Whether that list is whole; else no clear answer came.
    pub tls13_complete: bool,
}

/// The application protocols that a server chooses.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Protocols {
    /// Their IANA names, in the order in which they were chosen.
    pub protocols: Vec<String>,
    /// Whether that list is whole; else no clear answer came.
    pub complete: bool,
}

/// What a server does with sessions that are offered again.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Resumption {
    /// TLS 1.2, by the id of the session.
    pub tls12_id: Support,
    /// TLS 1.2, by a session ticket (RFC 5077).
    pub tls12_ticket: Support,
    /// TLS 1.3, by a pre-shared key out of a ticket.
    pub tls13_psk: Support,
    /// Whether the tickets of TLS 1.3 allow early data (0-RTT).
    pub early_data: Support,
    /// How many bytes of early data they allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_data_size: Option<u32>,
}

/// SSL 2.0, which is prohibited (RFC 6176).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ssl2 {
    /// Whether the server speaks it.
    pub support: Support,
    /// Its kinds of ciphers by the names of the draft, such as `SSL_CK_RC4_128_WITH_MD5`, in the server's
    /// order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<String>,
}

impl From<probe::Ssl2> for Ssl2 {
    fn from(found: probe::Ssl2) -> Self {
        let suites = found.ciphers.into_iter().map(ssl2::cipher_kind).collect();
        Self { support: found.support, suites }
    }
}

impl SignatureSchemes {
    /// Those of both versions.
    pub(crate) fn of(signing: probe::Signing) -> Self {
        let named = |numbers: &[u16]| {
            numbers.iter().map(|number| names::signature_scheme(*number).into_owned()).collect()
        };
        Self {
            tls12: named(&signing.tls12.numbers),
            tls12_complete: signing.tls12.is_complete,
            tls13: named(&signing.tls13.numbers),
            tls13_complete: signing.tls13.is_complete,
        }
    }
}

impl From<probe::Protocols> for Protocols {
    fn from(found: probe::Protocols) -> Self {
        // Each of them was offered, so it is one of our own texts.
        let text = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        Self { protocols: found.names.iter().map(text).collect(), complete: found.is_complete }
    }
}

impl From<probe::Resumption> for Resumption {
    fn from(found: probe::Resumption) -> Self {
        Self {
            tls12_id: found.tls12_id,
            tls12_ticket: found.tls12_ticket,
            tls13_psk: found.tls13_psk,
            early_data: found.early_data,
            early_data_size: found.early_data_size,
        }
    }
}
