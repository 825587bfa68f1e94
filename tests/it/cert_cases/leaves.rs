//! Good chains of every kind, dates and names.

use rcgen::{
    DistinguishedName, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
    PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512, SanType,
};
use tlsweep::cert::Problem::{self, Expired, NameMismatch, NotYetValid};

use super::{Case, of_ca, of_chain, of_leaf, of_pki, pki, root, unique};
use crate::support::certs::{Entity, Pki, ca, example, server, valid};

pub(crate) fn algorithms() -> Vec<Case> {
    [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ED25519,
        &PKCS_RSA_SHA256,
        &PKCS_RSA_SHA384,
        &PKCS_RSA_SHA512,
    ]
    .into_iter()
    .map(|algorithm| {
        let root = Entity::self_signed_with(unique(ca("root")), algorithm);
        let leaf = root.issue_with(example(), algorithm);
        Case::new(&format!("{algorithm:?}"), &leaf.key, &[&leaf.der], &root.der, &[])
    })
    .collect()
}

/// The shape of a chain does not matter.
pub(crate) fn shapes() -> Vec<Case> {
    let known = pki();
    let Pki { root: top, ca: one, leaf } = &known;
    let stranger = root();
    let mut cases = vec![
        of_chain("the root is sent", &known, &[&leaf.der, &one.der, &top.der], &[]),
        of_chain("duplicates", &known, &[&leaf.der, &one.der, &one.der, &leaf.der], &[]),
        of_chain("shuffled", &known, &[&leaf.der, &top.der, &stranger.der, &one.der], &[]),
    ];

    let [here, there] = [root(), root()];
    let by_other = one.cross_signed_by(&there);
    let crossed = Pki::of(here, ca("crossed"), example());
    let by_both = crossed.ca.cross_signed_by(&there);
    for (order, chain) in [
        ("last", [&crossed.leaf.der, &crossed.ca.der, &by_both]),
        ("first", [&crossed.leaf.der, &by_both, &crossed.ca.der]),
    ] {
        for (whose, root) in [("its", &crossed.root), ("the other", &there)] {
            let name = format!("cross-signed, {order}, under {whose} root");
            cases.push(Case::new(&name, &crossed.leaf.key, &chain, &root.der, &[]));
        }
    }
    let chain = [&leaf.der, &by_other, &one.der];
    cases.push(of_chain("cross-signed by a stranger", &known, &chain, &[]));

    let two = one.issue(ca("two"));
    let three = two.issue(ca("three"));
    let four = three.issue(ca("four"));
    let deep = four.issue(example());
    let chain = [&deep.der, &four.der, &three.der, &two.der, &one.der];
    cases.push(Case::new("four deep", &deep.key, &chain, &top.der, &[]));

    let strangers = (0..99).map(|number| Entity::root(&number.to_string())).collect::<Vec<_>>();
    let mut crowd = vec![&leaf.der];
    crowd.extend(strangers.iter().map(|stranger| &stranger.der));
    crowd.push(&one.der);
    cases.push(of_chain("a hundred certificates", &known, &crowd, &[]));
    cases
}

pub(crate) fn dates() -> Vec<Case> {
    let mut cases = Vec::new();
    for (from, until, problems) in [
        (2025, 2026, &[Expired][..]),
        (1980, 1981, &[Expired]),
        (2100, 2101, &[NotYetValid]),
        (2101, 2100, &[NotYetValid]),
        (2025, 2024, &[Expired]),
        (2100, 2025, &[Expired, NotYetValid]),
    ] {
        let name = format!("a leaf from {from} to {until}");
        cases.push(of_leaf(&name, |leaf| *leaf = valid(leaf.clone(), from, until), problems));
    }
    for (from, until, problem) in [(2024, 2025, Expired), (2100, 2101, NotYetValid)] {
        let name = format!("a CA from {from} to {until}");
        cases.push(of_ca(&name, |ca| *ca = valid(ca.clone(), from, until), &[problem]));
    }
    let old = valid(ca("intermediate"), 2021, 2022);
    let never = Pki::of(root(), old, valid(example(), 2100, 2101));
    cases.push(of_pki("never valid at the same time", &never, &[Expired, NotYetValid]));
    cases
}

pub(crate) fn names() -> Vec<Case> {
    let mismatch: &[Problem] = &[NameMismatch];
    let mut cases = Vec::new();
    for (certified, host, problems) in [
        (&["example.com"][..], "example.com", &[][..]),
        (&["EXAMPLE.com"], "example.COM", &[]),
        (&["example.com"], "example.com.", &[]),
        (&["a_b.example.com"], "a_b.example.com", &[]),
        (&["xn--bcher-kva.example"], "xn--bcher-kva.example", &[]),
        (&["127.0.0.1"], "127.0.0.1", &[]),
        (&["::1"], "::1", &[]),
        (&["*.example.com"], "a.example.com", &[]),
        (&["*.example.com"], "example.com", mismatch),
        (&["*.example.com"], "a.b.example.com", mismatch),
        (&["f*.example.com"], "foo.example.com", mismatch),
        (&["other.example"], "example.com", mismatch),
        (&["127.0.0.2"], "127.0.0.1", mismatch),
        (&["::2"], "::1", mismatch),
        (&[], "example.com", mismatch),
        // Only the common name would fit.
        (&["other.example"], "leaf", mismatch),
    ] {
        let pki = Pki::of(root(), ca("intermediate"), server(certified));
        let name = format!("{certified:?} for {host}");
        cases.push(of_pki(&name, &pki, problems).asked_for(host));
    }
    let address_as_host = |leaf: &mut rcgen::CertificateParams| {
        leaf.subject_alt_names = vec![SanType::DnsName("127.0.0.1".try_into().unwrap())];
    };
    let case = of_leaf("an address as a DNS name", address_as_host, mismatch);
    cases.push(case.asked_for("127.0.0.1"));

    let thousand = (0..1_000).map(|number| format!("{number}.example.com"));
    let thousand = thousand.chain(["example.com".to_owned()]).collect::<Vec<_>>();
    let many = thousand.iter().map(String::as_str).collect::<Vec<_>>();
    let pki = Pki::of(root(), ca("intermediate"), server(&many));
    cases.push(of_pki("a thousand names", &pki, &[]));
    let no_subject = |leaf: &mut rcgen::CertificateParams| {
        leaf.distinguished_name = DistinguishedName::new();
    };
    cases.push(of_leaf("no subject", no_subject, &[]));
    cases
}
