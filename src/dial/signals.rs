//! What a connection and whoever waits for its peer tell each other.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

use crate::names::content_type::HANDSHAKE;

/// Nobody is woken by these: both sides are polled by one task.
#[derive(Debug, Default)]
pub struct Signals {
    /// Whether somebody wants to know of the peer's silence. Without it, a silent peer is given up.
    pub stands_by: bool,
    /// Set once the peer has been silent for a while: when the handshake must end.
    pub silence: OnceLock<Instant>,
    /// Set once the peer answers.
    pub first_byte: OnceLock<u8>,
    /// Set once nobody waits for the peer any longer.
    pub given_up: AtomicBool,
}

impl Signals {
    /// Whether an answer has begun.
    pub fn is_answered(&self) -> bool {
        self.first_byte.get().is_some()
    }

    /// Whether an answer has begun, and as a ServerHello does.
    pub fn is_server_hello(&self) -> bool {
        self.first_byte.get() == Some(&HANDSHAKE)
    }
}
