//! Issuers with unusual keys and signatures.

use std::process::Command;

use super::{Row, hold, issuer, root_key, usual};
use crate::support::draft::name;
use crate::support::odd::{KINDS, OddKeys, Worth};
use crate::support::programs::skip;

#[test]
fn keys_and_signatures_of_every_kind() {
    if Command::new("openssl").arg("version").output().is_err() {
        skip("openssl is not installed");
        return;
    }
    let keys = OddKeys::make();
    let rows = KINDS.iter().map(|kind| {
        let issuer = issuer([]).but(|issuer| issuer.key = keys.public(kind));
        let leaf = usual([]).but(|leaf| {
            leaf.issuer = name("Issuer");
            leaf.algorithm = keys.algorithm(kind);
        });
        let leaf = leaf.signed(|part| keys.sign(kind, part));
        let chain = vec![leaf, issuer.signed_by(root_key())];
        let row = |expected: &[_]| Row::new(kind.what, chain.clone(), expected);
        match kind.worth {
            Worth::Trusted => row(&[]),
            Worth::Refused(problem) => row(&[problem]),
            Worth::Stricter(problem, why) => row(&[problem]).both_differ(why),
            Worth::StricterThanOpenSsl(problem, why) => row(&[problem]).openssl_differs(why),
        }
    });
    hold(&rows.collect::<Vec<_>>());
}
