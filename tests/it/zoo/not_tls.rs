//! 6.2, first half: what is not TLS at all, alerts, and records that no handshake starts with.

use super::cases;
use crate::support::peer::Spec;
use crate::support::script::Step::{
    Echo, Fin, Forever, Handshake, Hold, ReadHello, Record, SpoiledRecord, UpTo,
};
use crate::support::script::{CLOSE_NOTIFY, SERVER_HELLO, Step, fatal, send, warning};
use crate::support::tls::{APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};

cases! {
    http_400_open: answer(HTTP_400, Hold) => "handshake/not_tls", Fast, |record| {
        let evidence = record["error"]["evidence"].as_str().unwrap();
        assert!(evidence.starts_with("HTTP/1.1 400"), "{evidence}");
    };
    http_400_closing: answer(HTTP_400, Fin) => "handshake/not_tls", Fast;
    ssh_banner: banner("SSH-2.0-OpenSSH_9.2p1\r\n") => "handshake/not_tls", Fast;
    smtp_banner: banner("220 mail.test ESMTP\r\n") => "handshake/not_tls", Fast, |record| {
        let detail = record["error"]["detail"].as_str().unwrap();
        assert!(detail.ends_with("but an SMTP greeting: try --starttls smtp"), "{detail}");
    };
    mysql_banner: banner(b"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00") => "handshake/not_tls", Fast;
    redis_error: answer("-ERR unknown command\r\n", Hold) => "handshake/not_tls", Fast;
    postgres_n: answer("N", Hold) => "handshake/not_tls", Fast;
    garbage: answer([0xd7; 400], Hold) => "handshake/not_tls", Fast;
    zeros: answer([0; 400], Hold) => "handshake/not_tls", Fast;
    chargen: Spec::script([ReadHello, Forever(vec![send(CHARGEN)])]) => "handshake/not_tls", Fast;
    sslv2_hello: answer(SSLV2_HELLO, Hold) => "handshake/not_tls", Fast;
    control_and_bidi_in_evidence: answer("\u{1b}[31m\u{202e}evil\r\n\t\"", Hold) => "handshake/not_tls", Fast;

    hello_echoed: Spec::script([ReadHello, Echo, Hold]) => "handshake/protocol", Fast;

    alert_handshake_failure: alert(40) => "handshake/alert handshake_failure", Fast;
    alert_illegal_parameter: alert(47) => "handshake/alert illegal_parameter", Fast;
    alert_access_denied: alert(49) => "handshake/alert access_denied", Fast;
    alert_protocol_version: alert(70) => "handshake/alert protocol_version", Fast;
    alert_insufficient_security: alert(71) => "handshake/alert insufficient_security", Fast;
    alert_internal_error: alert(80) => "handshake/alert internal_error", Fast;
    alert_unrecognized_name: alert(112) => "handshake/alert unrecognized_name", Fast;
    alert_no_application_protocol: alert(120) => "handshake/alert no_application_protocol", Fast;
    alert_without_a_name: alert(233) => "handshake/alert 233", Fast;
    alert_sealed: Spec::script([UpTo(SERVER_HELLO), fatal(40), Hold])
        => "handshake/alert handshake_failure", Fast;
    alert_then_close: Spec::script([ReadHello, fatal(40), Fin])
        => "handshake/alert handshake_failure", Fast;
    close_notify_first: Spec::script([ReadHello, warning(CLOSE_NOTIFY), Hold])
        => "handshake/timeout", Handshake;
    warning_then_good: Spec::script([ReadHello, warning(112), Handshake, warning(CLOSE_NOTIFY), Hold])
        => "ok close_notify", Fast;

    flood_of_warnings: flood(ReadHello, warning(112)) => "handshake/protocol", Fast;
    flood_of_change_cipher_spec: flood(UpTo(SERVER_HELLO), send(CHANGE)) => "handshake/protocol", Fast;
    flood_of_empty_records: flood(ReadHello, Record(HANDSHAKE, vec![])) => "handshake/protocol", Fast;
    flood_of_hello_requests: flood(ReadHello, Record(HANDSHAKE, vec![0, 0, 0, 0]))
        => "handshake/protocol", Fast;
    flood_of_sealed_empty_records: flood(UpTo(SERVER_HELLO), Record(HANDSHAKE, vec![]))
        => "handshake/protocol", Fast;

    record_of_32_kb: answer(oversized_record(), Hold) => "handshake/protocol", Fast;
    record_version_0909: answer([22, 9, 9, 0, 4, 2, 0, 0, 0], Hold) => "handshake/protocol", Fast;
    application_data_first: first(APPLICATION_DATA, &[0; 16]) => "handshake/protocol", Fast;
    change_cipher_spec_first: first(CHANGE_CIPHER_SPEC, &[2]) => "handshake/protocol", Fast;
    finished_first: first(HANDSHAKE, &[20, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        => "handshake/protocol", Fast;
    garbage_server_hello: first(HANDSHAKE, &[&[2, 0, 0, 44][..], &[0xff; 44]].concat())
        => "handshake/protocol", Fast;
    unknown_handshake_type: first(HANDSHAKE, &[99, 0, 0, 1, 0]) => "handshake/protocol", Fast;
    bad_mac: Spec::script([UpTo(SERVER_HELLO), SpoiledRecord(HANDSHAKE, vec![8, 0, 0, 2, 0, 0]), Hold])
        => "handshake/protocol", Fast;
}

const HTTP_400: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

const CHARGEN: &[u8] =
    b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n";

/// SERVER-HELLO of SSL 2.0: no session, no certificate, no suites.
const SSLV2_HELLO: [u8; 13] = [0x80, 11, 4, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0];

/// A ChangeCipherSpec, which TLS 1.3 never seals.
const CHANGE: [u8; 6] = [20, 3, 3, 0, 1, 1];

/// Speaks before it was spoken to.
fn banner(text: impl AsRef<[u8]>) -> Spec {
    Spec::script([send(text), Hold])
}

fn answer(bytes: impl AsRef<[u8]>, end: Step) -> Spec {
    Spec::script([ReadHello, send(bytes), end])
}

fn alert(description: u8) -> Spec {
    Spec::script([ReadHello, fatal(description), Hold])
}

/// A first record with this in it.
fn first(kind: u8, payload: &[u8]) -> Spec {
    Spec::script([ReadHello, Record(kind, payload.to_vec()), Hold])
}

fn flood(prelude: Step, wave: Step) -> Spec {
    Spec::script([prelude, Forever(vec![wave])])
}

fn oversized_record() -> Vec<u8> {
    let mut bytes = vec![22, 3, 3, 0x80, 0, 2, 0, 0x7f, 0xfc];
    bytes.resize(5 + 0x8000, 3);
    bytes
}
