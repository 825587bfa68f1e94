//! What a server speaks that rustls cannot speak to.

use std::borrow::Cow;

use rustls_pki_types::CertificateDer;

use super::dial::{Speech, Unanswered};
use super::{Prober, Work, random};
use crate::cert::Certificate;
use crate::failure::{Failure, Kind, Reason, Stage};
use crate::names;
use crate::report::record::Tls;
use crate::signature::Proof;
use crate::tls::handshake::{Agreed, can_speak, known_groups};
use crate::tls::hello::{Answer, Flight, Parameters, ServerHello};
use crate::tls::legacy::{ClientHello, SUITES, rare_suites};
use crate::tls::recorder::Seen;

/// The alerts with which a server turns down a hello that offers it nothing: 40, 47, 50, 70, 71, 80.
const TURNED_DOWN: [&str; 6] = [
    "handshake_failure",
    "illegal_parameter",
    "decode_error",
    "protocol_version",
    "insufficient_security",
    "internal_error",
];

/// handshake_failure and insufficient_security: the refusal is of the suites that were offered.
const NO_SUITE: &[u8] = &[40, 71];
/// protocol_version: it is of the version.
const NO_VERSION: &[u8] = &[70];
const WHATEVER: &[u8] = &[];

impl Prober {
    /// Why there is no session: what the peer speaks instead, if it shows that when it is offered
    /// everything; else the failure as it was.
    pub(super) async fn explain(&self, unanswered: Unanswered, work: &mut Work<'_>) -> Failure {
        if !is_worth_asking(&unanswered) {
            return unanswered.failure;
        }
        let sent = work.identity.sent.clone();
        let server_name = sent.as_ref().map(|name| name.as_ref());
        let rare = rare_suites();
        let mut refusal = None;
        for (after, hello) in [
            (WHATEVER, ClientHello::legacy(SUITES, server_name)),
            (NO_SUITE, ClientHello::legacy(&rare, server_name)),
            (NO_VERSION, ClientHello::tls13(server_name)),
            (WHATEVER, ClientHello::ssl3()),
        ] {
            if !after.is_empty() && refusal.is_none_or(|alert| !after.contains(&alert)) {
                continue;
            }
            let Ok(random) = random() else {
                break;
            };
            let mut flight = Flight::new();
            let speech = Speech::Plain(&hello.encode(&random), &mut flight);
            let end = self.dial_once(speech, work).await;
            let answer = flight.into_answer();
            refusal = answer.alert.map(|alert| alert.description);
            if let Some(hello) = answer.hello.as_ref().or(answer.retry.as_ref()) {
                let explained = self.note_legacy(hello, &answer, &unanswered.failure, work);
                return explained.unwrap_or(unanswered.failure);
            }
            let is_refused = match end {
                Ok(()) => true,
                Err(again) => matches!(again.failure.kind, Kind::Alert | Kind::Eof | Kind::Reset),
            };
            if !is_refused {
                break;
            }
        }
        unanswered.failure
    }

    /// Takes down what the peer chose from everything; nothing when rustls could have spoken it, for
    /// then that was not the trouble.
    fn note_legacy(
        &self,
        hello: &ServerHello,
        answer: &Answer,
        failure: &Failure,
        work: &mut Work<'_>,
    ) -> Option<Failure> {
        let parameters = answer.key_exchange.as_ref().map(|exchange| &exchange.parameters);
        let scheme = answer.key_exchange.as_ref().and_then(|exchange| exchange.signature_scheme);
        let agreed = Agreed {
            version: Some(hello.version()),
            cipher: Some(hello.suite),
            group: match parameters {
                Some(Parameters::Ecdh { group }) => Some(*group),
                _ => hello.key_share_group,
            },
            alpn: None,
            hello_retry: false,
            key_share_reused: false,
        };
        if can_speak(&agreed, scheme) && can_use_key(answer) {
            return None;
        }
        let seen = seen(answer, scheme);
        let pq_intolerant = work.record.tls.as_ref().and_then(|tls| tls.pq_intolerant);
        work.record.tls = Tls::observed(Some(&agreed), &seen).map(|tls| {
            Box::new(Tls {
                hello_retry: None,
                client_cert_requested: tls.client_cert_requested.filter(|_| answer.hello.is_some()),
                dh_bits: match parameters {
                    Some(Parameters::Dh { prime_bits }) => Some(*prime_bits),
                    _ => None,
                },
                pq_intolerant,
                legacy: Some(true),
                ..tls
            })
        });
        self.judge(&seen, work);
        let [version, suite]: [Cow<'static, str>; 2] =
            [names::version(hello.version()), names::suite(hello.suite)];
        let group = agreed.group.map(|group| format!(" on {}", names::group(group)));
        let reason = Reason {
            stage: Stage::Handshake,
            kind: Kind::Unsupported,
            alert: None,
            detail: format!(
                "the peer speaks {version} with {suite}{}; to our hello: {}",
                group.unwrap_or_default(),
                failure.detail
            ),
            evidence: failure.evidence.clone(),
        };
        Some(reason.into())
    }
}

fn is_worth_asking(unanswered: &Unanswered) -> bool {
    let Reason { stage, kind, alert, .. } = &*unanswered.failure;
    let is_turned_down = match kind {
        Kind::Eof | Kind::Reset => true,
        Kind::Alert => alert.as_deref().is_some_and(|alert| TURNED_DOWN.contains(&alert)),
        _ => false,
    };
    *stage == Stage::Handshake
        && (*kind == Kind::Unsupported || is_turned_down && !unanswered.saw_hello)
}

/// Whether the leaf's key is on a curve that every hello offers: TLS 1.2 servers do without a
/// certificate that is not (RFC 8422, section 5.1).
fn can_use_key(answer: &Answer) -> bool {
    let leaf = answer.certificates.first().map(|der| Certificate::new(der));
    leaf.and_then(|leaf| leaf.key_curve).is_none_or(|curve| {
        let number = names::group_by_name(&curve);
        number.is_some_and(|number| known_groups().any(|known| known == number))
    })
}

/// The plaintext answer, in the form that the handshake's recorder gives.
fn seen(answer: &Answer, scheme: Option<u16>) -> Seen {
    let chain = answer.certificates.iter().cloned().map(CertificateDer::from);
    Seen {
        chain: chain.collect(),
        ocsp: answer.ocsp_response.clone().unwrap_or_default(),
        signature_scheme: scheme,
        proof: Proof::default(),
        client_cert_requested: answer.client_cert_requested,
    }
}
