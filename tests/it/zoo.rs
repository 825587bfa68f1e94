//! The peer zoo: one row for every way in which the other side can misbehave.
//!
//! Each row is a test of its own, with the limit in question at 300 ms and all others far away;
//! and all rows together are swept once more, with good targets between them.

mod after;
mod costly;
mod liars;
mod not_tls;
mod rules;
mod soak;
mod tcp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::{runtime, task};

use crate::support::cmd::{Tlsweep, sorted, verdict};
use crate::support::peer::{Peer, Spec};
use crate::support::script::{self, Step};

/// The limit under test, where there is one.
const LIMIT: &str = "300ms";
const LIMIT_MS: f64 = 300.0;
/// All other limits: a hundred times as much.
const FAR: &str = "30s";
/// How late a machine with other things to do may be.
const LATE_MS: f64 = 10_000.0;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) peer: Place,
    /// The verdict. A peer of which the kernel could make one thing or another waits until it cannot.
    pub(crate) expect: &'static str,
    pub(crate) bound: Bound,
    /// What else the record must say.
    pub(crate) also: Option<fn(&Value)>,
}

/// Where the target of a case is.
pub(crate) enum Place {
    Peer(Spec),
    At(&'static str),
}

impl From<Spec> for Place {
    fn from(spec: Spec) -> Self {
        Self::Peer(spec)
    }
}

/// When the line has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Long before any limit.
    Fast,
    /// When the connect limit strikes, not before.
    Connect,
    /// When the handshake limit strikes, not before.
    Handshake,
    /// When the read limit strikes, not before.
    Read,
}

/// Rows of `name: peer => expectation, bound;`, and after the bound, optionally, what else must hold.
macro_rules! cases {
    ($($name:ident: $peer:expr => $expect:literal, $bound:ident $(, $also:expr)?;)*) => {
        pub(super) fn all() -> Vec<$crate::zoo::Case> {
            vec![$($crate::zoo::Case {
                name: stringify!($name),
                peer: $peer.into(),
                expect: $expect,
                bound: $crate::zoo::Bound::$bound,
                also: None$(.or(Some($also)))?,
            }),*]
        }

        $(
            #[test]
            fn $name() {
                let case = all().into_iter().find(|case| case.name == stringify!($name));
                case.expect("a row of this name").check_alone();
            }
        )*
    };
}
use cases;

impl Case {
    fn check_alone(self) {
        let (_peer, target) = self.peer.start();
        let outcome = Tlsweep::json().args(self.bound.limits()).sweep([&target]);
        let record = outcome.only_record();
        self.check_words(record);
        let total = record["ms"]["total"].as_f64().unwrap();
        if self.bound.is_exact() {
            assert!(total >= LIMIT_MS, "{}: early, after {total} ms", self.name);
        }
        assert!(total < LATE_MS, "{}: late, after {total} ms: {record}", self.name);
        assert!(outcome.elapsed.as_secs_f64() * 1000.0 < LATE_MS + 5_000.0, "a late exit");
    }

    fn check_words(&self, record: &Value) {
        let name = self.name;
        assert_eq!(verdict(record), self.expect, "{name}: {record:#}");
        if record["ok"] == true {
            assert!(record.get("error").is_none(), "{name}: ok, with an error: {record:#}");
            assert!(record["tls"]["version"].is_string(), "{name}: {record:#}");
            assert!(record["chain"]["length"].as_u64().unwrap() >= 1, "{name}: {record:#}");
        } else {
            assert!(record.get("read").is_none(), "{name}: nothing was read: {record:#}");
        }
        if record["error"]["kind"] == "not_tls" {
            let evidence = record["error"]["evidence"].as_str().unwrap();
            assert!(!evidence.is_empty(), "{name}: {record:#}");
            assert!(evidence.is_ascii() && !evidence.contains(char::is_control), "{evidence:?}");
        }
        if let Some(also) = self.also {
            also(record);
        }
    }
}

impl Place {
    /// The peer has to live as long as it is swept.
    fn start(&self) -> (Option<Peer>, String) {
        match self {
            Self::Peer(spec) => {
                let peer = spec.clone().start();
                let target = peer.target();
                (Some(peer), target)
            }
            Self::At(target) => (None, (*target).to_owned()),
        }
    }
}

impl Bound {
    fn limits(self) -> [&'static str; 8] {
        let limit = |strikes| if strikes { LIMIT } else { FAR };
        [
            "--connect-timeout",
            limit(self == Self::Connect),
            "--handshake-timeout",
            limit(self == Self::Handshake),
            "--read-timeout",
            limit(self == Self::Read),
            "--timeout",
            FAR,
        ]
    }

    fn is_exact(self) -> bool {
        matches!(self, Self::Connect | Self::Handshake | Self::Read)
    }
}

#[test]
fn all_together_at_concurrency_8() {
    sweep_all_together("8", "10s", "5s");
}

#[test]
fn all_together_at_concurrency_256() {
    // All floods come at once, and cost the peers seconds of processor time.
    sweep_all_together("256", "30s", "15s");
}

/// All peers of a test share a few threads. A flood that kept its thread until a connection is full
/// made honest peers answer after the read limit of the sweep.
#[test]
fn a_flood_leaves_the_other_peers_their_turns() {
    // A few less than a peer gathers before it writes.
    const RECORDS: usize = 9000;
    let wave = script::warning(script::CLOSE_NOTIFY);
    let mut received = vec![0; RECORDS * 7];
    let turns = Arc::new(AtomicUsize::new(0));
    // One worker thread, as if all others were taken.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let counted = Arc::clone(&turns);
        tokio::spawn(async move {
            tokio::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    task::yield_now().await;
                }
            });
            script::play(&[Step::Forever(vec![wave])], stream).await
        });
        client.read_exact(&mut received).await.unwrap();
    });
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns > RECORDS / 2, "{turns} turns beside {RECORDS} records");
}

/// Good targets stand before, between and after the hostile ones, and every target twice.
fn sweep_all_together(concurrency: &str, handshake: &str, read: &str) {
    let cases: Vec<Case> = [tcp::all(), not_tls::all(), rules::all(), after::all(), costly::all()]
        .into_iter()
        .flatten()
        .collect();
    let good = Spec::good().on_all_of_loopback().start();
    let good_target =
        |number: usize| format!("127.1.{}.{}:{}", number / 250, number % 250 + 1, good.addr.port());
    let peers: Vec<_> = cases.iter().map(|case| case.peer.start()).collect();
    let once: Vec<String> = peers
        .iter()
        .enumerate()
        .flat_map(|(number, (_, hostile))| [good_target(number), hostile.clone()])
        .chain([good_target(peers.len())])
        .collect();
    let input = [once.clone(), once].concat();

    let mut run = Tlsweep::json()
        .args(["-c", concurrency, "--connect-timeout", "2s"])
        .args(["--handshake-timeout", handshake, "--read-timeout", read, "--timeout", "60s"])
        .start();
    run.write(&input.iter().flat_map(|line| [line, "\n"]).collect::<String>());
    for _ in &input {
        run.next_record();
    }
    let peak = run.peak_rss();
    let outcome = run.finish();
    outcome.assert_complete();

    assert_eq!(outcome.targets(), sorted(input), "lost or doubled lines");
    let mut records: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &outcome.records {
        records.entry(record["target"].as_str().unwrap()).or_default().push(record);
        assert_ne!(record["error"]["stage"], "local", "our own fault: {record:#}");
    }
    for (case, (_, target)) in cases.iter().zip(&peers) {
        records[target.as_str()].iter().for_each(|record| case.check_words(record));
    }
    for number in 0..=peers.len() {
        for record in &records[good_target(number).as_str()] {
            assert_eq!(verdict(record), "ok close_notify", "a good target was harmed: {record:#}");
        }
    }
    assert!(peak < 100 * 1024, "the peak of the resident set was {peak} KiB");
}
