//! One target, one record: all the dials that it takes.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use crate::cert::{self, Judge, Presented, Problem, Roots, Wanted};
use crate::config::Config;
use crate::deadline::{Clock, Deadline, Wait};
use crate::dial::connect::{Connection, connect};
use crate::dial::resolve::{Resolver, Settings};
use crate::dial::tap::Tap;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::Line;
use crate::feed::pace::Turn;
use crate::feed::target::{Host, ServerIdentity, Target};
use crate::report::check::Checks;
use crate::report::record::{Record, Tls, milliseconds};
use crate::tls::drain::{End, drain};
use crate::tls::handshake::{Client, Hello, Session, Unfinished};
use crate::tls::recorder::{Seen, SignatureState};

/// Everything that the targets of a sweep share.
pub struct Prober {
    config: Config,
    clock: Clock,
    resolver: Resolver,
    client: Client,
    judge: Judge,
    checks: Checks,
}

/// A target in work.
struct Work<'a> {
    addresses: Vec<SocketAddr>,
    identity: &'a ServerIdentity,
    deadline: Deadline,
    record: &'a mut Record,
}

/// How one dial ended without a session.
struct Unanswered {
    failure: Failure,
    /// Whether the peer sent a byte.
    answered: bool,
    /// When the handshake must end, once it had begun.
    until: Option<Instant>,
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
            ipv6: config.ipv6,
        });
        Ok(Self {
            client: Client::new(&config.offer)?,
            judge: Judge::new(roots),
            checks,
            resolver,
            clock,
            config,
        })
    }

    /// What the sweep is to do.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The record of a line on which nobody works any more, for the given reason.
    pub fn unfinished(&self, line: &Line, failure: Failure) -> Record {
        let record = match parse(line) {
            Ok(target) => Record { error: Some(failure), ..self.begin(line, &target) },
            Err(_) => Record::of_line(line, failure, self.clock.now()),
        };
        self.checked(record)
    }

    /// Works on a line until there is a record of it.
    pub async fn probe(&self, line: &Line, turn: &mut Turn) -> Record {
        let record = match parse(line) {
            Ok(target) => self.work(line, &target, turn).await,
            Err(failure) => Record::of_line(line, failure, self.clock.now()),
        };
        self.checked(record)
    }

    async fn work(&self, line: &Line, target: &Target, turn: &mut Turn) -> Record {
        let mut record = self.begin(line, target);
        let identity = target.server_name(&self.config.sni);
        record.sni = identity.sent.as_ref().map(|name| name.as_ref().to_owned());

        let mut deadline = Deadline::start(self.config.limits);
        let resolved = match &target.host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(_) => self.resolve(target, turn, &mut deadline, &mut record).await,
        };
        let result = match resolved {
            Ok(addresses) => {
                let port = record.port.unwrap_or(self.config.port);
                let mut work = Work {
                    addresses: addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
                    identity: &identity,
                    deadline,
                    record: &mut record,
                };
                self.dial(&mut work).await
            }
            Err(failure) => Err(failure),
        };
        record.ok = result.is_ok();
        record.error = result.err();
        record.ms.total = milliseconds(deadline.elapsed());
        record
    }

    /// The record with the conditions that it meets.
    fn checked(&self, mut record: Record) -> Record {
        if !self.checks.is_empty() {
            record.failed_checks = Some(self.checks.met_by(&record));
        }
        record
    }

    fn begin(&self, line: &Line, target: &Target) -> Record {
        let port = target.port.unwrap_or(self.config.port);
        Record::of_target(line.number, target, port, self.clock.now())
    }

    /// The addresses of a name; the target's clock does not run while it waits for a turn.
    async fn resolve(
        &self,
        target: &Target,
        turn: &mut Turn,
        deadline: &mut Deadline,
        record: &mut Record,
    ) -> Result<Vec<IpAddr>, Failure> {
        let Host::Name(name) = &target.host else {
            return Ok(Vec::new());
        };
        turn.step_aside();
        let slot = self.resolver.slot().await;
        *deadline = Deadline::start(self.config.limits);
        let addresses = self.resolver.lookup(name, deadline).await;
        let looked_up = deadline.elapsed();
        record.ms.resolve = Some(milliseconds(looked_up));
        turn.step_back().await;
        // Given back only now: names that are looked up and not dialled would pile up.
        drop(slot);
        *deadline = deadline.later_by(deadline.elapsed().saturating_sub(looked_up));
        addresses
    }

    /// Dials with the full hello and, if that is met with silence, once more with a smaller one.
    ///
    /// Some servers and middleboxes stall or reset when a ClientHello does not fit into one segment,
    /// which a post-quantum key share sees to.
    async fn dial(&self, work: &mut Work<'_>) -> Result<(), Failure> {
        let first = match self.dial_once(Hello::Full, work, None).await {
            Ok(()) => return Ok(()),
            Err(first) => first,
        };
        let met_with_silence = !first.answered
            && first.failure.stage == Stage::Handshake
            && matches!(first.failure.kind, Kind::Reset | Kind::Eof | Kind::Timeout);
        let Some(until) = first.until.filter(|_| met_with_silence && self.client.has_classical())
        else {
            return Err(first.failure);
        };
        let second = self.dial_once(Hello::Classical, work, Some(until)).await;
        match second {
            // Half a limit of silence is no timeout yet: what the second dial met is the truth.
            Err(second)
                if first.failure.kind == Kind::Timeout
                    && second.failure.stage == Stage::Handshake
                    && !second.answered =>
            {
                Err(second.failure)
            }
            Err(second) if !second.answered => Err(first.failure),
            answered => {
                work.record.tls.get_or_insert_default().pq_intolerant = Some(true);
                answered.map_err(|second| second.failure)
            }
        }
    }

    /// One connection, from the first packet to the last.
    async fn dial_once(
        &self,
        hello: Hello,
        work: &mut Work<'_>,
        until: Option<Instant>,
    ) -> Result<(), Unanswered> {
        let connection = self.connect(work, until).await?;
        let mut tap = Tap::new(connection.stream);
        // On the heap: a dial that is still connecting should not pay for a handshake.
        let result = Box::pin(self.speak(hello, work, &mut tap, until)).await;
        let record = &mut *work.record;
        record.sent = Some(record.sent.unwrap_or(0) + tap.sent());
        record.received = Some(record.received.unwrap_or(0) + tap.received());
        let ended_by_us = match &result {
            Ok(()) => {
                let end = record.read.as_ref().map(|read| read.end);
                matches!(end, Some(End::Timeout | End::Limit))
            }
            Err(unanswered) => unanswered.failure.kind == Kind::Timeout,
        };
        if ended_by_us {
            tap.abort();
        }
        result
    }

    async fn connect(
        &self,
        work: &mut Work<'_>,
        until: Option<Instant>,
    ) -> Result<Connection, Unanswered> {
        let mut dials = 0;
        let connecting = connect(&work.addresses, self.config.source, &work.deadline, &mut dials);
        let connected = match until {
            // A second dial must fit into the handshake limit of the first.
            Some(until) => work.deadline.run_until(Wait::Handshake, until, connecting).await,
            None => Ok(connecting.await),
        };
        let record = &mut *work.record;
        record.attempts = Some(record.attempts.unwrap_or(0) + dials);
        let failure = match connected {
            Ok(Ok(connection)) => {
                record.addr = Some(connection.address.ip());
                record.ms.connect = Some(milliseconds(connection.took));
                // The peer is whoever answered: a second dial goes to the same.
                work.addresses = vec![connection.address];
                return Ok(connection);
            }
            Ok(Err(not_connected)) => {
                record.addr = not_connected.address.map(|address| address.ip());
                record.ms.connect = Some(milliseconds(not_connected.took));
                not_connected.failure
            }
            Err(expired) => expired.into(),
        };
        Err(Unanswered { failure, answered: false, until: None })
    }

    /// The handshake and what comes after it, over one connection.
    async fn speak(
        &self,
        hello: Hello,
        work: &mut Work<'_>,
        tap: &mut Tap,
        until: Option<Instant>,
    ) -> Result<(), Unanswered> {
        let start = Instant::now();
        let until = until.unwrap_or_else(|| work.deadline.of(Wait::Handshake));
        let silence = (hello == Hello::Full && self.client.has_classical())
            .then(|| start + until.duration_since(start) / 2);
        let handshake = self
            .client
            .handshake(hello, work.identity, tap, &work.deadline, (silence, until))
            .await;
        work.record.ms.handshake = Some(milliseconds(start.elapsed()));
        match handshake {
            Ok(mut session) => {
                work.record.tls = Tls::observed(Some(&session.agreed), &session.seen);
                self.read(&mut session, work).await;
                self.judge(&session.seen, work);
                Ok(())
            }
            Err(Unfinished { failure, seen }) => {
                work.record.tls = Tls::observed(None, &seen);
                self.judge(&seen, work);
                tap.take_in_what_came();
                Err(Unanswered {
                    failure: failure.in_view_of(tap.first()),
                    answered: tap.received() > 0,
                    until: Some(until),
                })
            }
        }
    }

    async fn read(&self, session: &mut Session<'_>, work: &mut Work<'_>) {
        let start = Instant::now();
        let Config { goodbye, read_limit, .. } = self.config;
        let read = drain(session, goodbye, read_limit, &work.deadline).await;
        work.record.read = Some(read);
        work.record.ms.read = Some(milliseconds(start.elapsed()));
    }

    /// What the chain is worth; not asked when the peer could not prove that it is its own.
    fn judge(&self, seen: &Seen, work: &mut Work<'_>) {
        if seen.chain.is_empty() {
            return;
        }
        let is_proven = seen.signature.as_ref().is_none_or(|s| s.state != SignatureState::False);
        let presented =
            Presented { chain: &seen.chain, name: Some(&work.identity.checked), ocsp: &seen.ocsp };
        let wanted = Wanted { trust: self.config.wanted.trust && is_proven, ..self.config.wanted };
        let mut examined = self.judge.examine(presented, self.clock.hour(), wanted);
        if let Some(problem) = weak_handshake(seen) {
            examined.trust = examined.trust.map(|trust| trust.with(problem));
        }
        if self.config.pem {
            let facts = examined.cert.iter_mut().chain(examined.chain.iter_mut().flatten());
            let leaf_and_all = seen.chain.iter().take(1).chain(&seen.chain);
            let skip = usize::from(!self.config.wanted.cert);
            for (facts, der) in facts.zip(leaf_and_all.skip(skip)) {
                facts.pem = Some(cert::pem(der));
            }
        }
        work.record.set_examined(examined);
    }
}

/// What a strict client would say to the signature over the handshake, where that is more than
/// what it says to the chain.
fn weak_handshake(seen: &Seen) -> Option<Problem> {
    let signature = seen.signature.as_ref()?;
    let is_sha1 = matches!(signature.scheme, 0x0201 | 0x0203);
    is_sha1.then_some(Problem::WeakSignature)
}

/// What the line asks for.
fn parse(line: &Line) -> Result<Target, Failure> {
    let invalid = |reason| Failure::new(Stage::Input, Kind::InvalidTarget, reason);
    match &line.text {
        Ok(text) => {
            text.parse().map_err(|error: crate::feed::target::InvalidTarget| invalid(error.0))
        }
        Err(bad) => Err(invalid(bad.reason.clone())),
    }
}
