//! A server that closes connections whatever their hellos say is not believed to refuse, and one that
//! refuses by closing is.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tlsweep::limits::MAX_CONTROLS;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::{PKCS_RSA_SHA256, Program, version};
use crate::support::cmd::Tlsweep;
use crate::support::peer::{Peer, Spec};
use crate::support::script::Step::{Fin, ReadHello, Relay, Reset};
use crate::support::script::{fatal, play};
use crate::support::servers::{Files, serve_weak_openssl};

type Rhythm = fn(usize) -> bool;

/// Which connections are dropped, by their numbers from 0.
const RHYTHMS: [(&str, Rhythm); 7] = [
    ("every second", |number| number % 2 == 1),
    ("every third", |number| number % 3 == 2),
    ("every fifth", |number| number % 5 == 4),
    ("all but every second", |number| number % 2 == 0),
    ("all but every third", |number| !number.is_multiple_of(3)),
    ("from the third on", |number| number >= 2),
    ("from the twelfth on", |number| number >= 12),
];

/// A proxy before a server, which ends such connections instead.
fn proxy(server: SocketAddr, is_dropped: Rhythm, how: usize) -> Peer {
    let accepted = AtomicUsize::new(0);
    Spec::made_up(move |stream| {
        let drop = [vec![ReadHello, Reset], vec![ReadHello, Fin], vec![ReadHello, fatal(80), Fin]];
        let is_dropped = is_dropped(accepted.fetch_add(1, Ordering::Relaxed));
        let script = if is_dropped { drop[how].clone() } else { vec![Relay(server)] };
        async move {
            // An error is the client's going away.
            _ = play(&script, stream).await;
        }
    })
    .start()
}

/// A proxy that closes where the server sends an alert.
fn wordless(server: SocketAddr) -> Peer {
    Spec::made_up(move |stream| async move {
        // An error is the client's going away.
        _ = relay_without_alerts(stream, server).await;
    })
    .start()
}

async fn relay_without_alerts(mut stream: TcpStream, server: SocketAddr) -> io::Result<()> {
    const ALERT: u8 = 21;
    let mut there = TcpStream::connect(server).await?;
    let mut hello = vec![0; 16 * 1024];
    let length = stream.read(&mut hello).await?;
    there.write_all(&hello[..length]).await?;
    let mut first = [0];
    if there.peek(&mut first).await? == 0 || first == [ALERT] {
        return stream.shutdown().await;
    }
    copy_bidirectional(&mut stream, &mut there).await.map(drop)
}

fn enumerate(peer: &Peer) -> Value {
    enumerate_all([peer]).remove(0)
}

/// The records of all peers, in their order.
fn enumerate_all<'a>(peers: impl IntoIterator<Item = &'a Peer>) -> Vec<Value> {
    let peers: Vec<_> = peers.into_iter().collect();
    let run = Tlsweep::json();
    let run =
        run.args(["--enumerate", "--jarm", "--handshake-timeout", "10s", "--timeout", "100s"]);
    let mut records = run.sweep(peers.iter().map(|peer| peer.target())).records;
    assert_eq!(records.len(), peers.len());
    records.sort_by_key(|record| record["number"].as_u64());
    records
}

/// Everything that `record` states for certain is the same in `honest`, the record of the server
/// without drops.
fn assert_true(record: &Value, honest: &Value, case: &str) {
    let Some(found) = record.get("enumeration") else {
        assert_eq!(record["ok"], false, "{case}: {record:#}");
        return;
    };
    let honest_found = &honest["enumeration"];
    for name in ["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"] {
        let (seen, is) = (version(found, name), version(honest_found, name));
        if seen["support"] != "unknown" {
            assert_eq!(seen["support"], is["support"], "{case}: {name} {record:#}");
        }
        if seen["complete"] == true {
            assert_eq!(seen["suites"], is["suites"], "{case}: {name} {record:#}");
        }
    }
    for list in ["groups", "curves", "certificates"] {
        let count = |found: &Value| found[list].as_array().map_or(0, Vec::len);
        if found[format!("{list}_complete")] == true {
            assert_eq!(count(found), count(honest_found), "{case}: {list} {record:#}");
        }
    }
    for (list, names, complete) in [
        ("signature_schemes", "tls12", "tls12_complete"),
        ("signature_schemes", "tls13", "tls13_complete"),
        ("alpn", "protocols", "complete"),
    ] {
        if found[list][complete] == true {
            assert_eq!(found[list][names], honest_found[list][names], "{case}: {record:#}");
        }
    }
    for (means, support) in found["resumption"].as_object().unwrap() {
        if support != "unknown" {
            assert_eq!(*support, honest_found["resumption"][means], "{case}: {means} {record:#}");
        }
    }
    if record.get("jarm").is_some() {
        assert_eq!(record["jarm"], honest["jarm"], "{case}: {record:#}");
    }
}

#[test]
fn a_server_that_drops_connections_refuses_nothing() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    let flags = ["-cipher", "AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256"];
    let server = serve_weak_openssl(&openssl, &files, &flags);
    let honest = enumerate(&proxy(server.addr, |_| false, 0));
    assert_eq!(version(&honest["enumeration"], "TLSv1.3")["support"], "supported", "{honest:#}");
    assert!(honest["jarm"].is_string(), "{honest:#}");
    // A server serves one connection at a time, so each proxy has its own.
    let mut cases = Vec::new();
    for (name, is_dropped) in RHYTHMS {
        for (how, ending) in ["reset", "fin", "internal_error"].into_iter().enumerate() {
            let server = serve_weak_openssl(&openssl, &files, &flags);
            let peer = proxy(server.addr, is_dropped, how);
            cases.push((server, peer, format!("{ending} {name}")));
        }
    }
    let records = enumerate_all(cases.iter().map(|(_, peer, _)| peer));
    for (record, (.., case)) in records.iter().zip(&cases) {
        assert_true(record, &honest, case);
    }
}

#[test]
fn a_server_that_refuses_by_closing_is_known_as_well_as_one_that_says_so() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let files = Files::with_key(&PKCS_RSA_SHA256);
    for flags in
        [&["-tls1_2", "-cipher", "AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256"][..], &["-tls1_3"]]
    {
        let server = serve_weak_openssl(&openssl, &files, flags);
        let honest = enumerate(&proxy(server.addr, |_| false, 0));
        let wordless = enumerate(&wordless(server.addr));
        let (found, honest_found) = (&wordless["enumeration"], &honest["enumeration"]);
        for name in ["versions", "groups", "groups_complete", "curves", "curves_complete"]
            .into_iter()
            .chain(["signature_schemes", "alpn", "resumption"])
        {
            assert_eq!(found[name], honest_found[name], "{wordless:#}");
        }
        assert_eq!(found["certificates_complete"], true, "{wordless:#}");
        assert!(wordless["jarm"].is_string(), "{wordless:#}");
        let attempts = |record: &Value| record["attempts"].as_u64().unwrap() as usize;
        let (more, fewer) = (attempts(&wordless), attempts(&honest));
        assert!(more > fewer && more <= fewer + MAX_CONTROLS, "{more} instead of {fewer}");
        eprintln!("{more} connections instead of {fewer}");
    }
}
