//! Certificates that openssl made: a root, an intermediate, a leaf, and odd ones.

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

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
