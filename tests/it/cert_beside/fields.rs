//! Dates and extensions that are malformed, doubled, critical, or merely unusual.

use tlsweep::cert::Problem::{
    self, BadEncoding, BadPurpose, CaAsLeaf, CriticalExtension, Expired, NotYetValid,
};

use super::{Row, alone, for_a_test, hold, leaf, usual};
use crate::support::certs::element;
use crate::support::draft::{
    BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, NAME_CONSTRAINTS, NULL, SEQUENCE, critical,
    dns, generalized, oid, plain, uri, utc,
};

const LAX: &str = "OpenSSL and GnuTLS read BER here; browsers want DER, and so do we";
const TWICE: &str = "no extension may stand there twice (RFC 5280, section 4.2)";

#[test]
fn dates() {
    let row = |until: Vec<u8>, expected: &[Problem]| {
        let what = until.escape_ascii().to_string();
        Row::new(what, alone(&usual([]).but(|leaf| leaf.validity[1] = until)), expected)
    };
    let since = |from: Vec<u8>, expected: &[Problem]| {
        let what = from.escape_ascii().to_string();
        Row::new(what, alone(&usual([]).but(|leaf| leaf.validity[0] = from)), expected)
    };
    let bad = &[BadEncoding];
    hold(&[
        row(utc("490101000000Z"), &[]),
        row(utc("500101000000Z"), &[Expired]),
        row(generalized("99991231235959Z"), &[]),
        row(generalized("20450601000000Z"), &[]),
        row(generalized("20450601000000.5Z"), bad),
        row(utc("4506010000Z"), bad),
        row(utc("450601000000+0100"), bad),
        row(generalized("20450601000000+0100"), bad),
        row(generalized("20450601000000"), bad),
        row(utc("450601000060Z"), bad),
        row(utc("450230000000Z"), bad),
        row(utc("450229000000Z"), bad),
        row(utc("450601240000Z"), bad),
        row(utc("451301000000Z"), bad),
        row(utc("45060100000-Z"), bad),
        row(utc(""), bad),
        since(generalized("00000101000000Z"), &[]),
        since(generalized("19000101000000Z"), &[]),
        since(generalized("99991231235959Z"), &[NotYetValid]),
    ]);
}

/// A leaf for `a.test` with one more extension and no key usage of its own.
fn row(what: &str, extensions: &[Vec<u8>], expected: &[Problem]) -> Row {
    let leaf = leaf([for_a_test()]).with(extensions.iter().cloned());
    let leaf = leaf.but(|leaf| drop(leaf.extensions.remove(0)));
    Row::new(what, alone(&leaf), expected)
}

#[test]
fn extensions_that_stand_there_twice() {
    let usage = || plain(KEY_USAGE, &[3, 2, 7, 0x80]);
    let key = |id: u8| plain("2.5.29.14", &[4, 1, id]);
    let policy = || {
        let policy = element(SEQUENCE, &[oid("1.2.3")]);
        plain("2.5.29.32", &element(SEQUENCE, &[policy]))
    };
    let unknown = || plain("1.2.3", &NULL);
    let limit = || critical("2.5.29.36", &element(SEQUENCE, &[vec![0x80, 1, 0]]));
    hold(&[
        row("alternative names", &[for_a_test()], &[BadEncoding]),
        row("key usage", &[usage(), usage()], &[BadEncoding]),
        row("key identifier", &[key(1), key(2)], &[BadEncoding]),
        row("unknown", &[unknown(), unknown()], &[BadEncoding]).openssl_differs(TWICE),
        row("policies", &[policy(), policy()], &[BadEncoding]).openssl_differs(TWICE),
        row("unknown, beside critical policies", &[unknown(), unknown(), limit()], &[BadEncoding])
            .openssl_differs(TWICE),
        row("key usage, beside critical policies", &[usage(), usage(), limit()], &[BadEncoding]),
    ]);
}

#[test]
fn critical_written_otherwise() {
    let usage = |critical: &[u8]| {
        let value = element(4, &[vec![3, 2, 7, 0x80]]);
        element(SEQUENCE, &[oid(KEY_USAGE), critical.to_vec(), value])
    };
    hold(&[
        row("one", &[usage(&[1, 1, 1])], &[BadEncoding]).both_differ(LAX),
        row("false", &[usage(&[1, 1, 0])], &[]),
        row("two bytes", &[usage(&[1, 2, 0xff, 0xff])], &[BadEncoding]),
    ]);
}

#[test]
fn values_of_extensions() {
    let usage = |value: &[u8]| [plain(KEY_USAGE, value)];
    let basic = |value: &[u8]| [plain(BASIC_CONSTRAINTS, value)];
    let purposes = |value: &[u8]| [plain(EXTENDED_KEY_USAGE, value)];
    let junk = |id| [plain(id, b"junk")];
    let other = element(SEQUENCE, &[element(0xa0, &[element(SEQUENCE, &[dns("other")])])]);
    hold(&[
        row("no bits of usage", &usage(&[3, 1, 0]), &[BadPurpose]),
        row("a usage and a byte", &usage(&[3, 2, 7, 0x80, 0]), &[BadEncoding]).both_differ(LAX),
        row("a usage that is no bit string", &usage(&[4, 1, 0x80]), &[BadEncoding]),
        row("a usage with 8 unused bits", &usage(&[3, 2, 8, 0x80]), &[BadEncoding]),
        row("no CA, written", &basic(&[0x30, 3, 1, 1, 0]), &[]),
        row("no CA with a path length", &basic(&[0x30, 3, 2, 1, 0]), &[]),
        row("a CA by the number one", &basic(&[0x30, 3, 1, 1, 1]), &[BadEncoding, CaAsLeaf])
            .both_differ(LAX),
        row("junk for a CA", &basic(b"junk"), &[BadEncoding]),
        row("no CA and a byte", &basic(&[0x30, 0, 0]), &[BadEncoding]).both_differ(LAX),
        row("purposes that are none", &purposes(&NULL), &[BadEncoding]),
        row("junk for an authority key", &junk("2.5.29.35"), &[BadEncoding]),
        row("junk for a key identifier", &junk("2.5.29.14"), &[BadEncoding]),
        row("junk for information access", &junk("1.3.6.1.5.5.7.1.1"), &[]),
        row("junk for distribution points", &junk("2.5.29.31"), &[BadEncoding]),
        row("junk for policies", &junk("2.5.29.32"), &[]),
        row("critical junk for policies", &[critical("2.5.29.32", b"junk")], &[]),
        row("critical junk for any policy", &[critical("2.5.29.54", b"junk")], &[]),
        row("constraints in a leaf", &[critical(NAME_CONSTRAINTS, &other)], &[]),
        row("junk for constraints", &[critical(NAME_CONSTRAINTS, b"junk")], &[BadEncoding]),
    ]);
}

#[test]
fn critical_extensions_that_are_seldom_critical() {
    let access = element(SEQUENCE, &[oid("1.3.6.1.5.5.7.48.1"), uri("http://a")]);
    let access = element(SEQUENCE, &[access]);
    let point = element(0xa0, &[element(0xa0, &[uri("http://c")])]);
    let points = element(SEQUENCE, &[element(SEQUENCE, &[point])]);
    let key = element(SEQUENCE, &[vec![0x80, 1, b'k']]);
    let names = element(SEQUENCE, &[dns("a.test")]);
    let staple = element(SEQUENCE, &[vec![2, 1, 5]]);
    let row = |what, id, value: &[u8], is_known: bool| {
        let expected = if is_known { &[][..] } else { &[CriticalExtension] };
        row(what, &[critical(id, value)], expected)
    };
    hold(&[
        row("poison", "1.3.6.1.4.1.11129.2.4.3", &NULL, false),
        row("an authority key", "2.5.29.35", &key, false),
        row("a key identifier", "2.5.29.14", &[4, 1, b'k'], false),
        row("information access", "1.3.6.1.5.5.7.1.1", &access, false),
        row("distribution points", "2.5.29.31", &points, true),
        row("names of the issuer", "2.5.29.18", &names, false),
        row("the freshest list", "2.5.29.46", &points, false),
        self::row("must staple", &[plain("1.3.6.1.5.5.7.1.24", &staple)], &[]),
    ]);
}
