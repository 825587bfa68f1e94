//! Ways around the signature: messages left out, sessions that never were, keys of another kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tempfile::TempDir;
use tlsweep::cert::Certificate;

use crate::support::cmd::Tlsweep;
use crate::support::peer::Spec;
use crate::support::pki::{CA, GOOD};
use crate::support::script::Step::{
    Hold, Patched, ReadClientKey, ReadHello, Record, Reset, Say, Spoiled, UpTo, UpTo12,
};
use crate::support::script::{
    CERTIFICATE, CERTIFICATE12, EXTENSIONS, HELLO_DONE12, SERVER_HELLO, Step, VERIFY, play,
};
use crate::support::tls::Msg::{self, Certificate as Shows, Extensions, Finished, Verify};
use crate::support::tls::{Chain, HANDSHAKE, at};

const PRE_SHARED_KEY: u16 = 41;
const SERVER_CERTIFICATE_TYPE: u16 = 20;

/// Every one of them shows the good certificate, or nothing, and does not use its key, or not for
/// this handshake.
fn tricks() -> Vec<(&'static str, Vec<Step>)> {
    let psk = Msg::ServerHelloWith(PRE_SHARED_KEY, &[0, 0]);
    let raw_key_hello = Msg::ServerHelloWith(SERVER_CERTIFICATE_TYPE, &[2]);
    // EncryptedExtensions with server_certificate_type: RawPublicKey, and with early_data.
    let raw_key = Extensions(&[0, 20, 0, 1, 2]);
    let early_data = Extensions(&[0, 42, 0, 0]);
    // A CompressedCertificate (RFC 8879) of nothing.
    let compressed = Record(HANDSHAKE, vec![25, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0]);
    let certificate12 = || Say(Msg::Certificate12(Chain::Good));
    vec![
        ("no CertificateVerify", vec![UpTo(CERTIFICATE), Say(Finished)]),
        ("neither certificate nor signature", vec![UpTo(EXTENSIONS), Say(Finished)]),
        (
            "a resumption that nobody offered",
            vec![ReadHello, Say(psk), Say(Extensions(&[])), Say(Finished)],
        ),
        (
            "the same with a certificate",
            vec![ReadHello, Say(psk), Say(Extensions(&[])), Say(Shows(Chain::Good)), Say(Finished)],
        ),
        (
            "a raw public key",
            vec![UpTo(SERVER_HELLO), Say(raw_key), Say(Shows(Chain::Good)), Say(Finished)],
        ),
        ("a raw public key in ServerHello", vec![ReadHello, Say(raw_key_hello)]),
        ("early data", vec![UpTo(SERVER_HELLO), Say(early_data), Say(Finished)]),
        ("a compressed certificate", vec![UpTo(EXTENSIONS), compressed]),
        (
            "two certificates",
            vec![
                UpTo(EXTENSIONS),
                Say(Shows(Chain::Stranger)),
                Say(Shows(Chain::Good)),
                Say(Verify),
                Say(Finished),
            ],
        ),
        (
            "a certificate behind the signature",
            vec![UpTo(VERIFY), Say(Shows(Chain::Stranger)), Say(Finished)],
        ),
        (
            "a signature before the certificate",
            vec![UpTo(EXTENSIONS), Say(Verify), Say(Shows(Chain::Good)), Say(Finished)],
        ),
        (
            "a scheme of no kind",
            vec![UpTo(CERTIFICATE), Patched(Verify, at::SCHEME, &[0, 0]), Say(Finished)],
        ),
        ("a wrong Finished", vec![UpTo(VERIFY), Spoiled(Finished)]),
        ("TLS 1.2 without a key exchange", vec![UpTo12(CERTIFICATE12), Say(Msg::HelloDone12)]),
        (
            "TLS 1.2 with the key exchange first",
            vec![
                ReadHello,
                Say(Msg::ServerHello12),
                Say(Msg::KeyExchange12),
                certificate12(),
                Say(Msg::HelloDone12),
            ],
        ),
        (
            "TLS 1.2 with two certificates",
            vec![
                UpTo12(CERTIFICATE12),
                certificate12(),
                Say(Msg::KeyExchange12),
                Say(Msg::HelloDone12),
            ],
        ),
        (
            "a resumption of TLS 1.2 that nobody offered",
            vec![ReadHello, Say(Msg::ServerHello12Resuming), Say(Msg::Finished12)],
        ),
        (
            "the same with a certificate",
            vec![ReadHello, Say(Msg::ServerHello12Resuming), certificate12(), Say(Msg::Finished12)],
        ),
        (
            "TLS 1.2 with a wrong Finished",
            vec![UpTo12(HELLO_DONE12), ReadClientKey, Spoiled(Msg::Finished12)],
        ),
    ]
}

#[test]
fn no_trick_replaces_the_signature() {
    let dir = TempDir::new().unwrap();
    let roots = CA.write_to(&dir);
    let pin = Certificate::new(&GOOD.chain[0]).spki_sha256.unwrap();
    let tricks = tricks();
    let peers = tricks.iter().map(|(_, steps)| {
        let steps = [steps.clone(), vec![Hold]].concat();
        Spec::script(steps).start()
    });
    let peers = peers.collect::<Vec<_>>();
    let outcome = Tlsweep::json()
        .args([
            "--roots",
            roots.to_str().unwrap(),
            "--fail-on",
            &format!("error,untrusted,pin={pin}"),
        ])
        .args(["--no-legacy", "--handshake-timeout", "4s"])
        .sweep(peers.iter().map(|peer| format!("{},good.test", peer.addr)));
    assert_eq!(outcome.records.len(), tricks.len());
    for record in &outcome.records {
        let line = usize::try_from(record["line"].as_u64().unwrap()).unwrap();
        let (what, _) = tricks[line - 1];
        let met = record["failed_checks"].as_array().unwrap();
        assert_eq!(record["ok"], false, "{what}: {record:#}");
        assert_eq!(record["error"]["kind"], "protocol", "{what}: {record:#}");
        assert!(met.contains(&json!("error")), "{what}: {record:#}");
        // The key was used, but the handshake was changed on its way.
        if what.ends_with("a wrong Finished") || what.ends_with("behind the signature") {
            continue;
        }
        assert_ne!(record["trust"]["verdict"], "trusted", "{what}: {record:#}");
        assert!(record["tls"].get("signature_verified").is_none(), "{what}: {record:#}");
        if record.get("cert").is_some() {
            assert_eq!(json!(met), json!(["error", "untrusted", "pin"]), "{what}: {record:#}");
        }
    }
}

/// The first connection proves that the peer has a key, and breaks off; the second shows the same
/// certificate and proves nothing.
#[test]
fn what_one_connection_proved_does_not_count_for_the_next() {
    let dir = TempDir::new().unwrap();
    let roots = CA.write_to(&dir);
    let pin = Certificate::new(&GOOD.chain[0]).spki_sha256.unwrap();
    for (what, first, second) in [
        ("1.3", vec![UpTo(VERIFY), Reset], vec![UpTo(CERTIFICATE), Reset]),
        (
            "1.2",
            vec![UpTo12(HELLO_DONE12), ReadClientKey, Reset],
            vec![UpTo12(CERTIFICATE12), Reset],
        ),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let peer = Spec::made_up(move |stream| {
            let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
            let steps = if is_first { first.clone() } else { second.clone() };
            async move {
                let _client_went = play(&steps, stream).await;
            }
        });
        let peer = peer.start();
        let outcome = Tlsweep::json()
            .args(["--roots", roots.to_str().unwrap(), "--tls", what, "--retries", "1"])
            .args(["--fail-on", &format!("untrusted,pin={pin}"), "--no-legacy"])
            .sweep([format!("{},good.test", peer.addr)]);
        let record = &outcome.records[0];
        assert_eq!(record["attempts"], 2, "{record:#}");
        assert!(record["tls"].get("signature_verified").is_none(), "{record:#}");
        assert_ne!(record["trust"]["verdict"], "trusted", "{record:#}");
        if record.get("cert").is_some() {
            assert_eq!(record["failed_checks"], json!(["untrusted", "pin"]), "{record:#}");
        }
    }
}
