//! One target, and all the dials that it takes: one record, or one for each address.

#![expect(clippy::manual_async_fn, reason = "async functions have room for their arguments twice")]

mod connection;
mod dial;
mod enumerate;
mod legacy;
mod retry;
mod verdict;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::DnsName;
use tokio::time::Instant;

use crate::cert::{Judge, Roots};
use crate::config::{Config, Starttls};
use crate::deadline::{Clock, Deadline, Wait};
use crate::dial::resolve::{Resolver, Settings};
use crate::dial::starttls::Protocol;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::Line;
use crate::feed::target::{Host, InvalidTarget, ServerIdentity, Target};
use crate::limits::{ADDRESSES_LIMIT, DIALLED_ADDRESSES};
use crate::pace::limiter::{HostSlot, Limiter};
use crate::pace::permit::Permit;
use crate::report::check::Checks;
use crate::report::record::{Record, milliseconds};
use crate::tls::handshake::Client;
use retry::Retries;

/// Everything that the targets of a sweep share.
pub struct Prober {
    config: Config,
    clock: Clock,
    resolver: Resolver,
    limiter: Limiter,
    /// Every lookup that waits or is in flight holds another of these.
    lookups: Arc<()>,
    client: Client,
    judge: Judge,
    checks: Checks,
}

/// A target in work.
struct Work<'a> {
    addresses: Vec<SocketAddr>,
    identity: &'a ServerIdentity,
    starttls: Option<&'static Protocol>,
    deadline: Deadline<'a>,
    /// When the handshake must end, once one has begun: a second dial has no limit of its own.
    until: Option<Instant>,
    /// To be given back while waiting for a slot at a busy address; `None`: does not wait.
    permit: Option<&'a mut Permit>,
    /// At the address that is being dialled.
    slot: Option<Box<HostSlot>>,
    record: &'a mut Record,
    /// Whether a handshake of TLS began with an answer, if with no end.
    saw_hello: bool,
}

impl Work<'_> {
    /// When the handshake that is under way, or begins now, must end.
    fn end_of_handshake(&mut self) -> Instant {
        *self.until.get_or_insert_with(|| self.deadline.of(Wait::Handshake))
    }
}

impl Prober {
    /// Prepares for targets to be swept from `clock`'s now on.
    ///
    /// # Errors
    /// The configured offer makes no hello.
    pub fn new(
        config: Config,
        roots: Roots,
        checks: Checks,
        clock: Clock,
    ) -> Result<Self, rustls::Error> {
        let resolver = Resolver::new(Settings {
            servers: config.resolvers.clone(),
            in_flight: config.lookups,
            limit: config.limits.resolve,
            families: config.families,
            addresses: if config.all_addresses { ADDRESSES_LIMIT } else { DIALLED_ADDRESSES },
            exclude: config.exclude.clone(),
        });
        Ok(Self {
            client: Client::new(&config.offer)?,
            judge: Judge::new(roots),
            checks,
            resolver,
            limiter: Limiter::new(config.dial_limits),
            lookups: Arc::default(),
            clock,
            config,
        })
    }

    /// What the sweep is to do.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lookups of names that wait or are in flight.
    pub fn lookups(&self) -> usize {
        Arc::strong_count(&self.lookups) - 1
    }

    /// The record of a line on which nobody works any more, for the given reason.
    pub fn unfinished(&self, line: &Line, failure: Failure) -> Record {
        let record = match parse(line) {
            Ok(target) => Record { error: Some(failure), ..self.begin(line, &target) },
            Err(_) => Record::of_line(line, failure, self.clock.now()),
        };
        self.checked(record)
    }

    /// Works on a line until there are records of it: at least one.
    ///
    /// Most of a sweep's memory is what is held here while peers are waited for, so what only some
    /// targets need, or only later, stands on the heap.
    pub fn probe(&self, line: &Line, permit: &mut Permit) -> impl Future<Output = Vec<Record>> {
        async move {
            let target = match parse(line) {
                Ok(target) => Box::new(target),
                Err(failure) => {
                    return vec![self.checked(Record::of_line(line, failure, self.clock.now()))];
                }
            };
            let records = self.work(line, target, permit).await;
            records.into_iter().map(|record| self.checked(record)).collect()
        }
    }

    fn work(
        &self,
        line: &Line,
        target: Box<Target>,
        permit: &mut Permit,
    ) -> impl Future<Output = Vec<Record>> {
        async move {
            let identity = target.server_name(&self.config.sni);
            let mut record = Box::new(self.begin(line, &target));
            record.sni = identity.sent.as_ref().map(|name| name.as_ref().to_owned());
            let mut work = Work {
                addresses: Vec::new(),
                identity: &identity,
                starttls: self.protocol(&target),
                deadline: Deadline::start(&self.config.limits),
                until: None,
                permit: Some(permit),
                slot: None,
                saw_hello: false,
                record: &mut record,
            };
            if let Err(failure) = self.locate(&target, &mut work).await {
                work.record.error = Some(failure);
                work.record.ms.total = milliseconds(work.deadline.elapsed());
                return vec![*record];
            }
            drop(target);
            if self.config.all_addresses {
                return Box::pin(self.work_on_each(work)).await;
            }
            self.work_on(&mut work).await;
            vec![*record]
        }
    }

    /// Takes down the addresses that may be dialled.
    async fn locate(&self, target: &Target, work: &mut Work<'_>) -> Result<(), Failure> {
        self.config.exclude.admit(&target.host)?;
        let addresses = match &target.host {
            Host::Address(address) => vec![self.config.families.admit(*address)?],
            Host::Name(name) => Box::pin(self.find(name, work)).await?,
        };
        let port = self.port(target);
        work.addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Ok(())
    }

    /// A record for each address, one after the other: each has the time of a target, the first
    /// what the lookup has left of it.
    async fn work_on_each(&self, mut work: Work<'_>) -> Vec<Record> {
        let begun = work.record.clone();
        let mut records = Vec::new();
        for address in std::mem::take(&mut work.addresses) {
            work.addresses = vec![address];
            self.work_on(&mut work).await;
            records.push(std::mem::replace(work.record, begun.clone()));
            work.deadline = Deadline::start(&self.config.limits);
            work.until = None;
            work.slot = None;
            work.saw_hello = false;
        }
        records
    }

    /// Dials, as often as it takes, until the record is complete.
    fn work_on(&self, work: &mut Work<'_>) -> impl Future<Output = ()> {
        async move {
            let mut retries = Retries::new(self.config.retries);
            let result = loop {
                match self.dial(work).await {
                    Err(failure) if Box::pin(retries.again(&failure, &work.deadline)).await => {
                        tracing::debug!(target = work.record.target, "once more after {failure}");
                        work.until = None;
                        work.record.begin_again();
                    }
                    result => break result,
                }
            };
            if self.config.enumerate && is_tls(&result, work.saw_hello) {
                Box::pin(self.enumerate(work)).await;
            }
            work.record.ok = result.is_ok();
            work.record.error = result.err();
            work.record.ms.total = milliseconds(work.deadline.elapsed());
        }
    }

    /// The record with the conditions that it meets.
    fn checked(&self, mut record: Record) -> Record {
        if !self.checks.is_empty() {
            record.failed_checks = Some(self.checks.met_by(&record));
        }
        record
    }

    /// The protocol that comes before TLS: the line's scheme goes before the flag.
    fn protocol(&self, target: &Target) -> Option<&'static Protocol> {
        match (&target.scheme, self.config.starttls) {
            (Some(scheme), _) => Protocol::by_scheme(scheme),
            (None, Starttls::Never) => None,
            (None, Starttls::ByPort) => Protocol::by_port(self.port(target)),
            (None, Starttls::Always(protocol)) => Some(protocol),
        }
    }

    fn begin(&self, line: &Line, target: &Target) -> Record {
        Record::of_target(line.place, target, self.port(target), self.clock.now())
    }

    fn port(&self, target: &Target) -> u16 {
        target.port.unwrap_or(self.config.port)
    }

    /// The addresses of a name that may be dialled, after as many tries as it takes.
    async fn find(&self, name: &DnsName<'_>, work: &mut Work<'_>) -> Result<Vec<IpAddr>, Failure> {
        let mut retries = Retries::new(self.config.retries);
        loop {
            match self.look_up(name, work).await {
                Err(failure) if retries.again(&failure, &work.deadline).await => {}
                result => return result,
            }
        }
    }

    /// One lookup; the target's clock stands still while it waits for a slot among the
    /// lookups, and for its dial.
    async fn look_up(
        &self,
        name: &DnsName<'_>,
        work: &mut Work<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        if let Some(permit) = work.permit.as_deref_mut() {
            permit.release_dial();
        }
        let begun = Instant::now();
        let lookup = Arc::clone(&self.lookups);
        let slot = self.resolver.slot().await;
        work.deadline = work.deadline.later_by(begun.elapsed());
        let begun = Instant::now();
        let addresses = self.resolver.lookup(name, &work.deadline).await;
        drop(lookup);
        work.record.ms.resolve = Some(milliseconds(begun.elapsed()));
        // A name without addresses needs no dial, neither for its next lookup nor at its end.
        let looked_up = Instant::now();
        if addresses.is_ok()
            && let Some(permit) = work.permit.as_deref_mut()
        {
            permit.reacquire_dial().await;
        }
        // Given back only now: names that are looked up and not dialled would pile up.
        drop(slot);
        work.deadline = work.deadline.later_by(looked_up.elapsed());
        addresses
    }
}

/// The random bytes of a hello of our own making.
fn random() -> Result<[u8; 32], Failure> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_unspecified| {
        Failure::new(Stage::Local, Kind::Resource, "this machine has no random numbers")
    })?;
    Ok(random)
}

/// Whether what was reached may speak TLS, in whatever version.
fn is_tls(result: &Result<(), Failure>, saw_hello: bool) -> bool {
    result.as_ref().err().is_none_or(|failure| {
        failure.stage == Stage::Handshake
            && (saw_hello || !matches!(failure.kind, Kind::Timeout | Kind::NotTls))
    })
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
