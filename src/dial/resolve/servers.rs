//! The name servers: one is asked at a time, and another when it is silent or fails.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{TokioResolver, system_conf};

use super::Settings;
use crate::failure::{self, Failure, Kind, Stage};
use crate::limits::RESOLVER_CACHE;

/// Who is asked where no name server is configured, as by the C library.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// How often a lookup asks at least: enough to outlive lost packets.
const TRIES: usize = 3;

/// The shortest time that a server is given to answer.
const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// The name servers of a sweep, in the order in which they are to be asked.
pub(super) struct NameServers(Vec<NameServer>);

struct NameServer {
    dns: TokioResolver,
    /// Tries without an answer since its last answer.
    silences: AtomicU32,
}

impl NameServers {
    pub(super) fn new(settings: &Settings) -> Result<Self, NetError> {
        let (servers, mut options) = match settings.servers.as_slice() {
            [] => match system_conf::read_system_conf() {
                Ok((config, options)) => (config.name_servers().to_vec(), options),
                Err(_no_file) => (vec![over_udp_and_tcp(LOCAL)], ResolverOpts::default()),
            },
            servers => {
                (servers.iter().copied().map(over_udp_and_tcp).collect(), ResolverOpts::default())
            }
        };
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = RESOLVER_CACHE;
        let tries = u32::try_from(servers.len().max(TRIES)).unwrap_or(u32::MAX);
        options.timeout = (settings.limit / tries).max(SHORTEST_TRY);
        // Who is asked next is decided here: hickory would not turn to another server for SERVFAIL.
        options.attempts = 0;
        let server = |server| NameServer::new(server, options.clone());
        servers.into_iter().map(server).collect::<Result<_, _>>().map(Self)
    }

    /// The addresses in the records of this type; none when the name has no such record.
    ///
    /// Servers that have been silent of late are asked last, and twice only when all were silent.
    pub(super) async fn ask(
        &self,
        name: &Name,
        record_type: RecordType,
    ) -> Result<Vec<IpAddr>, Failure> {
        let mut servers: Vec<_> = self.0.iter().collect();
        servers.sort_by_cached_key(|server| server.silences.load(Ordering::Relaxed));
        let mut failure: Option<Failure> = None;
        for (tries, server) in servers.iter().cycle().take(servers.len().max(TRIES)).enumerate() {
            let has_failed = failure.as_ref().is_some_and(|it| it.kind == Kind::ServerFailure);
            if has_failed && tries >= servers.len() {
                break;
            }
            match server.ask(name, record_type).await {
                // What a server said is worth more than the silence of another.
                Err(silence) if silence.kind == Kind::Timeout => {
                    failure.get_or_insert(silence);
                }
                Err(refusal) if refusal.kind == Kind::ServerFailure => failure = Some(refusal),
                answer => return answer,
            }
        }
        Err(failure.unwrap_or_else(|| {
            Failure::new(Stage::Resolve, Kind::Timeout, "there is no name server to ask")
        }))
    }
}

impl NameServer {
    fn new(server: NameServerConfig, options: ResolverOpts) -> Result<Self, NetError> {
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let dns = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        Ok(Self { dns, silences: AtomicU32::new(0) })
    }

    async fn ask(&self, name: &Name, record_type: RecordType) -> Result<Vec<IpAddr>, Failure> {
        let answer = match self.dns.lookup(name.clone(), record_type).await {
            Ok(lookup) => {
                Ok(lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect())
            }
            Err(error) => of_error(&error),
        };
        match &answer {
            Err(failure) if failure.kind == Kind::Timeout => {
                self.silences.fetch_add(1, Ordering::Relaxed);
            }
            Err(failure) if failure.is_local_shortage() => {}
            _ => self.silences.store(0, Ordering::Relaxed),
        }
        answer
    }
}

fn over_udp_and_tcp(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

/// What an error that is an answer means: that the name has no such record is none.
fn of_error(error: &NetError) -> Result<Vec<IpAddr>, Failure> {
    let (kind, detail) = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError => return Ok(Vec::new()),
            ResponseCode::NXDomain => (Kind::NotFound, "the name does not exist".to_owned()),
            code => (Kind::ServerFailure, format!("the name server answered {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            (Kind::ServerFailure, format!("the name server answered {code}"))
        }
        // A name server that is not there: the lookup's deadline would say so a little later.
        NetError::Timeout | NetError::NoConnections => (Kind::Timeout, error.to_string()),
        NetError::Busy => {
            return Err(Failure::new(Stage::Local, Kind::Resource, error.to_string()));
        }
        NetError::Io(io) if failure::is_local(io) => {
            return Err(Failure::from_io(Stage::Resolve, io));
        }
        _ => (Kind::ServerFailure, error.to_string()),
    };
    Err(Failure::new(Stage::Resolve, kind, detail))
}
