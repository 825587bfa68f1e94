//! What `--enumerate` costs of an nginx with its default suites, beside sslscan: the CPU of either
//! program, the system's work for it included. The server has a core of its own, where there is one.
//!
//! `TLSWEEP` names another binary than the one built with the bench.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a bench may panic, and prints what it finds"
)]

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/support/pki.rs"]
mod pki;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/support/programs.rs"]
mod programs;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/support/servers.rs"]
mod servers;

use std::fs;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::Duration;

use programs::{Program, shown};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use servers::{Files, serve_nginx};

/// How often each program is run: the median counts.
const RUNS: usize = 21;
/// Targets of one sweep.
const TARGETS: usize = 200;

fn main() {
    // Without it, `cargo test` only wants to see that this works.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (runs, targets) = if is_bench { (RUNS, TARGETS) } else { (1, 2) };
    let [nginx, sslscan, strace] = ["nginx", "sslscan", "strace"].map(Program::find);
    let (Some(nginx), Some(sslscan), Some(strace)) = (nginx, sslscan, strace) else {
        return;
    };
    let ours =
        std::env::var("TLSWEEP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tlsweep").to_owned());

    let cores = sched_getaffinity(None).unwrap();
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core));
    let server_core = cores.next().unwrap();
    let client_core = cores.next_back().unwrap_or(server_core);

    stay_on(server_core);
    let rsa = Files::with_key(&PKCS_RSA_SHA256);
    let ecdsa = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let second = format!("ssl_certificate {}; ssl_certificate_key {};", ecdsa.chain, ecdsa.key);
    let server = serve_nginx(&nginx, &rsa, &second);
    stay_on(client_core);
    let port = server.addr.port();
    let target = format!("localhost:{port}");
    let list: String = (1..=targets).map(|host| format!("127.0.0.{host}:{port}\n")).collect();
    let list = rsa.write("targets", &list);

    let one = [ours.as_str(), "--enumerate", &target];
    let many = [ours.as_str(), "--enumerate", "-f", &list];
    let theirs = [sslscan.path(), "--ipv4", &target];
    let sweep = [ours.as_str(), &target];
    let [one_cpu, sweep_cpu, many_cpu, their_cpu] =
        [(&one[..], runs), (&sweep, runs), (&many, runs.div_ceil(4)), (&theirs, runs)]
            .map(|(command, runs)| median_cpu(command, runs));
    let alone_cpu = one_cpu.saturating_sub(sweep_cpu);
    let each_cpu = many_cpu / u32::try_from(targets).unwrap();
    let [our_dials, their_dials] =
        [&one, &theirs].map(|command| dials(&strace, command, port, &rsa));

    let milliseconds = |cpu: Duration| format!("{:.2} ms", cpu.as_secs_f64() * 1000.0);
    let part = |cpu: Duration| format!("1/{:.1}", their_cpu.as_secs_f64() / cpu.as_secs_f64());
    println!("sslscan, one nginx          {:>9} {their_dials} dials", milliseconds(their_cpu));
    println!(
        "tlsweep, one nginx          {:>9} {our_dials} dials {}",
        milliseconds(one_cpu),
        part(one_cpu)
    );
    // Without the start of the program, and the sweep of which it is a part.
    println!("tlsweep, enumeration alone  {:>9} {}", milliseconds(alone_cpu), part(alone_cpu));
    println!("tlsweep, each of {targets:<10} {:>9} {}", milliseconds(each_cpu), part(each_cpu));
}

/// What is started from now on stays there too.
fn stay_on(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).unwrap();
}

/// User and system time of one run, the median of several.
fn median_cpu(command: &[&str], runs: usize) -> Duration {
    let mut all: Vec<_> = (0..runs).map(|_| cpu(command)).collect();
    all.sort();
    all.swap_remove(runs / 2)
}

fn cpu(command: &[&str]) -> Duration {
    let before = cpu_of_children();
    let (program, args) = command.split_first().unwrap();
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", shown(&output));
    cpu_of_children() - before
}

/// Of those that have ended and were waited for: a server that still runs is none of them.
fn cpu_of_children() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    #[expect(unsafe_code, reason = "the standard library does not tell; filled in when it is 0")]
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| {
            Duration::from_secs(time.tv_sec.try_into().unwrap())
                + Duration::from_micros(time.tv_usec.try_into().unwrap())
        })
        .into_iter()
        .sum()
}

/// Connections that a program asks for.
fn dials(strace: &Program, command: &[&str], port: u16, files: &Files) -> usize {
    let log = files.write("strace", "");
    let traced = ["-f", "-qq", "-e", "trace=connect", "-o", &log];
    let output = strace.run([&traced, command].concat());
    assert!(output.status.success(), "{}", shown(&output));
    let to = format!("sin_port=htons({port})");
    fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(&to)).count()
}
