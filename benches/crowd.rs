//! What a crowd of servers with a dense staple costs, and what it does to good servers beside it.
//!
//! Each has a leaf of its own under thirteen issuers of one name with RSA keys of 8,192 bits, and a staple
//! with 100 answers and four responders, so that nothing that is remembered of another one helps. The
//! servers are processes of their own, on another core, where there is one.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may panic and prints its figures"
)]

#[allow(dead_code, reason = "the other benches need more of it")]
mod operations;
#[allow(dead_code, reason = "the other benches need more of it")]
mod served;

use std::io::{BufRead as _, Write as _};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::Value;
use served::{Server, is_bench};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// The first argument of the process of the dense servers.
const SERVE_DENSE: &str = "--serve-dense";
/// The CPU that judging one chain with its staple may take (design, section 1).
const CEILING: Duration = Duration::from_millis(20);

fn main() {
    if served::serve_if_asked() {
        return;
    }
    if let Some(count) = served::argument(SERVE_DENSE) {
        serve_dense(count);
        return;
    }
    let (dense, good) = if is_bench() { (300, 30) } else { (2, 1) };
    let root = tempfile::NamedTempFile::new().unwrap();
    let servers =
        (0..good).map(|_| Server::start(&["tls", "X25519", "1", root.path().to_str().unwrap()]));
    let servers: Vec<_> = servers.collect();
    let crowd = Server::of_process(&[SERVE_DENSE, &dense.to_string()]);
    served::stay_on_own_core();
    let good_lines: Vec<_> =
        servers.iter().map(|server| format!("127.0.0.1:{},,good\n", server.port)).collect();
    let alone = sweep(&good_lines.concat());
    let mut lines = vec![format!("127.0.0.1:{},,dense\n", crowd.port); dense];
    for (place, line) in good_lines.iter().enumerate() {
        lines.insert(place * (dense / good + 1), line.clone());
    }
    let together = sweep(&lines.concat());
    for (name, swept) in [("alone", &alone), ("beside the crowd", &together)] {
        let slowest = swept.good.iter().copied().fold(0.0, f64::max);
        println!("{good} good servers {name}: all ok, the slowest handshake {slowest:.1} ms");
    }
    let each = together.cpu.saturating_sub(alone.cpu) / u32::try_from(dense).unwrap();
    println!(
        "{dense} dense staples: {:.2?} of CPU, {each:.2?} each, in {:.2?}",
        together.cpu, together.wall
    );
    assert_eq!(together.dense, dense, "every dense server has a line");
    assert!(!is_bench() || each < CEILING, "{each:?}");
}

/// What a sweep by the command took and showed.
struct Swept {
    /// Milliseconds of the handshakes with good servers.
    good: Vec<f64>,
    /// How many dense servers were judged.
    dense: usize,
    cpu: Duration,
    wall: Duration,
}

fn sweep(targets: &str) -> Swept {
    let start = Instant::now();
    let mut child = Command::new("bash")
        .args(["-c", "TIMEFORMAT='%3U %3S'; time \"$0\" -q -j", env!("CARGO_BIN_EXE_tlsweep")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(targets.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let wall = start.elapsed();
    let times = String::from_utf8(output.stderr).unwrap();
    let seconds: f64 = times.split_whitespace().map(|time| time.parse::<f64>().unwrap()).sum();
    let mut swept =
        Swept { good: Vec::new(), dense: 0, cpu: Duration::from_secs_f64(seconds), wall };
    for line in output.stdout.lines() {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(record["ok"], true, "{record:#}");
        if record["tag"] == "good" {
            swept.good.push(record["ms"]["handshake"].as_f64().unwrap());
        } else {
            assert_eq!(record["ocsp"]["responses_count"], operations::DENSE_ANSWERS, "{record:#}");
            swept.dense += 1;
        }
    }
    swept
}

/// Shows the next chain and staple to every client.
#[derive(Debug)]
struct Staples {
    all: Vec<Arc<CertifiedKey>>,
    next: AtomicUsize,
}

impl ResolvesServerCert for Staples {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(&self.all[next % self.all.len()]))
    }
}

fn serve_dense(count: u16) {
    served::stay_on_server_core();
    // However the bench ends.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let signer = operations::leaf_key().signing_key().unwrap();
    let all = (0..count).map(|serial| {
        let (chain, staple) = operations::dense(serial);
        let chain = chain.into_iter().map(Into::into).collect();
        Arc::new(CertifiedKey {
            ocsp: Some(staple),
            ..CertifiedKey::new(chain, Arc::clone(&signer))
        })
    });
    let staples = Staples { all: all.collect(), next: AtomicUsize::new(0) };
    let config = ServerConfig::builder_with_provider(served::provider(&[served::group("X25519")]))
        // Chain and staple are two messages there; one message could not hold both.
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(staples));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that goes away is no business of the server's: the client counts.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    while stream.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
                    _ = stream.shutdown().await;
                }
            });
        }
    });
}
