//! `--enumerate`: signature schemes, application protocols and resumption.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::support::cmd::Tlsweep;
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, Server, shown};
use crate::support::script::Step::{Hold, IfHello, ReadHello, Relay};
use crate::support::servers::{Files, serve_gnutls, serve_nginx, serve_openssl};

fn enumerate(target: String) -> Value {
    let outcome = Tlsweep::json()
        .args(["--enumerate", "--handshake-timeout", "3s", "--timeout", "100s"])
        .sweep([target]);
    outcome.only_record()["enumeration"].clone()
}

fn target(server: &Server) -> String {
    format!("localhost:{}", server.addr.port())
}

fn resumption(enumeration: &Value) -> [&str; 4] {
    ["tls12_id", "tls12_ticket", "tls13_psk", "early_data"]
        .map(|field| enumeration["resumption"][field].as_str().unwrap())
}

const YES: &str = "supported";
const NO: &str = "not_supported";

#[test]
fn openssl_resumes_as_it_is_told() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for (flags, expected, size) in [
        (&[][..], [YES, YES, YES, NO], Value::Null),
        (&["-no_ticket"], [YES, NO, YES, NO], Value::Null),
        (&["-tls1_2", "-no_cache"], [NO, YES, NO, NO], Value::Null),
        (&["-tls1_2", "-no_cache", "-no_ticket"], [NO, NO, NO, NO], Value::Null),
        (&["-num_tickets", "0"], [YES, YES, NO, NO], Value::Null),
        (&["-tls1_3", "-max_early_data", "1234"], [NO, NO, YES, YES], json!(1234)),
    ] {
        let server = serve_openssl(&openssl, &files, flags);
        let enumeration = enumerate(target(&server));
        assert_eq!(resumption(&enumeration), expected, "{flags:?}: {enumeration:#}");
        assert_eq!(enumeration["resumption"]["early_data_size"], size, "{flags:?}");
    }
}

#[test]
fn nginx_resumes_as_it_is_told() {
    let Some(nginx) = Program::find("nginx") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for (directives, expected) in [
        ("ssl_session_cache shared:s:1m; ssl_session_tickets off;", [YES, NO, YES, NO]),
        ("ssl_session_cache off; ssl_session_tickets on;", [NO, YES, YES, NO]),
        ("ssl_session_cache off; ssl_session_tickets on; ssl_early_data on;", [NO, YES, YES, YES]),
    ] {
        let directives = format!("ssl_protocols TLSv1.2 TLSv1.3; {directives}");
        let server = serve_nginx(&nginx, &files, &directives);
        let enumeration = enumerate(target(&server));
        assert_eq!(resumption(&enumeration), expected, "{directives}: {enumeration:#}");
    }
}

#[test]
fn every_application_protocol_is_found() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for (flags, expected) in [
        (&[][..], json!([])),
        (&["-alpn", "dot,h2,http/1.1"], json!(["dot", "h2", "http/1.1"])),
        (&["-tls1_2", "-alpn", "imap"], json!(["imap"])),
    ] {
        let server = serve_openssl(&openssl, &files, flags);
        let enumeration = enumerate(target(&server));
        let alpn = json!({ "protocols": expected, "complete": true });
        assert_eq!(enumeration["alpn"], alpn, "{flags:?}: {enumeration:#}");
    }
}

/// What sslscan says, by version.
fn schemes_of_sslscan(sslscan: &Program, server: &Server, version: &str) -> BTreeSet<String> {
    let output = sslscan.run(["--ipv4", "--xml=-", "--show-sigs", "--timeout=60", &target(server)]);
    assert!(output.status.success(), "{}", shown(&output));
    let xml = String::from_utf8(output.stdout).unwrap();
    let start = format!("<connection-signature-algorithm sslversion=\"{version}\"");
    let lines = xml.lines().map(str::trim).filter(|line| line.starts_with(&start));
    let id = |line: &str| {
        let (_, id) = line.split_once(" id=\"0x").unwrap();
        u16::from_str_radix(id.split_once('"').unwrap().0, 16).unwrap()
    };
    lines.map(|line| tlsweep::names::signature_scheme(id(line)).into_owned()).collect()
}

/// Our list of one version. It must be whole.
fn listed(enumeration: &Value, field: &str) -> BTreeSet<String> {
    let schemes = &enumeration["signature_schemes"];
    assert_eq!(schemes[format!("{field}_complete")], true, "{schemes:#}");
    let listed = schemes[field].as_array().unwrap().iter();
    listed.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// In TLS 1.2, sslscan offers no curves, so only servers with Diffie-Hellman over primes are
/// compared; with static RSA, every scheme seems to do.
#[test]
fn signature_schemes_are_those_that_sslscan_finds() {
    let programs = ["sslscan", "openssl", "nginx", "gnutls-serv"].map(Program::find);
    let [Some(sslscan), Some(openssl), Some(nginx), Some(gnutls)] = programs else {
        return;
    };
    let nginx_directives = "ssl_protocols TLSv1.2 TLSv1.3;";
    for key in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256] {
        let files = Files::with_key(key);
        for server in [
            serve_openssl(&openssl, &files, &["-cipher", "ECDHE:DHE"]),
            serve_nginx(&nginx, &files, nginx_directives),
            serve_gnutls(&gnutls, &files, "NORMAL:-RSA", &[]),
        ] {
            let theirs = schemes_of_sslscan(&sslscan, &server, "TLSv1.3");
            assert!(!theirs.is_empty());
            assert_eq!(listed(&enumerate(target(&server)), "tls13"), theirs);
        }
    }
    let files = Files::with_key(&PKCS_RSA_SHA256);
    for server in [
        serve_openssl(&openssl, &files, &["-tls1_2", "-cipher", "ECDHE:DHE"]),
        serve_openssl(&openssl, &files, &["-cipher", "DHE", "-sigalgs", "RSA+SHA512:RSA+SHA256"]),
        serve_gnutls(&gnutls, &files, "NORMAL:-RSA", &[]),
    ] {
        let theirs = schemes_of_sslscan(&sslscan, &server, "TLSv1.2");
        assert!(!theirs.is_empty());
        assert_eq!(listed(&enumerate(target(&server)), "tls12"), theirs);
    }
}

/// supported_versions with TLS 1.3 and nothing else.
const ONLY_TLS13: &[u8] = &[0, 43, 0, 3, 2, 3, 4];

#[test]
fn silence_is_unknown() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let server = serve_openssl(&openssl, &files, &[]);
    let is_of_tls13 =
        |hello: &[u8]| hello.windows(ONLY_TLS13.len()).any(|window| window == ONLY_TLS13);
    let silent = IfHello(is_of_tls13, vec![ReadHello, Hold]);
    let peer = Spec::script([silent, Relay(server.addr)]).start();
    let enumeration = enumerate(peer.target());
    assert_eq!(resumption(&enumeration), [YES, YES, "unknown", "unknown"], "{enumeration:#}");
    let schemes = &enumeration["signature_schemes"];
    assert_eq!([&schemes["tls12_complete"], &schemes["tls13_complete"]], [true, false]);
}

#[test]
fn renegotiation_is_what_servers_are_told() {
    let programs = ["openssl", "nginx"].map(Program::find);
    let [Some(openssl), Some(nginx)] = programs else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    let servers = [
        (serve_openssl(&openssl, &files, &["-tls1_2"]), NO),
        (serve_openssl(&openssl, &files, &["-tls1_2", "-no_renegotiation"]), NO),
        (serve_openssl(&openssl, &files, &["-tls1_2", "-client_renegotiation"]), YES),
        (serve_openssl(&openssl, &files, &["-client_renegotiation"]), YES),
        (serve_openssl(&openssl, &files, &["-tls1_3", "-client_renegotiation"]), NO),
        (serve_openssl(&openssl, &files, &["-tls1_2", "-cipher", "AES128-SHA"]), "unknown"),
        (serve_nginx(&nginx, &files, "ssl_protocols TLSv1.2 TLSv1.3;"), NO),
    ];
    for (place, (server, expected)) in servers.iter().enumerate() {
        let enumeration = enumerate(target(server));
        assert_eq!(enumeration["client_renegotiation"], *expected, "{place}: {enumeration:#}");
        assert_eq!(enumeration["ssl2"], json!({ "support": NO }), "{place}: {enumeration:#}");
    }
}

/// A SERVER-HELLO of SSL 2.0 with a certificate of 2,000 bytes, RC4 and triple DES
/// (draft-hickman-netscape-ssl-00, section 5.6).
fn ssl2_server_hello() -> Vec<u8> {
    const CERTIFICATE: [u8; 2_000] = [0x30; 2_000];
    const CONNECTION_ID: [u8; 16] = [7; 16];
    let kinds = [0x01, 0x00, 0x80, 0x07, 0x00, 0xc0];
    let mut message = vec![4, 0, 1, 0, 2];
    for length in [CERTIFICATE.len(), kinds.len(), CONNECTION_ID.len()] {
        message.extend(u16::try_from(length).unwrap().to_be_bytes());
    }
    message.extend(CERTIFICATE.iter().chain(&kinds).chain(&CONNECTION_ID));
    let length = 0x8000 | u16::try_from(message.len()).unwrap();
    [length.to_be_bytes().as_slice(), &message].concat()
}

/// Answers hellos of SSL 2.0 with this, in two pieces, and hands the others on.
fn ssl2(answer: Vec<u8>, server: SocketAddr) -> Peer {
    Spec::made_up(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut first = [0; 2];
            let is_ssl2 = stream.peek(&mut first).await.is_ok() && first[0] == 0x80;
            // An error is the client's going away.
            if is_ssl2 {
                let mut hello = [0; 1_024];
                _ = stream.read(&mut hello).await;
                let (one, other) = answer.split_at(answer.len() / 2);
                _ = stream.write_all(one).await;
                _ = stream.flush().await;
                _ = stream.write_all(other).await;
                _ = stream.read(&mut hello).await;
            } else if let Ok(mut there) = TcpStream::connect(server).await {
                _ = copy_bidirectional(&mut stream, &mut there).await;
            }
        }
    })
    .start()
}

/// No OpenSSL of today speaks SSL 2.0, so the server is scripted, and sslscan takes it for one.
#[test]
fn ssl2_is_seen_where_sslscan_sees_it() {
    let programs = ["sslscan", "openssl"].map(Program::find);
    let [Some(sslscan), Some(openssl)] = programs else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    let server = serve_openssl(&openssl, &files, &[]);
    let suites = ["SSL_CK_RC4_128_WITH_MD5", "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"];
    let alert = vec![21, 3, 0, 0, 2, 2, 40];
    for (answer, expected, is_seen_by_sslscan) in [
        (ssl2_server_hello(), json!({ "support": YES, "suites": suites }), true),
        // NO-CIPHER-ERROR: it speaks the version, and has none of the ciphers.
        (vec![0x80, 3, 0, 0, 1], json!({ "support": YES }), false),
        (alert, json!({ "support": NO }), false),
        // Whoever answers in another protocol does not speak this one.
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), json!({ "support": NO }), false),
    ] {
        let peer = ssl2(answer, server.addr);
        let enumeration = enumerate(peer.target());
        assert_eq!(enumeration["ssl2"], expected, "{enumeration:#}");
        let output = sslscan.run(["--ipv4", "--xml=-", "--ssl2", &peer.target()]);
        let xml = String::from_utf8(output.stdout).unwrap();
        let seen = "<protocol type=\"ssl\" version=\"2\" enabled=\"1\"";
        assert_eq!(xml.contains(seen), is_seen_by_sslscan, "{xml}");
    }
}
