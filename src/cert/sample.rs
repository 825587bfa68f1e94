//! A certificate for unit tests.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// A CA for `example.com`, signed by itself.
pub(super) fn authority(path_length: u8) -> Vec<u8> {
    let mut params = CertificateParams::new(["example.com".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}
