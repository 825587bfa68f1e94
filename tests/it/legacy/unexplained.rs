//! What a hello of our own does not explain: then the first failure stands.

use std::time::Duration;

use serde_json::Value;

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

/// A ServerHello, or a HelloRetryRequest, with what is named and nothing besides.
fn server_hello(version: u16, suite: u16, compression: u8, extensions: &[u8]) -> Vec<u8> {
    let mut body = [&version.to_be_bytes()[..], &[7; 32], &[0], &suite.to_be_bytes()].concat();
    body.push(compression);
    if !extensions.is_empty() {
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
    }
    let length = u8::try_from(body.len()).unwrap();
    record(22, &[&[2, 0, 0, length], body.as_slice()].concat())
}

const RSA_AES128: u16 = 0x002f;
const SELECTED_TLS13: &[u8] = &[0, 43, 0, 2, 3, 4];

#[test]
fn a_choice_that_was_not_offered_breaks_the_protocol_and_is_not_believed() {
    let tls13_share = [SELECTED_TLS13, &[0, 51, 0, 2, 0xde, 0xad]].concat();
    for version in 0x0300..=0x0303 {
        // What is offered is believed.
        let record = answered_with(40, server_hello(version, RSA_AES128, 0, &[]));
        assert_eq!(verdict(&record), "handshake/unsupported", "{record:#}");
        assert_eq!(record["tls"]["cipher"], "TLS_RSA_WITH_AES_128_CBC_SHA", "{record:#}");
        for (suite, compression, extensions) in [
            (0x1301, 0, &[][..]),
            (0xdead, 0, &[]),
            (RSA_AES128, 1, &[]),
            (RSA_AES128, 0, b"\x00\x10\x00\x05\x00\x03\x02h2"),
            (RSA_AES128, 0, SELECTED_TLS13),
        ] {
            let lie = server_hello(version, suite, compression, extensions);
            check_not_believed(&answered_with(40, lie));
        }
    }
    for version in [0x0002, 0x0304, 0x0305, 0xfeff, 0xffff] {
        check_not_believed(&answered_with(40, server_hello(version, RSA_AES128, 0, &[])));
    }
    // To the alert protocol_version, TLS 1.3 alone is offered next.
    for lie in [
        server_hello(0x0303, 0x1301, 0, &tls13_share),
        server_hello(0x0303, 0xdead, 0, SELECTED_TLS13),
        server_hello(0x0303, 0x1301, 1, SELECTED_TLS13),
        server_hello(0x0303, 0x1301, 0, &[0, 43, 0, 2, 3, 5]),
        server_hello(0x0303, RSA_AES128, 0, &[]),
    ] {
        check_not_believed(&answered_with(70, lie));
    }
}

/// The record of a server that sends this alert until it is sent a hello that may be answered so.
fn answered_with(alert: u8, answer: Vec<u8>) -> Value {
    let is_refused = match alert {
        // The only hello with TLS 1.3 that is small.
        70 => |hello: &[u8]| hello.len() > 1000 || !is_tls13(hello),
        _ => |hello: &[u8]| hello.len() > 1000,
    };
    let refusal = IfHello(is_refused, vec![ReadHello, fatal(alert), Fin]);
    let peer = Spec::script([refusal, ReadHello, send(answer), Fin]).start();
    let outcome = Tlsweep::json().args(["--handshake-timeout", LIMIT]).sweep([peer.target()]);
    outcome.only_record().clone()
}

fn is_tls13(hello: &[u8]) -> bool {
    hello.windows(6).any(|window| window == [43, 0, 3, 2, 3, 4])
}

fn check_not_believed(record: &Value) {
    assert_eq!(verdict(record), "handshake/protocol", "{record:#}");
    let detail = record["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("which the hello does not offer"), "{record:#}");
    for field in ["version", "cipher", "group", "alpn", "legacy"] {
        assert!(record["tls"].get(field).is_none(), "{field}: {record:#}");
    }
}

/// rustls refuses it, and says nothing of it to us; the first bytes of the server would.
#[test]
fn a_choice_that_rustls_did_not_offer_is_not_believed_either() {
    for version in 0x0300..=0x0305 {
        let answer = server_hello(version, RSA_AES128, 0, &[]);
        let peer = Spec::script([ReadHello, send(answer), Fin]).start();
        let outcome = Tlsweep::json().args(["--no-legacy"]).sweep([peer.target()]);
        let record = outcome.only_record();
        assert_eq!(record["error"]["stage"], "handshake", "{record:#}");
        for field in ["version", "cipher", "group"] {
            assert!(record["tls"].get(field).is_none(), "{field}: {record:#}");
        }
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
