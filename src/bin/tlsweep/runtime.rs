//! The threads of a sweep, and how they wait for peers.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tlsweep::config::DIALS_OF_A_LOOP;
use tlsweep::pace::gather::Gathering;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::threads::{can_spawn, run_apart};

/// With fewer tasks than this, each answer is taken when it comes.
const CROWD: u64 = 200;

/// How long the answers to a crowd are let come together: so much later each of them may be seen.
const NAP: Duration = Duration::from_micros(500);

thread_local! {
    static GATHERING: Cell<Gathering> = const { Cell::new(Gathering::new(CROWD, NAP)) };
    static WAITS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How long a loop may sleep with nothing to do: shorter than any deadline that is common.
const TICK: Duration = Duration::from_millis(500);

/// Threads that a sweep needs besides this one and those of its loops: for stderr, the plan, the
/// input, the output and the reports.
const OTHERS: usize = 5;

/// A runtime on one thread, which lets a crowd's answers gather.
///
/// # Errors
/// The system does not let us wait for events.
pub(crate) fn start() -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.on_thread_park(before_waiting).on_thread_unpark(after_waiting);
    builder.enable_all().build()
}

/// How many loops a sweep with so many dials at once can use: one for each core, as long as each has
/// enough to do. A loop alone keeps the order of its lines.
pub(crate) fn useful_loops(concurrency: NonZero<usize>) -> NonZero<usize> {
    // Where the cores cannot be counted, one loop works.
    let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let busy = NonZero::new(concurrency.get() / DIALS_OF_A_LOOP).unwrap_or(NonZero::<usize>::MIN);
    cores.min(busy)
}

/// How many loops a sweep with so many dials at once is to have: some machines have no threads to
/// give.
pub(crate) fn loops(concurrency: NonZero<usize>) -> NonZero<usize> {
    let useful = useful_loops(concurrency);
    match useful.get() == 1 || can_spawn(useful.get() + OTHERS) {
        true => useful,
        false => NonZero::<usize>::MIN,
    }
}

/// Runs the loops of a sweep: one on this runtime, several on threads and runtimes of their own. The
/// result waits for all of them, and is an error if one has panicked.
///
/// # Errors
/// The system gives us no thread, or nothing to wait for events with.
pub(crate) fn run_loops<F>(
    mut loops: Vec<F>,
) -> Result<impl Future<Output = io::Result<()>> + use<F>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = Vec::new();
    if loops.len() == 1 {
        // A task of its own runs where its tasks do; this one would be woken on another thread.
        running.extend(loops.pop().map(tokio::spawn));
    }
    let mut threads = Vec::new();
    for sweep in loops {
        let runtime = start().context("cannot wait for events")?;
        threads.push(run_apart("loop", move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = sweep => {}
                    () = tick() => {}
                }
            });
        })?);
    }
    Ok(async move {
        let mut result = Ok(());
        for ended in running {
            result = result.and(ended.await.map_err(io::Error::other));
        }
        for ended in threads {
            result = result.and(ended.await.map_err(io::Error::other));
        }
        result
    })
}

/// Ticks for ever. A deadline that is earlier than all those known so far interrupts the wait for
/// events, by a system call, even where nobody is waiting. With a tick there is always an earlier one.
async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
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
        let runtime = start().expect("a runtime");
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        assert_ne!(format!("{:?}", GATHERING.get()), untouched);
    }
}
