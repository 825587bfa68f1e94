//! The manners of the process: exit codes, pipes, a full disk, signals.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;
use tlsweep::config::GRACE;

use crate::support::cmd::{AT_ONCE, BINARY, Running, Tlsweep, sorted, verdict};
use crate::support::peer::{Peer, Spec};
use crate::support::programs::{Program, shown};
use crate::support::script::Step;

#[test]
fn empty_input_is_no_lines_and_success() {
    let outcome = Tlsweep::json().run("");
    assert!(outcome.assert_complete().stdout.is_empty());
}

/// `tlsweep "$HOST"` in a shell where the variable is empty must not pass a check.
#[test]
fn a_blank_argument_is_a_target_that_is_none() {
    for argument in ["", " ", "# no comment"] {
        let outcome = Tlsweep::json().args(["--fail-on", "error", argument]).run("");
        assert_eq!(outcome.code, Some(1), "{argument:?}: {}", outcome.stderr);
        assert_eq!(verdict(&outcome.records[0]), "input/invalid_target", "{argument:?}");
    }
}

#[test]
fn dead_hosts_are_results_and_not_errors() {
    let outcome = Tlsweep::json().sweep([Spec::refusing().start().target()]);
    assert_eq!(verdict(outcome.only_record()), "connect/refused");
}

#[test]
fn bad_arguments_exit_2_with_a_message() {
    let cases: [&[&str]; 8] = [
        &["--no-such-flag"],
        &["--concurrency", "0"],
        &["--concurrency", "many"],
        &["--handshake-timeout", "banana"],
        &["--format", "xml"],
        &["--tls", "1.1"],
        &["--fields", "no.such.field"],
        &["--port", "65536"],
    ];
    for args in cases {
        let outcome = Tlsweep::new().args(args).run("127.0.0.1:1\n");
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty(), "{args:?}");
        assert!(!outcome.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn unusable_files_exit_2_and_nothing_is_dialled() {
    let dir = TempDir::new().unwrap();
    let directory = dir.path().to_str().unwrap();
    let peer = Spec::good().start();
    for (flag, path) in [
        ("--file", "/no/such/file"),
        ("--file", directory),
        ("--roots", "/no/such/root.pem"),
        ("--roots", "/dev/null"),
    ] {
        let outcome = Tlsweep::new().args([flag, path, &peer.target()]).run("");
        assert_eq!(outcome.code, Some(2), "{flag} {path}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(path), "{flag} {path}: {}", outcome.stderr);
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn what_could_not_arrive_is_an_error_before_the_first_dial() {
    let peer = Spec::good().start();
    let target = peer.target();
    let cases: [(&str, &[&str], &str); 10] = [
        (">&-", &["--version"], "stdout is closed"),
        (">&-", &["--help"], "stdout is closed"),
        (">&-", &[&target], "stdout is closed"),
        (">&-", &["--dry-run", &target], "stdout is closed"),
        (">&-", &["--print-schema"], "stdout is closed"),
        ("1</dev/null", &[&target], "stdout is not open for writing"),
        ("<&-", &[], "stdin is closed"),
        ("<&-", &["-f", "-"], "stdin is closed"),
        ("0>/dev/null", &[], "stdin is not open for reading"),
        ("0>/dev/null", &["--from", "-"], "stdin is not open for reading"),
    ];
    for (redirected, args, message) in cases {
        let script = format!("exec \"$@\" {redirected}");
        let outcome = Tlsweep::json_under("sh", ["-c", &script, "sh"]).args(args).run("");
        assert_eq!(outcome.code, Some(2), "{redirected} {args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{redirected} {args:?}: {}", outcome.stderr);
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_stdin_that_was_opened_as_a_place_alone_is_no_empty_list() {
    for args in [&[][..], &["-f", "-"], &["--from", "-"]] {
        let place = rustix::fs::open("/etc/passwd", OFlags::PATH, Mode::empty()).unwrap();
        let outcome = Tlsweep::json().args(args).stdin(place).start().finish();
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("stdin is not open for reading"), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_not_needed_may_be_closed() {
    let peer = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("out.txt");
    let file = file.to_str().unwrap();
    for (redirected, args) in [
        ("<&-", &[][..]),
        ("2>&-", &[]),
        ("<&- 2>&-", &[]),
        (">/dev/null", &[]),
        ("1<>/dev/null", &[]),
        ("<&- >&- 2>&-", &["-o", file]),
    ] {
        let before = peer.accepted();
        let script = format!("exec \"$@\" {redirected}");
        let run = Tlsweep::json_under("sh", ["-c", &script, "sh"]).args(args);
        let outcome = run.args([peer.target()]).run("");
        assert_eq!(outcome.code, Some(0), "{redirected} {args:?}: {}", outcome.stderr);
        assert!(peer.accepted() > before, "{redirected}");
    }
    assert!(std::fs::read_to_string(file).unwrap().contains(&peer.target()));
}

#[test]
fn a_list_of_protocols_that_no_hello_has_room_for_is_an_error() {
    let peer = Spec::good().start();
    let list = vec!["a".repeat(250); 280].join(",");
    let outcome = Tlsweep::new().args(["--alpn", &list, &peer.target()]).run("");
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--alpn") && outcome.stderr.len() < 200, "{}", outcome.stderr);
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_name_server_that_forges_answers_is_not_heard_on_stderr() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            for forged in 1..=100 {
                let mut answer = query[..length].to_vec();
                answer[0] ^= forged;
                answer[2] |= 0x80;
                _ = socket.send_to(&answer, client);
            }
        }
    });
    let names: Vec<_> = (0..10).map(|n| format!("n{n}.test")).collect();
    let sweep = |args: &[&str]| {
        let limits = ["--resolver", &address, "--resolve-timeout", "300ms"];
        Tlsweep::json().args(limits).args(args).sweep(&names)
    };
    let outcome = sweep(&[]);
    assert_eq!(outcome.records.len(), names.len());
    let lines: Vec<_> = outcome.stderr.lines().collect();
    // The summary, and at most a warning that the name server does not answer.
    assert!(
        lines.len() <= 2 && lines.iter().all(|line| line.starts_with("tlsweep: ")),
        "{lines:?}"
    );
    assert_eq!(sweep(&["-q"]).stderr, "");
    for flag in ["-v", "-vv"] {
        let told = sweep(&[flag]).stderr;
        assert!(!told.contains("hickory"), "{flag}: {told}");
    }
}

#[test]
fn what_happens_to_each_target_is_told_in_our_own_words() {
    let good = Spec::good().start();
    let named = format!("good.localhost:{}", good.addr.port());
    let refusing = Spec::refusing().start();
    // A peer that answers no hello is dialled again with a smaller one.
    let deaf = Spec::script([Step::ReadHello, Step::Fin]).start();
    let run = Tlsweep::json().args(["-v"]);
    let targets = [named.clone(), refusing.target(), deaf.target(), "two words".to_owned()];
    let told = run.sweep(&targets).stderr;
    for words in [
        // The machine decides whether ::1 is another.
        format!("{named}: the name has "),
        format!("{named}: connection 1 to 127.0.0.1:{}, a hello with", good.addr.port()),
        format!("{named}: connected in "),
        format!("{named}: the server chooses TLSv1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768"),
        format!("{named}: the verdict is "),
        format!("{}: connect/refused: Connection refused", refusing.target()),
        format!("{}: handshake/eof: the peer closed the connection", deaf.target()),
        format!("{}: connection 2 to ", deaf.target()),
        "a hello without post-quantum groups".to_owned(),
        "two words: input/invalid_target: ".to_owned(),
    ] {
        assert!(told.contains(&words), "no {words:?} in {told}");
    }
    for line in told.lines() {
        assert!(line.starts_with("tlsweep: "), "{line}");
        assert!(!line.contains("rustls") && !line.contains("tlsweep::"), "{line}");
    }
}

#[test]
fn what_is_enumerated_is_told_by_topics_and_on_demand_by_questions() {
    let good = Spec::good().on_all_of_loopback().start();
    let target = good.target();
    let told = |flag: &str| {
        let outcome = Tlsweep::json().args([flag, "--enumerate", &target]).run("");
        outcome.assert_complete().stderr.clone()
    };
    let brief = told("-v");
    for topic in ["versions, suites and groups", "certificates", "signature schemes", "SSL 2.0"] {
        let lines = brief.lines().filter(|line| line.contains(&format!("{target}: {topic}: ")));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 1, "{topic}: {brief}");
        assert!(lines[0].contains(" dial") && lines[0].ends_with(" ms"), "{lines:?}");
    }
    assert!(brief.lines().count() < 20 && !brief.contains(", question "), "{brief}");
    let whole = told("-vv");
    let question = "versions, suites and groups, question 1: the server chooses TLSv1.";
    assert!(whole.contains(question), "{whole}");
}

#[test]
fn nothing_given_on_a_terminal_is_a_usage_error() {
    // `script` gives its command a terminal, and its exit code back.
    let Some(script) = Program::find("script") else {
        return;
    };
    let outcome = script.run(["-qec", BINARY, "/dev/null"]);
    assert_eq!(outcome.status.code(), Some(2), "{}", shown(&outcome));
}

#[test]
fn the_summary_is_one_line_unless_quiet() {
    let peer = Spec::good().start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    let quiet = Tlsweep::json().args(["-q"]).sweep([peer.target()]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn arguments_leave_stdin_alone() {
    let peer = Spec::good().start();
    let outcome = Tlsweep::json().args([peer.target()]).start().ends_within(AT_ONCE);
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

#[test]
fn results_flow_while_stdin_stays_open() {
    let peer = Spec::good().start();
    let mut run = Tlsweep::json().start();
    for number in 1..=3 {
        run.write(&format!("{}\n", peer.target()));
        assert_eq!(run.next_record()["line"], number);
    }
    run.finish().assert_complete();
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let peer = Spec::good().start();
    let line = format!("{}\n", peer.target());
    let mut run = Tlsweep::new().start();
    let _endless = run.feed_for_ever(move |_| line.clone().into_bytes());
    run.next_line();
    run.close_stdout();
    let outcome = run.ends_within(AT_ONCE);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.to_lowercase().contains("broken pipe"), "{}", outcome.stderr);
}

#[test]
fn a_full_disk_exits_3_with_a_message() {
    let peer = Spec::good().start();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = Tlsweep::new().stdout(full).sweep([peer.target()]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
}

#[test]
fn a_full_disk_under_what_is_printed_is_the_same_failure() {
    for args in [&["--generate", "man"][..], &["--print-schema"], &["--dry-run", "127.0.0.1"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let outcome = Tlsweep::new().stdout(full).args(args).run("");
        assert_eq!(outcome.code, Some(3), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    }
}

#[test]
fn a_full_disk_stops_a_sweep_that_never_ends() {
    let peer = Spec::good().start();
    let line = format!("{}\n", peer.target());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut run = Tlsweep::new().stdout(full).start();
    let _endless = run.feed_for_ever(move |_| line.clone().into_bytes());
    assert_eq!(run.ends_within(AT_ONCE).code, Some(3));
}

#[test]
fn a_full_disk_under_stderr_harms_nobody() {
    let peer = Spec::good().start();
    let script = ["-c", "exec \"$@\" 2>/dev/full", "sh"];
    let outcome = Tlsweep::json_under("sh", script).args(["-c", "1000000"]).sweep([peer.target()]);
    assert_eq!(verdict(outcome.only_record()), "ok close_notify");
}

#[test]
fn sigint_lets_nothing_get_lost() {
    interrupted_by("INT", 130);
}

#[test]
fn sigterm_lets_nothing_get_lost() {
    interrupted_by("TERM", 143);
}

#[test]
fn sighup_lets_nothing_get_lost() {
    interrupted_by("HUP", 129);
}

fn interrupted_by(signal: &str, code: i32) {
    let HalfDone { run, input, peers: _peers } = HalfDone::start();
    run.signal(signal);
    let outcome = run.ends_within(GRACE + AT_ONCE);
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    assert_eq!(outcome.targets(), sorted(input), "every line taken in has its line");
    let count =
        |word: &str| outcome.records.iter().filter(|record| verdict(record) == word).count();
    assert_eq!(count("ok close_notify"), 100);
    assert_eq!(count("local/interrupted"), 100);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let HalfDone { run, peers: _peers, .. } = HalfDone::start();
    // Two of the same kind could arrive as one.
    run.signal("TERM");
    run.signal("INT");
    let outcome = run.ends_within(GRACE.mul_f64(0.8));
    assert!(matches!(outcome.code, Some(130 | 143)), "{:?}: {}", outcome.code, outcome.stderr);
    let finished = outcome.records.iter().filter(|record| record["ok"] == true).count();
    assert_eq!(finished, 100);
}

#[test]
fn a_signal_ends_it_while_stdin_is_idle() {
    let peer = Spec::good().start();
    let mut run = Tlsweep::json().start();
    run.write(&format!("{}\n", peer.target()));
    run.next_record();
    run.signal("INT");
    assert_eq!(run.ends_within(AT_ONCE).code, Some(130));
}

#[test]
fn what_is_in_flight_may_finish_within_the_grace() {
    let slow =
        [Step::ReadHello, Step::Pause(Duration::from_millis(1500)), Step::Handshake, Step::Fin];
    let slow = Spec::script(slow).start();
    let good = Spec::good().start();
    let mut run = Tlsweep::json().start();
    run.write(&format!("{}\n{}\n", slow.target(), good.target()));
    assert_eq!(run.next_record()["target"], good.target());
    run.signal("INT");
    let outcome = run.ends_within(GRACE + AT_ONCE);
    assert_eq!(outcome.code, Some(130));
    assert_eq!(verdict(&outcome.records[1]), "ok eof");
}

#[test]
fn a_kill_loses_no_line_that_was_finished() {
    let HalfDone { run, peers: _peers, .. } = HalfDone::start();
    run.signal("KILL");
    let outcome = run.ends_within(AT_ONCE);
    assert_eq!(outcome.code, None);
    assert_eq!(outcome.records.len(), 100);
}

/// A run with 100 good targets, whose lines are there, and 100 silent ones, whose are not.
struct HalfDone {
    run: Running,
    input: Vec<String>,
    peers: [Peer; 2],
}

impl HalfDone {
    fn start() -> Self {
        let good = Spec::good().on_all_of_loopback().start();
        let silent = Spec::script([Step::Hold]).on_all_of_loopback().start();
        let input: Vec<String> = (1..=100)
            .flat_map(|number| {
                [&good, &silent].map(|peer| format!("127.0.0.{number}:{}", peer.addr.port()))
            })
            .collect();
        let mut run =
            Tlsweep::json().args(["--handshake-timeout", "60s", "--timeout", "60s"]).start();
        run.write(&input.iter().flat_map(|line| [line, "\n"]).collect::<String>());
        for _ in 0..100 {
            assert_eq!(run.next_record()["ok"], true);
        }
        Self { run, input, peers: [good, silent] }
    }
}
