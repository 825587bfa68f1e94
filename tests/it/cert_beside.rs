//! Single certificates and chains beside `openssl verify` and `certtool --verify`.
//!
//! Each row says what we say. Where OpenSSL says otherwise, the row gives the reason: a difference
//! without a reason fails, and so does a reason without a difference.

mod attributes;
mod constraints;
mod encodings;
mod fields;
mod issuers;
mod names;
mod paths;
mod purposes;

use std::sync::LazyLock;

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem;

use crate::support::certs::{examine, judge};
use crate::support::draft::{Draft, alternative_names, dns, is_ca, key_usage};
use crate::support::x509;

type Der = CertificateDer<'static>;

/// The keys of the root, of an issuer below it and of leaves.
static KEYS: LazyLock<[KeyPair; 3]> =
    LazyLock::new(|| [(); 3].map(|()| KeyPair::generate().unwrap()));

fn root_key() -> &'static KeyPair {
    &KEYS[0]
}

fn issuer_key() -> &'static KeyPair {
    &KEYS[1]
}

/// keyCertSign and cRLSign.
fn may_sign() -> Vec<u8> {
    key_usage(1, 0x06)
}

/// digitalSignature.
fn may_shake_hands() -> Vec<u8> {
    key_usage(7, 0x80)
}

/// The root that is trusted unless a row says otherwise.
fn root() -> Draft {
    Draft::new("Root", "Root", root_key()).with([is_ca(), may_sign()])
}

static ROOT: LazyLock<Der> = LazyLock::new(|| root().signed_by(root_key()));

/// A leaf under the root.
fn leaf(extensions: impl IntoIterator<Item = Vec<u8>>) -> Draft {
    Draft::new("Leaf", "Root", &KEYS[2]).with([may_shake_hands()]).with(extensions)
}

/// The extension that names `a.test`.
fn for_a_test() -> Vec<u8> {
    alternative_names(&[dns("a.test")])
}

/// A leaf for `a.test` under the root.
fn usual(extensions: impl IntoIterator<Item = Vec<u8>>) -> Draft {
    leaf([for_a_test()]).with(extensions)
}

/// An issuer under the root.
fn issuer(extensions: impl IntoIterator<Item = Vec<u8>>) -> Draft {
    Draft::new("Issuer", "Root", issuer_key()).with([is_ca(), may_sign()]).with(extensions)
}

/// A leaf that this issuer signs, and the issuer under the root.
fn below(leaf: Draft, issuer: &Draft) -> Vec<Der> {
    let leaf = leaf.but(|leaf| leaf.issuer.clone_from(&issuer.subject));
    vec![leaf.signed_by(issuer_key()), issuer.signed_by(root_key())]
}

fn alone(leaf: &Draft) -> Vec<Der> {
    vec![leaf.signed_by(root_key())]
}

/// Which other verifiers give a different verdict than tlsweep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Differs {
    Nobody,
    /// Only OpenSSL; GnuTLS agrees with tlsweep.
    OpenSsl,
    /// OpenSSL and GnuTLS.
    Both,
}

/// A chain, and the verdicts on it.
struct Row {
    what: String,
    chain: Vec<Der>,
    roots: Vec<Der>,
    host: String,
    expected: Vec<Problem>,
    differs: Differs,
    why: &'static str,
}

impl Row {
    /// For `a.test`, under the usual root, and everybody agrees.
    fn new(what: impl Into<String>, chain: Vec<Der>, expected: &[Problem]) -> Self {
        Self {
            what: what.into(),
            chain,
            roots: vec![ROOT.clone()],
            host: "a.test".to_owned(),
            expected: expected.to_vec(),
            differs: Differs::Nobody,
            why: "",
        }
    }

    fn under(self, roots: &[&Der]) -> Self {
        Self { roots: roots.iter().map(|&root| root.clone()).collect(), ..self }
    }

    fn of(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// OpenSSL says otherwise, for this reason.
    fn openssl_differs(self, why: &'static str) -> Self {
        Self { differs: Differs::OpenSsl, why, ..self }
    }

    /// OpenSSL and GnuTLS say otherwise, for this reason.
    fn both_differ(self, why: &'static str) -> Self {
        Self { differs: Differs::Both, why, ..self }
    }

    /// What is not as the row says. `None` without OpenSSL or when all is well.
    fn fault(&self) -> Option<String> {
        let roots = self.roots.iter().collect::<Vec<_>>();
        let ours = examine(&judge(&roots), &self.chain, &self.host).trust.unwrap().problems;
        let openssl = x509::verify(&self.chain, &self.roots, &self.host)?;
        let gnutls = x509::certtool(&self.chain, &self.roots, &self.host);
        let trusts = ours.is_empty();
        let sides_with_us = gnutls.as_ref().is_none_or(|gnutls| gnutls.is_ok() == trusts);
        let differs = match openssl.is_ok() == trusts {
            true => Differs::Nobody,
            // Without GnuTLS, the row is believed.
            false if gnutls.is_none() && self.differs == Differs::Both => Differs::Both,
            false if sides_with_us => Differs::OpenSsl,
            false => Differs::Both,
        };
        let is_right = ours == self.expected && differs == self.differs;
        (!is_right).then(|| {
            format!(
                "{}: {ours:?}, not {:?}; differs: {differs:?}, not {:?} ({}); \
                 OpenSSL says {openssl:?}; GnuTLS says {gnutls:?}",
                self.what, self.expected, self.differs, self.why
            )
        })
    }
}

/// All rows hold.
fn hold(rows: &[Row]) {
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!(row.differs == Differs::Nobody, row.why.is_empty(), "{}", row.what);
    }
    let faults = rows.iter().filter_map(Row::fault).collect::<Vec<_>>();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rows.len(), faults.join("\n"));
}
