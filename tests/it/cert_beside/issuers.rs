//! Issuers with unusual keys and signatures.

use std::process::Command;

use super::{Row, hold, issuer, root_key, usual};
use crate::support::certs::{children, element};
use crate::support::draft::{SEQUENCE, name};
use crate::support::odd::{KINDS, Kind, OddKeys, RESTRICTED, Worth};
use crate::support::programs::skip;

/// A leaf that this kind of key signs, under an issuer with this key.
fn row(keys: &OddKeys, kind: &Kind, key: Vec<u8>) -> Row {
    let issuer = issuer([]).but(|issuer| issuer.key = key);
    let leaf = usual([]).but(|leaf| {
        leaf.issuer = name("Issuer");
        leaf.algorithm = keys.algorithm(kind);
    });
    let leaf = leaf.signed(|part| keys.sign(kind, part));
    let chain = vec![leaf, issuer.signed_by(root_key())];
    let row = |expected: &[_]| Row::new(kind.what, chain, expected);
    match kind.worth {
        Worth::Trusted => row(&[]),
        Worth::Refused(problem) => row(&[problem]),
        Worth::Stricter(problem, why) => row(&[problem]).both_differ(why),
        Worth::StricterThanOpenSsl(problem, why) => row(&[problem]).openssl_differs(why),
    }
}

fn is_installed() -> bool {
    let is_installed = Command::new("openssl").arg("version").output().is_ok();
    if !is_installed {
        skip("openssl is not installed");
    }
    is_installed
}

#[test]
fn keys_and_signatures_of_every_kind() {
    if !is_installed() {
        return;
    }
    let keys = OddKeys::make();
    let rows = KINDS.iter().map(|kind| row(&keys, kind, keys.public(kind)));
    hold(&rows.collect::<Vec<_>>());
}

/// What RFC 4055, section 3.3, lets a key do.
#[test]
fn keys_that_are_restricted_to_pss() {
    if !is_installed() {
        return;
    }
    let keys = OddKeys::make();
    let rows = RESTRICTED.iter().map(|restricted| {
        let mut key = children(&keys.public(&restricted.signs));
        key[0] = (restricted.key)();
        row(&keys, &restricted.signs, element(SEQUENCE, &key))
    });
    hold(&rows.collect::<Vec<_>>());
}
