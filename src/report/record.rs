//! The record: one per target, its fields in the order in which they are written.
//!
//! What was not observed is absent: "no" and "not looked" are never the same thing.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cert::{Certificate, Examined, Ocsp, Trust};
use crate::escape::{cut, escaped_lossy};
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::{ECHO_LIMIT, Line, Place};
use crate::feed::target::Target;
use crate::limits::DETAIL_LIMIT;
use crate::names;
use crate::report::enumeration::Report;
use crate::report::timestamp::Timestamp;
use crate::signature::Proof;
use crate::tls::drain::ReadEnd;
use crate::tls::handshake::Agreed;
use crate::tls::recorder::Seen;

/// The version of the record's schema; it grows with every change that is not an addition.
pub const VERSION: u32 = 1;

/// What is known of one target.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this schema: 1.
    pub v: u32,
    /// The number of the input line, from 1, over all inputs.
    pub line: u64,
    /// The number of the target, from 1, over all inputs: blank lines and comments do not count, and
    /// every address of a range does.
    pub number: u64,
    /// The first field of the line, as it stood there.
    pub target: String,
    /// The line's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The host of the target: an address, or a name in lower case and punycode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port that was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The server name that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// The address that was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<IpAddr>,
    /// When work on the target began: RFC 3339, UTC.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// Whether the TLS handshake completed, whatever the certificate is worth.
    pub ok: bool,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The TLS session, as far as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<Tls>>,
    /// The leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<Box<Certificate>>,
    /// The chain as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Box<Chain>>,
    /// What a strict client would say to the chain, fetching nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Box<Trust>>,
    /// What the stapled OCSP response says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsp: Option<Box<Ocsp>>,
    /// The plaintext dialogue before TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<Box<Starttls>>,
    /// Everything that the peer speaks, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enumeration: Option<Box<Report>>,
    /// What came after the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Box<ReadEnd>>,
    /// Bytes on the wire from us, over all dials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// Bytes on the wire from the peer, over all dials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// How long the steps took, in milliseconds.
    pub ms: Milliseconds,
    /// Dials made for this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The conditions of `--fail-on` that this target met; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_checks: Option<Vec<String>>,
}

/// A TLS session, as far as it came.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The protocol version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cipher suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The key-exchange group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The application protocol that the peer chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The scheme of the signature over the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Whether that signature holds under the certificate's key. Absent: it was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_verified: Option<bool>,
    /// Why that signature was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_unchecked: Option<String>,
    /// Whether other connections may have had the same key share of ours; absent where not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_share_reused: Option<bool>,
    /// Whether the peer asked for another key share first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello_retry: Option<bool>,
    /// Whether the peer asked for a certificate of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_requested: Option<bool>,
    /// Whether an OCSP response was stapled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsp_stapled: Option<bool>,
    /// Whether the peer answered only a hello without post-quantum groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pq_intolerant: Option<bool>,
    /// Bits of the prime of a Diffie-Hellman key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<usize>,
    /// Whether this is what the peer speaks to others: tlsweep cannot, and only looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<bool>,
}

/// A plaintext dialogue before TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Starttls {
    /// Its protocol.
    pub protocol: String,
    /// How the peer greeted, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
}

/// The chain as it was sent, leaf first.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Certificates that were sent.
    pub length: usize,
    /// Certificates besides the leaf in which a path to a root was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub considered: Option<usize>,
    /// The SHA-256 of the first 64 of them.
    pub sha256: Vec<String>,
    /// The facts of as many of them as a line has room for, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<Certificate>>,
}

/// How long the steps took, in milliseconds; of the last dial, but for `total`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Milliseconds {
    /// From the name to its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<f64>,
    /// From the request to the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// From the connection to the peer's consent to TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<f64>,
    /// From the ClientHello to the end of the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<f64>,
    /// From our goodbye to the end of what the peer sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<f64>,
    /// The whole target.
    pub total: f64,
}

impl Record {
    /// The record of a line that is no target, or that nobody came to work on.
    pub fn of_line(line: &Line, failure: Failure, time: SystemTime) -> Self {
        let target = escaped_lossy(line.first_field().as_bytes(), ECHO_LIMIT);
        Self { error: Some(failure), ..Self::begin(line.place, target, time) }
    }

    /// The record of a target on which work begins.
    pub fn of_target(place: Place, target: &Target, port: u16, time: SystemTime) -> Self {
        Self {
            tag: target.tag.clone(),
            host: Some(target.host.to_string()),
            port: Some(port),
            attempts: Some(0),
            ..Self::begin(place, target.text.clone(), time)
        }
    }

    fn begin(place: Place, target: String, time: SystemTime) -> Self {
        Self {
            v: VERSION,
            line: place.line,
            number: place.number,
            target,
            time: time.into(),
            ..Self::default()
        }
    }

    /// Forgets what a dial came to, but not what it cost: another one is about to be made.
    pub fn begin_again(&mut self) {
        *self = Self {
            sent: self.sent,
            received: self.received,
            attempts: self.attempts,
            ms: Milliseconds { resolve: self.ms.resolve, ..Milliseconds::default() },
            v: self.v,
            line: self.line,
            number: self.number,
            target: std::mem::take(&mut self.target),
            tag: self.tag.take(),
            host: self.host.take(),
            port: self.port,
            sni: self.sni.take(),
            time: self.time,
            ..Self::default()
        };
    }

    /// Adds what `other` cost on the wire.
    pub fn add_costs(&mut self, other: &Self) {
        let add = |own: &mut Option<u64>, more: Option<u64>| {
            *own = own.map_or(more, |own| Some(own + more.unwrap_or(0)));
        };
        add(&mut self.sent, other.sent);
        add(&mut self.received, other.received);
        self.attempts =
            self.attempts.map_or(other.attempts, |own| Some(own + other.attempts.unwrap_or(0)));
    }

    /// Takes in what the chain came to.
    pub fn set_examined(&mut self, examined: Examined) {
        self.cert = examined.cert.map(Box::new);
        self.chain = Some(Box::new(Chain {
            length: examined.length,
            considered: examined.considered,
            sha256: examined.sha256,
            certificates: examined.chain,
        }));
        self.trust = examined.trust.map(Box::new);
        self.ocsp = examined.ocsp.map(Box::new);
    }

    /// Whether the sweep was stopped before this target was finished.
    pub fn is_interrupted(&self) -> bool {
        let words = self.error.as_ref().map(|failure| (failure.stage, failure.kind));
        words == Some((Stage::Local, Kind::Interrupted))
    }

    /// `ok`, or stage and kind of the failure: `connect/refused`.
    pub fn result(&self) -> String {
        match &self.error {
            Some(failure) => format!("{}/{}", failure.stage.word(), failure.kind.word()),
            None => "ok".to_owned(),
        }
    }
}

impl Tls {
    /// What was agreed and what passed by; nothing when nothing was observed.
    pub fn observed(agreed: Option<&Agreed>, seen: &Seen) -> Option<Self> {
        let has_chain = !seen.chain.is_empty();
        let mut tls = Self {
            signature: seen.signature_scheme.map(|n| names::signature_scheme(n).into_owned()),
            signature_verified: match seen.proof {
                Proof::Held(_) => Some(true),
                Proof::False => Some(false),
                Proof::Unproven(_) => None,
            },
            signature_unchecked: match &seen.proof {
                Proof::Unproven(reason) if has_chain => Some(cut(reason.to_string(), DETAIL_LIMIT)),
                _ => None,
            },
            client_cert_requested: seen.client_cert_requested.then_some(true),
            ocsp_stapled: has_chain.then_some(!seen.ocsp.is_empty()),
            ..Self::default()
        };
        if let Some(agreed) = agreed {
            tls.version = agreed.version.map(|n| names::version(n).into_owned());
            tls.cipher = agreed.cipher.map(|n| names::suite(n).into_owned());
            tls.group = agreed.group.map(|n| names::group(n).into_owned());
            tls.alpn = agreed.alpn.as_deref().map(|p| p.escape_ascii().to_string());
            tls.key_share_reused = agreed.key_share_reused.then_some(true);
            tls.hello_retry = Some(agreed.hello_retry);
            tls.client_cert_requested = Some(seen.client_cert_requested);
        }
        (tls != Self::default()).then_some(tls)
    }
}

/// Milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
