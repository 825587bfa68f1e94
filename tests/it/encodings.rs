//! Lists in UTF-16, gzip and zstd, and input that is no list of targets.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::peer::Spec;
use crate::support::pki::CA;
use crate::support::programs::{Program, shown};

/// A list whose third and fifth line are targets, and what becomes of it in each encoding.
struct Lists {
    dir: TempDir,
    target: String,
}

impl Lists {
    fn of(target: String) -> Self {
        Self { dir: TempDir::new().unwrap(), target }
    }

    fn text(&self) -> String {
        format!("# a list\r\n\r\n{}\r\n\r\n{},,b\u{fc}cher\r\n", self.target, self.target)
    }

    /// Each encoding with its name. That of gzip is left out where the program is missing.
    fn all(&self) -> Vec<(&'static str, Vec<u8>)> {
        let text = self.text();
        let units = || "\u{feff}".encode_utf16().chain(text.encode_utf16());
        let wide: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let mut lists = vec![
            ("UTF-8", text.clone().into_bytes()),
            ("UTF-8 with a mark", format!("\u{feff}{text}").into_bytes()),
            ("UTF-16LE", wide.clone()),
            ("UTF-16BE", units().flat_map(u16::to_be_bytes).collect()),
            ("zstd", zstd::encode_all(text.as_bytes(), 3).unwrap()),
            ("zstd of UTF-16LE", zstd::encode_all(wide.as_slice(), 3).unwrap()),
        ];
        lists.extend(self.gzip(text.as_bytes()).map(|bytes| ("gzip", bytes)));
        lists
    }

    fn gzip(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let gzip = Program::find("gzip")?;
        let path = self.dir.path().join("plain");
        fs::write(&path, bytes).unwrap();
        let output = gzip.run(["-c", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}", shown(&output));
        Some(output.stdout)
    }
}

fn assert_read(outcome: &Outcome, what: &str) {
    outcome.assert_complete();
    let mut places: Vec<_> = outcome
        .records
        .iter()
        .map(|record| (record["line"].as_u64(), record["number"].as_u64(), record["ok"] == true))
        .collect();
    places.sort_unstable();
    assert_eq!(places, [(Some(3), Some(1), true), (Some(5), Some(2), true)], "{what}");
    let tagged = outcome.records.iter().find(|record| record["number"] == 2).unwrap();
    assert_eq!(tagged["tag"], "b\u{fc}cher", "{what}");
}

#[test]
fn every_encoding_is_read_from_files_stdin_and_pipes() {
    let peer = Spec::good().start();
    let lists = Lists::of(peer.target());
    let mkfifo = Program::find("mkfifo");
    for (name, bytes) in lists.all() {
        let path = lists.dir.path().join("list");
        fs::write(&path, &bytes).unwrap();
        assert_read(&Tlsweep::json().args([Path::new("-f"), &path]).run(""), name);
        let stdin = File::open(&path).unwrap();
        let from_file = Tlsweep::json().stdin(stdin).start();
        assert_read(&from_file.ends_within(crate::support::cmd::LIMIT), name);
        assert_read(&Tlsweep::json().run(bytes.clone()), name);
        let Some(mkfifo) = &mkfifo else { continue };
        let fifo = lists.dir.path().join("fifo");
        assert!(mkfifo.run([&fifo]).status.success());
        let run = Tlsweep::json().args([Path::new("-f"), &fifo]).start();
        let mut writer = OpenOptions::new().write(true).open(&fifo).unwrap();
        // A byte at a time, as a slow writer sends them.
        bytes.chunks(1).for_each(|byte| writer.write_all(byte).unwrap());
        drop(writer);
        assert_read(&run.finish(), name);
        fs::remove_file(&fifo).unwrap();
    }
}

#[test]
fn a_line_is_swept_before_more_of_the_list_comes() {
    let peer = Spec::good().start();
    let mut run = Tlsweep::json().start();
    // Fewer bytes than the longest magic number has.
    run.write("#\n");
    run.write(&format!("{}\n", peer.target()));
    assert_eq!(run.next_record()["ok"], true);
    assert_eq!(run.finish().records.len(), 1);
}

#[test]
fn a_torn_archive_says_so_after_its_lines() {
    let peer = Spec::good().start();
    let lists = Lists::of(peer.target());
    // The lines compress badly, so that whole ones are left before the cut.
    let text: String = (0..600_u32)
        .map(|n| format!("{},,{:x}\n", peer.target(), n.wrapping_mul(2_654_435_761)))
        .collect();
    let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let archives = lists.gzip(text.as_bytes()).map(|bytes| ("gzip", bytes));
    for (name, bytes) in archives.into_iter().chain([("zstd", zst)]) {
        let whole = Tlsweep::json().run(bytes.clone());
        assert_eq!(whole.assert_complete().records.len(), 600, "{name}");
        let torn = Tlsweep::json().run(&bytes[..bytes.len() - 20]);
        assert_eq!(torn.code, Some(2), "{name}: {}", torn.stderr);
        assert!(torn.stderr.contains("torn off"), "{name}: {}", torn.stderr);
        assert!(torn.records.iter().all(|record| record["ok"] == true), "{name}: half a line");
        if name == "gzip" {
            assert!(torn.records.len() > 300, "{name}: {}", torn.records.len());
        }
    }
}

#[test]
fn resume_continues_a_compressed_list() {
    let peer = Spec::good().start();
    let lists = Lists::of(peer.target());
    let output = lists.dir.path().join("out.jsonl");
    let list = lists.dir.path().join("list");
    let half: String = lists.text().lines().take(3).map(|line| line.to_owned() + "\n").collect();
    for text in [half, lists.text()] {
        fs::write(&list, zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
        let args = ["-j", "--resume", "-o"].map(Path::new);
        let run = Tlsweep::new().args(args).args([&output, Path::new("-f"), &list]);
        run.run("").assert_complete();
    }
    let text = fs::read_to_string(&output).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2], "{text}");

    let other = lists.text().replace(&lists.target, "127.0.0.9:1");
    fs::write(&list, zstd::encode_all(other.as_bytes(), 3).unwrap()).unwrap();
    let args = ["-j", "--resume", "-o"].map(Path::new);
    let outcome = Tlsweep::new().args(args).args([&output, Path::new("-f"), &list]).run("");
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("another list"), "{}", outcome.stderr);
}

#[test]
fn blanks_and_paths_are_read() {
    let peer = Spec::good().start();
    let (host, port) =
        peer.target().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let lines = [
        format!("{host} {port}"),
        format!("{host}\t{port}"),
        format!("{host}   {port},good.test,tag"),
        format!("{host}:{port}/path?x#y"),
        format!("{host}/32 {port}"),
    ];
    let outcome = Tlsweep::json().args(["-c1"]).sweep(&lines);
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), lines.len());
    for (record, line) in outcome.records.iter().zip(&lines) {
        assert_eq!(
            (&record["ok"], record["port"].to_string()),
            (&true.into(), port.clone()),
            "{line}"
        );
    }
    assert_eq!(outcome.records[2]["sni"], "good.test");
}

#[test]
fn a_list_of_something_else_gives_one_hint() {
    for (list, hint) in [
        ("1,google.test\n2,youtube.test\n3,x.test\n", "cut -d, -f2"),
        ("{\"host\":\"a\"}\n{\"host\":\"b\"}\n", "jq -r"),
        ("ip,port\n127.0.0.1,x..y\n", "tail -n +2"),
    ] {
        let outcome = Tlsweep::json().run(list);
        assert_eq!(outcome.assert_complete().records.len(), list.lines().count(), "{list}");
        let hints: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("hint: ")).collect();
        assert!(hints.len() == 1 && hints[0].contains(hint), "{list}: {}", outcome.stderr);
        assert_eq!(Tlsweep::json().args(["-q"]).run(list).stderr, "", "{list}");
        let counted = Tlsweep::new().args(["--dry-run"]).run(list).stderr;
        assert!(counted.matches("hint: ").count() == 1 && counted.contains(hint), "{counted}");
    }
}

#[test]
fn a_trusted_certificate_of_openssl_gives_a_hint() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let plain = fs::read_to_string(CA.write_to(&dir)).unwrap();
    let trusted = plain.replace("CERTIFICATE-----", "TRUSTED CERTIFICATE-----");
    let roots = dir.path().join("trusted.pem");
    for text in [trusted.clone(), plain + &trusted] {
        fs::write(&roots, text).unwrap();
        let outcome = Tlsweep::json().args([Path::new("--roots"), &roots]).sweep([peer.target()]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("TRUSTED CERTIFICATE"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("openssl x509"), "{}", outcome.stderr);
    }
}
