//! Facts that need connections of their own: one provider per file, one row each in [`ROWS`].
//!
//! A provider does no I/O. It says what to send next, and is given the outcome. Its flag stands in its row,
//! and what it adds to the record is a type in its file, a field of [`Facts`], and a field of the record or,
//! under `--enumerate`, of its `enumeration`; `report::output::detail` shows it to people. The driver in this file runs all of them under `--per-host`, the
//! rate and the target's deadline. It also finds out which closes are refusals: [`Attempt::is_refused`] is the
//! only "no" that a provider may conclude from.

mod alpn;
mod certificates;
mod closes;
mod ech;
mod enumeration;
mod https;
mod jarm;
mod questions;
mod quic;
mod renegotiation;
mod resumption;
mod schemes;
mod ssl2;

pub use alpn::Protocols;
pub use certificates::{Found, Shown};
pub use ech::{Ech, EchConfigOf, EchRetryConfig, EchStatus};
pub use https::{Https, HttpsRecord, HttpsStatus};
pub use quic::{Quic, QuicStatus};
pub use resumption::Resumption;
pub use schemes::SignatureSchemes;
pub use ssl2::Ssl2;

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use closes::{Closes, Evidence, Turn};

use super::connection::Context;
use super::datagram::{Question, Reply};
use super::{Attempt, Dial, Patience, Prober, Speech, Visit, narration};
use crate::config::{Config, Flag};
use crate::deadline::Limits;
use crate::dial::resolve;
use crate::feed::target::ServerIdentity;
use crate::names::Version;
use crate::pace::limiter::HostSlot;
use crate::tls::enumerate::{Findings, Support};
use crate::tls::handshake::{Hello, Versions};

/// Every provider, in the order in which they run and then add their findings to [`Facts`].
const ROWS: &[Row] = &[
    // It stands first: `schemes`, `resumption` and `renegotiation` read in `Facts` which versions it found.
    enumeration::ROW,
    certificates::ROW,
    schemes::ROW,
    alpn::ROW,
    resumption::ROW,
    jarm::ROW,
    quic::ROW,
    ech::ROW,
    // What a device on the way may silently drop comes last, so that it takes no other answer's time.
    ssl2::ROW,
    renegotiation::ROW,
];

/// A provider of facts.
struct Row {
    /// What it is about, in words.
    topic: &'static str,
    /// The flag that asks for it. Several rows may have the same.
    flag: &'static Flag,
    make: fn(&Start<'_>) -> Box<dyn Follow>,
    /// What there is to say of a server that was dialled and does not speak TLS; no provider is made
    /// for it.
    without_tls: fn(&mut Facts),
}

/// What is known when a provider begins.
struct Start<'a> {
    identity: &'a ServerIdentity,
    /// Where the server was reached.
    address: SocketAddr,
    limits: &'a Limits,
    /// The hello of the handshake that counts.
    hello: Hello,
    /// The protocol versions that handshakes offer.
    versions: Versions,
}

/// Facts about one server that need connections of their own.
trait Follow: Send {
    /// Whether the HTTPS records of the server are to be looked up, once for all providers.
    fn wants_https(&self) -> bool {
        false
    }

    /// Takes them, before anything is asked. None: there is no server name, or the protocol is not HTTPS.
    fn take_https(&mut self, _https: Option<&resolve::Https>) {}

    /// What to ask over UDP next. These questions are asked one at a time, before the connections.
    fn question(&mut self) -> Option<Question> {
        None
    }

    /// Takes what came of the latest of them.
    fn answer(&mut self, _reply: &Reply) {}

    /// What to say over the next connection. `None` while nothing can be asked before one of the
    /// connections under way is settled; when there are none, the provider is done.
    fn next(&mut self) -> Option<Speech>;

    /// Takes the outcome of the speech with this number. Speeches are numbered from 0, in the order
    /// in which [`Follow::next`] returned them.
    fn settle(&mut self, number: usize, attempt: &Attempt);

    /// Whether the chains of its connections are judged before they are settled.
    fn judges(&self) -> bool {
        false
    }

    /// Takes back what was concluded from closes: the server was seen to close whatever the hello says.
    fn doubt_closes(&mut self);

    /// Adds the findings to `facts`. Whatever was not settled stays unknown.
    fn into_facts(self: Box<Self>, facts: &mut Facts);
}

/// What the follow-ups of one target found out. Absent facts were not asked for, or the target was
/// not reached.
#[derive(Debug, Default)]
pub struct Facts {
    /// Everything that the server speaks.
    pub enumeration: Option<Box<Findings>>,
    /// Every certificate that the server shows.
    pub certificates: Option<Box<Found>>,
    /// Every signature scheme that the server uses.
    pub signature_schemes: Option<Box<SignatureSchemes>>,
    /// Every application protocol that the server chooses.
    pub alpn: Option<Box<Protocols>>,
    /// What the server does with sessions that are offered again.
    pub resumption: Option<Box<Resumption>>,
    /// Whether the server lets a client begin a second handshake in a session.
    pub client_renegotiation: Option<Support>,
    /// What is known of SSL 2.0.
    pub ssl2: Option<Ssl2>,
    /// The JARM fingerprint.
    pub jarm: Option<String>,
    /// What is shown of QUIC.
    pub quic: Option<Quic>,
    /// What the DNS says in HTTPS records.
    pub https: Option<Box<Https>>,
    /// What the server does with an encrypted ClientHello.
    pub ech: Option<Box<Ech>>,
}

impl Facts {
    /// What the enumeration says of a version; unknown to a provider whose row stands before it.
    fn support_of(&self, version: Version) -> Support {
        let versions = self.enumeration.iter().flat_map(|findings| &findings.versions);
        let mut versions = versions.filter(|known| known.version == version);
        versions.next().map_or(Support::Unknown, |known| known.support)
    }
}

/// Every flag that asks for facts that need connections of their own, such as `enumerate`. Those
/// that are wanted go into [`Config::follow_ups`](crate::config::Config::follow_ups).
pub fn flags() -> impl Iterator<Item = &'static Flag> {
    let before = |place| ROWS.iter().take(place).map(|row| row.flag);
    let rows = ROWS.iter().enumerate();
    rows.filter_map(move |(place, row)| before(place).all(|it| it != row.flag).then_some(row.flag))
}

/// The rows of the flags that were given.
fn wanted(config: &Config) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| config.follow_ups.contains(&row.flag))
}

/// What is known of a server that was dialled and does not speak TLS.
pub(super) fn without_tls(config: &Config) -> Facts {
    let mut facts = Facts::default();
    wanted(config).for_each(|row| (row.without_tls)(&mut facts));
    facts
}

impl Visit<'_> {
    /// Counts the cost of a connection. Connections that waited at the same time stop the target's clock
    /// only once: it already stood still until `stood_until`. Returns until when it stands still now.
    fn account(&mut self, settled: &Settled, stood_until: Instant) -> Instant {
        self.attempts.push_apart(&settled.attempt);
        let (from, to) = settled.waited;
        self.context.stand_still(to.saturating_duration_since(from.max(stood_until)));
        stood_until.max(to)
    }
}

/// The outcome of one connection of a follow-up.
struct Settled {
    number: usize,
    attempt: Attempt,
    /// From when to when it waited for permission to dial.
    waited: (Instant, Instant),
}

impl Prober {
    /// Runs the wanted providers against the address that was reached.
    pub(super) async fn follow(&self, visit: &mut Visit<'_>) -> Facts {
        let mut facts = Facts::default();
        let Some(address) = visit.attempts.connected_address() else {
            return facts;
        };
        let standing = visit.attempts.standing().and_then(Attempt::hello);
        let start = Start {
            identity: visit.context.identity,
            address,
            limits: &self.config.limits,
            hello: standing.unwrap_or_else(|| visit.plan.full_hello()),
            versions: self.client.versions(),
        };
        let wanted = wanted(&self.config);
        let mut providers: Vec<_> = wanted.map(|row| (row.topic, (row.make)(&start))).collect();
        if providers.iter().any(|(_, provider)| provider.wants_https()) {
            let https = Box::pin(self.look_up_https(visit)).await;
            providers.iter_mut().for_each(|(_, provider)| provider.take_https(https.as_ref()));
        }
        let mut closes = Closes::after(visit.attempts.all());
        for (topic, provider) in &mut providers {
            let (begun, dialled) = (Instant::now(), visit.attempts.costs().dials);
            self.drive(topic, provider.as_mut(), address, &mut closes, visit).await;
            let dials = visit.attempts.costs().dials - dialled;
            narration::followed(visit.asked, topic, dials, begun.elapsed());
        }
        for (_, mut provider) in providers {
            if closes.are_chance() {
                provider.doubt_closes();
            }
            provider.into_facts(&mut facts);
        }
        facts
    }

    async fn drive(
        &self,
        topic: &str,
        provider: &mut dyn Follow,
        address: SocketAddr,
        closes: &mut Closes,
        visit: &mut Visit<'_>,
    ) {
        while !visit.context.deadline.is_over()
            && let Some(question) = provider.question()
        {
            let reply = Box::pin(self.ask_apart(&question, address, visit)).await;
            provider.answer(&reply);
        }
        let mut under_way = FuturesUnordered::new();
        // Closes are checked while no other connection is under way, so that none can disturb the check.
        let mut dropped = VecDeque::new();
        let mut number = 0;
        let mut stood_until = Instant::now();
        loop {
            while dropped.is_empty() && !visit.context.deadline.is_over() {
                let Some(slot) = self.place_beside(under_way.len(), address) else {
                    break;
                };
                let Some(speech) = provider.next() else {
                    break;
                };
                let dial = Dial { address, speech, patience: Patience::Whole };
                under_way.push(self.attempt_apart(number, dial, slot, visit.context));
                number += 1;
            }
            let (number, mut attempt) = match under_way.next().await {
                Some(settled) => {
                    stood_until = visit.account(&settled, stood_until);
                    closes.note(&settled.attempt);
                    if settled.attempt.is_dropped() {
                        dropped.push_back((settled.number, settled.attempt));
                        continue;
                    }
                    (settled.number, settled.attempt)
                }
                None => {
                    let Some((number, closed)) = dropped.pop_front() else {
                        break;
                    };
                    (number, Box::pin(self.check(closed, closes, visit)).await)
                }
            };
            if provider.judges() {
                self.judge_attempt(&mut attempt, visit.context.identity);
            }
            narration::answered(visit.asked, topic, number, &attempt);
            provider.settle(number, &attempt);
        }
    }

    /// The place of another connection beside so many. The first one uses the target's own slot; more need a
    /// slot each. `None`: there is no room for it.
    fn place_beside(&self, others: usize, address: SocketAddr) -> Option<Option<HostSlot>> {
        match others {
            0 => Some(None),
            _ if others >= self.config.per_host.get() => None,
            _ => self.limiter.try_host_slot(address.ip()).map(Some),
        }
    }

    /// Finds out whether a close is a refusal. Returns the attempt with the outcome that counts: that of
    /// its repetition, if that was answered.
    async fn check(
        &self,
        mut closed: Attempt,
        closes: &mut Closes,
        visit: &mut Visit<'_>,
    ) -> Attempt {
        let Some((control, turns)) = closes.check() else {
            return closed;
        };
        for turn in turns {
            if visit.context.deadline.is_over() {
                return closed;
            }
            let speech = match turn {
                Turn::Control => control.clone(),
                Turn::Question => closed.speech.clone(),
            };
            let dial = Dial { address: closed.address, speech, patience: Patience::Whole };
            let made = self.attempt_apart(0, dial, None, visit.context).await;
            visit.account(&made, made.waited.0);
            match (closes.settle(*turn, &made.attempt), turn) {
                (Evidence::Refusal, _) => {}
                (Evidence::Chance, Turn::Question) => return made.attempt,
                (Evidence::Chance, Turn::Control) | (Evidence::Nothing, _) => return closed,
            }
        }
        closes.are_refusals();
        closed.is_refusal = true;
        closed
    }

    /// One question over UDP.
    async fn ask_apart(
        &self,
        question: &Question,
        address: SocketAddr,
        visit: &mut Visit<'_>,
    ) -> Reply {
        let from = Instant::now();
        self.limiter.tick().await;
        visit.context.stand_still(from.elapsed());
        let reply = self.ask_over_udp(&visit.context, address, question).await;
        visit.attempts.push_datagram(reply.sent, reply.received);
        reply
    }

    /// One connection beside others, with a handshake limit of its own.
    async fn attempt_apart(
        &self,
        number: usize,
        dial: Dial,
        slot: Option<HostSlot>,
        mut context: Context<'_>,
    ) -> Settled {
        context.handshake_end = None;
        let from = Instant::now();
        self.limiter.tick().await;
        let to = Instant::now();
        context.stand_still(to.duration_since(from));
        let attempt = self.attempt(&context, &dial).await;
        drop(slot);
        Settled { number, attempt, waited: (from, to) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until it has added its findings, [`Facts::support_of`] knows of no version.
    #[test]
    fn the_enumeration_comes_before_whoever_reads_its_findings() {
        let first = ROWS.first().map(|row| row.topic);
        assert_eq!(first, Some(enumeration::ROW.topic));
    }
}
