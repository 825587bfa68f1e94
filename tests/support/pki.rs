//! Certificate authorities and leaves, made at run time.

use std::path::PathBuf;
use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// The names in the good leaf.
pub(crate) const GOOD_NAMES: [&str; 4] = ["good.test", "localhost", "127.0.0.1", "::1"];

/// The root of everything that the tests trust.
pub(crate) static CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("tlsweep test root"));

/// What a well-behaved server shows.
pub(crate) static GOOD: LazyLock<Identity> = LazyLock::new(|| CA.issue(GOOD_NAMES));

/// A key and certificate that have nothing to do with the good ones.
pub(crate) static STRANGER: LazyLock<Identity> = LazyLock::new(|| CA.issue(["stranger.test"]));

/// A chain, leaf first, and the leaf's key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    key_pem: String,
    chain_pem: String,
}

impl Identity {
    /// The chain and the key as files, for servers of other makers.
    pub(crate) fn write_to(&self, dir: &TempDir, name: &str) -> (PathBuf, PathBuf) {
        let chain = dir.path().join(format!("{name}.crt"));
        let key = dir.path().join(format!("{name}.key"));
        std::fs::write(&chain, &self.chain_pem).unwrap();
        std::fs::write(&key, &self.key_pem).unwrap();
        (chain, key)
    }
}

pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn issue<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Identity {
        self.issue_for(names, KeyPair::generate().unwrap())
    }

    pub(crate) fn issue_for<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        key: KeyPair,
    ) -> Identity {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2125, 1, 1);
        let leaf = params.signed_by(&key, &self.0).unwrap();
        Identity {
            chain: vec![leaf.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            key_pem: key.serialize_pem(),
            chain_pem: leaf.pem(),
        }
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        self.0.der()
    }

    /// The root as a file, for `--roots`.
    pub(crate) fn write_to(&self, dir: &TempDir) -> PathBuf {
        let path = dir.path().join("root.pem");
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }
}
