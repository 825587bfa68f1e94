//! Stands in for the certificate verifier: accepts every chain, keeps what passes by.
//!
//! rustls calls the recorder from inside the poll of the handshake, on the polling thread, and
//! tells it nothing of the connection. So [`Recorded`] lays out a slot on that thread for the time
//! of each poll, and the callbacks write into it.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::asn1_rs::Tag;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Sizes of RSA keys, in bits, whose signatures the provider verifies.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The curves of ECDSA keys that the provider knows: P-256, P-384 and P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

/// Schemes that are offered although their signatures are not verified: servers that have nothing
/// else would answer with an alert and nothing more.
const UNVERIFIED_SCHEMES: [SignatureScheme; 3] =
    [SignatureScheme::ED448, SignatureScheme::ECDSA_SHA1_Legacy, SignatureScheme::RSA_PKCS1_SHA1];

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// Whether a signature scheme is among those that every hello offers.
pub fn is_offered_scheme(number: u16) -> bool {
    let verified = aws_lc_rs::default_provider().signature_verification_algorithms;
    let offered = verified.supported_schemes().into_iter().chain(UNVERIFIED_SCHEMES);
    offered.map(u16::from).any(|scheme| scheme == number)
}

/// What passed by in a handshake, finished or not.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The chain as sent, leaf first; empty when none came.
    pub chain: Vec<CertificateDer<'static>>,
    /// The stapled OCSP response; empty when none came.
    pub ocsp: Vec<u8>,
    /// The signature over the handshake.
    pub signature: Option<Signature>,
    /// Whether the peer asked for a certificate of ours.
    pub client_cert_requested: bool,
}

/// A signature over the handshake.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The number of its scheme.
    pub scheme: u16,
    /// Whether it holds.
    pub state: SignatureState,
}

/// Whether a signature holds under the leaf's key.
#[derive(Clone, Debug, PartialEq)]
pub enum SignatureState {
    /// It was checked and holds.
    Verified,
    /// It was checked and does not hold.
    False,
    /// It could not be checked, for this reason.
    Unchecked(String),
}

/// The verifier and client-certificate resolver of every handshake.
pub struct Recorder {
    algorithms: WebPkiSupportedAlgorithms,
}

/// A handshake whose callbacks are recorded.
pub struct Recorded<F> {
    inner: F,
    seen: Seen,
}

impl<F> Recorded<F> {
    /// Records what passes by while `inner` is polled.
    pub fn new(inner: F) -> Self {
        Self { inner, seen: Seen::default() }
    }

    /// The handshake.
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// What was seen so far.
    pub fn into_seen(self) -> Seen {
        self.seen
    }
}

impl<F: Future + Unpin> Future for Recorded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        swap_slot(&mut this.seen);
        let result = Pin::new(&mut this.inner).poll(cx);
        swap_slot(&mut this.seen);
        result
    }
}

impl Recorder {
    /// A recorder that checks signatures with the algorithms of `provider`.
    pub fn new(provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self { algorithms: provider.signature_verification_algorithms })
    }

    /// Judges a signature over the handshake and keeps the judgement.
    fn record_signature(
        &self,
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        verify: impl FnOnce() -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.supported_verify_schemes().contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let state = if verify().is_ok() {
            SignatureState::Verified
        } else {
            let reason = self.cannot_judge(leaf, signed.scheme);
            reason.map_or(SignatureState::False, SignatureState::Unchecked)
        };
        let is_false = state == SignatureState::False;
        let scheme = u16::from(signed.scheme);
        record(|seen| seen.signature = Some(Signature { scheme, state }));
        if is_false {
            return Err(CertificateError::BadSignature.into());
        }
        Ok(HandshakeSignatureValid::assertion())
    }

    /// Why a signature of this scheme under the key of this certificate cannot be judged, when it
    /// was not found good.
    ///
    /// webpki calls a signature bad too when it only does not know the key; that must not look like
    /// a forgery. A key of another type than the scheme's is a forgery, known or not.
    fn cannot_judge(&self, leaf: &CertificateDer<'_>, scheme: SignatureScheme) -> Option<String> {
        let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
            return Some("the certificate cannot be read".to_owned());
        };
        let spki = certificate.public_key();
        let algorithm = spki.algorithm.algorithm.to_id_string();
        if !is_key_for(scheme, &algorithm) {
            return None;
        }
        if UNVERIFIED_SCHEMES.contains(&scheme) {
            return Some(match scheme {
                SignatureScheme::ED448 => "Ed448 is not implemented".to_owned(),
                _ => "SHA-1 proves nothing".to_owned(),
            });
        }
        if let Some(key) = unknown_key(spki) {
            return Some(key);
        }
        match webpki::EndEntityCert::try_from(leaf) {
            Ok(_) => None,
            Err(webpki::Error::UnsupportedCertVersion) => {
                Some("a certificate of X.509 version 1 or 2".to_owned())
            }
            Err(webpki::Error::UnsupportedCriticalExtension) => {
                Some("an unknown critical extension in the certificate".to_owned())
            }
            Err(error) => Some(format!("the certificate cannot be read: {error}")),
        }
    }
}

/// A key that the provider cannot verify with, in words.
fn unknown_key(spki: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let modulus = key.modulus.iter().skip_while(|&&byte| byte == 0);
            let top_zeros = modulus.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
            let bits = (8 * modulus.count()).saturating_sub(top_zeros);
            (!RSA_BITS.contains(&bits)).then(|| format!("an RSA key of {bits} bits"))
        }
        Ok(PublicKey::EC(_)) => {
            let parameters = spki.algorithm.parameters.as_ref();
            // asn1-rs makes an object identifier of whatever has any tag.
            let named = parameters.filter(|any| any.tag() == Tag::Oid);
            let curve = named.and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
            let curve = curve.unwrap_or_else(|| "of explicit parameters".to_owned());
            (!CURVES.contains(&curve.as_str())).then(|| format!("an EC key on the curve {curve}"))
        }
        Ok(_) => None,
        Err(_) => Some("a key that cannot be read".to_owned()),
    }
}

/// Whether keys of the algorithm `oid` make signatures of `scheme`.
fn is_key_for(scheme: SignatureScheme, oid: &str) -> bool {
    use SignatureScheme as S;
    match scheme {
        S::ED448 => oid == "1.3.101.113",
        S::ED25519 => oid == "1.3.101.112",
        S::ECDSA_SHA1_Legacy
        | S::ECDSA_NISTP256_SHA256
        | S::ECDSA_NISTP384_SHA384
        | S::ECDSA_NISTP521_SHA512 => oid == "1.2.840.10045.2.1",
        S::RSA_PKCS1_SHA1
        | S::RSA_PKCS1_SHA256
        | S::RSA_PKCS1_SHA384
        | S::RSA_PKCS1_SHA512
        | S::RSA_PSS_SHA256
        | S::RSA_PSS_SHA384
        | S::RSA_PSS_SHA512 => oid == "1.2.840.113549.1.1.1",
        // What else is offered, the provider verifies: it knows its keys.
        _ => true,
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        record(|seen| {
            let sent = std::iter::once(end_entity).chain(intermediates);
            seen.chain = sent.map(|certificate| certificate.clone().into_owned()).collect();
            seen.ocsp = ocsp_response.to_vec();
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verify = || verify_tls12_signature(message, cert, dss, &self.algorithms);
        self.record_signature(cert, dss, verify)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !allowed_in_tls13(dss.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let verify = || verify_tls13_signature(message, cert, dss, &self.algorithms);
        self.record_signature(cert, dss, verify)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        schemes.extend(UNVERIFIED_SCHEMES);
        schemes
    }
}

impl ResolvesClientCert for Recorder {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        record(|seen| seen.client_cert_requested = true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// RFC 8446, section 4.2.3: PKCS#1 v1.5 and SHA-1 are for certificates only.
fn allowed_in_tls13(scheme: SignatureScheme) -> bool {
    use SignatureScheme as S;
    !matches!(
        scheme,
        S::RSA_PKCS1_SHA1
            | S::RSA_PKCS1_SHA256
            | S::RSA_PKCS1_SHA384
            | S::RSA_PKCS1_SHA512
            | S::ECDSA_SHA1_Legacy
    )
}

fn record(write: impl FnOnce(&mut Seen)) {
    SEEN.with_borrow_mut(write);
}

/// Exchanges the slot of this thread for another.
fn swap_slot(other: &mut Seen) {
    SEEN.with_borrow_mut(|seen| std::mem::swap(seen, other));
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}
