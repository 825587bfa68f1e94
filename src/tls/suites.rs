//! The cipher suites of rustls, adapted: those of TLS 1.3 count the certificates of a handshake as they
//! decrypt it, and have a key schedule of their own.
//!
//! In TLS 1.3 the certificates are encrypted, so only the decrypter sees them before rustls parses
//! them; [`crate::certificate_count`] says why that matters.

use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, OtherError, SupportedCipherSuite,
    Tls13CipherSuite,
};
use std::sync::Arc;

use super::key_schedule::key_schedule;
use crate::certificate_count::{CertificateCounter, Form};

/// The same suite. If it is one of TLS 1.3, it ends a handshake with more than
/// [`MAX_CERTIFICATES`](crate::limits::MAX_CERTIFICATES) certificates, and derives its secrets with
/// [`key_schedule`].
///
/// The suite is never freed, so make it only once.
pub(super) fn adapted(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let SupportedCipherSuite::Tls13(suite) = suite else {
        return suite;
    };
    let CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit, .. } = suite.common;
    SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
        common: CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit },
        hkdf_provider: key_schedule(hash_provider.algorithm()).unwrap_or(suite.hkdf_provider),
        aead_alg: Box::leak(Box::new(Counted(suite.aead_alg))),
        quic: suite.quic,
    })))
}

struct Counted(&'static dyn Tls13AeadAlgorithm);

impl Tls13AeadAlgorithm for Counted {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        let certificates = CertificateCounter::new(Form::Tls13);
        Box::new(CountingDecrypter { inner: self.0.decrypter(key, iv), certificates })
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct CountingDecrypter {
    inner: Box<dyn MessageDecrypter>,
    certificates: CertificateCounter,
}

impl MessageDecrypter for CountingDecrypter {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let message = self.inner.decrypt(message, sequence)?;
        if message.typ == ContentType::Handshake {
            let counted = self.certificates.receive(message.payload);
            counted.map_err(|too_many| Error::Other(OtherError(Arc::new(too_many))))?;
        }
        Ok(message)
    }
}
