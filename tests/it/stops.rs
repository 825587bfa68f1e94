//! Whenever somebody says stop it ends, nothing that was read is lost, and nobody has to listen.

use std::fs::{self, File};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _, Write};
use std::time::Duration;

use tempfile::TempDir;
use tlsweep::config::GRACE;

use crate::support::cmd::{AT_ONCE, Outcome, Running, Tlsweep, decode_lines, sorted, verdict};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::Program;
use crate::support::script::Step;

const FAR: [&str; 4] = ["--handshake-timeout", "60s", "--timeout", "60s"];

/// Two signals: what is in flight has no grace. Two of the same kind could arrive as one.
fn stop(run: Running) -> Outcome {
    run.listens_for_signals();
    run.signal("TERM");
    // With nothing in flight it may have ended already.
    let _was_there = run.signal_if_there("INT");
    let outcome = run.ends_within(AT_ONCE);
    assert!(matches!(outcome.code, Some(130 | 143)), "{:?}: {}", outcome.code, outcome.stderr);
    outcome
}

fn targets(peer: &Peer, count: usize) -> Vec<String> {
    let port = peer.addr.port();
    (0..count).map(|n| format!("127.8.{}.{}:{port}", n / 250, n % 250 + 1)).collect()
}

fn silent() -> Peer {
    Spec::script([Step::Hold]).on_all_of_loopback().start()
}

#[test]
fn every_line_that_was_read_has_its_line() {
    let peer = silent();
    let shuffled = ["--shuffle", "1000"];
    let cases: [&[&str]; 8] = [
        &shuffled,
        &["--shuffle", "1000000"],
        &["--shuffle", "10", "-c", "3"],
        &["--shuffle", "1000", "--rate", "1"],
        &["--shuffle", "1000", "--per-address", "1"],
        &["--rate", "1"],
        &["-c", "3"],
        &["-c", "1"],
    ];
    for (args, counts) in
        cases.iter().zip([[100, 700, 3000]].into_iter().chain(std::iter::repeat([0, 700, 0])))
    {
        for count in counts.into_iter().filter(|count| *count > 0) {
            let input = targets(&peer, count);
            let mut run = Tlsweep::json().args(FAR).args(*args).start();
            run.write(&(input.join("\n") + "\n"));
            run.has_read_everything();
            let outcome = stop(run);
            assert_eq!(outcome.records.len(), count, "{args:?}");
            assert!(outcome.targets() == sorted(input), "{args:?}, {count} lines");
            let words: Vec<_> = outcome.records.iter().map(verdict).collect();
            assert!(words.iter().all(|word| word == "local/interrupted"), "{args:?}: {words:?}");
        }
    }
}

#[test]
fn more_lines_than_the_queues_hold_are_lines_too() {
    let peer = silent();
    // More than a pipe and the reader's buffer hold, so that some are never read.
    let text = targets(&peer, 20_000).join("\n");
    for args in [&["--shuffle", "1000"][..], &["-c", "10"]] {
        let mut run = Tlsweep::json().args(FAR).args(args).start();
        // The reader waits for room in the queue, and the pipe is full.
        let written = run.fill(&text);
        let read = written - run.unread();
        let outcome = stop(run);
        let whole = text[..read].rfind('\n').map_or(0, |end| end + 1);
        let expected = sorted(text[..whole].lines().map(str::to_owned));
        assert_eq!(outcome.records.len(), expected.len(), "{args:?}");
        assert!(outcome.targets() == expected, "{args:?}");
    }
}

#[test]
fn a_range_is_taken_as_far_as_it_was() {
    let peer = silent();
    for args in [&["--shuffle", "1000"][..], &["-c", "10", "--shard", "1/3"]] {
        let mut run = Tlsweep::json().args(FAR).args(args).start();
        run.write(&format!("127.0.0.0/8:{}\n", peer.addr.port()));
        run.has_read_everything();
        let outcome = stop(run);
        let mut numbers: Vec<_> =
            outcome.records.iter().map(|record| record["number"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        let (from, step) = if args.len() == 2 { (1, 1) } else { (2, 3) };
        let expected: Vec<_> = (from..).step_by(step).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "{args:?}");
        assert!(numbers.len() < 100_000, "{args:?}: {}", numbers.len());
    }
}

#[test]
fn every_format_has_the_lines_of_a_stop() {
    let peer = silent();
    let dir = TempDir::new().unwrap();
    for format in ["text", "csv"] {
        for to_file in [false, true] {
            let file = dir.path().join(format!("out.{format}"));
            let input = targets(&peer, 700);
            let args = ["--shuffle", "1000", "--format", format, "--no-header"];
            let mut run = Tlsweep::new().args(FAR).args(args);
            if to_file {
                // Such a file cannot be resumed. One that can has no lines of unfinished targets.
                let fields: &[&str] = if format == "csv" { &["--fields", "target"] } else { &[] };
                run = run.args(["-o".as_ref(), file.as_os_str()]).args(fields);
            }
            let mut run = run.start();
            run.write(&(input.join("\n") + "\n"));
            run.has_read_everything();
            let outcome = stop(run);
            let text = match to_file {
                true => fs::read_to_string(&file).unwrap(),
                false => outcome.text().to_owned(),
            };
            let found = text.lines().map(|line| {
                let mut cells = line.split([',', '\t']);
                let is_target = |cell: &&str| cell.starts_with("127.8.");
                cells.find(is_target).unwrap_or_default().to_owned()
            });
            assert_eq!(sorted(found), sorted(input), "{format}, to a file: {to_file}");
        }
    }
}

/// A pipe that is full, and whose reader does not read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let error = loop {
        if let Err(error) = writer.write(&[b'x'; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

#[test]
fn a_full_stderr_keeps_nobody_waiting() {
    let (refusing, silent) = (Spec::refusing().on_all_of_loopback().start(), silent());
    for args in [&[][..], &["-vvv"], &["--status", "1"]] {
        for is_stopped in [false, true] {
            let (_unread, stderr) = full_pipe();
            let mut input = targets(&refusing, 100);
            let mut run = Tlsweep::json().args(FAR).args(args).stderr(stderr).start();
            if is_stopped {
                input.push(silent.target());
            }
            run.write(&(input.join("\n") + "\n"));
            for _ in 0..100 {
                run.next_record();
            }
            let outcome = if is_stopped {
                stop(run)
            } else {
                run.close_stdin();
                run.ends_within(AT_ONCE)
            };
            assert_eq!(outcome.targets(), sorted(input), "{args:?}");
        }
    }
}

#[test]
fn one_signal_is_enough_beside_a_full_stderr() {
    let silent = silent();
    let (_unread, stderr) = full_pipe();
    let mut run = Tlsweep::json().args(FAR).stderr(stderr).start();
    run.write(&format!("{}\n", silent.target()));
    run.has_read_everything();
    run.listens_for_signals();
    run.signal("TERM");
    let outcome = run.ends_within(GRACE + AT_ONCE);
    assert_eq!((outcome.code, outcome.records.len()), (Some(143), 1));
}

#[test]
fn a_slow_reader_gets_every_line_after_a_stop() {
    slow_reader_gets_every_line(false);
}

#[test]
fn a_slow_reader_of_a_fifo_gets_every_line_after_a_stop() {
    slow_reader_gets_every_line(true);
}

fn slow_reader_gets_every_line(is_output_file: bool) {
    let silent = silent();
    // More lines than a pipe holds, whose first 64 KiB alone take this reader more than a second.
    let input = targets(&silent, 700);
    let (mut reader, stdout) = io::pipe().unwrap();
    let run = Tlsweep::json().args(FAR);
    // The name of a pipe that is open is opened as a FIFO is.
    let run = if is_output_file { run.args(["-o", "/proc/self/fd/1"]) } else { run };
    let mut run = run.stdout(stdout).start();
    run.write(&(input.join("\n") + "\n"));
    run.has_read_everything();
    run.listens_for_signals();
    run.signal("TERM");
    run.signal("INT");
    let slowly = std::thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), [0; 1024]);
        for _ in 0..150 {
            let read = reader.read(&mut piece).unwrap();
            text.extend_from_slice(&piece[..read]);
            std::thread::sleep(Duration::from_millis(20));
        }
        reader.read_to_end(&mut text).unwrap();
        text
    });
    let outcome = run.ends_within(AT_ONCE);
    let text = String::from_utf8(slowly.join().unwrap()).unwrap();
    assert!(matches!(outcome.code, Some(130 | 143)), "{:?}: {}", outcome.code, outcome.stderr);
    assert!(text.ends_with('\n'), "the last line is torn");
    let records = decode_lines(&text);
    let found = records.iter().map(|record| record["target"].as_str().unwrap().to_owned());
    assert_eq!(sorted(found), sorted(input));
}

#[test]
fn a_signal_before_the_sweep_ends_it_at_once() {
    let Some(mkfifo) = Program::find("mkfifo") else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let fifo = path("fifo");
    assert!(mkfifo.run([&fifo]).status.success());
    let cases: [&[&str]; 8] = [
        &["-j", "-o", &fifo, "127.0.0.1:1"],
        &["--exclude", &fifo, "127.0.0.1:1"],
        &["--roots", &fifo, "127.0.0.1:1"],
        &["--status-file", &fifo, "127.0.0.1:1"],
        &["-f", &fifo],
        &["--dry-run", "-f", &fifo],
        &["--dry-run", "-f", "/dev/zero"],
        &["--dry-run"],
    ];
    for args in cases {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let run = Tlsweep::new().args(args).start();
            run.listens_for_signals();
            run.signal(signal);
            let outcome = run.ends_within(AT_ONCE);
            assert_eq!(outcome.code, Some(code), "{args:?}: {}", outcome.stderr);
            assert!(outcome.stdout.is_empty(), "{args:?}");
        }
    }
}

#[test]
fn max_time_counts_before_the_sweep_too() {
    let Some(mkfifo) = Program::find("mkfifo") else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("fifo").to_str().unwrap().to_owned();
    assert!(mkfifo.run([&fifo]).status.success());
    let cases: [&[&str]; 5] = [
        &["-j", "-o", &fifo, "127.0.0.1:1"],
        &["--exclude", &fifo, "127.0.0.1:1"],
        &["--status-file", &fifo, "127.0.0.1:1"],
        &["--dry-run", "-f", "/dev/zero"],
        &["--dry-run", "0.0.0.0/0"],
    ];
    for args in cases {
        let run = Tlsweep::new().args(["--max-time", "100ms"]).args(args).start();
        let outcome = run.ends_within(AT_ONCE);
        assert_eq!(outcome.code, Some(130), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_signal_while_a_long_list_is_compared_ends_it_at_once() {
    let dir = TempDir::new().unwrap();
    let (list, out) = (dir.path().join("list"), dir.path().join("out.jsonl"));
    let peer = Spec::refusing().start();
    fs::write(&list, format!("{}\n", peer.target())).unwrap();
    let resume = |list: &std::path::Path| {
        let files = ["-f".as_ref(), list.as_os_str(), "-o".as_ref(), out.as_os_str()];
        Tlsweep::json().args(files).args(["--resume"])
    };
    resume(&list).run("").assert_complete();
    // A hole: it takes seconds to read through, and no room on the disk.
    let file = File::options().append(true).open(&list).unwrap();
    file.set_len(64 << 30).unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let run = resume(&list).start();
        run.listens_for_signals();
        run.signal(signal);
        assert_eq!(run.ends_within(AT_ONCE).code, Some(code));
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let silent = silent();
    for signal in ["INT", "TERM"] {
        let script = format!("trap '' {signal}; exec \"$@\"");
        let limits = ["--handshake-timeout", "1500ms"];
        let mut run = Tlsweep::json_under("sh", ["-c", &script, "sh"])
            .args(limits)
            .args(["--no-legacy"])
            .start();
        run.write(&format!("{}\n", silent.target()));
        run.has_read_everything();
        run.signal(signal);
        assert_eq!(verdict(&run.next_record()), "handshake/timeout", "{signal}");
        run.finish().assert_complete();
    }
}
