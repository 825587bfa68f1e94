//! Plaintext dialogues before TLS: good ones of every protocol, and every way to spoil them.

mod dialogues;
mod mssql;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep, verdict};
use crate::support::peer::{Peer, Spec, server_config};
use crate::support::pki::{CA, GOOD};
use crate::support::programs::in_network_namespace;
use crate::support::script::Step::{
    self, Drip, Fin, Forever, Hold, IfHello, ReadHello, Reset, Serve,
};
use crate::support::script::send;
use dialogues::{DIALOGUES, Dialogue};

/// The limit under test, where there is one, and how late a busy machine may be.
const LIMIT: &str = "300ms";
const LIMIT_MS: f64 = 300.0;
const LATE_MS: f64 = 10_000.0;

/// A server of one protocol, and the target by which it is swept.
struct Server {
    peer: Peer,
    target: String,
}

impl Server {
    fn start(protocol: &str, steps: impl Into<Vec<Step>>) -> Self {
        let peer = Spec::script(steps).start();
        let target = format!("{protocol}://{},localhost", peer.addr);
        Self { peer, target }
    }

    /// One that turns to TLS after these steps.
    fn start_with_tls(protocol: &str, mut steps: Vec<Step>) -> Self {
        steps.push(Dialogue::of(protocol).tls(serve()));
        Self::start(protocol, steps)
    }
}

fn serve() -> Step {
    Serve(Arc::new(server_config(&GOOD, rustls::DEFAULT_VERSIONS)))
}

/// Sweeps them together; the records come in the servers' order.
fn sweep<'a>(
    servers: impl IntoIterator<Item = &'a Server> + Copy,
    flags: &[&str],
) -> (Outcome, Vec<Value>) {
    let targets = servers.into_iter().map(|server| &server.target);
    let outcome = Tlsweep::json().args(flags).sweep(targets);
    outcome.assert_complete();
    let of = |server: &Server| {
        let target = server.target.split(',').next();
        let mut records = outcome.records.iter();
        let found = records.find(|record| record["target"].as_str() == target);
        found.expect("a record of every target").clone()
    };
    let records = servers.into_iter().map(of).collect();
    (outcome, records)
}

fn assert_upgraded(record: &Value, dialogue: &Dialogue) {
    assert_eq!(verdict(record), "ok close_notify", "{record:#}");
    assert_eq!(record["starttls"]["protocol"], dialogue.protocol);
    let banner = record["starttls"].get("banner").map(|banner| banner.as_str().unwrap());
    assert_eq!(banner, dialogue.banner, "{record:#}");
    assert!(record["ms"]["starttls"].as_f64().is_some(), "{record:#}");
    assert_eq!(record["tls"]["version"], "TLSv1.3");
    assert_eq!(record["attempts"], 1);
}

#[test]
fn every_protocol_ends_in_tls() {
    let dir = TempDir::new().unwrap();
    let root = CA.write_to(&dir);
    let servers: Vec<_> = DIALOGUES
        .iter()
        .map(|dialogue| Server::start_with_tls(dialogue.protocol, dialogue.steps()))
        .collect();
    let (_, records) = sweep(&servers, &["--roots", root.to_str().unwrap()]);
    for (dialogue, record) in DIALOGUES.iter().zip(&records) {
        assert_upgraded(record, dialogue);
        assert_eq!(record["trust"]["verdict"], "trusted", "{record:#}");
        let plain: usize =
            (0..dialogue.replies()).map(|reply| dialogue.cut_at(reply).1.len()).sum();
        assert!(record["received"].as_u64().unwrap() > plain as u64 + 500, "{record:#}");
    }
}

#[test]
fn the_flag_names_every_protocol() {
    for dialogue in DIALOGUES {
        let server = Server::start_with_tls(dialogue.protocol, dialogue.steps());
        let outcome = Tlsweep::json()
            .args(["--starttls", dialogue.protocol])
            .sweep([format!("{},localhost", server.peer.addr)]);
        assert_upgraded(outcome.only_record(), dialogue);
    }
}

#[test]
fn a_scheme_goes_before_the_flag() {
    let imap = Dialogue::of("imap");
    let server = Server::start_with_tls("imap", imap.steps());
    let good = Spec::good().start();
    let targets = [server.target, format!("https://{}", good.addr)];
    let outcome = Tlsweep::json().args(["--starttls", "smtp"]).sweep(targets);
    outcome.assert_complete();
    for record in &outcome.records {
        if record["target"].as_str().unwrap().starts_with("imap") {
            assert_upgraded(record, imap);
        } else {
            assert_eq!(verdict(record), "ok close_notify", "{record:#}");
            assert!(record.get("starttls").is_none(), "{record:#}");
        }
    }
}

const WELL_KNOWN: [(u16, &str); 15] = [
    (21, "ftp"),
    (25, "smtp"),
    (110, "pop3"),
    (119, "nntp"),
    (143, "imap"),
    (389, "ldap"),
    (587, "smtp"),
    (1433, "mssql"),
    (3306, "mysql"),
    (3389, "rdp"),
    (4190, "sieve"),
    (5222, "xmpp"),
    (5269, "xmpp-server"),
    (5432, "postgres"),
    (6667, "irc"),
];

#[test]
fn auto_goes_by_the_port_and_a_scheme_knows_its_port() {
    let test = "starttls::auto_goes_by_the_port_and_a_scheme_knows_its_port";
    in_network_namespace(test, ":", || {
        let _peers = WELL_KNOWN.map(|(port, protocol)| {
            let dialogue = Dialogue::of(protocol);
            let steps = [dialogue.steps(), vec![dialogue.tls(serve())]].concat();
            Spec::script(steps).start_on(port)
        });
        let _https = Spec::good().start_on(443);
        let by_port = WELL_KNOWN.map(|(port, _)| format!("127.0.0.1:{port},localhost"));
        let auto = Tlsweep::json()
            .args(["--starttls", "auto"])
            .sweep(by_port.iter().map(String::as_str).chain(["127.0.0.1"]));
        auto.assert_complete();
        for record in &auto.records {
            let port = record["port"].as_u64().unwrap();
            let known = WELL_KNOWN.iter().find(|(known, _)| u64::from(*known) == port);
            match known {
                Some((_, protocol)) => assert_upgraded(record, Dialogue::of(protocol)),
                None => assert_eq!(verdict(record), "ok close_notify", "{record:#}"),
            }
        }

        let by_scheme =
            WELL_KNOWN.map(|(_, protocol)| format!("{protocol}://127.0.0.1/,localhost"));
        let outcome = Tlsweep::json().sweep(by_scheme);
        outcome.assert_complete();
        for record in &outcome.records {
            let protocol = record["starttls"]["protocol"].as_str().unwrap();
            assert_upgraded(record, Dialogue::of(protocol));
            let port = record["port"].as_u64().unwrap();
            let known = WELL_KNOWN.iter().find(|(_, known)| *known == protocol);
            assert_eq!(known.unwrap().0, u16::try_from(port).unwrap());
        }
    });
}

#[test]
fn one_byte_a_packet_is_no_trouble() {
    let servers: Vec<_> = DIALOGUES
        .iter()
        .map(|dialogue| {
            let byte_by_byte = |step| match step {
                Step::Send(bytes) => Drip(bytes, Duration::from_millis(1)),
                step => step,
            };
            let steps = dialogue.steps().into_iter().map(byte_by_byte).collect();
            Server::start_with_tls(dialogue.protocol, steps)
        })
        .collect();
    let (_, records) = sweep(&servers, &[]);
    for (dialogue, record) in DIALOGUES.iter().zip(&records) {
        assert_upgraded(record, dialogue);
    }
}

/// Servers that break off before each of their replies and in the middle of it.
fn broken_off(end: &Step) -> Vec<Server> {
    let mut servers = Vec::new();
    for dialogue in DIALOGUES {
        for reply in 0..dialogue.replies() {
            let (before, reply) = dialogue.cut_at(reply);
            for half in [&[][..], &reply[..reply.len() / 2]] {
                let steps = [before.clone(), vec![send(half), end.clone()]].concat();
                servers.push(Server::start(dialogue.protocol, steps));
            }
        }
    }
    servers
}

fn assert_failed(record: &Value, expected: &str) {
    assert_eq!(verdict(record), expected, "{record:#}");
    assert!(record["starttls"]["protocol"].is_string(), "{record:#}");
    assert!(record["ms"]["starttls"].as_f64().is_some(), "{record:#}");
    assert!(record.get("tls").is_none(), "{record:#}");
    assert_eq!(record["attempts"], 1, "asked once only: {record:#}");
}

#[test]
fn silence_at_every_step() {
    let servers = broken_off(&Hold);
    let (outcome, records) = sweep(&servers, &["--starttls-timeout", LIMIT]);
    for record in &records {
        assert_failed(record, "starttls/timeout");
        let total = record["ms"]["total"].as_f64().unwrap();
        assert!((LIMIT_MS..LATE_MS).contains(&total), "{record:#}");
    }
    assert!(outcome.elapsed.as_secs_f64() * 1000.0 < LATE_MS + 5_000.0);
}

#[test]
fn closes_at_every_step() {
    let (_, records) = sweep(&broken_off(&Fin), &[]);
    records.iter().for_each(|record| assert_failed(record, "starttls/eof"));
}

#[test]
fn resets_at_every_step() {
    let (_, records) = sweep(&broken_off(&Reset), &[]);
    for record in &records {
        // One that comes before the first word may still meet the connecting.
        if verdict(record) != "connect/reset" {
            assert_failed(record, "starttls/reset");
        }
    }
}

#[test]
fn a_drip_is_cut_off_in_total() {
    let servers: Vec<_> = DIALOGUES
        .iter()
        .map(|Dialogue { protocol, endless, .. }| {
            let drip = |bytes: &[u8]| Drip(bytes.to_vec(), Duration::from_millis(20));
            let steps = vec![drip(endless.0), Forever(vec![drip(endless.1)])];
            Server::start(protocol, steps)
        })
        .collect();
    let (_, records) = sweep(&servers, &["--starttls-timeout", LIMIT]);
    for record in &records {
        assert_failed(record, "starttls/timeout");
        let total = record["ms"]["total"].as_f64().unwrap();
        assert!((LIMIT_MS..LATE_MS).contains(&total), "{record:#}");
    }
}

#[test]
fn the_target_s_own_limit_holds_in_a_dialogue() {
    let server = Server::start("smtp", [Hold]);
    let (_, records) = sweep(&[server], &["--timeout", LIMIT]);
    assert_failed(&records[0], "starttls/timeout");
}

#[test]
fn an_endless_banner_is_too_large() {
    let servers: Vec<_> = DIALOGUES
        .iter()
        .map(|Dialogue { protocol, endless, .. }| {
            Server::start(protocol, [send(endless.0), Forever(vec![send(endless.1)])])
        })
        .collect();
    let (_, records) = sweep(&servers, &[]);
    for record in &records {
        assert_failed(record, "starttls/too_large");
        assert!(record["received"].as_u64().unwrap() < 32 * 1024, "{record:#}");
        assert!(record["ms"]["total"].as_f64().unwrap() < LATE_MS, "{record:#}");
    }
}

#[test]
fn what_is_another_protocol_is_told_at_once() {
    const NOT_THEIRS: [&[u8]; 4] = [
        b"\x00\x01\x02\xff\xfe\x80\x7f",
        b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    ];
    for words in NOT_THEIRS {
        let servers: Vec<_> = DIALOGUES
            .iter()
            .map(|dialogue| Server::start(dialogue.protocol, [send(words), Hold]))
            .collect();
        let (_, records) = sweep(&servers, &["--starttls-timeout", "60s"]);
        for record in &records {
            assert_failed(record, "starttls/protocol");
            let evidence = record["error"]["evidence"].as_str().unwrap();
            assert!(!evidence.is_empty() && !evidence.contains(char::is_control), "{record:#}");
        }
    }
}

#[test]
fn a_server_that_goes_on_in_plain_text_is_no_tls() {
    let smtp = Dialogue::of("smtp");
    let steps = [smtp.steps(), vec![ReadHello, send("502 What?\r\n"), Hold]].concat();
    let (_, records) = sweep(&[Server::start("smtp", steps)], &[]);
    let record = &records[0];
    assert_eq!(verdict(record), "handshake/not_tls", "{record:#}");
    assert_eq!(record["error"]["evidence"], "502 What?\\r\\n");
    assert_eq!(record["starttls"]["banner"], smtp.banner.unwrap());
}

#[test]
fn silence_behind_the_consent_is_the_handshake_s() {
    let servers: Vec<_> = DIALOGUES
        .iter()
        .map(|dialogue| Server::start(dialogue.protocol, [dialogue.steps(), vec![Hold]].concat()))
        .collect();
    let (_, records) = sweep(&servers, &["--handshake-timeout", LIMIT]);
    for record in &records {
        assert_eq!(verdict(record), "handshake/timeout", "{record:#}");
        assert!(record["ms"]["starttls"].as_f64().is_some(), "{record:#}");
    }
}

#[test]
fn the_smaller_hello_comes_after_a_dialogue_of_its_own() {
    let servers: Vec<_> = DIALOGUES
        .iter()
        .map(|dialogue| {
            // A hello with a post-quantum share has over 1,200 bytes.
            let is_large = |hello: &[u8]| hello.len() > 1000;
            let close = vec![dialogue.hear_hello(), Fin];
            let steps = [dialogue.steps(), vec![IfHello(is_large, close)]].concat();
            Server::start_with_tls(dialogue.protocol, steps)
        })
        .collect();
    let (_, records) = sweep(&servers, &[]);
    for (server, record) in servers.iter().zip(&records) {
        assert_eq!(verdict(record), "ok close_notify", "{record:#}");
        assert_eq!(record["tls"]["pq_intolerant"], true, "{record:#}");
        assert_eq!(record["attempts"], 6, "four controls: {record:#}");
        assert_eq!(server.peer.accepted(), 6);
    }
}

#[test]
fn a_slow_dialogue_takes_no_time_from_the_smaller_hello() {
    let dialogue = Dialogue::of("smtp");
    let silence = IfHello(|hello| hello.len() > 1000, vec![ReadHello, Hold]);
    // Longer than what the first handshake leaves of the limit.
    let delay = Step::Pause(Duration::from_millis(1500));
    let steps = [vec![delay], dialogue.steps(), vec![silence]].concat();
    let servers = [Server::start_with_tls("smtp", steps)];
    let (_, records) = sweep(&servers, &["--handshake-timeout", "2s"]);
    assert_eq!(verdict(&records[0]), "ok close_notify", "{:#}", records[0]);
    assert_eq!(records[0]["tls"]["pq_intolerant"], true, "{:#}", records[0]);
}
