//! From a name to its addresses.

mod conf;
mod hosts;
mod servers;
mod sockets;

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RecordType};
use rustls_pki_types::DnsName;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use self::conf::Conf;
use self::hosts::Hosts;
use self::servers::NameServers;
use crate::deadline::{Deadline, SHORTAGE_PAUSE, Wait};
use crate::failure::{Failure, Kind, Stage};
use crate::feed::exclude::Exclusions;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How much longer the IPv6 addresses of a name may take once its IPv4 addresses are there
/// (RFC 8305, section 3, "Resolution Delay").
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Looks up names: `/etc/hosts` first, then name servers over UDP and TCP.
pub struct Resolver {
    settings: Settings,
    permits: Semaphore,
    hosts: Hosts,
    /// Those of the settings that this machine can reach.
    families: Families,
    servers: OnceLock<Result<NameServers, String>>,
}

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct Settings {
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
    pub fn new(mut settings: Settings) -> Self {
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
        if settings.servers.is_empty() {
            let conf = Conf::open(Path::new(RESOLV_CONF));
            conf.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
            settings.servers = conf.servers;
        }
        Self {
            permits: Semaphore::new(settings.in_flight.get()),
            hosts,
            families: settings.families.of_this_machine(),
            servers: OnceLock::new(),
            settings,
        }
    }

    /// Waits for a place among the lookups in flight.
    ///
    /// It has no deadline of its own: every place is given back within the deadlines of its holder.
    pub async fn slot(&self) -> Option<SemaphorePermit<'_>> {
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
        if let Some(addresses) = self.in_hosts(name.as_ref()) {
            return self.kept(addresses);
        }
        let name = absolute(name)?;
        let servers = self
            .servers
            .get_or_init(|| NameServers::new(&self.settings).map_err(|error| error.to_string()));
        let servers = servers.as_ref().map_err(|reason| {
            Failure::new(Stage::Local, Kind::Resource, format!("no resolver: {reason}"))
        })?;
        loop {
            let until = deadline.of(Wait::Resolve);
            let asked = addresses(servers, &name, self.families);
            let unresolved = match deadline.run_until(Wait::Resolve, until, asked).await? {
                Ok(addresses) => return self.kept(addresses),
                Err(unresolved) => unresolved,
            };
            // The last of all tries ends with the limit, which is to say so itself.
            if unresolved.failure.kind == Kind::Timeout && Instant::now() >= until {
                deadline.run_until(Wait::Resolve, until, pending::<()>()).await?;
            }
            if !unresolved.is_shortage || !deadline.pause(SHORTAGE_PAUSE).await {
                return Err(unresolved.failure);
            }
        }
    }

    /// What `/etc/hosts` says, and what everybody knows of localhost (RFC 6761, section 6.3).
    fn in_hosts(&self, name: &str) -> Option<Vec<IpAddr>> {
        let found = self.hosts.addresses(name.as_bytes()).map(|address| match self.families {
            // As the C library has it where nobody asks for IPv6.
            Families::V4 if address == Ipv6Addr::LOCALHOST => Ipv4Addr::LOCALHOST.into(),
            _ => address,
        });
        let (v4, v6): (Vec<_>, Vec<_>) = found.partition(IpAddr::is_ipv4);
        let in_order = |addresses: Vec<IpAddr>| -> Vec<IpAddr> {
            let wanted = addresses.into_iter().filter_map(|it| self.families.admit(it).ok());
            wanted.collect()
        };
        let mut addresses = in_order([v4, v6].concat());
        if addresses.is_empty() && is_localhost(name) {
            addresses = in_order(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        (!addresses.is_empty()).then_some(addresses)
    }

    /// Those addresses that may be dialled, each once, no more than are wanted.
    fn kept(&self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Failure> {
        let mut kept = Vec::new();
        for address in self.settings.exclude.admitted(addresses)? {
            let address = address.to_canonical();
            if kept.len() < self.settings.addresses.get() && !kept.contains(&address) {
                kept.push(address);
            }
        }
        Ok(kept)
    }
}

/// A lookup that came to nothing.
struct Unresolved {
    failure: Failure,
    /// Our own machine lacked what it may have again in a moment.
    is_shortage: bool,
}

impl From<Failure> for Unresolved {
    fn from(failure: Failure) -> Self {
        Self { failure, is_shortage: false }
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

/// Whether a name is `localhost` or below it.
fn is_localhost(name: &str) -> bool {
    name.strip_suffix("localhost").is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An absolute name: the search list of the system is for people, not for target lists.
fn absolute(name: &DnsName<'_>) -> Result<Name, Failure> {
    let mut name = Name::from_ascii(name.as_ref()).map_err(|error| {
        Failure::new(Stage::Resolve, Kind::NotFound, format!("no name for the DNS: {error}"))
    })?;
    name.set_fqdn(true);
    Ok(name)
}

async fn addresses(
    servers: &NameServers,
    name: &Name,
    families: Families,
) -> Result<Vec<IpAddr>, Unresolved> {
    let found = match families {
        Families::V4 => servers.ask(name, RecordType::A).await,
        Families::V6 => servers.ask(name, RecordType::AAAA).await,
        Families::Both => both_families(servers, name).await,
    }?;
    if found.is_empty() {
        let detail = format!("the name has no {}", families.noun());
        return Err(Failure::new(Stage::Resolve, Kind::NotFound, detail).into());
    }
    Ok(found)
}

async fn both_families(servers: &NameServers, name: &Name) -> Result<Vec<IpAddr>, Unresolved> {
    let v4 = servers.ask(name, RecordType::A);
    let v6 = servers.ask(name, RecordType::AAAA);
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        biased;
        v4 = &mut v4 => {
            let v6 = match &v4 {
                Ok(found) if !found.is_empty() => tokio::select! {
                    biased;
                    v6 = &mut v6 => v6,
                    () = tokio::time::sleep(RESOLUTION_DELAY) => Ok(Vec::new()),
                },
                _ => v6.await,
            };
            (v4, v6)
        }
        v6 = &mut v6 => (v4.await, v6),
    };
    match (v4, v6) {
        (Ok(mut addresses), Ok(v6)) => {
            addresses.extend(v6);
            Ok(addresses)
        }
        // "No data" for one family says nothing while the other went unanswered.
        (Ok(addresses), Err(unresolved)) | (Err(unresolved), Ok(addresses)) => {
            if addresses.is_empty() { Err(unresolved) } else { Ok(addresses) }
        }
        (Err(v4), Err(v6)) if v4.failure.kind == Kind::NotFound => Err(v6),
        (Err(v4), Err(_)) => Err(v4),
    }
}

/// Whether this machine can send IPv6 at all; where it is switched off, every connect fails as if
/// the ports were used up.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv6Addr::LOCALHOST, 9)))
        .is_ok()
}
