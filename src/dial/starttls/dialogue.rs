//! What each protocol adds: its part of the dialogue, and how it says that there is no TLS.

use crate::dial::framing::Framing;
use crate::failure::{Failure, Kind, Stage, evidence};

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send these bytes, then read on.
    Send(Vec<u8>),
    /// Send these bytes, if there are any, and begin the handshake.
    Upgrade(Vec<u8>),
    /// Read on.
    Wait,
}

/// One protocol's part in a [`Conversation`](super::Conversation).
pub(super) trait Dialogue: Send {
    /// What to say before the peer has spoken; nothing to a peer that greets.
    fn open(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads one message off the front of `input`: how long it is, at least one byte, and what
    /// follows from it. `None` until it is whole.
    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Step)>, Failure>;

    /// The peer's greeting.
    fn banner(&self) -> Option<&[u8]> {
        None
    }

    /// How TLS is packed until the handshake is over; not at all with most protocols.
    fn framing(&self) -> Option<Box<dyn Framing>> {
        None
    }
}

/// The peer will not upgrade, in its own words.
pub(super) fn rejected(detail: impl Into<String>, words: &[u8]) -> Failure {
    failure(Kind::Rejected, detail, words)
}

/// The peer does not speak this protocol.
pub(super) fn broken(detail: impl Into<String>, words: &[u8]) -> Failure {
    failure(Kind::Protocol, detail, words)
}

pub(super) fn failure(kind: Kind, detail: impl Into<String>, words: &[u8]) -> Failure {
    let mut failure = Failure::new(Stage::Starttls, kind, detail);
    failure.evidence = (!words.is_empty()).then(|| evidence(words));
    failure
}
