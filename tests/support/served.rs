//! A server that shows whatever chain it is given.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::peer::{Spec, provider};

/// A peer that shows this chain to everybody and signs with this key (PKCS#8), even if the two do
/// not match. `None` for keys that rustls cannot sign with.
pub(crate) fn showing(chain: &[CertificateDer<'static>], key: &[u8]) -> Option<Spec> {
    stapling(chain, key, None)
}

/// The same peer, which also sends this staple.
pub(crate) fn stapling(
    chain: &[CertificateDer<'static>],
    key: &[u8],
    staple: Option<Vec<u8>>,
) -> Option<Spec> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).ok()?;
    let mut shown = CertifiedKey::new(chain.to_vec(), key);
    shown.ocsp = staple;
    let shown = Shown(Arc::new(shown));
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    Some(Spec::served(config))
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
