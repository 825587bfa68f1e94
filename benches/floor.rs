//! The limit: what a handshake costs at least. The same handshake in memory, where only the client
//! is counted, and the same bytes over bare TCP. With `--pace` the other end of TCP works for so many
//! microseconds before it answers, as a server of TLS does, and its client has to wait.
//!
//! Beside their sum stands what both at once cost the barest client there can be (`bare.rs`), which
//! waits for a server of TLS: one of its own, or that at `--port`. `--hello` takes one row alone.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and prints its figures"
)]

mod bare;
mod served;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct, Error, ServerConfig,
    ServerConnection, SideData, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use served::{Chains, Server, address, argument, cpu_of, group, is_bench, median, provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// What is offered, and which of it the server takes.
const HELLOS: [(&str, &[&str], &str); 3] = [
    ("X25519MLKEM768", &["X25519MLKEM768", "X25519", "P-256"], "X25519MLKEM768"),
    ("X25519 of a post-quantum offer", &["X25519MLKEM768", "X25519", "P-256"], "X25519"),
    ("X25519", &["X25519", "P-256"], "X25519"),
];

fn main() {
    if served::serve_if_asked() {
        return;
    }
    served::stay_on_own_core();
    let (count, repeats): (usize, u32) =
        if is_bench() { (argument("--handshakes").unwrap_or(2000), 5) } else { (20, 1) };
    let concurrency = argument("--concurrency").unwrap_or(500);
    let pace = argument("--pace").unwrap_or(0_u32).to_string();
    println!("CPU per handshake, µs: median of {repeats} times {count}, {concurrency} at once");
    println!("{:32} {:>9} {:>9} {:>9} {:>11}", "", "in memory", "bare TCP", "sum", "bare client");
    let only: Option<String> = argument("--hello");
    for (name, offered, taken) in HELLOS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let pair = Pair::new(offered, taken);
        let flights = pair.shake_hands().1;
        let [a, b, c, d] = flights.map(|length| length.to_string());
        let server = Server::start(&["bytes", &pace, &a, &b, &c, &d]);
        let theirs = argument("--port");
        let own = theirs.is_none().then(|| Server::start(&["tls", taken, "1", "/dev/null"]));
        let port = own.as_ref().map_or(theirs, |own| Some(own.port)).unwrap();
        let per_handshake = |cpu: &dyn Fn() -> Duration| {
            let runs = (0..repeats).map(|_| cpu() / u32::try_from(count).unwrap());
            median(runs.collect()).as_secs_f64() * 1e6
        };
        let in_memory = per_handshake(&|| (0..count).map(|_| pair.shake_hands().0).sum());
        let tcp = per_handshake(&|| {
            cpu_of(|| exchange_bytes(server.port, flights, count, concurrency)).1
        });
        let targets = || (0..count).map(|number| target(number, port));
        let bare =
            per_handshake(&|| cpu_of(|| bare::dial_all(targets(), concurrency, &pair.client)).1);
        println!("{name:32} {in_memory:9.1} {tcp:9.1} {:9.1} {bare:11.1}", in_memory + tcp);
    }
}

fn target(number: usize, port: u16) -> SocketAddr {
    SocketAddr::new(address(number).parse().unwrap(), port)
}

/// Bytes of the four flights: hello, the server's answer, Finished with the goodbye, and the
/// server's tickets with its goodbye.
type Flights = [usize; 4];

/// A client and a server without a network between them.
struct Pair {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Pair {
    fn new(offered: &[&str], taken: &str) -> Self {
        let offered: Vec<_> = offered.iter().map(|name| group(name)).collect();
        let provider = provider(&offered);
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(SignatureOnly(provider)))
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        let server = ServerConfig::builder_with_provider(served::provider(&[group(taken)]))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Chains::new(1)));
        Self { client: Arc::new(client), server: Arc::new(server) }
    }

    /// A handshake and both goodbyes: the client's CPU, and what went over the wire.
    fn shake_hands(&self) -> (Duration, Flights) {
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        let mut watch = Stopwatch::default();
        let (mut client, hello) = watch.time(|| {
            let name = ServerName::try_from("www.example.com").unwrap();
            let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
            let hello = written(&mut client);
            (client, hello)
        });
        read(&mut server, &hello);
        let answer = written(&mut server);
        let finished = watch.time(|| {
            read(&mut client, &answer);
            client.send_close_notify();
            written(&mut client)
        });
        read(&mut server, &finished);
        server.send_close_notify();
        let rest = written(&mut server);
        let flights = [&hello, &answer, &finished, &rest].map(Vec::len);
        watch.time(|| {
            read(&mut client, &rest);
            assert!(!client.is_handshaking());
            drop((client, hello, finished));
        });
        (watch.0, flights)
    }
}

/// Counts the CPU of what it is given, and not of what happens in between.
#[derive(Default)]
struct Stopwatch(Duration);

impl Stopwatch {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (result, cpu) = cpu_of(work);
        self.0 += cpu;
        result
    }
}

fn written<S: SideData>(connection: &mut ConnectionCommon<S>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn read<S: SideData>(connection: &mut ConnectionCommon<S>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        connection.read_tls(&mut bytes).unwrap();
        connection.process_new_packets().unwrap();
    }
}

/// Verifies the signature over the handshake, which no scanner can do without, and no chain.
#[derive(Debug)]
struct SignatureOnly(Arc<CryptoProvider>);

impl ServerCertVerifier for SignatureOnly {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Connects, writes and reads as a handshake does, and closes, so many times.
fn exchange_bytes(port: u16, flights: Flights, count: usize, concurrency: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..concurrency {
            let next = Arc::clone(&next);
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    exchange(target(number, port), flights).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
}

async fn exchange(address: SocketAddr, [hello, answer, finished, rest]: Flights) -> io::Result<()> {
    let mut buffer = [0; 4096];
    assert!(hello.max(answer).max(finished).max(rest) <= buffer.len());
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    let mut stream = socket.connect(address).await?;
    stream.write_all(&buffer[..hello]).await?;
    stream.read_exact(&mut buffer[..answer]).await?;
    stream.write_all(&buffer[..finished]).await?;
    stream.read_exact(&mut buffer[..rest]).await?;
    assert_eq!(stream.read(&mut buffer).await?, 0);
    Ok(())
}
