//! Decides which connection a target needs next, from the attempts so far and without I/O.
//!
//! A target is dialled in *tries*: one, and one more for each retry. A try begins with the full
//! hello at the first address; whatever comes next follows from what the attempts of this try
//! showed. [`Plan::next`] says what to do, [`Attempts::standing`] which attempt counts.
//!
//! Connections are also made again elsewhere: `follow` repeats a question whose answer was a close, and
//! [`connect`](crate::dial::connect::connect) tries again when this machine is short of something.

mod attempts;
mod legacy;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub use attempts::{Attempts, Costs};

use super::attempt::{Attempt, Dial, Patience, Speech};
use crate::failure::{Failure, Kind, Stage};
use crate::limits::MAX_CONNECTIONS;
use crate::tls::handshake::{AlpnOffer, Groups, Hello, Schemes};
use crate::tls::legacy::ClientHello;

/// The pause before the first retry; each later pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Before a peer is called intolerant of post-quantum groups, it must leave this many full hellos in a
/// row unanswered after it answered a smaller one, and then answer as many smaller ones.
///
/// A peer that drops connections whatever the hellos say does not do that by chance: neither one
/// that drops (or serves) every second, third, fourth or fifth connection, nor one that drops
/// everything from some connection on. A peer that drops half of its connections at random does it
/// once in 64 times.
const CONTROLS: usize = 2;

/// What is known of a target before it is dialled.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order in which they are tried.
    pub(super) addresses: Vec<SocketAddr>,
    /// The ALPN extension of the first hello.
    pub(super) alpn: AlpnOffer,
    /// Whether there is a hello without post-quantum groups that differs from the full one.
    pub(super) has_classical: bool,
    /// Whether servers that rustls cannot speak to are asked what they speak.
    pub(super) legacy: bool,
    /// Tries after the first.
    pub(super) retries: u32,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Make this connection.
    Dial(Dial),
    /// Begin another try after about this long.
    Retry(Duration),
    /// Nothing more would help.
    Stop,
}

impl Plan {
    /// What to do after these attempts, when `time_left` remains for the handshakes of this try.
    pub(super) fn next(&self, attempts: &Attempts, time_left: Duration) -> Next {
        if attempts.len() >= MAX_CONNECTIONS {
            return Next::Stop;
        }
        if let Some(dial) = self.dial(attempts, time_left) {
            return Next::Dial(dial);
        }
        let failure = attempts.standing().and_then(Attempt::unexplained_failure);
        match failure.and_then(|failure| pause(failure, attempts.retries(), self.retries)) {
            Some(pause) => Next::Retry(pause),
            None => Next::Stop,
        }
    }

    /// The next connection of this try.
    fn dial(&self, attempts: &Attempts, time_left: Duration) -> Option<Dial> {
        let this_try = attempts.this_try();
        let Some(last) = this_try.last() else {
            // A later try goes to the address that answered an earlier one.
            let address =
                attempts.connected_address().or_else(|| self.addresses.first().copied())?;
            return Some(self.first_hello(address));
        };
        if time_left.is_zero() {
            return None;
        }
        let Some(connected) = this_try.iter().position(Attempt::is_connected) else {
            // A shortage of our own would meet the next address as well.
            let is_over =
                last.stage() == Some(Stage::Local) || attempts.connected_address().is_some();
            let next = self.addresses.get(this_try.len()).filter(|_| !is_over)?;
            return Some(self.first_hello(*next));
        };
        let said = this_try.get(connected..)?;
        self.next_hello(said, time_left)
            .map(|(hello, patience)| (Speech::Handshake(hello), patience))
            .or_else(|| {
                let hello = next_legacy_hello(said).filter(|_| self.legacy)?;
                Some((Speech::Plain(Box::new(hello)), Patience::Whole))
            })
            .map(|(speech, patience)| Dial { address: last.address, speech, patience })
    }

    /// The hello with everything that is offered.
    pub(super) fn full_hello(&self) -> Hello {
        Hello { groups: Groups::All, alpn: self.alpn, schemes: Schemes::Configured }
    }

    fn first_hello(&self, address: SocketAddr) -> Dial {
        let hello = self.full_hello();
        let speech = Speech::Handshake(hello);
        Dial { address, speech, patience: self.patience_with(hello) }
    }

    /// The next handshake by rustls after those that were tried over connections to one address.
    fn next_hello(&self, said: &[Attempt], time_left: Duration) -> Option<(Hello, Patience)> {
        let last = said.last()?;
        let hello = last.hello()?;
        if last.is_alpn_refused() {
            let hello = Hello { alpn: AlpnOffer::NONE, ..hello };
            return Some((hello, self.patience_with(hello)));
        }
        let full = Hello { groups: Groups::All, ..hello };
        match answered_without_post_quantum(said) {
            // Some servers and middleboxes stall or reset when a ClientHello does not fit into one
            // segment, as happens with a post-quantum key share.
            None => (hello == full && last.is_unanswered() && self.has_classical)
                .then_some((Hello { groups: Groups::Classical, ..hello }, Patience::Whole)),
            Some(smaller) => {
                let (controls, repeats) = controls(said);
                let is_intolerance = is_intolerance((controls, repeats), smaller);
                let (hello, patience, window) = match (controls.len(), repeats.len()) {
                    (..CONTROLS, _) => (full, Patience::Half, time_left / 2),
                    (_, ..CONTROLS) => (smaller.hello()?, Patience::Whole, time_left),
                    _ => return None,
                };
                (is_intolerance && is_long_enough(window, smaller)).then_some((hello, patience))
            }
        }
    }

    /// A silence may mean that a full hello is too large, or only that the server is slow. So a smaller one
    /// is sent beside it.
    fn patience_with(&self, hello: Hello) -> Patience {
        match hello.groups {
            Groups::All if self.has_classical => Patience::Standby,
            _ => Patience::Whole,
        }
    }
}

/// How long to wait before the next try; nothing when there is none, because of the failure or
/// because there were `retries` already.
pub(super) fn pause(failure: &Failure, retries: u32, most: u32) -> Option<Duration> {
    let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
    (retries < most && is_transient(failure)).then(|| FIRST_PAUSE.saturating_mul(factor))
}

/// Whether the same attempt may end otherwise a moment later. A refusal is an answer.
fn is_transient(failure: &Failure) -> bool {
    !failure.is_local()
        && matches!(
            failure.kind,
            Kind::Timeout | Kind::Reset | Kind::Eof | Kind::Unreachable | Kind::ServerFailure
        )
}

/// The next hello of our own after what was said over connections to one address.
fn next_legacy_hello(said: &[Attempt]) -> Option<ClientHello> {
    let sent = said.iter().filter(|attempt| attempt.hello().is_none());
    legacy::next_hello(attempts::standing(attempts::handshakes(said))?, sent)
}

/// The first attempt in which a hello without post-quantum groups was answered.
fn answered_without_post_quantum(said: &[Attempt]) -> Option<&Attempt> {
    said.iter().find(|attempt| is_answer_without_post_quantum(attempt))
}

fn is_answer_without_post_quantum(attempt: &Attempt) -> bool {
    let is_classical = attempt.hello().is_some_and(|hello| hello.groups == Groups::Classical);
    // Only who speaks TLS can be intolerant of something in it, and an alert or the word of a proxy is
    // no answer to the size of a hello.
    is_classical && (attempt.saw_hello || attempt.agreed.is_some())
}

/// The full hellos that were sent again after a smaller one had been answered, and the smaller ones that
/// were sent again behind them.
fn controls(said: &[Attempt]) -> (&[Attempt], &[Attempt]) {
    let smaller = said.iter().position(is_answer_without_post_quantum);
    let behind = smaller.and_then(|smaller| said.get(smaller + 1..)).unwrap_or_default();
    let end = behind.iter().position(|attempt| attempt.hello().is_none());
    let behind = behind.get(..end.unwrap_or(behind.len())).unwrap_or_default();
    behind.split_at(CONTROLS.min(behind.len()))
}

/// Whether these controls, and the smaller hellos behind them, speak for intolerance so far.
fn is_intolerance((controls, repeats): (&[Attempt], &[Attempt]), smaller: &Attempt) -> bool {
    controls.iter().all(|control| is_evidence(control, smaller))
        && repeats.iter().all(is_answer_without_post_quantum)
}

/// Whether a control shows that the full hello is left unanswered, and not only for want of time.
fn is_evidence(control: &Attempt, smaller: &Attempt) -> bool {
    let waited = control.times.handshake.unwrap_or_default();
    let is_silence = control.failed(Stage::Handshake, &[Kind::Timeout]);
    control.is_unanswered() && (!is_silence || is_long_enough(waited, smaller))
}

/// Whether silence of this length says something: the smaller hello needed no longer for its whole
/// handshake.
fn is_long_enough(silence: Duration, smaller: &Attempt) -> bool {
    smaller.times.handshake.is_some_and(|needed| !silence.is_zero() && silence >= needed)
}

/// Whether the peer answers hellos without post-quantum groups and leaves full ones unanswered,
/// as far as these attempts of one try show. `None`: they do not show it.
fn is_pq_intolerant(said: &[Attempt]) -> Option<bool> {
    let smaller = answered_without_post_quantum(said)?;
    let (controls, repeats) = controls(said);
    let is_complete = controls.len() == CONTROLS && repeats.len() == CONTROLS;
    (is_complete && is_intolerance((controls, repeats), smaller)).then_some(true)
}
