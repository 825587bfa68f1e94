//! Chains with every fault that certificates have, and what is to be said of each: judged by
//! `cert_problems`, served by `cert_served`.
//!
//! No two roots bear the same name, so that the roots of all cases can stand in one file.

mod authorities;
mod encodings;
mod leaves;

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem;

use crate::support::certs::{Entity, Pki, ca, example};

pub(crate) use authorities::{authorities, issuers, name_constraints, purposes, self_signed};
pub(crate) use encodings::{broken, extensions_and_versions, signatures, weak};
pub(crate) use leaves::{algorithms, dates, names, shapes};

type Der = CertificateDer<'static>;

/// A chain and what is to be said of it.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The name that is asked for.
    pub(crate) host: String,
    /// Leaf first.
    pub(crate) chain: Vec<Der>,
    /// The leaf's, as PKCS#8.
    pub(crate) key: Vec<u8>,
    /// The only one to be trusted.
    pub(crate) root: Der,
    pub(crate) problems: Vec<Problem>,
    pub(crate) name_ok: Option<bool>,
    /// Whether the leaf can be read as far as its key, so that the handshake can be checked.
    pub(crate) has_key: bool,
}

impl Case {
    fn new(name: &str, key: &KeyPair, chain: &[&Der], root: &Der, problems: &[Problem]) -> Self {
        Self {
            name: name.to_owned(),
            host: "example.com".to_owned(),
            chain: chain.iter().map(|&der| der.clone()).collect(),
            key: key.serialize_der(),
            root: root.clone(),
            problems: problems.to_vec(),
            name_ok: Some(!problems.contains(&Problem::NameMismatch)),
            has_key: true,
        }
    }

    fn asked_for(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// So little of the leaf can be read that neither its names nor its key are known.
    fn unreadable(self) -> Self {
        Self { name_ok: None, has_key: false, ..self }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [
        algorithms(),
        shapes(),
        dates(),
        names(),
        issuers(),
        self_signed(),
        authorities(),
        name_constraints(),
        purposes(),
        signatures(),
        extensions_and_versions(),
        broken(),
        weak(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The same by a name that nobody else has.
fn unique(mut params: CertificateParams) -> CertificateParams {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    params.distinguished_name.push(DnType::CommonName, format!("unique {number}"));
    params
}

fn root() -> Entity {
    Entity::self_signed(unique(ca("root")))
}

fn pki() -> Pki {
    Pki::of(root(), ca("intermediate"), example())
}

/// A leaf made like this under a good CA.
fn of_leaf(name: &str, change: impl FnOnce(&mut CertificateParams), problems: &[Problem]) -> Case {
    let mut leaf = example();
    change(&mut leaf);
    of_pki(name, &Pki::of(root(), ca("intermediate"), leaf), problems)
}

/// A good leaf under a CA made like this.
fn of_ca(name: &str, change: impl FnOnce(&mut CertificateParams), problems: &[Problem]) -> Case {
    let mut intermediate = ca("intermediate");
    change(&mut intermediate);
    of_pki(name, &Pki::of(root(), intermediate, example()), problems)
}

/// The leaf with the CA above it.
fn of_pki(name: &str, pki: &Pki, problems: &[Problem]) -> Case {
    of_chain(name, pki, &[&pki.leaf.der, &pki.ca.der], problems)
}

/// The leaf, or what became of it, with whatever else is sent.
fn of_chain(name: &str, pki: &Pki, chain: &[&Der], problems: &[Problem]) -> Case {
    Case::new(name, &pki.leaf.key, chain, &pki.root.der, problems)
}
