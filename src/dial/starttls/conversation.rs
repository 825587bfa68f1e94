//! A dialogue under way with one peer.

use std::fmt;

use super::dialogue::{Dialogue, Step, failure, rejected};
use super::protocol::Protocol;
use crate::dial::framing::Framing;
use crate::failure::{Failure, Kind};
use crate::limits::{BANNER_LIMIT, PLAINTEXT_LIMIT};

/// A dialogue under way with one peer.
pub struct Conversation {
    dialogue: Box<dyn Dialogue>,
    pub(super) pending: Vec<u8>,
    received: usize,
}

impl Conversation {
    /// The start of a dialogue with `host`, the name that the peer is to answer for.
    pub fn new(protocol: &Protocol, host: &str) -> Self {
        Self { dialogue: (protocol.dialogue)(host), pending: Vec::new(), received: 0 }
    }

    /// What to do before the peer has spoken.
    pub fn open(&mut self) -> Step {
        send_or_wait(self.dialogue.open())
    }

    /// What follows from these bytes, in whatever pieces they come.
    ///
    /// After an error or [`Step::Upgrade`] the conversation is over.
    pub fn receive(&mut self, input: &[u8]) -> Result<Step, Failure> {
        let room = PLAINTEXT_LIMIT - self.received;
        let (input, beyond) = input.split_at_checked(room).unwrap_or((input, &[]));
        self.received += input.len();
        self.pending.extend_from_slice(input);

        let mut answer = Vec::new();
        let mut rest = self.pending.as_slice();
        while let Some((length, step)) = self.dialogue.read(rest)? {
            rest = rest.get(length..).unwrap_or_default();
            match step {
                Step::Send(bytes) => answer.extend(bytes),
                Step::Upgrade(_) if !answer.is_empty() => {
                    return Err(rejected(
                        "the peer agreed to TLS before it was asked",
                        &self.pending,
                    ));
                }
                Step::Upgrade(_) if !rest.is_empty() || !beyond.is_empty() => {
                    let words = if rest.is_empty() { beyond } else { rest };
                    return Err(rejected(
                        "the peer sent plain text behind its consent to TLS",
                        words,
                    ));
                }
                Step::Upgrade(bytes) => return Ok(Step::Upgrade(bytes)),
                Step::Wait => {}
            }
        }
        if !beyond.is_empty() {
            let detail = format!("over {PLAINTEXT_LIMIT} bytes of plain text before TLS");
            return Err(failure(Kind::TooLarge, detail, &self.pending));
        }
        let read = self.pending.len() - rest.len();
        self.pending.drain(..read);
        Ok(send_or_wait(answer))
    }

    /// How TLS is packed from here on, until the handshake is over.
    pub fn framing(&self) -> Option<Box<dyn Framing>> {
        self.dialogue.framing()
    }

    /// The peer's greeting, or the version that it gave in its place, as it came.
    pub fn banner(&self) -> Option<String> {
        let banner = self.dialogue.banner()?;
        let kept = banner.get(..BANNER_LIMIT).unwrap_or(banner);
        Some(String::from_utf8_lossy(kept).into_owned())
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("received", &self.received).finish_non_exhaustive()
    }
}

fn send_or_wait(bytes: Vec<u8>) -> Step {
    if bytes.is_empty() { Step::Wait } else { Step::Send(bytes) }
}
