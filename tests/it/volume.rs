//! Many targets: nothing lost, nothing doubled, nothing piled up.

use std::collections::HashMap;
use std::time::Duration;

use tlsweep::limits::BULKY_LIMIT;

use crate::support::cmd::{Tlsweep, sorted, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::{Peer, Spec};
use crate::support::script::Step::{
    self, Fin, Freeze, Handshake, Hold, ReadHello, Reset, Say, UpTo,
};
use crate::support::script::{CLOSE_NOTIFY, EXTENSIONS, SERVER_HELLO, fatal, send, warning};
use crate::support::tls::Chain;
use crate::support::tls::Msg::{Certificate, Finished, Verify};

const HTTP_400: &str = "HTTP/1.1 400 Bad Request\r\n\r\n";

#[test]
fn exactly_once_with_20_000_targets_of_ten_behaviours() {
    const TARGETS: usize = 20_000;
    let behaviours = [
        (Spec::good(), "ok close_notify"),
        (script([Handshake, warning(CLOSE_NOTIFY), Freeze]), "ok close_notify"),
        (script([Handshake, Fin]), "ok eof"),
        (Spec::refusing(), "connect/refused"),
        (script([ReadHello, Reset]), "handshake/reset"),
        (script([ReadHello, Fin]), "handshake/eof"),
        (script([ReadHello, send(HTTP_400), Hold]), "handshake/not_tls"),
        (script([ReadHello, fatal(40), Fin]), "handshake/alert handshake_failure"),
        (script([UpTo(SERVER_HELLO), send([9; 5]), Hold]), "handshake/protocol"),
        (script([Hold]), "handshake/timeout"),
    ];
    let peers = behaviours.map(|(spec, expect)| (spec.on_all_of_loopback().start(), expect));
    let mut expected = HashMap::new();
    let mut input = Vec::new();
    for number in 0..TARGETS {
        // Silence is the last behaviour and takes a whole limit, so that it has to be rare.
        let behaviour = if number % 100 == 99 { 9 } else { number % 9 };
        let (peer, expect) = &peers[behaviour];
        let target = format!("127.2.{}.{}:{}", number / 250, number % 250 + 1, peer.addr.port());
        // Some lines stand twice.
        input.extend(std::iter::repeat_n(target.clone(), 1 + usize::from(number % 7 == 0)));
        expected.insert(target, *expect);
    }

    let outcome = Tlsweep::json()
        .args(["-c", "1000", "--handshake-timeout", "20s", "--read-timeout", "20s"])
        .sweep(&input);

    outcome.assert_complete();
    for record in &outcome.records {
        assert_eq!(verdict(record), expected[record["target"].as_str().unwrap()], "{record:#}");
        assert_eq!(record["target"], input[line_of(record) - 1].as_str(), "{record:#}");
    }
    assert_eq!(outcome.targets(), sorted(input), "lost or doubled lines");
}

#[test]
fn nobody_reads_so_nothing_more_is_dialled() {
    const CONCURRENCY: usize = 100;
    let peer = script([ReadHello, send(HTTP_400), Hold]).start();
    // Long lines, so that few of them fill the pipes on both sides.
    let line = format!("{},,{}\n", peer.target(), "x".repeat(2000));
    let mut run = Tlsweep::json().args(["-c", &CONCURRENCY.to_string()]).start();
    let taken = run.feed_for_ever(move |_| line.clone().into_bytes());

    while taken.recv_timeout(Duration::from_secs(3)).is_ok() {}
    let dialled = peer.accepted();
    assert!(dialled >= CONCURRENCY, "only {dialled} were dialled");
    assert!(dialled <= 3 * CONCURRENCY + 200, "{dialled} were dialled with nobody reading");

    // Once somebody reads, it goes on where it stood.
    drop(taken);
    // The silent targets alone take 40 s; the rest depends on what else this machine does.
    let outcome = run.ends_within(Duration::from_secs(300));
    outcome.assert_complete();
    assert!(outcome.records.len() >= dialled);
    let mut lines: Vec<usize> = outcome.records.iter().map(line_of).collect();
    lines.sort_unstable();
    assert_eq!(lines, (1..=lines.len()).collect::<Vec<_>>(), "lost or doubled lines");
}

#[test]
fn memory_keeps_its_ceiling_though_every_chain_is_large_and_nobody_reads() {
    const TARGETS: usize = 1500;
    const CEILING_KIB: u64 = 256 * 1024;
    let peer = with_large_chain().on_all_of_loopback().start();
    let mut run = large_records().args(["-c", "1000"]).start();
    let target = |n| format!("127.3.{}.{}:{}\n", n / 250, n % 250 + 1, peer.addr.port());
    run.feed((0..TARGETS).map(target).collect::<String>().into_bytes());

    let dialled = when_nothing_moves(&peer, 1000);
    let peak = run.peak_rss();
    assert!(dialled < TARGETS, "all were dialled though nobody reads");
    assert!(peak < CEILING_KIB, "{peak} KiB with nobody reading");
    for _ in 0..TARGETS / 2 {
        let record = run.next_record();
        assert_eq!(verdict(&record), "ok close_notify", "{record:#}");
        assert!(record["chain"]["certificates"][1]["pem"].is_string(), "{record:#}");
    }
    let peak = run.peak_rss();
    assert!(peak < CEILING_KIB, "{peak} KiB in all");
    let outcome = run.finish();
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), TARGETS);
}

/// A peer whose certificates are just below 64 KiB, beyond which rustls takes no message.
fn with_large_chain() -> Spec {
    script([
        UpTo(EXTENSIONS),
        Say(Certificate(Chain::Padded { count: 63, size: 1000 })),
        Say(Verify),
        Say(Finished),
        warning(CLOSE_NOTIFY),
        Hold,
    ])
}

/// A sweep whose records are large, and whose time is never up.
fn large_records() -> Tlsweep {
    let limits = ["--handshake-timeout", "5m", "--read-timeout", "5m", "--timeout", "10m"];
    Tlsweep::json().args(["--chain", "--pem"]).args(limits)
}

/// How many connections the peer has accepted once there are no more for a while, which is all that
/// shows that everything stands still. There are `least` to come.
fn when_nothing_moves(peer: &Peer, least: usize) -> usize {
    let mut dialled = 0;
    while dialled < least || dialled < peer.accepted() {
        dialled = peer.accepted();
        std::thread::park_timeout(Duration::from_secs(2));
    }
    dialled
}

/// A name with 64 addresses keeps their records to the last of them.
#[test]
fn addresses_of_names_with_large_chains_pile_up_no_further_than_targets() {
    const ADDRESSES: usize = 64;
    let server = NameServer::start();
    let peer = with_large_chain().on_all_of_loopback().start();
    let mut run =
        large_records().args(["-4", "--all-addresses", "--resolver", &server.address()]).start();
    let loops = std::thread::available_parallelism().unwrap().get().max(2);
    let names = 8 + 2 * loops;
    let target = |n| format!("huge.n{n}.test:{}\n", peer.addr.port());
    run.feed((0..names).map(target).collect::<String>().into_bytes());

    // The limit, a name beyond it, a dial that each name is at, and for each loop, and the one that
    // writes, a name whose records the output has taken.
    let most = BULKY_LIMIT + (2 + loops) * ADDRESSES + names;
    for _ in 0..2 {
        let dialled = when_nothing_moves(&peer, BULKY_LIMIT);
        assert!(dialled <= most, "{dialled} were dialled though nobody reads");
    }
    let peak = run.peak_rss();
    assert!(peak < 256 * 1024, "{peak} KiB with nobody reading");
    // Whoever waits gets on as soon as somebody reads.
    for _ in 0..names * ADDRESSES {
        assert_eq!(verdict(&run.next_record()), "ok close_notify");
    }
    assert_eq!(run.finish().code, Some(0));
}

#[test]
fn memory_stays_flat_however_long_the_input() {
    let peer = Spec::refusing().on_all_of_loopback().start();
    let port = peer.addr.port();
    let mut run = Tlsweep::json().start();
    let _endless = run.feed_for_ever(move |number| {
        let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
        format!("127.{a}.{b}.{c}:{port}\n").into_bytes()
    });
    let mut peak_after = |lines| {
        for _ in 0..lines {
            run.next_line();
        }
        run.peak_rss()
    };
    let early = peak_after(20_000);
    let late = peak_after(60_000);
    assert!(late < early + 2 * 1024, "from {early} to {late} KiB");
}

fn script<const N: usize>(steps: [Step; N]) -> Spec {
    Spec::script(steps)
}

fn line_of(record: &serde_json::Value) -> usize {
    usize::try_from(record["line"].as_u64().unwrap()).unwrap()
}
