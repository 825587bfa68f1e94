//! Bounded caches of facts, paths and staples, keyed by SHA-256.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use super::facts::Certificate;
use super::ocsp::Staple;
use super::path::Path;
use super::text::sha256;
use crate::limits::{MAX_CHAINS, MAX_FACTS_BYTES, MAX_KEPT_CERTIFICATES};

/// The hashes of a chain: one for each certificate and one for all of them, in the order sent.
pub(super) struct Hashes {
    pub(super) certificates: Vec<[u8; 32]>,
    chain: [u8; 32],
}

impl Hashes {
    pub(super) fn new(chain: &[CertificateDer<'_>]) -> Self {
        let certificates = chain.iter().map(|der| sha256(der)).collect::<Vec<_>>();
        let mut chain = Sha256::new();
        for hash in &certificates {
            chain.update(hash);
        }
        Self { certificates, chain: chain.finalize().into() }
    }

    /// Those of the certificates that are kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.certificates.iter().take(MAX_KEPT_CERTIFICATES)
    }

    /// The hash of the chain together with its staple.
    fn with(&self, staple: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.chain).chain_update(staple).finalize().into()
    }
}

/// Facts by certificate, paths by chain, and staples by chain and staple.
pub(super) struct Memory {
    facts: Cache<[u8; 32], Arc<Certificate>, Bytes>,
    paths: Cache<[u8; 32], Arc<Path>>,
    staples: Cache<[u8; 32], Arc<Staple>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            facts: Cache::with_weighter(MAX_CHAINS, MAX_FACTS_BYTES, Bytes),
            paths: Cache::new(MAX_CHAINS),
            staples: Cache::new(MAX_CHAINS),
        }
    }

    /// The facts at this moment. Only `days_left` changes, once a day, so records share them.
    pub(super) fn facts(
        &self,
        der: &CertificateDer<'_>,
        hash: &[u8; 32],
        now: i64,
    ) -> Arc<Certificate> {
        let known = self.facts.get(hash);
        if let Some(facts) = known.as_ref().filter(|facts| facts.is_of(now)) {
            return Arc::clone(facts);
        }
        let facts = known.map_or_else(|| Certificate::hashed(der, hash), Arc::unwrap_or_clone);
        let facts = Arc::new(facts.at(now));
        self.facts.insert(*hash, Arc::clone(&facts));
        facts
    }

    /// The cached path, if it holds at this moment. Otherwise it is searched.
    pub(super) fn path(&self, chain: &Hashes, now: i64, find: impl FnOnce() -> Path) -> Arc<Path> {
        let known = self.paths.get(&chain.chain);
        known.filter(|path| path.holds.contains(&now)).unwrap_or_else(|| {
            let path = Arc::new(find());
            self.paths.insert(chain.chain, Arc::clone(&path));
            path
        })
    }

    /// The cached answer of this chain's staple, if it holds at this moment. Otherwise the staple
    /// is read.
    pub(super) fn staple(
        &self,
        chain: &Hashes,
        staple: &[u8],
        now: i64,
        read: impl FnOnce() -> Staple,
    ) -> Arc<Staple> {
        let hash = chain.with(staple);
        let known = self.staples.get(&hash);
        known.filter(|staple| staple.holds.contains(&now)).unwrap_or_else(|| {
            let staple = Arc::new(read());
            self.staples.insert(hash, Arc::clone(&staple));
            staple
        })
    }
}

/// The weight of an entry is its size in bytes, but at least `limit / entries`, so that both bytes
/// and entries are bounded.
#[derive(Clone)]
struct Bytes;

impl Weighter<[u8; 32], Arc<Certificate>> for Bytes {
    fn weight(&self, _hash: &[u8; 32], facts: &Arc<Certificate>) -> u64 {
        const SHARE: u64 = MAX_FACTS_BYTES / MAX_CHAINS as u64;
        (facts.bytes() as u64).max(SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_bounded_by_count_and_bytes() {
        let memory = Memory::new();
        for number in 0..2 * MAX_CHAINS as u64 {
            let der = CertificateDer::from(number.to_be_bytes().to_vec());
            memory.facts(&der, &sha256(&der), 0);
        }
        assert!(memory.facts.len() <= MAX_CHAINS, "{}", memory.facts.len());
        assert!(memory.facts.weight() <= MAX_FACTS_BYTES);
    }

    #[test]
    fn a_path_is_found_again_once_it_no_longer_holds() {
        let memory = Memory::new();
        let hashes = Hashes::new(&[]);
        let path = |considered| Path {
            problems: Default::default(),
            anchor: None,
            ends: None,
            not_evaluated: Vec::new(),
            considered,
            crl: None,
            crlite: None,
            holds: 10..20,
        };
        for (now, considered, expected) in [(10, 1, 1), (19, 2, 1), (20, 3, 3), (9, 4, 4)] {
            let found = memory.path(&hashes, now, || path(considered));
            assert_eq!(found.considered, expected, "at {now}");
        }
    }
}
