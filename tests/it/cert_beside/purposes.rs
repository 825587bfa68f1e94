//! What certificates are for: extended key usages, CA flags, version 1.

use tlsweep::cert::Problem::{
    BadPurpose, CaAsLeaf, CriticalExtension, IssuerNotCa, UnsupportedVersion,
};

use super::{Row, alone, below, hold, issuer, may_sign, root, root_key, usual};
use crate::support::certs::element;
use crate::support::draft::{
    BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, SEQUENCE, critical, is_ca, key_usage, plain, purposes,
};

const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
const OCSP: &str = "1.3.6.1.5.5.7.3.9";
const ANY: &str = "2.5.29.37.0";
const UNKNOWN: &str = "1.2.3.4";
const MICROSOFT_GATED: &str = "1.3.6.1.4.1.311.10.3.3";
const NETSCAPE_GATED: &str = "2.16.840.1.113730.4.1";

const GATED: &str = "server gated cryptography ended with the nineties";
const SIGNS: &str = "RFC 8446 wants a leaf that may sign (section 4.4.2.2); \
                     for OpenSSL and GnuTLS to encipher is enough";
const CA: &str = "browsers take no CA for a server; OpenSSL and GnuTLS do not mind";

fn plainly(ids: &[&str]) -> Vec<u8> {
    plain(EXTENDED_KEY_USAGE, &purposes(ids))
}

fn critically(ids: &[&str]) -> Vec<u8> {
    critical(EXTENDED_KEY_USAGE, &purposes(ids))
}

#[test]
fn purposes_of_a_leaf() {
    let row = |what, purposes, is_right: bool| {
        let expected = if is_right { &[][..] } else { &[BadPurpose] };
        Row::new(what, alone(&usual([purposes])), expected)
    };
    hold(&[
        Row::new("none", alone(&usual([])), &[]),
        row("server", plainly(&[SERVER]), true),
        row("critical server", critically(&[SERVER]), true),
        row("any", plainly(&[ANY]), false),
        row("any and server", plainly(&[ANY, SERVER]), true),
        row("client", plainly(&[CLIENT]), false),
        row("critical unknown", critically(&[UNKNOWN]), false),
        row("critical unknown and server", critically(&[UNKNOWN, SERVER]), true),
        row("an empty list", plainly(&[]), false),
        row("Microsoft's gated", plainly(&[MICROSOFT_GATED]), false).openssl_differs(GATED),
        row("Netscape's gated", plainly(&[NETSCAPE_GATED]), false).openssl_differs(GATED),
    ]);
}

#[test]
fn purposes_of_an_issuer() {
    let row = |what, purposes, is_right: bool| {
        let expected = if is_right { &[][..] } else { &[BadPurpose] };
        Row::new(what, below(usual([]), &issuer([purposes])), expected)
    };
    hold(&[
        Row::new("none", below(usual([]), &issuer([])), &[]),
        row("server", plainly(&[SERVER]), true),
        row("critical server", critically(&[SERVER]), true),
        row("any", plainly(&[ANY]), false),
        row("client", plainly(&[CLIENT]), false),
        row("OCSP", plainly(&[OCSP]), false),
        row("critical unknown", critically(&[UNKNOWN]), false),
        row("an empty list", plainly(&[]), false),
        row("Microsoft's gated", plainly(&[MICROSOFT_GATED]), false).openssl_differs(GATED),
        row("Netscape's gated", plainly(&[NETSCAPE_GATED]), false).both_differ(GATED),
    ]);
}

#[test]
fn kinds_that_netscape_named() {
    const FORGOTTEN: &str = "nobody but OpenSSL has looked at it since the nineties";
    let kind = |unused, bits| plain("2.16.840.1.113730.1.1", &[3, 2, unused, bits]);
    let leaf = |what, kind| Row::new(what, alone(&usual([kind])), &[]);
    hold(&[
        leaf("a server", kind(6, 0x40)),
        leaf("a client", kind(7, 0x80)).openssl_differs(FORGOTTEN),
        Row::new("an issuer for mail", below(usual([]), &issuer([kind(1, 0x02)])), &[]),
    ]);
}

#[test]
fn key_usages_of_a_leaf() {
    let row = |what, unused, bits, is_right: bool| {
        let leaf = usual([]).but(|leaf| leaf.extensions[0] = key_usage(unused, bits));
        let expected = if is_right { &[][..] } else { &[BadPurpose] };
        Row::new(what, alone(&leaf), expected)
    };
    hold(&[
        row("digitalSignature", 7, 0x80, true),
        row("digitalSignature and keyEncipherment", 5, 0xa0, true),
        row("keyEncipherment", 5, 0x20, false).both_differ(SIGNS),
        row("keyAgreement", 3, 0x08, false).both_differ(SIGNS),
        row("cRLSign", 1, 0x02, false),
        row("nonRepudiation", 6, 0x40, false),
        row("digitalSignature and keyCertSign", 2, 0x84, false)
            .both_differ("only a CA may have keyCertSign (RFC 5280, section 4.2.1.3)"),
        row("no bit", 7, 0x00, false),
    ]);
}

#[test]
fn key_usages_of_an_issuer() {
    let row = |what, unused, bits, is_right: bool| {
        let issuer = issuer([]).but(|issuer| issuer.extensions[1] = key_usage(unused, bits));
        let expected = if is_right { &[][..] } else { &[IssuerNotCa] };
        Row::new(what, below(usual([]), &issuer), expected)
    };
    let without = issuer([]).but(|issuer| drop(issuer.extensions.remove(1)));
    hold(&[
        row("keyCertSign", 2, 0x04, true),
        row("digitalSignature", 7, 0x80, false),
        row("cRLSign", 1, 0x02, false),
        Row::new("none", below(usual([]), &without), &[]),
    ]);
}

#[test]
fn issuers_must_be_authorities() {
    let not_ca = issuer([]).but(|issuer| issuer.extensions[0] = may_sign()).but(|issuer| {
        issuer.extensions.truncate(1);
    });
    let version1 = issuer([]).but(|issuer| {
        issuer.version.clear();
        issuer.extensions.clear();
    });
    let not_critical = plain(BASIC_CONSTRAINTS, &element(SEQUENCE, &[vec![1, 1, 0xff]]));
    let not_critical = issuer([]).but(|issuer| issuer.extensions[0] = not_critical);
    let old_root = root().but(|root| {
        root.version.clear();
        root.extensions.clear();
    });
    let old_root = old_root.signed_by(root_key());
    let bare_root = root().but(|root| root.extensions.clear()).signed_by(root_key());
    let odd = issuer([critical("1.2.3", &[5, 0])]);
    hold(&[
        Row::new("no basic constraints", below(usual([]), &not_ca), &[IssuerNotCa]),
        Row::new("version 1", below(usual([]), &version1), &[UnsupportedVersion, IssuerNotCa]),
        Row::new("not critical", below(usual([]), &not_critical), &[]),
        Row::new("an unknown extension", below(usual([]), &odd), &[CriticalExtension]),
        Row::new("a root of version 1", alone(&usual([])), &[]).under(&[&old_root]),
        Row::new("a root without extensions", alone(&usual([])), &[IssuerNotCa])
            .under(&[&bare_root]),
    ]);
}

#[test]
fn authorities_are_no_servers() {
    hold(&[Row::new("a CA", alone(&usual([is_ca()])), &[CaAsLeaf]).both_differ(CA)]);
}
