//! Nobody is believed without proof: 6.8 of the faults, signatures over the handshake.

mod keys;
mod tricks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tlsweep::cert::{Certificate, pem};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::certs::Entity;
use crate::support::cmd::Tlsweep;
use crate::support::keys::Key;
use crate::support::openssl::OpenSsl;
use crate::support::peer::{Peer, Spec};
use crate::support::script::Step::{Handshake, Handshake12, Hold, ReadHello, SignAs};
use crate::support::script::{CLOSE_NOTIFY, warning};
use crate::support::tls::{self, ALERT, ECDHE_ECDSA, ECDHE_RSA, Sign, Signer, plain_record};

static ROOT: LazyLock<Entity> = LazyLock::new(|| Entity::root("root"));

/// What the handshake says to a genuine signature.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Verified,
    /// It cannot be told from junk.
    Unproven,
    /// This version of TLS has no such signatures over handshakes.
    Forbidden,
    /// rustls does not take it in this version of TLS, though the server may use it.
    Beyond,
}

/// Every scheme, with what TLS 1.2 and TLS 1.3 make of it.
const SCHEMES: [(u16, &str, Rule, Rule); 19] = {
    use Rule::{Beyond, Forbidden, Unproven, Verified};
    [
        (0x0403, "ecdsa_secp256r1_sha256", Verified, Verified),
        (0x0503, "ecdsa_secp384r1_sha384", Verified, Verified),
        (0x0603, "ecdsa_secp521r1_sha512", Verified, Verified),
        (0x0807, "ed25519", Verified, Verified),
        (0x0808, "ed448", Beyond, Unproven),
        (0x0804, "rsa_pss_rsae_sha256", Verified, Verified),
        (0x0805, "rsa_pss_rsae_sha384", Verified, Verified),
        (0x0806, "rsa_pss_rsae_sha512", Verified, Verified),
        (0x0809, "rsa_pss_pss_sha256", Beyond, Verified),
        (0x080a, "rsa_pss_pss_sha384", Beyond, Verified),
        (0x080b, "rsa_pss_pss_sha512", Beyond, Verified),
        (0x0401, "rsa_pkcs1_sha256", Verified, Forbidden),
        (0x0501, "rsa_pkcs1_sha384", Verified, Forbidden),
        (0x0601, "rsa_pkcs1_sha512", Verified, Forbidden),
        (0x0904, "mldsa44", Forbidden, Verified),
        (0x0905, "mldsa65", Forbidden, Verified),
        (0x0906, "mldsa87", Forbidden, Verified),
        (0x0201, "rsa_pkcs1_sha1", Verified, Forbidden),
        (0x0203, "ecdsa_sha1", Verified, Forbidden),
    ]
};

fn openssl() -> Option<&'static OpenSsl> {
    OpenSsl::find().map(|openssl| &*Box::leak(Box::new(openssl)))
}

fn suite(scheme: u16) -> [u8; 2] {
    match scheme {
        0x0201 | 0x0401 | 0x0501 | 0x0601 | 0x0804..=0x0806 | 0x0809..=0x080b => ECDHE_RSA,
        _ => ECDHE_ECDSA,
    }
}

/// A server that shows this certificate and sends what `sign` makes as its signature.
fn serve(
    version: &str,
    certificate: &CertificateDer<'_>,
    scheme: u16,
    sign: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> Peer {
    let signer = Signer {
        certificate: certificate.to_vec(),
        scheme,
        suite: suite(scheme),
        sign: Box::new(sign),
    };
    let signer = &*Box::leak(Box::new(signer));
    let handshake = if version == "1.2" { Handshake12 } else { Handshake };
    let goodbye = warning(CLOSE_NOTIFY);
    Spec::script([ReadHello, SignAs(signer), handshake, goodbye, Hold]).start()
}

/// A server, and what its record must look like.
struct Case {
    what: String,
    peer: Peer,
    certificate: CertificateDer<'static>,
    expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Verified,
    Unproven,
    False,
    Protocol,
    Unsupported,
}

/// Sweeps the servers of one version, and checks each record.
fn check(version: &str, cases: &[Case]) {
    let dir = TempDir::new().unwrap();
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, pem(&ROOT.der)).unwrap();
    let pins = cases.iter().map(|case| {
        let pin = Certificate::new(&case.certificate).spki_sha256.unwrap();
        format!("pin={pin}")
    });
    let conditions = ["error".to_owned(), "untrusted".to_owned()].into_iter().chain(pins);
    let conditions = conditions.collect::<Vec<_>>().join(",");
    let outcome = Tlsweep::json()
        .args(["--roots", roots.to_str().unwrap(), "--tls", version, "--fail-on", &conditions])
        .args(["--no-legacy"])
        .sweep(cases.iter().map(|case| format!("{},example.com", case.peer.addr)));
    assert_eq!(outcome.records.len(), cases.len());
    for record in &outcome.records {
        let line = usize::try_from(record["line"].as_u64().unwrap()).unwrap();
        check_one(&cases[line - 1], record);
    }
}

fn check_one(case: &Case, record: &Value) {
    let what = &case.what;
    let certificate = Certificate::new(&case.certificate);
    assert_eq!(record["cert"]["sha256"], json!(certificate.sha256), "{what}: {record:#}");
    let tls = &record["tls"];
    let trust = &record["trust"];
    let is_sha1 = matches!(tls["signature"].as_str(), Some("rsa_pkcs1_sha1" | "ecdsa_sha1"));
    let met = match case.expected {
        Expected::Verified => {
            assert_eq!(record["ok"], true, "{what}: {record:#}");
            assert_eq!(tls["signature_verified"], true, "{what}: {record:#}");
            let problems = if is_sha1 { json!(["weak_signature"]) } else { json!([]) };
            assert_eq!(trust["problems"], problems, "{what}: {record:#}");
            if is_sha1 { json!(["untrusted"]) } else { json!([]) }
        }
        Expected::Unproven => {
            assert_eq!(record["ok"], true, "{what}: {record:#}");
            assert!(tls.get("signature_verified").is_none(), "{what}: {record:#}");
            assert!(tls["signature_unchecked"].is_string(), "{what}: {record:#}");
            assert_eq!(trust["verdict"], "unproven", "{what}: {record:#}");
            json!(["untrusted", "pin"])
        }
        Expected::False => {
            let result = [&record["error"]["stage"], &record["error"]["kind"]];
            assert_eq!(result, ["handshake", "bad_signature"], "{what}: {record:#}");
            assert_eq!(tls["signature_verified"], false, "{what}: {record:#}");
            assert!(record.get("trust").is_none(), "{what}: {record:#}");
            json!(["error", "untrusted", "pin"])
        }
        Expected::Protocol | Expected::Unsupported => {
            let result = [&record["error"]["stage"], &record["error"]["kind"]];
            let is_beyond = case.expected == Expected::Unsupported;
            let kind = if is_beyond { "unsupported" } else { "protocol" };
            assert_eq!(result, ["handshake", kind], "{what}: {record:#}");
            assert!(tls.get("signature_verified").is_none(), "{what}: {record:#}");
            assert_eq!(trust["verdict"], "unproven", "{what}: {record:#}");
            json!(["error", "untrusted", "pin"])
        }
    };
    assert_eq!(record["failed_checks"], met, "{what}: {record:#}");
}

/// The schemes of the hello that is sent with these flags.
fn offered(args: &[&str]) -> BTreeSet<u16> {
    let heard = Arc::new(Mutex::new(BTreeSet::new()));
    let schemes = Arc::clone(&heard);
    let peer = Spec::made_up(move |mut stream| {
        let schemes = Arc::clone(&schemes);
        async move {
            let mut header = [0; 5];
            stream.read_exact(&mut header).await.unwrap();
            let mut hello = vec![0; u16::from_be_bytes([header[3], header[4]]).into()];
            stream.read_exact(&mut hello).await.unwrap();
            schemes.lock().unwrap().extend(tls::ClientHello::parse(&hello).signature_schemes);
            stream.write_all(&plain_record(ALERT, &[2, 40])).await.unwrap();
        }
    });
    let peer = peer.start();
    let outcome = Tlsweep::json().args(["--no-legacy"]).args(args).sweep([peer.target()]);
    assert_eq!(outcome.only_record()["error"]["kind"], "alert");
    let heard = heard.lock().unwrap();
    heard.clone()
}

/// Whoever offers another scheme must add a server for it above.
#[test]
fn every_scheme_that_a_hello_offers_has_a_server() {
    let known = SCHEMES.iter().map(|&(scheme, ..)| scheme).collect::<BTreeSet<_>>();
    for version in ["1.2", "1.3"] {
        assert_eq!(offered(&["--tls", version]), known, "TLS {version}");
    }
    assert_eq!(offered(&[]), known);
}

#[test]
fn a_false_signature_in_every_scheme_that_a_hello_offers() {
    let Some(openssl) = openssl() else {
        return;
    };
    let make = |scheme| -> &'static Key { Box::leak(Box::new(Key::for_scheme(openssl, scheme))) };
    // The schemes of RSA share two keys, and those of RSASSA-PSS two more: they take long to make.
    let mut keys = BTreeMap::new();
    for version in ["1.2", "1.3"] {
        let mut cases = Vec::new();
        for (scheme, name, tls12, tls13) in SCHEMES {
            let rule = if version == "1.2" { tls12 } else { tls13 };
            let kind = match scheme {
                0x0809..=0x080b => 0x0809,
                _ if suite(scheme) == ECDHE_RSA => 0x0401,
                _ => scheme,
            };
            let [key, other] = *keys.entry(kind).or_insert_with(|| [kind, kind].map(make));
            let certificate = key.certify(&ROOT);
            let once = key.sign(scheme, b"another handshake");
            let length = once.len();
            let signatures: [(&str, Sign); 6] = [
                ("genuine", Box::new(move |text| key.sign(scheme, text))),
                ("junk", Box::new(move |_text| vec![0x5a; length])),
                ("empty", Box::new(|_text| Vec::new())),
                ("by another key", Box::new(move |text| other.sign(scheme, text))),
                ("replayed", Box::new(move |_text| once.clone())),
                ("with a wrong last byte", {
                    Box::new(move |text| {
                        let mut signature = key.sign(scheme, text);
                        *signature.last_mut().unwrap() ^= 1;
                        signature
                    })
                }),
            ];
            for (kind, sign) in signatures {
                let expected = match (rule, kind) {
                    (Rule::Verified, "genuine") => Expected::Verified,
                    (Rule::Verified, _) => Expected::False,
                    (Rule::Unproven, _) => Expected::Unproven,
                    (Rule::Forbidden, _) => Expected::Protocol,
                    (Rule::Beyond, _) => Expected::Unsupported,
                };
                cases.push(Case {
                    what: format!("{name}, {kind}, TLS {version}"),
                    peer: serve(version, &certificate, scheme, sign),
                    certificate: certificate.clone(),
                    expected,
                });
            }
        }
        check(version, &cases);
    }
}

/// A scheme that is none of the key's: the signature is that of another key of the peer's, which
/// fits the scheme.
#[test]
fn a_scheme_of_another_kind_of_key() {
    let Some(openssl) = openssl() else {
        return;
    };
    let key = |scheme| -> &'static Key { Box::leak(Box::new(Key::for_scheme(openssl, scheme))) };
    let [p256, rsa, ed25519] = [0x0403, 0x0804, 0x0807].map(key);
    for version in ["1.2", "1.3"] {
        let mut cases = Vec::new();
        for (what, shown, signs, scheme) in [
            ("RSA shown, ECDSA signs", rsa, p256, 0x0403),
            ("RSA shown, Ed25519 signs", rsa, ed25519, 0x0807),
            ("P-256 shown, RSA signs", p256, rsa, 0x0804),
            ("P-256 shown, Ed25519 signs", p256, ed25519, 0x0807),
            ("Ed25519 shown, ECDSA signs", ed25519, p256, 0x0403),
            ("Ed25519 shown, RSA signs", ed25519, rsa, 0x0806),
        ] {
            let certificate = shown.certify(&ROOT);
            cases.push(Case {
                what: format!("{what}, TLS {version}"),
                peer: serve(version, &certificate, scheme, move |text| signs.sign(scheme, text)),
                certificate,
                expected: Expected::False,
            });
        }
        check(version, &cases);
    }
}

/// Since TLS 1.3 a scheme has one curve (RFC 8446, section 4.2.3); before, it has only a hash.
#[test]
fn a_scheme_of_another_curve() {
    let Some(openssl) = openssl() else {
        return;
    };
    for (version, genuine) in [("1.2", Expected::Verified), ("1.3", Expected::Protocol)] {
        let mut cases = Vec::new();
        for (curve, scheme) in [
            (0x0503, 0x0403),
            (0x0603, 0x0403),
            (0x0403, 0x0503),
            (0x0603, 0x0503),
            (0x0403, 0x0603),
            (0x0503, 0x0603),
        ] {
            let key: &'static Key = Box::leak(Box::new(Key::for_scheme(openssl, curve)));
            let certificate = key.certify(&ROOT);
            let what = format!("the key of {curve:04x}, the scheme {scheme:04x}, TLS {version}");
            cases.push(Case {
                what: what.clone(),
                peer: serve(version, &certificate, scheme, move |text| key.sign(scheme, text)),
                certificate: certificate.clone(),
                expected: genuine,
            });
            cases.push(Case {
                what: format!("{what}, junk"),
                peer: serve(version, &certificate, scheme, |_text| vec![0x5a; 70]),
                certificate,
                expected: Expected::False,
            });
        }
        check(version, &cases);
    }
}

/// A scheme of TLS 1.2 names only the hash, so SHA-1 may be used with every curve.
#[test]
fn a_genuine_sha1_signature() {
    let Some(openssl) = openssl() else {
        return;
    };
    const ECDSA_SHA1: u16 = 0x0203;
    let mut cases = Vec::new();
    for (curve, what) in [(0x0403, "P-256"), (0x0503, "P-384"), (0x0603, "P-521")] {
        let key: &'static Key = Box::leak(Box::new(Key::for_scheme(openssl, curve)));
        let certificate = key.certify(&ROOT);
        let genuine = move |text: &[u8]| key.sign(ECDSA_SHA1, text);
        let spoilt = move |text: &[u8]| key.sign(ECDSA_SHA1, &[text, b"."].concat());
        for (what, peer, expected) in [
            (what, serve("1.2", &certificate, ECDSA_SHA1, genuine), Expected::Verified),
            ("of another text", serve("1.2", &certificate, ECDSA_SHA1, spoilt), Expected::False),
        ] {
            let certificate = certificate.clone();
            cases.push(Case { what: what.to_owned(), peer, certificate, expected });
        }
    }
    check("1.2", &cases);
}

/// PSS with a salt that is not as long as the hash (RFC 8446, section 4.2.3).
#[test]
fn a_salt_of_another_length() {
    let Some(openssl) = openssl() else {
        return;
    };
    let key = Key::for_scheme(openssl, 0x0804);
    let certificate = key.certify(&ROOT);
    let Key::OpenSsl(_, file) = key else {
        unreachable!("an RSA key is OpenSSL's");
    };
    for version in ["1.2", "1.3"] {
        let cases = ["0", "20", "max"].map(|salt| {
            let file = file.clone();
            let sign = move |text: &[u8]| {
                let text = openssl.write(&format!("salted.{salt}.{version}"), text);
                let salt = format!("rsa_pss_saltlen:{salt}");
                let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", &salt];
                openssl.run(&[&["dgst", "-sha256"][..], &pss, &["-sign", &file, &text]].concat())
            };
            Case {
                what: format!("a salt of {salt}, TLS {version}"),
                peer: serve(version, &certificate, 0x0804, sign),
                certificate: certificate.clone(),
                expected: Expected::False,
            }
        });
        check(version, &cases);
    }
}
