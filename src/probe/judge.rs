//! Judges the chain of a target.

use super::{Prober, Visit};
use crate::cert::{Examined, Presented, Problem};
use crate::feed::target::ServerIdentity;
use crate::signature::Algorithm;
use crate::tls::recorder::Seen;

impl Prober {
    /// Judges the chain of the attempt that counts, and frees the chain. The socket is closed by
    /// now.
    pub(super) fn judge_standing(&self, visit: &mut Visit<'_>) {
        let Some(attempt) = visit.attempts.standing_mut() else {
            return;
        };
        if !attempt.seen.chain.is_empty() {
            let examined = self.judge(&attempt.seen, visit.context.identity);
            attempt.examined = Some(Box::new(examined));
            attempt.give_up_chain();
        }
    }

    fn judge(&self, seen: &Seen, identity: &ServerIdentity) -> Examined {
        let presented = Presented {
            chain: &seen.chain,
            name: Some(&identity.checked),
            ocsp: &seen.ocsp,
            proof: &seen.proof,
        };
        let mut examined = self.judge.examine(presented, self.clock.now(), self.config.wanted);
        if let Some(problem) = weak_handshake(seen) {
            examined.trust = examined.trust.map(|trust| trust.with(problem));
        }
        examined
    }
}

/// The problem that the signature over the handshake adds to those of the chain.
fn weak_handshake(seen: &Seen) -> Option<Problem> {
    let algorithm = Algorithm::of_scheme(seen.signature_scheme?)?;
    algorithm.has_weak_hash().then_some(Problem::WeakSignature)
}
