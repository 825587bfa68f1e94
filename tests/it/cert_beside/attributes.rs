//! Attributes of distinguished names, compared with `openssl x509 -nameopt`.

use super::{root_key, usual};
use crate::support::certs::element;
use crate::support::draft::{SEQUENCE, SET, UTF8, attribute};
use crate::support::x509;

/// The numbers and short names that we know.
const KNOWN: &str = include_str!("../../../src/cert/oid/attributes.txt");

/// Where tlsweep and OpenSSL write a subject of these parts differently.
fn differences(parts: &[Vec<u8>]) -> Option<Vec<String>> {
    let subject = element(SEQUENCE, parts);
    let der = usual([]).but(|leaf| leaf.subject = subject).signed_by(root_key());
    let all = x509::differences(&der)?;
    Some(all.into_iter().filter(|difference| difference.starts_with("subject")).collect())
}

#[test]
fn short_names_are_those_of_openssl() {
    let numbers = KNOWN.lines().map(|line| line.split_once(' ').unwrap().0).collect::<Vec<_>>();
    assert!(numbers.len() > 80, "only {} attributes", numbers.len());
    for some in numbers.chunks(20) {
        let parts = some.iter().map(|id| attribute(id, UTF8, b"x")).collect::<Vec<_>>();
        let Some(differences) = differences(&parts) else { return };
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

#[test]
fn parts_without_attributes_are_left_out() {
    let empty = || element(SET, &[]);
    let common = || attribute("2.5.4.3", UTF8, b"x");
    let country = || attribute("2.5.4.6", 0x13, b"DE");
    for parts in [
        vec![empty(), common()],
        vec![common(), empty()],
        vec![common(), empty(), country()],
        vec![empty(), empty()],
    ] {
        let Some(differences) = differences(&parts) else { return };
        assert!(differences.is_empty(), "{parts:02x?}: {differences:#?}");
    }
}

#[test]
fn special_characters_are_escaped_as_by_openssl() {
    for text in ["a,b+c=\"d\"<e>;#f\\", "#x", " a b", "Käse", "=x", "a=b"] {
        let Some(differences) = differences(&[attribute("2.5.4.3", UTF8, text.as_bytes())]) else {
            return;
        };
        assert!(differences.is_empty(), "{text}: {differences:#?}");
    }
    let Some(differences) = differences(&[attribute("1.2.3.4", UTF8, b"x")]) else { return };
    assert!(differences.iter().all(|it| it.to_lowercase().matches("#0c0178").count() == 2));
}
