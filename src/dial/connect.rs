//! From an address to a TCP connection.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::task::{Poll, ready};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::deadline::{Deadline, SHORTAGE_PAUSE, Wait};
use crate::failure::{self, Failure, Kind, Stage};

/// Opens a TCP connection. It must be open by `until`, if that is given and earlier than the
/// connect limit: a retry within a handshake has only what is left of the handshake's time.
///
/// # Errors
/// The socket's error, or the deadline that expired. When this machine runs out of descriptors,
/// ports or memory, this tries again until the target's time is over, and then fails with
/// `local/resource`.
pub fn connect(
    address: SocketAddr,
    source: Option<&IpAddr>,
    deadline: &Deadline<'_>,
    until: Option<Instant>,
) -> impl Future<Output = Result<TcpStream, Failure>> {
    let source = source.filter(|source| source.is_ipv4() == address.is_ipv4());
    // An async function would store its arguments twice.
    async move {
        loop {
            let (wait, end) = match until {
                Some(until) if until < deadline.of(Wait::Connect) => (Wait::Handshake, until),
                _ => (Wait::Connect, deadline.of(Wait::Connect)),
            };
            let connected = deadline.run_until(wait, end, attempt(address, source)).await?;
            let error = match connected {
                Ok(stream) if is_connected_to_itself(&stream, address.port()) => {
                    return Err(Failure::new(
                        Stage::Connect,
                        Kind::Refused,
                        "nobody listens: the connection had reached itself",
                    ));
                }
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) && !has_source_for(address, source)
            {
                return Err(Failure::new(
                    Stage::Connect,
                    Kind::Unreachable,
                    "this machine has no address from which to reach it",
                ));
            }
            let failure = Failure::from_io(Stage::Connect, &error);
            if !failure::is_shortage(&error)
                || until.is_some_and(|until| Instant::now() >= until)
                || !Box::pin(deadline.pause(SHORTAGE_PAUSE)).await
            {
                return Err(failure);
            }
        }
    }
}

/// Sends the SYN now, and waits for the answer. Unlike `TcpStream::connect`, the future does not
/// store the address while it waits.
fn attempt(
    address: SocketAddr,
    source: Option<&IpAddr>,
) -> impl Future<Output = io::Result<TcpStream>> + use<> {
    let mut requested = request(address, source);
    poll_fn(move |cx| {
        if let Ok(stream) = &requested {
            ready!(stream.poll_write_ready(cx))?;
            if let Some(error) = stream.take_error()? {
                return Poll::Ready(Err(failure::from_the_network(error)));
            }
        }
        // The future is finished, so this placeholder is never read.
        Poll::Ready(std::mem::replace(&mut requested, Err(io::ErrorKind::NotConnected.into())))
    })
}

/// A socket whose connect has begun. It becomes writable when the peer answers.
///
/// # Errors
/// A refusal that has come already is an error, too. This happens when the peer is this machine. The socket
/// is then never registered for events, which saves a third of the system calls.
fn request(address: SocketAddr, source: Option<&IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    if let Some(source) = source {
        bind_without_port(&socket, *source)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        // The kernel calls this an "invalid argument".
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && is_link_local(address) => {
            let reason = "a link-local address needs a zone, and zones are not supported";
            return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, reason));
        }
        connected => connected?,
    }
    if let Some(error) = socket.take_error()? {
        return Err(failure::from_the_network(error));
    }
    TcpStream::from_std(socket.into())
}

fn is_link_local(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(address) if address.ip().is_unicast_link_local())
}

/// Binds to an address, and lets the connect choose the port. A port that is chosen by the bind is taken
/// for all destinations, and there are only some 28,000.
fn bind_without_port(socket: &Socket, source: IpAddr) -> io::Result<()> {
    setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::new(source, 0).into())
}

/// Whether both ends of the connection are this socket.
///
/// When a dial goes to a free port on this machine, the kernel may choose the same port as its source. TCP
/// then connects the socket to itself. This machine may have any address, not only a loopback one.
fn is_connected_to_itself(stream: &TcpStream, port: u16) -> bool {
    // Looking up the peer costs a system call, so it is done only when the ports agree. A connection that is
    // gone already has no peer. The first read says that it is gone.
    stream.local_addr().is_ok_and(|local| {
        local.port() == port && stream.peer_addr().is_ok_and(|peer| peer == local)
    })
}

/// Whether this machine has a source address for `address`. EADDRNOTAVAIL means that it has none, or that
/// no TCP port is free. A UDP socket tells the two apart, because UDP ports are not used up.
fn has_source_for(address: SocketAddr, source: Option<&IpAddr>) -> bool {
    let any = match (source, address) {
        (Some(source), _) => *source,
        (None, SocketAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (None, SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probed = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address));
    // Any other error is a shortage of something else, and says nothing about addresses.
    !probed.is_err_and(|error| {
        matches!(
            error.raw_os_error(),
            Some(libc::EADDRNOTAVAIL | libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EAFNOSUPPORT)
        )
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_refusal_by_this_machine_needs_no_wait() {
        // Its port is taken, so nobody else can listen at it, and no dial can reach itself.
        let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        taken.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = taken.local_addr().unwrap().as_socket().unwrap();
        // The kernel may put an answer off when it is busy, so not all of them have to be there.
        let at_once = (0..100).filter_map(|_| attempt(address, None).now_or_never());
        let errors: Vec<_> = at_once.map(|connected| connected.unwrap_err().kind()).collect();
        assert!(!errors.is_empty());
        assert!(errors.iter().all(|kind| *kind == io::ErrorKind::ConnectionRefused), "{errors:?}");
    }
}
