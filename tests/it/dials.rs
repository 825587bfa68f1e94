//! Which connections a target takes, and what they show, over real sockets.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::{Spec, fill_queue, server_config};
use crate::support::pki::GOOD;
use crate::support::programs::{Program, skip};
use crate::support::script;
use crate::support::script::Step::{Fin, Hold, ReadHello, Serve};
use crate::support::servers::{Files, serve_nginx_mail, serve_openssl};

/// A limit for the handshake. A smaller hello is sent after half of it; even a busy machine answers sooner.
const LONG: &str = "20s";

/// A good server that closes some connections after it has read the hello, by their number from 0.
fn drops(is_dropped: fn(usize) -> bool) -> Spec {
    let config = Arc::new(server_config(&GOOD, rustls::DEFAULT_VERSIONS));
    let met = Arc::new(AtomicUsize::new(0));
    Spec::made_up(move |stream| {
        let config = Arc::clone(&config);
        let is_dropped = is_dropped(met.fetch_add(1, Ordering::Relaxed));
        async move {
            // The client may leave at any moment.
            _ = match is_dropped {
                true => script::play(&[ReadHello, Fin], stream).await,
                false => script::serve(config, stream).await,
            };
        }
    })
}

/// A good server that plays one script with each connection after the first, and serves the first one when
/// the last script is over. Later connections get an alert.
fn answers_the_first_after(beside: Vec<Vec<script::Step>>) -> Spec {
    let config = Arc::new(server_config(&GOOD, rustls::DEFAULT_VERSIONS));
    let (met, beside) = (Arc::new(AtomicUsize::new(0)), Arc::new(beside));
    let is_last_over = Arc::new(Notify::new());
    Spec::made_up(move |stream| {
        let (config, is_last_over) = (Arc::clone(&config), Arc::clone(&is_last_over));
        let (number, beside) = (met.fetch_add(1, Ordering::Relaxed), Arc::clone(&beside));
        async move {
            // The client may leave at any moment.
            match (number, beside.get(number.wrapping_sub(1))) {
                (0, _) => {
                    is_last_over.notified().await;
                    _ = script::serve(config, stream).await;
                }
                (_, Some(steps)) => {
                    _ = script::play(steps, stream).await;
                    if number == beside.len() {
                        is_last_over.notify_one();
                    }
                }
                (_, None) => _ = script::play(&[ReadHello, script::fatal(70)], stream).await,
            }
        }
    })
}

/// A good server that serves its first connection as soon as there is a second one, which gets only
/// `second`. It is slow, and not silent.
fn answers_the_first_late(second: &'static [script::Step]) -> Spec {
    let config = Arc::new(server_config(&GOOD, rustls::DEFAULT_VERSIONS));
    let met = Arc::new(AtomicUsize::new(0));
    let has_second = Arc::new(Notify::new());
    Spec::made_up(move |stream| {
        let (config, has_second) = (Arc::clone(&config), Arc::clone(&has_second));
        let is_first = met.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                has_second.notified().await;
                // The client may leave at any moment.
                _ = script::serve(config, stream).await;
            } else {
                has_second.notify_one();
                _ = script::play(second, stream).await;
            }
        }
    })
}

#[test]
fn a_server_that_answers_in_the_second_half_of_the_limit_is_ok() {
    // The second half is three seconds, and the server needs some milliseconds of it.
    const LIMIT_MS: f64 = 6000.0;
    for second in [&[ReadHello, Hold][..], &[ReadHello, Fin]] {
        let peer = answers_the_first_late(second).start();
        let record = sweep_within(&peer.target(), "6s", &[]);
        assert_eq!(verdict(&record), "ok close_notify", "{record:#}");
        assert_eq!(record["attempts"], peer.accepted(), "{record:#}");
        assert_eq!(record["tls"]["group"], "X25519MLKEM768", "{record:#}");
        assert!(record["tls"].get("pq_intolerant").is_none(), "{record:#}");
        let handshake = record["ms"]["handshake"].as_f64().unwrap();
        assert!((LIMIT_MS / 2.0..LIMIT_MS).contains(&handshake), "{record:#}");
    }
}

/// Such a server may allow one connection at a time for each client, or refuse whatever is no TLS 1.3.
#[test]
fn an_answer_that_says_nothing_does_not_end_the_connection_that_waits() {
    const INTERNAL_ERROR: u8 = 80;
    const PROTOCOL_VERSION: u8 = 70;
    let tls12 = Arc::new(server_config(&GOOD, &[&rustls::version::TLS12]));
    let refuses = |alert| vec![ReadHello, script::fatal(alert), Hold];
    let drops = vec![ReadHello, Fin];
    for beside in [
        // The smaller hello is refused, and so are two legacy ones.
        vec![refuses(INTERNAL_ERROR); 3],
        [vec![drops.clone()], vec![refuses(PROTOCOL_VERSION); 3]].concat(),
        // A legacy hello is answered with what rustls could have spoken.
        vec![drops, vec![Serve(tls12)]],
    ] {
        let attempts = 1 + beside.len();
        let peer = answers_the_first_after(beside).start();
        let record = sweep_within(&peer.target(), "6s", &[]);
        assert_eq!(verdict(&record), "ok close_notify", "{record:#}");
        assert_eq!(record["tls"]["group"], "X25519MLKEM768", "{record:#}");
        assert_eq!(record["attempts"], attempts, "{record:#}");
        assert_eq!(record["attempts"], peer.accepted(), "{record:#}");
    }
}

/// Where only one connection at once is allowed, the silent one is closed first.
#[test]
fn a_silent_peer_has_no_more_connections_at_once_than_an_address_may_have() {
    let peer = answers_the_first_late(&[ReadHello, Hold]).start();
    let record = sweep_within(&peer.target(), "2s", &["--per-address", "1"]);
    assert_eq!(verdict(&record), "handshake/timeout", "{record:#}");
    assert_eq!(record["attempts"], 2, "{record:#}");
}

/// A flight of several records that come together does not make several segments of ours.
#[test]
fn what_follows_the_hello_leaves_in_one_segment() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let config = Arc::new(server_config(&GOOD, &[&rustls::version::TLS13]));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut server = rustls::ServerConnection::new(config).unwrap();
        let mut flight = Vec::new();
        while flight.is_empty() {
            assert!(server.read_tls(&mut stream).unwrap() > 0);
            server.process_new_packets().unwrap();
            while server.wants_write() {
                server.write_tls(&mut flight).unwrap();
            }
        }
        stream.write_all(&flight).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        server.read_tls(&mut &answer[..length]).unwrap();
        let has_closed = server.process_new_packets().unwrap().peer_has_closed();
        (length, server.is_handshaking(), has_closed)
    });
    // The flight of a server with a share of X25519 fits into one segment.
    sweep(&target, &["--groups", "X25519", "--read-timeout", "5s"]);
    let (length, is_handshaking, has_closed) = server.join().unwrap();
    assert!(!is_handshaking && has_closed, "ChangeCipherSpec, Finished, goodbye: {length} bytes");
}

fn sweep(target: &str, args: &[&str]) -> Value {
    sweep_within(target, LONG, args)
}

fn sweep_within(target: &str, limit: &str, args: &[&str]) -> Value {
    let outcome = Tlsweep::json().args(["--handshake-timeout", limit]).args(args).sweep([target]);
    outcome.only_record().clone()
}

#[test]
fn a_peer_that_drops_every_second_connection_is_not_pq_intolerant() {
    for (is_dropped, attempts) in [
        ((|n| n % 2 == 0) as fn(usize) -> bool, 4_u64),
        (|n| n % 2 == 1, 1),
        // The first of every client.
        (|n| n == 0, 3),
        // Two of three.
        (|n| n % 3 != 1, 6),
    ] {
        let peer = drops(is_dropped).start();
        let record = sweep(&peer.target(), &[]);
        assert_eq!(verdict(&record), "ok close_notify", "{record:#}");
        assert!(record["tls"].get("pq_intolerant").is_none(), "{record:#}");
        assert_eq!(record["attempts"], attempts, "{record:#}");
        assert_eq!(u64::try_from(peer.accepted()).unwrap(), attempts);
        let group = if attempts == 6 { "x25519" } else { "X25519MLKEM768" };
        assert_eq!(record["tls"]["group"], group, "{record:#}");
    }
}

/// The first connection is closed behind the hello, and the next ones get no answer.
#[test]
fn the_time_of_a_dial_that_failed_is_not_that_of_a_connection() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let server = thread::spawn(move || {
        let (mut first, _) = socket.accept().unwrap();
        assert!(first.read(&mut [0; 16]).unwrap() > 0);
        // Nobody gets into the queue before the first connection is closed.
        let queue = fill_queue(address);
        drop(first);
        (socket, queue)
    });
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("summary");
    let args = ["--connect-timeout", "2s", "--summary", file.to_str().unwrap()];
    let outcome = Tlsweep::json().args(args).sweep([address.to_string()]);
    let record = outcome.only_record();
    assert!(record["attempts"].as_u64().unwrap() > 1, "{record:#}");
    let connect = record["ms"]["connect"].as_f64();
    assert!(connect.is_none_or(|connect| connect < 1000.0), "{record:#}");
    let summary: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let slowest = summary["ms"]["connect"]["max"].as_f64();
    assert!(slowest.is_none_or(|slowest| slowest < 1000.0), "{summary:#}");
    server.join().unwrap();
}

#[test]
fn the_server_hello_is_known_though_the_handshake_fails_later() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let flags = ["-tls1_2", "-Verify", "1", "-verify_return_error", "-groups", "P-256"];
    let server = serve_openssl(&openssl, &files, &flags);
    let outcome = Tlsweep::json()
        .args(["--fail-on", "min-tls=1.3"])
        .sweep([format!("localhost:{}", server.addr.port())]);
    let [record] = outcome.records.as_slice() else {
        panic!("{:#?}", outcome.records);
    };
    assert!(verdict(record).starts_with("handshake/alert"), "{record:#}");
    let tls = &record["tls"];
    assert_eq!(tls["version"], "TLSv1.2", "{record:#}");
    assert!(tls["cipher"].as_str().unwrap().starts_with("TLS_ECDHE_ECDSA_"), "{record:#}");
    assert_eq!(tls["group"], "secp256r1", "{record:#}");
    assert_eq!(tls["client_cert_requested"], true, "{record:#}");
    assert!(tls.get("legacy").is_none(), "{record:#}");
    assert_eq!(record["failed_checks"][0], "min-tls=1.3", "{record:#}");
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn servers_that_know_one_application_protocol_only() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for (flags, scheme, alpn, is_refused) in [
        (&["-alpn", "imap"][..], "imaps://", Some("imap"), false),
        (&["-alpn", "pop3"], "pop3s://", Some("pop3"), false),
        (&["-alpn", "imap"], "", None, true),
        (&["-alpn", "pop3"], "tls://", None, true),
        (&["-alpn", "imap"], "pop3s://", None, true),
        (&["-alpn", "imap"], "smtps://", None, false),
        (&["-alpn", "h2"], "https://", Some("h2"), false),
    ] {
        let server = serve_openssl(&openssl, &files, flags);
        check_alpn(&format!("{scheme}localhost:{}", server.addr.port()), alpn, is_refused);
    }
}

fn check_alpn(target: &str, alpn: Option<&str>, is_refused: bool) {
    let record = sweep(target, &[]);
    assert!(verdict(&record).starts_with("ok"), "{target}: {record:#}");
    let tls = &record["tls"];
    assert_eq!(tls.get("alpn").and_then(Value::as_str), alpn, "{target}: {record:#}");
    assert_eq!(tls.get("alpn_refused").is_some_and(|b| b == true), is_refused, "{record:#}");
    assert_eq!(record["attempts"], 1 + u64::from(is_refused), "{target}: {record:#}");
}

#[test]
fn a_list_of_ones_own_is_offered_to_every_target() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    let server = serve_openssl(&openssl, &files, &["-alpn", "imap,h2"]);
    for (list, expected) in [("h2", Some("h2")), ("imap", Some("imap")), ("-", None)] {
        let target = format!("imaps://localhost:{}", server.addr.port());
        let record = sweep(&target, &["--alpn", list]);
        let alpn = record["tls"].get("alpn").and_then(Value::as_str);
        assert_eq!((alpn, &record["attempts"]), (expected, &1.into()), "{record:#}");
    }
}

/// nginx' mail proxy knows the protocol of each of its ports and refuses every other.
#[test]
fn nginx_mail() {
    let Some(nginx) = Program::find("nginx") else {
        return;
    };
    let files = Files::with_key(&PKCS_ECDSA_P256_SHA256);
    for (protocol, scheme, alpn) in
        [("imap", "imaps", Some("imap")), ("pop3", "pop3s", Some("pop3")), ("smtp", "smtps", None)]
    {
        let Some(server) = serve_nginx_mail(&nginx, &files, protocol, true) else {
            skip("nginx has no mail module");
            return;
        };
        let port = server.addr.port();
        check_alpn(&format!("{scheme}://localhost:{port}"), alpn, false);
        let record = sweep(&format!("localhost:{port}"), &[]);
        assert!(verdict(&record).starts_with("ok"), "{protocol}: {record:#}");
    }
    for (protocol, alpn) in [("imap", Some("imap")), ("pop3", Some("pop3")), ("smtp", None)] {
        let server = serve_nginx_mail(&nginx, &files, protocol, false).unwrap();
        let target = format!("{protocol}://localhost:{}", server.addr.port());
        check_alpn(&target, alpn, false);
    }
}
