//! The record: one per target, its fields in the order in which they are written.
//!
//! What was not observed is absent: "no" and "not looked" are never the same thing.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cert::{Certificate, Examined, Ocsp, Revocation, Trust};
use crate::escape::escaped_lossy;
use crate::failure::{Failure, Kind, Reason, Stage};
use crate::feed::input::{ECHO_LIMIT, Line, Place};
use crate::feed::target::Target;
use crate::names;
use crate::probe::{Attempt, Attempts, Costs, Dialogue, Ech, Https, Probed, Quic};
use crate::report::changed::Changed;
use crate::report::enumeration::Report;
use crate::report::timestamp::Timestamp;
use crate::tls::drain::ReadEnd;
use crate::tls::handshake::Agreed;
use crate::tls::hello::Parameters;
use crate::tls::posture::Posture;

/// The version of the record's schema; it grows with every change that is not an addition.
pub const VERSION: u32 = 1;

/// What is known of one target.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
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
    pub cert: Option<Arc<Certificate>>,
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
    /// The JARM fingerprint, when asked for; zeros when the peer answered none of its hellos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jarm: Option<String>,
    /// What the peer shows of QUIC, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quic: Option<Quic>,
    /// What the DNS says of the server in HTTPS records, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<Box<Https>>,
    /// What the peer does with an encrypted ClientHello, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ech: Option<Box<Ech>>,
    /// What the sources of revocations say that were given on the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Box<Revocation>>,
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
    /// Connections that were tried for this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The conditions of `--fail-on` that this target met; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_checks: Option<Vec<String>>,
    /// What has changed since the baseline: the fields that differ, with their earlier values. Absent
    /// when there was none to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Box<Changed>>,
}

/// A certificate that the peer showed, and what it is worth; all absent when there was none.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The leaf.
    pub cert: Option<&'a Certificate>,
    /// The verdict.
    pub trust: Option<&'a Trust>,
    /// Whether the signature over the handshake holds under its key, where that was checked.
    pub signature_verified: Option<bool>,
}

/// A TLS session, as far as it came.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tls {
    /// The protocol version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'static, str>>,
    /// The cipher suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Cow<'static, str>>,
    /// The key-exchange group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Cow<'static, str>>,
    /// The post-quantum posture of the key exchange; `classical` without a group up to TLS 1.2. Absent in
    /// TLS 1.3 without a group, and for a group that IANA does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<Posture>,
    /// The application protocol that the peer chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// Whether the peer refused all the application protocols that were offered, with the alert
    /// `no_application_protocol`. It was then dialled once more without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn_refused: Option<bool>,
    /// The scheme of the signature over the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Cow<'static, str>>,
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
    /// Whether the peer answers only hellos without post-quantum groups: it left the full hello
    /// unanswered, answered a smaller one, left the full one unanswered two more times, and answered the
    /// smaller one two more times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pq_intolerant: Option<bool>,
    /// Bits of the prime of a Diffie-Hellman key exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<usize>,
    /// Whether this is what the peer speaks to others: tlsweep cannot, and only looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<bool>,
    /// JA3S of the ServerHello, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ja3s: Option<String>,
}

/// A plaintext dialogue before TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
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
#[non_exhaustive]
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

/// How long the steps took, in milliseconds; of the connection that counts, but for `resolve` and
/// `total`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Milliseconds {
    /// From the name to its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<f64>,
    /// From the request to the connection; absent when no connection was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// From the connection to the peer's consent to TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<f64>,
    /// From the ClientHello to the end of the handshake, completed or not.
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
    #[doc(hidden)]
    pub fn of_line(line: &Line, failure: Failure, time: SystemTime) -> Self {
        let target = escaped_lossy(line.first_field().as_bytes(), ECHO_LIMIT);
        Self { error: Some(failure), ..Self::begin(line.place, target, time) }
    }

    /// The record of a target on which work begins.
    #[doc(hidden)]
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

    /// The record of a line: what was found out, in the words of the output.
    #[doc(hidden)]
    pub fn of_probe(line: &Line, probed: Probed) -> Self {
        let asked = match probed.target {
            Ok(asked) => asked,
            Err(failure) => return Self::of_line(line, failure, probed.time),
        };
        let mut record = Self::of_target(line.place, &asked.target, asked.port, probed.time);
        let sni = asked.identity.sent.as_ref();
        record.sni = sni.map(|name| name.as_ref().to_owned());
        let Costs { dials, sent, received } = probed.attempts.costs();
        (record.attempts, record.sent, record.received) = (Some(dials), sent, received);
        record.ms.resolve = probed.resolve.map(milliseconds);
        record.ms.total = milliseconds(probed.total);
        let mut facts = probed.facts;
        record.enumeration = Report::of(&mut facts).map(Box::new);
        record.jarm = facts.jarm;
        record.quic = facts.quic;
        (record.https, record.ech) = (facts.https, facts.ech);
        record.set_attempts(probed.attempts);
        if probed.failure.is_some() {
            record.error = probed.failure;
        }
        record.ok = record.error.is_none();
        record
    }

    /// Takes in the attempt that counts.
    fn set_attempts(&mut self, attempts: Attempts) {
        self.tls = Tls::of_attempts(&attempts).map(Box::new);
        let explained = attempts.explained().and_then(|attempt| attempt.result.as_ref().err());
        let explained = explained.cloned();
        let Some(attempt) = attempts.into_standing() else {
            return;
        };
        self.addr = Some(attempt.ip());
        self.error = match (explained, &attempt.agreed) {
            (Some(failure), Some(agreed)) => Some(unsupported(agreed, &failure)),
            _ => attempt.result.err(),
        };
        self.ms.connect = attempt.times.connect.map(milliseconds);
        self.ms.starttls = attempt.times.starttls.map(milliseconds);
        self.ms.handshake = attempt.times.handshake.map(milliseconds);
        self.ms.read = attempt.times.read.map(milliseconds);
        self.starttls = attempt.dialogue.map(|Dialogue { protocol, banner }| {
            Box::new(Starttls { protocol: protocol.name.to_owned(), banner })
        });
        self.read = attempt.read.map(Box::new);
        if let Some(examined) = attempt.examined {
            self.set_examined(*examined);
        }
    }

    /// Takes in what the chain came to.
    #[doc(hidden)]
    pub fn set_examined(&mut self, examined: Examined) {
        self.cert = examined.cert;
        self.chain = Some(Box::new(Chain {
            length: examined.length,
            considered: examined.considered,
            sha256: examined.sha256,
            certificates: examined.chain,
        }));
        self.trust = examined.trust.map(Box::new);
        self.ocsp = examined.ocsp.map(Box::new);
        self.revocation = examined.revocation.map(Box::new);
    }

    /// Whether the sweep was stopped before this target was finished.
    pub fn is_interrupted(&self) -> bool {
        let words = self.error.as_ref().map(|failure| (failure.stage, failure.kind));
        words == Some((Stage::Local, Kind::Interrupted))
    }

    /// Every certificate that the peer showed, beginning with that of the connection that counts.
    pub fn presented(&self) -> impl Iterator<Item = Presented<'_>> {
        let standing = Presented {
            cert: self.cert.as_deref(),
            trust: self.trust.as_deref(),
            signature_verified: self.tls.as_ref().and_then(|tls| tls.signature_verified),
        };
        let enumerated = self.enumeration.iter().flat_map(|report| &report.certificates);
        std::iter::once(standing).chain(enumerated.map(|shown| Presented {
            cert: Some(&shown.cert),
            trust: shown.trust.as_ref(),
            signature_verified: shown.signature_verified,
        }))
    }

    /// Whether our own machine failed, which says nothing about the target.
    pub fn is_local_failure(&self) -> bool {
        self.error.as_ref().is_some_and(|failure| failure.stage == Stage::Local)
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
    /// What the attempts showed; nothing when they showed nothing.
    fn of_attempts(attempts: &Attempts) -> Option<Self> {
        let attempt = attempts.standing()?;
        let tls = Self {
            alpn_refused: attempts.is_alpn_refused().then_some(true),
            pq_intolerant: attempts.is_pq_intolerant(),
            ..Self::of_attempt(attempt)
        };
        (tls != Self::default()).then_some(tls)
    }

    /// What was agreed and what passed by in one handshake, completed or not.
    fn of_attempt(attempt: &Attempt) -> Self {
        let Attempt { seen, agreed, answer, .. } = attempt;
        // A peer that did not ask may not have come to the point where it asks.
        let had_occasion = match answer {
            Some(answer) => answer.is_done,
            None => attempt.result.is_ok(),
        };
        let was_asked = seen.client_cert_requested;
        let mut tls = Self {
            signature: seen.signature_scheme.map(names::signature_scheme),
            signature_verified: seen.proof.is_verified(),
            signature_unchecked: attempt.has_chain.then(|| seen.proof.why_unchecked()).flatten(),
            client_cert_requested: (was_asked || had_occasion).then_some(was_asked),
            ocsp_stapled: attempt.ocsp_stapled,
            ..Self::default()
        };
        if let Some(agreed) = agreed {
            tls.version = agreed.version.map(|version| version.name());
            tls.cipher = agreed.cipher.map(|suite| suite.name());
            tls.group = agreed.group.map(|group| group.name());
            tls.key_exchange = Posture::new(agreed.version, agreed.group);
            tls.ja3s = agreed.ja3s.map(|digest| HEXLOWER.encode(&digest));
            tls.alpn = agreed.alpn.as_deref().map(|p| p.escape_ascii().to_string());
            tls.key_share_reused = agreed.key_share_reused.then_some(true);
            tls.hello_retry = Some(agreed.hello_retry);
        }
        if attempt.is_beyond_rustls {
            // Our own hello offers no key share, so a server of TLS 1.3 has to ask for one.
            tls.hello_retry = None;
            tls.legacy = Some(true);
            let key_exchange = answer.as_ref().and_then(|answer| answer.key_exchange.as_ref());
            tls.dh_bits = match key_exchange.map(|exchange| &exchange.parameters) {
                Some(Parameters::Dh { prime_bits }) => Some(*prime_bits),
                _ => None,
            };
        }
        tls
    }
}

/// The failure of a target that speaks only what rustls cannot speak. `failure` is what our own
/// hello met.
fn unsupported(agreed: &Agreed, failure: &Failure) -> Failure {
    let version = agreed.version.map(|version| version.name()).unwrap_or_default();
    let suite = agreed.cipher.map(|suite| suite.name()).unwrap_or_default();
    let group = agreed.group.map(|group| format!(" on {group}"));
    let group = group.unwrap_or_default();
    let detail = &failure.detail;
    Reason {
        stage: Stage::Handshake,
        kind: Kind::Unsupported,
        alert: None,
        detail: format!("the peer speaks {version} with {suite}{group}; to our hello: {detail}"),
        evidence: failure.evidence.clone(),
    }
    .into()
}

/// Milliseconds, to the microsecond.
#[doc(hidden)]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
