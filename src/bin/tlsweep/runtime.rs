//! The threads of a sweep, and how they wait for peers.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::panic;
use std::thread;
use std::time::Duration;

use tlsweep::pace::gather::Gathering;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::threads::can_spawn;

/// With fewer tasks than this, each answer is taken when it comes.
const CROWD: u64 = 200;

/// How long the answers to a crowd are let come together: so much later each of them may be seen.
const NAP: Duration = Duration::from_micros(500);

thread_local! {
    static GATHERING: Cell<Gathering> = const { Cell::new(Gathering::new(CROWD, NAP)) };
    static WAITS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Threads that a sweep needs besides those of the runtime: for stderr, the plan, the input, the
/// output and the reports.
const OTHERS: usize = 5;

/// A runtime with a thread per core, or with this thread alone: on one core and for one target
/// threads would only hand work to each other, and some machines have no threads to give.
///
/// # Errors
/// The system does not let us wait for events.
pub(crate) fn start(is_for_one: bool) -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if !is_for_one && cores > 1 && can_spawn(cores + OTHERS) {
        // tokio panics when it gets no thread. It was possible a moment ago, so this is rare.
        let report = panic::take_hook();
        panic::set_hook(Box::new(|_panic| {}));
        let runtime = panic::catch_unwind(|| Builder::new_multi_thread().enable_all().build());
        panic::set_hook(report);
        if let Ok(runtime) = runtime {
            return runtime;
        }
    }
    on_this_thread().enable_all().build()
}

/// A thread alone lets a crowd's answers gather. Beside others it did not matter: they are awake.
fn on_this_thread() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.on_thread_park(before_waiting).on_thread_unpark(after_waiting);
    builder
}

/// To wake up for each answer takes a twentieth of a handshake, with caches that went cold.
#[expect(clippy::disallowed_methods, reason = "no peer is waited for")]
fn before_waiting() {
    let tasks = Handle::try_current().map_or(0, |handle| handle.metrics().num_alive_tasks());
    if let Some(nap) = GATHERING.get().nap(tasks as u64) {
        thread::sleep(nap);
    }
    WAITS_SINCE.set(Some(Instant::now()));
}

fn after_waiting() {
    if let Some(since) = WAITS_SINCE.take() {
        let mut gathering = GATHERING.get();
        gathering.waited(since.elapsed());
        GATHERING.set(gathering);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_times_its_waits() {
        let untouched = format!("{:?}", GATHERING.get());
        let runtime = start(true).expect("a runtime");
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        assert_ne!(format!("{:?}", GATHERING.get()), untouched);
    }
}
