//! Judges the chain of a target.

use super::{Attempt, Prober, Visit};
use crate::cert::{Examined, Presented, Problem, Wanted};
use crate::feed::target::ServerIdentity;
use crate::signature::Algorithm;
use crate::tls::recorder::Seen;

/// What is examined in the chains that follow-ups receive.
const OF_FOLLOW_UPS: Wanted =
    Wanted { cert: true, chain: false, trust: true, ocsp: false, pem: false };

impl Prober {
    /// Judges the chain of the attempt that counts, and frees the chain. The socket is closed by
    /// now.
    pub(super) fn judge_standing(&self, visit: &mut Visit<'_>) {
        if let Some(attempt) = visit.attempts.standing_mut() {
            let examined = self.judge(attempt, visit.context.identity, self.config.wanted);
            attempt.examined = examined.or_else(|| attempt.examined.take());
        }
    }

    /// Judges the chain of an attempt that a follow-up made, and gives the chain up.
    pub(super) fn judge_attempt(&self, attempt: &mut Attempt, identity: &ServerIdentity) {
        attempt.examined = self.judge(attempt, identity, OF_FOLLOW_UPS);
    }

    fn judge(
        &self,
        attempt: &mut Attempt,
        identity: &ServerIdentity,
        wanted: Wanted,
    ) -> Option<Box<Examined>> {
        let seen = &attempt.seen;
        if seen.chain.is_empty() {
            return None;
        }
        let presented = Presented {
            chain: &seen.chain,
            name: Some(&identity.checked),
            ocsp: &seen.ocsp,
            proof: &seen.proof,
        };
        let mut examined = self.judge.examine(presented, self.clock.now(), wanted);
        if let Some(problem) = weak_handshake(seen) {
            examined.trust = examined.trust.map(|trust| trust.with(problem));
        }
        attempt.give_up_chain();
        Some(Box::new(examined))
    }
}

/// The problem that the signature over the handshake adds to those of the chain.
fn weak_handshake(seen: &Seen) -> Option<Problem> {
    let algorithm = Algorithm::of_scheme(seen.signature_scheme?)?;
    algorithm.has_weak_hash().then_some(Problem::WeakSignature)
}
