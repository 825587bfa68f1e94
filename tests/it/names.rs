//! Many names, several name servers, one family of addresses.

use std::collections::HashSet;
use std::net::UdpSocket;

use serde_json::Value;

use crate::support::cmd::{Outcome, Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::{Peer, Spec};

const LOOKUPS: usize = 512;

#[test]
fn one_server_is_asked_at_a_time() {
    let [first, second] = [(); 2].map(|()| NameServer::start());
    let outcome = run(&[&first, &second], "30s").sweep_names(200);
    assert_verdicts(&outcome, "connect/refused");
    assert_eq!(distinct(&first), 200);
    assert_eq!(second.asked(), [""; 0]);
}

#[test]
fn a_silent_server_is_left_for_one_that_answers() {
    const IN_FLIGHT: usize = 100;
    let (silent, good) = (NameServer::always("silent"), NameServer::start());
    // A try is a third of it.
    let run = run(&[&silent, &good], "15s").args(["-c", &IN_FLIGHT.to_string()]);
    let outcome = run.sweep_names(2000);
    assert_verdicts(&outcome, "connect/refused");
    // Those that were in flight until it was known, and nobody after them.
    assert!(distinct(&silent) <= 2 * IN_FLIGHT, "{}", distinct(&silent));
    assert_eq!(distinct(&good), 2000);
    assert!(outcome.elapsed.as_secs() < 60, "{:?}", outcome.elapsed);
}

#[test]
fn nobody_is_at_home_at_the_first_server() {
    // The port is taken on another address, so that nobody else gets it on this one.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = format!("127.9.9.9:{}", socket.local_addr().unwrap().port());
    let good = NameServer::start();
    let outcome = Tlsweep::json()
        .args(["--resolver", &nobody, "--resolver", &good.address()])
        .args(["--resolve-timeout", "90s", "--timeout", "100s"])
        .sweep_names(100);
    assert_verdicts(&outcome, "connect/refused");
    // A try would take a third of the limit.
    assert!(outcome.elapsed.as_secs() < 15, "{:?}", outcome.elapsed);
    let said: Vec<_> = outcome.stderr.lines().filter(|line| line.contains(&nobody)).collect();
    assert_eq!(said.len(), 1, "{}", outcome.stderr);
    assert!(!said[0].contains(": 0 names"), "{}", outcome.stderr);
}

#[test]
fn a_silent_server_is_named_once_with_what_it_cost() {
    let (silent, good) = (NameServer::always("silent"), NameServer::start());
    let outcome = run(&[&silent, &good], "3s").args(["-c", "100"]).sweep_names(1000);
    assert_verdicts(&outcome, "connect/refused");
    let said: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("name server")).collect();
    assert_eq!(said.len(), 1, "{}", outcome.stderr);
    let words = [silent.address(), "does not answer".into(), "in vain".into()];
    assert!(words.iter().all(|word: &String| said[0].contains(word)), "{said:?}");
    assert!(
        !run(&[&silent, &good], "3s").args(["-q"]).sweep_names(10).stderr.contains("name server")
    );
}

/// Places for answers over TCP are ours. A name server that answers is not blamed for those that are
/// held by others.
#[test]
fn answers_over_tcp_that_never_come_keep_no_place_from_others() {
    let server = NameServer::start();
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let port = refusing.addr.port();
    let of = |label: &str, count| -> Vec<_> {
        (0..count).map(|number| format!("{label}.n{number}.test:{port}")).collect()
    };
    let outcome = run(&[&server], "3s")
        .args(["-4", "-c", "1000"])
        .sweep([of("never-over-tcp", 300), of("many", 30)].concat());
    outcome.assert_complete();
    for record in &outcome.records {
        let is_answered = record["target"].as_str().unwrap().starts_with("many");
        let expected = if is_answered { "connect/refused" } else { "resolve/timeout" };
        assert_eq!(verdict(record), expected, "{record:#}");
    }
}

#[test]
fn names_with_thousands_of_addresses_take_no_memory() {
    let server = NameServer::start();
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let port = refusing.addr.port();
    let mut run = run(&[&server], "60s").args(["-4"]).start();
    // Stdin stays open, so that the process is there when its memory is read.
    let names: String = (0..400).map(|number| format!("huge.n{number}.test:{port}\n")).collect();
    assert_eq!(run.fill(&names), names.len());
    for _ in 0..400 {
        let record = run.next_record();
        assert_eq!(
            (verdict(&record).as_str(), &record["attempts"]),
            ("connect/refused", &8.into())
        );
    }
    let peak = run.peak_rss();
    // All the addresses of one name are 64 KiB; of all of them, 26 MiB.
    assert!(peak < 40 * 1024, "{peak} KiB");
}

#[test]
fn another_server_is_asked_when_one_fails() {
    for failing in ["servfail", "refused", "garbage"] {
        let (failing, good) = (NameServer::always(failing), NameServer::start());
        let outcome = run(&[&failing, &good], "30s").sweep_names(50);
        assert_verdicts(&outcome, "connect/refused");
        assert_eq!((distinct(&failing), distinct(&good)), (50, 50));
    }
}

#[test]
fn what_a_server_says_goes_before_the_silence_of_others() {
    for labels in [["servfail", "silent"], ["silent", "servfail"]] {
        let [one, other] = labels.map(NameServer::always);
        let outcome = run(&[&one, &other], "6s").sweep_names(1);
        assert_verdicts(&outcome, "resolve/server_failure");
    }
}

#[test]
fn no_other_server_is_asked_for_a_name_that_does_not_exist() {
    let (first, second) = (NameServer::always("nxdomain"), NameServer::start());
    let outcome = run(&[&first, &second], "30s").sweep_names(10);
    assert_verdicts(&outcome, "resolve/not_found");
    assert_eq!(second.asked(), [""; 0]);
}

#[test]
fn a_failing_server_is_asked_once_and_a_silent_one_again() {
    let failing = NameServer::always("servfail");
    let outcome = run(&[&failing], "30s").args(["-4"]).sweep_names(1);
    assert_verdicts(&outcome, "resolve/server_failure");
    assert_eq!(failing.asked().len(), 1);

    let silent = NameServer::always("silent");
    let outcome = run(&[&silent], "3s").args(["-4"]).sweep_names(1);
    assert_verdicts(&outcome, "resolve/timeout");
    assert!((2..=12).contains(&silent.asked().len()), "{}", silent.asked().len());
}

#[test]
fn a_name_that_comes_a_thousand_times_is_asked_for_once() {
    let server = NameServer::start();
    let peer = Spec::refusing().start();
    let again = || vec![format!("again.test:{}", peer.addr.port()); 500];
    // All of them come before there is an answer.
    let late = std::iter::repeat_n(format!("late.test:{}", peer.addr.port()), 500);
    let outcome = run(&[&server], "30s").sweep(again().into_iter().chain(late).chain(again()));
    assert_eq!(outcome.records.len(), 1500);
    assert_verdicts(&outcome, "connect/refused");
    let asked_for = |name: &str| server.asked().iter().filter(|asked| *asked == name).count();
    // For the addresses of either family, and once more each if the machine was slow.
    assert!((2..=4).contains(&asked_for("again.test")), "{}", asked_for("again.test"));
    assert!((2..=4).contains(&asked_for("late.test")), "{}", asked_for("late.test"));
}

#[test]
fn lookups_in_flight_have_a_cap_of_their_own() {
    let server = NameServer::start();
    let refusing = Spec::refusing().start();
    let port = refusing.addr.port();
    let late = (0..3 * LOOKUPS).map(|number| format!("late.n{number}.test:{port}"));
    let outcome = run(&[&server], "60s").args(["-4", "-c", "3000"]).sweep(late);
    assert_verdicts(&outcome, "connect/refused");
    let most = server.most_late();
    assert!((LOOKUPS / 2..=LOOKUPS).contains(&most), "{most} in flight");
}

#[test]
fn ten_thousand_names_and_a_dead_resolver() {
    const ADDRESSES: usize = 50;
    let server = NameServer::always("silent");
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let names = names(10_000, &refusing);
    let addresses = (1..=ADDRESSES).map(|last| format!("127.0.0.{last}:{}", refusing.addr.port()));
    let input: Vec<_> = names.chain(addresses).map(|target| target + "\n").collect();

    let mut run = run(&[&server], "20s").args(["-c", "10000"]).start();
    run.feed(input.concat().into_bytes());
    for _ in 0..ADDRESSES {
        // Before any name was given up.
        assert_eq!(verdict(&run.next_record()), "connect/refused");
    }
}

#[test]
fn memory_stays_flat_however_many_names() {
    let server = NameServer::start();
    let refusing = Spec::refusing().start();
    let port = refusing.addr.port();
    let run = run(&[&server], "60s").args(["-4"]);
    // With an arena for each thread, the allocator goes on filling them for some 40,000 names.
    let mut run = run.env("MALLOC_ARENA_MAX", "1").start();
    // Every answer is held back for a moment, so that as many lookups are in flight as there ever are.
    let name = move |number| format!("late.n{number}.test:{port}\n").into_bytes();
    let _endless = run.feed_for_ever(name);
    let mut peak_after = |lines| {
        for _ in 0..lines {
            assert_eq!(verdict(&run.next_record()), "connect/refused");
        }
        run.peak_rss()
    };
    // The cache and the lookups are full by then.
    let early = peak_after(12_000);
    let most = server.most_late();
    assert!((LOOKUPS / 2..=LOOKUPS).contains(&most), "{most} in flight");
    let late = peak_after(18_000);
    // On a busy machine the allocator takes up to 14 MiB more before it stays at the same size; 1.1 KiB kept
    // of each name would be too much.
    assert!(late < early + 20 * 1024, "from {early} to {late} KiB");
}

#[test]
fn one_family_only() {
    let (v6, v4) = on_one_port(&Spec::good().on_v6(), &Spec::good());
    for (flag, address, asked) in [("-4", "127.0.0.1", (1, 0)), ("--ipv6", "::1", (0, 1))] {
        let server = NameServer::start();
        let outcome =
            run(&[&server], "30s").args([flag]).sweep([format!("dual.test:{}", v4.addr.port())]);
        assert_verdicts(&outcome, "ok close_notify");
        let dialled = outcome.only_record()["addr"].as_str().unwrap();
        assert!(dialled.starts_with(address), "{dialled}");
        assert_eq!(server.asked_for_v4_and_v6(), asked);
    }
    assert_eq!((v4.accepted(), v6.accepted()), (1, 1));
}

#[test]
fn addresses_of_the_other_family_only() {
    let server = NameServer::start();
    for (flag, name, detail) in [
        ("--ipv4", "six-only.test", "the name has no IPv4 address"),
        ("-6", "four-only.test", "the name has no IPv6 address"),
    ] {
        let outcome = run(&[&server], "30s").args([flag]).sweep([name]);
        assert_verdicts(&outcome, "resolve/not_found");
        assert_eq!(outcome.only_record()["error"]["detail"], detail);
    }
}

#[test]
fn a_literal_address_of_the_other_family_is_excluded() {
    let (v6, v4) = on_one_port(&Spec::good().on_v6(), &Spec::good());
    let port = v4.addr.port();
    for (flag, wanted, excluded) in [
        ("-4", format!("127.0.0.1:{port}"), format!("[::1]:{port}")),
        ("-6", format!("[::1]:{port}"), format!("127.0.0.1:{port}")),
    ] {
        let outcome = Tlsweep::json().args([flag]).sweep([&wanted, &excluded]);
        let of = |target: &String| {
            let is_it = |record: &&Value| record["target"] == target.as_str();
            verdict(outcome.records.iter().find(is_it).unwrap())
        };
        assert_eq!(of(&wanted), "ok close_notify");
        assert_eq!(of(&excluded), "input/excluded");
    }
    assert_eq!((v4.accepted(), v6.accepted()), (1, 1));
}

#[test]
fn the_hosts_file_goes_by_the_family_too() {
    let server = NameServer::start();
    let (v6, _v4) = on_one_port(&Spec::good().on_v6(), &Spec::good());
    for (flag, address) in [("-4", "127.0.0.1"), ("-6", "::1")] {
        for name in ["localhost", "nowhere-else.localhost"] {
            let target = format!("{name}:{}", v6.addr.port());
            let outcome = run(&[&server], "30s").args([flag]).sweep([target]);
            assert_verdicts(&outcome, "ok close_notify");
            let dialled = outcome.only_record()["addr"].as_str().unwrap();
            assert!(dialled.starts_with(address), "{dialled}");
        }
    }
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn both_families_only_is_neither() {
    let outcome = Tlsweep::new().args(["-4", "-6"]).run("");
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
}

fn run(servers: &[&NameServer], resolve_timeout: &str) -> Tlsweep {
    servers
        .iter()
        .fold(Tlsweep::json(), |run, server| run.args(["--resolver", &server.address()]))
        .args(["--resolve-timeout", resolve_timeout, "--timeout", "100s"])
}

impl Tlsweep {
    /// Sweeps so many names, all of which lead to a port that refuses.
    fn sweep_names(self, count: usize) -> Outcome {
        let refusing = Spec::refusing().start();
        self.sweep(names(count, &refusing))
    }
}

/// So many names that lead to the peer.
fn names(count: usize, peer: &Peer) -> impl Iterator<Item = String> + use<> {
    let port = peer.addr.port();
    (0..count).map(move |number| format!("n{number}.test:{port}"))
}

/// How many names a server was asked for.
fn distinct(server: &NameServer) -> usize {
    server.asked().into_iter().collect::<HashSet<_>>().len()
}

fn assert_verdicts(outcome: &Outcome, expected: &str) {
    outcome.assert_complete();
    assert!(!outcome.records.is_empty());
    for record in &outcome.records {
        assert_eq!(verdict(record), expected, "{record:#}");
    }
}

/// Two peers on the same port of different addresses.
fn on_one_port(one: &Spec, other: &Spec) -> (Peer, Peer) {
    loop {
        let first = one.clone().start();
        // Somebody else may have the port there.
        if let Some(second) = other.clone().start_beside(&first) {
            return (first, second);
        }
    }
}
