//! What is happening to a target, in words: what `-v` shows.
//!
//! Every line begins with the target. Nothing is put into words unless somebody asked for them.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{debug, info};

use super::attempt::{Attempt, Dial, Dialogue, Speech};
use super::{Asked, Visit};
use crate::cert::Trust;
use crate::failure::Failure;
use crate::plural::{count, days_left};
use crate::tls::handshake::{Agreed, Groups};

/// The lookup has found addresses.
pub(super) fn found(asked: &Asked, addresses: &[IpAddr], visit: &Visit<'_>) {
    if let Some(took) = visit.resolve {
        info!("{}: the name has {} ({})", asked.target.text, list(addresses), ms(took));
    }
}

/// A connection is about to be made.
pub(super) fn dialling(asked: &Asked, dial: &Dial, number: usize) {
    let (target, address) = (&asked.target.text, dial.address);
    info!("{target}: connection {number} to {address}, {}", hello(&dial.speech));
}

/// A connection waits for its place at an address.
pub(super) fn waiting(asked: &Asked, address: IpAddr) {
    info!("{}: waits until fewer connections to {address} are open", asked.target.text);
}

/// A connection has ended.
pub(super) fn ended(asked: &Asked, attempt: &Attempt) {
    let target = &asked.target.text;
    if let Some(took) = attempt.times.connect {
        info!("{target}: connected in {}", ms(took));
    }
    if let (Some(dialogue), Some(took)) = (&attempt.dialogue, attempt.times.starttls) {
        let name = dialogue.protocol.name;
        info!("{target}: STARTTLS of {name} in {}{}", ms(took), greeting(dialogue));
    }
    if let (Some(agreed), Some(took)) = (&attempt.agreed, attempt.times.handshake) {
        info!("{target}: the server chooses {} ({})", chosen(agreed), ms(took));
    }
    match &attempt.result {
        Err(failure) => {
            let (stage, kind) = (failure.stage.word(), failure.kind.word());
            info!("{target}: {stage}/{kind}: {}{}", failure.detail, seen(failure));
        }
        Ok(()) => {
            if let Some(read) = &attempt.read {
                info!("{target}: after the handshake {}", read.words());
            }
        }
    }
}

/// The chain was judged, if one came.
pub(super) fn judged(asked: &Asked, standing: Option<&Attempt>) {
    let examined = standing.and_then(|attempt| attempt.examined.as_ref());
    if let Some(trust) = examined.and_then(|examined| examined.trust.as_ref()) {
        let verdict = trust.verdict.as_str();
        info!("{}: the verdict is {verdict}{}", asked.target.text, days(trust));
    }
}

/// A peer has not answered the hello, and another connection is made beside this one.
pub(super) fn silent(asked: &Asked) {
    info!("{}: no answer yet: the connection stays open beside the next", asked.target.text);
}

/// There is a pause before another try.
pub(super) fn pausing(asked: &Asked, pause: Duration) {
    info!("{}: tries again in {}", asked.target.text, ms(pause));
}

/// What was to be found out about a topic is found out, as far as the server answers.
pub(super) fn followed(asked: &Asked, topic: &str, dials: u32, took: Duration) {
    let target = &asked.target.text;
    info!("{target}: {topic}: {} in {}", count(dials, "dial"), ms(took));
}

/// A question about a topic was answered, or was not.
pub(super) fn answered(asked: &Asked, topic: &str, number: usize, attempt: &Attempt) {
    let target = &asked.target.text;
    debug!("{target}: {topic}, question {}: {}", number + 1, answer(attempt));
}

/// The line is no target, or may not be dialled, or its name has no address.
pub(super) fn not_dialled(text: &str, failure: &Failure) {
    info!("{text}: {}/{}: {}", failure.stage.word(), failure.kind.word(), failure.detail);
}

fn greeting(dialogue: &Dialogue) -> String {
    dialogue.banner.iter().map(|banner| format!(", which greets: {banner}")).collect()
}

fn seen(failure: &Failure) -> String {
    failure.evidence.iter().map(|bytes| format!("; it sent {bytes}")).collect()
}

fn days(trust: &Trust) -> String {
    trust.days_left.iter().map(|days| format!(", {}", days_left(*days))).collect()
}

fn hello(speech: &Speech) -> String {
    match speech {
        Speech::Handshake(hello) => {
            let groups = match hello.groups {
                Groups::All => "with everything that is offered",
                Groups::Classical => "without post-quantum groups, for the full one had no answer",
            };
            let alpn = if hello.alpn.is_offered() { "" } else { ", without ALPN" };
            format!("a hello {groups}{alpn}")
        }
        Speech::Tailored(_) => "a hello that was made for one question".to_owned(),
        Speech::Renegotiation(_) => "a hello, and a second one inside its session".to_owned(),
        Speech::Plain(hello) => {
            format!("a hello of {} that asks what the server speaks", hello.version)
        }
        Speech::Raw(bytes) => bytes.what.to_owned(),
    }
}

fn answer(attempt: &Attempt) -> String {
    match (&attempt.agreed, &attempt.result) {
        (Some(agreed), _) => format!("the server chooses {}", chosen(agreed)),
        (None, Ok(())) => "answered".to_owned(),
        (None, Err(failure)) => failure.detail.clone(),
    }
}

fn chosen(agreed: &Agreed) -> String {
    let version = agreed.version.map(|version| version.name());
    let suite = agreed.cipher.map(|suite| suite.name());
    let group = agreed.group.map(|group| group.name());
    let alpn = agreed.alpn.as_ref().map(|name| String::from_utf8_lossy(name));
    let all: Vec<_> = [version, suite, group, alpn].into_iter().flatten().collect();
    all.join(", ")
}

fn list(addresses: &[IpAddr]) -> String {
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    format!("{}: {}", addresses_count(addresses), shown.join(", "))
}

fn addresses_count(addresses: &[IpAddr]) -> String {
    match addresses.len() {
        1 => "1 address".to_owned(),
        many => format!("{many} addresses"),
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
