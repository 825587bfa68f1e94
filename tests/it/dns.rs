//! 6.5: names, and what a name server can do.

use std::collections::HashSet;
use std::net::UdpSocket;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::{Peer, Spec};
use crate::support::programs::unshare_mounts;
use crate::support::script::Step;

const LIMIT_MS: f64 = 300.0;
/// How late a machine with other things to do may be.
const LATE_MS: f64 = 10_000.0;

#[test]
fn nxdomain() {
    assert_eq!(resolved_fast("nxdomain.test"), "resolve/not_found");
}

#[test]
fn empty_answer() {
    assert_eq!(resolved_fast("empty.test"), "resolve/not_found");
}

#[test]
fn servfail() {
    assert_eq!(resolved_fast("servfail.test"), "resolve/server_failure");
}

#[test]
fn refused() {
    assert_eq!(resolved_fast("refused.test"), "resolve/server_failure");
}

#[test]
fn garbage() {
    let outcome = sweep("garbage.test", &Spec::good().start(), ["--resolve-timeout", "2s"]);
    assert_eq!(verdict(outcome.only_record()), "resolve/server_failure");
}

#[test]
fn wrong_id() {
    assert_times_out("wrong-id.test");
}

#[test]
fn wrong_question() {
    assert_times_out("wrong-question.test");
}

#[test]
fn wrong_port() {
    assert_times_out("wrong-port.test");
}

#[test]
fn a_hundred_forged_answers_are_ignored_in_silence() {
    let server = NameServer::start();
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let names = (0..10).map(|number| format!("forged.n{number}.test:{}", refusing.addr.port()));
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--resolve-timeout", "30s"])
        .sweep(names);
    outcome.assert_complete();
    for record in &outcome.records {
        assert_eq!(
            (verdict(record).as_str(), &record["addr"]),
            ("connect/refused", &"127.0.0.1".into()),
            "{record:#}"
        );
    }
    assert_eq!(outcome.stderr.lines().count(), 1, "more than the summary: {}", outcome.stderr);
}

#[test]
fn what_name_servers_do_wrong_adds_nothing_to_stderr() {
    let labels = [
        "servfail",
        "refused",
        "garbage",
        "wrong-question",
        "lower-case",
        "no-edns",
        "many",
        "huge",
        "loop",
        "links-40",
        "chain",
    ];
    let server = NameServer::start();
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let names = labels.iter().flat_map(|label| (0..5).map(move |number| (label, number)));
    // An answer in between: the server is not dead.
    let names = names.flat_map(|(label, number)| {
        [format!("{label}.n{number}.test"), format!("good.{label}.n{number}.test")]
    });
    let names = names.map(|name| format!("{name}:{}", refusing.addr.port()));
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--resolve-timeout", "6s", "-c", "4"])
        .sweep(names);
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), 2 * 5 * labels.len());
    assert_eq!(outcome.stderr.lines().count(), 1, "more than the summary: {}", outcome.stderr);
}

#[test]
fn a_server_that_changes_the_case_is_asked_over_tcp() {
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let outcome = sweep("lower-case.test", &refusing, ["--resolve-timeout", "30s"]);
    let record = outcome.only_record();
    // What came over UDP leads to 127.0.0.66.
    assert_eq!(record["addr"], "127.0.0.1", "{record:#}");
    assert!(total_ms(record) < LATE_MS, "{record:#}");
}

#[test]
fn servers_without_edns() {
    assert_eq!(resolved_fast("no-edns.test"), "ok close_notify");
    assert_eq!(resolved_fast("no-edns-at-all.test"), "ok close_notify");
    assert_eq!(resolved_fast("badvers.test"), "ok close_notify");
}

/// Some firewalls drop what they do not know.
#[test]
fn a_server_whose_questions_with_edns_get_lost() {
    let server = NameServer::always("drops-edns");
    let good = Spec::good().start();
    let names = (0..50).map(|number| format!("n{number}.test:{}", good.addr.port()));
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--resolve-timeout", "3s", "-c", "1"])
        .sweep(names);
    assert_eq!(outcome.records.len(), 50);
    for record in &outcome.records {
        assert_eq!(verdict(record), "ok close_notify", "{record:#}");
    }
    // The first name alone waits for a try that brings nothing.
    assert!(outcome.elapsed.as_secs() < 25, "{:?}", outcome.elapsed);
}

/// Its answer to the first question comes after the second question, which gets none.
#[test]
fn a_server_that_is_slower_than_a_try_is_heard() {
    let record = sweep("when-asked-again.test", &Spec::good().start(), ["--resolve-timeout", "6s"]);
    assert_eq!(verdict(record.only_record()), "ok close_notify");
}

#[test]
fn a_lost_packet_beside_a_dead_server_loses_no_name() {
    let (silent, lossy) = (NameServer::always("silent"), NameServer::always("loses-first"));
    let good = Spec::good().start();
    for [first, second] in [[&silent, &lossy], [&lossy, &silent]] {
        let names = (0..20).map(|number| {
            format!("n{number}.{}:{}", first.address().replace([':', '.'], "-"), good.addr.port())
        });
        let outcome = Tlsweep::json()
            .args(["--resolver", &first.address(), "--resolver", &second.address()])
            .args(["--resolve-timeout", "8s"])
            .sweep(names);
        assert_eq!(outcome.records.len(), 20);
        for record in &outcome.records {
            assert_eq!(verdict(record), "ok close_notify", "{record:#}");
        }
    }
}

#[test]
fn a_server_that_changes_the_case_and_is_silent_over_tcp_has_failed() {
    let outcome =
        sweep("lower-case-alone.test", &Spec::good().start(), ["--resolve-timeout", "3s"]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "resolve/server_failure", "{record:#}");
    assert!(detail(record).contains("in other letters"), "{record:#}");
}

#[test]
fn silent() {
    assert_times_out("silent.test");
}

#[test]
fn slow() {
    assert_times_out("slow.test");
}

#[test]
fn nobody_listens() {
    // The port is taken on another address, so that nobody else gets it on this one.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = format!("127.9.9.9:{}", socket.local_addr().unwrap().port());
    let outcome = Tlsweep::json()
        .args(["--resolver", &nobody, "--resolve-timeout", "30s"])
        .sweep(["good.test:443"]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "resolve/timeout");
    assert!(detail(record).contains(&nobody), "{record:#}");
    // At once, and not after the limit.
    assert!(total_ms(record) < LATE_MS, "{record:#}");
}

#[test]
fn chain_of_seven() {
    assert_eq!(resolved_fast("chain.test"), "ok close_notify");
}

#[test]
fn chain_of_one_link_an_answer() {
    assert_eq!(resolved_fast("links-8.test"), "ok close_notify");
    assert_eq!(resolved_fast("links-16.test"), "ok close_notify");
    // The name may well have an address.
    assert_eq!(resolved_fast("links-17.test"), "resolve/server_failure");
    assert_eq!(resolved_fast("links-400.test"), "resolve/server_failure");
}

#[test]
fn chain_without_end() {
    assert_eq!(resolved_fast("loop.test"), "resolve/server_failure");
}

#[test]
fn truncated_then_tcp() {
    assert_eq!(resolved_fast("truncated.test"), "ok close_notify");
}

#[test]
fn fifteen_hundred_addresses() {
    let peer = Spec::good().on_all_of_loopback().start();
    let outcome = sweep("many.test", &peer, ["--resolve-timeout", "30s"]);
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

#[test]
fn of_fifteen_hundred_addresses_few_are_dialled() {
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let outcome = sweep("many.test", &refusing, ["--connect-timeout", "30s"]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "connect/refused", "{record:#}");
    assert_eq!(record["attempts"], 8, "{record:#}");

    let server = NameServer::start();
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--all-addresses"])
        .sweep([format!("many.test:{}", refusing.addr.port())]);
    assert_eq!(outcome.records.len(), 64);
    let addresses: HashSet<_> = outcome.records.iter().map(|it| it["addr"].to_string()).collect();
    assert_eq!(addresses.len(), 64);
}

#[test]
fn addresses_that_are_excluded_take_no_place_of_others() {
    let refusing = Spec::refusing().on_all_of_loopback().start();
    let server = NameServer::start();
    let dir = TempDir::new().unwrap();
    let list = dir.path().join("list");
    // The first 1,250 of the 1,500.
    std::fs::write(&list, "127.3.0.0/22\n127.3.4.0/24\n").unwrap();
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--exclude", list.to_str().unwrap()])
        .sweep([format!("many.test:{}", refusing.addr.port())]);
    let record = outcome.only_record();
    assert_eq!((verdict(record).as_str(), &record["attempts"]), ("connect/refused", &8.into()));
    assert!(record["addr"].as_str().unwrap().starts_with("127.3.5."), "{record:#}");
}

#[test]
fn an_address_in_two_forms_is_dialled_once() {
    let refusing = Spec::refusing().start();
    let outcome = sweep("twice.test", &refusing, ["--connect-timeout", "30s"]);
    assert_eq!(outcome.only_record()["attempts"], 1, "{:#?}", outcome.records);
}

#[test]
fn first_address_refuses() {
    let (v6, _v4) = on_one_port(&Spec::good().on_v6(), &Spec::refusing());
    let outcome = sweep("dual.test", &v6, ["--connect-timeout", "30s"]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "ok close_notify");
    assert!(record["addr"].as_str().unwrap().contains("::1"), "{record:#}");
    assert!(total_ms(record) < LATE_MS);
}

#[test]
fn first_address_is_a_blackhole() {
    let (v6, _v4) = on_one_port(&Spec::good().on_v6(), &Spec::blackhole());
    let outcome = sweep("dual.test", &v6, ["--connect-timeout", "300ms"]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "ok close_notify");
    assert!((LIMIT_MS..LATE_MS).contains(&total_ms(record)), "{record:#}");
}

#[test]
fn ipv6_addresses_are_not_waited_for() {
    assert_eq!(resolved_fast("six-silent.test"), "ok close_notify");
}

#[test]
fn nothing_but_ipv6_addresses() {
    let outcome =
        sweep("six-only.test", &Spec::good().on_v6().start(), ["--resolve-timeout", "30s"]);
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

#[test]
fn no_ipv4_address_and_no_answer_for_ipv6() {
    assert_eq!(resolved_fast("six-fails.test"), "resolve/server_failure");
}

#[test]
fn a_thousand_names_and_a_dead_resolver() {
    let server = NameServer::start();
    let good = Spec::good().on_all_of_loopback().start();
    let names = (0..1000).map(|number| format!("silent.n{number}.test:443"));
    let addresses = (1..=50).map(|last| format!("127.0.0.{last}:{}", good.addr.port()));
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--resolve-timeout", "4s", "-c", "1100"])
        .sweep(names.chain(addresses));
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), 1050);
    let mut last_address = 0;
    let mut first_name = usize::MAX;
    for (place, record) in outcome.records.iter().enumerate() {
        if record["target"].as_str().unwrap().starts_with("silent") {
            assert_eq!(verdict(record), "resolve/timeout", "{record:#}");
            first_name = first_name.min(place);
        } else {
            assert_eq!(verdict(record), "ok close_notify", "{record:#}");
            last_address = last_address.max(place);
        }
    }
    assert!(
        last_address < first_name + 50,
        "addresses waited for names: {last_address}, {first_name}"
    );
    // Two rounds at most, if lookups in flight have a cap of their own.
    assert!(outcome.elapsed.as_secs_f64() < 16.0, "{:?}", outcome.elapsed);
}

#[test]
fn more_names_than_may_stand_aside() {
    let server = NameServer::start();
    let refusing = Spec::refusing().start();
    let port = refusing.addr.port();
    let names = (0..3000).map(|number| format!("n{number}.test:{port}"));
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--resolve-timeout", "30s", "-c", "10"])
        .sweep(names);
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), 3000);
}

#[test]
fn the_hosts_file_needs_no_name_server() {
    let peer = Spec::good().start();
    let outcome = sweep("localhost", &peer, ["--resolve-timeout", "300ms"]);
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

#[test]
fn the_hosts_file_goes_before_the_name_server() {
    let Some(unshare) = unshare_mounts() else {
        return;
    };
    let server = NameServer::start();
    let peer = Spec::good().on_all_of_loopback().start();
    let dir = TempDir::new().unwrap();
    let hosts = dir.path().join("hosts");
    // The name server knows of 127.0.0.1.
    std::fs::write(&hosts, "127.0.0.2 elsewhere.test\n").unwrap();
    let script = "mount --bind \"$0\" /etc/hosts; exec \"$@\"";
    let under = ["-m", "sh", "-ec", script, hosts.to_str().unwrap()];
    let outcome = Tlsweep::json_under(unshare.path(), under)
        .args(["--resolver", &server.address()])
        .sweep([format!("elsewhere.test:{}", peer.addr.port())]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "ok close_notify", "{record:#}");
    assert!(record["addr"].as_str().unwrap().contains("127.0.0.2"), "{record:#}");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn a_name_that_waits_for_a_lookup_loses_no_time() {
    let server = NameServer::start();
    let good = Spec::good().start();
    // There are as many lookups as dials: the last of these waits longer than its whole time.
    let names = (0..10).map(|number| format!("silent.n{number}.test"));
    let last = format!("good.test:{}", good.addr.port());
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "-c", "2"])
        .args(["--resolve-timeout", "1s", "--timeout", "3s"])
        .sweep(names.chain([last]));
    outcome.assert_complete();
    for record in &outcome.records {
        if record["target"].as_str().unwrap().starts_with("silent") {
            assert_eq!(verdict(record), "resolve/timeout", "{record:#}");
            assert!(detail(record).ends_with("within 1s"), "{record:#}");
        } else {
            assert_eq!(verdict(record), "ok close_notify", "{record:#}");
        }
    }
}

#[test]
fn a_name_that_waits_for_a_dial_loses_no_time() {
    let server = NameServer::start();
    let silent = Spec::script([Step::Hold]).start();
    // All are looked up at once and dialled by two: the last waits longer than its whole time.
    let names = (0..10).map(|number| format!("n{number}.test:{}", silent.addr.port()));
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "-c", "2"])
        .args(["--handshake-timeout", "1s", "--timeout", "3s"])
        .sweep(names);
    outcome.assert_complete();
    let mut dialled_ms = 0.0;
    for record in &outcome.records {
        assert_eq!(verdict(record), "handshake/timeout", "{record:#}");
        assert!(detail(record).ends_with("within 1s"), "{record:#}");
        dialled_ms += total_ms(record) - record["ms"]["resolve"].as_f64().unwrap();
    }
    let elapsed_ms = outcome.elapsed.as_secs_f64() * 1000.0;
    assert!(dialled_ms < 2.0 * elapsed_ms, "{dialled_ms} of dials, {elapsed_ms} of two at once");
}

#[test]
fn names_are_asked_for_as_they_are_on_the_wire() {
    let server = NameServer::start();
    let port = Spec::good().start();
    let lines = ["bücher.test", "UPPER.test", "under_score.test", "dotted.test."];
    let outcome = Tlsweep::json()
        .args(["--resolver", &server.address(), "--port", &port.addr.port().to_string()])
        .sweep(lines);
    outcome.assert_complete();
    for record in &outcome.records {
        assert_eq!(verdict(record), "ok close_notify", "{record:#}");
    }
    let mut asked = server.asked();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, ["dotted.test", "under_score.test", "upper.test", "xn--bcher-kva.test"]);
}

fn resolved_fast(name: &str) -> String {
    let outcome = sweep(name, &Spec::good().start(), ["--resolve-timeout", "30s"]);
    let record = outcome.only_record();
    assert!(total_ms(record) < LATE_MS, "late: {record:#}");
    verdict(record)
}

fn assert_times_out(name: &str) {
    let outcome = sweep(name, &Spec::good().start(), ["--resolve-timeout", "300ms"]);
    let record = outcome.only_record();
    assert_eq!(verdict(record), "resolve/timeout");
    assert!((LIMIT_MS..LATE_MS).contains(&total_ms(record)), "{record:#}");
}

/// Sweeps one name, which leads to the peer if it leads anywhere.
fn sweep(name: &str, peer: &Peer, limits: [&str; 2]) -> Outcome {
    let server = NameServer::start();
    Tlsweep::json()
        .args(["--resolver", &server.address()])
        .args(limits)
        .sweep([format!("{name}:{}", peer.addr.port())])
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

fn total_ms(record: &Value) -> f64 {
    record["ms"]["total"].as_f64().unwrap()
}

fn detail(record: &Value) -> &str {
    record["error"]["detail"].as_str().unwrap()
}
