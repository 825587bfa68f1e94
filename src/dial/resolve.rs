//! From a name to its addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use rustls_pki_types::DnsName;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::deadline::{Deadline, SHORTAGE_PAUSE, Wait};
use crate::failure::{self, Failure, Kind, Stage};
use crate::limits::RESOLVER_CACHE;

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
    pub in_flight: usize,
    /// The limit of a whole lookup, from which those of its tries follow.
    pub limit: Duration,
    /// Whether IPv6 addresses are of any use.
    pub ipv6: bool,
}

struct Backend {
    hosts: Hosts,
    dns: Result<TokioResolver, String>,
}

impl Resolver {
    /// A resolver that reads the system's configuration when the first name comes.
    pub fn new(settings: Settings) -> Self {
        Self { slots: Semaphore::new(settings.in_flight), settings, backend: OnceLock::new() }
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
    /// `resolve/not_found`, `resolve/server_failure`, `resolve/timeout`, `local/resource`.
    pub async fn lookup(
        &self,
        name: &DnsName<'_>,
        deadline: &Deadline,
    ) -> Result<Vec<IpAddr>, Failure> {
        deadline.run(Wait::Resolve, self.ask(name, deadline)).await?
    }

    async fn ask(&self, name: &DnsName<'_>, deadline: &Deadline) -> Result<Vec<IpAddr>, Failure> {
        let backend = self.backend.get_or_init(|| Backend::new(&self.settings));
        let name = absolute(name)?;
        if let Some(addresses) = backend.in_hosts(&name, self.settings.ipv6) {
            return Ok(addresses);
        }
        let dns = backend.dns.as_ref().map_err(|reason| {
            Failure::new(Stage::Local, Kind::Resource, format!("no resolver: {reason}"))
        })?;
        loop {
            match both_families(dns, &name, self.settings.ipv6).await {
                Err(failure) if failure.is_local_shortage() => {
                    if !deadline.pause(SHORTAGE_PAUSE).await {
                        return Err(failure);
                    }
                }
                other => return other,
            }
        }
    }
}

impl Backend {
    fn new(settings: &Settings) -> Self {
        Self {
            hosts: Hosts::from_system().unwrap_or_default(),
            dns: dns(settings).map_err(|error| error.to_string()),
        }
    }

    /// What `/etc/hosts` says, and what everybody knows of localhost (RFC 6761, section 6.3).
    fn in_hosts(&self, name: &Name, ipv6: bool) -> Option<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for family in families(ipv6) {
            let query = Query::query(name.clone(), *family);
            if let Some(lookup) = self.hosts.lookup_static_host(&query) {
                let found = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
                addresses.extend(found);
            }
        }
        if addresses.is_empty() && name.is_localhost() {
            addresses.push(Ipv4Addr::LOCALHOST.into());
            if ipv6 {
                addresses.push(Ipv6Addr::LOCALHOST.into());
            }
        }
        (!addresses.is_empty()).then_some(addresses)
    }
}

fn dns(settings: &Settings) -> Result<TokioResolver, NetError> {
    let (config, mut options) = if settings.servers.is_empty() {
        // Without a resolv.conf, ask the local host, as the C library does.
        system_conf::read_system_conf()
            .unwrap_or_else(|_error| (name_servers(&[LOCAL_NAME_SERVER]), ResolverOpts::default()))
    } else {
        (name_servers(&settings.servers), ResolverOpts::default())
    };
    options.use_hosts_file = ResolveHosts::Never;
    options.num_concurrent_reqs = 1;
    options.cache_size = RESOLVER_CACHE;
    // Tries enough to outlive a lost packet; the lookup's own deadline ends them.
    options.timeout = (settings.limit / 3).max(Duration::from_millis(50));
    options.attempts = 3;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

const LOCAL_NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

fn name_servers(servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|server| {
        let mut udp = ConnectionConfig::udp();
        udp.port = server.port();
        let mut tcp = ConnectionConfig::tcp();
        tcp.port = server.port();
        NameServerConfig::new(server.ip(), true, vec![udp, tcp])
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

/// An absolute name: the search list of the system is for people, not for target lists.
fn absolute(name: &DnsName<'_>) -> Result<Name, Failure> {
    let mut name = Name::from_ascii(name.as_ref()).map_err(|error| {
        Failure::new(Stage::Resolve, Kind::NotFound, format!("no name for the DNS: {error}"))
    })?;
    name.set_fqdn(true);
    Ok(name)
}

fn families(ipv6: bool) -> &'static [RecordType] {
    match ipv6 {
        true => &[RecordType::A, RecordType::AAAA],
        false => &[RecordType::A],
    }
}

async fn both_families(
    dns: &TokioResolver,
    name: &Name,
    ipv6: bool,
) -> Result<Vec<IpAddr>, Failure> {
    let v4 = one_family(dns, name, RecordType::A);
    if !ipv6 {
        return v4.await;
    }
    let v6 = one_family(dns, name, RecordType::AAAA);
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        biased;
        v4 = &mut v4 => {
            let v6 = match &v4 {
                Ok(_) => tokio::select! {
                    biased;
                    v6 = &mut v6 => v6,
                    () = tokio::time::sleep(RESOLUTION_DELAY) => Ok(Vec::new()),
                },
                Err(_) => v6.await,
            };
            (v4, v6)
        }
        v6 = &mut v6 => (v4.await, v6),
    };
    match (v4, v6) {
        (Ok(mut addresses), v6) => {
            addresses.extend(v6.unwrap_or_default());
            Ok(addresses)
        }
        (Err(_), Ok(addresses)) => Ok(addresses),
        // "No data" for one family says nothing while the other went unanswered.
        (Err(v4), Err(v6)) if v4.kind == Kind::NotFound => Err(v6),
        (Err(v4), Err(_)) => Err(v4),
    }
}

async fn one_family(
    dns: &TokioResolver,
    name: &Name,
    family: RecordType,
) -> Result<Vec<IpAddr>, Failure> {
    let lookup = dns.lookup(name.clone(), family).await.map_err(|error| of_dns(&error))?;
    let found = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
    let addresses: Vec<IpAddr> = found.collect();
    if addresses.is_empty() {
        return Err(Failure::new(Stage::Resolve, Kind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

fn of_dns(error: &NetError) -> Failure {
    let kind = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain | ResponseCode::NoError => Kind::NotFound,
            _ => Kind::ServerFailure,
        },
        // A name server that is not there: the lookup's deadline would say so a little later.
        NetError::Timeout | NetError::NoConnections => Kind::Timeout,
        NetError::Busy => return Failure::new(Stage::Local, Kind::Resource, error.to_string()),
        NetError::Io(io) if failure::is_local(io) => {
            return Failure::from_io(Stage::Resolve, io);
        }
        _ => Kind::ServerFailure,
    };
    let detail = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => "the name does not exist".to_owned(),
            ResponseCode::NoError => "the name has no address".to_owned(),
            code => format!("the name server answered {code}"),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the name server answered {code}"),
        other => other.to_string(),
    };
    Failure::new(Stage::Resolve, kind, detail)
}

/// Whether this machine can send IPv6 at all; where it is switched off, every connect fails as if
/// the ports were used up.
pub fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv6Addr::LOCALHOST, 9)))
        .is_ok()
}
