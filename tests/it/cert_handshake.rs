//! What the handshake itself says: signature, staple, group, the wish for a certificate of ours.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, mpsc};

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PKCS_RSA_SHA256, SerialNumber};
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use tempfile::TempDir;
use tlsweep::cert::pem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::certs::{Entity, Pki, ca, example};
use crate::support::cmd::{LIMIT, Tlsweep, verdict};
use crate::support::ocsp::{answer, response, revoked};
use crate::support::openssl::OpenSsl;
use crate::support::peer::{Peer, Spec, provider};
use crate::support::pki::{CA, GOOD, STRANGER};
use crate::support::programs::Server;
use crate::support::script::Step::{Fin, Handshake, Hold, IfHello, ReadHello, Relay, Reset};
use crate::support::script::{self, Step};
use crate::support::tls::{self, ALERT, plain_record};
use crate::support::weak::Weak;

const VERSIONS: [(&str, &str); 2] = [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")];

/// The record of a server that is asked for `example.com` by a client who trusts this root.
fn sweep(openssl: &OpenSsl, server: &Server, root: &Entity, args: &[&str]) -> Value {
    let roots = openssl.write("roots.pem", pem(&root.der));
    let outcome = Tlsweep::json()
        .args(["--roots", &roots])
        .args(args)
        .sweep([format!("{},example.com", server.addr)]);
    outcome.only_record().clone()
}

/// That nothing is missing and that the signature was checked.
fn assert_full(record: &Value, version: &str) {
    assert_eq!(verdict(record), "ok close_notify", "{record:#}");
    assert_eq!(record["tls"]["version"], version, "{record:#}");
    for fact in ["/tls/cipher", "/tls/group", "/tls/signature"] {
        assert!(record.pointer(fact).is_some_and(Value::is_string), "{fact}: {record:#}");
    }
    for fact in ["/cert/subject", "/cert/spki_sha256", "/cert/not_after", "/trust/verdict"] {
        assert!(record.pointer(fact).is_some_and(Value::is_string), "{fact}: {record:#}");
    }
    assert_eq!(record["tls"]["signature_verified"], true, "{record:#}");
    assert!(record["tls"].get("signature_unchecked").is_none(), "{record:#}");
}

#[test]
fn staples_are_told() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let root = Entity::root("root");
    let issuer = root.issue(ca("issuer"));
    let mut leaf = example();
    leaf.serial_number = Some(SerialNumber::from_slice(&[0x4d]));
    let leaf = issuer.issue(leaf);
    let stranger = Entity::self_signed(issuer.params.clone());
    let mut responder = ca("responder");
    responder.is_ca = rcgen::IsCa::NoCa;
    responder.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    let responder = issuer.issue(responder);

    let revoked_line = "R\t491231235959Z\t240101000000Z\t4D\tunknown\t/CN=leaf\n";
    let good_line = "V\t491231235959Z\t\t4D\tunknown\t/CN=leaf\n";
    let respond = |name: &str, signer: &Entity, index: &str| {
        let pki = About { issuer: &issuer, leaf: &leaf };
        pki.respond(&openssl, name, signer, index)
    };
    let stale = answer(&leaf.der, &issuer, &revoked(), -9, Some(-2));
    let stale = openssl.write("stale.der", response(&issuer, &[stale], None));
    let chain = [leaf.der.clone(), issuer.der.clone()];
    for (staple, status, signature, is_current, problems) in [
        (respond("good", &issuer, good_line), "good", "valid", true, json!([])),
        (respond("revoked", &issuer, revoked_line), "revoked", "valid", true, json!(["revoked"])),
        (respond("by", &responder, revoked_line), "revoked", "valid", true, json!(["revoked"])),
        (respond("forged", &stranger, revoked_line), "revoked", "invalid", true, json!([])),
        (stale, "revoked", "valid", false, json!([])),
    ] {
        let server = openssl.serve(&chain, &leaf.key.serialize_der(), &["-status_file", &staple]);
        for (flag, version) in VERSIONS {
            let record = sweep(&openssl, &server, &root, &["--tls", flag]);
            assert_eq!(verdict(&record), "ok close_notify", "{staple}: {record:#}");
            assert_eq!(record["tls"]["version"], version, "{staple}");
            assert_eq!(record["tls"]["ocsp_stapled"], true, "{staple}: {record:#}");
            let ocsp = &record["ocsp"];
            assert_eq!(ocsp["status"], status, "{staple}: {record:#}");
            assert_eq!(ocsp["signature"], signature, "{staple}: {record:#}");
            assert_eq!(ocsp["current"], is_current, "{staple}: {record:#}");
            for moment in ["produced_at", "this_update", "next_update"] {
                assert!(ocsp[moment].is_string(), "{staple}, {moment}: {record:#}");
            }
            let since = (status == "revoked").then(|| json!("2024-01-01T00:00:00Z"));
            assert_eq!(ocsp.get("revoked_at"), since.as_ref(), "{staple}: {record:#}");
            assert_eq!(record["trust"]["problems"], problems, "{staple}: {record:#}");
        }
    }

    let server = openssl.serve(&chain, &leaf.key.serialize_der(), &[]);
    let record = sweep(&openssl, &server, &root, &[]);
    assert_eq!(record["tls"]["ocsp_stapled"], false, "{record:#}");
    assert!(record.get("ocsp").is_none(), "{record:#}");
}

/// What a response is about.
struct About<'a> {
    issuer: &'a Entity,
    leaf: &'a Entity,
}

impl About<'_> {
    /// OpenSSL's own response by this signer, as a file.
    fn respond(&self, openssl: &OpenSsl, name: &str, signer: &Entity, index: &str) -> String {
        let file = |what: &str, content: String| openssl.write(&format!("{name}.{what}"), content);
        let out = openssl.path(&format!("{name}.der"));
        let index = file("index", index.to_owned());
        let issuer = file("issuer", pem(&self.issuer.der));
        let leaf = file("leaf", pem(&self.leaf.der));
        let by = file("signer", pem(&signer.der));
        let key = file("signer.key", signer.key.serialize_pem());
        let subject = ["-issuer", &issuer, "-cert", &leaf, "-index", &index, "-CA", &issuer];
        let signing = ["-rsigner", &by, "-rkey", &key, "-ndays", "1", "-noverify"];
        openssl.run(&[&["ocsp"], &subject[..], &signing, &["-respout", &out]].concat());
        out
    }
}

#[test]
fn a_server_with_sha1_only() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let root = Entity::root("root");
    let leaf = root.issue_with(example(), &PKCS_RSA_SHA256);
    let flags = ["-tls1_2", "-sigalgs", "RSA+SHA1"];
    let server = openssl.serve(&[leaf.der], &leaf.key.serialize_der(), &flags);
    let record = sweep(&openssl, &server, &root, &[]);
    assert_full(&record, "TLSv1.2");
    assert_eq!(record["tls"]["signature"], "rsa_pkcs1_sha1");
    assert_eq!(record["trust"]["problems"], json!(["weak_signature"]), "{record:#}");
}

#[test]
fn a_server_with_a_certificate_of_version_1() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let Pki { root, ca, leaf } = Pki::new();
    let v1 = leaf.altered(&ca, |fields| {
        fields.remove(0);
        fields.pop();
    });
    let server = openssl.serve(&[v1, ca.der], &leaf.key.serialize_der(), &[]);
    for (flag, version) in VERSIONS {
        let record = sweep(&openssl, &server, &root, &["--tls", flag]);
        assert_full(&record, version);
        assert_eq!(record["cert"]["version"], 1);
        let problems = json!(["unsupported_version", "name_mismatch"]);
        assert_eq!(record["trust"]["problems"], problems, "{record:#}");
    }
}

#[test]
fn a_server_with_a_key_of_1024_bits() {
    let (Some(openssl), Some(weak)) = (OpenSsl::find(), Weak::make()) else {
        return;
    };
    let server = openssl.serve(&[weak.certificate("rsa1024")], &weak.key("rsa1024"), &[]);
    let roots = openssl.write("weak.pem", pem(&weak.root));
    for (flag, version) in VERSIONS {
        let args = ["--roots", &roots, "--tls", flag];
        let outcome = Tlsweep::json().args(args).sweep([format!("{},example.com", server.addr)]);
        let record = outcome.only_record();
        assert_full(record, version);
        assert_eq!(record["cert"]["key_bits"], 1024);
        assert_eq!(record["trust"]["problems"], json!(["weak_key"]), "{record:#}");
    }
}

#[test]
fn signatures_of_every_kind_are_verified() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let root = Entity::root("root");
    let p256 = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..];
    let p384 = &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let p521 = &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
    let rsa = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    for (key, version, sigalgs, scheme) in [
        (&["ED25519"][..], "1.2", "ed25519", "ed25519"),
        (&["ED25519"], "1.3", "ed25519", "ed25519"),
        (p256, "1.3", "ECDSA+SHA256", "ecdsa_secp256r1_sha256"),
        (p384, "1.2", "ECDSA+SHA384", "ecdsa_secp384r1_sha384"),
        (p384, "1.3", "ECDSA+SHA384", "ecdsa_secp384r1_sha384"),
        (p521, "1.3", "ECDSA+SHA512", "ecdsa_secp521r1_sha512"),
        (rsa, "1.2", "RSA+SHA256", "rsa_pkcs1_sha256"),
        (rsa, "1.2", "RSA-PSS+SHA384", "rsa_pss_rsae_sha384"),
        (rsa, "1.3", "RSA-PSS+SHA512", "rsa_pss_rsae_sha512"),
        // TLS 1.2 ties no curve to a hash.
        (p256, "1.2", "ECDSA+SHA384", "ecdsa_secp384r1_sha384"),
        (p384, "1.2", "ECDSA+SHA256", "ecdsa_secp256r1_sha256"),
        (p256, "1.2", "ECDSA+SHA512", "ecdsa_secp521r1_sha512"),
        (p384, "1.2", "ECDSA+SHA512", "ecdsa_secp521r1_sha512"),
    ] {
        let made = openssl.run(&[&["genpkey", "-algorithm"], key].concat());
        let pkcs8 = PrivateKeyDer::from_pem_slice(&made).unwrap();
        let made = KeyPair::from_pem(str::from_utf8(&made).unwrap()).unwrap();
        let leaf = root.issue_for(example(), made);
        let server = openssl.serve(&[leaf.der], pkcs8.secret_der(), &["-sigalgs", sigalgs]);
        let record = sweep(&openssl, &server, &root, &["--tls", version]);
        let what = format!("{key:?}, {sigalgs}, TLS {version}");
        assert_eq!(verdict(&record), "ok close_notify", "{what}: {record:#}");
        assert_eq!(record["tls"]["signature"], scheme, "{what}: {record:#}");
        assert_eq!(record["tls"]["signature_verified"], true, "{what}: {record:#}");
        assert_eq!(record["trust"]["problems"], json!([]), "{what}: {record:#}");
    }
}

#[test]
fn a_certificate_of_ours_is_wanted() {
    let dir = TempDir::new().unwrap();
    let roots = CA.write_to(&dir);
    let sweep = |version: &'static SupportedProtocolVersion| {
        let peer = Spec::wants_certificate(version).start();
        let outcome = Tlsweep::json()
            .args(["--roots", roots.to_str().unwrap()])
            .sweep([format!("{},good.test", peer.target())]);
        outcome.only_record().clone()
    };
    let assert_judged = |record: &Value| {
        assert_eq!(record["tls"]["client_cert_requested"], true, "{record:#}");
        assert_eq!(record["chain"]["length"], GOOD.chain.len(), "{record:#}");
        assert_eq!(record["cert"]["names"][0], "good.test", "{record:#}");
        assert_eq!(record["trust"]["verdict"], "trusted", "{record:#}");
        assert_eq!(record["tls"]["signature_verified"], true, "{record:#}");
    };

    let record = sweep(&TLS12);
    assert_judged(&record);
    assert_eq!(record["ok"], false, "{record:#}");
    assert_eq!(record["error"]["stage"], "handshake", "{record:#}");
    assert_eq!(record["error"]["kind"], "alert", "{record:#}");
    assert!(record.get("read").is_none(), "{record:#}");

    let record = sweep(&TLS13);
    assert_judged(&record);
    assert_eq!(verdict(&record), "ok alert", "{record:#}");
    assert_eq!(record["read"]["alert"], "certificate_required", "{record:#}");

    let good = Spec::good().start();
    let outcome = Tlsweep::json().sweep([good.target()]);
    assert_eq!(outcome.only_record()["tls"]["client_cert_requested"], false);
}

/// Takes down what groups a hello offers, and then wants no more of it.
#[derive(Debug, Default)]
struct Listener(Mutex<Vec<u16>>);

impl ResolvesServerCert for Listener {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let groups = client.named_groups().unwrap_or_default();
        *self.0.lock().unwrap() = groups.iter().map(|&group| group.into()).collect();
        None
    }
}

#[test]
fn groups_are_offered_in_the_order_asked_for() {
    let listener = Arc::new(Listener::default());
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(listener.clone());
    let peer = Spec::served(config).start();
    let heard = |args: &[&str]| {
        let outcome = Tlsweep::json().args(args).sweep([peer.target()]);
        assert_eq!(outcome.only_record()["ok"], false);
        std::mem::take(&mut *listener.0.lock().unwrap())
    };
    assert_eq!(heard(&[]), [0x11ec, 0x1d, 0x17, 0x18]);
    assert_eq!(heard(&["--groups", "P-384,x25519"]), [0x18, 0x1d]);
    assert_eq!(heard(&["--groups", "secp256r1,X25519MLKEM768"]), [0x17, 0x11ec]);
    assert_eq!(heard(&["--groups", "MLKEM1024"]), [0x0202]);
}

#[test]
fn a_server_that_wants_another_key_share() {
    for (group, name) in
        [(kx_group::SECP384R1, "secp384r1"), (kx_group::X25519MLKEM768, "X25519MLKEM768")]
    {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![group];
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(GOOD.chain.clone(), GOOD.key.clone_key());
        let peer = Spec::served(config.unwrap()).start();
        for (groups, retry) in [(format!("P-256,{name}"), true), (format!("{name},P-256"), false)] {
            let outcome = Tlsweep::json().args(["--groups", &groups]).sweep([peer.target()]);
            let record = outcome.only_record();
            assert_eq!(record["tls"]["group"], name, "{record:#}");
            assert_eq!(record["tls"]["hello_retry"], retry, "{record:#}");
        }
    }
}

#[test]
fn a_key_share_sent_again_is_named() {
    let good = Spec::good().start();
    let targets = || (0..5).map(|_| good.target());
    let groups = [("X25519MLKEM768,x25519", true), ("x25519", true), ("P-256", false)];
    for (groups, can_be_reused) in groups {
        let sweep = |args: &[&str]| {
            let outcome = Tlsweep::json().args(["--groups", groups]).args(args).sweep(targets());
            let records = outcome.records;
            assert!(records.iter().all(|record| record["ok"] == true), "{records:#?}");
            let named = |record: &Value| record["tls"].get("key_share_reused").cloned();
            records.iter().map(named).collect::<Vec<_>>()
        };
        assert_eq!(sweep(&[]), vec![None; 5], "{groups}");
        let expected = can_be_reused.then_some(Value::Bool(true));
        assert_eq!(sweep(&["--reuse-key-share"]), vec![expected; 5], "{groups}");
    }
}

#[test]
fn a_server_hears_why_it_was_refused() {
    for version in [&TLS12, &TLS13] {
        let key = provider().key_provider.load_private_key(STRANGER.key.clone_key()).unwrap();
        let other_key = CertifiedKey::new(GOOD.chain.clone(), key);
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(other_key)));
        let config = Arc::new(config);
        let (tell, told) = mpsc::channel();
        let peer = Spec::made_up(move |stream| {
            let ended = script::serve(Arc::clone(&config), stream);
            let tell = tell.clone();
            async move { tell.send(ended.await.unwrap_err().to_string()).unwrap() }
        });
        let peer = peer.start();
        let outcome = Tlsweep::json().sweep([peer.target()]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), "handshake/bad_signature", "{record:#}");
        assert_eq!(
            told.recv_timeout(LIMIT).unwrap(),
            "received fatal alert: DecryptError",
            "{version:?}"
        );
    }
}

#[test]
fn hellos_send_one_key_share_only_when_asked_to() {
    // In pieces, so that no part of a hybrid share is taken for fresh because another one is.
    let distinct_pieces = |args: &[&str]| {
        let pieces = Arc::new(Mutex::new(HashSet::new()));
        let heard = Arc::clone(&pieces);
        let peer = Spec::made_up(move |mut stream| {
            let heard = Arc::clone(&heard);
            async move {
                let mut header = [0; 5];
                stream.read_exact(&mut header).await.unwrap();
                let mut hello = vec![0; u16::from_be_bytes([header[3], header[4]]).into()];
                stream.read_exact(&mut hello).await.unwrap();
                for (_group, share) in tls::ClientHello::parse(&hello).key_shares {
                    heard.lock().unwrap().extend(share.chunks(32).map(<[u8]>::to_vec));
                }
                stream.write_all(&plain_record(ALERT, &[2, 40])).await.unwrap();
            }
        });
        let peer = peer.start();
        let targets = (0..5).map(|_| peer.target());
        let outcome = Tlsweep::json().args(["--no-legacy"]).args(args).sweep(targets);
        let told = |record: &Value| record["error"]["kind"] == "alert";
        assert!(outcome.records.iter().all(told), "{:#?}", outcome.records);
        assert_eq!(peer.accepted(), 5);
        pieces.lock().unwrap().len()
    };
    // The X25519 share beside a hybrid one is the end of it.
    for (groups, pieces) in [("X25519MLKEM768,X25519", (1184 + 32) / 32), ("X25519", 1)] {
        assert_eq!(distinct_pieces(&["--groups", groups]), 5 * pieces, "{groups}");
        let reused = distinct_pieces(&["--groups", groups, "--reuse-key-share"]);
        // The second may end in between.
        assert!(reused == pieces || reused == 2 * pieces, "{groups}: {reused}");
    }
}

#[test]
fn a_server_that_cannot_bear_the_large_hello() {
    for (name, reaction) in [("reset", vec![Reset]), ("fin", vec![Fin]), ("hold", vec![Hold])] {
        let peer = Spec::script([large(reaction), ReadHello, Handshake, Fin]).start();
        let record = sweep_patiently(&peer, &[]);
        assert_eq!(verdict(&record), "ok eof", "{name}: {record:#}");
        assert_eq!(record["tls"]["pq_intolerant"], true, "{name}: {record:#}");
        assert_eq!(record["tls"]["group"], "x25519", "{name}: {record:#}");
        // The full hello, the smaller one, and both twice more as a control.
        assert_eq!((&record["attempts"], peer.accepted()), (&json!(6), 6), "{name}: {record:#}");

        let record = sweep_patiently(&peer, &["--groups", "x25519,P-256"]);
        assert_eq!(record["attempts"], 1, "{name}: {record:#}");
        assert!(record["tls"].get("pq_intolerant").is_none(), "{name}: {record:#}");
    }

    // Whoever answers no hello is not intolerant of the large one: the first failure stands.
    let peer = Spec::script([large(vec![Reset]), ReadHello, Fin]).start();
    let record = sweep_patiently(&peer, &["--no-legacy"]);
    assert_eq!(verdict(&record), "handshake/reset", "{record:#}");
    assert_eq!(peer.accepted(), 2);
    assert!(record.get("tls").is_none(), "{record:#}");
}

#[test]
fn a_real_server_behind_a_box_that_drops_large_hellos() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    for (version, flag) in [("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")] {
        let server = openssl.serve(&GOOD.chain, GOOD.key.secret_der(), &[flag]);
        let peer = Spec::script([large(vec![Fin]), Relay(server.addr)]).start();
        let record = sweep_patiently(&peer, &[]);
        assert_eq!(record["ok"], true, "{version}: {record:#}");
        assert_eq!(record["tls"]["version"], version, "{record:#}");
        assert_eq!(record["tls"]["pq_intolerant"], true, "{version}: {record:#}");
    }
}

/// Half of the limit is what silence gets.
fn sweep_patiently(peer: &Peer, args: &[&str]) -> Value {
    let run = Tlsweep::json().args(["--handshake-timeout", "4s"]).args(args);
    run.sweep([peer.target()]).only_record().clone()
}

/// Reacts to a hello of the size that post-quantum groups make it.
fn large(reaction: Vec<Step>) -> Step {
    IfHello(|hello| hello.len() > 1000, [vec![ReadHello], reaction].concat())
}
