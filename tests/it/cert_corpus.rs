//! Other people's certificates: the test vectors of PyPI's `cryptography`, PKITS among them.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tlsweep::cert::Certificate;
use tlsweep::cert::Problem::{self, BadEncoding, CaAsLeaf, CriticalExtension, NameMismatch};

use crate::support::certs::{examine, judge};
use crate::support::programs::skip;
use crate::support::x509;

type Der = CertificateDer<'static>;

/// File, field, and why the facts differ there.
const DIFFERENCES: [(&str, &str, &str); 29] = [
    ("DSACACert.crt", "bits", "no size of DSA keys is told"),
    ("InvalidDSASignatureTest6EE.crt", "bits", "no size of DSA keys is told"),
    ("ValidDSASignaturesTest4EE.crt", "bits", "no size of DSA keys is told"),
    ("dsa_null_alg_params.pem", "bits", "no size of DSA keys is told"),
    ("dsa_selfsigned_ca.pem", "bits", "no size of DSA keys is told"),
    ("san_edipartyname.der", "bits", "no size of DSA keys is told"),
    ("san_x400address.der", "bits", "no size of DSA keys is told"),
    ("ec_no_named_curve.pem", "bits", "a curve of its own has no known size"),
    ("badasn1time.pem", "until", "OpenSSL prints what is no time"),
    ("empty-eku.pem", "purposes", "OpenSSL prints the bytes of the empty list"),
    ("extended_key_usage.pem", "purposes", "Netscape's is a number for us"),
    ("wosign-bc-invalid.pem", "purposes", "Microsoft's is a number for us"),
    ("invalid_version.pem", "version", "OpenSSL does not print the number"),
    ("malformed-san.pem", "names", "OpenSSL prints the bytes"),
    ("san_other_name.pem", "names", "of other names only the type is told"),
    ("san_edipartyname.der", "names", "OpenSSL prints no EDI party names"),
    ("san_x400address.der", "names", "OpenSSL prints no X.400 addresses"),
    ("mismatch_inner_outer_sig_algorithm.der", "signature", "the outer one counts for us"),
    ("v1_cert.pem", "signature", "the outer one counts for us"),
    ("e-trust.ru.der", "signature", "GOST is a number for us"),
    ("e-trust.ru.der", "key", "GOST is a number for us"),
    ("ed25519-rfc8410.pem", "key", "a key that signs nothing is a number for us"),
    ("rsa_pss.pem", "key", "a key for RSASSA-PSS is an RSA key"),
    ("rsa_pss_cert.pem", "key", "a key for RSASSA-PSS is an RSA key"),
    ("rsa_pss_cert_invalid_mgf.der", "key", "a key for RSASSA-PSS is an RSA key"),
    ("rsa_pss_cert_no_sig_params.der", "key", "a key for RSASSA-PSS is an RSA key"),
    ("rsa_pss_cert_unsupported_mgf_hash.der", "key", "a key for RSASSA-PSS is an RSA key"),
    ("scottishpower-bitstring-dn.pem", "subject", "hex is in lower case, as everywhere here"),
    ("unique_identifier.pem", "subject", "hex is in lower case, as everywhere here"),
];

/// Paths of PKITS that OpenSSL and we judge differently.
const PATHS: [(&str, &str); 1] =
    [("ValidDSASignaturesTest4EE.crt", "our library checks no DSA signatures")];

/// The folder of the X.509 vectors, where `.ci/run` has installed them.
fn vectors() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let versions =
        std::fs::read_dir(target.join("engines-venv/lib")).into_iter().flatten().flatten();
    let folders =
        versions.map(|python| python.path().join("site-packages/cryptography_vectors/x509"));
    let found = folders.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        skip("cryptography_vectors is not installed; see .ci/run");
    }
    found
}

/// Every certificate in the folder and below, with the name of its file.
fn certificates(folder: &Path) -> Vec<(String, Der)> {
    let mut found = Vec::new();
    let mut entries =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            _ if path.is_dir() => found.extend(certificates(&path)),
            Some("pem") => {
                let text = std::fs::read(&path).unwrap();
                let ders = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
                found.extend(ders.map(|der| (name.clone(), der)));
            }
            Some("der" | "crt") => found.push((name, std::fs::read(&path).unwrap().into())),
            _ => {}
        }
    }
    found
}

#[test]
fn facts_of_the_corpus_are_openssls() {
    let Some(folder) = vectors() else {
        return;
    };
    let all = certificates(&folder);
    assert!(all.len() > 450, "only {} certificates", all.len());
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (file, der) in &all {
        let Some(differences) = x509::differences(der) else {
            continue;
        };
        compared += 1;
        for difference in differences {
            let field = difference.split(':').next().unwrap();
            let known = DIFFERENCES.iter().any(|(name, of, _)| name == file && *of == field);
            if !known {
                wrong.push(format!("{file}: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "of {compared}: {wrong:#?}");
    assert!(compared > 450, "only {compared} certificates are readable for OpenSSL");
}

/// NIST's suite of paths. Most are about policies and revocation. OpenSSL does not look at those by default
/// either.
#[test]
fn paths_of_pkits_are_judged_as_by_openssl() {
    let Some(folder) = vectors() else {
        return;
    };
    let all = certificates(&folder.join("PKITS_data/certs"));
    let named = |name: Option<String>| {
        let name = name.unwrap_or_default().to_lowercase();
        name.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\ ", "").replace(' ', "")
    };
    let all = all.into_iter().map(|(file, der)| {
        let facts = Certificate::new(&der);
        (file, der, named(facts.subject), named(facts.issuer))
    });
    let all = all.collect::<Vec<_>>();
    let (_, root, top, _) =
        all.iter().find(|(file, ..)| file == "TrustAnchorRootCertificate.crt").unwrap();
    let mut wrong = Vec::new();
    let mut judged = 0;
    for (file, leaf, _, issuer) in all.iter().filter(|(file, ..)| file.ends_with("EE.crt")) {
        let mut wanted = vec![issuer];
        let mut at = 0;
        while let Some(&name) = wanted.get(at) {
            at += 1;
            for (.., subject, above) in &all {
                if subject == name && subject != top && !wanted.contains(&above) {
                    wanted.push(above);
                }
            }
        }
        let is_wanted = |subject: &String| subject != top && wanted.contains(&subject);
        let above = all.iter().filter(|(.., subject, _)| is_wanted(subject));
        let above = above.map(|(_, der, ..)| der.clone());
        let chain = std::iter::once(leaf.clone()).chain(above).collect::<Vec<_>>();
        let ours = examine(&judge(&[root]), &chain, "example.com").trust.unwrap().problems;
        let is_about_path = |problem: &&Problem| !matches!(problem, NameMismatch | CaAsLeaf);
        let ours = ours.iter().filter(is_about_path).collect::<Vec<_>>();
        let Some(theirs) = x509::verify_path(&chain, std::slice::from_ref(root)) else {
            return;
        };
        judged += 1;
        let is_known = PATHS.iter().any(|(known, _)| known == file);
        if is_known == (ours.is_empty() == theirs.is_ok()) || ours.contains(&&BadEncoding) {
            wrong.push(format!("{file}: {ours:?}, OpenSSL says {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "of {judged}: {wrong:#?}");
    assert!(judged > 200, "only {judged} paths");
}

/// Roots from files are held to what they say. Nothing that real ones say may be held against them.
#[test]
fn roots_of_this_machine_are_sound() {
    let roots = rustls_native_certs::load_native_certs().certs;
    if roots.is_empty() {
        skip("this machine has no roots: ca-certificates is not installed");
        return;
    }
    for root in &roots {
        let examined = examine(&judge(&[root]), std::slice::from_ref(root), "example.com");
        let problems = examined.trust.unwrap().problems;
        let faults = [BadEncoding, CriticalExtension];
        let found = faults.into_iter().find(|fault| problems.contains(fault));
        assert_eq!(found, None, "{:?}", Certificate::new(root).subject);
    }
}
