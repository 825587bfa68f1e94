//! Keys that nobody can check signatures with, keys that few can, and certificates out of order.

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use tlsweep::cert::{Certificate, Judge, Roots, pem};

use super::{Case, Expected, ROOT, check, openssl, serve};
use crate::support::certs::{Entity, ca, examine, example, judge};
use crate::support::cmd::Tlsweep;
use crate::support::keys::{Key, certify, rsa_spki_of};

#[test]
fn a_signature_nobody_can_check() {
    let Some(openssl) = openssl() else {
        return;
    };
    let ec = |curve: &str| Key::openssl(openssl, &["EC", "-pkeyopt", curve]).spki();
    let rsa = |options: &[&str]| Key::openssl(openssl, &[&["RSA"], options].concat()).spki();
    let exponent = ["-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt"];
    let keys = [
        ("RSA of 16,384 bits", rsa_spki_of(16_384), "16384 bits"),
        ("RSA of 8,200 bits", rsa_spki_of(8_200), "8200 bits"),
        (
            "RSA with an exponent of 41 bits",
            rsa(&[&exponent[..], &["rsa_keygen_pubexp:1099511627791"]].concat()),
            "exponent of 41 bits",
        ),
        ("brainpool", ec("ec_paramgen_curve:brainpoolP256r1"), "1.3.36.3.3.2.8.1.1.7"),
        ("secp256k1", ec("ec_paramgen_curve:secp256k1"), "1.3.132.0.10"),
        ("SM2", ec("ec_paramgen_curve:SM2"), "1.2.156.10197.1.301"),
        ("GOST", gost_spki(), "1.2.643.7.1.1.1.1"),
    ];
    let mut cases = Vec::new();
    let mut reasons = Vec::new();
    for (what, spki, reason) in keys {
        let scheme = if what.starts_with("RSA") { 0x0401 } else { 0x0403 };
        let certificate = certify(&ROOT, spki);
        reasons.push(reason);
        cases.push(Case {
            what: what.to_owned(),
            peer: serve("1.2", &certificate, scheme, |_text| vec![0x5a; 256]),
            certificate,
            expected: Expected::Unproven,
        });
    }
    check("1.2", &cases);
    for (case, reason) in cases.iter().zip(reasons) {
        let outcome = Tlsweep::json().sweep([case.peer.target()]);
        let why = outcome.only_record()["tls"]["signature_unchecked"].as_str().unwrap();
        assert!(why.contains(reason), "{}: {why}", case.what);
    }
}

/// id-tc26-gost3410-12-256, with a key that is none.
fn gost_spki() -> Vec<u8> {
    let oid = [0x2a, 0x85, 3, 7, 1, 1, 1, 1];
    [&[0x30, 50, 0x30, 10, 6, 8][..], &oid, &[3, 36, 0, 4, 33], &[7; 33]].concat()
}

/// Keys between what aws-lc verifies with and what nobody can.
#[test]
fn short_rsa_keys_are_checked() {
    let Some(openssl) = openssl() else {
        return;
    };
    let mut outcomes = Vec::new();
    for (bits, scheme) in [
        ("512", 0x0401),
        ("768", 0x0804),
        ("1024", 0x0806),
        ("1024", 0x0805),
        ("1536", 0x0201),
        ("2040", 0x0806),
    ] {
        let key = Key::openssl(openssl, &["RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")]);
        let key: &'static Key = Box::leak(Box::new(key));
        let certificate = key.certify(&ROOT);
        // A salt and a hash of 64 bytes each do not fit into 1,024 bits.
        let fits = (bits, scheme) != ("1024", 0x0806);
        let genuine =
            fits.then(|| serve("1.2", &certificate, scheme, move |text| key.sign(scheme, text)));
        let junk = serve("1.2", &certificate, scheme, |_text| vec![0x5a; 128]);
        for (peer, verified) in [(genuine, true), (Some(junk), false)] {
            let Some(peer) = peer else {
                continue;
            };
            let outcome = Tlsweep::json().args(["--tls", "1.2"]).sweep([peer.target()]);
            let record = outcome.only_record();
            assert_eq!(record["tls"]["signature_verified"], verified, "{bits}: {record:#}");
            assert_eq!(record["ok"], verified, "{bits}: {record:#}");
            outcomes.push(record["ok"].clone());
        }
    }
    assert_eq!(outcomes.len(), 11);
}

/// The same keys on an issuer of the path.
#[test]
fn an_issuer_whose_key_nobody_can_check() {
    let Some(openssl) = openssl() else {
        return;
    };
    let exponent = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt"];
    let exponent = [&exponent[..], &["rsa_keygen_pubexp:1099511627791"]].concat();
    for (what, spki) in [
        ("RSA of 16,384 bits", rsa_spki_of(16_384)),
        ("RSA with an exponent of 41 bits", Key::openssl(openssl, &exponent).spki()),
        (
            "brainpool",
            Key::openssl(openssl, &["EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP384r1"]).spki(),
        ),
        ("Ed448", Key::openssl(openssl, &["ED448"]).spki()),
    ] {
        let issuer = ROOT.issue(ca("issuer"));
        let odd = issuer.altered(&ROOT, |fields| fields[6] = spki.clone());
        let leaf = issuer.issue(example());
        // The algorithm of the signature is one that such a key makes.
        let identifier = match what {
            "brainpool" => vec![0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
            "Ed448" => vec![0x30, 5, 6, 3, 0x2b, 0x65, 113],
            _ => vec![0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0],
        };
        let leaf = signed_with(&leaf, &issuer, &identifier);
        let judge = judge(&[&ROOT.der]);
        let examined = examine(&judge, &[leaf.clone(), odd.clone()], "example.com");
        let problems = examined.trust.unwrap().problems;
        assert_eq!(json!(problems), json!(["unsupported_signature"]), "{what}");

        // As a root of ours, too.
        let mut trusted = Roots::default();
        trusted.add(&odd).unwrap();
        let judge = Judge::new(trusted);
        let examined = examine(&judge, &[leaf], "example.com");
        let problems = examined.trust.unwrap().problems;
        assert_eq!(json!(problems), json!(["unsupported_signature"]), "{what}, as a root");
    }
}

/// The certificate with another algorithm claimed, inside and outside.
fn signed_with(leaf: &Entity, issuer: &Entity, identifier: &[u8]) -> CertificateDer<'static> {
    leaf.altered(issuer, |fields| fields[2] = identifier.to_vec())
}

/// A certificate that webpki does not read must not make a false signature pass.
#[test]
fn a_false_signature_under_a_certificate_that_is_out_of_order() {
    let Some(openssl) = openssl() else {
        return;
    };
    let key: &'static Key = Box::leak(Box::new(Key::for_scheme(openssl, 0x0403)));
    let leaf = key.certify(&ROOT);
    let own = Entity { params: example(), key: KeyPair::generate().unwrap(), der: leaf.clone() };
    let v1 = own.altered(&ROOT, |fields| {
        fields.remove(0);
        fields.pop();
    });
    let v2 = own.altered(&ROOT, |fields| fields[0] = vec![0xa0, 3, 2, 1, 1]);
    let no_extensions =
        own.altered(&ROOT, |fields| *fields.last_mut().unwrap() = vec![0xa3, 2, 0x30, 0]);
    let trailing = CertificateDer::from([&leaf[..], b"junk"].concat());
    let cut = CertificateDer::from(leaf[..leaf.len() - 1].to_vec());
    for (what, certificate) in [
        ("version 1", v1),
        ("version 2", v2),
        ("no extensions", no_extensions),
        ("trailing", trailing),
        ("cut", cut),
    ] {
        for version in ["1.2", "1.3"] {
            let genuine = serve(version, &certificate, 0x0403, move |text| key.sign(0x0403, text));
            let junk = serve(version, &certificate, 0x0403, |_text| vec![0x5a; 70]);
            for (peer, verified) in [(genuine, true), (junk, false)] {
                let outcome = Tlsweep::json().args(["--tls", version]).sweep([peer.target()]);
                let record = outcome.only_record();
                assert_eq!(record["tls"]["signature_verified"], verified, "{what}: {record:#}");
                assert_eq!(record["ok"], verified, "{what}: {record:#}");
                assert_eq!(record.get("trust").is_some(), verified, "{what}: {record:#}");
            }
        }
    }
}

/// RSASSA-PSS keys, and salts that are not as long as the hash: OpenSSL trusts them.
#[test]
fn a_path_that_is_signed_with_pss() {
    let Some(openssl) = openssl() else {
        return;
    };
    for (what, algorithm, options) in [
        ("an RSASSA-PSS key", "RSA-PSS", &[][..]),
        (
            "the longest salt",
            "RSA",
            &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max"],
        ),
        ("no salt", "RSA-PSS", &["-sigopt", "rsa_pss_saltlen:0"]),
        (
            "a short key",
            "RSA",
            &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:0"],
        ),
    ] {
        let bits = if what == "a short key" { "1024" } else { "2048" };
        let size = format!("rsa_keygen_bits:{bits}");
        let key = openssl.run(&["genpkey", "-algorithm", algorithm, "-pkeyopt", &size]);
        let key = openssl.write("pss.key", key);
        let common = ["req", "-x509", "-sha256", "-days", "9"];
        let root =
            ["-key", &key, "-subj", "/CN=pss root", "-addext", "keyUsage=critical,keyCertSign"];
        let root = openssl.run(&[&common[..], &root, options].concat());
        let root_file = openssl.write("pss.root", &root);
        let leaf_key = Key::openssl(openssl, &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let Key::OpenSsl(_, leaf_key) = leaf_key else {
            unreachable!("an EC key is OpenSSL's");
        };
        let leaf =
            ["-key", &leaf_key, "-subj", "/CN=leaf", "-addext", "subjectAltName=DNS:example.com"];
        let more =
            ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", &root_file, "-CAkey", &key];
        let leaf = openssl.run(&[&common[..], &leaf, &more, options].concat());
        let [root, leaf] = [root, leaf].map(|pem| CertificateDer::from_pem_slice(&pem).unwrap());
        let problems = |leaf: &CertificateDer<'static>| {
            let examined = examine(&judge(&[&root]), std::slice::from_ref(leaf), "example.com");
            json!(examined.trust.unwrap().problems)
        };
        let weak = if bits == "1024" { json!(["weak_key"]) } else { json!([]) };
        assert_eq!(problems(&leaf), weak, "{what}");
        let mut flipped = leaf.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        let bad = if bits == "1024" {
            json!(["bad_signature", "weak_key"])
        } else {
            json!(["bad_signature"])
        };
        assert_eq!(problems(&flipped.into()), bad, "{what}");
    }
}

/// Servers by OpenSSL of whose keys rustls takes no signature in TLS 1.2. There, a hello of our own shows
/// what they speak.
#[test]
fn servers_with_keys_that_rustls_takes_in_tls13_only() {
    let Some(openssl) = openssl() else {
        return;
    };
    let roots = openssl.write("pss.roots", pem(&ROOT.der));
    let restricted = |hash: &str, salt: &str| {
        ["md", "mgf1_md"]
            .map(|what| format!("rsa_pss_keygen_{what}:{hash}"))
            .into_iter()
            .chain([format!("rsa_pss_keygen_saltlen:{salt}")])
            .collect::<Vec<_>>()
    };
    for (what, options, scheme) in [
        ("any hash", Vec::new(), "rsa_pss_pss_sha256"),
        ("SHA-256", restricted("sha256", "32"), "rsa_pss_pss_sha256"),
        ("SHA-256 with a short salt", restricted("sha256", "0"), "rsa_pss_pss_sha256"),
        ("SHA-384", restricted("sha384", "48"), "rsa_pss_pss_sha384"),
        ("SHA-512", restricted("sha512", "64"), "rsa_pss_pss_sha512"),
        ("Ed448", Vec::new(), "ed448"),
    ] {
        let is_pss = scheme != "ed448";
        let mut args = match is_pss {
            true => vec!["RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
            false => vec!["ED448"],
        };
        args.extend(options.iter().flat_map(|option| ["-pkeyopt", option]));
        let key = Key::openssl(openssl, &args);
        let certificate = key.certify(&ROOT);
        let Key::OpenSsl(_, file) = &key else {
            unreachable!("the key is OpenSSL's");
        };
        let der = openssl.run(&["pkey", "-in", file, "-outform", "DER"]);
        for (flags, args) in [
            (&[][..], &[][..]),
            (&["-tls1_3"], &[]),
            (&[], &["--signature-schemes", scheme]),
            (&["-tls1_2"], &[]),
            (&["-tls1_2"], &["--tls", "1.2"]),
        ] {
            let server = openssl.serve(std::slice::from_ref(&certificate), &der, flags);
            let outcome = Tlsweep::json()
                .args(["--roots", &roots, "--fail-on", "error,untrusted"])
                .args(args)
                .sweep([format!("{},example.com", server.addr)]);
            let [record] = outcome.records.as_slice() else { panic!("{}", outcome.stderr) };
            let what = format!("{what}, {flags:?}, {args:?}");
            assert_eq!(record["cert"]["names"][0], "example.com", "{what}: {record:#}");
            assert_eq!(record["tls"]["signature"], scheme, "{what}: {record:#}");
            if flags == ["-tls1_2"] {
                assert_eq!(record["error"]["kind"], "unsupported", "{what}: {record:#}");
                assert_eq!(record["tls"]["legacy"], true, "{what}: {record:#}");
                assert_eq!(record["tls"]["version"], "TLSv1.2", "{what}: {record:#}");
                assert_eq!(record["trust"]["problems"], json!(["unproven"]), "{what}: {record:#}");
                let detail = record["error"]["detail"].as_str().unwrap();
                let name = if is_pss { "RSASSA-PSS" } else { "Ed448" };
                assert!(detail.contains(name), "{what}: {detail}");
            } else if !is_pss {
                assert_eq!(record["trust"]["problems"], json!(["unproven"]), "{what}: {record:#}");
            } else {
                assert_eq!(record["tls"]["signature_verified"], true, "{what}: {record:#}");
                assert_eq!(record["trust"]["problems"], json!([]), "{what}: {record:#}");
                assert_eq!(record["failed_checks"], json!([]), "{what}: {record:#}");
            }
        }
    }
}

/// The second certificate of a server is for RSASSA-PSS alone.
#[test]
fn a_certificate_for_pss_beside_another_is_enumerated() {
    let Some(openssl) = openssl() else {
        return;
    };
    let roots = openssl.write("both.roots", pem(&ROOT.der));
    let [usual, pss] = [0x0401, 0x0809].map(|scheme| Key::for_scheme(openssl, scheme));
    let leaf = openssl.write("both.pss", pem(&pss.certify(&ROOT)));
    let (Key::OpenSsl(_, usual_file), Key::OpenSsl(_, pss_file)) = (&usual, &pss) else {
        unreachable!("RSA keys are OpenSSL's");
    };
    let der = openssl.run(&["pkey", "-in", usual_file, "-outform", "DER"]);
    let more = ["-dcert", &leaf, "-dkey", pss_file];
    for (version, proven) in [("-tls1_3", json!(true)), ("-tls1_2", json!(null))] {
        let flags = [&more[..], &[version]].concat();
        let server = openssl.serve(&[usual.certify(&ROOT)], &der, &flags);
        let outcome = Tlsweep::json()
            .args(["--roots", &roots, "--enumerate", "--timeout", "100s"])
            .sweep([format!("{},example.com", server.addr)]);
        let record = outcome.only_record();
        assert_eq!(record["trust"]["verdict"], "trusted", "{version}: {record:#}");
        let enumeration = &record["enumeration"];
        assert_eq!(enumeration["certificates_complete"], true, "{version}: {enumeration:#}");
        let shown = enumeration["certificates"].as_array().unwrap();
        let [first, second] = shown.as_slice() else { panic!("{version}: {enumeration:#}") };
        assert_eq!(first["signature_verified"], true, "{version}: {first:#}");
        let sha256 = Certificate::new(&pss.certify(&ROOT)).spki_sha256;
        assert_eq!(second["cert"]["spki_sha256"], json!(sha256), "{version}: {second:#}");
        assert_eq!(second["signature_verified"], proven, "{version}: {second:#}");
        let verdict = if proven == true { "trusted" } else { "unproven" };
        assert_eq!(second["trust"]["verdict"], verdict, "{version}: {second:#}");
    }
}
