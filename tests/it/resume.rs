//! Records in a file, and sweeps that go on where another one ended.

mod counts;
mod crash;
mod faults;
mod kill;
mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tlsweep::config::GRACE;
use tokio::time::Instant;

use crate::support::cmd::{AT_ONCE, Tlsweep, sorted};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, shown};
use crate::support::script::Step;

/// An output for each way to write one that can be gone on with.
const RESUMABLE: [&str; 4] = ["out.jsonl", "out.csv", "out.jsonl.zst", "out.csv.zst"];

/// A list in a file, and an output beside it, whose name says what is in it.
struct Sweep {
    dir: TempDir,
    input: Vec<String>,
    output: PathBuf,
    _peers: [Peer; 2],
}

impl Sweep {
    /// Of `count` targets, most of which refuse.
    fn of(count: usize, output: &str) -> Self {
        let refusing = Spec::refusing().on_all_of_loopback().start();
        let good = Spec::good().on_all_of_loopback().start();
        let target = |number| {
            let peer = if number % 20 == 7 { &good } else { &refusing };
            format!("127.6.{}.{}:{}", number / 250, number % 250 + 1, peer.addr.port())
        };
        let input = (0..count).map(target).collect();
        Self::with(input, output, [refusing, good])
    }

    fn with(input: Vec<String>, output: &str, peers: [Peer; 2]) -> Self {
        let dir = TempDir::new().unwrap();
        let output = dir.path().join(output);
        let sweep = Self { dir, input, output, _peers: peers };
        sweep.write_list(&sweep.input.concat_lines());
        sweep
    }

    fn list(&self) -> PathBuf {
        self.dir.path().join("list")
    }

    fn write_list(&self, text: &str) {
        fs::write(self.list(), text).unwrap();
    }

    fn args(&self) -> [&str; 4] {
        let format = match format(&self.output) {
            "csv" => "csv",
            "jsonl" => "json",
            _ => "text",
        };
        ["--format", format, "-o", self.output.to_str().unwrap()]
    }

    /// A sweep of stdin into the output.
    fn of_stdin(&self) -> Tlsweep {
        Tlsweep::new().args(self.args())
    }

    /// A sweep of the list into the output.
    fn run(&self) -> Tlsweep {
        self.of_stdin().args(["-f", self.list().to_str().unwrap()])
    }

    fn resume(&self) -> Tlsweep {
        self.run().args(["--resume"])
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.output).unwrap_or_default()
    }

    /// The lines of the output, which are whole.
    fn lines(&self) -> Vec<String> {
        let mut bytes = self.bytes();
        if self.output.extension().unwrap() == "zst" {
            bytes = zstd::decode_all(bytes.as_slice()).unwrap();
        }
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "a torn last line: {text}");
        text.lines().map(str::to_owned).collect()
    }

    /// The echoed targets, sorted.
    fn targets(&self) -> Vec<String> {
        let lines = self.lines();
        sorted(match format(&self.output) {
            "csv" => csv_targets(&lines),
            "jsonl" => {
                lines.iter().map(|line| json(line)["target"].as_str().unwrap().to_owned()).collect()
            }
            _ => lines
                .iter()
                .map(|line| line.split('\t').next().unwrap().to_owned())
                .collect::<Vec<_>>(),
        })
    }

    /// Every target of the list is in the output, and none is twice.
    fn assert_complete(&self, what: &str) {
        assert_eq!(self.targets(), sorted(self.input.clone()), "{what}");
    }
}

trait Lines {
    fn concat_lines(&self) -> String;
}

impl Lines for [String] {
    fn concat_lines(&self) -> String {
        self.iter().flat_map(|line| [line, "\n"]).collect()
    }
}

fn format(output: &Path) -> &str {
    output.to_str().unwrap().trim_end_matches(".zst").rsplit('.').next().unwrap()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn csv_targets(lines: &[String]) -> Vec<String> {
    let text = lines.concat_lines();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    if lines.is_empty() {
        return Vec::new();
    }
    let column = reader.headers().unwrap().iter().position(|name| name == "target").unwrap();
    reader.records().map(|record| record.unwrap()[column].to_owned()).collect()
}

/// Looks until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn every_format_goes_to_the_file_and_nothing_to_stdout() {
    for output in RESUMABLE.into_iter().chain(["out.txt", "out.txt.zst"]) {
        let sweep = Sweep::of(300, output);
        let outcome = sweep.run().run("");
        assert_eq!(outcome.assert_complete().text(), "", "{output}");
        sweep.assert_complete(output);
        let notices = outcome.stderr.lines().filter(|line| line.contains("--resume")).count();
        assert_eq!(notices, usize::from(output.contains("txt")), "{output}: {}", outcome.stderr);
    }
}

#[test]
fn a_new_file_is_what_stdout_would_have_been() {
    let sweep = Sweep::of(1, "out.csv");
    sweep.run().run("").assert_complete();
    let stdout = Tlsweep::new().args(["--format", "csv"]).sweep(&sweep.input);
    assert_eq!(sweep.lines()[0], stdout.text().lines().next().unwrap(), "the header");
    let sweep = Sweep::of(1, "out.txt");
    sweep.run().run("").assert_complete();
    assert_eq!(sweep.lines()[0].split('\t').count(), 9);
}

#[test]
fn zstd_reads_what_is_compressed() {
    let Some(zstd) = Program::find("zstd") else {
        return;
    };
    let sweep = Sweep::of(100, "out.jsonl.zst");
    for input in ["", "127.0.0.1:1\n"] {
        let output = sweep.dir.path().join(format!("{}.zst", input.len()));
        let path = output.to_str().unwrap();
        Tlsweep::new().args(["-j", "-o", path]).run(input).assert_complete();
        let read = zstd.run(["-dc", path]);
        assert!(read.status.success(), "{}", shown(&read));
        let lines = String::from_utf8(read.stdout).unwrap().lines().map(json).count();
        assert_eq!(lines, input.lines().count());
    }
}

#[test]
fn an_ending_in_capitals_compresses_too() {
    let sweep = Sweep::of(5, "out.jsonl.ZST");
    Tlsweep::new().args(["-o", sweep.output.to_str().unwrap()]).sweep(&sweep.input);
    let text = zstd::decode_all(sweep.bytes().as_slice()).unwrap();
    assert_eq!(String::from_utf8(text).unwrap().lines().map(json).count(), 5);
}

#[test]
fn what_is_complete_stays_as_it_is() {
    for output in RESUMABLE {
        let sweep = Sweep::of(50, output);
        sweep.resume().run("").assert_complete();
        sweep.assert_complete(output);
        let bytes = sweep.bytes();
        let outcome = sweep.resume().run("");
        assert!(outcome.assert_complete().stderr.contains("50 targets done"), "{output}");
        assert_eq!(sweep.bytes(), bytes, "{output}");
    }
}

#[test]
fn a_longer_list_is_gone_on_with() {
    for output in RESUMABLE {
        let mut sweep = Sweep::of(1500, output);
        let whole = std::mem::take(&mut sweep.input);
        for length in [1, 1100, 1500] {
            sweep.input = whole[..length].to_vec();
            sweep.write_list(&sweep.input.concat_lines());
            sweep.resume().run("").assert_complete();
            sweep.assert_complete(output);
        }
    }
}

#[test]
fn records_of_another_version_are_not_mixed_with_ours() {
    for (output, ours, other) in [
        ("out.jsonl", "\n{\"v\":1,", "\n{\"v\":2,"),
        ("out.csv", "\n1,", "\n2,"),
        ("out.csv", "\n1,", "\nx,"),
    ] {
        let mut sweep = Sweep::of(20, output);
        let whole = std::mem::take(&mut sweep.input);
        sweep.write_list(&whole[..10].to_vec().concat_lines());
        sweep.resume().run("").assert_complete();
        let text = String::from_utf8(sweep.bytes()).unwrap();
        let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
        let changed = format!("{before}\n{last}\n").replacen(ours, other, 100);
        assert_ne!(changed, text);
        fs::write(&sweep.output, &changed).unwrap();
        sweep.write_list(&whole.concat_lines());
        let outcome = sweep.resume().run("");
        assert_eq!(outcome.code, Some(2), "{output} {other:?}: {}", outcome.stderr);
        let said = if other.contains('2') { "it has version 2 of the schema" } else { "columns" };
        assert!(outcome.stderr.contains(said), "{output}: {}", outcome.stderr);
        assert_eq!(sweep.bytes(), changed.as_bytes(), "{output}");
    }
}

#[test]
fn csv_has_one_header_or_none() {
    let sweep = Sweep::of(30, "out.csv");
    for flags in [&["--no-header", "--fields", "target,ms.total,number"][..], &[]] {
        sweep.write_list(&sweep.input[..10].concat_lines());
        sweep.resume().args(flags).run("").assert_complete();
        sweep.write_list(&sweep.input.concat_lines());
        sweep.resume().args(flags).run("").assert_complete();
        let headers = sweep.lines().iter().filter(|line| line.contains("target,")).count();
        let is_bare = !flags.is_empty();
        assert_eq!((sweep.lines().len(), headers), (30 + headers, usize::from(!is_bare)));
        fs::remove_file(&sweep.output).unwrap();
    }
}

/// Whatever a line looks like, its echo is known again.
#[test]
fn every_kind_of_line_is_known_again() {
    let peer = Spec::refusing().start();
    let port = peer.addr.port();
    let long = "x".repeat(300);
    let longest = "\u{202e}\u{1f512}y".repeat(6000);
    let mut list = format!(
        "127.0.0.1:{port}\n\n# no\n \t127.0.0.1:{port} , name.test , a tag, really\r\n\
         https://127.0.0.1:{port}/{long}\u{202e}{long}\nhttps://127.0.0.1:{port}/\"q\"\u{85}\n\
         \u{a0}127.0.0.1:{port}\u{2003},,\u{a0}\n\u{a0}no target\u{a0},\n\u{b}-a\u{b}\n{long}{long}\n\
         ,empty\n{longest}\n127.9.0.0/29:{port},,tag\n127.9.0.0/33\nnul\0nul\nbell\u{7}.test\nb\u{fc}cher..test\n\"quoted\",b\na\\x00b\n1,rank.test\n"
    )
    .into_bytes();
    for start in 225..250 {
        list.extend(format!("https://127.0.0.1:{port}/{}\u{202e}z\n", "x".repeat(start)).bytes());
        list.extend(format!("{}\u{202e}\u{202e}z\n", "x".repeat(start)).bytes());
    }
    list.extend(b"\xff\xfe broken\n  \xc3(,tag\n");
    for output in RESUMABLE {
        let sweep = Sweep::of(0, output);
        fs::write(sweep.list(), &list).unwrap();
        sweep.run().run("").assert_complete();
        let bytes = sweep.bytes();
        sweep.resume().run("").assert_complete();
        assert_eq!(sweep.bytes(), bytes, "{output}");
        sweep.of_stdin().args(["--resume"]).run(list.clone()).assert_complete();
        assert_eq!(sweep.bytes(), bytes, "{output}, from stdin");
    }
}

#[test]
fn sigint_leaves_the_unfinished_for_the_next_run() {
    interrupted_by(&["INT"], 130);
}

#[test]
fn sigterm_leaves_the_unfinished_for_the_next_run() {
    interrupted_by(&["TERM"], 143);
}

/// 100 good targets, whose lines are there, and 100 silent ones, of which none is written.
fn interrupted_by(signals: &[&str], code: i32) {
    for output in RESUMABLE {
        let good = Spec::good().on_all_of_loopback().start();
        let silent = Spec::script([Step::Hold]).on_all_of_loopback().start();
        let targets = (1..=100).flat_map(|number| {
            [&good, &silent].map(|peer| format!("127.0.0.{number}:{}", peer.addr.port()))
        });
        let sweep = Sweep::with(targets.collect(), output, [good, silent]);
        let run = sweep.run().args(["--handshake-timeout", "60s", "--timeout", "60s"]).start();
        // What is compressed is not in the file yet.
        let accepted = || sweep._peers.iter().all(|peer| peer.accepted() == 100);
        wait_until("the 200th connection", accepted);
        signals.iter().for_each(|signal| run.signal(signal));
        let outcome = run.ends_within(GRACE + AT_ONCE);
        assert_eq!(outcome.code, Some(code), "{output}: {}", outcome.stderr);
        let left = "100 targets in";
        assert!(outcome.stderr.contains(left), "{output}: {}", outcome.stderr);
        let left = "; 100 interrupted, left for --resume";
        assert!(outcome.stderr.contains(left), "{output}: {}", outcome.stderr);
        let good = format!(":{}", sweep._peers[0].addr.port());
        assert_eq!(sweep.targets().len(), 100, "{output}");
        assert!(sweep.targets().iter().all(|target| target.ends_with(&good)), "{output}");

        let outcome = sweep.resume().args(["--handshake-timeout", "300ms"]).run("");
        assert!(outcome.assert_complete().stderr.contains("100 targets done"), "{output}");
        sweep.assert_complete(output);
    }
}
