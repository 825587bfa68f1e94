//! The facts are those that `openssl x509` prints.

use std::time::Duration;

use rcgen::{
    CertificateParams, CrlDistributionPoint, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tlsweep::cert::{Certificate, MAX_NAMES, pem};

use crate::support::certs::{Entity, ca, element, example, server};
use crate::support::x509;

#[test]
fn facts_of_this_machines_roots_are_openssls() {
    const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
    let Ok(bundle) = std::fs::read(BUNDLE) else {
        eprintln!("skipped: no {BUNDLE}");
        return;
    };
    let roots = CertificateDer::pem_slice_iter(&bundle).map(Result::unwrap);
    agree_with_openssl(&roots.collect::<Vec<_>>());
}

#[test]
fn facts_of_generated_certificates_are_openssls() {
    let root = Entity::root("root");
    let mut rich = server(&["example.com", "*.example.com", "192.0.2.1", "2001:db8::1"]);
    rich.distinguished_name.push(DnType::CountryName, "DE");
    rich.distinguished_name.push(DnType::OrganizationName, r#"Köhler, "Söhne" + Co\KG; <x> #1 "#);
    rich.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    rich.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    rich.extended_key_usages.push(ExtendedKeyUsagePurpose::OcspSigning);
    rich.crl_distribution_points =
        vec![CrlDistributionPoint { uris: vec!["http://crl.example/1".to_owned()] }];
    rich.serial_number = Some(vec![0x80, 1, 2, 3].into());
    let mut plain = CertificateParams::default();
    plain.distinguished_name.push(DnType::CommonName, "plain");
    let certificates = [
        root.der.clone(),
        root.issue(ca("intermediate")).der,
        root.issue(rich).der,
        root.issue(plain).der,
        root.issue_with(example(), &PKCS_RSA_SHA256).der,
        root.issue_with(example(), &PKCS_ED25519).der,
        Entity::self_signed_with(example(), &PKCS_ECDSA_P384_SHA384).der,
        Entity::self_signed_with(example(), &PKCS_RSA_SHA256).der,
        Entity::self_signed_with(example(), &PKCS_ED25519).der,
    ];
    agree_with_openssl(&certificates);
}

#[test]
fn extensions_are_read() {
    let uri = |uri: &str| element(0x86, &[uri.into()]);
    let oid = |last: u8| element(6, &[vec![0x2b, 6, 1, 5, 5, 7, 0x30, last]]);
    let access = element(
        0x30,
        &[
            element(0x30, &[oid(1), uri("http://ocsp.example")]),
            element(0x30, &[oid(2), uri("http://ca.example/1.crt")]),
        ],
    );
    let policy = |arcs: &[u8]| element(0x30, &[element(6, &[arcs.to_vec()])]);
    let policies = element(0x30, &[policy(&[0x2a, 3]), policy(&[0x67, 0x81, 0x0c, 1, 2, 2])]);
    let timestamp = [&[0, 47, 0][..], &[7; 32], &[0; 8], &[0, 0], &[4, 3, 0, 0]].concat();
    let timestamps = [&[0, 98][..], &timestamp, &timestamp].concat();
    let mut params = example();
    params.subject_alt_names.extend([
        SanType::Rfc822Name("a@example.com".try_into().unwrap()),
        SanType::URI("https://example.com".try_into().unwrap()),
    ]);
    params.custom_extensions = [
        (&[1, 3, 6, 1, 5, 5, 7, 1, 1][..], access),
        (&[2, 5, 29, 32], policies),
        (&[1, 3, 6, 1, 5, 5, 7, 1, 24], element(0x30, &[vec![2, 1, 5]])),
        (&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], element(4, &[timestamps])),
    ]
    .map(|(oid, value)| CustomExtension::from_oid_content(oid, value))
    .into();
    let facts = Certificate::new(&Entity::self_signed(params).der);
    assert_eq!(facts.names.unwrap(), ["example.com"]);
    assert_eq!(facts.addresses, None);
    assert_eq!(facts.other_names.unwrap(), ["email:a@example.com", "uri:https://example.com"]);
    assert_eq!(facts.ocsp_urls.unwrap(), ["http://ocsp.example"]);
    assert_eq!(facts.issuer_urls.unwrap(), ["http://ca.example/1.crt"]);
    assert_eq!(facts.crl_urls, None);
    assert_eq!(facts.policy.as_deref(), Some("OV"));
    assert_eq!(facts.must_staple, Some(true));
    assert_eq!(facts.sct_count, Some(2));
    assert_eq!(facts.wildcard, Some(false));
    assert_eq!(facts.self_issued, Some(true));
}

#[test]
fn dns_names_and_addresses_are_kept_apart() {
    let mut params = server(&["10.0.0.1", "2001:db8::1"]);
    params.subject_alt_names.push(SanType::DnsName("127.0.0.1".try_into().unwrap()));
    let facts = Certificate::new(&Entity::self_signed(params).der);
    assert_eq!(facts.names.unwrap(), ["127.0.0.1"]);
    assert_eq!(facts.addresses.unwrap(), ["10.0.0.1", "2001:db8::1"]);
    assert_eq!(facts.other_names, None);
}

#[test]
fn serials_of_minus_one_and_of_255_differ() {
    let serial_of = |value: &[u8]| {
        let entity = Entity::self_signed(example());
        let der = entity.altered(&entity, |fields| fields[1] = element(2, &[value.to_vec()]));
        Certificate::new(&der).serial.unwrap()
    };
    assert_eq!(serial_of(&[0xff]), "-01");
    assert_eq!(serial_of(&[0x00, 0xff]), "ff");
}

#[test]
fn a_lifetime_includes_both_of_its_ends() {
    for (seconds, days) in [(90 * 86_400 - 1, 90), (90 * 86_400, 90), (86_399, 1), (86_398, 0)] {
        let mut params = example();
        params.not_after = params.not_before + Duration::from_secs(seconds);
        let facts = Certificate::new(&Entity::self_signed(params).der);
        assert_eq!(facts.lifetime_days, Some(days), "{seconds} s");
    }
}

#[test]
fn names_are_bounded_and_counted() {
    for (suffix, is_kept) in [("", MAX_NAMES..=MAX_NAMES), (".with-a-longer.example", 450..=600)] {
        let names = (0..MAX_NAMES + 5).map(|number| format!("n{number}{suffix}"));
        let names = names.collect::<Vec<_>>();
        let names = names.iter().map(String::as_str).collect::<Vec<_>>();
        let facts = Certificate::new(&Entity::self_signed(server(&names)).der);
        let kept = facts.names.unwrap();
        assert!(is_kept.contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept, names[..kept.len()]);
        assert_eq!(facts.names_count, Some(MAX_NAMES + 5));
        assert_eq!(facts.addresses_count, None);
    }
}

#[test]
fn facts_survive_a_cut() {
    let der = Entity::self_signed(example()).der;
    let whole = Certificate::new(&der);
    let mut previous = 0;
    for length in 0..der.len() {
        let facts = Certificate::new(&der[..length]);
        let facts = serde_json::to_value(facts).unwrap();
        let facts = facts.as_object().unwrap().clone();
        assert!(facts.contains_key("sha256"));
        // What is told of a part is true of the whole, and more of it tells no less.
        let whole = serde_json::to_value(&whole).unwrap();
        for (key, value) in facts.iter().filter(|(key, _)| *key != "sha256") {
            assert_eq!(*value, whole[key], "{key} at {length}");
        }
        assert!(facts.len() >= previous, "at {length}");
        previous = facts.len();
    }
}

#[test]
fn pem_is_read_back() {
    let der = Entity::self_signed(example()).der;
    let read = CertificateDer::from_pem_slice(pem(&der).as_bytes()).unwrap();
    assert_eq!(read, der);
    assert!(pem(&der).lines().all(|line| line.len() <= 64));
}

fn agree_with_openssl(certificates: &[CertificateDer<'_>]) {
    for der in certificates {
        let Some(differences) = x509::differences(der) else {
            return;
        };
        assert_eq!(differences, [""; 0]);
    }
}
