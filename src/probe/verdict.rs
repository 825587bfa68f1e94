//! What the chain of a target is worth.

use super::{Prober, Work};
use crate::cert::{Presented, Problem};
use crate::signature::Algorithm;
use crate::tls::recorder::Seen;

impl Prober {
    /// Records the facts of the chain and the verdict on it.
    pub(super) fn judge(&self, seen: &Seen, work: &mut Work<'_>) {
        if seen.chain.is_empty() {
            return;
        }
        let presented = Presented {
            chain: &seen.chain,
            name: Some(&work.identity.checked),
            ocsp: &seen.ocsp,
            proof: &seen.proof,
        };
        let mut examined = self.judge.examine(presented, self.clock.now(), self.config.wanted);
        if let Some(problem) = weak_handshake(seen) {
            examined.trust = examined.trust.map(|trust| trust.with(problem));
        }
        work.record.set_examined(examined);
    }
}

/// What a strict client would say to the signature over the handshake, where that is more than
/// what it says to the chain.
fn weak_handshake(seen: &Seen) -> Option<Problem> {
    let algorithm = Algorithm::of_scheme(seen.signature_scheme?)?;
    algorithm.has_weak_hash().then_some(Problem::WeakSignature)
}
