//! Chains and staples that are made to cost: the worst of each kind that is known.

use std::hint::black_box;

use rustls_pki_types::CertificateDer;
use tlsweep::cert::{Judge, Presented, Roots, Wanted};

use super::forge::{
    Fields, Key, alternative_names, answer, ca, element, extension, name, name_constraints,
    response, tag,
};
use super::{NAME, Operation, UNPROVEN, now};

/// The largest public exponent that a key may have.
const LARGEST: &[u8] = &[1, 0xff, 0xff, 0xff, 0xff];

/// All of them. Each begins with nothing remembered, as every one of a thousand servers can demand.
pub(crate) fn costly() -> Vec<Operation> {
    vec![
        ("chain of 20,000 empty certificates", judge(vec![vec![]; 20_000], vec![])),
        ("chain of 256 certificates", judge(many(256), vec![])),
        ("dense staple", dense_staple()),
        ("mesh of P-521 keys", judge(mesh(Key::p521, 0), vec![])),
        (
            "mesh of RSA keys of 8,192 bits",
            judge(mesh(|n| Key::rsa(n, 8192, LARGEST, None), 0), vec![]),
        ),
        (
            "mesh of RSA keys with an unusual salt",
            judge(mesh(|n| Key::rsa(n, 4096, LARGEST, Some(40)), 0), vec![]),
        ),
        ("10,000 names and 4,000 name constraints", judge(names(10_000, 4_000, short_dns), vec![])),
        ("1,300 addresses and 1,300 networks", judge(addresses(), vec![])),
        ("a long name and 4,000 name constraints", judge(names(1, 4_000, long_dns), vec![])),
        ("800 directory names and 800 of them excluded", judge(directories(), vec![])),
        ("6,000 extensions", judge(vec![leaf_with(odd_extensions(6_000))], vec![])),
        ("1,000 policies", judge(vec![leaf_with(vec![policies()])], vec![])),
        ("deep nesting", judge(vec![leaf_with(vec![nested()])], vec![])),
        ("everything at once", everything()),
    ]
}

fn judge(chain: Vec<Vec<u8>>, ocsp: Vec<u8>) -> Box<dyn FnMut()> {
    let chain = chain.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
    let mut roots = Roots::default();
    let root = Key::p256(ROOT);
    roots.add(&certificate(("root", &root), ("root", &root), &[ca()]).into()).unwrap();
    let wanted = Wanted { chain: true, ..Wanted::default() };
    Box::new(move || {
        let judge = Judge::new(roots.clone());
        let presented =
            Presented { chain: &chain, name: Some(&NAME), ocsp: &ocsp, proof: &UNPROVEN };
        drop(black_box(judge.examine(presented, now(), wanted)));
    })
}

/// The number of the key of the one root that is trusted.
const ROOT: u8 = 99;

fn certificate(issuer: (&str, &Key), subject: (&str, &Key), extensions: &[Vec<u8>]) -> Vec<u8> {
    certificate_of(&[1], issuer, subject, extensions)
}

fn certificate_of(
    serial: &[u8],
    (issuer, by): (&str, &Key),
    (subject, key): (&str, &Key),
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let fields = Fields {
        serial,
        issuer: &name(issuer.as_bytes()),
        subject: &name(subject.as_bytes()),
        not_before: b"20200101000000Z",
        not_after: b"20900101000000Z",
        key,
        extensions,
    };
    fields.signed_by(by)
}

fn leaf_with(extensions: Vec<Vec<u8>>) -> Vec<u8> {
    let key = Key::p256(1);
    certificate(("issuer", &key), ("leaf", &key), &extensions)
}

fn many(count: usize) -> Vec<Vec<u8>> {
    let key = Key::p256(1);
    let name = |at: usize| format!("{at}");
    (0..count).map(|at| certificate((&name(at + 1), &key), (&name(at), &key), &[ca()])).collect()
}

/// Three storeys of four authorities of one name each. The uppermost are certified by the root; whoever
/// else signed is known only once every signature was tried.
fn mesh(key: impl Fn(u8) -> Key, extensions: usize) -> Vec<Vec<u8>> {
    const STOREYS: [&str; 5] = ["leaf", "low", "middle", "high", "root"];
    let keys = (1..=13).map(key).collect::<Vec<_>>();
    let root = Key::p256(ROOT);
    let mut chain = vec![certificate(("low", &keys[4]), ("leaf", &keys[0]), &[])];
    let extensions = [vec![ca()], odd_extensions(extensions)].concat();
    for storey in 1..4 {
        for at in 0..4 {
            let own = &keys[(storey - 1) * 4 + 1 + at];
            let above = keys.get(storey * 4 + 4).unwrap_or(&root);
            let issuer = (STOREYS[storey + 1], above);
            chain.push(certificate(issuer, (STOREYS[storey], own), &extensions));
        }
    }
    chain
}

const DNS: u8 = 0x82;

fn short_dns(at: usize) -> Vec<u8> {
    element(DNS, &[&[b'a' + (at % 20) as u8]])
}

fn long_dns(at: usize) -> Vec<u8> {
    match at {
        0 => element(DNS, &["a.".repeat(17_000).as_bytes(), b"a"]),
        _ => short_dns(at),
    }
}

/// So many names in the leaf, and so many constraints above it, which name others.
fn names(count: usize, constraints: usize, name: fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    let names = (0..count).map(name).collect::<Vec<_>>();
    let bases = (1..=constraints).map(|_| element(DNS, &[b"z"])).collect::<Vec<_>>();
    constrained(names, bases)
}

fn constrained(names: Vec<Vec<u8>>, bases: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let keys = [1, 2, ROOT].map(Key::p256);
    let leaf = certificate(("low", &keys[1]), ("leaf", &keys[0]), &[alternative_names(&names)]);
    let low = |authority: &Key| {
        let constraints = name_constraints(&[], &bases);
        certificate(("root", authority), ("low", &keys[1]), &[ca(), constraints])
    };
    vec![leaf, low(&keys[2])]
}

fn addresses() -> Vec<Vec<u8>> {
    let address = |at: usize| [10, 0, (at >> 8) as u8, at as u8];
    let names = (0..1_300).map(|at| element(0x87, &[&address(at)])).collect();
    let bases = (0..1_300).map(|at| element(0x87, &[&address(at + 5_000), &[0xff; 4]])).collect();
    constrained(names, bases)
}

fn directories() -> Vec<Vec<u8>> {
    let directory = |at: usize| element(0xa4, &[&name(format!("Example {}", at % 10).as_bytes())]);
    let names = (0..800).map(directory).collect();
    let bases = (0..800).map(|at| directory(at + 10)).map(|mut base| {
        base.iter_mut().rev().take(1).for_each(|byte| *byte = b'x');
        base
    });
    constrained(names, bases.collect())
}

fn odd_extensions(count: usize) -> Vec<Vec<u8>> {
    let id = |at: usize| element(tag::OID, &[&[0x2a, 0x80 | (at >> 7) as u8, at as u8 & 0x7f]]);
    let value = element(tag::OCTET_STRING, &[]);
    (0x80..0x80 + count).map(|at| element(tag::SEQUENCE, &[&id(at), &value])).collect()
}

fn policies() -> Vec<u8> {
    let policy = |at: usize| {
        let id = element(tag::OID, &[&[0x2a, 0x80 | (at >> 7) as u8, at as u8 & 0x7f]]);
        element(tag::SEQUENCE, &[&id])
    };
    let policies = (0x80..1_080).map(policy).collect::<Vec<_>>().concat();
    extension(32, false, &element(tag::SEQUENCE, &[&policies]))
}

/// One SEQUENCE in the other, as deep as a message is long, where names of points are parsed.
fn nested() -> Vec<u8> {
    let inside = (0..10_000).fold(vec![], |inside, _| element(tag::context(0), &[&inside]));
    extension(31, false, &element(tag::SEQUENCE, &[&inside]))
}

/// As many answers as are looked at for as many issuers of one name, and responders that are none.
fn dense_staple() -> Box<dyn FnMut()> {
    let (chain, ocsp) = staple_of(|number| Key::rsa(number, 8192, LARGEST, None), &[1], 400);
    judge(chain, ocsp)
}

/// The key of the leaves of [`dense`].
pub(crate) fn leaf_key() -> Key {
    Key::p256(1)
}

/// The answers in a staple of [`dense`].
pub(crate) const DENSE_ANSWERS: usize = 100;

/// A chain and its dense staple, in which the leaf has this serial number, so that nothing that is
/// remembered of another one helps. With more answers, the flight would not fit into the 64 KiB that rustls
/// buffers.
pub(crate) fn dense(serial: u16) -> (Vec<Vec<u8>>, Vec<u8>) {
    let [high, low] = serial.to_be_bytes();
    staple_of(|number| Key::rsa(number, 8192, LARGEST, None), &[1, high, low], DENSE_ANSWERS)
}

fn staple_of(key: impl Fn(u8) -> Key, serial: &[u8], answers: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let issuers = (1..=13).map(&key).collect::<Vec<_>>();
    let leaf_key = leaf_key();
    let leaf = certificate_of(serial, ("issuer", &issuers[12]), ("leaf", &leaf_key), &[]);
    let own = |key: &Key| certificate(("issuer", key), ("issuer", key), &[ca()]);
    let chain = std::iter::once(leaf).chain(issuers.iter().map(own)).collect();
    let of = |key: &Key| answer(serial, &name(b"issuer"), key, &[0x80, 0]);
    let different = issuers.iter().map(of).collect::<Vec<_>>();
    let answers = different.iter().cycle().take(answers).cloned().collect::<Vec<_>>();
    let purpose = element(tag::OID, &[&[0x2b, 6, 1, 5, 5, 7, 3, 9]]);
    let purposes = extension(37, false, &element(tag::SEQUENCE, &[&purpose]));
    let responder = key(20);
    let delegate = certificate(
        ("issuer", &issuers[12]),
        ("responder", &responder),
        std::slice::from_ref(&purposes),
    );
    let staple = response(&name(b"responder"), &responder, &answers, &vec![delegate; 4]);
    (chain, staple)
}

/// The mesh with name constraints, and a staple.
fn everything() -> Box<dyn FnMut()> {
    let mut chain = mesh(|number| Key::rsa(number, 4096, LARGEST, Some(40)), 0);
    let (_, ocsp) = staple_of(|number| Key::rsa(number, 4096, LARGEST, Some(40)), &[1], 400);
    let keys = [1, 2].map(Key::p256);
    let names = (0..2_000).map(short_dns).collect::<Vec<_>>();
    let bases = (0..1_000).map(|_| element(DNS, &[b"z"])).collect::<Vec<_>>();
    let extensions = [alternative_names(&names), name_constraints(&[], &bases)];
    chain[0] = certificate(("low", &keys[1]), ("leaf", &keys[0]), &extensions);
    judge(chain, ocsp)
}
