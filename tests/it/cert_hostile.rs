//! Certificates of which the bytes themselves are the fault: whatever they are, an answer comes.

use std::time::Duration;

use tlsweep::cert::Problem::{BadEncoding, ChainTooLong, NameMismatch, UnknownIssuer};

use crate::support::certs::{Entity, Pki, examine, example, judge, problems, valid};

#[test]
fn without_a_key_not_much_is_said() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let no_key = leaf.altered(&one, |fields| fields[6] = vec![0x30, 0]);
    assert!(problems(&[&no_key, &one.der], &[&root.der]).len() <= 1);
}

/// However short: never a panic, always bad.
#[test]
fn no_length_is_too_short() {
    let Pki { root, ca: one, .. } = Pki::new();
    let expired = one.issue(valid(example(), 2021, 2022));
    for length in 0..expired.der.len() {
        let cut = expired.der[..length].to_vec().into();
        let found = problems(&[&cut, &one.der], &[&root.der]);
        assert_eq!(found.first(), Some(&BadEncoding), "{length} bytes");
        assert!(!found.contains(&NameMismatch), "{length} bytes: {found:?}");
    }
}

/// Every byte in turn is made wrong: whatever is then said, it is said soon.
#[test]
fn no_byte_makes_it_panic() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let judge = judge(&[&root.der]);
    for at in 0..leaf.der.len() {
        for wrong in [0x00, 0x30, 0x80, 0xff] {
            let mut der = leaf.der.to_vec();
            der[at] = wrong;
            let chain = [der.into(), one.der.clone()];
            examine(&judge, &chain, "example.com");
            let [leaf, _] = chain;
            examine(&judge, &[one.der.clone(), leaf], "example.com");
        }
    }
}

#[test]
fn a_mesh_of_cross_signed_authorities_is_given_up_in_time() {
    let members = ["a", "b", "c", "d"].map(Entity::root);
    let mut mesh = vec![members[0].issue(example()).der];
    for member in &members {
        let others = members.iter().filter(|other| other.der != member.der);
        mesh.extend(others.map(|issuer| member.cross_signed_by(issuer)));
    }
    // One name for a dozen keys, each of them certified by the next.
    let namesakes = (0..12).map(|_| Entity::root("same")).collect::<Vec<_>>();
    let mut same = vec![namesakes[0].issue(example()).der];
    same.extend((0..12).map(|at| namesakes[at].cross_signed_by(&namesakes[(at + 1) % 12])));

    let judge = judge(&[&Entity::root("root").der]);
    for (chain, considered) in [(mesh, 12), (same, 4)] {
        let started = processor_time();
        let examined = examine(&judge, &chain, "example.com");
        let taken = processor_time() - started;
        assert_eq!(examined.considered, Some(considered));
        let found = examined.trust.unwrap().problems;
        let given_up = found.contains(&UnknownIssuer) || found.contains(&ChainTooLong);
        assert!(given_up, "{found:?}");
        assert!(taken < Duration::from_secs(1), "took {taken:?}");
    }
}

/// The processor time of this thread: a busy machine must not fail the test.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}
