//! A question in one datagram, and the answer to it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use crate::limits::{DATAGRAM_LIMIT, MAX_DATAGRAMS};

/// Sends a datagram and waits for one that `is_answer`. `None` after [`MAX_DATAGRAMS`] others. Each datagram that came is told to `count`.
///
/// The socket is connected, so that the kernel passes on no datagram from elsewhere, and says so when
/// nobody listens there.
///
/// # Errors
/// The socket's: `ConnectionRefused` when nobody listens.
pub async fn ask(
    address: SocketAddr,
    source: Option<&IpAddr>,
    question: &[u8],
    is_answer: impl Fn(&[u8]) -> bool,
    mut count: impl FnMut(usize),
) -> io::Result<Option<Vec<u8>>> {
    let socket = open(address, source)?;
    socket.send(question).await?;
    let mut buffer = vec![0; DATAGRAM_LIMIT];
    for _ in 0..MAX_DATAGRAMS {
        let length = socket.recv(&mut buffer).await?;
        count(length);
        let datagram = buffer.get(..length).unwrap_or_default();
        if is_answer(datagram) {
            return Ok(Some(datagram.to_vec()));
        }
    }
    Ok(None)
}

fn open(address: SocketAddr, source: Option<&IpAddr>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), None)?;
    if let Some(source) = source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(&SocketAddr::new(*source, 0).into())?;
    }
    socket.connect(&address.into())?;
    UdpSocket::from_std(socket.into())
}
