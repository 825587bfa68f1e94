//! From a name to its addresses, and to its HTTPS records.

mod answer;
mod cache;
mod conf;
mod hosts;
mod https;
mod question;
mod servers;
mod tcp;
mod udp;
mod unread;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use rustls_pki_types::DnsName;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use self::answer::{Answer, Found, MOST_ALIASES};
use self::cache::{Answers, Key};
use self::conf::{Conf, Options};
use self::hosts::Hosts;
use self::servers::NameServers;
use crate::deadline::{Deadline, SHORTAGE_PAUSE, Wait};
use crate::failure::{Failure, Kind, Stage, is_shortage};
use crate::feed::exclude::Exclusions;
use crate::limits::HTTPS_RECORDS_LIMIT;

pub use self::https::{End, Https, ServiceRecord};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How much longer the IPv6 addresses of a name may take once its IPv4 addresses are there
/// (RFC 8305, section 3, "Resolution Delay").
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Looks up names: `/etc/hosts` first, then name servers over UDP and TCP.
pub struct Resolver {
    settings: ResolverSettings,
    permits: Semaphore,
    hosts: Hosts,
    /// Those of the settings that this machine can reach.
    families: Families,
    servers: NameServers,
    /// Whether the system's configuration says not to ask for IPv6 addresses.
    no_aaaa: bool,
    answers: Answers,
}

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// The name servers to ask, one at a time; none: those of the system.
    pub servers: Vec<SocketAddr>,
    /// Lookups in flight.
    pub in_flight: NonZero<usize>,
    /// The limit of a whole lookup, from which those of its tries follow.
    pub limit: Duration,
    /// The addresses that are wanted.
    pub families: Families,
    /// How many addresses of a name are kept.
    pub addresses: NonZero<usize>,
    /// Addresses that are not kept.
    pub exclude: Exclusions,
}

/// Families of addresses that are wanted: at least one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Families {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// IPv4 and, where this machine has it, IPv6.
    #[default]
    Both,
}

impl Resolver {
    /// Reads the system's configuration. What of it cannot be used is logged as a warning.
    pub fn new(mut settings: ResolverSettings) -> Self {
        let hosts = Hosts::open(Path::new(HOSTS)).unwrap_or_else(|error| {
            tracing::warn!(
                "cannot read {HOSTS}: {error}; names in it are asked for like any other"
            );
            Hosts::default()
        });
        if hosts.is_cut() {
            tracing::warn!(
                "{HOSTS} is larger than what is kept of it: its last names are not used"
            );
        }
        let mut options = Options::default();
        if settings.servers.is_empty() {
            let conf = Conf::open(Path::new(RESOLV_CONF));
            conf.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
            (settings.servers, options) = (conf.servers, conf.options);
        }
        Self {
            permits: Semaphore::new(settings.in_flight.get().min(Semaphore::MAX_PERMITS)),
            hosts,
            families: settings.families.of_this_machine(),
            servers: NameServers::new(&settings, options.tcp_only),
            no_aaaa: options.no_aaaa,
            answers: Answers::new(),
            settings,
        }
    }

    /// Waits for a place among the lookups in flight.
    ///
    /// It has no deadline of its own: every place is given back within the deadlines of its holder.
    pub async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so this does not fail.
        self.permits.acquire().await.ok()
    }

    /// The addresses of `name` that may be dialled, IPv4 before IPv6, no address twice; never an
    /// empty list.
    ///
    /// # Errors
    /// `resolve/not_found`, `resolve/server_failure`, `resolve/timeout`; `input/excluded` if every
    /// address is on an exclude list. A shortage of our own machine is waited out within the target's
    /// time and ends it as `local/resource`.
    pub async fn lookup(
        &self,
        name: &DnsName<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        if let Some(found) = self.in_hosts(name.as_ref()) {
            return self.addresses(found);
        }
        let name = absolute(name)?;
        let found = answered(deadline, || self.ask(&name)).await?;
        self.addresses(found)
    }

    /// The HTTPS records of the server with this name and port. `localhost` has none, without asking
    /// anybody (RFC 6761, section 6.3).
    pub async fn https(&self, name: &DnsName<'_>, port: u16, deadline: &Deadline<'_>) -> Https {
        let mut name = match absolute(name) {
            Ok(absolute) => https::question(&absolute, port),
            Err(failure) => {
                let mut https = Https::of(&Name::root());
                https.fail(failure);
                return https;
            }
        };
        let mut https = Https::of(&name);
        if is_localhost(&https.name) {
            return https;
        }
        // Each alias is a record, so there are at most as many as are kept.
        for _ in 0..HTTPS_RECORDS_LIMIT {
            let found = answered(deadline, || self.records(&name, RecordType::HTTPS)).await;
            match found.map(|found| https.add(found.services)) {
                Ok(Some(next)) => name = next,
                Ok(None) => return https,
                Err(failure) => {
                    https.fail(failure);
                    return https;
                }
            }
        }
        https.lead_nowhere();
        https
    }

    /// Answers from `/etc/hosts`, and for localhost without asking anybody (RFC 6761, section 6.3).
    fn in_hosts(&self, name: &str) -> Option<Found> {
        let addresses = self.hosts.addresses(name.as_bytes()).map(|address| match self.families {
            // The C library does the same when only IPv4 is wanted.
            Families::V4 if address == Ipv6Addr::LOCALHOST => Ipv4Addr::LOCALHOST.into(),
            _ => address,
        });
        let wanted = addresses.filter(|address| self.families.admit(*address).is_ok());
        let (v4, v6): (Vec<_>, Vec<_>) = wanted.partition(IpAddr::is_ipv4);
        let of = |addresses| Found::of(addresses, &self.settings);
        if !v4.is_empty() || !v6.is_empty() {
            return Some(self.both(of(v4), of(v6)));
        }
        let localhost = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let wanted = localhost.into_iter().filter(|address| self.families.admit(*address).is_ok());
        is_localhost(name).then(|| of(wanted.collect()))
    }

    /// Asks for the addresses of the families that are wanted.
    async fn ask(&self, name: &Name) -> Result<Found, Unresolved> {
        match self.families {
            Families::V4 => self.records(name, RecordType::A).await,
            Families::Both if self.no_aaaa => self.records(name, RecordType::A).await,
            Families::V6 => self.records(name, RecordType::AAAA).await,
            Families::Both => self.ask_for_both(name).await,
        }
    }

    async fn ask_for_both(&self, name: &Name) -> Result<Found, Unresolved> {
        let v4 = self.records(name, RecordType::A);
        let v6 = self.records(name, RecordType::AAAA);
        tokio::pin!(v4, v6);
        let (v4, v6) = tokio::select! {
            biased;
            v4 = &mut v4 => {
                let v6 = match &v4 {
                    Ok(found) if !found.addresses.is_empty() => tokio::select! {
                        biased;
                        v6 = &mut v6 => v6,
                        () = tokio::time::sleep(RESOLUTION_DELAY) => Ok(Found::default()),
                    },
                    _ => v6.await,
                };
                (v4, v6)
            }
            v6 = &mut v6 => (v4.await, v6),
        };
        match (v4, v6) {
            (Ok(v4), Ok(v6)) => Ok(self.both(v4, v6)),
            // "No data" for one family says nothing while the other went unanswered.
            (Ok(found), Err(unresolved)) | (Err(unresolved), Ok(found)) => {
                if found.addresses.is_empty() { Err(unresolved) } else { Ok(found) }
            }
            (Err(v4), Err(_)) => Err(v4),
        }
    }

    /// Merges IPv4 before IPv6. Each family is sure of half of the places.
    fn both(&self, mut v4: Found, v6: Found) -> Found {
        let most = self.settings.addresses.get();
        v4.addresses.truncate(most - v6.addresses.len().min(most / 2));
        for address in v6.addresses {
            if v4.addresses.len() < most && !v4.addresses.contains(&address) {
                v4.addresses.push(address);
            }
        }
        Found {
            excluded: v4.excluded.or(v6.excluded),
            is_no_name: v4.is_no_name && v6.is_no_name,
            ..v4
        }
    }

    /// The records of one type, from the cache if possible.
    async fn records(&self, name: &Name, record_type: RecordType) -> Result<Found, Unresolved> {
        let follow = async {
            match self.follow(name, record_type).await {
                Ok((found, ttl)) => (Ok(found), ttl),
                Err(unresolved) => (Err(unresolved), Duration::ZERO),
            }
        };
        let follow = std::pin::pin!(follow);
        self.answers.find(Key::new(name, record_type), follow).await
    }

    /// Asks, and asks again for each alias whose records the server did not give.
    async fn follow(
        &self,
        name: &Name,
        record_type: RecordType,
    ) -> Result<(Found, Duration), Unresolved> {
        let (mut alias, mut shortest) = (None, Duration::MAX);
        for _ in 0..=MOST_ALIASES {
            let name = alias.as_ref().unwrap_or(name);
            match self.servers.ask(name, record_type, &self.settings).await? {
                Answer::Found(found, ttl) => return Ok((found, ttl.min(shortest))),
                Answer::Alias(target, ttl) => {
                    alias = Some(target);
                    shortest = shortest.min(ttl);
                }
                Answer::Truncated | Answer::Failed(_) | Answer::TooManyAliases => break,
            }
        }
        let detail = format!("more than {MOST_ALIASES} aliases lead away from the name");
        Err(Unresolved::answered(Failure::new(Stage::Resolve, Kind::ServerFailure, detail)))
    }

    fn addresses(&self, found: Found) -> Result<Vec<IpAddr>, Failure> {
        let (stage, kind, detail) = match (found.addresses.is_empty(), found.excluded) {
            (false, _) => return Ok(found.addresses),
            (true, Some(address)) => {
                let detail = format!("the name's address {address} is on an exclude list");
                (Stage::Input, Kind::Excluded, detail)
            }
            (true, None) if found.is_no_name => {
                (Stage::Resolve, Kind::NotFound, "the name does not exist".to_owned())
            }
            (true, None) => {
                let detail = format!("the name has no {}", self.families.noun());
                (Stage::Resolve, Kind::NotFound, detail)
            }
        };
        Err(Failure::new(stage, kind, detail))
    }
}

/// A failed lookup.
#[derive(Clone, Debug)]
struct Unresolved {
    failure: Failure,
    cause: Cause,
    /// This machine lacked something that it may have again in a moment.
    is_shortage: bool,
}

/// Why a server gave no answer, least informative about the name first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Cause {
    /// It did not answer in time.
    Silence,
    /// It cannot be reached: nobody listens there, or there is no way.
    Closed,
    /// Our own machine could not ask.
    OwnMachine,
    /// It answered with an error.
    Answered,
}

impl Unresolved {
    fn answered(failure: Failure) -> Self {
        Self { failure, cause: Cause::Answered, is_shortage: false }
    }
}

impl Families {
    /// A target's address, if it is wanted; an IPv4-mapped one is its IPv4 address.
    ///
    /// # Errors
    /// `input/excluded`.
    pub fn admit(self, address: IpAddr) -> Result<IpAddr, Failure> {
        let address = address.to_canonical();
        match (self, address) {
            (Self::Both, _) | (Self::V4, IpAddr::V4(_)) | (Self::V6, IpAddr::V6(_)) => Ok(address),
            _ => {
                let detail = format!("not an {}, and nothing else is wanted", self.noun());
                Err(Failure::new(Stage::Input, Kind::Excluded, detail))
            }
        }
    }

    fn of_this_machine(self) -> Self {
        match self {
            Self::Both if !has_ipv6() => Self::V4,
            wanted => wanted,
        }
    }

    /// What is missing when there is none.
    fn noun(self) -> &'static str {
        match self {
            Self::V4 => "IPv4 address",
            Self::V6 => "IPv6 address",
            Self::Both => "address",
        }
    }
}

/// Asks until there is an answer or the limit of a lookup is over. A shortage of our own machine is
/// waited out.
async fn answered<F: Future<Output = Result<Found, Unresolved>>>(
    deadline: &Deadline<'_>,
    ask: impl Fn() -> F,
) -> Result<Found, Failure> {
    loop {
        let until = deadline.of(Wait::Resolve);
        // The future of a lookup is large. Pinned here, it is not moved into the one that waits.
        let asked = std::pin::pin!(ask());
        let unresolved = match deadline.run_until(Wait::Resolve, until, asked).await? {
            Ok(found) => return Ok(found),
            Err(unresolved) => unresolved,
        };
        // The last try ends at the same time as the limit, whose message is the better one.
        if unresolved.failure.kind == Kind::Timeout && Instant::now() >= until {
            return Err(deadline.expired(Wait::Resolve, until).into());
        }
        if !unresolved.is_shortage || !deadline.pause(SHORTAGE_PAUSE).await {
            return Err(unresolved.failure);
        }
    }
}

/// Whether a name is `localhost` or below it.
fn is_localhost(name: &str) -> bool {
    name.strip_suffix("localhost").is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An absolute name. The system's search list is not used: it is meant for people, not for lists of
/// targets.
fn absolute(name: &DnsName<'_>) -> Result<Name, Failure> {
    let mut name = Name::from_ascii(name.as_ref()).map_err(|error| {
        Failure::new(Stage::Resolve, Kind::NotFound, format!("no name for the DNS: {error}"))
    })?;
    name.set_fqdn(true);
    Ok(name)
}

/// Whether this machine can send IPv6 at all; where it is switched off, every connect fails as if
/// the ports were used up.
fn has_ipv6() -> bool {
    let bound = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
    match bound.and_then(|socket| socket.connect((Ipv6Addr::LOCALHOST, 9))) {
        // Whoever has no descriptor or no memory for a moment may have IPv6 nevertheless.
        Err(error) => is_shortage(&error) && error.raw_os_error() != Some(libc::EADDRNOTAVAIL),
        Ok(()) => true,
    }
}
