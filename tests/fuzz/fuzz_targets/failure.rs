//! Every error is classified: never as `internal`, never with more evidence than allowed.

#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use rustls::{
    AlertDescription, CertificateError, ContentType, Error, HandshakeType, InconsistentKeys,
    InvalidMessage, PeerIncompatible, PeerMisbehaved,
};
use tlsweep::failure::{EVIDENCE_LIMIT, Failure, Kind, Stage, is_local, is_shortage};
use tlsweep_fuzz::script::Script;
use tlsweep_fuzz::text::unescaped_length;

const STAGES: [Stage; 5] =
    [Stage::Input, Stage::Resolve, Stage::Connect, Stage::Starttls, Stage::Handshake];

const KINDS: [io::ErrorKind; 16] = [
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::NotConnected,
    io::ErrorKind::AddrInUse,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::WouldBlock,
    io::ErrorKind::InvalidData,
    io::ErrorKind::TimedOut,
    io::ErrorKind::WriteZero,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::Other,
];

fuzz_target!(|data: &[u8]| {
    let script = &mut Script::new(data);
    let stage = STAGES[script.below(STAGES.len())];
    let failure = match script.byte() % 4 {
        0 => {
            let error = io::Error::from_raw_os_error(script.u16().into());
            let failure = Failure::from_io(stage, &error);
            assert_eq!(failure.stage == Stage::Local, is_local(&error), "{error:?}");
            assert!(is_local(&error) || !is_shortage(&error));
            failure
        }
        1 => {
            let kind = KINDS[script.below(KINDS.len())];
            let error = match script.flag() {
                true => kind.into(),
                false => io::Error::new(kind, format!("in words: {}", script.text())),
            };
            Failure::from_io(stage, &error)
        }
        2 => {
            let kind = KINDS[script.below(KINDS.len())];
            let error = tls_error(script);
            let direct = Failure::from_tls(stage, &error);
            let wrapped = io::Error::new(kind, error);
            assert_eq!(Failure::from_io(stage, &wrapped), direct);
            direct
        }
        _ => Failure::from_tls(stage, &tls_error(script)),
    };
    check(&failure, stage);
    assert_eq!(failure.evidence, None);

    let first = script.rest();
    let seen = failure.clone().in_view_of(first);
    check(&seen, stage);
    assert_eq!(seen.clone().in_view_of(first), seen, "{first:?}");
    let is_tls = first.first().is_some_and(|kind| (20..=24).contains(kind));
    match (failure.kind, seen.kind) {
        (before, after) if before == after => {}
        (Kind::NotTls, Kind::Protocol) => assert!(is_tls),
        (Kind::Eof | Kind::Reset, Kind::Alert) => assert_eq!(first.first(), Some(&21)),
        (Kind::Eof | Kind::Reset, Kind::NotTls) => assert!(!is_tls && !first.is_empty()),
        changed => panic!("{changed:?}"),
    }
});

fn check(failure: &Failure, stage: Stage) {
    let is_ours = matches!(failure.kind, Kind::Resource | Kind::Internal);
    assert_ne!(failure.kind, Kind::Internal, "{failure:?}");
    assert_eq!(failure.stage == Stage::Local, is_ours, "{failure:?}");
    assert!(is_ours || failure.stage == stage, "{failure:?}");
    assert_eq!(failure.alert.is_some(), failure.kind == Kind::Alert);
    assert!(!failure.detail.is_empty());
    if let Some(evidence) = &failure.evidence {
        assert_eq!(failure.kind, Kind::NotTls);
        assert!(unescaped_length(evidence) <= EVIDENCE_LIMIT);
    }
    let json = serde_json::to_string(failure).unwrap();
    assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), *failure);
}

fn tls_error(script: &mut Script<'_>) -> Error {
    let content = |script: &mut Script<'_>| ContentType::from(script.byte());
    let handshake = |script: &mut Script<'_>| HandshakeType::from(script.byte());
    match script.byte() % 18 {
        0 => Error::InappropriateMessage {
            expect_types: script.list(content),
            got_type: content(script),
        },
        1 => Error::InappropriateHandshakeMessage {
            expect_types: script.list(handshake),
            got_type: handshake(script),
        },
        2 => Error::InvalidMessage(invalid_message(script)),
        3 => Error::NoCertificatesPresented,
        4 => Error::UnsupportedNameType,
        5 => Error::DecryptError,
        6 => Error::EncryptError,
        7 => Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        8 => Error::PeerMisbehaved(PeerMisbehaved::MissingKeyShare),
        9 => Error::AlertReceived(AlertDescription::from(script.byte())),
        10 => Error::InvalidCertificate(match script.flag() {
            true => CertificateError::BadSignature,
            false => CertificateError::UnknownIssuer,
        }),
        11 => Error::General(script.text()),
        12 => Error::FailedToGetCurrentTime,
        13 => Error::FailedToGetRandomBytes,
        14 => Error::HandshakeNotComplete,
        15 => Error::PeerSentOversizedRecord,
        16 => Error::NoApplicationProtocol,
        _ => Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
    }
}

fn invalid_message(script: &mut Script<'_>) -> InvalidMessage {
    match script.byte() % 8 {
        0 => InvalidMessage::CertificatePayloadTooLarge,
        1 => InvalidMessage::HandshakePayloadTooLarge,
        2 => InvalidMessage::InvalidContentType,
        3 => InvalidMessage::MissingData("ServerHello"),
        4 => InvalidMessage::TrailingData("ServerHello"),
        5 => InvalidMessage::DuplicateExtension(script.u16()),
        6 => InvalidMessage::UnknownProtocolVersion,
        _ => InvalidMessage::InvalidEmptyPayload,
    }
}
