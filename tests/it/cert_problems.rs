//! One case for each row of certificate faults, each with the exact set of problems.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512,
};
use tlsweep::cert::Problem::{self, *};
use tlsweep::cert::{Examined, Presented, Status, Wanted};

use crate::support::certs::{
    Entity, Pki, ca, children, element, examine, example, judge, now, problems, server, valid,
};

/// The problems of a leaf made like this under a good CA.
fn of_leaf(change: impl FnOnce(&mut CertificateParams)) -> Vec<Problem> {
    let mut leaf = example();
    change(&mut leaf);
    Pki::of(Entity::root("root"), ca("intermediate"), leaf).problems()
}

/// The problems of a good leaf under a CA made like this.
fn of_ca(change: impl FnOnce(&mut CertificateParams)) -> Vec<Problem> {
    let mut intermediate = ca("intermediate");
    change(&mut intermediate);
    Pki::of(Entity::root("root"), intermediate, example()).problems()
}

#[test]
fn good_chains_are_trusted() {
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ED25519,
        &PKCS_RSA_SHA256,
        &PKCS_RSA_SHA384,
        &PKCS_RSA_SHA512,
    ] {
        let root = Entity::self_signed_with(ca("root"), algorithm);
        let leaf = root.issue_with(example(), algorithm);
        assert_eq!(problems(&[&leaf.der], &[&root.der]), [], "{algorithm:?}");
    }
}

#[test]
fn the_shape_of_a_chain_does_not_matter() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let other = Entity::root("other");
    let roots = [&root.der];
    assert_eq!(problems(&[&leaf.der, &one.der, &root.der], &roots), []);
    assert_eq!(problems(&[&leaf.der, &one.der, &one.der, &leaf.der], &roots), []);
    assert_eq!(problems(&[&leaf.der, &root.der, &other.der, &one.der], &roots), []);

    let cross = one.cross_signed_by(&other);
    for chain in [[&leaf.der, &cross, &one.der], [&leaf.der, &one.der, &cross]] {
        assert_eq!(problems(&chain, &roots), []);
        assert_eq!(problems(&chain, &[&other.der]), []);
    }

    let two = one.issue(ca("two"));
    let three = two.issue(ca("three"));
    let four = three.issue(ca("four"));
    let deep = four.issue(example());
    let chain = [&deep.der, &four.der, &three.der, &two.der, &one.der];
    assert_eq!(problems(&chain, &roots), []);

    let mut crowd = vec![&leaf.der];
    let strangers = (0..99).map(|number| Entity::root(&number.to_string())).collect::<Vec<_>>();
    crowd.extend(strangers.iter().map(|stranger| &stranger.der));
    crowd.push(&one.der);
    assert_eq!(problems(&crowd, &roots), []);
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
    let presented = Presented { chain: &chain, name: None, ocsp: &[] };
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
    let presented = Presented { chain: &chain, name: None, ocsp: &[1] };
    let nothing = Wanted { cert: false, chain: false, trust: false, ocsp: false };
    let examined = judge.examine(presented, now(), nothing);
    assert_eq!(examined.sha256.len(), 2);
    assert_eq!(examined, Examined { sha256: examined.sha256.clone(), ..Examined::default() });
    let everything = Wanted { chain: true, ..Wanted::default() };
    let examined = judge.examine(presented, now(), everything);
    let facts = examined.chain.unwrap();
    assert_eq!(facts.len(), 2);
    assert_eq!(examined.cert.as_ref(), facts.first());
    assert_eq!(facts[1].ca, Some(true));
    assert_eq!(examined.ocsp.unwrap().status, Status::Malformed);

    let no_chain = Presented { chain: &[], ..presented };
    assert_eq!(judge.examine(no_chain, now(), everything), Examined::default());
}

#[test]
fn dates() {
    let from_to = |from, until| of_leaf(|leaf| *leaf = valid(leaf.clone(), from, until));
    assert_eq!(from_to(2025, 2026), [Expired]);
    assert_eq!(from_to(1980, 1981), [Expired]);
    assert_eq!(from_to(2100, 2101), [NotYetValid]);
    assert_eq!(from_to(2101, 2100), [NotYetValid]);
    assert_eq!(from_to(2025, 2024), [Expired]);
    assert_eq!(from_to(2100, 2025), [Expired, NotYetValid]);
    assert_eq!(of_ca(|ca| *ca = valid(ca.clone(), 2024, 2025)), [Expired]);
    assert_eq!(of_ca(|ca| *ca = valid(ca.clone(), 2100, 2101)), [NotYetValid]);
    // Never valid at the same time.
    let pki = Pki::of(
        Entity::root("root"),
        valid(ca("intermediate"), 2021, 2022),
        valid(example(), 2100, 2101),
    );
    assert_eq!(pki.problems(), [Expired, NotYetValid]);
}

#[test]
fn names() {
    let mismatch: &[Problem] = &[NameMismatch];
    for (certified, host, expected) in [
        (&["example.com"][..], "example.com", &[][..]),
        (&["EXAMPLE.com"], "example.COM", &[]),
        (&["example.com"], "example.com.", &[]),
        (&["a_b.example.com"], "a_b.example.com", &[]),
        (&["xn--bcher-kva.example"], "xn--bcher-kva.example", &[]),
        (&["192.0.2.1"], "192.0.2.1", &[]),
        (&["2001:db8::1"], "2001:db8:0::1", &[]),
        (&["*.example.com"], "a.example.com", &[]),
        (&["*.example.com"], "example.com", mismatch),
        (&["*.example.com"], "a.b.example.com", mismatch),
        (&["f*.example.com"], "foo.example.com", mismatch),
        (&["other.example"], "example.com", mismatch),
        (&["192.0.2.2"], "192.0.2.1", mismatch),
        (&[], "example.com", mismatch),
        // Only the common name would fit.
        (&["other.example"], "leaf", mismatch),
    ] {
        let pki = Pki::of(Entity::root("root"), ca("intermediate"), server(certified));
        let chain = [pki.leaf.der.clone(), pki.ca.der.clone()];
        let trust = examine(&judge(&[&pki.root.der]), &chain, host).trust.unwrap();
        assert_eq!(trust.problems, expected, "{certified:?} {host}");
        assert_eq!(trust.name_ok, Some(expected.is_empty()));
    }

    let mut address_as_host = server(&[]);
    let name = "192.0.2.1".try_into().unwrap();
    address_as_host.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    let pki = Pki::of(Entity::root("root"), ca("intermediate"), address_as_host);
    let chain = [pki.leaf.der.clone(), pki.ca.der.clone()];
    let trust = examine(&judge(&[&pki.root.der]), &chain, "192.0.2.1").trust;
    assert_eq!(trust.unwrap().problems, mismatch);

    let thousand = (0..1_000)
        .map(|number| format!("{number}.example.com"))
        .chain(["example.com".to_owned()])
        .collect::<Vec<_>>();
    let many = thousand.iter().map(String::as_str).collect::<Vec<_>>();
    let pki = Pki::of(Entity::root("root"), ca("intermediate"), server(&many));
    assert_eq!(pki.problems(), []);
    assert_eq!(of_leaf(|leaf| leaf.distinguished_name = DistinguishedName::new()), []);
}

#[test]
fn issuers() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let stranger = Entity::root("stranger");
    let strangers = [&stranger.der];
    assert_eq!(problems(&[&leaf.der], &[&root.der]), [UnknownIssuer]);
    assert_eq!(problems(&[&leaf.der, &one.der], &strangers), [UnknownIssuer]);
    assert_eq!(problems(&[&leaf.der, &one.der, &root.der], &strangers), [UnknownIssuer]);
    assert_eq!(problems(&[&leaf.der, &one.der], &[]), [UnknownIssuer]);
    // Another root by the name of the true one.
    let pretender = Entity::root("root");
    assert_eq!(problems(&[&leaf.der, &one.der], &[&pretender.der]), [BadSignature]);

    let expired = one.issue(valid(server(&["other.example"]), 2021, 2022));
    assert_eq!(problems(&[&expired.der], &[&root.der]), [UnknownIssuer, NameMismatch, Expired]);
    assert_eq!(
        problems(&[&expired.der, &one.der], &strangers),
        [UnknownIssuer, NameMismatch, Expired]
    );
}

#[test]
fn self_signed_leaves() {
    let root = Entity::root("root");
    let plain = Entity::self_signed(example());
    assert_eq!(problems(&[&plain.der], &[&root.der]), [SelfSigned]);
    assert_eq!(problems(&[&plain.der, &root.der], &[&root.der]), [SelfSigned]);
    let mut params = valid(example(), 2021, 2022);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Entity::self_signed(params);
    assert_eq!(problems(&[&authority.der], &[&root.der]), [SelfSigned, CaAsLeaf, Expired]);
    // Its own name, but not its own key: the issuer is somebody else.
    let namesake = Entity::self_signed(example()).issue(example());
    assert_eq!(problems(&[&namesake.der], &[&root.der]), [UnknownIssuer]);

    // Whoever lists it among the roots trusts it, but a CA is still no server certificate.
    assert_eq!(problems(&[&plain.der], &[&plain.der]), []);
    assert_eq!(problems(&[&authority.der], &[&authority.der]), [CaAsLeaf, Expired]);
}

#[test]
fn signatures() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let stranger = Entity::root("stranger");
    assert_eq!(problems(&[&leaf.flipped(), &one.der], &[&root.der]), [BadSignature]);
    assert_eq!(problems(&[&leaf.der, &one.flipped()], &[&root.der]), [BadSignature]);
    assert_eq!(
        problems(&[&leaf.flipped(), &one.der], &[&stranger.der]),
        [BadSignature, UnknownIssuer]
    );
    let unknown_algorithm = leaf.altered(&one, |fields| {
        let id_ecdsa_sha224 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1];
        fields[2] = element(0x30, &[element(6, &[id_ecdsa_sha224.to_vec()])]);
    });
    let mut parts = children(&unknown_algorithm);
    parts[1] = children(&parts[0])[2].clone();
    let unknown_algorithm = element(0x30, &parts).into();
    assert_eq!(problems(&[&unknown_algorithm, &one.der], &[&root.der]), [BadSignature]);
}

/// What may sign what, and for whom.
#[test]
fn authorities() {
    assert_eq!(of_ca(|ca| ca.is_ca = IsCa::NoCa), [IssuerNotCa]);
    assert_eq!(of_ca(|ca| ca.is_ca = IsCa::ExplicitNoCa), [IssuerNotCa]);
    let as_ca = |leaf: &mut CertificateParams| {
        leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    assert_eq!(of_leaf(as_ca), [CaAsLeaf]);

    let root = Entity::root("root");
    let mut constrained = ca("one");
    constrained.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let one = root.issue(constrained);
    let two = one.issue(ca("two"));
    let leaf = two.issue(example());
    assert_eq!(problems(&[&leaf.der, &two.der, &one.der], &[&root.der]), [PathLength]);
    let near = one.issue(example());
    assert_eq!(problems(&[&near.der, &one.der], &[&root.der]), []);

    let mut chain = vec![root.issue(ca("0"))];
    for number in 1..12 {
        let next = chain.last().unwrap().issue(ca(&number.to_string()));
        chain.push(next);
    }
    chain.push(chain.last().unwrap().issue(example()));
    let sent = chain.iter().rev().map(|link| &link.der).collect::<Vec<_>>();
    assert_eq!(problems(&sent, &[&root.der]), [ChainTooLong]);
}

#[test]
fn name_constraints() {
    let constrained = |permitted: &[GeneralSubtree], excluded: &[GeneralSubtree]| {
        of_ca(|ca| {
            ca.name_constraints = Some(NameConstraints {
                permitted_subtrees: permitted.to_vec(),
                excluded_subtrees: excluded.to_vec(),
            });
        })
    };
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let network = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24));
    assert_eq!(constrained(&[dns("example.com")], &[]), []);
    assert_eq!(constrained(&[dns("example.org")], &[]), [NameConstraint]);
    assert_eq!(constrained(&[], &[dns("example.com")]), [NameConstraint]);
    assert_eq!(constrained(&[], &[dns("example.org")]), []);
    assert_eq!(constrained(std::slice::from_ref(&network), &[]), []);

    let mut excluding = ca("intermediate");
    excluding.name_constraints =
        Some(NameConstraints { permitted_subtrees: vec![], excluded_subtrees: vec![network] });
    let leaf = valid(server(&["example.com", "192.0.2.7"]), 2021, 2022);
    let pki = Pki::of(Entity::root("root"), excluding, leaf);
    assert_eq!(pki.problems(), [NameConstraint, Expired]);
}

#[test]
fn purposes() {
    use ExtendedKeyUsagePurpose as Purpose;
    let of_purposes =
        |purposes: &[Purpose]| of_leaf(|leaf| leaf.extended_key_usages = purposes.to_vec());
    assert_eq!(of_purposes(&[]), []);
    assert_eq!(of_purposes(&[Purpose::ClientAuth, Purpose::ServerAuth]), []);
    assert_eq!(of_purposes(&[Purpose::ClientAuth]), [BadPurpose]);
    assert_eq!(of_purposes(&[Purpose::Any]), [BadPurpose]);
    let email = |ca: &mut CertificateParams| {
        ca.extended_key_usages = vec![Purpose::EmailProtection];
    };
    assert_eq!(of_ca(email), [BadPurpose]);
    assert_eq!(of_leaf(|leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyCertSign]), [BadPurpose]);
    let empty = of_leaf(|leaf| {
        leaf.extended_key_usages.clear();
        leaf.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], element(0x30, &[]))];
    });
    assert_eq!(empty, [BadPurpose]);
}

#[test]
fn versions_and_extensions() {
    let critical = |params: &mut CertificateParams| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions = vec![unknown];
    };
    assert_eq!(of_leaf(critical), [CriticalExtension]);
    assert_eq!(of_ca(critical), [CriticalExtension]);
    let all_at_once = of_leaf(|leaf| {
        critical(leaf);
        *leaf = valid(leaf.clone(), 2021, 2022);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        leaf.subject_alt_names = server(&["other.example"]).subject_alt_names;
    });
    assert_eq!(all_at_once, [CriticalExtension, BadPurpose, NameMismatch, Expired]);

    let Pki { root, ca: one, leaf } = Pki::new();
    let stranger = Entity::root("stranger");
    let roots = [&root.der];
    let v1 = leaf.altered(&one, |fields| {
        fields.remove(0);
        fields.pop();
    });
    // Without extensions it is for no name at all.
    assert_eq!(problems(&[&v1, &one.der], &roots), [UnsupportedVersion, NameMismatch]);
    let v2 = leaf.altered(&one, |fields| fields[0] = vec![0xa0, 3, 2, 1, 1]);
    assert_eq!(problems(&[&v2, &one.der], &roots), [UnsupportedVersion]);
    assert_eq!(problems(&[&v2, &one.der], &[&stranger.der]), [UnsupportedVersion, UnknownIssuer]);
    let own = Entity::self_signed(example());
    let v1 = own.altered(&own, |fields| drop(fields.remove(0)));
    assert_eq!(problems(&[&v1], &roots), [UnsupportedVersion, SelfSigned]);
}
