//! The sockets through which name servers are asked.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider,
};

use crate::failure;

/// tokio's sockets, with a memory of what our own machine refused them: hickory has no more to
/// say of a socket that failed than that there is no connection.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    tokio: TokioRuntimeProvider,
    pub(super) refusals: Refusals,
}

/// How many refusals there were, and the error number of the last.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<(u64, i32)>>);

pub(super) struct Udp {
    socket: <TokioRuntimeProvider as RuntimeProvider>::Udp,
    refusals: Refusals,
}

type Opening<S> = Pin<Box<dyn Send + Future<Output = io::Result<S>>>>;

impl Refusals {
    pub(super) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The last one, if it came after the first `count`.
    pub(super) fn since(&self, count: u64) -> Option<io::Error> {
        let (now, last) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (now > count).then(|| io::Error::from_raw_os_error(last))
    }

    fn note(&self, error: &io::Error) {
        if let Some(number) = error.raw_os_error().filter(|_| failure::is_local(error)) {
            let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *refusals = (refusals.0 + 1, number);
        }
    }
}

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = Udp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        let opening = self.tokio.connect_tcp(server, local, timeout);
        let refusals = self.refusals.clone();
        Box::pin(async move { opening.await.inspect_err(|error| refusals.note(error)) })
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Opening<Udp> {
        let opening = self.tokio.bind_udp(local, server);
        let refusals = self.refusals.clone();
        Box::pin(async move {
            let socket = opening.await.inspect_err(|error| refusals.note(error))?;
            Ok(Udp { socket, refusals })
        })
    }
}

impl DnsUdpSocket for Udp {
    type Time = <TokioRuntimeProvider as RuntimeProvider>::Timer;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        DnsUdpSocket::poll_recv_from(&self.socket, cx, buf)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        DnsUdpSocket::poll_send_to(&self.socket, cx, buf, target).map_err(|error| {
            // Its port it has: there is no address of the server's family, and will be none.
            if error.kind() != io::ErrorKind::AddrNotAvailable {
                self.refusals.note(&error);
            }
            error
        })
    }
}
