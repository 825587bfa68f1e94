//! Every error that the pinned rustls can give, and every error of a socket, has its word.

use std::io;

use rustls::{
    AlertDescription, CertificateError, ContentType, Error, HandshakeType, InvalidMessage as M,
    PeerIncompatible as I, PeerMisbehaved as P,
};
use tlsweep::failure::{Failure, Kind, Stage};

fn of_tls(error: Error) -> (Stage, Kind) {
    let failure = Failure::from_tls(Stage::Handshake, &error);
    (failure.stage, failure.kind)
}

fn all_are(kind: Kind, errors: impl IntoIterator<Item = impl Into<Error>>) {
    for error in errors {
        let error = error.into();
        let text = error.to_string();
        assert_eq!(of_tls(error), (Stage::Handshake, kind), "{text}");
    }
}

#[test]
fn errors_of_rustls() {
    all_are(
        Kind::Protocol,
        [
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::ApplicationData,
            },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ServerHello],
                got_type: HandshakeType::Finished,
            },
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::General("whatever".to_owned()),
            Error::FailedToGetCurrentTime,
            Error::HandshakeNotComplete,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::InvalidCertificate(CertificateError::BadEncoding),
        ],
    );
    all_are(Kind::BadSignature, [Error::InvalidCertificate(CertificateError::BadSignature)]);
    let random = Error::FailedToGetRandomBytes;
    assert_eq!(of_tls(random), (Stage::Local, Kind::Resource));
}

#[test]
fn messages_that_cannot_be_read() {
    all_are(Kind::TooLarge, [M::CertificatePayloadTooLarge, M::HandshakePayloadTooLarge]);
    all_are(Kind::NotTls, [M::InvalidContentType]);
    all_are(
        Kind::Protocol,
        [
            M::InvalidCcs,
            M::InvalidCertificateStatusType,
            M::InvalidCertRequest,
            M::InvalidDhParams,
            M::InvalidEmptyPayload,
            M::InvalidKeyUpdate,
            M::InvalidServerName,
            M::MessageTooLarge,
            M::MessageTooShort,
            M::MissingData("x"),
            M::MissingKeyExchange,
            M::NoSignatureSchemes,
            M::TrailingData("x"),
            M::UnexpectedMessage("x"),
            M::UnknownProtocolVersion,
            M::UnsupportedCompression,
            M::UnsupportedCurveType,
            M::EmptyTicketValue,
            M::IllegalEmptyList("x"),
            M::IllegalEmptyValue,
            M::DuplicateExtension(1),
            M::PreSharedKeyIsNotFinalExtension,
            M::UnknownHelloRetryRequestExtension,
            M::UnknownCertificateExtension,
        ],
    );
}

#[test]
fn peers_that_want_what_we_have_not() {
    all_are(
        Kind::Unsupported,
        [
            I::EcPointsExtensionRequired,
            I::ExtendedMasterSecretExtensionRequired,
            I::IncorrectCertificateTypeExtension,
            I::KeyShareExtensionRequired,
            I::NamedGroupsExtensionRequired,
            I::NoCertificateRequestSignatureSchemesInCommon,
            I::NoCipherSuitesInCommon,
            I::NoEcPointFormatsInCommon,
            I::NoKxGroupsInCommon,
            I::NoSignatureSchemesInCommon,
            I::NullCompressionRequired,
            I::ServerDoesNotSupportTls12Or13,
            I::ServerSentHelloRetryRequestWithUnknownExtension,
            I::ServerTlsVersionIsDisabledByOurConfig,
            I::SignatureAlgorithmsExtensionRequired,
            I::SupportedVersionsExtensionRequired,
            I::Tls12NotOffered,
            I::Tls12NotOfferedOrEnabled,
            I::Tls13RequiredForQuic,
            I::UncompressedEcPointsRequired,
            I::UnsolicitedCertificateTypeExtension,
            I::ServerRejectedEncryptedClientHello(None),
        ],
    );
}

#[test]
fn peers_that_misbehave() {
    all_are(
        Kind::Protocol,
        [
            P::AttemptedDowngradeToTls12WhenTls13IsSupported,
            P::BadCertChainExtensions,
            P::CipherSuiteDifferedOnRetry,
            P::DisallowedEncryptedExtension,
            P::DuplicateClientHelloExtensions,
            P::DuplicateEncryptedExtensions,
            P::DuplicateHelloRetryRequestExtensions,
            P::DuplicateNewSessionTicketExtensions,
            P::DuplicateServerHelloExtensions,
            P::DuplicateServerNameTypes,
            P::EarlyDataAttemptedInSecondClientHello,
            P::EarlyDataExtensionWithoutResumption,
            P::EarlyDataOfferedWithVariedCipherSuite,
            P::EchAcceptanceVariedAfterRetry,
            P::HandshakeHashVariedAfterRetry,
            P::IllegalHelloRetryRequestWithEmptyCookie,
            P::IllegalHelloRetryRequestWithNoChanges,
            P::IllegalHelloRetryRequestWithOfferedGroup,
            P::IllegalHelloRetryRequestWithUnofferedCipherSuite,
            P::IllegalHelloRetryRequestWithUnofferedNamedGroup,
            P::IllegalHelloRetryRequestWithUnsupportedVersion,
            P::IllegalHelloRetryRequestWithWrongSessionId,
            P::IllegalHelloRetryRequestWithInvalidEch,
            P::IllegalMiddleboxChangeCipherSpec,
            P::IllegalTlsInnerPlaintext,
            P::IncorrectBinder,
            P::InvalidCertCompression,
            P::InvalidMaxEarlyDataSize,
            P::InvalidKeyShare,
            P::KeyEpochWithPendingFragment,
            P::KeyUpdateReceivedInQuicConnection,
            P::MessageInterleavedWithHandshakeMessage,
            P::MissingBinderInPskExtension,
            P::MissingKeyShare,
            P::MissingPskExtensionInSecondClientHello,
            P::MissingPskModesExtension,
            P::MissingQuicTransportParameters,
            P::OfferedDuplicateCertificateCompressions,
            P::OfferedDuplicateKeyShares,
            P::OfferedEarlyDataWithOldProtocolVersion,
            P::OfferedEmptyApplicationProtocol,
            P::OfferedIncorrectCompressions,
            P::PskExtensionMustBeLast,
            P::PskExtensionWithMismatchedIdsAndBinders,
            P::RefusedToFollowHelloRetryRequest,
            P::RejectedEarlyDataInterleavedWithHandshakeMessage,
            P::ResumptionAttemptedWithVariedEms,
            P::ResumptionOfferedWithVariedCipherSuite,
            P::ResumptionOfferedWithVariedEms,
            P::ResumptionOfferedWithIncompatibleCipherSuite,
            P::SelectedDifferentCipherSuiteAfterRetry,
            P::SelectedInvalidPsk,
            P::SelectedTls12UsingTls13VersionExtension,
            P::SelectedUnofferedApplicationProtocol,
            P::SelectedUnofferedCertCompression,
            P::SelectedUnofferedCipherSuite,
            P::SelectedUnofferedCompression,
            P::SelectedUnofferedKxGroup,
            P::SelectedUnofferedPsk,
            P::SelectedUnusableCipherSuiteForVersion,
            P::ServerEchoedCompatibilitySessionId,
            P::ServerHelloMustOfferUncompressedEcPoints,
            P::ServerNameDifferedOnRetry,
            P::ServerNameMustContainOneHostName,
            P::SignedKxWithWrongAlgorithm,
            P::SignedHandshakeWithUnadvertisedSigScheme,
            P::TooManyEmptyFragments,
            P::TooManyKeyUpdateRequests,
            P::TooManyRenegotiationRequests,
            P::TooManyWarningAlertsReceived,
            P::TooMuchEarlyDataReceived,
            P::UnexpectedCleartextExtension,
            P::UnsolicitedCertExtension,
            P::UnsolicitedEncryptedExtension,
            P::UnsolicitedSctList,
            P::UnsolicitedServerHelloExtension,
            P::WrongGroupForKeyShare,
            P::UnsolicitedEchExtension,
        ],
    );
}

#[test]
fn alerts_have_their_iana_names() {
    for (number, name) in [
        (40, "handshake_failure"),
        (47, "illegal_parameter"),
        (70, "protocol_version"),
        (80, "internal_error"),
        (112, "unrecognized_name"),
        (116, "certificate_required"),
        (120, "no_application_protocol"),
        (233, "233"),
    ] {
        let error = Error::AlertReceived(AlertDescription::from(number));
        let failure = Failure::from_tls(Stage::Handshake, &error);
        assert_eq!(
            (failure.kind, failure.alert.map(|alert| alert.name())),
            (Kind::Alert, Some(name.into()))
        );
    }
}

#[test]
fn errors_of_a_socket() {
    let at = |stage, number| {
        let failure = Failure::from_io(stage, &io::Error::from_raw_os_error(number));
        (failure.stage, failure.kind)
    };
    for stage in [Stage::Connect, Stage::Handshake] {
        for (number, kind) in [
            (libc::ECONNREFUSED, Kind::Refused),
            (libc::ECONNRESET, Kind::Reset),
            (libc::EPIPE, Kind::Reset),
            (libc::ENETUNREACH, Kind::Unreachable),
            (libc::EHOSTUNREACH, Kind::Unreachable),
            (libc::ETIMEDOUT, Kind::Timeout),
        ] {
            assert_eq!(at(stage, number), (stage, kind), "{number}");
        }
        for number in [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::EADDRNOTAVAIL,
            libc::EACCES,
            libc::EPERM,
        ] {
            assert_eq!(at(stage, number), (Stage::Local, Kind::Resource), "{number}");
        }
    }
    assert_eq!(at(Stage::Connect, libc::EINVAL), (Stage::Connect, Kind::Unreachable));
}

#[test]
fn first_bytes_decide_what_is_not_tls() {
    let wrong_type = Failure::from_tls(Stage::Handshake, &M::InvalidContentType.into());
    let http = wrong_type.clone().in_view_of(b"HTTP/1.1 400\r\n");
    assert_eq!((http.kind, http.evidence.as_deref()), (Kind::NotTls, Some("HTTP/1.1 400\\r\\n")));
    assert_eq!(wrong_type.in_view_of(&[22, 3, 3, 0, 1]).kind, Kind::Protocol);

    let reset = Failure::from_io(Stage::Handshake, &io::ErrorKind::ConnectionReset.into());
    assert_eq!(reset.clone().in_view_of(b"").kind, Kind::Reset);
    assert_eq!(reset.clone().in_view_of(&[22, 3, 3]).kind, Kind::Reset);
    assert_eq!(reset.clone().in_view_of(b"SSH").kind, Kind::NotTls);
    assert_eq!(reset.in_view_of(b"SSH-2.0-x").kind, Kind::NotTls);
}
