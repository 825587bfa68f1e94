//! Runs the hostile peers of the zoo for ten minutes in random order. This finds leaks and lost
//! lines that only a long run or an unusual order shows.

use std::env;
use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use super::{Case, after, not_tls, rules, tcp};
use crate::support::cmd::{Running, Tlsweep, sorted};
use crate::support::peer::Spec;
use crate::support::random::Random;

/// The length of the run in seconds, unless `TLSWEEP_SOAK_SECONDS` is set.
const SECONDS: u64 = 600;
/// Targets per batch. The process is measured after each batch.
const BATCH: usize = 1000;
/// The growth in KiB after the first third of the run that does not count as a leak. The allocator
/// may keep freed pages of a large batch.
const SLACK: u64 = 8 * 1024;

#[test]
#[ignore = "takes ten minutes: cargo test -- --ignored soak"]
fn soak() {
    let seconds = env::var("TLSWEEP_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let mut random = Random::new();
    let seed = random.seed();

    let cases: Vec<Case> =
        [tcp::all(), not_tls::all(), rules::all(), after::all()].into_iter().flatten().collect();
    let mut peers: Vec<_> = cases.iter().map(|case| case.peer.start()).collect();
    let good = Spec::good().start();
    peers.push((None, good.target()));

    let mut run = Tlsweep::json()
        .args(["-c", "256", "--connect-timeout", "300ms", "--handshake-timeout", "1s"])
        .args(["--read-timeout", "300ms", "--timeout", "3s"])
        .start();
    let (mut early, mut late) = (Size::default(), Size::default());
    let (begun, mut swept) = (Instant::now(), 0);
    while begun.elapsed() < length {
        let batch: Vec<String> =
            (0..BATCH).map(|_| peers[random.below(peers.len())].1.clone()).collect();
        run.write(&batch.iter().flat_map(|line| [line, "\n"]).collect::<String>());
        let records: Vec<_> = batch.iter().map(|_| run.next_record()).collect();
        let echoed = records.iter().map(|record| record["target"].as_str().unwrap().to_owned());
        assert_eq!(sorted(echoed), sorted(batch), "seed {seed}: lost or doubled lines");
        for record in &records {
            assert_ne!(record["error"]["kind"], "internal", "seed {seed}: {record:#}");
        }
        swept += BATCH;
        let peak = if begun.elapsed() < length / 3 { &mut early } else { &mut late };
        peak.take_in(Size::of(&run));
    }
    eprintln!("{swept} targets; {early:?} in the first third, {late:?} after it");
    assert!(late.rss < early.rss + SLACK, "seed {seed}: {early:?}, then {late:?}");
    assert!(late.descriptors <= early.descriptors + 8, "seed {seed}: {early:?}, then {late:?}");
    run.finish();
}

/// What the process holds while no target is in flight: the maximum of several measurements.
#[derive(Debug, Default)]
struct Size {
    /// In KiB.
    rss: u64,
    descriptors: usize,
}

impl Size {
    fn of(run: &Running) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            rss: rss.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: fs::read_dir(format!("/proc/{}/fd", run.pid())).unwrap().count(),
        }
    }

    fn take_in(&mut self, other: Self) {
        self.rss = self.rss.max(other.rss);
        self.descriptors = self.descriptors.max(other.descriptors);
    }
}
