//! From a name to its addresses.

mod servers;
mod sockets;

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use rustls_pki_types::DnsName;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use self::servers::NameServers;
use crate::deadline::{Deadline, SHORTAGE_PAUSE, Wait};
use crate::failure::{Failure, Kind, Stage};

/// How much longer the IPv6 addresses of a name may take once its IPv4 addresses are there
/// (RFC 8305, section 3, "Resolution Delay").
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Looks up names: `/etc/hosts` first, then name servers over UDP and TCP.
pub struct Resolver {
    settings: Settings,
    slots: Semaphore,
    backend: OnceLock<Backend>,
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

struct Backend {
    hosts: Hosts,
    servers: Result<NameServers, String>,
    /// Those that are wanted and that this machine has.
    families: Families,
}

impl Resolver {
    /// A resolver that reads the system's configuration when the first name comes.
    pub fn new(settings: Settings) -> Self {
        Self { slots: Semaphore::new(settings.in_flight.get()), settings, backend: OnceLock::new() }
    }

    /// Waits for a place among the lookups in flight.
    ///
    /// It has no deadline of its own: every place is given back within the deadlines of its holder.
    pub async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }

    /// The addresses of `name`, IPv4 before IPv6; never an empty list.
    ///
    /// # Errors
    /// `resolve/not_found`, `resolve/server_failure`, `resolve/timeout`. A shortage of our own machine
    /// is waited out within the target's time and ends it as `local/resource`.
    pub async fn lookup(
        &self,
        name: &DnsName<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        let backend = self.backend.get_or_init(|| Backend::new(&self.settings));
        let name = absolute(name)?;
        if let Some(addresses) = backend.in_hosts(&name) {
            return Ok(addresses);
        }
        let servers = backend.servers.as_ref().map_err(|reason| {
            Failure::new(Stage::Local, Kind::Resource, format!("no resolver: {reason}"))
        })?;
        loop {
            let until = deadline.of(Wait::Resolve);
            let asked = addresses(servers, &name, backend.families);
            let unresolved = match deadline.run_until(Wait::Resolve, until, asked).await? {
                Ok(addresses) => return Ok(addresses),
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
    /// A target's address, if it is wanted.
    ///
    /// # Errors
    /// `input/excluded`.
    pub fn admit(self, address: IpAddr) -> Result<IpAddr, Failure> {
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

    fn record_types(self) -> &'static [RecordType] {
        match self {
            Self::V4 => &[RecordType::A],
            Self::V6 => &[RecordType::AAAA],
            Self::Both => &[RecordType::A, RecordType::AAAA],
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

impl Backend {
    fn new(settings: &Settings) -> Self {
        Self {
            hosts: Hosts::from_system().unwrap_or_default(),
            servers: NameServers::new(settings).map_err(|error| error.to_string()),
            families: settings.families.of_this_machine(),
        }
    }

    /// What `/etc/hosts` says, and what everybody knows of localhost (RFC 6761, section 6.3).
    fn in_hosts(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for record_type in self.families.record_types() {
            let query = Query::query(name.clone(), *record_type);
            if let Some(lookup) = self.hosts.lookup_static_host(&query) {
                let found = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
                addresses.extend(found);
            }
        }
        if addresses.is_empty() && name.is_localhost() {
            let everybody_knows = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            addresses.extend(
                everybody_knows.into_iter().filter_map(|address| self.families.admit(address).ok()),
            );
        }
        (!addresses.is_empty()).then_some(addresses)
    }
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
