//! `--quic`: a question over UDP beside a server over TCP.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::Program;
use crate::support::servers::{Files, serve_caddy};

/// A good TLS server with something at the UDP port of the same number.
struct Both {
    tcp: Peer,
    /// Datagrams that came.
    asked: Arc<AtomicUsize>,
    udp: Option<UdpSocket>,
}

/// The datagrams that answer a question.
type Answers = fn(&[u8]) -> Vec<Vec<u8>>;

/// The versions v1, a reserved one, and v2.
const VERSIONS: [u32; 3] = [1, 0x2a2a_3a3a, 0x6b33_43cf];

/// An answer to a question, byte for byte what RFC 8999 says.
fn negotiation(question: &[u8], versions: &[u32]) -> Vec<u8> {
    assert_eq!(question.len(), 1200);
    assert_eq!((question[0] & 0xc0, question[1] & 0x0f, question[4] & 0x0f), (0xc0, 0x0a, 0x0a));
    let destination_end = 6 + usize::from(question[5]);
    let (destination, rest) = (&question[5..destination_end], &question[destination_end..]);
    let source = &rest[..1 + usize::from(rest[0])];
    let versions = versions.iter().flat_map(|version| version.to_be_bytes());
    [&[0x80 | question[1], 0, 0, 0, 0], source, destination, &versions.collect::<Vec<_>>()].concat()
}

impl Both {
    fn new() -> Self {
        // The UDP port that has the TCP peer's number may be taken by somebody.
        for _ in 0..64 {
            let tcp = Spec::good().start();
            if let Ok(udp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, tcp.addr.port())) {
                return Self { tcp, asked: Arc::default(), udp: Some(udp) };
            }
        }
        panic!("no port is free for both");
    }

    /// Answers each datagram with these.
    fn answering(mut self, answers: Answers) -> Self {
        let udp = self.udp.take().unwrap();
        let asked = Arc::clone(&self.asked);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends with the test's process.
            while let Ok((length, client)) = udp.recv_from(&mut buffer) {
                asked.fetch_add(1, Ordering::Relaxed);
                for answer in answers(&buffer[..length]) {
                    // The client may be gone.
                    _ = udp.send_to(&answer, client);
                }
            }
        });
        self
    }

    /// Nobody listens at the UDP port.
    fn closed(mut self) -> Self {
        self.udp = None;
        self
    }

    fn sweep(&self, args: &[&str]) -> Value {
        let outcome = Tlsweep::json().args(["--quic"]).args(args).sweep([self.tcp.target()]);
        let record = outcome.records.first().unwrap().clone();
        assert!(verdict(&record).starts_with("ok"), "{record:#}");
        record
    }
}

#[test]
fn the_versions_of_an_answer_are_told() {
    let both = Both::new().answering(|question| vec![negotiation(question, &VERSIONS)]);
    let record = both.sweep(&[]);
    assert_eq!(record["quic"], json!({"status": "shown", "versions": ["v1", "v2"]}));
    assert_eq!(record["attempts"], 2);
    assert!(record["sent"].as_u64().unwrap() > 2400, "{record:#}");
    assert_eq!(both.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn silence_and_nonsense_are_not_shown() {
    let not_shown = json!({"status": "not_shown"});
    let silent = Both::new();
    let start = Instant::now();
    assert_eq!(silent.sweep(&["--connect-timeout", "300ms"])["quic"], not_shown);
    assert!(start.elapsed() < Duration::from_secs(30));
    let nonsense: [Answers; 6] = [
        |question| vec![question.to_vec()],
        |_question| vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()],
        |question| vec![negotiation(question, &[])],
        // The connection IDs of somebody else.
        |question| vec![negotiation(&[&question[..6], &[0; 1194][..]].concat(), &VERSIONS)],
        |question| {
            let answer = negotiation(question, &VERSIONS);
            (0..answer.len() - 12).map(|length| answer[..length].to_vec()).collect()
        },
        |_question| vec![vec![0xff; 1400]; 200],
    ];
    for answers in nonsense {
        let both = Both::new().answering(answers);
        assert_eq!(both.sweep(&["--connect-timeout", "300ms"])["quic"], not_shown);
    }
}

#[test]
fn an_answer_behind_nonsense_counts() {
    let both = Both::new()
        .answering(|question| vec![vec![], vec![0; 1400], negotiation(question, &VERSIONS)]);
    assert_eq!(both.sweep(&[])["quic"]["versions"], json!(["v1", "v2"]));
}

#[test]
fn a_closed_port_refuses() {
    assert_eq!(Both::new().closed().sweep(&[])["quic"], json!({"status": "refused"}));
}

#[test]
fn no_more_than_asked_for_is_sent() {
    let both = Both::new().answering(|question| vec![negotiation(question, &VERSIONS)]);
    let run = |args: &[&str]| Tlsweep::json().args(args).sweep([both.tcp.target()]);
    let plain = run(&[]);
    assert!(plain.only_record().get("quic").is_none());
    // What is excluded is dialled neither way.
    let dir = tempfile::TempDir::new().unwrap();
    let list = dir.path().join("exclude");
    std::fs::write(&list, "127.0.0.0/8\n").unwrap();
    let excluded = run(&["--quic", "--exclude", list.to_str().unwrap()]);
    assert!(
        verdict(excluded.only_record()).starts_with("input/excluded"),
        "{:#?}",
        excluded.records
    );
    assert_eq!(both.asked.load(Ordering::Relaxed), 0);
    // The rate is that of all dials.
    let start = Instant::now();
    run(&["--quic", "--rate", "2"]);
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    assert_eq!(both.asked.load(Ordering::Relaxed), 1);
}

/// Caddy answers with the versions of quic-go.
#[test]
fn caddy_speaks_versions_1_and_2() {
    let Some(caddy) = Program::of_engines("caddy") else {
        return;
    };
    let server = serve_caddy(&caddy, &Files::with_key(&PKCS_ECDSA_P256_SHA256));
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, server.addr.port()));
    let outcome = Tlsweep::json().args(["--quic"]).sweep([addr.to_string()]);
    assert_eq!(outcome.only_record()["quic"], json!({"status": "shown", "versions": ["v1", "v2"]}));
}
