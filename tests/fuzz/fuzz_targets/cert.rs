//! Any chain gives facts and a verdict: bounded, the same from memory as afresh, and never
//! `trusted` for a leaf that no CA of ours has made.

#![no_main]

use std::cell::LazyCell;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{CertificateDer, ServerName};
use tlsweep::cert::{
    Certificate, Examined, Judge, MAX_INTERMEDIATES, MAX_NAMES, Presented, Roots, Trusted, Verdict,
    Wanted,
};
use tlsweep::signature::Proof;
use tlsweep_fuzz::pki;
use tlsweep_fuzz::script::Script;

const WANTED: Wanted = Wanted { cert: true, chain: true, trust: true, ocsp: true, pem: false };

thread_local! {
    static ROOTS: LazyCell<Roots> = const {
        LazyCell::new(|| {
            let mut roots = Roots::default();
            roots.add(&pki::ROOT.into()).unwrap();
            roots
        })
    };
    /// What is not trusted is not for want of a proof.
    static PROOF: LazyCell<Proof> = const { LazyCell::new(pki::held) };
}

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let now = moment(script);
    let later = moment(script);
    let name = match script.byte() % 4 {
        0 => None,
        1 => Some("fuzz.example"),
        2 => Some("192.0.2.1"),
        _ => Some("a.fuzz.example"),
    };
    let name = name.map(|name| ServerName::try_from(name).unwrap());
    let chain: Vec<_> = (0..script.byte() % 16).map(|_| certificate(script)).collect();
    let ocsp = script.rest();
    let proof = PROOF.with(|proof| (*proof).clone());
    let presented = Presented { chain: &chain, name: name.as_ref(), ocsp, proof: &proof };

    let judge = || Judge::new(ROOTS.with(|roots| (*roots).clone()));
    let experienced = judge();
    let first = experienced.examine(presented, now, WANTED);
    check(&first, &chain, ocsp);
    assert_eq!(experienced.examine(presented, now, WANTED), first);
    let then = experienced.examine(presented, later, WANTED);
    assert_eq!(judge().examine(presented, later, WANTED), then);

    let mut wanted = WANTED;
    wanted.chain = false;
    let narrow = experienced.examine(presented, later, wanted);
    assert_eq!(Examined { chain: then.chain.clone(), ..narrow }, then);
});

/// The end of the time that a certificate can speak of.
const YEAR_10000: u64 = 253_402_300_800;

fn moment(script: &mut Script<'_>) -> SystemTime {
    match script.byte() % 4 {
        0 => SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        1 => SystemTime::UNIX_EPOCH + Duration::from_secs(script.u64() % YEAR_10000),
        2 => SystemTime::UNIX_EPOCH,
        _ => {
            let before = Duration::from_secs(script.u64() >> (script.byte() % 64));
            let moment = SystemTime::UNIX_EPOCH.checked_sub(before);
            moment.unwrap_or(SystemTime::UNIX_EPOCH)
        }
    }
}

/// One of ours, perhaps changed, or whatever the script says.
fn certificate(script: &mut Script<'_>) -> CertificateDer<'static> {
    let which = usize::from(script.byte());
    let mut der = match pki::ALL.get(which % 16) {
        Some(der) => der.to_vec(),
        None => script.bytes().to_vec(),
    };
    if which >= 16 {
        script.mutate(&mut der);
    }
    der.into()
}

fn check(examined: &Examined, chain: &[CertificateDer<'_>], ocsp: &[u8]) {
    assert_eq!((examined.length, examined.sha256.len()), (chain.len(), chain.len()));
    let Some(leaf) = chain.first() else {
        return assert_eq!(*examined, Examined::default());
    };
    let facts = examined.chain.as_ref().unwrap();
    // As many as a line has room for, and with fewer names than `cert` has.
    assert!(facts.len() <= chain.len());
    let hash = |facts: &Certificate| facts.sha256.clone();
    let leaf_hash = examined.cert.as_deref().map(hash);
    assert!(facts.first().is_none_or(|first| leaf_hash == Some(hash(first))));
    assert_eq!(examined.ocsp.is_some(), !ocsp.is_empty());
    for (facts, der) in facts.iter().zip(chain) {
        assert!(facts.names.as_ref().is_none_or(|names| names.len() <= MAX_NAMES));
        let length = serde_json::to_string(facts).unwrap().len();
        assert!(length <= 4096 + 16 * der.len(), "{length} from {}", der.len());
    }

    let trust = examined.trust.as_ref().unwrap();
    let considered = examined.considered.unwrap();
    assert!(considered <= chain.len() && considered <= chain.len().max(MAX_INTERMEDIATES));
    assert!(trust.problems.is_sorted_by(|a, b| a < b), "{trust:?}");
    match (trust.verdict, trust.problems.first()) {
        (Verdict::Untrusted(verdict), Some(&gravest)) => assert_eq!(verdict, gravest),
        (Verdict::Trusted(Trusted::Trusted), None) => {
            assert!(pki::ALL.contains(&leaf.as_ref()), "a forgery: {trust:?}");
            assert_eq!(trust.anchor.as_deref(), Some("CN=Fuzz Root"));
        }
        _ => panic!("{trust:?}"),
    }
}
