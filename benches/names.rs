//! Lookups through the resolver that the sweep uses, against a name server in another process:
//! lookups a second, CPU of this process for each, and its memory on the way.
//!
//! The lookups are tasks of one loop, or of two that share the resolver. Each loop is a runtime on a
//! thread of its own, as in a sweep.
//!
//! `cargo bench --bench names`; anything else looks up so few names that only failures matter.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench reads the clock, prints its figures and may panic"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls_pki_types::DnsName;
use socket2::{Domain, Socket, Type};
use tlsweep::config::{LIMITS, LOOKUPS};
use tlsweep::deadline::Deadline;
use tlsweep::dial::resolve::{Families, Resolver, ResolverSettings};
use tlsweep::feed::exclude::Exclusions;
use tlsweep::limits::DIALLED_ADDRESSES;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// The argument of the process that is the name server.
const SERVE: &str = "serve";

fn main() {
    if std::env::args().any(|argument| argument == SERVE) {
        return serve();
    }
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let names = if is_bench { 100_000 } else { 500 };
    let server = NameServer::start();
    for loops in [1, 2] {
        for (what, families, distinct) in [
            ("IPv4", Families::V4, names),
            ("IPv4 and IPv6", Families::Both, names),
            ("IPv4, each name a hundred times", Families::V4, names / 100),
        ] {
            let lookups = Arc::new(Lookups::new(names, distinct, families, server.addr));
            let (started, cpu) = (Instant::now(), cpu());
            look_up_all(&lookups, loops);
            let (elapsed, cpu) = (started.elapsed(), self::cpu() - cpu);
            println!(
                "{loops} loops, {what}: {names} lookups, {:.0} a second, {:.1} µs of CPU each, \
                 {:.1?} MiB resident",
                names as f64 / elapsed.as_secs_f64(),
                cpu.as_secs_f64() * 1e6 / names as f64,
                lookups.memory.lock().unwrap(),
            );
        }
    }
}

/// The lookups of all loops.
struct Lookups {
    resolver: Resolver,
    /// How many.
    count: usize,
    /// How many different names.
    distinct: usize,
    next: AtomicUsize,
    /// MiB resident, after each fifth of the lookups.
    memory: Mutex<Vec<f64>>,
}

impl Lookups {
    fn new(count: usize, distinct: usize, families: Families, server: SocketAddr) -> Self {
        let resolver = Resolver::new(ResolverSettings {
            servers: vec![server],
            in_flight: LOOKUPS,
            limit: LIMITS.resolve,
            families,
            addresses: DIALLED_ADDRESSES,
            exclude: Exclusions::default(),
        });
        Self { resolver, count, distinct, next: 0.into(), memory: Mutex::default() }
    }

    /// Looks up one name after the other, until there are no more.
    async fn look_up(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return;
            }
            let name = DnsName::try_from(format!("n{}.example", number % self.distinct)).unwrap();
            let _slot = self.resolver.slot().await;
            let found = self.resolver.lookup(&name, &Deadline::start(&LIMITS)).await;
            assert_eq!(found.unwrap(), [Ipv4Addr::LOCALHOST]);
            if (number + 1).is_multiple_of(self.count / 5) {
                self.memory.lock().unwrap().push(resident_mib());
            }
        }
    }
}

/// Shares the lookups in flight out among the loops.
fn look_up_all(lookups: &Arc<Lookups>, loops: usize) {
    thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut tasks = JoinSet::new();
                    for _ in 0..LOOKUPS.get() / loops {
                        let lookups = Arc::clone(lookups);
                        tasks.spawn(async move { lookups.look_up().await });
                    }
                    tasks.join_all().await;
                });
            });
        }
    });
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The second field, the name of the program, may hold blanks; the third follows its bracket.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// This program again, as a name server; it ends with its standard input.
struct NameServer {
    child: Child,
    addr: SocketAddr,
}

impl NameServer {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child =
            command.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut addr = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut addr).unwrap();
        Self { child, addr: addr.trim().parse().unwrap() }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// Says that every name is at 127.0.0.1 and nowhere in IPv6.
fn serve() {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    // All lookups in flight may ask at once, for both families, and ask again.
    socket.set_recv_buffer_size(8 << 20).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let socket = std::net::UdpSocket::from(socket);
    println!("{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut query = [0; 512];
        loop {
            let (_, client) = socket.recv_from(&mut query).unwrap();
            socket.send_to(&answer(&query), client).unwrap();
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// The question with an answer (RFC 1035, section 4).
fn answer(query: &[u8]) -> Vec<u8> {
    const ADDRESS: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];
    let name: usize = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let is_v4 = question[name + 2] == 1;
    let records: &[u8] = if is_v4 { &ADDRESS } else { &[] };
    let header = [0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0];
    [&query[..2], &header, question, records].concat()
}
