//! Any flight is read the same in whatever pieces it comes, and what is kept of it is bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlsweep::failure::{EVIDENCE_LIMIT, Failure, Kind, Stage};
use tlsweep::tls::hello::{Answer, FLIGHT_LIMIT, Flight, Progress};
use tlsweep_fuzz::peer::plain_record;
use tlsweep_fuzz::script::Script;
use tlsweep_fuzz::text::unescaped_length;

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let choices = script.byte();
    let pieces_script = &mut Script::new(script.bytes());
    let mut flight = match choices & 1 {
        0 => script.rest().to_vec(),
        _ => records(script),
    };
    if choices & 2 != 0 && !flight.is_empty() {
        // Beyond the limit.
        flight = flight.repeat(FLIGHT_LIMIT / flight.len() + 2);
    }
    let pieces = match choices & 4 {
        0 => pieces_script.pieces(&flight),
        _ => flight.chunks(usize::from(pieces_script.byte()) + 1).collect(),
    };

    let (whole, result) = read([flight.as_slice()]);
    let (split, split_result) = read(pieces.iter().copied());
    assert_eq!(split, whole);
    match (&result, &split_result) {
        (Ok(progress), Ok(split)) => assert_eq!(progress, split),
        (Err(failure), Err(split)) => {
            assert_eq!(failure.kind, split.kind);
            // The first piece alone may not show which greeting it is.
            if failure.kind != Kind::NotTls {
                assert_eq!(failure.detail, split.detail);
            }
            check(failure, &flight);
            check(split, &flight);
        }
        _ => panic!("{result:?}, in pieces {split_result:?}"),
    }
    let kept = whole.certificates.iter().map(Vec::len).sum::<usize>();
    assert!(kept + whole.ocsp_response.as_ref().map_or(0, Vec::len) <= 2 * FLIGHT_LIMIT);
    assert!(whole.certificates.iter().all(|der| !der.is_empty()));
    for hello in whole.hello.iter().chain(&whole.retry) {
        assert!(hello.session_id_length <= 32);
        assert!(hello.extensions.len() <= FLIGHT_LIMIT / 4);
    }
    assert!(whole.retry.as_ref().is_none_or(|retry| retry.is_retry_request()));
    assert!(whole.hello.as_ref().is_none_or(|hello| !hello.is_retry_request()));
});

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Answer, Result<Progress, Failure>) {
    let mut flight = Flight::new();
    let mut result = Ok(Progress::Incomplete);
    for piece in pieces {
        result = flight.receive(piece);
        if result.is_err() {
            break;
        }
    }
    (flight.into_answer(), result)
}

fn check(failure: &Failure, flight: &[u8]) {
    assert_eq!(failure.stage, Stage::Handshake);
    assert!(matches!(failure.kind, Kind::NotTls | Kind::Protocol | Kind::TooLarge));
    assert_eq!(failure.evidence.is_some(), failure.kind == Kind::NotTls);
    if let Some(evidence) = &failure.evidence {
        assert!((1..=EVIDENCE_LIMIT).contains(&unescaped_length(evidence)));
        assert!(!(20..=24).contains(&flight[0]));
    }
}

/// Records and messages with right lengths around what the script says.
fn records(script: &mut Script<'_>) -> Vec<u8> {
    let mut flight = Vec::new();
    while !script.is_over() {
        let kind = 20 + script.byte() % 5;
        let mut payload = Vec::new();
        for _ in 0..script.byte() % 4 {
            let message = script.byte();
            let body = script.bytes();
            let [.., high, middle, low] = body.len().to_be_bytes();
            payload.extend([message, high, middle, low]);
            payload.extend(body);
        }
        payload.extend(script.bytes());
        match script.byte() {
            0..0x80 => flight.extend(plain_record(kind, &payload)),
            size => {
                let size = usize::from(size - 0x80) + 1;
                flight.extend(payload.chunks(size).flat_map(|part| plain_record(kind, part)));
            }
        }
    }
    flight
}
