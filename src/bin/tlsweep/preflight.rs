//! What this machine allows, before the first dial.

use tlsweep::config::Config;

use crate::term;

/// Descriptors that the process needs for itself beyond those that are open already.
const RESERVE: u64 = 16;

/// Raises the descriptor limit and bends `config` to what it allows, saying so once.
pub(crate) fn fit(config: &mut Config, quiet: bool) {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .or_else(|_error| rlimit::Resource::NOFILE.get_soft())
        .unwrap_or(1024);
    let free = usize::try_from(limit.saturating_sub(open_descriptors() + RESERVE))
        .unwrap_or(usize::MAX)
        .max(2);
    // A lookup holds a socket too.
    config.lookups = config.lookups.min(config.concurrency).min((free / 4).max(1));
    let each = if config.enumerate { config.per_host } else { 1 };
    let fitting = ((free - config.lookups) / each).max(1);
    if config.concurrency > fitting {
        if !quiet {
            term::notice(format_args!(
                "concurrency {} instead of {}: the limit is {limit} open files (raise it with ulimit -n)",
                fitting, config.concurrency,
            ));
        }
        config.concurrency = fitting;
    }
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(8, |entries| entries.count() as u64)
}

/// Keeps the allocator of the C library to as many arenas as there are threads that work: left alone
/// it makes eight a core, each of which reserves 64 MiB of address space and keeps what it had at
/// its fullest.
pub(crate) fn bound_arenas() {
    #[cfg(target_env = "gnu")]
    {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let arenas = libc::c_int::try_from(threads).unwrap_or(1);
        #[expect(unsafe_code, reason = "a call with two integers, before there are threads")]
        // A refusal leaves the default.
        let _accepted = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    }
}
