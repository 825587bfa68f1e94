//! Trusted or not: random chains, judged by us, by `openssl verify` and by GnuTLS.
//!
//! `TLSWEEP_SEED` gives the same chains again, `TLSWEEP_CHAINS` says how many.

mod flaws;
mod plan;

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::process::Command;

use rcgen::KeyUsagePurpose::{DigitalSignature, KeyCertSign};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem;

use self::flaws::OpenSsl;
use self::plan::{Plan, Random, World};
use crate::support::certs::problems;
use crate::support::odd::Worth;
use crate::support::programs::skip;
use crate::support::x509;

type Der = CertificateDer<'static>;

/// A way in which we differ from OpenSSL on purpose.
struct Difference {
    why: &'static str,
    said: Said,
    applies: fn(&Plan) -> bool,
}

/// What is said where we differ.
enum Said {
    /// We have this problem, and OpenSSL has none.
    ByUs(Problem),
    /// OpenSSL has this error, and we have no problem; it may be any without a number.
    ByOpenSsl(Option<u8>),
}

use Said::{ByOpenSsl, ByUs};

const DIFFERENCES: [Difference; 6] = [
    Difference {
        why: "a CA is no server for rustls and browsers; OpenSSL and GnuTLS do not mind",
        said: ByUs(Problem::CaAsLeaf),
        applies: |plan| plan.leaf.is_ca,
    },
    Difference {
        why: "RFC 8446 wants a leaf that may sign; for OpenSSL and GnuTLS to encipher is enough",
        said: ByUs(Problem::BadPurpose),
        applies: |plan| {
            let usage = &plan.leaf.usage;
            !usage.is_empty() && !usage.contains(&DigitalSignature)
        },
    },
    Difference {
        why: "RFC 5280 lets only a CA have keyCertSign; OpenSSL minds with -x509_strict only",
        said: ByUs(Problem::BadPurpose),
        applies: |plan| plan.leaf.usage.contains(&KeyCertSign),
    },
    Difference {
        why: "browsers refuse nobody for the identifier of a key; OpenSSL and GnuTLS find no issuer",
        said: ByOpenSsl(Some(20)),
        applies: |plan| plan.flaw.is_some_and(|(flaw, _)| flaw.openssl == OpenSsl::Minds),
    },
    Difference {
        why: "of several issuers of one name OpenSSL tries one that is current, and does not go \
              back when it is no good; we do, as browsers do",
        said: ByOpenSsl(None),
        applies: Plan::has_namesakes,
    },
    Difference {
        why: "of two certificates of one issuer OpenSSL tries one, and does not go back when it \
              leads nowhere; we do, as browsers do",
        said: ByOpenSsl(None),
        applies: |plan| plan.crossed,
    },
];

/// Why we have these problems where OpenSSL has none; `None` when one of them has no reason.
fn reasons_of_ours(plan: &Plan, problems: &[Problem]) -> Option<Vec<&'static str>> {
    let of_plan = |problem: &Problem| {
        let of_key = plan.odd.and_then(|kind| match kind.worth {
            Worth::Stricter(of, why) | Worth::StricterThanOpenSsl(of, why) if of == *problem => {
                Some(why)
            }
            _ => None,
        });
        let is_forgiven =
            plan.flaw.is_some_and(|(flaw, _)| flaw.openssl == OpenSsl::Forgives(*problem));
        let listed = DIFFERENCES.iter().find(|difference| {
            matches!(difference.said, ByUs(of) if of == *problem) && (difference.applies)(plan)
        });
        of_key
            .or_else(|| is_forgiven.then_some(FORGIVEN))
            .or_else(|| listed.map(|difference| difference.why))
    };
    problems.iter().map(of_plan).collect()
}

/// Why OpenSSL has this error where we have no problem.
fn reason_of_openssl(plan: &Plan, error: &str) -> Option<&'static str> {
    let is_listed = |difference: &&Difference| match difference.said {
        ByOpenSsl(number) => {
            number.is_none_or(|number| error.contains(&format!("error {number} at")))
                && (difference.applies)(plan)
        }
        ByUs(_) => false,
    };
    DIFFERENCES.iter().find(is_listed).map(|difference| difference.why)
}

const FORGIVEN: &str = "OpenSSL forgives what is not DER, or of a wrong version; browsers do not";

/// A chain, its roots and how they were made.
struct Made {
    plan: Plan,
    chain: Vec<Der>,
    roots: Vec<Der>,
}

/// What came of one chain.
enum Outcome {
    Agreed {
        trusted: bool,
    },
    /// We differ on purpose, for these reasons.
    Explained(Vec<&'static str>),
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
        let plan = Plan::new(&mut random);
        let (chain, roots) = plan.carry_out(&world, &mut random);
        Made { plan, chain, roots }
    });
    let made = made.collect::<Vec<_>>();

    // OpenSSL and GnuTLS are processes: two at a time take half as long.
    let judged = std::thread::scope(|scope| {
        let halves = made.chunks(made.len().div_ceil(2).max(1));
        let judges = halves
            .map(|half| scope.spawn(move || half.iter().map(Made::judge).collect::<Vec<_>>()));
        #[expect(clippy::needless_collect, reason = "all threads must run before one is joined")]
        let judges = judges.collect::<Vec<_>>();
        judges.into_iter().flat_map(|judge| judge.join().unwrap()).collect::<Vec<_>>()
    });
    let outcomes = judged.iter().map(|judged| &judged.outcome).collect::<Vec<_>>();
    let wrong = outcomes.iter().enumerate().filter_map(|(number, outcome)| match outcome {
        Outcome::Wrong(why) => Some(format!("seed {seed}, chain {number}: {why}")),
        _ => None,
    });
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} of {chains}:\n{}", wrong.len(), wrong.join("\n"));
    let mut reasons = BTreeMap::<_, u64>::new();
    let mut trusted = 0;
    for outcome in outcomes {
        match outcome {
            Outcome::Agreed { trusted: is_trusted } => trusted += u64::from(*is_trusted),
            Outcome::Explained(why) => {
                why.iter().for_each(|why| *reasons.entry(why).or_default() += 1)
            }
            Outcome::Wrong(_) => {}
        }
    }
    for (why, count) in reasons {
        eprintln!("{count} differ: {why}");
    }
    let with_gnutls = judged.iter().filter(|judged| judged.gnutls_agrees).count();
    eprintln!(
        "{chains} chains, {trusted} trusted by both; GnuTLS sides with OpenSSL in {with_gnutls}"
    );
    assert!(trusted > chains / 20, "only {trusted} trusted");
    assert!(trusted < chains * 3 / 4, "{trusted} trusted");
}

/// What came of one chain, and whether GnuTLS says the same as OpenSSL.
struct Judged {
    outcome: Outcome,
    gnutls_agrees: bool,
}

impl Made {
    fn judge(&self) -> Judged {
        let (chain, roots) = (&self.chain, &self.roots);
        let ours = problems(&chain.iter().collect::<Vec<_>>(), &roots.iter().collect::<Vec<_>>());
        let openssl = x509::verify(chain, roots, "example.com").expect("openssl");
        let gnutls = x509::certtool(chain, roots, "example.com");
        let outcome = match &openssl {
            Err(_) if !ours.is_empty() => Outcome::Agreed { trusted: false },
            Ok(()) if ours.is_empty() => Outcome::Agreed { trusted: true },
            Ok(()) => reasons_of_ours(&self.plan, &ours)
                .map_or_else(|| self.wrong(&ours, &openssl, &gnutls), Outcome::Explained),
            Err(error) => reason_of_openssl(&self.plan, error).map_or_else(
                || self.wrong(&ours, &openssl, &gnutls),
                |why| Outcome::Explained(vec![why]),
            ),
        };
        let gnutls_agrees = gnutls.is_some_and(|gnutls| gnutls.is_ok() == openssl.is_ok());
        Judged { outcome, gnutls_agrees }
    }

    fn wrong(
        &self,
        ours: &[Problem],
        openssl: &Result<(), String>,
        gnutls: &Option<Result<(), String>>,
    ) -> Outcome {
        Outcome::Wrong(format!(
            "{:#?}\nwe say {ours:?}, OpenSSL says {openssl:?}, GnuTLS says {gnutls:?}",
            self.plan
        ))
    }
}
