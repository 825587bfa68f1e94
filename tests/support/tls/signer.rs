//! Signatures over the handshake, in whatever scheme and by whatever key.

/// TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 and the same with RSA.
pub(crate) const ECDHE_ECDSA: [u8; 2] = [0xcc, 0xa9];
pub(crate) const ECDHE_RSA: [u8; 2] = [0xcc, 0xa8];

/// Who shows a certificate and signs.
pub(crate) struct Signer {
    /// The certificate that is shown.
    pub(crate) certificate: Vec<u8>,
    /// The number of the signature scheme that is claimed.
    pub(crate) scheme: u16,
    /// The cipher suite of TLS 1.2.
    pub(crate) suite: [u8; 2],
    /// Makes what is sent as the signature of a text.
    pub(crate) sign: Sign,
}

/// What is sent as the signature of a text.
pub(crate) type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;
