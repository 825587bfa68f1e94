//! What the dialled networks are spared, and what a target is given besides its one dial.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::dns::NameServer;
use crate::support::peer::{Spec, server_config};
use crate::support::pki::GOOD;
use crate::support::script;

/// One dial a target.
const PLAIN: [&str; 3] = ["--groups", "X25519", "--no-legacy"];
/// Of everything that no test is to run into.
const FAR: &str = "60s";

/// A peer that counts who is connected at the same time, at each place. Everybody stays until the
/// house is full for the first time.
struct House {
    open: Mutex<HashMap<IpAddr, usize>>,
    most: Mutex<HashMap<IpAddr, usize>>,
    full: watch::Sender<bool>,
    size: usize,
    place: fn(IpAddr) -> IpAddr,
}

impl House {
    fn new(size: usize, place: fn(IpAddr) -> IpAddr) -> Arc<Self> {
        let (full, _) = watch::channel(false);
        Arc::new(Self { open: Mutex::default(), most: Mutex::default(), full, size, place })
    }

    fn peer(self: &Arc<Self>) -> Spec {
        let house = Arc::clone(self);
        let spec = Spec::made_up(move |mut stream| {
            let house = Arc::clone(&house);
            async move {
                let place = (house.place)(stream.local_addr().unwrap().ip());
                house.enter(place);
                // A client that leaves before the house is full has met its deadline.
                let mut full = house.full.subscribe();
                _ = stream.read(&mut [0; 1024]).await;
                _ = full.wait_for(|full| *full).await;
                *house.open.lock().unwrap().get_mut(&place).unwrap() -= 1;
            }
        });
        spec.on_all_of_loopback()
    }

    fn enter(&self, place: IpAddr) {
        let mut open = self.open.lock().unwrap();
        let here = open.entry(place).or_default();
        *here += 1;
        let mut most = self.most.lock().unwrap();
        let most = most.entry(place).or_default();
        *most = (*most).max(*here);
        if open.values().sum::<usize>() == self.size {
            self.full.send_replace(true);
        }
    }

    /// Sweeps `addresses`, ten targets each, and gives the most that were at one place at once.
    fn most_at_once(self: &Arc<Self>, flag: &str, limit: usize, addresses: &[&str]) -> Vec<usize> {
        let peer = self.peer().start();
        let targets = addresses.iter().map(|ip| format!("{ip}:{}", peer.addr.port()));
        let targets: Vec<_> = std::iter::repeat_n(targets, 10).flatten().collect();
        let outcome = Tlsweep::json()
            .args(PLAIN)
            .args(["-c", "100", "--handshake-timeout", FAR, "--timeout", FAR])
            .args([flag, &limit.to_string()])
            .sweep(&targets);
        assert_eq!(outcome.assert_complete().records.len(), targets.len());
        for record in &outcome.records {
            assert_eq!(verdict(record), "handshake/eof", "{record:#}");
        }
        self.most.lock().unwrap().values().copied().collect()
    }
}

#[test]
fn so_many_at_one_address_and_no_more() {
    let house = House::new(8, |address| address);
    let addresses = ["127.1.0.1", "127.1.0.2", "127.1.0.3", "127.1.0.4"];
    assert_eq!(house.most_at_once("--per-address", 2, &addresses), [2; 4]);
}

#[test]
fn so_many_in_one_prefix_and_no_more() {
    let house = House::new(6, |address| match address {
        IpAddr::V4(v4) => IpAddr::from([v4.octets()[0], v4.octets()[1], v4.octets()[2], 0]),
        v6 => v6,
    });
    let addresses = ["127.1.1.1", "127.1.1.200", "127.1.2.3", "127.1.2.4"];
    assert_eq!(house.most_at_once("--per-prefix", 3, &addresses), [3; 2]);
}

#[test]
fn a_crowd_at_one_address_keeps_nobody_else_waiting() {
    let silent = Spec::deaf().start();
    let peer = Spec::good().on_all_of_loopback().start();
    let good = format!("127.5.5.5:{}", peer.addr.port());
    let mut run = Tlsweep::json()
        .args(["-c", "2", "--per-address", "1", "--handshake-timeout", FAR, "--timeout", FAR])
        .start();
    let crowd = format!("{}\n", silent.target()).repeat(100);
    run.write(&format!("{crowd}{good}\n"));
    assert_eq!(run.next_record()["target"], good);
}

#[test]
fn the_clock_of_who_waits_for_a_slot_stands_still() {
    let silent = Spec::deaf().start();
    let targets = vec![silent.target(); 6];
    let outcome = Tlsweep::json()
        .args(PLAIN)
        .args(["--per-address", "1", "--handshake-timeout", "300ms", "--timeout", "1s"])
        .sweep(&targets);
    assert_eq!(outcome.assert_complete().records.len(), 6);
    for record in &outcome.records {
        assert_eq!(verdict(record), "handshake/timeout");
        assert!(record["error"]["detail"].as_str().unwrap().contains("300ms"), "{record:#}");
    }
    assert!(outcome.elapsed.as_millis() >= 1800, "one after the other");
}

#[test]
fn no_faster_than_the_rate_and_the_clock_stands_still() {
    let refusing = Spec::refusing().start();
    let targets = vec![refusing.target(); 41];
    let outcome = Tlsweep::json().args(["--rate", "20", "--timeout", "1s"]).sweep(&targets);
    assert_eq!(outcome.assert_complete().records.len(), 41);
    for record in &outcome.records {
        assert_eq!(verdict(record), "connect/refused", "{record:#}");
    }
    assert!(outcome.elapsed.as_millis() >= 1980, "40 intervals of 50 ms: {:?}", outcome.elapsed);
}

#[test]
fn an_enumeration_keeps_to_the_limits() {
    let good = Spec::good().start();
    let enumerated = |args: &[&str]| {
        let outcome = Tlsweep::json().args(["--enumerate"]).args(args).sweep([good.target()]);
        outcome.only_record()["enumeration"].clone()
    };
    let expected = enumerated(&[]);
    assert!(expected["versions"].is_array(), "{expected:#}");
    assert_eq!(enumerated(&["--per-address", "1"]), expected);
    // At some eighty dials, more than this limit in all.
    assert_eq!(enumerated(&["--rate", "20", "--timeout", "3s"]), expected);
}

/// Drops the first `rude` connections, and is a good server to the rest.
fn at_first_rude(rude: usize) -> Spec {
    let config = Arc::new(server_config(&GOOD, rustls::DEFAULT_VERSIONS));
    let met = Arc::new(AtomicUsize::new(0));
    Spec::made_up(move |stream| {
        let config = Arc::clone(&config);
        let is_rude = met.fetch_add(1, Ordering::Relaxed) < rude;
        async move {
            if !is_rude {
                // The client may leave at any moment.
                _ = script::serve(config, stream).await;
            }
        }
    })
}

fn swept(spec: Spec, retries: &str) -> Value {
    let peer = spec.start();
    let outcome = Tlsweep::json().args(PLAIN).args(["--retries", retries]).sweep([peer.target()]);
    let record = outcome.only_record().clone();
    let dials = usize::try_from(record["attempts"].as_u64().unwrap()).unwrap();
    assert!(peer.accepted() <= dials, "{record:#}");
    record
}

#[test]
fn a_retry_may_succeed() {
    let record = swept(at_first_rude(2), "2");
    assert_eq!(verdict(&record), "ok close_notify");
    assert_eq!(record["attempts"], 3);
    assert!(record["ms"]["total"].as_f64().unwrap() >= 375.0, "pauses of 125 and 250 ms at least");
}

#[test]
fn retries_end() {
    let record = swept(at_first_rude(9), "1");
    let verdict = verdict(&record);
    assert!(["handshake/eof", "handshake/reset"].contains(&verdict.as_str()), "{verdict}");
    assert_eq!(record["attempts"], 2);
}

#[test]
fn a_refusal_is_an_answer() {
    let record = swept(Spec::refusing(), "5");
    assert_eq!(
        (verdict(&record).as_str(), record["attempts"].as_u64()),
        ("connect/refused", Some(1))
    );
}

#[test]
fn a_name_server_is_asked_again() {
    let name_server = NameServer::start();
    let outcome = Tlsweep::json()
        .args(["--resolver", &name_server.address(), "--retries", "1"])
        .sweep(["servfail.test:443"]);
    assert_eq!(verdict(outcome.only_record()), "resolve/server_failure");
    let pause = outcome.only_record()["ms"]["total"].as_f64().unwrap();
    assert!(pause >= 125.0, "{pause}");
}

#[test]
fn every_address_has_its_line() {
    let (name_server, peer) = (NameServer::start(), Spec::good().on_all_of_loopback().start());
    let port = peer.addr.port();
    let outcome = Tlsweep::json()
        .args(["--resolver", &name_server.address(), "--all-addresses", "-c", "3"])
        .args(["--resolve-timeout", FAR, "--timeout", FAR])
        .sweep([format!("many.test:{port}"), format!("nxdomain.test:{port}")]);
    outcome.assert_complete();
    let (many, others): (Vec<_>, Vec<_>) =
        outcome.records.iter().partition(|record| record["host"] == "many.test");
    assert_eq!((many.len(), others.len()), (64, 1));
    assert_eq!(verdict(others[0]), "resolve/not_found");
    let addresses: HashSet<_> = many.iter().map(|record| record["addr"].to_string()).collect();
    assert_eq!(addresses.len(), 64);
    for record in many {
        assert_eq!((verdict(record).as_str(), &record["number"]), ("ok close_notify", &1.into()));
        assert_eq!(record["attempts"], 1);
    }
    let hosts: Vec<_> = outcome.records.iter().map(|record| &record["host"]).collect();
    let together = hosts.chunk_by(|a, b| a == b).count();
    assert_eq!(together, 2, "the lines of one target stand together");
}
