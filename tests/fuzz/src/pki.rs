//! Certificates that openssl made: a root, an intermediate, a leaf, and odd ones.

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tlsweep::signature::{Proof, SignedHandshake};

macro_rules! der {
    ($name:literal) => {
        include_bytes!(concat!("../pki/", $name, ".der"))
    };
}

/// The leaf, whose key is [`leaf_key`].
pub const LEAF: &[u8] = der!("leaf");
pub const INTERMEDIATE: &[u8] = der!("intermediate");
pub const ROOT: &[u8] = der!("root");

/// What a mutation may begin with.
pub const ALL: [&[u8]; 8] = [
    LEAF,
    INTERMEDIATE,
    ROOT,
    der!("rsa1024-sha1"),
    der!("ed25519"),
    der!("v1"),
    der!("constrained"),
    der!("rich"),
];

pub fn leaf_key() -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(&der!("leaf-key")[..]).into()
}

/// The leaf and what stands above it.
pub fn chain() -> Vec<CertificateDer<'static>> {
    vec![LEAF.into(), INTERMEDIATE.into()]
}

/// The proof of a peer that has the key of its certificate: the first test vector of RFC 8032,
/// section 7.1, over a certificate of which there is nothing but the key.
pub fn held() -> Proof {
    const ED25519: u16 = 0x0807;
    #[rustfmt::skip]
    const KEY: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
        0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];
    #[rustfmt::skip]
    const SIGNATURE: [u8; 64] = [
        0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a,
        0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65, 0x22, 0x49, 0x01, 0x55,
        0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b, 0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b,
        0xd2, 0x5b, 0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b,
    ];
    // A serial number, four empty fields, and the key behind its algorithm.
    let fields = [2, 1, 1, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 0];
    let spki = [&[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 112, 3, 33, 0][..], &KEY].concat();
    let certificate = [&[0x30, 57, 0x30, 55][..], &fields, &spki].concat();
    let signed = SignedHandshake {
        certificate: &certificate,
        scheme: ED25519,
        is_tls13: true,
        message: b"",
        signature: &SIGNATURE,
    };
    let proof = signed.prove().unwrap();
    assert!(proof.is_held());
    proof
}
