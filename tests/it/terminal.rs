//! What a person sees on a terminal: the table, the detail, colours, progress.

use std::fs;

use tempfile::TempDir;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::support::cmd::{BINARY, Tlsweep};
use crate::support::peer::Spec;
use crate::support::pki::CA;
use crate::support::programs::{Program, shown};
use crate::support::script::Step;

/// What a command prints on a terminal of so many columns, its stderr left out.
fn on_terminal(columns: usize, environment: &str, args: &[&str]) -> Option<String> {
    let script = Program::find("script")?;
    let quoted: Vec<_> = args.iter().map(|arg| format!("'{arg}'")).collect();
    let command = format!(
        "stty cols {columns} rows 24; {environment} {BINARY} {} 2>/dev/null",
        quoted.join(" ")
    );
    let output = script.run(["-qec", &command, "/dev/null"]);
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", shown(&output));
    Some(String::from_utf8(output.stdout).unwrap().replace('\r', ""))
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

/// Forty targets of every kind, in a file.
struct List {
    dir: TempDir,
    _peers: Vec<crate::support::peer::Peer>,
}

impl List {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let good = Spec::good().on_all_of_loopback().start();
        let refusing = Spec::refusing().on_all_of_loopback().start();
        let long = format!("{}.{}.localhost", "a".repeat(60), "b".repeat(60));
        let wide = "\u{4f8b}\u{3048}".repeat(8);
        let mut lines = Vec::new();
        for number in 1..=12 {
            lines.push(format!("127.0.0.{number}:{},good.test", good.addr.port()));
            lines.push(format!("127.0.0.{number}:{},other.test", good.addr.port()));
            lines.push(format!("127.0.0.{number}:{}", refusing.addr.port()));
        }
        lines.push(format!("{long}:{}", good.addr.port()));
        lines.push(format!("{wide}..test"));
        lines.push("two words and more that are no target at all".to_owned());
        lines.push(format!("[::ffff:127.0.0.1]:{},good.test", good.addr.port()));
        fs::write(dir.path().join("list"), lines.join("\n")).unwrap();
        fs::copy(CA.write_to(&dir), dir.path().join("roots")).unwrap();
        Self { dir, _peers: vec![good, refusing] }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn no_row_of_the_table_wraps() {
    let list = List::new();
    for columns in [60, 80, 100, 120, 200] {
        let args = ["-f", &list.path("list"), "--roots", &list.path("roots"), "-c1"];
        let Some(text) = on_terminal(columns, "TERM=xterm", &args) else { return };
        let plain = without_colours(&text);
        let mut lines = plain.lines();
        let header = lines.next().unwrap();
        assert!(header.starts_with("TARGET") && header.contains("RESULT"), "{header}");
        for line in plain.lines() {
            assert!(line.width() <= columns, "{columns}: {} columns: {line}", line.width());
            assert_eq!(line, line.trim_end(), "blanks at the end");
        }
        let rows = lines.filter(|line| !line.starts_with(' ')).count();
        assert_eq!(rows, 40, "{columns}: {plain}");
        assert!(plain.contains("it is for good.test"), "{columns}: {plain}");
        assert!(!plain.contains("name_mismatch (it"), "said beside the verdict: {plain}");
        assert!(plain.contains('\u{2026}'), "{columns}: a long name is shortened: {plain}");
        for (column, least) in [("DAYS", 60), ("VERDICT", 60), ("VERSION", 80), ("GROUP", 100)] {
            let is_there = header.contains(column);
            assert!(is_there || columns < least, "{columns}: {header}");
        }
        let failing = plain.lines().position(|line| line.contains("connect/refused")).unwrap();
        let told: Vec<_> = plain.lines().skip(failing).take(2).collect();
        // Beside it where there is room, else on a line of its own.
        let is_beside = told[0].ends_with("Connection refused (os error 111)");
        let is_below = told[1] == "    Connection refused (os error 111)";
        assert!(is_beside || is_below, "{columns}: {told:?}");
        assert_eq!(is_beside, columns >= 100, "{columns}: {told:?}");
    }
}

/// What a command prints on a terminal of so many columns, with its stderr.
fn with_messages(columns: usize, args: &[&str]) -> Option<String> {
    let script = Program::find("script")?;
    let command = format!("stty cols {columns} rows 24; TERM=xterm {BINARY} {}", args.join(" "));
    let output = script.run(["-qec", &command, "/dev/null"]);
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", shown(&output));
    Some(String::from_utf8(output.stdout).unwrap().replace('\r', ""))
}

#[test]
fn messages_break_between_words() {
    let list = List::new();
    for columns in [60, 80, 120] {
        let args = ["-f", &list.path("list"), "--roots", &list.path("roots"), "-c1 >/dev/null"];
        let Some(text) = with_messages(columns, &args) else { return };
        let summary = text.rsplit_once("tlsweep: ").unwrap().1;
        let lines: Vec<_> = summary.lines().collect();
        assert!(lines.iter().all(|line| line.width() <= columns), "{columns}: {summary}");
        assert!(lines.iter().skip(1).all(|line| line.starts_with("  ")), "{columns}: {summary}");
        let parted = |line: &&str| line.ends_with(|c: char| c.is_ascii_digit());
        assert!(!lines.iter().any(parted), "{columns}: a number without its word: {summary}");
        let words: Vec<_> = summary.split_whitespace().collect();
        for word in ["connect/refused,", "input/invalid_target)"] {
            assert!(words.contains(&word), "{columns}: no {word} in {words:?}");
        }
    }
}

/// The most columns that a terminal gives a text, whichever characters it joins.
fn most_columns(text: &str) -> usize {
    let columns = |c: char| match c {
        '\u{1f1e6}'..='\u{1f1ff}' => 2,
        _ => c.width().unwrap_or_default(),
    };
    text.chars().map(columns).sum()
}

#[test]
fn hostile_names_neither_wrap_nor_steer_a_terminal_of_any_width() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("list");
    let names = [
        "\u{202e}abc\u{202c}.example".to_owned(),
        "e\u{301}".repeat(60),
        "a\u{200b}b\u{200d}c.example".to_owned(),
        "\u{1f468}\u{200d}\u{1f469}".repeat(9),
        "x".repeat(10_000),
        "\u{4f8b}".repeat(300),
        "\x1b[31mred\x1b[0m\x07.example".to_owned(),
        "\u{9b}31m".to_owned(),
        "\u{645}\u{631}\u{62d}".repeat(20),
        "0\u{fe0f}\u{20e3}".repeat(30),
        "\u{1f1e9}\u{1f1ea}".repeat(30),
        "\u{1100}\u{1161}\u{11a8}".repeat(30),
        format!("127.0.0.1:1,a.example,tag\x1b]0;title\x07{}", "\u{ff21}".repeat(50)),
    ];
    fs::write(&path, names.join("\n")).unwrap();
    for columns in [20, 40, 60, 79, 80, 81, 120] {
        for flags in ["", "--all-addresses", "--format detail", "--format report", "-v"] {
            let args = format!("-f {} {flags}", path.display());
            let Some(text) = with_messages(columns, &[&args]) else { return };
            // The progress line is taken away before something else is printed.
            let pieces = text.lines().flat_map(|line| line.split("\x1b[2K"));
            for piece in pieces {
                let plain = without_colours(piece);
                let is_plain = plain.chars().all(tlsweep::escape::is_plain);
                assert!(is_plain, "{columns} {flags}: {piece:?}");
                let taken = most_columns(plain.trim_end());
                assert!(taken <= columns, "{columns} {flags}: {taken} columns: {plain}");
            }
        }
    }
}

#[test]
fn a_row_fits_into_what_the_terminal_has_become() {
    let Some(script) = Program::find("script") else { return };
    let refusing = Spec::refusing().start();
    let dir = TempDir::new().unwrap();
    let status = dir.path().join("status");
    // The terminal is made narrow once the sweep runs, and only then is there a target.
    let command = format!(
        "stty cols 120 rows 24; \
         (until test -s {0}; do :; done; stty cols 40 </dev/tty; echo {target}) | \
         TERM=xterm {BINARY} -q -f - --status-file {0} --status 50ms",
        status.display(),
        target = refusing.target(),
    );
    let output = script.run(["-qec", &command, "/dev/null"]);
    assert!(output.status.success(), "{}", shown(&output));
    let text = without_colours(&String::from_utf8(output.stdout).unwrap().replace('\r', ""));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.last(), Some(&"    Connection refused (os error 111)"), "{text}");
    assert!(lines.iter().all(|line| line.width() <= 40), "{text}");
}

#[test]
fn mistakes_on_the_command_line_fit_and_say_no_more_than_they_must() {
    let Some(script) = Program::find("script") else { return };
    for (args, words) in [
        ("--groups P-255 a.test", "these can: X25519MLKEM768"),
        ("--frobnicate a.test", "unexpected argument '--frobnicate'"),
        ("--only-failing -f a-list-of-hosts.txt --handshake-timeout 3s", "--fail-on"),
    ] {
        for columns in [60, 80] {
            let command = format!("stty cols {columns} rows 24; TERM=xterm {BINARY} {args}");
            let output = script.run(["-qec", &command, "/dev/null"]);
            assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
            let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
            let plain = without_colours(&text);
            assert!(plain.starts_with("tlsweep: error: ") && plain.contains(words), "{plain}");
            assert!(!plain.contains("Usage") && !plain.contains("--roots"), "{plain}");
            assert!(plain.lines().all(|line| line.width() <= columns), "{columns}: {plain}");
        }
    }
}

#[test]
fn the_report_fits_and_says_every_reason_whole() {
    let list = List::new();
    for columns in [60, 80, 100, 120, 200] {
        let args = ["--format report -f", &list.path("list"), "--roots", &list.path("roots")];
        let Some(text) = with_messages(columns, &args) else { return };
        let (_, report) = text.split_once("TLS sweep of 40 results").unwrap();
        let plain = without_colours(report);
        for line in plain.lines() {
            assert!(line.width() <= columns, "{columns}: {line}");
        }
        assert!(!plain.contains("in flight"), "{columns}: progress stays: {plain}");
        let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        for reason in ["Connection refused (os error 111)", "the name has an empty label"] {
            let found = words.contains(reason)
                || reason.split(' ').all(|word| plain.lines().any(|line| line.contains(word)));
            assert!(found, "{columns}: {reason} is not in {plain}");
        }
    }
}

#[test]
fn the_address_is_a_column_where_a_target_has_several() {
    let good = Spec::good().start();
    let target = good.target();
    let shown = |args: &[&str]| {
        on_terminal(100, "TERM=xterm", &[args, &["-c1", &target, &target]].concat())
    };
    let Some(with) = shown(&["--all-addresses"]) else { return };
    assert!(with.contains("ADDRESS"), "{with}");
    let row = without_colours(&with).lines().nth(1).unwrap().to_owned();
    assert_eq!(row.matches("127.0.0.1").count(), 2, "{row}");
    assert!(!shown(&[]).unwrap().contains("ADDRESS"));
}

#[test]
fn colours_are_where_they_are_wanted() {
    let good = Spec::good().start();
    let args = [good.target(), good.target()];
    let args = [args[0].as_str(), args[1].as_str()];
    let coloured = |environment: &str, flags: &[&str]| {
        let text = on_terminal(80, environment, &[&args, flags].concat())?;
        Some(text.contains("\x1b[32m"))
    };
    for (environment, flags, expected) in [
        ("TERM=xterm", &[][..], true),
        ("TERM=dumb", &[], false),
        ("TERM=xterm NO_COLOR=1", &[], false),
        ("TERM=xterm NO_COLOR=", &[], true),
        ("TERM=xterm", &["--color", "never"], false),
        ("TERM=dumb NO_COLOR=1", &["--color", "always"], true),
        ("TERM=dumb CLICOLOR_FORCE=1", &[], true),
        ("TERM=xterm NO_COLOR=1 CLICOLOR_FORCE=1", &[], false),
    ] {
        let Some(found) = coloured(environment, flags) else { return };
        assert_eq!(found, expected, "{environment} {flags:?}");
    }
    let piped = |flags: &[&str], force: &str| {
        let run = Tlsweep::new().env("CLICOLOR_FORCE", force).args(flags).args(args);
        let outcome = run.run("");
        outcome.assert_complete();
        assert_eq!(outcome.text().lines().next().unwrap().split('\t').count(), 9);
        outcome.text().contains("\x1b[")
    };
    assert_eq!(
        [piped(&[], "0"), piped(&[], "1"), piped(&["--color=always"], "0")],
        [false, true, true]
    );
}

#[test]
fn what_a_library_calls_the_end_of_a_connection_is_said_in_our_words() {
    let closing = Spec::script([Step::ReadHello, Step::Fin]).start();
    let outcome = Tlsweep::new().args([closing.target()]).run("");
    let text = outcome.text();
    assert!(text.contains("handshake/eof"), "{text}");
    assert!(text.contains("the peer closed the connection"), "{text}");
}

#[test]
fn one_target_on_a_terminal_is_told_in_detail() {
    let good = Spec::good().start();
    let dir = TempDir::new().unwrap();
    let roots = CA.write_to(&dir);
    let line = format!("{},other.test", good.target());
    for columns in [60, 80, 200] {
        let args = ["--roots", roots.to_str().unwrap(), line.as_str()];
        let Some(text) = on_terminal(columns, "TERM=xterm", &args) else { return };
        let plain = without_colours(&text);
        for word in
            ["verdict", "name_mismatch", "to do:", "protocol", "TLSv1.3", "subject", "issuer"]
        {
            assert!(plain.contains(word), "{columns}: no {word} in {plain}");
        }
        for word in
            ["valid", "SHA-256", "pin", "chain", "root", "times", "X25519MLKEM768", "good.test"]
        {
            assert!(plain.contains(word), "{columns}: no {word} in {plain}");
        }
        assert!(plain.lines().all(|line| line.width() <= columns), "{columns}: {plain}");
    }
    let refusing = Spec::refusing().start();
    let text = on_terminal(80, "TERM=xterm", &[&refusing.target()]).unwrap();
    for word in
        ["connect/refused", "reason", "tried", "1 connection to port", "likely", "nothing listens"]
    {
        assert!(text.contains(word), "no {word} in {text}");
    }
    // Not for several, nor in a pipe.
    let several = on_terminal(80, "TERM=xterm", &[&good.target(), &good.target()]).unwrap();
    assert!(several.contains("TARGET"), "{several}");
    let piped = Tlsweep::new().args([good.target()]).run("");
    assert_eq!(piped.text().split('\t').count(), 9, "{}", piped.text());
    let asked = Tlsweep::new().args(["--format", "detail", &good.target()]).run("");
    assert!(asked.assert_complete().text().contains("\n  protocol "), "{}", asked.text());
}

#[test]
fn what_is_enumerated_is_told_in_detail() {
    let good = Spec::good().on_all_of_loopback().start();
    let args = ["--format", "detail", "--enumerate", &good.target()];
    let outcome = Tlsweep::new().args(args).run("");
    let text = outcome.assert_complete().text();
    for word in ["TLSv1.3", "suites", "TLS_AES_128_GCM_SHA256", "groups", "SSLv3"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
    for line in text.lines().skip(1) {
        let (label, value) = line.split_at(16);
        assert!(label.ends_with("  ") && !value.starts_with(' '), "out of line: {line}");
    }
    let answers = text.lines().filter(|line| line.contains("renegotiation  "));
    assert_eq!(answers.count(), 1, "{text}");
}

#[test]
fn progress_is_for_terminals_whose_output_is_no_pipe() {
    let Some(script) = Program::find("script") else { return };
    let silent = Spec::script([Step::Hold]).start();
    let run = |environment: &str, stdout: &str| {
        let command = format!(
            "stty cols 100; env {environment} {BINARY} --handshake-timeout 1s {0} {0} {stdout}",
            silent.target()
        );
        let output = script.run(["-qec", &command, "/dev/null"]);
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    for (stdout, is_shown) in [("", true), (">/dev/null", true), ("| cat", false)] {
        let text = run("TERM=xterm", stdout);
        assert_eq!(text.contains("in flight"), is_shown, "{stdout:?}: {text:?}");
        assert!(
            !text.contains("100% 0 done") && !text.contains(", 0s left"),
            "{stdout:?}: {text:?}"
        );
    } // Such terminals show an escape sequence as it is.
    for environment in ["TERM=dumb", "-u TERM"] {
        let text = run(environment, "");
        assert!(text.contains("handshake/timeout") && !text.contains('\x1b'), "{text:?}");
    }
}
