//! What the benches dial: a server that is a process of its own, so that only the client's work is
//! counted, and on a core of its own, where there is one.

mod chains;
mod serve;

pub(crate) use chains::Chains;
pub(crate) use serve::serve_if_asked;

use std::env;
use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use rustls::CipherSuite;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use tlsweep::tls::key_share::X25519MLKEM768;

/// How the first argument of the server's process reads.
const SERVE: &str = "--serve";

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts this program once more; [`serve_if_asked`] is the other half.
    pub(crate) fn start(words: &[&str]) -> Self {
        let (server, _) = cores();
        Self::of_process(&[&[SERVE, &server.to_string()], words].concat())
    }

    /// Starts this program once more with these arguments. Then it has to print its port as a line.
    pub(crate) fn of_process(arguments: &[&str]) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, port: port.trim().parse().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The address of loopback with that number.
pub(crate) fn address(number: usize) -> String {
    format!("127.{}.{}.{}", 1 + number / 62_500, number / 250 % 250, number % 250 + 1)
}

/// Keeps this process off the server's core. Before any thread is started, since they inherit it.
pub(crate) fn stay_on_own_core() {
    let (_, client) = cores();
    stay_on(client);
}

/// Keeps this process, which serves, on the server's core.
#[allow(dead_code, reason = "most servers are told their core")]
pub(crate) fn stay_on_server_core() {
    let (server, _) = cores();
    stay_on(server);
}

fn stay_on(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).unwrap();
}

/// The server's and the client's; the same where there is only one.
fn cores() -> (usize, usize) {
    let mine = sched_getaffinity(None).unwrap();
    let mut mine = (0..CpuSet::MAX_CPU).filter(|core| mine.is_set(*core));
    let first = mine.next().unwrap();
    (first, mine.next_back().unwrap_or(first))
}

/// What comes of the work, and the CPU that all threads of this process used meanwhile, in user and
/// kernel mode.
pub(crate) fn cpu_of<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let used = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    let before = used();
    let result = work();
    (result, used() - before)
}

/// Whether this is `cargo bench`; `cargo test --benches` only wants to see it run.
pub(crate) fn is_bench() -> bool {
    env::args().any(|word| word == "--bench")
}

/// What this program was told with `name`.
pub(crate) fn argument<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let mut words = env::args().skip_while(|word| word != name);
    words.nth(1).map(|value| value.parse().unwrap())
}

/// The provider with these groups, and the suite first that tlsweep offers first.
pub(crate) fn provider(groups: &[&'static dyn SupportedKxGroup]) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider.kx_groups = groups.to_vec();
    Arc::new(provider)
}

/// The group of that name.
pub(crate) fn group(name: &str) -> &'static dyn SupportedKxGroup {
    match name {
        "X25519MLKEM768" => X25519MLKEM768,
        "X25519" => kx_group::X25519,
        "P-256" => kx_group::SECP256R1,
        _ => panic!("no group {name}"),
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}
