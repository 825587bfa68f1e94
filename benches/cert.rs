//! What judging a chain costs: with nothing remembered, and with everything.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench may panic"
)]

use std::time::SystemTime;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls_pki_types::{CertificateDer, ServerName};
use tlsweep::cert::{Judge, Presented, Roots, Wanted};
use tlsweep::signature::Proof;

type Authority<'a> = CertifiedIssuer<'a, KeyPair>;

fn judging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cert");
    for (name, algorithm, strangers_root) in [
        ("ecdsa", &PKCS_ECDSA_P384_SHA384, false),
        ("rsa", &PKCS_RSA_SHA256, false),
        ("unknown issuer", &PKCS_ECDSA_P384_SHA384, true),
    ] {
        let root = authority("root", algorithm, None);
        let intermediate = authority("intermediate", algorithm, Some(&root));
        let chain = [leaf(&intermediate), intermediate.der().clone()];
        let mut roots = Roots::built_in();
        if !strangers_root {
            roots.add(root.der()).unwrap();
        }
        let host = ServerName::try_from("www.example.com").unwrap();
        let now = SystemTime::now();
        let proof = Proof::default();
        let presented = Presented { chain: &chain, name: Some(&host), ocsp: &[], proof: &proof };
        group.bench_function(format!("{name}, cold"), |bencher| {
            bencher.iter_batched_ref(
                || Judge::new(roots.clone()),
                |judge| judge.examine(presented, now, Wanted::default()),
                BatchSize::LargeInput,
            );
        });
        let judge = Judge::new(roots.clone());
        group.bench_function(format!("{name}, warm"), |bencher| {
            bencher.iter(|| judge.examine(presented, now, Wanted::default()));
        });
        // Another leaf under an intermediate that was seen before.
        group.bench_function(format!("{name}, new leaf"), |bencher| {
            bencher.iter_batched_ref(
                || [leaf(&intermediate), intermediate.der().clone()],
                |chain| {
                    let presented = Presented { chain: &chain[..], ..presented };
                    judge.examine(presented, now, Wanted::default())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn authority<'a>(
    name: &str,
    algorithm: &'static SignatureAlgorithm,
    issuer: Option<&Authority<'_>>,
) -> Authority<'a> {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    match issuer {
        Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer).unwrap(),
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
    }
}

fn leaf(issuer: &Authority<'_>) -> CertificateDer<'static> {
    let names = ["example.com", "www.example.com"].map(str::to_owned);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let params = CertificateParams::new(names).unwrap();
    params.signed_by(&key, issuer).unwrap().der().clone()
}

criterion_group!(benches, judging);
criterion_main!(benches);
