//! SQL Server: TLS inside TDS packets, however they are cut, and packets that are none.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use super::dialogues::Dialogue;
use super::{Server, assert_upgraded, serve, sweep};
use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::{Spec, server_config};
use crate::support::pki::GOOD;
use crate::support::programs::Program;
use crate::support::script::Step::{self, Hold, InPackets, Relay, Serve};
use crate::support::script::send;
use crate::support::servers::{Files, serve_weak_openssl};
use crate::support::tds::Packing;

/// A server that turns to TLS and packs it so.
fn packing(packing: Packing, server: Step) -> Server {
    let steps = [Dialogue::of("mssql").steps(), vec![InPackets(packing, Box::new(server))]];
    Server::start("mssql", steps.concat())
}

#[test]
fn records_and_packets_may_be_cut_anywhere() {
    const USUAL: Packing = Packing::USUAL;
    let servers = [
        // A header and its payload, byte by byte.
        Packing { segment: 1, ..USUAL },
        // One record over many packets; a packet for each byte, whole or cut.
        Packing { packet: 1, ..USUAL },
        Packing { packet: 1, segment: 1, ..USUAL },
        Packing { packet: 100, segment: 107, ..USUAL },
        // Headers that are cut at every place.
        Packing { packet: 4, segment: 5, ..USUAL },
        // Several records in one packet, which is as large as a login could agree on.
        Packing { packet: 32_000, ..USUAL },
        // The type of every other answer.
        Packing { kind: 4, ..USUAL },
    ];
    let servers = servers.map(|it| packing(it, serve()));
    let (_, records) = sweep(&servers, &[]);
    for record in &records {
        assert_upgraded(record, Dialogue::of("mssql"));
    }
}

#[test]
fn tls12_is_packed_up_to_the_servers_finished() {
    let config = Arc::new(server_config(&GOOD, &[&rustls::version::TLS12]));
    let pieces = [4088, 1].map(|packet| Packing { packet, ..Packing::USUAL });
    let servers = pieces.map(|pieces| packing(pieces, Serve(Arc::clone(&config))));
    let (_, records) = sweep(&servers, &[]);
    for record in &records {
        assert_eq!(verdict(record), "ok close_notify", "{record:#}");
        assert_eq!(record["tls"]["version"], "TLSv1.2");
    }
}

/// FreeTDS, a client of SQL Server, takes our server for one: it finds its handshake in the packets
/// where we find it.
#[test]
fn our_server_packs_as_a_client_of_sql_server_expects() {
    let Some(tsql) = Program::find("tsql") else { return };
    let config = tempfile::NamedTempFile::new().unwrap();
    // The limit is for a client that hears nothing; one whose handshake is over is ended at once.
    let text = "[global]\ntds version = 7.4\nencryption = require\nconnect timeout = 20\n";
    std::fs::write(&config, text).unwrap();
    let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
    for version in versions {
        let config_of_server = Arc::new(server_config(&GOOD, &[version]));
        for packing_of_server in [Packing::USUAL, Packing { segment: 1, ..Packing::USUAL }] {
            let serve = Box::new(Serve(Arc::clone(&config_of_server)));
            let (_, reply) = Dialogue::of("mssql").cut_at(0);
            let steps = vec![Step::HearPackets, send(reply), InPackets(packing_of_server, serve)];
            let server = Server::start("mssql", steps);
            let mut client = tsql.command();
            client.env("FREETDSCONF", config.path()).env("TDSDUMP", "stderr");
            let port = server.peer.addr.port().to_string();
            client.args(["-H", "127.0.0.1", "-p", &port, "-U", "user", "-P", "word"]);
            client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut client = client.spawn().unwrap();
            let mut said = BufReader::new(client.stderr.take().unwrap()).split(b'\n');
            let is_done = said
                .any(|line| line.unwrap().windows(19).any(|words| words == b"handshake succeeded"));
            client.kill().unwrap();
            client.wait().unwrap();
            assert!(is_done, "{version:?} {packing_of_server:?}");
        }
    }
}

#[test]
fn what_is_not_packed_is_not_taken_for_tls() {
    for (answer, expected, evidence) in [
        // As if TLS had begun without packets.
        (&b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"[..], "handshake/protocol", None),
        (b"HTTP/1.1 400 Bad", "handshake/not_tls", Some("HTTP/1.1 400 Bad")),
        // Shorter than its header, and longer than any packet.
        (
            b"\x12\x01\x00\x07\x00\x00\x01\x00",
            "handshake/not_tls",
            Some("\\x12\\x01\\x00\\x07\\x00\\x00\\x01\\x00"),
        ),
        (
            b"\x12\x01\xff\xff\x00\x00\x01\x00",
            "handshake/not_tls",
            Some("\\x12\\x01\\xff\\xff\\x00\\x00\\x01\\x00"),
        ),
        // A packet of something else than TLS.
        (
            b"\x04\x01\x00\x0c\x00\x00\x01\x00\xaa\x04\x00\x00",
            "handshake/not_tls",
            Some("\\xaa\\x04\\x00\\x00"),
        ),
    ] {
        let hello = Step::HearPackets;
        let steps = [Dialogue::of("mssql").steps(), vec![hello, send(answer), Hold]].concat();
        let server = Server::start("mssql", steps);
        let (_, records) = sweep([&server], &[]);
        let record = &records[0];
        assert_eq!(verdict(record), expected, "{answer:?} {record:#}");
        assert_eq!(record["error"].get("evidence").and_then(|it| it.as_str()), evidence);
        assert!(record.get("tls").is_none(), "{record:#}");
    }
}

/// An OpenSSL that speaks TLS 1.0 and 1.1 only, behind the packets of SQL Server.
#[test]
fn legacy_hellos_and_enumeration_are_packed_too() {
    let Some(openssl) = Program::find("openssl") else { return };
    let files = Files::of(&GOOD);
    let old = serve_weak_openssl(&openssl, &files, &["-no_tls1_2", "-no_tls1_3"]);
    let server = packing(Packing::USUAL, Relay(old.addr));
    let outcome = Tlsweep::json().sweep([&server.target]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "handshake/unsupported", "{record:#}");
    assert_eq!(record["tls"]["version"], "TLSv1.1", "{record:#}");
    assert_eq!(record["tls"]["legacy"], true, "{record:#}");

    let new = Spec::good().start();
    let server = packing(Packing { packet: 50, ..Packing::USUAL }, Relay(new.addr));
    let outcome = Tlsweep::json().args(["--enumerate", "--timeout", "60s"]).sweep([
        format!("mssql://{},localhost", server.peer.addr),
        format!("{},localhost", new.addr),
    ]);
    outcome.assert_complete();
    let tables: Vec<_> =
        outcome.records.iter().map(|record| record["enumeration"].clone()).collect();
    assert!(!tables[0]["versions"].as_array().unwrap().is_empty(), "{:#}", tables[0]);
    assert_eq!(tables[0], tables[1]);
}
