//! Lookups through the resolver that the sweep uses, against a name server in another process:
//! lookups a second, CPU of this process for each, and its memory on the way.
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
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rustls_pki_types::DnsName;
use socket2::{Domain, Socket, Type};
use tlsweep::config::{LIMITS, LOOKUPS};
use tlsweep::deadline::Deadline;
use tlsweep::dial::resolve::{Families, Resolver, ResolverSettings};
use tlsweep::feed::exclude::Exclusions;
use tlsweep::limits::DIALLED_ADDRESSES;

/// The argument of the process that is the name server.
const SERVE: &str = "serve";

fn main() {
    if std::env::args().any(|argument| argument == SERVE) {
        return serve();
    }
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let names = if is_bench { 100_000 } else { 500 };
    let server = NameServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (what, families, distinct) in [
        ("IPv4", Families::V4, names),
        ("IPv4 and IPv6", Families::Both, names),
        ("IPv4, each name a hundred times", Families::V4, names / 100),
    ] {
        runtime.block_on(look_up(what, families, names, distinct, server.addr));
    }
}

async fn look_up(what: &str, families: Families, count: usize, distinct: usize, at: SocketAddr) {
    let resolver = Resolver::new(ResolverSettings {
        servers: vec![at],
        in_flight: LOOKUPS,
        limit: LIMITS.resolve,
        families,
        addresses: DIALLED_ADDRESSES,
        exclude: Exclusions::default(),
    });
    let (started, cpu) = (Instant::now(), cpu());
    let mut memory = Vec::new();
    let mut lookups = futures_util::stream::iter(0..count)
        .map(|number| {
            let name = DnsName::try_from(format!("n{}.example", number % distinct)).unwrap();
            let resolver = &resolver;
            async move {
                let _slot = resolver.slot().await;
                let found = resolver.lookup(&name, &Deadline::start(&LIMITS)).await;
                assert_eq!(found.unwrap(), [Ipv4Addr::LOCALHOST]);
            }
        })
        .buffer_unordered(LOOKUPS.get())
        .enumerate();
    while let Some((done, ())) = lookups.next().await {
        if (done + 1) % (count / 5) == 0 {
            memory.push(resident_mib());
        }
    }
    let (elapsed, cpu) = (started.elapsed(), self::cpu() - cpu);
    println!(
        "{what}: {count} lookups, {:.0} a second, {:.1} µs of CPU each, {memory:.1?} MiB resident",
        count as f64 / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count as f64,
    );
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
    std::thread::spawn(move || {
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
