//! How long a peer may be silent after a ClientHello.

use std::sync::OnceLock;

use tokio::time::Instant;

/// What happens when a peer has not sent a byte of its answer for a while.
#[derive(Clone, Copy, Debug)]
pub enum Silence<'a> {
    /// It is given up at this time.
    Ends(Instant),
    /// `to` is given the end of the handshake at this time, and the wait goes on.
    Told {
        /// When to tell.
        at: Instant,
        /// Whom.
        to: &'a OnceLock<Instant>,
    },
}

impl Silence<'_> {
    pub(super) fn limit(self, end: Instant) -> Instant {
        match self {
            Self::Ends(at) | Self::Told { at, .. } => at.min(end),
        }
    }
}
