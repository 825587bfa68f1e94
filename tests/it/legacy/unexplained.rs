//! What a hello of our own does not explain: then the first failure stands.

use std::time::Duration;

use super::record;
use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::script::Step::{
    Drip, Fin, Forever, Hold, IfHello, ReadHello, Reset, Say, UpTo12,
};
use crate::support::script::{CERTIFICATE12, Step, fatal, send};
use crate::support::tls::Msg;

/// Half of it must suffice for a busy machine to answer, or the smaller hello is tried.
const LIMIT: &str = "4s";

/// The script, what the line says, and how many dials it takes with and without the legacy hello.
fn check_first_failure(steps: impl Into<Vec<Step>>, expected: &str, with: u64, without: u64) {
    let peer = Spec::script(steps).start();
    for (flags, attempts) in [
        (&["--handshake-timeout", LIMIT][..], with),
        (&["--handshake-timeout", LIMIT, "--no-legacy"], without),
    ] {
        let outcome = Tlsweep::json().args(flags).sweep([peer.target()]);
        let record = outcome.only_record();
        assert_eq!(verdict(record), expected, "{record:#}");
        assert_eq!(record["attempts"], attempts, "{record:#}");
        assert!(record["tls"].get("legacy").is_none(), "{record:#}");
        assert!(record["ms"]["total"].as_f64().unwrap() < 10_000.0, "{record:#}");
    }
}

#[test]
fn a_refusal_of_every_hello_stays_the_first_refusal() {
    for (alert, name, attempts) in [
        (40, "handshake_failure", 4),
        (47, "illegal_parameter", 3),
        (50, "decode_error", 3),
        (70, "protocol_version", 4),
        (71, "insufficient_security", 4),
        (80, "internal_error", 3),
    ] {
        let expected = format!("handshake/alert {name}");
        check_first_failure([ReadHello, fatal(alert), Fin], &expected, attempts, 1);
    }
    check_first_failure([ReadHello, Fin], "handshake/eof", 4, 2);
    check_first_failure([ReadHello, Reset], "handshake/reset", 4, 2);
}

#[test]
fn other_refusals_are_not_about_versions_and_suites() {
    // What refuses the application protocols is dialled once more without any.
    for (alert, name, attempts) in
        [(48, "unknown_ca", 1), (112, "unrecognized_name", 1), (120, "no_application_protocol", 2)]
    {
        let expected = format!("handshake/alert {name}");
        check_first_failure([ReadHello, fatal(alert), Fin], &expected, attempts, attempts);
    }
    check_first_failure(
        [UpTo12(CERTIFICATE12), fatal(40), Fin],
        "handshake/alert handshake_failure",
        1,
        1,
    );
    check_first_failure([UpTo12(CERTIFICATE12), Fin], "handshake/eof", 1, 1);
}

#[test]
fn silence_and_other_protocols_are_not_asked_again() {
    // The second dial is the one without the post-quantum share.
    check_first_failure([Hold], "handshake/timeout", 2, 2);
    check_first_failure(
        [send("HTTP/1.1 400 Bad Request\r\n\r\n"), Hold],
        "handshake/not_tls",
        1,
        1,
    );
    let peer = Spec::refusing().start();
    let outcome = Tlsweep::json().sweep([peer.target()]);
    assert_eq!(outcome.only_record()["attempts"], 1);
}

/// Only the first of our hellos has over 1,000 bytes.
fn turns_down_a_large_hello() -> Step {
    IfHello(|hello| hello.len() > 1000, vec![ReadHello, fatal(40), Fin])
}

#[test]
fn an_answer_that_does_not_explain_leaves_the_first_failure() {
    let expected = "handshake/alert handshake_failure";
    let endless = record(22, &[&[2, 0, 0xff, 0xff, 3, 1][..], &[7; 500]].concat());
    for (answer, attempts) in [
        // Silence, in the end or between bytes, is not asked a third time.
        (vec![Hold], 2),
        (vec![ReadHello, Drip(endless.clone(), Duration::from_millis(50))], 2),
        (vec![send("-ERR What?\r\n"), Hold], 2),
        (vec![ReadHello, Forever(vec![send(record(22, &[0; 4]))])], 2),
        (vec![ReadHello, Forever(vec![send(&endless)])], 2),
        // This much rustls can speak: it was something else that it met.
        (vec![ReadHello, Say(Msg::ServerHello12), Hold], 2),
        (vec![UpTo12(4), Hold], 2),
    ] {
        check_first_failure(
            [vec![turns_down_a_large_hello()], answer].concat(),
            expected,
            attempts,
            1,
        );
    }
}

#[test]
fn the_legacy_dial_is_within_the_handshake_limit() {
    let peer = Spec::script([turns_down_a_large_hello(), Hold]).start();
    let outcome = Tlsweep::json().args(["--handshake-timeout", "300ms"]).sweep([peer.target()]);
    let record = outcome.only_record();
    let total = record["ms"]["total"].as_f64().unwrap();
    assert!((300.0..10_000.0).contains(&total), "{record:#}");
}
