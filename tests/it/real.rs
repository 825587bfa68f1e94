//! Servers that nobody here wrote. What is not installed is skipped, loudly.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use serde_json::Value;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::pki::CA;
use crate::support::programs::{Program, Server};
use crate::support::servers::{Files, serve_gnutls, serve_nginx, serve_openssl};

#[test]
fn nginx_at_volume() {
    const TARGETS: usize = 2000;
    let Some(nginx) = Program::find("nginx") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let server = serve_nginx(&nginx, &files, "ssl_protocols TLSv1.2 TLSv1.3;");
    let targets = (0..TARGETS).map(|number| {
        format!("127.0.{}.{}:{}", number / 250, number % 250 + 1, server.addr.port())
    });
    let outcome = Tlsweep::json().args(["-c", "500"]).sweep(targets);
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), TARGETS);
    for record in &outcome.records {
        assert_nginx(record, "TLSv1.3");
    }
}

#[test]
fn nginx_with_tls12_and_http2() {
    let Some(nginx) = Program::find("nginx") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let server = serve_nginx(&nginx, &files, "ssl_protocols TLSv1.2;");
    let record = sweep(&server);
    assert_nginx(&record, "TLSv1.2");
    assert_eq!(record["tls"]["alpn"], "h2");
}

/// nginx answers our goodbye with FIN, and not always with a goodbye of its own before it.
fn assert_nginx(record: &Value, version: &str) {
    let verdict = verdict(record);
    assert!(["ok close_notify", "ok eof"].contains(&verdict.as_str()), "{record:#}");
    assert_eq!(record["tls"]["version"], version);
    assert_eq!(record["tls"]["signature_verified"], true);
}

#[test]
fn openssl_with_rsa() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    for (flag, version) in VERSIONS {
        let record = sweep(&serve_openssl(&openssl, &files, &[flag]));
        assert_good(&record, version);
        let scheme = record["tls"]["signature"].as_str().unwrap();
        assert!(scheme.starts_with("rsa_pss_rsae_sha"), "{record:#}");
    }
}

#[test]
fn openssl_with_ecdsa() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    for (algorithm, scheme) in [
        (&PKCS_ECDSA_P256_SHA256, "ecdsa_secp256r1_sha256"),
        (&PKCS_ECDSA_P384_SHA384, "ecdsa_secp384r1_sha384"),
    ] {
        let files = Files::with_key(algorithm);
        let record = sweep(&serve_openssl(&openssl, &files, &["-tls1_3"]));
        assert_good(&record, "TLSv1.3");
        assert_eq!(record["tls"]["signature"], scheme);
        assert_good(&sweep(&serve_openssl(&openssl, &files, &["-tls1_2"])), "TLSv1.2");
    }
}

#[test]
fn openssl_with_ed25519() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    // OpenSSL cannot read the newer form in which rcgen writes such a key.
    let key = openssl.run(["genpkey", "-algorithm", "ED25519"]);
    let key = KeyPair::from_pem(str::from_utf8(&key.stdout).unwrap()).unwrap();
    let files = Files::of(&CA.issue_for(["localhost"], key));
    for (flag, version) in VERSIONS {
        let record = sweep(&serve_openssl(&openssl, &files, &[flag]));
        assert_good(&record, version);
        assert_eq!(record["tls"]["signature"], "ed25519");
    }
}

#[test]
fn openssl_that_asks_for_another_group() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let record = sweep(&serve_openssl(&openssl, &files, &["-tls1_3", "-groups", "P-384"]));
    assert_good(&record, "TLSv1.3");
    assert_eq!(record["tls"]["group"], "secp384r1");
    assert_eq!(record["tls"]["hello_retry"], true);
}

#[test]
fn openssl_that_wants_a_certificate() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let root = files.root();
    let wants = ["-Verify", "1", "-verify_return_error", "-CAfile", &root];

    let record = sweep(&serve_openssl(&openssl, &files, &[&["-tls1_3"], &wants[..]].concat()));
    assert_eq!(verdict(&record), "ok alert", "{record:#}");
    assert_eq!(record["read"]["alert"], "certificate_required");
    assert_eq!(record["tls"]["client_cert_requested"], true);

    let record = sweep(&serve_openssl(&openssl, &files, &[&["-tls1_2"], &wants[..]].concat()));
    assert_eq!(verdict(&record), "handshake/alert handshake_failure", "{record:#}");
    assert_eq!(record["tls"]["client_cert_requested"], true);
}

const VERSIONS: [(&str, &str); 2] = [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")];

#[test]
fn gnutls() {
    let Some(gnutls) = Program::find("gnutls-serv") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for version in ["1.2", "1.3"] {
        let record = sweep(&serve_gnutls(&gnutls, &files, &priority(version), &[]));
        assert_good(&record, &format!("TLSv{version}"));
    }
}

#[test]
fn gnutls_that_wants_a_certificate() {
    let Some(gnutls) = Program::find("gnutls-serv") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let root = files.root();
    let wants = ["--require-client-cert", "--x509cafile", &root];

    let record = sweep(&serve_gnutls(&gnutls, &files, &priority("1.3"), &wants));
    assert_eq!(verdict(&record), "ok alert", "{record:#}");
    assert_eq!(record["tls"]["client_cert_requested"], true);

    let record = sweep(&serve_gnutls(&gnutls, &files, &priority("1.2"), &wants));
    assert_eq!(record["tls"]["client_cert_requested"], true);
    assert!(verdict(&record).starts_with("handshake/alert"), "{record:#}");
}

fn priority(version: &str) -> String {
    format!("NORMAL:-VERS-ALL:+VERS-TLS{version}")
}

fn sweep(server: &Server) -> Value {
    let outcome = Tlsweep::json().sweep([format!("localhost:{}", server.addr.port())]);
    outcome.only_record().clone()
}

fn assert_good(record: &Value, version: &str) {
    assert_eq!(verdict(record), "ok close_notify", "{record:#}");
    assert_eq!(record["tls"]["version"], version, "{record:#}");
    assert_eq!(record["tls"]["signature_verified"], true, "{record:#}");
}
