//! SIGINT, SIGTERM, SIGHUP and SIGUSR1.

use std::future::pending;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// The signals that end a run. A signal that was ignored when the process began stays ignored, as
/// `nohup` and `trap '' INT` have it.
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system does not let us.
    pub(crate) fn listen() -> Result<Self> {
        // Once somebody listens, a file that has become too large no longer kills the process: the
        // write fails instead, as on a full disk. Nobody has to receive it for that.
        let _unread = listen(SignalKind::from_raw(libc::SIGXFSZ))?;
        let unless_ignored = |kind: SignalKind| match is_ignored(kind) {
            true => Ok(None),
            false => listen(kind).map(Some),
        };
        Ok(Self {
            interrupt: unless_ignored(SignalKind::interrupt())?,
            terminate: unless_ignored(SignalKind::terminate())?,
            hang_up: unless_ignored(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one, and says how it ends the run.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            () = received(&mut self.interrupt) => Exit::Interrupted,
            () = received(&mut self.terminate) => Exit::Terminated,
            () = received(&mut self.hang_up) => Exit::HungUp,
        }
    }
}

/// Listens for SIGUSR1, which from now on does not end the process.
///
/// # Errors
/// The system does not let us.
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

/// Whether nobody wants this signal to have an effect on the process.
fn is_ignored(kind: SignalKind) -> bool {
    #[expect(unsafe_code, reason = "sigaction is a plain struct, and is only read")]
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(kind.as_raw_value(), std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
