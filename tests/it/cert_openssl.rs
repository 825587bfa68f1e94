//! Trusted or not: random chains, judged by us, by `openssl verify` and by GnuTLS.
//!
//! `TLSWEEP_SEED` gives the same chains again, `TLSWEEP_CHAINS` says how many.

mod odd;
mod plan;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::process::Command;

use rcgen::KeyUsagePurpose::{DigitalSignature, KeyCertSign};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem;

use self::plan::{Plan, Random, World};
use crate::support::certs::problems;
use crate::support::programs::skip;
use crate::support::x509;

type Der = CertificateDer<'static>;

/// A reason for which we may differ from OpenSSL.
struct Difference {
    why: &'static str,
    /// We may differ when GnuTLS sides with OpenSSL, too.
    also_from_gnutls: bool,
    applies: fn(&Plan, &World, &[Problem]) -> bool,
}

const DIFFERENCES: [Difference; 6] = [
    Difference {
        why: "a CA is no server for rustls and browsers; OpenSSL and GnuTLS do not mind",
        also_from_gnutls: true,
        applies: |plan, _, problems| plan.leaf.is_ca && problems.contains(&Problem::CaAsLeaf),
    },
    Difference {
        why: "RFC 8446 wants a leaf that may sign; for OpenSSL and GnuTLS to encipher is enough",
        also_from_gnutls: true,
        applies: |plan, _, problems| {
            let usage = &plan.leaf.usage;
            !usage.is_empty()
                && !usage.contains(&DigitalSignature)
                && problems.contains(&Problem::BadPurpose)
        },
    },
    Difference {
        why: "RFC 5280 lets only a CA have keyCertSign; OpenSSL minds with -x509_strict only",
        also_from_gnutls: true,
        applies: |plan, _, problems| {
            plan.leaf.usage.contains(&KeyCertSign) && problems.contains(&Problem::BadPurpose)
        },
    },
    Difference {
        why: "OpenSSL and GnuTLS take RSA keys of 1,024 bits by default; browsers do not",
        also_from_gnutls: true,
        applies: |plan, world, problems| {
            plan.odd.is_some_and(|place| world.odd[place].bits < 2_048)
                && problems.contains(&Problem::WeakKey)
        },
    },
    Difference {
        why: "our library checks no signatures under RSA exponents of more than 33 bits",
        also_from_gnutls: true,
        applies: |plan, world, problems| {
            plan.odd.is_some_and(|place| world.odd[place].exponent > 1 << 33)
                && problems.contains(&Problem::UnsupportedSignature)
        },
    },
    Difference {
        why: "of several issuers of one name OpenSSL tries one that is current, and does not go \
              back when it is no good; we do, as browsers do",
        also_from_gnutls: true,
        applies: |plan, _, problems| problems.is_empty() && (plan.has_namesakes() || plan.crossed),
    },
];

/// A chain, its roots and how they were made.
struct Made {
    plan: Plan,
    chain: Vec<Der>,
    roots: Vec<Der>,
}

/// What came of one chain.
enum Outcome {
    Agreed { trusted: bool },
    Explained(&'static str),
    Wrong(String),
}

#[test]
fn openssl_agrees() {
    if Command::new("openssl").arg("version").output().is_err() {
        skip("openssl is not installed");
        return;
    }
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("TLSWEEP_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let chains = number("TLSWEEP_CHAINS").unwrap_or(300);
    eprintln!("TLSWEEP_SEED={seed} TLSWEEP_CHAINS={chains}");
    let world = World::new();
    let mut random = Random(seed);
    let made = (0..chains).map(|_| {
        let plan = Plan::new(&mut random, world.odd.len());
        let (chain, roots) = plan.carry_out(&world, &mut random);
        Made { plan, chain, roots }
    });
    let made = made.collect::<Vec<_>>();

    // OpenSSL and GnuTLS are processes: two at a time take half as long.
    let outcomes = std::thread::scope(|scope| {
        let world = &world;
        let halves = made.chunks(made.len().div_ceil(2).max(1));
        let judges = halves.map(|half| {
            scope.spawn(move || half.iter().map(|made| made.judge(world)).collect::<Vec<_>>())
        });
        #[expect(clippy::needless_collect, reason = "all threads must run before one is joined")]
        let judges = judges.collect::<Vec<_>>();
        judges.into_iter().flat_map(|judge| judge.join().unwrap()).collect::<Vec<_>>()
    });
    let wrong = outcomes.iter().enumerate().filter_map(|(number, outcome)| match outcome {
        Outcome::Wrong(why) => Some(format!("seed {seed}, chain {number}: {why}")),
        _ => None,
    });
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} of {chains}:\n{}", wrong.len(), wrong.join("\n"));
    let count =
        |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let trusted = count(&|outcome| matches!(outcome, Outcome::Agreed { trusted: true }));
    for Difference { why, .. } in &DIFFERENCES {
        let explained = count(&|outcome| matches!(outcome, Outcome::Explained(by) if by == why));
        eprintln!("{explained} differ: {why}");
    }
    eprintln!("{chains} chains, {trusted} trusted by both");
    assert!(trusted as u64 > chains / 20, "only {trusted} trusted");
    assert!((trusted as u64) < chains * 3 / 4, "{trusted} trusted");
}

impl Made {
    fn judge(&self, world: &World) -> Outcome {
        let (chain, roots) = (&self.chain, &self.roots);
        let ours = problems(&chain.iter().collect::<Vec<_>>(), &roots.iter().collect::<Vec<_>>());
        let openssl = x509::verify(chain, roots, "example.com").expect("openssl");
        if ours.is_empty() == openssl.is_ok() {
            return Outcome::Agreed { trusted: ours.is_empty() };
        }
        let gnutls = x509::certtool(chain, roots, "example.com");
        let is_alone = gnutls.as_ref().is_some_and(|gnutls| gnutls.is_ok() == openssl.is_ok());
        let reason = DIFFERENCES.iter().find(|difference| {
            (difference.also_from_gnutls || !is_alone)
                && (difference.applies)(&self.plan, world, &ours)
        });
        match reason {
            Some(difference) => Outcome::Explained(difference.why),
            None => Outcome::Wrong(format!(
                "{:#?}\nwe say {ours:?}, OpenSSL says {openssl:?}, GnuTLS says {gnutls:?}",
                self.plan
            )),
        }
    }
}
