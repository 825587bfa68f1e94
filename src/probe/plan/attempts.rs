//! The attempts of one target, and what they show together.

use std::net::SocketAddr;

use super::super::attempt::{Attempt, Speech};
use super::is_pq_intolerant;
use super::legacy::is_beyond_rustls;
use crate::failure::{Failure, Kind, Stage};

/// Every connection that was made, or tried, for one target or for one of its addresses.
#[derive(Debug, Default)]
pub struct Attempts {
    list: Vec<Attempt>,
    /// Where in `list` the present try begins.
    try_start: usize,
    retries: u32,
    /// The costs of follow-ups' connections. Their attempts are not kept.
    apart: Option<Box<Costs>>,
}

/// What connections cost on the wire.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Costs {
    /// Connections that were tried.
    pub dials: u32,
    /// Bytes from us; absent when no connection was made.
    pub sent: Option<u64>,
    /// Bytes from the peers; absent when no connection was made.
    pub received: Option<u64>,
}

impl Attempts {
    /// Adds the outcome of another connection. Attempts that no longer count free
    /// their large parts.
    pub(crate) fn push(&mut self, attempt: Attempt) {
        self.insert(self.list.len(), attempt);
    }

    /// Replaces the placeholder of a connection that was under way by the connection's outcome.
    pub(crate) fn replace(&mut self, index: usize, attempt: Attempt) {
        self.remove(index);
        self.insert(index, attempt);
    }

    /// Removes an attempt of this try.
    pub(crate) fn remove(&mut self, index: usize) {
        self.list.remove(index);
    }

    fn insert(&mut self, index: usize, mut attempt: Attempt) {
        attempt.is_beyond_rustls = is_beyond_rustls(&attempt);
        if self.list.is_empty() {
            // Most targets need one, and a vector would begin with room for four.
            self.list.reserve_exact(1);
        }
        self.list.insert(index, attempt);
        let standing = self.standing_index();
        let superseded = self.list.iter_mut().enumerate();
        superseded
            .filter(|(index, _)| Some(*index) != standing)
            .for_each(|(_, attempt)| attempt.give_up_bulk());
    }

    /// Adds the cost of a connection that a follow-up made.
    pub(crate) fn push_apart(&mut self, attempt: &Attempt) {
        self.apart.get_or_insert_default().add(attempt);
    }

    /// Adds the cost of a question over UDP.
    pub(crate) fn push_datagram(&mut self, sent: u64, received: u64) {
        let apart = self.apart.get_or_insert_default();
        apart.dials += 1;
        apart.add_bytes(sent, received);
    }

    /// Begins another try: from now on, the attempts before count for their costs only.
    pub(crate) fn begin_try(&mut self) {
        self.try_start = self.list.len();
        self.retries += 1;
    }

    /// How many connections were tried, those of follow-ups not counted.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there was no attempt.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Tries after the first.
    pub(super) fn retries(&self) -> u32 {
        self.retries
    }

    /// The attempts of the present try.
    pub(super) fn this_try(&self) -> &[Attempt] {
        self.list.get(self.try_start..).unwrap_or_default()
    }

    /// Every attempt but those of follow-ups.
    pub(crate) fn all(&self) -> &[Attempt] {
        &self.list
    }

    /// The address of the latest connection that was made.
    pub(crate) fn connected_address(&self) -> Option<SocketAddr> {
        let mut latest = self.list.iter().rev();
        latest.find(|attempt| attempt.is_connected()).map(|attempt| attempt.address)
    }

    /// The attempt that counts: the record shows its facts and its failure.
    pub fn standing(&self) -> Option<&Attempt> {
        self.list.get(self.standing_index()?)
    }

    /// The attempt that counts, without the others.
    pub fn into_standing(mut self) -> Option<Attempt> {
        Some(self.list.swap_remove(self.standing_index()?))
    }

    pub(crate) fn standing_mut(&mut self) -> Option<&mut Attempt> {
        let standing = self.standing_index()?;
        self.list.get_mut(standing)
    }

    /// When the standing attempt shows what a server speaks that rustls cannot speak: the attempt
    /// whose failure that explains.
    pub fn explained(&self) -> Option<&Attempt> {
        self.standing().filter(|attempt| attempt.is_beyond_rustls)?;
        standing(handshakes(self.this_try()))
    }

    /// Whether the peer answers only hellos without post-quantum groups; absent when the attempts
    /// do not show it.
    pub fn is_pq_intolerant(&self) -> Option<bool> {
        is_pq_intolerant(self.this_try())
    }

    /// Whether the peer refused the protocols of the ALPN extension.
    pub fn is_alpn_refused(&self) -> bool {
        self.this_try().iter().any(Attempt::is_alpn_refused)
    }

    /// Whether TLS of whatever version may be spoken at the other end.
    pub(crate) fn may_speak_tls(&self) -> bool {
        let saw_hello = self.list.iter().any(|attempt| attempt.saw_hello);
        self.standing().is_some_and(|attempt| {
            attempt.may_speak_tls() || saw_hello && attempt.stage() == Some(Stage::Handshake)
        })
    }

    /// What all of them cost.
    pub fn costs(&self) -> Costs {
        let mut costs = self.apart.as_deref().copied().unwrap_or_default();
        self.list.iter().for_each(|attempt| costs.add(attempt));
        costs
    }

    fn standing_index(&self) -> Option<usize> {
        Some(self.try_start + standing_index(self.this_try())?)
    }
}

impl Costs {
    fn add(&mut self, attempt: &Attempt) {
        self.dials += 1;
        if attempt.is_connected() || attempt.sent > 0 {
            self.add_bytes(attempt.sent, attempt.received);
        }
    }

    fn add_bytes(&mut self, sent: u64, received: u64) {
        self.sent = Some(self.sent.unwrap_or(0) + sent);
        self.received = Some(self.received.unwrap_or(0) + received);
    }
}

impl Attempt {
    /// Whether it may count whatever another connection, which waits for its answer, may still bring.
    pub(in super::super) fn may_count_alone(&self) -> bool {
        match self.speech {
            Speech::Plain(_) => is_beyond_rustls(self),
            _ => self.result.is_ok() || self.saw_hello,
        }
    }

    /// The stage in which it failed.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.result.as_ref().err().map(|failure| failure.stage)
    }

    /// Why it failed, unless it shows what the server speaks instead.
    pub(super) fn unexplained_failure(&self) -> Option<&Failure> {
        self.result.as_ref().err().filter(|_| !self.is_beyond_rustls)
    }
}

/// The attempts among these that were handshakes by rustls.
pub(super) fn handshakes(attempts: &[Attempt]) -> impl Iterator<Item = &Attempt> {
    attempts.iter().filter(|attempt| attempt.hello().is_some())
}

/// The one that counts of these attempts of one try.
pub(super) fn standing<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Option<&'a Attempt> {
    attempts.reduce(|standing, next| if supersedes(next, standing) { next } else { standing })
}

fn standing_index(this_try: &[Attempt]) -> Option<usize> {
    let attempts = this_try.iter().enumerate();
    let standing = attempts
        .reduce(|standing, next| if supersedes(next.1, standing.1) { next } else { standing });
    standing.map(|(index, _)| index)
}

/// Whether `next` counts instead of `standing`, which came before it in the same try.
fn supersedes(next: &Attempt, standing: &Attempt) -> bool {
    if let Speech::Plain(_) = next.speech {
        // A server that breaks the protocol is not one that only refuses what rustls offers.
        let breaks_protocol = next.answer.as_ref().is_some_and(|a| a.not_offered.is_some());
        return next.is_beyond_rustls || breaks_protocol;
    }
    if !standing.is_connected() {
        // The failure at the first address stands until a later address answers.
        return next.is_connected() || next.stage() == Some(Stage::Local);
    }
    if next.result.is_ok() || standing.result.is_ok() {
        return next.result.is_ok();
    }
    if next.is_answered {
        // A connection that stayed open beside the other one may bring a ServerHello where that brought an
        // alert.
        let says_more = next.saw_hello && !standing.saw_hello;
        return !standing.is_answered || standing.is_alpn_refused() || says_more;
    }
    // A timeout is the least informative failure, because it may have come after half of the limit.
    // A shortage of this machine counts, too.
    standing.is_unanswered()
        && standing.failed(Stage::Handshake, &[Kind::Timeout])
        && matches!(next.stage(), Some(Stage::Handshake | Stage::Local))
}
