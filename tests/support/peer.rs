//! Servers on loopback, inside the test's own process, each with one way of (mis)behaving.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::pki::{self, CA, GOOD};
use super::script::{self, Step};

/// Runs every peer of the process.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// How a peer behaves, and where it listens.
#[derive(Clone)]
pub(crate) struct Spec {
    manner: Manner,
    place: Place,
}

type Behaviour = Arc<dyn Fn(TcpStream) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
enum Manner {
    Script(Arc<[Step]>),
    /// Whatever the test makes up.
    MadeUp(Behaviour),
    /// rustls' own server, which reads until the client says goodbye and then does the same.
    Served(Arc<ServerConfig>),
    /// The port is taken, but nobody listens.
    Refusing,
    /// The kernel accepts, the program never does.
    Deaf,
    /// The queue of connections is full, so that the kernel drops what knocks.
    Blackhole,
}

#[derive(Clone, Copy)]
enum Place {
    V4,
    V6,
    /// Every address of 127.0.0.0/8, so that one peer can be many targets.
    AllOfLoopback,
}

impl Spec {
    pub(crate) fn script(steps: impl Into<Vec<Step>>) -> Self {
        Self::of(Manner::Script(steps.into().into()))
    }

    pub(crate) fn made_up<F: Future<Output = ()> + Send + 'static>(
        behave: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::of(Manner::MadeUp(Arc::new(move |stream| behave(stream).boxed())))
    }

    pub(crate) fn served(config: ServerConfig) -> Self {
        Self::of(Manner::Served(Arc::new(config)))
    }

    /// A server without fault.
    pub(crate) fn good() -> Self {
        Self::served(server_config(&GOOD, rustls::DEFAULT_VERSIONS))
    }

    /// A server that wants to see a certificate first.
    pub(crate) fn wants_certificate(version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CA.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(GOOD.chain.clone(), GOOD.key.clone_key());
        Self::served(config.unwrap())
    }

    pub(crate) fn refusing() -> Self {
        Self::of(Manner::Refusing)
    }

    pub(crate) fn deaf() -> Self {
        Self::of(Manner::Deaf)
    }

    pub(crate) fn blackhole() -> Self {
        Self::of(Manner::Blackhole)
    }

    pub(crate) fn on_v6(mut self) -> Self {
        self.place = Place::V6;
        self
    }

    pub(crate) fn on_all_of_loopback(mut self) -> Self {
        self.place = Place::AllOfLoopback;
        self
    }

    pub(crate) fn start(self) -> Peer {
        let socket = self.place.bind(0).unwrap();
        self.start_at(socket)
    }

    /// Starts on a port of the test's own choice, for which it needs a network of its own.
    pub(crate) fn start_on(self, port: u16) -> Peer {
        let socket = self.place.bind(port).unwrap();
        self.start_at(socket)
    }

    /// Starts on the port that another peer has on another address, if it is free there.
    pub(crate) fn start_beside(self, other: &Peer) -> Option<Peer> {
        let socket = self.place.bind(other.addr.port()).ok()?;
        Some(self.start_at(socket))
    }

    fn start_at(self, socket: Socket) -> Peer {
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut peer = Peer { addr, accepted, sockets: Vec::new(), tasks: JoinSet::new() };
        match self.manner {
            Manner::Refusing => peer.sockets.push(socket),
            Manner::Deaf => {
                socket.listen(1024).unwrap();
                peer.sockets.push(socket);
            }
            Manner::Blackhole => {
                socket.listen(1).unwrap();
                peer.sockets = fill_queue(addr);
                peer.sockets.push(socket);
            }
            Manner::Script(steps) => peer.serve(socket, move |stream| {
                let steps = steps.clone();
                async move {
                    // The client may leave at any moment.
                    _ = script::play(&steps, stream).await;
                }
            }),
            Manner::MadeUp(behave) => peer.serve(socket, move |stream| behave(stream)),
            Manner::Served(config) => peer.serve(socket, move |stream| {
                let config = Arc::clone(&config);
                async move {
                    _ = script::serve(config, stream).await;
                }
            }),
        }
        peer
    }

    fn of(manner: Manner) -> Self {
        Self { manner, place: Place::V4 }
    }
}

impl Place {
    fn bind(self, port: u16) -> io::Result<Socket> {
        let (domain, ip): (_, IpAddr) = match self {
            Self::V4 => (Domain::IPV4, Ipv4Addr::LOCALHOST.into()),
            Self::V6 => (Domain::IPV6, Ipv6Addr::LOCALHOST.into()),
            Self::AllOfLoopback => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if matches!(self, Self::AllOfLoopback) {
            socket.bind_device(Some(b"lo"))?;
        }
        socket.bind(&SocketAddr::from((ip, port)).into())?;
        Ok(socket)
    }
}

/// A running peer; it stops when it is dropped.
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    sockets: Vec<Socket>,
    tasks: JoinSet<()>,
}

impl Peer {
    /// The peer as a line of input.
    pub(crate) fn target(&self) -> String {
        self.addr.to_string()
    }

    /// Its connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    fn serve<F>(&mut self, socket: Socket, behave: impl Fn(TcpStream) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        socket.listen(4096).unwrap();
        socket.set_nonblocking(true).unwrap();
        let accepted = self.accepted.clone();
        let _guard = RUNTIME.enter();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accept = listener.accept() => {
                        let (stream, _) = accept.expect("the test has descriptors left");
                        accepted.fetch_add(1, Ordering::Relaxed);
                        // The scripts decide what shares a segment, not Nagle.
                        _ = stream.set_nodelay(true);
                        connections.spawn(behave(stream));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
    }
}

/// More connections than a queue of one takes; they have to live as long as the peer.
pub(crate) fn fill_queue(addr: SocketAddr) -> Vec<Socket> {
    let knock = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // It is in progress for ever once the queue is full.
        _ = socket.connect(&addr.into());
        socket
    };
    (0..8).map(knock).collect()
}

pub(crate) fn server_config(
    identity: &pki::Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .unwrap()
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
