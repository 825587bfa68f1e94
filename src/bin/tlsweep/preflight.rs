//! What this machine allows, before the first dial.

use std::fs;
use std::num::NonZero;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tlsweep::config::Config;

use crate::runtime::useful_loops;

/// Descriptors that the process needs for itself beyond those that are open already.
const RESERVE: u64 = 16;

/// Descriptors of a loop of its own: to wait for events, to be woken, and for signals.
const DESCRIPTORS_OF_A_LOOP: u64 = 3;

/// How long the kernel keeps a connection in mind whose peer never answered
/// (`nf_conntrack_tcp_timeout_syn_sent`).
const TRACKED: Duration = Duration::from_secs(120);

/// Descriptors that it takes to sweep at all: for the runtime, its signals, the output and a dial.
const LEAST_DESCRIPTORS: u64 = 10;

/// Address space that a dial may take: a handshake, its chain and its record.
const MEMORY_OF_A_DIAL: u64 = 128 << 10;

/// The limits of memory: what the kernel counts against each, what it takes to sweep at all, and the
/// flag of `ulimit`. The stacks of a few threads are most of the address space, and are touched in
/// small part only; all of their size is data as well.
const MEMORY: [(rlimit::Resource, &str, u64, &str); 2] = [
    (rlimit::Resource::AS, "VmSize:", 48 << 20, "-v"),
    (rlimit::Resource::DATA, "VmData:", 20 << 20, "-d"),
];

/// Makes sure that the limits of this process leave room for any sweep at all. What is missing later
/// would be an abort, not an error.
///
/// # Errors
/// They do not.
pub(crate) fn check() -> Result<()> {
    let limit = raise_descriptor_limit();
    let free = limit.saturating_sub(own_descriptors());
    if free < LEAST_DESCRIPTORS {
        bail!(
            "the limit is {limit} open files, and {free} of them are free; \
             at least {LEAST_DESCRIPTORS} are needed (ulimit -n)"
        );
    }
    for (resource, counted, least, flag) in MEMORY {
        let limit = resource.get_soft().context("cannot read the limits of the process")?;
        let free = limit.saturating_sub(memory(counted).unwrap_or(0));
        if free < least {
            bail!(
                "the limit of {} MiB of memory leaves {} MiB free; at least {} are needed (ulimit {flag})",
                limit >> 20,
                free >> 20,
                least >> 20,
            );
        }
    }
    Ok(())
}

/// Stack that reading the command line takes. Every other thread has a stack of its own size.
const STACK: u64 = 256 << 10;

/// Makes sure that this thread's stack is large enough to read the command line.
///
/// # Errors
/// It is not.
pub(crate) fn check_stack() -> Result<()> {
    let limit =
        rlimit::Resource::STACK.get_soft().context("cannot read the limits of the process")?;
    if limit < STACK {
        bail!(
            "the limit of the stack is {} KiB; at least {} are needed (ulimit -s)",
            limit >> 10,
            STACK >> 10
        );
    }
    Ok(())
}

/// Makes sure that certificates can be judged by the clock at all.
///
/// # Errors
/// It shows a time that no certificate can have.
pub(crate) fn check_clock(now: SystemTime) -> Result<()> {
    if now < SystemTime::UNIX_EPOCH {
        bail!(
            "the clock of this machine shows a time before 1970, at which no certificate is valid: \
             set it (date -s)"
        );
    }
    Ok(())
}

/// Memory that the limits of the process leave for dials, and the flag of the tighter limit;
/// everything where there is none.
fn memory_for_dials() -> (u64, &'static str) {
    let left = MEMORY.map(|(resource, counted, least, flag)| {
        // That the limit can be read was made sure of before.
        let limit = resource.get_soft().unwrap_or(u64::MAX);
        let reserved = match resource {
            rlimit::Resource::AS => (arenas() - 1) * ARENA,
            _ => 0,
        };
        // Where there is no /proc, nothing is known to be in use: what was sent for at the start is
        // small beside `least`.
        let used = memory(counted).unwrap_or(0);
        (limit.saturating_sub(used).saturating_sub(reserved).saturating_sub(least), flag)
    });
    left.into_iter().min().unwrap_or((u64::MAX, "-v"))
}

fn raise_descriptor_limit() -> u64 {
    // Where it cannot be raised or is not known, the usual one is assumed.
    rlimit::increase_nofile_limit(u64::MAX)
        .or_else(|_error| rlimit::Resource::NOFILE.get_soft())
        .unwrap_or(1024)
}

/// Bytes that the kernel counts under this name in `/proc/self/status`. None where that cannot be
/// read, as in a chroot: callers go on without the figure.
pub(crate) fn memory(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Raises the descriptor limit and bends `config` to what it and `lists` that stay open allow; what
/// limits the sweep, a sentence each with the command that lifts it.
pub(crate) fn fit(config: &mut Config, lists: usize) -> Vec<String> {
    let limit = raise_descriptor_limit();
    let loops = useful_loops(config.concurrency).get() as u64;
    let own = own_descriptors() + RESERVE + lists as u64 + (loops - 1) * DESCRIPTORS_OF_A_LOOP;
    let free = usize::try_from(limit.saturating_sub(own)).unwrap_or(usize::MAX).max(2);
    // A lookup holds a socket too.
    let lookups = config.lookups.min(config.concurrency);
    config.lookups = lookups.min(at_least_one(free / 4));
    let is_one_by_one = config.follow_ups.iter().all(|flag| flag.is_one_by_one);
    let each = if is_one_by_one { 1 } else { config.per_host.get() };
    let fitting = at_least_one((free - config.lookups.get()) / each);
    let mut limits = Vec::new();
    if config.concurrency > fitting {
        let enough = own + (lookups.get() + config.concurrency.get() * each) as u64;
        limits.push(format!(
            "concurrency {fitting} instead of {}: the limit is {limit} open files (as root: ulimit -n {enough})",
            config.concurrency,
        ));
        config.concurrency = fitting;
    }
    let (left, flag) = memory_for_dials();
    let most = left / MEMORY_OF_A_DIAL / each as u64;
    let fitting = at_least_one(usize::try_from(most).unwrap_or(usize::MAX));
    if config.concurrency > fitting {
        limits.push(format!(
            "concurrency {fitting} instead of {}: the limit of memory leaves no room for more (ulimit {flag})",
            config.concurrency,
        ));
        config.concurrency = fitting;
    }
    let dials = config.concurrency.get() * each;
    let spare = (free - config.lookups.get()).saturating_sub(dials);
    let room = usize::try_from(left / MEMORY_OF_A_DIAL).unwrap_or(usize::MAX);
    config.standbys = config.standbys.min(spare).min(room.saturating_sub(dials));
    let crowd = config.dial_limits.per_address.map_or(dials, NonZero::get).min(dials);
    let turns = TRACKED.div_duration_f64(config.limits.connect).ceil().max(1.0) as usize;
    let rated =
        config.dial_limits.rate.map(|rate| rate.get() as usize * TRACKED.as_secs() as usize);
    let tracked = rated.map_or(usize::MAX, |rated| dials + rated).min(dials * turns);
    limits.extend(kernel_limits(crowd, tracked, |name| {
        // If the file cannot be read, the limit is unknown, and no message mentions it.
        fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap_or_default()
    }));
    limits
}

fn at_least_one(number: usize) -> NonZero<usize> {
    NonZero::new(number).unwrap_or(NonZero::<usize>::MIN)
}

/// What the kernel's settings mean for `crowd` connections at once to one address and port, and for
/// `tracked` connections that the firewall has to track. `read` returns a setting by its name below
/// `net`.
fn kernel_limits(
    crowd: usize,
    tracked: usize,
    read: impl Fn(&str) -> String,
) -> impl Iterator<Item = String> {
    let numbers = |name| -> Vec<usize> {
        read(name).split_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    let ports = match *numbers("ipv4/ip_local_port_range") {
        [first, last] if crowd > (last + 1).saturating_sub(first) => Some(format!(
            "local ports {first} to {last}: too few for {crowd} connections at once to one address and port \
             (sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\", or --per-address)"
        )),
        _ => None,
    };
    let tracking = match *numbers("netfilter/nf_conntrack_max") {
        [most] if tracked > most => Some(format!(
            "connections tracked: {most}, and silent targets can leave {tracked} behind \
             (sysctl -w net.netfilter.nf_conntrack_max={tracked}, or --rate)"
        )),
        _ => None,
    };
    ports.into_iter().chain(tracking)
}

/// How many descriptors are open. Without /proc, as many as a process usually has at its start.
fn own_descriptors() -> u64 {
    open_descriptors().unwrap_or(8)
}

/// How many descriptors are open, if the system tells. The one that is needed to look is not
/// counted.
pub(crate) fn open_descriptors() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(open.saturating_sub(1) as u64)
}

/// Arenas of the allocator besides those of the loops: for this thread, the input, the output and the
/// reports. A thread that shares its arena with a loop waits for it.
const OTHER_ARENAS: u64 = 4;

/// Address space that the allocator of the C library reserves for each arena but the first.
const ARENA: u64 = 64 << 20;

/// How many arenas the allocator may have. Each reserves address space that is never given back, so
/// all of them together get a quarter of what a limit leaves free. One arena reserves nothing.
fn arenas() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    // Where the limit is not known, there is none that would be noticed.
    let limit = rlimit::Resource::AS.get_soft().unwrap_or(u64::MAX);
    (limit / 4 / ARENA).clamp(1, cores + OTHER_ARENAS)
}

/// Keeps the allocator of the C library to as many arenas as there are threads that work: left alone
/// it makes eight a core, each of which keeps what it had at its fullest.
pub(crate) fn bound_arenas() {
    #[cfg(target_env = "gnu")]
    {
        let arenas = libc::c_int::try_from(arenas()).unwrap_or(1);
        #[expect(unsafe_code, reason = "a call with two integers, before there are threads")]
        // A refusal leaves the default.
        let _accepted = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(crowd: usize, tracked: usize, ports: &str, most: &str) -> Vec<String> {
        let read = |name: &str| match name {
            "ipv4/ip_local_port_range" => ports.to_owned(),
            "netfilter/nf_conntrack_max" => most.to_owned(),
            other => panic!("{other} is not asked for"),
        };
        kernel_limits(crowd, tracked, read).collect()
    }

    #[test]
    fn the_kernel_limits_only_what_is_too_much_for_it() {
        let none: [&str; 0] = [];
        assert_eq!(limits(28_232, 262_144, "32768\t60999\n", "262144\n"), none);
        assert_eq!(limits(1_000_000, 1_000_000, "", ""), none, "settings that are not there");
        assert_eq!(limits(1_000_000, 1_000_000, "nonsense", "0 0"), none);
        let both = limits(28_233, 262_145, "32768\t60999\n", "262144\n");
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(both[0].contains("sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\""));
        assert!(both[1].contains("sysctl -w net.netfilter.nf_conntrack_max=262145"));
    }
}
