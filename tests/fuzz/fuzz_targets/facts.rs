//! Whatever a server answers to the follow-ups, and whatever stands in a revocation list: the facts
//! are bounded, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlsweep::cert::Crls;
use tlsweep::limits::QUIC_VERSIONS_LIMIT;
use tlsweep::quic::VersionProbe;
use tlsweep::tls::handshake::Agreed;
use tlsweep::tls::hello::Answer as Flight;
use tlsweep::tls::ja3s;
use tlsweep::tls::jarm::{Answer, fingerprint};
use tlsweep::tls::recorder::Seen;

fuzz_target!(|data: &[u8]| {
    let answer = Answer::read(data);
    let text = fingerprint(&std::array::from_fn(|_| answer.clone()));
    assert_eq!(text.len(), 62);
    assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()));

    // Reading in pieces, which ends early, finds the same ServerHello.
    let flight = Flight::of_beginning(data);
    let agreed = Agreed::before_failure(data, &Seen::default());
    assert_eq!(agreed.is_some(), flight.server_hello().is_some());
    assert!(agreed.is_none_or(|agreed| agreed.ja3s == flight.hello.as_ref().map(ja3s::of_hello)));

    let probe = VersionProbe::new([7; 20]);
    assert_eq!(probe.versions(data), None, "nobody knows the connection IDs");
    let header = [&[0x80, 0, 0, 0, 0, 8][..], &[7; 8], &[8], &[7; 8]].concat();
    let versions = probe.versions(&[&header[..], data].concat());
    assert!(versions.is_none_or(|versions| versions.len() <= QUIC_VERSIONS_LIMIT));

    let mut lists = Crls::default();
    assert_eq!(lists.add(data).is_ok(), !lists.is_empty());
});
