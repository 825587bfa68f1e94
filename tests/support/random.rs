//! Random numbers that a seed repeats.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};

/// Xorshift.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Begins with a seed that it prints, or with that of `TLSWEEP_SEED`.
    pub(crate) fn new() -> Self {
        let given = env::var("TLSWEEP_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        eprintln!("TLSWEEP_SEED={seed}");
        Self { seed, state: seed | 1 }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % limit as u64).unwrap()
    }
}
