//! Asks for a second handshake inside a session of TLS 1.2.
//!
//! rustls does not renegotiate. The suites in this file are those of rustls, but they send what rustls
//! takes for application data as a handshake message, and hand the answer over as application data. So the
//! second ClientHello is written to the session, and the answer is read from it.

use std::sync::LazyLock;

use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage,
    Tls12AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite, Tls12CipherSuite,
};

use crate::names::content_type::{ALERT, HANDSHAKE};

/// The same suite, which lets a second ClientHello pass. `None` for the suites of TLS 1.3, in which
/// there is no renegotiation.
///
/// The suite is never freed, so make it only once.
fn renegotiating(suite: &SupportedCipherSuite) -> Option<SupportedCipherSuite> {
    let SupportedCipherSuite::Tls12(suite) = suite else {
        return None;
    };
    let CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit, .. } = suite.common;
    Some(SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
        common: CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit },
        prf_provider: suite.prf_provider,
        kx: suite.kx,
        sign: suite.sign,
        aead_alg: Box::leak(Box::new(Renegotiating(suite.aead_alg))),
    }))))
}

/// The suites of TLS 1.2 that rustls has, with which a second ClientHello can be sent.
pub(super) static SUITES: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
    rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES.iter().filter_map(renegotiating).collect()
});

/// What stands before verify_data in a Finished.
const MESSAGE_HEADER: usize = 4;

const SERVER_HELLO: u8 = 2;

/// The alert no_renegotiation as a warning (RFC 5246, section 7.2.2).
const NO_RENEGOTIATION: [u8; 2] = [1, 100];

/// The answer to a second ClientHello as a record in plain text. `None` when it is no answer.
pub fn record(answer: &[u8]) -> Option<Vec<u8>> {
    let kind = match answer {
        [SERVER_HELLO, ..] => HANDSHAKE,
        _ if answer.starts_with(&NO_RENEGOTIATION) => ALERT,
        _ => return None,
    };
    let length = u16::try_from(answer.len()).ok()?.to_be_bytes();
    Some([&[kind, 3, 3], length.as_slice(), answer].concat())
}

struct Renegotiating(&'static dyn Tls12AeadAlgorithm);

impl Tls12AeadAlgorithm for Renegotiating {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter { inner: self.0.encrypter(key, iv, extra), verify_data: Vec::new() })
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter { inner: self.0.decrypter(key, iv), has_finished: false })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct Encrypter {
    inner: Box<dyn MessageEncrypter>,
    /// Of our Finished, once it is sent.
    verify_data: Vec<u8>,
}

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        if message.typ == ContentType::Handshake {
            // Our Finished is the only message of a handshake that rustls encrypts in TLS 1.2.
            let finished = message.payload.to_vec();
            self.verify_data = finished.get(MESSAGE_HEADER..).unwrap_or_default().to_vec();
        }
        if message.typ != ContentType::ApplicationData {
            return self.inner.encrypt(message, sequence);
        }
        // Its last extension is renegotiation_info, with room for verify_data.
        let mut hello = message.payload.to_vec();
        hello.truncate(hello.len().saturating_sub(self.verify_data.len()));
        hello.extend(&self.verify_data);
        let hello = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: message.version,
            payload: OutboundChunks::from(hello.as_slice()),
        };
        self.inner.encrypt(hello, sequence)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.inner.encrypted_payload_len(payload_len)
    }
}

struct Decrypter {
    inner: Box<dyn MessageDecrypter>,
    /// Whether the server's Finished has come.
    has_finished: bool,
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let message = self.inner.decrypt(message, sequence)?;
        let is_answer = match message.typ {
            ContentType::Handshake if !self.has_finished => {
                self.has_finished = true;
                return Ok(message);
            }
            ContentType::Handshake => message.payload.first() == Some(&SERVER_HELLO),
            ContentType::Alert if message.payload == NO_RENEGOTIATION => true,
            ContentType::ApplicationData => false,
            _ => return Ok(message),
        };
        // A HelloRequest and data of the application say nothing. rustls looks for the payload in its
        // buffer, so an empty one must lie in there.
        let length = if is_answer { message.payload.len() } else { 0 };
        let payload = message.payload.get(..length).unwrap_or_default();
        Ok(InboundPlainMessage { typ: ContentType::ApplicationData, payload, ..message })
    }
}
