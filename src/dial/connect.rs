//! From addresses to a TCP connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::deadline::{Deadline, SHORTAGE_PAUSE, Wait};
use crate::failure::{self, Failure, Kind, Stage};

/// A TCP connection, and how it came about.
#[derive(Debug)]
pub struct Connection {
    /// The connection.
    pub stream: TcpStream,
    /// The address that answered.
    pub address: SocketAddr,
    /// From the request to the answer, for this address.
    pub took: Duration,
}

/// No address answered.
#[derive(Debug)]
pub struct NotConnected {
    /// The failure at the first address: later ones are second choices.
    pub failure: Failure,
    /// The first address.
    pub address: Option<SocketAddr>,
    /// From the request to the failure, for the first address.
    pub took: Duration,
}

/// Dials `addresses` in order until one answers, counting every dial in `attempts`.
///
/// # Errors
/// What the first address said. A shortage of our own machine is waited out within the target's
/// time and ends the whole target as `local/resource`.
pub async fn connect(
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
    deadline: &Deadline,
    attempts: &mut u32,
) -> Result<Connection, NotConnected> {
    let mut first: Option<NotConnected> = None;
    for &address in addresses {
        *attempts += 1;
        let start = Instant::now();
        let failure = match dial(address, source, deadline).await {
            Ok(stream) => {
                return Ok(Connection { stream, address, took: start.elapsed() });
            }
            Err(failure) => failure,
        };
        let is_ours = failure.stage == Stage::Local;
        let failed = NotConnected { failure, address: Some(address), took: start.elapsed() };
        if is_ours {
            return Err(failed);
        }
        first.get_or_insert(failed);
        if deadline.is_over() {
            break;
        }
    }
    Err(first.unwrap_or_else(|| NotConnected {
        failure: Failure::new(Stage::Connect, Kind::Unreachable, "there is no address to dial"),
        address: None,
        took: Duration::ZERO,
    }))
}

/// Dials one address; a shortage of our own machine is waited out.
async fn dial(
    address: SocketAddr,
    source: Option<IpAddr>,
    deadline: &Deadline,
) -> Result<TcpStream, Failure> {
    loop {
        let error = match deadline.run(Wait::Connect, request(address, source)).await? {
            Ok(stream) if is_connected_to_itself(&stream, address) => {
                return Err(Failure::new(
                    Stage::Connect,
                    Kind::Refused,
                    "nobody listens: the connection had reached itself",
                ));
            }
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) && !has_source_for(address, source) {
            return Err(Failure::new(
                Stage::Connect,
                Kind::Unreachable,
                "this machine has no address from which to reach it",
            ));
        }
        let failure = Failure::from_io(Stage::Connect, &error);
        if !failure::is_shortage(&error) || !deadline.pause(SHORTAGE_PAUSE).await {
            return Err(failure);
        }
    }
}

async fn request(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
        bind_without_port(&socket, source)?;
    }
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Binds to an address but leaves the port to the connect: a port that is bound first is taken
/// for all destinations at once, and there are only some 28,000.
fn bind_without_port(socket: &TcpSocket, source: IpAddr) -> io::Result<()> {
    let on: libc::c_int = 1;
    #[expect(unsafe_code, reason = "no crate has this option; the pointer and its size agree")]
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    socket.bind(SocketAddr::new(source, 0))
}

/// A dial to a free port of the ephemeral range on this machine can be given that very port as its
/// own, and TCP then connects it to itself.
fn is_connected_to_itself(stream: &TcpStream, address: SocketAddr) -> bool {
    address.ip().is_loopback() && stream.local_addr().is_ok_and(|local| local == address)
}

/// Tells "no free port" from "no address of that family": a UDP socket has ports enough.
fn has_source_for(address: SocketAddr, source: Option<IpAddr>) -> bool {
    let any = match (source, address) {
        (Some(source), _) => source,
        (None, SocketAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (None, SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address)).is_ok()
}
