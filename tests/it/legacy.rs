//! Servers that rustls cannot speak to: what they speak instead, and when nobody asks them.

use std::time::Duration;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::pki::{CA, GOOD};
use crate::support::programs::{Program, Server, shown};
use crate::support::script::Step::{
    Drip, Fin, Forever, Hold, IfHello, ReadHello, Reset, Say, UpTo12,
};
use crate::support::script::{CERTIFICATE12, Step, fatal, send};
use crate::support::servers::{Files, serve_gnutls, serve_weak_openssl};
use crate::support::tls::Msg;

/// How a server is configured, and what must then be said of it.
struct Old<'a> {
    /// Flags of s_server, or the one priority string of gnutls-serv.
    flags: &'a [&'a str],
    version: &'a str,
    cipher: &'a str,
    group: Option<&'a str>,
    dh_bits: Option<u64>,
}

const fn old<'a>(flags: &'a [&'a str], version: &'a str, cipher: &'a str) -> Old<'a> {
    Old { flags, version, cipher, group: None, dh_bits: None }
}

impl<'a> Old<'a> {
    const fn on(self, group: &'a str) -> Self {
        Self { group: Some(group), ..self }
    }

    const fn with_dh(self, bits: u64) -> Self {
        Self { dh_bits: Some(bits), ..self }
    }

    fn check(&self, server: &Server, files: &Files) {
        let outcome = Tlsweep::json()
            .args(["--roots", &files.root()])
            .sweep([format!("localhost:{}", server.addr.port())]);
        let record = outcome.only_record();
        self.check_session(record);
        if self.cipher.contains("_anon_") {
            assert!(record.get("cert").is_none(), "{record:#}");
            return;
        }
        assert_eq!(record["chain"]["length"], 1, "{record:#}");
        assert_eq!(record["cert"]["sha256"], *sha256(&files.leaf), "{record:#}");
        assert_eq!(record["cert"]["names"][0], "localhost", "{record:#}");
        assert_eq!(record["trust"]["verdict"], "trusted", "{record:#}");
    }

    fn check_session(&self, record: &Value) {
        assert_eq!(
            verdict_without_alert(record),
            "handshake/unsupported",
            "{} {}: {record:#}",
            self.version,
            self.cipher
        );
        let tls = &record["tls"];
        assert_eq!(tls["legacy"], true, "{record:#}");
        assert_eq!(tls["version"], self.version, "{record:#}");
        assert_eq!(tls["cipher"], self.cipher, "{record:#}");
        assert_eq!(tls.get("group").map(|group| group.as_str().unwrap()), self.group, "{record:#}");
        assert_eq!(
            tls.get("dh_bits").map(|bits| bits.as_u64().unwrap()),
            self.dh_bits,
            "{record:#}"
        );
        let detail = record["error"]["detail"].as_str().unwrap();
        assert!(detail.contains(self.version) && detail.contains(self.cipher), "{detail}");
        assert_eq!(record["attempts"], 2, "{record:#}");
    }
}

/// The alert that our first hello met may stand beside the kind.
fn verdict_without_alert(record: &Value) -> String {
    verdict(record).split(' ').next().unwrap().to_owned()
}

fn sha256(leaf: &CertificateDer<'_>) -> String {
    Sha256::digest(leaf).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn openssl_with_an_rsa_key() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    for case in [
        old(&["-tls1", "-cipher", "AES128-SHA"], "TLSv1.0", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        old(
            &["-tls1_1", "-cipher", "ECDHE-RSA-AES256-SHA", "-groups", "P-256"],
            "TLSv1.1",
            "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        )
        .on("secp256r1"),
        old(
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256", "-groups", "P-384"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        )
        .on("secp384r1"),
        old(
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-groups", "P-521"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        )
        .on("secp521r1"),
        old(
            &["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305", "-groups", "X448"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        )
        .on("x448"),
        old(
            &["-tls1_2", "-cipher", "ECDHE-ARIA128-GCM-SHA256", "-groups", "brainpoolP256r1"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256",
        )
        .on("brainpoolP256r1"),
        old(
            &["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
            "TLSv1.2",
            "TLS_RSA_WITH_AES_256_GCM_SHA384",
        ),
        old(&["-tls1_2", "-cipher", "AES128-CCM8"], "TLSv1.2", "TLS_RSA_WITH_AES_128_CCM_8"),
        old(
            &["-tls1_2", "-cipher", "CAMELLIA256-SHA256"],
            "TLSv1.2",
            "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256",
        ),
        old(&["-tls1_2", "-cipher", "NULL-SHA256"], "TLSv1.2", "TLS_RSA_WITH_NULL_SHA256"),
        old(&["-tls1", "-cipher", "NULL-MD5"], "TLSv1.0", "TLS_RSA_WITH_NULL_MD5"),
        old(
            &["-tls1_2", "-cipher", "AECDH-AES128-SHA", "-groups", "P-521"],
            "TLSv1.2",
            "TLS_ECDH_anon_WITH_AES_128_CBC_SHA",
        )
        .on("secp521r1"),
    ] {
        case.check(&serve_weak_openssl(&openssl, &files, case.flags), &files);
    }
}

#[test]
fn openssl_with_an_ecdsa_key() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for case in [
        old(
            &["-tls1", "-cipher", "ECDHE-ECDSA-AES128-SHA", "-groups", "P-256"],
            "TLSv1.0",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        )
        .on("secp256r1"),
        old(
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-CCM8", "-groups", "X25519"],
            "TLSv1.2",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
        )
        .on("x25519"),
        old(
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-NULL-SHA", "-groups", "P-256"],
            "TLSv1.2",
            "TLS_ECDHE_ECDSA_WITH_NULL_SHA",
        )
        .on("secp256r1"),
    ] {
        case.check(&serve_weak_openssl(&openssl, &files, case.flags), &files);
    }
}

#[test]
fn openssl_with_diffie_hellman() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    // As RFC 2409, section 6.2, has it: OpenSSL takes nothing smaller, and long to make its own.
    let oakley = "-----BEGIN DH PARAMETERS-----\n\
        MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJRSgh5jjQE3e+V\n\
        GbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL/1y29Aa37e44a/taiZ+lrp8k\n\
        EXxLH+ZJKGZR7OZTgf//////////AgEC\n-----END DH PARAMETERS-----\n";
    let group = |name: &str| {
        let option = format!("group:{name}");
        let made = openssl.run(["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", &option]);
        assert!(made.status.success(), "{}", shown(&made));
        String::from_utf8(made.stdout).unwrap()
    };
    for (bits, parameters) in
        [(1024, oakley.to_owned()), (1536, group("modp_1536")), (2048, group("ffdhe2048"))]
    {
        let path = &files.write(&format!("dh{bits}.pem"), &parameters);
        for (cipher, name) in [
            ("DHE-RSA-AES128-GCM-SHA256", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"),
            ("ADH-AES256-SHA256", "TLS_DH_anon_WITH_AES_256_CBC_SHA256"),
        ] {
            let flags = ["-tls1_2", "-cipher", cipher, "-dhparam", path];
            let case = old(&flags, "TLSv1.2", name).with_dh(bits);
            case.check(&serve_weak_openssl(&openssl, &files, case.flags), &files);
        }
    }
}

#[test]
fn openssl_that_asks_for_a_certificate_and_staples() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    let flags = ["-tls1", "-cipher", "AES128-SHA", "-verify", "1"];
    let server = serve_weak_openssl(&openssl, &files, &flags);
    let outcome = Tlsweep::json().sweep([server.addr.to_string()]);
    let record = outcome.only_record();
    assert_eq!(record["tls"]["client_cert_requested"], true, "{record:#}");
    assert_eq!(record["tls"]["ocsp_stapled"], false, "{record:#}");
    assert_eq!(record["trust"]["verdict"], "unknown_issuer", "{record:#}");
}

#[test]
fn gnutls_with_priorities() {
    let Some(gnutls) = Program::find("gnutls-serv") else {
        return;
    };
    const REST: &str = "+COMP-NULL:+SIGN-ALL:+CTYPE-X509";
    let files = Files::with_key(&PKCS_RSA_SHA256);
    for case in [
        old(&["+VERS-TLS1.0:+3DES-CBC:+RSA:+SHA1"], "TLSv1.0", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
        old(&["+VERS-TLS1.0:+ARCFOUR-128:+RSA:+SHA1"], "TLSv1.0", "TLS_RSA_WITH_RC4_128_SHA"),
        old(&["+VERS-TLS1.1:+ARCFOUR-128:+RSA:+MD5"], "TLSv1.1", "TLS_RSA_WITH_RC4_128_MD5"),
        old(
            &["+VERS-TLS1.2:+3DES-CBC:+ECDHE-RSA:+SHA1:+GROUP-SECP521R1"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        )
        .on("secp521r1"),
        old(&["+VERS-TLS1.2:+AES-128-CCM:+RSA:+AEAD"], "TLSv1.2", "TLS_RSA_WITH_AES_128_CCM"),
        old(
            &["+VERS-TLS1.2:+CAMELLIA-128-CBC:+DHE-RSA:+SHA1:+GROUP-FFDHE2048"],
            "TLSv1.2",
            "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA",
        )
        .with_dh(2048),
        old(
            &["+VERS-TLS1.1:+AES-256-CBC:+DHE-RSA:+SHA1:+GROUP-FFDHE3072"],
            "TLSv1.1",
            "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
        )
        .with_dh(3072),
    ] {
        let priority = format!("NONE:{}:{REST}", case.flags[0]);
        case.check(&serve_gnutls(&gnutls, &files, &priority, &[]), &files);
    }
}

const SSL3: Old<'_> = old(&[], "SSLv3", "TLS_RSA_WITH_3DES_EDE_CBC_SHA");

/// What a server of SSL 3.0 says to any hello, all in one record.
fn ssl3_flight() -> Step {
    let leaf = &GOOD.chain[0];
    let vec24 =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..], bytes].concat();
    let message = |kind: u8, body: &[u8]| [vec![kind], vec24(body)].concat();
    let hello = [&[3, 0][..], &[7; 32], &[0, 0x00, 0x0a, 0]].concat();
    let messages = [message(2, &hello), message(11, &vec24(&vec24(leaf))), message(14, &[])];
    send(record(22, &messages.concat()))
}

/// A record of SSL 3.0.
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 0], &length[..], payload].concat()
}

fn check_ssl3(steps: &[Step], attempts: u64) {
    let dir = TempDir::new().unwrap();
    let root = CA.write_to(&dir);
    let peer = Spec::script(steps).start();
    let outcome = Tlsweep::json().args(["--roots", root.to_str().unwrap()]).sweep([peer.target()]);
    let mut record = outcome.only_record().clone();
    assert_eq!(record["attempts"], attempts, "{record:#}");
    assert_eq!(u64::try_from(peer.accepted()).unwrap(), attempts);
    record["attempts"] = 2.into();
    SSL3.check_session(&record);
    assert_eq!(record["cert"]["sha256"], *sha256(&GOOD.chain[0]), "{record:#}");
    assert_eq!(record["trust"]["verdict"], "trusted", "{record:#}");
}

#[test]
fn ssl_3_0_by_hand() {
    check_ssl3(&[ReadHello, ssl3_flight(), Hold], 2);
}

#[test]
fn ssl_3_0_that_takes_fright_at_extensions() {
    for (fright, attempts) in [
        (vec![ReadHello, fatal(40), Fin], 3),
        (vec![ReadHello, Step::Send(record(21, &[2, 40])), Reset], 3),
        // Met with nothing at all, the smaller hello is tried before.
        (vec![ReadHello, Fin], 4),
        (vec![ReadHello, Reset], 4),
    ] {
        check_ssl3(
            &[IfHello(|hello| hello.len() > 150, fright), ReadHello, ssl3_flight(), Hold],
            attempts,
        );
    }
}

#[test]
fn only_a_hello_of_an_old_server_and_no_more() {
    let hello = record(22, &[&[2, 0, 0, 38, 3, 1][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat());
    for end in [vec![Fin], vec![Reset], vec![fatal(80), Hold]] {
        let steps = [vec![ReadHello, send(&hello)], end].concat();
        let peer = Spec::script(steps).start();
        let outcome = Tlsweep::json().sweep([peer.target()]);
        let record = outcome.only_record();
        old(&[], "TLSv1.0", "TLS_RSA_WITH_AES_128_CBC_SHA").check_session(record);
        assert!(record.get("cert").is_none() && record.get("trust").is_none(), "{record:#}");
    }
}

/// Half of it must suffice for a busy machine to answer, or the smaller hello is tried.
const LIMIT: &str = "4s";

/// The script, what the line says, and how many dials it takes with and without the legacy hello.
fn check_first_failure(steps: impl Into<Vec<Step>>, expected: &str, with: u64, without: u64) {
    let peer = Spec::script(steps).start();
    for (flags, attempts) in [
        (&["--handshake-timeout", LIMIT][..], with),
        (&["--handshake-timeout", LIMIT, "--no-legacy"], without),
    ] {
        let outcome = Tlsweep::json().args(flags).sweep([peer.target()]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), expected, "{record:#}");
        assert_eq!(record["attempts"], attempts, "{record:#}");
        assert!(record["tls"].get("legacy").is_none(), "{record:#}");
        assert!(record["ms"]["total"].as_f64().unwrap() < 10_000.0, "{record:#}");
    }
}

#[test]
fn a_refusal_of_every_hello_stays_the_first_refusal() {
    for (alert, name) in [
        (40, "handshake_failure"),
        (47, "illegal_parameter"),
        (50, "decode_error"),
        (70, "protocol_version"),
        (71, "insufficient_security"),
        (80, "internal_error"),
    ] {
        let expected = format!("handshake/alert {name}");
        check_first_failure([ReadHello, fatal(alert), Fin], &expected, 3, 1);
    }
    check_first_failure([ReadHello, Fin], "handshake/eof", 4, 2);
    check_first_failure([ReadHello, Reset], "handshake/reset", 4, 2);
}

#[test]
fn other_refusals_are_not_about_versions_and_suites() {
    for (alert, name) in
        [(48, "unknown_ca"), (112, "unrecognized_name"), (120, "no_application_protocol")]
    {
        let expected = format!("handshake/alert {name}");
        check_first_failure([ReadHello, fatal(alert), Fin], &expected, 1, 1);
    }
    check_first_failure(
        [UpTo12(CERTIFICATE12), fatal(40), Fin],
        "handshake/alert handshake_failure",
        1,
        1,
    );
    check_first_failure([UpTo12(CERTIFICATE12), Fin], "handshake/eof", 1, 1);
}

#[test]
fn silence_and_other_protocols_are_not_asked_again() {
    // The second dial is the one without the post-quantum share.
    check_first_failure([Hold], "handshake/timeout", 2, 2);
    check_first_failure(
        [send("HTTP/1.1 400 Bad Request\r\n\r\n"), Hold],
        "handshake/not_tls",
        1,
        1,
    );
    let peer = Spec::refusing().start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    assert_eq!(outcome.only_record()["attempts"], 1);
}

/// Only the first of our hellos has over 1,000 bytes.
fn turns_down_a_large_hello() -> Step {
    IfHello(|hello| hello.len() > 1000, vec![ReadHello, fatal(40), Fin])
}

#[test]
fn an_answer_that_does_not_explain_leaves_the_first_failure() {
    let expected = "handshake/alert handshake_failure";
    let endless = record(22, &[&[2, 0, 0xff, 0xff, 3, 1][..], &[7; 500]].concat());
    for (answer, attempts) in [
        // Silence, in the end or between bytes, is not asked a third time.
        (vec![Hold], 2),
        (vec![ReadHello, Drip(endless.clone(), Duration::from_millis(50))], 2),
        (vec![send("-ERR What?\r\n"), Hold], 2),
        (vec![ReadHello, Forever(vec![send(record(22, &[0; 4]))])], 2),
        (vec![ReadHello, Forever(vec![send(&endless)])], 2),
        // This much rustls can speak: it was something else that it met.
        (vec![ReadHello, Say(Msg::ServerHello12), Hold], 2),
        (vec![UpTo12(4), Hold], 2),
    ] {
        check_first_failure(
            [vec![turns_down_a_large_hello()], answer].concat(),
            expected,
            attempts,
            1,
        );
    }
}

#[test]
fn the_legacy_dial_is_within_the_handshake_limit() {
    let peer = Spec::script([turns_down_a_large_hello(), Hold]).start();
    let outcome = Tlsweep::json().args(["--handshake-timeout", "300ms"]).sweep([peer.target()]);
    let record = outcome.only_record();
    let total = record["ms"]["total"].as_f64().unwrap();
    assert!((300.0..10_000.0).contains(&total), "{record:#}");
}

#[test]
fn the_summary_counts_them() {
    let ssl3 = Spec::script([ReadHello, ssl3_flight(), Hold]).on_all_of_loopback().start();
    let port = ssl3.addr.port();
    let good = Spec::good().start();
    let targets = [format!("127.0.0.1:{port}"), good.target(), format!("127.0.0.2:{port}")];
    let outcome = Tlsweep::new().sweep(&targets);
    outcome.assert_complete();
    assert!(outcome.stderr.contains("2 handshake/unsupported"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("; 2 speak only what"), "{}", outcome.stderr);
    let old = outcome.text().lines().filter(|line| line.contains("\tSSLv3\t"));
    assert_eq!(old.count(), 2, "{}", outcome.text());
    let outcome = Tlsweep::new().args(["--no-legacy"]).sweep(&targets);
    assert!(!outcome.stderr.contains("speak only"), "{}", outcome.stderr);
}
