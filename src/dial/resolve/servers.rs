//! The name servers: one is asked at a time, and another when it is silent or fails.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};

use super::sockets::{Refusals, Sockets};
use super::{Settings, Unresolved};
use crate::failure::{self, Failure, Kind, Stage};
use crate::limits::RESOLVER_CACHE;

/// How often a lookup asks at least: enough to outlive lost packets.
const TRIES: usize = 3;

/// The shortest time that a server is given to answer.
const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// What is no answer, and another server may have one: least first, what a server said last.
const WORTH: [Kind; 3] = [Kind::Timeout, Kind::Resource, Kind::ServerFailure];

/// The name servers of a sweep, in the order in which they are to be asked.
pub(super) struct NameServers(Vec<NameServer>);

struct NameServer {
    dns: Resolver<Sockets>,
    refusals: Refusals,
    /// Tries without an answer since its last answer.
    silences: AtomicU32,
}

impl NameServers {
    pub(super) fn new(settings: &Settings) -> Result<Self, NetError> {
        let servers: Vec<_> = settings.servers.iter().copied().map(over_udp_and_tcp).collect();
        let mut options = ResolverOpts::default();
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
    ) -> Result<Vec<IpAddr>, Unresolved> {
        let mut servers: Vec<_> = self.0.iter().collect();
        servers.sort_by_cached_key(|server| server.silences.load(Ordering::Relaxed));
        let worth = |it: &Unresolved| WORTH.iter().position(|kind| *kind == it.failure.kind);
        let mut failed: Option<Unresolved> = None;
        for (tries, server) in servers.iter().cycle().take(servers.len().max(TRIES)).enumerate() {
            let was_silent = failed.as_ref().is_none_or(|it| it.failure.kind == Kind::Timeout);
            if !was_silent && tries >= servers.len() {
                break;
            }
            match server.ask(name, record_type).await {
                Err(it) if worth(&it).is_some() => {
                    failed = failed.into_iter().chain([it]).max_by_key(worth);
                }
                answer => return answer,
            }
        }
        Err(failed.unwrap_or_else(|| {
            Failure::new(Stage::Resolve, Kind::Timeout, "there is no name server to ask").into()
        }))
    }
}

impl NameServer {
    fn new(server: NameServerConfig, options: ResolverOpts) -> Result<Self, NetError> {
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let sockets = Sockets::default();
        let refusals = sockets.refusals.clone();
        let dns = Resolver::builder_with_config(config, sockets).with_options(options).build()?;
        Ok(Self { dns, refusals, silences: AtomicU32::new(0) })
    }

    async fn ask(&self, name: &Name, record_type: RecordType) -> Result<Vec<IpAddr>, Unresolved> {
        let refused_before = self.refusals.count();
        let answer = match self.dns.lookup(name.clone(), record_type).await {
            Ok(lookup) => {
                Ok(lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect())
            }
            Err(error) => {
                let is_ours = matches!(error, NetError::NoConnections | NetError::Io(_));
                if let Some(refusal) = self.refusals.since(refused_before).filter(|_| is_ours) {
                    return Err(Unresolved {
                        failure: Failure::from_io(Stage::Resolve, &refusal),
                        is_shortage: failure::is_shortage(&refusal),
                    });
                }
                of_error(&error)
            }
        };
        if answer.as_ref().is_err_and(|failure| failure.kind == Kind::Timeout) {
            self.silences.fetch_add(1, Ordering::Relaxed);
        } else {
            self.silences.store(0, Ordering::Relaxed);
        }
        Ok(answer?)
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
        _ => (Kind::ServerFailure, error.to_string()),
    };
    Err(Failure::new(Stage::Resolve, kind, detail))
}
