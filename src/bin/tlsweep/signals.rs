//! Signals: SIGINT, SIGTERM and SIGHUP end a run, as does `--max-time`; SIGUSR1 asks for a status line.

use std::future::pending;
use std::time::Duration;

use anyhow::{Context, Result};
use tlsweep::deadline::within;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::exit::Exit;

/// The signals that end a run, and the end of its time, which counts as the first SIGINT. A signal that
/// was ignored when the process began stays ignored, as `nohup` and `trap '' INT` have it.
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
    /// The end of `--max-time`; `None` also after the first signal.
    end: Option<Instant>,
}

impl Signals {
    /// Listens from now on, for `max_time` at most.
    ///
    /// # Errors
    /// A signal handler cannot be installed.
    pub(crate) fn listen(max_time: Option<Duration>) -> Result<Self> {
        // A handler for SIGXFSZ makes a write beyond `ulimit -f` fail, as on a full disk; without one
        // the signal kills the process. The receiver is not needed.
        let _unread = listen(SignalKind::from_raw(libc::SIGXFSZ))?;
        let unless_ignored = |kind: SignalKind| match is_ignored(kind) {
            true => Ok(None),
            false => listen(kind).map(Some),
        };
        Ok(Self {
            interrupt: unless_ignored(SignalKind::interrupt())?,
            terminate: unless_ignored(SignalKind::terminate())?,
            hang_up: unless_ignored(SignalKind::hangup())?,
            end: max_time.map(|limit| Instant::now() + limit),
        })
    }

    /// Waits for the next one, and says how it ends the run.
    pub(crate) async fn next(&mut self) -> Exit {
        let exit = tokio::select! {
            () = received(&mut self.interrupt) => Exit::Interrupted,
            () = received(&mut self.terminate) => Exit::Terminated,
            () = received(&mut self.hang_up) => Exit::HungUp,
            () = reached(self.end) => Exit::Interrupted,
        };
        // A second signal means more than the first, but the time is up only once.
        self.end = None;
        exit
    }
}

/// Listens for SIGUSR1, which from now on does not end the process.
///
/// # Errors
/// The signal handler cannot be installed.
pub(crate) fn listen_for_status() -> Result<Signal> {
    listen(SignalKind::user_defined1())
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => pending().await,
    }
}

async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => {
            let left = end.saturating_duration_since(Instant::now());
            // `pending` never completes, so this waits for all of `left`.
            _ = within(left, pending::<()>()).await;
        }
        None => pending().await,
    }
}

/// Whether the process was started with this signal ignored.
fn is_ignored(kind: SignalKind) -> bool {
    #[expect(unsafe_code, reason = "sigaction is a plain struct, and is only read")]
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(kind.as_raw_value(), std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
