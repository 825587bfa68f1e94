//! What the key usage of a certificate must allow depends on the key exchange.

use std::slice::from_ref;

use rcgen::{KeyUsagePurpose, PKCS_RSA_SHA256};
use serde_json::json;
use tlsweep::cert::pem;

use crate::support::certs::{Entity, example};
use crate::support::cmd::Tlsweep;
use crate::support::openssl::OpenSsl;

/// A static RSA key exchange encrypts to the key of the certificate, which signs nothing.
#[test]
fn a_key_that_only_decrypts_is_good_for_a_static_rsa_key_exchange() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let root = Entity::root("root");
    let roots = openssl.write("root.pem", pem(&root.der));
    for (usage, problems) in [
        (KeyUsagePurpose::KeyEncipherment, json!(["unproven"])),
        (KeyUsagePurpose::DigitalSignature, json!(["unproven"])),
        (KeyUsagePurpose::CrlSign, json!(["bad_purpose", "unproven"])),
    ] {
        let mut params = example();
        params.key_usages = vec![usage];
        let leaf = root.issue_with(params, &PKCS_RSA_SHA256);
        let flags = ["-tls1_2", "-cipher", "kRSA"];
        let server = openssl.serve(from_ref(&leaf.der), &leaf.key.serialize_der(), &flags);
        let outcome = Tlsweep::json()
            .args(["--roots", &roots])
            .sweep([format!("{},example.com", server.addr)]);
        let record = outcome.only_record();
        assert_eq!(record["tls"]["legacy"], true, "{usage:?}: {record:#}");
        assert_eq!(record["trust"]["problems"], problems, "{usage:?}: {record:#}");
    }
}

/// The same certificate behind a key exchange that is signed.
#[test]
fn a_key_that_only_decrypts_is_not_good_for_a_signed_key_exchange() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let root = Entity::root("root");
    let roots = openssl.write("root.pem", pem(&root.der));
    let mut params = example();
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    let leaf = root.issue_with(params, &PKCS_RSA_SHA256);
    let server = openssl.serve(from_ref(&leaf.der), &leaf.key.serialize_der(), &["-tls1_3"]);
    let outcome =
        Tlsweep::json().args(["--roots", &roots]).sweep([format!("{},example.com", server.addr)]);
    let record = outcome.only_record();
    assert_eq!(record["trust"]["problems"], json!(["bad_purpose"]), "{record:#}");
}
