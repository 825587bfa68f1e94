//! The threads of a sweep, and how they wait for peers.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::panic;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::threads::can_spawn;

/// With fewer tasks than this, each answer is taken when it comes.
const CROWD: usize = 200;

/// How long the answers to a crowd are let come together: so much later each of them may be seen.
const NAP: Duration = Duration::from_micros(500);

/// What takes no longer was no wait: the next answers lay there already.
const LOOK: Duration = Duration::from_micros(20);

thread_local! {
    static WAITS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    static LAST_WAIT: Cell<Option<Duration>> = const { Cell::new(None) };
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
    if answers_throng(LAST_WAIT.get(), tasks) {
        thread::sleep(NAP);
    }
    WAITS_SINCE.set(Some(Instant::now()));
}

fn after_waiting() {
    LAST_WAIT.set(WAITS_SINCE.get().map(|since| since.elapsed()));
}

/// Whether more answers will come within a nap: many are waited for, and the last wait was short. If
/// there was none, peers are faster than this thread, which must not be kept from its work.
fn answers_throng(last_wait: Option<Duration>, tasks: usize) -> bool {
    tasks >= CROWD && last_wait.is_some_and(|wait| (LOOK..NAP).contains(&wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_crowd_that_answers_at_once_is_let_gather() {
        let soon = Some(NAP / 2);
        assert!(answers_throng(soon, CROWD));
        assert!(!answers_throng(soon, CROWD - 1), "few targets are timed to the microsecond");
        assert!(!answers_throng(Some(NAP), CROWD), "a wake-up now and then costs nothing");
        assert!(!answers_throng(Some(Duration::ZERO), CROWD), "there is no time to lose");
        assert!(!answers_throng(None, CROWD), "nobody has answered yet");
    }

    #[test]
    fn a_thread_times_its_waits() {
        let runtime = start(true).expect("a runtime");
        assert_eq!(LAST_WAIT.get(), None);
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        assert!(LAST_WAIT.get().is_some());
    }
}
