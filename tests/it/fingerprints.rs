//! What servers are recognised by: JA3S, against its definition, and JARM, against pyjarm.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::Value;
use sha2::Sha256;
use tlsweep::limits::MAX_CONTROLS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::programs::{Program, free_port, shown};
use crate::support::script::Step::{Handshake, Hold, IfHello};
use crate::support::servers::{
    Files, serve_caddy, serve_gnutls, serve_go, serve_nginx, serve_openssl,
};

/// A peer that passes everything on to a server and keeps what the server sends.
fn overheard(server: SocketAddr) -> (Spec, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let spec = Spec::made_up(move |stream| {
        let kept = Arc::clone(&kept);
        async move {
            let (mut from_client, mut to_client) = stream.into_split();
            let (mut from_server, mut to_server) =
                TcpStream::connect(server).await.unwrap().into_split();
            let forth = async {
                // Either side may leave at any moment.
                _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                _ = to_server.shutdown().await;
            };
            let back = async {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    kept.lock().unwrap().extend_from_slice(&buffer[..length]);
                    if to_client.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
                _ = to_client.shutdown().await;
            };
            tokio::join!(forth, back);
        }
    });
    (spec, heard)
}

/// JA3S by its definition: the MD5 of version, suite and extensions in decimal.
fn ja3s(mut sent: &[u8]) -> String {
    let retry = Sha256::digest(b"HelloRetryRequest");
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    loop {
        let (kind, length) = (sent[0], usize::from(number(&sent[3..])));
        let (record, rest) = sent[5..].split_at(length);
        sent = rest;
        if kind != 22 || record[0] != 2 || record[6..38] == retry[..] {
            continue;
        }
        let behind_session = 39 + usize::from(record[38]);
        let (version, suite) = (number(&record[4..]), number(&record[behind_session..]));
        let mut extensions = Vec::new();
        let hello_end = 4 + usize::from(number(&record[2..]));
        let mut place = behind_session + 5;
        while place < hello_end {
            extensions.push(number(&record[place..]).to_string());
            place += 4 + usize::from(number(&record[place + 2..]));
        }
        let text = format!("{version},{suite},{}", extensions.join("-"));
        return HEXLOWER.encode(&Md5::digest(text));
    }
}

#[test]
fn ja3s_is_that_of_the_server_hello() {
    let programs = (Program::find("nginx"), Program::find("openssl"), Program::find("gnutls-serv"));
    let (Some(nginx), Some(openssl), Some(gnutls)) = programs else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let plain = "NORMAL";
    for (server, key_exchange, has_retry) in [
        (serve_nginx(&nginx, &files, ""), "classical", false),
        (serve_nginx(&nginx, &files, "ssl_protocols TLSv1.2;"), "classical", false),
        (serve_openssl(&openssl, &files, &["-groups", "P-384"]), "classical", true),
        (serve_openssl(&openssl, &files, &["-tls1_2", "-no_ticket"]), "classical", false),
        (serve_gnutls(&gnutls, &files, plain, &[]), "classical", false),
        (serve_gnutls(&gnutls, &files, "NORMAL:-VERS-ALL:+VERS-TLS1.2", &[]), "classical", false),
    ] {
        let (peer, heard) = overheard(server.addr);
        let peer = peer.start();
        let outcome = Tlsweep::json().sweep([peer.target()]);
        let record = outcome.only_record();
        assert!(verdict(record).starts_with("ok"), "{record:#}");
        let tls = &record["tls"];
        assert_eq!(tls["hello_retry"], has_retry, "{record:#}");
        assert_eq!(tls["ja3s"], ja3s(&heard.lock().unwrap()), "{record:#}");
        assert_eq!(tls["key_exchange"], key_exchange, "{record:#}");
    }
}

/// The fingerprint that pyjarm finds for a target on IPv4. It does not try a second address of a
/// name.
fn pyjarm(python: &Program, host: &str, port: u16) -> String {
    let code = "import socket, sys; from jarm.scanner.scanner import Scanner; \
        print(Scanner.scan(sys.argv[1], int(sys.argv[2]), address_family=socket.AF_INET, suppress=True)[0])";
    let output = python.run(["-c", code, host, &port.to_string()]);
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The fingerprint of a target, and how many connections it took.
fn jarm(host: &str, port: u16) -> (String, u64) {
    let outcome = Tlsweep::json().args(["--jarm"]).sweep([format!("{host}:{port}")]);
    let record = outcome.records.first().unwrap();
    (record["jarm"].as_str().unwrap().to_owned(), record["attempts"].as_u64().unwrap())
}

#[test]
fn jarm_is_that_of_pyjarm() {
    let programs = (Program::find("nginx"), Program::find("openssl"), Program::find("gnutls-serv"));
    let (Some(nginx), Some(openssl), Some(gnutls)) = programs else {
        return;
    };
    let engines = ["python", "caddy", "go"].map(Program::of_engines);
    let [Some(python), Some(caddy), Some(go)] = engines else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let rsa = Files::with_key(&PKCS_RSA_SHA256);
    let mut found = BTreeSet::new();
    for server in [
        serve_nginx(&nginx, &files, ""),
        serve_openssl(&openssl, &files, &[]),
        serve_openssl(&openssl, &rsa, &["-tls1_2"]),
        serve_openssl(&openssl, &files, &["-groups", "P-384", "-alpn", "h2"]),
        serve_gnutls(&gnutls, &files, "NORMAL", &[]),
        serve_go(&go, &files),
        serve_caddy(&caddy, &files),
    ] {
        let port = server.addr.port();
        // The original sends an address as a server name.
        for host in ["localhost", "127.0.0.1"] {
            let (jarm, attempts) = jarm(host, port);
            assert_eq!(jarm, pyjarm(&python, host, port), "{host}");
            // When a server refuses a hello by closing, that hello takes more than one connection.
            assert!((11..=11 + MAX_CONTROLS as u64).contains(&attempts), "{host} {port} {jarm}");
            found.insert(jarm);
        }
    }
    // Go and Caddy, which is written in Go, may have the same.
    assert!(found.len() > 4, "{found:?}");
    let dead = free_port();
    // A machine may give `localhost` two addresses, which makes two attempts.
    let (jarm, attempts) = jarm("127.0.0.1", dead);
    assert_eq!(jarm, pyjarm(&python, "127.0.0.1", dead));
    assert_eq!(attempts, 1);
}

/// A hello with a post-quantum key share is one of rustls'; those of JARM are much smaller.
fn is_of_rustls(hello: &[u8]) -> bool {
    hello.len() > 1000
}

#[test]
fn a_server_that_is_silent_to_the_hellos_of_jarm() {
    let peer = Spec::script([IfHello(|hello| !is_of_rustls(hello), vec![Hold]), Handshake]);
    let peer = peer.start();
    let zeros = "0".repeat(62);
    for (limits, jarm) in [
        (["--handshake-timeout", "1s"], Some(zeros.as_str())),
        // What the target's time cuts short is not the server's silence.
        (["--timeout", "3s"], None),
    ] {
        let outcome = Tlsweep::json().args(["--jarm"]).args(limits).sweep([peer.target()]);
        let record = outcome.only_record();
        assert!(verdict(record).starts_with("ok"), "{record:#}");
        assert_eq!(record.get("jarm").and_then(Value::as_str), jarm, "{record:#}");
    }
}

#[test]
fn the_hellos_of_jarm_count_in_the_rate() {
    let peer = Spec::good().start();
    let start = Instant::now();
    let outcome = Tlsweep::json().args(["--jarm", "--rate", "10"]).sweep([peer.target()]);
    assert!(verdict(outcome.only_record()).starts_with("ok"));
    // Eleven connections, of which the first need not wait.
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    assert_eq!(peer.accepted(), 11);
}
