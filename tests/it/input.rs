//! 6.7: what can stand in a line, and where lines can come from.

use std::fs::{self, File, OpenOptions};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::{Peer, Spec, provider};
use crate::support::pki::CA;
use crate::support::programs::{Program, shown};

#[test]
fn every_line_that_is_no_target_is_one_record() {
    let long_label = format!("{}.test", "a".repeat(64));
    let long_name = format!("{}test", "abcdefghi.".repeat(30));
    let invalid = [
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:abc",
        "127.0.0.1:",
        "127.0.0.1:12345678901234567890",
        "127.0.0.1:443:443",
        "[::1",
        "[::1]443",
        "[::1]:0",
        "[::1]:x",
        "::1]",
        "[127.0.0.1]:443",
        "[]:443",
        "[example.test]:443",
        "1:2:3",
        ":443",
        ":",
        "a..test",
        "..",
        ".",
        "256.256.256.256",
        "1.2.3",
        "127.1",
        "0x7f000001",
        "name.0X7F",
        "1,example.test",
        &long_label,
        &long_name,
        "two words",
        "nul\0nul.test",
        "bell\u{7}.test",
        "https://",
        "https:///path",
        "https://a.test:0/",
        ",good.test",
    ];
    let peer = Spec::good().start();
    let lines = invalid.iter().flat_map(|line| [(*line).to_owned(), peer.target()]);
    let outcome = Tlsweep::json().sweep(lines);
    outcome.assert_complete();
    assert_eq!(outcome.records.len(), 2 * invalid.len());
    for record in &outcome.records {
        let number = usize::try_from(record["line"].as_u64().unwrap()).unwrap();
        if number % 2 == 1 {
            assert_eq!(verdict(record), "input/invalid_target", "{record:#}");
            assert!(record["error"]["detail"].is_string(), "{record:#}");
        } else {
            assert_eq!(verdict(record), "ok close_notify", "the next line: {record:#}");
        }
    }
}

#[test]
fn a_ranked_list_is_recognized() {
    let outcome = Tlsweep::json().sweep(["17,example.test"]);
    let record = outcome.only_record();
    assert!(record["error"]["detail"].as_str().unwrap().contains("rank,domain?"), "{record:#}");
}

#[test]
fn lines_that_are_no_text_are_one_record_each() {
    let peer = Spec::good().start();
    // Not a list in UTF-16, which would begin with FF FE.
    let mut input = b"\xfe\x80.test\n".to_vec();
    input.extend_from_slice(b"a\0b\n");
    input.extend(std::iter::repeat_n(b'x', 1 << 20));
    input.extend_from_slice(format!("\n{}\n", peer.target()).as_bytes());
    let outcome = Tlsweep::json().run(input);
    outcome.assert_complete();
    let mut records = outcome.records;
    records.sort_by_key(|record| record["line"].as_u64());
    let verdicts: Vec<_> = records.iter().map(verdict).collect();
    let invalid = "input/invalid_target";
    assert_eq!(verdicts, [invalid, invalid, invalid, "ok close_notify"]);
    for record in &records {
        let echo = record["target"].as_str().unwrap();
        assert!(echo.chars().count() <= 256, "a long echo: {echo}");
        assert!(!echo.contains(char::is_control), "{echo:?}");
    }
}

#[test]
fn an_overlong_line_without_an_end_is_one_record() {
    let outcome = Tlsweep::json().run(vec![b'x'; 4 << 20]);
    assert_eq!(verdict(outcome.only_record()), "input/invalid_target");
}

#[test]
fn an_overlong_line_is_not_kept() {
    const MIB: usize = 1 << 20;
    let mut run = Tlsweep::json().start();
    run.write("no target\n");
    run.next_record();
    let before = run.peak_rss();
    let part = "x".repeat(MIB);
    for _ in 0..200 {
        run.write(&part);
    }
    run.write("\n");
    let record = run.next_record();
    assert_eq!(verdict(&record), "input/invalid_target");
    let after = run.peak_rss();
    assert!(after < before + 2 * 1024, "from {before} to {after} KiB");
    run.finish().assert_complete();
}

#[test]
fn every_way_to_write_a_target() {
    let v4 = Spec::good().start();
    let v6 = Spec::good().on_v6().start();
    let (port4, port6) = (v4.addr.port(), v6.addr.port());
    for (line, host) in [
        (format!("127.0.0.1:{port4}"), "127.0.0.1"),
        (format!("localhost:{port4}"), "localhost"),
        (format!("[::1]:{port6}"), "::1"),
        (format!("https://127.0.0.1:{port4}"), "127.0.0.1"),
        (format!("https://localhost:{port4}/path?query#part"), "localhost"),
        (format!("https://[::1]:{port6}/"), "::1"),
        (format!("  127.0.0.1:{port4}\t"), "127.0.0.1"),
        (format!("127.0.0.1:{port4}\r"), "127.0.0.1"),
        (format!("\u{feff}127.0.0.1:{port4}"), "127.0.0.1"),
    ] {
        let outcome = Tlsweep::json().sweep([&line]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), "ok close_notify", "{line:?}: {record:#}");
        assert_eq!(record["host"], host, "{line:?}");
        let trimmed = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        assert_eq!(record["target"], trimmed, "the echo of {line:?}");
    }
}

#[test]
fn the_port_of_targets_that_name_none() {
    let v4 = Spec::good().start();
    let v6 = Spec::good().on_v6().start();
    for (peer, target) in [(&v4, "127.0.0.1"), (&v4, "localhost"), (&v6, "::1"), (&v6, "[::1]")] {
        let port = peer.addr.port();
        let outcome = Tlsweep::json().args(["-p", &port.to_string()]).sweep([target]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), "ok close_notify", "{target}: {record:#}");
        assert_eq!(record["port"], port);
    }
}

#[test]
fn a_zone_id_is_one_line_either_way() {
    let outcome = Tlsweep::json().args(["--connect-timeout", "300ms"]).sweep(["[fe80::1%lo]:443"]);
    assert_ne!(outcome.only_record()["error"]["stage"], "local");
}

#[test]
fn blank_lines_and_comments_are_no_targets() {
    let peer = Spec::good().start();
    let target = peer.target();
    let input = format!("\u{feff}# a comment\n\n   \n\t\r\n#x\n{target}\r\n\n  {target}");
    let outcome = Tlsweep::json().run(input);
    outcome.assert_complete();
    assert_eq!(outcome.targets(), [target.clone(), target]);
    let mut lines: Vec<_> = outcome.records.iter().map(|record| record["line"].as_u64()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [Some(6), Some(8)], "the last line has no end, and still counts");
}

#[test]
fn a_tag_is_the_rest_of_the_line() {
    let target = Spec::good().start().target();
    for (line, sni, tag) in [
        (target.clone(), None, None),
        (format!("{target},good.test"), Some("good.test"), None),
        (format!("{target},good.test,one, two,,three"), Some("good.test"), Some("one, two,,three")),
        (format!("{target},,tag"), None, Some("tag")),
        (format!("{target},-,tag"), None, Some("tag")),
    ] {
        let outcome = Tlsweep::json().sweep([&line]);
        let record = outcome.only_record();
        assert_eq!(record["target"], target.as_str(), "the first field of {line}");
        assert_eq!(record.get("sni").and_then(Value::as_str), sni, "{line}: {record:#}");
        assert_eq!(record.get("tag").and_then(Value::as_str), tag, "{line}: {record:#}");
    }
}

#[test]
fn the_name_that_the_server_sees() {
    let peer = knows_only("seen.test");
    let port = peer.addr.port();
    let reaches = |args: &[&str], host: &str, fields: &str| {
        let outcome = Tlsweep::json().args(args).sweep([format!("{host}:{port}{fields}")]);
        outcome.only_record()["ok"] == true
    };
    assert!(reaches(&[], "127.0.0.1", ",seen.test"), "the line's name");
    assert!(reaches(&["--sni", "seen.test"], "127.0.0.1", ""), "the flag's name");
    assert!(reaches(&["--sni", "other.test"], "127.0.0.1", ",seen.test"), "the line goes first");
    assert!(!reaches(&["--sni", "seen.test"], "127.0.0.1", ",other.test"), "the line goes first");
    assert!(!reaches(&["--sni", "seen.test"], "127.0.0.1", ",-"), "no name");
    assert!(!reaches(&["--sni", "-"], "localhost", ""), "no name");
    let peer = knows_only("localhost");
    let outcome = Tlsweep::json().sweep([format!("LocalHost.:{}", peer.addr.port())]);
    assert_eq!(outcome.only_record()["ok"], true, "the host's name, without its dot");
}

#[test]
fn the_same_line_twice_is_two_lines() {
    let target = Spec::refusing().start().target();
    let outcome = Tlsweep::json().sweep([&target, &target, &target]);
    assert_eq!(outcome.targets().len(), 3);
}

#[test]
fn arguments_come_before_files_and_files_in_order() {
    let dir = TempDir::new().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    fs::write(&one, "one.invalid:0\n").unwrap();
    fs::write(&two, "two.invalid:0").unwrap();
    let files = ["-f", one.to_str().unwrap(), "-f", "-", "-f", two.to_str().unwrap()];
    let outcome = Tlsweep::json().args(files).args(["arg.invalid:0"]).run("stdin.invalid:0\n");
    let mut records = outcome.assert_complete().records.clone();
    records.sort_by_key(|record| record["line"].as_u64());
    let targets: Vec<_> = records.iter().map(|record| record["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["arg.invalid:0", "one.invalid:0", "stdin.invalid:0", "two.invalid:0"]);
    assert_eq!(records[3]["line"], 4, "lines are counted over all inputs");
}

#[test]
fn a_fifo() {
    let Some(mkfifo) = Program::find("mkfifo") else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("fifo");
    let made = mkfifo.run([&fifo]);
    assert!(made.status.success(), "{}", shown(&made));
    let peer = Spec::good().start();
    let line = format!("{}\n", peer.target());
    let writer = fifo.clone();
    let writing = std::thread::spawn(move || fs::write(writer, line).unwrap());
    let outcome = Tlsweep::json().args(["-f".as_ref(), fifo.as_os_str()]).run("");
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
    writing.join().unwrap();
}

#[test]
fn a_file_that_shrinks() {
    let peer = Spec::refusing().on_all_of_loopback().start();
    let lines: String = (0..200_000)
        .map(|number| {
            format!("127.4.{}.{}:{}\n", number / 250 % 250, number % 250, peer.addr.port())
        })
        .collect();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("targets");
    fs::write(&path, lines).unwrap();
    let mut run = Tlsweep::json().args(["-c", "10", "-f", path.to_str().unwrap()]).start();
    run.next_record();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let outcome = run.finish();
    outcome.assert_complete();
    let mut lines: Vec<_> = outcome.records.iter().map(|record| record["line"].as_u64()).collect();
    lines.sort_unstable();
    let count = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), count, "a repeated line");
    assert!(count < 200_000, "the file was not shrunk in time");
}

#[test]
fn a_file_on_stdin() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("targets");
    fs::write(&path, peer.target()).unwrap();
    let outcome = Tlsweep::json().stdin(File::open(path).unwrap()).start().finish();
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

/// A server that refuses a hello without this name in it.
fn knows_only(name: &str) -> Peer {
    let identity = CA.issue([name]);
    let key = any_supported_type(&identity.key).unwrap();
    let mut resolver = ResolvesServerCertUsingSni::new();
    resolver.add(name, CertifiedKey::new(identity.chain, key)).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    Spec::served(config).start()
}
