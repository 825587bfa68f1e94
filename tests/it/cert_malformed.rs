//! Malformed certificates of which webpki would trust some: the verdict is `bad_encoding`, and no
//! false problem stands beside it.

use rcgen::string::PrintableString;
use rcgen::{DnType, DnValue};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem::{BadEncoding, CriticalExtension, SelfSigned};

use crate::support::certs::{
    Entity, Pki, ca, children, element, examine, example, judge, problems,
};
use crate::support::x509;

type Der = CertificateDer<'static>;

/// A leaf under a CA. Their names have capital letters, as most do.
fn pki() -> Pki {
    Pki::of(Entity::root("Root CA"), ca("Intermediate CA"), example())
}

fn extension(number: u8, value: Vec<u8>) -> Vec<u8> {
    element(0x30, &[element(6, &[vec![0x55, 0x1d, number]]), element(4, &[value])])
}

/// The leaf with one more extension, instead of the one of the same kind.
fn with_extension(pki: &Pki, number: u8, value: &[u8]) -> Der {
    pki.leaf.altered(&pki.ca, |fields| {
        let mut extensions = children(&children(fields.last().unwrap())[0]);
        extensions.retain(|extension| children(extension)[0] != [6, 3, 0x55, 0x1d, number]);
        extensions.push(extension(number, value.to_vec()));
        *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
    })
}

/// The leaf with its field in this place changed.
fn with_field(pki: &Pki, place: usize, change: impl FnOnce(&mut Vec<u8>)) -> Der {
    pki.leaf.altered(&pki.ca, |fields| change(&mut fields[place]))
}

/// A name of one attribute of this string type.
fn name(string: u8, value: &[u8]) -> Vec<u8> {
    let attribute = element(0x30, &[vec![6, 3, 0x55, 4, 3], element(string, &[value.to_vec()])]);
    element(0x30, &[element(0x31, &[attribute])])
}

/// Malformed leaves that OpenSSL refuses, or cannot even read, and that webpki trusts.
fn refused(pki: &Pki) -> Vec<(&'static str, Der)> {
    let dns = element(0x82, &[b"example.com".to_vec()]);
    let cut_name = element(0x30, &[dns, vec![0x82, 0x50, b'a']]);
    let behind_the_key = |key: &mut Vec<u8>| {
        let mut parts = children(key);
        parts.push(vec![5, 0]);
        *key = element(0x30, &parts);
    };
    vec![
        ("a key usage that is no bit string", with_extension(pki, 15, &[4, 1, 0x80])),
        ("a key usage with 8 unused bits", with_extension(pki, 15, &[3, 2, 8, 0x80])),
        ("a name that is cut", with_extension(pki, 17, &cut_name)),
        ("an authority key identifier of junk", with_extension(pki, 35, b"junk")),
        ("a subject key identifier of junk", with_extension(pki, 14, b"junk")),
        ("distribution points of junk", with_extension(pki, 31, b"junk")),
        ("name constraints of junk", with_extension(pki, 30, b"junk")),
        ("an empty serial number", with_field(pki, 1, |serial| *serial = vec![2, 0])),
        ("a serial number with zeros", with_field(pki, 1, |serial| *serial = vec![2, 2, 0, 1])),
        ("a subject that is not UTF-8", with_field(pki, 5, |of| *of = name(0x0c, b"\xff"))),
        ("a subject that is a number", with_field(pki, 5, |of| *of = name(2, &[5]))),
        ("something behind the key", with_field(pki, 6, behind_the_key)),
    ]
}

#[test]
fn what_openssl_refuses_is_not_trusted() {
    let pki = pki();
    for (what, leaf) in refused(&pki) {
        let chain = [leaf, pki.ca.der.clone()];
        let found = problems(&chain.iter().collect::<Vec<_>>(), &[&pki.root.der]);
        assert!(found.starts_with(&[BadEncoding]), "{what}: {found:?}");
        let roots = [pki.root.der.clone()];
        if let Some(verdict) = x509::verify(&chain, &roots, "example.com") {
            assert!(verdict.is_err(), "{what}: OpenSSL trusts it");
        }
    }
}

#[test]
fn nothing_false_stands_beside_bad_encoding() {
    let pki = pki();
    for (what, leaf) in refused(&pki) {
        let found = problems(&[&leaf, &pki.ca.der], &[&pki.root.der]);
        assert_eq!(found, [BadEncoding], "{what}");
    }
    let behind: Der = [&pki.leaf.der[..], &[0]].concat().into();
    assert_eq!(problems(&[&behind, &pki.ca.der], &[&pki.root.der]), [BadEncoding]);
    // The same one level up, and with a fault of its own beside it.
    let above: Der = [&pki.ca.der[..], &[0]].concat().into();
    assert_eq!(problems(&[&pki.leaf.der, &above], &[&pki.root.der]), [BadEncoding]);
    let unknown = pki.leaf.altered(&pki.ca, |fields| {
        let mut extensions = children(&children(fields.last().unwrap())[0]);
        let id = element(6, &[vec![0x2a, 3]]);
        extensions.push(element(0x30, &[id, vec![1, 1, 1], element(4, &[vec![5, 0]])]));
        *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
    });
    let found = problems(&[&unknown, &pki.ca.der], &[&pki.root.der]);
    assert_eq!(found, [BadEncoding, CriticalExtension]);
}

#[test]
fn names_that_cannot_be_read_are_not_called_wrong() {
    let pki = pki();
    let dns = element(0x82, &[b"example.com".to_vec()]);
    let names = [element(0x30, &[dns]), vec![0]].concat();
    let chain = [with_extension(&pki, 17, &names), pki.ca.der.clone()];
    let trust = examine(&judge(&[&pki.root.der]), &chain, "example.com").trust.unwrap();
    assert_eq!((trust.problems, trust.name_ok), (vec![BadEncoding], None));
}

#[test]
fn a_sound_issuer_is_preferred() {
    let pki = pki();
    let broken = pki.ca.altered(&pki.root, |fields| {
        let mut extensions = children(&children(fields.last().unwrap())[0]);
        extensions.push(extension(31, b"junk".to_vec()));
        *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
    });
    let roots = [&pki.root.der];
    assert_eq!(problems(&[&pki.leaf.der, &broken], &roots), [BadEncoding]);
    assert_eq!(problems(&[&pki.leaf.der, &broken, &pki.ca.der], &roots), []);
    assert_eq!(problems(&[&pki.leaf.der, &pki.ca.der, &broken], &roots), []);
}

#[test]
fn self_issued_is_whoever_has_the_same_name_in_another_spelling() {
    let mut params = example();
    let spelled = DnValue::PrintableString(PrintableString::try_from("EXAMPLE").unwrap());
    params.distinguished_name.push(DnType::CommonName, spelled);
    let issuer = Entity::self_signed(params);
    let leaf = issuer.altered(&issuer, |fields| fields[3] = name(0x0c, b"example"));
    let found = examine(&judge(&[&Entity::root("root").der]), &[leaf], "example.com");
    assert_eq!(found.cert.unwrap().self_issued, Some(true));
    assert_eq!(found.trust.unwrap().problems, [SelfSigned]);
}
