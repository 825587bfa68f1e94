use proptest::prelude::*;

use super::*;
use crate::names::{Group, Suite};

mod captures;

const CAPTURES: &[&str] = &[
    captures::ECDHE_ECDSA,
    captures::DHE_RSA,
    captures::RSA_TLS_1_0,
    captures::DHE_RSA_TLS_1_0,
    captures::DH_ANON,
    captures::ECDH_ANON,
    captures::ECDHE_PSK,
    captures::DHE_PSK,
    captures::RETRY_REQUEST,
    captures::ALERT,
];

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn read(pieces: &[&[u8]]) -> Result<(Progress, Answer), Failure> {
    let mut flight = Flight::new();
    let mut progress = Progress::Incomplete;
    for piece in pieces {
        progress = flight.receive(piece)?;
    }
    Ok((progress, flight.into_answer()))
}

/// The answer of a capture, which must be whole.
fn answer(hex: &str) -> Answer {
    let (progress, answer) = read(&[&bytes(hex)]).unwrap();
    assert_eq!(progress, Progress::Complete);
    answer
}

fn key_exchange(hex: &str) -> (Parameters, Option<u16>) {
    let key_exchange = answer(hex).key_exchange.unwrap();
    (key_exchange.parameters, key_exchange.signature_scheme)
}

fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], fragment].concat()
}

/// The handshake messages of a capture, out of their records.
fn messages(hex: &str) -> Vec<u8> {
    let bytes = bytes(hex);
    let mut rest = bytes.as_slice();
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        messages.extend_from_slice(&rest[5..5 + length]);
        rest = &rest[5 + length..];
    }
    messages
}

#[test]
fn a_whole_flight_of_tls_1_2() {
    let answer = answer(captures::ECDHE_ECDSA);
    let hello = answer.hello.unwrap();
    assert_eq!(hello.version(), Version::TLS_1_2);
    assert_eq!(hello.suite, Suite(0xc02b));
    assert_eq!(hello.compression, 0);
    assert_eq!(hello.session_id_length, 32);
    assert_eq!(hello.extensions, [0xff01, 11, 5, 23]);
    assert!(hello.secure_renegotiation() && hello.extended_master_secret());
    assert_eq!(hello.downgraded_from(), None);
    assert_eq!(answer.certificates.len(), 1);
    assert!(answer.certificates[0].starts_with(&[0x30, 0x81]));
    assert!(answer.ocsp_response.unwrap().starts_with(&[0x30, 0x82]));
    let key_exchange = answer.key_exchange.unwrap();
    assert_eq!(key_exchange.parameters, Parameters::Ecdh { group: Group(29) });
    assert_eq!(key_exchange.signature_scheme, Some(0x0403));
    assert!(!answer.client_cert_requested);
    assert_eq!(answer.alert, None);
}

/// Of an answer that chooses what was not offered, nothing is kept, whatever came before.
#[test]
fn a_flight_ends_where_it_chooses_what_was_not_offered() {
    let flight = bytes(captures::ECDHE_ECDSA);
    for (offer, not_offered) in [
        (ClientHello::common(), None),
        (ClientHello::rare(), Some(NotOffered::Suite(Suite(0xc02b)))),
        (ClientHello::ssl3(), Some(NotOffered::Version(Version::TLS_1_2))),
        (
            ClientHello { groups: vec![Group(23)].into(), ..ClientHello::common() },
            Some(NotOffered::Group(Group(29))),
        ),
    ] {
        for piece in [1, flight.len()] {
            let mut read = Flight::answering(offer.clone());
            let result = flight.chunks(piece).try_for_each(|piece| read.receive(piece).map(drop));
            let kind = result.err().map(|failure| failure.kind);
            assert_eq!(kind, not_offered.map(|_| Kind::Protocol));
            let answer = read.into_answer();
            assert_eq!(answer.not_offered, not_offered);
            assert_eq!(answer.hello.is_none(), not_offered.is_some());
            assert_eq!(answer.certificates.is_empty(), not_offered.is_some());
        }
    }
    let mut retry = Flight::answering(ClientHello::tls13());
    assert_eq!(retry.receive(&bytes(captures::RETRY_REQUEST)).unwrap(), Progress::Complete);
}

#[test]
fn key_exchanges_of_every_form() {
    let prime = Parameters::Dh { prime_bits: 1024 };
    let curve = Parameters::Ecdh { group: Group(29) };
    assert_eq!(key_exchange(captures::DHE_RSA), (prime, Some(0x0401)));
    assert_eq!(key_exchange(captures::DHE_RSA_TLS_1_0), (prime, None));
    assert_eq!(key_exchange(captures::DH_ANON), (prime, None));
    assert_eq!(key_exchange(captures::DHE_PSK), (prime, None));
    assert_eq!(key_exchange(captures::ECDH_ANON), (curve, None));
    assert_eq!(key_exchange(captures::ECDHE_PSK), (curve, None));
}

#[test]
fn no_key_exchange_and_no_certificate_are_fine() {
    let rsa = answer(captures::RSA_TLS_1_0);
    assert_eq!(rsa.hello.unwrap().version(), Version::TLS_1_0);
    assert_eq!(rsa.certificates.len(), 1);
    assert_eq!(rsa.key_exchange, None);
    assert!(answer(captures::DH_ANON).certificates.is_empty());
}

#[test]
fn a_client_certificate_is_asked_for() {
    assert!(answer(captures::DHE_RSA).client_cert_requested);
}

#[test]
fn a_retry_request_names_its_group() {
    let answer = answer(captures::RETRY_REQUEST);
    assert_eq!(answer.hello, None);
    let retry = answer.retry.unwrap();
    assert_eq!(retry.version(), Version::TLS_1_3);
    assert_eq!(retry.legacy_version, Version::TLS_1_2);
    assert_eq!(retry.key_share_group, Some(Group(29)));
}

#[test]
fn a_hello_may_follow_the_retry_request() {
    let mut hello = messages(captures::RETRY_REQUEST);
    hello.truncate(4 + usize::from(hello[3]));
    hello[6..38].fill(1);
    let mut flight = bytes(captures::RETRY_REQUEST);
    flight.extend(record(20, &[1]));
    flight.extend(record(22, &hello));
    let (progress, answer) = read(&[&flight, b"\x17ciphertext"]).unwrap();
    assert_eq!(progress, Progress::Complete);
    assert_eq!(answer.hello.unwrap().version(), Version::TLS_1_3);

    let twice = [bytes(captures::RETRY_REQUEST), bytes(captures::RETRY_REQUEST)];
    let failure = read(&[&twice[0], &twice[1]]).unwrap_err();
    assert_eq!(failure.kind, Kind::Protocol);
}

#[test]
fn alerts() {
    let fatal = answer(captures::ALERT).alert.unwrap();
    assert_eq!((fatal.level, fatal.description), (2, AlertDescription::PROTOCOL_VERSION));

    let mut flight = record(21, &[1, 112]);
    assert_eq!(read(&[&flight]).unwrap().0, Progress::Incomplete);
    flight.extend(bytes(captures::ECDHE_ECDSA));
    let (progress, answer) = read(&[&flight]).unwrap();
    assert_eq!(progress, Progress::Complete);
    assert_eq!(answer.alert.unwrap().description, AlertDescription::UNRECOGNIZED_NAME);
    assert_eq!(answer.certificates.len(), 1);

    assert_eq!(read(&[&record(21, &[1, 0])]).unwrap().0, Progress::Complete);
}

#[test]
fn a_goodbye_does_not_hide_the_refusal_before_it() {
    const GOODBYE: [u8; 2] = [1, 0];
    for (said, expected) in [
        ([2, 40], AlertDescription::HANDSHAKE_FAILURE),
        ([1, 40], AlertDescription::HANDSHAKE_FAILURE),
        // It is no refusal of what the hello offers. The goodbye may be one.
        ([1, 112], AlertDescription::CLOSE_NOTIFY),
    ] {
        let apart = [record(21, &said), record(21, &GOODBYE)].concat();
        let together = record(21, &[said, GOODBYE].concat());
        for flight in [apart, together] {
            let (progress, answer) = read(&[&flight]).unwrap();
            assert_eq!(progress, Progress::Complete);
            assert_eq!(answer.alert.unwrap().description, expected, "{said:?}");
        }
    }
}

#[test]
fn the_downgrade_sentinel() {
    for (sentinel, version) in
        [(b"DOWNGRD\x01", Version::TLS_1_3), (b"DOWNGRD\x00", Version::TLS_1_2)]
    {
        let mut flight = bytes(captures::ECDHE_ECDSA);
        flight[11 + 24..11 + 32].copy_from_slice(sentinel);
        let hello = read(&[&flight]).unwrap().1.hello.unwrap();
        assert_eq!(hello.downgraded_from(), Some(version));
    }
}

#[test]
fn pieces_make_no_difference() {
    for hex in CAPTURES {
        let whole = bytes(hex);
        let expected = read(&[&whole]).unwrap();
        let single: Vec<_> = whole.chunks(1).collect();
        assert_eq!(read(&single).unwrap(), expected);
        for cut in 1..whole.len() {
            let (first, second) = whole.split_at(cut);
            assert_eq!(read(&[first, second]).unwrap(), expected, "{cut}");
        }
    }
}

#[test]
fn records_make_no_difference() {
    for hex in CAPTURES.iter().filter(|hex| **hex != captures::ALERT) {
        let expected = read(&[&bytes(hex)]).unwrap();
        let messages = messages(hex);
        assert_eq!(read(&[&record(22, &messages)]).unwrap(), expected);
        let single: Vec<_> = messages.chunks(1).map(|byte| record(22, byte)).collect();
        assert_eq!(read(&[&single.concat()]).unwrap(), expected);
        let mut empty = record(22, &[]);
        empty.extend(bytes(hex));
        assert_eq!(read(&[&empty]).unwrap(), expected);
    }
}

#[test]
fn what_is_cut_short_is_incomplete() {
    for hex in CAPTURES {
        let whole = bytes(hex);
        for length in 0..whole.len() {
            let (progress, _) = read(&[&whole[..length]]).unwrap();
            assert_eq!(progress, Progress::Incomplete, "{length}");
        }
    }
}

#[test]
fn what_is_no_tls_is_told_by_its_first_byte() {
    for junk in [&b"HTTP/1.1 400"[..], b"SSH-2.0-", b"\x00", b"\x80\x03\x00\x00\x01"] {
        let failure = read(&[junk]).unwrap_err();
        assert_eq!(failure.kind, Kind::NotTls);
        assert!(failure.evidence.is_some());
    }
}

#[test]
fn what_is_out_of_place_breaks_the_protocol() {
    let client_hello = record(22, &[1, 0, 0, 2, 3, 3]);
    let whole = bytes(captures::ECDHE_ECDSA);
    let certificate = record(22, &[11, 0, 0, 3, 0, 0, 0]);
    let hello = |hex| messages(hex)[..4 + usize::from(messages(hex)[3])].to_vec();
    let hello = record(22, &hello(captures::ECDHE_ECDSA));
    for flight in [
        client_hello,
        certificate.clone(),
        record(20, &[1]),
        record(23, b"application data"),
        b"\x16\x09\x09".to_vec(),
        b"\x16\x03\x01\xff\xff".to_vec(),
        [hello.clone(), hello.clone()].concat(),
        [hello.clone(), certificate].concat(),
        [hello.clone(), record(23, b"x")].concat(),
        [hello, b"HTTP".to_vec()].concat(),
        record(22, &[2, 0, 0, 1, 3]),
    ] {
        assert_eq!(read(&[&flight]).unwrap_err().kind, Kind::Protocol);
    }
    assert!(read(&[&whole, b"HTTP"]).is_ok(), "what stands behind is left");
}

#[test]
fn too_much_is_too_large() {
    let declared = record(22, &[2, 0xff, 0xff, 0xff]);
    assert_eq!(read(&[&declared]).unwrap_err().kind, Kind::TooLarge);
    for flood in [record(22, &[]), record(21, &[1, 90]), record(22, &[0; 4])] {
        let flood = flood.repeat(FLIGHT_LIMIT / flood.len() + 1);
        assert_eq!(read(&[&flood]).unwrap_err().kind, Kind::TooLarge);
    }
}

/// What came before the message that is announced to be too large is known, also when both come at once.
#[test]
fn facts_before_too_large_a_message_are_kept() {
    let mut flight = messages(captures::ECDHE_ECDSA);
    let done = flight.len() - 4;
    flight.splice(done.., [4, 0x68, 0x69, 0x6e, 0x74]);
    let flight = record(22, &flight);
    for piece in [1, 100, flight.len()] {
        let mut reader = Flight::new();
        let result = flight.chunks(piece).try_for_each(|piece| reader.receive(piece).map(|_| ()));
        assert_eq!(result.unwrap_err().kind, Kind::TooLarge, "{piece}");
        let answer = reader.into_answer();
        assert!(answer.hello.is_some() && answer.key_exchange.is_some(), "{piece}");
        assert_eq!((answer.certificates.len(), answer.is_done), (1, false), "{piece}");
    }
    // Behind the end, nothing is too large.
    let flight = [messages(captures::ECDHE_ECDSA), vec![4, 0x68, 0x69, 0x6e, 0x74]].concat();
    let (progress, answer) = read(&[&record(22, &flight)]).unwrap();
    assert!(progress == Progress::Complete && answer.is_done);
}

#[test]
fn too_many_certificates_are_too_large() {
    let hello = |hex| messages(hex)[..4 + usize::from(messages(hex)[3])].to_vec();
    let hello = record(22, &hello(captures::ECDHE_ECDSA));
    let length = |length: usize| length.to_be_bytes()[5..].to_vec();
    for (count, size, is_ok) in [(65, 1, true), (256, 200, true), (257, 1, false), (257, 0, false)]
    {
        let certificates = [length(size), vec![0x30; size]].concat().repeat(count);
        let list = [length(certificates.len()), certificates].concat();
        let message = [vec![11], length(list.len()), list].concat();
        let flight = message.chunks(16_000).map(|part| record(22, part)).collect::<Vec<_>>();
        match read(&[&hello, &flight.concat()]) {
            Ok((_, answer)) => assert!(is_ok && answer.certificates.len() == count, "{count}"),
            Err(failure) => {
                assert!(!is_ok, "{count} of {size}: {failure}");
                assert_eq!(failure.kind, Kind::TooLarge);
            }
        }
    }
}

/// Bytes that a flight holds on to.
fn held(flight: &Flight) -> usize {
    let answer = &flight.answer;
    let hellos = [&answer.hello, &answer.retry].into_iter().flatten();
    let hellos = hellos.map(|hello| {
        let options = [&hello.alpn, &hello.sct_list].into_iter().flatten();
        2 * hello.extensions.len() + options.map(Vec::len).sum::<usize>()
    });
    flight.header.len()
        + flight.message.len()
        + answer.certificates.iter().map(Vec::len).sum::<usize>()
        + answer.ocsp_response.as_ref().map_or(0, Vec::len)
        + hellos.sum::<usize>()
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_or_hoard(
        which in 0..CAPTURES.len(),
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        cut: usize,
        junk: Vec<u8>,
    ) {
        let mut flight = bytes(CAPTURES[which]);
        for (place, byte) in changes {
            let place = place % flight.len();
            flight[place] = byte;
        }
        flight.extend(junk);
        let mut reader = Flight::new();
        for piece in flight.chunks(1 + cut % flight.len()) {
            let over = reader.receive(piece).is_err();
            prop_assert!(held(&reader) <= reader.received);
            if over {
                break;
            }
        }
    }
}
