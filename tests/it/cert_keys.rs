//! Keys that rustls does without: curves, sizes and encodings out of the ordinary.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tlsweep::cert::{Presented, Signature, Wanted, pem};

use crate::support::certs::{Entity, HELD, examine, judge, now};
use crate::support::cmd::{Tlsweep, verdict};
use crate::support::openssl::OpenSsl;
use crate::support::weak::Weak;

/// A certificate that signs itself, by OpenSSL, and its key.
fn own(openssl: &OpenSsl, key: &[&str]) -> (CertificateDer<'static>, Vec<u8>) {
    let made = openssl.run(&[&["genpkey", "-algorithm"], key].concat());
    let file = openssl.write("own.key", &made);
    let extensions =
        ["-addext", "subjectAltName=DNS:example.com", "-addext", "basicConstraints=CA:FALSE"];
    let args = ["req", "-x509", "-key", &file, "-subj", "/CN=own", "-days", "9"];
    let certificate = openssl.run(&[&args[..], &extensions].concat());
    let key = PrivateKeyDer::from_pem_slice(&made).unwrap().secret_der().to_vec();
    (CertificateDer::from_pem_slice(&certificate).unwrap(), key)
}

fn sweep(openssl: &OpenSsl, key: &[&str], flags: &[&str]) -> Value {
    let (certificate, key) = own(openssl, key);
    let server = openssl.serve(&[certificate], &key, flags);
    Tlsweep::json().sweep([format!("{},example.com", server.addr)]).only_record().clone()
}

/// A server of TLS 1.2 refuses when its certificate's curve is not among the groups offered
/// (RFC 8422, section 5.1). The legacy hello then gets version, suite and certificate in plain
/// text, and the record has them.
#[test]
fn a_certificate_on_a_curve_that_is_not_offered() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    for curve in ["P-521", "secp256k1", "brainpoolP256r1"] {
        let curve_option = format!("ec_paramgen_curve:{curve}");
        let record = sweep(&openssl, &["EC", "-pkeyopt", &curve_option], &["-tls1_2"]);
        assert_eq!(verdict(&record), "handshake/unsupported", "{curve}: {record:#}");
        assert_eq!(record["tls"]["version"], "TLSv1.2", "{record:#}");
        assert_eq!(record["cert"]["subject"], "CN=own", "{record:#}");
    }
}

#[test]
fn a_key_with_explicit_parameters_is_told_in_a_word() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let explicit =
        ["EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"];
    let record = sweep(&openssl, &explicit, &["-tls1_2"]);
    let why = record["tls"]["signature_unchecked"].as_str().unwrap();
    assert!(why.len() < 100, "{why}");
}

/// Keys of a size that the provider does not verify with are no proof of another issuer.
#[test]
fn self_signed_whatever_the_size_of_the_key() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    // Two primes of 4,100 bits take OpenSSL minutes to find; five of 1,640 bits take seconds.
    for (bits, primes, problems) in
        [("768", "2", json!(["self_signed", "weak_key"])), ("8200", "5", json!(["self_signed"]))]
    {
        let [size, primes] = [("bits", bits), ("primes", primes)]
            .map(|(option, value)| format!("rsa_keygen_{option}:{value}"));
        let (certificate, _) = own(&openssl, &["RSA", "-pkeyopt", &size, "-pkeyopt", &primes]);
        let stranger = Entity::root("stranger");
        let examined = examine(&judge(&[&stranger.der]), &[certificate], "example.com");
        assert_eq!(json!(examined.trust.unwrap().problems), problems, "{bits} bits");
    }
}

/// A genuine response of an issuer with 1024 bits is no forgery.
#[test]
fn a_staple_by_a_small_key() {
    let (Some(openssl), Some(weak)) = (OpenSsl::find(), Weak::make()) else {
        return;
    };
    let [leaf, issuer] = ["under1024", "ca1024"].map(|name| weak.certificate(name));
    let leaf_file = openssl.write("leaf.pem", pem(&leaf));
    let issuer_file = openssl.write("issuer.pem", pem(&issuer));
    let key = openssl.write("issuer.key", weak.key("ca1024"));
    let pem_key = openssl.path("issuer.key.pem");
    openssl.run(&["pkey", "-inform", "DER", "-in", &key, "-out", &pem_key]);
    let index = openssl.write("index", "R\t491231235959Z\t240101000000Z\t01\tunknown\t/CN=leaf\n");
    let out = openssl.path("out.der");
    let subject = ["-issuer", &issuer_file, "-cert", &leaf_file, "-index", &index];
    let signing = ["-CA", &issuer_file, "-rsigner", &issuer_file, "-rkey", &pem_key];
    let rest = ["-ndays", "1", "-noverify", "-respout", &out];
    openssl.run(&[&["ocsp"], &subject[..], &signing, &rest].concat());
    let staple = std::fs::read(&out).unwrap();
    let chain = [leaf, issuer];
    let presented = Presented { chain: &chain, name: None, ocsp: &staple, proof: &HELD };
    let examined = judge(&[&weak.root]).examine(presented, now(), Wanted::default());
    let ocsp = examined.ocsp.unwrap();
    assert_ne!(ocsp.signature, Some(Signature::Invalid), "{ocsp:#?} {:?}", examined.trust);
}
