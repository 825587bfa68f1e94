//! Which names a certificate is for.

use tlsweep::cert::Problem::{NameMismatch, UnsupportedVersion};

use super::{Row, alone, hold, leaf, root_key};
use crate::support::certs::element;
use crate::support::draft::{
    ALTERNATIVE_NAMES, Draft, SEQUENCE, address, alternative_names, critical, dns, email, name,
};

const PARTIAL: &str = "no browser lets a star stand for a part of a label (RFC 9525, section 6.3)";
const COMMON_NAME: &str = "no browser looks at a common name (RFC 9525, section 1.2)";
const FINAL_DOT: &str = "a final dot says that a name is whole; browsers take it off";

/// A certificate for one DNS name, and a client that asks for `host`.
fn named(name: impl AsRef<[u8]>, host: &str, is_right: bool) -> Row {
    let name = name.as_ref();
    let what = format!("{} for {host}", name.escape_ascii());
    let expected = if is_right { &[][..] } else { &[NameMismatch] };
    Row::new(what, alone(&leaf([alternative_names(&[dns(name)])])), expected).of(host)
}

#[test]
fn wildcards_stand_for_one_whole_label() {
    hold(&[
        named("*.a.test", "b.a.test", true),
        named("*.a.test", "c.b.a.test", false),
        named("*.a.test", "a.test", false),
        named("*.test", "a.test", false),
        named("*.com", "example.com", false),
        named("*.co.uk", "example.co.uk", true),
        named("*", "localhost", false),
        named("*.", "a.test", false),
        named("*.*.test", "b.a.test", false),
        named("www.*.test", "www.a.test", false),
        named("w*w.a.test", "www.a.test", false),
        named("w*.a.test", "www.a.test", false).openssl_differs(PARTIAL),
        named("*w.a.test", "www.a.test", false).both_differ(PARTIAL),
        named("xn--*.a.test", "xn--bcher-kva.a.test", false),
        named("*.a.test", "xn--bcher-kva.a.test", true),
        named("*.A.TEST", "b.a.test", true),
        named("*.a.test", "B.A.TEST", true),
    ]);
}

#[test]
fn labels_are_compared_whatever_their_case() {
    let long = format!("{}.test", "a".repeat(63));
    hold(&[
        named("A.TEST", "a.test", true),
        named("a.test", "A.Test", true),
        named("a_b.test", "a_b.test", true),
        named("_dmarc.a.test", "_dmarc.a.test", true),
        named(&long, &long, true),
        named("xn--bcher-kva.test", "xn--bcher-kva.test", true),
        named("XN--BCHER-KVA.test", "xn--bcher-kva.test", true),
        named("bücher.test", "xn--bcher-kva.test", false),
        named("a.test", "a.test.", true).both_differ(FINAL_DOT),
        named("*.a.test", "b.a.test.", true).both_differ(FINAL_DOT),
        named("a.test.", "a.test", false),
        named("", "a.test", false),
        named(".test", "a.test", false),
        named("a.test ", "a.test", false),
        named("a.test\0.evil", "a.test", false),
        named("b.test", "a.test", false),
    ]);
}

#[test]
fn addresses_are_no_dns_names() {
    const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1];
    const DOCUMENTED: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let row = |what, names: &[Vec<u8>], host, is_right: bool| {
        let expected = if is_right { &[][..] } else { &[NameMismatch] };
        Row::new(what, alone(&leaf([alternative_names(names)])), expected).of(host)
    };
    let v4 = address(&[127, 0, 0, 1]);
    let v6 = address(&DOCUMENTED);
    hold(&[
        row("v4", std::slice::from_ref(&v4), "127.0.0.1", true),
        row("another v4", &[address(&[127, 0, 0, 2])], "127.0.0.1", false),
        row("v4 as DNS name", &[dns("127.0.0.1")], "127.0.0.1", false),
        row("v6", std::slice::from_ref(&v6), "2001:db8::1", true),
        row("v6 spelt out", &[v6], "2001:0DB8:0:0:0:0:0:1", true),
        row("v6 as DNS name", &[dns("2001:db8::1")], "2001:db8::1", false),
        row("v4-mapped for v4", &[address(&MAPPED)], "127.0.0.1", false),
        row("v4 for v4-mapped", std::slice::from_ref(&v4), "::ffff:127.0.0.1", false),
        row("v4-mapped for itself", &[address(&MAPPED)], "::ffff:127.0.0.1", true),
        row("v4 beside a name", &[dns("x.test"), v4.clone()], "127.0.0.1", true),
        row("v4 for a name", &[v4], "a.test", false),
        row("five octets beside a name", &[address(&[1; 5]), dns("a.test")], "a.test", true),
        row("five octets", &[address(&[127, 0, 0, 1, 0])], "127.0.0.1", false),
    ]);
}

#[test]
fn common_names_count_for_nothing() {
    let called = |subject: &str, extensions: Vec<Vec<u8>>| {
        alone(&leaf(extensions).but(|leaf| leaf.subject = name(subject)))
    };
    let names = |names: &[Vec<u8>]| vec![alternative_names(names)];
    let version1 = Draft { version: vec![], ..leaf([]) };
    let version1 = version1.but(|leaf| leaf.extensions.clear());
    let version1 = version1.but(|leaf| leaf.subject = name("a.test")).signed_by(root_key());
    let wrong = &[NameMismatch];
    hold(&[
        Row::new("common name alone", called("a.test", vec![]), wrong).both_differ(COMMON_NAME),
        Row::new("another DNS name", called("a.test", names(&[dns("b.test")])), wrong),
        Row::new("an email address", called("a.test", names(&[email("a@b")])), wrong)
            .both_differ(COMMON_NAME),
        Row::new("an empty list of names", called("Leaf", names(&[])), wrong),
        Row::new("version 1", vec![version1], &[UnsupportedVersion, NameMismatch])
            .both_differ("a certificate of version 1 has no names"),
    ]);
}

#[test]
fn a_subject_may_be_empty_and_names_critical() {
    let list = element(SEQUENCE, &[dns("a.test")]);
    let [critical, plain] =
        [critical(ALTERNATIVE_NAMES, &list), alternative_names(&[dns("a.test")])];
    let of = |names: &Vec<u8>, subject| {
        alone(&leaf([names.clone()]).but(|leaf| leaf.subject = name(subject)))
    };
    hold(&[
        Row::new("critical, empty subject", of(&critical, ""), &[]),
        Row::new("plain, empty subject", of(&plain, ""), &[]),
        Row::new("critical, with subject", of(&critical, "Leaf"), &[]),
    ]);
}
