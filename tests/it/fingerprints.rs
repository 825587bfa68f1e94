//! What servers are recognised by: JA3S, against its definition.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};
use rcgen::PKCS_ECDSA_P256_SHA256;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::programs::Program;
use crate::support::servers::{Files, serve_gnutls, serve_nginx, serve_openssl};

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
