//! `--from`: records of earlier sweeps are read, judged and written as those of a sweep.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep, decode_lines};
use crate::support::peer::{Peer, Spec};
use crate::support::pki::CA;
use crate::support::script::send;

/// Servers of several kinds, and what one sweep of them wrote.
struct Swept {
    dir: TempDir,
    lines: String,
    summary: Value,
    _peers: Vec<Peer>,
}

impl Swept {
    /// Sweeps with `args`.
    fn new(args: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let peers = vec![
            Spec::good().start(),
            Spec::good().start(),
            Spec::refusing().start(),
            Spec::script([send(b"HTTP/1.1 400 Bad Request\r\n\r\n")]).start(),
        ];
        let roots = CA.write_to(&dir);
        let targets = peers.iter().map(Peer::target).chain(["no target".to_owned()]);
        let outcome = Tlsweep::json()
            .args([Path::new("--roots"), &roots, Path::new("--summary"), &dir.path().join("swept")])
            .args(["-q"])
            .args(args)
            .sweep(targets);
        assert!([Some(0), Some(1)].contains(&outcome.code), "{}", outcome.stderr);
        let lines = outcome.text().to_owned();
        let summary = document(&dir.path().join("swept"));
        Self { dir, lines, summary, _peers: peers }
    }

    /// A file in the directory.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// A summary without what belongs to the run and not to the records.
fn document(path: &Path) -> Value {
    let mut document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let of_dialling = ["concurrency", "roots"];
    let of_run = ["arguments", "start", "end", "elapsed", "exit_code", "peak_rss"];
    for own in of_dialling.into_iter().chain(of_run) {
        document.as_object_mut().unwrap().remove(own);
    }
    document
}

fn from<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Tlsweep {
    files.into_iter().fold(Tlsweep::json(), |run, file| run.args([Path::new("--from"), file]))
}

#[test]
fn records_come_out_as_they_went_in() {
    for args in [&["--chain", "--pem"][..], &["--enumerate"], &["--fail-on", "error,untrusted"]] {
        let swept = Swept::new(args);
        let file = swept.file("records.jsonl", &swept.lines);
        let outcome = from([&file]).run("");
        assert_eq!(outcome.assert_complete().text(), swept.lines, "{args:?}");
        assert!(outcome.stderr.contains("5 targets"), "{}", outcome.stderr);
    }
}

#[test]
fn the_summary_is_that_of_the_sweep() {
    let swept = Swept::new(&["--fail-on", "error,min-tls=1.3"]);
    let (half, rest) = swept.lines.split_at(swept.lines.find('\n').unwrap() + 1);
    let plain = swept.file("0.jsonl", half);
    let packed = swept.file("1.jsonl.zst", zstd::encode_all(rest.as_bytes(), 1).unwrap());
    let summary = swept.dir.path().join("replayed");
    let outcome = from([&plain, &packed])
        .args([Path::new("--summary"), &summary])
        .args(["--fail-on", "error,min-tls=1.3"])
        .run("");
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(outcome.text(), swept.lines);
    assert_eq!(document(&summary), swept.summary);
    assert_eq!(swept.summary["targets"], 5);
    let replayed = fs::read_to_string(&summary).unwrap();
    for of_dialling in ["seed", "concurrency", "roots"] {
        assert!(!replayed.contains(&format!("\"{of_dialling}\":")), "nothing was dialled");
    }
}

#[test]
fn old_records_meet_new_conditions() {
    let swept = Swept::new(&[]);
    let file = swept.file("records.jsonl", &swept.lines);
    let outcome = from([&file]).args(["--fail-on", "error,expires-in=100000d"]).run("");
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    for record in &outcome.records {
        let expected = if record["ok"] == true { "expires-in=100000d" } else { "error" };
        assert_eq!(record["failed_checks"], serde_json::json!([expected]), "{record}");
    }
    let failing = from([&file]).args(["--fail-on", "error", "--only-failing"]).run("");
    assert_eq!((failing.code, failing.records.len()), (Some(1), 3));
    let none = from([&file]).args(["--fail-on", "no-pq"]).run("");
    assert_eq!(none.code, Some(0), "{}", none.stderr);

    // Conditions of the sweep are no conditions of the replay.
    let marked = swept.file("marked.jsonl", &outcome.stdout);
    assert_eq!(from([&marked]).run("").assert_complete().text(), outcome.text());
}

#[test]
fn every_format_and_stdin() {
    let swept = Swept::new(&[]);
    let file = swept.file("records.jsonl", &swept.lines);
    let text = Tlsweep::new().args([Path::new("--from"), &file]).run("");
    let rows: Vec<_> = text.assert_complete().text().lines().collect();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.split('\t').count() == 9), "{rows:?}");
    let csv = Tlsweep::new().args(["--from", "-", "--format", "csv", "--fields", "target,ok"]);
    let csv = csv.run(swept.lines.as_bytes());
    assert!(csv.assert_complete().text().starts_with("target,ok\n"), "{}", csv.text());
    let out = swept.dir.path().join("out.jsonl.zst");
    from([&file]).args([Path::new("-o"), &out]).run("").assert_complete();
    let written = zstd::decode_all(File::open(&out).unwrap()).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), swept.lines);
}

#[test]
fn a_record_is_written_before_the_next_one_arrives() {
    let swept = Swept::new(&[]);
    let mut running = Tlsweep::json().args(["--from", "-", "-q"]).start();
    let lines: Vec<_> = swept.lines.split_inclusive('\n').collect();
    running.write(lines[0]);
    running.write(lines[1]);
    assert_eq!(running.next_line(), lines[0]);
    running.signal("TERM");
    let outcome = running.ends_within(crate::support::cmd::LIMIT);
    assert_eq!(outcome.code, Some(143), "{}", outcome.stderr);
}

#[test]
fn all_addresses_of_a_target_are_one_target() {
    let swept = Swept::new(&[]);
    let line = swept.lines.lines().find(|line| line.contains(r#""addr":"127.0.0.1""#)).unwrap();
    let other = line.replace(r#""addr":"127.0.0.1""#, r#""addr":"127.0.0.2""#);
    assert_ne!(line, other);
    let again = line.replace(r#""time":"2"#, r#""time":"3"#);
    let file = swept.file("records.jsonl", format!("{line}\n{other}\n{again}\n"));
    let outcome = from([&file, &file]).run("");
    assert!(outcome.stderr.contains("4 targets"), "{}", outcome.stderr);
    assert_eq!(outcome.assert_complete().records.len(), 6);
}

#[test]
fn a_torn_end_is_said_and_left_out() {
    let swept = Swept::new(&[]);
    let torn = swept.file("torn.jsonl", &swept.lines[..swept.lines.len() - 20]);
    let whole = swept.file("unended.jsonl", swept.lines.trim_end());
    let packed = zstd::encode_all(swept.lines.repeat(2000).as_bytes(), 1).unwrap();
    let packed = swept.file("torn.jsonl.zst", &packed[..packed.len() - 9]);
    let outcome = from([&torn, &whole]).run("");
    assert_eq!(outcome.assert_complete().records.len(), 4 + 5);
    assert!(outcome.stderr.contains("torn.jsonl is torn off"), "{}", outcome.stderr);
    let outcome = from([&packed]).run("");
    assert!(outcome.assert_complete().records.len() < 10_000);
    assert!(outcome.stderr.contains("torn.jsonl.zst is torn off"), "{}", outcome.stderr);
}

fn assert_unusable(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word} in {}", outcome.stderr);
    }
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let swept = Swept::new(&[]);
    let line = swept.lines.lines().next().unwrap();
    let other = line.replace(r#"{"v":1,"#, r#"{"v":2,"#);
    for (name, content, words) in [
        ("version", format!("{line}\n{other}\n"), &["line 2", "version 2", "version 1"][..]),
        ("later", line.replace(r#","ok":"#, r#","new":1,"ok":"#) + "\n", &["line 1", "`new`"]),
        ("parts", r#"{"target":"a"}"#.to_owned() + "\n", &["line 1", "missing field", "--fields"]),
        ("text", "a.test\tok\n".to_owned(), &["line 1", "--format json"]),
        ("long", "x".repeat(5 << 20), &["line 1", "4 MiB"]),
    ] {
        let file = swept.file(name, content);
        let outcome = from([&file]).run("");
        assert_unusable(&outcome, words);
        assert!(outcome.stderr.contains(&format!("/{name}: ")), "{}", outcome.stderr);
        assert_eq!(outcome.records.len(), usize::from(name == "version"));
    }
    let missing = swept.dir.path().join("missing");
    assert_unusable(&from([&missing]).run(""), &["missing", "No such file"]);
    assert_unusable(&from([&swept.dir.path().to_owned()]).run(""), &["directory"]);
    let file = swept.file("good.jsonl", &swept.lines);
    for flag in ["--rate=5", "--enumerate", "--dry-run", "--demo"] {
        assert_unusable(&from([&file]).args([flag]).run(""), &[flag.split('=').next().unwrap()]);
    }
    assert_unusable(&from([&file]).args(["a.test"]).run(""), &["--from"]);
}

/// It is the same for a million records as for ten.
#[test]
fn memory_does_not_depend_on_how_many_records_there_are() {
    let swept = Swept::new(&[]);
    let mut peaks = Vec::new();
    for times in [1, 4_000] {
        let path = swept.dir.path().join("many.jsonl.zst");
        let mut file = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
        for _ in 0..times {
            file.write_all(swept.lines.as_bytes()).unwrap();
        }
        file.finish().unwrap();
        let summary = swept.dir.path().join("summary");
        let run = Tlsweep::new().args(["-q", "-o", "/dev/null", "--from"]).args([&path]);
        run.args([Path::new("--summary"), &summary]).run("").assert_complete();
        let document: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
        assert_eq!(document["targets"], 5 * times);
        peaks.push(document["peak_rss"].as_u64().unwrap());
    }
    assert!(peaks[1] < peaks[0] + (8 << 20) && peaks[1] < 64 << 20, "{peaks:?}");
}

#[test]
fn what_is_read_is_not_written() {
    let swept = Swept::new(&[]);
    let file = swept.file("records.jsonl", &swept.lines);
    let outcome = from([&file]).args([Path::new("--summary"), &file]).run("");
    assert_unusable(&outcome, &["same file", "--from", "--summary"]);
    assert_eq!(decode_lines(&fs::read_to_string(&file).unwrap()).len(), 5);
}
