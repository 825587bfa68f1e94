//! Chains as most servers have them: a P-256 leaf under a P-384 intermediate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SerialNumber,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Shows the next chain to every client, from the beginning again when all have been shown.
#[derive(Debug)]
pub(crate) struct Chains {
    pub(crate) root: CertificateDer<'static>,
    chains: Vec<Arc<CertifiedKey>>,
    next: AtomicUsize,
}

impl Chains {
    /// That many leaves of one intermediate.
    pub(crate) fn new(count: usize) -> Self {
        let root = CertifiedIssuer::self_signed(authority("Example Root"), p384()).unwrap();
        let intermediate =
            CertifiedIssuer::signed_by(authority("Example Intermediate"), p384(), &root).unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let signer = any_supported_type(&private).unwrap();
        let names = ["www.example.com", "example.com"].map(str::to_owned);
        let chains = (1..=count as u64).map(|number| {
            let mut params = CertificateParams::new(names.clone()).unwrap();
            params.serial_number = Some(SerialNumber::from(number));
            let leaf = params.signed_by(&key, &intermediate).unwrap();
            let chain = vec![leaf.der().clone(), intermediate.der().clone()];
            Arc::new(CertifiedKey::new(chain, Arc::clone(&signer)))
        });
        Self { chains: chains.collect(), root: root.der().clone(), next: AtomicUsize::new(0) }
    }
}

impl ResolvesServerCert for Chains {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(&self.chains[next % self.chains.len()]))
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn p384() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}
