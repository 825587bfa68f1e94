//! Servers that rustls cannot speak to: what they speak instead, and when nobody asks them.

mod purpose;
mod unexplained;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tlsweep::cert::Certificate;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::pki::{CA, GOOD};
use crate::support::programs::{Program, Server, shown};
use crate::support::script::Step::{Fin, Hold, IfHello, ReadHello, Reset};
use crate::support::script::{Step, fatal, send};
use crate::support::servers::{Files, serve_gnutls, serve_weak_openssl};

/// How a server is configured, and what must then be said of it.
struct Old<'a> {
    /// Flags of s_server, or the one priority string of gnutls-serv.
    flags: &'a [&'a str],
    version: &'a str,
    cipher: &'a str,
    group: Option<&'a str>,
    dh_bits: Option<u64>,
    attempts: u64,
}

const fn old<'a>(flags: &'a [&'a str], version: &'a str, cipher: &'a str) -> Old<'a> {
    Old { flags, version, cipher, group: None, dh_bits: None, attempts: 2 }
}

impl<'a> Old<'a> {
    const fn on(self, group: &'a str) -> Self {
        Self { group: Some(group), ..self }
    }

    const fn with_dh(self, bits: u64) -> Self {
        Self { dh_bits: Some(bits), ..self }
    }

    const fn after(self, attempts: u64) -> Self {
        Self { attempts, ..self }
    }

    fn check(&self, server: &Server, files: &Files) {
        let outcome = Tlsweep::json()
            .args(["--roots", &files.root()])
            .sweep([format!("localhost:{}", server.addr.port())]);
        let record = outcome.only_record();
        self.check_session(record);
        if self.cipher.contains("_anon_") || self.version == "TLSv1.3" {
            assert!(record.get("cert").is_none(), "{record:#}");
            return;
        }
        assert_eq!(record["chain"]["length"], 1, "{record:#}");
        assert_eq!(record["cert"]["sha256"], *sha256(&files.leaf), "{record:#}");
        assert_eq!(record["cert"]["names"][0], "localhost", "{record:#}");
        assert_eq!(record["trust"]["problems"], json!(["unproven"]), "{record:#}");
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
        assert!(tls.get("ja3s").is_none(), "{record:#}");
        if self.version != "TLSv1.3" {
            assert_eq!(tls["key_exchange"], "classical", "{record:#}");
        }
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
        assert_eq!(record["attempts"], self.attempts, "{record:#}");
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
            &["-tls1_2", "-cipher", "ECDHE-ARIA256-GCM-SHA384", "-groups", "P-256"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384",
        )
        .on("secp256r1")
        .after(3),
        old(
            &["-tls1_2", "-cipher", "ARIA256-GCM-SHA384"],
            "TLSv1.2",
            "TLS_RSA_WITH_ARIA_256_GCM_SHA384",
        )
        .after(3),
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

/// It shows its certificate to nobody who has no key for it.
#[test]
fn openssl_with_nothing_of_tls_1_3_that_we_know() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    for case in [
        old(&["-tls1_3", "-groups", "X448"], "TLSv1.3", "TLS_AES_256_GCM_SHA384").on("x448"),
        old(&["-tls1_3", "-groups", "ffdhe2048"], "TLSv1.3", "TLS_AES_256_GCM_SHA384")
            .on("ffdhe2048"),
        old(
            &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256", "-groups", "P-256"],
            "TLSv1.3",
            "TLS_AES_128_CCM_8_SHA256",
        )
        .on("secp256r1"),
    ] {
        let server = serve_weak_openssl(&openssl, &files, case.flags);
        case.after(3).check(&server, &files);
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
        old(
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-ARIA256-GCM-SHA384", "-groups", "P-384:P-256"],
            "TLSv1.2",
            "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384",
        )
        .on("secp256r1")
        .after(3),
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
            &["+VERS-TLS1.2:+CAMELLIA-256-GCM:+ECDHE-RSA:+AEAD:+GROUP-SECP384R1"],
            "TLSv1.2",
            "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384",
        )
        .on("secp384r1")
        .after(3),
        old(
            &["+VERS-TLS1.2:+CAMELLIA-128-GCM:+RSA:+AEAD"],
            "TLSv1.2",
            "TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256",
        )
        .after(3),
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
    ssl3_messages(3)
}

/// The first messages of that flight.
fn ssl3_messages(count: usize) -> Step {
    let leaf = &GOOD.chain[0];
    let vec24 =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..], bytes].concat();
    let message = |kind: u8, body: &[u8]| [vec![kind], vec24(body)].concat();
    let hello = [&[3, 0][..], &[7; 32], &[0, 0x00, 0x0a, 0]].concat();
    let messages = [message(2, &hello), message(11, &vec24(&vec24(leaf))), message(14, &[])];
    send(record(22, &messages[..count].concat()))
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
    assert_eq!(record["trust"]["problems"], json!(["unproven"]), "{record:#}");
}

#[test]
fn ssl_3_0_by_hand() {
    check_ssl3(&[ReadHello, ssl3_flight(), Hold], 2);
}

/// The request for a certificate and the staple come behind the server's own certificate.
#[test]
fn what_did_not_come_before_the_flight_was_cut_off_is_not_denied() {
    let ends = [vec![Fin], vec![Reset], vec![fatal(80), Hold], vec![Hold]];
    for (count, end) in [1, 2].into_iter().flat_map(|count| ends.iter().map(move |e| (count, e))) {
        let steps = [&[ReadHello, ssl3_messages(count)][..], end].concat();
        let peer = Spec::script(steps).start();
        let outcome = Tlsweep::json().args(["--fail-on", "no-staple"]).sweep([peer.target()]);
        let record = outcome.only_record();
        assert_eq!(record["tls"]["version"], "SSLv3", "{record:#}");
        assert_eq!(record.get("cert").is_some(), count == 2, "{record:#}");
        for unknown in ["client_cert_requested", "ocsp_stapled"] {
            assert!(record["tls"].get(unknown).is_none(), "{record:#}");
        }
        assert_eq!(record["failed_checks"], json!([]), "{record:#}");
    }
    let peer = Spec::script([ReadHello, ssl3_flight(), Hold]).start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    let record = outcome.only_record();
    assert_eq!(record["tls"]["client_cert_requested"], false, "{record:#}");
    assert_eq!(record["tls"]["ocsp_stapled"], false, "{record:#}");
}

/// The server never uses the key of its certificate, so anybody could be it.
#[test]
fn a_legacy_server_that_shows_somebody_elses_certificate() {
    let dir = TempDir::new().unwrap();
    let root = CA.write_to(&dir);
    let peer = Spec::script([ReadHello, ssl3_flight(), Hold]).start();
    let pin = Certificate::new(&GOOD.chain[0]).spki_sha256.unwrap();
    let conditions = format!("untrusted,pin={pin}");
    let outcome = Tlsweep::json()
        .args(["--roots", root.to_str().unwrap(), "--fail-on", &conditions])
        .sweep([peer.target()]);
    assert_eq!(outcome.records.len(), 1);
    let record = &outcome.records[0];
    SSL3.check_session(record);
    assert_eq!(record["cert"]["spki_sha256"], pin, "{record:#}");
    assert_eq!(record["tls"]["signature_unchecked"], "the key exchange is not signed");
    assert_eq!(record["trust"]["verdict"], "unproven", "{record:#}");
    assert_eq!(record["failed_checks"], json!(["untrusted", "pin"]), "{record:#}");
}

#[test]
fn ssl_3_0_that_takes_fright_at_extensions() {
    for (fright, attempts) in [
        (vec![ReadHello, fatal(50), Fin], 3),
        (vec![ReadHello, Step::Send(record(21, &[2, 80])), Reset], 3),
        // It may be the suites, or it may be the version.
        (vec![ReadHello, fatal(40), Fin], 4),
        (vec![ReadHello, fatal(70), Fin], 4),
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

/// A ServerHello that chose TLS_RSA_WITH_AES_128_CBC_SHA.
fn hello_of_tls_1_0() -> Vec<u8> {
    record(22, &[&[2, 0, 0, 38, 3, 1][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat())
}

#[test]
fn only_a_hello_of_an_old_server_and_no_more() {
    let hello = hello_of_tls_1_0();
    for end in [vec![Fin], vec![Reset], vec![fatal(80), Hold]] {
        let steps = [vec![ReadHello, send(&hello)], end].concat();
        let peer = Spec::script(steps).start();
        let outcome = Tlsweep::json().sweep([peer.target()]);
        let record = outcome.only_record();
        old(&[], "TLSv1.0", "TLS_RSA_WITH_AES_128_CBC_SHA").check_session(record);
        assert!(record.get("cert").is_none() && record.get("trust").is_none(), "{record:#}");
    }
}

#[test]
fn what_the_smaller_hello_showed_is_kept() {
    let hello = hello_of_tls_1_0();
    let takes_fright = IfHello(|hello| hello.len() > 1000, vec![ReadHello, Fin]);
    let peer = Spec::script([takes_fright, ReadHello, send(&hello), Fin]).start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    let record = outcome.only_record();
    assert_eq!(record["tls"]["legacy"], true, "{record:#}");
    assert_eq!(record["tls"]["pq_intolerant"], true, "{record:#}");
    // The full hello, the smaller one, both twice more as a control, and one of our own.
    assert_eq!(record["attempts"], 7, "{record:#}");
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
    assert!(outcome.stderr.contains("; 2 servers speak only what"), "{}", outcome.stderr);
    let old = outcome.text().lines().filter(|line| line.contains("\tSSLv3\t"));
    assert_eq!(old.count(), 2, "{}", outcome.text());
    let outcome = Tlsweep::new().args(["--no-legacy"]).sweep(&targets);
    assert!(!outcome.stderr.contains("speak only"), "{}", outcome.stderr);
}
