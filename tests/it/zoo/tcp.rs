//! 6.1: what TCP can do.

use std::time::Duration;

use super::{Place, cases};
use crate::support::cmd::{Tlsweep, verdict};
use crate::support::peer::Spec;
use crate::support::script::Step::{
    CutInto, Drip, Fin, Freeze, Handshake, Hold, Pace, Pause, PeekHello, ReadHello, Reset, Say,
    UpTo,
};
use crate::support::script::{CERTIFICATE, EXTENSIONS, SERVER_HELLO, Step, VERIFY, send, warning};
use crate::support::tls::{Chain, Msg};

cases! {
    refused: Spec::refusing() => "connect/refused", Fast;
    blackhole: Spec::blackhole() => "connect/timeout", Connect;
    unreachable: Place::At("127.255.255.255:443") => "connect/unreachable", Fast;
    nobody_accepts: Spec::deaf() => "handshake/timeout", Handshake;

    // A reset before the first byte could come before the client has seen that it is connected.
    rst_at_once: script([PeekHello, Reset]) => "handshake/reset", Fast;
    fin_at_once: script([Fin]) => "handshake/eof", Fast, |record| {
        assert!(record["attempts"].as_u64() >= Some(2), "dialled again with another hello");
    };
    rst_after_hello: script([ReadHello, Reset]) => "handshake/reset", Fast;
    fin_after_hello: script([ReadHello, Fin]) => "handshake/eof", Fast;
    rst_in_record_header: script([ReadHello, header_of(200, 0), Reset]) => "handshake/reset", Fast;
    fin_in_record_header: script([ReadHello, send([22, 3]), Fin]) => "handshake/eof", Fast;
    rst_in_record: script([ReadHello, header_of(200, 50), Reset]) => "handshake/reset", Fast;
    fin_in_record: script([ReadHello, header_of(200, 50), Fin]) => "handshake/eof", Fast;
    rst_after_server_hello: script([UpTo(SERVER_HELLO), Reset]) => "handshake/reset", Fast;
    fin_after_server_hello: script([UpTo(SERVER_HELLO), Fin]) => "handshake/eof", Fast;
    rst_after_certificate: script([UpTo(CERTIFICATE), Reset]) => "handshake/reset", Fast;
    fin_after_certificate: script([UpTo(CERTIFICATE), Fin]) => "handshake/eof", Fast;
    fin_before_finished: script([UpTo(VERIFY), Fin]) => "handshake/eof", Fast;

    silent_at_once: script([Hold]) => "handshake/timeout", Handshake;
    silent_and_not_reading: script([Freeze]) => "handshake/timeout", Handshake;
    silent_after_header: script([ReadHello, header_of(200, 0), Hold]) => "handshake/timeout", Handshake;
    silent_after_server_hello: script([UpTo(SERVER_HELLO), Hold]) => "handshake/timeout", Handshake;
    silent_after_certificate: script([UpTo(CERTIFICATE), Hold]) => "handshake/timeout", Handshake;

    drip: script([ReadHello, Drip(endless_hello(), Duration::from_millis(100))])
        => "handshake/timeout", Handshake;
    // Slowly, for rustls buffers some 2,800 such records at most.
    records_of_one_byte_dripping:
        script([UpTo(EXTENSIONS), CutInto(1), Pace(Duration::from_millis(50)), Say(LONG_CERTIFICATE)])
        => "handshake/timeout", Handshake;
    slow_but_alive: script([ReadHello, Pause(Duration::from_millis(1200)), Handshake, warning(0), Hold])
        => "ok close_notify", Fast;
    fragments_of_one_byte: script([ReadHello, CutInto(1), Handshake, warning(0), Hold])
        => "ok close_notify", Fast;
    good_on_ipv6: Spec::good().on_v6() => "ok close_notify", Fast;
}

/// One limit covers all dials together. It does not begin again with the second dial, which is made
/// when half of it has passed in silence.
#[test]
fn the_handshake_limit_is_a_total() {
    const LIMIT_MS: f64 = 4000.0;
    let silent = script([Hold]).start();
    let begun = script([ReadHello, header_of(200, 0), Hold]).start();
    let outcome = Tlsweep::json()
        .args(["--handshake-timeout", "4s", "--timeout", "30s"])
        .sweep([silent.target(), begun.target()]);
    outcome.assert_complete();
    for record in &outcome.records {
        assert_eq!(verdict(record), "handshake/timeout", "{record:#}");
        let total = record["ms"]["total"].as_f64().unwrap();
        // If the limit began again with the second dial, it would be half as long again.
        assert!((LIMIT_MS..LIMIT_MS * 1.4).contains(&total), "{record:#}");
    }
}

/// At one byte each 5 ms it takes five minutes.
const LONG_CERTIFICATE: Msg = Msg::Certificate(Chain::Filling(60_000));

fn script<const N: usize>(steps: [Step; N]) -> Spec {
    Spec::script(steps)
}

/// The header of a record of handshake messages, and only some of what it promises.
fn header_of(promised: u8, delivered: usize) -> Step {
    let mut bytes = vec![22, 3, 3, 0, promised, 2, 0, 0, promised - 4];
    bytes.resize(5 + delivered, 3);
    send(bytes)
}

/// The beginning of a ServerHello of 16 KB, so that a byte now and then never completes it.
fn endless_hello() -> Vec<u8> {
    let mut bytes = vec![22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xfb];
    bytes.resize(16 * 1024, 3);
    bytes
}
