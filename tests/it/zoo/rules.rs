//! 6.2, second half: handshakes that break the rules of TLS.

use rustls::version::{TLS12, TLS13};

use super::cases;
use crate::support::peer::{Spec, server_config};
use crate::support::pki::GOOD;
use crate::support::script::Step::{
    Forever, Handshake12, Hold, Patched, ReadClientKey, ReadHello, Record, Say, Spoiled, UpTo,
    UpTo12,
};
use crate::support::script::{
    CERTIFICATE, CERTIFICATE12, CLOSE_NOTIFY, EXTENSIONS, HELLO_DONE12, SERVER_HELLO, Step, VERIFY,
    warning,
};
use crate::support::tls::Msg::{self, Certificate, Extensions, Finished, HelloRetry, ServerHello};
use crate::support::tls::{Chain, HANDSHAKE, at};

cases! {
    good_tls13: Spec::served(server_config(&GOOD, &[&TLS13])) => "ok close_notify", Fast, |record| {
        assert_eq!(record["tls"]["version"], "TLSv1.3");
        assert_eq!(record["tls"]["signature_verified"], true);
    };
    good_tls12: Spec::served(server_config(&GOOD, &[&TLS12])) => "ok close_notify", Fast, |record| {
        assert_eq!(record["tls"]["version"], "TLSv1.2");
        assert_eq!(record["tls"]["signature_verified"], true);
    };
    good_tls12_by_hand: script([Handshake12, warning(CLOSE_NOTIFY), Hold]) => "ok close_notify", Fast;

    unoffered_cipher: patched(ServerHello, at::CIPHER, &[0x13, 0x07]) => "handshake/protocol", Fast;
    unoffered_group: patched(ServerHello, at::GROUP, &[0x00, 0x19]) => "handshake/protocol", Fast;
    unoffered_version: patched(ServerHello, at::SELECTED_VERSION, &[0x03, 0x05])
        => "handshake/unsupported", Fast;
    unoffered_alpn: says(SERVER_HELLO, Extensions(b"\x00\x10\x00\x09\x00\x07\x06spdy/1"))
        => "handshake/protocol", Fast;
    unoffered_extension: says(SERVER_HELLO, Extensions(&[0x00, 0x0f, 0x00, 0x01, 0x01]))
        => "handshake/protocol", Fast;
    unoffered_scheme: script([UpTo(CERTIFICATE), Patched(Msg::Verify, at::SCHEME, &[0x08, 0x1a]), Hold])
        => "handshake/protocol", Fast;
    pkcs1_in_tls13: script([UpTo(CERTIFICATE), Patched(Msg::Verify, at::SCHEME, &[0x04, 0x01]), Hold])
        => "handshake/protocol", Fast;
    sha1_in_tls13: script([UpTo(CERTIFICATE), Patched(Msg::Verify, at::SCHEME, &[0x02, 0x03]), Hold])
        => "handshake/protocol", Fast;
    compression: patched(ServerHello, at::CIPHER + 2, &[1]) => "handshake/protocol", Fast;
    hello_retry_loop: script([ReadHello, Say(HelloRetry(SECP384R1)), ReadHello, Say(HelloRetry(SECP384R1)), Hold])
        => "handshake/protocol", Fast;
    hello_retry_for_a_share_that_was_sent: script([ReadHello, Say(HelloRetry(X25519)), Hold])
        => "handshake/protocol", Fast;
    downgrade_sentinel: patched(Msg::ServerHello12, at::SENTINEL, b"DOWNGRD\x01")
        => "handshake/protocol", Fast;
    ssl_3_0: patched(Msg::ServerHello12, at::SERVER_VERSION, &[3, 0])
        => "handshake/unsupported", Fast;
    tls_1_0: patched(Msg::ServerHello12, at::SERVER_VERSION, &[3, 1])
        => "handshake/unsupported", Fast;
    tls_1_1: patched(Msg::ServerHello12, at::SERVER_VERSION, &[3, 2])
        => "handshake/unsupported", Fast;
    server_hello_twice: says(SERVER_HELLO, ServerHello) => "handshake/protocol", Fast;
    certificate_before_extensions: says(SERVER_HELLO, Certificate(Chain::Good))
        => "handshake/protocol", Fast;

    bad_certificate_verify: script([UpTo(CERTIFICATE), Spoiled(Msg::Verify), Hold])
        => "handshake/bad_signature", Fast;
    key_mismatch: script([UpTo(EXTENSIONS), Say(Certificate(Chain::Stranger)), Say(Msg::Verify), Hold])
        => "handshake/bad_signature", Fast;
    bad_key_exchange_signature: script([UpTo12(CERTIFICATE12), Spoiled(Msg::KeyExchange12), Say(Msg::HelloDone12), Hold])
        => "handshake/bad_signature", Fast;
    key_mismatch_tls12: script([
        ReadHello, Say(Msg::ServerHello12), Say(Msg::Certificate12(Chain::Stranger)),
        Say(Msg::KeyExchange12), Say(Msg::HelloDone12), Hold,
    ]) => "handshake/bad_signature", Fast;
    bad_finished: script([UpTo(VERIFY), Patched(Finished, at::VERIFY_DATA, &[0; 32]), Hold])
        => "handshake/protocol", Fast;
    bad_finished_tls12: script([
        UpTo12(HELLO_DONE12), ReadClientKey, Patched(Msg::Finished12, at::VERIFY_DATA, &[0; 12]), Hold,
    ]) => "handshake/protocol", Fast;
    finished_without_certificate: says(EXTENSIONS, Finished) => "handshake/protocol", Fast;
    empty_certificate_list: script([UpTo(EXTENSIONS), Say(Certificate(Chain::Empty)), Say(Msg::Verify), Hold])
        => "handshake/protocol", Fast;
    hello_requests_in_tls12: script([
        ReadHello, Say(Msg::ServerHello12), Forever(vec![Record(HANDSHAKE, vec![0, 0, 0, 0])]),
    ]) => "handshake/protocol", Fast;

    certificate_of_65_520_bytes: says(EXTENSIONS, filling(65_520)) => "handshake/too_large", Fast;
    certificate_of_70_kb: says(EXTENSIONS, filling(70_000)) => "handshake/too_large", Fast;
    certificate_of_1_mb: says(EXTENSIONS, filling(1 << 20)) => "handshake/too_large", Fast;
    certificate_of_16_mb: says(EXTENSIONS, filling(0xff_ffff)) => "handshake/too_large", Fast;
    certificate_of_16_mb_in_the_clear: script([
        ReadHello, Say(Msg::ServerHello12), Say(Msg::Certificate12(Chain::Filling(0xff_ffff))), Hold,
    ]) => "handshake/too_large", Fast;
}

const X25519: u16 = 0x001d;
const SECP384R1: u16 = 0x0018;

fn script<const N: usize>(steps: [Step; N]) -> Spec {
    Spec::script(steps)
}

/// Answers the hello with a message that is wrong at one place.
fn patched(msg: Msg, offset: usize, bytes: &'static [u8]) -> Spec {
    script([ReadHello, Patched(msg, offset, bytes), Hold])
}

/// Says this after a good beginning.
fn says(beginning: usize, msg: Msg) -> Spec {
    script([UpTo(beginning), Say(msg), Hold])
}

fn filling(size: usize) -> Msg {
    Certificate(Chain::Filling(size))
}
