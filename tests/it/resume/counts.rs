//! What is counted is what is in the file.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tlsweep::config::GRACE;

use super::{RESUMABLE, Sweep, wait_until};
use crate::support::cmd::{AT_ONCE, BINARY, sorted};
use crate::support::peer::Spec;
use crate::support::programs::{Program, shown};
use crate::support::random::Random;
use crate::support::script::Step;

/// The summary and the last status line of a sweep.
fn counts(dir: &Path) -> [Value; 2] {
    let read = |name| fs::read_to_string(dir.join(name)).unwrap();
    let last_line = |text: String| serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let summary = serde_json::from_str(&read("summary")).unwrap();
    let status = last_line(read("status"));
    fs::remove_file(dir.join("status")).unwrap();
    [summary, status]
}

/// All of it equals the lines of the output; how many these are.
fn assert_counted(sweep: &Sweep, what: &str) -> usize {
    let whole = whole_targets(sweep);
    let known = sorted(sweep.input.clone());
    assert!(whole.windows(2).all(|pair| pair[0] < pair[1]), "{what}: doubled: {whole:?}");
    assert!(whole.iter().all(|target| known.binary_search(target).is_ok()), "{what}: {whole:?}");
    let [summary, status] = counts(sweep.dir.path());
    assert_eq!(summary["targets"], whole.len(), "{what}: {summary:#}");
    assert_eq!(status["done"], whole.len(), "{what}: {status:#}");
    let ok = summary["ok"].as_u64().unwrap() + summary["failed"].as_u64().unwrap();
    assert_eq!(summary["targets"], ok, "{what}: {summary:#}");
    whole.len()
}

/// The targets of the output; of an output that was never begun, none.
fn whole_targets(sweep: &Sweep) -> Vec<String> {
    match sweep.bytes().as_slice() {
        [] => Vec::new(),
        _ => sweep.targets(),
    }
}

fn reports(sweep: &Sweep) -> [String; 4] {
    let path = |name| sweep.dir.path().join(name).to_str().unwrap().to_owned();
    ["--summary".into(), path("summary"), "--status-file".into(), path("status")]
}

/// Ends of the disk that are tried for each output.
const SIZES: usize = 50;

#[test]
fn counts_are_those_of_the_lines_wherever_the_file_ends() {
    let Some(prlimit) = Program::find("prlimit") else {
        return;
    };
    let mut random = Random::new();
    for output in RESUMABLE.into_iter().chain(["out.txt"]) {
        let sweep = Sweep::of(200, output);
        let list = sweep.list();
        let reports = reports(&sweep);
        // About what all of it takes.
        let largest = match output {
            "out.jsonl" => 65_000,
            "out.csv" => 30_000,
            "out.txt" => 12_500,
            _ => 4_500,
        };
        let mut lengths = Vec::new();
        for _ in 0..SIZES {
            let size = random.below(largest);
            // What the reports need: they are limited too.
            let size = if output.ends_with(".zst") { size + 3000 } else { size + 8000 };
            let limit = format!("--fsize={size}");
            let args = [&sweep.args()[..], &["-f", list.to_str().unwrap()]].concat();
            let args = args.into_iter().chain(reports.iter().map(String::as_str));
            let run = prlimit.run([&*limit, BINARY].into_iter().chain(args));
            assert!(matches!(run.status.code(), Some(0 | 3)), "{output}: {}", shown(&run));
            lengths.push(assert_counted(&sweep, &format!("{output} of {size} bytes")));
            fs::remove_file(&sweep.output).unwrap();
        }
        lengths.sort_unstable();
        lengths.dedup();
        let is_text = !output.ends_with(".zst");
        assert!(!is_text || lengths.len() > 3, "{output}: {lengths:?}");
    }
}

#[test]
fn counts_are_those_of_the_lines_after_sigterm() {
    for output in RESUMABLE {
        let good = Spec::good().on_all_of_loopback().start();
        let silent = Spec::script([Step::Hold]).on_all_of_loopback().start();
        let targets = (1..=20).flat_map(|number| {
            [&good, &silent].map(|peer| format!("127.0.0.{number}:{}", peer.addr.port()))
        });
        let sweep = Sweep::with(targets.collect(), output, [good, silent]);
        let run = sweep.run().args(["--handshake-timeout", "60s", "--timeout", "60s"]);
        let run = run.args(reports(&sweep)).start();
        wait_until("the 40th", || sweep._peers.iter().all(|peer| peer.accepted() == 20));
        run.signal("TERM");
        let outcome = run.ends_within(GRACE + AT_ONCE);
        assert_eq!(outcome.code, Some(143), "{output}: {}", outcome.stderr);
        assert_eq!(assert_counted(&sweep, output), 20);
        assert!(outcome.stderr.contains("; 20 interrupted, left for --resume"), "{output}");
    }
}
