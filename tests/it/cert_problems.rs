//! Every case of `cert_cases`, judged: each has its exact set of problems.

use std::time::Duration;

use tlsweep::cert::Problem::{Expired, NotYetValid, UnknownIssuer, WeakKey, WeakSignature};
use tlsweep::cert::{Examined, Presented, Status, Wanted};

use crate::cert_cases::{self, Case};
use crate::support::certs::{Entity, HELD, Pki, examine, judge, now, problems};

fn check(cases: Vec<Case>) {
    for case in cases {
        let examined = examine(&judge(&[&case.root]), &case.chain, &case.host);
        let trust = examined.trust.unwrap();
        assert_eq!(trust.problems, case.problems, "{}", case.name);
        assert_eq!(trust.name_ok, case.name_ok, "{}", case.name);
        assert_eq!(examined.length, case.chain.len(), "{}", case.name);
    }
}

#[test]
fn good_chains_are_trusted() {
    check(cert_cases::algorithms());
}

#[test]
fn the_shape_of_a_chain_does_not_matter() {
    check(cert_cases::shapes());
}

#[test]
fn dates() {
    check(cert_cases::dates());
}

#[test]
fn names() {
    check(cert_cases::names());
}

#[test]
fn issuers() {
    check(cert_cases::issuers());
}

#[test]
fn self_signed_leaves() {
    check(cert_cases::self_signed());
}

#[test]
fn authorities() {
    check(cert_cases::authorities());
}

#[test]
fn name_constraints() {
    check(cert_cases::name_constraints());
}

#[test]
fn purposes() {
    check(cert_cases::purposes());
}

#[test]
fn signatures() {
    check(cert_cases::signatures());
}

#[test]
fn versions_and_extensions() {
    check(cert_cases::extensions_and_versions());
}

#[test]
fn broken_encodings() {
    check(cert_cases::broken());
}

#[test]
fn weak_signatures_and_keys() {
    check(cert_cases::weak());
}

/// All problems are named, also where none is needed to refuse the leaf.
#[test]
fn weak_signatures_and_keys_without_a_root() {
    for case in cert_cases::weak().iter().filter(|case| case.chain.len() == 1) {
        let found = problems(&[&case.chain[0]], &[]);
        for problem in case.problems.iter().filter(|it| matches!(it, WeakSignature | WeakKey)) {
            assert!(found.contains(problem), "{}: {found:?}", case.name);
        }
    }
}

#[test]
fn nobody_is_trusted_where_there_are_no_roots() {
    let pki = Pki::new();
    assert_eq!(problems(&[&pki.leaf.der, &pki.ca.der], &[]), [UnknownIssuer]);
}

#[test]
fn a_root_is_named() {
    let pki = Pki::new();
    let chain = [pki.leaf.der.clone(), pki.ca.der.clone()];
    let examined = examine(&judge(&[&pki.root.der]), &chain, "example.com");
    let trust = examined.trust.unwrap();
    assert_eq!(trust.verdict.as_str(), "trusted");
    assert_eq!(trust.anchor.as_deref(), Some("CN=root"));
    assert_eq!(trust.name_ok, Some(true));
    assert_eq!(examined.considered, Some(1));
    let stranger = Entity::root("stranger");
    let examined = examine(&judge(&[&stranger.der]), &chain, "example.com");
    assert_eq!(examined.trust.unwrap().anchor, None);
}

#[test]
fn what_is_remembered_ages() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let pki = Pki::new();
    let judge = judge(&[&pki.root.der]);
    let chain = [pki.leaf.der, pki.ca.der];
    let presented = Presented { chain: &chain, name: None, ocsp: &[], proof: &HELD };
    let at = |moment| {
        let examined = judge.examine(presented, moment, Wanted::default());
        (examined.cert.unwrap().days_left.unwrap(), examined.trust.unwrap().problems)
    };
    let (days, problems) = at(now());
    assert_eq!(problems, []);
    assert_eq!(at(now() + YEAR), (days - 365, vec![]));
    assert_eq!(at(now() + 100 * YEAR), (days - 36_500, vec![Expired]));
    assert_eq!(at(now() - 20 * YEAR), (days + 7_300, vec![NotYetValid]));
    assert_eq!(at(now()), (days, vec![]));
}

#[test]
fn only_what_is_wanted_is_worked_out() {
    let pki = Pki::new();
    let judge = judge(&[&pki.root.der]);
    let chain = [pki.leaf.der, pki.ca.der];
    let presented = Presented { chain: &chain, name: None, ocsp: &[1], proof: &HELD };
    let nothing = Wanted { cert: false, chain: false, trust: false, ocsp: false, pem: false };
    let examined = judge.examine(presented, now(), nothing);
    assert_eq!(examined.sha256.len(), 2);
    assert_eq!(
        examined,
        Examined { length: 2, sha256: examined.sha256.clone(), ..Examined::default() }
    );
    let everything = Wanted { chain: true, ..Wanted::default() };
    let examined = judge.examine(presented, now(), everything);
    let facts = examined.chain.unwrap();
    assert_eq!(facts.len(), 2);
    assert_eq!(examined.cert.as_deref(), facts.first());
    assert_eq!(facts[1].ca, Some(true));
    assert_eq!(examined.ocsp.unwrap().status, Status::Malformed);

    let no_chain = Presented { chain: &[], ..presented };
    assert_eq!(judge.examine(no_chain, now(), everything), Examined::default());
}
