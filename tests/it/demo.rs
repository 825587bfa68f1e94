//! `--demo`: the first thing that a new user runs.

use crate::support::cmd::{BINARY, Tlsweep, sorted, verdict};
use crate::support::programs::{Program, shown};

#[test]
fn the_demo_shows_every_kind_of_line() {
    let outcome = Tlsweep::json().args(["--demo"]).run("");
    outcome.assert_complete();
    let seen = sorted(outcome.records.iter().map(|record| match verdict(record) {
        ok if ok.starts_with("ok") => "ok".to_owned(),
        alert if alert.starts_with("handshake/alert") => "handshake/alert".to_owned(),
        failure => failure,
    }));
    for (word, least) in [
        ("ok", 3),
        ("handshake/timeout", 1),
        ("connect/refused", 1),
        ("handshake/not_tls", 1),
        ("handshake/alert", 1),
    ] {
        let count = seen.iter().filter(|verdict| *verdict == word).count();
        assert!(count >= least, "{count} of {word}: {seen:?}");
    }
    for (host, word) in
        [("good", "trusted"), ("expired", "expired"), ("self-signed", "self_signed")]
    {
        let host = format!("{host}.localhost");
        let record = outcome.records.iter().find(|record| record["host"] == host.as_str()).unwrap();
        assert_eq!(record["trust"]["verdict"], word, "{record:#}");
    }
    // It is to end within two seconds; a busy machine has some more.
    assert!(outcome.elapsed.as_secs() < 8, "{:?}", outcome.elapsed);
}

#[test]
fn the_demo_respects_a_limit_that_is_given() {
    let outcome = Tlsweep::json().args(["--demo", "--handshake-timeout", "3s"]).run("");
    let silent = outcome.assert_complete().records.iter();
    let silent = silent.filter(|record| verdict(record) == "handshake/timeout");
    for record in silent {
        assert!(record["ms"]["total"].as_f64().unwrap() >= 3000.0, "{record:#}");
    }
}

#[test]
fn the_demo_is_readable() {
    let outcome = Tlsweep::new().args(["--demo"]).run("");
    assert!(outcome.assert_complete().text().lines().count() >= 7);
}

/// Rows with the lines below them, in no particular order, without what differs from one run to the next: ports,
/// dates, days and times.
fn rows(text: &str) -> Vec<String> {
    let text = text.replace("\n  ", "\u{1f}  ");
    let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
    // The progress line is taken away before anything else is printed.
    let row = |row: &str| {
        row.rsplit("\x1b[2K").next().unwrap().trim_end().chars().map(digit).collect::<String>()
    };
    sorted(text.lines().map(row))
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let Some(script) = Program::find("script") else { return };
    let (_, block) = include_str!("../../README.md").split_once("```\nTARGET").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let command = format!("stty cols 80; TERM=xterm NO_COLOR=1 {BINARY} --demo");
    let output = script.run(["-qec", &command, "/dev/null"]);
    assert!(output.status.success(), "{}", shown(&output));
    let printed = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    assert_eq!(rows(&printed), rows(&format!("TARGET{block}")), "{printed}");
}
