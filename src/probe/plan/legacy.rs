//! Chooses the hellos of our own that may show what a server speaks when rustls cannot speak it.

use super::super::attempt::Attempt;
use crate::cert::Certificate;
use crate::failure::{Kind, Stage};
use crate::names::{AlertDescription, Group};
use crate::tls::handshake::{Agreed, can_speak, known_groups};
use crate::tls::legacy::ClientHello;

/// The alerts with which a server refuses a hello that offers it nothing.
const REFUSALS: [AlertDescription; 6] = [
    AlertDescription::HANDSHAKE_FAILURE,
    AlertDescription::ILLEGAL_PARAMETER,
    AlertDescription::DECODE_ERROR,
    AlertDescription::PROTOCOL_VERSION,
    AlertDescription::INSUFFICIENT_SECURITY,
    AlertDescription::INTERNAL_ERROR,
];

/// The alerts that refuse the suites.
const NO_SUITE: &[AlertDescription] =
    &[AlertDescription::HANDSHAKE_FAILURE, AlertDescription::INSUFFICIENT_SECURITY];
/// The alert that refuses the version.
const NO_VERSION: &[AlertDescription] = &[AlertDescription::PROTOCOL_VERSION];
const ANY: &[AlertDescription] = &[];

/// A hello of our own, and when to send it.
struct Row {
    /// The alerts to the hello before that it may follow.
    after: &'static [AlertDescription],
    hello: fn() -> ClientHello,
}

/// The hellos in the order in which they are sent.
const HELLOS: [Row; 4] = [
    Row { after: ANY, hello: ClientHello::common },
    Row { after: NO_SUITE, hello: ClientHello::rare },
    Row { after: NO_VERSION, hello: ClientHello::tls13 },
    Row { after: ANY, hello: ClientHello::ssl3 },
];

/// The next hello of our own. `standing` is the outcome of the handshakes by rustls.
pub(super) fn next_hello<'a>(
    standing: &Attempt,
    mut sent: impl Iterator<Item = &'a Attempt>,
) -> Option<ClientHello> {
    if !is_worth_asking(standing) {
        return None;
    }
    let mut alert = None;
    for Row { after, hello } in HELLOS {
        if !after.is_empty() && alert.is_none_or(|alert| !after.contains(&alert)) {
            continue;
        }
        let Some(attempt) = sent.next() else {
            return Some(hello());
        };
        let answer = attempt.answer.as_deref();
        let has_chosen = answer.is_some_and(|answer| answer.server_hello().is_some());
        if has_chosen || !is_refused(attempt) {
            return None;
        }
        alert = answer.and_then(|answer| answer.alert).map(|alert| alert.description);
    }
    None
}

/// Whether the answer of `attempt` shows something that rustls cannot speak, which explains why the
/// handshake by rustls failed.
pub(super) fn is_beyond_rustls(attempt: &Attempt) -> bool {
    let Some(answer) = attempt.answer.as_deref() else {
        return false;
    };
    let scheme = answer.key_exchange.as_ref().and_then(|exchange| exchange.signature_scheme);
    Agreed::in_plain_text(answer)
        .is_some_and(|agreed| !can_speak(&agreed, scheme) || !can_use_key(attempt))
}

/// Whether the failure may have been caused by what rustls offers.
fn is_worth_asking(standing: &Attempt) -> bool {
    let Err(failure) = &standing.result else {
        return false;
    };
    let is_refused = match failure.kind {
        Kind::Eof | Kind::Reset => true,
        Kind::Alert => failure.alert.is_some_and(|alert| REFUSALS.contains(&alert)),
        _ => false,
    };
    failure.stage == Stage::Handshake
        && (failure.kind == Kind::Unsupported || is_refused && !standing.saw_hello)
}

fn is_refused(attempt: &Attempt) -> bool {
    match &attempt.result {
        Ok(()) => true,
        Err(failure) => matches!(failure.kind, Kind::Alert | Kind::Eof | Kind::Reset),
    }
}

/// Whether the leaf's key is on a curve that every hello offers: TLS 1.2 servers do without a
/// certificate that is not (RFC 8422, section 5.1).
fn can_use_key(attempt: &Attempt) -> bool {
    let leaf = attempt.seen.chain.first().map(|der| Certificate::new(der));
    leaf.and_then(|leaf| leaf.key_curve).is_none_or(|curve| {
        let group = Group::of_any_name(&curve);
        group.is_some_and(|group| known_groups().any(|known| known == group))
    })
}
