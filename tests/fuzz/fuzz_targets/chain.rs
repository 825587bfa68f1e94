//! Chains and staples that are made from fields, so that the fuzzer reaches behind the DER: what is
//! trusted has a path on which every signature holds, a genuine staple was signed by who may, lines
//! keep their limits, memory changes nothing, and no chain costs more than its share.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{CertificateDer, ServerName};
use tlsweep::cert::{
    Examined, Judge, MAX_INTERMEDIATES, MAX_KEPT_CERTIFICATES, Presented, Problem, Roots,
    Signature, Status, Trusted, Verdict, Wanted,
};
use tlsweep::feed::input::Place;
use tlsweep::limits::{OUTPUT_LINE_LIMIT, PEM_LINE_LIMIT};
use tlsweep::report::output::{FORMATS, Format, Layout};
use tlsweep::report::record::Record;
use tlsweep::signature::Proof;
use tlsweep_fuzz::cost::Unit;
use tlsweep_fuzz::family::{self, MOMENTS, Paths};
use tlsweep_fuzz::keys::Keys;
use tlsweep_fuzz::pki;
use tlsweep_fuzz::script::Script;
use tlsweep_fuzz::staple::Stapled;

/// What judging a chain may cost, in checks of an Ed25519 signature. A check took 42 to 57 µs where this
/// was written (2026-11-27, AMD EPYC), so this is 40 ms. The ceiling of a release build is 20 ms. What fuzzers add,
/// coverage and checks of overflow, slows all but the signatures down; by how much was not measured.
const CEILING: u32 = 800;

struct World {
    keys: Keys,
    roots: family::Roots,
    trusted: Roots,
    proof: Proof,
    unit: Unit,
    formats: Vec<Box<dyn Format>>,
}

thread_local! {
    static WORLD: World = World::new();
}

impl World {
    fn new() -> Self {
        let keys = Keys::default();
        let roots = family::Roots::new(&keys);
        let mut trusted = Roots::default();
        roots.0.iter().for_each(|root| trusted.add(&root.der.clone().into()).unwrap());
        let layout = Layout { no_header: true, ..Layout::default() };
        let formats = FORMATS.iter().filter(|(name, _)| *name != "detail");
        Self {
            keys,
            roots,
            trusted,
            proof: pki::held(),
            unit: Unit::default(),
            formats: formats.map(|(_, make)| make(&layout)).collect(),
        }
    }

    fn judge(&self) -> Judge {
        Judge::new(self.trusted.clone())
    }
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| examine(world, &mut Script::new(data))));

fn examine(world: &World, script: &mut Script<'_>) {
    let choices = script.byte();
    let (now, later) = (script.below(MOMENTS.len()), script.below(MOMENTS.len()));
    let wanted = Wanted { chain: choices & 1 == 1, pem: choices & 2 == 2, ..Wanted::default() };
    let name = ["a.example", "x.a.example", "b.example", "192.0.2.1"][script.below(4)];
    let name = ServerName::try_from(name).unwrap();
    let members = family::chain(script, &world.keys);
    let stapled = match (choices & 4 == 4, members.first()) {
        (true, Some(leaf)) => Some(Stapled::new(script, &world.keys, leaf)),
        _ => None,
    };
    let staple = stapled.as_ref().map_or(&[][..], |stapled| &stapled.der);
    let chain = members.iter().map(|member| CertificateDer::from(&*member.der)).collect::<Vec<_>>();
    let presented =
        Presented { chain: &chain, name: Some(&name), ocsp: staple, proof: &world.proof };
    let at = |moment: usize| SystemTime::UNIX_EPOCH + Duration::from_secs(MOMENTS[moment].1);

    let afresh = || world.judge().examine(presented, at(now), wanted);
    let first = world.unit.measured(CEILING, afresh);
    for moment in [now, later] {
        let paths = Paths::new(&members, &world.roots.0, &world.keys, moment);
        let experienced = world.judge();
        let fresh = experienced.examine(presented, at(moment), wanted);
        assert_eq!(experienced.examine(presented, at(moment), wanted), fresh);
        let elsewhere = experienced.examine(presented, at(now), wanted);
        assert_eq!(elsewhere, first, "what was remembered of another moment");
        check(&fresh, &paths, stapled.as_ref());
        check_lines(world, fresh, at(moment), wanted);
    }
}

fn check(examined: &Examined, paths: &Paths<'_>, stapled: Option<&Stapled>) {
    assert_eq!(examined.length, paths.chain.len());
    assert_eq!(examined.sha256.len(), paths.chain.len().min(MAX_KEPT_CERTIFICATES));
    let Some(trust) = &examined.trust else { return assert!(paths.chain.is_empty()) };
    let considered = examined.considered.unwrap();
    assert!(considered < paths.chain.len().max(MAX_INTERMEDIATES + 1), "{considered}");
    assert!(trust.problems.is_sorted_by(|a, b| a < b), "{trust:?}");
    match (trust.verdict, trust.problems.first()) {
        (Verdict::Untrusted(verdict), Some(&gravest)) => assert_eq!(verdict, gravest),
        (Verdict::Trusted(Trusted::Trusted), None) => {
            assert_eq!(paths.has_one(), Some(true), "no path holds: {trust:?}");
            assert!(trust.anchor.is_some());
        }
        _ => panic!("{trust:?}"),
    }
    let is_valid = examined.ocsp.as_ref().is_some_and(|ocsp| {
        assert_eq!(ocsp.signature.is_none(), ocsp.current.is_none(), "{ocsp:?}");
        ocsp.signature == Some(Signature::Valid)
    });
    if is_valid {
        assert!(stapled.unwrap().is_genuine(paths), "{:?}", examined.ocsp);
    }
    let is_revoked = is_valid && examined.ocsp.as_ref().unwrap().status == Status::Revoked;
    assert!(!is_revoked || stapled.unwrap().says_revoked());
    assert!(is_revoked || !trust.problems.contains(&Problem::Revoked), "{trust:?}");
}

fn check_lines(world: &World, examined: Examined, now: SystemTime, wanted: Wanted) {
    let target = "a.example".parse().unwrap();
    let mut record = Record::of_target(Place { line: 1, number: 1 }, &target, 443, now);
    record.set_examined(examined);
    let limit = if wanted.pem { PEM_LINE_LIMIT } else { OUTPUT_LINE_LIMIT };
    for format in &world.formats {
        let mut line = Vec::new();
        format.append(&record, &mut line).unwrap();
        assert!(line.len() <= limit, "{} bytes: {wanted:?}", line.len());
    }
}
