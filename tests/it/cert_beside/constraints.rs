//! Name constraints of an issuer.

use tlsweep::cert::Problem::NameConstraint;

use super::{Row, below, hold, issuer, leaf, usual};
use crate::support::certs::element;
use crate::support::draft::{
    NAME_CONSTRAINTS, SEQUENCE, address, alternative_names, critical, dns, email, name, oid, plain,
    uri,
};

const STAR: &str = "a star could stand for the excluded name, as for webpki and browsers";

/// The value of name constraints.
fn value(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let trees = |tag, bases: &[Vec<u8>]| {
        let trees = bases.iter().map(|base| element(SEQUENCE, std::slice::from_ref(base)));
        (!bases.is_empty()).then(|| element(tag, &trees.collect::<Vec<_>>()))
    };
    let trees = [trees(0xa0, permitted), trees(0xa1, excluded)];
    element(SEQUENCE, &trees.into_iter().flatten().collect::<Vec<_>>())
}

/// A leaf with these names besides `a.test`, under an issuer with such constraints.
fn row(names: &[Vec<u8>], constraints: Vec<u8>, is_right: bool) -> Row {
    let names = [&[dns("a.test")], names].concat();
    let what = format!("{} under {}", names.concat().escape_ascii(), constraints.escape_ascii());
    let chain = below(
        leaf([alternative_names(&names)]),
        &issuer([critical(NAME_CONSTRAINTS, &constraints)]),
    );
    Row::new(what, chain, if is_right { &[] } else { &[NameConstraint] })
}

fn permits(names: &[Vec<u8>], base: Vec<u8>, is_right: bool) -> Row {
    row(names, value(&[base], &[]), is_right)
}

fn excludes(names: &[Vec<u8>], base: Vec<u8>, is_right: bool) -> Row {
    row(names, value(&[], &[base]), is_right)
}

#[test]
fn on_dns_names() {
    hold(&[
        permits(&[], dns("test"), true),
        permits(&[], dns("a.test"), true),
        permits(&[], dns("TEST"), true),
        permits(&[], dns(".test"), true),
        permits(&[], dns(".a.test"), false),
        permits(&[], dns(""), true),
        permits(&[], dns("test."), false),
        permits(&[], dns("*.test"), false),
        permits(&[], dns("est"), false),
        permits(&[dns("*.test")], dns("test"), true),
        permits(&[dns("b.example")], dns("test"), false),
        excludes(&[], dns(".test"), false),
        excludes(&[], dns("test"), false),
        excludes(&[], dns("b.test"), true),
        excludes(&[], dns(""), false),
        excludes(&[dns("*.b.test")], dns("b.test"), false),
        excludes(&[dns("*.b.test")], dns("x.b.test"), false).both_differ(STAR),
    ]);
}

#[test]
fn on_addresses() {
    let ten = |mask: [u8; 4]| address(&[&[10, 0, 0, 0][..], &mask].concat());
    let one_in_ten = || address(&[10, 0, 0, 1, 255, 0, 0, 255]);
    hold(&[
        permits(&[address(&[10, 0, 0, 1])], ten([255, 0, 0, 0]), true),
        permits(&[address(&[11, 0, 0, 1])], ten([255, 0, 0, 0]), false),
        permits(&[address(&[10, 9, 0, 1])], one_in_ten(), true),
        permits(&[address(&[10, 9, 0, 2])], one_in_ten(), false),
        excludes(&[address(&[10, 9, 0, 1])], one_in_ten(), false),
        permits(&[], ten([255, 0, 0, 0]), true),
        permits(&[address(&[10, 0, 0, 1])], address(&[0; 32]), false),
        permits(&[address(&[10, 0, 0, 1])], address(&[0; 5]), false),
        excludes(&[address(&[0; 16])], address(&[0; 8]), true),
    ]);
}

#[test]
fn on_email_addresses() {
    let user = |domain: &str| [email(&format!("u@{domain}"))];
    hold(&[
        permits(&user("a.test"), email("a.test"), true),
        permits(&user("b.test"), email("a.test"), false),
        permits(&user("x.a.test"), email(".a.test"), true),
        permits(&user("x.a.test"), email("a.test"), false),
        permits(&[email("U@a.test")], email("u@a.test"), false),
        excludes(&user("a.test"), email("u@a.test"), false),
        permits(&[], email("a.test"), true),
    ]);
}

#[test]
fn on_uris() {
    hold(&[
        permits(&[uri("https://a.test/x")], uri("a.test"), true),
        permits(&[uri("https://a.test:8443/x")], uri("a.test"), true),
        permits(&[uri("https://x.a.test")], uri(".a.test"), true),
        permits(&[uri("https://u@a.test:1/x")], uri("a.test"), false),
        permits(&[uri("https://10.0.0.1/")], uri("a.test"), false),
        permits(&[uri("urn:x")], uri("a.test"), false),
        excludes(&[uri("urn:x")], uri("a.test"), false),
        excludes(&[uri("https://b.test")], uri("a.test"), true),
    ]);
}

#[test]
fn on_directory_names() {
    let directory = |common_name: &str| element(0xa4, &[name(common_name)]);
    hold(&[
        permits(&[], directory("Leaf"), true),
        permits(&[], directory("leaf"), true),
        permits(&[], directory("Other"), false),
        permits(&[], directory(""), true),
        excludes(&[], directory("Leaf"), false),
        excludes(&[], directory("Other"), true),
    ]);
}

#[test]
fn on_names_that_nobody_compares() {
    let other = || element(0xa0, &[oid("1.2.3"), element(0xa0, &[vec![5, 0]])]);
    let registered = || vec![0x88, 2, 0x2a, 3];
    hold(&[
        permits(&[other()], other(), false),
        permits(&[registered()], dns("test"), true),
        permits(&[], registered(), true),
    ]);
}

#[test]
fn written_unusually() {
    let bounded = |bound: Vec<u8>| {
        let tree = element(SEQUENCE, &[dns("test"), bound]);
        row(&[], element(SEQUENCE, &[element(0xa0, &[tree])]), false)
    };
    let zero = element(SEQUENCE, &[dns("test"), vec![0x80, 1, 0]]);
    let lax = issuer([plain(NAME_CONSTRAINTS, &value(&[], &[dns("test")]))]);
    hold(&[
        bounded(vec![0x80, 1, 1]),
        bounded(vec![0x81, 1, 5]),
        row(&[], element(SEQUENCE, &[element(0xa0, &[zero])]), true),
        row(&[], element(SEQUENCE, &[]), true),
        Row::new("not critical", below(usual([]), &lax), &[NameConstraint]),
    ]);
}

/// Comparing every name with every subtree costs time that a peer can make long.
#[test]
fn on_more_names_than_anybody_compares() {
    const COST: &str = "a peer could make us spend too much on comparisons; honest chains need a few \
                        hundred of them";
    let row = |names: u32, subtrees: usize, is_right: bool| {
        let names = (0..names).map(|number| dns(format!("h{number}.test"))).collect::<Vec<_>>();
        let what = format!("{} names, {subtrees} subtrees", names.len());
        Row { what, ..row(&names, value(&[], &vec![dns("evil"); subtrees]), is_right) }
    };
    hold(&[row(100, 100, true), row(999, 250, false).both_differ(COST)]);
}
