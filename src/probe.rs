//! One target, one record: all the dials that it takes.

mod dial;
mod enumerate;
mod legacy;
mod verdict;

use std::net::{IpAddr, SocketAddr};

use crate::cert::{Judge, Roots};
use crate::config::{Config, Starttls};
use crate::deadline::{Clock, Deadline};
use crate::dial::resolve::{Resolver, Settings};
use crate::dial::starttls::Protocol;
use crate::failure::{Failure, Kind, Stage};
use crate::feed::input::Line;
use crate::feed::pace::Turn;
use crate::feed::target::{Host, InvalidTarget, ServerIdentity, Target};
use crate::report::check::Checks;
use crate::report::record::{Record, milliseconds};
use crate::tls::handshake::Client;

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
    starttls: Option<&'static Protocol>,
    deadline: Deadline,
    record: &'a mut Record,
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

    /// Works on a line until there are records of it: at least one.
    pub async fn probe(&self, line: &Line, turn: &mut Turn) -> Vec<Record> {
        let record = match parse(line) {
            Ok(target) => self.work(line, &target, turn).await,
            Err(failure) => Record::of_line(line, failure, self.clock.now()),
        };
        vec![self.checked(record)]
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
                    starttls: self.protocol(target, port),
                    deadline,
                    record: &mut record,
                };
                let result = self.dial(&mut work).await;
                if self.config.enumerate && is_tls(&result) {
                    Box::pin(self.enumerate(&mut work)).await;
                }
                result
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

    /// The protocol that comes before TLS: the line's scheme goes before the flag.
    fn protocol(&self, target: &Target, port: u16) -> Option<&'static Protocol> {
        match (&target.scheme, self.config.starttls) {
            (Some(scheme), _) => Protocol::by_scheme(scheme),
            (None, Starttls::Never) => None,
            (None, Starttls::ByPort) => Protocol::by_port(port),
            (None, Starttls::Always(protocol)) => Some(protocol),
        }
    }

    fn begin(&self, line: &Line, target: &Target) -> Record {
        let port = target.port.unwrap_or(self.config.port);
        Record::of_target(line.place, target, port, self.clock.now())
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
}

/// Whether what was reached may speak TLS, in whatever version.
fn is_tls(result: &Result<(), Failure>) -> bool {
    result.as_ref().err().is_none_or(|failure| {
        failure.stage == Stage::Handshake && !matches!(failure.kind, Kind::Timeout | Kind::NotTls)
    })
}

/// What the line asks for.
fn parse(line: &Line) -> Result<Target, Failure> {
    let invalid = |reason| Failure::new(Stage::Input, Kind::InvalidTarget, reason);
    let port = |scheme: &str| Protocol::by_scheme(scheme)?.ports.first().copied();
    match &line.text {
        Ok(text) => Target::parse(text, port).map_err(|InvalidTarget(reason)| invalid(reason)),
        Err(bad) => Err(invalid(bad.reason.clone())),
    }
}
