//! Who may sign what, and for whom.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints,
};
use tlsweep::cert::Problem::{
    BadPurpose, BadSignature, CaAsLeaf, ChainTooLong, Expired, IssuerNotCa, NameConstraint,
    NameMismatch, PathLength, SelfSigned, UnknownIssuer,
};

use super::{Case, of_ca, of_chain, of_leaf, of_pki, pki, root, unique};
use crate::support::certs::{Entity, Pki, ca, element, example, server, valid};

pub(crate) fn issuers() -> Vec<Case> {
    let known = pki();
    let unknown = pki();
    let Pki { root: top, ca: one, leaf } = &unknown;
    let stranger = root();
    let under_stranger = |name: &str, chain: &[&_], problems: &[_]| {
        Case::new(name, &leaf.key, chain, &stranger.der, problems)
    };
    let mut cases = vec![
        of_chain("no intermediate", &known, &[&known.leaf.der], &[UnknownIssuer]),
        under_stranger("an unknown root", &[&leaf.der, &one.der], &[UnknownIssuer]),
        under_stranger("that is sent", &[&leaf.der, &one.der, &top.der], &[UnknownIssuer]),
    ];
    // Another root by the name of the true one.
    let betrayed = pki();
    let pretender = Entity::self_signed(betrayed.root.params.clone());
    let chain = [&betrayed.leaf.der, &betrayed.ca.der];
    let key = &betrayed.leaf.key;
    cases.push(Case::new("a namesake of the root", key, &chain, &pretender.der, &[BadSignature]));

    let faults = [UnknownIssuer, NameMismatch, Expired];
    let expired = || valid(server(&["other.example"]), 2021, 2022);
    let bad = known.ca.issue(expired());
    cases.push(Case::new("three faults", &bad.key, &[&bad.der], &known.root.der, &faults));
    let bad = one.issue(expired());
    let chain = [&bad.der, &one.der];
    cases.push(Case::new("three with a chain", &bad.key, &chain, &stranger.der, &faults));
    cases
}

pub(crate) fn self_signed() -> Vec<Case> {
    let root = root();
    let own = |name: &str, leaf: &Entity, trusted: &Entity, problems: &[_]| {
        Case::new(name, &leaf.key, &[&leaf.der], &trusted.der, problems)
    };
    let authority = || {
        let mut params = valid(unique(example()), 2021, 2022);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Entity::self_signed(params)
    };
    let plain = || Entity::self_signed(unique(example()));
    let with_root = plain();
    let chain = [&with_root.der, &root.der];
    // Its own name, but not its own key: the issuer is somebody else.
    let namesake = plain();
    let namesake = namesake.issue(namesake.params.clone());
    // Whoever lists it among the roots trusts it, but a CA is still no server certificate.
    let [trusted, trusted_authority] = [plain(), authority()];
    vec![
        own("self-signed", &plain(), &root, &[SelfSigned]),
        Case::new("with a root", &with_root.key, &chain, &root.der, &[SelfSigned]),
        own("a self-signed CA", &authority(), &root, &[SelfSigned, CaAsLeaf, Expired]),
        own("signed by a namesake", &namesake, &root, &[UnknownIssuer]),
        own("a trusted leaf", &trusted, &trusted, &[]),
        own("a trusted CA", &trusted_authority, &trusted_authority, &[CaAsLeaf, Expired]),
    ]
}

pub(crate) fn authorities() -> Vec<Case> {
    let as_ca = |leaf: &mut CertificateParams| {
        leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let mut cases = vec![
        of_ca("an issuer without constraints", |ca| ca.is_ca = IsCa::NoCa, &[IssuerNotCa]),
        of_ca("an issuer that is no CA", |ca| ca.is_ca = IsCa::ExplicitNoCa, &[IssuerNotCa]),
        of_leaf("a CA as leaf", as_ca, &[CaAsLeaf]),
    ];

    let root = root();
    let mut constrained = ca("one");
    constrained.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let one = root.issue(constrained);
    let two = one.issue(ca("two"));
    let leaf = two.issue(example());
    let chain = [&leaf.der, &two.der, &one.der];
    cases.push(Case::new("beyond the path length", &leaf.key, &chain, &root.der, &[PathLength]));
    let near = one.issue(example());
    cases.push(Case::new("within it", &near.key, &[&near.der, &one.der], &root.der, &[]));

    let mut chain = vec![root.issue(ca("0"))];
    for number in 1..12 {
        let next = chain.last().unwrap().issue(ca(&number.to_string()));
        chain.push(next);
    }
    let leaf = chain.last().unwrap().issue(example());
    let mut sent = vec![&leaf.der];
    sent.extend(chain.iter().rev().map(|link| &link.der));
    cases.push(Case::new("twelve deep", &leaf.key, &sent, &root.der, &[ChainTooLong]));
    cases.push(mesh(&root));
    cases
}

/// Authorities that have all signed each other, and none of them known.
fn mesh(root: &Entity) -> Case {
    let members = ["a", "b", "c", "d"].map(Entity::root);
    let leaf = members[0].issue(example());
    let mut certificates = vec![];
    for member in &members {
        let others = members.iter().filter(|other| other.der != member.der);
        certificates.extend(others.map(|issuer| member.cross_signed_by(issuer)));
    }
    let mut sent = vec![&leaf.der];
    sent.extend(&certificates);
    Case::new("a mesh", &leaf.key, &sent, &root.der, &[UnknownIssuer])
}

pub(crate) fn name_constraints() -> Vec<Case> {
    let constrained = |name, permitted: &[GeneralSubtree], excluded: &[GeneralSubtree], faults| {
        let change = |ca: &mut CertificateParams| {
            ca.name_constraints = Some(NameConstraints {
                permitted_subtrees: permitted.to_vec(),
                excluded_subtrees: excluded.to_vec(),
            });
        };
        of_ca(name, change, faults)
    };
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let network = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24));
    let mut cases = vec![
        constrained("permitted", &[dns("example.com")], &[], &[]),
        constrained("not permitted", &[dns("example.org")], &[], &[NameConstraint]),
        constrained("excluded", &[], &[dns("example.com")], &[NameConstraint]),
        constrained("not excluded", &[], &[dns("example.org")], &[]),
        constrained("only addresses", std::slice::from_ref(&network), &[], &[]),
    ];
    let mut excluding = ca("intermediate");
    excluding.name_constraints =
        Some(NameConstraints { permitted_subtrees: vec![], excluded_subtrees: vec![network] });
    let leaf = valid(server(&["example.com", "192.0.2.7"]), 2021, 2022);
    let pki = Pki::of(root(), excluding, leaf);
    cases.push(of_pki("an excluded address", &pki, &[NameConstraint, Expired]));
    cases
}

pub(crate) fn purposes() -> Vec<Case> {
    use ExtendedKeyUsagePurpose as Purpose;
    let of_purposes = |name, purposes: &[Purpose], problems| {
        of_leaf(name, |leaf| leaf.extended_key_usages = purposes.to_vec(), problems)
    };
    let email = |ca: &mut CertificateParams| {
        ca.extended_key_usages = vec![Purpose::EmailProtection];
    };
    let cert_sign = |leaf: &mut CertificateParams| {
        leaf.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    };
    let empty = |leaf: &mut CertificateParams| {
        leaf.extended_key_usages.clear();
        leaf.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], element(0x30, &[]))];
    };
    vec![
        of_purposes("no purposes", &[], &[]),
        of_purposes("client and server", &[Purpose::ClientAuth, Purpose::ServerAuth], &[]),
        of_purposes("client only", &[Purpose::ClientAuth], &[BadPurpose]),
        of_purposes("any purpose", &[Purpose::Any], &[BadPurpose]),
        of_ca("a CA for email", email, &[BadPurpose]),
        of_leaf("a leaf that signs certificates", cert_sign, &[BadPurpose]),
        of_leaf("an empty list of purposes", empty, &[BadPurpose]),
    ]
}
