//! 6.3: what happens after the handshake. Success stays success.

use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use super::cases;
use crate::support::peer::Spec;
use crate::support::script::Step::{
    Drip, Fin, Forever, Freeze, Handshake, Handshake12, Hold, Pace, Record, Reset, Say,
    SpoiledRecord, UpTo,
};
use crate::support::script::{CLOSE_NOTIFY, FINISHED, Step, data, fatal, warning};
use crate::support::tls::{APPLICATION_DATA, HANDSHAKE, Msg};

cases! {
    clean_close: after([warning(CLOSE_NOTIFY), Fin]) => "ok close_notify", Fast;
    clean_close_tls12: after12([warning(CLOSE_NOTIFY), Fin]) => "ok close_notify", Fast;
    tickets_and_key_update_first: after([Say(Msg::Ticket), Say(Msg::Ticket), Say(QUIET_UPDATE), warning(CLOSE_NOTIFY), Fin])
        => "ok close_notify", Fast, |record| assert_eq!(data_of(record), 0, "{record:#}");
    data_and_close: after([data(1000), data(1), warning(CLOSE_NOTIFY), Fin]) => "ok close_notify", Fast,
        |record| assert_eq!(data_of(record), 1001, "{record:#}");
    silent_after_handshake: after([Hold]) => "ok timeout", Read;
    data_then_silence: after([data(1000), Hold]) => "ok timeout", Read,
        |record| assert_eq!(data_of(record), 1000, "{record:#}");
    data_dripping: after([Pace(Duration::from_millis(200)), Forever(vec![data(1)])])
        => "ok timeout", Read;
    half_a_record_dripping: after([Drip(vec![23, 3, 3, 0x10, 0, 1, 2, 3, 4, 5, 6], Duration::from_millis(100)), Hold])
        => "ok timeout", Read;
    endless_data: after([Forever(vec![data(16_000)])]) => "ok limit", Fast, |record| {
        // The cap is on what comes off the wire after the handshake, which itself is short.
        let received = record["received"].as_u64().unwrap();
        assert!((65_536..65_536 + 2048).contains(&received), "{record:#}");
        assert!((32_000..=65_536).contains(&data_of(record)), "{record:#}");
    };

    flood_of_empty_data: after([Forever(vec![data(0)])])
        => "ok protocol", Fast;
    flood_of_tickets: after([Forever(vec![Say(Msg::Ticket)])])
        => "ok limit", Fast;
    flood_of_tickets_and_data: after([Forever(vec![Say(Msg::Ticket), data(100)])])
        => "ok limit", Fast;
    flood_of_key_updates: after([Forever(vec![Say(QUIET_UPDATE)])])
        => "ok protocol", Fast;
    flood_of_key_update_requests: after([Forever(vec![Say(Msg::KeyUpdate { answer: true })])])
        => "ok protocol", Fast;
    flood_of_key_update_requests_and_data:
        after([Forever(vec![Say(Msg::KeyUpdate { answer: true }), data(100)])])
        => "ok limit", Fast;
    flood_of_warnings: after([Forever(vec![warning(90)])])
        => "ok protocol", Fast;
    flood_of_warnings_tls12: after12([Forever(vec![warning(100)])])
        => "ok protocol", Fast;
    flood_of_hello_requests_tls12: after12([Forever(vec![Say(Msg::HelloRequest)])])
        => "ok protocol", Fast;

    // These mean the same in one segment with the server's Finished as in the next segment.
    close_behind_finished: behind([warning(CLOSE_NOTIFY), Hold]) => "ok close_notify", Fast;
    alert_behind_finished: behind([fatal(80), Hold]) => "ok alert", Fast, |record| {
        assert_eq!(record["read"]["alert"], "internal_error", "{record:#}");
    };
    data_and_alert_behind_finished: behind([data(100), fatal(80), Hold]) => "ok alert", Fast,
        |record| assert_eq!(data_of(record), 100, "{record:#}");
    bad_mac_behind_finished: behind([SpoiledRecord(APPLICATION_DATA, vec![0; 100]), Hold])
        => "ok protocol", Fast;
    plain_text_behind_finished: behind([Step::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Hold])
        => "ok protocol", Fast;
    server_hello_behind_finished: behind([Record(HANDSHAKE, vec![2, 0, 0, 2, 3, 3]), Hold])
        => "ok protocol", Fast;
    flood_of_empty_data_behind_finished: behind([Forever(vec![data(0)])]) => "ok protocol", Fast;
    alert_behind_finished_tls12: after12([fatal(80), Hold]) => "ok alert", Fast;
    bad_mac_behind_finished_tls12: after12([SpoiledRecord(APPLICATION_DATA, vec![0; 100]), Hold])
        => "ok protocol", Fast;
    data_and_bad_mac_tls12: after12([data(100), SpoiledRecord(APPLICATION_DATA, vec![0; 100]), Hold])
        => "ok protocol", Fast, |record| assert_eq!(data_of(record), 100, "{record:#}");

    close_notify_without_fin: after([warning(CLOSE_NOTIFY), Freeze]) => "ok close_notify", Fast;
    fin_without_close_notify: after([Fin]) => "ok eof", Fast;
    data_and_fin_without_close_notify: after([data(1000), Fin]) => "ok eof", Fast,
        |record| assert_eq!(data_of(record), 1000, "{record:#}");
    fin_in_record: after([Step::Send(vec![23, 3, 3, 0x10, 0, 1, 2, 3]), Fin]) => "ok eof", Fast;
    rst: after([Reset]) => "ok reset", Fast;
    fatal_alert: after([fatal(80), Hold]) => "ok alert", Fast, |record| {
        assert_eq!(record["read"]["alert"], "internal_error", "{record:#}");
    };
    bad_mac: after([SpoiledRecord(APPLICATION_DATA, vec![0; 100]), Hold]) => "ok protocol", Fast;
    plain_text_after_handshake: after([Step::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Hold])
        => "ok protocol", Fast;
    server_hello_after_handshake: after([Record(HANDSHAKE, vec![2, 0, 0, 2, 3, 3]), Hold])
        => "ok protocol", Fast;

    certificate_required: Spec::wants_certificate(&TLS13) => "ok alert", Fast, |record| {
        assert_eq!(record["tls"]["client_cert_requested"], true, "{record:#}");
        assert_eq!(record["read"]["alert"], "certificate_required", "{record:#}");
    };
    certificate_required_tls12: Spec::wants_certificate(&TLS12)
        => "handshake/alert certificate_required", Fast,
        |record| assert_eq!(record["tls"]["client_cert_requested"], true, "{record:#}");
}

/// An update of the server's keys that asks for nothing in return.
const QUIET_UPDATE: Msg = Msg::KeyUpdate { answer: false };

fn data_of(record: &Value) -> u64 {
    record["read"]["bytes"].as_u64().unwrap()
}

fn after<const N: usize>(steps: [Step; N]) -> Spec {
    Spec::script([&[Handshake][..], &steps].concat())
}

/// What stands in one segment with the server's Finished. It waits for nothing of the client.
fn behind<const N: usize>(steps: [Step; N]) -> Spec {
    Spec::script([&[UpTo(FINISHED)][..], &steps].concat())
}

fn after12<const N: usize>(steps: [Step; N]) -> Spec {
    Spec::script([&[Handshake12][..], &steps].concat())
}
