//! Kill -9 at any moment: what is in the file is whole, and the next run completes it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::{Lines, RESUMABLE, Sweep, json, wait_until};
use crate::support::cmd::BINARY;
use crate::support::dns::NameServer;
use crate::support::peer::Spec;
use crate::support::random::Random;

const MOMENTS: usize = 50;

/// What a run takes that nobody kills.
struct Whole {
    sweep: Sweep,
    elapsed: Duration,
    size: u64,
}

impl Whole {
    fn of(output: &str) -> Self {
        let sweep = Sweep::of(400, output);
        if output.ends_with(".zst") {
            // So that a frame, which is 1 MiB, has some 170 records.
            let tag = format!(",,{}\n", "tag ".repeat(1500));
            sweep.write_list(&sweep.input.join(&tag));
        } else {
            sweep.write_list(&sweep.input.concat_lines());
        }
        let elapsed = sweep.run().args(FEW).run("").assert_complete().elapsed;
        sweep.assert_complete(output);
        Self { elapsed, size: sweep.bytes().len() as u64, sweep }
    }

    /// Whether a run was killed before its end: `after` a time, and not before the file had a size.
    fn is_killed(&self, after: Duration, size: u64) -> bool {
        let begun = Instant::now();
        let mut run = Command::new(BINARY)
            .args(self.sweep.args())
            .args(["--resume", "-f", self.sweep.list().to_str().unwrap()])
            .args(FEW)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the moment", || {
            let length = fs::metadata(&self.sweep.output).map_or(0, |metadata| metadata.len());
            let is_over = run.try_wait().unwrap().is_some();
            is_over || length >= size && begun.elapsed() >= after
        });
        run.kill().unwrap();
        run.wait().unwrap().code().is_none()
    }
}

/// Enough for lines to come one by one.
const FEW: [&str; 2] = ["-c", "16"];

#[test]
fn a_kill_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut random = Random::new();
    let wholes = RESUMABLE.map(Whole::of);
    let mut killed = 0;
    for moment in 0..MOMENTS {
        let whole = &wholes[moment % wholes.len()];
        fs::remove_file(&whole.sweep.output).unwrap();
        let part = u32::try_from(random.below(1000)).unwrap();
        // By the clock, or when the file is about to be written to.
        killed += usize::from(match random.below(2) {
            0 => whole.is_killed(whole.elapsed * part / 1000, 0),
            _ => whole.is_killed(Duration::ZERO, whole.size * u64::from(part) / 1000),
        });
        whole.sweep.resume().run("").assert_complete();
        let output = whole.sweep.output.display();
        whole.sweep.assert_complete(&format!("seed {}, moment {moment}, {output}", random.seed()));
    }
    assert!(killed >= MOMENTS / 2, "only {killed} of {MOMENTS} kills came before the end");
}

#[test]
fn wherever_the_end_is_torn_off_the_rest_is_kept() {
    for output in RESUMABLE {
        let sweep = Sweep::of(40, output);
        sweep.run().run("").assert_complete();
        let bytes = sweep.bytes();
        for end in [bytes.len() - 1, bytes.len() / 2, bytes.len() / 3, 3, 0] {
            fs::write(&sweep.output, &bytes[..end]).unwrap();
            sweep.resume().run("").assert_complete();
            sweep.assert_complete(&format!("{output} up to {end}"));
        }
    }
}

#[test]
fn of_several_addresses_none_is_lost() {
    let server = NameServer::start();
    let peers = [Spec::refusing().start(), Spec::refusing().start()];
    let port = peers[0].addr.port();
    let input = vec![format!("127.0.0.1:{port}"), format!("dual.test:{port}")];
    let sweep = Sweep::with(input, "out.jsonl", peers);
    let flags = ["--all-addresses", "-c", "1", "--resolver", &server.address()];
    let addresses = || -> BTreeSet<String> {
        let lines = sweep.lines();
        let addresses: BTreeSet<_> = lines
            .iter()
            .map(|line| format!("{} {}", json(line)["target"], json(line)["addr"]))
            .collect();
        assert_eq!(addresses.len(), lines.len(), "{lines:#?}");
        addresses
    };
    sweep.run().args(flags).run("").assert_complete();
    let (bytes, whole) = (sweep.bytes(), addresses());
    assert_eq!(whole.len(), 3, "{whole:?}");
    for end in (0..bytes.len()).rev().step_by(150) {
        fs::write(&sweep.output, &bytes[..end]).unwrap();
        sweep.resume().args(flags).run("").assert_complete();
        assert_eq!(addresses(), whole, "up to {end} of {}", bytes.len());
    }
}
