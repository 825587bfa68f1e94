//! Unusual but honest certificates: the verdict is the one that OpenSSL gives.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem::{
    BadEncoding, BadPurpose, CriticalExtension, Expired, IssuerNotCa, NameConstraint, NotYetValid,
    PathLength, UnknownIssuer,
};
use tlsweep::cert::{Certificate, Problem, Trust};

use crate::support::certs::{
    Entity, Pki, ca, children, element, examine, example, judge, now, problems, server, valid,
};
use crate::support::x509;

type Der = CertificateDer<'static>;

const DAY: i64 = 86_400;

/// The verdict on a chain for `example.com`.
fn trust(chain: &[&Der], roots: &[&Der]) -> Trust {
    let chain = chain.iter().map(|&der| der.clone()).collect::<Vec<_>>();
    examine(&judge(roots), &chain, "example.com").trust.unwrap()
}

/// These problems, and OpenSSL trusts the chain when there are none and only then.
fn agree(what: &str, chain: &[&Der], roots: &[&Der], expected: &[Problem]) {
    assert_eq!(problems(chain, roots), expected, "{what}");
    let owned = |ders: &[&Der]| ders.iter().map(|&der| der.clone()).collect::<Vec<_>>();
    if let Some(verdict) = x509::verify(&owned(chain), &owned(roots), "example.com") {
        assert_eq!(verdict.is_ok(), expected.is_empty(), "{what}: OpenSSL says {verdict:?}");
    }
}

/// A certificate that ends after so many days from now.
fn ending(mut params: CertificateParams, days: i64) -> CertificateParams {
    let until = Duration::from_secs((days.abs() * DAY) as u64);
    let noon = now() + Duration::from_secs(DAY as u64 / 2);
    let end = if days < 0 { noon - until } else { noon + until };
    params.not_after = end.into();
    params
}

fn critical(oid: &[u64], value: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value);
    extension.set_criticality(true);
    extension
}

fn issuing(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = ca("intermediate");
    change(&mut params);
    params
}

fn serving(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = example();
    change(&mut params);
    params
}

#[test]
fn a_path_ends_with_the_first_of_its_certificates() {
    for (root, intermediate, leaf, ends) in
        [(900, 5, 90, 5), (900, 300, 90, 90), (3, 300, 90, 3), (-3, 300, 90, -3)]
    {
        let root = Entity::self_signed(ending(ca("root"), root));
        let pki = Pki::of(root, ending(ca("intermediate"), intermediate), ending(example(), leaf));
        let chain = [&pki.leaf.der, &pki.ca.der];
        let trust = trust(&chain, &[&pki.root.der]);
        assert_eq!(trust.days_left, Some(ends));
        let not_after = humantime::parse_rfc3339(&trust.not_after.unwrap()).unwrap();
        let expected = now() + Duration::from_secs(((ends + 400) * DAY) as u64);
        let difference = expected.duration_since(not_after).unwrap().as_secs() as i64;
        assert!((399 * DAY..400 * DAY).contains(&difference), "{difference}");
    }
}

#[test]
fn without_a_path_what_leads_upward_counts() {
    let root = Entity::root("root");
    let pki = Pki::of(root, ending(ca("intermediate"), 5), ending(example(), 90));
    let stranger = Entity::self_signed(ending(ca("stranger"), 1));
    let found = trust(&[&pki.leaf.der, &pki.ca.der, &stranger.der], &[&stranger.der]);
    assert_eq!(found.problems, [UnknownIssuer]);
    assert_eq!(found.days_left, Some(5));
    let alone = trust(&[&pki.leaf.der], &[&stranger.der]);
    assert_eq!((alone.problems, alone.days_left), (vec![UnknownIssuer], Some(90)));
}

#[test]
fn of_several_paths_the_last_to_end_counts() {
    let [old, new] = [ending(ca("old"), 5), ca("new")].map(Entity::self_signed);
    let one = old.issue(ca("intermediate"));
    let crossed = one.cross_signed_by(&new);
    let leaf = one.issue(ending(example(), 90));
    for chain in [[&leaf.der, &one.der, &crossed], [&leaf.der, &crossed, &one.der]] {
        for roots in [[&old.der, &new.der], [&new.der, &old.der]] {
            let found = trust(&chain, &roots);
            assert_eq!((found.problems, found.days_left), (vec![], Some(90)));
            assert_eq!(found.anchor.as_deref(), Some("CN=new"));
        }
    }
}

#[test]
fn roots_from_a_file_have_dates() {
    let current = Entity::root("root");
    let at = |from, until| {
        let params = valid(current.params.clone(), from, until);
        params.self_signed(&current.key).unwrap().der().clone()
    };
    let [ended, early] = [at(2010, 2021), at(2080, 2090)];
    let one = current.issue(ca("intermediate"));
    let leaf = one.issue(example());
    let chain = [&leaf.der, &one.der];
    agree("an expired root", &chain, &[&ended], &[Expired]);
    agree("a root of the future", &chain, &[&early], &[NotYetValid]);
    for roots in [[&ended, &current.der], [&current.der, &ended], [&early, &current.der]] {
        agree("a current root beside it", &chain, &roots, &[]);
    }
    assert_eq!(trust(&chain, &[&ended]).anchor.as_deref(), Some("CN=root"));
    // A root that is sent as well changes nothing.
    agree("the ended root is sent", &[&leaf.der, &one.der, &ended], &[&ended], &[Expired]);
}

#[test]
fn roots_from_a_file_are_held_to_what_they_say() {
    let under = |root: Entity| {
        let one = root.issue(ca("intermediate"));
        let leaf = one.issue(example());
        (root.der, one.der, leaf.der)
    };
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca("root");
        change(&mut params);
        under(Entity::self_signed(params))
    };
    type Change = dyn Fn(&mut CertificateParams);
    let cases: [(&str, Box<Change>, &[Problem]); 6] = [
        ("no CA", Box::new(|root| root.is_ca = IsCa::ExplicitNoCa), &[IssuerNotCa]),
        (
            "no right to sign",
            Box::new(|root| root.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            &[IssuerNotCa],
        ),
        (
            "for email only",
            Box::new(|root| {
                root.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
            }),
            &[BadPurpose],
        ),
        (
            "a path of none",
            Box::new(|root| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
            &[PathLength],
        ),
        (
            "a path of one",
            Box::new(|root| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
            &[],
        ),
        ("no key usage", Box::new(|root| root.key_usages = vec![]), &[]),
    ];
    for (what, change, expected) in cases {
        let (root, one, leaf) = with(&*change);
        agree(what, &[&leaf, &one], &[&root], expected);
    }
}

#[test]
fn an_issuer_may_not_sign_without_the_key_usage_for_it() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign};
    for (usages, expected) in [
        (vec![DigitalSignature], &[IssuerNotCa][..]),
        (vec![CrlSign], &[IssuerNotCa]),
        (vec![KeyCertSign], &[]),
        (vec![DigitalSignature, KeyCertSign, CrlSign], &[]),
        (vec![], &[]),
    ] {
        let what = format!("{usages:?}");
        let intermediate = issuing(|ca| ca.key_usages = usages);
        let pki = Pki::of(Entity::root("root"), intermediate, example());
        agree(&what, &[&pki.leaf.der, &pki.ca.der], &[&pki.root.der], expected);
    }
}

#[test]
fn another_issuer_with_the_right_is_preferred() {
    let root = Entity::root("root");
    let good = root.issue(ca("intermediate"));
    let mut params = good.params.clone();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let bad = root.issue_for(params, rcgen::KeyPair::from_pem(&good.key.serialize_pem()).unwrap());
    let leaf = good.issue(example());
    for chain in [[&leaf.der, &bad.der, &good.der], [&leaf.der, &good.der, &bad.der]] {
        assert_eq!(problems(&chain, &[&root.der]), []);
    }
}

#[test]
fn the_key_of_a_leaf_must_be_for_signatures() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyEncipherment};
    let root = Entity::root("root");
    for (usages, expected) in [
        (vec![CrlSign], &[BadPurpose][..]),
        (vec![KeyEncipherment], &[BadPurpose]),
        (vec![KeyAgreement], &[BadPurpose]),
        (vec![KeyEncipherment, DigitalSignature], &[]),
        (vec![DigitalSignature], &[]),
        (vec![], &[]),
    ] {
        let leaf = root.issue(serving(|leaf| leaf.key_usages = usages.clone()));
        assert_eq!(problems(&[&leaf.der], &[&root.der]), expected, "{usages:?}");
    }
}

#[test]
fn critical_policies_do_not_fail_a_path_and_are_listed() {
    const POLICIES: &[u64] = &[2, 5, 29, 32];
    const MAPPINGS: &[u64] = &[2, 5, 29, 33];
    const CONSTRAINTS: &[u64] = &[2, 5, 29, 36];
    const INHIBIT: &[u64] = &[2, 5, 29, 54];
    let domain_validated = element(6, &[vec![0x67, 0x81, 0x0c, 1, 2, 1]]);
    let policies = element(0x30, &[element(0x30, std::slice::from_ref(&domain_validated))]);
    let mappings = element(0x30, &[element(0x30, &[domain_validated.clone(), domain_validated])]);
    let constraints = element(0x30, &[element(0x80, &[vec![0]])]);
    let leaf = serving(|leaf| leaf.custom_extensions = vec![critical(POLICIES, policies.clone())]);
    let intermediate = issuing(|ca| {
        ca.custom_extensions = vec![
            critical(MAPPINGS, mappings),
            critical(CONSTRAINTS, constraints),
            critical(INHIBIT, element(2, &[vec![0]])),
        ];
    });
    let pki = Pki::of(Entity::root("root"), intermediate, leaf);
    let chain = [&pki.leaf.der, &pki.ca.der];
    agree("critical policies", &chain, &[&pki.root.der], &[]);
    let found = trust(&chain, &[&pki.root.der]);
    assert_eq!(
        found.not_evaluated,
        ["certificate_policies", "policy_mappings", "policy_constraints", "inhibit_any_policy"]
    );

    let plain = serving(|leaf| {
        leaf.custom_extensions =
            vec![CustomExtension::from_oid_content(POLICIES, policies.clone())];
    });
    let plain = pki.root.issue(plain);
    assert!(trust(&[&plain.der], &[&pki.root.der]).not_evaluated.is_empty());

    let unknown = serving(|leaf| {
        leaf.custom_extensions =
            vec![critical(POLICIES, policies), critical(&[1, 2, 3], vec![5, 0])];
    });
    let unknown = pki.root.issue(unknown);
    let chain = [&unknown.der];
    agree("another one beside it", &chain, &[&pki.root.der], &[CriticalExtension]);
}

#[test]
fn the_certificate_type_of_netscape_is_known() {
    const TYPE: &[u64] = &[2, 16, 840, 1, 113730, 1, 1];
    let root = Entity::root("root");
    for (bits, expected) in [(0x40, &[][..]), (0x80, &[BadPurpose])] {
        let value = element(3, &[vec![6, bits]]);
        let leaf = root.issue(serving(|leaf| leaf.custom_extensions = vec![critical(TYPE, value)]));
        agree("a certificate type", &[&leaf.der], &[&root.der], expected);
    }
}

#[test]
fn dates_before_1970_are_dates() {
    let old = |params| valid(params, 1955, 2090);
    let root = Entity::self_signed(old(ca("root")));
    let pki = Pki::of(root, old(ca("intermediate")), old(example()));
    agree("an old path", &[&pki.leaf.der, &pki.ca.der], &[&pki.root.der], &[]);
    let ended = pki.ca.issue(valid(example(), 1950, 1960));
    agree("ended long ago", &[&ended.der, &pki.ca.der], &[&pki.root.der], &[Expired]);
    let facts = Certificate::new(&pki.leaf.der);
    assert_eq!(facts.not_before.as_deref(), Some("1955-01-01T00:00:00Z"));
}

#[test]
fn unique_identifiers_are_passed_over() {
    let pki = Pki::new();
    let with_identifiers = |entity: &Entity, issuer: &Entity| {
        entity.altered(issuer, |fields| {
            let at = fields.len() - 1;
            fields.insert(at, element(0x81, &[vec![0, 1, 2]]));
            fields.insert(at + 1, element(0x82, &[vec![0, 3, 4]]));
        })
    };
    let leaf = with_identifiers(&pki.leaf, &pki.ca);
    let one = with_identifiers(&pki.ca, &pki.root);
    agree("in the leaf", &[&leaf, &pki.ca.der], &[&pki.root.der], &[]);
    agree("in both", &[&leaf, &one], &[&pki.root.der], &[]);
    let expired = pki.ca.issue(valid(example(), 2021, 2022));
    let expired = with_identifiers(&expired, &pki.ca);
    agree("and expired", &[&expired, &one], &[&pki.root.der], &[Expired]);
}

#[test]
fn a_path_length_may_be_large() {
    let root = Entity::root("root");
    let one = root.issue(ca("intermediate"));
    let one = Entity {
        der: one.altered(&root, |fields| {
            let mut extensions = children(&children(fields.last().unwrap())[0]);
            extensions.retain(|extension| !extension.windows(3).any(|id| id == [0x55, 0x1d, 19]));
            let value = element(0x30, &[vec![1, 1, 0xff], vec![2, 2, 3, 0xe8]]);
            let id = element(6, &[vec![0x55, 0x1d, 19]]);
            extensions.push(element(0x30, &[id, vec![1, 1, 0xff], element(4, &[value])]));
            *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
        }),
        ..one
    };
    let leaf = one.issue(example());
    agree("1,000 below it", &[&leaf.der, &one.der], &[&root.der], &[]);
    assert_eq!(Certificate::new(&one.der).path_length, Some(1_000));
}

#[test]
fn authorities_that_are_issued_by_themselves_do_not_count() {
    let root = Entity::root("root");
    let constrained = issuing(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let one = root.issue(constrained);
    // The same name under a new key.
    let rolled = one.issue(ca("intermediate"));
    let leaf = rolled.issue(example());
    agree("a rollover", &[&leaf.der, &rolled.der, &one.der], &[&root.der], &[]);
    let other = one.issue(ca("other"));
    let leaf = other.issue(example());
    agree("another CA", &[&leaf.der, &other.der, &one.der], &[&root.der], &[PathLength]);
}

/// A leaf under a CA that may only certify subjects of one country.
fn under_directory_constraint(country: &str, excluded: bool) -> (Pki, &'static [Problem]) {
    let mut germany = rcgen::DistinguishedName::new();
    germany.push(DnType::CountryName, "DE");
    let subtrees = vec![GeneralSubtree::DirectoryName(germany)];
    let none = Vec::new();
    let (permitted_subtrees, excluded_subtrees) =
        if excluded { (none, subtrees) } else { (subtrees, none) };
    let intermediate = issuing(|ca| {
        ca.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees });
    });
    let mut leaf = example();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    let printable = country.to_owned().try_into().unwrap();
    leaf.distinguished_name.push(DnType::CountryName, DnValue::PrintableString(printable));
    leaf.distinguished_name.push(DnType::CommonName, "example.com");
    let is_allowed = country.eq_ignore_ascii_case("DE") != excluded;
    let expected: &[Problem] = if is_allowed { &[] } else { &[NameConstraint] };
    (Pki::of(Entity::root("root"), intermediate, leaf), expected)
}

#[test]
fn constraints_on_directory_names_are_evaluated() {
    for excluded in [false, true] {
        for country in ["DE", "de", "FR"] {
            let (pki, expected) = under_directory_constraint(country, excluded);
            let what = format!("{country}, excluded: {excluded}");
            agree(&what, &[&pki.leaf.der, &pki.ca.der], &[&pki.root.der], expected);
        }
    }
}

#[test]
fn constraints_on_other_names_are_evaluated() {
    let subtree = |tag: u8, base: &str| element(0x30, &[element(tag, &[base.into()])]);
    let leaf_named = |tag: u8, name: &str| {
        let names =
            element(0x30, &[element(0x82, &[b"example.com".into()]), element(tag, &[name.into()])]);
        serving(|leaf| {
            leaf.subject_alt_names.clear();
            leaf.custom_extensions =
                vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
        })
    };
    const EMAIL: u8 = 0x81;
    const URI: u8 = 0x86;
    for (tag, base, name, expected) in [
        (EMAIL, "example.com", "a@example.com", &[][..]),
        (EMAIL, ".example.com", "a@example.com", &[NameConstraint]),
        (EMAIL, "a@example.com", "b@example.com", &[NameConstraint]),
        (URI, "example.com", "https://example.com:8443/x", &[]),
        (URI, ".example.com", "https://www.example.com/", &[]),
        (URI, "example.com", "https://example.org/", &[NameConstraint]),
    ] {
        let constraints = element(0x30, &[element(0xa0, &[subtree(tag, base)])]);
        let intermediate = issuing(|ca| {
            ca.custom_extensions = vec![critical(&[2, 5, 29, 30], constraints)];
        });
        let pki = Pki::of(Entity::root("root"), intermediate, leaf_named(tag, name));
        let what = format!("{name} under {base}");
        agree(&what, &[&pki.leaf.der, &pki.ca.der], &[&pki.root.der], expected);
    }
}

#[test]
fn an_issuer_may_be_named_in_another_case_or_string_type() {
    let named = |value: DnValue| {
        let mut params = ca("");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, value);
        params
    };
    let printable = DnValue::PrintableString("Corporate  ca".to_owned().try_into().unwrap());
    let root = Entity::self_signed(named(printable));
    let as_issuer = Entity {
        params: named(DnValue::Utf8String("Corporate CA".to_owned())),
        key: rcgen::KeyPair::from_pem(&root.key.serialize_pem()).unwrap(),
        der: root.der.clone(),
    };
    let leaf = as_issuer.issue(example());
    agree("a root", &[&leaf.der], &[&root.der], &[]);

    let top = Entity::root("root");
    let one = top.issue_for(
        root.params.clone(),
        rcgen::KeyPair::from_pem(&root.key.serialize_pem()).unwrap(),
    );
    let leaf = as_issuer.issue(example());
    agree("an intermediate", &[&leaf.der, &one.der], &[&top.der], &[]);
    let expired = as_issuer.issue(valid(example(), 2021, 2022));
    agree("and expired", &[&expired.der, &one.der], &[&top.der], &[Expired]);
}

#[test]
fn what_is_not_well_formed_stays_bad_encoding() {
    let pki = Pki::new();
    let altered = |surgery: &dyn Fn(&mut Vec<Vec<u8>>)| pki.leaf.altered(&pki.ca, surgery);
    let fractions = altered(&|fields| {
        let from = element(0x18, &[b"20200101000000.5Z".into()]);
        fields[4] = element(0x30, &[from, element(0x18, &[b"20900101000000Z".into()])]);
    });
    let trailing = altered(&|fields| fields.push(vec![5, 0]));
    for (what, leaf) in [("fractions of a second", fractions), ("something behind it", trailing)] {
        let found = problems(&[&leaf, &pki.ca.der], &[&pki.root.der]);
        assert!(found.contains(&BadEncoding), "{what}: {found:?}");
    }
}

#[test]
fn a_certificate_without_extensions_is_for_no_name() {
    let pki = Pki::new();
    let bare = pki.leaf.altered(&pki.ca, |fields| drop(fields.pop()));
    let chain = [&bare, &pki.ca.der];
    assert_eq!(problems(&chain, &[&pki.root.der]), [Problem::NameMismatch]);
    let facts = Certificate::new(&bare);
    assert_eq!((facts.version, facts.names), (Some(3), Some(vec![])));
}

#[test]
fn names_of_servers_do_not_matter_to_constraints_on_others() {
    let named = server(&["example.com", "192.0.2.7"]);
    let intermediate = issuing(|ca| {
        ca.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::Rfc822Name("example.org".to_owned())],
            excluded_subtrees: vec![],
        });
        ca.not_after = date_time_ymd(2089, 1, 1);
    });
    let pki = Pki::of(Entity::root("root"), intermediate, named);
    agree("only emails", &[&pki.leaf.der, &pki.ca.der], &[&pki.root.der], &[]);
}
