//! Threads that may block, kept apart from those that must not block.

use std::io;
use std::thread;

use anyhow::{Context, Result};
use tokio::sync::oneshot;

/// Runs `work` on a thread of its own. Its result can be received, unless it panics.
///
/// Nobody waits for the thread: it may be stuck in an open, a read or a write for ever.
///
/// # Errors
/// The system gives us no thread.
pub(crate) fn run_apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>> {
    let (ended, receiver) = oneshot::channel();
    // The receiver may have gone on without waiting for the answer.
    spawn(name, move || _ = ended.send(work()))?;
    Ok(receiver)
}

/// Starts a thread that nobody waits for.
///
/// # Errors
/// The system gives us no thread.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).context("cannot start a thread (see ulimit -u and ulimit -v)")
}

/// Whether `count` more threads could run at the same time as this one.
pub(crate) fn can_spawn(count: usize) -> bool {
    let gate = std::sync::Mutex::new(());
    // All threads wait for this gate. Otherwise the first could end before the last one starts.
    let closed = gate.lock();
    thread::scope(|scope| {
        let spawn = |_| -> io::Result<_> {
            // Even a poisoned gate is open once a thread has its lock.
            thread::Builder::new().spawn_scoped(scope, || drop(gate.lock()))
        };
        let all = (0..count).map(spawn).collect::<io::Result<Vec<_>>>().is_ok();
        drop(closed);
        all
    })
}
