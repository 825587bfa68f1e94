//! What the chain of a target is worth.

use super::{Prober, Work};
use crate::cert::{self, Presented, Problem, Wanted};
use crate::tls::recorder::{Seen, SignatureState};

impl Prober {
    /// Takes down the facts of the chain, and the verdict on it unless the peer could not prove that
    /// the chain is its own.
    pub(super) fn judge(&self, seen: &Seen, work: &mut Work<'_>) {
        if seen.chain.is_empty() {
            return;
        }
        let is_proven = seen.signature.as_ref().is_none_or(|s| s.state != SignatureState::False);
        let presented =
            Presented { chain: &seen.chain, name: Some(&work.identity.checked), ocsp: &seen.ocsp };
        let wanted = Wanted { trust: self.config.wanted.trust && is_proven, ..self.config.wanted };
        let mut examined = self.judge.examine(presented, self.clock.hour(), wanted);
        if let Some(problem) = weak_handshake(seen) {
            examined.trust = examined.trust.map(|trust| trust.with(problem));
        }
        if self.config.pem {
            let all = seen.chain.iter();
            for (facts, der) in examined.cert.iter_mut().zip(all.clone()) {
                facts.pem = Some(cert::pem(der));
            }
            for (facts, der) in examined.chain.iter_mut().flatten().zip(all) {
                facts.pem = Some(cert::pem(der));
            }
        }
        work.record.set_examined(examined);
    }
}

/// What a strict client would say to the signature over the handshake, where that is more than
/// what it says to the chain.
fn weak_handshake(seen: &Seen) -> Option<Problem> {
    let signature = seen.signature.as_ref()?;
    let is_sha1 = matches!(signature.scheme, 0x0201 | 0x0203);
    is_sha1.then_some(Problem::WeakSignature)
}
