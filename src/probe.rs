//! Probes one target.
//!
//! [`Prober::probe`] finds the addresses of a target, and then asks `plan` what to do next until
//! there is nothing left to do. `connection` makes one connection and returns an [`Attempt`]; it
//! decides nothing. Facts that need connections of their own, such as an enumeration, are
//! `follow`-ups.

mod addresses;
mod attempt;
mod connection;
mod datagram;
mod follow;
mod judge;
mod narration;
mod plan;
mod standby;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use attempt::{Attempt, Bytes, Dial, Dialogue, Patience, Speech, Times};
pub use follow::{
    Ech, EchConfigOf, EchRetryConfig, EchStatus, Facts, Found, Https, HttpsRecord, HttpsStatus,
    Protocols, Quic, QuicStatus, Resumption, Shown, SignatureSchemes, Ssl2,
    flags as follow_up_flags,
};
pub use plan::{Attempts, Costs};

use crate::cert::{Judge, Roots};
use crate::config::{Config, Starttls};
use crate::deadline::{Clock, Deadline, Wait};
use crate::dial::resolve::{Resolver, ResolverSettings};
use crate::dial::starttls::Protocol;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::Line;
use crate::feed::target::{HTTPS_ALPN, InvalidTarget, ServerIdentity, Target};
use crate::limits::{ADDRESSES_LIMIT, DIALLED_ADDRESSES};
use crate::pace::limiter::{HostSlot, Limiter};
use crate::pace::permit::Permit;
use crate::tls::handshake::Client;
use connection::Context;
use plan::{Next, Plan};
use standby::Standby;

/// Everything that the targets of a sweep share.
///
/// A [`Scan`](crate::scan::Scan) makes records of what it finds.
pub struct Prober {
    config: Config,
    clock: Clock,
    resolver: Resolver,
    limiter: Limiter,
    /// Every lookup that waits or is in flight holds another of these.
    lookups: Arc<()>,
    /// For connections to silent peers that stay open beside others.
    standbys: Semaphore,
    client: Client,
    judge: Judge,
}

/// What was found out about one target, or about one of its addresses.
#[derive(Debug)]
pub struct Probed {
    /// When work on the target began.
    pub time: SystemTime,
    /// What the line asks for, or why it is no target.
    pub target: Result<Arc<Asked>, Failure>,
    /// From the name to its addresses.
    pub resolve: Option<Duration>,
    /// Every connection, and what came of it.
    pub attempts: Attempts,
    /// What the follow-ups found out.
    pub facts: Facts,
    /// What ended the work apart from the attempts; it goes before theirs.
    pub failure: Option<Failure>,
    /// From the beginning to the end, waiting for permits not counted.
    pub total: Duration,
}

/// A target with what the sweep's settings add to its line.
#[derive(Debug)]
pub struct Asked {
    /// What the line says.
    pub target: Target,
    /// The TCP port to dial.
    pub port: u16,
    /// The server name to send and the name to check the certificate against.
    pub identity: ServerIdentity,
}

/// A target, or one of its addresses, while it is worked on.
struct Visit<'a> {
    asked: &'a Asked,
    context: Context<'a>,
    plan: Plan,
    /// Released while waiting for a slot at a busy address.
    permit: &'a mut Permit,
    /// At the address that is being dialled.
    slot: Option<Box<HostSlot>>,
    resolve: Option<Duration>,
    attempts: Attempts,
}

impl Prober {
    /// Prepares for targets to be probed from `clock`'s now on.
    ///
    /// # Errors
    /// The configured offer makes no hello.
    pub fn new(config: Config, roots: Roots, clock: Clock) -> Result<Self, rustls::Error> {
        let resolver = Resolver::new(ResolverSettings {
            servers: config.resolvers.clone(),
            in_flight: config.lookups,
            limit: config.limits.resolve,
            families: config.families,
            addresses: if config.all_addresses { ADDRESSES_LIMIT } else { DIALLED_ADDRESSES },
            exclude: config.exclude.clone(),
        });
        Ok(Self {
            client: Client::new(&config.offer)?,
            judge: Judge::new(roots)
                .with_crls(Arc::clone(&config.crls))
                .with_crlite(Arc::clone(&config.crlite)),
            resolver,
            limiter: Limiter::new(config.dial_limits),
            lookups: Arc::default(),
            standbys: Semaphore::new(config.standbys.min(Semaphore::MAX_PERMITS)),
            clock,
            config,
        })
    }

    /// What the sweep is to do.
    #[doc(hidden)]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lookups of names that wait or are in flight.
    #[doc(hidden)]
    pub fn lookups(&self) -> usize {
        Arc::strong_count(&self.lookups) - 1
    }

    /// A line on which nobody works any more, for the given reason.
    pub(crate) fn unfinished(&self, line: &Line, failure: Failure) -> Probed {
        match parse(line) {
            Ok(target) => Probed { failure: Some(failure), ..self.begin(Ok(self.ask(target))) },
            Err(_) => self.begin(Err(failure)),
        }
    }

    /// Works on a line. What comes of it is at least one [`Probed`], and one for each address with
    /// `all_addresses`.
    ///
    /// Most of a sweep's memory is what is held here while peers are waited for, so what only some
    /// targets need, or only later, is boxed.
    #[doc(hidden)]
    pub async fn probe(&self, line: &Line, permit: &mut Permit) -> Vec<Probed> {
        let asked = match parse(line) {
            Ok(target) => self.ask(target),
            Err(failure) => {
                let text = line.text.as_deref().unwrap_or("a line");
                narration::not_dialled(text, &failure);
                return vec![self.begin(Err(failure))];
            }
        };
        let time = self.clock.now();
        let mut visit = self.visit(&asked, permit);
        if let Err(failure) = self.locate(&asked, &mut visit).await {
            narration::not_dialled(&asked.target.text, &failure);
            let probed = Probed { failure: Some(failure), ..visit.end(&asked, time) };
            return vec![probed];
        }
        if self.config.all_addresses {
            return Box::pin(self.work_on_each(visit, &asked, time)).await;
        }
        let facts = self.work(&mut visit).await;
        vec![Probed { facts, ..visit.end(&asked, time) }]
    }

    /// Probes the addresses one after the other. Each has the time of a whole target; the first has
    /// what the lookup left of it.
    async fn work_on_each(
        &self,
        mut visit: Visit<'_>,
        asked: &Arc<Asked>,
        time: SystemTime,
    ) -> Vec<Probed> {
        let mut probed = Vec::new();
        for address in std::mem::take(&mut visit.plan.addresses) {
            visit.plan.addresses = vec![address];
            visit.permit.begin_record();
            let facts = self.work(&mut visit).await;
            probed.push(Probed { facts, ..visit.end(asked, time) });
            visit.context.deadline = Deadline::start(&self.config.limits);
            visit.context.handshake_end = None;
            visit.slot = None;
        }
        probed
    }

    /// Makes the connections that the plan asks for, then those of the follow-ups.
    #[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice")]
    fn work<'v>(&'v self, visit: &mut Visit<'v>) -> impl Future<Output = Facts> + Send {
        async move {
            let mut standby: Option<Box<Standby<'_>>> = None;
            loop {
                match &visit.plan.next(&visit.attempts, visit.time_left()) {
                    Next::Dial(dial) => {
                        if self.limiter.has_limits() {
                            Box::pin(self.wait_for_permission(dial.address, visit)).await;
                        }
                        narration::dialling(visit.asked, dial, visit.attempts.len() + 1);
                        self.dial(dial, visit, &mut standby).await;
                    }
                    _ if let Some(silent) = standby.take() => {
                        Box::pin(silent.outlast(visit)).await;
                    }
                    Next::Retry(pause) => {
                        // Targets that failed together do not come back together.
                        let pause = pause.mul_f64(0.5 + fastrand::f64());
                        narration::pausing(visit.asked, pause);
                        if !Box::pin(visit.context.deadline.pause(pause)).await {
                            break;
                        }
                        visit.context.handshake_end = None;
                        visit.attempts.begin_try();
                        continue;
                    }
                    Next::Stop => break,
                }
                if self.config.wanted.is_bulky() {
                    Box::pin(wait_for_room(visit)).await;
                }
                self.judge_standing(visit);
            }
            narration::judged(visit.asked, visit.attempts.standing());
            if self.config.follow_ups.is_empty() {
                return Facts::default();
            }
            match visit.attempts.standing() {
                Some(_) if visit.attempts.may_speak_tls() => Box::pin(self.follow(visit)).await,
                Some(attempt) if !attempt.is_local_failure() => follow::without_tls(&self.config),
                _ => Facts::default(),
            }
        }
    }

    /// Waits until `address` has room for another connection and the rate allows one. The target's
    /// clock stands still meanwhile.
    async fn wait_for_permission(&self, address: SocketAddr, visit: &mut Visit<'_>) {
        let start = Instant::now();
        let address = address.ip();
        if !visit.slot.as_ref().is_some_and(|slot| slot.is_at(address)) {
            visit.slot = None;
            let slot = match self.limiter.try_host_slot(address) {
                Some(slot) => slot,
                None => {
                    narration::waiting(visit.asked, address);
                    visit.permit.release_dial();
                    let slot = self.limiter.host_slot(address).await;
                    visit.permit.reacquire_dial().await;
                    slot
                }
            };
            visit.slot = Some(Box::new(slot));
        }
        self.limiter.tick().await;
        visit.context.stand_still(start.elapsed());
    }

    fn ask(&self, target: Target) -> Arc<Asked> {
        let identity = target.server_name(&self.config.sni);
        Arc::new(Asked { port: target.port.unwrap_or(self.config.port), identity, target })
    }

    fn visit<'a>(&'a self, asked: &'a Asked, permit: &'a mut Permit) -> Visit<'a> {
        let starttls = self.starttls(asked);
        let context = Context {
            identity: &asked.identity,
            starttls,
            deadline: Deadline::start(&self.config.limits),
            handshake_end: None,
            signals: None,
        };
        let plan = Plan {
            addresses: Vec::new(),
            alpn: self.client.alpn(asked.alpn(starttls)),
            has_classical: self.client.has_classical(),
            legacy: self.config.legacy,
            retries: self.config.retries,
        };
        let attempts = Attempts::default();
        Visit { asked, context, plan, permit, slot: None, resolve: None, attempts }
    }

    /// The protocol that comes before TLS. The line's scheme goes before the flag.
    fn starttls(&self, asked: &Asked) -> Option<&'static Protocol> {
        match (&asked.target.scheme, self.config.starttls) {
            (Some(scheme), _) => Protocol::by_scheme(scheme),
            (None, Starttls::Never) => None,
            (None, Starttls::ByPort) => Protocol::by_port(asked.port),
            (None, Starttls::Always(protocol)) => Some(protocol),
        }
    }

    fn begin(&self, target: Result<Arc<Asked>, Failure>) -> Probed {
        Probed {
            time: self.clock.now(),
            target,
            resolve: None,
            attempts: Attempts::default(),
            facts: Facts::default(),
            failure: None,
            total: Duration::ZERO,
        }
    }
}

impl Asked {
    /// What the target's application protocol offers in the ALPN extension.
    fn alpn(&self, starttls: Option<&Protocol>) -> &'static [&'static str] {
        let of_scheme = || self.target.alpn();
        starttls.map(|protocol| protocol.alpn).or_else(of_scheme).unwrap_or(HTTPS_ALPN)
    }
}

impl Visit<'_> {
    /// How long the handshakes of this try may still take.
    fn time_left(&self) -> Duration {
        let end = self.context.deadline.of(Wait::Handshake);
        let end = self.context.handshake_end.map_or(end, |own| own.min(end));
        end.saturating_duration_since(Instant::now())
    }

    /// What was found out, but for the facts of follow-ups.
    fn end(&mut self, asked: &Arc<Asked>, time: SystemTime) -> Probed {
        let attempts = std::mem::take(&mut self.attempts);
        let failure = attempts.is_empty().then(|| {
            Failure::new(Stage::Connect, Kind::Unreachable, "there is no address to dial")
        });
        Probed {
            time,
            target: Ok(Arc::clone(asked)),
            resolve: self.resolve,
            attempts,
            facts: Facts::default(),
            failure,
            total: self.context.deadline.elapsed(),
        }
    }
}

/// Waits until a large record may be made. The target's clock stands still meanwhile: it is not the
/// target's fault when the output is read slowly.
async fn wait_for_room(visit: &mut Visit<'_>) {
    let start = Instant::now();
    visit.permit.acquire_bulk().await;
    visit.context.stand_still(start.elapsed());
}

/// What the line asks for.
///
/// # Errors
/// `input/invalid_target`.
pub fn parse(line: &Line) -> Result<Target, Failure> {
    let invalid = |reason| Failure::new(Stage::Input, Kind::InvalidTarget, reason);
    let port = |scheme: &str| Protocol::by_scheme(scheme)?.ports.first().copied();
    match &line.text {
        Ok(text) => Target::parse(text, port).map_err(|InvalidTarget(reason)| invalid(reason)),
        Err(bad) => Err(invalid(bad.reason.clone())),
    }
}
