//! Certificates that are not DER, or not as RFC 5280 wants them.

use tlsweep::cert::Problem::{
    self, BadEncoding, BadSignature, NameMismatch, UnsupportedSignature, UnsupportedVersion,
};

use super::{Der, Row, alone, hold, root_key, usual};
use crate::support::certs::{children, element};
use crate::support::draft::{Draft, NULL, SEQUENCE, algorithm, attribute, name};

const LAX: &str = "OpenSSL and often GnuTLS read BER; browsers want DER, and so do we";
const VERSION: &str = "only version 3 has extensions (RFC 5280, section 4.1.2.9)";

fn row(what: &str, draft: &Draft, expected: &[Problem]) -> Row {
    Row::new(what, alone(draft), expected)
}

/// A certificate that is signed and then changed.
fn changed(what: &str, change: impl FnOnce(&mut Vec<Vec<u8>>), expected: &[Problem]) -> Row {
    let mut parts = children(&usual([]).signed_by(root_key()));
    change(&mut parts);
    Row::new(what, vec![element(SEQUENCE, &parts).into()], expected)
}

/// An element whose length takes two bytes though one is enough.
fn long_form(element: &[u8]) -> Vec<u8> {
    let header = if element[1] < 0x80 { 2 } else { 2 + usize::from(element[1] & 0x7f) };
    let value = &element[header..];
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    let header: &[u8] = if value.len() < 256 {
        &[element[0], 0x82, high, low]
    } else {
        &[element[0], 0x83, 0, high, low]
    };
    [header, value].concat()
}

#[test]
fn versions() {
    let version = |number: u8| Draft { version: element(0xa0, &[vec![2, 1, number]]), ..usual([]) };
    hold(&[
        row("1, written", &version(0), &[UnsupportedVersion]).openssl_differs(VERSION),
        row("1", &Draft { version: vec![], ..usual([]) }, &[UnsupportedVersion])
            .openssl_differs(VERSION),
        row("2", &version(1), &[UnsupportedVersion]).openssl_differs(VERSION),
        row("3", &version(2), &[]),
        row("4", &version(3), &[BadEncoding, UnsupportedVersion]).both_differ(VERSION),
        row("-1", &version(0xff), &[BadEncoding]).openssl_differs(VERSION),
    ]);
}

#[test]
fn serial_numbers() {
    let serial = |digits: &[u8]| Draft { serial: element(2, &[digits.to_vec()]), ..usual([]) };
    hold(&[
        row("zero", &serial(&[0]), &[]),
        row("negative", &serial(&[0xff]), &[]),
        row("negative and long", &serial(&[0x80, 0]), &[]),
        row("of 21 bytes", &serial(&[0x7f; 21]), &[]),
        row("of 300 bytes", &serial(&[0x11; 300]), &[]),
        row("with leading zeros", &serial(&[0, 0, 1]), &[BadEncoding]),
        row("empty", &serial(&[]), &[BadEncoding]),
    ]);
}

#[test]
fn signatures() {
    let null = algorithm("1.2.840.10045.4.3.2", &NULL);
    let other = algorithm("1.2.840.10045.4.3.3", &[]);
    let unused = |bits| move |parts: &mut Vec<Vec<u8>>| parts[2][2] = bits;
    hold(&[
        row("NULL behind ECDSA", &usual([]).but(|it| it.algorithm = null), &[UnsupportedSignature])
            .both_differ(LAX),
        changed("two algorithms", |parts| parts[1] = other, &[BadEncoding, BadSignature]),
        changed("one unused bit", unused(1), &[BadSignature]),
        changed("nine unused bits", unused(9), &[BadEncoding, BadSignature]),
    ]);
}

#[test]
fn lengths_and_ends() {
    let sound = usual([]).signed_by(root_key());
    let long: Der = {
        use rcgen::SigningKey as _;
        let part = long_form(&usual([]).signed_part());
        let signature = element(3, &[vec![0], root_key().sign(&part).unwrap()]);
        element(SEQUENCE, &[part, usual([]).algorithm, signature]).into()
    };
    let long_list = usual([]).but(|leaf| {
        let list = long_form(&element(SEQUENCE, &leaf.extensions));
        leaf.extensions.clear();
        leaf.behind = element(0xa3, &[list]);
    });
    let behind: Der = [&sound[..], &[0]].concat().into();
    let identifiers = [element(0x81, &[vec![0, b'x']]), element(0x82, &[vec![0, b'y']])].concat();
    let mut key = children(&usual([]).key);
    key.push(NULL.to_vec());
    let key = element(SEQUENCE, &key);
    hold(&[
        Row::new("a long length", vec![long], &[BadEncoding]).both_differ(LAX),
        row("a long length of extensions", &long_list, &[BadEncoding]).both_differ(LAX),
        Row::new("something behind it", vec![behind], &[BadEncoding]).openssl_differs(
            "`openssl verify` reads files leniently; over TLS, OpenSSL refuses it",
        ),
        changed("a fourth part", |parts| parts.push(NULL.to_vec()), &[BadEncoding]),
        row("a field too many", &usual([]).but(|it| it.behind = NULL.to_vec()), &[BadEncoding]),
        row("unique identifiers", &usual([]).but(|it| it.identifiers = identifiers), &[]),
        row("something behind the key", &usual([]).but(|it| it.key = key), &[BadEncoding]),
    ]);
}

#[test]
fn subjects() {
    let of = |attributes: &[Vec<u8>]| {
        let subject = element(SEQUENCE, attributes);
        usual([]).but(|leaf| leaf.subject = subject)
    };
    let common = |string, value: &[u8]| attribute("2.5.4.3", string, value);
    hold(&[
        row("empty", &usual([]).but(|leaf| leaf.subject = name("")), &[]),
        row("not UTF-8", &of(&[common(0x0c, b"a\xff\xfe")]), &[BadEncoding]),
        row("a number", &of(&[common(2, &[5])]), &[BadEncoding]),
        row("an unknown attribute", &of(&[attribute("1.2.3.4", 0x0c, b"x")]), &[]),
        row("a star that is printable", &of(&[common(0x13, b"*@&_")]), &[]),
        row(
            "T61, BMP, universal",
            &of(&[common(0x14, b"\xe9"), common(0x1e, b"\x04\x16"), common(0x1c, b"\0\0\x04\x16")]),
            &[],
        ),
    ]);
}

#[test]
fn names_that_cannot_be_read() {
    use crate::support::draft::{ALTERNATIVE_NAMES, SET, dns, plain};
    let with = |value: Vec<u8>| {
        let names = plain(ALTERNATIVE_NAMES, &value);
        usual([]).but(|leaf| leaf.extensions[1] = names)
    };
    let sound = || element(SEQUENCE, &[dns("a.test")]);
    let built = element(0xa2, &[element(4, &[b"a.test".into()])]);
    hold(&[
        row("behind", &with([sound(), vec![0]].concat()), &[BadEncoding]).openssl_differs(LAX),
        row(
            "cut",
            &with(element(SEQUENCE, &[dns("a.test"), vec![0x82, 0x50, b'a']])),
            &[BadEncoding],
        ),
        row("constructed", &with(element(SEQUENCE, &[built])), &[BadEncoding, NameMismatch])
            .openssl_differs(LAX),
        row("in a set", &with(element(SET, &[dns("a.test")])), &[BadEncoding]),
    ]);
}
